/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One record of a write-ahead log: a header of 96 bytes and a payload, padded
 * with zeros to 8 bytes.  Little-endian.
 *
 *     0  u32  magic "WREC"
 *     4  u8   version (1)
 *     5  u8   type: WEIR__WAL_BATCH, WEIR__WAL_MARK
 *     6  u16  length of the header (96)
 *     8  u64  id of the log
 *    16  u64  epoch of the log when it was written
 *    24  u64  position of this record
 *    32  u64  durable: all positions below are durable, if this record is
 *             there at all
 *    40  u32  length of the payload
 *    44  u32  CRC32C of the payload
 *    48  u64  stream id
 *    56  u64  base offset
 *    64  u64  max timestamp
 *    72  u64  stream epoch
 *    80  u32  count of offsets
 *    84  u32  gap: 1 + padding between the record before and this one; 0: not
 *             told (the first record of an epoch)
 *    88  u32  reserved, 0
 *    92  u32  CRC32C of the bytes before
 *
 * A group is what one write makes durable: records one behind the other,
 * from a position that is a multiple of the log's alignment, padded with
 * zeros to the next such position.  A group may hold such padding in its
 * middle, too.  One group is in flight at a time, so `durable` is the
 * position where the record's own group begins.
 *
 * `gap` lets a reader see that a record was lost where zeros are now: without
 * it they would look like padding.
 */
#ifndef WEIR_FORMAT_WAL_RECORD_H
#define WEIR_FORMAT_WAL_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define WEIR__WAL_RECORD_HEADER 96u
#define WEIR__WAL_RECORD_ALIGN 8u
#define WEIR__WAL_VERSION 1u

enum weir__wal_type {
    WEIR__WAL_BATCH = 1, /* A batch of a stream. */
    WEIR__WAL_MARK = 2   /* No payload: tells only what is durable. */
};

/** Fields of a record's header. */
struct weir__wal_header {
    enum weir__wal_type type;
    uint64_t wal_id;
    uint64_t epoch;
    uint64_t position;
    uint64_t durable;
    uint64_t stream_id;
    uint64_t base_offset;
    int64_t max_timestamp;
    uint64_t stream_epoch;
    uint32_t count;
    uint32_t len;    /* Of the payload. */
    uint32_t crc32c; /* Of the payload. */
    uint32_t gap;    /* 1 + bytes of padding before, or 0: not told. */
};

/** Why bytes are not a record's header. */
enum weir__wal_decode {
    WEIR__WAL_OK,
    WEIR__WAL_ZERO,    /* No magic but zeros: padding or never written. */
    WEIR__WAL_FOREIGN, /* Magic, but of another log. */
    WEIR__WAL_NEWER,   /* Checksum right, version unknown. */
    WEIR__WAL_BAD      /* Anything else. */
};

/** Bytes that a record with a payload of `len` takes, padding included. */
static inline uint64_t weir__wal_record_size(uint64_t len)
{
    return (WEIR__WAL_RECORD_HEADER + len + 7u) & ~(uint64_t)7u;
}

/** Write a header into 96 bytes. */
void weir__wal_header_encode(unsigned char *to,
                             const struct weir__wal_header *header);

/**
 * Read a header.  The payload is not looked at.
 *
 * @param wal_id  Id of the log that is being read.
 */
enum weir__wal_decode weir__wal_header_decode(struct weir__wal_header *out,
                                              const unsigned char *data,
                                              size_t len, uint64_t wal_id);

#endif
