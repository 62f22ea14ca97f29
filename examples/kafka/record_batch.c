/* SPDX-License-Identifier: Apache-2.0 */
#include "record_batch.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "codec.h"
#include "crc32c.h"
#include "kafka_error.h"
#include "wire.h"

/* A record is at least: length, attributes, two deltas, two null lengths and
 * the number of headers. */
#define RECORD_MIN 7
/* A header is at least: two lengths. */
#define HEADER_MIN 2
/* No codec but a bomb reaches more, and small batches may. */
#define RATIO_MAX 64u
#define RATIO_FREE (4u << 20)

bool batch_read(struct batch_header *out, const void *data, size_t len)
{
    const unsigned char *at = data;

    if (len < BATCH_HEADER || at[16] != 2 ||
        load_be32(at + 8) != len - BATCH_OVERHEAD)
        return false;
    out->size = len;
    out->crc = load_be32(at + 17);
    out->attributes = (int16_t)load_be16(at + 21);
    out->last_offset_delta = (int32_t)load_be32(at + 23);
    out->base_timestamp = (int64_t)load_be64(at + 27);
    out->max_timestamp = (int64_t)load_be64(at + 35);
    out->producer_id = (int64_t)load_be64(at + 43);
    out->producer_epoch = (int16_t)load_be16(at + 51);
    out->base_sequence = (int32_t)load_be32(at + 53);
    out->count = (int32_t)load_be32(at + 57);
    return true;
}

static int16_t wrong(const char **text, int16_t error, const char *what)
{
    *text = what;
    return error;
}

static int16_t check_header(const struct batch_header *h, const void *data,
                            const char **text)
{
    const int unknown = ~(BATCH_CODEC_MASK | BATCH_LOG_APPEND_TIME |
                          BATCH_TRANSACTIONAL | BATCH_CONTROL | 0x40);

    if (load_be64(data) != 0)
        return wrong(text, KAFKA_INVALID_RECORD, "base offset is not 0");
    if (h->count <= 0 || h->last_offset_delta != h->count - 1)
        return wrong(text, KAFKA_INVALID_RECORD,
                     "number of records and last offset delta disagree");
    if ((h->attributes & BATCH_CONTROL) != 0)
        return wrong(text, KAFKA_INVALID_RECORD,
                     "clients may not write control records");
    if ((h->attributes & BATCH_TRANSACTIONAL) != 0)
        return wrong(text, KAFKA_INVALID_RECORD,
                     "this server has no transactions");
    if ((h->attributes & unknown) != 0)
        return wrong(text, KAFKA_INVALID_RECORD, "unknown attributes");
    if (h->producer_id < -1 || (h->producer_id >= 0 && (h->base_sequence < 0 ||
                                                        h->producer_epoch < 0)))
        return wrong(text, KAFKA_INVALID_RECORD,
                     "a producer id without epoch and sequence");
    return 0;
}

static int16_t check_codec(const struct batch_header *h,
                           const struct batch_rules *rules, const char **text)
{
    int codec = h->attributes & BATCH_CODEC_MASK;
    size_t room;

    if (codec > CODEC_ZSTD)
        return wrong(text, KAFKA_INVALID_RECORD, "unknown compression");
    if (codec == CODEC_ZSTD && rules->produce_version < 7)
        return wrong(text, KAFKA_UNSUPPORTED_COMPRESSION_TYPE,
                     "zstd needs Produce version 7");
    /* A count decides how many offsets the batch takes: it must be one that
     * the bytes can hold, or could when decompressed. */
    room = codec == CODEC_NONE ? h->size - BATCH_HEADER : rules->max_inside;
    if (room / RECORD_MIN < (size_t)h->count)
        return wrong(text, KAFKA_INVALID_RECORD,
                     "more records than fit into the batch");
    return 0;
}

/* A varint length and so many bytes; -1 for null. */
static bool skip_bytes(struct wire_in *in, bool nullable, bool *is_null)
{
    int64_t len = in_varlong(in);

    *is_null = len < 0;
    if (in->bad || len > (int64_t)in_left(in) || len < (nullable ? -1 : 0))
        return false;
    if (len > 0)
        in->at += len;
    return true;
}

static bool skip_headers(struct wire_in *in)
{
    int64_t count = in_varlong(in), i;
    bool is_null;

    if (in->bad || count < 0 || (size_t)count > in_left(in) / HEADER_MIN)
        return false;
    for (i = 0; i < count; i++) {
        if (!skip_bytes(in, false, &is_null) || !skip_bytes(in, true, &is_null))
            return false;
    }
    return true;
}

int batch_walk_begin(struct batch_walk *walk, const void *data, size_t len,
                     size_t limit)
{
    struct codec_out out = {NULL, 0, 0, limit};
    size_t room = len * RATIO_MAX;
    int rc, codec;

    memset(walk, 0, sizeof(*walk));
    if (!batch_read(&walk->header, data, len))
        return CODEC_DAMAGED;
    walk->left = walk->header.count;
    walk->at = (const unsigned char *)data + BATCH_HEADER;
    walk->end = (const unsigned char *)data + len;
    codec = walk->header.attributes & BATCH_CODEC_MASK;
    if (codec == CODEC_NONE)
        return CODEC_OK;

    if (room < RATIO_FREE)
        room = RATIO_FREE;
    if (out.limit > room)
        out.limit = room;
    rc = codec_decompress(codec, walk->at, len - BATCH_HEADER, &out);
    walk->owned = out.data;
    walk->at = out.data;
    walk->end = out.data == NULL ? NULL : out.data + out.len;
    return rc;
}

int batch_walk_next(struct batch_walk *walk, struct batch_record *out)
{
    struct wire_in all, in;
    bool is_null;
    int64_t len, delta;

    if (walk->left == 0 || walk->at == NULL)
        return walk->left == 0 && walk->at == walk->end ? 0 : -1;
    in_begin(&all, walk->at, (size_t)(walk->end - walk->at));
    len = in_varlong(&all);
    if (all.bad || len < RECORD_MIN - 1 || len > (int64_t)in_left(&all))
        return -1;
    in_begin(&in, all.at, (size_t)len);
    in_i8(&in);
    delta = in_varlong(&in);
    out->timestamp =
        (int64_t)((uint64_t)walk->header.base_timestamp + (uint64_t)delta);
    if ((walk->header.attributes & BATCH_LOG_APPEND_TIME) != 0)
        out->timestamp = walk->header.max_timestamp;
    delta = in_varlong(&in);
    if (in.bad || delta != walk->header.count - walk->left)
        return -1;
    out->offset_delta = (int32_t)delta;
    if (!skip_bytes(&in, true, &is_null))
        return -1;
    out->has_key = !is_null;
    if (!skip_bytes(&in, true, &is_null) || !skip_headers(&in) ||
        in_left(&in) != 0)
        return -1;
    walk->at = in.at;
    walk->left--;
    return 1;
}

void batch_walk_end(struct batch_walk *walk)
{
    free(walk->owned);
    walk->owned = NULL;
}

static int16_t check_records(const void *data, size_t len,
                             const struct batch_rules *rules, const char **text)
{
    struct batch_walk walk;
    struct batch_record record;
    int rc;

    rc = batch_walk_begin(&walk, data, len, rules->max_inside);
    if (rc == CODEC_OK) {
        do {
            rc = batch_walk_next(&walk, &record);
        } while (rc == 1);
    }
    batch_walk_end(&walk);
    switch (rc) {
    case 0:
        return 0;
    case CODEC_TOO_BIG:
        return wrong(text, KAFKA_MESSAGE_TOO_LARGE,
                     "the batch decompresses to too much");
    case CODEC_NO_MEMORY:
        return wrong(text, KAFKA_KAFKA_STORAGE_ERROR, "out of memory");
    default:
        return wrong(text, KAFKA_INVALID_RECORD,
                     "the records are malformed or miscounted");
    }
}

int16_t batch_validate(struct batch_header *out, const void *data, size_t len,
                       const struct batch_rules *rules, const char **text)
{
    const unsigned char *at = data;
    int16_t error;

    *text = NULL;
    if (len > rules->max_size)
        return wrong(text, KAFKA_MESSAGE_TOO_LARGE,
                     "the batch is larger than max.message.bytes");
    if (data == NULL || !batch_read(out, data, len))
        return wrong(text, KAFKA_INVALID_RECORD,
                     "expected exactly one record batch of format 2");
    if (crc32c(at + 21, len - 21) != out->crc)
        return wrong(text, KAFKA_CORRUPT_MESSAGE, "the checksum is wrong");
    error = check_header(out, data, text);
    if (error == 0)
        error = check_codec(out, rules, text);
    if (error != 0)
        return error;
    if ((out->attributes & BATCH_LOG_APPEND_TIME) != 0)
        return wrong(text, KAFKA_INVALID_TIMESTAMP,
                     "clients may not set the time of append");
    if (out->max_timestamp > rules->latest)
        return wrong(text, KAFKA_INVALID_TIMESTAMP,
                     "a timestamp lies too far in the future");
    if ((out->attributes & BATCH_CODEC_MASK) != CODEC_NONE &&
        !rules->look_inside)
        return 0;
    return check_records(data, len, rules, text);
}

void batch_set_append_time(void *data, size_t len, int64_t now)
{
    unsigned char *at = data;

    store_be16(at + 21, load_be16(at + 21) | BATCH_LOG_APPEND_TIME);
    store_be64(at + 35, (uint64_t)now);
    store_be32(at + 17, crc32c(at + 21, len - 21));
}

void batch_patch(unsigned char *out, const void *data, uint64_t base_offset)
{
    store_be64(out, base_offset);
    memcpy(out + 8, (const unsigned char *)data + 8, 4);
    store_be32(out + 12, 0); /* One leader for ever: epoch 0. */
}
