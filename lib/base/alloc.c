/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static void *std_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *std_realloc(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return realloc(ptr, size);
}

static void *std_aligned(void *ctx, size_t align, size_t size)
{
    (void)ctx;
    return aligned_alloc(align, size);
}

static void std_free(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

const struct weir_alloc *weir_alloc_default(void)
{
    static const struct weir_alloc std = {
        .size = sizeof(struct weir_alloc),
        .malloc = std_malloc,
        .realloc = std_realloc,
        .aligned = std_aligned,
        .free = std_free,
    };

    return &std;
}

/* A size of 0 may give NULL in C11, which would look like an error here. */
static size_t at_least_one(size_t size)
{
    return size != 0 ? size : 1;
}

void *weir__malloc(const struct weir_alloc *alloc, size_t size)
{
    return alloc->malloc(alloc->ctx, at_least_one(size));
}

void *weir__calloc(const struct weir_alloc *alloc, size_t count, size_t size)
{
    size_t total;
    void *ptr;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    ptr = weir__malloc(alloc, total);
    if (ptr != NULL)
        memset(ptr, 0, total);
    return ptr;
}

void *weir__resize(const struct weir_alloc *alloc, void *ptr, size_t count,
                   size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    if (ptr == NULL)
        return weir__malloc(alloc, total);
    return alloc->realloc(alloc->ctx, ptr, at_least_one(total));
}

void *weir__aligned(const struct weir_alloc *alloc, size_t align, size_t size)
{
    size_t total = at_least_one(size);

    /* C11 wants a multiple of the alignment. */
    if (total > SIZE_MAX - align)
        return NULL;
    total = (total + align - 1) & ~(align - 1);
    return alloc->aligned(alloc->ctx, align, total);
}

char *weir__strndup(const struct weir_alloc *alloc, const char *text,
                    size_t len)
{
    char *copy = weir__malloc(alloc, len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *weir__strdup(const struct weir_alloc *alloc, const char *text)
{
    return weir__strndup(alloc, text, strlen(text));
}

void weir__free(const struct weir_alloc *alloc, void *ptr)
{
    if (ptr != NULL)
        alloc->free(alloc->ctx, ptr);
}
