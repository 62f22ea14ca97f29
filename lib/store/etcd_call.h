/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One exchange with an etcd cluster: with any of its members, logged in, and
 * tried again as long as that may help.
 */
#ifndef WEIR_STORE_ETCD_CALL_H
#define WEIR_STORE_ETCD_CALL_H

#include "base/list.h"
#include "base/uri.h"
#include "http/http.h"
#include "store/etcd.h"
#include "store/retry.h"

#include <stdbool.h>
#include <weir/config.h>

enum { WEIR__ETCD_ENDPOINTS = 16 };

/** What a member knows us by.  Those that were begun with it share it, as
 * another one may drop the line's meanwhile; they count in the core alone. */
struct weir__etcd_token {
    unsigned users;
    char header[]; /* "Authorization: ..." */
};

/** What all exchanges of a store share. */
struct weir__etcd_line {
    struct weir_host host; /* Set before it is opened. */
    struct weir__http *http;
    struct weir__retry retry;
    char *endpoints[WEIR__ETCD_ENDPOINTS]; /* "https://host:port" */
    size_t endpoint_count;
    size_t present; /* The one that is asked. */
    bool met;       /* One has answered. */
    uint64_t attempt_timeout;
    char *user; /* NULL: no one logs in. */
    char *password;
    struct weir__etcd_token *token; /* NULL: not logged in. */
    bool closing;
    struct weir__list idle; /* Exchanges that wait for time to pass. */
};

/** Read endpoints and properties, start HTTP.  0; WEIR_EINVAL, naming what is
 * wrong; WEIR_ENOMEM, WEIR_EAGAIN.  Free the line in any case. */
int weir__etcd_line_open(struct weir__etcd_line *line,
                         const struct weir__uri *uri,
                         const struct weir_config *config,
                         struct weir_error *err);
/** End what is under way with WEIR_ECANCELED or WEIR_EUNKNOWN, then post
 * `closed`. */
void weir__etcd_line_close(struct weir__etcd_line *line,
                           struct weir_task *closed);
/** Overwrite and free. */
void weir__etcd_line_free(struct weir__etcd_line *line);
/** The line's token, which gets a user more; NULL: it has none. */
struct weir__etcd_token *weir__etcd_token_use(struct weir__etcd_line *line);
/** A user less, whose pointer becomes NULL; the last one overwrites and frees
 * the token.  NULL is allowed. */
void weir__etcd_token_leave(struct weir__etcd_line *line,
                            struct weir__etcd_token **token);
/** `token` is refused: the next exchange logs in, unless another one has. */
void weir__etcd_forget(struct weir__etcd_line *line,
                       const struct weir__etcd_token *token);

struct weir__json;

/** An exchange.  The caller's until `done`. */
struct weir__etcd_call {
    char what[128]; /* For messages. */
    const char *path;
    struct weir__writer body; /* JSON; the exchange frees it. */
    bool changes;             /* What is not answered may have been done. */
    bool only_login;          /* Get a token if there is none; no answer. */
    void (*done)(struct weir__etcd_call *call, int status,
                 const struct weir__json *answer);
    bool ambiguous; /* Out: an attempt may have been done. */

    struct weir__etcd_line *line; /* Private, from here on. */
    struct weir_error *err;
    uint64_t deadline;
    struct weir__list link;
    struct weir_timer timer;
    struct weir_task task;
    struct weir__http_req http;
    struct weir__writer login;
    struct weir_iov iov;
    struct weir_error error;
    struct weir__etcd_token *token; /* That it was begun with, or NULL. */
    char url[300];
    const char *headers[3];
    size_t endpoint;
    unsigned made;
    bool logging_in;
    bool logged_in;
    int status;
};

void weir__etcd_call_init(struct weir__etcd_call *call,
                          struct weir__etcd_line *line, struct weir_error *err,
                          uint64_t deadline);
/** Start; `done` runs in the core, never before the return.  The status:
 * WEIR_EUNKNOWN if `changes` and nobody knows; WEIR_EUNAVAILABLE,
 * WEIR_ETIMEDOUT, WEIR_ETHROTTLED, WEIR_EAUTH, WEIR_EACCES, WEIR_ENOSPC,
 * WEIR_ETOOBIG, WEIR_EINVAL, WEIR_EUNSUPPORTED, WEIR_EIO, WEIR_ECANCELED,
 * WEIR_ENOMEM. */
void weir__etcd_call_start(struct weir__etcd_call *call);

#endif
