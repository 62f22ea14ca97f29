/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Key/values in the manifest: small, durable, seen by every node.
 *
 * For what a broker needs to remember beside its streams: topics, settings,
 * consumers' offsets.  Keys and values are bytes; a value is at most 64 KiB.
 * Every change gets a version that grows, and can depend on the version
 * there is: compare-and-set.  All changes handed over in one turn of the core
 * share one commit.
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

/** Sets or removes a key. */
struct weir_kv_put {
    struct weir_req req;
    const char *key;
    const void *value; /* NULL: remove the key. */
    size_t len;
    uint64_t expected; /* WEIR_KV_ANY, WEIR_KV_ABSENT or a version. */
    uint64_t version;  /* Out: version of the value, or 0 if removed. */
};

/**
 * Set or remove a key, if its version is the one expected.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request; key and value stay the caller's until `done`.
 * @return 0: `done` runs exactly once, with 0; WEIR_ECONFLICT (another
 *         version: `version` tells); WEIR_EFENCED, WEIR_EUNKNOWN,
 *         WEIR_EREADONLY, WEIR_ECLOSED or an error of the store.  Negative,
 *         and `done` never runs: WEIR_EINVAL (no `done`, empty or long key),
 *         WEIR_ETOOBIG, WEIR_ECLOSED.
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

/** One key and its value.  Valid during the call that gives it. */
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

WEIR_END

#endif
