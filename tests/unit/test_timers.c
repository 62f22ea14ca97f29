/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timers.h"
#include "support/test.h"

#include <stdlib.h>

enum { COUNT = 200, STEPS = 40000 };

static struct weir__timers timers;
static struct weir_timer all[COUNT];

/* What must fire next, by looking at every timer. */
static struct weir_timer *model_first(void)
{
    struct weir_timer *first = NULL;
    int i;

    for (i = 0; i < COUNT; i++) {
        if (all[i].slot == 0)
            continue;
        if (first == NULL || all[i].deadline < first->deadline ||
            (all[i].deadline == first->deadline && all[i].order < first->order))
            first = &all[i];
    }
    return first;
}

START_TEST(the_first_is_always_the_earliest)
{
    int step;

    srand((unsigned)test_seed());
    for (step = 0; step < STEPS; step++) {
        struct weir_timer *timer = &all[rand() % COUNT];

        switch (rand() % 4) {
        case 0:
            weir__timers_stop(&timers, timer);
            ck_assert_uint_eq(timer->slot, 0);
            break;
        case 1:
            timer = model_first();
            ck_assert_ptr_eq(weir__timers_due(&timers, UINT64_MAX, UINT64_MAX),
                             timer);
            break;
        default:
            weir__timers_stop(&timers, timer);
            timer->deadline = (uint64_t)rand() % 1000;
            weir__timers_start(&timers, timer);
            break;
        }
        ck_assert_ptr_eq(timers.first, model_first());
    }
}
END_TEST

START_TEST(only_what_is_due_and_was_started_before_fires)
{
    struct weir_timer a = {.deadline = 10};
    struct weir_timer b = {.deadline = 20};

    weir__timers_start(&timers, &b);
    weir__timers_start(&timers, &a);
    ck_assert_ptr_null(weir__timers_due(&timers, 9, UINT64_MAX));
    ck_assert_ptr_null(weir__timers_due(&timers, 10, a.order - 1));
    ck_assert_ptr_eq(weir__timers_due(&timers, 10, a.order), &a);
    ck_assert_ptr_null(weir__timers_due(&timers, 19, UINT64_MAX));
    ck_assert_ptr_eq(weir__timers_due(&timers, 20, UINT64_MAX), &b);
    ck_assert_ptr_null(timers.first);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("timers");

    tcase_add_test(tc, the_first_is_always_the_earliest);
    tcase_add_test(tc, only_what_is_due_and_was_started_before_fires);
    return test_run();
}
