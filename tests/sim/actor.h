/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The nodes of a scenario and what they ask of the library: shared by
 * scenario.c, actor.c and requests.c.
 */
#ifndef TESTS_SIM_ACTOR_H
#define TESTS_SIM_ACTOR_H

#include "base/list.h"
#include "sim/model.h"
#include "sim/named.h"
#include "sim/scenario.h"
#include <weir/sim.h>

enum { NODES_MAX = 2 };
/* Longer than a late request to the store. */
#define DELETE_GRACE "11min"
#define DELETE_GRACE_MS ((int64_t)11 * 60000)
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

struct scenario;

/** A node of the world, and its program's view of it. */
struct actor {
    struct scenario *scenario;
    uint32_t number;
    struct weir_sim_node *sim;
    struct weir_timer crash; /* When it will. */
    struct weir__list ops;   /* Under way. */

    /* In the node's memory: gone after a crash. */
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *streams[MODEL_STREAMS]; /* Its own, to append. */
    struct weir_stream *readers[MODEL_STREAMS]; /* Of others. */

    uint32_t taking; /* Stream that a program takes from the other node. */
    int verified;    /* 1: the check after opening went to its end. */
    int failed;      /* Of the program that ran last: a status. */
};

/** A request under way.  In the test's memory. */
struct op {
    struct weir__list link;
    struct actor *actor;
    const char *what;
    uint32_t stream;
    size_t batch;
    uint64_t id; /* Of the stream that a fetch reads. */
    unsigned char *data;
    union {
        struct weir_append append;
        struct weir_fetch fetch;
        struct weir_trim trim;
        struct weir_flush flush;
        struct weir_stream_open open;
        struct weir_stream_delete delete;
    } u;
};

struct scenario {
    struct weir_sim *sim;
    struct model model;
    struct named named;
    struct actor actors[NODES_MAX];
    uint32_t actor_count;
    int corrupt; /* 1: the store corrupts what it returns. */
    int heavy;   /* 1: many large batches. */
    int starved; /* 1: allocations fail. */
    int calm;    /* 1: nothing fails any more. */
    const struct run_options *options;
    struct run_result *result;
    struct weir_log log; /* Of the nodes: goes to the trace. */
    /* Of this seed. */
    char upload_bytes[32];
    char stream_object[32];
    char block[32];
    char snapshot[32];
    char interval[32];
};

/** A random number below `n`. */
uint64_t scenario_below(struct scenario *sc, uint64_t n);
/** 1 after a breach. */
int scenario_broken(const struct scenario *sc);
/** Let virtual time go by; a breach if the run is too long. */
void scenario_pass(struct scenario *sc, uint64_t ns);

/* requests.c: each starts one, whose end the model is told. */
void request_append(struct actor *actor, uint32_t stream);
void request_fetch(struct actor *actor, uint32_t stream,
                   struct weir_stream *handle);
void request_trim(struct actor *actor, uint32_t stream);
void request_flush(struct actor *actor);
void request_delete(struct actor *actor, uint32_t stream);
void request_reader(struct actor *actor, uint32_t stream);
/** The node's memory is gone: nobody will end what was under way. */
void requests_forget(struct actor *actor);
/** Id of the stream behind a handle, or 0 if it was deleted. */
uint64_t id_of(struct weir_stream *handle);
/** Breach unless `status` is passing, damage that the store does, or one of
 * the three others. */
void expect_status(struct scenario *sc, const char *what, int status, int a,
                   int b, int c);
/** Breach unless what was fetched is one batch behind the other, and each as
 * it must be. */
void check_batches(struct scenario *sc, uint32_t stream,
                   const struct weir_fetch *fetch);

/* actor.c */
void actor_open(struct actor *actor);
void actor_close(struct actor *actor);
/** Close with everything in objects, so that others may take its streams. */
void actor_hand_over(struct actor *actor);
/** Take a stream from the other node, if that lets go of it. */
void actor_take(struct actor *actor, uint32_t stream);
/** Crash while what was just asked for is under way. */
void actor_crash_soon(struct actor *actor);
void actor_crash_now(struct actor *actor);
/** Run a program of the node: 0, or it has crashed. */
int actor_run(struct actor *actor, void (*program)(void *ctx),
              const char *what);

#endif
