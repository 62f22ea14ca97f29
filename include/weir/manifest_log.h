/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The manifest's log: a totally ordered log of small commits, each put at
 * version n+1 "only if absent", and snapshots that bound its replay.
 *
 * Everything is asynchronous and runs in the core.
 */
#ifndef WEIR_MANIFEST_LOG_H
#define WEIR_MANIFEST_LOG_H

#include <weir/buf.h>
#include <weir/env.h>

WEIR_BEGIN

/** What a request asks for. */
enum weir_mlog_verb {
    /* Create `version` from `iov`.  WEIR_ECONFLICT: it exists.
     * WEIR_EUNKNOWN: it may; read it and compare. */
    WEIR_MLOG_APPEND,
    /* Read `version` into `body`.  WEIR_ENOENT: not written yet. */
    WEIR_MLOG_READ,
    /* Store a snapshot of the state after `version`, from `iov`. */
    WEIR_MLOG_SNAPSHOT,
    /* Read the newest snapshot: `version` and `body`.  WEIR_ENOENT: none. */
    WEIR_MLOG_LATEST,
    /* Commits at and below `version` are covered by a snapshot and may be
     * removed, as may the snapshots before that one. */
    WEIR_MLOG_TRIM
};

/** One operation.  The caller's, and unmodified by it, until `done`. */
struct weir_mlog_req {
    enum weir_mlog_verb verb;
    uint64_t version;           /* In; out for WEIR_MLOG_LATEST. */
    const struct weir_iov *iov; /* Bytes to write. */
    size_t iov_count;
    void (*done)(struct weir_mlog_req *req, int status);
    void *ctx;              /* For the caller. */
    struct weir_error *err; /* May be NULL. */
    struct weir_buf *body;  /* Out: bytes; `done` takes them over. */
    void *impl[8];          /* For the log. */
};

struct weir_mlog;

/** Somebody who would like to be told of new versions.  The caller's, until
 * the log is closed; all that is said of `struct weir_store_watch` holds. */
struct weir_mlog_watch {
    /* `version` has been written.  0: look for yourself. */
    void (*changed)(struct weir_mlog_watch *watch, uint64_t version);
    void *ctx; /* For the caller. */

    int live;      /* Out: 1 while new versions are told of soon. */
    void *impl[2]; /* For the log. */
};

/** Methods of a manifest log. */
struct weir_mlog_ops {
    size_t size;      /* sizeof(struct weir_mlog_ops) at the backend. */
    const char *name; /* "store". */
    /* Start `req`; `done` runs in the core, exactly once, never before
     * `submit` has returned.  Status: those of `struct weir_store_ops`. */
    void (*submit)(struct weir_mlog *log, struct weir_mlog_req *req);
    /* Free it.  Nothing is pending. */
    void (*close)(struct weir_mlog *log);
    /* NULL for a log that cannot tell.  Once, in the core; ends with `close`.
     * 0, or WEIR_EUNSUPPORTED, WEIR_ENOMEM, and there is no watch. */
    int (*watch)(struct weir_mlog *log, struct weir_mlog_watch *watch);
};

/** Base of every manifest log; first member of the backend's own struct. */
struct weir_mlog {
    const struct weir_mlog_ops *ops;
};

WEIR_END

#endif
