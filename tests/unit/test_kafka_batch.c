/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Record batches: what is let in, and what can be read out of them.
 */
#include <stdlib.h>
#include <string.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "kafka/bytes.h"
#include "kafka/codec.h"
#include "kafka/crc32c.h"
#include "kafka/kafka_error.h"
#include "kafka/record_batch.h"
#include "support/test.h"

#define ROOM 65536u
#define NOW 1700000000000

static unsigned char batch[ROOM], records[ROOM];
static size_t batch_len, records_len;
static struct batch_header header;
static struct batch_rules rules;
static const char *text;

static void put_varlong(int64_t v)
{
    uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);

    while (z >= 0x80) {
        records[records_len++] = (unsigned char)(z | 0x80);
        z >>= 7;
    }
    records[records_len++] = (unsigned char)z;
}

/* A record: `body` bytes of attributes and so on, its length before it. */
static void put_record(int64_t delta, int64_t time, const char *key,
                       size_t value)
{
    unsigned char body[ROOM / 4];
    size_t before = records_len, len;

    records[records_len++] = 0;
    put_varlong(time);
    put_varlong(delta);
    put_varlong(key == NULL ? -1 : (int64_t)strlen(key));
    if (key != NULL) {
        memcpy(records + records_len, key, strlen(key));
        records_len += strlen(key);
    }
    put_varlong((int64_t)value);
    memset(records + records_len, 'v', value);
    records_len += value;
    put_varlong(1); /* One header: h, null. */
    put_varlong(1);
    records[records_len++] = 'h';
    put_varlong(-1);
    len = records_len - before;
    memcpy(body, records + before, len);
    records_len = before;
    put_varlong((int64_t)len);
    memcpy(records + records_len, body, len);
    records_len += len;
}

static void seal(void)
{
    store_be32(batch + 8, (uint32_t)(batch_len - BATCH_OVERHEAD));
    store_be32(batch + 17, crc32c(batch + 21, batch_len - 21));
}

/* A batch of `count` records with `payload` behind the header. */
static void make(int codec, int32_t count, const void *payload, size_t len)
{
    memset(batch, 0, BATCH_HEADER);
    store_be32(batch + 12, UINT32_MAX);
    batch[16] = 2;
    store_be16(batch + 21, (uint16_t)codec);
    store_be32(batch + 23, (uint32_t)count - 1);
    store_be64(batch + 27, NOW);
    store_be64(batch + 35, NOW + 20);
    store_be64(batch + 43, UINT64_MAX);
    store_be16(batch + 51, UINT16_MAX);
    store_be32(batch + 53, UINT32_MAX);
    store_be32(batch + 57, (uint32_t)count);
    memcpy(batch + BATCH_HEADER, payload, len);
    batch_len = BATCH_HEADER + len;
    seal();
}

/* Three records, the second with the largest time. */
static void three(void)
{
    records_len = 0;
    put_record(0, 0, NULL, 1);
    put_record(1, 20, "key", 500);
    put_record(2, 10, "", 0);
}

static void setup(void)
{
    memset(&rules, 0, sizeof(rules));
    rules.max_size = ROOM;
    rules.latest = NOW + 1000;
    rules.produce_version = 9;
    rules.max_inside = 1u << 20;
    three();
    make(CODEC_NONE, 3, records, records_len);
}

static int16_t validate(void)
{
    return batch_validate(&header, batch, batch_len, &rules, &text);
}

static size_t gzip(unsigned char *out, const void *data, size_t len)
{
    z_stream z;
    unsigned char copy[ROOM];

    memset(&z, 0, sizeof(z));
    memcpy(copy, data, len);
    ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
    z.next_in = copy;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = ROOM;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    len = (size_t)z.total_out;
    deflateEnd(&z);
    return len;
}

/* As Java clients frame it: header, then blocks with their lengths. */
static size_t xerial(unsigned char *out, const unsigned char *data, size_t len)
{
    size_t at = 16, block, n;

    memcpy(out, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
    while (len > 0) {
        block = len < 100 ? len : 100;
        n = ROOM;
        ck_assert_int_eq(snappy_compress((const char *)data, block,
                                         (char *)out + at + 4, &n),
                         SNAPPY_OK);
        store_be32(out + at, (uint32_t)n);
        at += 4 + n;
        data += block;
        len -= block;
    }
    return at;
}

/* _i: the codec; 5 is snappy as Java frames it. */
static size_t compress_as(int kind, unsigned char *out,
                          const unsigned char *data, size_t len)
{
    size_t n = ROOM;

    switch (kind) {
    case CODEC_GZIP:
        return gzip(out, data, len);
    case CODEC_SNAPPY:
        snappy_compress((const char *)data, len, (char *)out, &n);
        return n;
    case CODEC_LZ4:
        return LZ4F_compressFrame(out, ROOM, data, len, NULL);
    case CODEC_ZSTD:
        return ZSTD_compress(out, ROOM, data, len, 3);
    case 5:
        return xerial(out, data, len);
    default:
        memcpy(out, data, len);
        return len;
    }
}

static int codec_of(int kind)
{
    return kind == 5 ? CODEC_SNAPPY : kind;
}

static void compressed(int kind)
{
    unsigned char packed[ROOM];
    size_t len;

    three();
    len = compress_as(kind, packed, records, records_len);
    make(codec_of(kind), 3, packed, len);
}

START_TEST(a_good_batch_is_let_in)
{
    ck_assert_int_eq(validate(), 0);
    ck_assert_int_eq(header.count, 3);
    ck_assert_int_eq(header.max_timestamp, NOW + 20);
    ck_assert_int_eq(header.producer_id, -1);
    ck_assert_uint_eq(header.size, batch_len);
}
END_TEST

START_TEST(every_codec_is_let_in_and_can_be_looked_into)
{
    struct batch_record record;
    struct batch_walk walk;

    rules.look_inside = true;
    compressed(_i);
    ck_assert_int_eq(validate(), 0);
    ck_assert_int_eq(batch_walk_begin(&walk, batch, batch_len, 1u << 20), 0);
    ck_assert_int_eq(batch_walk_next(&walk, &record), 1);
    ck_assert(!record.has_key);
    ck_assert_int_eq(record.timestamp, NOW);
    ck_assert_int_eq(batch_walk_next(&walk, &record), 1);
    ck_assert(record.has_key);
    ck_assert_int_eq(record.timestamp, NOW + 20);
    ck_assert_int_eq(record.offset_delta, 1);
    ck_assert_int_eq(batch_walk_next(&walk, &record), 1);
    ck_assert(record.has_key);
    ck_assert_int_eq(batch_walk_next(&walk, &record), 0);
    batch_walk_end(&walk);
}
END_TEST

/* Cut off at any place, it is an error and no crash. */
START_TEST(a_compressed_batch_that_is_cut_off_is_refused)
{
    unsigned char packed[ROOM], *exact;
    size_t len, cut;

    rules.look_inside = true;
    three();
    len = compress_as(_i, packed, records, records_len);
    for (cut = 0; cut < len; cut++) {
        exact = malloc(cut + 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, packed, cut);
        make(codec_of(_i), 3, exact, cut);
        free(exact);
        ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    }
}
END_TEST

START_TEST(a_bomb_is_stopped_at_the_limit)
{
    static unsigned char zeros[8u << 20], packed[ROOM];
    struct codec_out out = {NULL, 0, 0, 1u << 20};
    size_t len = 0;

    if (_i == CODEC_ZSTD)
        len = ZSTD_compress(packed, ROOM, zeros, sizeof(zeros), 3);
    else if (_i == CODEC_LZ4)
        len = LZ4F_compressFrame(packed, ROOM, zeros, sizeof(zeros) / 8 * 2,
                                 NULL);
    else if (_i == CODEC_GZIP) {
        uLongf n = ROOM;

        ck_assert_int_eq(compress(packed, &n, zeros, sizeof(zeros)), Z_OK);
        len = n;
    } else {
        memcpy(packed, "\xff\xff\xff\xff\x0f", 5); /* Says: 4 GiB. */
        len = 5;
    }
    ck_assert_int_ne(codec_decompress(_i, packed, len, &out), CODEC_OK);
    ck_assert_uint_le(out.room, 1u << 20);
    free(out.data);
}
END_TEST

START_TEST(any_changed_bit_behind_the_checksum_is_found)
{
    size_t i;

    for (i = 21 * 8; i < batch_len * 8; i++) {
        batch[i / 8] ^= (unsigned char)(1u << i % 8);
        ck_assert_int_eq(validate(), KAFKA_CORRUPT_MESSAGE);
        batch[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    ck_assert_int_eq(validate(), 0);
}
END_TEST

START_TEST(not_exactly_one_batch_is_refused)
{
    size_t len = batch_len;

    batch_len--;
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    batch_len = len + 1;
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    for (batch_len = 0; batch_len < BATCH_HEADER; batch_len++)
        ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(batch_validate(&header, NULL, 0, &rules, &text),
                     KAFKA_INVALID_RECORD);
    batch_len = len;
    batch[16] = 1;
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
}
END_TEST

START_TEST(a_large_batch_is_refused)
{
    rules.max_size = batch_len;
    ck_assert_int_eq(validate(), 0);
    rules.max_size = batch_len - 1;
    ck_assert_int_eq(validate(), KAFKA_MESSAGE_TOO_LARGE);
}
END_TEST

static int16_t with_u16(size_t at, uint16_t v)
{
    setup();
    store_be16(batch + at, v);
    seal();
    return validate();
}

static int16_t with_u32(size_t at, uint32_t v)
{
    setup();
    store_be32(batch + at, v);
    seal();
    return validate();
}

START_TEST(headers_that_contradict_themselves_are_refused)
{
    store_be64(batch, 1);
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u32(57, 4), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u32(57, 0), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u32(23, 3), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u16(21, BATCH_CONTROL), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u16(21, BATCH_TRANSACTIONAL), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u16(21, 5), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u16(21, 0x100), KAFKA_INVALID_RECORD);
    ck_assert_int_eq(with_u16(21, BATCH_LOG_APPEND_TIME),
                     KAFKA_INVALID_TIMESTAMP);
    setup();
    store_be64(batch + 43, 7); /* An id, but no sequence. */
    seal();
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
}
END_TEST

START_TEST(a_count_that_the_bytes_cannot_hold_is_refused)
{
    setup();
    store_be32(batch + 57, 1000000);
    store_be32(batch + 23, 999999);
    seal();
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    compressed(CODEC_ZSTD);
    store_be32(batch + 57, INT32_MAX);
    store_be32(batch + 23, INT32_MAX - 1);
    seal();
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
}
END_TEST

START_TEST(records_must_be_what_the_header_counts)
{
    records_len = 0;
    put_record(0, 0, NULL, 9);
    put_record(2, 0, NULL, 9); /* Not 1. */
    make(CODEC_NONE, 2, records, records_len);
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    three();
    make(CODEC_NONE, 2, records, records_len);
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
    three();
    make(CODEC_NONE, 4, records, records_len);
    ck_assert_int_eq(validate(), KAFKA_INVALID_RECORD);
}
END_TEST

START_TEST(times_too_far_in_the_future_are_refused)
{
    rules.latest = NOW + 19;
    ck_assert_int_eq(validate(), KAFKA_INVALID_TIMESTAMP);
    rules.latest = NOW + 20;
    ck_assert_int_eq(validate(), 0);
}
END_TEST

START_TEST(zstd_needs_a_client_that_knows_it)
{
    compressed(CODEC_ZSTD);
    rules.produce_version = 6;
    ck_assert_int_eq(validate(), KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    rules.produce_version = 7;
    ck_assert_int_eq(validate(), 0);
}
END_TEST

START_TEST(time_of_append_is_set_and_checksummed)
{
    struct batch_record record;
    struct batch_walk walk;
    int n = 0;

    batch_set_append_time(batch, batch_len, NOW + 77);
    ck_assert(batch_read(&header, batch, batch_len));
    ck_assert_int_eq(header.max_timestamp, NOW + 77);
    ck_assert_int_eq(header.attributes, BATCH_LOG_APPEND_TIME);
    ck_assert_uint_eq(header.crc, crc32c(batch + 21, batch_len - 21));
    ck_assert_int_eq(batch_walk_begin(&walk, batch, batch_len, 100), 0);
    while (batch_walk_next(&walk, &record) == 1) {
        ck_assert_int_eq(record.timestamp, NOW + 77);
        n++;
    }
    ck_assert_int_eq(n, 3);
    batch_walk_end(&walk);
}
END_TEST

START_TEST(a_consumer_gets_offset_and_leader_epoch)
{
    unsigned char patch[BATCH_PATCH];

    batch_patch(patch, batch, 123456789);
    ck_assert_uint_eq(load_be64(patch), 123456789);
    ck_assert_uint_eq(load_be32(patch + 8), batch_len - BATCH_OVERHEAD);
    ck_assert_uint_eq(load_be32(patch + 12), 0);
}
END_TEST

/* RFC 3720, B.4, and both ways to compute it. */
START_TEST(the_checksum_is_crc32c)
{
    unsigned char data[32];

    ck_assert_uint_eq(crc32c("123456789", 9), 0xe3069283);
    memset(data, 0, sizeof(data));
    ck_assert_uint_eq(crc32c(data, sizeof(data)), 0x8a9136aa);
    memset(data, 0xff, sizeof(data));
    ck_assert_uint_eq(crc32c(data, sizeof(data)), 0x62a8ab43);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("kafka record batch");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_good_batch_is_let_in);
    tcase_add_loop_test(tc, every_codec_is_let_in_and_can_be_looked_into, 0, 6);
    tcase_add_loop_test(tc, a_compressed_batch_that_is_cut_off_is_refused, 0,
                        6);
    tcase_add_loop_test(tc, a_bomb_is_stopped_at_the_limit, 1, 5);
    tcase_add_test(tc, any_changed_bit_behind_the_checksum_is_found);
    tcase_add_test(tc, not_exactly_one_batch_is_refused);
    tcase_add_test(tc, a_large_batch_is_refused);
    tcase_add_test(tc, headers_that_contradict_themselves_are_refused);
    tcase_add_test(tc, a_count_that_the_bytes_cannot_hold_is_refused);
    tcase_add_test(tc, records_must_be_what_the_header_counts);
    tcase_add_test(tc, times_too_far_in_the_future_are_refused);
    tcase_add_test(tc, zstd_needs_a_client_that_knows_it);
    tcase_add_test(tc, time_of_append_is_set_and_checksummed);
    tcase_add_test(tc, a_consumer_gets_offset_and_leader_epoch);
    tcase_add_test(tc, the_checksum_is_crc32c);
    return test_run();
}
