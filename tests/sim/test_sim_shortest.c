/* SPDX-License-Identifier: Apache-2.0 */
/* The search for the shortest run that fails finds it, whichever do. */
#include "support/test.h"
#include "sim/shortest.h"

#include <string.h>

enum { STEPS = 300 };

/* A scenario: which of its lengths fail. */
static struct {
    char fails[STEPS + 1];
    char ran[STEPS + 1];
    unsigned last; /* That failed. */
} scenario;

static int run(void *ctx, unsigned steps)
{
    ck_assert_ptr_eq(ctx, &scenario);
    ck_assert_uint_ge(steps, 1);
    ck_assert_uint_le(steps, STEPS);
    ck_assert_int_eq(scenario.ran[steps], 0);
    scenario.ran[steps] = 1;
    if (scenario.fails[steps])
        scenario.last = steps;
    return scenario.fails[steps];
}

static struct shortest find(unsigned steps, unsigned most)
{
    struct shortest s = {
        .fails = run, .ctx = &scenario, .most = most, .steps = steps};

    memset(scenario.ran, 0, sizeof(scenario.ran));
    scenario.last = steps;
    shortest_find(&s);
    ck_assert_uint_le(s.runs, most);
    ck_assert_uint_eq(s.steps, scenario.last);
    return s;
}

static void fail_from(unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++)
        scenario.fails[i] = 1;
}

/* Halving comes upon those from 200 on and never looks below 150. */
START_TEST(one_that_fails_below_others_that_do_not_is_found)
{
    struct shortest s;

    fail_from(7, 9);
    fail_from(200, STEPS);
    s = find(STEPS, 1000);
    ck_assert_uint_eq(s.steps, 7);
    ck_assert_int_eq(s.exact, 1);
}
END_TEST

/* All sets of lengths up to ten. */
START_TEST(whichever_fail_the_shortest_is_found)
{
    for (unsigned set = 0; set < 1u << 9; set++) {
        struct shortest s;
        unsigned least = 10;

        memset(scenario.fails, 0, sizeof(scenario.fails));
        scenario.fails[10] = 1;
        for (unsigned i = 9; i >= 1; i--)
            if ((set >> (i - 1) & 1) != 0) {
                scenario.fails[i] = 1;
                least = i;
            }
        s = find(10, 1000);
        ck_assert_uint_eq(s.steps, least);
        ck_assert_int_eq(s.exact, 1);
        ck_assert_uint_le(s.runs, 9);
    }
}
END_TEST

/* Where more steps fail too it is one run for each that is shorter, and the
 * halving. */
START_TEST(no_more_is_run_than_it_takes)
{
    for (unsigned first = 1; first <= STEPS; first++) {
        struct shortest s;

        memset(scenario.fails, 0, sizeof(scenario.fails));
        fail_from(first, STEPS);
        s = find(STEPS, 1000);
        ck_assert_uint_eq(s.steps, first);
        ck_assert_uint_le(s.runs, first + 9);
    }
}
END_TEST

/* What it has found by then is told, and that it may not be the shortest. */
START_TEST(it_ends_after_so_many_runs)
{
    struct shortest s;

    fail_from(40, 40);
    fail_from(200, STEPS);
    for (unsigned most = 0; most < 300; most++) {
        s = find(STEPS, most);
        ck_assert_int_eq(s.exact, s.steps == 40);
        ck_assert(s.exact || s.runs == most);
    }
    ck_assert_int_eq(s.exact, 1);
}
END_TEST

START_TEST(one_step_is_the_shortest)
{
    struct shortest s = find(1, 1000);

    ck_assert_uint_eq(s.steps, 1);
    ck_assert_uint_eq(s.runs, 0);
    ck_assert_int_eq(s.exact, 1);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("shortest");

    tcase_add_test(tc, one_that_fails_below_others_that_do_not_is_found);
    tcase_add_test(tc, whichever_fail_the_shortest_is_found);
    tcase_add_test(tc, no_more_is_run_than_it_takes);
    tcase_add_test(tc, it_ends_after_so_many_runs);
    tcase_add_test(tc, one_step_is_the_shortest);
    return test_run();
}
