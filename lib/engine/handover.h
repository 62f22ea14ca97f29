/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Streams that are handed over to another node.
 */
#ifndef WEIR_ENGINE_HANDOVER_H
#define WEIR_ENGINE_HANDOVER_H

#include "engine/node.h"

/** Appends have ended: look whether hand-overs can go on. */
void weir__handover_look(struct weir *node);

#endif
