/* SPDX-License-Identifier: Apache-2.0 */
/* Which server tries to take over a dead node, and when. */
#include "support/test.h"

#include "kafka/turn.h"

#define LONG 1000u

/* The tick after `from` in which a server of this rank tries for a node that is
 * dead all the time. */
static uint64_t next_try(struct turn *turn, uint64_t epoch, size_t rank,
                         uint64_t from)
{
    for (uint64_t now = from + 1; now < from + LONG; now++) {
        turn_dead(turn, epoch, now, now);
        if (turn_due(turn, rank, now)) {
            turn_tried(turn, now);
            return now;
        }
    }
    ck_abort_msg("never");
    return 0;
}

START_TEST(the_first_tries_at_once_and_the_others_one_after_another)
{
    uint64_t last = 0;

    for (size_t rank = 0; rank < 256; rank++) {
        struct turn turn = {0};
        uint64_t at = next_try(&turn, 1, rank, 100);

        if (rank == 0)
            ck_assert_uint_eq(at, 101);
        else if (rank <= TURN_SERVERS)
            ck_assert_uint_eq(at, last + TURN_TICKS);
        else
            ck_assert_uint_eq(at, last + 1);
        last = at;
    }
}
END_TEST

START_TEST(who_fails_waits_longer_each_time_up_to_a_bound)
{
    struct turn turn = {0};
    uint64_t at = next_try(&turn, 1, 0, 0), wait = 2;

    for (unsigned i = 0; i < 20; i++) {
        uint64_t next = next_try(&turn, 1, 0, at);

        ck_assert_uint_eq(next - at, wait);
        at = next;
        if (wait < TURN_MOST)
            wait *= 2;
    }
    ck_assert_uint_eq(wait, TURN_MOST);
}
END_TEST

/* Each try of the first one fails late, and leaves the node dead under the next
 * epoch. */
START_TEST(who_fails_late_lets_the_next_one_try)
{
    struct turn first = {0}, second = {0};
    uint64_t epoch = 1;

    for (uint64_t now = 1; now < LONG; now++) {
        turn_dead(&first, epoch, now, now);
        turn_dead(&second, epoch, now, now);
        if (turn_due(&second, 1, now))
            return;
        if (turn_due(&first, 0, now)) {
            turn_tried(&first, now);
            epoch++;
        }
    }
    ck_abort_msg("the second one never tries");
}
END_TEST

START_TEST(a_node_that_was_back_is_waited_for_anew)
{
    struct turn turn = {0};
    uint64_t at = next_try(&turn, 1, 3, 0);

    /* In the rounds between it was alive, under the same epoch. */
    at += LONG;
    ck_assert_uint_eq(next_try(&turn, 1, 3, at), at + 1 + 3 * TURN_TICKS);
    ck_assert_uint_eq(turn.tries, 1);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("kafka turn");

    tcase_add_test(tc,
                   the_first_tries_at_once_and_the_others_one_after_another);
    tcase_add_test(tc, who_fails_waits_longer_each_time_up_to_a_bound);
    tcase_add_test(tc, who_fails_late_lets_the_next_one_try);
    tcase_add_test(tc, a_node_that_was_back_is_waited_for_anew);
    return test_run();
}
