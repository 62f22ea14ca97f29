/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the files of fetches share: fetch.c goes from step to step,
 * fetch_take.c takes batches from where they are, fetch_wait.c knows what
 * other nodes may have and waits for it.
 */
#ifndef WEIR_ENGINE_FETCH_INSIDE_H
#define WEIR_ENGINE_FETCH_INSIDE_H

#include "engine/fetch.h"
#include "engine/fetch_result.h"

/** A fetch under way. */
struct weir__fetch {
    struct weir__list link; /* In the node's fetches. */
    struct weir__list wait; /* In the stream's waiters. */
    struct weir_stream *stream;
    struct weir_fetch *req;
    struct weir__fetch_result *result;
    struct weir_timer timer;
    struct weir__block_get get;
    struct weir_error error;
    uint64_t next;    /* Offset to go on with. */
    int reading;      /* `get` is under way. */
    int hurry;        /* The wait is over: give what there is. */
    int cancelled;    /* The host has ended it. */
    int full;         /* One more batch would be too much. */
    int cached;       /* Something came from the log cache. */
    int refreshed;    /* The manifest was read for it: */
    int told;         /* that was asked for, and is to be */
    uint64_t refresh; /* later than this time. */
    int unclear;      /* Why it was not, or 0. */
    int asked;        /* So is a look at other nodes' logs, */
    int looked;       /* and that has ended: */
    uint64_t look;    /* it is later than this one; then, which it was. */
    uint64_t missed;  /* An object that was not there, or 0. */
};

/** Go on with what there is now. */
void weir__fetch_step(struct weir__fetch *f);
/** End the fetch: an error only if nothing was found before it. */
void weir__fetch_end(struct weir__fetch *f, int status);

/** Take what the log cache has from `next` on.  1: took something. */
int weir__fetch_cached(struct weir__fetch *f, int *rc);
/** Take what a slot of another node's log has from `next` on.  1: took
 * something. */
int weir__fetch_tail(struct weir__fetch *f, int *rc);
/** Ask for the block that holds `next`: 0, or why there is none. */
int weir__fetch_object(struct weir__fetch *f);

/** 1 if other nodes may append to the stream, or may do so since this one was
 * taken over. */
int weir__fetch_shared(const struct weir_stream *s);
/** 1 if what comes next is in another node's WAL alone. */
int weir__fetch_elsewhere(const struct weir__fetch *f);
/** At the end of a shared stream the logs that hold its tail are read once,
 * and the manifest, before anyone is told that there is no more. */
int weir__fetch_wants_refresh(const struct weir__fetch *f);
/** 1 if nobody can tell where the stream ends: the end that is known here may
 * be too low. */
int weir__fetch_unknown(const struct weir__fetch *f);
/** A fetch that has found nothing is told why nobody knows whether there is
 * more; one that waits goes on waiting, but not for what is damaged.  0: there
 * is no doubt, or it does not matter. */
int weir__fetch_doubt(struct weir__fetch *f);
/** Wait for data, or for the end of the wait. */
void weir__fetch_park(struct weir__fetch *f);

#endif
