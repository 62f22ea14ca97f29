/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A disk in memory for the file log.  The image outlives it, and remembers
 * what was not synced, so that a test can cut the power; and it fails where a
 * test tells it to.
 */
#ifndef TESTS_SUPPORT_MEM_DISK_H
#define TESTS_SUPPORT_MEM_DISK_H

#include "wal/disk.h"
#include <stdbool.h>

#define MEM_SECTOR 512u

/** A sector that was written and not synced: what it held before. */
struct mem_sector {
    uint64_t offset;
    unsigned char old[MEM_SECTOR];
};

/** What is on the disk.  Fill `data` and `size`, zero the rest. */
struct mem_image {
    unsigned char *data;
    size_t size;
    bool fresh;

    struct mem_sector *unsynced; /* Oldest first. */
    size_t unsynced_count;
    size_t unsynced_room;

    unsigned ops;   /* Requests carried out so far. */
    unsigned reads; /* Of which so many were these. */
    unsigned writes;
    unsigned syncs;

    unsigned fail_at;    /* The request of this number (from 1) fails */
    int fail_status;     /* with this, */
    size_t fail_written; /* after so many bytes were written, */
    bool fail_sync_only; /* or when all were, by its sync. */
    bool fail_once;      /* Later ones are said to be well. */

    /* Called in the middle of every request: a write is on its way, none of
     * it synced. */
    void (*watch)(struct mem_image *image, void *ctx);
    void *watch_ctx;

    bool hang; /* Requests wait until it is false again. */
    int open;  /* Disks on this image. */
};

/** A zeroed image of `size` bytes, to be formatted. */
void mem_image_init(struct mem_image *image, size_t size);
/** A copy of its bytes and of what is unsynced; no faults. */
void mem_image_copy(struct mem_image *to, const struct mem_image *from);
void mem_image_free(struct mem_image *image);
/** Bring the old contents of an unsynced sector back: it was lost. */
void mem_image_lose(struct mem_image *image, size_t sector);
/** Forget what was unsynced: it stays as it is. */
void mem_image_settle(struct mem_image *image);

/** A disk on an image. */
struct weir__disk *mem_disk_open(struct mem_image *image,
                                 const struct weir_host *host);

#endif
