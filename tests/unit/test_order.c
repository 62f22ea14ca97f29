/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The ordered set, against a table of what is in it.
 */
#include "support/host.h"
#include "support/test.h"

#include "manifest/order.h"

#include <stdint.h>
#include <string.h>

enum { ITEMS = 3000 };

static struct test_alloc heap;
static struct weir__order order;
static uint64_t items[ITEMS]; /* Item i has the key i. */
static char in[ITEMS];

static int compare(const void *key, const void *item)
{
    uint64_t a = *(const uint64_t *)key;
    uint64_t b = *(const uint64_t *)item;

    return (a > b) - (a < b);
}

static void setup(void)
{
    test_alloc_init(&heap);
    memset(&order, 0, sizeof(order));
    memset(in, 0, sizeof(in));
    order.alloc = &heap.alloc;
    order.compare = compare;
    for (uint64_t i = 0; i < ITEMS; i++)
        items[i] = i;
}

static void teardown(void)
{
    weir__order_free(&order);
    test_alloc_check(&heap);
}

/* By walk, by key, and by what stands behind each key. */
static void check(void)
{
    struct weir__order_at at = {0, 0};
    uint64_t *after = weir__order_after(&order, NULL);
    size_t count = 0;

    for (uint64_t i = 0; i < ITEMS; i++) {
        ck_assert_ptr_eq(weir__order_get(&order, &i), in[i] ? &items[i] : NULL);
        if (!in[i])
            continue;
        ck_assert_ptr_eq(weir__order_next(&order, &at), &items[i]);
        ck_assert_ptr_eq(after, &items[i]);
        after = weir__order_after(&order, &i);
        count++;
    }
    ck_assert_ptr_null(weir__order_next(&order, &at));
    ck_assert_ptr_null(after);
    ck_assert_uint_eq(order.count, count);
}

static void put(uint64_t i)
{
    ck_assert_int_eq(weir__order_put(&order, &i, &items[i]), 0);
    in[i] = 1;
}

static void take(uint64_t i)
{
    ck_assert_ptr_eq(weir__order_remove(&order, &i), in[i] ? &items[i] : NULL);
    in[i] = 0;
}

START_TEST(things_are_found_in_order_however_they_came)
{
    for (uint64_t i = 0; i < ITEMS; i++)
        put(_i == 0 ? i : _i == 1 ? ITEMS - 1 - i : i * 1999 % ITEMS);
    check();
    for (uint64_t i = 0; i < ITEMS; i += 3)
        take(i * 1999 % ITEMS);
    check();
    for (uint64_t i = 0; i < ITEMS; i++)
        take(_i == 0 ? i : _i == 1 ? ITEMS - 1 - i : i * 1999 % ITEMS);
    check();
    ck_assert_uint_eq(order.chunk_count, 0);
    put(5);
    check();
}
END_TEST

START_TEST(ids_that_grow_leave_full_chunks)
{
    long bytes = heap.bytes;

    for (uint64_t i = 0; i < ITEMS; i++)
        put(i);
    ck_assert_int_lt((heap.bytes - bytes) / ITEMS, 10);
}
END_TEST

START_TEST(a_thing_that_is_there_is_not_put_again)
{
    uint64_t key = 5;

    put(5);
    ck_assert_int_eq(weir__order_put(&order, &key, &items[6]), WEIR_EBUG);
    check();
}
END_TEST

START_TEST(random_changes_with_memory_that_fails)
{
    uint64_t dice = test_seed();

    for (int n = 0; n < 30000; n++) {
        uint64_t i;

        dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
        /* Waves: it fills, and it empties. */
        i = (dice >> 33) % ITEMS;
        if ((dice >> 20) % 8 < (n / 5000 % 2 == 0 ? 6u : 1u)) {
            if (in[i])
                continue;
            if ((dice >> 25) % 4 == 0) {
                test_alloc_fail(&heap, 1 + (long)((dice >> 28) % 2), 0);
                in[i] = weir__order_put(&order, &i, &items[i]) == 0;
                heap.fail_at = 0;
            } else {
                put(i);
            }
        } else {
            take(i);
        }
        if (n % 500 == 0)
            check();
    }
    check();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("order");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, things_are_found_in_order_however_they_came, 0, 3);
    tcase_add_test(tc, ids_that_grow_leave_full_chunks);
    tcase_add_test(tc, a_thing_that_is_there_is_not_put_again);
    tcase_add_test(tc, random_changes_with_memory_that_fails);
    return test_run();
}
