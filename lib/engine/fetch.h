/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Fetches: from the log cache, from the block cache, from objects.
 */
#ifndef WEIR_ENGINE_FETCH_H
#define WEIR_ENGINE_FETCH_H

#include "engine/node.h"

/** New data, a new start, or the end of the stream: look at who waits. */
void weir__fetch_wake(struct weir_stream *stream);
/** The same for the streams of a node. */
void weir__fetch_wake_all(struct weir *node);
/** End every fetch with WEIR_ECLOSED, except those that a store still owes
 * an answer. */
void weir__fetch_close(struct weir *node);
/** Objects that a fetch is reading are not to be removed. */
int weir__fetch_reads(const struct weir *node, uint64_t object_id);
/** 1 if other nodes append to the stream, or a successor of this one does, as
 * far as this node knows. */
int weir__fetch_foreign(const struct weir_stream *s);
/** Read the manifest's log up to its end, soon. */
void weir__fetch_refresh(struct weir *node);
/** A look at other nodes' logs has ended: tell who waits for it. */
void weir__fetch_looked(struct weir *node);
/** What foreign streams wait for: begins at open. */
void weir__fetch_init(struct weir *node);

#endif
