/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/wal_record.h"
#include "support/test.h"

#include <string.h>

static const struct weir__wal_header sample = {
    .type = WEIR__WAL_BATCH,
    .wal_id = 0x1122334455667788u,
    .epoch = 3,
    .position = 4096,
    .durable = 4096,
    .stream_id = 17,
    .base_offset = 1000,
    .max_timestamp = -1,
    .stream_epoch = 5,
    .count = 9,
    .len = 100,
    .crc32c = 0xdeadbeef,
    .gap = 1,
};

static unsigned char bytes[WEIR__WAL_RECORD_HEADER];

static enum weir__wal_decode decode(struct weir__wal_header *out)
{
    return weir__wal_header_decode(out, bytes, sizeof(bytes), sample.wal_id);
}

/* Give what was changed a right checksum again. */
static void seal(void)
{
    weir__put32(bytes + 92, weir__crc32c(0, bytes, 92));
}

START_TEST(what_is_encoded_is_decoded)
{
    struct weir__wal_header out;

    memset(&out, 0, sizeof(out));
    weir__wal_header_encode(bytes, &sample);
    ck_assert_int_eq(decode(&out), WEIR__WAL_OK);
    ck_assert_int_eq(out.type, sample.type);
    ck_assert_uint_eq(out.wal_id, sample.wal_id);
    ck_assert_uint_eq(out.epoch, sample.epoch);
    ck_assert_uint_eq(out.position, sample.position);
    ck_assert_uint_eq(out.durable, sample.durable);
    ck_assert_uint_eq(out.stream_id, sample.stream_id);
    ck_assert_uint_eq(out.base_offset, sample.base_offset);
    ck_assert_int_eq(out.max_timestamp, sample.max_timestamp);
    ck_assert_uint_eq(out.stream_epoch, sample.stream_epoch);
    ck_assert_uint_eq(out.count, sample.count);
    ck_assert_uint_eq(out.len, sample.len);
    ck_assert_uint_eq(out.crc32c, sample.crc32c);
    ck_assert_uint_eq(out.gap, sample.gap);
}
END_TEST

START_TEST(fields_are_where_the_format_says)
{
    weir__wal_header_encode(bytes, &sample);
    ck_assert_int_eq(memcmp(bytes, "WREC\1\1\x60\0", 8), 0);
    ck_assert_int_eq(memcmp(bytes + 8, "\x88\x77\x66\x55\x44\x33\x22\x11", 8),
                     0);
    ck_assert_uint_eq(weir__get64(bytes + 16), 3);
    ck_assert_uint_eq(weir__get64(bytes + 24), 4096);
    ck_assert_uint_eq(weir__get32(bytes + 40), 100);
    ck_assert_uint_eq(weir__get64(bytes + 48), 17);
    ck_assert_uint_eq(weir__get64(bytes + 56), 1000);
    ck_assert_uint_eq(weir__get32(bytes + 84), 1);
    ck_assert_uint_eq(weir__get32(bytes + 88), 0);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
    struct weir__wal_header out;

    weir__wal_header_encode(bytes, &sample);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert_int_ne(decode(&out), WEIR__WAL_OK);
        ck_assert_int_ne(decode(&out), WEIR__WAL_ZERO);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    ck_assert_int_eq(decode(&out), WEIR__WAL_OK);
}
END_TEST

START_TEST(too_few_bytes_are_not_a_header)
{
    struct weir__wal_header out;

    weir__wal_header_encode(bytes, &sample);
    for (size_t len = 0; len < sizeof(bytes); len++)
        ck_assert_int_eq(
            weir__wal_header_decode(&out, bytes, len, sample.wal_id),
            WEIR__WAL_BAD);
}
END_TEST

START_TEST(other_logs_and_versions_are_told_apart)
{
    struct weir__wal_header out;

    weir__wal_header_encode(bytes, &sample);
    ck_assert_int_eq(weir__wal_header_decode(&out, bytes, sizeof(bytes), 1),
                     WEIR__WAL_FOREIGN);
    bytes[4] = WEIR__WAL_VERSION + 1;
    ck_assert_int_eq(decode(&out), WEIR__WAL_BAD);
    seal();
    ck_assert_int_eq(decode(&out), WEIR__WAL_NEWER);
    bytes[4] = WEIR__WAL_VERSION;
    bytes[5] = 99;
    seal();
    ck_assert_int_eq(decode(&out), WEIR__WAL_BAD);
}
END_TEST

START_TEST(zeros_are_padding)
{
    struct weir__wal_header out;

    memset(bytes, 0, sizeof(bytes));
    ck_assert_int_eq(decode(&out), WEIR__WAL_ZERO);
    bytes[95] = 1;
    ck_assert_int_eq(decode(&out), WEIR__WAL_BAD);
}
END_TEST

START_TEST(size_counts_header_and_padding)
{
    ck_assert_uint_eq(weir__wal_record_size(0), 96);
    ck_assert_uint_eq(weir__wal_record_size(1), 104);
    ck_assert_uint_eq(weir__wal_record_size(8), 104);
    ck_assert_uint_eq(weir__wal_record_size(UINT32_MAX),
                      (uint64_t)UINT32_MAX + 1 + 96);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal record");

    tcase_add_test(tc, what_is_encoded_is_decoded);
    tcase_add_test(tc, fields_are_where_the_format_says);
    tcase_add_test(tc, every_flipped_bit_is_noticed);
    tcase_add_test(tc, too_few_bytes_are_not_a_header);
    tcase_add_test(tc, other_logs_and_versions_are_told_apart);
    tcase_add_test(tc, zeros_are_padding);
    tcase_add_test(tc, size_counts_header_and_padding);
    return test_run();
}
