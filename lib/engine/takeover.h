/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Dead nodes that are being taken over.
 */
#ifndef WEIR_ENGINE_TAKEOVER_H
#define WEIR_ENGINE_TAKEOVER_H

#include "engine/node.h"

/** The node closes: leave what is not uploaded to another takeover. */
void weir__takeover_close(struct weir *node);

#endif
