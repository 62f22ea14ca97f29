/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A node: one open instance of the library.
 *
 * A node does nothing by itself unless it has a driver thread (property
 * `driver`): the host drives it, with `weir_poll`, with its own event loop
 * and `weir_poll_fd`, or by calling the blocking `_sync` forms.  Callbacks
 * run only there, exactly once for each request that was accepted.
 */
#ifndef WEIR_NODE_H
#define WEIR_NODE_H

#include <weir/config.h>

WEIR_BEGIN

/** A node. */
struct weir;

/**
 * Common part of every request: the first member of each.
 *
 * A request is the caller's.  Zero it, fill it in, hand it over, and leave
 * it and all it points at alone until `done`; from then on it can be used
 * again.  No request is allocated by the library.  The `_sync` forms do not
 * look at `done`.
 *
 * What changes or lists streams or sets keys needs the manifest.  While that
 * cannot be reached it is tried again, and the request ends after the property
 * `commit_timeout`: with WEIR_ETIMEDOUT if nothing was sent (it was not done
 * and will not be), with WEIR_EUNKNOWN if something was (it may be done, or
 * may still be: see how it came out before it is repeated).
 *
 * Any request may end with WEIR_ENOMEM.
 */
struct weir_req {
    void (*done)(struct weir_req *req, int status);
    void *ctx;              /* For the caller. */
    struct weir_error *err; /* May be NULL: filled before `done`. */
    void *impl[8];          /* Private. */
};

/**
 * Version of the library, such as "0.1.0".
 *
 * Threads: any.
 *
 * @return a constant string.
 */
WEIR_API const char *weir_version(void);

/**
 * Open a node: load the manifest, take the WAL, recover what it holds.
 *
 * Blocks until everything that was ever acknowledged can be read again.
 *
 * If another process that had the node has lived on while its log was read,
 * the opening begins once more by itself, for `commit_timeout` at most; but
 * not if a third one has opened the node since.
 *
 * @param out     The node; end it with `weir_free`.  NULL on failure.
 * @param config  Configuration; read only here, still the caller's after.
 * @param err     What went wrong, and on what; may be NULL.
 * @return 0 or an error: those of `weir_store_ops` and `weir_wal_open_fn`,
 *         WEIR_EINVAL (a property), WEIR_EFOREIGN (the node may have
 *         acknowledged data in another log, or in this one, and it is gone:
 *         none is made; see `wal_abandon`), WEIR_ECORRUPT (what was
 *         acknowledged is damaged; nothing was changed), WEIR_EFENCED (another
 *         process opened the node at the same time, and has it), WEIR_EAGAIN
 *         (another process that had it lived on while its log was read, until
 *         `commit_timeout` was over: open it again).
 */
WEIR_API int weir_open(struct weir **out, const struct weir_config *config,
                       struct weir_error *err);

/**
 * Close a node.  Everything acknowledged is durable; a WAL that does not
 * survive the process is uploaded first.
 *
 * Requests under way end with their status or WEIR_ECLOSED before it
 * returns; every later call on the node or its streams returns WEIR_ECLOSED.
 * Closing again does nothing.  While the node closes it returns 0 at once, also
 * in a callback, and what is under way may not have ended yet.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param err   What went wrong; may be NULL.
 * @return 0, WEIR_EBUSY (called in a callback), or why what a volatile WAL
 *         held could not be uploaded (WEIR_EFENCED: another process has opened
 *         the node or a stream of it); the node is closed all the same.
 */
WEIR_API int weir_close(struct weir *node, struct weir_error *err);

/**
 * Free a node and the handles of its streams, closing it first if need be.
 *
 * What a fetch has returned stays valid until it is released.
 *
 * Threads: any, but not in a callback, and the last use of the node.
 *
 * @param node  Node, or NULL.
 */
WEIR_API void weir_free(struct weir *node);

/**
 * Run whatever is due, and every callback, on this thread.
 *
 * Threads: any; one at a time drives.
 *
 * @param node     Node.
 * @param timeout  Nanoseconds to wait if nothing is due: 0 for not at all,
 *                 WEIR_FOREVER.
 * @return number of things that ran, WEIR_EBUSY (another thread drives, or
 *         called in a callback), WEIR_ECLOSED, WEIR_ETIMEDOUT (a simulated
 *         world has ended: `weir_sim_ended`).
 */
WEIR_API int weir_poll(struct weir *node, int64_t timeout);

/**
 * Descriptor that is readable while `weir_poll` has something to do.
 *
 * For epoll, poll and the like, level-triggered.  It stays the node's.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @return the descriptor, or WEIR_EUNSUPPORTED (the host's own environment
 *         has none), WEIR_ECLOSED.
 */
WEIR_API int weir_poll_fd(struct weir *node);

/** Uploads everything appended so far, so that it is in objects. */
struct weir_flush {
    struct weir_req req;
};

/**
 * Upload all that was acknowledged before the call.
 *
 * If it fails, all that was acknowledged is still in the write-ahead log, but
 * for WEIR_EFENCED, and its upload is tried again by itself.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request.
 * @return 0: `done` runs exactly once, with 0, an error of the store,
 *         WEIR_ETIMEDOUT (`commit_timeout`: the manifest does not answer),
 *         WEIR_EAGAIN (a stream's former owner has yet to upload its part),
 *         WEIR_EFENCED (a later epoch has this node; or the write-ahead log is
 *         in memory, and another node has opened a stream of which it held
 *         something: that is lost, and told once), WEIR_ECORRUPT (batches
 *         that are damaged in the log were left there; the others were
 *         uploaded), or WEIR_ECLOSED.  Negative, and `done` never runs:
 *         WEIR_EINVAL (no `done`), WEIR_EREADONLY, WEIR_ECLOSED.
 */
WEIR_API int weir_flush(struct weir *node, struct weir_flush *req);

/**
 * Blocking form of `weir_flush`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_flush_sync(struct weir *node, struct weir_flush *req);

/** Identity of an open node, and what it holds. */
struct weir_node_stat {
    unsigned char cluster[16]; /* Id of the cluster, made with its manifest. */
    uint64_t epoch;            /* Node epoch; 0 for a read-only node. */
    uint64_t manifest_version; /* Newest commit that was applied. */
    uint64_t streams;          /* Streams in the manifest. */
    uint64_t objects;          /* Objects in the manifest. */
    uint64_t bytes;            /* Bytes in those objects. */
    uint64_t wal_bytes;        /* Bytes in the WAL, not yet trimmed. */
    uint32_t node_id;
    uint32_t fenced; /* 1: another process opened this node, or took it over.
                      * Nothing is acknowledged here any more: close it. */
};

/**
 * Identity and size of a node.
 *
 * Threads: any, but not in a callback; blocks for a turn of the core.
 *
 * @param node  Node.
 * @param out   Filled in.
 * @return 0, WEIR_ECLOSED, WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_node_stat_sync(struct weir *node, struct weir_node_stat *out);

WEIR_END

#endif
