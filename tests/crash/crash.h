/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What crash_child tells test_crash on a pipe, and what the batches hold.
 *
 * A batch's bytes follow from (run, stream, base offset, length) alone, so
 * that both sides can tell what must be there.
 */
#ifndef TESTS_CRASH_CRASH_H
#define TESTS_CRASH_CRASH_H

#include <stdint.h>
#include <string.h>

#define CRASH_STREAMS 4u
#define CRASH_FD 3 /* The child's end of the pipe. */
#define CRASH_BATCH_MIN 16u
#define CRASH_BATCH_MAX 65536u

enum crash_kind {
    CRASH_STAT = 1, /* After open: base = start, end = end of a stream. */
    CRASH_READ,     /* A batch that was fetched. */
    CRASH_VERIFIED, /* All batches of all streams were fetched. */
    CRASH_ACKED,    /* A batch was acknowledged. */
    CRASH_TRIM,     /* About to trim a stream to `base`. */
    CRASH_TRIMMED,  /* The trim to `base` was acknowledged. */
    CRASH_CLOSED    /* Closed in order, all appends acknowledged. */
};

/** One message; shorter than PIPE_BUF, so that it arrives whole. */
struct crash_message {
    uint32_t kind;
    uint32_t stream;
    uint64_t base;
    uint64_t end;
    uint64_t hash; /* CRASH_READ: of the bytes. */
    uint32_t len;
    uint32_t run; /* CRASH_READ: as the batch's first bytes say. */
};

/** Next number of a splitmix64 generator. */
static inline uint64_t crash_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/** Write a batch: its run and length, then random bytes. */
static inline void crash_fill(unsigned char *to, uint32_t len, uint32_t run,
                              uint32_t stream, uint64_t base)
{
    uint64_t state = ((uint64_t)run << 40) ^ ((uint64_t)stream << 56) ^ base;

    for (uint32_t at = 0; at < len; at += 8) {
        uint64_t word = crash_random(&state);
        uint32_t rest = len - at;

        memcpy(to + at, &word, rest < 8 ? rest : 8);
    }
    memcpy(to, &run, 4);
    memcpy(to + 4, &len, 4);
}

/** FNV-1a: not the library's checksum, which is under test. */
static inline uint64_t crash_hash(const unsigned char *data, uint32_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (uint32_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

#endif
