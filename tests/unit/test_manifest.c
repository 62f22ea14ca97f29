/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A node's manifest: what several nodes on one store commit, and what each
 * sees of it.
 */
#include "support/manifest_rig.h"
#include "support/test.h"

#include "manifest/manifest_inside.h"

#include <stdio.h>
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

/* The first node names the cluster; the next finds the name. */
START_TEST(an_empty_store_becomes_a_cluster)
{
    const struct weir__state *a;
    const struct weir__state *b;

    ck_assert_int_eq(rig_open(&rig, 0), 0);
    ck_assert_int_eq(rig_open(&rig, 1), 0);
    a = weir__manifest_state(rig.nodes[0].manifest);
    b = weir__manifest_state(rig.nodes[1].manifest);
    ck_assert_ptr_nonnull(weir__state_cluster(a));
    ck_assert_mem_eq(weir__state_cluster(a), weir__state_cluster(b), 16);
    ck_assert_uint_eq(weir__state_version(b), 1);
}
END_TEST

/* Of two that name it at the same time, one is heard. */
START_TEST(a_cluster_gets_one_name)
{
    struct rig_opening late;
    enum fault fault = _i == 0 ? FAULT_HELD : FAULT_UNKNOWN_LATER;

    fault_store_puts_only(rig.nodes[0].store);
    fault_store_set(rig.nodes[0].store, fault, 1, 1);
    ck_assert_int_eq(rig_open_start(&rig, 0, &late), 0);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(late.done, 0);
    ck_assert_int_eq(fault_store_hits(rig.nodes[0].store), 1);
    ck_assert_int_eq(rig_open(&rig, 1), 0);
    fault_store_release(rig.nodes[0].store);
    ck_assert_int_eq(rig_open_finish(&rig, 0, &late), 0);
    rig_same(&rig.nodes[0], &rig.nodes[1]);
    ck_assert_int_eq(fault_store_puts(rig.nodes[0].store), 1);
    rig_join(&rig, 2);
    ck_assert_int_eq(rig_refresh(&rig.nodes[0]), 0);
    rig_same(&rig.nodes[0], &rig.nodes[2]);
}
END_TEST

START_TEST(a_read_only_node_makes_no_cluster)
{
    rig.read_only = 1;
    ck_assert_int_eq(rig_open(&rig, 0), WEIR_ENOENT);
    ck_assert_int_eq(fault_store_puts(rig.nodes[0].store), 0);
}
END_TEST

START_TEST(a_read_only_node_commits_nothing)
{
    struct weir__op op = op_create("a");

    rig_join(&rig, 0);
    rig.read_only = 1;
    ck_assert_int_eq(rig_open(&rig, 1), 0);
    ck_assert_int_eq(rig_commit(&rig.nodes[1], &op, 1), WEIR_EREADONLY);
    ck_assert_int_eq(fault_store_puts(rig.nodes[1].store), 0);
}
END_TEST

START_TEST(a_commit_is_seen_by_another_node_after_a_refresh)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_node *b = rig_join(&rig, 1);
    struct weir__op op = op_create("stream");

    ck_assert_int_eq(rig_commit(a, &op, 1), 0);
    ck_assert_int_eq(op.status, 0);
    ck_assert_uint_eq(op.u.stream_create.id, 1);
    ck_assert_ptr_null(
        weir__state_stream_named(weir__manifest_state(b->manifest), "stream"));
    ck_assert_int_eq(rig_refresh(b), 0);
    ck_assert_ptr_nonnull(
        weir__state_stream_named(weir__manifest_state(b->manifest), "stream"));
    rig_same(a, b);
}
END_TEST

/* A commit that is started in the same turn shares the record. */
START_TEST(commits_of_one_turn_share_one_write)
{
    struct rig_node *a = rig_join(&rig, 0);
    long puts = fault_store_puts(a->store);
    struct rig_commit commits[5];
    struct weir__op ops[5];
    char names[5][16];

    for (int i = 0; i < 5; i++) {
        snprintf(names[i], sizeof(names[i]), "s%d", i);
        ops[i] = op_create(names[i]);
        rig_start(a, &commits[i], &ops[i], 1);
    }
    for (int i = 0; i < 5; i++) {
        rig_run(&rig, &commits[i].done);
        ck_assert_int_eq(commits[i].status, 0);
        ck_assert_uint_eq(ops[i].u.stream_create.id, (uint64_t)i + 1);
    }
    ck_assert_int_eq(fault_store_puts(a->store), puts + 1);
}
END_TEST

/* What comes while a write is in flight goes out with the next. */
START_TEST(commits_that_wait_for_a_write_go_out_together)
{
    struct rig_node *a = rig_join(&rig, 0);
    long puts = fault_store_puts(a->store);
    struct rig_commit commits[3];
    struct weir__op ops[3] = {op_create("a"), op_create("b"), op_create("c")};

    fault_store_set(a->store, FAULT_HELD_AFTER, 1, 1);
    rig_start(a, &commits[0], &ops[0], 1);
    virtual_env_settle(&rig.env);
    rig_start(a, &commits[1], &ops[1], 1);
    virtual_env_settle(&rig.env);
    rig_start(a, &commits[2], &ops[2], 1);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(commits[0].done + commits[1].done + commits[2].done, 0);
    ck_assert_int_eq(fault_store_puts(a->store), puts + 1);
    fault_store_release(a->store);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(commits[0].done + commits[1].done + commits[2].done, 3);
    ck_assert_int_eq(fault_store_puts(a->store), puts + 2);
}
END_TEST

/* One that cannot be written fails alone, and one whose condition does not
 * hold has a status of its own. */
START_TEST(a_bad_commit_does_not_stop_its_group)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_commit commits[3];
    struct weir__op ops[3] = {op_create("a"), op_create(""), op_create("a")};

    for (int i = 0; i < 3; i++)
        rig_start(a, &commits[i], &ops[i], 1);
    for (int i = 0; i < 3; i++)
        rig_run(&rig, &commits[i].done);
    ck_assert_int_eq(commits[0].status, 0);
    ck_assert_int_eq(commits[1].status, WEIR_EINVAL);
    ck_assert_int_eq(commits[2].status, 0);
    ck_assert_int_eq(ops[0].status, 0);
    ck_assert_int_eq(ops[2].status, WEIR_EEXIST);
    ck_assert_uint_eq(ops[2].u.stream_create.id, ops[0].u.stream_create.id);
}
END_TEST

/* What it is about is said once. */
START_TEST(a_commit_that_is_refused_says_why)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct weir__op op = op_create("");

    ck_assert_int_eq(rig_commit(a, &op, 1), WEIR_EINVAL);
    ck_assert_str_eq(a->err.text, "commit: empty stream name");
    op = op_put("key", "", WEIR_KV_ANY);
    op.u.kv_put.len = WEIR_KV_VALUE_MAX + 1;
    ck_assert_int_eq(rig_commit(a, &op, 1), WEIR_ETOOBIG);
    ck_assert_str_eq(a->err.text,
                     "commit: value of 65537 bytes, at most 65536");
}
END_TEST

/* A record holds 16 MiB: the rest goes into the next. */
START_TEST(a_group_that_is_too_big_is_parted)
{
    enum { COUNT = 300 };
    static char value[WEIR_KV_VALUE_MAX];
    static struct rig_commit commits[COUNT];
    static struct weir__op ops[COUNT];
    struct rig_node *a = rig_join(&rig, 0);
    long puts = fault_store_puts(a->store);

    memset(value, 'v', sizeof(value));
    for (int i = 0; i < COUNT; i++) {
        ops[i] = op_put("key", "", WEIR_KV_ANY);
        ops[i].u.kv_put.value = value;
        ops[i].u.kv_put.len = sizeof(value);
        rig_start(a, &commits[i], &ops[i], 1);
    }
    for (int i = 0; i < COUNT; i++) {
        rig_run(&rig, &commits[i].done);
        ck_assert_int_eq(commits[i].status, 0);
        ck_assert_uint_eq(ops[i].u.kv_put.version, (uint64_t)i + 1);
    }
    ck_assert_int_eq(fault_store_puts(a->store), puts + 2);
    ck_assert_int_eq(rig_commit(a, ops, COUNT), WEIR_ETOOBIG);
    ck_assert_int_eq(rig_commit(a, ops, 1), 0);
}
END_TEST

/* Two nodes want the same version: one is first, the other sees what won. */
START_TEST(a_lost_race_is_applied_and_tried_again)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_node *b = rig_join(&rig, 1);
    struct weir__op mine = op_create("same");
    struct weir__op other = op_create("same");
    struct rig_commit first;
    struct rig_commit second;
    uint64_t commits;
    uint64_t conflicts_a;
    uint64_t conflicts_b;
    long applied = b->applied;

    ck_assert_int_eq(rig_refresh(a), 0);
    rig_start(a, &first, &mine, 1);
    rig_start(b, &second, &other, 1);
    rig_run(&rig, &first.done);
    rig_run(&rig, &second.done);
    ck_assert_int_eq(first.status, 0);
    ck_assert_int_eq(second.status, 0);
    ck_assert_int_eq(mine.status, 0);
    ck_assert_int_eq(other.status, WEIR_EEXIST);
    ck_assert_uint_eq(other.u.stream_create.id, mine.u.stream_create.id);
    ck_assert_int_eq(b->applied, applied + 2);
    weir__manifest_counts(a->manifest, &commits, &conflicts_a);
    weir__manifest_counts(b->manifest, &commits, &conflicts_b);
    ck_assert_uint_eq(conflicts_a, 0);
    ck_assert_uint_eq(conflicts_b, 1);
}
END_TEST

/* What comes while a race is being lost goes out with what has lost it. */
START_TEST(a_commit_that_lost_its_race_takes_along_what_waits)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_node *b = rig_join(&rig, 1);
    struct weir__op won = op_create("won");
    struct weir__op ops[3] = {op_create("a"), op_create("b"), op_create("won")};
    struct rig_commit commits[3];
    uint64_t written;
    uint64_t conflicts;
    long puts;

    ck_assert_int_eq(rig_refresh(a), 0);
    puts = fault_store_puts(b->store);
    fault_store_set(b->store, FAULT_HELD, 1, 1);
    rig_start(b, &commits[0], &ops[0], 1);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(rig_commit(a, &won, 1), 0);
    rig_start(b, &commits[1], &ops[1], 1);
    rig_start(b, &commits[2], &ops[2], 1);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_puts(b->store), puts + 1);
    fault_store_release(b->store);
    for (int i = 0; i < 3; i++) {
        rig_run(&rig, &commits[i].done);
        ck_assert_int_eq(commits[i].status, 0);
    }
    ck_assert_int_eq(fault_store_puts(b->store), puts + 2);
    ck_assert_int_eq(ops[2].status, WEIR_EEXIST);
    ck_assert_uint_eq(ops[0].u.stream_create.id + 1, ops[1].u.stream_create.id);
    weir__manifest_counts(b->manifest, &written, &conflicts);
    ck_assert_uint_eq(conflicts, 1);
    ck_assert_int_eq(rig_refresh(a), 0);
    rig_same(a, b);
}
END_TEST

START_TEST(a_fenced_node_changes_nothing)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_node *b = rig_join(&rig, 1);
    struct weir__op fence = op_node_open(1);
    struct weir__op ops[3] = {op_create("a"), op_put("k", "v", WEIR_KV_ANY),
                              op_reserve(1)};

    ck_assert_int_eq(rig_commit(b, &fence, 1), 0);
    ck_assert_uint_eq(fence.u.node_open.epoch, 2);
    ck_assert_int_eq(rig_commit(a, ops, 3), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ops[i].status, WEIR_EFENCED);
    ck_assert_int_eq(rig_refresh(b), 0);
    ck_assert_uint_eq(
        weir__state_stream_count(weir__manifest_state(b->manifest)), 0);
    ck_assert_ptr_null(weir__state_kv(weir__manifest_state(b->manifest), "k"));
    rig_same(a, b);
}
END_TEST

/* ---- Reading what others have committed ---------------------------------- */

/* The newest snapshot is not the newest commit: who has slept has not seen
 * what came while it slept before it has read on (weir-sim, cluster, seed
 * 21008250). */
START_TEST(a_node_that_has_read_a_snapshot_has_not_yet_seen_the_newest_commit)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_node *b = rig_join(&rig, 1);
    struct rig_refresh refresh;
    struct weir__op op = op_create("stream");
    uint64_t seen;

    ck_assert_int_eq(rig_refresh(b), 0);
    seen = weir__manifest_seen(b->manifest);
    ck_assert_int_eq(rig_commit(a, &op, 1), 0);
    virtual_env_sleep(&rig.env, WEIR__MANIFEST_GRACE);
    fault_store_set(b->store, FAULT_HELD, 2, 1); /* LIST, then the commit. */
    rig_refresh_start(b, &refresh);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_hits(b->store), 1);
    ck_assert_uint_eq(weir__manifest_seen(b->manifest), seen);
    fault_store_release(b->store);
    rig_run(&rig, &refresh.done);
    ck_assert_int_eq(refresh.status, 0);
    ck_assert_uint_ge(weir__manifest_seen(b->manifest),
                      seen + WEIR__MANIFEST_GRACE);
}
END_TEST

/* A program that commits again whenever it is told of a commit. */
struct busy {
    struct weir__commit commit;
    struct weir__op op;
    struct weir__manifest *manifest;
    int count;
    int stop;
    int ended;
};

static void busy_done(struct weir__commit *commit, int status)
{
    struct busy *busy = commit->ctx;

    ck_assert_int_eq(status, 0);
    busy->count++;
    if (busy->stop)
        busy->ended = 1;
    else
        weir__manifest_commit(busy->manifest, commit);
}

static void busy_start(struct busy *busy, struct rig_node *node)
{
    *busy = (struct busy){.op = op_put("count", "1", WEIR_KV_ANY),
                          .manifest = node->manifest};
    busy->commit = (struct weir__commit){
        .ops = &busy->op, .count = 1, .done = busy_done, .ctx = busy};
    weir__manifest_commit(node->manifest, &busy->commit);
}

/* The queue is never empty, so the node never comes to read: a refresh ends
 * with the first commit that is sent after it was asked for.  One that was on
 * its way then knows nothing of what others have written meanwhile. */
START_TEST(a_refresh_is_served_while_commits_never_cease)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct rig_node *b = rig_join(&rig, 1);
    struct rig_refresh refresh;
    struct weir__op op = op_create("of b");
    struct busy busy;

    ck_assert_int_eq(rig_refresh(a), 0);
    fault_store_set(a->store, FAULT_HELD_AFTER, 1, 1);
    busy_start(&busy, a);
    virtual_env_settle(&rig.env);
    rig_refresh_start(a, &refresh);
    ck_assert_int_eq(rig_commit(b, &op, 1), 0);
    ck_assert_int_eq(busy.count, 0);
    fault_store_release(a->store);
    while (refresh.done == 0 && busy.count < 10)
        ck_assert_int_eq(virtual_env_step(&rig.env), 1);
    ck_assert_int_eq(refresh.done, 1);
    ck_assert_int_eq(refresh.status, 0);
    ck_assert_int_eq(busy.count, 2);
    ck_assert_ptr_nonnull(
        weir__state_stream_named(weir__manifest_state(a->manifest), "of b"));
    busy.stop = 1;
    rig_run(&rig, &busy.ended);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("manifest");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_empty_store_becomes_a_cluster);
    tcase_add_loop_test(tc, a_cluster_gets_one_name, 0, 2);
    tcase_add_test(tc, a_read_only_node_makes_no_cluster);
    tcase_add_test(tc, a_read_only_node_commits_nothing);
    tcase_add_test(tc, a_commit_is_seen_by_another_node_after_a_refresh);
    tcase_add_test(tc, commits_of_one_turn_share_one_write);
    tcase_add_test(tc, commits_that_wait_for_a_write_go_out_together);
    tcase_add_test(tc, a_bad_commit_does_not_stop_its_group);
    tcase_add_test(tc, a_commit_that_is_refused_says_why);
    tcase_add_test(tc, a_group_that_is_too_big_is_parted);
    tcase_add_test(tc, a_lost_race_is_applied_and_tried_again);
    tcase_add_test(tc, a_commit_that_lost_its_race_takes_along_what_waits);
    tcase_add_test(tc, a_fenced_node_changes_nothing);
    tcase_add_test(
        tc, a_node_that_has_read_a_snapshot_has_not_yet_seen_the_newest_commit);
    tcase_add_test(tc, a_refresh_is_served_while_commits_never_cease);
    return test_run();
}
