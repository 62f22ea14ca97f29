/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The scripted S3 server without a network: HTTP requests go to it in the
 * core, and time passes by the environment's clock.  So a whole run, faults,
 * retries, deadlines and late requests included, takes milliseconds and is
 * the same each time.
 *
 * A test that defines `weir__http_open`, `_submit`, `_cancel` and `_close` by
 * the functions here is linked with them in place of libcurl's.
 */
#ifndef TESTS_SUPPORT_S3_DOOR_H
#define TESTS_SUPPORT_S3_DOOR_H

#include "http/http.h"
#include "support/s3_server.h"

/** Where a request is done, if at all. */
enum s3_when {
    S3_BEFORE, /* It fails before: it is not done. */
    S3_AFTER,  /* It is done, and then it fails. */
    S3_LATE    /* It fails, and is done `delay` later. */
};

/** What goes wrong with one request. */
struct s3_door_fault {
    const char *name;
    enum s3_when when;
    uint64_t delay;         /* S3_LATE: nanoseconds. */
    int status;             /* No answer, but this status of HTTP; or 0: */
    int unsent;             /* (1: it has not left;) */
    int told;               /* 1: the client need not get over it by itself. */
    struct s3_fault answer; /* this answer, of kind S3_ANSWER, or a kind that
                               changes the right one. */
};

/** The server. */
struct s3_door;

struct s3_door *s3_door_new(void);
void s3_door_free(struct s3_door *door);
/** The one that stores which are opened from now on talk to. */
void s3_door_set(struct s3_door *door);
/** Hit request number `index` (0 is the next one) with `fault`. */
void s3_door_fault(struct s3_door *door, const struct s3_door_fault *fault,
                   int index);
/** Requests that came since then. */
int s3_door_requests(const struct s3_door *door);
/** Did the fault hit one, and which: "PUT /bucket/p/data/1"; NULL: none. */
const char *s3_door_hit(const struct s3_door *door);
/** Show each request that comes to `fn`. */
void s3_door_watch(struct s3_door *door,
                   void (*fn)(const char *method, const char *url));
/** How long each answer takes; 1 ms at first. */
void s3_door_delay(struct s3_door *door, uint64_t nanoseconds);
/** Drop the bytes of the objects whose keys begin so; they are empty then. */
void s3_door_empty(struct s3_door *door, const char *prefix);
/** Nothing gets through any more, as when the process is killed: requests that
 * are under way are done or not, and nobody is told; stores that are opened
 * after this are another process's. */
void s3_door_cut(struct s3_door *door);
/** An object as it is there, whole key; NULL: it is not. */
const void *s3_door_object(struct s3_door *door, const char *key, size_t *len);
/** Parts of uploads that nobody has ended. */
size_t s3_door_uploads(const struct s3_door *door);

/** For the test's own `weir__http_*`. */
int s3_door_http_open(struct weir__http **out,
                      const struct weir__http_config *config);
void s3_door_http_submit(struct weir__http *http, struct weir__http_req *req);
void s3_door_http_cancel(struct weir__http *http, struct weir__http_req *req);
void s3_door_http_close(struct weir__http *http, struct weir_task *closed);

#endif
