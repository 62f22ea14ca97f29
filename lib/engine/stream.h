/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside view of a stream on a node: what of it is in the log cache.
 */
#ifndef WEIR_ENGINE_STREAM_H
#define WEIR_ENGINE_STREAM_H

#include "base/list.h"
#include "engine/log_cache.h"
#include <weir/stream.h>

/** One batch in the log cache. */
struct weir__entry {
    uint64_t base;
    int64_t max_timestamp;
    struct weir__segment *segment; /* NULL: damaged in the WAL. */
    uint32_t at;                   /* Of the payload, in the segment. */
    uint32_t len;
    uint32_t count;
    uint32_t crc32c;
};

/** Entries of a stream by offset: a ring that grows. */
struct weir__entries {
    struct weir__entry *ring;
    size_t head;
    size_t count;
    size_t room; /* 0 or a power of two. */
};

struct weir__tail_slot;

/** Offsets that a slot of another node's log holds. */
struct weir__tail_range {
    uint64_t base;
    uint64_t end;
    struct weir__tail_slot *slot;
};

/** What is known of a stream's tail in other nodes' logs: tail.h. */
struct weir__tail_ranges {
    struct weir__tail_range *ranges; /* By offset. */
    size_t count;
    size_t room;
    int on;         /* It has been asked for. */
    uint64_t epoch; /* Of the stream, when the logs were read for it. */
};

/** What any thread may read of a stream; each member atomic. */
struct weir__stream_view {
    uint64_t epoch;
    uint64_t start;
    uint64_t end;
    uint64_t uploaded_end;
    uint64_t bytes;
    uint64_t objects;
    int64_t max_timestamp;
    uint32_t owner;
    int status; /* 0, WEIR_ENOENT (deleted). */
    int writable;
    unsigned opens; /* Handles given out and not closed. */
};

struct weir_stream {
    struct weir *node;
    char *name;
    uint64_t id;
    uint64_t epoch;
    int local;       /* This node owns it: its tail is here. */
    int giving;      /* It is being handed over: no appends any more. */
    int failed;      /* 0, WEIR_ENOENT, WEIR_EFENCED: what appends get. */
    unsigned losses; /* How often another node took it away. */

    uint64_t start;
    uint64_t next;      /* Offset of the next append. */
    uint64_t durable;   /* End: below it all is acknowledged. */
    uint64_t uploaded;  /* Below it nothing waits for an upload. */
    uint64_t pending;   /* Payload bytes in [uploaded, next). */
    uint64_t owed;      /* Below it, former owners have yet to upload; 0: no. */
    uint64_t committed; /* From here on, if anything is owed. */
    uint64_t damaged;   /* First damaged offset, or WEIR_OFFSET_END. */
    uint64_t damaged_at; /* In the WAL: the first damage found there. */
    struct weir__entries entries;

    struct weir__list pending_link; /* In the node's pending streams. */
    struct weir__list starved_link; /* In the node's starved streams. */
    struct weir_append *waiting;    /* Appends that want room, in order. */
    struct weir_append *waiting_last;
    struct weir__list waiters;    /* Fetches that wait for data. */
    struct weir__list woken_link; /* In the list of one acknowledgement. */

    struct weir__tail_ranges tail;

    uint64_t read_next; /* Where a sequential reader would go on. */
    size_t ahead;       /* Readahead of the moment. */
    struct weir__stream_view view;
};

/** Entry `i` (0 is the oldest). */
struct weir__entry *weir__entries_at(const struct weir__entries *entries,
                                     size_t i);
/** Index of the entry that holds `offset` or the first behind it; `count` if
 * there is none. */
size_t weir__entries_find(const struct weir__entries *entries, uint64_t offset);
int weir__entries_push(struct weir__entries *entries,
                       const struct weir_alloc *alloc,
                       const struct weir__entry *entry);
void weir__entries_free(struct weir__entries *entries,
                        const struct weir_alloc *alloc);

/** The node's stream of this id, made if it has none yet; from the manifest.
 * NULL when memory is out or there is no such stream. */
struct weir_stream *weir__stream_get(struct weir *node, uint64_t id);
/** Free a stream's memory: only when its node goes. */
void weir__stream_release(struct weir_stream *stream);
/** 0, WEIR_ECLOSED (no handle is open), WEIR_ENOENT (deleted): any thread. */
int weir__stream_status(const struct weir_stream *stream);
/** Show other threads the present state. */
void weir__stream_publish(struct weir_stream *stream);
/** Take over what the manifest says: start, committed end, deletion. */
void weir__stream_sync(struct weir_stream *stream);
/** This node has become the owner: nothing of it waits here yet, unless it was
 * given away and came back. */
void weir__stream_begin(struct weir_stream *stream);
/** A later epoch of this node exists: what was not acknowledged is dropped, and
 * what went with the log, if that is another one now. */
void weir__stream_fence(struct weir_stream *stream);
/** The stream of every handle: sync all. */
void weir__stream_sync_all(struct weir *node);
/** Drop the entries that lie in `segment`, which holds nothing that waits for
 * an upload, or in an older one. */
void weir__stream_evict(struct weir_stream *stream,
                        const struct weir__segment *segment);
/** Nothing below `offset` waits for an upload any more. */
void weir__stream_uploaded(struct weir_stream *stream, uint64_t offset);
/** 1 if something of it is here that waits for an upload, or is damaged. */
int weir__stream_waits(const struct weir_stream *stream);
/** Payload was added that is to be uploaded. */
void weir__stream_pending(struct weir_stream *stream, size_t bytes);

#endif
