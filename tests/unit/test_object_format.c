/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/object.h"
#include "support/test.h"

static const struct weir__writer_id writer = {
    .cluster = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .node_epoch = 17,
    .object_id = 0x1122334455667788,
    .node_id = 18,
};

static const char *why;

/* Put a part's checksum right again after a change to it. */
static void seal(unsigned char *part, size_t size)
{
    weir__put32(part + size - 4, weir__crc32c(0, part, size - 4));
}

/* ---- Block header -------------------------------------------------------- */

static const struct weir__block_header header = {
    .stream_id = 5,
    .base = 100,
    .end = 110,
    .batch_count = 2,
    .raw_length = 1000,
    .stored_length = 500,
    .stored_crc32c = 0xdeadbeef,
    .codec = WEIR__CODEC_LZ4,
};

static void encode_header(unsigned char *to, struct weir__block_header h)
{
    h.writer = writer;
    weir__block_header_encode(to, &h);
}

START_TEST(block_header_comes_back)
{
    unsigned char bytes[WEIR__BLOCK_HEADER];
    struct weir__block_header out;

    encode_header(bytes, header);
    ck_assert_int_eq(
        weir__block_header_decode(&out, bytes, sizeof(bytes), &why), 0);
    ck_assert_uint_eq(out.stream_id, 5);
    ck_assert_uint_eq(out.base, 100);
    ck_assert_uint_eq(out.end, 110);
    ck_assert_uint_eq(out.batch_count, 2);
    ck_assert_uint_eq(out.raw_length, 1000);
    ck_assert_uint_eq(out.stored_length, 500);
    ck_assert_uint_eq(out.stored_crc32c, 0xdeadbeef);
    ck_assert_int_eq(out.codec, WEIR__CODEC_LZ4);
    ck_assert_mem_eq(out.writer.cluster, writer.cluster, 16);
    ck_assert_uint_eq(out.writer.object_id, writer.object_id);
    ck_assert_uint_eq(out.writer.node_epoch, 17);
    ck_assert_uint_eq(out.writer.node_id, 18);
}
END_TEST

/* No flipped bit of a header goes unnoticed. */
START_TEST(every_bit_of_a_block_header_counts)
{
    unsigned char bytes[WEIR__BLOCK_HEADER];
    struct weir__block_header out;
    size_t bit;

    encode_header(bytes, header);
    for (bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert_int_eq(
            weir__block_header_decode(&out, bytes, sizeof(bytes), &why),
            WEIR_ECORRUPT);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    ck_assert_int_eq(weir__block_header_decode(&out, bytes, 95, &why),
                     WEIR_ECORRUPT);
}
END_TEST

/* A header that is intact but of a later version is told from damage, also
 * if it is longer. */
START_TEST(later_version_is_not_damage)
{
    unsigned char bytes[WEIR__BLOCK_HEADER + 32] = {0};
    struct weir__block_header out;

    encode_header(bytes, header);
    bytes[4] = 2;
    seal(bytes, WEIR__BLOCK_HEADER);
    ck_assert_int_eq(
        weir__block_header_decode(&out, bytes, sizeof(bytes), &why),
        WEIR_EVERSION);
    weir__put16(bytes + 6, sizeof(bytes));
    seal(bytes, sizeof(bytes));
    ck_assert_int_eq(
        weir__block_header_decode(&out, bytes, sizeof(bytes), &why),
        WEIR_EVERSION);
    encode_header(bytes, header);
    bytes[5] = 9; /* Codec. */
    seal(bytes, WEIR__BLOCK_HEADER);
    ck_assert_int_eq(
        weir__block_header_decode(&out, bytes, sizeof(bytes), &why),
        WEIR_EVERSION);
}
END_TEST

/* Lengths that no block can have are refused, although their checksum is
 * right: nobody allocates by them. */
START_TEST(impossible_lengths_are_refused)
{
    static const struct weir__block_header bad[] = {
        {.base = 5,
         .end = 5,
         .batch_count = 1,
         .raw_length = 40,
         .stored_length = 40},
        {.base = 6,
         .end = 5,
         .batch_count = 1,
         .raw_length = 40,
         .stored_length = 40},
        {.end = 5, .batch_count = 0, .raw_length = 40, .stored_length = 40},
        {.end = 5, .batch_count = 2, .raw_length = 63, .stored_length = 63},
        {.end = 5, .batch_count = 1, .raw_length = 40, .stored_length = 41},
        {.end = 5,
         .batch_count = 1,
         .codec = WEIR__CODEC_LZ4,
         .raw_length = 67108864,
         .stored_length = 1000},
        {.end = 5,
         .batch_count = 1,
         .raw_length = WEIR__BLOCK_RAW_MAX + 1,
         .stored_length = WEIR__BLOCK_RAW_MAX + 1},
        {.end = 5,
         .batch_count = 0xffffffff,
         .raw_length = 0xffffffff,
         .stored_length = 0xffffffff},
    };
    unsigned char bytes[WEIR__BLOCK_HEADER];
    struct weir__block_header out;

    encode_header(bytes, bad[_i]);
    ck_assert_int_eq(
        weir__block_header_decode(&out, bytes, sizeof(bytes), &why),
        WEIR_ECORRUPT);
}
END_TEST

/* ---- Batches ------------------------------------------------------------- */

/* Two batches, of 3 and of 5 bytes. */
struct raw {
    struct weir__block_header header;
    unsigned char bytes[2 * WEIR__BATCH_ENTRY + 8];
};

static void make_raw(struct raw *raw)
{
    struct weir_batch a = {.base_offset = 10,
                           .data = "abc",
                           .len = 3,
                           .count = 4,
                           .max_timestamp = -1};
    struct weir_batch b = {.base_offset = 14,
                           .data = "defgh",
                           .len = 5,
                           .count = 1,
                           .max_timestamp = WEIR_NO_TIMESTAMP};

    a.crc32c = weir__crc32c(0, a.data, a.len);
    b.crc32c = weir__crc32c(0, b.data, b.len);
    weir__batch_entry_encode(raw->bytes, &a, 10);
    weir__batch_entry_encode(raw->bytes + WEIR__BATCH_ENTRY, &b, 10);
    memcpy(raw->bytes + 2 * WEIR__BATCH_ENTRY, "abcdefgh", 8);
    raw->header.base = 10;
    raw->header.end = 15;
    raw->header.batch_count = 2;
    raw->header.raw_length = sizeof(raw->bytes);
}

START_TEST(batches_are_slices_of_the_block)
{
    struct weir_batch out[2];
    struct raw raw;

    make_raw(&raw);
    ck_assert_int_eq(weir__batches_decode(out, &raw.header, raw.bytes, &why),
                     0);
    ck_assert_ptr_eq(out[0].data, raw.bytes + 64);
    ck_assert_uint_eq(out[0].base_offset, 10);
    ck_assert_uint_eq(out[0].count, 4);
    ck_assert_int_eq(out[0].max_timestamp, -1);
    ck_assert_ptr_eq(out[1].data, raw.bytes + 67);
    ck_assert_uint_eq(out[1].base_offset, 14);
    ck_assert_uint_eq(out[1].len, 5);
    ck_assert_int_eq(out[1].max_timestamp, WEIR_NO_TIMESTAMP);
}
END_TEST

/* What the table says must be what the block has, neither less nor more. */
START_TEST(table_must_fit_the_block)
{
    static const struct {
        size_t at;
        uint32_t value;
    } changes[] = {
        {0, 1},           /* First batch not at the base. */
        {32, 5},          /* Second one leaves a gap, */
        {32, 3},          /* or overlaps. */
        {36, 1},          /* High half of the delta. */
        {16, 0},          /* No offsets. */
        {16, 3},          /* Fewer than to the next. */
        {48, 2},          /* More than to the end. */
        {48, 0xffffffff}, /* Far more. */
        {20, 2},          /* Lengths. */
        {20, 0xffffffff}, {52, 4}, {52, 6}, {24, 0}, /* Checksums. */
        {56, 0},
    };
    struct weir_batch out[2];
    struct raw raw;

    make_raw(&raw);
    weir__put32(raw.bytes + changes[_i].at, changes[_i].value);
    ck_assert_int_eq(weir__batches_decode(out, &raw.header, raw.bytes, &why),
                     WEIR_ECORRUPT);
}
END_TEST

START_TEST(changed_payload_is_noticed)
{
    struct weir_batch out[2];
    struct raw raw;
    size_t i;

    make_raw(&raw);
    for (i = 64; i < sizeof(raw.bytes); i++) {
        raw.bytes[i] ^= 1;
        ck_assert_int_eq(
            weir__batches_decode(out, &raw.header, raw.bytes, &why),
            WEIR_ECORRUPT);
        ck_assert_str_eq(why, "wrong checksum of a payload");
        raw.bytes[i] ^= 1;
    }
}
END_TEST

/* ---- Index and footer ---------------------------------------------------- */

struct tail {
    struct weir__index_entry entries[3];
    struct weir__footer footer;
    unsigned char index[WEIR__INDEX_HEADER + 3 * WEIR__INDEX_ENTRY];
    unsigned char bytes[WEIR__FOOTER];
};

static void make_tail(struct tail *tail)
{
    memset(tail, 0, sizeof(*tail));
    tail->entries[0] = (struct weir__index_entry){.stream_id = 1,
                                                  .base = 0,
                                                  .end = 10,
                                                  .position = 0,
                                                  .length = 200,
                                                  .raw_length = 300,
                                                  .max_timestamp = -5,
                                                  .batch_count = 2,
                                                  .stored_crc32c = 77};
    tail->entries[1] = tail->entries[0];
    tail->entries[1].base = 10;
    tail->entries[1].end = 20;
    tail->entries[1].position = 200;
    tail->entries[2] = tail->entries[0];
    tail->entries[2].stream_id = 2;
    tail->entries[2].position = 400;
    tail->footer = (struct weir__footer){
        .writer = writer,
        .index_position = 600,
        .index_length = sizeof(tail->index),
        .block_count = 3,
        .object_size = 600 + sizeof(tail->index) + WEIR__FOOTER,
        .kind = WEIR__OBJECT_SET};
}

static void encode_tail(struct tail *tail)
{
    weir__index_encode(tail->index, &writer, tail->entries, 3);
    tail->footer.index_crc32c =
        weir__crc32c(0, tail->index, sizeof(tail->index));
    weir__footer_encode(tail->bytes, &tail->footer);
}

static int decode_footer(struct tail *tail, struct weir__footer *out)
{
    return weir__footer_decode(out, tail->bytes,
                               600 + sizeof(tail->index) + WEIR__FOOTER, &why);
}

START_TEST(index_and_footer_come_back)
{
    struct weir__index_entry out[3];
    struct weir__footer footer;
    struct tail tail;

    make_tail(&tail);
    encode_tail(&tail);
    ck_assert_int_eq(decode_footer(&tail, &footer), 0);
    ck_assert_int_eq(footer.kind, WEIR__OBJECT_SET);
    ck_assert_uint_eq(footer.index_position, 600);
    ck_assert_uint_eq(footer.block_count, 3);
    ck_assert_uint_eq(footer.writer.object_id, writer.object_id);
    ck_assert_int_eq(weir__index_decode(out, &footer, tail.index, &why), 0);
    ck_assert_uint_eq(out[1].base, 10);
    ck_assert_uint_eq(out[1].position, 200);
    ck_assert_uint_eq(out[2].stream_id, 2);
    ck_assert_int_eq(out[2].max_timestamp, -5);
    ck_assert_uint_eq(out[2].length, 200);
    ck_assert_uint_eq(out[2].raw_length, 300);
    ck_assert_uint_eq(out[2].batch_count, 2);
    ck_assert_uint_eq(out[2].stored_crc32c, 77);
}
END_TEST

START_TEST(every_bit_of_index_and_footer_counts)
{
    struct weir__index_entry out[3];
    struct weir__footer footer;
    struct tail tail;
    size_t bit;

    make_tail(&tail);
    encode_tail(&tail);
    for (bit = 0; bit < 8 * sizeof(tail.bytes); bit++) {
        tail.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert_int_eq(decode_footer(&tail, &footer), WEIR_ECORRUPT);
        tail.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    ck_assert_int_eq(decode_footer(&tail, &footer), 0);
    for (bit = 0; bit < 8 * sizeof(tail.index); bit++) {
        tail.index[bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert_int_eq(weir__index_decode(out, &footer, tail.index, &why),
                         WEIR_ECORRUPT);
        tail.index[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}
END_TEST

/* An index must be in the object, its blocks before it, in order: checksums
 * do not excuse nonsense. */
START_TEST(nonsense_with_right_checksums_is_refused)
{
    struct weir__index_entry out[3];
    struct weir__footer footer;
    struct tail tail;

    make_tail(&tail);
    switch (_i) {
    case 0:
        tail.entries[1].base = 9;
        break;
    case 1:
        tail.entries[2].stream_id = 0;
        break;
    case 2:
        tail.entries[2].position = 401;
        break;
    case 3:
        tail.entries[2].position = UINT64_MAX - 50;
        break;
    case 4:
        tail.entries[0].length = WEIR__BLOCK_HEADER;
        break;
    case 5:
        tail.entries[0].raw_length = 0xffffffff;
        break;
    case 6:
        tail.entries[0].end = 0;
        break;
    case 7:
        tail.footer.block_count = 2;
        break;
    case 8:
        tail.footer.index_position--;
        break;
    case 9:
        tail.footer.index_length = UINT64_MAX - 127;
        break;
    case 10:
        tail.footer.block_count = 0x40000000;
        break;
    case 11:
        tail.footer.object_size++;
        break;
    case 12:
        tail.footer.writer.object_id++;
        break;
    }
    encode_tail(&tail);
    if (decode_footer(&tail, &footer) == 0)
        ck_assert_int_eq(weir__index_decode(out, &footer, tail.index, &why),
                         WEIR_ECORRUPT);
}
END_TEST

START_TEST(later_versions_of_index_and_footer)
{
    struct weir__index_entry out[3];
    struct weir__footer footer;
    struct tail tail;

    make_tail(&tail);
    encode_tail(&tail);
    ck_assert_int_eq(decode_footer(&tail, &footer), 0);
    tail.index[4] = 2;
    seal(tail.index, WEIR__INDEX_HEADER);
    ck_assert_int_eq(weir__index_decode(out, &footer, tail.index, &why),
                     WEIR_EVERSION);
    tail.bytes[4] = 2;
    seal(tail.bytes, WEIR__FOOTER);
    ck_assert_int_eq(decode_footer(&tail, &footer), WEIR_EVERSION);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("object_format");

    tcase_add_test(tc, block_header_comes_back);
    tcase_add_test(tc, every_bit_of_a_block_header_counts);
    tcase_add_test(tc, later_version_is_not_damage);
    tcase_add_loop_test(tc, impossible_lengths_are_refused, 0, 8);
    tcase_add_test(tc, batches_are_slices_of_the_block);
    tcase_add_loop_test(tc, table_must_fit_the_block, 0, 14);
    tcase_add_test(tc, changed_payload_is_noticed);
    tcase_add_test(tc, index_and_footer_come_back);
    tcase_add_test(tc, every_bit_of_index_and_footer_counts);
    tcase_add_loop_test(tc, nonsense_with_right_checksums_is_refused, 0, 13);
    tcase_add_test(tc, later_versions_of_index_and_footer);
    return test_run();
}
