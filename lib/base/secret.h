/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Memory for secrets that are kept: keys, passwords, tokens.
 *
 * Whole pages of the host's allocator, so that what is asked of the kernel
 * holds for nothing else: they are left out of core dumps, and kept out of
 * swap space as far as the process may lock memory.  A kernel that does
 * neither is no error.  They are overwritten before they are given back, and
 * then neither left out nor locked, even if the host had them so before.
 *
 * Two calls to the kernel to get them and two to give them back change the
 * process's map of memory, for which its threads wait: for what is kept, not
 * for each request.
 */
#ifndef WEIR_BASE_SECRET_H
#define WEIR_BASE_SECRET_H

#include <weir/alloc.h>

/** Zero bytes; NULL: memory is out. */
void *weir__secret_calloc(const struct weir_alloc *alloc, size_t size);
char *weir__secret_strdup(const struct weir_alloc *alloc, const char *text);
/** Overwrite and free; NULL is allowed. */
void weir__secret_free(const struct weir_alloc *alloc, void *ptr);

#endif
