/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "base/alloc.h"
#include "base/bytes.h"

#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In front of what the caller gets. */
struct front {
    alignas(max_align_t) size_t room; /* Of all the pages. */
};

void *weir__secret_calloc(const struct weir_alloc *alloc, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct front *front;
    size_t room;

    if (size > SIZE_MAX / 2)
        return NULL;
    room = (size_t)weir__round_up(sizeof(*front) + size, page);
    front = weir__aligned(alloc, page, room);
    if (front == NULL)
        return NULL;
    /* Before there is a secret in it. */
    (void)madvise(front, room, MADV_DONTDUMP);
    (void)mlock(front, room);
    memset(front, 0, room);
    front->room = room;
    return front + 1;
}

char *weir__secret_strdup(const struct weir_alloc *alloc, const char *text)
{
    size_t len = strlen(text);
    char *copy = weir__secret_calloc(alloc, len + 1);

    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}

void weir__secret_free(const struct weir_alloc *alloc, void *ptr)
{
    struct front *front = ptr;
    size_t room;

    if (ptr == NULL)
        return;
    front--;
    room = front->room;
    explicit_bzero(front, room);
    /* The host's again: for it the pages are as all others. */
    (void)munlock(front, room);
    (void)madvise(front, room, MADV_DODUMP);
    weir__free(alloc, front);
}
