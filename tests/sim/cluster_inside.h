/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the cluster's scenario: its nodes and what they are asked for
 * (cluster_nodes.c), and what happens to them (cluster.c).
 */
#ifndef TESTS_SIM_CLUSTER_INSIDE_H
#define TESTS_SIM_CLUSTER_INSIDE_H

#include "sim/cluster.h"

#include <weir.h>

enum { STEPS = 300, DISK = 1 << 20, NODES_MAX = 5, STREAMS = 4, MOST = 700 };
enum {
    OPERATIONS_MIN = 200,
    PAYLOAD_MAX = 900,
    TRIES = 40,
    MEMORY_MAX = 24 << 20
};
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

struct cluster;

/** A node and what its program holds. */
struct machine {
    struct cluster *cluster;
    struct weir_sim_node *sim;
    uint32_t number;
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *streams[STREAMS]; /* Its own. */
    int status;                           /* Of the program that ran last. */
    int arg;    /* Of the next program: a stream, a node. */
    int sick;   /* Its log was taken over, or failed: it must be restarted. */
    int asleep; /* Paused: a zombie when it wakes up. */
    /* Requests that nobody waits for; NULL when none is under way. */
    struct weir_kv_put *put;
    struct weir_takeover *taking;
};

/** An append under way, in the test's memory. */
struct pending {
    struct weir_append req;
    struct pending *next;
    struct machine *machine;
    int stream;
    uint32_t number;
    int over;
    int status;
    unsigned char data[PAYLOAD_MAX];
};

/** What is known of a stream. */
struct track {
    uint32_t acked[MOST]; /* Number by offset; 0: not known. */
    uint32_t shown[MOST]; /* To a reader; 0: not yet. */
    uint64_t end;         /* Behind the last that was acknowledged. */
    uint64_t start;       /* Acknowledged. */
    uint64_t start_max;   /* Farthest that a trim may have moved it. */
};

struct cluster {
    struct weir_sim *sim;
    const struct run_options *options;
    struct run_result *result;
    struct machine machines[NODES_MAX];
    uint32_t count;
    struct track tracks[STREAMS];
    unsigned char stream_of[STREAMS * MOST * 2]; /* By number, plus one. */
    unsigned char never[STREAMS * MOST * 2];     /* 1: certainly not there. */
    uint32_t numbers;
    struct pending *pending;
    int calm; /* No more faults: things must go well. */
    struct weir_log log;
    /* Of this seed. */
    const char *lease;
    const char *wal; /* NULL: the node's disk. */
    char upload_bytes[32];
    char interval[32];
    char snapshot[32];
    char block[32];
};

/** A random number below `n`. */
uint64_t cluster_below(struct cluster *c, uint64_t n);
/** 1 after a breach. */
int cluster_broken(const struct cluster *c);
/** Note a breach; the first one stays. */
void cluster_breach(struct cluster *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Let virtual time go by. */
void cluster_pass(struct cluster *c, uint64_t ns);
/** Breach unless what was read is one batch behind the other from `from` on,
 * and each what is known of it. */
void cluster_check_batches(struct cluster *c, int stream, uint64_t from,
                           const struct weir_fetch *fetch);

/* Programs of a node, for cluster_call: `arg` is a stream or a node's number,
 * and `m->status` what it came to. */
void cluster_start_program(void *ctx);
void cluster_open_program(void *ctx);
void cluster_takeover_program(void *ctx);
void cluster_handover_program(void *ctx);
void cluster_trim_program(void *ctx);
void cluster_flush_program(void *ctx);
void cluster_read_program(void *ctx);
/** Run a program: 0, or the node has crashed on the way. */
int cluster_call(struct machine *m, void (*program)(void *ctx), int arg,
                 const char *what);

/* Requests that nobody waits for. */
void cluster_start_append(struct machine *m, int stream);
void cluster_start_put(struct machine *m);
void cluster_start_taking(struct machine *m, uint32_t dead);
void cluster_forget_requests(struct machine *m);
/** Take in the appends that have ended; drop those of a machine that
 * crashed. */
void cluster_collect(struct cluster *c, const struct machine *crashed);

/* Life and death. */
void cluster_crash(struct machine *m);
void cluster_stop(struct machine *m);
void cluster_start(struct machine *m);
void cluster_sleep_now(struct machine *m);
void cluster_wake(struct machine *m);
void cluster_cut(struct machine *m);

#endif
