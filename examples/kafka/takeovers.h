/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The dead nodes of the cluster, and their takeovers.
 *
 * Each second a server lists the nodes.  It takes over those that are dead when
 * its turn has come (turn.h), several at a time.
 */
#ifndef KAFKA_TAKEOVERS_H
#define KAFKA_TAKEOVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/cluster.h>

#include "list.h"

struct broker;

/** Most takeovers at a time: each one opens a log, and reads it. */
#define TAKEOVERS_MOST 4u

/** The dead, as this server sees them. */
struct takeovers {
    struct broker *broker;
    struct weir_node_list list;
    struct weir_member *page;
    struct list dead; /* All that ever were: few. */
    uint64_t ticks;
    uint64_t round; /* Counts the listings. */
    size_t rank;    /* Living servers with smaller ids, so far. */
    size_t taking;
    bool listing;
};

/** No node is dead yet. */
void takeovers_init(struct takeovers *takeovers, struct broker *broker);
/** A second has passed; list the nodes if `ask` is set. */
void takeovers_tick(struct takeovers *takeovers, bool ask);
/** Free what it holds; the node is closed. */
void takeovers_free(struct takeovers *takeovers);

#endif
