/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the manifest's state must do: a model that is too simple to be wrong,
 * tables that are searched from end to end.
 */
#ifndef TESTS_SUPPORT_STATE_MODEL_H
#define TESTS_SUPPORT_STATE_MODEL_H

#include "manifest/state_inside.h"

/* So many of each at most.  A name, of a stream or a key, is a letter and a
 * number. */
enum {
    MODEL_KEYS = 8,
    MODEL_NODES = 3,
    MODEL_STREAMS = 2000,
    MODEL_OBJECTS = 20000,
    MODEL_EXTENTS = 4000
};

/** Of an object. */
enum model_fate {
    MODEL_UNKNOWN,
    MODEL_RESERVED,
    MODEL_LIVE,
    MODEL_DEAD,
    MODEL_GONE
};

struct model_debt {
    uint64_t end;
    uint64_t epoch;
    uint64_t since;
    unsigned node;
};

struct model_stream {
    struct model_debt debts[64];
    size_t debt_count;
    int there;
    int name;
    unsigned owner;
    uint64_t epoch;
    uint64_t since; /* First epoch of the owner, with its log. */
    uint64_t start;
    uint64_t end; /* Committed. */
};

struct model_extent {
    uint64_t stream;
    uint64_t base;
    uint64_t end;
    uint64_t object;
};

/** Zero it before use. */
struct state_model {
    uint64_t epochs[MODEL_NODES + 1];
    uint64_t logs[MODEL_NODES + 1];
    struct model_stream streams[MODEL_STREAMS]; /* By id. */
    uint64_t stream_count;
    enum model_fate fates[MODEL_OBJECTS]; /* By id. */
    unsigned reserver[MODEL_OBJECTS];
    uint64_t object_count;
    struct model_extent extents[MODEL_EXTENTS];
    size_t extent_count;
    int has_key[MODEL_KEYS];
    uint64_t key_version[MODEL_KEYS];
    char key_value[MODEL_KEYS];
    uint64_t puts;
    uint64_t hands; /* That made a debt. */
    uint64_t paid;  /* Debts, by a commit. */
};

/** Id of the stream with that number in its name; 0: none. */
uint64_t state_model_named(struct state_model *m, int name);
/** The stream, or NULL. */
struct model_stream *state_model_there(struct state_model *m, uint64_t id);
/** Where the stream's next owner goes on. */
uint64_t state_model_next(const struct model_stream *s);
/** Do an operation of a commit, and give it its outcome. */
void state_model_op(struct state_model *m, unsigned node, uint64_t epoch,
                    struct weir__op *op);

#endif
