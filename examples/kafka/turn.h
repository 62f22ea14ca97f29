/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * When a server tries to take over a dead node.
 *
 * All living servers see the dead one, and none asks another who does it.  The
 * first of them by id tries at once.  That may fail for what lies in the place:
 * the log is on a volume that is attached elsewhere.  So each one behind it
 * tries too, some ticks later, if the node is not taken over by then; and each
 * one that has failed waits twice as long before it tries again.
 */
#ifndef KAFKA_TURN_H
#define KAFKA_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Ticks between the first tries of one server and the next, */
#define TURN_TICKS 5u
/** for this many servers; those behind them come one each tick. */
#define TURN_SERVERS 8u
/** Most ticks between two tries of one server. */
#define TURN_MOST 32u
/** Ticks without a try after which the waiting begins anew with a short one:
 * more than a lease. */
#define TURN_CALM 600u

/** A dead node, as one server sees it; zeros before the first time. */
struct turn {
    uint64_t epoch; /* Of the node. */
    uint64_t round; /* Last round in which it was dead. */
    uint64_t since; /* Tick since when it is. */
    uint64_t next;  /* Tick before which it is not tried again. */
    unsigned tries; /* That failed, one soon after another. */
};

/** The node is found dead.  `round` counts the looks at all nodes, and `now`
 * the ticks. */
void turn_dead(struct turn *turn, uint64_t epoch, uint64_t round, uint64_t now);
/** Is it this server's turn?  `rank` counts the living ones before it. */
bool turn_due(const struct turn *turn, size_t rank, uint64_t now);
/** It tries now. */
void turn_tried(struct turn *turn, uint64_t now);

#endif
