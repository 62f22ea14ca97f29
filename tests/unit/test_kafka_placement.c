/* SPDX-License-Identifier: Apache-2.0 */
/* Where partitions go: even shares, and few that move. */
#include "support/test.h"

#include "kafka/placement.h"

enum { MOST = 16, PARTITIONS = 97 };

static void place(uint64_t seed, const int32_t *servers, size_t count,
                  int32_t *leaders, size_t partitions)
{
    size_t load[MOST];

    placement_make(seed, servers, count, leaders, partitions, load);
}

START_TEST(shares_differ_by_one_at_the_most)
{
    int32_t servers[MOST], leaders[PARTITIONS];

    for (size_t count = 1; count <= MOST; count++) {
        servers[count - 1] = (int32_t)count * 3;
        for (size_t partitions = 1; partitions <= PARTITIONS; partitions++) {
            place(partitions, servers, count, leaders, partitions);
            for (size_t s = 0; s < count; s++) {
                size_t has = 0;

                for (size_t p = 0; p < partitions; p++)
                    has += leaders[p] == servers[s];
                ck_assert_uint_ge(has, partitions / count);
                ck_assert_uint_le(has, (partitions + count - 1) / count);
            }
        }
    }
}
END_TEST

START_TEST(all_servers_come_to_the_same)
{
    static const int32_t servers[] = {1, 2, 7};
    int32_t a[PARTITIONS], b[PARTITIONS];

    place(42, servers, 3, a, PARTITIONS);
    place(42, servers, 3, b, PARTITIONS);
    ck_assert_mem_eq(a, b, sizeof(a));
    place(43, servers, 3, b, PARTITIONS);
    ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

/* Without a memory of where partitions were, a half more than need be. */
START_TEST(few_move_when_a_server_goes)
{
    static const int32_t all[] = {1, 2, 3, 4, 5, 6, 7, 8};
    int32_t before[PARTITIONS], after[PARTITIONS], left[7];
    size_t moved = 0, needed = 0;

    for (uint64_t seed = 0; seed < 50; seed++) {
        for (size_t i = 0, n = 0; i < 8; i++)
            if (i != seed % 8)
                left[n++] = all[i];
        place(seed, all, 8, before, PARTITIONS);
        place(seed, left, 7, after, PARTITIONS);
        for (size_t p = 0; p < PARTITIONS; p++) {
            moved += before[p] != after[p];
            needed += before[p] == all[seed % 8];
        }
    }
    ck_assert_uint_ge(moved, needed);
    ck_assert_uint_lt(moved, 2 * needed);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("kafka placement");

    tcase_add_test(tc, shares_differ_by_one_at_the_most);
    tcase_add_test(tc, all_servers_come_to_the_same);
    tcase_add_test(tc, few_move_when_a_server_goes);
    return test_run();
}
