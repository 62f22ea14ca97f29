/* SPDX-License-Identifier: Apache-2.0 */
#include "object/object.h"
#include "support/object_rig.h"
#include "support/test.h"
#include <string.h>

#define MIB ((size_t)1 << 20)

static const struct obj_stream streams[] = {
    {.id = 3, .base = 100, .batches = 64, .len = 1000},
    {.id = 4, .base = 0, .batches = 64, .len = 1000, .noise = 1},
    {.id = 9, .base = 5, .batches = 1, .len = 1},
};

static struct obj_rig rig;
static struct obj_object object;

static void setup(void)
{
    obj_init(&rig);
    memset(&object, 0, sizeof(object));
    object.id = 42;
    object.node_epoch = 6;
    object.block_size = 8192;
    object.compress = 1;
    object.streams = streams;
    object.stream_count = 3;
    obj_build_and_put(&rig, &object);
    obj_open_reader(&rig, MIB, MIB);
}

static void teardown(void)
{
    obj_object_free(&rig.host, &object);
    obj_close(&rig);
}

/* Ask for a block and check it: the block, to be let go. */
static struct weir__block *get_block(const struct obj_stream *stream,
                                     uint64_t offset)
{
    struct obj_get get;

    if (obj_get(&rig, &get, &object, stream->id, offset) != 0)
        ck_abort_msg("offset %llu: %s", (unsigned long long)offset,
                     get.err.text);
    obj_check_block(get.get.block, stream);
    return get.get.block;
}

/* What was built is what is read, batch for batch, and nothing is missing. */
START_TEST(every_batch_comes_back)
{
    size_t i;

    for (i = 0; i < 3; i++) {
        uint64_t offset = streams[i].base;
        size_t batches = 0;

        while (batches < streams[i].batches) {
            struct weir__block *block = get_block(&streams[i], offset);

            ck_assert_uint_eq(block->base, offset);
            offset = block->end;
            batches += block->count;
            weir__block_unref(block);
        }
        ck_assert_uint_eq(batches, streams[i].batches);
    }
}
END_TEST

/* However many ask for one block, its object is asked for index and block
 * once each; all get the same block. */
START_TEST(many_ask_and_one_get_is_made)
{
    struct obj_get gets[50];
    int i;

    obj_close_reader(&rig);
    obj_open_reader(&rig, _i == 0 ? MIB : 0, MIB);
    for (i = 0; i < 50; i++)
        obj_get_start(&rig, &gets[i], &object, 3, 101, 0);
    for (i = 0; i < 50; i++) {
        test_host_run(&rig.host, &gets[i].done);
        ck_assert_int_eq(gets[i].status, 0);
        ck_assert_ptr_eq(gets[i].get.block, gets[0].get.block);
    }
    ck_assert_int_eq(rig.store.gets, 2);
    obj_check_block(gets[0].get.block, &streams[0]);
    for (i = 0; i < 50; i++)
        weir__block_unref(gets[i].get.block);
}
END_TEST

/* A block that was read is not read again while it is in the cache. */
START_TEST(cached_block_needs_no_get)
{
    struct weir__object_reader_counts counts;
    long gets;

    weir__block_unref(get_block(&streams[0], 100));
    gets = rig.store.gets;
    weir__block_unref(get_block(&streams[0], 100));
    weir__block_unref(get_block(&streams[0], 102));
    ck_assert_int_eq(rig.store.gets, gets);
    weir__object_reader_counts(rig.reader, &counts);
    ck_assert_uint_eq(counts.hits, 2);
    ck_assert_uint_eq(counts.misses, 1);
    ck_assert_uint_gt(counts.bytes, 7000);
}
END_TEST

/* With no room in the cache every block is read anew. */
START_TEST(no_cache_keeps_nothing)
{
    struct weir__object_reader_counts counts;

    obj_close_reader(&rig);
    obj_open_reader(&rig, 0, 0);
    weir__block_unref(get_block(&streams[0], 100));
    weir__block_unref(get_block(&streams[0], 100));
    ck_assert_int_eq(rig.store.gets, 3);
    weir__object_reader_counts(rig.reader, &counts);
    ck_assert_uint_eq(counts.misses, 2);
    ck_assert_uint_eq(counts.bytes, 0);
}
END_TEST

/* The cache never holds more than it may, and drops what was used longest
 * ago. */
START_TEST(cache_drops_the_oldest)
{
    struct weir__object_reader_counts counts;
    uint64_t offset = 100;
    long gets;
    int i;

    obj_close_reader(&rig);
    obj_open_reader(&rig, 30000, MIB);
    for (i = 0; i < 6; i++) {
        struct weir__block *block = get_block(&streams[0], offset);

        offset = block->end;
        weir__block_unref(block);
        weir__block_unref(get_block(&streams[0], 100));
        weir__object_reader_counts(rig.reader, &counts);
        ck_assert_uint_le(counts.bytes, 30000);
    }
    gets = rig.store.gets;
    weir__block_unref(get_block(&streams[0], 100));
    weir__block_unref(get_block(&streams[0], offset - 1));
    ck_assert_int_eq(rig.store.gets, gets);
    weir__block_unref(get_block(&streams[0], 116));
    ck_assert_int_eq(rig.store.gets, gets + 1);
}
END_TEST

/* Blocks side by side that were asked for in one turn come in one GET. */
START_TEST(neighbours_come_in_one_get)
{
    struct obj_get gets[3];
    uint64_t offsets[3] = {100, 120, 140};
    int i;

    weir__block_unref(get_block(&streams[2], 5)); /* The index. */
    rig.store.gets = 0;
    for (i = 0; i < 3; i++)
        obj_get_start(&rig, &gets[i], &object, 3, offsets[i], 0);
    for (i = 0; i < 3; i++) {
        test_host_run(&rig.host, &gets[i].done);
        ck_assert_int_eq(gets[i].status, 0);
        obj_check_block(gets[i].get.block, &streams[0]);
        ck_assert_uint_le(gets[i].get.block->base, offsets[i]);
        ck_assert_uint_gt(gets[i].get.block->end, offsets[i]);
        weir__block_unref(gets[i].get.block);
    }
    ck_assert_int_le(rig.store.gets, 2);
}
END_TEST

/* What is read ahead is there when it is asked for, and came along in the
 * same GET; another stream's blocks did not. */
START_TEST(readahead_makes_the_next_get_needless)
{
    struct weir__block *block;
    struct obj_get get;
    uint64_t next;

    weir__block_unref(get_block(&streams[2], 5));
    rig.store.gets = 0;
    obj_get_start(&rig, &get, &object, 4, 0, 14000);
    test_host_run(&rig.host, &get.done);
    test_host_settle(&rig.host);
    next = get.get.block->end;
    weir__block_unref(get.get.block);
    block = get_block(&streams[1], next);
    next = block->end;
    weir__block_unref(block);
    block = get_block(&streams[1], next);
    next = block->end;
    weir__block_unref(block);
    ck_assert_int_eq(rig.store.gets, 1);
    weir__block_unref(get_block(&streams[1], next));
    ck_assert_int_eq(rig.store.gets, 2);
}
END_TEST

/* A sequential reader is read ahead for in large pieces: fewer GETs than
 * blocks. */
START_TEST(readahead_comes_in_large_pieces)
{
    struct obj_get get;
    uint64_t offset = 0;
    int blocks = 0;

    weir__block_unref(get_block(&streams[2], 5));
    rig.store.gets = 0;
    while (offset < 127) {
        obj_get_start(&rig, &get, &object, 4, offset, 30000);
        test_host_run(&rig.host, &get.done);
        ck_assert_int_eq(get.status, 0);
        offset = get.get.block->end;
        weir__block_unref(get.get.block);
        blocks++;
    }
    ck_assert_int_ge(blocks, 9);
    ck_assert_int_le(rig.store.gets, 4);
}
END_TEST

/* Reading ahead ends with the stream. */
START_TEST(readahead_stays_in_its_stream)
{
    struct obj_get get;
    uint64_t bytes;

    weir__block_unref(get_block(&streams[2], 5));
    obj_get_start(&rig, &get, &object, 3, 226, 1000000);
    test_host_run(&rig.host, &get.done);
    ck_assert_int_eq(get.status, 0);
    ck_assert_uint_eq(get.get.block->end, 227); /* The stream's last. */
    weir__block_unref(get.get.block);
    bytes = rig.store.last;
    ck_assert_uint_lt(bytes, 8192);
}
END_TEST

/* An offset between the blocks of a stream gives the next block; one behind
 * the last, or of a stream that is not there, is WEIR_ENOENT. */
START_TEST(offsets_that_are_not_there)
{
    struct weir__block *block = get_block(&streams[0], 0);
    struct obj_get get;

    ck_assert_uint_eq(block->base, 100);
    weir__block_unref(block);
    ck_assert_int_eq(obj_get(&rig, &get, &object, 3, 5000), WEIR_ENOENT);
    ck_assert_ptr_nonnull(strstr(get.err.text, "data/"));
    ck_assert_int_eq(obj_get(&rig, &get, &object, 5, 0), WEIR_ENOENT);
    ck_assert_int_eq(obj_get(&rig, &get, &object, 10, 0), WEIR_ENOENT);
}
END_TEST

/* An object that is not in the store is WEIR_ENOENT, with its name. */
START_TEST(missing_object_is_named)
{
    struct obj_object other = object;
    struct obj_get get;

    other.id = 43;
    ck_assert_int_eq(obj_get(&rig, &get, &other, 3, 0), WEIR_ENOENT);
    ck_assert_ptr_nonnull(strstr(get.err.text, "000000000000002b"));
}
END_TEST

/* Errors of the store that may pass are tried again, four times. */
START_TEST(passing_error_is_tried_again)
{
    rig.store.status = WEIR_EUNAVAILABLE;
    rig.store.fail = 4;
    weir__block_unref(get_block(&streams[0], 100));
    ck_assert_int_eq(rig.store.gets, 6);
}
END_TEST

/* An error that stays is reported in the end, and so is one that will. */
START_TEST(lasting_error_is_reported)
{
    struct obj_get get;

    rig.store.status = WEIR_ETHROTTLED;
    rig.store.fail = 5;
    ck_assert_int_eq(obj_get(&rig, &get, &object, 3, 100), WEIR_ETHROTTLED);
    ck_assert_int_eq(rig.store.gets, 5);
    ck_assert_ptr_nonnull(strstr(get.err.text, "data/"));
    rig.store.status = WEIR_EACCES;
    rig.store.fail = 1;
    ck_assert_int_eq(obj_get(&rig, &get, &object, 3, 100), WEIR_EACCES);
    ck_assert_int_eq(rig.store.gets, 6);
    weir__block_unref(get_block(&streams[0], 100));
}
END_TEST

/* Bytes that were damaged or cut short on their way are read once more. */
START_TEST(damaged_transfer_is_read_again)
{
    *(_i == 0 ? &rig.store.damage : &rig.store.cut) = 1;
    weir__block_unref(get_block(&streams[0], 100)); /* The index's. */
    ck_assert_int_eq(rig.store.gets, 3);
    *(_i == 0 ? &rig.store.damage : &rig.store.cut) = 1;
    weir__block_unref(get_block(&streams[1], 0)); /* The block's. */
    ck_assert_int_eq(rig.store.gets, 5);
}
END_TEST

/* Bytes that come damaged twice are damaged: the error tells where. */
START_TEST(damage_is_reported_with_its_place)
{
    struct obj_get get;

    rig.store.damage = 2;
    ck_assert_int_eq(obj_get(&rig, &get, &object, 3, 100), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(get.err.text, "000000000000002a: index at "));
    weir__block_unref(get_block(&streams[2], 5));
    rig.store.damage = 2;
    ck_assert_int_eq(obj_get(&rig, &get, &object, 3, 100), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(
        strstr(get.err.text, "000000000000002a: block at 0: "));
    rig.store.cut = 2;
    ck_assert_int_eq(obj_get(&rig, &get, &object, 3, 100), WEIR_ECORRUPT);
    weir__block_unref(get_block(&streams[0], 100));
}
END_TEST

/* The store has an object of another size than was committed. */
START_TEST(size_that_differs_is_damage)
{
    struct obj_object other = object;
    struct obj_get get;

    other.size++;
    ck_assert_int_eq(obj_get(&rig, &get, &other, 3, 100), WEIR_ECORRUPT);
    obj_close_reader(&rig);
    obj_open_reader(&rig, MIB, MIB);
    other.size = 10;
    ck_assert_int_eq(obj_get(&rig, &get, &other, 3, 100), WEIR_ECORRUPT);
}
END_TEST

/* An object of another cluster, and one under another's name. */
START_TEST(foreign_objects_are_refused)
{
    struct weir__object_reader_config config = {
        .host = &rig.host.host,
        .store = &rig.store.base,
    };
    struct obj_object other = object;
    struct obj_get get;

    other.id = 77;
    obj_put(&rig, 77, object.bytes, object.size);
    ck_assert_int_eq(obj_get(&rig, &get, &other, 3, 100), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(get.err.text, "another object"));
    ck_assert_ptr_nonnull(strstr(get.err.text, "footer at"));

    obj_close_reader(&rig);
    ck_assert_int_eq(weir__object_reader_open(&rig.reader, &config, NULL), 0);
    ck_assert_int_eq(obj_get(&rig, &get, &object, 3, 100), WEIR_EFOREIGN);
}
END_TEST

/* An index that did not come with the footer is read in a second GET. */
START_TEST(long_index_is_read_whole)
{
    static const struct obj_stream many = {
        .id = 1, .base = 0, .batches = 2000, .len = 100, .noise = 1};
    struct obj_object large = {
        .id = 99,
        .block_size = 1, /* A block for each batch. */
        .streams = &many,
        .stream_count = 1,
    };
    struct obj_get get;

    obj_build_and_put(&rig, &large);
    ck_assert_int_eq(obj_get(&rig, &get, &large, 1, 1999), 0);
    obj_check_block(get.get.block, &many);
    weir__block_unref(get.get.block);
    ck_assert_int_eq(rig.store.gets, 3);
    obj_object_free(&rig.host, &large);
}
END_TEST

/* A forgotten object is read again. */
START_TEST(forgotten_object_is_not_cached)
{
    struct weir__object_reader_counts counts;

    weir__block_unref(get_block(&streams[0], 100));
    weir__object_reader_forget(rig.reader, 42);
    weir__object_reader_forget(rig.reader, 4711);
    weir__object_reader_counts(rig.reader, &counts);
    ck_assert_uint_eq(counts.bytes, 0);
    rig.store.gets = 0;
    weir__block_unref(get_block(&streams[0], 100));
    ck_assert_int_eq(rig.store.gets, 2);
}
END_TEST

/* A block that is on its way when its object is forgotten still comes, and
 * is not kept. */
START_TEST(forgotten_on_its_way)
{
    struct weir__object_reader_counts counts;
    struct obj_get get;

    weir__block_unref(get_block(&streams[2], 5));
    rig.store.hold = 1;
    obj_get_start(&rig, &get, &object, 3, 100, 0);
    test_host_settle(&rig.host);
    weir__object_reader_forget(rig.reader, 42);
    obj_release(&rig);
    test_host_run(&rig.host, &get.done);
    ck_assert_int_eq(get.status, 0);
    weir__block_unref(get.get.block);
    weir__object_reader_counts(rig.reader, &counts);
    ck_assert_uint_eq(counts.bytes, 0);
}
END_TEST

/* Requests that wait, whatever for, end with WEIR_ECLOSED when the reader is
 * closed; what the store gives back later is thrown away. */
START_TEST(close_ends_what_waits)
{
    struct obj_get gets[3];
    int i;

    if (_i > 0)
        weir__block_unref(get_block(&streams[2], 5));
    rig.store.hold = _i < 2;
    if (_i == 3) {
        rig.store.fail = 1;
        rig.store.status = WEIR_ETIMEDOUT;
    }
    for (i = 0; i < 3; i++)
        obj_get_start(&rig, &gets[i], &object, 3, 100 + 30 * (unsigned)i,
                      100000);
    if (_i != 2)
        test_host_settle(&rig.host);
    obj_close_reader(&rig);
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(gets[i].done, 1);
        if (gets[i].status == 0)
            weir__block_unref(gets[i].get.block);
        else
            ck_assert_int_eq(gets[i].status, WEIR_ECLOSED);
    }
}
END_TEST

/* A block outlives its reader. */
START_TEST(block_outlives_the_reader)
{
    struct weir__block *block = get_block(&streams[0], 100);

    obj_close_reader(&rig);
    obj_check_block(block, &streams[0]);
    weir__block_unref(block);
}
END_TEST

/* Far more blocks than may be in flight, asked for in one turn, all come. */
START_TEST(more_requests_than_may_fly)
{
    static struct obj_get gets[500];
    size_t i;

    obj_close_reader(&rig);
    obj_open_reader(&rig, 0, MIB);
    for (i = 0; i < 500; i++)
        obj_get_start(&rig, &gets[i], &object, i % 2 ? 3 : 4,
                      (i % 2 ? 100 : 0) + i % 125, i * 100);
    for (i = 0; i < 500; i++) {
        test_host_run(&rig.host, &gets[i].done);
        ck_assert_int_eq(gets[i].status, 0);
        obj_check_block(gets[i].get.block, &streams[i % 2 ? 0 : 1]);
        weir__block_unref(gets[i].get.block);
    }
}
END_TEST

/* Whichever allocation fails, the request ends, with the block or with
 * WEIR_ENOMEM, and the next one gets the block. */
START_TEST(any_allocation_may_fail)
{
    struct test_alloc *alloc = &rig.host.alloc;
    struct obj_get get;
    long n, calls;

    for (n = 1, calls = n; calls >= n - 1; n++) {
        calls = alloc->calls;
        test_alloc_fail(alloc, n, 0);
        obj_get_start(&rig, &get, &object, 3, 100, 20000);
        test_host_run(&rig.host, &get.done);
        if (get.status == 0)
            weir__block_unref(get.get.block);
        else
            ck_assert_int_eq(get.status, WEIR_ENOMEM);
        obj_close_reader(&rig); /* Waits for what is read ahead. */
        calls = alloc->calls - calls;
        alloc->fail_at = 0;
        obj_open_reader(&rig, MIB, MIB);
        weir__block_unref(get_block(&streams[0], 100));
        obj_close_reader(&rig);
        obj_open_reader(&rig, MIB, MIB);
    }
    ck_assert_int_gt(n, 10);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("object_reader");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_batch_comes_back);
    tcase_add_loop_test(tc, many_ask_and_one_get_is_made, 0, 2);
    tcase_add_test(tc, cached_block_needs_no_get);
    tcase_add_test(tc, no_cache_keeps_nothing);
    tcase_add_test(tc, cache_drops_the_oldest);
    tcase_add_test(tc, neighbours_come_in_one_get);
    tcase_add_test(tc, readahead_makes_the_next_get_needless);
    tcase_add_test(tc, readahead_comes_in_large_pieces);
    tcase_add_test(tc, readahead_stays_in_its_stream);
    tcase_add_test(tc, offsets_that_are_not_there);
    tcase_add_test(tc, missing_object_is_named);
    tcase_add_test(tc, passing_error_is_tried_again);
    tcase_add_test(tc, lasting_error_is_reported);
    tcase_add_loop_test(tc, damaged_transfer_is_read_again, 0, 2);
    tcase_add_test(tc, damage_is_reported_with_its_place);
    tcase_add_test(tc, size_that_differs_is_damage);
    tcase_add_test(tc, foreign_objects_are_refused);
    tcase_add_test(tc, long_index_is_read_whole);
    tcase_add_test(tc, forgotten_object_is_not_cached);
    tcase_add_test(tc, forgotten_on_its_way);
    tcase_add_loop_test(tc, close_ends_what_waits, 0, 4);
    tcase_add_test(tc, block_outlives_the_reader);
    tcase_add_test(tc, more_requests_than_may_fly);
    tcase_add_test(tc, any_allocation_may_fail);
    return test_run();
}
