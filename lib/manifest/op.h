/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Operations on the manifest.  They stand with the formats, because the
 * bytes of a commit are made from them.
 */
#ifndef WEIR_MANIFEST_OP_H
#define WEIR_MANIFEST_OP_H

#include "format/manifest_op.h"

#endif
