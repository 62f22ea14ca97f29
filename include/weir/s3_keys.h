/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Keys of an s3: store that the host gives when they are asked for: from a
 * vault, or from a service of its own.
 *
 * For keys that never change there are the properties `s3_access_key` and
 * `s3_secret_key`; for those of the AWS tools `s3_credentials`.
 */
#ifndef WEIR_S3_KEYS_H
#define WEIR_S3_KEYS_H

#include <stdint.h>
#include <weir/config.h>

WEIR_BEGIN

/** What is to be filled in, with `weir_s3_keys_set`. */
struct weir_s3_keys;

/**
 * Gives keys: the host's.
 *
 * Called when a store needs keys for the first time; again from five minutes
 * before they expire, at most every ten seconds, while the old ones still
 * serve; and at once when the store does not take them.  If it fails and no
 * old ones serve, it is called again with the first request to the store a
 * second later; those before end as the one that has called it.
 *
 * Threads: on one of the node's workers, never on two at a time for one store,
 * though several stores (nodes, `weir_probe`) may call at the same time.  It
 * may block, but it occupies a worker meanwhile, requests to the store wait
 * for it up to their deadline (`s3_timeout`), and so does closing the node,
 * without one: it must come to an end by itself.  It must not call functions
 * of the node.
 *
 * @param ctx       What was given to `weir_config_set_s3_keys`.
 * @param rejected  1: the store did not take the last ones, so that others are
 *                  needed, whatever their expiry says.  Else 0.
 * @param keys      To be filled in.
 * @param err       What went wrong, for the messages of the requests that end
 *                  with it: `text` is shown, so it must hold no secret.
 *                  `code` is not read.  Not NULL.
 * @return 0; WEIR_EUNAVAILABLE (there may be some later: as if the store could
 *         not be reached now); any other error: there are none, and requests
 *         end with WEIR_EAUTH.
 */
typedef int weir_s3_keys_fn(void *ctx, int rejected, struct weir_s3_keys *keys,
                            struct weir_error *err);

/**
 * Keys of the s3: stores that are opened with a configuration.
 *
 * Takes the place of `s3_credentials`, `s3_access_key`, `s3_secret_key` and
 * `s3_session_token`, which are not looked at then.
 *
 * Threads: one at a time for one configuration.
 *
 * @param config  Configuration.
 * @param give    Gives them, or NULL: the properties count again.
 * @param ctx     Passed to `give`; must be there until what was opened with the
 *                configuration is closed.
 */
WEIR_API void weir_config_set_s3_keys(struct weir_config *config,
                                      weir_s3_keys_fn *give, void *ctx);

/**
 * Fill in keys.
 *
 * All is copied, and overwritten when it is replaced or the store closes.
 *
 * Threads: where `weir_s3_keys_fn` runs, and only there.
 *
 * @param keys        What it was given.
 * @param access_key  Access key, at most 131 bytes.
 * @param secret_key  Secret key, at most 259 bytes.
 * @param token       Session token, at most 8191 bytes; NULL: none.
 * @param expires     When they expire, milliseconds since 1970; 0: never.
 * @return 0, or WEIR_EINVAL (one is missing, too long, or not of one line):
 *         return it.
 */
WEIR_API int weir_s3_keys_set(struct weir_s3_keys *keys, const char *access_key,
                              const char *secret_key, const char *token,
                              int64_t expires);

WEIR_END

#endif
