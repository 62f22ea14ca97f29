/* SPDX-License-Identifier: Apache-2.0 */
#include "format/wal_record.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#define MAGIC 0x43455257u /* "WREC" */
#define CRC_AT 92u

void weir__wal_header_encode(unsigned char *to,
                             const struct weir__wal_header *header)
{
    weir__put32(to, MAGIC);
    to[4] = WEIR__WAL_VERSION;
    to[5] = (unsigned char)header->type;
    weir__put16(to + 6, WEIR__WAL_RECORD_HEADER);
    weir__put64(to + 8, header->wal_id);
    weir__put64(to + 16, header->epoch);
    weir__put64(to + 24, header->position);
    weir__put64(to + 32, header->durable);
    weir__put32(to + 40, header->len);
    weir__put32(to + 44, header->crc32c);
    weir__put64(to + 48, header->stream_id);
    weir__put64(to + 56, header->base_offset);
    weir__put64(to + 64, (uint64_t)header->max_timestamp);
    weir__put64(to + 72, header->stream_epoch);
    weir__put32(to + 80, header->count);
    weir__put32(to + 84, header->gap);
    weir__put32(to + 88, 0);
    weir__put32(to + CRC_AT, weir__crc32c(0, to, CRC_AT));
}

static bool all_zero(const unsigned char *data, size_t len)
{
    while (len > 0 && *data == 0) {
        data++;
        len--;
    }
    return len == 0;
}

static void decode_fields(struct weir__wal_header *out,
                          const unsigned char *data)
{
    out->type = (enum weir__wal_type)data[5];
    out->wal_id = weir__get64(data + 8);
    out->epoch = weir__get64(data + 16);
    out->position = weir__get64(data + 24);
    out->durable = weir__get64(data + 32);
    out->len = weir__get32(data + 40);
    out->crc32c = weir__get32(data + 44);
    out->stream_id = weir__get64(data + 48);
    out->base_offset = weir__get64(data + 56);
    out->max_timestamp = (int64_t)weir__get64(data + 64);
    out->stream_epoch = weir__get64(data + 72);
    out->count = weir__get32(data + 80);
    out->gap = weir__get32(data + 84);
}

enum weir__wal_decode weir__wal_header_decode(struct weir__wal_header *out,
                                              const unsigned char *data,
                                              size_t len, uint64_t wal_id)
{
    if (len < WEIR__WAL_RECORD_HEADER)
        return WEIR__WAL_BAD;
    if (weir__get32(data) != MAGIC) {
        return all_zero(data, WEIR__WAL_RECORD_HEADER) ? WEIR__WAL_ZERO
                                                       : WEIR__WAL_BAD;
    }
    /* Before the checksum, because a search comes by here very often. */
    if (weir__get64(data + 8) != wal_id)
        return WEIR__WAL_FOREIGN;
    if (weir__get32(data + CRC_AT) != weir__crc32c(0, data, CRC_AT))
        return WEIR__WAL_BAD;
    if (data[4] > WEIR__WAL_VERSION)
        return WEIR__WAL_NEWER;
    if (data[4] != WEIR__WAL_VERSION ||
        weir__get16(data + 6) != WEIR__WAL_RECORD_HEADER)
        return WEIR__WAL_BAD;
    if (data[5] != WEIR__WAL_BATCH && data[5] != WEIR__WAL_MARK)
        return WEIR__WAL_BAD;

    decode_fields(out, data);
    return WEIR__WAL_OK;
}
