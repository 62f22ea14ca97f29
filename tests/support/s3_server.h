/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A small S3 server on loopback, with a script of faults.
 *
 * It knows one bucket, "bucket", and PUT (If-None-Match: *), GET (Range),
 * HEAD, DELETE, LIST v2, uploads in parts and deletions in batches; it checks
 * the signature of each request against what came over the wire, the SHA-256
 * and the CRC32C of bodies.  As AWS does, it refuses a part with a checksum
 * that its upload has not declared, or without the one that it has, and the end
 * of an upload that does not list what was declared.  One thread takes
 * connections, each of which has a thread of its own.
 */
#ifndef TESTS_SUPPORT_S3_SERVER_H
#define TESTS_SUPPORT_S3_SERVER_H

#include <stddef.h>

#define S3_SERVER_KEY "AKIDSCRIPTED"
#define S3_SERVER_SECRET "scripted/secret+key"

struct s3_server;

/** What goes wrong with a request. */
enum s3_fault_kind {
    S3_FAULT_NONE,
    S3_RESET_BEFORE, /* Hang up with a reset when the request has come. */
    S3_RESET_AFTER,  /* Do it, and then hang up with a reset. */
    S3_DAMAGE,       /* Flip a bit of the request's body, and then look. */
    S3_CLOSE_EARLY,  /* Hang up when the headers have come. */
    S3_ANSWER,       /* Do nothing and answer `status`, `code`, `body`. */
    S3_ANSWER_AFTER, /* Do it, and then answer so. */
    S3_TRUNCATE,     /* Answer `cut` bytes short of Content-Length. */
    S3_SHIFT_RANGE,  /* Answer the range one byte further on. */
    S3_FULL_BODY,    /* Ignore the Range header. */
    S3_FLIP,         /* Flip a bit of the body of the answer. */
    S3_DRIP,         /* Answer one byte, and then nothing more. */
    S3_SILENT,       /* Take the request, do it not, never answer. */
    S3_SILENT_AFTER, /* Do it, and never answer. */
    S3_SLOW,         /* Do it, and answer after `late`. */
    S3_NO_CONTINUE,  /* Never say "100 Continue". */
    S3_MUTE_RESET,   /* Nor that; do it, and hang up with a reset. */
    S3_BIG_HEADERS,  /* Answer with 100 KiB of headers. */
    S3_GARBAGE       /* Answer something that is not HTTP. */
};

struct s3_fault {
    enum s3_fault_kind kind;
    const char *method; /* Only requests with it; NULL: any. */
    int skip;           /* So many of them go well first; */
    int count;          /* then so many do not (0: one). */
    int status;         /* S3_ANSWER: the HTTP status, */
    const char *code;   /* the code in the XML, NULL: no XML; */
    const char *body;   /* instead of XML; */
    const char *header; /* and a line of its own, "Name: value". */
    int cut;            /* S3_TRUNCATE */
    int late;           /* Milliseconds until the answer. */

    const struct s3_fault *next; /* What comes after the last of `count`. */
};

/** Start it; the test fails if that is not possible. */
struct s3_server *s3_server_start(void);
/** Hang up on all, end its threads, free it. */
void s3_server_stop(struct s3_server *server);
/** "http://127.0.0.1:PORT" */
const char *s3_server_endpoint(const struct s3_server *server);
/** Set the fault that comes next, or NULL for none.  Those behind it stay the
 * caller's. */
void s3_server_fault(struct s3_server *server, const struct s3_fault *fault);
/** Take bodies from now on whatever hash and checksum they come with. */
void s3_server_believe(struct s3_server *server);
/** Requests that came, of a method or (NULL) of any. */
int s3_server_requests(struct s3_server *server, const char *method);
/** Connections that were made. */
int s3_server_connections(struct s3_server *server);
/** Value of a header of the last request, "" if it had none; the caller's
 * room. */
void s3_server_header(struct s3_server *server, const char *name, char *out,
                      size_t room);
/** An object as stored, whole key: its size, or -1. */
long s3_server_size(struct s3_server *server, const char *key);
/** Uploads in parts that were not ended, and their parts. */
int s3_server_uploads(struct s3_server *server);
/** Store an object behind everyone's back. */
void s3_server_store(struct s3_server *server, const char *key,
                     const void *data, size_t len);

#endif
