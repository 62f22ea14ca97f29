/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A fetch under way: open the partitions, read what there is, and if that is
 * too little wait until enough has been appended, then read again.
 *
 * All appends to this node's partitions come through this process, so it is
 * told of new data by the append itself (partition_watch): a fetch that waits
 * costs nothing but memory, on however many partitions it waits.
 */
#ifndef KAFKA_FETCH_H
#define KAFKA_FETCH_H

#include "broker.h"
#include "request.h"
#include "requests.h"

struct fetch;

/** One partition of a fetch. */
struct fetch_part {
    struct partition_wait wait;
    struct partition_watch watch;
    struct fetch *fetch;
    const struct fetch_partition *from;
    struct topic *topic;
    struct partition *partition;
    struct weir_fetch read;
    size_t limit; /* Bytes that this read may give. */
    size_t taken; /* Batches that go into the response, */
    size_t bytes; /* and their size. */
    uint64_t start, end;
    int16_t error;
    bool held; /* `read` is to be released. */
};

/** Where a fetch is. */
enum fetch_phase {
    FETCH_OPENING,
    FETCH_READING,
    FETCH_WAITING, /* For data. */
    FETCH_DONE
};

/** A fetch request. */
struct fetch {
    struct request *request;
    struct fetch_request body;
    struct fetch_part *parts;
    size_t count;
    enum fetch_phase phase;
    size_t opening; /* Parts that are, and 1 for the start. */
    size_t next;    /* Part to read next. */
    size_t under_way;
    size_t limit;   /* Bytes in the response, but for a large first batch. */
    size_t room;    /* Bytes that may still be read. */
    size_t got;     /* Bytes that were read, */
    size_t bytes;   /* and those that go into the response. */
    size_t arrived; /* Appended since the reading began. */
    size_t reserved;
    struct budget_wait memory;
    uv_timer_t *timer;
    uint64_t deadline; /* Of the loop's clock, in milliseconds. */
    struct weir_error err;
    bool failed, cancelled;
};

/** Read all partitions, then end the fetch or wait: fetch_read.c. */
void fetch_read_all(struct fetch *fetch);
/** A partition has an error: the response does not wait. */
void fetch_fail_part(struct fetch_part *part, int16_t error);
/** Everything has been read: end, wait, or read again. */
void fetch_look(struct fetch *fetch);
/** Give back what was read. */
void fetch_release_reads(struct fetch *fetch);
/** Write the response: fetch_response.c. */
void fetch_respond(struct fetch *fetch, int16_t error);

#endif
