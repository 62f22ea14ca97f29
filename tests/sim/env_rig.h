/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A world with one node, whose parts are used directly, below the library:
 * for the tests of the world itself.
 */
#ifndef TESTS_SIM_ENV_RIG_H
#define TESTS_SIM_ENV_RIG_H

#include "sim/world.h"

#include <weir/store.h>

enum { DISK = 64 * 4096, TRACE_ROOM = 1 << 20 };
#define MINUTE ((int64_t)60 * 1000000000)

extern struct weir_sim *sim;
extern struct weir_sim_node *node;
extern struct weir_env *env;
/** Set when what was asked for has ended, with `status`. */
extern struct weir_event done;
extern int status;

/** Lines of the trace, of two worlds: `which` tells the one that is open. */
extern char trace[2][TRACE_ROOM];
extern size_t trace_len[2];
extern int which;

/** A world of a seed, with `node` in it, whose memory is checked at the end. */
void open_world(uint64_t seed);
/** The same with more options than the seed. */
void open_world_of(const struct weir_sim_options *given);
void close_world(void);
void run(uint64_t ns);

/* ---- The store, as `node` reaches it --- */

extern struct weir_store *store;
extern struct weir_store_req req; /* The last one. */
extern struct weir_iov body;
extern char keys[8][64]; /* That the last LIST has told. */
extern size_t key_count;
extern int told; /* How many requests have ended. */

void open_store(void);
/** Start what `req` was set to. */
void submit(enum weir_store_verb verb, const char *key);
/** The same, and wait for its end: its status. */
int ask(enum weir_store_verb verb, const char *key);
int put(const char *key, const char *text, unsigned flags);
/** Bytes of an object, as text; NULL if there is none. */
const char *get(const char *key, uint64_t offset, uint64_t length,
                unsigned flags);
/** What the store holds, whatever it tells; NULL: nothing. */
const char *look(const char *key);

#endif
