/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Flush requests: they wait in lists, for the upload that will end them.
 */
#ifndef WEIR_ENGINE_FLUSH_H
#define WEIR_ENGINE_FLUSH_H

#include "engine/node.h"

/** End the flushes of a list; `error` (may be NULL) tells them why. */
void weir__flushes_end(struct weir__list *list, int status,
                       const struct weir_error *error);
/** Put the flushes of an upload that failed in front of the next one.  The
 * host's do not wait for it if the node closes: they end. */
void weir__flushes_requeue(struct weir *node, struct weir__list *list);
/** 1 if the list has the flush of a node that closes. */
int weir__flushes_have_last(const struct weir__list *list);
/** A flush while the node closes. */
void weir__flush_last(struct weir *node, struct weir_flush *req);
/** Do not wait for that flush any more; its `done` will not run. */
void weir__flush_give_up(struct weir_flush *req);

/** The upload asks the manifest: flushes do not wait longer for its answer
 * than `commit_timeout`.  The upload goes on without them. */
void weir__flush_late_start(struct weir *node);
void weir__flush_late_stop(struct weir *node);
void weir__flush_init(struct weir *node);

#endif
