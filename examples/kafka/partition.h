/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Partitions: each is one stream of the node, opened when it is first used.
 */
#ifndef KAFKA_PARTITION_H
#define KAFKA_PARTITION_H

#include <weir/stream.h>

#include "list.h"
#include "producers.h"

struct broker;
struct topic;

/** Longest name of a partition's stream, with the terminating zero. */
#define PARTITION_NAME_MAX 64

/** Where a partition is in its life. */
enum partition_state {
    PARTITION_CLOSED,
    PARTITION_OPENING, /* Users wait in `waiting`. */
    PARTITION_OPEN,
    PARTITION_LEAVING, /* It goes to another server. */
    PARTITION_FAILED   /* Appends of a broken stream still come home. */
};

/** A partition. */
struct partition {
    struct topic *topic;
    int32_t index;
    enum partition_state state;
    struct weir_stream *stream;
    struct producers producers;
    struct list waiting;  /* struct partition_wait: until it is open. */
    struct list watching; /* struct partition_watch: for new data. */
    struct list retries;  /* struct partition_wait: until a batch that was
                             sent twice is durable. */
    uint64_t next_offset; /* Behind the last durable batch. */
    uint64_t mark;        /* Of the request that touched it last. */
    size_t under_way;     /* Appends. */
    uint64_t unsaved_batches, unsaved_bytes; /* Since the last snapshot. */
    bool saving;
    uint32_t to_node; /* Where it goes, if it leaves; 0: to any. */
};

/** Waits for a partition. */
struct partition_wait {
    struct list link;
    /* `error` 0: the partition is open; else a `kafka_error`. */
    void (*ready)(struct partition_wait *wait, int16_t error);
};

/** Waits for data.  Stays until it is removed from the list. */
struct partition_watch {
    struct list link;
    /* `bytes` more can be fetched; or `error`: the partition is gone. */
    void (*woken)(struct partition_watch *watch, size_t bytes, int16_t error);
};

/** Initialise a partition of `topic`. */
void partition_init(struct partition *partition, struct topic *topic,
                    int32_t index);

/**
 * Use a partition: `wait->ready` runs exactly once, in the order of the
 * calls, at once if the partition is open.
 */
void partition_use(struct partition *partition, struct partition_wait *wait);

/** An append was accepted by the stream. */
void partition_appending(struct partition *partition);
/** An append ended well, `len` bytes up to `next_offset`. */
void partition_appended(struct partition *partition, uint64_t next_offset,
                        size_t len);
/** An append ended with an error: the stream is opened anew at next use. */
void partition_append_failed(struct partition *partition, int status);

/** The topic was deleted: everybody who waits is told. */
void partition_gone(struct partition *partition);
/** Free what it holds; nobody uses it. */
void partition_free(struct partition *partition);

/** Name of a partition's stream. */
void partition_stream_name(const struct partition *partition,
                           char out[PARTITION_NAME_MAX]);
/** Key of its snapshot of producers. */
void partition_producers_key(const struct partition *partition,
                             char out[PARTITION_NAME_MAX]);

/** Let another server have an open partition: 0 for any.  Nobody uses it here
 * from now on. */
void partition_leave(struct partition *partition, uint32_t to_node);
/** The same, though it may not be open: its stream is this node's. */
void partition_evict(struct partition *partition, uint32_t to_node);

/** Write a snapshot of the producers, unless nothing has changed. */
void partition_save(struct partition *partition);

/* For partition.c, partition_open.c and partition_leave.c alone. */
void partition_leave_now(struct partition *partition);
void partition_open(struct partition *partition);
void partition_opened(struct partition *partition, int16_t error);

#endif
