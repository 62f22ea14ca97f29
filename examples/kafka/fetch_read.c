/* SPDX-License-Identifier: Apache-2.0 */
/* Reading for a fetch: a window of reads, in the order of the partitions. */
#include <string.h>

#include "fetch.h"
#include "kafka_error.h"
#include "log.h"
#include "record_batch.h"

/* Reads of one request that are under way at a time. */
#define WINDOW 8u

static void read_next(struct fetch *fetch);

/* What of a read goes into the response.  The first batch of all goes in
 * whatever its size, or a consumer could never get past it. */
static void take(struct fetch_part *part)
{
    struct fetch *fetch = part->fetch;
    const struct weir_batch *batch;
    size_t i;

    for (i = 0; i < part->read.count; i++) {
        batch = &part->read.batches[i];
        if (batch->len < BATCH_HEADER)
            break; /* Not what this server has written. */
        if (fetch->bytes > 0 && (part->bytes + batch->len > part->limit ||
                                 fetch->bytes + batch->len > fetch->limit))
            break;
        part->taken++;
        part->bytes += batch->len;
        fetch->bytes += batch->len;
    }
}

static void take_all(struct fetch *fetch)
{
    size_t i;

    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].held && fetch->parts[i].error == 0)
            take(&fetch->parts[i]);
    }
}

static void have_read(struct weir_req *req, int status)
{
    struct fetch_part *part = req->ctx;
    struct fetch *fetch = part->fetch;
    size_t bytes = 0, i;

    fetch->under_way--;
    if (status == 0) {
        part->held = true;
        part->start = part->read.start;
        part->end = part->read.end;
        for (i = 0; i < part->read.count; i++)
            bytes += part->read.batches[i].len;
        fetch->got += bytes;
        if (bytes < part->limit)
            fetch->room += part->limit - bytes;
    } else {
        if (status != WEIR_ERANGE && status != WEIR_ENOENT)
            log_line(WEIR_LOG_ERROR, "%s-%d: read at %lld: %s",
                     part->topic->name, part->partition->index,
                     (long long)part->from->offset,
                     fetch->err.text[0] != 0 ? fetch->err.text
                                             : weir_error_text(status));
        broker_note(fetch->request->broker, status, "read");
        fetch_fail_part(part, kafka_error_of(status));
    }
    read_next(fetch);
}

/* Where the stream begins and ends, and that the offset lies there. */
static bool read_bounds(struct fetch_part *part)
{
    struct weir_stream_stat stat;

    if (part->partition->stream == NULL ||
        weir_stream_stat(part->partition->stream, &stat) != 0) {
        fetch_fail_part(part, KAFKA_NOT_LEADER_OR_FOLLOWER);
        return false;
    }
    part->start = stat.start;
    part->end = stat.end;
    if (part->from->offset < 0 || (uint64_t)part->from->offset < stat.start ||
        (uint64_t)part->from->offset > stat.end) {
        fetch_fail_part(part, KAFKA_OFFSET_OUT_OF_RANGE);
        return false;
    }
    return true;
}

/* Read one part, unless its stream's bounds tell already what comes. */
static void read_part(struct fetch_part *part)
{
    struct fetch *fetch = part->fetch;
    size_t limit = (size_t)part->from->max_bytes;
    int status;

    if (!read_bounds(part) || (uint64_t)part->from->offset == part->end)
        return;
    part->limit = limit < fetch->room ? limit : fetch->room;
    memset(&part->read, 0, sizeof(part->read));
    part->read.req.done = have_read;
    part->read.req.ctx = part;
    part->read.req.err = &fetch->err;
    part->read.offset = (uint64_t)part->from->offset;
    part->read.max_bytes = part->limit > 0 ? part->limit : 1;
    status = weir_fetch(part->partition->stream, &part->read);
    if (status != 0) {
        fetch_fail_part(part, kafka_error_of(status));
        return;
    }
    fetch->room -= part->limit;
    fetch->under_way++;
}

/* A few at a time, in order, while there is room: so never much more is read
 * than the response takes, and cold partitions are still read in parallel. */
static void read_next(struct fetch *fetch)
{
    struct fetch_part *part;

    while (fetch->next < fetch->count && fetch->under_way < WINDOW) {
        part = &fetch->parts[fetch->next];
        if (fetch->room == 0 && (fetch->under_way > 0 || fetch->got > 0))
            break;
        fetch->next++;
        if (part->error == 0)
            read_part(part);
    }
    if (fetch->under_way > 0)
        return;
    /* Those that are not read for want of room still tell their bounds. */
    while (fetch->next < fetch->count) {
        part = &fetch->parts[fetch->next++];
        if (part->error == 0)
            read_bounds(part);
    }
    take_all(fetch);
    fetch_look(fetch);
}

static size_t response_limit(const struct fetch *fetch)
{
    int64_t limit = fetch->request->broker->settings.fetch_max, sum = 0;
    size_t i;

    if (fetch->body.max_bytes < limit)
        limit = fetch->body.max_bytes;
    for (i = 0; i < fetch->count; i++)
        sum += fetch->parts[i].from->max_bytes;
    return (size_t)(sum < limit ? sum : limit);
}

void fetch_read_all(struct fetch *fetch)
{
    struct broker *broker = fetch->request->broker;
    size_t limit = response_limit(fetch);

    fetch_release_reads(fetch);
    fetch->phase = FETCH_READING;
    if (limit > broker->memory.limit / 4)
        limit = broker->memory.limit / 4;
    if (fetch->reserved == 0) {
        if (!budget_take_or_wait(&broker->memory, limit, &fetch->memory))
            return;
        fetch->reserved = limit;
    }
    fetch->limit = limit;
    fetch->room = limit;
    fetch->got = 0;
    fetch->bytes = 0;
    fetch->arrived = 0;
    fetch->next = 0;
    read_next(fetch);
}
