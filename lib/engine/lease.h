/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The lease of a node: while it runs nobody takes the node over.
 *
 * The holder counts it from before the commit that renews it was sent, and
 * gives up a tenth of it; the others count it from when they have seen that
 * commit, and add a margin.  So they agree as long as their clocks do not
 * differ in rate by more than that.
 */
#ifndef WEIR_ENGINE_LEASE_H
#define WEIR_ENGINE_LEASE_H

#include "engine/node.h"

void weir__lease_init(struct weir *node);
/** The node is open, by a commit that was sent at `sent`. */
void weir__lease_start(struct weir *node, uint64_t sent);
/** May what is durable be acknowledged?  Always 1 without a lease, and where
 * the log itself tells when it has been taken over. */
int weir__lease_holds(struct weir *node);
/** 1 if nobody can have taken the node over, but by force.  Always 1 without a
 * lease. */
int weir__lease_runs(const struct weir *node);
void weir__lease_close(struct weir *node);

#endif
