/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A simulated world: nodes, their disks, and an object store that they share,
 * in one process and on one thread, with a clock of its own.
 *
 * One seed decides everything: which of the things that could happen next
 * does, how long each I/O takes, which of them fail, and what a disk holds
 * after a crash.  The same program with the same seed gives the same trace,
 * byte for byte.
 *
 * What the simulated disk promises: a sector (512 bytes) is written whole or
 * not at all, or, rarely, garbled; until a sync that began after a write has
 * ended with success, each sector of that write may or may not survive a
 * crash, in any combination.  After a sync that failed, what was pending may
 * be there or not, for ever, while reads give what was written until the
 * disk is opened again.
 *
 * What the simulated store promises: it is one map that all nodes see, and
 * each request takes effect at one moment.  A request may fail before it
 * took effect, or after it; take effect twice; or take effect minutes after
 * its caller was told that the outcome is unknown, and after the caller
 * crashed.
 */
#ifndef WEIR_SIM_SIM_H
#define WEIR_SIM_SIM_H

#include <weir/config.h>

struct weir__sim;
struct weir__sim_node;

/** How often things fail, in chances out of a million for each operation.
 * All are 0 in a new world but for `disk_garble`. */
struct weir__sim_faults {
    uint32_t store_down;     /* Refused: WEIR_EUNAVAILABLE, not done. */
    uint32_t store_throttle; /* Refused: WEIR_ETHROTTLED, not done. */
    uint32_t store_lost;     /* Not done, and the outcome unknown. */
    uint32_t store_unheard;  /* Done, and the outcome unknown. */
    uint32_t store_late;     /* Outcome unknown, done minutes later. */
    uint32_t store_repeat;   /* Done twice; the second answer counts. */
    uint32_t store_slow;     /* Takes seconds. */
    uint32_t store_corrupt;  /* GET: a byte of the body is changed. */
    uint32_t disk_read;      /* WEIR_EIO. */
    uint32_t disk_write;     /* WEIR_EIO; some sectors are written. */
    uint32_t disk_sync;      /* WEIR_EIO; what was pending is undefined. */
    uint32_t disk_garble;    /* Per sector that was pending in a crash. */
    uint32_t memory;         /* Allocations of the nodes: NULL. */
};

/** What a world is made from. */
struct weir__sim_options {
    uint64_t seed;
    uint64_t limit; /* Virtual nanoseconds that the run may take. */
    const struct weir_alloc *alloc; /* NULL: the C library's. */
    /* One line of the trace, without its newline; may be NULL. */
    void (*trace)(void *ctx, const char *line);
    void *trace_ctx;
};

/** A new world: 0 or WEIR_ENOMEM. */
int weir__sim_new(struct weir__sim **out,
                  const struct weir__sim_options *options);
/** End it, with all nodes and what they have stored. */
void weir__sim_free(struct weir__sim *sim);
/** The faults, to be changed at any time. */
struct weir__sim_faults *weir__sim_faults(struct weir__sim *sim);
/** Virtual nanoseconds. */
uint64_t weir__sim_now(const struct weir__sim *sim);
/** A random number below `n` (not 0), for decisions of the test itself. */
uint64_t weir__sim_below(struct weir__sim *sim, uint64_t n);
/** Write a line to the trace. */
void weir__sim_trace(struct weir__sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Have `timer` fire at its deadline, outside of any node. */
void weir__sim_at(struct weir__sim *sim, struct weir_timer *timer);
/** It will not fire any more. */
void weir__sim_cancel(struct weir__sim *sim, struct weir_timer *timer);

/**
 * Let `ns` of virtual time go by.
 *
 * @return 0, WEIR_ETIMEDOUT (the limit of the world was reached), WEIR_EBUSY
 *         (called from inside of a node).
 */
int weir__sim_run(struct weir__sim *sim, uint64_t ns);

/** A new node with an empty disk, running: 0 or WEIR_ENOMEM.  It ends with
 * the world. */
int weir__sim_node_new(struct weir__sim_node **out, struct weir__sim *sim,
                       uint32_t node_id, uint64_t disk_size);
struct weir_env *weir__sim_env(struct weir__sim_node *node);
/** The node's memory: gone as a whole when it crashes. */
const struct weir_alloc *weir__sim_alloc(struct weir__sim_node *node);
/** Bytes and blocks of it in use. */
size_t weir__sim_bytes(const struct weir__sim_node *node);
size_t weir__sim_blocks(const struct weir__sim_node *node);

/** A configuration in the node's memory, with its environment, its id, its
 * disk as `wal` and the world's store as `store`: 0 or WEIR_ENOMEM. */
int weir__sim_config(struct weir_config **out, struct weir__sim_node *node);

/**
 * Call `fn(ctx)` as the node's own program, which may block.
 *
 * A crash of the node meanwhile ends the call where it is.
 *
 * @return 0 when `fn` has returned; WEIR_ECANCELED (the node crashed),
 *         WEIR_ETIMEDOUT (nothing can happen any more that it waits for, or
 *         the limit of the world was reached: the node was crashed),
 *         WEIR_EBUSY (called from inside of a node, or it is down).
 */
int weir__sim_call(struct weir__sim_node *node, void (*fn)(void *ctx),
                   void *ctx);

/** Lose power: memory, tasks, timers and work are gone, requests to the
 * store may still take effect, the disk keeps what it promises.  Any time. */
void weir__sim_crash(struct weir__sim_node *node);
/** Run again after a crash.  Not from inside of a node. */
void weir__sim_start(struct weir__sim_node *node);
/** 1 unless it has crashed. */
int weir__sim_is_up(const struct weir__sim_node *node);

/** Bytes of the node's disk as a new opening would read them, to look at or
 * to damage while it is not open. */
unsigned char *weir__sim_disk_data(struct weir__sim_node *node, size_t *size);

/** An object of the world's store, as it is at the moment. */
struct weir__sim_object {
    char *key;
    unsigned char *data;
    size_t len;
    int64_t modified;
};

/** All objects, sorted by key; valid until the world runs on. */
struct weir__sim_object *const *weir__sim_objects(const struct weir__sim *sim,
                                                  size_t *count);

/** What to register for a URI scheme, with the node as `ctx`. */
weir_store_open_fn weir__sim_store_open;
weir_wal_open_fn weir__sim_wal_open;

#endif
