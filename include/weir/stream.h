/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Streams: totally ordered, append-only sequences of records.
 *
 * A batch is what is appended: one opaque payload that covers `count`
 * consecutive offsets.  A fetch sees `[start, end)`, where the end is what
 * is durable.  One node writes to a stream at a time; any number read.
 */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <weir/node.h>

WEIR_BEGIN

/** A stream opened on a node. */
struct weir_stream;

/** Longest name of a stream, in bytes.  Any bytes but zero. */
#define WEIR_NAME_MAX 255
/** A batch without a timestamp. */
#define WEIR_NO_TIMESTAMP INT64_MIN
/** "The end of the stream", where an offset is asked for. */
#define WEIR_OFFSET_END UINT64_MAX

/** Opens a stream, to read and (unless WEIR_STREAM_READ) to append. */
struct weir_stream_open {
    struct weir_req req;
    const char *name;
    unsigned flags;             /* WEIR_STREAM_CREATE, _EXCLUSIVE, _READ. */
    struct weir_stream *stream; /* Out. */
};

/** Create the stream if there is none of this name. */
#define WEIR_STREAM_CREATE 1u
/** With WEIR_STREAM_CREATE: WEIR_EEXIST if there is one. */
#define WEIR_STREAM_EXCLUSIVE 2u
/** To read only: takes no ownership, any node may have it. */
#define WEIR_STREAM_READ 4u

/**
 * Open a stream, creating it first if asked to.
 *
 * Opening it to append makes this node its owner under a new stream epoch:
 * former owners are fenced.  A stream whose owner is another node moves only
 * when that node's WAL cannot hold a part of it any more, or when that node
 * has handed it over or was taken over (weir/cluster.h).  Of a WAL in memory
 * nobody knows what it holds: the stream moves at once, and what its owner has
 * in no object is lost, also if that one lives.  Opening a stream twice on one
 * node gives the same handle, which counts.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request; `req->name` too stays the caller's until `done`.
 * @return 0: `done` runs exactly once, with 0, WEIR_ENOENT, WEIR_EEXIST,
 *         WEIR_EREADONLY, WEIR_EBUSY (it belongs to another node, whose WAL
 *         may hold a part of it: have that one hand it over or close it, or
 *         take it over if it is dead), WEIR_EFENCED (another process has
 *         opened this node), WEIR_ECLOSED, WEIR_ETIMEDOUT,
 *         WEIR_EUNKNOWN (see `weir_req`; open it again), or an error of the
 *         store.  Negative, and `done` never runs: WEIR_EINVAL (no `done`, an
 *         empty or long name, unknown flags), WEIR_ECLOSED.
 */
WEIR_API int weir_stream_open(struct weir *node, struct weir_stream_open *req);

/**
 * Blocking form of `weir_stream_open`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_stream_open_sync(struct weir *node,
                                   struct weir_stream_open *req);

/**
 * Close a stream: the handle may not be used any more.
 *
 * Requests under way finish.  A call on the handle after its last close
 * returns WEIR_ECLOSED until the node is freed.
 *
 * Threads: any.
 *
 * @param stream  Stream, or NULL.
 */
WEIR_API void weir_stream_close(struct weir_stream *stream);

/** Deletes a stream by name. */
struct weir_stream_delete {
    struct weir_req req;
    const char *name;
};

/**
 * Delete a stream and everything in it.  Objects that hold nothing else are
 * removed from the store after the grace (property `delete_grace`).
 * If another node owns it, that one acknowledges appends until it has heard of
 * the deletion, with a commit or as often as property `follow` says; they are
 * deleted as well.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request.
 * @return 0: `done` runs exactly once, with 0, WEIR_ENOENT, WEIR_EFENCED (a
 *         later epoch has this node), WEIR_ECLOSED, WEIR_ETIMEDOUT,
 *         WEIR_EUNKNOWN (see `weir_req`), or an error of the store.  Negative,
 *         and `done` never runs: WEIR_EINVAL, WEIR_EREADONLY, WEIR_ECLOSED.
 */
WEIR_API int weir_stream_delete(struct weir *node,
                                struct weir_stream_delete *req);

/**
 * Blocking form of `weir_stream_delete`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_stream_delete_sync(struct weir *node,
                                     struct weir_stream_delete *req);

/** State of a stream. */
struct weir_stream_stat {
    uint64_t id;
    uint64_t epoch;        /* Stream epoch: how often it was opened. */
    uint64_t start;        /* First offset that is kept. */
    uint64_t end;          /* Next offset that a fetch cannot see yet. */
    uint64_t uploaded_end; /* Offsets below it are in objects. */
    uint64_t bytes;        /* Bytes in objects, as stored. */
    uint64_t objects;      /* Object ranges it has. */
    int64_t max_timestamp; /* Latest uploaded, or WEIR_NO_TIMESTAMP. */
    uint32_t owner;        /* Node id of the owner. */
    char name[WEIR_NAME_MAX + 1];
};

/** Lists streams by name. */
struct weir_stream_list {
    struct weir_req req;
    const char *prefix; /* Only names that start with it; NULL for all. */
    const char *after;  /* Only names that sort after it; NULL for all. */
    struct weir_stream_stat *out; /* The caller's: room for `limit`. */
    size_t limit;
    size_t count; /* Out: how many were filled in. */
    int more;     /* Out: 1 if there are more. */
};

/**
 * List streams in the order of their names' bytes.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request.
 * @return 0: `done` runs exactly once, with 0, WEIR_ETIMEDOUT (see
 *         `weir_req`), an error of the store, or WEIR_ECLOSED.  Negative, and
 *         `done` never runs: WEIR_EINVAL (no room), WEIR_ECLOSED.
 */
WEIR_API int weir_stream_list(struct weir *node, struct weir_stream_list *req);

/**
 * Blocking form of `weir_stream_list`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_stream_list_sync(struct weir *node,
                                   struct weir_stream_list *req);

/**
 * State of an open stream, as of now and without waiting for the core.
 *
 * Only `id`, `epoch`, `start`, `end` and `uploaded_end` are exact at any
 * time; the rest is as of the last commit.
 *
 * Threads: any.
 *
 * @param stream  Stream.
 * @param out     Filled in.
 * @return 0, WEIR_ECLOSED, or WEIR_ENOENT (deleted).
 */
WEIR_API int weir_stream_stat(struct weir_stream *stream,
                              struct weir_stream_stat *out);

/** Wait for room instead of WEIR_EAGAIN. */
#define WEIR_APPEND_WAIT 1u

/** One append.  Fill in the first group; read the second in `done`. */
struct weir_append {
    struct weir_req req;
    const void *data;
    size_t len;
    uint32_t count;        /* Number of offsets the batch takes; at least 1. */
    unsigned flags;        /* WEIR_APPEND_WAIT. */
    int64_t max_timestamp; /* Milliseconds since 1970, WEIR_NO_TIMESTAMP. */

    uint64_t base_offset; /* Out: offset of the first record. */
};

/**
 * Append one batch to the end of a stream.
 *
 * Queues the batch and returns.  It is durable when `done` gets status 0.
 *
 * Ownership: `req` and `req->data` stay the caller's, unmodified until
 * `done`.  Threads: any.  Batches of one stream get offsets in the order of
 * the calls.
 *
 * @param stream  Open stream, not opened with WEIR_STREAM_READ.
 * @param req     Append to queue.
 * @return 0: `done` runs exactly once, with 0; with WEIR_EUNKNOWN: it may
 *         appear after the node is opened again, once or not at all; or with
 *         another error: it never appears.  WEIR_EFENCED (a later epoch owns
 *         the stream), WEIR_EPOISONED (the WAL has failed: reopen the node),
 *         WEIR_ENOENT (deleted), WEIR_EAGAIN (the memory or the WAL is full
 *         and waits for an upload: retry after a completion, or append with
 *         WEIR_APPEND_WAIT), WEIR_ECORRUPT (a part of the stream that was
 *         acknowledged is damaged in the WAL: trim past it first).
 *         Negative, and `done` never runs: WEIR_EINVAL (no `done`, no data,
 *         count 0 or above INT32_MAX, unknown flags), WEIR_ETOOBIG (property
 *         `max_batch`), WEIR_EREADONLY, WEIR_ECLOSED.
 */
WEIR_API int weir_append(struct weir_stream *stream, struct weir_append *req);

/**
 * Blocking form of `weir_append`.
 *
 * Threads: any, but not in a callback.
 *
 * @param stream  Stream.
 * @param req     Append.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_append_sync(struct weir_stream *stream,
                              struct weir_append *req);

/** One batch of a fetch.  Valid until the fetch is released. */
struct weir_batch {
    uint64_t base_offset;
    const void *data;
    size_t len;
    int64_t max_timestamp;
    uint32_t count;
    uint32_t crc32c; /* Of `data` (RFC 3720 polynomial), checked. */
};

/** One fetch.  Fill in the first group; read the second in `done`. */
struct weir_fetch {
    struct weir_req req;
    uint64_t offset;  /* The first batch will be the one that holds it. */
    size_t max_bytes; /* Payload to return; at least one batch comes. */
    size_t min_bytes; /* Wait until there is so much; 0 does not wait. */
    int64_t max_wait; /* Nanoseconds to wait, WEIR_FOREVER; 0: not at all. */

    const struct weir_batch *batches; /* Out: with `count`, none if empty. */
    size_t count;
    uint64_t start; /* Out: the stream's start offset. */
    uint64_t end;   /* Out: the stream's end offset. */
    void *held;     /* Private: what the release gives back. */
};

/**
 * Read batches from a stream, without copying them.
 *
 * Returns whole batches, beginning with the one that holds `offset`.  At the
 * end of the stream it waits for `min_bytes`, for up to `max_wait`; then it
 * returns what there is, which may be nothing.
 *
 * Of a stream that another node owns, or has yet to upload a part of, the end
 * is not known here; nor is it on its owner once the lease has run out.  With
 * a `max_wait` of 0 nothing is returned only if there was nothing when the
 * fetch was made; that is asked for, for up to ten seconds.  With a longer
 * one, it tells that nothing was found in that time.  An offset above the end
 * is told of (WEIR_ERANGE) only once the end is known.  What is in another
 * node's log alone, which cannot be read from here, is waited for: ten seconds
 * at least.  An owner whose WAL is in memory asks nobody, though another node
 * may have opened its stream.
 *
 * Ownership: `req` stays the caller's, unmodified until `done`.  After a
 * status of 0 call `weir_fetch_release` once.  Threads: any.
 *
 * @param stream  Open stream.
 * @param req     Fetch to queue.
 * @return 0: `done` runs exactly once, with 0; WEIR_ERANGE (`offset` below
 *         the start or above the end: see `start`, `end`); WEIR_ECORRUPT
 *         (`err` tells object and position; no byte is returned);
 *         WEIR_ENOENT (deleted); WEIR_ECLOSED; WEIR_EAGAIN (what
 *         comes next is in the log of a former owner, which has yet to upload
 *         it, or may be in one that is too long to be read to its end: fetch
 *         again); WEIR_ETIMEDOUT (`max_wait` is 0, and whether
 *         there is more could not be found out); or an error of the store.
 *         Negative, and `done` never runs: WEIR_EINVAL (no
 *         `done`, negative wait), WEIR_ECLOSED.
 */
WEIR_API int weir_fetch(struct weir_stream *stream, struct weir_fetch *req);

/**
 * Blocking form of `weir_fetch`.
 *
 * Threads: any, but not in a callback.
 *
 * @param stream  Stream.
 * @param req     Fetch.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_fetch_sync(struct weir_stream *stream,
                             struct weir_fetch *req);

/**
 * End a fetch's wait: it completes soon with what there is.
 *
 * Threads: any.
 *
 * @param stream  Stream of the fetch.
 * @param req     A fetch whose `done` has not run.
 */
WEIR_API void weir_fetch_cancel(struct weir_stream *stream,
                                struct weir_fetch *req);

/**
 * Give back what a fetch returned.  Its batches are not valid any more.
 *
 * Threads: any, also after the node was freed.
 *
 * @param req  Fetch that ended with status 0; releasing again does nothing.
 */
WEIR_API void weir_fetch_release(struct weir_fetch *req);

/** Forgets the beginning of a stream. */
struct weir_trim {
    struct weir_req req;
    uint64_t start; /* New start offset, or WEIR_OFFSET_END. */
};

/**
 * Move the start of a stream forward.
 *
 * What lies below cannot be fetched any more when `done` gets 0.  Trimming
 * to or below the present start does nothing.
 *
 * Threads: any.
 *
 * @param stream  Open stream, not opened with WEIR_STREAM_READ.
 * @param req     Request; `start` is set to the stream's start offset.
 * @return 0: `done` runs exactly once, with 0, WEIR_ERANGE (beyond the end),
 *         WEIR_EFENCED, WEIR_ENOENT (deleted), WEIR_ECLOSED, WEIR_ETIMEDOUT,
 *         WEIR_EUNKNOWN (see `weir_req`; trim again), or an error of the
 *         store.  Negative, and `done` never runs: WEIR_EINVAL, WEIR_EREADONLY,
 *         WEIR_ECLOSED.
 */
WEIR_API int weir_trim(struct weir_stream *stream, struct weir_trim *req);

/**
 * Blocking form of `weir_trim`.
 *
 * Threads: any, but not in a callback.
 *
 * @param stream  Stream.
 * @param req     Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_trim_sync(struct weir_stream *stream, struct weir_trim *req);

WEIR_END

#endif
