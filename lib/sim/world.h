/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the simulated world: shared by the files of this folder only.
 *
 * Memory of two kinds: the world's, and that of each node, which a crash
 * takes away at any moment.  What the world keeps points into a node's
 * memory only as long as the node is up.
 */
#ifndef WEIR_SIM_WORLD_H
#define WEIR_SIM_WORLD_H

#include "base/list.h"
#include "base/timers.h"
#include "wal/disk.h"

#include <setjmp.h>
#include <weir/sim.h>

#define SIM_US ((uint64_t)1000)
#define SIM_MS ((uint64_t)1000000)
#define SIM_SECOND ((uint64_t)1000000000)

enum { SIM_SECTOR = 512, SIM_DISK_ALIGN = 4096, SIM_PREFIX = 32 };

/** A generator of its own for each use, so that one more draw in one place
 * leaves the others as they were. */
struct sim_random {
    uint64_t state;
};

/** A write to one sector that no sync has covered yet. */
struct sim_sector {
    uint64_t number;
    unsigned char data[SIM_SECTOR];
};

/** A medium and the one opening of it. */
struct sim_disk {
    struct weir__disk base;
    struct weir_sim_node *node;
    struct weir_sim_node *user; /* Who has it open: it is told. */
    struct sim_random random;
    unsigned char *stable;      /* What a crash leaves. */
    unsigned char *cached;      /* What reads give. */
    unsigned char *touched;     /* By page, 1: the two may differ there. */
    unsigned char *bad;         /* By sector, 1: it cannot be read. */
    struct sim_sector *pending; /* In the order of writing. */
    size_t pending_count;
    size_t pending_capacity;
    int shown;  /* 1: the host may change what is on it. */
    int exists; /* 1: a sync has made it known under its name. */
    int open;
    struct weir__disk_req *first; /* The one that is carried out. */
    struct weir__disk_req **end;
    struct weir_timer timer; /* Its end. */
    struct weir_task task;
    int status;
};

struct weir_sim_node {
    struct weir_env env;
    struct weir_alloc alloc;
    struct weir_sim *sim;
    struct weir_sim_node *next;
    uint32_t id;
    int up;
    int paused;    /* Tasks and timers wait. */
    int cut;       /* From the store: enum weir_sim_cut_kind, or 0. */
    int condemned; /* Crashed, and its memory is still in use on the stack. */
    struct sim_random random;
    int64_t skew; /* Of the wall clock, milliseconds. */

    struct weir_task *tasks; /* Oldest first. */
    struct weir_task **tasks_end;
    struct weir__timers timers;
    struct weir__list works; /* Of struct sim_work. */

    struct weir__list blocks; /* Memory. */
    struct sim_random memory_random;
    size_t bytes;
    size_t block_count;
    struct sim_disk disk;
    weir_sim_receive_fn *receive;
    void *receive_ctx;
    jmp_buf crashed; /* Where a call goes on when the node crashes. */
};

struct weir_sim {
    const struct weir_alloc *alloc;
    struct weir_sim_options options;
    struct weir_sim_faults faults;
    struct weir_sim_faults seen; /* How often each has happened. */
    uint64_t now;
    uint64_t steps;          /* That were made, and at which */
    uint64_t busy_end;       /* there is no more hope of an idle moment. */
    char ended[160];         /* Why it ends, once it does. */
    struct sim_random order; /* What happens next. */
    struct sim_random store_random;
    struct sim_random watch_random;
    struct sim_random message_random;
    struct sim_random random; /* The test's own. */
    struct weir__timers events;
    char hot[SIM_PREFIX]; /* Keys of the store that begin with it are refused */
    uint64_t hot_until;   /* until then. */
    struct weir_sim_node *nodes;
    struct weir_sim_node *running; /* In whose core we are. */
    struct weir_sim_node *caller;  /* Whose program we are in. */
    int in_event;                  /* 1: a timer of the world fires. */

    struct weir__list messages;       /* Of struct sim_message. */
    struct weir__list cuts;           /* Of struct sim_cut. */
    struct weir__list requests;       /* Of struct sim_request. */
    struct weir__list watches;        /* Of struct sim_watch. */
    struct weir_sim_object **objects; /* Sorted. */
    size_t object_count;
    size_t object_capacity;
    size_t object_last; /* Where one was looked for last. */
};

/* sim_random.c */
void weir__sim_random_init(struct sim_random *random, uint64_t seed,
                           uint64_t use);
uint64_t weir__sim_random_next(struct sim_random *random);
uint64_t weir__sim_random_below(struct sim_random *random, uint64_t n);
/** 1 with a chance of `millionths` in a million. */
int weir__sim_random_chance(struct sim_random *random, uint32_t millionths);
/** 1 if this fault happens now; counted. */
#define SIM_FAULT(sim, random, kind)                                           \
    weir__sim_fault((random), (sim)->faults.kind, &(sim)->seen.kind)
int weir__sim_fault(struct sim_random *random, uint32_t millionths,
                    uint32_t *seen);
/** A time around `typical`, seldom much longer. */
uint64_t weir__sim_random_time(struct sim_random *random, uint64_t typical);

/* sim_world.c */
enum sim_step { SIM_RAN, SIM_REACHED, SIM_IDLE };
/** Let the next thing happen, unless it would be after `until`. */
enum sim_step weir__sim_step(struct weir_sim *sim, uint64_t until);
/** A program of `node` looked, and nothing was due: a step of `ns`. */
void weir__sim_polled_idle(struct weir_sim_node *node, uint64_t ns);

/* sim_env.c */
extern const struct weir_env_ops weir__sim_env_ops;
/** Drop tasks, timers and work. */
void weir__sim_env_crash(struct weir_sim_node *node);

/* sim_node.c */
/** Take the memory of a crashed node, if nothing on the stack needs it. */
void weir__sim_reap(struct weir_sim_node *node);
/** End the call that the node is in, as if it crashed there. */
void weir__sim_leave(struct weir_sim_node *node, int status);
void weir__sim_node_free(struct weir_sim_node *node);

/** What to register for the scheme "sim", with the node as `ctx`. */
weir_wal_open_fn weir__sim_wal_open;

/* sim_memory.c */
void weir__sim_memory_init(struct weir_sim_node *node);
void weir__sim_memory_free(struct weir_sim_node *node);

/* sim_disk.c */
int weir__sim_disk_init(struct weir_sim_node *node, uint64_t size);
/** A node crashes: the disks that it has open, and its own. */
void weir__sim_disks_crash(struct weir_sim_node *node);
void weir__sim_disk_free(struct sim_disk *disk);
/** Open the disk of `node` on `user`. */
int weir__sim_disk_open(struct weir__disk **out, struct weir_sim_node *node,
                        struct weir_sim_node *user, struct weir_error *err);

/* sim_store.c */
weir_store_open_fn weir__sim_store_open;
void weir__sim_store_crash(struct weir_sim_node *node);
void weir__sim_store_free(struct weir_sim *sim);

/* sim_watch.c */
/** The store's `watch` and `unwatch`, for the watches of `node`. */
int weir__sim_watch(struct weir_sim_node *node, struct weir_store_watch *user);
void weir__sim_unwatch(struct weir_sim_node *node,
                       struct weir_store_watch *user);
/** A key was created. */
void weir__sim_watch_tell(struct weir_sim *sim, const char *key);
void weir__sim_watch_crash(struct weir_sim_node *node);
void weir__sim_watch_free(struct weir_sim *sim);

/* sim_message.c */
/** Drop what the node was to be told. */
void weir__sim_messages_crash(struct weir_sim_node *node);
void weir__sim_messages_free(struct weir_sim *sim);

/* sim_objects.c */
struct weir_sim_object *weir__sim_object_find(struct weir_sim *sim,
                                              const char *key);
/** Number of the first object whose key is not below `key`. */
size_t weir__sim_object_at(struct weir_sim *sim, const char *key);
/** Copies `data`; replaces what is there. */
int weir__sim_object_put(struct weir_sim *sim, const char *key,
                         const unsigned char *data, size_t len);
void weir__sim_object_delete(struct weir_sim *sim, const char *key);
void weir__sim_objects_free(struct weir_sim *sim);

#endif
