/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/wal_super.h"
#include "support/test.h"

#include <string.h>
#include <weir/error.h>

static const struct weir__wal_super sample = {
    .cluster = "0123456789abcde",
    .generation = 12,
    .wal_id = 0xabcdef,
    .capacity = 1 << 20,
    .epoch = 4,
    .epoch_start = 8192,
    .trim = 4096 + 8,
    .durable_end = 16384,
    .zeroed = 65536,
    .node_id = 3,
    .max_group = 65536,
    .block = 4096,
    .closed = true,
};

static unsigned char bytes[WEIR__WAL_SUPER_SIZE];

static void seal(void)
{
    weir__put32(bytes + 4092, weir__crc32c(0, bytes, 4092));
}

START_TEST(what_is_encoded_is_decoded)
{
    struct weir__wal_super out;

    memset(&out, 0, sizeof(out));
    weir__wal_super_encode(bytes, &sample);
    ck_assert_int_eq(weir__wal_super_decode(&out, bytes), 0);
    ck_assert_int_eq(memcmp(out.cluster, sample.cluster, 16), 0);
    ck_assert_uint_eq(out.generation, sample.generation);
    ck_assert_uint_eq(out.wal_id, sample.wal_id);
    ck_assert_uint_eq(out.capacity, sample.capacity);
    ck_assert_uint_eq(out.epoch, sample.epoch);
    ck_assert_uint_eq(out.epoch_start, sample.epoch_start);
    ck_assert_uint_eq(out.trim, sample.trim);
    ck_assert_uint_eq(out.durable_end, sample.durable_end);
    ck_assert_uint_eq(out.zeroed, sample.zeroed);
    ck_assert_uint_eq(out.node_id, sample.node_id);
    ck_assert_uint_eq(out.max_group, sample.max_group);
    ck_assert_uint_eq(out.block, sample.block);
    ck_assert(out.closed);
}
END_TEST

START_TEST(fields_are_where_the_format_says)
{
    weir__wal_super_encode(bytes, &sample);
    ck_assert_int_eq(memcmp(bytes, "WEIR-WAL\1\0\0\0\0\x10\0\0", 16), 0);
    ck_assert_uint_eq(weir__get64(bytes + 16), 12);
    ck_assert_uint_eq(weir__get64(bytes + 24), 0xabcdef);
    ck_assert_int_eq(memcmp(bytes + 32, "0123456789abcde", 16), 0);
    ck_assert_uint_eq(weir__get32(bytes + 48), 3);
    ck_assert_uint_eq(weir__get64(bytes + 56), 1 << 20);
    ck_assert_uint_eq(weir__get64(bytes + 80), 4096 + 8);
    ck_assert_uint_eq(weir__get64(bytes + 88), 16384);
    ck_assert_uint_eq(weir__get32(bytes + 104), 1);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
    struct weir__wal_super out;

    weir__wal_super_encode(bytes, &sample);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (weir__wal_super_decode(&out, bytes) == 0)
            ck_abort_msg("bit %zu", bit);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    ck_assert_int_eq(weir__wal_super_decode(&out, bytes), 0);
}
END_TEST

START_TEST(bytes_of_something_else_are_told_from_damage)
{
    struct weir__wal_super out;

    memset(bytes, 0, sizeof(bytes));
    ck_assert_int_eq(weir__wal_super_decode(&out, bytes), WEIR_EFORMAT);
    weir__wal_super_encode(bytes, &sample);
    bytes[200] = 1;
    ck_assert_int_eq(weir__wal_super_decode(&out, bytes), WEIR_ECORRUPT);
    bytes[200] = 0;
    bytes[8] = WEIR__WAL_SUPER_VERSION + 1;
    seal();
    ck_assert_int_eq(weir__wal_super_decode(&out, bytes), WEIR_EVERSION);
}
END_TEST

/* A right checksum proves nothing about who wrote it. */
START_TEST(impossible_values_are_refused)
{
    static const struct {
        size_t at;
        uint64_t value;
    } bad[] = {
        {12, 0},                           /* Block: none; */
        {12, 4097},                        /* no power of two; */
        {12, 131072},                      /* too long. */
        {56, 0},                           /* Capacity: none; */
        {56, 4096 * 3 + 1},                /* no multiple; */
        {56, UINT64_MAX - 4095},           /* beyond all bounds. */
        {72, 4096},                        /* Epoch start: fine; */
        {72, 20480},                       /* behind the durable end; */
        {72, 8193},                        /* no multiple. */
        {80, 16384 + 8},                   /* Trim: behind it; */
        {80, 4097},                        /* no record can be there. */
        {88, UINT64_MAX - 4095},           /* Durable end: no; */
        {88, ((uint64_t)1 << 20) + 12288}, /* longer than the ring. */
    };
    struct weir__wal_super out;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        weir__wal_super_encode(bytes, &sample);
        if (bad[i].at == 12)
            weir__put32(bytes + 12, (uint32_t)bad[i].value);
        else
            weir__put64(bytes + bad[i].at, bad[i].value);
        seal();
        ck_assert_int_eq(weir__wal_super_decode(&out, bytes),
                         i == 6 ? 0 : WEIR_ECORRUPT);
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal super");

    tcase_add_test(tc, what_is_encoded_is_decoded);
    tcase_add_test(tc, fields_are_where_the_format_says);
    tcase_add_test(tc, every_flipped_bit_is_noticed);
    tcase_add_test(tc, bytes_of_something_else_are_told_from_damage);
    tcase_add_test(tc, impossible_values_are_refused);
    return test_run();
}
