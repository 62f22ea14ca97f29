/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A manifest whose log tells of commits: late, twice, wrongly, or not.
 */
#include "support/manifest_rig.h"
#include "support/test.h"

#include "format/object_name.h"

#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

static struct manifest_rig rig;
static struct rig_node *a; /* Listens. */
static struct rig_node *b;

static void setup(void)
{
    rig_init(&rig);
    fault_store_tells(rig.nodes[0].store);
    a = rig_join(&rig, 0);
    b = rig_join(&rig, 1);
    weir__manifest_listen(a->manifest);
    weir__manifest_listen(a->manifest);
    fault_store_tell(a->store, NULL, 1);
    virtual_env_settle(&rig.env);
    rig_same(a, b);
}

static void teardown(void)
{
    rig_close(&rig);
}

static uint64_t version_of(const struct rig_node *node)
{
    return weir__state_version(weir__manifest_state(node->manifest));
}

static void tell(uint64_t version)
{
    char key[WEIR__KEY_SIZE];

    weir__manifest_log_key(key, version);
    fault_store_tell(a->store, key, 1);
}

static void commit(struct rig_node *node, const char *name)
{
    struct weir__op op = op_create(name);

    ck_assert_int_eq(rig_commit(node, &op, 1), 0);
}

static void commit_key(struct rig_node *node)
{
    struct weir__op op = op_put("key", "value", WEIR_KV_ANY);

    ck_assert_int_eq(rig_commit(node, &op, 1), 0);
}

START_TEST(a_commit_that_is_told_of_is_read_with_one_request)
{
    long before = fault_store_count(a->store);

    commit(b, "one");
    tell(version_of(b));
    tell(version_of(b));
    virtual_env_settle(&rig.env);
    rig_same(a, b);
    tell(version_of(b));
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_count(a->store), before + 1);
    commit(b, "two");
    commit(b, "three");
    commit(b, "four");
    tell(version_of(b));
    tell(version_of(b) - 1);
    virtual_env_settle(&rig.env);
    rig_same(a, b);
    ck_assert_int_eq(fault_store_count(a->store), before + 4);
}
END_TEST

START_TEST(where_nobody_knows_the_log_is_read_to_its_end)
{
    long before = fault_store_count(a->store);

    commit(b, "one");
    fault_store_tell(a->store, NULL, 0);
    virtual_env_settle(&rig.env);
    rig_same(a, b);
    ck_assert_int_eq(fault_store_count(a->store), before + 2);
    ck_assert(!weir__manifest_hears(a->manifest));
    fault_store_tell(a->store, "manifest/log/not-a-version", 1);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_count(a->store), before + 3);
    ck_assert(weir__manifest_hears(a->manifest));
}
END_TEST

/* Each commit carries those before it, so it reads ahead, further each time,
 * and no further than it was told. */
START_TEST(no_more_is_read_ahead_than_was_told_of)
{
    for (uint64_t told = 1; told <= 40; told++) {
        long before = fault_store_count(a->store);
        uint64_t from = version_of(a);

        while (version_of(b) < from + told + 20)
            commit_key(b);
        tell(from + told);
        virtual_env_settle(&rig.env);
        ck_assert_uint_eq(version_of(a), from + told);
        ck_assert_int_le(fault_store_count(a->store) - before,
                         told < 5 ? (long)told : 5 + (long)told / 10);
        tell(version_of(b));
        virtual_env_settle(&rig.env);
        rig_same(a, b);
    }
}
END_TEST

/* What it tells of one's own commit comes before its answer. */
START_TEST(an_own_commit_that_is_told_of_is_not_read)
{
    struct weir__op op = op_create("own");
    struct rig_commit call;
    long before = fault_store_count(a->store);

    fault_store_set(a->store, FAULT_HELD_AFTER, 1, 1);
    rig_start(a, &call, &op, 1);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(call.done, 0);
    tell(version_of(a) + 1);
    virtual_env_settle(&rig.env);
    fault_store_release(a->store);
    rig_run(&rig, &call.done);
    ck_assert_int_eq(call.status, 0);
    tell(version_of(a));
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_count(a->store), before + 1);
}
END_TEST

START_TEST(a_commit_that_is_not_there_is_looked_for_once)
{
    static const uint64_t lies[] = {1, 1000, UINT64_MAX / 2, UINT64_MAX - 100};
    long before = fault_store_count(a->store);

    tell(version_of(a) + lies[_i]);
    virtual_env_sleep(&rig.env, 100 * SECOND_NS);
    ck_assert_int_eq(fault_store_count(a->store), before + 1);
    commit(b, "one");
    tell(version_of(b));
    virtual_env_settle(&rig.env);
    rig_same(a, b);
}
END_TEST

/* An error that can pass is waited out; any other ends it until more is told
 * of. */
START_TEST(a_log_that_cannot_be_read_is_not_asked_for_ever)
{
    long before = fault_store_count(a->store);
    long hits = fault_store_hits(a->store);

    commit(b, "one");
    fault_store_set(a->store, FAULT_BEFORE, 1, 3);
    tell(version_of(b));
    virtual_env_sleep(&rig.env, 100 * SECOND_NS);
    rig_same(a, b);
    ck_assert_int_eq(fault_store_count(a->store), before + 4);
    ck_assert_int_eq(fault_store_hits(a->store), hits + 3);
    commit(b, "two");
    fault_store_set(a->store, FAULT_REFUSED, 1, 1000);
    tell(version_of(b));
    virtual_env_sleep(&rig.env, 100 * SECOND_NS);
    ck_assert_int_eq(fault_store_count(a->store), before + 5);
    fault_store_set(a->store, FAULT_NONE, 1, 1);
    tell(version_of(b));
    virtual_env_settle(&rig.env);
    rig_same(a, b);
}
END_TEST

START_TEST(what_is_told_is_not_believed_for_ever)
{
    ck_assert(weir__manifest_hears(a->manifest));
    virtual_env_sleep(&rig.env, 29 * SECOND_NS);
    ck_assert(weir__manifest_hears(a->manifest));
    virtual_env_sleep(&rig.env, 2 * SECOND_NS);
    ck_assert(!weir__manifest_hears(a->manifest));
    ck_assert_int_eq(rig_refresh(a), 0);
    ck_assert(weir__manifest_hears(a->manifest));
}
END_TEST

START_TEST(a_store_that_cannot_tell_is_asked)
{
    weir__manifest_listen(b->manifest);
    ck_assert_int_eq(rig_refresh(b), 0);
    ck_assert(!weir__manifest_hears(b->manifest));
}
END_TEST

START_TEST(what_is_told_while_it_closes_is_not_read)
{
    struct weir__op op = op_create("own");
    struct rig_commit call;
    long before;

    fault_store_set(a->store, FAULT_HELD, 1, 1);
    rig_start(a, &call, &op, 1);
    virtual_env_settle(&rig.env);
    before = fault_store_count(a->store);
    tell(version_of(a) + 7);
    fault_store_release(a->store);
    rig_leave(&rig, 0);
    ck_assert_int_eq(call.done, 1);
    ck_assert_int_eq(fault_store_count(a->store), before);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("manifest: what is told");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_commit_that_is_told_of_is_read_with_one_request);
    tcase_add_test(tc, no_more_is_read_ahead_than_was_told_of);
    tcase_add_test(tc, where_nobody_knows_the_log_is_read_to_its_end);
    tcase_add_test(tc, an_own_commit_that_is_told_of_is_not_read);
    tcase_add_loop_test(tc, a_commit_that_is_not_there_is_looked_for_once, 0,
                        4);
    tcase_add_test(tc, a_log_that_cannot_be_read_is_not_asked_for_ever);
    tcase_add_test(tc, what_is_told_is_not_believed_for_ever);
    tcase_add_test(tc, a_store_that_cannot_tell_is_asked);
    tcase_add_test(tc, what_is_told_while_it_closes_is_not_read);
    return test_run();
}
