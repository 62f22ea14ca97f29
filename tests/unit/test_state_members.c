/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Nodes in the manifest's state: when each was last heard of, and the keys
 * that go with its epoch.
 */
#include "support/host.h"
#include "support/manifest_rig.h"
#include "support/test.h"

#include "manifest/state_inside.h"

#include <stdio.h>
#include <string.h>

static struct test_alloc heap;
static struct weir__state *state;
static uint64_t epochs[4];
static char told[512]; /* Keys that changed: "+name " or "-name ". */

static int commit(uint32_t node, struct weir__op *op)
{
    return op_apply(state, node, epochs[node], op);
}

static void join(uint32_t node, uint32_t lease_ms, const char *wal)
{
    struct weir__op op = op_node_open(node);

    op.u.node_open.lease_ms = lease_ms;
    op.u.node_open.wal = wal;
    ck_assert_int_eq(commit(node, &op), 0);
    epochs[node] = op.u.node_open.epoch;
}

static int put(uint32_t node, const char *key, const char *value, int bound)
{
    struct weir__op op = op_put(key, value, WEIR_KV_ANY);

    op.u.kv_put.bound = bound;
    return commit(node, &op);
}

static int simple(uint32_t node, enum weir__op_kind kind)
{
    struct weir__op op = {.kind = kind};

    return commit(node, &op);
}

static struct weir__member member(uint32_t id)
{
    struct weir__member m;

    ck_assert(weir__state_member(state, id - 1, &m));
    ck_assert_uint_eq(m.id, id);
    return m;
}

static void note(void *ctx, const struct weir_kv_pair *pair)
{
    size_t n = strlen(told);

    ck_assert_ptr_eq(ctx, &heap);
    snprintf(told + n, sizeof(told) - n, "%c%s ",
             pair->value != NULL ? '+' : '-', pair->key);
}

static void setup(void)
{
    test_alloc_init(&heap);
    memset(epochs, 0, sizeof(epochs));
    told[0] = '\0';
    ck_assert_int_eq(weir__state_new(&state, &heap.alloc), 0);
    weir__state_watch(state, note, &heap);
    join(1, 10000, "file:/wal");
    join(2, 0, NULL);
}

static void teardown(void)
{
    weir__state_free(state);
    test_alloc_check(&heap);
}

/* Put what is in the state through a snapshot. */
static void through_snapshot(void)
{
    struct weir__state *other;
    struct weir__writer w;

    weir__writer_init(&w, &heap.alloc);
    ck_assert_int_eq(weir__state_encode(state, &w), 0);
    ck_assert_int_eq(weir__state_decode(&other, &heap.alloc, w.data, w.len,
                                        weir__state_version(state), NULL),
                     0);
    weir__state_tell_keys(state, other);
    weir__state_swap(state, other);
    weir__state_free(other);
    weir__writer_free(&w);
}

START_TEST(every_commit_of_a_node_tells_that_it_lives)
{
    struct weir__member m = member(1);

    ck_assert_uint_eq(m.lease_ms, 10000);
    ck_assert_str_eq(m.wal, "file:/wal");
    ck_assert_uint_eq(m.beat, 1);
    ck_assert_int_eq(simple(1, WEIR__OP_NODE_BEAT), 0);
    ck_assert_uint_eq(member(1).beat, 3);
    ck_assert_int_eq(put(1, "k", "v", 0), 0);
    ck_assert_uint_eq(member(1).beat, 4);
    ck_assert_uint_eq(member(2).beat, 2);
    through_snapshot();
    ck_assert_uint_eq(member(1).beat, 4);
    ck_assert_str_eq(member(1).wal, "file:/wal");
    ck_assert_uint_eq(member(1).lease_ms, 10000);
}
END_TEST

START_TEST(a_fenced_node_is_not_heard)
{
    join(1, 5000, NULL);
    epochs[1]--;
    ck_assert_int_eq(simple(1, WEIR__OP_NODE_BEAT), WEIR_EFENCED);
    ck_assert_uint_eq(member(1).beat, 3);
    ck_assert_int_eq(simple(1, WEIR__OP_NODE_CLOSE), WEIR_EFENCED);
    ck_assert(!member(1).closed);
}
END_TEST

START_TEST(a_node_that_has_closed_is_open_when_it_opens_again)
{
    ck_assert(!member(1).closed);
    ck_assert_int_eq(simple(1, WEIR__OP_NODE_CLOSE), 0);
    through_snapshot();
    ck_assert(member(1).closed);
    join(1, 0, NULL);
    ck_assert(!member(1).closed);
}
END_TEST

START_TEST(keys_that_go_with_a_node_go_when_it_closes_or_opens_again)
{
    put(1, "b/1", "x", 1);
    put(1, "b/2", "x", 1);
    put(1, "stays", "x", 0);
    put(2, "b/3", "x", 1);
    through_snapshot();
    told[0] = '\0';
    ck_assert_int_eq(simple(1, WEIR__OP_NODE_CLOSE), 0);
    ck_assert_str_eq(told, "-b/1 -b/2 ");
    ck_assert_ptr_null(weir__state_kv(state, "b/1"));
    ck_assert_ptr_nonnull(weir__state_kv(state, "stays"));
    join(2, 0, NULL);
    ck_assert_str_eq(told, "-b/1 -b/2 -b/3 ");
}
END_TEST

/* The last writer decides with whom a key goes. */
START_TEST(a_key_is_bound_anew_by_each_put)
{
    put(1, "k", "x", 1);
    put(2, "k", "y", 0);
    join(1, 0, NULL);
    ck_assert_ptr_nonnull(weir__state_kv(state, "k"));
    put(2, "k", "z", 1);
    join(1, 0, NULL);
    ck_assert_ptr_nonnull(weir__state_kv(state, "k"));
    join(2, 0, NULL);
    ck_assert_ptr_null(weir__state_kv(state, "k"));
}
END_TEST

START_TEST(a_watcher_is_told_of_each_change_once)
{
    put(1, "a", "1", 0);
    put(1, "a", "2", 0);
    put(1, "a", NULL, 0);
    put(1, "a", NULL, 0);
    through_snapshot();
    ck_assert_str_eq(told, "+a +a -a ");
}
END_TEST

/* A snapshot that is ahead: what lies between is not seen, what has come of
 * it is. */
START_TEST(a_watcher_is_told_what_a_snapshot_changes)
{
    struct weir__state *behind;
    struct weir__writer w;

    put(1, "gone", "1", 0);
    put(1, "same", "1", 0);
    put(1, "new", "1", 0);
    weir__writer_init(&w, &heap.alloc);
    ck_assert_int_eq(weir__state_encode(state, &w), 0);
    ck_assert_int_eq(weir__state_decode(&behind, &heap.alloc, w.data, w.len,
                                        weir__state_version(state), NULL),
                     0);
    weir__writer_free(&w);
    put(1, "gone", NULL, 0);
    put(1, "new", "2", 0);
    put(1, "other", "1", 0);
    told[0] = '\0';
    weir__state_watch(behind, note, &heap);
    weir__state_tell_keys(behind, state);
    ck_assert_str_eq(told, "-gone +new +other ");
    weir__state_free(behind);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("state members");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_commit_of_a_node_tells_that_it_lives);
    tcase_add_test(tc, a_fenced_node_is_not_heard);
    tcase_add_test(tc, a_node_that_has_closed_is_open_when_it_opens_again);
    tcase_add_test(tc,
                   keys_that_go_with_a_node_go_when_it_closes_or_opens_again);
    tcase_add_test(tc, a_key_is_bound_anew_by_each_put);
    tcase_add_test(tc, a_watcher_is_told_of_each_change_once);
    tcase_add_test(tc, a_watcher_is_told_what_a_snapshot_changes);
    return test_run();
}
