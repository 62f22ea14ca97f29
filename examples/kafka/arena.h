/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Memory of one request: taken piece by piece, freed at once, and bounded.
 */
#ifndef KAFKA_ARENA_H
#define KAFKA_ARENA_H

#include <stddef.h>

struct arena_chunk;

/** An arena.  Zeroed but for `limit`, it is empty. */
struct arena {
    struct arena_chunk *chunks;
    size_t used;  /* Bytes taken from malloc. */
    size_t limit; /* Most of them. */
};

/**
 * Zeroed memory for `count` things of `size` bytes.
 *
 * @return the memory, the arena's, aligned for anything; NULL if the arena's
 *         limit is reached or memory is out.
 */
void *arena_take(struct arena *arena, size_t count, size_t size);

/** Free all that was taken. */
void arena_free(struct arena *arena);

#endif
