/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the URIs of the write-ahead logs ask for.
 */
#ifndef WEIR_WAL_WAL_URI_H
#define WEIR_WAL_WAL_URI_H

#include "base/uri.h"
#include <weir/alloc.h>
#include <weir/error.h>

/** `mem:?size=64MiB`. */
int weir__wal_memory_uri(const struct weir_alloc *alloc, const char *text,
                         uint64_t *size, struct weir_error *err);

/** `file:/path?size=256MiB&salvage=true&create=false`. */
struct weir__file_wish {
    struct weir__uri uri; /* The caller's to free, unless it failed. */
    uint64_t size;
    int salvage;
    int create; /* Make a log where there is none: else WEIR_ENOENT. */
};

int weir__wal_file_uri(const struct weir_alloc *alloc, const char *text,
                       struct weir__file_wish *wish, struct weir_error *err);

/** `object:?flush=12MiB&inflight=8&linger=150ms&puts=3600`. */
struct weir__object_wish {
    uint64_t flush;  /* Bytes of a slot. */
    uint64_t depth;  /* PUTs at one time. */
    uint64_t linger; /* Nanoseconds that a slot is gathered, at most. */
    uint64_t puts;   /* In an hour, at most; 0: no limit. */
};

int weir__wal_object_uri(const struct weir_alloc *alloc, const char *text,
                         struct weir__object_wish *wish,
                         struct weir_error *err);

#endif
