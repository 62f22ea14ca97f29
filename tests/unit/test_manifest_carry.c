/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Commits that carry those before them: their bytes, and nodes that read one
 * of them instead of many.
 */
#include "support/manifest_rig.h"
#include "support/test.h"

#include "base/bytes.h"
#include "format/object_name.h"
#include "manifest/manifest_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Bytes --------------------------------------------------------------- */

static struct test_alloc heap;
static struct weir__writer one; /* Version 1. */
static struct weir__writer two; /* Version 2, which carries the other. */

static void encode(struct weir__writer *w, uint64_t version, const char *key)
{
    struct weir__record header = {.version = version,
                                  .cluster = "0123456789abcdef",
                                  .nonce = "fedcba987654321",
                                  .wall = INT64_C(1700000000123),
                                  .node_epoch = 1,
                                  .node_id = 7,
                                  .op_count = 1,
                                  .format = 1};
    struct weir__op op = op_put(key, "value", WEIR_KV_ANY);

    weir__record_begin(w);
    ck_assert_int_eq(weir__record_add(w, &op, NULL), 0);
    if (version == 2) {
        weir__write_bytes(w, one.data, one.len);
        header.carried = (uint32_t)one.len;
    }
    weir__record_seal(w->data, w->len, &header);
}

static void setup_bytes(void)
{
    test_alloc_init(&heap);
    weir__writer_init(&one, &heap.alloc);
    weir__writer_init(&two, &heap.alloc);
    encode(&one, 1, "a");
    encode(&two, 2, "b");
}

static void teardown_bytes(void)
{
    weir__writer_free(&one);
    weir__writer_free(&two);
    test_alloc_check(&heap);
}

/* Open a record and read all that it carries: a status. */
static int read_all(const unsigned char *data, size_t len, uint64_t version,
                    int *carried)
{
    struct weir__record_reader r;
    struct weir_iov iov;
    struct weir__op op;
    uint64_t found;
    size_t at = 0;
    int rc = weir__record_open(&r, &heap.alloc, data, len, version, NULL, NULL);

    *carried = 0;
    if (rc != 0)
        return rc;
    while (weir__record_next(&r, &op) == 1)
        ck_assert_int_eq(op.kind, WEIR__OP_KV_PUT);
    weir__record_close(&r);
    while ((found = weir__record_carried(data, len, &at, &iov)) != 0) {
        rc = weir__record_open(&r, &heap.alloc, iov.data, iov.len, found, NULL,
                               NULL);
        if (rc == 0)
            weir__record_close(&r);
        ++*carried;
    }
    return 0;
}

START_TEST(a_commit_is_read_with_what_it_carries)
{
    struct weir_iov iov;
    size_t at = 0;
    int carried;

    ck_assert_int_eq(read_all(two.data, two.len, 2, &carried), 0);
    ck_assert_int_eq(carried, 1);
    ck_assert_uint_eq(weir__record_carried(two.data, two.len, &at, &iov), 1);
    ck_assert_uint_eq(iov.len, one.len);
    ck_assert_mem_eq(iov.data, one.data, one.len);
    ck_assert_uint_eq(weir__record_carried(two.data, two.len, &at, &iov), 0);
    weir__record_strip(two.data, two.len - one.len);
    ck_assert_int_eq(read_all(two.data, two.len - one.len, 2, &carried), 0);
    ck_assert_int_eq(carried, 0);
}
END_TEST

START_TEST(every_flipped_bit_and_every_cut_is_seen)
{
    int carried;

    for (size_t i = 0; i < two.len; i++) {
        unsigned char *cut = malloc(i + 1);

        ck_assert_ptr_nonnull(cut);
        memcpy(cut, two.data, i);
        ck_assert_int_eq(read_all(cut, i, 2, &carried), WEIR_ECORRUPT);
        free(cut);
        for (int bit = 0; bit < 8; bit++) {
            two.data[i] ^= (unsigned char)(1 << bit);
            ck_assert_int_eq(read_all(two.data, two.len, 2, &carried),
                             WEIR_ECORRUPT);
            two.data[i] ^= (unsigned char)(1 << bit);
        }
    }
}
END_TEST

/* Lengths that lie do no harm, in a block that ends where they say nothing. */
START_TEST(a_malformed_one_with_a_right_checksum_does_no_harm)
{
    static const unsigned char values[] = {0, 1, 2, 87, 88, 0x7f, 0x80, 0xff};
    unsigned char *copy = malloc(two.len);
    int carried;

    ck_assert_ptr_nonnull(copy);
    for (size_t i = 12; i < two.len; i++)
        for (size_t v = 0; v < sizeof(values); v++) {
            int rc;

            memcpy(copy, two.data, two.len);
            copy[i] = values[v];
            weir__manifest_seal(copy, two.len);
            rc = read_all(copy, two.len, 2, &carried);
            ck_assert(rc == 0 || rc == WEIR_ECORRUPT);
            ck_assert_int_le(carried, 1);
        }
    free(copy);
}
END_TEST

START_TEST(it_is_byte_for_byte_the_golden_one)
{
    static const char path[] = "tests/golden/manifest-commit-v3.bin";
    const char *mode = getenv("WEIR_GOLDEN");
    unsigned char data[1024];
    FILE *file;

    if (mode != NULL && strcmp(mode, "write") == 0) {
        file = fopen(path, "wb");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(two.data, 1, two.len, file), two.len);
        fclose(file);
    }
    file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(data, 1, sizeof(data), file), two.len);
    fclose(file);
    ck_assert_mem_eq(data, two.data, two.len);
}
END_TEST

/* ---- Nodes --------------------------------------------------------------- */

enum { MANY = 40 };

static struct manifest_rig rig;
static struct rig_node *a, *b;

static void join_both(void)
{
    a = rig_join(&rig, 0);
    b = rig_join(&rig, 1);
    ck_assert_int_eq(rig_refresh(a), 0);
}

static void setup(void)
{
    rig_init(&rig);
    join_both();
}

static void teardown(void)
{
    rig_close(&rig);
}

static void commit(struct rig_node *node, const char *value)
{
    struct weir__op op = op_put("k", value, WEIR_KV_ANY);

    ck_assert_int_eq(rig_commit(node, &op, 1), 0);
    ck_assert_int_eq(op.status, 0);
}

static void commit_many(struct rig_node *node, int count)
{
    char value[16];

    for (int i = 0; i < count; i++) {
        snprintf(value, sizeof(value), "%d", i);
        commit(node, value);
    }
}

START_TEST(a_node_that_is_behind_reads_few_of_many)
{
    long before = fault_store_count(b->store);

    commit_many(a, MANY);
    ck_assert_int_eq(rig_refresh(b), 0);
    rig_same(a, b);
    ck_assert_int_lt(fault_store_count(b->store) - before, MANY / 3);
}
END_TEST

/* One new commit costs what it did: it, and that there is no other. */
START_TEST(one_commit_is_read_with_two_requests)
{
    long before;

    commit_many(a, 2);
    ck_assert_int_eq(rig_refresh(b), 0);
    before = fault_store_count(b->store);
    commit(a, "one more");
    ck_assert_int_eq(rig_refresh(b), 0);
    ck_assert_int_eq(fault_store_count(b->store) - before, 2);
    rig_same(a, b);
}
END_TEST

/* A node that opens reads what a node alone has written, and then not. */
START_TEST(a_node_alone_carries_nothing)
{
    rig_leave(&rig, 1);
    commit(a, "alone"); /* The manifest of node 2 is closed, not the node. */
    ck_assert_uint_gt(a->manifest->group.record.carried, 0);
    rig_close(&rig);
    rig_init(&rig);
    a = rig_join(&rig, 0);
    commit_many(a, MANY);
    ck_assert_uint_eq(a->manifest->group.record.carried, 0);
    b = rig_join(&rig, 1);
    rig_refresh(a);
    commit_many(a, MANY);
    ck_assert_uint_gt(a->manifest->group.record.carried, 0);
    ck_assert_int_eq(rig_open(&rig, 2), 0);
    rig_same(a, &rig.nodes[2]);
}
END_TEST

/* What is long is not carried, and what is before it is not reached. */
START_TEST(a_long_commit_is_read_by_itself)
{
    static char value[20000];
    struct weir__op op = op_put("long", value, WEIR_KV_ANY);

    memset(value, 'x', sizeof(value) - 1);
    for (int i = 0; i < 5; i++) {
        commit_many(a, 1 + 3 * i);
        ck_assert_int_eq(rig_commit(a, &op, 1), 0);
        commit_many(a, 7 - i);
    }
    ck_assert_uint_le(a->manifest->group.bytes.len, sizeof(value));
    ck_assert_int_eq(rig_refresh(b), 0);
    rig_same(a, b);
}
END_TEST

static void refreshed(struct weir__refresh *req, int status)
{
    (void)req;
    ck_assert_int_eq(status, 0);
}

/* Whatever fails of the reads, once or three times, all is read. */
START_TEST(a_read_that_fails_is_made_good)
{
    static const enum fault faults[] = {FAULT_BEFORE, FAULT_DAMAGED};
    long n = 1;
    long hits;

    do {
        hits = fault_store_hits(b->store);
        commit_many(a, MANY);
        fault_store_set(b->store, faults[_i], n,
                        faults[_i] == FAULT_BEFORE ? 3 : 1);
        ck_assert_int_eq(rig_refresh(b), 0);
        rig_same(a, b);
        n++;
    } while (fault_store_hits(b->store) > hits);
    ck_assert_int_gt(n, 5);
}
END_TEST

/* It has read too far ahead once, and goes on one by one; then there is more
 * than ever. */
START_TEST(a_reader_that_went_too_far_goes_far_again)
{
    struct weir__refresh refresh = {.done = refreshed};
    long before;

    commit_many(a, 3);
    before = fault_store_count(b->store);
    fault_store_set(b->store, FAULT_HELD, 4, 1);
    weir__manifest_refresh(b->manifest, &refresh);
    virtual_env_settle(&rig.env);
    ck_assert_int_eq(fault_store_count(b->store) - before, 4);
    commit_many(a, 2 * MANY);
    fault_store_release(b->store);
    virtual_env_settle(&rig.env);
    rig_same(a, b);
    ck_assert_int_lt(fault_store_count(b->store) - before, MANY);
}
END_TEST

/* After a burst a node waits, and another one comes to its turn meanwhile. */
START_TEST(who_wins_leaves_room_for_another)
{
    struct weir__op op = op_put("a", "1", WEIR_KV_ANY);
    struct rig_commit call;

    a->manifest->turn.pace = UINT64_C(10000000);
    for (int i = 0; i < MANY && !a->manifest->turn.paused; i++)
        commit(a, "burst");
    ck_assert(a->manifest->turn.paused);
    rig_start(a, &call, &op, 1);
    virtual_env_settle(&rig.env);
    commit(b, "other");
    ck_assert_int_eq(call.done, 0);
    rig_run(&rig, &call.done);
    ck_assert_int_eq(call.status, 0);
    ck_assert_uint_eq(
        weir__state_kv(weir__manifest_state(a->manifest), "a")->version,
        1 + weir__state_kv(weir__manifest_state(a->manifest), "k")->version);
}
END_TEST

/* ---- What is carried, and what is taken of it ---------------------------- */

static unsigned char stored[64 << 10]; /* Of a commit, from the store. */

static uint64_t version_of(const struct rig_node *node)
{
    return weir__state_version(weir__manifest_state(node->manifest));
}

static size_t read_commit(uint64_t version)
{
    char name[WEIR__KEY_SIZE];

    weir__manifest_log_key(name, version);
    return rig_get(&rig, name, stored, sizeof(stored));
}

/* The newest commit of a node carries those from `first` on, as they are in
 * the log, but for what they carry. */
static void check_carried(const struct rig_node *node, uint64_t first)
{
    const struct weir__group *group = &node->manifest->group;
    struct weir_iov carried;
    uint64_t found;
    size_t at = 0;

    while ((found = weir__record_carried(group->bytes.data, group->bytes.len,
                                         &at, &carried)) != 0) {
        ck_assert_uint_eq(found, first);
        ck_assert_uint_le(carried.len, read_commit(found));
        weir__record_strip(stored, carried.len);
        ck_assert_mem_eq(stored, carried.data, carried.len);
        first++;
    }
    ck_assert_uint_eq(first, group->record.version);
}

/* Between what was kept before and what is read behind the snapshot there are
 * commits that this node has never had. */
START_TEST(after_a_snapshot_what_was_kept_before_it_is_not_carried)
{
    uint64_t snapshot;

    rig_close(&rig);
    rig_init(&rig);
    rig.snapshot_commits = 64;
    join_both();
    commit_many(a, MANY);
    commit(b, "full");
    check_carried(b, version_of(b) - WEIR__MANIFEST_CARRY);
    virtual_env_sleep(&rig.env, WEIR__MANIFEST_GRACE);
    while (version_of(a) % 64 != 0 || version_of(a) < 128)
        commit(a, "unseen");
    snapshot = version_of(a);
    virtual_env_settle(&rig.env);
    commit_many(a, 3);
    commit(b, "behind it");
    ck_assert_uint_eq(version_of(b), snapshot + 4);
    check_carried(b, snapshot + 1);
    commit_many(b, MANY);
    check_carried(b, version_of(b) - WEIR__MANIFEST_CARRY);
    ck_assert_int_eq(rig_refresh(a), 0);
    rig_same(a, b);
    ck_assert_int_eq(rig_open(&rig, 2), 0);
    rig_same(a, &rig.nodes[2]);
}
END_TEST

/* States as they were behind each commit. */
static struct {
    uint64_t version;
    unsigned char *data;
    size_t len;
} states[12];

static void keep_state(int i)
{
    free(states[i].data);
    states[i].version = version_of(a);
    states[i].data = rig_state(a, &states[i].len);
}

/* Commits of several operations, which take memory to read and to apply. */
static void commit_states(void)
{
    static int number;
    struct weir__range range = {.stream_id = 1, .end = 1, .bytes = 1};

    keep_state(0);
    for (int i = 1; i < 12; i++) {
        char name[16];
        struct weir__op ops[3];

        snprintf(name, sizeof(name), "n-%d", ++number);
        ops[0] = op_create(name);
        ops[1] = op_put(name, name, WEIR_KV_ANY);
        ops[2] = op_add(999, &range, 1);
        ck_assert_int_eq(rig_commit(a, ops, 3), 0);
        keep_state(i);
    }
}

/* Its state is that behind one of the commits, or it is in the middle of the
 * next one, and says so: which, of 12. */
static int which_state(struct rig_node *node)
{
    size_t len;
    unsigned char *data;
    int i = 0;

    while (i < 12 && states[i].version != version_of(node))
        i++;
    ck_assert_int_lt(i, 12);
    if (weir__state_partial(weir__manifest_state(node->manifest)))
        return i;
    data = rig_state(node, &len);
    ck_assert_uint_eq(len, states[i].len);
    ck_assert_mem_eq(data, states[i].data, len);
    free(data);
    return i;
}

/* Each allocation fails, by itself or with those behind it. */
START_TEST(out_of_memory_while_carried_commits_are_taken_loses_nothing)
{
    static const int rows[] = {0, 3, 8};
    struct weir__refresh refresh = {.done = refreshed};
    int amid = 0; /* It stopped between the first and the last. */
    long calls;
    long n = 0;

    do {
        int i;

        commit_states();
        calls = rig.env.alloc.calls;
        test_alloc_fail(&rig.env.alloc, ++n, rows[_i]);
        weir__manifest_refresh(b->manifest, &refresh);
        virtual_env_settle(&rig.env);
        i = which_state(b);
        amid += i > 0 && i < 11;
        calls = rig.env.alloc.calls - calls;
        virtual_env_sleep(&rig.env, UINT64_C(60000000000));
        ck_assert_int_eq(which_state(b), 11);
        rig_same(a, b);
    } while (n <= calls);
    for (int i = 0; i < 12; i++) {
        free(states[i].data);
        states[i].data = NULL;
    }
    ck_assert_int_gt(n, 50);
    ck_assert_int_gt(amid, 10);
}
END_TEST

/* A commit, the last of whose carried ones carries the one before it once
 * more: nobody writes that. */
static void nest(uint64_t version)
{
    static unsigned char nested[2 * sizeof(stored)];
    struct weir_iov list[WEIR__MANIFEST_CARRY + 1];
    size_t len = read_commit(version);
    unsigned char *inner;
    size_t count = 0;
    size_t more;
    size_t at = 0;
    char name[WEIR__KEY_SIZE];

    while (weir__record_carried(stored, len, &at, &list[count]) != 0)
        count++;
    ck_assert_uint_ge(count, 2);
    more = list[count - 2].len;
    memcpy(nested, stored, len);
    memcpy(nested + len, list[count - 2].data, more);
    inner = nested + len - list[count - 1].len;
    weir__put16(inner + 4, WEIR__COMMIT_CARRIES);
    weir__put32(inner + 12, (uint32_t)more);
    weir__manifest_seal(inner, list[count - 1].len + more);
    weir__put32(nested + 12, weir__get32(nested + 12) + (uint32_t)more);
    weir__manifest_seal(nested, len + more);
    weir__manifest_log_key(name, version);
    rig_put(&rig, name, nested, len + more);
}

/* It is damage, and nothing of it is taken: each commit is read by itself. */
START_TEST(a_carried_commit_that_carries_others_is_not_taken)
{
    long before = fault_store_count(b->store);
    uint64_t first = version_of(a) + 1;

    commit_many(a, MANY);
    for (uint64_t version = first; version <= version_of(a); version++)
        nest(version);
    ck_assert_int_eq(rig_refresh(b), 0);
    rig_same(a, b);
    ck_assert_int_ge(fault_store_count(b->store) - before, MANY);
}
END_TEST

int main(void)
{
    TCase *bytes = test_case("carried bytes");
    TCase *nodes = test_case("carried commits");

    tcase_add_checked_fixture(bytes, setup_bytes, teardown_bytes);
    tcase_add_test(bytes, a_commit_is_read_with_what_it_carries);
    tcase_add_test(bytes, every_flipped_bit_and_every_cut_is_seen);
    tcase_add_test(bytes, a_malformed_one_with_a_right_checksum_does_no_harm);
    tcase_add_test(bytes, it_is_byte_for_byte_the_golden_one);
    tcase_add_checked_fixture(nodes, setup, teardown);
    tcase_add_test(nodes, a_node_that_is_behind_reads_few_of_many);
    tcase_add_test(nodes, one_commit_is_read_with_two_requests);
    tcase_add_test(nodes, a_node_alone_carries_nothing);
    tcase_add_test(nodes, a_long_commit_is_read_by_itself);
    tcase_add_loop_test(nodes, a_read_that_fails_is_made_good, 0, 2);
    tcase_add_test(nodes, a_reader_that_went_too_far_goes_far_again);
    tcase_add_test(nodes, who_wins_leaves_room_for_another);
    tcase_add_test(nodes,
                   after_a_snapshot_what_was_kept_before_it_is_not_carried);
    tcase_add_loop_test(
        nodes, out_of_memory_while_carried_commits_are_taken_loses_nothing, 0,
        3);
    tcase_add_test(nodes, a_carried_commit_that_carries_others_is_not_taken);
    return test_run();
}
