/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Keys in the store.
 *
 *     data/<2 hex digits of a hash>/<shard:04x>-<object id:016x>
 *     manifest/log/<version:016x>
 *     manifest/snap/<version:016x>
 *
 * Data keys begin with a hash because S3 scales by prefix; the shard is 0
 * until the manifest splits.
 */
#ifndef WEIR_FORMAT_OBJECT_NAME_H
#define WEIR_FORMAT_OBJECT_NAME_H

#include <stdint.h>

/** Room for any key, with its terminating zero. */
#define WEIR__KEY_SIZE 64

/** Write the key of a data object into `to`. */
void weir__object_key(char to[WEIR__KEY_SIZE], uint64_t object_id);
/** Write the key of a manifest commit or snapshot into `to`. */
void weir__manifest_log_key(char to[WEIR__KEY_SIZE], uint64_t version);
void weir__manifest_snap_key(char to[WEIR__KEY_SIZE], uint64_t version);
/** Version in the last part of a manifest key, or -1: not such a key. */
int weir__manifest_key_version(const char *key, uint64_t *version);
/** Object id in a data key: 0, or -1: not such a key. */
int weir__object_key_id(const char *key, uint64_t *object_id);

#endif
