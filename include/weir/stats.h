/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Counters of a node.
 */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include <weir/node.h>

WEIR_BEGIN

/** Every counter: name and text.  They only grow, but for the last group. */
#define WEIR_COUNTERS(X)                                                       \
    X(appends, "batches acknowledged")                                         \
    X(append_bytes, "payload bytes acknowledged")                              \
    X(append_errors, "batches that ended with an error")                       \
    X(append_refused, "batches refused for want of room")                      \
    X(wal_writes, "groups written to the WAL")                                 \
    X(wal_bytes, "bytes written to the WAL")                                   \
    X(fetches, "fetches completed")                                            \
    X(fetch_bytes, "payload bytes fetched")                                    \
    X(fetch_errors, "fetches that ended with an error")                        \
    X(log_cache_hits, "fetches served from the log cache")                     \
    X(block_cache_hits, "blocks found in the block cache")                     \
    X(block_cache_misses, "blocks read from objects")                          \
    X(uploads, "objects uploaded")                                             \
    X(upload_bytes, "bytes of objects uploaded")                               \
    X(upload_errors, "uploads that failed and will be tried again")            \
    X(commits, "manifest commits of this node")                                \
    X(commit_conflicts, "commits that lost a race and were tried again")       \
    X(store_puts, "PUT requests")                                              \
    X(store_gets, "GET and HEAD requests")                                     \
    X(store_deletes, "DELETE requests")                                        \
    X(store_lists, "LIST requests")                                            \
    X(store_errors, "requests that ended with an error")                       \
    X(recovered_batches, "batches found in the WAL at open")                   \
    X(recovered_bytes, "payload bytes found in the WAL at open")               \
    X(log_cache_bytes, "bytes the log cache holds now")                        \
    X(block_cache_bytes, "bytes the block cache holds now")                    \
    X(pending_bytes, "payload bytes acknowledged and not yet in objects")

/** Counters of a node. */
struct weir_stats {
#define WEIR__COUNTER(name, text) uint64_t name;
    WEIR_COUNTERS(WEIR__COUNTER)
#undef WEIR__COUNTER
};

/**
 * Read the counters.
 *
 * Threads: any, but not in a callback; blocks for a turn of the core.
 *
 * @param node  Node.
 * @param out   Filled in.
 * @return 0, WEIR_ECLOSED, WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_stats_sync(struct weir *node, struct weir_stats *out);

WEIR_END

#endif
