/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The host's allocator.  A node takes all of its memory through one of these.
 */
#ifndef WEIR_ALLOC_H
#define WEIR_ALLOC_H

#include <weir/api.h>

WEIR_BEGIN

/**
 * An allocator.  The functions are called from any thread, and follow C11
 * `malloc`, `realloc`, `free` and `aligned_alloc`; they return NULL when
 * memory is out, and the library reports that as WEIR_ENOMEM.
 */
struct weir_alloc {
    size_t size; /* sizeof(struct weir_alloc) at the host. */
    void *(*malloc)(void *ctx, size_t size);
    void *(*realloc)(void *ctx, void *ptr, size_t size);
    void *(*aligned)(void *ctx, size_t align, size_t size);
    void (*free)(void *ctx, void *ptr);
    void *ctx; /* For the host; passed to each function. */
};

/**
 * The C library's allocator.
 *
 * Threads: any.
 *
 * @return a constant table that lives for ever.
 */
WEIR_API const struct weir_alloc *weir_alloc_default(void);

WEIR_END

#endif
