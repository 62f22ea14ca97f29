/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * HTTP requests: the door to libcurl.
 *
 * One thread of its own, the HTTP thread, runs all transfers of one
 * `struct weir__http`.  Requests are submitted in the core and end in the
 * core.  HTTP/1.1, connections kept alive and bounded in number; TLS 1.2 or
 * later with the certificate verified; no proxy (libcurl would take one from
 * the environment), no redirect followed (it would take the credentials
 * along), no decoding of contents.
 *
 * libcurl and the TLS library take their memory from malloc, and libcurl
 * looks up host names on short-lived threads of its own.  Of the environment
 * it reads SSLKEYLOGFILE, which cannot be turned off.
 */
#ifndef WEIR_HTTP_HTTP_H
#define WEIR_HTTP_HTTP_H

#include <weir/buf.h>
#include <weir/env.h>

/** Most bytes that are kept of the body of an answer that is an error, and
 * most that the headers of an answer may have. */
#define WEIR__HTTP_ERROR_BODY (64u << 10)
#define WEIR__HTTP_HEADERS (64u << 10)

/** Do not send the body a second time by yourself.  libcurl repeats a request
 * when a kept connection turns out to be dead; for one that must not happen
 * twice (a conditional PUT that was done the first time would fail the second
 * time, and its caller take it for another's) that is an error instead. */
#define WEIR__HTTP_ONCE 1u
/** Make a connection of its own, with a fresh look at the address: the last
 * try may have failed because of the connection. */
#define WEIR__HTTP_FRESH 2u
/** The answer may have a secret in it: its body is overwritten before the
 * memory is given back, whoever does that. */
#define WEIR__HTTP_SECRET 4u

/** What is kept of an answer's headers; "" when there was none. */
struct weir__http_answer {
    int status;             /* 200; 0: no answer. */
    int64_t content_length; /* -1: not told. */
    char content_type[64];
    char content_range[80];
    char etag[80];
    char region[40];     /* x-amz-bucket-region */
    char request_id[80]; /* x-amz-request-id */
    char put_id[40];     /* x-amz-meta-weir-put */
    char crc32c[16];     /* x-amz-checksum-crc32c */
    char sum[16];        /* x-amz-meta-weir-crc32c */
    char date[40];
};

/** Whether the other side speaks TLS, or does not, as the URL says. */
enum weir__http_tls {
    WEIR__HTTP_TLS_FITS,    /* Or nothing is known. */
    WEIR__HTTP_TLS_NONE,    /* "https://", and none is spoken there. */
    WEIR__HTTP_TLS_HUNG_UP, /* "https://", and nothing came: so do some that
                              speak none. */
    WEIR__HTTP_TLS_PERHAPS  /* "http://", and what came is no HTTP, or nothing:
                               so do those that want TLS. */
};

/** One request.  The caller's, and unmodified by it, until `done`. */
struct weir__http_req {
    const char *method;
    const char *url;
    const char *const *headers; /* "Name: value"; ends with NULL. */
    const struct weir_iov *iov; /* Body, for PUT and POST. */
    size_t iov_count;
    uint64_t body_size; /* Sum of the pieces. */
    uint64_t max_body;  /* Most bytes of a good answer's body. */
    uint64_t deadline;  /* Of the environment's clock; 0: none. */
    /* Not NULL: the body of a good answer goes here, as it comes, instead of
     * into `body`, and may come slowly.  In the core, also after a cancel,
     * never after `done`; while it is being taken no more is read, so that a
     * server that is faster has to wait. */
    void (*part)(struct weir__http_req *req, const void *data, size_t len);
    unsigned flags; /* WEIR__HTTP_*. */
    /* `status` 0: there is an answer, good or bad, and it is complete.  Else
     * WEIR_EACCES (a certificate does not convince), WEIR_EUNAVAILABLE,
     * WEIR_ETIMEDOUT, WEIR_ETOOBIG (the answer's body), WEIR_EIO (its headers),
     * WEIR_ENOMEM, WEIR_ECANCELED. */
    void (*done)(struct weir__http_req *req, int status);
    void *ctx;
    struct weir_error *err; /* May be NULL. */

    struct weir__http_answer answer; /* Out. */
    struct weir_buf *body; /* Out: `done` takes it over; NULL if none. */
    int sent; /* Out: 1 if the server may have the whole request. */
    enum weir__http_tls tls; /* Out, if there is no answer. */

    struct weir_task task;       /* Private. */
    struct weir__http *http;     /* Private. */
    struct weir_task part_task;  /* Private. */
    struct weir_buf *part_buf;   /* Private. */
    int part_busy;               /* Private; atomic. */
    struct weir__http_req *next; /* Private. */
    int status;                  /* Private. */
    int canceled;                /* Private; atomic. */
};

struct weir__http;

struct weir__http_config {
    const struct weir_host *host;
    unsigned connections;  /* Transfers at one time, at most. */
    const char *ca_file;   /* Certificates to trust instead; NULL: system's. */
    const char *cert_file; /* This side's certificate, or NULL, */
    const char *key_file;  /* and its key. */
};

/** Start the HTTP thread.  0, WEIR_ENOMEM, WEIR_EAGAIN (no thread). */
int weir__http_open(struct weir__http **out,
                    const struct weir__http_config *config,
                    struct weir_error *err);

/** Start a request.  In the core; `done` runs there, never before the
 * return. */
void weir__http_submit(struct weir__http *http, struct weir__http_req *req);

/** End a request with WEIR_ECANCELED soon, unless it ends before that.  In
 * the core, before its `done`. */
void weir__http_cancel(struct weir__http *http, struct weir__http_req *req);

/** End all requests with WEIR_ECANCELED, then end the thread, free everything
 * and post `closed`.  In the core, once. */
void weir__http_close(struct weir__http *http, struct weir_task *closed);

#endif
