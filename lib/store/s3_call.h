/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One request to S3, sent until its answer is known: the retry engine that
 * all requests of a store go through.
 *
 * What a call does by itself: waits for its turn and for credentials, signs,
 * sends; tries again what may pass (retry.h); learns the server's clock and
 * the bucket's region and signs anew, once each; has credentials renewed,
 * once; sends a second GET beside one that is slow and takes the answer that
 * comes first.  What an answer means is its owner's to say, by `read`.
 */
#ifndef WEIR_STORE_S3_CALL_H
#define WEIR_STORE_S3_CALL_H

#include "base/list.h"
#include "store/retry.h"
#include "store/s3.h"
#include "store/s3_keys.h"

struct weir__s3_call;

/** What all calls of a store share. */
struct weir__s3_line {
    struct weir_host host;
    struct weir__http *http; /* NULL when it is closed. */
    struct weir__s3_place place;
    struct weir__s3_keys keys;
    struct weir__retry retry;
    uint64_t attempt_timeout; /* Nanoseconds, for a small request. */
    uint64_t hedge;           /* A GET is slow after so many; 0: never. */
    bool closing;
    bool met; /* Something that is no web page has answered. */

    struct weir__list waiting; /* Calls that wait for their turn; */
    struct weir__list idle;    /* for time to pass, or for credentials. */
    unsigned flying;           /* Attempts. */
};

/** Set up what the first group of `line->retry` and the place allow. */
void weir__s3_line_init(struct weir__s3_line *line);
/** End what is not under way with WEIR_ECANCELED; no call is begun any
 * more.  What is under way ends with the HTTP door.  `keys_closed`: see
 * weir__s3_keys_close. */
void weir__s3_line_close(struct weir__s3_line *line,
                         struct weir_task *keys_closed);

/** One attempt. */
struct weir__s3_attempt {
    struct weir__s3_call *call;
    struct weir__http_req http;
    struct weir__s3_message message;
    struct weir_error err;
    /* What it is signed for and with. */
    char region[WEIR__S3_REGION];
    uint64_t keys_version;
    bool flying;
};

/** Fill in the first group; zero the rest.  The caller's until `done`. */
struct weir__s3_call {
    struct weir__s3_line *line;
    /* Write and sign the message: 0 or a status.  Called for each attempt. */
    int (*write)(struct weir__s3_call *call, struct weir__s3_message *message,
                 const struct weir__s3_credentials *credentials, int64_t wall);
    /* What an answer means: a status, with the text in `attempt->err`.  Takes
     * `body` over; fills in `call->error` from one that is no success. */
    int (*read)(struct weir__s3_call *call, struct weir__s3_attempt *attempt,
                struct weir_buf *body);
    void (*done)(struct weir__s3_call *call, int status);
    const struct weir_iov *iov; /* Body, or NULL. */
    size_t iov_count;
    uint64_t body_size;
    uint64_t max_body; /* Of the answer. */
    unsigned flags;    /* WEIR__S3_* */
    uint64_t deadline;
    struct weir_error *err; /* May be NULL. */
    const char *what;       /* Verb and object, for messages. */

    struct weir__s3_error error; /* Out: of the last answer. */
    /* Out: 1 if an attempt may have been done although no answer says so. */
    bool ambiguous;
    unsigned made; /* Out: attempts. */

    struct weir__list link; /* Private, from here on. */
    struct weir_timer timer;
    struct weir__s3_keys_wait keys_wait;
    struct weir_task begun;
    struct weir__s3_attempt attempts[2];
    bool over;
    bool start_over; /* When the attempt that was canceled has ended. */
    bool listed;
    bool clock_learned;
    bool region_learned;
    bool keys_renewed;
    int status;
};

/** It is known that what was sent and not answered may have been done. */
#define WEIR__S3_CHANGES 1u
/** libcurl must not send it twice by itself. */
#define WEIR__S3_ONCE 2u
/** May be sent a second time while the first is under way. */
#define WEIR__S3_HEDGE 4u
/** A body that is refused as damaged is so: it is not sent again. */
#define WEIR__S3_DAMAGED 8u

/** Start; `done` runs in the core, never before the return.
 *
 * Beside what `read` gives: WEIR_EUNKNOWN (an attempt may have been done),
 * WEIR_EUNAVAILABLE, WEIR_ETIMEDOUT, WEIR_EAUTH (no credentials),
 * WEIR_ECANCELED, WEIR_ENOMEM. */
void weir__s3_call_start(struct weir__s3_call *call);

#endif
