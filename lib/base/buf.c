/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/alloc.h"

#include <sys/mman.h>

/* The bytes follow the struct in the same allocation, unless they need more
 * alignment than malloc gives. */
static unsigned char *inline_data(struct weir_buf *buf)
{
    return (unsigned char *)(buf + 1);
}

/* Buffers of this size are asked for in huge pages: a log is recovered into
 * them, and most of that time went into faulting in small ones. */
#define HUGE_PAGE ((size_t)2 << 20)

struct weir_buf *weir_buf_new(const struct weir_alloc *alloc, size_t capacity,
                              size_t align)
{
    int apart = align > _Alignof(struct weir_buf);
    struct weir_buf *buf;

    if (apart && capacity >= HUGE_PAGE && align < HUGE_PAGE)
        align = HUGE_PAGE;
    if (!apart && capacity > SIZE_MAX - sizeof(*buf))
        return NULL;
    buf = weir__malloc(alloc, sizeof(*buf) + (apart ? 0 : capacity));
    if (buf == NULL)
        return NULL;
    *buf = (struct weir_buf){.alloc = alloc, .capacity = capacity, .refs = 1};
    buf->data =
        apart ? weir__aligned(alloc, align, capacity) : inline_data(buf);
    if (buf->data == NULL) {
        weir__free(alloc, buf);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (apart && align >= HUGE_PAGE) /* A wish: it may go unheard. */
        (void)madvise(buf->data, capacity / HUGE_PAGE * HUGE_PAGE,
                      MADV_HUGEPAGE);
#endif
    return buf;
}

struct weir_buf *weir_buf_ref(struct weir_buf *buf)
{
    __atomic_fetch_add(&buf->refs, 1, __ATOMIC_RELAXED);
    return buf;
}

void weir_buf_unref(struct weir_buf *buf)
{
    /* Release what this owner read or wrote; acquire what all others did. */
    if (buf == NULL || __atomic_sub_fetch(&buf->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (buf->freed != NULL)
        buf->freed(buf, buf->freed_ctx);
    else
        weir__buf_free(buf);
}

void weir__buf_on_free(struct weir_buf *buf,
                       void (*freed)(struct weir_buf *buf, void *ctx),
                       void *ctx)
{
    buf->freed = freed;
    buf->freed_ctx = ctx;
}

void weir__buf_free(struct weir_buf *buf)
{
    const struct weir_alloc *alloc = buf->alloc;

    if (buf->data != inline_data(buf))
        weir__free(alloc, buf->data);
    weir__free(alloc, buf);
}

int weir__buf_refs(const struct weir_buf *buf)
{
    return __atomic_load_n(&buf->refs, __ATOMIC_ACQUIRE);
}
