/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a run of a scenario is given and what it comes to.
 */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include "sim/plant.h"

#include <stdint.h>

/** Kinds of faults, as bits of `without`; the names are in run.c. */
enum run_fault {
    FAULT_STORE_DOWN,
    FAULT_STORE_THROTTLE,
    FAULT_STORE_LOST,
    FAULT_STORE_UNHEARD,
    FAULT_STORE_LATE,
    FAULT_STORE_REPEAT,
    FAULT_STORE_SLOW,
    FAULT_STORE_CORRUPT,
    FAULT_STORE_STALE,
    FAULT_STORE_CUT,
    FAULT_STORE_REFUSED,
    FAULT_STORE_LOST_RACE,
    FAULT_STORE_HOT,
    FAULT_DISK_READ,
    FAULT_DISK_WRITE,
    FAULT_DISK_SYNC,
    FAULT_DISK_GARBLE,
    FAULT_DISK_SLOW,
    FAULT_DISK_HANG,
    FAULT_MEMORY,
    FAULT_CRASH,
    FAULT_SLEEP,
    FAULT_CUT,
    FAULTS
};

/** Names of the kinds, such as "store_down". */
extern const char *const run_fault_names[FAULTS];

/** What to run. */
struct run_options {
    uint64_t seed;
    unsigned steps;   /* At most so many; 0: as many as the scenario has. */
    unsigned without; /* Bits of faults that do not happen. */
    int unhashed;     /* 1: nobody looks at the hash; a fifth of the time. */
    void (*trace)(void *ctx, const char *line); /* May be NULL. */
    void *ctx;
    enum plant plant;
};

/** Steps of the world without a pause, and in all, that end a run: no seed
 * comes near, a few hundred and a few hundred thousand. */
enum { RUN_BUSY_LIMIT = 100000, RUN_STEP_LIMIT = 20000000 };

/** What a run came to. */
struct run_result {
    char failure[512]; /* What was breached, or "". */
    unsigned steps;    /* That were made. */
    unsigned nodes;
    unsigned long acked;
    unsigned long unknown;    /* Appends whose outcome was not known. */
    unsigned long fetched;    /* Batches read and checked. */
    unsigned long operations; /* What nodes were asked for. */
    unsigned long opens;      /* Of nodes, with success. */
    unsigned long moves;      /* Of streams: handed or taken over. */
    unsigned long faults[FAULTS];
    uint64_t seconds;    /* Virtual. */
    uint64_t trace_hash; /* The same for the same seed. */
};

/** A hash of nothing yet, and of one line more. */
#define RUN_HASH_OF_NOTHING UINT64_C(0xcbf29ce484222325)
uint64_t run_hash_line(uint64_t hash, const char *line);
/** How long requests of this seed wait for the manifest: not drawn, so that
 * the seeds mean what they meant before. */
const char *run_commit_timeout(uint64_t seed);
/** The latest that any node's wall clock may be: milliseconds. */
int64_t run_latest_wall(struct weir_sim_node *node);
/** Why a call in the world timed out. */
const char *run_why_ended(const struct weir_sim *sim);
/** Whether the store of this seed tells of what comes, and how much of it. */
uint32_t run_tells(uint64_t seed);
/** How long a store and a disk of this seed typically take; not drawn, as they
 * must be known before the world is. */
uint64_t run_store_time(uint64_t seed);
uint64_t run_disk_time(uint64_t seed);
/** Rates of `faults` that are in `without` become 0. */
void run_without(struct weir_sim_faults *faults, unsigned without);
/** Count what the world says that it did, into `result->faults`. */
void run_count_faults(struct weir_sim *sim, struct run_result *result);

#endif
