/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Streams that change hands while a part of them is in a WAL: what the
 * manifest's state makes of it.
 */
#include "support/host.h"
#include "support/manifest_rig.h"
#include "support/test.h"

#include "manifest/state_inside.h"

#include <string.h>

static struct test_alloc heap;
static struct weir__state *state;
static uint64_t epochs[4]; /* Of nodes 1 to 3. */

static int commit(uint32_t node, struct weir__op *op)
{
    return op_apply(state, node, epochs[node], op);
}

static void join(uint32_t node, uint64_t wal_id)
{
    struct weir__op op = op_node_open(node);

    op.u.node_open.wal_id = wal_id;
    ck_assert_int_eq(commit(node, &op), 0);
    epochs[node] = op.u.node_open.epoch;
}

static int open_stream(uint32_t node, uint64_t id)
{
    struct weir__op op = op_open(id);

    return commit(node, &op);
}

static int hand(uint32_t node, uint64_t epoch, uint64_t end, uint32_t to)
{
    struct weir__hand h = {.stream_id = 1, .stream_epoch = epoch, .end = end};
    struct weir__op op = {.kind = WEIR__OP_STREAM_HAND};

    op.u.stream_hand.node_id = to;
    op.u.stream_hand.hands = &h;
    op.u.stream_hand.count = 1;
    ck_assert_int_eq(commit(node, &op), 0);
    return h.status;
}

static int add(uint32_t node, uint64_t epoch, uint64_t base, uint64_t end)
{
    struct weir__range range = {
        .stream_id = 1, .stream_epoch = epoch, .base = base, .end = end};
    struct weir__op reserve = op_reserve(1);
    struct weir__op op;

    ck_assert_int_eq(commit(node, &reserve), 0);
    op = op_add(reserve.u.object_reserve.first, &range, 1);
    ck_assert_int_eq(commit(node, &op), 0);
    return range.status;
}

static int clean(uint32_t node)
{
    struct weir__op op = {.kind = WEIR__OP_NODE_CLEAN};

    return commit(node, &op);
}

static const struct weir__mstream *stream(void)
{
    return weir__state_stream(state, 1);
}

/* Node 1 has stream 1, with offsets up to 10 in an object. */
static void setup(void)
{
    struct weir__op op = op_create("s");

    test_alloc_init(&heap);
    ck_assert_int_eq(weir__state_new(&state, &heap.alloc), 0);
    join(1, 11);
    join(2, 12);
    join(3, 13);
    ck_assert_int_eq(commit(1, &op), 0);
    ck_assert_int_eq(open_stream(1, 1), 0);
    ck_assert_int_eq(add(1, 1, 0, 10), 0);
}

static void teardown(void)
{
    weir__state_free(state);
    test_alloc_check(&heap);
}

START_TEST(the_next_owner_goes_on_behind_what_is_owed)
{
    ck_assert_int_eq(open_stream(2, 1), WEIR_EBUSY);
    ck_assert_int_eq(hand(1, 1, 25, 0), 0);
    ck_assert_int_eq(open_stream(2, 1), 0);
    ck_assert_uint_eq(stream()->owner, 2);
    ck_assert_uint_eq(stream()->epoch, 3);
    ck_assert_uint_eq(stream()->committed_end, 10);
    ck_assert_uint_eq(weir__mstream_next(stream()), 25);
    /* Its own batches wait for those before them. */
    ck_assert_int_eq(add(2, 3, 25, 30), WEIR_EAGAIN);
    ck_assert_int_eq(add(1, 1, 10, 20), 0);
    ck_assert_int_eq(add(2, 3, 25, 30), WEIR_EAGAIN);
    ck_assert_int_eq(add(1, 1, 20, 26), WEIR_EINVAL);
    ck_assert_int_eq(add(1, 1, 20, 25), 0);
    ck_assert_int_eq(add(1, 1, 25, 26), WEIR_EFENCED);
    ck_assert_int_eq(add(2, 3, 25, 30), 0);
    ck_assert_uint_eq(stream()->debt_count, 0);
}
END_TEST

START_TEST(who_is_not_the_owner_hands_nothing_over)
{
    ck_assert_int_eq(hand(2, 1, 25, 2), WEIR_EFENCED);
    ck_assert_int_eq(hand(1, 2, 25, 2), WEIR_EFENCED);
    ck_assert_int_eq(hand(1, 1, 25, 2), 0);
    ck_assert_int_eq(hand(1, 1, 25, 3), WEIR_EFENCED);
    /* It is node 2's: that one opens it, or gives it on. */
    ck_assert_int_eq(open_stream(3, 1), WEIR_EBUSY);
    ck_assert_int_eq(hand(2, 2, 25, 3), 0);
    ck_assert_int_eq(open_stream(3, 1), 0);
    ck_assert_uint_eq(stream()->debt_count, 1);
}
END_TEST

START_TEST(a_node_that_owes_is_not_clean)
{
    ck_assert_int_eq(hand(1, 1, 25, 0), 0);
    ck_assert_int_eq(clean(1), WEIR_EBUSY);
    ck_assert_uint_eq(weir__state_node_wal(state, 1), 11);
    ck_assert_int_eq(add(1, 1, 10, 25), 0);
    ck_assert_int_eq(clean(1), 0);
    ck_assert_uint_eq(weir__state_node_wal(state, 1), 0);
}
END_TEST

START_TEST(a_node_that_opens_again_still_owes_and_pays)
{
    ck_assert_int_eq(hand(1, 1, 25, 2), 0);
    join(1, 11);
    ck_assert_int_eq(clean(1), WEIR_EBUSY);
    ck_assert_int_eq(add(1, 1, 10, 25), 0);
    ck_assert_int_eq(clean(1), 0);
}
END_TEST

/* The offsets are gone, and nobody gets them again. */
START_TEST(what_a_lost_log_owed_is_a_gap)
{
    ck_assert_int_eq(hand(1, 1, 25, 0), 0);
    ck_assert_int_eq(open_stream(2, 1), 0);
    join(1, 99);
    ck_assert_uint_eq(stream()->debt_count, 0);
    ck_assert_uint_eq(stream()->committed_end, 25);
    ck_assert_int_eq(add(2, 3, 25, 30), 0);
    ck_assert_int_eq(clean(1), 0);
}
END_TEST

/* A log in memory is lost with its node, whatever log comes next. */
START_TEST(what_a_log_in_memory_owed_is_a_gap)
{
    join(1, 0);
    ck_assert_int_eq(open_stream(1, 1), 0);
    ck_assert_int_eq(hand(1, 2, 25, 2), 0);
    ck_assert_int_eq(open_stream(2, 1), 0);
    ck_assert_int_eq(add(2, 4, 25, 30), WEIR_EAGAIN);
    join(1, _i == 0 ? 0 : 14);
    ck_assert_uint_eq(stream()->debt_count, 0);
    ck_assert_int_eq(add(2, 4, 25, 30), 0);
}
END_TEST

START_TEST(a_debt_that_is_trimmed_need_not_be_paid)
{
    struct weir__op op;

    ck_assert_int_eq(hand(1, 1, 25, 0), 0);
    ck_assert_int_eq(open_stream(2, 1), 0);
    op = op_trim(1, 3, 25);
    ck_assert_int_eq(commit(2, &op), 0);
    ck_assert_uint_eq(stream()->debt_count, 0);
    ck_assert_int_eq(clean(1), 0);
    ck_assert_int_eq(add(2, 3, 25, 30), 0);
}
END_TEST

START_TEST(a_deleted_stream_owes_nothing)
{
    struct weir__op op = op_delete(1);

    ck_assert_int_eq(hand(1, 1, 25, 0), 0);
    ck_assert_int_eq(commit(2, &op), 0);
    ck_assert_int_eq(clean(1), 0);
}
END_TEST

/* It goes from node to node faster than they upload. */
START_TEST(debts_are_paid_in_the_order_of_their_offsets)
{
    ck_assert_int_eq(hand(1, 1, 20, 2), 0);
    ck_assert_int_eq(open_stream(2, 1), 0);
    ck_assert_int_eq(hand(2, 3, 30, 1), 0);
    ck_assert_int_eq(open_stream(1, 1), 0);
    ck_assert_uint_eq(stream()->epoch, 5);
    ck_assert_int_eq(add(1, 5, 30, 40), WEIR_EAGAIN);
    ck_assert_int_eq(add(2, 3, 20, 30), WEIR_EAGAIN);
    ck_assert_int_eq(add(1, 1, 10, 20), 0);
    ck_assert_int_eq(add(1, 5, 30, 40), WEIR_EAGAIN);
    ck_assert_int_eq(add(2, 3, 20, 30), 0);
    ck_assert_int_eq(add(1, 5, 30, 40), 0);
}
END_TEST

START_TEST(debts_have_a_limit)
{
    for (uint64_t i = 0; i < WEIR__DEBTS_MAX; i++)
        ck_assert_int_eq(hand(1, 1 + i, 11 + i, 1), 0);
    ck_assert_int_eq(hand(1, 1 + WEIR__DEBTS_MAX, 1000, 1), WEIR_ETOOBIG);
    ck_assert_int_eq(hand(1, 1 + WEIR__DEBTS_MAX, 10 + WEIR__DEBTS_MAX, 2), 0);
}
END_TEST

static int holds(uint32_t node, uint64_t epoch, uint64_t base, uint64_t end)
{
    return weir__mstream_holds(stream(), node, epoch, base, end);
}

/* Node 1 has up to 20, and a write that failed but is in its log; node 2 has
 * up to 30, the same; then it is node 1's again. */
START_TEST(what_was_given_away_is_no_part_of_what_comes_back)
{
    ck_assert_int_eq(hand(1, 1, 20, 2), 0);
    ck_assert_int_eq(open_stream(2, 1), 0);
    ck_assert_int_eq(hand(2, 3, 30, 1), 0);
    ck_assert_int_eq(open_stream(1, 1), 0);
    ck_assert(holds(1, 1, 15, 20));
    ck_assert(!holds(1, 1, 20, 25));
    ck_assert(!holds(1, 1, 30, 35));
    ck_assert(holds(2, 3, 20, 30));
    ck_assert(!holds(2, 3, 30, 35));
    ck_assert(!holds(1, 5, 20, 25));
    ck_assert(holds(1, 5, 30, 35));
    ck_assert(!holds(1, 6, 30, 35)); /* Not as far as is known. */
    /* The same without debts. */
    ck_assert_int_eq(add(1, 1, 10, 20), 0);
    ck_assert_int_eq(add(2, 3, 20, 30), 0);
    ck_assert(!holds(1, 1, 28, 31));
    ck_assert(!holds(1, 1, 30, 35));
    ck_assert(holds(1, 4, 30, 35));
    ck_assert(holds(1, 5, 35, 40));
    ck_assert_int_eq(open_stream(1, 1), 0); /* As after a restart. */
    ck_assert(holds(1, 5, 30, 35));
    ck_assert(holds(1, 6, 35, 40));
    /* And when node 1 owes again. */
    ck_assert_int_eq(hand(1, 6, 40, 3), 0);
    ck_assert(!holds(1, 1, 30, 35));
    ck_assert(holds(1, 5, 30, 35));
    ck_assert(!holds(1, 6, 40, 45));
    ck_assert(!holds(3, 6, 40, 45));
}
END_TEST

/* Whether it is opened with the log that was given up or with a third one: of
 * what either has nothing comes back, nor of the second what is in objects. */
START_TEST(a_log_that_was_given_up_holds_nothing)
{
    ck_assert(holds(1, 1, 15, 25));
    join(1, 99);
    ck_assert(!holds(1, 1, 15, 25));
    ck_assert_int_eq(open_stream(1, 1), 0);
    ck_assert(!holds(1, 1, 15, 25));
    ck_assert(holds(1, 2, 10, 15));
    join(1, 99); /* As after a crash. */
    ck_assert(holds(1, 2, 10, 15));
    ck_assert_int_eq(add(1, 2, 10, 15), 0);
    ck_assert_int_eq(clean(1), 0);
    join(1, _i == 0 ? 11 : 12);
    ck_assert(!holds(1, 1, 15, 25));
    ck_assert(!holds(1, 2, 15, 25));
    ck_assert_int_eq(open_stream(1, 1), 0);
    ck_assert(holds(1, 3, 15, 25));
}
END_TEST

/* Not opened since: the next epoch is the first one, also in a snapshot, and
 * whoever gets the stream begins behind. */
START_TEST(a_stream_is_given_away_by_who_has_another_log)
{
    struct weir__writer w;
    uint64_t version;

    join(1, 99);
    ck_assert_uint_eq(stream()->since, 2);
    weir__writer_init(&w, &heap.alloc);
    ck_assert_int_eq(weir__state_encode(state, &w), 0);
    version = weir__state_version(state);
    weir__state_free(state);
    ck_assert_int_eq(
        weir__state_decode(&state, &heap.alloc, w.data, w.len, version, NULL),
        0);
    weir__writer_free(&w);
    ck_assert_uint_eq(stream()->since, 2);
    ck_assert_int_eq(hand(1, 1, 25, 2), 0);
    ck_assert_uint_eq(stream()->debts[0].since, 1);
    ck_assert_uint_eq(stream()->since, 2);
}
END_TEST

static size_t cut_out(struct weir__writer *w, size_t at)
{
    w->len -= 8;
    memmove(w->data + at, w->data + at + 8, w->len - at);
    return at;
}

/* The state as version 1 of the snapshot has it: without first epochs. */
static void write_version_1(struct weir__writer *w)
{
    unsigned char head[22] = {[20] = 's'}; /* How the stream's entry ends. */
    size_t at = WEIR__SNAPSHOT_HEADER;

    ck_assert_int_eq(weir__state_encode(state, w), 0);
    weir__put16(head, 1);
    weir__put16(head + 2, stream()->debt_count);
    weir__put64(head + 4, stream()->extent_count);
    weir__put64(head + 12, stream()->since);
    while (memcmp(w->data + at, head, sizeof(head)) != 0)
        at++;
    at = cut_out(w, at + 12) + 2 + 40 * stream()->extent_count;
    for (uint16_t i = 0; i < stream()->debt_count; i++)
        at = cut_out(w, at + 24);
    weir__put16(w->data + 4, 1);
    weir__manifest_seal(w->data, w->len);
}

/* An epoch that owes is over: the next owner's are behind it. */
START_TEST(what_version_1_does_not_tell_follows_from_what_is_owed)
{
    uint64_t version = weir__state_version(state) + 3;
    struct weir__writer w;

    weir__writer_init(&w, &heap.alloc);
    ck_assert_int_eq(hand(1, 1, 20, 2), 0);
    ck_assert_int_eq(open_stream(2, 1), 0);
    ck_assert_int_eq(hand(2, 3, 30, 1), 0);
    write_version_1(&w);
    weir__state_free(state);
    ck_assert_int_eq(
        weir__state_decode(&state, &heap.alloc, w.data, w.len, version, NULL),
        0);
    weir__writer_free(&w);
    ck_assert_uint_eq(stream()->debt_count, 2);
    ck_assert_uint_eq(stream()->debts[0].since, 0);
    ck_assert_uint_eq(stream()->debts[1].since, 2);
    ck_assert_uint_eq(stream()->since, 4);
    ck_assert(holds(1, 1, 15, 20));
    ck_assert(!holds(1, 1, 30, 35));
}
END_TEST

int main(void)
{
    TCase *tc = test_case("state hand-over");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_next_owner_goes_on_behind_what_is_owed);
    tcase_add_test(tc, who_is_not_the_owner_hands_nothing_over);
    tcase_add_test(tc, a_node_that_owes_is_not_clean);
    tcase_add_test(tc, a_node_that_opens_again_still_owes_and_pays);
    tcase_add_test(tc, what_a_lost_log_owed_is_a_gap);
    tcase_add_loop_test(tc, a_log_that_was_given_up_holds_nothing, 0, 2);
    tcase_add_test(tc, a_stream_is_given_away_by_who_has_another_log);
    tcase_add_loop_test(tc, what_a_log_in_memory_owed_is_a_gap, 0, 2);
    tcase_add_test(tc, a_debt_that_is_trimmed_need_not_be_paid);
    tcase_add_test(tc, a_deleted_stream_owes_nothing);
    tcase_add_test(tc, debts_are_paid_in_the_order_of_their_offsets);
    tcase_add_test(tc, debts_have_a_limit);
    tcase_add_test(tc, what_was_given_away_is_no_part_of_what_comes_back);
    tcase_add_test(tc, what_version_1_does_not_tell_follows_from_what_is_owed);
    return test_run();
}
