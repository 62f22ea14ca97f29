/* SPDX-License-Identifier: Apache-2.0 */
/* When a server looks for partitions that belong elsewhere. */
#include "support/test.h"

#include "kafka/looks.h"

/* One tick, and the look if it is due. */
static bool tick(struct looks *looks, uint64_t view)
{
    if (!looks_due(looks, view))
        return false;
    looks_begin(looks, view);
    return true;
}

static void expect_looks_after_change(struct looks *looks, uint64_t view)
{
    ck_assert_uint_ge(LOOKS_SOON, 3);
    ck_assert(tick(looks, view));
    for (unsigned i = 0; i < LOOKS_SOON; i++)
        ck_assert(tick(looks, view));
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned i = 1; i < LOOKS_TICKS; i++)
            ck_assert(!tick(looks, view));
        ck_assert(tick(looks, view));
    }
}

/* What another server gives by an older view comes behind the first look. */
START_TEST(a_change_is_looked_at_several_times_and_then_seldom)
{
    struct looks looks = {0};

    expect_looks_after_change(&looks, 1);
    expect_looks_after_change(&looks, 2);
}
END_TEST

START_TEST(a_change_soon_after_another_begins_anew)
{
    struct looks looks = {0};

    ck_assert(tick(&looks, 1));
    ck_assert(tick(&looks, 1));
    expect_looks_after_change(&looks, 3);
}
END_TEST

START_TEST(a_look_that_could_not_begin_stays_due)
{
    struct looks looks = {0};

    ck_assert(looks_due(&looks, 1));
    ck_assert(looks_due(&looks, 1));
    expect_looks_after_change(&looks, 1);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("kafka looks");

    tcase_add_test(tc, a_change_is_looked_at_several_times_and_then_seldom);
    tcase_add_test(tc, a_change_soon_after_another_begins_anew);
    tcase_add_test(tc, a_look_that_could_not_begin_stays_due);
    return test_run();
}
