/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Hash map from 64-bit numbers to pointers; grows, iterates in an order that
 * depends only on what was put in and when.
 */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include <weir/alloc.h>

struct weir__map_slot {
    uint64_t key;
    void *value; /* NULL: free. */
};

/** A map.  Zero it but for `alloc`, then use it. */
struct weir__map {
    const struct weir_alloc *alloc;
    struct weir__map_slot *slots;
    size_t capacity; /* 0 or a power of two. */
    size_t count;
};

/** Value of a number, or NULL. */
void *weir__map_get(const struct weir__map *map, uint64_t key);
/** Set it (value not NULL): 0, or WEIR_ENOMEM and nothing changed. */
int weir__map_put(struct weir__map *map, uint64_t key, void *value);
/** Remove it: its value, or NULL. */
void *weir__map_remove(struct weir__map *map, uint64_t key);

/** Walk all values: `*at` begins at 0; NULL at the end.  The map must not
 * change meanwhile. */
void *weir__map_next(const struct weir__map *map, size_t *at);
/** Free the table, not the values. */
void weir__map_free(struct weir__map *map);

#endif
