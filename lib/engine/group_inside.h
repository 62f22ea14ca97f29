/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the files of group commit share: group.c gathers, group_write.c writes
 * what has gathered, group_end.c tells the appends how it ended.
 */
#ifndef WEIR_ENGINE_GROUP_INSIDE_H
#define WEIR_ENGINE_GROUP_INSIDE_H

#include "engine/group.h"

/** Pieces of memory that one write may gather. */
#define WEIR__GROUP_PIECES 16

/** What one write makes durable. */
struct weir__group {
    struct weir__list link;
    struct weir *node;
    struct weir_append *first;
    struct weir_append *last;
    uint64_t position;
    struct weir__segment *segments[WEIR__GROUP_PIECES];
    struct weir_iov iov[WEIR__GROUP_PIECES];
    size_t pieces;
    struct weir_wal_write write;
    uint32_t sum; /* CRC32C of the pieces, */
    int summed;   /* if it is had for little. */
    struct weir_error error;
    uint64_t since; /* When it began to gather, if others may be in flight, */
    int loaded;     /* and whether some were, or were about to. */
    int status;
};

/** Writes that may be in flight. */
static inline unsigned weir__group_depth(const struct weir *node)
{
    return node->wal->depth > 1 ? node->wal->depth : 1;
}

/** Nothing is added to the open group any more. */
void weir__group_close(struct weir *node);
/** The memory of its pieces is not needed for the write any more. */
void weir__group_drop(struct weir__group *g);

/** The task that writes. */
void weir__group_kick(struct weir_task *task);
/** The open group has waited for long enough. */
void weir__group_linger_over(struct weir_timer *timer);

/** Acknowledge a durable group, and free it. */
void weir__group_acknowledge(struct weir__group *g);
/**
 * Writes have failed (`lost`), and none is in flight.  They and all behind
 * them go; if the log can go on, the next record comes where the first of them
 * was to be.
 */
void weir__group_fail(struct weir *node);

#endif
