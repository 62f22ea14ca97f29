/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One request as libcurl sees it.  All on the HTTP thread.
 */
#ifndef WEIR_HTTP_TRANSFER_H
#define WEIR_HTTP_TRANSFER_H

#include "http/http.h"

#include <curl/curl.h>
#include <stdbool.h>

/** A handle of libcurl and the request that it is busy with. */
struct weir__transfer {
    const struct weir_alloc *alloc;
    struct weir_env *env;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    CURL *easy;
    struct curl_slist *headers;
    struct weir__http_req *req; /* NULL: idle. */

    size_t piece;    /* Of the body: the next to be sent, */
    size_t piece_at; /* and how far. */
    uint64_t given;  /* Bytes of the body given to libcurl, this time; */
    bool was_given;  /* all of them, a time before. */

    size_t header_bytes;
    bool paused;      /* A part waits for the one before to be taken. */
    uint64_t dropped; /* Bytes of an error's body over its bound. */
    int failed;       /* Status with which a callback ended it. */
    char message[CURL_ERROR_SIZE];
};

/** Set the handle up for a request.  0 or WEIR_ENOMEM. */
int weir__transfer_begin(struct weir__transfer *t, struct weir__http_req *req,
                         uint64_t timeout_ns);

/** Tell the request how it ended: fills in `req->status`, `sent`, `err`, and
 * makes the transfer idle. */
void weir__transfer_end(struct weir__transfer *t, CURLcode code);

/** Go on with a transfer that is paused, if it can. */
void weir__transfer_resume(struct weir__transfer *t);

/** Give up on the request: `status` instead of what libcurl says. */
void weir__transfer_abort(struct weir__transfer *t, int status);

#endif
