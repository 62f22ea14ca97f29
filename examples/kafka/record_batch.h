/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Record batches, format 2: what a producer sends, a stream keeps, and a
 * consumer gets.
 *
 *     offset  bytes
 *          0      8  base offset          (given by the server)
 *          8      4  length of what follows
 *         12      4  leader epoch         (given by the server)
 *         16      1  magic: 2
 *         17      4  CRC32C of all that follows
 *         21      2  attributes: 0-2 codec, 3 time of append, 4 transaction,
 *                    5 control, 6 delete horizon
 *         23      4  last offset delta
 *         27      8  base timestamp
 *         35      8  max timestamp
 *         43      8  producer id
 *         51      2  producer epoch
 *         53      4  base sequence
 *         57      4  number of records
 *         61      …  records, compressed as a whole
 */
#ifndef KAFKA_RECORD_BATCH_H
#define KAFKA_RECORD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_HEADER 61u
/** Bytes before those that the length counts. */
#define BATCH_OVERHEAD 12u
/** Base offset, length and leader epoch: what a fetch writes anew.  The
 * checksum does not cover them. */
#define BATCH_PATCH 16u

#define BATCH_CODEC_MASK 0x07
#define BATCH_LOG_APPEND_TIME 0x08
#define BATCH_TRANSACTIONAL 0x10
#define BATCH_CONTROL 0x20

/** The header of a batch, without what the server gives. */
struct batch_header {
    size_t size; /* Of the whole batch. */
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none. */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
};

/** What a broker holds a batch to. */
struct batch_rules {
    size_t max_size;         /* Of the batch, compressed. */
    int64_t latest;          /* Latest timestamp that is accepted. */
    int16_t produce_version; /* 0 to 6 know no zstd. */
    bool look_inside;        /* Decompress to validate the records. */
    size_t max_inside;       /* Most bytes that come out. */
};

/**
 * Read the header of the batch at `data`.
 *
 * @return false if `len` is not exactly one batch of format 2.
 */
bool batch_read(struct batch_header *out, const void *data, size_t len);

/**
 * Hold a batch that a client sent to the rules.
 *
 * The checksum is always verified.  Records that are not compressed are
 * walked through; compressed ones only if `look_inside` says so.
 *
 * @param out   The header.
 * @param text  Out: what is wrong, a constant string.
 * @return 0 or a `kafka_error`.
 */
int16_t batch_validate(struct batch_header *out, const void *data, size_t len,
                       const struct batch_rules *rules, const char **text);

/** Make `data` a batch whose records all have the time `now`. */
void batch_set_append_time(void *data, size_t len, int64_t now);

/**
 * First BATCH_PATCH bytes of a batch as a consumer gets it.
 *
 * @param out   Room for them.
 * @param data  The batch as it is kept.
 */
void batch_patch(unsigned char *out, const void *data, uint64_t base_offset);

/** One record of a batch, as a walk sees it. */
struct batch_record {
    int32_t offset_delta;
    int64_t timestamp;
    bool has_key;
};

/** The records of a batch, decompressed if need be. */
struct batch_walk {
    const unsigned char *at, *end;
    unsigned char *owned;
    struct batch_header header;
    int32_t left;
};

/**
 * Begin to walk through the records of a batch.
 *
 * @param limit  Most bytes that decompression may give.
 * @return a `codec_status`.  End the walk with `batch_walk_end` in any case.
 */
int batch_walk_begin(struct batch_walk *walk, const void *data, size_t len,
                     size_t limit);
/** The next record: 1; 0 at the end; -1 if it is not a record. */
int batch_walk_next(struct batch_walk *walk, struct batch_record *out);
/** Free what the walk holds. */
void batch_walk_end(struct batch_walk *walk);

#endif
