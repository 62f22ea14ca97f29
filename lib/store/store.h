/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Constructors of the object stores.  Everything else is behind the port,
 * weir/store.h.
 */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include <weir/config.h>
#include <weir/store.h>

/** `mem:` keeps objects in memory, for the life of the store. */
weir_store_open_fn weir__store_memory_open;
/** `dir:/path`: a directory, made if its parent exists.  `?fsync=false` to
 * leave durability to the system. */
weir_store_open_fn weir__store_dir_open;
/** `s3://bucket/prefix?endpoint=URL&region=NAME&path_style=true`; `ctx` is the
 * `struct weir_config` with the keys, read only in the call. */
weir_store_open_fn weir__store_s3_open;

#endif
