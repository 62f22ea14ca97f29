/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A watch of etcd's: one long answer of its gateway, a line for each change.
 *
 * It is held with one member and, when that ends, breaks, falls behind or is
 * silent, with the next one.  Each time it begins with the present: whoever
 * watches is told to look for what came before.
 */
#ifndef WEIR_STORE_ETCD_WATCH_H
#define WEIR_STORE_ETCD_WATCH_H

#include "store/etcd_call.h"

#include <weir/store.h>

/** Longest line that is taken: the largest commit, in base64, and then some. */
#define WEIR__ETCD_LINE (1u << 20)

enum weir__etcd_watching {
    WEIR__ETCD_IDLE,
    WEIR__ETCD_WAITS,   /* For the time of the next try. */
    WEIR__ETCD_LOGS_IN, /* A token is asked for. */
    WEIR__ETCD_ASKS,    /* Nothing has been answered. */
    WEIR__ETCD_LIVE,
    WEIR__ETCD_BREAKS /* The request is being ended. */
};

/** A watch.  Zero it; the first group is set before it is begun. */
struct weir__etcd_watch {
    struct weir__etcd_line *line;
    const char *prefix; /* Of all keys of the store. */
    /* Nothing is under way any more, after `weir__etcd_watch_end`. */
    void (*ended)(struct weir__etcd_watch *watch);

    struct weir_store_watch *user; /* NULL: nobody watches.  Private from here
                                    * on. */
    enum weir__etcd_watching state;
    struct weir__retry retry;
    unsigned tries;
    size_t endpoint;
    uint64_t since; /* It was begun; clock. */
    uint64_t heard; /* Something came. */
    int64_t told;   /* Revision up to which it has told. */
    int64_t known;  /* One that it should have told of, or 0, */
    uint64_t late;  /* and when at the latest. */
    struct weir__etcd_call login;
    struct weir__http_req http;
    struct weir_timer timer;
    struct weir__writer body;
    struct weir__writer text; /* Of a line that is not complete. */
    struct weir_iov iov;
    struct weir_error error;
    struct weir__etcd_token *token; /* That it was begun with, or NULL. */
    char url[300];
    const char *headers[3];
};

/** Begin; nothing is told before the return.  0; WEIR_EUNSUPPORTED: there is
 * one already. */
int weir__etcd_watch_begin(struct weir__etcd_watch *watch,
                           struct weir_store_watch *user);
/** End it: nothing is told any more.  `ended` follows if it is busy. */
void weir__etcd_watch_end(struct weir__etcd_watch *watch);
bool weir__etcd_watch_busy(const struct weir__etcd_watch *watch);
/** `key`, without the prefix, is known to have been created at `revision`: a
 * watch that does not tell of it soon is behind. */
void weir__etcd_watch_known(struct weir__etcd_watch *watch, const char *key,
                            int64_t revision);

#endif
