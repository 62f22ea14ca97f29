/* SPDX-License-Identifier: Apache-2.0 */
/* Fetch: open the partitions, read what there is, and if that is too little
 * wait until enough has been appended, then read again.
 *
 * All appends to this node's partitions come through this process, so it is
 * told of new data by the append itself (partition_watch): a fetch that waits
 * costs nothing but memory, on however many partitions it waits. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "kafka_error.h"
#include "log.h"
#include "record_batch.h"
#include "request.h"
#include "requests.h"

/* Reads of one request that are under way at a time. */
#define WINDOW 8u

struct fetch;

/** One partition of a fetch. */
struct part {
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
    struct part *parts;
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

static void read_all(struct fetch *fetch);

/* ---- The response ---------------------------------------------------------
 */

static void write_records(struct wire_out *out, const struct part *part)
{
    const struct weir_batch *batch;
    unsigned char patch[BATCH_PATCH];
    size_t i;

    out_bytes_length(out, part->bytes);
    for (i = 0; i < part->taken; i++) {
        batch = &part->read.batches[i];
        batch_patch(patch, batch->data, batch->base_offset);
        out_raw(out, patch, sizeof(patch));
        out_splice(out, (const unsigned char *)batch->data + sizeof(patch),
                   batch->len - sizeof(patch));
    }
}

static void write_part(struct wire_out *out, const struct part *part,
                       const struct fetch *fetch)
{
    int16_t version = fetch->request->header.version;
    bool known = part->error == 0;

    out_i32(out, part->from->index);
    out_i16(out, part->error);
    out_i64(out, known ? (int64_t)part->end : -1);
    out_i64(out, known ? (int64_t)part->end : -1); /* Last stable offset. */
    if (version >= 5)
        out_i64(out, known ? (int64_t)part->start : -1);
    /* Aborted transactions: none, or not asked for. */
    out_array(out, fetch->body.isolation == 1 ? 0 : -1);
    if (version >= 11)
        out_i32(out, -1); /* Preferred replica. */
    write_records(out, part);
    out_tags(out);
}

static void respond(struct fetch *fetch, int16_t error)
{
    struct request *request = fetch->request;
    struct wire_out *out = &request->out;
    int16_t version = request->header.version;
    const struct part *part = fetch->parts;
    const struct fetch_topic *topic;
    int32_t t, p;

    out_i32(out, 0);
    if (version >= 7) {
        out_i16(out, error);
        out_i32(out, 0); /* No session: every fetch says all it wants. */
    }
    out_array(out, error != 0 ? 0 : fetch->body.count);
    for (t = 0; error == 0 && t < fetch->body.count; t++) {
        topic = &fetch->body.topics[t];
        if (version >= 13)
            out_uuid(out, &topic->topic.id);
        else
            out_text(out, topic->topic.name.data,
                     (size_t)topic->topic.name.len);
        out_array(out, topic->count);
        for (p = 0; p < topic->count; p++)
            write_part(out, part++, fetch);
        out_tags(out);
    }
    out_tags(out);
}

static void release_reads(struct fetch *fetch)
{
    size_t i;

    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].held)
            weir_fetch_release(&fetch->parts[i].read);
        fetch->parts[i].held = false;
        fetch->parts[i].taken = 0;
        fetch->parts[i].bytes = 0;
    }
}

static void give_memory(struct fetch *fetch)
{
    budget_leave(&fetch->request->broker->memory, &fetch->memory);
    budget_give(&fetch->request->broker->memory, fetch->reserved);
    fetch->reserved = 0;
}

/* The response was sent: its batches are not needed any more. */
static void fetch_release(struct request *request)
{
    struct fetch *fetch = request->state;
    size_t i;

    release_reads(fetch);
    give_memory(fetch);
    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].topic != NULL)
            topic_unref(fetch->parts[i].topic);
    }
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stop_waiting(struct fetch *fetch)
{
    size_t i;

    if (fetch->timer != NULL)
        uv_close((uv_handle_t *)fetch->timer, timer_closed);
    fetch->timer = NULL;
    for (i = 0; i < fetch->count; i++)
        list_remove(&fetch->parts[i].watch.link);
    list_remove(&fetch->memory.link);
}

static void end(struct fetch *fetch, int16_t error)
{
    stop_waiting(fetch);
    fetch->phase = FETCH_DONE;
    respond(fetch, error);
    /* From here on the budget has what the response really holds. */
    if (fetch->reserved > fetch->bytes) {
        budget_give(&fetch->request->broker->memory,
                    fetch->reserved - fetch->bytes);
        fetch->reserved = fetch->bytes;
    }
    request_finish(fetch->request);
}

/* ---- Waiting --------------------------------------------------------------
 */

static bool enough(const struct fetch *fetch, size_t bytes)
{
    return bytes >= (size_t)fetch->body.min_bytes;
}

static uint64_t now_ms(const struct fetch *fetch)
{
    return uv_now(&fetch->request->broker->loop);
}

static void timed_out(uv_timer_t *timer)
{
    struct fetch *fetch = timer->data;

    /* While it reads it will look at the clock afterwards. */
    if (fetch->phase == FETCH_WAITING)
        end(fetch, 0);
}

static void woken(struct partition_watch *watch, size_t bytes, int16_t error)
{
    struct part *part = container_of(watch, struct part, watch);
    struct fetch *fetch = part->fetch;

    fetch->arrived += bytes;
    if (error != 0 && part->error == 0) {
        part->error = error;
        fetch->failed = true;
    }
    if (fetch->phase == FETCH_WAITING &&
        (fetch->failed || enough(fetch, fetch->bytes + fetch->arrived)))
        read_all(fetch);
}

static void park(struct fetch *fetch)
{
    uint64_t now = now_ms(fetch);

    release_reads(fetch);
    give_memory(fetch);
    fetch->phase = FETCH_WAITING;
    if (fetch->timer != NULL)
        return;
    fetch->timer = malloc(sizeof(*fetch->timer));
    if (fetch->timer == NULL) {
        end(fetch, 0);
        return;
    }
    uv_timer_init(&fetch->request->broker->loop, fetch->timer);
    fetch->timer->data = fetch;
    uv_timer_start(fetch->timer, timed_out, fetch->deadline - now, 0);
}

/* ---- Reading --------------------------------------------------------------
 */

/* What of a read goes into the response.  The first batch of all goes in
 * whatever its size, or a consumer could never get past it. */
static void take(struct part *part)
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

/* Everything has been read: is it enough? */
static void look(struct fetch *fetch)
{
    size_t i;

    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].held && fetch->parts[i].error == 0)
            take(&fetch->parts[i]);
    }
    if (fetch->failed || fetch->cancelled || enough(fetch, fetch->bytes) ||
        now_ms(fetch) >= fetch->deadline)
        end(fetch, 0);
    else if (enough(fetch, fetch->bytes + fetch->arrived))
        read_all(fetch);
    else
        park(fetch);
}

static void read_next(struct fetch *fetch);

static void fail_part(struct part *part, int16_t error)
{
    part->error = error;
    part->fetch->failed = true;
}

static void have_read(struct weir_req *req, int status)
{
    struct part *part = req->ctx;
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
        fail_part(part, kafka_error_of(status));
    }
    read_next(fetch);
}

/* Where the stream begins and ends, and that the offset lies there. */
static bool read_bounds(struct part *part)
{
    struct weir_stream_stat stat;

    if (part->partition->stream == NULL ||
        weir_stream_stat(part->partition->stream, &stat) != 0) {
        fail_part(part, KAFKA_NOT_LEADER_OR_FOLLOWER);
        return false;
    }
    part->start = stat.start;
    part->end = stat.end;
    if (part->from->offset < 0 || (uint64_t)part->from->offset < stat.start ||
        (uint64_t)part->from->offset > stat.end) {
        fail_part(part, KAFKA_OFFSET_OUT_OF_RANGE);
        return false;
    }
    return true;
}

/* Read one part, unless its stream's bounds tell already what comes. */
static void read_part(struct part *part)
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
        fail_part(part, kafka_error_of(status));
        return;
    }
    fetch->room -= part->limit;
    fetch->under_way++;
}

/* A few at a time, in order, while there is room: so never much more is read
 * than the response takes, and cold partitions are still read in parallel. */
static void read_next(struct fetch *fetch)
{
    struct part *part;

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
    look(fetch);
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

static void memory_freed(struct budget_wait *wait)
{
    read_all(container_of(wait, struct fetch, memory));
}

static void read_all(struct fetch *fetch)
{
    struct broker *broker = fetch->request->broker;
    size_t limit = response_limit(fetch);

    release_reads(fetch);
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

/* ---- The start ------------------------------------------------------------
 */

static void opened(struct fetch *fetch)
{
    size_t i;

    if (--fetch->opening > 0)
        return;
    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].error == 0)
            list_append(&fetch->parts[i].partition->watching,
                        &fetch->parts[i].watch.link);
    }
    read_all(fetch);
}

static void part_ready(struct partition_wait *wait, int16_t error)
{
    struct part *part = container_of(wait, struct part, wait);

    if (error != 0)
        fail_part(part, error);
    opened(part->fetch);
}

static void part_start(struct part *part, const struct fetch_topic *topic)
{
    struct fetch *fetch = part->fetch;
    struct topics *topics = &fetch->request->broker->topics;

    list_init(&part->watch.link);
    list_init(&part->wait.link);
    part->watch.woken = woken;
    part->wait.ready = part_ready;
    part->topic = topics_find_ref(topics, topic->topic.name, &topic->topic.id);
    if (part->topic == NULL) {
        fail_part(part, topic->topic.name.len < 0
                            ? KAFKA_UNKNOWN_TOPIC_ID
                            : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    topic_ref(part->topic);
    if (part->from->index < 0 || part->from->index >= part->topic->count) {
        fail_part(part, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    if (part->from->leader_epoch > 0) {
        fail_part(part, KAFKA_UNKNOWN_LEADER_EPOCH);
        return;
    }
    part->partition = &part->topic->partitions[part->from->index];
    fetch->opening++;
    partition_use(part->partition, &part->wait);
}

/* The connection is gone, or the server stops. */
static void cancel(struct request *request)
{
    struct fetch *fetch = request->state;

    fetch->cancelled = true;
    if (fetch->phase == FETCH_WAITING || !list_empty(&fetch->memory.link))
        end(fetch, 0);
}

static void clamp(struct fetch_request *body)
{
    int32_t t, p;

    if (body->max_bytes < 0)
        body->max_bytes = 0;
    if (body->min_bytes > body->max_bytes)
        body->min_bytes = body->max_bytes;
    if (body->min_bytes < 0)
        body->min_bytes = 0;
    for (t = 0; t < body->count; t++) {
        for (p = 0; p < body->topics[t].count; p++) {
            if (body->topics[t].partitions[p].max_bytes < 0)
                body->topics[t].partitions[p].max_bytes = 0;
        }
    }
}

static int16_t check_session(const struct fetch_request *body)
{
    if (body->session_id != 0)
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    return body->session_epoch > 0 ? KAFKA_INVALID_FETCH_SESSION_EPOCH : 0;
}

static void start(struct fetch *fetch)
{
    struct request *request = fetch->request;
    struct part *part = fetch->parts;
    int32_t t, p;

    fetch->deadline =
        now_ms(fetch) +
        (fetch->body.max_wait_ms > 0 ? (uint64_t)fetch->body.max_wait_ms : 0);
    if (fetch->count == 0)
        fetch->deadline = 0;
    fetch->phase = FETCH_OPENING;
    fetch->opening = 1;
    list_init(&fetch->memory.link);
    fetch->memory.retry = memory_freed;
    request->release = fetch_release;
    request->cancel = cancel;
    for (t = 0; t < fetch->body.count; t++) {
        for (p = 0; p < fetch->body.topics[t].count; p++) {
            part->fetch = fetch;
            part->from = &fetch->body.topics[t].partitions[p];
            part_start(part++, &fetch->body.topics[t]);
        }
    }
    opened(fetch);
}

void handle_fetch(struct request *request)
{
    struct fetch *fetch = request_take(request, 1, sizeof(*fetch));
    int16_t error;

    if (fetch == NULL ||
        !read_fetch(&fetch->body, &request->in, &request->arena,
                    request->header.version)) {
        request_refuse(request);
        return;
    }
    fetch->request = request;
    request->state = fetch;
    error = check_session(&fetch->body);
    if (error != 0) {
        list_init(&fetch->memory.link);
        end(fetch, error);
        return;
    }
    clamp(&fetch->body);
    fetch->count = (size_t)fetch->body.partitions;
    fetch->parts =
        request_take(request, fetch->count + 1, sizeof(*fetch->parts));
    if (fetch->parts == NULL) {
        fetch->count = 0;
        request_refuse(request);
        return;
    }
    start(fetch);
}
