/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The manifest's state: what each operation does, and random commits against
 * a model that is too simple to be wrong.
 */
#include "support/host.h"
#include "support/manifest_rig.h"
#include "support/test.h"

#include "manifest/state_inside.h"

#include <stdio.h>
#include <string.h>

static struct test_alloc heap;
static struct weir__state *state;
static uint32_t writer = 1; /* Node that commits, and its epoch. */
static uint64_t writer_epoch;
static int64_t wall;

/* Apply one commit of some operations. */
static void commit(struct weir__op *ops, uint32_t count)
{
    struct weir__record record = {
        .version = weir__state_version(state) + 1,
        .node_id = writer,
        .node_epoch = writer_epoch,
        .wall = ++wall,
        .op_count = count,
    };

    if (weir__state_cluster(state) != NULL)
        memcpy(record.cluster, weir__state_cluster(state), 16);
    ck_assert_int_eq(weir__state_begin(state, &record, NULL), 0);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(weir__state_op(state, &record, i, &ops[i]), 0);
    weir__state_end(state, &record);
}

/* One operation in a commit of its own: its status. */
static int one(struct weir__op *op)
{
    commit(op, 1);
    return op->status;
}

static void join(uint32_t node_id)
{
    struct weir__op op = op_node_open(node_id);

    writer = node_id;
    ck_assert_int_eq(one(&op), 0);
    writer_epoch = op.u.node_open.epoch;
}

static uint64_t create(const char *name)
{
    struct weir__op op = op_create(name);

    ck_assert_int_eq(one(&op), 0);
    return op.u.stream_create.id;
}

/* A stream that is open to append: its id. */
static uint64_t create_open(const char *name)
{
    struct weir__op op = op_open(create(name));

    ck_assert_int_eq(one(&op), 0);
    ck_assert_uint_eq(op.u.stream_open.epoch, 1);
    return op.u.stream_open.id;
}

static uint64_t reserve(uint32_t count)
{
    struct weir__op op = op_reserve(count);

    ck_assert_int_eq(one(&op), 0);
    return op.u.object_reserve.first;
}

/* Add an object with one range: the range's status. */
static int add(uint64_t object, uint64_t stream, uint64_t base, uint64_t end)
{
    struct weir__range range = {.stream_id = stream,
                                .stream_epoch = 1,
                                .base = base,
                                .end = end,
                                .bytes = 10 * (end - base),
                                .max_timestamp = (int64_t)end};
    struct weir__op op = op_add(object, &range, 1);

    ck_assert_int_eq(one(&op), 0);
    return range.status;
}

static void trim(uint64_t stream, uint64_t start)
{
    struct weir__op op = op_trim(stream, 1, start);

    ck_assert_int_eq(one(&op), 0);
}

static size_t dead(void)
{
    size_t count;

    weir__state_dead(state, &count);
    return count;
}

static void setup(void)
{
    test_alloc_init(&heap);
    ck_assert_int_eq(weir__state_new(&state, &heap.alloc), 0);
    writer_epoch = 0;
    wall = 1000;
    join(1);
}

static void teardown(void)
{
    weir__state_free(state);
    test_alloc_check(&heap);
}

/* ---- Nodes, cluster ------------------------------------------------------ */

START_TEST(a_cluster_is_named_once)
{
    struct weir__op op = {.kind = WEIR__OP_CLUSTER};
    unsigned char name[16] = "first";

    ck_assert_ptr_null(weir__state_cluster(state));
    memcpy(op.u.cluster.id, name, 16);
    ck_assert_int_eq(one(&op), 0);
    op.u.cluster.id[0] = 'x';
    ck_assert_int_eq(one(&op), WEIR_EEXIST);
    ck_assert_mem_eq(weir__state_cluster(state), name, 16);
}
END_TEST

START_TEST(a_commit_of_another_cluster_or_version_is_refused)
{
    struct weir__op op = {.kind = WEIR__OP_CLUSTER, .u.cluster.id = "first"};
    struct weir__record record = {.version = 3, .cluster = "other"};

    ck_assert_int_eq(one(&op), 0);
    ck_assert_int_eq(weir__state_begin(state, &record, NULL), WEIR_EFOREIGN);
    record.version = 4;
    ck_assert_int_eq(weir__state_begin(state, &record, NULL), WEIR_EBUG);
}
END_TEST

START_TEST(opening_a_node_fences_its_former_epoch)
{
    struct weir__op ops[10] = {
        op_create("a"),
        op_delete(1),
        op_open(1),
        op_trim(1, 1, 1),
        op_reserve(1),
        op_add(1, NULL, 0),
        {.kind = WEIR__OP_OBJECT_REMOVED},
        op_put("k", "v", WEIR_KV_ANY),
        op_node_open(1),
        op_create("b"),
    };

    ck_assert_uint_eq(weir__state_node_epoch(state, 1), 1);
    join(1);
    ck_assert_uint_eq(weir__state_node_epoch(state, 1), 2);
    writer_epoch = 1;
    commit(ops, 10);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(ops[i].status, WEIR_EFENCED);
    /* It may open itself again, and then is fenced all the more. */
    ck_assert_int_eq(ops[8].status, 0);
    ck_assert_uint_eq(ops[8].u.node_open.epoch, 3);
    ck_assert_int_eq(ops[9].status, WEIR_EFENCED);
    ck_assert_uint_eq(weir__state_stream_count(state), 0);
}
END_TEST

/* Of two that have seen the same epoch one gets the next; nothing is changed
 * by the other one. */
START_TEST(a_node_that_another_has_opened_since_is_not_opened)
{
    struct weir__op first = op_node_open(1);
    struct weir__op second = op_node_open(1);
    struct weir__op never = op_node_open(5);

    first.u.node_open.next = weir__state_node_epoch(state, 1) + 1;
    first.u.node_open.wal_id = 77;
    second.u.node_open.next = first.u.node_open.next;
    second.u.node_open.wal_id = 88;
    never.u.node_open.next = 2;
    ck_assert_int_eq(one(&first), 0);
    ck_assert_uint_eq(first.u.node_open.epoch, first.u.node_open.next);
    ck_assert_int_eq(one(&second), WEIR_EFENCED);
    ck_assert_uint_eq(weir__state_node_epoch(state, 1), first.u.node_open.next);
    ck_assert_uint_eq(weir__state_node_wal(state, 1), 77);
    ck_assert_int_eq(one(&never), WEIR_EFENCED);
    ck_assert_uint_eq(weir__state_node_epoch(state, 5), 0);
}
END_TEST

/* Which WAL must be there when the node is opened again. */
START_TEST(a_node_has_its_wal_until_it_says_that_all_is_in_objects)
{
    struct weir__op open = op_node_open(1);
    struct weir__op clean = {.kind = WEIR__OP_NODE_CLEAN};

    open.u.node_open.wal_id = 77;
    ck_assert_int_eq(one(&open), 0);
    ck_assert_uint_eq(weir__state_node_wal(state, 1), 77);
    ck_assert_int_eq(one(&clean), WEIR_EFENCED);
    ck_assert_uint_eq(weir__state_node_wal(state, 1), 77);
    writer_epoch = open.u.node_open.epoch;
    ck_assert_int_eq(one(&clean), 0);
    ck_assert_uint_eq(weir__state_node_wal(state, 1), 0);
    ck_assert_uint_eq(weir__state_node_wal(state, 5), 0);
}
END_TEST

START_TEST(an_epoch_that_was_never_granted_is_fenced)
{
    struct weir__op op = op_create("a");

    writer_epoch = 2;
    ck_assert_int_eq(one(&op), WEIR_EFENCED);
}
END_TEST

/* ---- Streams ------------------------------------------------------------- */

START_TEST(a_name_is_taken_until_its_stream_is_deleted)
{
    struct weir__op again = op_create("a");
    struct weir__op gone = op_delete(1);

    ck_assert_uint_eq(create("a"), 1);
    ck_assert_int_eq(one(&again), WEIR_EEXIST);
    ck_assert_uint_eq(again.u.stream_create.id, 1);
    ck_assert_int_eq(one(&gone), 0);
    ck_assert_int_eq(one(&gone), WEIR_ENOENT);
    ck_assert_uint_eq(create("a"), 2);
    ck_assert_ptr_null(weir__state_stream(state, 1));
}
END_TEST

START_TEST(streams_are_listed_by_name)
{
    static const char *const sorted[] = {"B", "a", "ab", "b", "\xc3\xa9"};
    const char *after = NULL;

    create("b");
    create("\xc3\xa9");
    create("ab");
    create("B");
    create("a");
    for (int i = 0; i < 5; i++) {
        const struct weir__mstream *s = weir__state_stream_after(state, after);

        ck_assert_ptr_nonnull(s);
        ck_assert_str_eq(s->name, sorted[i]);
        after = s->name;
    }
    ck_assert_ptr_null(weir__state_stream_after(state, after));
    ck_assert_str_eq(weir__state_stream_after(state, "aa")->name, "ab");
}
END_TEST

START_TEST(opening_a_stream_takes_the_next_epoch)
{
    uint64_t id = create_open("a");
    struct weir__op op = op_open(id);
    struct weir__op nothing = op_open(77);

    join(2);
    ck_assert_int_eq(one(&op), 0);
    ck_assert_uint_eq(op.u.stream_open.epoch, 2);
    ck_assert_uint_eq(weir__state_stream(state, id)->owner, 2);
    ck_assert_int_eq(one(&nothing), WEIR_ENOENT);
}
END_TEST

START_TEST(trim_drops_whole_extents_and_then_their_objects)
{
    uint64_t s = create_open("a");
    uint64_t o = reserve(2);
    const struct weir__mstream *stream = weir__state_stream(state, s);
    const struct weir__mdead *gone;
    size_t count;

    ck_assert_int_eq(add(o, s, 0, 10), 0);
    ck_assert_int_eq(add(o + 1, s, 10, 20), 0);
    ck_assert_uint_eq(stream->bytes, 200);
    trim(s, 9);
    ck_assert_uint_eq(stream->extent_count, 2);
    trim(s, 5); /* Backwards: nothing. */
    ck_assert_uint_eq(stream->start, 9);
    trim(s, 10);
    ck_assert_uint_eq(stream->extent_count, 1);
    ck_assert_uint_eq(stream->bytes, 100);
    ck_assert_ptr_null(weir__state_object(state, o));
    ck_assert_ptr_nonnull(weir__state_object(state, o + 1));
    gone = weir__state_dead(state, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(gone[0].id, o);
    ck_assert_int_eq(gone[0].since, wall);
    ck_assert_uint_eq(weir__state_object_bytes(state), 100);
}
END_TEST

START_TEST(trim_asks_for_the_streams_epoch)
{
    uint64_t s = create_open("a");
    struct weir__op old = op_trim(s, 0, 5);
    struct weir__op nothing = op_trim(77, 1, 5);

    ck_assert_int_eq(one(&old), WEIR_EFENCED);
    ck_assert_int_eq(one(&nothing), WEIR_ENOENT);
    ck_assert_uint_eq(weir__state_stream(state, s)->start, 0);
}
END_TEST

START_TEST(an_object_lives_as_long_as_one_extent_names_it)
{
    uint64_t a = create_open("a");
    uint64_t b = create_open("b");
    uint64_t o = reserve(1);
    struct weir__range ranges[2] = {{a, 1, 0, 5, 50, 1, 0},
                                    {b, 1, 0, 5, 50, 1, 0}};
    struct weir__op op = op_add(o, ranges, 2);
    struct weir__op gone = op_delete(a);

    ck_assert_int_eq(one(&op), 0);
    ck_assert_uint_eq(weir__state_object(state, o)->live, 2);
    ck_assert_int_eq(one(&gone), 0);
    ck_assert_uint_eq(weir__state_object(state, o)->live, 1);
    ck_assert_uint_eq(dead(), 0);
    trim(b, 5);
    ck_assert_ptr_null(weir__state_object(state, o));
    ck_assert_uint_eq(dead(), 1);
}
END_TEST

START_TEST(an_extent_is_found_by_offset)
{
    uint64_t s = create_open("a");
    uint64_t o = reserve(3);
    const struct weir__mstream *stream = weir__state_stream(state, s);

    ck_assert_ptr_null(weir__mstream_extent(stream, 0));
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_int_eq(add(o + i, s, 10 * i, 10 * i + 10), 0);
    ck_assert_uint_eq(weir__mstream_extent(stream, 0)->base, 0);
    ck_assert_uint_eq(weir__mstream_extent(stream, 9)->base, 0);
    ck_assert_uint_eq(weir__mstream_extent(stream, 10)->base, 10);
    ck_assert_uint_eq(weir__mstream_extent(stream, 29)->base, 20);
    ck_assert_ptr_null(weir__mstream_extent(stream, 30));
    trim(s, 10);
    ck_assert_uint_eq(weir__mstream_extent(stream, 0)->base, 10);
}
END_TEST

/* ---- Objects ------------------------------------------------------------- */

START_TEST(a_range_must_join_on_to_what_is_committed)
{
    uint64_t s = create_open("a");
    uint64_t o = reserve(10);

    ck_assert_int_eq(add(o++, s, 5, 10), WEIR_ECONFLICT);
    ck_assert_int_eq(add(o++, s, 0, 10), 0);
    ck_assert_int_eq(add(o++, s, 0, 10), WEIR_ECONFLICT);
    ck_assert_int_eq(add(o++, s, 9, 12), WEIR_ECONFLICT);
    ck_assert_int_eq(add(o++, s, 10, 10), WEIR_EINVAL);
    /* What is trimmed away need not have been there. */
    trim(s, 20);
    ck_assert_int_eq(add(o++, s, 21, 25), WEIR_ECONFLICT);
    ck_assert_int_eq(add(o++, s, 15, 25), 0);
    ck_assert_uint_eq(weir__state_stream(state, s)->committed_end, 25);
    ck_assert_uint_eq(weir__state_stream(state, s)->extents[0].base, 15);
    ck_assert_int_eq(add(o++, 77, 0, 1), WEIR_ENOENT);
}
END_TEST

START_TEST(a_range_wholly_below_the_start_leaves_no_extent)
{
    uint64_t s = create_open("a");
    uint64_t o = reserve(1);

    trim(s, 20);
    ck_assert_int_eq(add(o, s, 0, 20), 0);
    ck_assert_uint_eq(weir__state_stream(state, s)->committed_end, 20);
    ck_assert_uint_eq(weir__state_stream(state, s)->extent_count, 0);
    ck_assert_uint_eq(dead(), 1);
}
END_TEST

START_TEST(a_range_of_another_stream_epoch_is_fenced_alone)
{
    uint64_t a = create_open("a");
    uint64_t b = create_open("b");
    uint64_t o = reserve(1);
    struct weir__op open = op_open(a);
    struct weir__range ranges[2] = {{a, 1, 0, 5, 50, 1, 0},
                                    {b, 1, 0, 5, 50, 1, 0}};
    struct weir__op op = op_add(o, ranges, 2);

    ck_assert_int_eq(one(&open), 0);
    ck_assert_int_eq(one(&op), 0);
    ck_assert_int_eq(ranges[0].status, WEIR_EFENCED);
    ck_assert_int_eq(ranges[1].status, 0);
    ck_assert_uint_eq(weir__state_object(state, o)->live, 1);
}
END_TEST

/* A stream that nobody has opened cannot have been appended to. */
START_TEST(a_stream_never_opened_takes_no_range)
{
    uint64_t s = create("a");
    struct weir__range range = {s, 0, 0, 5, 50, 1, 0};
    struct weir__op op = op_add(reserve(1), &range, 1);

    ck_assert_int_eq(one(&op), 0);
    ck_assert_int_eq(range.status, WEIR_EFENCED);
}
END_TEST

START_TEST(several_ranges_of_one_stream_join_in_order)
{
    uint64_t s = create_open("a");
    struct weir__range ranges[3] = {
        {s, 1, 0, 5, 50, 1, 0}, {s, 1, 5, 6, 10, 1, 0}, {s, 1, 7, 9, 10, 1, 0}};
    struct weir__op op = op_add(reserve(1), ranges, 3);

    ck_assert_int_eq(one(&op), 0);
    ck_assert_int_eq(ranges[1].status, 0);
    ck_assert_int_eq(ranges[2].status, WEIR_ECONFLICT);
    ck_assert_uint_eq(weir__state_object(state, op.u.object_add.id)->live, 2);
}
END_TEST

START_TEST(ranges_out_of_order_are_refused)
{
    uint64_t a = create_open("a");
    uint64_t b = create_open("b");
    uint64_t o = reserve(1);
    struct weir__range ranges[2] = {{b, 1, 0, 5, 50, 1, 0},
                                    {a, 1, 0, 5, 50, 1, 0}};
    struct weir__op op = op_add(o, ranges, 2);

    ck_assert_int_eq(one(&op), WEIR_EINVAL);
    ck_assert_int_eq(add(o, a, 0, 5), 0);
}
END_TEST

/* An id is reserved, used once, and never given again. */
START_TEST(an_object_needs_an_id_that_its_node_has_reserved)
{
    uint64_t s = create_open("a");
    uint64_t o = reserve(3);
    struct weir__op twice = op_add(o + 1, NULL, 0);
    struct weir__op never = op_add(o + 3, NULL, 0);
    struct weir__op other = op_add(o + 2, NULL, 0);

    ck_assert_uint_eq(o, 1);
    ck_assert_int_eq(add(o + 1, s, 0, 5), 0);
    ck_assert_int_eq(one(&twice), WEIR_EFENCED);
    ck_assert_int_eq(one(&never), WEIR_EFENCED);
    ck_assert_uint_eq(reserve(1), 4);
    join(2);
    ck_assert_int_eq(one(&other), WEIR_EFENCED);
}
END_TEST

START_TEST(a_node_that_opens_again_leaves_its_reserved_ids_to_the_sweeper)
{
    uint64_t s = create_open("a");
    uint64_t o = reserve(5);
    struct weir__op late = op_add(o, NULL, 0);
    const struct weir__mdead *gone;
    size_t count;

    ck_assert_int_eq(add(o + 2, s, 0, 5), 0);
    join(1);
    gone = weir__state_dead(state, &count);
    ck_assert_uint_eq(count, 4);
    ck_assert_uint_eq(gone[0].id, o);
    ck_assert_uint_eq(gone[1].id, o + 1);
    ck_assert_uint_eq(gone[2].id, o + 3);
    ck_assert_uint_eq(gone[3].id, o + 4);
    ck_assert_int_eq(one(&late), WEIR_EFENCED);
}
END_TEST

START_TEST(reservations_have_a_limit)
{
    struct weir__op op;

    for (int i = 0; i < 16; i++)
        reserve(WEIR__RESERVE_MAX);
    op = op_reserve(1);
    ck_assert_int_eq(one(&op), WEIR_ETOOBIG);
}
END_TEST

START_TEST(removed_objects_are_dead_no_more)
{
    uint64_t o = reserve(6);
    uint64_t ids[4] = {o + 4, o + 1, 0, 12345};
    struct weir__op op = {.kind = WEIR__OP_OBJECT_REMOVED};
    const struct weir__mdead *gone;
    size_t count;

    join(1);
    ck_assert_uint_eq(dead(), 6);
    op.u.object_removed.ids = ids;
    op.u.object_removed.count = 4;
    ck_assert_int_eq(one(&op), 0);
    gone = weir__state_dead(state, &count);
    ck_assert_uint_eq(count, 4);
    ck_assert_uint_eq(gone[0].id, o);
    ck_assert_uint_eq(gone[1].id, o + 2);
    ck_assert_uint_eq(gone[2].id, o + 3);
    ck_assert_uint_eq(gone[3].id, o + 5);
}
END_TEST

/* ---- Keys -----------------------------------------------------------------
 */

START_TEST(a_key_changes_only_at_the_version_expected)
{
    struct weir__op first = op_put("k", "1", WEIR_KV_ABSENT);
    struct weir__op second = op_put("k", "2", WEIR_KV_ABSENT);

    ck_assert_int_eq(one(&first), 0);
    ck_assert_uint_eq(first.u.kv_put.version, 1);
    ck_assert_int_eq(one(&second), WEIR_ECONFLICT);
    ck_assert_uint_eq(second.u.kv_put.version, 1);
    second.u.kv_put.expected = 1;
    ck_assert_int_eq(one(&second), 0);
    ck_assert_uint_eq(second.u.kv_put.version, 2);
    ck_assert_int_eq(one(&second), WEIR_ECONFLICT);
    ck_assert_mem_eq(weir__state_kv(state, "k")->value, "2", 1);
}
END_TEST

/* Else a compare-and-set could not tell them apart. */
START_TEST(two_puts_in_one_commit_get_two_versions)
{
    struct weir__op ops[2] = {op_put("k", "1", WEIR_KV_ANY),
                              op_put("k", "2", WEIR_KV_ANY)};

    commit(ops, 2);
    ck_assert_uint_ne(ops[0].u.kv_put.version, ops[1].u.kv_put.version);
}
END_TEST

START_TEST(a_version_never_comes_back)
{
    struct weir__op put = op_put("k", "1", WEIR_KV_ANY);
    struct weir__op gone = op_put("k", NULL, 1);

    ck_assert_int_eq(one(&put), 0);
    ck_assert_int_eq(one(&gone), 0);
    ck_assert_uint_eq(gone.u.kv_put.version, 0);
    ck_assert_ptr_null(weir__state_kv(state, "k"));
    gone.u.kv_put.expected = WEIR_KV_ANY;
    ck_assert_int_eq(one(&gone), 0);
    put.u.kv_put.expected = WEIR_KV_ABSENT;
    ck_assert_int_eq(one(&put), 0);
    ck_assert_uint_gt(put.u.kv_put.version, 1);
}
END_TEST

START_TEST(keys_are_listed_in_order)
{
    struct weir__op ops[3] = {op_put("b", "", WEIR_KV_ANY),
                              op_put("a", "", WEIR_KV_ANY),
                              op_put("c", "", WEIR_KV_ANY)};

    commit(ops, 3);
    ck_assert_str_eq(weir__state_kv_after(state, "")->key, "a");
    ck_assert_str_eq(weir__state_kv_after(state, "a")->key, "b");
    ck_assert_str_eq(weir__state_kv_after(state, "bb")->key, "c");
    ck_assert_ptr_null(weir__state_kv_after(state, "c"));
    ck_assert_ptr_nonnull(weir__state_kv(state, "a")->value);
}
END_TEST

/* ---- Many ------------------------------------------------------------------
 */

START_TEST(a_hundred_thousand_streams_are_found_and_listed)
{
    enum { COUNT = 100000 };
    const char *after = NULL;
    char name[32];
    size_t seen = 0;
    long bytes = heap.bytes;

    for (int i = 0; i < COUNT; i++) {
        /* In an order that is not the names'. */
        snprintf(name, sizeof(name), "stream-%05d", (i * 7919) % COUNT);
        create(name);
    }
    bytes = (heap.bytes - bytes) / COUNT;
    ck_assert_msg(bytes <= 300, "%ld bytes for each stream", bytes);
    for (;;) {
        const struct weir__mstream *s = weir__state_stream_after(state, after);

        if (s == NULL)
            break;
        after = s->name;
        snprintf(name, sizeof(name), "stream-%05zu", seen++);
        ck_assert_str_eq(s->name, name);
        ck_assert_ptr_eq(weir__state_stream(state, s->id), s);
    }
    ck_assert_uint_eq(seen, COUNT);
    for (uint64_t id = 1; id <= COUNT; id++) {
        struct weir__op op = op_delete(id * 7907 % 100003);

        if (weir__state_stream(state, op.u.stream_delete.id) != NULL)
            ck_assert_int_eq(one(&op), 0);
    }
    ck_assert_uint_lt(weir__state_stream_count(state), 10);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("state");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_cluster_is_named_once);
    tcase_add_test(tc, a_commit_of_another_cluster_or_version_is_refused);
    tcase_add_test(tc, opening_a_node_fences_its_former_epoch);
    tcase_add_test(tc, a_node_that_another_has_opened_since_is_not_opened);
    tcase_add_test(tc, a_node_has_its_wal_until_it_says_that_all_is_in_objects);
    tcase_add_test(tc, an_epoch_that_was_never_granted_is_fenced);
    tcase_add_test(tc, a_name_is_taken_until_its_stream_is_deleted);
    tcase_add_test(tc, streams_are_listed_by_name);
    tcase_add_test(tc, opening_a_stream_takes_the_next_epoch);
    tcase_add_test(tc, trim_drops_whole_extents_and_then_their_objects);
    tcase_add_test(tc, trim_asks_for_the_streams_epoch);
    tcase_add_test(tc, an_object_lives_as_long_as_one_extent_names_it);
    tcase_add_test(tc, an_extent_is_found_by_offset);
    tcase_add_test(tc, a_range_must_join_on_to_what_is_committed);
    tcase_add_test(tc, a_range_wholly_below_the_start_leaves_no_extent);
    tcase_add_test(tc, a_range_of_another_stream_epoch_is_fenced_alone);
    tcase_add_test(tc, a_stream_never_opened_takes_no_range);
    tcase_add_test(tc, several_ranges_of_one_stream_join_in_order);
    tcase_add_test(tc, ranges_out_of_order_are_refused);
    tcase_add_test(tc, an_object_needs_an_id_that_its_node_has_reserved);
    tcase_add_test(
        tc, a_node_that_opens_again_leaves_its_reserved_ids_to_the_sweeper);
    tcase_add_test(tc, reservations_have_a_limit);
    tcase_add_test(tc, removed_objects_are_dead_no_more);
    tcase_add_test(tc, a_key_changes_only_at_the_version_expected);
    tcase_add_test(tc, two_puts_in_one_commit_get_two_versions);
    tcase_add_test(tc, a_version_never_comes_back);
    tcase_add_test(tc, keys_are_listed_in_order);
    tcase_add_test(tc, a_hundred_thousand_streams_are_found_and_listed);
    return test_run();
}
