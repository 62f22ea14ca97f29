/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A store in front of another one that goes wrong on demand.
 */
#ifndef TESTS_SUPPORT_FAULT_STORE_H
#define TESTS_SUPPORT_FAULT_STORE_H

#include <weir/store.h>

enum fault {
    FAULT_NONE,
    FAULT_BEFORE,         /* Not done: WEIR_EUNAVAILABLE. */
    FAULT_REFUSED,        /* Not done, nor will it ever: WEIR_EACCES. */
    FAULT_UNKNOWN_BEFORE, /* Not done; a PUT says WEIR_EUNKNOWN. */
    FAULT_UNKNOWN_AFTER,  /* Done; a PUT says WEIR_EUNKNOWN. */
    FAULT_UNKNOWN_LATER,  /* A PUT says WEIR_EUNKNOWN and is done later. */
    FAULT_DAMAGED,        /* A GET gets a byte that is wrong. */
    FAULT_HELD,           /* Not begun until `fault_store_release`. */
    FAULT_HELD_AFTER,     /* Done, but the answer comes with the release. */
    FAULT_KINDS
};

struct fault_store;

/** The store to give to what is tested.  It does not own `inner`. */
struct fault_store *fault_store_open(const struct weir_host *host,
                                     struct weir_store *inner);
struct weir_store *fault_store_port(struct fault_store *store);
/** Free it; nothing is held and nothing is to be done later. */
void fault_store_close(struct fault_store *store);

/** The `n`th request from now on (1: the next) goes wrong, and with `times`
 * as many after it. */
void fault_store_set(struct fault_store *store, enum fault fault, long n,
                     long times);
/** Only PUTs go wrong, and only they are counted for that. */
void fault_store_puts_only(struct fault_store *store);
/** How long after its answer a late PUT is done, in nanoseconds. */
void fault_store_delay(struct fault_store *store, uint64_t delay);
/** Requests so far. */
long fault_store_count(const struct fault_store *store);
/** Requests that have gone wrong so far. */
long fault_store_hits(const struct fault_store *store);
/** PUTs so far. */
long fault_store_puts(const struct fault_store *store);
/** From now on it takes a watch. */
void fault_store_tells(struct fault_store *store);
/** Tell who watches of a key, or (NULL) that nobody knows. */
void fault_store_tell(struct fault_store *store, const char *key, int live);
/** Begin, or answer, what is held. */
void fault_store_release(struct fault_store *store);

#endif
