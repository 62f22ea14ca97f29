/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "weir/cli.h"

static struct latency hist;

static void begin(void)
{
    hist = (struct latency){0};
}

/* Whatever the size of the values, a quantile is off by 1.6 % at most, and
 * never too small. */
START_TEST(quantiles_are_close_at_every_scale)
{
    for (unsigned shift = 0; shift < 50; shift++) {
        hist = (struct latency){0};
        for (uint64_t i = 1; i <= 1000; i++)
            latency_add(&hist, i << shift);
        for (unsigned percent = 1; percent < 100; percent++) {
            double exact =
                (double)((percent * 10 + 1)) * (double)(1ull << shift);
            double got =
                (double)latency_quantile(&hist, (double)percent / 100.0);

            ck_assert_double_ge(got, exact * 0.998);
            ck_assert_double_le(got, exact * 1.017);
        }
    }
}
END_TEST

START_TEST(largest_value_is_exact)
{
    latency_add(&hist, 5);
    latency_add(&hist, UINT64_MAX);
    ck_assert_uint_eq(latency_quantile(&hist, 0.0), 5);
    ck_assert_uint_eq(latency_quantile(&hist, 1.0), UINT64_MAX);
}
END_TEST

START_TEST(empty_histogram_has_no_latency)
{
    ck_assert_uint_eq(latency_quantile(&hist, 0.5), 0);
}
END_TEST

START_TEST(merging_counts_both)
{
    static struct latency other;

    latency_add(&hist, 10);
    latency_add(&other, 30);
    latency_add(&other, 40);
    latency_merge(&hist, &other);
    ck_assert_uint_eq(hist.count, 3);
    ck_assert_uint_eq(latency_quantile(&hist, 0.5), 30);
    ck_assert_uint_eq(hist.max, 40);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("latency histogram");

    tcase_add_checked_fixture(tc, begin, NULL);
    tcase_add_test(tc, quantiles_are_close_at_every_scale);
    tcase_add_test(tc, largest_value_is_exact);
    tcase_add_test(tc, empty_histogram_has_no_latency);
    tcase_add_test(tc, merging_counts_both);
    return test_run();
}
