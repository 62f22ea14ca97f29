/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Memory through the host's allocator.  All return NULL when it is out.
 */
#ifndef WEIR_BASE_ALLOC_H
#define WEIR_BASE_ALLOC_H

#include <weir/alloc.h>

void *weir__malloc(const struct weir_alloc *alloc, size_t size);
/** `count * size` zero bytes; NULL if that overflows. */
void *weir__calloc(const struct weir_alloc *alloc, size_t count, size_t size);
/** Room for `count` things of `size`; `ptr` stays valid on failure. */
void *weir__resize(const struct weir_alloc *alloc, void *ptr, size_t count,
                   size_t size);
void *weir__aligned(const struct weir_alloc *alloc, size_t align, size_t size);
char *weir__strdup(const struct weir_alloc *alloc, const char *text);
char *weir__strndup(const struct weir_alloc *alloc, const char *text,
                    size_t len);
void weir__free(const struct weir_alloc *alloc, void *ptr);

#endif
