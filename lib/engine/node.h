/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside view of a node.  Everything here belongs to the core, unless it is
 * marked atomic.
 */
#ifndef WEIR_ENGINE_NODE_H
#define WEIR_ENGINE_NODE_H

#include "base/config.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/log_cache.h"
#include "engine/stream.h"
#include "format/wal_slot.h"
#include "manifest/manifest.h"
#include "object/object.h"
#include <weir/node.h>
#include <weir/stats.h>

/** What a node lives through. */
enum weir__node_state {
    WEIR__NODE_OPENING,
    WEIR__NODE_OPEN,
    WEIR__NODE_CLOSING,
    WEIR__NODE_CLOSED
};

struct weir__group;
struct weir__upload;
struct weir__open;
struct weir__close;

/** Group commit: what is gathered, what is being written. */
struct weir__commit_queue {
    struct weir__list groups; /* Closed groups, to be written. */
    struct weir__list flying; /* Being written, oldest first. */
    struct weir__list lost;   /* Their write has failed. */
    struct weir__list held;   /* Durable, but the lease has run out. */
    struct weir__group *open; /* Gathers; NULL if nothing does. */
    struct weir_task kick;    /* Writes what this turn has gathered. */
    int kick_posted;
    unsigned writing;          /* Writes in flight. */
    struct weir_timer linger;  /* The open group has gathered long enough. */
    uint64_t grown;            /* When it was last added to. */
    int forsaken;              /* Do not wait for the lease any more. */
    int poisoned;              /* The log has failed: nothing more. */
    int unsure;                /* And holds what nobody was told is there. */
    uint64_t position;         /* Where the next record goes. */
    uint64_t tail;             /* End of the record before; 0: none yet. */
    uint64_t durable;          /* All positions below are durable. */
    size_t power_of;           /* A payload's length, and what joins */
    uint32_t power;            /* its checksum to others. */
    struct weir__list starved; /* Streams with appends that want room. */
    struct weir_timer retry;   /* Looks for room again. */
};

/** Object ids that one commit of an upload registers, or gives back. */
#define WEIR__UPLOAD_IDS 64

/** What uploads need to remember from one to the next. */
struct weir__upload_state {
    struct weir__upload *job;  /* Under way, or NULL. */
    struct weir__list pending; /* Streams with something to upload. */
    struct weir__list flushes; /* Flush requests, oldest first. */
    struct weir_timer due;     /* Age of the oldest pending batch. */
    struct weir_timer backoff; /* After a failure. */
    struct weir_timer late;    /* The manifest does not answer. */
    uint64_t pending_bytes;    /* Acknowledged payload not in objects. */
    uint64_t next_id;          /* Reserved object ids: [next, end). */
    uint64_t end_id;
    uint64_t spent[WEIR__UPLOAD_IDS]; /* Of uploads that have failed: to be */
    unsigned spent_count;             /* given back with the next commit. */
    unsigned failures;                /* In a row. */
    unsigned waits;   /* In a row: for former owners' uploads. */
    uint64_t commits; /* Begun so far; */
    int committing;   /* the last one is awaited. */
};

/** Word of this node's life, for the others. */
struct weir__lease {
    uint64_t length; /* Nanoseconds; 0: none. */
    uint64_t until;  /* Before that nobody takes this node over. */
    uint64_t sent;   /* When the commit under way was begun. */
    int beating;     /* It is. */
    int given_up;    /* It is not renewed any more. */
    struct weir_timer due;
    struct weir__commit commit;
    struct weir__op op;
};

/** Reading of other nodes' logs: tail.h. */
struct weir__tail {
    struct weir__map logs;    /* By node id. */
    struct weir__list loaded; /* Slots that are here, by last use. */
    size_t bytes;             /* Of them all. */
    size_t ranges;            /* Of all streams. */
    uint64_t round;           /* Looks begun. */
    uint64_t moved;           /* The last that reads a log anew. */
    int looking;              /* The last one is under way, */
    int again;                /* and another one is to follow. */
    int found;                /* It has found something. */
    unsigned busy;            /* Requests under way: */
    unsigned loads;           /* so many for bytes that were here before. */
    struct weir_timer due;    /* The next look. */
    uint64_t wait;            /* Until that. */
};

/** Removal of dead objects. */
/** One object that is being removed. */
struct weir__removal {
    struct weir_store_req del;
    uint64_t id;
    int status;
    char key[64];
};

struct weir__sweep {
    struct weir_timer due;
    struct weir__removal *removals; /* Of one round; NULL between rounds. */
    size_t count;
    size_t under_way;
    struct weir__commit commit;
    struct weir__op op;
    uint64_t ids[64]; /* Removed from the store, to be committed. */
    int failed;       /* Some were not removed. */
    int busy;
};

/** Removal of slots that object logs have left behind: sweep_log.c. */
struct weir__log_sweep {
    struct weir_timer due; /* The next look. */
    struct weir__refresh refresh;
    struct weir_store_req list;
    char after[WEIR__SLOT_KEY];          /* Last key of the page before. */
    struct weir__slot_removal *removals; /* Of one page; NULL: none. */
    size_t count;
    size_t under_way;
    unsigned failures; /* In a row. */
    int status;        /* Why some are still there. */
    int more;          /* There is another page. */
    int late;          /* Another look is due when late PUTs have ended. */
    int asked;         /* Somebody has asked meanwhile. */
    int had;           /* There were such logs before the node was opened. */
    int busy;
};

struct weir {
    const struct weir_alloc *alloc;
    struct weir_config *config; /* A copy of its own. */
    struct weir_host host;
    int own_env;
    int state;   /* enum weir__node_state; atomic. */
    int users;   /* Calls that are inside and do not block; atomic. */
    int blocked; /* Calls that wait for the core, or drive it; atomic. */
    int read_only;
    int recovered; /* All that the WAL holds is in the log cache. */
    int damage;    /* But some of it was damaged. */
    int beside;    /* Opened in a dead node's name: takeover.c. */
    int fenced;    /* A later node epoch exists: nothing is acknowledged. */
    int lost; /* What a volatile WAL had was given up, and none was told. */
    uint32_t id;
    uint64_t epoch;
    uint64_t foreign; /* Commits of others that the streams follow. */

    struct weir_store *backing;        /* The store as opened. */
    struct weir_store *store;          /* The same, counted. */
    struct weir_store *manifest_store; /* Of an etcd: manifest, or NULL. */
    struct weir__manifest *manifest;
    struct weir__object_reader *reader;
    struct weir_wal *wal; /* NULL for a read-only node. */

    struct weir__map streams; /* By id: every handle there ever was. */
    struct weir__log_cache cache;
    struct weir__commit_queue commits;
    struct weir__upload_state uploads;
    struct weir__sweep sweep;
    struct weir__log_sweep log_sweep;
    struct weir__tail tail;
    struct weir__lease lease;
    struct weir__map members;      /* struct seen, by node id. */
    struct weir__list watches;     /* Of keys. */
    struct weir_timer follow;      /* Reads the manifest again. */
    struct weir__list fetches;     /* Every fetch that was accepted. */
    struct weir__list handovers;   /* That wait for appends to end. */
    struct weir__list takeovers;   /* Of dead nodes. */
    struct weir__list calls;       /* Other requests that wait for a commit. */
    struct weir_timer refresh_due; /* While fetches wait on foreign streams. */
    struct weir__refresh refresh;
    int refreshing;
    int refresh_again;  /* Somebody has asked meanwhile. */
    uint64_t refreshes; /* Begun so far. */

    struct weir_stats stats;
    struct weir__close *closing;
};

/** 1 if requests are still taken. */
int weir__node_is_open(const struct weir *node);

/** Begin a call from outside: 0, or WEIR_ECLOSED; end it with `leave`.
 * Nothing in between may block. */
int weir__node_enter(struct weir *node);
void weir__node_leave(struct weir *node);
/** The same for a call that may block. */
int weir__node_enter_blocking(struct weir *node);
void weir__node_leave_blocking(struct weir *node);

/** Bytes of a request's `impl` that its kind may use; what is behind them is
 * the blocking form's. */
#define WEIR__IMPL_SIZE (7 * sizeof(void *))

/** Hand a request to the core: `run` gets it there. */
int weir__node_post(struct weir *node, struct weir_req *req,
                    void (*run)(struct weir_task *task));
/** The request that `weir__node_post` was given. */
struct weir_req *weir__req_of(struct weir_task *task);
/** End a request: fill in its error, call `done`. */
void weir__req_end(struct weir_req *req, int status);

/** The blocking form of `start(target, req)`. */
int weir__call_sync(struct weir *node, struct weir_req *req,
                    int (*start)(void *target, struct weir_req *req),
                    void *target);

/** Asks for a node, without blocking: for the simulator. */
struct weir__open_req {
    const struct weir_config *config;
    int beside; /* For a takeover: who does it looks after the rest. */
    void (*done)(struct weir__open_req *req, int status);
    void *ctx;
    struct weir_error *err; /* May be NULL. */
    struct weir *node;      /* Out. */
    int again;         /* Out: WEIR_EAGAIN, as the former process lived on: the
                          same again may succeed. */
    uint64_t expected; /* Epoch that the node must have, or it is refused
                          (WEIR_EFENCED); 0: any. */
    uint64_t beat;     /* Version of its newest commit when its lease had run
                          out: if it commits another one until it has its next
                          epoch, it lives, and is refused (WEIR_EAGAIN); 0: it
                          may. */
    uint64_t granted;  /* Out: epoch that it was raised to, 0: none. */
};

/** Start to open a node; refused at once with a negative status.  In the
 * core, or while nobody drives. */
int weir__node_open(struct weir__open_req *req);

/** Asks for a node to be closed, without blocking. */
struct weir__close {
    void (*done)(struct weir__close *req, int status);
    void *ctx;
    struct weir_error *err; /* May be NULL. */
    int status;
    /* Private. */
    struct weir_task begin;
    struct weir_task step;
    int posted;
    int phase;
    int waiting;  /* For a lease that has run out. */
    int cleaning; /* The commit of NODE_CLEAN is awaited. */
    int parts;    /* Still open: reader, store. */
    struct weir_task reader_closed;
    struct weir_task store_closed;
    struct weir_task mstore_closed;
    struct weir_task manifest_closed;
    struct weir_wal_req wal;
    struct weir_flush flush;
    struct weir__commit commit;
    struct weir__op ops[2];
    struct weir_timer patience;
    uint64_t awaited; /* Commit of the last upload, at the last look. */
    struct weir *node;
};

/** Begin to close.  `done` runs in the core, once nothing refers to the node
 * any more; free it then with `weir__node_release`. */
void weir__node_close(struct weir *node, struct weir__close *req);
/** Free a closed node's memory. */
void weir__node_release(struct weir *node);
/** Look whether closing can go on: called when something ended. */
void weir__close_step(struct weir *node);

/** Recover the next run of the WAL's records; `done` when there are no more. */
void weir__recover_start(struct weir *node, struct weir__open *open);
/** Called by the recovery at its end. */
void weir__open_recovered(struct weir__open *open, int status);

/** The store of the configuration, opened; counted in `stats`. */
int weir__backend_store(struct weir *node, struct weir_error *err);
/** Where the manifest's log is, if that is not the store; else NULL. */
int weir__backend_manifest(struct weir_store **out,
                           const struct weir_host *host,
                           struct weir_config *config, struct weir_error *err);
/** Whether the configuration's WAL is one that can be: to be asked before
 * anything is opened, so that a wrong word leaves nothing behind. */
int weir__backend_wal_check(const struct weir *node, struct weir_error *err);
/** The function that opens it, and its context; it was checked. */
weir_wal_open_fn *weir__backend_wal(const struct weir *node, void **ctx);

#endif
