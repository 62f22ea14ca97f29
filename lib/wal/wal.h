/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Constructors of the write-ahead logs.  Everything else is behind the port,
 * weir/wal.h.
 */
#ifndef WEIR_WAL_WAL_H
#define WEIR_WAL_WAL_H

#include "format/wal_slot.h"
#include "format/wal_super.h"
#include "wal/disk.h"
#include <weir/store.h>
#include <weir/wal.h>

/** `mem:` with `?size=` for how much it takes; keeps nothing that was
 * trimmed. */
weir_wal_open_fn weir__wal_memory_open;
/** `file:/path?size=256MiB`.  With `salvage=true`, recovery steps over damage
 * that it would end at otherwise. */
weir_wal_open_fn weir__wal_file_open;
/** The file log on a disk that is open already, which it takes over (also
 * when it fails).  `name` is for messages. */
void weir__wal_file_open_disk(struct weir_wal_open *req,
                              struct weir__disk *disk, const char *name);

/** `object:`: numbered objects in the node's store (docs/wal.md). */
weir_wal_open_fn weir__wal_object_open;
/** Id of a node's object log, under whatever epoch. */
uint64_t weir__wal_object_id(const unsigned char cluster[16], uint32_t node_id);

/** Whether a URI is one that the log can be opened with: WEIR_EINVAL if not,
 * with what was expected in `err`.  Opens nothing. */
typedef int weir__wal_check_fn(const struct weir_alloc *alloc, const char *uri,
                               struct weir_error *err);
weir__wal_check_fn weir__wal_memory_check;
weir__wal_check_fn weir__wal_file_check;
weir__wal_check_fn weir__wal_object_check;

/** Asks for one slot of a node's object log, by who does not own it.  Fill the
 * first group, zero the rest; ask again for the slot behind, as it is left. */
struct weir__slot_get {
    struct weir_store *store;
    const unsigned char *cluster; /* NULL: whichever it says. */
    uint32_t node_id;
    struct weir_wal_mark at; /* Which slot.  Out: the one behind it. */
    /* Called for each record, in order, before `done`; not 0 ends it. */
    int (*record)(void *ctx, const struct weir_wal_record *record);
    /* 0; WEIR_ENOENT: it is not there, or not any more; WEIR_ECORRUPT; what
     * `record` returned; an error of the store.  The request is free again. */
    void (*done)(struct weir__slot_get *get, int status);
    void *ctx;              /* For the caller. */
    struct weir_error *err; /* Not NULL. */

    enum weir__slot_kind kind; /* Out: what it was. */
    uint32_t before;           /* Private: CRC of the slot before, */
    uint64_t next;             /* and the position behind it. */
    int again;                 /* It came damaged once. */
    struct weir_store_req req;
    char key[WEIR__SLOT_KEY];
};

/** Start it; `done` runs in the core, never before the return. */
void weir__slot_get(struct weir__slot_get *get);

/** Open a file log only to read it: `recover` and `close` may be called, and
 * nothing is written.  Whose it is does not matter (`owner` is not read); one
 * that a node has open gives WEIR_EBUSY. */
weir_wal_open_fn weir__wal_file_inspect;
/** Header block of a file log, as it was found. */
void weir__wal_file_super(const struct weir_wal *wal,
                          struct weir__wal_super *out);

#endif
