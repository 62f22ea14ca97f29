/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "engine/stream.h"

struct weir__entry *weir__entries_at(const struct weir__entries *entries,
                                     size_t i)
{
    return &entries->ring[(entries->head + i) & (entries->room - 1)];
}

size_t weir__entries_find(const struct weir__entries *entries, uint64_t offset)
{
    size_t low = 0, high = entries->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct weir__entry *entry = weir__entries_at(entries, middle);

        if (entry->base + entry->count <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int grow(struct weir__entries *entries, const struct weir_alloc *alloc)
{
    size_t room = entries->room == 0 ? 4 : entries->room * 2;
    struct weir__entry *ring = weir__calloc(alloc, room, sizeof(*ring));

    if (ring == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < entries->count; i++)
        ring[i] = *weir__entries_at(entries, i);
    weir__free(alloc, entries->ring);
    entries->ring = ring;
    entries->room = room;
    entries->head = 0;
    return 0;
}

int weir__entries_push(struct weir__entries *entries,
                       const struct weir_alloc *alloc,
                       const struct weir__entry *entry)
{
    if (entries->count == entries->room) {
        int rc = grow(entries, alloc);

        if (rc != 0)
            return rc;
    }
    entries->count++;
    *weir__entries_at(entries, entries->count - 1) = *entry;
    return 0;
}

void weir__entries_free(struct weir__entries *entries,
                        const struct weir_alloc *alloc)
{
    weir__free(alloc, entries->ring);
    entries->ring = NULL;
    entries->head = 0;
    entries->count = 0;
    entries->room = 0;
}
