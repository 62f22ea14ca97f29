/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A large PUT in parts: multipart upload.
 *
 * The parts are put beside one another, each with retries of its own, so that
 * one that fails does not cost the others; then the upload is completed, or
 * aborted so that no part stays behind to be paid for.
 */
#ifndef WEIR_STORE_S3_PARTS_H
#define WEIR_STORE_S3_PARTS_H

#include "store/s3_call.h"

/** S3's bounds: of each part but the last, and of their number. */
#define WEIR__S3_PART_MIN (5u << 20)
#define WEIR__S3_PARTS_MAX 10000u

struct weir__s3_part;

/** Fill in the first group.  The caller's until `done`. */
struct weir__s3_parts {
    struct weir__s3_line *line;
    const struct weir_store_req *req; /* A PUT. */
    const char *id;                   /* The PUT's. */
    const char *what;
    uint64_t part_size;
    uint64_t deadline;
    struct weir_error *err; /* May be NULL. */
    /* As of a PUT; WEIR_EUNKNOWN: it may be there, or become. */
    void (*done)(struct weir__s3_parts *parts, int status);
    void *op; /* For the caller. */

    struct weir__s3_call call; /* Private, from here on. */
    char *key;
    char *upload;
    struct weir__s3_part *part;
    size_t count;
    size_t next;
    size_t flying;
    struct weir__writer body;
    struct weir_iov iov;
    struct weir__s3_payload payload;
    struct weir_error error;
    int status;
};

/** Size of each part but the last, of a body of `body` bytes: what is asked
 * for, within S3's bounds, or up to a quarter more if that saves a short last
 * one. Not below `body`: it goes in one piece. */
uint64_t weir__s3_part_size(uint64_t body, uint64_t asked);

/** Begin: 0, or WEIR_ENOMEM with nothing begun. */
int weir__s3_parts_start(struct weir__s3_parts *parts);

#endif
