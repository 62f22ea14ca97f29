/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside view of `struct weir_buf`.
 */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include <weir/buf.h>

/** Have `freed` called when the last owner has gone, instead of freeing; it
 * ends with `weir__buf_free`.  Any thread may be the last. */
void weir__buf_on_free(struct weir_buf *buf,
                       void (*freed)(struct weir_buf *buf, void *ctx),
                       void *ctx);
/** Free a buffer whose last owner has gone. */
void weir__buf_free(struct weir_buf *buf);
/** Number of owners, at the moment. */
int weir__buf_refs(const struct weir_buf *buf);

#endif
