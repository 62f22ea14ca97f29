/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 2048u

struct arena_chunk {
    struct arena_chunk *next;
    size_t room;
    size_t len;
    alignas(max_align_t) unsigned char data[];
};

static struct arena_chunk *arena_grow(struct arena *arena, size_t need)
{
    size_t room = need > CHUNK ? need : CHUNK;
    size_t whole = room + sizeof(struct arena_chunk);
    struct arena_chunk *chunk;

    if (whole > arena->limit || arena->used > arena->limit - whole)
        return NULL;
    chunk = malloc(whole);
    if (chunk == NULL)
        return NULL;
    chunk->next = arena->chunks;
    chunk->room = room;
    chunk->len = 0;
    arena->chunks = chunk;
    arena->used += whole;
    return chunk;
}

void *arena_take(struct arena *arena, size_t count, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    const size_t align = alignof(max_align_t);
    size_t need;
    void *out;

    if (__builtin_mul_overflow(count, size, &need) || need > SIZE_MAX / 2)
        return NULL;
    need = (need + align - 1) / align * align;
    if (chunk == NULL || chunk->room - chunk->len < need)
        chunk = arena_grow(arena, need);
    if (chunk == NULL)
        return NULL;
    out = chunk->data + chunk->len;
    chunk->len += need;
    return memset(out, 0, need);
}

void arena_free(struct arena *arena)
{
    struct arena_chunk *chunk, *next;

    for (chunk = arena->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    arena->chunks = NULL;
    arena->used = 0;
}
