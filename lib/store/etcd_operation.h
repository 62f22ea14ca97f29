/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the files of the store in etcd share: store_etcd.c takes requests,
 * etcd_write.c puts and deletes, etcd_read.c gets and lists.
 *
 * Each request of the port is one exchange with etcd or several in turn
 * (etcd_call.c); reads are linearizable, as etcd's are by default.
 */
#ifndef WEIR_STORE_ETCD_OPERATION_H
#define WEIR_STORE_ETCD_OPERATION_H

#include "http/json.h"
#include "store/etcd_watch.h"
#include "store/store_request.h"

enum { WEIR__ETCD_KEY_ROOM = WEIR_STORE_KEY_MAX + 300 };

/** The store. */
struct weir__etcd_store {
    struct weir_store base;
    struct weir__etcd_line line;
    struct weir__etcd_watch watch;
    char *prefix;     /* Ends with a slash. */
    uint64_t timeout; /* Nanoseconds of one request. */
    size_t pending;
    struct weir_task *closed;
    struct weir_task line_closed;
    bool line_open;
};

/** A request under way. */
struct weir__etcd_operation {
    struct weir__etcd_call call;
    struct weir__etcd_store *store;
    struct weir_store_req *req;
    char key[WEIR__ETCD_KEY_ROOM];
    char end[WEIR__ETCD_KEY_ROOM];
    struct weir__etcd_value value;
    struct weir__etcd_chunks chunks; /* Of a value that was cut. */
    uint64_t at;                     /* Bytes of it that are done. */
    struct weir_store_entry *entries;
    size_t entry_count;
    int status; /* While chunks are removed: what is told then. */
};

/** The request that an exchange is of. */
static inline struct weir__etcd_operation *
weir__etcd_operation_of(struct weir__etcd_call *call)
{
    return WEIR__CONTAINER(call, struct weir__etcd_operation, call);
}

/** Its allocator. */
static inline const struct weir_alloc *
weir__etcd_alloc_of(const struct weir__etcd_operation *op)
{
    return op->store->line.host.alloc;
}

/** Answer the request, and free it. */
void weir__etcd_finish(struct weir__etcd_operation *op, int status);
/** The status of an answer that cannot be read, or for which there is no
 * memory. */
int weir__etcd_bad_answer(struct weir__etcd_operation *op, int rc);
/** The empty body of the next exchange. */
struct weir__writer *weir__etcd_body_of(struct weir__etcd_operation *op);
/** Send what was written into the body. */
void weir__etcd_send(struct weir__etcd_operation *op, const char *path,
                     bool changes,
                     void (*done)(struct weir__etcd_call *call, int status,
                                  const struct weir__json *answer));
/** The key is there: who watches should have been told. */
void weir__etcd_known(struct weir__etcd_operation *op,
                      const struct weir__json *answer);
/** "PREFIX.chunks/ID/": beside what the prefix holds. */
void weir__etcd_chunk_prefix(char to[WEIR__ETCD_KEY_ROOM],
                             const struct weir__etcd_operation *op);
/** The chunk at `op->at`. */
void weir__etcd_chunk_key(char to[WEIR__ETCD_KEY_ROOM],
                          const struct weir__etcd_operation *op);

/** Begin what a request asks for: PUT, */
void weir__etcd_put(struct weir__etcd_operation *op);
/** DELETE, */
void weir__etcd_delete(struct weir__etcd_operation *op);
/** GET or HEAD, */
void weir__etcd_get(struct weir__etcd_operation *op);
/** LIST. */
void weir__etcd_list(struct weir__etcd_operation *op);

#endif
