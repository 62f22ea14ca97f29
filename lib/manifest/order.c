/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/order.h"

#include "base/alloc.h"

#include <stdbool.h>
#include <string.h>

#define CHUNK 126u

struct weir__chunk {
    size_t count; /* Never 0 while it is in the list. */
    void *items[CHUNK];
};

/* Index of the chunk in which `key` is or would be put: the last one that
 * does not begin behind it, or the first. */
static size_t find_chunk(const struct weir__order *order, const void *key)
{
    size_t low = 0;
    size_t high = order->chunk_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (order->compare(key, order->chunks[middle]->items[0]) < 0)
            high = middle;
        else
            low = middle;
    }
    return low;
}

/* Index of the first item that is not before `key`; `*same` if it is its. */
static size_t find_item(const struct weir__order *order,
                        const struct weir__chunk *chunk, const void *key,
                        bool *same)
{
    size_t low = 0;
    size_t high = chunk->count;

    *same = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int sign = order->compare(key, chunk->items[middle]);

        if (sign == 0) {
            *same = true;
            return middle;
        }
        if (sign < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void *weir__order_get(const struct weir__order *order, const void *key)
{
    const struct weir__chunk *chunk;
    size_t i;
    bool same;

    if (order->chunk_count == 0)
        return NULL;
    chunk = order->chunks[find_chunk(order, key)];
    i = find_item(order, chunk, key, &same);
    return same ? chunk->items[i] : NULL;
}

void *weir__order_after(const struct weir__order *order, const void *key)
{
    struct weir__order_at at = {0, 0};
    bool same = false;

    if (order->chunk_count > 0 && key != NULL) {
        at.chunk = find_chunk(order, key);
        at.item = find_item(order, order->chunks[at.chunk], key, &same);
        if (same)
            at.item++;
    }
    return weir__order_next(order, &at);
}

void *weir__order_next(const struct weir__order *order,
                       struct weir__order_at *at)
{
    while (at->chunk < order->chunk_count) {
        const struct weir__chunk *chunk = order->chunks[at->chunk];

        if (at->item < chunk->count)
            return chunk->items[at->item++];
        at->chunk++;
        at->item = 0;
    }
    return NULL;
}

/* A new chunk in the list at `i`: NULL, and nothing changed, when memory is
 * out. */
static struct weir__chunk *insert_chunk(struct weir__order *order, size_t i)
{
    struct weir__chunk *chunk;

    if (order->chunk_count == order->chunk_room) {
        size_t room = order->chunk_room > 0 ? 2 * order->chunk_room : 4;
        struct weir__chunk **chunks = weir__resize(
            order->alloc, order->chunks, room, sizeof(struct weir__chunk *));

        if (chunks == NULL)
            return NULL;
        order->chunks = chunks;
        order->chunk_room = room;
    }
    chunk = weir__calloc(order->alloc, 1, sizeof(*chunk));
    if (chunk == NULL)
        return NULL;
    memmove(order->chunks + i + 1, order->chunks + i,
            (order->chunk_count - i) * sizeof(*order->chunks));
    order->chunks[i] = chunk;
    order->chunk_count++;
    return chunk;
}

/* Make room in the full chunk `c`, in which an item is to stand at `*i`:
 * the chunk to put it into, and `*i` in that one.  Growth at the end, which
 * is what ids do, leaves full chunks behind. */
static struct weir__chunk *split(struct weir__order *order, size_t c, size_t *i)
{
    struct weir__chunk *next = insert_chunk(order, c + 1);
    struct weir__chunk *chunk = order->chunks[c];
    size_t keep =
        *i == CHUNK && c + 2 == order->chunk_count ? CHUNK : CHUNK / 2;

    if (next == NULL)
        return NULL;
    next->count = CHUNK - keep;
    memcpy(next->items, chunk->items + keep, next->count * sizeof(void *));
    chunk->count = keep;
    if (*i < keep || (*i == keep && keep < CHUNK))
        return chunk;
    *i -= keep;
    return next;
}

int weir__order_put(struct weir__order *order, const void *key, void *item)
{
    struct weir__chunk *chunk;
    size_t c;
    size_t i;
    bool same;

    if (order->chunk_count == 0 && insert_chunk(order, 0) == NULL)
        return WEIR_ENOMEM;
    c = find_chunk(order, key);
    chunk = order->chunks[c];
    i = find_item(order, chunk, key, &same);
    if (same)
        return WEIR_EBUG;
    if (chunk->count == CHUNK) {
        chunk = split(order, c, &i);
        if (chunk == NULL)
            return WEIR_ENOMEM;
    }
    memmove(chunk->items + i + 1, chunk->items + i,
            (chunk->count - i) * sizeof(void *));
    chunk->items[i] = item;
    chunk->count++;
    order->count++;
    return 0;
}

static void remove_chunk(struct weir__order *order, size_t c)
{
    weir__free(order->alloc, order->chunks[c]);
    order->chunk_count--;
    memmove(order->chunks + c, order->chunks + c + 1,
            (order->chunk_count - c) * sizeof(*order->chunks));
}

/* Join a chunk and the next if together they are half full. */
static void merge(struct weir__order *order, size_t c)
{
    struct weir__chunk *chunk = order->chunks[c];
    const struct weir__chunk *next = order->chunks[c + 1];

    if (chunk->count + next->count > CHUNK / 2)
        return;
    memcpy(chunk->items + chunk->count, next->items,
           next->count * sizeof(void *));
    chunk->count += next->count;
    remove_chunk(order, c + 1);
}

void *weir__order_remove(struct weir__order *order, const void *key)
{
    struct weir__chunk *chunk;
    void *item;
    size_t c;
    size_t i;
    bool same;

    if (order->chunk_count == 0)
        return NULL;
    c = find_chunk(order, key);
    chunk = order->chunks[c];
    i = find_item(order, chunk, key, &same);
    if (!same)
        return NULL;
    item = chunk->items[i];
    chunk->count--;
    memmove(chunk->items + i, chunk->items + i + 1,
            (chunk->count - i) * sizeof(void *));
    order->count--;
    if (chunk->count == 0)
        remove_chunk(order, c);
    else if (c + 1 < order->chunk_count)
        merge(order, c);
    return item;
}

void weir__order_free(struct weir__order *order)
{
    for (size_t c = 0; c < order->chunk_count; c++)
        weir__free(order->alloc, order->chunks[c]);
    weir__free(order->alloc, order->chunks);
    order->chunks = NULL;
    order->chunk_count = 0;
    order->chunk_room = 0;
    order->count = 0;
}
