/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Watches of keys.
 */
#ifndef WEIR_ENGINE_WATCH_H
#define WEIR_ENGINE_WATCH_H

#include "engine/node.h"

/** A key has changed: `ctx` is the node. */
void weir__watch_changed(void *ctx, const struct weir_kv_pair *pair);
/** End all watches with WEIR_ECLOSED. */
void weir__watch_close(struct weir *node);

#endif
