/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A node's manifest: the state, kept up to date from the log, and commits.
 * Everything is asynchronous and in the core.
 */
#ifndef WEIR_MANIFEST_MANIFEST_H
#define WEIR_MANIFEST_MANIFEST_H

#include <stdbool.h>

#include "manifest/op.h"
#include "manifest/state.h"
#include <weir/manifest_log.h>
#include <weir/store.h>

struct weir__manifest;

/** Asks for the manifest to be loaded. */
struct weir__manifest_open {
    const struct weir_host *host; /* Outlives the manifest. */
    struct weir_mlog *log;        /* Taken over, also on failure. */
    uint32_t node_id;
    uint32_t snapshot_commits; /* Commits between two snapshots. */
    int read_only; /* Do not create the cluster: WEIR_ENOENT if none. */
    /* Called after each commit that was applied, own or foreign, once the
     * manifest is open. */
    void (*applied)(void *ctx);
    void *applied_ctx;
    void (*done)(struct weir__manifest_open *req, int status);
    void *ctx;
    struct weir_error *err;          /* May be NULL. */
    struct weir__manifest *manifest; /* Out. */
    struct weir_task task;           /* Private. */
};

/** Load the newest snapshot and replay what follows; name the cluster if
 * there is none yet.  Errors that can pass are retried a few times, for some
 * seconds in all.  `done` never runs before this has returned. */
void weir__manifest_open(struct weir__manifest_open *req);

/** A list of operations to be committed. */
struct weir__commit {
    struct weir__op *ops; /* The caller's until `done`. */
    size_t count;
    /* `status` 0: it is in the log, and each op has its own status.
     * WEIR_EUNKNOWN: it may be.  Anything else: it is not and will not. */
    void (*done)(struct weir__commit *commit, int status);
    void *ctx;
    struct weir_error *err;    /* May be NULL. */
    struct weir__commit *next; /* Private. */
};

/**
 * Commit operations: all at one version, applied in order.
 *
 * Commits that are waiting when a write ends go out together as the next
 * one.  A lost race is read, applied and tried again at the next version,
 * together with what has come meanwhile.
 * Unclear answers are settled by reading the version back (by its nonce);
 * errors that can pass are retried with backoff until `close`.
 */
void weir__manifest_commit(struct weir__manifest *manifest,
                           struct weir__commit *commit);

/** Take back a commit that waits: true if it was not sent, and will not be;
 * its `done` will not run.  False: it is on its way, or has ended. */
bool weir__manifest_withdraw(struct weir__manifest *manifest,
                             struct weir__commit *commit);

/** Asks for the newest commits of other nodes. */
struct weir__refresh {
    void (*done)(struct weir__refresh *req, int status);
    void *ctx;
    struct weir_error *err;     /* May be NULL. */
    struct weir__refresh *next; /* Private. */
};

/** Read the log up to its present end. */
void weir__manifest_refresh(struct weir__manifest *manifest,
                            struct weir__refresh *req);

/** Take back a refresh: true if it was under way; its `done` will not run. */
bool weir__manifest_forget(struct weir__manifest *manifest,
                           struct weir__refresh *req);

/** Have the log tell of other nodes' commits, if it can: they are read when it
 * does.  From now on; harmless again. */
void weir__manifest_listen(struct weir__manifest *manifest);

/** The log tells at present, and was read to its end not long ago: whoever
 * waits for other nodes' commits need not ask for them. */
bool weir__manifest_hears(const struct weir__manifest *manifest);

/** What failed last, if it is tried again now; else "". */
const char *weir__manifest_trouble(const struct weir__manifest *manifest);

/** The state.  Pointers into it are valid until the next commit applies. */
const struct weir__state *
weir__manifest_state(const struct weir__manifest *manifest);

/** When, by the environment's clock, the newest commit that it knows of was
 * the newest there was. */
uint64_t weir__manifest_seen(const struct weir__manifest *manifest);
/** A time before which nothing of the newest commit of this node's epoch was
 * sent, by the same clock; 0: there was none. */
uint64_t weir__manifest_committed(const struct weir__manifest *manifest);

/** Be told of each key that changes: see `weir__state_watch`. */
void weir__manifest_watch(struct weir__manifest *manifest,
                          void (*changed)(void *ctx,
                                          const struct weir_kv_pair *pair),
                          void *ctx);

/** Commits under this node epoch from now on (after WEIR__OP_NODE_OPEN). */
void weir__manifest_set_epoch(struct weir__manifest *manifest, uint64_t epoch);

/** Commits written by this manifest, and races lost. */
void weir__manifest_counts(const struct weir__manifest *manifest,
                           uint64_t *commits, uint64_t *conflicts);

/** End what waits with WEIR_ECLOSED (a write in flight is awaited), close
 * the log, free everything, post `closed`. */
void weir__manifest_close(struct weir__manifest *manifest,
                          struct weir_task *closed);

/** The manifest's log on an object store, which it does not own. */
int weir__mlog_store_open(struct weir_mlog **out, const struct weir_host *host,
                          struct weir_store *store, struct weir_error *err);

#endif
