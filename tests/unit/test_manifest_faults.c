/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A node's manifest when answers are lost, the store refuses, memory runs out
 * or the node closes meanwhile: no commit is lost, or done twice.
 */
#include "support/manifest_rig.h"
#include "support/test.h"

#include <string.h>

static struct manifest_rig rig;

static void setup(void)
{
    rig_init(&rig);
}

static void teardown(void)
{
    rig_close(&rig);
}

/* ---- Answers that are lost --------------------------------------------- */

/* Work of two nodes, by turns and at the same time: each commit succeeds and
 * counts once, whatever happens on the way. */
static void work(void)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_node *b = rig_join(&rig, 1);
    struct weir__op ops[4] = {op_create("s"), op_open(1), op_reserve(2),
                              op_put("k", "1", WEIR_KV_ABSENT)};
    struct weir__range range = {1, 1, 0, 10, 100, 5, 0};
    struct weir__op add = op_add(1, &range, 1);
    struct rig_commit first;
    struct rig_commit second;
    struct weir__op puts[2] = {op_put("a", "1", WEIR_KV_ABSENT),
                               op_put("b", "1", WEIR_KV_ABSENT)};

    ck_assert_int_eq(rig_commit(a, ops, 4), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(ops[i].status, 0);
    ck_assert_int_eq(rig_commit(a, &add, 1), 0);
    ck_assert_int_eq(add.status, 0);
    ck_assert_int_eq(range.status, 0);
    rig_start(a, &first, &puts[0], 1);
    rig_start(b, &second, &puts[1], 1);
    rig_run(&rig, &first.done);
    rig_run(&rig, &second.done);
    ck_assert_int_eq(first.status, 0);
    ck_assert_int_eq(second.status, 0);
    ck_assert_int_eq(puts[0].status, 0);
    ck_assert_int_eq(puts[1].status, 0);
}

/* What must be there after the work, on both nodes and on one that opens
 * now; the versions of the keys count the puts that were applied. */
static void check_work(void)
{
    const struct weir__state *state;
    const struct weir__mstream *stream;

    /* Let what was late land, and see that it is without effect. */
    virtual_env_sleep(&rig.env, UINT64_C(60) * 1000000000);
    ck_assert_int_eq(rig_refresh(&rig.nodes[0]), 0);
    ck_assert_int_eq(rig_refresh(&rig.nodes[1]), 0);
    rig_same(&rig.nodes[0], &rig.nodes[1]);
    ck_assert_int_eq(rig_open(&rig, 3), 0);
    rig_same(&rig.nodes[0], &rig.nodes[3]);
    state = weir__manifest_state(rig.nodes[3].manifest);
    ck_assert_uint_eq(weir__state_stream_count(state), 1);
    stream = weir__state_stream_named(state, "s");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(stream->epoch, 1);
    ck_assert_uint_eq(stream->committed_end, 10);
    ck_assert_uint_eq(stream->extent_count, 1);
    ck_assert_ptr_nonnull(weir__state_kv(state, "k"));
    ck_assert_uint_eq(weir__state_kv(state, "a")->version +
                          weir__state_kv(state, "b")->version,
                      2 + 3);
    ck_assert_uint_eq(weir__state_node_epoch(state, 1), 1);
    ck_assert_uint_eq(weir__state_node_epoch(state, 2), 1);
    ck_assert_uint_eq(weir__state_version(state), 7);
}

static const enum fault passing[] = {
    FAULT_BEFORE,        FAULT_UNKNOWN_BEFORE, FAULT_UNKNOWN_AFTER,
    FAULT_UNKNOWN_LATER, FAULT_DAMAGED,
};

/* Each kind of fault, at each request of the first node, once and three
 * times in a row. */
START_TEST(no_lost_answer_loses_or_repeats_a_commit)
{
    enum fault fault = passing[_i / 2];
    long times = _i % 2 == 0 || fault == FAULT_DAMAGED ? 1 : 3;
    long n = 1;
    long hits;

    do {
        rig_init(&rig);
        rig.snapshot_commits = 3;
        fault_store_delay(rig.nodes[0].store, 40000000);
        fault_store_set(rig.nodes[0].store, fault, n, times);
        work();
        hits = fault_store_hits(rig.nodes[0].store);
        check_work();
        rig_close(&rig);
        n++;
    } while (hits > 0);
    ck_assert_int_gt(n, 8);
}
END_TEST

/* The late PUT lands when another commit has taken the version, or long
 * after. */
START_TEST(a_late_write_loses_to_what_came_between)
{
    static const uint64_t delays[] = {1, 49000000, 51000000, 120000000,
                                      UINT64_C(30000000000)};

    for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
        for (long n = 1; n < 12; n++) {
            rig_init(&rig);
            fault_store_delay(rig.nodes[1].store, delays[i]);
            fault_store_set(rig.nodes[1].store, FAULT_UNKNOWN_LATER, n, 2);
            work();
            check_work();
            rig_close(&rig);
        }
    }
}
END_TEST

static struct weir__op op_count(const char *value)
{
    return op_put("count", value, WEIR_KV_ANY);
}

/* An error that cannot pass ends the commit at once, and it is not there. */
START_TEST(a_refused_write_fails_at_once)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct weir__op op = op_count("1");
    uint64_t before = rig.env.now;

    fault_store_set(a->store, FAULT_REFUSED, 1, 1);
    ck_assert_int_eq(rig_commit(a, &op, 1), WEIR_EACCES);
    ck_assert_ptr_nonnull(strstr(a->err.text, "made to fail"));
    ck_assert_uint_eq(rig.env.now, before);
    ck_assert_int_eq(rig_refresh(a), 0);
    ck_assert_ptr_null(
        weir__state_kv(weir__manifest_state(a->manifest), "count"));
    ck_assert_int_eq(rig_commit(a, &op, 1), 0);
    ck_assert_uint_eq(op.u.kv_put.version, 1);
}
END_TEST

/* Unless an earlier try may have been done: then nobody knows. */
START_TEST(a_refused_read_back_leaves_the_outcome_unknown)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_commit commit;
    struct weir__op op = op_count("1");

    fault_store_set(a->store, FAULT_UNKNOWN_AFTER, 1, 1);
    rig_start(a, &commit, &op, 1);
    virtual_env_settle(&rig.env);
    fault_store_set(a->store, FAULT_REFUSED, 1, 1);
    rig_run(&rig, &commit.done);
    ck_assert_int_eq(commit.status, WEIR_EUNKNOWN);
    /* It was: and the node finds it in its log as if it were another's. */
    op = op_count("2");
    ck_assert_int_eq(rig_commit(a, &op, 1), 0);
    ck_assert_uint_eq(op.u.kv_put.version, 2);
}
END_TEST

START_TEST(a_refresh_that_is_refused_fails)
{
    struct rig_node *a = rig_join(&rig, 0);

    fault_store_set(a->store, FAULT_REFUSED, 1, 1);
    ck_assert_int_eq(rig_refresh(a), WEIR_EACCES);
    ck_assert_int_eq(rig_refresh(a), 0);
}
END_TEST

START_TEST(an_open_that_is_refused_fails_at_once)
{
    /* LIST, READ of commit 1, PUT. */
    static const long requests[] = {1, 2, 3};

    fault_store_set(rig.nodes[0].store, FAULT_REFUSED, requests[_i], 1);
    ck_assert_int_eq(rig_open(&rig, 0), WEIR_EACCES);
    ck_assert_ptr_nonnull(strstr(rig.nodes[0].err.text, "made to fail"));
    ck_assert_int_eq(rig_open(&rig, 0), 0);
}
END_TEST

START_TEST(an_open_does_not_wait_for_ever)
{
    fault_store_set(rig.nodes[0].store, FAULT_BEFORE, 1, 1000);
    ck_assert_int_eq(rig_open(&rig, 0), WEIR_EUNAVAILABLE);
    ck_assert_uint_lt(rig.env.now, UINT64_C(60) * 1000000000);
}
END_TEST

/* Reads work and writes do not: that must not look like progress. */
START_TEST(an_open_that_cannot_write_does_not_wait_for_ever)
{
    fault_store_puts_only(rig.nodes[0].store);
    fault_store_set(rig.nodes[0].store, FAULT_UNKNOWN_BEFORE, 1, 1000);
    ck_assert_int_eq(rig_open(&rig, 0), WEIR_EUNKNOWN);
    ck_assert_int_lt(fault_store_puts(rig.nodes[0].store), 20);
}
END_TEST

/* ---- Close -------------------------------------------------------------- */

struct closing {
    struct weir_task task;
    int done;
};

static void closing_done(struct weir_task *task)
{
    ((struct closing *)task)->done = 1;
}

static void start_close(struct rig_node *node, struct closing *closing)
{
    *closing = (struct closing){.task = {.run = closing_done}};
    weir__manifest_close(node->manifest, &closing->task);
    node->manifest = NULL;
}

START_TEST(close_waits_for_the_write_in_flight)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct weir__op ops[2] = {op_count("1"), op_count("2")};
    struct rig_commit commits[2];
    struct closing closing;

    fault_store_set(a->store, FAULT_HELD_AFTER, 1, 1);
    rig_start(a, &commits[0], &ops[0], 1);
    virtual_env_settle(&rig.env);
    rig_start(a, &commits[1], &ops[1], 1);
    start_close(a, &closing);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(closing.done, 0);
    ck_assert_int_eq(commits[0].done, 0);
    fault_store_release(a->store);
    rig_run(&rig, &closing.done);
    ck_assert_int_eq(commits[0].status, 0);
    ck_assert_uint_eq(ops[0].u.kv_put.version, 1);
    ck_assert_int_eq(commits[1].status, WEIR_ECLOSED);
    ck_assert_int_eq(commits[1].done, 1);
}
END_TEST

/* The write in flight turns out to be lost: it is not tried again. */
START_TEST(close_does_not_begin_anew)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct weir__op op = op_count("1");
    struct rig_commit commit;
    struct closing closing;
    long count;

    fault_store_set(a->store, _i == 0 ? FAULT_BEFORE : FAULT_REFUSED, 1, 1);
    rig_start(a, &commit, &op, 1);
    count = fault_store_count(a->store);
    while (fault_store_count(a->store) == count)
        ck_assert_int_eq(virtual_env_step(&rig.env), 1);
    start_close(a, &closing);
    rig_run(&rig, &closing.done);
    ck_assert_int_eq(commit.done, 1);
    ck_assert_int_eq(commit.status, WEIR_ECLOSED);
    ck_assert_int_eq(fault_store_count(a->store), count + 1);
}
END_TEST

/* A commit that never got out is certainly not there, and the caller is told
 * what kept it. */
START_TEST(close_ends_what_is_being_retried)
{
    struct rig_node *a = rig_join(&rig, 0);
    enum fault fault = _i == 0 ? FAULT_BEFORE : FAULT_UNKNOWN_BEFORE;
    struct weir__op op = op_count("1");
    struct rig_commit commit;
    struct closing closing;

    fault_store_set(a->store, fault, 1, 1000);
    rig_start(a, &commit, &op, 1);
    virtual_env_sleep(&rig.env, UINT64_C(20) * 1000000000);
    ck_assert_int_eq(commit.done, 0);
    ck_assert_int_gt(fault_store_count(a->store), 4);
    ck_assert_int_lt(fault_store_count(a->store), 40);
    start_close(a, &closing);
    rig_run(&rig, &closing.done);
    ck_assert_int_eq(commit.done, 1);
    ck_assert_int_eq(commit.status, _i == 0 ? WEIR_ECLOSED : WEIR_EUNKNOWN);
    ck_assert_int_eq(commit.err.code, commit.status);
    ck_assert_ptr_nonnull(strstr(commit.err.text, "made to fail"));
}
END_TEST

START_TEST(close_ends_a_refresh)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_refresh refresh;
    struct closing closing;

    fault_store_set(a->store, FAULT_BEFORE, 1, 1000);
    rig_refresh_start(a, &refresh);
    virtual_env_sleep(&rig.env, UINT64_C(1000000000));
    ck_assert_int_eq(refresh.done, 0);
    start_close(a, &closing);
    rig_run(&rig, &closing.done);
    ck_assert_int_eq(refresh.done, 1);
    ck_assert_int_eq(refresh.status, WEIR_ECLOSED);
}
END_TEST

/* ---- Memory -------------------------------------------------------------- */

/* Each allocation fails once: nothing is lost, repeated or leaked, and the
 * nodes agree. */
START_TEST(out_of_memory_once_changes_nothing)
{
    long n = 1;
    long calls;
    long before;

    do {
        rig_init(&rig);
        rig.snapshot_commits = 3;
        before = rig.env.alloc.calls;
        test_alloc_fail(&rig.env.alloc, n, 0);
        if (rig_open(&rig, 0) == 0)
            rig_leave(&rig, 0);
        work();
        calls = rig.env.alloc.calls - before;
        check_work();
        rig_close(&rig);
        n++;
    } while (n <= calls);
    ck_assert_int_gt(n, 100);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("manifest faults");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_refused_write_fails_at_once);
    tcase_add_test(tc, a_refused_read_back_leaves_the_outcome_unknown);
    tcase_add_test(tc, a_refresh_that_is_refused_fails);
    tcase_add_loop_test(tc, an_open_that_is_refused_fails_at_once, 0, 3);
    tcase_add_test(tc, an_open_does_not_wait_for_ever);
    tcase_add_test(tc, an_open_that_cannot_write_does_not_wait_for_ever);
    tcase_add_test(tc, close_waits_for_the_write_in_flight);
    tcase_add_loop_test(tc, close_does_not_begin_anew, 0, 2);
    tcase_add_loop_test(tc, close_ends_what_is_being_retried, 0, 2);
    tcase_add_test(tc, close_ends_a_refresh);

    tc = test_case("manifest faults, rigs of their own");
    tcase_add_loop_test(tc, no_lost_answer_loses_or_repeats_a_commit, 0, 10);
    tcase_add_test(tc, a_late_write_loses_to_what_came_between);
    tcase_add_test(tc, out_of_memory_once_changes_nothing);
    return test_run();
}
