/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * An ordered set of pointers: a sorted array cut into short chunks.
 *
 * Lookup is two binary searches; to put or remove one moves at most a chunk
 * and, when a chunk is split or emptied, the list of chunks.  About 8 to 16
 * bytes for each thing.  What it holds depends on nothing but its content.
 */
#ifndef WEIR_MANIFEST_ORDER_H
#define WEIR_MANIFEST_ORDER_H

#include <weir/alloc.h>
#include <weir/error.h>

struct weir__chunk;

/** A set.  Zero it but for `alloc` and `compare`, then use it. */
struct weir__order {
    const struct weir_alloc *alloc;
    /* Key against the key of a thing: negative, 0, positive. */
    int (*compare)(const void *key, const void *item);
    struct weir__chunk **chunks; /* Private, as is the rest. */
    size_t chunk_count;
    size_t chunk_room;
    size_t count;
};

/** A place in a walk; zero it to begin at the first. */
struct weir__order_at {
    size_t chunk;
    size_t item;
};

/** The thing with this key, or NULL. */
void *weir__order_get(const struct weir__order *order, const void *key);
/** The first thing behind `key` (NULL: the first of all), or NULL. */
void *weir__order_after(const struct weir__order *order, const void *key);
/** Put a thing whose key is not there yet: 0, or WEIR_ENOMEM and nothing
 * changed. */
int weir__order_put(struct weir__order *order, const void *key, void *item);
/** Take a thing out and return it, or NULL.  Never fails for memory. */
void *weir__order_remove(struct weir__order *order, const void *key);
/** Walk in order: the thing at `at`, which moves on; NULL at the end.  The
 * set must not change meanwhile. */
void *weir__order_next(const struct weir__order *order,
                       struct weir__order_at *at);
/** Free the set, not the things. */
void weir__order_free(struct weir__order *order);

#endif
