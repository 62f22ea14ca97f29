/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The object store port: what a node asks of a store, and how a host brings
 * one of its own.
 *
 * A store is a flat map from keys to immutable bytes.  Keys are made of
 * `[a-z0-9/_.-]`, at most 512 bytes, no segment empty or beginning with a
 * dot; a node asks for no others.  All operations are asynchronous: `submit`
 * returns at once, `done` runs in the core.  A node relies on three
 * properties (and refuses a store without the first): a create is atomic and
 * fails if the key exists; a read after an acknowledged write sees it; an
 * acknowledged write is durable.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <weir/buf.h>
#include <weir/env.h>

WEIR_BEGIN

/** Longest key, without a terminating zero. */
#define WEIR_STORE_KEY_MAX 512

/** What a request asks for. */
enum weir_store_verb {
    WEIR_STORE_PUT,    /* Create an object from `iov`. */
    WEIR_STORE_GET,    /* Read `length` bytes from `offset`. */
    WEIR_STORE_HEAD,   /* Size of an object. */
    WEIR_STORE_DELETE, /* Remove an object; one that is not there is success. */
    WEIR_STORE_LIST    /* Keys that start with `key`, after `after`, sorted. */
};

/** PUT only: WEIR_ECONFLICT if the key exists, decided atomically. */
#define WEIR_STORE_IF_ABSENT 1u
/** PUT only: nobody else ever writes the key, so it may go in parts (S3's
 * multipart upload), and WEIR_STORE_IF_ABSENT be decided only as well as the
 * store's parts allow. */
#define WEIR_STORE_PARTS 4u
/** GET only: the last `length` bytes; `offset` is not used. */
#define WEIR_STORE_SUFFIX 2u

/** One name in the answer to a LIST. */
struct weir_store_entry {
    const char *key;
    uint64_t size;
    int64_t modified; /* Milliseconds since 1970, or 0 if not known. */
};

/** One operation.  The caller's, and unmodified by it, until `done`. */
struct weir_store_req {
    enum weir_store_verb verb;
    unsigned flags;  /* WEIR_STORE_IF_ABSENT, _PARTS, _SUFFIX. */
    const char *key; /* Key, or for LIST the prefix (may be ""). */

    const struct weir_iov *iov; /* PUT: the body, in pieces. */
    size_t iov_count;
    const uint32_t *crc32c; /* PUT: CRC32C of the body (RFC 3720), or NULL. */

    uint64_t offset; /* GET: first byte. */
    uint64_t length; /* GET: at most so many; UINT64_MAX for all. */

    const char *after; /* LIST: only keys that sort after it; may be NULL. */
    uint32_t limit;    /* LIST: at most so many keys, 1 to 1000. */

    uint64_t deadline; /* Nanoseconds of the clock, or 0 for the store's own. */
    void (*done)(struct weir_store_req *req, int status);
    void *ctx;              /* For the caller. */
    struct weir_error *err; /* May be NULL: filled before `done`. */

    struct weir_buf *body; /* Out, GET: bytes; `done` takes them over. */
    uint64_t size;         /* Out, GET and HEAD: size of the whole object. */
    /* Out, LIST: valid during `done` only. */
    const struct weir_store_entry *entries;
    size_t entry_count;
    int more; /* Out, LIST: there are keys after the last one. */

    void *impl[8]; /* For the store. */
};

struct weir_store;

/**
 * Somebody who would like to be told that keys have come, instead of asking
 * again and again.  The caller's, and unmodified by it, from `watch` to
 * `unwatch`.
 *
 * What is told is a hint: it may be late, be lost, come twice or out of order,
 * or be wrong.  Who gets it reads what there is, and looks now and then even
 * if none comes.
 */
struct weir_store_watch {
    const char *prefix; /* Keys that begin with it. */
    /* `key` was created, and perhaps others that sort before it.  NULL: look
     * for yourself, as it is not known, or as `live` has changed.  In the
     * core, never before `watch` has returned; `key` is valid during the
     * call. */
    void (*changed)(struct weir_store_watch *watch, const char *key);
    void *ctx; /* For the caller. */

    int live;      /* Out: 1 while changes are told of soon. */
    void *impl[4]; /* For the store. */
};

/**
 * Methods of a store.  Status of a request, beside WEIR_ENOMEM:
 * WEIR_ECONFLICT (PUT if absent: it exists), WEIR_ENOENT (GET, HEAD: it does
 * not; LIST: nor does the bucket), WEIR_ERANGE (GET: begins behind the end),
 * WEIR_EUNKNOWN (PUT: may have been done or be done later),
 * WEIR_EUNAVAILABLE, WEIR_ETIMEDOUT, WEIR_ETHROTTLED, WEIR_ENOSPC
 * (certainly not done), WEIR_EACCES, WEIR_EAUTH, WEIR_EIO, WEIR_ECORRUPT
 * (the transfer was damaged), WEIR_ECANCELED (the store was closed),
 * WEIR_EAGAIN (this process has no descriptor left), WEIR_EINVAL (the request
 * is wrong, or the URI that the store was opened with leads nowhere),
 * WEIR_ETOOBIG, WEIR_EUNSUPPORTED (what is asked for is more than the store can
 * do).
 */
struct weir_store_ops {
    size_t size;      /* sizeof(struct weir_store_ops) at the backend. */
    const char *name; /* "mem", "dir", "s3", "etcd". */
    /* Start `req`; `done` runs in the core, exactly once, never before
     * `submit` has returned.  In the core. */
    void (*submit)(struct weir_store *store, struct weir_store_req *req);
    /* End the requests in flight with WEIR_ECANCELED (those that cannot be
     * stopped: with how they ended; a PUT that may be done: WEIR_EUNKNOWN),
     * then free everything and post `closed`.  In the core. */
    void (*close)(struct weir_store *store, struct weir_task *closed);
    /* Both or neither; NULL for a store that cannot tell of changes.  In the
     * core.  `watch` returns 0, or WEIR_EUNSUPPORTED, WEIR_ENOMEM, and then
     * there is no watch.  After `unwatch`, which comes before `close`,
     * `changed` is not called any more. */
    int (*watch)(struct weir_store *store, struct weir_store_watch *watch);
    void (*unwatch)(struct weir_store *store, struct weir_store_watch *watch);
};

/** Base of every store; first member of the backend's own struct. */
struct weir_store {
    const struct weir_store_ops *ops;
};

/**
 * Opens a store: what a host registers for a URI scheme.
 *
 * Must not block on the network; whether the store can be reached shows in
 * its first request.
 *
 * @param out   The store.
 * @param host  Allocator, logger and environment; they outlive the store.
 * @param uri   The whole URI, such as "dir:/var/lib/weir".
 * @param ctx   What was registered with it.
 * @param err   What went wrong; may be NULL.
 * @return 0 or an error; the text names the part of the URI that is wrong.
 */
typedef int weir_store_open_fn(struct weir_store **out,
                               const struct weir_host *host, const char *uri,
                               void *ctx, struct weir_error *err);

WEIR_END

#endif
