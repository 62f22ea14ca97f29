/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "support/host.h"
#include "support/test.h"

#include <stdlib.h>
#include <weir/error.h>

enum { KEYS = 300, STEPS = 60000 };

static struct test_alloc alloc;
static struct weir__map map;
static int values[KEYS];

static void setup(void)
{
    test_alloc_init(&alloc);
    map = (struct weir__map){.alloc = &alloc.alloc};
}

static void teardown(void)
{
    weir__map_free(&map);
    test_alloc_check(&alloc);
}

/* Keys that differ in few bits and in high ones. */
static uint64_t key_of(int i)
{
    return (uint64_t)i * (i % 2 != 0 ? 1u : (uint64_t)1 << 40);
}

static void check_against(const int *model, size_t count)
{
    size_t at = 0;
    size_t seen = 0;
    int *value;

    ck_assert_uint_eq(map.count, count);
    while ((value = weir__map_next(&map, &at)) != NULL) {
        ck_assert_int_eq(model[value - values], 1);
        seen++;
    }
    ck_assert_uint_eq(seen, count);
}

START_TEST(numbers_behave_like_a_table)
{
    int model[KEYS] = {0};
    size_t count = 0;
    int step;

    srand((unsigned)test_seed());
    for (step = 0; step < STEPS; step++) {
        int i = rand() % KEYS;
        void *expected = model[i] ? &values[i] : NULL;

        ck_assert_ptr_eq(weir__map_get(&map, key_of(i)), expected);
        /* Phases that fill and phases that drain. */
        if (rand() % 100 < (step / 5000 % 2 != 0 ? 20 : 80)) {
            ck_assert_int_eq(weir__map_put(&map, key_of(i), &values[i]), 0);
            count += (size_t)!model[i];
            model[i] = 1;
        } else {
            ck_assert_ptr_eq(weir__map_remove(&map, key_of(i)), expected);
            count -= (size_t)model[i];
            model[i] = 0;
        }
        if (step % 1000 == 0)
            check_against(model, count);
    }
    check_against(model, count);
}
END_TEST

START_TEST(putting_again_replaces_the_value)
{
    ck_assert_int_eq(weir__map_put(&map, 7, &values[0]), 0);
    ck_assert_int_eq(weir__map_put(&map, 7, &values[1]), 0);
    ck_assert_ptr_eq(weir__map_get(&map, 7), &values[1]);
    ck_assert_uint_eq(map.count, 1);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
    int i;
    int rc = 0;

    test_alloc_fail(&alloc, 3, 1);
    for (i = 0; rc == 0; i++)
        rc = weir__map_put(&map, (uint64_t)i, &values[i]);
    ck_assert_int_eq(rc, WEIR_ENOMEM);
    ck_assert_int_gt(i, 1);
    ck_assert_ptr_null(weir__map_get(&map, (uint64_t)i - 1));
    while (--i > 0)
        ck_assert_ptr_eq(weir__map_remove(&map, (uint64_t)i - 1),
                         &values[i - 1]);
    ck_assert_uint_eq(map.count, 0);
}
END_TEST

START_TEST(the_order_depends_only_on_what_was_done)
{
    struct weir__map twin = {.alloc = &alloc.alloc};
    size_t at = 0;
    size_t twin_at = 0;
    int i;

    for (i = 0; i < KEYS; i++) {
        ck_assert_int_eq(weir__map_put(&map, key_of(i), &values[i]), 0);
        ck_assert_int_eq(weir__map_put(&twin, key_of(i), &values[i]), 0);
    }
    for (i = 0; i < KEYS; i++)
        ck_assert_ptr_eq(weir__map_next(&map, &at),
                         weir__map_next(&twin, &twin_at));
    weir__map_free(&twin);
}
END_TEST

START_TEST(an_empty_map_has_nothing)
{
    size_t at = 0;

    ck_assert_ptr_null(weir__map_get(&map, 0));
    ck_assert_ptr_null(weir__map_remove(&map, 0));
    ck_assert_ptr_null(weir__map_next(&map, &at));
}
END_TEST

int main(void)
{
    TCase *tc = test_case("map");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, numbers_behave_like_a_table);
    tcase_add_test(tc, putting_again_replaces_the_value);
    tcase_add_test(tc, without_memory_nothing_changes);
    tcase_add_test(tc, the_order_depends_only_on_what_was_done);
    tcase_add_test(tc, an_empty_map_has_nothing);
    return test_run();
}
