/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Objects of each released version of the format, kept in tests/golden: they
 * are read for ever, and the present version is still written so.
 * WEIR_GOLDEN=write makes them anew.
 */
#include "support/object_rig.h"
#include "support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct obj_stream streams[] = {
    {.id = 1, .base = 0, .batches = 20, .len = 100},
    {.id = 2, .base = 1000, .batches = 5, .len = 200, .noise = 1},
    {.id = 0x8000000000000001, .base = 1, .batches = 1, .len = 0},
};

/* LZ4's bytes depend on its version, so the compressed one is only read. */
static const char *const files[] = {"tests/golden/object-v1.bin",
                                    "tests/golden/object-v1-lz4.bin"};

static struct obj_rig rig;
static struct obj_object object;

static void setup(void)
{
    obj_init(&rig);
    memset(&object, 0, sizeof(object));
    object.id = 0x0102030405060708;
    object.node_epoch = 9;
    object.block_size = 1000;
    object.streams = streams;
    object.stream_count = 3;
}

static void teardown(void)
{
    obj_object_free(&rig.host, &object);
    obj_close(&rig);
}

static void write_file(const char *name)
{
    FILE *file = fopen(name, "wb");

    if (file == NULL ||
        fwrite(object.bytes, 1, object.size, file) != object.size ||
        fclose(file) != 0)
        ck_abort_msg("%s: cannot be written", name);
}

static unsigned char *read_file(const char *name, size_t *len)
{
    unsigned char *data = malloc(65536);
    FILE *file = fopen(name, "rb");

    if (file == NULL || data == NULL)
        ck_abort_msg("%s: cannot be read: run in the project's folder", name);
    *len = fread(data, 1, 65536, file);
    fclose(file);
    return data;
}

static void read_stream(const struct obj_stream *stream)
{
    uint64_t offset = stream->base;
    size_t batches = 0;

    while (batches < stream->batches) {
        struct obj_get get;

        if (obj_get(&rig, &get, &object, stream->id, offset) != 0)
            ck_abort_msg("%s", get.err.text);
        obj_check_block(get.get.block, stream);
        batches += get.get.block->count;
        offset = get.get.block->end;
        weir__block_unref(get.get.block);
    }
}

START_TEST(version_1_is_read)
{
    unsigned char *data;
    size_t i;

    object.compress = _i;
    obj_build(&rig.host, &object);
    ck_assert_int_eq(object.status, 0);
    if (getenv("WEIR_GOLDEN") != NULL)
        write_file(files[_i]);
    data = read_file(files[_i], &object.size);
    obj_put(&rig, object.id, data, object.size);
    free(data);
    obj_open_reader(&rig, 1 << 20, 1 << 20);
    for (i = 0; i < 3; i++)
        read_stream(&streams[i]);
}
END_TEST

START_TEST(version_1_is_written)
{
    unsigned char *data;
    size_t len;

    obj_build(&rig.host, &object);
    data = read_file(files[0], &len);
    ck_assert_uint_eq(object.size, len);
    ck_assert_mem_eq(object.bytes, data, len);
    free(data);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("object_golden");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, version_1_is_read, 0, 2);
    tcase_add_test(tc, version_1_is_written);
    return test_run();
}
