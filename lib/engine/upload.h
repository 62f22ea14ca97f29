/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Uploads: what the log cache holds becomes objects, one commit makes them
 * real, and then the WAL is trimmed.
 */
#ifndef WEIR_ENGINE_UPLOAD_H
#define WEIR_ENGINE_UPLOAD_H

#include "engine/node.h"

void weir__upload_init(struct weir *node);
/** Something was acknowledged: start an upload if it is time. */
void weir__upload_look(struct weir *node);
/** Appends want room: upload now. */
void weir__upload_pressure(struct weir *node);
/** Number of the upload's commit that is awaited; 0: none is. */
uint64_t weir__upload_commit(const struct weir *node);
/** Flushes of the upload under way: there is one. */
struct weir__list *weir__upload_flushes(struct weir *node);
/** Stop the timers; a job under way ends by itself. */
void weir__upload_close(struct weir *node);

/** Removal of objects that nothing names: begins at open. */
void weir__sweep_init(struct weir *node);
/** Look for objects whose grace is over. */
void weir__sweep_look(struct weir *node);
void weir__sweep_close(struct weir *node);

void weir__log_sweep_init(struct weir *node);
/** Before the commit that opens the node, which may give it another log: see
 * whether there are object logs. */
void weir__log_sweep_before(struct weir *node);
/** Remove slots that crashes have left, of all nodes' object logs: at open;
 * and once more when late PUTs have ended. */
void weir__log_sweep_open(struct weir *node);
/** The same when a node was taken over. */
void weir__log_sweep_look(struct weir *node);
void weir__log_sweep_close(struct weir *node);

#endif
