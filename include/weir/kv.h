/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Key/values in the manifest: small, durable, seen by every node.
 *
 * For what a broker needs to remember beside its streams: topics, settings,
 * consumers' offsets.  Keys and values are bytes; a value is at most 64 KiB.
 * Every change gets a version that grows, and can depend on the version
 * there is: compare-and-set.  All changes handed over in one turn of the core
 * share one commit.  A key can go with the node that has written it: it is
 * removed when that node closes, is opened again or is taken over.
 */
#ifndef WEIR_KV_H
#define WEIR_KV_H

#include <weir/node.h>

WEIR_BEGIN

/** Longest key, in bytes. */
#define WEIR_KV_KEY_MAX 255
/** Largest value, in bytes. */
#define WEIR_KV_VALUE_MAX 65536
/** `expected`: whatever version there is. */
#define WEIR_KV_ANY UINT64_MAX
/** `expected`: there is no such key. */
#define WEIR_KV_ABSENT 0u

/** The key goes with this node: removed when it closes, is opened again or is
 * taken over. */
#define WEIR_KV_NODE_LIFE 1u

/** Sets or removes a key. */
struct weir_kv_put {
    struct weir_req req;
    const char *key;
    const void *value; /* NULL: remove the key. */
    size_t len;
    uint64_t expected; /* WEIR_KV_ANY, WEIR_KV_ABSENT or a version. */
    uint64_t version;  /* Out: version of the value, or 0 if removed. */
    unsigned flags;    /* WEIR_KV_NODE_LIFE. */
};

/**
 * Set or remove a key, if its version is the one expected.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request; key and value stay the caller's until `done`.
 * @return 0: `done` runs exactly once, with 0; WEIR_ECONFLICT (another
 *         version: `version` tells); WEIR_EFENCED (a later epoch has this
 *         node), WEIR_ETIMEDOUT, WEIR_EUNKNOWN (see `weir_req`), WEIR_ECLOSED
 *         or an error of the store.  Negative, and `done` never runs:
 *         WEIR_EINVAL (no `done`, empty or long key, unknown flags),
 *         WEIR_ETOOBIG, WEIR_EREADONLY, WEIR_ECLOSED.
 */
WEIR_API int weir_kv_put(struct weir *node, struct weir_kv_put *req);

/**
 * Blocking form of `weir_kv_put`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_kv_put_sync(struct weir *node, struct weir_kv_put *req);

/** One key and its value; `value` is NULL for one that was removed.  Valid
 * during the call that gives it. */
struct weir_kv_pair {
    const char *key;
    const void *value;
    size_t len;
    uint64_t version;
};

/** Reads keys: one, or all that start alike. */
struct weir_kv_get {
    struct weir_req req;
    const char *key; /* The key, or with `prefix` what keys start with. */
    int prefix;      /* 1: every key that starts with `key`, sorted. */
    /* Called in the core for each; not 0 ends it with that status. */
    int (*pair)(struct weir_kv_get *req, const struct weir_kv_pair *pair);
};

/**
 * Read one key, or all keys that start alike, from this node's state.
 *
 * Nothing is asked for: what another node has committed is in it once this
 * one has read the manifest, with a commit of its own, for a watch, or as
 * often as property `follow` says.  A put with `expected` finds out for
 * certain.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request.
 * @return 0: `done` runs exactly once, after `pair` has seen each key, with
 *         0, WEIR_ENOENT (no such key, without `prefix`), what `pair`
 *         returned, or WEIR_ECLOSED.  Negative, and `done` never runs:
 *         WEIR_EINVAL (no `done`, no `pair`), WEIR_ECLOSED.
 */
WEIR_API int weir_kv_get(struct weir *node, struct weir_kv_get *req);

/**
 * Blocking form of `weir_kv_get`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_kv_get_sync(struct weir *node, struct weir_kv_get *req);

/** Watches the keys that start alike. */
struct weir_kv_watch {
    struct weir_req req;
    const char *prefix; /* "": all keys. */
    int present;        /* 1: begin with the pairs that there are. */
    /* Called in the core for each change, in order; `pair->value` is NULL for
     * a key that was removed.  Not 0 ends the watch with that status. */
    int (*changed)(struct weir_kv_watch *req, const struct weir_kv_pair *pair);
};

/**
 * Be told of each change of the keys that start alike.
 *
 * Of several changes of one key that this node hears of at one time the last
 * may be the only one that is told.  Changes of other nodes are heard with
 * this node's commits, and with its reading of the manifest: each second, or
 * as property `follow` says; of a manifest in etcd as soon as that tells.
 * `changed` runs while a commit is applied: it may start any
 * request, but not call a blocking form.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request; it and `prefix` stay the caller's until `done`.
 * @return 0: `done` runs exactly once, when the watch ends: with 0 (by
 *         `weir_kv_watch_end`), what `changed` returned, or WEIR_ECLOSED.
 *         Negative, and `done` never runs: WEIR_EINVAL (no `done`, no prefix,
 *         no `changed`), WEIR_ECLOSED.
 */
WEIR_API int weir_kv_watch(struct weir *node, struct weir_kv_watch *req);

/**
 * End a watch: its `done` runs soon.
 *
 * Threads: any.
 *
 * @param node  Node of the watch.
 * @param req   A watch whose `done` has not run.
 */
WEIR_API void weir_kv_watch_end(struct weir *node, struct weir_kv_watch *req);

WEIR_END

#endif
