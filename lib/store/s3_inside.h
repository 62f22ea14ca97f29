/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the s3 store: a request of the port under way (s3_submit.c), a
 * PUT (s3_put.c), deletions (s3_remove.c); the store as a whole
 * (store_s3.c).
 */
#ifndef WEIR_STORE_S3_INSIDE_H
#define WEIR_STORE_S3_INSIDE_H

#include "store/s3_batch.h"
#include "store/s3_parts.h"

#define WEIR__S3_WHAT 176

/** The store. */
struct weir__s3 {
    struct weir_store base;
    struct weir_host host;
    struct weir__s3_line line;
    uint64_t timeout;        /* Nanoseconds of one request. */
    uint64_t part_size;      /* Of a PUT in parts; 0: none. */
    bool no_batches;         /* The server knows no batches of deletions. */
    struct weir__list gone;  /* Deletions of this turn of the core. */
    struct weir_task remove; /* Sends them. */
    bool remove_posted;
    char *sse;
    char *sse_key;
    size_t pending;           /* Requests not yet done. */
    struct weir_task *closed; /* Set: closing. */
    struct weir_task http_closed;
    struct weir_task keys_closed;
};

/** A request under way. */
struct weir__s3_op {
    struct weir_work work; /* PUT: hashes the body. */
    struct weir__s3_call call;
    struct weir__s3_parts *parts; /* PUT in parts. */
    struct weir__s3_gone gone;    /* DELETE: in a batch. */
    struct weir__s3 *store;
    struct weir_store_req *req;
    struct weir__s3_payload payload;
    struct weir__s3_list list;
    char *after; /* LIST: a whole key, or NULL. */
    char what[WEIR__S3_WHAT];
    int status;
    bool own;     /* What is there was put by this request. */
    bool doubted; /* GET: a body came with another checksum. */
};

/** Start a request. */
void weir__s3_submit(struct weir_store *store, struct weir_store_req *req);
/** Free the store, if it is closed and nothing is under way. */
void weir__s3_free_if_closed(struct weir__s3 *s3);

/** End the request, and free the operation. */
void weir__s3_finish(struct weir__s3_op *op, int status);
/** Send the request as one call. */
void weir__s3_send(struct weir__s3_op *op);
/** A PUT, from its beginning: 0 or WEIR_ENOMEM. */
int weir__s3_put(struct weir__s3_op *op);
/** A create failed because the key exists, and an attempt of this very request
 * may have made it: find out, and end the request. */
void weir__s3_look(struct weir__s3_op *op);
/** A DELETE: together with those that are asked for in the same turn. */
void weir__s3_remove(struct weir__s3_op *op);

#endif
