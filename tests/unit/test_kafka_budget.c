/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A budget of memory, and who waits for it.
 */
#include <string.h>

#include "kafka/budget.h"
#include "support/test.h"

static struct budget budget;
static struct budget_wait a, b, c;
static char called[8]; /* Who was called again, in order. */

static void retry(struct budget_wait *wait)
{
    called[strlen(called)] = wait == &a ? 'a' : wait == &b ? 'b' : 'c';
    budget_take_or_wait(&budget, 40, wait);
}

static void setup(void)
{
    budget_init(&budget, 100);
    memset(called, 0, sizeof(called));
    list_init(&a.link);
    list_init(&b.link);
    list_init(&c.link);
    a.retry = b.retry = c.retry = retry;
}

START_TEST(no_more_is_taken_than_there_is)
{
    ck_assert(budget_take(&budget, 60));
    ck_assert(!budget_take(&budget, 41));
    ck_assert(budget_take(&budget, 40));
    ck_assert(!budget_take(&budget, 1));
    budget_give(&budget, 100);
    ck_assert(budget_take(&budget, 100));
}
END_TEST

START_TEST(one_may_overdraw_and_the_others_wait)
{
    ck_assert(budget_take(&budget, 100));
    ck_assert(budget_take_or_wait(&budget, 40, &a));
    ck_assert(!budget_take_or_wait(&budget, 40, &b));
    ck_assert(budget_take_or_wait(&budget, 40, &a));
    ck_assert_uint_eq(budget.used, 180);
    budget_wake(&budget);
    ck_assert_str_eq(called, "");
    /* `a` has what it needs, and leaves: now `b` may. */
    budget_leave(&budget, &a);
    budget_wake(&budget);
    ck_assert_str_eq(called, "b");
    ck_assert_uint_eq(budget.used, 220);
}
END_TEST

START_TEST(who_waits_is_served_in_order)
{
    ck_assert(budget_take(&budget, 100));
    ck_assert(budget_take_or_wait(&budget, 1, &a));
    ck_assert(!budget_take_or_wait(&budget, 40, &b));
    ck_assert(!budget_take_or_wait(&budget, 40, &c));
    budget_give(&budget, 100);
    budget_wake(&budget);
    ck_assert_str_eq(called, "bc");
    ck_assert_uint_eq(budget.used, 81);
    ck_assert(list_empty(&budget.waiting));
}
END_TEST

START_TEST(who_leaves_is_not_called)
{
    ck_assert(budget_take(&budget, 100));
    ck_assert(budget_take_or_wait(&budget, 1, &a));
    ck_assert(!budget_take_or_wait(&budget, 40, &b));
    budget_leave(&budget, &b);
    budget_give(&budget, 101);
    budget_wake(&budget);
    ck_assert_str_eq(called, "");
}
END_TEST

START_TEST(who_gets_nothing_waits_on)
{
    ck_assert(budget_take(&budget, 100));
    ck_assert(budget_take_or_wait(&budget, 1, &a));
    ck_assert(!budget_take_or_wait(&budget, 40, &b));
    ck_assert(!budget_take_or_wait(&budget, 40, &c));
    budget_give(&budget, 41);
    budget_wake(&budget);
    ck_assert_str_eq(called, "bc");
    ck_assert(list_empty(&b.link));
    ck_assert(!list_empty(&c.link));
}
END_TEST

int main(void)
{
    TCase *tc = test_case("kafka budget");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, no_more_is_taken_than_there_is);
    tcase_add_test(tc, one_may_overdraw_and_the_others_wait);
    tcase_add_test(tc, who_waits_is_served_in_order);
    tcase_add_test(tc, who_leaves_is_not_called);
    tcase_add_test(tc, who_gets_nothing_waits_on);
    return test_run();
}
