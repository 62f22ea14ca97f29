/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a fetch has found: batches, and what keeps their bytes alive.  It is
 * the caller's after the fetch, and outlives the node.
 */
#ifndef WEIR_ENGINE_FETCH_RESULT_H
#define WEIR_ENGINE_FETCH_RESULT_H

#include "object/object.h"
#include <weir/stream.h>

/** One owner's share of a buffer or of a block. */
struct weir__hold {
    struct weir_buf *buf;
    struct weir__block *block;
};

struct weir__fetch_result {
    const struct weir_alloc *alloc;
    struct weir_batch *batches;
    size_t count;
    size_t room;
    size_t bytes;
    struct weir__hold *holds;
    size_t hold_count;
    size_t hold_room;
};

/** Add one batch: 0 or WEIR_ENOMEM. */
int weir__result_add(struct weir__fetch_result *result,
                     const struct weir_batch *batch);
/** Keep a buffer or a block (takes a reference): 0 or WEIR_ENOMEM. */
int weir__result_hold_buf(struct weir__fetch_result *result,
                          struct weir_buf *buf);
int weir__result_hold_block(struct weir__fetch_result *result,
                            struct weir__block *block);
/** Free it all, itself included. */
void weir__result_free(struct weir__fetch_result *result);

#endif
