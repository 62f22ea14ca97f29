/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A simulated cluster for tests: a few nodes on one store, and the programs
 * that run on them.
 */
#ifndef SIM_MACHINES_H
#define SIM_MACHINES_H

#include <weir.h>
#include <weir/sim.h>

enum { NODES = 3, STREAMS = 3 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

/** A node and what its program holds. */
struct machine {
    struct weir_sim_node *sim;
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *streams[STREAMS];
    struct weir_stream *readers[STREAMS];
    int status; /* Of the program that ran last. */
    uint64_t epoch;
    int sick;   /* Its log was taken over, or failed: it must be restarted. */
    int asleep; /* Paused: a zombie when it wakes up. */
};

/** The one world of a test program. */
struct world {
    struct weir_sim *sim;
    uint64_t seed;
    struct machine machines[NODES];
    const char *lease;
    const char *wal; /* NULL: the node's disk. */
    const char *upload_interval;
    const char *log_cache;
    const char *follow;
    unsigned takeover_flags;
    int arg;                   /* Of the next program: a stream, a node. */
    struct weir_takeover took; /* The last one. */
    int life;                  /* Of the node asked for last. */
    uint64_t epoch_seen;
};
extern struct world world;

/** An append under way, in the test's memory. */
struct appended {
    struct weir_append req;
    int over;
    int status;
    unsigned char data[8];
};

void world_open(uint64_t number);
/** Free it; the next one begins with the settings that a program begins with.
 */
void world_close(void);
void world_run(uint64_t ns);

/** Run a program on a node: 0, or why it did not run to its end. */
int machine_call(struct machine *m, void (*program)(void *ctx));
/** Start and open a node; its status. */
int machine_start(struct machine *m);
/** The same, under the id of another one. */
int machine_start_as(struct machine *m, const char *node_id);
void machine_crash(struct machine *m);
/** Program: close the node in order. */
void machine_stop(void *ctx);
/** Program: open stream `world.arg` to read. */
void machine_reader(void *ctx);
int machine_open_stream(struct machine *m, int stream);
/** Bring all that it has appended into objects; the status. */
int machine_flush(struct machine *m);
/** What it has counted. */
struct weir_stats machine_stats(struct machine *m);
int machine_take_over(struct machine *m, int node);
int machine_hand_over(struct machine *m, int stream);
/** Life of a node, as `m` sees it; also sets `world.epoch_seen`. */
int machine_life_of(struct machine *m, int node);
/** Start to append a number. */
struct appended *machine_append(struct machine *m, int stream, uint64_t number);
/** Append a number, and run until that is acknowledged: for a minute at most,
 * as a store is slow now and then. */
struct appended *machine_append_now(struct machine *m, int stream,
                                    uint64_t number);

#endif
