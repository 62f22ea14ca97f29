/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A node's manifest: snapshots, the removal of old commits, nodes that slept,
 * and what must not be read.
 */
#include "support/manifest_rig.h"
#include "support/test.h"

#include "format/manifest_record.h"
#include "format/object_name.h"

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

static struct weir__op op_count(const char *value)
{
    return op_put("count", value, WEIR_KV_ANY);
}

/* ---- Snapshots ---------------------------------------------------------- */

/* Commit a key's value `count` times. */
static void commit_many(struct rig_node *node, int count)
{
    for (int i = 0; i < count; i++) {
        struct weir__op op = op_count("value");

        ck_assert_int_eq(rig_commit(node, &op, 1), 0);
        ck_assert_int_eq(op.status, 0);
    }
}

/* Keys in the store that begin with `prefix`. */
struct listing {
    struct weir_store_req req;
    size_t count;
    char first[64];
    char last[64];
    int done;
};

static void listed(struct weir_store_req *req, int status)
{
    struct listing *listing = req->ctx;

    ck_assert_int_eq(status, 0);
    listing->count = req->entry_count;
    listing->first[0] = 0;
    if (req->entry_count > 0) {
        snprintf(listing->first, 64, "%s", req->entries[0].key);
        snprintf(listing->last, 64, "%s",
                 req->entries[req->entry_count - 1].key);
    }
    listing->done = 1;
}

static void list(struct listing *listing, const char *prefix)
{
    *listing = (struct listing){.req = {.verb = WEIR_STORE_LIST,
                                        .key = prefix,
                                        .limit = 1000,
                                        .done = listed,
                                        .ctx = listing}};
    rig.store->ops->submit(rig.store, &listing->req);
    rig_run(&rig, &listing->done);
}

START_TEST(a_snapshot_bounds_the_replay)
{
    struct listing snaps;
    struct rig_node *a;
    long count;

    rig.snapshot_commits = 10;
    a = rig_join(&rig, 0);
    commit_many(a, 30);
    virtual_env_settle(&rig.env);
    list(&snaps, "manifest/snap/");
    ck_assert_uint_eq(snaps.count, 3);
    ck_assert_str_eq(snaps.last, "manifest/snap/000000000000001e");
    ck_assert_int_eq(rig_open(&rig, 1), 0);
    count = fault_store_count(rig.nodes[1].store);
    ck_assert_int_lt(count, 12);
    rig_same(a, &rig.nodes[1]);
}
END_TEST

START_TEST(a_damaged_snapshot_falls_back_to_the_one_before)
{
    const char *last = _i == 0 ? "manifest/snap/000000000000001e"
                               : "manifest/snap/000000000000000a";
    struct rig_node *a;

    rig.snapshot_commits = 10;
    a = rig_join(&rig, 0);
    commit_many(a, _i == 0 ? 30 : 10);
    virtual_env_settle(&rig.env);
    rig_put(&rig, last, "not a snapshot", 14);
    ck_assert_int_eq(rig_open(&rig, 1), 0);
    rig_same(a, &rig.nodes[1]);
}
END_TEST

/* Sleep, and commit now and then, so that old commits are removed. */
static void commit_for_hours(struct rig_node *node, int hours)
{
    for (int i = 0; i < hours; i++) {
        virtual_env_sleep(&rig.env, UINT64_C(3600) * 1000000000);
        commit_many(node, 40);
    }
    virtual_env_settle(&rig.env);
}

START_TEST(old_commits_are_removed_after_the_grace)
{
    struct listing log;
    struct listing snaps;
    struct rig_node *a;
    uint64_t first;
    uint64_t snap;

    rig.snapshot_commits = 10;
    a = rig_join(&rig, 0);
    commit_many(a, 200);
    virtual_env_settle(&rig.env);
    list(&log, "manifest/log/");
    ck_assert_uint_eq(log.count, 202);
    commit_for_hours(a, 10);
    list(&log, "manifest/log/");
    list(&snaps, "manifest/snap/");
    ck_assert_uint_lt(log.count, 120);
    ck_assert_uint_ge(snaps.count, 2);
    /* What the oldest snapshot needs is there. */
    ck_assert_int_eq(weir__manifest_key_version(log.first, &first), 0);
    ck_assert_int_eq(weir__manifest_key_version(snaps.first, &snap), 0);
    ck_assert_uint_le(first, snap + 1);
    ck_assert_int_eq(rig_open(&rig, 1), 0);
    rig_same(a, &rig.nodes[1]);
}
END_TEST

/* A node that slept while its next version was written and removed must not
 * believe that it may write it. */
START_TEST(a_node_that_slept_catches_up_before_it_commits)
{
    struct weir__op op = op_put("mine", "1", WEIR_KV_ABSENT);
    struct rig_node *a;
    struct rig_node *b;

    rig.snapshot_commits = 10;
    a = rig_join(&rig, 0);
    b = rig_join(&rig, 1);
    commit_for_hours(a, 10);
    if (_i == 0)
        ck_assert_int_eq(rig_refresh(b), 0);
    ck_assert_int_eq(rig_commit(b, &op, 1), 0);
    ck_assert_int_eq(op.status, 0);
    ck_assert_int_eq(rig_refresh(a), 0);
    rig_same(a, b);
    ck_assert_ptr_nonnull(
        weir__state_kv(weir__manifest_state(a->manifest), "mine"));
}
END_TEST

/* Its write was on the way when it fell asleep, and creates a version that
 * has been removed: the store says yes, and it still is no commit. */
START_TEST(a_write_that_slept_is_not_believed)
{
    struct weir__op op = op_put("mine", "1", WEIR_KV_ABSENT);
    struct rig_commit commit;
    struct rig_node *a;
    struct rig_node *b;

    rig.snapshot_commits = 10;
    a = rig_join(&rig, 0);
    b = rig_join(&rig, 1);
    fault_store_set(b->store, FAULT_HELD, 1, 1);
    rig_start(b, &commit, &op, 1);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_hits(b->store), 1);
    commit_for_hours(a, 10);
    fault_store_release(b->store);
    rig_run(&rig, &commit.done);
    ck_assert_int_eq(commit.status, WEIR_EUNKNOWN);
    ck_assert_int_eq(rig_refresh(a), 0);
    ck_assert_int_eq(rig_refresh(b), 0);
    rig_same(a, b);
    ck_assert_ptr_null(
        weir__state_kv(weir__manifest_state(a->manifest), "mine"));
}
END_TEST

/* Its read was on the way: "not there" does not mean "not yet". */
START_TEST(a_read_that_slept_is_not_believed)
{
    struct rig_refresh refresh;
    struct rig_node *a;
    struct rig_node *b;

    rig.snapshot_commits = 10;
    a = rig_join(&rig, 0);
    b = rig_join(&rig, 1);
    fault_store_set(b->store, FAULT_HELD, 1, 1);
    rig_refresh_start(b, &refresh);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_hits(b->store), 1);
    commit_for_hours(a, 10);
    fault_store_release(b->store);
    rig_run(&rig, &refresh.done);
    ck_assert_int_eq(refresh.status, 0);
    rig_same(a, b);
}
END_TEST

/* A slow answer, on the other hand, to a write that was the first. */
START_TEST(a_slow_write_that_is_still_there_counts)
{
    struct weir__op op = op_put("mine", "1", WEIR_KV_ABSENT);
    struct rig_commit commit;
    struct rig_node *b = rig_join(&rig, 1);

    fault_store_set(b->store, FAULT_HELD_AFTER, 1, 1);
    rig_start(b, &commit, &op, 1);
    virtual_env_sleep(&rig.env, UINT64_C(3600) * 1000000000);
    fault_store_release(b->store);
    rig_run(&rig, &commit.done);
    ck_assert_int_eq(commit.status, 0);
    ck_assert_uint_eq(op.u.kv_put.version, 1);
}
END_TEST

/* ---- What must not be read ---------------------------------------------- */

START_TEST(a_damaged_commit_is_told_and_not_skipped)
{
    struct rig_node *a = rig_join(&rig, 0);

    commit_many(a, 3);
    rig_put(&rig, "manifest/log/0000000000000004", "nonsense", 8);
    ck_assert_int_eq(rig_open(&rig, 1), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(rig.nodes[1].err.text, "commit 4"));
}
END_TEST

/* A record as node 9 of another cluster would write it. */
static void put_foreign(const char *key, uint64_t version, int newer)
{
    struct weir__op op = op_create("x");
    struct weir__record header = {
        .version = version, .op_count = 1, .format = 1};
    struct weir__writer w;

    memset(header.cluster, 0x77, 16);
    weir__writer_init(&w, weir_alloc_default());
    weir__record_begin(&w);
    ck_assert_int_eq(weir__record_add(&w, &op, NULL), 0);
    weir__record_seal(w.data, w.len, &header);
    if (newer) {
        w.data[4] = WEIR__COMMIT_VERSION + 1;
        weir__manifest_seal(w.data, w.len);
    }
    rig_put(&rig, key, w.data, w.len);
    weir__writer_free(&w);
}

START_TEST(a_commit_of_another_cluster_or_format_is_refused)
{
    struct rig_node *a = rig_join(&rig, 0);
    struct weir__op op = op_create("s");

    put_foreign("manifest/log/0000000000000003", 3, _i);
    ck_assert_int_eq(rig_refresh(a), _i ? WEIR_EVERSION : WEIR_EFOREIGN);
    /* The version is taken, and by what is not ours: no commit. */
    ck_assert_int_eq(rig_commit(a, &op, 1), WEIR_EUNKNOWN);
    ck_assert_int_eq(rig_open(&rig, 1), _i ? WEIR_EVERSION : WEIR_EFOREIGN);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("manifest snapshots");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_snapshot_bounds_the_replay);
    tcase_add_loop_test(tc, a_damaged_snapshot_falls_back_to_the_one_before, 0,
                        2);
    tcase_add_test(tc, old_commits_are_removed_after_the_grace);
    tcase_add_loop_test(tc, a_node_that_slept_catches_up_before_it_commits, 0,
                        2);
    tcase_add_test(tc, a_write_that_slept_is_not_believed);
    tcase_add_test(tc, a_read_that_slept_is_not_believed);
    tcase_add_test(tc, a_slow_write_that_is_still_there_counts);
    tcase_add_test(tc, a_damaged_commit_is_told_and_not_skipped);
    tcase_add_loop_test(tc, a_commit_of_another_cluster_or_format_is_refused, 0,
                        2);
    return test_run();
}
