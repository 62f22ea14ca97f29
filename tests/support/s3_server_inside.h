/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the scripted S3 server: connections and faults (s3_server.c),
 * what the requests do (s3_requests.c), uploads in parts and deletions in
 * batches (s3_uploads.c).
 */
#ifndef TESTS_SUPPORT_S3_SERVER_INSIDE_H
#define TESTS_SUPPORT_S3_SERVER_INSIDE_H

#include "support/s3_objects.h"
#include "support/s3_server.h"

#include <pthread.h>

enum { HEAD_ROOM = 16384, TEXT_ROOM = 1200, PARAMS = 8, METHODS = 8 };

struct connection {
    struct connection *next;
    struct s3_server *server;
    pthread_t thread;
    int fd;
};

struct s3_server {
    char endpoint[64];
    int listener;
    pthread_t thread;

    pthread_mutex_t lock; /* Of all that follows. */
    int stopping;
    int trusts;   /* 1: signatures are not checked, */
    int believes; /* nor bodies. */
    struct connection *connections;
    int connection_count;
    struct s3_objects objects;
    struct s3_objects uploads; /* "ID/NUMBER": parts; "ID/": the upload. */
    int upload_count;
    struct s3_fault fault;
    int seen; /* Requests that the fault could have hit. */
    struct {
        char method[8];
        int count;
    } methods[METHODS];
    char last_head[HEAD_ROOM];
};

struct param {
    char name[64];
    char value[TEXT_ROOM];
};

/* A request, cut up. */
struct request {
    char head[HEAD_ROOM]; /* As it came, for headers; ends with a zero. */
    char method[8];
    char path[TEXT_ROOM]; /* Decoded, with the bucket. */
    struct param params[PARAMS];
    size_t param_count;
    unsigned char *body;
    size_t len;
    struct s3_fault fault; /* What is to go wrong. */
};

/* An answer, as it is to be sent. */
struct answer {
    int status;
    char header[256]; /* Lines of its own. */
    unsigned char *body;
    size_t len;
    size_t told; /* Content-Length: a HEAD has no body. */
};

/** Value of a header: 1, or 0 and "" if there is none. */
int s3_header_of(const char *head, const char *name, char *out, size_t room);
/** Value of a parameter, or `otherwise`. */
const char *s3_param(const struct request *r, const char *name,
                     const char *otherwise);
/** An error as the answer. */
void s3_refuse(struct answer *a, int status, const char *code);
/** NULL if the body is what its hash and checksum say, or the code of the
 * error. */
const char *s3_wrong_body(const struct s3_server *server,
                          const struct request *r);

/** 1, and an error as the answer, if the object must not be there and is. */
int s3_refuse_if_there(struct s3_server *server, const struct request *r,
                       const char *key, struct answer *a);

/** Method, path and parameters from the head: 0 or -1. */
int s3_parse_head(struct request *r);
/** Check a request and do it. */
void s3_act(struct s3_server *server, const struct request *r,
            struct answer *a);
/** The answer of the script instead of the one there is. */
void s3_replace_answer(const struct s3_fault *fault, struct answer *a);

/** A part of an upload. */
void s3_do_part(struct s3_server *server, const struct request *r,
                struct answer *a);
/** A POST: an upload begins or ends, or many keys are to be removed. */
void s3_do_post(struct s3_server *server, const struct request *r,
                const char *key, struct answer *a);
/** Remove an upload and its parts, which it puts together if `into` is not
 * NULL: their bytes. */
size_t s3_end_upload(struct s3_server *server, const char *id,
                     unsigned char **into);

#endif
