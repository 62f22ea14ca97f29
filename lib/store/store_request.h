/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What every store does with a request before and after its own part: check
 * it, cut its range, refuse it.
 */
#ifndef WEIR_STORE_STORE_REQUEST_H
#define WEIR_STORE_STORE_REQUEST_H

#include <stdbool.h>
#include <weir/store.h>

/** Is it a key: `[a-z0-9/_.-]`, 1 to 512 bytes, no segment that is empty or
 * begins with a dot? */
bool weir__store_key_valid(const char *key);

/** Can keys begin with it?  The same, but the last segment may be empty. */
bool weir__store_prefix_valid(const char *prefix);

/** Check what the caller filled in: 0, or WEIR_EINVAL with `req->err` set. */
int weir__store_check(const struct weir_store_req *req);

/** A range of an object, from GET's `offset`, `length` and flags.  A range
 * that begins behind the end is WEIR_ERANGE, except that of an empty object's
 * beginning; a suffix longer than the object is all of it. */
int weir__store_range(const struct weir_store_req *req, uint64_t size,
                      uint64_t *offset, uint64_t *length);

/** Sum of the pieces of a PUT. */
uint64_t weir__store_body_size(const struct weir_store_req *req);

/** End `req` with `status` on the next turn of the core, without the store:
 * takes no memory (it uses `req->impl`), so that it cannot fail. */
void weir__store_refuse(struct weir_env *env, struct weir_store_req *req,
                        int status);

#endif
