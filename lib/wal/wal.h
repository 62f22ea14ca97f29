/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Constructors of the write-ahead logs.  Everything else is behind the port,
 * weir/wal.h.
 */
#ifndef WEIR_WAL_WAL_H
#define WEIR_WAL_WAL_H

#include "format/wal_super.h"
#include "wal/disk.h"
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

/** Open a file log only to read it: `recover` and `close` may be called, and
 * nothing is written.  Whose it is does not matter (`owner` is not read); one
 * that a node has open gives WEIR_EBUSY. */
weir_wal_open_fn weir__wal_file_inspect;
/** Header block of a file log, as it was found. */
void weir__wal_file_super(const struct weir_wal *wal,
                          struct weir__wal_super *out);

#endif
