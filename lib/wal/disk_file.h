/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the real disk.  disk_open.c finds, makes and locks the file;
 * disk_file.c has the thread.
 */
#ifndef WEIR_WAL_DISK_FILE_H
#define WEIR_WAL_DISK_FILE_H

#include "wal/disk.h"
#include <stdbool.h>

/** An open file or block device. */
struct weir__disk_place {
    const struct weir_alloc *alloc;
    int fd;        /* -1: none. */
    uint64_t size; /* Bytes. */
    uint32_t align;
    bool fresh;     /* To be formatted. */
    bool nameless;  /* A new file, which gets its name by its first sync. */
    bool unsettled; /* An old one, whose name may not be on the disk yet. */
    char *draft;    /* Name of a nameless file where the file system cannot do
                       without one. */
};

/** What to open. */
struct weir__disk_wish {
    const char *path;
    uint64_t size; /* Of a file that is not there; 0: do not make one. */
    bool read_only;
};

/** Open, or make without a name, and lock. */
int weir__disk_enter(struct weir__disk_place *place,
                     const struct weir_host *host,
                     const struct weir__disk_wish *wish,
                     struct weir_error *err);
/** Make a nameless file durable under its name: 0, WEIR_EBUSY (there is one
 * by now), or an error of the file system. */
int weir__disk_name(struct weir__disk_place *place, const char *path,
                    struct weir_error *err);
/** Make the name of a file that was there durable. */
int weir__disk_settle(struct weir__disk_place *place, const char *path,
                      struct weir_error *err);
/** Unlock and close; a file that is still nameless goes. */
void weir__disk_leave(struct weir__disk_place *place);

#endif
