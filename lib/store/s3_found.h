/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Credentials in the texts that services and files give: pure readers of
 * bytes from outside.
 */
#ifndef WEIR_STORE_S3_FOUND_H
#define WEIR_STORE_S3_FOUND_H

#include <stddef.h>
#include <stdint.h>
#include <weir/alloc.h>
#include <weir/error.h>

/** What was found; "" for what was not. */
struct weir__s3_found {
    char access_key[132];
    char secret_key[260];
    char token[8192];
    int64_t expires; /* Milliseconds since 1970; 0: not told. */
};

/** Copy a value: 0, or WEIR_EFORMAT (too long, or not of one line). */
int weir__s3_found_set(char *to, size_t room, const char *text);

/** The answer of a container's or an instance's endpoint. */
int weir__s3_found_json(struct weir__s3_found *found, const void *data,
                        size_t len, struct weir_error *err);

/** The answer of STS to AssumeRoleWithWebIdentity. */
int weir__s3_found_sts(struct weir__s3_found *found,
                       const struct weir_alloc *alloc, const void *data,
                       size_t len, struct weir_error *err);

/** A profile of a credentials file: `[name]`, `key = value`.  WEIR_ENOENT:
 * it has no such profile. */
int weir__s3_found_profile(struct weir__s3_found *found, const char *text,
                           const char *profile, struct weir_error *err);

/** Overwrite. */
void weir__s3_found_wipe(struct weir__s3_found *found);

#endif
