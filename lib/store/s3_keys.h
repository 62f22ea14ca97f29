/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Credentials of an s3 store: where they come from, and that they stay fresh.
 */
#ifndef WEIR_STORE_S3_KEYS_H
#define WEIR_STORE_S3_KEYS_H

#include "base/list.h"
#include "store/s3.h"

#include <stdbool.h>
#include <weir/config.h>

struct weir__s3_keys;
struct weir__s3_source;
struct weir__s3_host;

/** Who waits for credentials. */
struct weir__s3_keys_wait {
    struct weir__list link; /* Private. */
    /* 0; WEIR_EAUTH: there are none, `keys->error` tells why; or
     * WEIR_ECANCELED. */
    void (*ready)(struct weir__s3_keys_wait *wait, int status);
};

struct weir__s3_keys {
    struct weir_host host;
    struct weir__http *http;
    struct weir__s3_credentials now; /* Valid if `have`. */
    bool have;
    uint64_t version; /* Grows with each that replaces another. */
    int64_t expires;  /* By the server's clock; 0: never. */
    int64_t skew;     /* Milliseconds that that is ahead of the wall clock. */
    int64_t
        try_after;  /* Wall clock: no renewal before, while these are good. */
    int failed;     /* What the last look came to, if that is no keys; */
    int64_t looked; /* by the wall clock. */
    struct weir_error error;
    /* Where others come from; neither: they are the configuration's. */
    struct weir__s3_source *source;
    struct weir__s3_host *given;
    bool rejected; /* The store did not take the last ones. */
    struct weir__list waiting;
    bool renewing;
    struct weir_task *closed; /* Posted when a renewal ends; may be NULL. */
};

/** Take the keys of the configuration, or prepare to look for some where it
 * says.  0, WEIR_EAUTH (none are set), WEIR_EINVAL, WEIR_ENOMEM. */
int weir__s3_keys_open(struct weir__s3_keys *keys, const struct weir_host *host,
                       const struct weir_config *config,
                       const struct weir__s3_place *place,
                       struct weir_error *err);

/** 0: `keys->now` can be used, before anything else is done with `keys`.
 * 1: `wait->ready` will run.  Negative: a look has just failed, as
 * `keys->error` tells; another one begins with the first call a second later.
 */
int weir__s3_keys_get(struct weir__s3_keys *keys,
                      struct weir__s3_keys_wait *wait);

/** The store does not take those of `version`.  true: there are others, or will
 * be looked for. */
bool weir__s3_keys_reject(struct weir__s3_keys *keys, uint64_t version);

/** End all waits with WEIR_ECANCELED, before the HTTP door closes.  If
 * `keys->renewing`, `closed` is posted when that has ended, and sets it to
 * false. */
void weir__s3_keys_close(struct weir__s3_keys *keys, struct weir_task *closed);

/** Overwrite and free. */
void weir__s3_keys_free(struct weir__s3_keys *keys);

#endif
