/* SPDX-License-Identifier: Apache-2.0 */
#include "object/object.h"
#include "support/object_rig.h"
#include "support/test.h"
#include <string.h>

#define MIB ((size_t)1 << 20)

static const struct rig_stream streams[] = {
    {.id = 3, .base = 100, .batches = 64, .len = 1000},
    {.id = 4, .base = 0, .batches = 64, .len = 1000, .noise = 1},
    {.id = 9, .base = 5, .batches = 1, .len = 1},
};

static struct rig rig;
static struct rig_object object;

static void setup(void)
{
    rig_init(&rig);
    memset(&object, 0, sizeof(object));
    object.id = 42;
    object.node_epoch = 6;
    object.block_size = 8192;
    object.compress = 1;
    object.streams = streams;
    object.stream_count = 3;
    rig_build_and_put(&rig, &object);
    rig_open_reader(&rig, MIB, MIB);
}

static void teardown(void)
{
    rig_object_free(&rig.host, &object);
    rig_close(&rig);
}

/* Ask for a block and check it: the block, to be let go. */
static struct weir__block *get_block(const struct rig_stream *stream,
                                     uint64_t offset)
{
    struct rig_get get;

    if (rig_get(&rig, &get, &object, stream->id, offset) != 0)
        ck_abort_msg("offset %llu: %s", (unsigned long long)offset,
                     get.err.text);
    rig_check_block(get.get.block, stream);
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

int main(void)
{
    TCase *tc = test_case("object_reader");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_batch_comes_back);
    return test_run();
}
