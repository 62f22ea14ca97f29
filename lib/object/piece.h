/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One block of an object that is being built.
 */
#ifndef WEIR_OBJECT_PIECE_H
#define WEIR_OBJECT_PIECE_H

#include "object/object.h"
#include <stdbool.h>

/** A block: fill the first group, zero the rest. */
struct weir__piece {
    const struct weir__build_stream *stream;
    size_t first;                   /* Batch. */
    struct weir__index_entry entry; /* But for the three that follow: */

    /* Out: `entry.length`, `entry.stored_crc32c`; `entry.position` is not
     * known yet. */
    unsigned char *head; /* The block; or without its payloads, if `refer`. */
    size_t head_len;
    bool refer; /* The payloads follow `head`, where they are. */
    int status;
    size_t bad; /* WEIR_ECORRUPT: batch. */
};

/** Batch `i` of the block. */
static inline const struct weir_batch *
weir__piece_batch(const struct weir__piece *p, size_t i)
{
    return &p->stream->batches[p->first + i];
}

/** Check, compress and checksum the block, on a worker: 0, WEIR_ENOMEM,
 * WEIR_ECORRUPT.  `head` is to be freed in any case. */
int weir__piece_make(struct weir__piece *p, const struct weir__build *req);

#endif
