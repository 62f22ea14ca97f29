/* SPDX-License-Identifier: Apache-2.0 */
/* The header of one object of the object WAL. */
#include "support/test.h"

#include "format/wal_slot.h"

#include <string.h>

static const struct weir__slot sample = {
    .kind = WEIR__SLOT_DATA,
    .depth = 4,
    .cluster = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .epoch = 7,
    .slot = 42,
    .position = 4096,
    .len = 640,
    .nonce = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa,
              0xab, 0xac, 0xad, 0xae, 0xaf},
    .node_id = 3,
    .before = 0x12345678,
    .wal_id = UINT64_C(0x1122334455667788),
};

static unsigned char bytes[WEIR__SLOT_HEADER];

static int decode(struct weir__slot *out, size_t len, uint64_t size)
{
    uint32_t crc;

    return weir__slot_decode(out, bytes, len, size, &crc);
}

START_TEST(a_header_is_read_as_it_was_written)
{
    struct weir__slot out;
    uint32_t written = weir__slot_encode(bytes, &sample);
    uint32_t read;

    ck_assert_int_eq(weir__slot_decode(&out, bytes, sizeof(bytes),
                                       sizeof(bytes) + 640, &read),
                     0);
    ck_assert_uint_eq(read, written);
    ck_assert_int_eq(out.kind, sample.kind);
    ck_assert_uint_eq(out.depth, sample.depth);
    ck_assert_mem_eq(out.cluster, sample.cluster, 16);
    ck_assert_mem_eq(out.nonce, sample.nonce, 16);
    ck_assert_uint_eq(out.epoch, sample.epoch);
    ck_assert_uint_eq(out.slot, sample.slot);
    ck_assert_uint_eq(out.position, sample.position);
    ck_assert_uint_eq(out.len, sample.len);
    ck_assert_uint_eq(out.node_id, sample.node_id);
    ck_assert_uint_eq(out.before, sample.before);
    ck_assert_uint_eq(out.wal_id, sample.wal_id);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
    struct weir__slot out;

    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        weir__slot_encode(bytes, &sample);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert_int_eq(decode(&out, sizeof(bytes), sizeof(bytes) + 640),
                         WEIR_ECORRUPT);
    }
}
END_TEST

START_TEST(an_object_of_another_length_is_noticed)
{
    struct weir__slot out;

    weir__slot_encode(bytes, &sample);
    for (size_t len = 0; len < sizeof(bytes); len++)
        ck_assert_int_eq(decode(&out, len, len), WEIR_ECORRUPT);
    ck_assert_int_eq(decode(&out, sizeof(bytes), sizeof(bytes) + 639),
                     WEIR_ECORRUPT);
    ck_assert_int_eq(decode(&out, sizeof(bytes), sizeof(bytes) + 641),
                     WEIR_ECORRUPT);
}
END_TEST

/* What is in stores must be found by later versions. */
START_TEST(keys_are_what_they_were)
{
    char key[WEIR__SLOT_KEY];

    weir__slot_key(key, 258, 16, UINT64_C(0xfedcba9876543210));
    ck_assert_str_eq(key, "wal/00000102/0000000000000010/fedcba9876543210");
    weir__slot_key(key, UINT32_MAX, UINT64_MAX, UINT64_MAX);
    ck_assert_uint_lt(strlen(key), sizeof(key));
}
END_TEST

static bool read_key(const char *key)
{
    uint32_t node_id;
    uint64_t epoch, slot;

    return weir__slot_key_read(key, &node_id, &epoch, &slot);
}

START_TEST(a_key_is_read_as_it_was_written_and_no_other)
{
    char key[WEIR__SLOT_KEY];
    uint32_t node_id;
    uint64_t epoch, slot;

    weir__slot_key(key, 0xabcdef12, 16, UINT64_C(0xfedcba9876543210));
    ck_assert(weir__slot_key_read(key, &node_id, &epoch, &slot));
    ck_assert_uint_eq(node_id, 0xabcdef12);
    ck_assert_uint_eq(epoch, 16);
    ck_assert_uint_eq(slot, UINT64_C(0xfedcba9876543210));
    for (size_t len = strlen(key); len-- > 0;) {
        key[len] = '\0';
        ck_assert(!read_key(key));
    }
    ck_assert(!read_key("wal/00000102/0000000000000010/fedcba98765432100"));
    ck_assert(!read_key("wal/00000102/0000000000000010/FEDCBA9876543210"));
    ck_assert(!read_key("wal/00000102/0000000000000010-fedcba9876543210"));
    ck_assert(!read_key("data/0102/0000000000000010/fedcba9876543210"));
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal slot");

    tcase_add_test(tc, a_header_is_read_as_it_was_written);
    tcase_add_test(tc, every_flipped_bit_is_noticed);
    tcase_add_test(tc, an_object_of_another_length_is_noticed);
    tcase_add_test(tc, keys_are_what_they_were);
    tcase_add_test(tc, a_key_is_read_as_it_was_written_and_no_other);
    return test_run();
}
