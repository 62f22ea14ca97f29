/* SPDX-License-Identifier: Apache-2.0 */
#include "object/object.h"
#include "support/object_rig.h"
#include "support/test.h"
#include <stdlib.h>
#include <string.h>

static struct test_host host;
static struct obj_object object;

static void setup(void)
{
    test_host_init(&host);
    memset(&object, 0, sizeof(object));
    object.id = 1;
    object.block_size = 32768;
    object.compress = 1;
}

static void teardown(void)
{
    obj_object_free(&host, &object);
    test_host_close(&host);
}

static void build(const struct obj_stream *streams, size_t count)
{
    object.streams = streams;
    object.stream_count = count;
    obj_build(&host, &object);
}

/* What an object's index tells. */
struct index {
    struct weir__footer footer;
    struct weir__index_entry *entries;
};

static void read_index(struct index *index)
{
    const char *why = "";

    ck_assert_int_eq(object.status, 0);
    if (weir__footer_decode(&index->footer,
                            object.bytes + object.size - WEIR__FOOTER,
                            object.size, &why) != 0)
        ck_abort_msg("%s", why);
    index->entries = calloc(index->footer.block_count, sizeof(*index->entries));
    if (weir__index_decode(index->entries, &index->footer,
                           object.bytes + index->footer.index_position,
                           &why) != 0)
        ck_abort_msg("%s", why);
}

/* Decode every block and compare every batch: all of them are there. */
static void check_content(const struct index *index)
{
    size_t s = 0, next = 0;
    uint32_t i;

    for (i = 0; i < index->footer.block_count; i++) {
        struct weir__block_expect expect = {
            .alloc = host.host.alloc,
            .cluster = obj_cluster,
            .object_id = object.id,
            .entry = index->entries[i],
        };
        struct weir__block *block;
        const char *why = "";

        while (next == object.streams[s].batches) {
            s++;
            next = 0;
        }
        if (weir__block_decode(&block, &expect,
                               object.bytes + expect.entry.position, &why) != 0)
            ck_abort_msg("block %u: %s", i, why);
        ck_assert_uint_eq(obj_batch_of(&object.streams[s], block->base), next);
        obj_check_block(block, &object.streams[s]);
        next += block->count;
        weir__block_unref(block);
    }
    while (s < object.stream_count && next == object.streams[s].batches) {
        s++;
        next = 0;
    }
    ck_assert_uint_eq(s, object.stream_count);
}

/* Every batch is in the object, whatever the sizes, kinds and codecs. */
START_TEST(object_holds_every_batch)
{
    static const struct obj_stream streams[] = {
        {.id = 1, .base = 0, .batches = 300, .len = 10},
        {.id = 2, .base = 7, .batches = 0, .len = 0},
        {.id = 3, .base = 1ull << 40, .batches = 40, .len = 5000},
        {.id = 4, .base = 0, .batches = 40, .len = 5000, .noise = 1},
        {.id = 1ull << 63, .base = 9, .batches = 3, .len = 200000, .noise = 1},
        {.id = UINT64_MAX, .base = 9, .batches = 5, .len = 0},
    };
    static const size_t sizes[] = {1, 4096, 32768, 16777216};
    struct index index;

    object.block_size = sizes[_i / 2];
    object.compress = _i % 2;
    build(streams, 6);
    read_index(&index);
    check_content(&index);
    ck_assert_int_eq(index.footer.kind, WEIR__OBJECT_SET);
    free(index.entries);
}
END_TEST

/* Blocks keep to the size; a batch that is larger is alone in its block. */
START_TEST(blocks_keep_to_their_size)
{
    static const struct obj_stream streams[] = {
        {.id = 1, .base = 0, .batches = 100, .len = 9000},
        {.id = 2, .base = 0, .batches = 3, .len = 50000},
    };
    struct index index;
    uint32_t i;

    build(streams, 2);
    read_index(&index);
    for (i = 0; i < index.footer.block_count; i++) {
        const struct weir__index_entry *e = &index.entries[i];

        ck_assert(e->raw_length <= 32768 || e->batch_count == 1);
        if (e->stream_id == 1 && e->end < 199)
            ck_assert_uint_eq(e->batch_count, 3);
    }
    free(index.entries);
}
END_TEST

/* What compresses is compressed; what does not is stored as it is, and the
 * result points to the payloads instead of holding copies. */
START_TEST(compression_only_where_it_pays)
{
    static const struct obj_stream text = {
        .id = 1, .base = 0, .batches = 100, .len = 10000};
    static const struct obj_stream noise = {
        .id = 1, .base = 0, .batches = 100, .len = 10000, .noise = 1};
    size_t i, referred = 0;

    build(&text, 1);
    ck_assert_int_eq(object.status, 0);
    ck_assert_uint_lt(object.size, 200000);
    obj_object_free(&host, &object);
    build(&noise, 1);
    ck_assert_int_eq(object.status, 0);
    ck_assert_uint_gt(object.size, 1000000);
    for (i = 0; i < object.req.iov_count; i++)
        referred += object.req.iov[i].data ==
                    object.build_streams[0].batches[referred].data;
    ck_assert_uint_eq(referred, 100);
    ck_assert_int_lt(host.alloc.bytes, 100000);
}
END_TEST

/* The streams are told what the index says of their blocks. */
START_TEST(streams_are_told_their_share)
{
    static const struct obj_stream streams[] = {
        {.id = 1, .base = 0, .batches = 50, .len = 9000},
        {.id = 2, .base = 0, .batches = 0},
        {.id = 3, .base = 0, .batches = 10, .len = 9000},
    };
    uint64_t stored[4] = {0};
    struct index index;
    uint32_t i;

    build(streams, 3);
    read_index(&index);
    for (i = 0; i < index.footer.block_count; i++)
        stored[index.entries[i].stream_id] += index.entries[i].length;
    ck_assert_uint_eq(object.build_streams[0].stored, stored[1]);
    ck_assert_uint_eq(object.build_streams[1].stored, 0);
    ck_assert_uint_eq(object.build_streams[2].stored, stored[3]);
    ck_assert_int_eq(object.build_streams[0].max_timestamp, 1700000000049);
    ck_assert_int_eq(object.build_streams[1].max_timestamp, WEIR_NO_TIMESTAMP);
    ck_assert_int_eq(object.build_streams[2].max_timestamp, 1700000000009);
    ck_assert_uint_eq(index.footer.index_position, stored[1] + stored[3]);
    free(index.entries);
}
END_TEST

/* A payload that changed since its checksum was taken never gets into an
 * object, be it small or large, compressed or not. */
START_TEST(changed_payload_is_not_stored)
{
    static const struct obj_stream kinds[] = {
        {.id = 1, .base = 0, .batches = 50, .len = 100},
        {.id = 1, .base = 0, .batches = 50, .len = 9000, .noise = 1},
        {.id = 1, .base = 0, .batches = 2, .len = 100000},
        {.id = 1, .base = 0, .batches = 2, .len = 100000, .noise = 1},
    };
    size_t batch = _i < 4 ? 49 : 1;
    unsigned char *data;

    object.compress = _i % 2;
    build(&kinds[_i / 2], 1);
    ck_assert_int_eq(object.status, 0);
    free(object.bytes);
    object.bytes = NULL;
    weir__build_free(&object.req);
    data =
        (unsigned char *)(uintptr_t)object.build_streams[0].batches[batch].data;
    data[50] ^= 4;
    obj_build(&host, &object);
    ck_assert_int_eq(object.status, WEIR_ECORRUPT);
    ck_assert_ptr_null(object.req.iov);
    weir__build_free(&object.req);
}
END_TEST

/* Batches that leave a gap or go back, and streams out of order, are the
 * caller's mistake; so is nothing at all. */
START_TEST(order_is_checked)
{
    static const struct obj_stream streams[] = {
        {.id = 5, .base = 0, .batches = 10, .len = 100},
        {.id = 5, .base = 0, .batches = 10, .len = 100},
    };
    static const struct obj_stream one = {.id = 1, .base = 0, .batches = 0};
    struct weir_batch *batch;

    build(streams, 2);
    ck_assert_int_eq(object.status, WEIR_EINVAL);
    obj_object_free(&host, &object);
    build(streams, 1);
    ck_assert_int_eq(object.status, 0);
    weir__build_free(&object.req);
    free(object.bytes);
    object.bytes = NULL;
    batch = (struct weir_batch *)(uintptr_t)&object.build_streams[0].batches[4];
    batch->base_offset++;
    obj_build(&host, &object);
    ck_assert_int_eq(object.status, WEIR_EINVAL);
    obj_object_free(&host, &object);
    build(&one, 1);
    ck_assert_int_eq(object.status, WEIR_EINVAL);
    obj_object_free(&host, &object);
    build(NULL, 0);
    ck_assert_int_eq(object.status, WEIR_EINVAL);
}
END_TEST

/* The same batches give the same bytes. */
START_TEST(building_is_deterministic)
{
    static const struct obj_stream streams[] = {
        {.id = 1, .base = 0, .batches = 200, .len = 3000},
        {.id = 2, .base = 0, .batches = 200, .len = 3000, .noise = 1},
    };
    unsigned char *first;
    size_t size;

    build(streams, 2);
    first = object.bytes;
    size = object.size;
    object.bytes = NULL;
    weir__build_free(&object.req);
    obj_build(&host, &object);
    ck_assert_uint_eq(object.size, size);
    ck_assert_mem_eq(object.bytes, first, size);
    free(first);
}
END_TEST

/* Whichever allocation fails, the build ends with WEIR_ENOMEM and gives all
 * back, or is right. */
START_TEST(any_allocation_may_fail)
{
    static const struct obj_stream streams[] = {
        {.id = 1, .base = 0, .batches = 20, .len = 3000},
        {.id = 2, .base = 0, .batches = 20, .len = 8000, .noise = 1},
    };
    long n, calls, blocks;
    int failed = 0;

    build(streams, 2);
    for (n = 1, calls = n; calls >= n - 1; n++) {
        weir__build_free(&object.req);
        free(object.bytes);
        object.bytes = NULL;
        blocks = host.alloc.blocks;
        calls = host.alloc.calls;
        test_alloc_fail(&host.alloc, n, 0);
        obj_build(&host, &object);
        calls = host.alloc.calls - calls;
        host.alloc.fail_at = 0;
        if (object.status != 0) {
            ck_assert_int_eq(object.status, WEIR_ENOMEM);
            ck_assert_int_eq(host.alloc.blocks, blocks);
            failed++;
        }
    }
    ck_assert_int_gt(failed, 10);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("build");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, object_holds_every_batch, 0, 8);
    tcase_add_test(tc, blocks_keep_to_their_size);
    tcase_add_test(tc, compression_only_where_it_pays);
    tcase_add_test(tc, streams_are_told_their_share);
    tcase_add_loop_test(tc, changed_payload_is_not_stored, 0, 8);
    tcase_add_test(tc, order_is_checked);
    tcase_add_test(tc, building_is_deterministic);
    tcase_add_test(tc, any_allocation_may_fail);
    return test_run();
}
