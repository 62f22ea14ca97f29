/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Keys of an s3 store that the host gives (weir/s3_keys.h).
 */
#ifndef WEIR_STORE_S3_HOST_H
#define WEIR_STORE_S3_HOST_H

#include <weir/s3_keys.h>

struct weir__s3_found;
struct weir__s3_host;

/** Prepare to ask: 0 or WEIR_ENOMEM. */
int weir__s3_host_new(struct weir__s3_host **out, const struct weir_host *host,
                      weir_s3_keys_fn *give, void *ctx);

/** Ask.  `done` runs in the core, never before the return, with 0 and `found`,
 * whose bytes are valid in it; WEIR_EAUTH, WEIR_EUNAVAILABLE or WEIR_ENOMEM
 * with `err`.  Not while it is asked. */
void weir__s3_host_ask(struct weir__s3_host *host, int rejected,
                       void (*done)(void *ctx, int status,
                                    const struct weir__s3_found *found),
                       void *ctx, struct weir_error *err);

/** Overwrite and free.  Not while it is asked. */
void weir__s3_host_free(struct weir__s3_host *host);

#endif
