/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A node's manifest: commits of several nodes on one store that loses
 * answers.
 */
#include "support/manifest_rig.h"
#include "support/test.h"

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

int main(void)
{
    TCase *tc = test_case("manifest");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_empty_store_becomes_a_cluster);
    tcase_add_test(tc, a_read_only_node_makes_no_cluster);
    tcase_add_test(tc, a_read_only_node_commits_nothing);
    tcase_add_test(tc, a_commit_is_seen_by_another_node_after_a_refresh);
    return test_run();
}
