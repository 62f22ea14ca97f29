/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A request to the simulated store: on its way (sim_store.c), and taking
 * effect (sim_apply.c).
 */
#ifndef WEIR_SIM_REQUEST_H
#define WEIR_SIM_REQUEST_H

#include "sim/world.h"

#include <stdbool.h>

struct sim_door;

/** One request; in the world's memory, as it outlives a crash of its node. */
struct sim_request {
    struct weir__list node; /* In the world's `requests`. */
    struct weir_sim *sim;
    struct weir_sim_node *owner; /* NULL: nobody waits for the answer. */
    struct sim_door *door;       /* Through which it came. */
    struct weir_store_req *req;  /* The node's; only while `owner`. */
    enum weir_store_verb verb;
    unsigned flags;
    char *key;
    unsigned char *body; /* PUT: to write.  GET: what was read. */
    size_t len;
    uint64_t size; /* Of the object, when it was read. */
    struct weir_store_entry *entries;
    size_t entry_count;
    int more;

    int applies;    /* How often it has yet to take effect. */
    bool wrong_sum; /* The body is not what its CRC32C is of. */
    bool answered;
    bool sent;   /* Past where a cut could hold it. */
    bool held;   /* The answer waits for the cut to heal. */
    int refusal; /* Answer whatever happens, or 0. */
    int status;  /* Answer of the last time it did. */
    struct weir_timer apply;
    struct weir_timer answer;
    struct weir_task task; /* Tells the node. */
};

/** Take effect: the status of the answer. */
int weir__sim_apply(struct sim_request *r);
/** Free what a LIST has found. */
void weir__sim_entries_free(struct sim_request *r);

#endif
