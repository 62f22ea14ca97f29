/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Deletions that are asked for at the same time, in one request
 * (DeleteObjects), with a result for each key.
 */
#ifndef WEIR_STORE_S3_BATCH_H
#define WEIR_STORE_S3_BATCH_H

#include "store/s3_call.h"

/** Keys of one request, at most: S3's bound. */
#define WEIR__S3_BATCH_MAX 1000u

/** A key to delete. */
struct weir__s3_gone {
    struct weir__list link;
    const char *key; /* Without the store's prefix. */
    int status;      /* Out. */
    struct weir_error error;
};

/** Fill in the first group; zero the rest.  The caller's until `done`. */
struct weir__s3_batch {
    struct weir__s3_line *line;
    struct weir__list gone; /* Of struct weir__s3_gone. */
    uint64_t deadline;
    /* 0: each has its own status.  Else that of all; WEIR_EUNSUPPORTED: the
     * server knows no such request, delete them one by one. */
    void (*done)(struct weir__s3_batch *batch, int status);
    void *store; /* For the caller. */

    struct weir__s3_call call; /* Private, from here on. */
    struct weir__writer body;
    struct weir_iov iov;
    struct weir__s3_payload payload;
    char md5[WEIR__MD5_BASE64];
    char what[80];
    struct weir_error error;
    char last_key[1025]; /* Of the result that is being read. */
    char last_code[64];
    bool complete;
};

/** Begin: 0; WEIR_ENOMEM or WEIR_EUNSUPPORTED with nothing begun. */
int weir__s3_batch_start(struct weir__s3_batch *batch);

#endif
