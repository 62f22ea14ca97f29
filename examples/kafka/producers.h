/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Idempotent producers of one partition: which batches were written last, so
 * that a batch that is sent again is written once.
 *
 * Pure state: no I/O, no clock.  The partition asks `producers_check` and
 * appends and calls `producers_begin` in one step, so that the order of the
 * sequence numbers is the order of the offsets.
 */
#ifndef KAFKA_PRODUCERS_H
#define KAFKA_PRODUCERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Batches that are remembered for each producer; clients have no more than
 * this number under way. */
#define PRODUCER_BATCHES 5
/** Base offset of a batch that is not durable yet. */
#define PRODUCER_PENDING (-1)

/** A batch of a producer. */
struct producer_batch {
    int64_t base_offset;
    int64_t time; /* Milliseconds since 1970, of the append. */
    int32_t first, last;
};

struct producer;

/** Producers of a partition.  Zeroed but for the limits, there are none. */
struct producers {
    struct producer **buckets;
    size_t bucket_count;
    size_t count;
    size_t max;         /* Producers remembered; the oldest are forgotten. */
    int64_t expiration; /* Milliseconds after which one is forgotten. */
};

/** What a batch says of its producer. */
struct producer_claim {
    int64_t id;
    int16_t epoch;
    int32_t sequence;
    int32_t count; /* Records; at least 1. */
};

/**
 * May this batch be appended?
 *
 * @param now  Milliseconds since 1970.
 * @param dup  Out: the batch, if it was written before; else NULL.  Its base
 *             offset is PRODUCER_PENDING while the first copy is under way.
 *             Valid until the next call.
 * @return 0 (append it, if `dup` is NULL), or a `kafka_error`:
 *         OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, or
 *         KAFKA_STORAGE_ERROR (out of memory).
 */
int16_t producers_check(struct producers *producers,
                        const struct producer_claim *claim, int64_t now,
                        const struct producer_batch **dup);

/** The batch that `producers_check` allowed is on its way.  Cannot fail. */
void producers_begin(struct producers *producers,
                     const struct producer_claim *claim, int64_t now);

/** The batch is durable, at `base_offset`. */
void producers_end(struct producers *producers,
                   const struct producer_claim *claim, int64_t base_offset);

/**
 * A batch that was found in the log: believe it whatever came before.
 *
 * @return false if memory is out.
 */
bool producers_replay(struct producers *producers,
                      const struct producer_claim *claim, int64_t base_offset,
                      int64_t time);

/**
 * Write what is durable, as of `next_offset`, newest producers first.
 *
 * @param data  Room for `len` bytes; producers that do not fit are left out.
 * @return bytes written; 0 if not even the offset fits.
 */
size_t producers_save(const struct producers *producers, int64_t next_offset,
                      unsigned char *data, size_t len);

/**
 * Read what `producers_save` wrote into a state without producers.
 *
 * @param next_offset  Out: batches from here on are to be replayed.
 * @return false if it is damaged or memory is out.
 */
bool producers_load(struct producers *producers, const unsigned char *data,
                    size_t len, int64_t *next_offset);

/** Forget all. */
void producers_clear(struct producers *producers);

#endif
