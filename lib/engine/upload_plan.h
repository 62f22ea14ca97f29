/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What an upload will put where: a snapshot of everything acknowledged and
 * not yet in objects, cut into objects.
 */
#ifndef WEIR_ENGINE_UPLOAD_PLAN_H
#define WEIR_ENGINE_UPLOAD_PLAN_H

#include "engine/node.h"

/** The batches of one stream that one object will hold. */
struct weir__plan_item {
    struct weir_stream *stream;
    uint64_t epoch;             /* Of the stream, under which they are ours. */
    struct weir_batch *batches; /* In the plan's memory. */
    size_t count;
    size_t bytes;
};

/** One object: consecutive items. */
struct weir__plan_part {
    size_t first;
    size_t count;
    size_t bytes;
};

struct weir__plan {
    const struct weir_alloc *alloc;
    struct weir__plan_item *items; /* By part, then by stream id. */
    size_t item_count;
    struct weir__plan_part *parts;
    size_t part_count;
    struct weir_batch *batches;
    struct weir_buf **pins; /* Memory that the batches lie in. */
    size_t pin_count;
    int damaged; /* Something was left out because it is damaged. */
    int waits;   /* Something waits for a former owner's upload, or was not
                    taken as its stream was opened meanwhile. */
    int gone;    /* Something was left out as its stream is another's. */
    int more;    /* Of a stream a part was left out that comes next. */
};

/** Plan all that is pending: 0 or WEIR_ENOMEM.  `plan` is zero before. */
int weir__plan_make(struct weir__plan *plan, struct weir *node);
void weir__plan_free(struct weir__plan *plan);

#endif
