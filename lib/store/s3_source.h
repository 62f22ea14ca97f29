/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Where credentials are looked for: the places that the AWS tools look in, and
 * in their order (AWS SDKs and Tools Reference Guide, "Standardized
 * credential providers").  One place after the other, until one has some.
 *
 * A place that is not set up is passed over; one that is and fails is noted,
 * and the next is tried.  Instances are asked by IMDSv2 alone.
 */
#ifndef WEIR_STORE_S3_SOURCE_H
#define WEIR_STORE_S3_SOURCE_H

#include "http/http.h"
#include "store/s3_found.h"

#include <weir/env.h>

struct weir__s3_source;

/** Places, as words of the property s3_credentials name them. */
enum weir__s3_kind {
    WEIR__S3_ENVIRONMENT,
    WEIR__S3_WEB_IDENTITY,
    WEIR__S3_PROFILE,
    WEIR__S3_CONTAINER,
    WEIR__S3_INSTANCE,
    WEIR__S3_KINDS
};

/** Prepare to look in the places of `kinds` (bits).  Reads the environment
 * variables of these.  0 or WEIR_ENOMEM. */
int weir__s3_source_new(struct weir__s3_source **out,
                        const struct weir_host *host, unsigned kinds,
                        const char *region);

/** Look.  `done` runs in the core, never before the return, with 0 and
 * `found`, whose bytes are the source's; WEIR_EAUTH, WEIR_EUNAVAILABLE (it may
 * go well later), WEIR_ENOMEM with `err`. */
void weir__s3_source_look(struct weir__s3_source *source,
                          struct weir__http *http,
                          void (*done)(void *ctx, int status,
                                       const struct weir__s3_found *found),
                          void *ctx, struct weir_error *err);

/** End soon: with what it has, or WEIR_ECANCELED; no request is begun any
 * more. */
void weir__s3_source_stop(struct weir__s3_source *source);

/** Free it.  Not while it looks. */
void weir__s3_source_free(struct weir__s3_source *source);

#endif
