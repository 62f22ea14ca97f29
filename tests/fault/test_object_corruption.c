/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Every byte of a small object changed, and the object cut at every length:
 * a read gives the right bytes or an error that names the object, and blocks
 * that are not damaged stay readable.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/object.h"
#include "format/object_name.h"
#include "support/object_rig.h"
#include "support/test.h"
#include <stdlib.h>
#include <string.h>

static const struct obj_stream streams[] = {
    {.id = 1, .base = 50, .batches = 9, .len = 90},
    {.id = 2, .base = 0, .batches = 6, .len = 60, .noise = 1},
    {.id = 3, .base = 0, .batches = 1, .len = 400, .noise = 1},
};

static struct obj_rig rig;
static struct obj_object object;
static struct weir__index_entry *entries;
static struct weir__footer footer;
static char key[WEIR__KEY_SIZE];

static void setup(void)
{
    const char *why;

    obj_init(&rig);
    memset(&object, 0, sizeof(object));
    object.id = 0xabcdef;
    object.node_epoch = 3;
    object.block_size = 400;
    object.compress = 1;
    object.streams = streams;
    object.stream_count = 3;
    obj_build_and_put(&rig, &object);
    weir__object_key(key, object.id);
    ck_assert_int_eq(
        weir__footer_decode(&footer, object.bytes + object.size - WEIR__FOOTER,
                            object.size, &why),
        0);
    entries = calloc(footer.block_count, sizeof(*entries));
    ck_assert_int_eq(weir__index_decode(entries, &footer,
                                        object.bytes + footer.index_position,
                                        &why),
                     0);
    ck_assert_uint_ge(footer.block_count, 5);
}

static void teardown(void)
{
    free(entries);
    obj_object_free(&rig.host, &object);
    obj_close(&rig);
}

/* Read block `i` through a reader: right, or an error that names the object.
 */
static int read_block(uint32_t i)
{
    struct obj_get get;

    obj_get(&rig, &get, &object, entries[i].stream_id, entries[i].base);
    if (get.status == 0) {
        ck_assert_uint_eq(get.get.block->base, entries[i].base);
        ck_assert_uint_eq(get.get.block->end, entries[i].end);
        obj_check_block(get.get.block, &streams[entries[i].stream_id - 1]);
        weir__block_unref(get.get.block);
        return 0;
    }
    ck_assert(get.status == WEIR_ECORRUPT || get.status == WEIR_EFOREIGN ||
              get.status == WEIR_EVERSION);
    ck_assert_int_eq(get.err.code, get.status);
    ck_assert_ptr_nonnull(strstr(get.err.text, key));
    return get.status;
}

/* Store other bytes under the object's key, and read each block anew:
 * the number of those that could be read; `bad` is the last that could not.
 */
static uint32_t read_all(const unsigned char *bytes, size_t len, uint32_t *bad)
{
    uint32_t i, good = 0;

    obj_put(&rig, object.id, bytes, len);
    obj_open_reader(&rig, 1 << 20, 1 << 20);
    for (i = 0; i < footer.block_count; i++)
        if (read_block(i) == 0)
            good++;
        else
            *bad = i;
    obj_close_reader(&rig);
    return good;
}

START_TEST(changed_byte_is_noticed_and_confined)
{
    static const unsigned char masks[2][8] = {
        {1, 2, 4, 8, 16, 32, 64, 128},
        {255, 255, 255, 255, 255, 255, 255, 255},
    };
    size_t at;
    uint32_t bad = 0, good;

    for (at = 0; at < object.size; at++) {
        unsigned char mask = masks[_i][at % 8];

        object.bytes[at] ^= mask;
        good = read_all(object.bytes, object.size, &bad);
        object.bytes[at] ^= mask;
        if (at >= footer.index_position) {
            ck_assert_uint_eq(good, 0);
            continue;
        }
        ck_assert_uint_eq(good, footer.block_count - 1);
        ck_assert_uint_ge(at, entries[bad].position);
        ck_assert_uint_lt(at, entries[bad].position + entries[bad].length);
    }
    ck_assert_uint_eq(read_all(object.bytes, object.size, &bad),
                      footer.block_count);
}
END_TEST

/* The store has less than was committed, or the commit tells of less. */
START_TEST(cut_object_is_noticed)
{
    size_t size = object.size, len;
    uint32_t bad = 0;

    for (len = 0; len < size; len++) {
        object.size = _i == 0 ? size : len;
        ck_assert_uint_eq(read_all(object.bytes, len, &bad), 0);
    }
    object.size = size;
}
END_TEST

/* A block of another object, and of another stream, in the right place and
 * whole, is not taken for the right one. */
START_TEST(block_in_a_wrong_place_is_noticed)
{
    struct obj_object other = object;
    unsigned char *bytes = malloc(object.size);
    uint32_t bad = 0;

    memset(&other.req, 0, sizeof(other.req));
    other.build_streams = NULL;
    other.id++;
    obj_build(&rig.host, &other);
    ck_assert_uint_eq(other.size, object.size);
    memcpy(bytes, object.bytes, object.size);
    memcpy(bytes + entries[1].position, other.bytes + entries[1].position,
           entries[1].length);
    ck_assert_uint_eq(read_all(bytes, object.size, &bad),
                      footer.block_count - 1);
    ck_assert_uint_eq(bad, 1);

    memcpy(bytes, other.bytes, object.size);
    ck_assert_uint_eq(read_all(bytes, object.size, &bad), 0);
    free(bytes);
    obj_object_free(&rig.host, &other);
}
END_TEST

/* A whole block of another cluster, in the right place, is told from damage.
 */
START_TEST(block_of_another_cluster_is_foreign)
{
    unsigned char *block = object.bytes + entries[1].position;

    block[48] ^= 1;
    weir__put32(block + WEIR__BLOCK_HEADER - 4,
                weir__crc32c(0, block, WEIR__BLOCK_HEADER - 4));
    obj_put(&rig, object.id, object.bytes, object.size);
    obj_open_reader(&rig, 0, 0);
    ck_assert_int_eq(read_block(0), 0);
    ck_assert_int_eq(read_block(1), WEIR_EFOREIGN);
}
END_TEST

/* Random damage of many bytes: nothing wrong ever comes out. */
START_TEST(random_damage_never_gives_wrong_bytes)
{
    unsigned long long x = test_seed() | 1;
    unsigned char *bytes = malloc(object.size);
    uint32_t bad = 0;
    int round, i;

    for (round = 0; round < 300; round++) {
        memcpy(bytes, object.bytes, object.size);
        for (i = 0; i < 1 + round % 20; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            bytes[(x >> 33) % object.size] = (unsigned char)(x >> 17);
        }
        (void)read_all(bytes, object.size, &bad);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("object_corruption");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, changed_byte_is_noticed_and_confined, 0, 2);
    tcase_add_loop_test(tc, cut_object_is_noticed, 0, 2);
    tcase_add_test(tc, block_in_a_wrong_place_is_noticed);
    tcase_add_test(tc, block_of_another_cluster_is_foreign);
    tcase_add_test(tc, random_damage_never_gives_wrong_bytes);
    return test_run();
}
