/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The nodes of the cluster, as this one sees them.
 */
#ifndef WEIR_ENGINE_MEMBERS_H
#define WEIR_ENGINE_MEMBERS_H

#include "engine/node.h"

void weir__members_init(struct weir *node);
/** A commit was applied: note who was heard. */
void weir__members_look(struct weir *node);
/** Follow the manifest as often as is asked for. */
void weir__members_follow(struct weir *node);
/** An `enum weir_life`.  The manifest must just have been read. */
int weir__members_life(const struct weir *node,
                       const struct weir__member *member);
void weir__members_close(struct weir *node);
void weir__members_free(struct weir *node);

#endif
