/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The backends of examples/custom_wal.c and examples/custom_store.c, as they
 * are, so that the conformance suites run on them too.
 */
#ifndef TESTS_SUPPORT_OWN_H
#define TESTS_SUPPORT_OWN_H

#include <weir/store.h>
#include <weir/wal.h>

/** "ring:PATH". */
extern weir_wal_open_fn *const own_wal_open;

/** "shared:"; `ctx` is an `own_bucket`. */
extern weir_store_open_fn *const own_store_open;

/** A bucket; NULL is an empty one. */
typedef struct object *own_bucket;

/** Remove all that is in it. */
void own_bucket_clear(own_bucket *bucket);

#endif
