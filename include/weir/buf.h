/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Reference-counted bytes.  What a store returns and what a fetch hands out.
 */
#ifndef WEIR_BUF_H
#define WEIR_BUF_H

#include <weir/alloc.h>

WEIR_BEGIN

/** Bytes with a count of owners.  Read-only once more than one owns them. */
struct weir_buf {
    unsigned char *data;
    size_t len;      /* Bytes in use. */
    size_t capacity; /* Bytes there are. */

    const struct weir_alloc *alloc;                 /* Private. */
    void (*freed)(struct weir_buf *buf, void *ctx); /* Private. */
    void *freed_ctx;                                /* Private. */
    int refs;                                       /* Private; atomic. */
};

/** A range of memory, to be read. */
struct weir_iov {
    const void *data;
    size_t len;
};

/**
 * A new buffer with one owner and no bytes in use.
 *
 * Threads: any.
 *
 * @param alloc     Allocator; must outlive the buffer.
 * @param capacity  Bytes of room.
 * @param align     Alignment of `data`: a power of two, or 0 for any.
 * @return the buffer, or NULL when memory is out.
 */
WEIR_API struct weir_buf *weir_buf_new(const struct weir_alloc *alloc,
                                       size_t capacity, size_t align);

/**
 * Become one more owner.
 *
 * Threads: any.
 *
 * @param buf  Buffer.
 * @return `buf`.
 */
WEIR_API struct weir_buf *weir_buf_ref(struct weir_buf *buf);

/**
 * Stop being an owner; the last one frees the buffer.
 *
 * Threads: any.
 *
 * @param buf  Buffer, or NULL.
 */
WEIR_API void weir_buf_unref(struct weir_buf *buf);

WEIR_END

#endif
