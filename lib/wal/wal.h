/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Constructors of the write-ahead logs.  Everything else is behind the port,
 * weir/wal.h.
 */
#ifndef WEIR_WAL_WAL_H
#define WEIR_WAL_WAL_H

#include "wal/disk.h"
#include <weir/wal.h>

/** `mem:` with `?size=` for how much it takes; keeps nothing that was
 * trimmed. */
weir_wal_open_fn weir__wal_memory_open;
/** `file:/path?size=256MiB`. */
weir_wal_open_fn weir__wal_file_open;
/** The file log on a disk that is open already, which it takes over (also
 * when it fails).  `name` is for messages. */
void weir__wal_file_open_disk(struct weir_wal_open *req,
                              struct weir__disk *disk, const char *name);

#endif
