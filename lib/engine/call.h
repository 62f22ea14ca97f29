/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A request that commits something: what it needs from the core's side.
 */
#ifndef WEIR_ENGINE_CALL_H
#define WEIR_ENGINE_CALL_H

#include "engine/node.h"

/** What a request needs until it is in the core: its `impl`. */
struct weir__call_impl {
    struct weir_task task;
    void *target; /* The node or the stream. */
};

/** A request and its commit. */
struct weir__call {
    struct weir__list link; /* In the node's calls. */
    struct weir *node;
    struct weir_req *req;
    struct weir__op op;
    struct weir__commit commit;
    struct weir__refresh refresh;
    struct weir_timer late; /* Who asked waits no longer: late.c. */
    struct weir_error error;
    int refreshed;
    int abandoned;    /* `req` is a stand-in's. */
    uint64_t id;      /* Stream. */
    uint64_t granted; /* Epoch to which a takeover has raised the node. */
    void *job;        /* What the request's kind needs besides. */
};

/** Take a request from outside: `target` and `run` for the core. */
int weir__call_post(struct weir *node, struct weir_req *req, void *target,
                    void (*run)(struct weir_task *task));
/** The target of a request in the core. */
void *weir__call_target(const struct weir_req *req);

/** In the core: a call for `req`.  NULL: memory is out, and `req` ended. */
struct weir__call *weir__call_new(struct weir *node, struct weir_req *req);
/** Commit `call->op`; `done` gets the commit's or the op's status. */
void weir__call_commit(struct weir__call *call,
                       void (*done)(struct weir__commit *commit, int status));
/** Read what other nodes have committed. */
void weir__call_refresh(struct weir__call *call,
                        void (*done)(struct weir__refresh *refresh,
                                     int status));
/** Status of a finished commit and its one op. */
int weir__call_status(const struct weir__call *call, int status);
/** End the request and free the call. */
void weir__call_end(struct weir__call *call, int status);

/** From now on the request ends after `commit_timeout` at the latest, unless
 * it was said before.  What of it may be in the manifest, or may still get
 * there, goes on without it. */
void weir__late_start(struct weir__call *call);
/** Why the manifest takes nothing, for a message. */
const char *weir__late_reason(const struct weir *node);

#endif
