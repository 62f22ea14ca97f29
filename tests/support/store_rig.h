/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Stores for tests, each opened by its URI, and requests that wait.
 */
#ifndef TESTS_SUPPORT_STORE_RIG_H
#define TESTS_SUPPORT_STORE_RIG_H

#include "support/host.h"

#include <weir/store.h>

/** A store and what it runs on. */
struct store_rig {
    struct test_host host;
    struct weir_store *store;
    struct weir_error err; /* Of the last request that waited. */
};

/** A request, how it ended, and how often. */
struct store_call {
    struct weir_store_req req;
    struct weir_error err;
    int status;
    int done;       /* How often `done` ran. */
    int submitting; /* 1 while `submit` runs. */
};

void store_rig_init(struct store_rig *rig);
/** Open a store: a status, with `rig->err`. */
int store_rig_open(struct store_rig *rig, weir_store_open_fn *open,
                   const char *uri, void *ctx);
/** Close the store, if there is one. */
void store_rig_close_store(struct store_rig *rig);
/** Close all; fails the test if memory is still in use. */
void store_rig_close(struct store_rig *rig);

/** Begin a call; the rest of `call->req` is filled in already. */
void store_rig_start(struct store_rig *rig, struct store_call *call);
/** Wait for it: its status, also in `rig->err`. */
int store_rig_finish(struct store_rig *rig, struct store_call *call);

/** Requests that wait, and give their status. */
int store_put(struct store_rig *rig, const char *key, const void *data,
              size_t len, unsigned flags);
/** The bytes are in `*body`: unref it if the status is 0. */
int store_get(struct store_rig *rig, const char *key, uint64_t offset,
              uint64_t length, unsigned flags, struct weir_buf **body,
              uint64_t *size);
int store_head(struct store_rig *rig, const char *key, uint64_t *size);
int store_delete(struct store_rig *rig, const char *key);
/** Keys, separated by spaces, and " ..." if there are more. */
int store_list(struct store_rig *rig, const char *prefix, const char *after,
               uint32_t limit, char *out, size_t room);

#endif
