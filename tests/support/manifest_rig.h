/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Manifests of several nodes on one store, each behind faults of its own, in
 * virtual time; and calls that wait.
 */
#ifndef TESTS_SUPPORT_MANIFEST_RIG_H
#define TESTS_SUPPORT_MANIFEST_RIG_H

#include "support/fault_store.h"
#include "support/virtual_env.h"

#include "manifest/state_inside.h"

#include "manifest/manifest.h"

#define RIG_NODES 4

struct rig_node {
    struct manifest_rig *rig;
    struct fault_store *store;
    struct weir__manifest *manifest; /* NULL: not open. */
    struct weir_error err;           /* Of the last call that waited. */
    long applied;                    /* Calls of `applied`. */
};

struct manifest_rig {
    struct virtual_env env;
    struct weir_store *store; /* In memory. */
    struct rig_node nodes[RIG_NODES];
    uint32_t snapshot_commits; /* For nodes opened from now on. */
    int read_only;
};

void rig_init(struct manifest_rig *rig);
/** Close what is open; fails the test if memory is still in use. */
void rig_close(struct manifest_rig *rig);
/** An open under way. */
struct rig_opening {
    struct weir__manifest_open open;
    int status;
    int done;
};

/** Begin to open the manifest of node `i`; end it: a status. */
int rig_open_start(struct manifest_rig *rig, int i,
                   struct rig_opening *opening);
int rig_open_finish(struct manifest_rig *rig, int i,
                    struct rig_opening *opening);
/** Open the manifest of node `i`, whose id is `i + 1`: a status. */
int rig_open(struct manifest_rig *rig, int i);
/** The same, and take the next node epoch; both must succeed. */
struct rig_node *rig_join(struct manifest_rig *rig, int i);
void rig_leave(struct manifest_rig *rig, int i);

/** A commit under way. */
struct rig_commit {
    struct weir__commit commit;
    struct weir_error err;
    int status;
    int done;
};

/** Begin a commit. */
void rig_start(struct rig_node *node, struct rig_commit *commit,
               struct weir__op *ops, size_t count);
/** Commit, and wait: a status. */
int rig_commit(struct rig_node *node, struct weir__op *ops, size_t count);

/** A refresh under way. */
struct rig_refresh {
    struct weir__refresh refresh;
    int status;
    int done;
};

/** Begin a refresh; wait for one: a status. */
void rig_refresh_start(struct rig_node *node, struct rig_refresh *refresh);
int rig_refresh(struct rig_node *node);
/** Run until `*flag`; fails the test if that never comes. */
void rig_run(struct manifest_rig *rig, const int *flag);

/** Put an object into the store, whatever is there; read one, of `room` bytes
 * at most: its length. */
void rig_put(struct manifest_rig *rig, const char *key, const void *data,
             size_t len);
size_t rig_get(struct manifest_rig *rig, const char *key, void *to,
               size_t room);

/** Operations. */
struct weir__op op_node_open(uint32_t node_id);
struct weir__op op_create(const char *name);
struct weir__op op_delete(uint64_t id);
struct weir__op op_open(uint64_t id);
struct weir__op op_trim(uint64_t id, uint64_t epoch, uint64_t start);
struct weir__op op_reserve(uint32_t count);
struct weir__op op_add(uint64_t id, struct weir__range *ranges, size_t count);
struct weir__op op_put(const char *key, const char *value, uint64_t expected);

/** Do one as a commit of its own, by a node: its status. */
int op_apply(struct weir__state *state, uint32_t node, uint64_t epoch,
             struct weir__op *op);

/** Bytes of a node's snapshot, to compare states: free them. */
unsigned char *rig_state(struct rig_node *node, size_t *len);
/** Fails the test unless both nodes hold the same state. */
void rig_same(struct rig_node *a, struct rig_node *b);

#endif
