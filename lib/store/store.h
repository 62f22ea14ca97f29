/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Constructors of the object stores.  Everything else is behind the port,
 * weir/store.h.
 */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include <weir/config.h>
#include <weir/store.h>

/** `mem:` keeps objects in memory, for the life of the store. */
weir_store_open_fn weir__store_memory_open;
/** `dir:/path`: a directory, made if its parent exists.  `?fsync=false` to
 * leave durability to the system. */
weir_store_open_fn weir__store_dir_open;
/** `s3://bucket/prefix?endpoint=URL&region=NAME&path_style=true`; `ctx` is the
 * `struct weir_config` with the keys, read only in the call. */
weir_store_open_fn weir__store_s3_open;

/** `etcd://host:port,host:port/prefix?tls=true`, for the manifest's log: values
 * of at most 64 MiB, and a LIST that tells no sizes.  `ctx` is the
 * `struct weir_config`, read only in the call. */
weir_store_open_fn weir__store_etcd_open;

/** PUT only, on S3: goes with a hash, or with a checksum where none is signed,
 * that is not that of the body, and is not tried again when it is refused: so
 * a probe learns whether the server looks. */
#define WEIR__STORE_DAMAGED 8u

/** Be told of keys that come: 0; WEIR_EUNSUPPORTED if the store cannot tell;
 * WEIR_ENOMEM.  End it, if it was begun, before the store is closed. */
int weir__store_watch(struct weir_store *store, struct weir_store_watch *watch);
void weir__store_unwatch(struct weir_store *store,
                         struct weir_store_watch *watch);

/** Most requests that a probe has under way. */
enum { WEIR__PROBE_RACERS = 4 };

/** Proves on a real store what a node relies on: that a create fails if the key
 * exists, for two that follow each other and for four at once, and that a
 * read sees what was written.  A store that ignores the condition would lose
 * commits in silence.  Fill in the first group; the caller's until `done`. */
struct weir__probe {
    const struct weir_host *host;
    struct weir_store *store;
    /* `status` 0; WEIR_EUNSUPPORTED: `err` names what is missing and what to
     * do; or why it could not be found out. */
    void (*done)(struct weir__probe *probe, int status);
    void *ctx;
    struct weir_error *err;

    struct weir_store_req reqs[WEIR__PROBE_RACERS]; /* Private. */
    struct weir_iov iov[WEIR__PROBE_RACERS];
    char keys[2][40];
    char bodies[WEIR__PROBE_RACERS][8];
    unsigned left;
    unsigned won;
    unsigned tries;
    int status;
    int verdict;
    uint64_t started;
    struct weir_timer timer;
    struct weir_error error;
};

/** Begin: about nine requests, below the prefix "probe/". */
void weir__probe_start(struct weir__probe *probe);

#endif
