/* SPDX-License-Identifier: Apache-2.0 */
/* ListOffsets: first, last, and by time.
 *
 * By time the stream is read from its start, batch headers first: timestamps
 * need not grow with offsets, and the library has no index of them yet. */
#include <string.h>

#include "broker.h"
#include "codec.h"
#include "kafka_error.h"
#include "record_batch.h"
#include "request.h"
#include "requests.h"

#define SCAN_BYTES (1u << 20)

/* Timestamps that stand for something else. */
#define LATEST (-1)
#define EARLIEST (-2)
#define MAX_TIMESTAMP (-3)
#define EARLIEST_LOCAL (-4)
#define LATEST_TIERED (-5)

struct lookup;

/** One partition. */
struct part {
    struct partition_wait wait;
    struct lookup *lookup;
    const struct offset_partition *from;
    struct topic *topic;
    struct partition *partition;
    int16_t error;
    int64_t offset, timestamp; /* The result. */
    bool scan;                 /* It has to be looked for. */
};

/** A request for offsets. */
struct lookup {
    struct request *request;
    struct list_offsets_request body;
    struct part *parts;
    size_t opening; /* Parts that are, and 1 for the start. */
    size_t next;    /* Part to scan next. */
    struct weir_fetch read;
    uint64_t at, end; /* Of the scan. */
    bool cancelled;
};

static void write_part(struct wire_out *out, const struct part *part,
                       int16_t version)
{
    out_i32(out, part->from->index);
    out_i16(out, part->error);
    out_i64(out, part->timestamp);
    out_i64(out, part->offset);
    if (version >= 4)
        out_i32(out, part->error == 0 && part->offset >= 0 ? 0 : -1);
    out_tags(out);
}

static void respond(struct lookup *lookup)
{
    struct request *request = lookup->request;
    struct wire_out *out = &request->out;
    const struct part *part = lookup->parts;
    const struct offset_topic *topic;
    int32_t t, p;

    if (request->header.version >= 2)
        out_i32(out, 0);
    out_array(out, lookup->body.count);
    for (t = 0; t < lookup->body.count; t++) {
        topic = &lookup->body.topics[t];
        out_text(out, topic->topic.name.data, (size_t)topic->topic.name.len);
        out_array(out, topic->count);
        for (p = 0; p < topic->count; p++)
            write_part(out, part++, request->header.version);
        out_tags(out);
    }
    out_tags(out);
    for (p = 0; p < lookup->body.partitions; p++) {
        if (lookup->parts[p].topic != NULL)
            topic_unref(lookup->parts[p].topic);
    }
    request_finish(request);
}

static void scan_next(struct lookup *lookup);

/* Look into a batch for the first record at or after a time.  For the
 * maximum, the caller asks for the largest there is. */
static bool find_record(struct part *part, const struct weir_batch *batch,
                        int64_t timestamp)
{
    const struct broker *broker = part->lookup->request->broker;
    struct batch_record record;
    struct batch_walk walk;
    bool found = false;

    if (batch_walk_begin(&walk, batch->data, batch->len,
                         (size_t)broker->settings.inside_max) == CODEC_OK) {
        while (!found && batch_walk_next(&walk, &record) == 1) {
            if (record.timestamp < timestamp)
                continue;
            found = true;
            part->offset = (int64_t)batch->base_offset + record.offset_delta;
            part->timestamp = record.timestamp;
        }
    }
    batch_walk_end(&walk);
    return found;
}

/* Returns true if the scan is over. */
static bool scan_batch(struct part *part, const struct weir_batch *batch)
{
    int64_t wanted = part->from->timestamp;
    struct batch_header header;

    if (!batch_read(&header, batch->data, batch->len))
        return false;
    if (wanted == MAX_TIMESTAMP) {
        if (header.max_timestamp > part->timestamp &&
            !find_record(part, batch, header.max_timestamp)) {
            /* Its records cannot be read: the batch as a whole it is. */
            part->timestamp = header.max_timestamp;
            part->offset = (int64_t)batch->base_offset;
        }
        return false;
    }
    if (header.max_timestamp < wanted)
        return false;
    if (find_record(part, batch, wanted))
        return true;
    if ((header.attributes & BATCH_CODEC_MASK) == CODEC_NONE)
        return false;
    part->timestamp = header.max_timestamp;
    part->offset = (int64_t)batch->base_offset;
    return true;
}

static void scan(struct lookup *lookup);

static void scanned(struct weir_req *req, int status)
{
    struct lookup *lookup = req->ctx;
    struct part *part = &lookup->parts[lookup->next - 1];
    const struct weir_batch *batch;
    uint64_t before = lookup->at;
    bool over = false;
    size_t i;

    if (status != 0) {
        broker_note(lookup->request->broker, status, "look up a timestamp");
        part->error = kafka_error_of(status);
        part->offset = -1;
        part->timestamp = -1;
        scan_next(lookup);
        return;
    }
    for (i = 0; i < lookup->read.count && !over; i++) {
        batch = &lookup->read.batches[i];
        over = scan_batch(part, batch);
        lookup->at = batch->base_offset + batch->count;
    }
    weir_fetch_release(&lookup->read);
    if (over || lookup->at == before)
        scan_next(lookup);
    else
        scan(lookup);
}

static void scan(struct lookup *lookup)
{
    struct part *part = &lookup->parts[lookup->next - 1];
    int status;

    if (lookup->at >= lookup->end || lookup->cancelled ||
        part->partition->stream == NULL) {
        scan_next(lookup);
        return;
    }
    memset(&lookup->read, 0, sizeof(lookup->read));
    lookup->read.req.done = scanned;
    lookup->read.req.ctx = lookup;
    lookup->read.offset = lookup->at;
    lookup->read.max_bytes = SCAN_BYTES;
    status = weir_fetch(part->partition->stream, &lookup->read);
    if (status != 0) {
        part->error = kafka_error_of(status);
        scan_next(lookup);
    }
}

/* Scans go one after the other: each reads much. */
static void scan_next(struct lookup *lookup)
{
    struct weir_stream_stat stat;
    struct part *part;

    while (lookup->next < (size_t)lookup->body.partitions) {
        part = &lookup->parts[lookup->next++];
        if (!part->scan || part->partition->stream == NULL ||
            weir_stream_stat(part->partition->stream, &stat) != 0)
            continue;
        lookup->at = stat.start;
        lookup->end = stat.end;
        scan(lookup);
        return;
    }
    respond(lookup);
}

static void opened(struct lookup *lookup)
{
    if (--lookup->opening == 0)
        scan_next(lookup);
}

static void part_ready(struct partition_wait *wait, int16_t error)
{
    struct part *part = container_of(wait, struct part, wait);
    int16_t version = part->lookup->request->header.version;
    int64_t wanted = part->from->timestamp;
    struct weir_stream_stat stat;

    if (error == 0 && weir_stream_stat(part->partition->stream, &stat) != 0)
        error = KAFKA_NOT_LEADER_OR_FOLLOWER;
    part->error = error;
    if (error != 0)
        ;
    else if (wanted == LATEST)
        part->offset = (int64_t)stat.end;
    else if (wanted == EARLIEST || (wanted == EARLIEST_LOCAL && version >= 8))
        part->offset = (int64_t)stat.start;
    else if (wanted >= 0 || (wanted == MAX_TIMESTAMP && version >= 7))
        part->scan = true;
    else if (!(wanted == LATEST_TIERED && version >= 9))
        part->error = KAFKA_UNSUPPORTED_VERSION;
    opened(part->lookup);
}

static void part_start(struct part *part, const struct offset_topic *topic,
                       uint64_t mark)
{
    struct topics *topics = &part->lookup->request->broker->topics;
    struct topic *found = topics_find(topics, topic->topic.name);

    part->offset = -1;
    part->timestamp = -1;
    if (found == NULL || part->from->index < 0 ||
        part->from->index >= found->count) {
        part->error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    if (part->from->leader_epoch > 0) {
        part->error = KAFKA_UNKNOWN_LEADER_EPOCH;
        return;
    }
    part->topic = found;
    topic_ref(found);
    part->partition = &found->partitions[part->from->index];
    if (part->partition->mark == mark) {
        part->error = KAFKA_INVALID_REQUEST;
        return;
    }
    part->partition->mark = mark;
    list_init(&part->wait.link);
    part->wait.ready = part_ready;
    part->lookup->opening++;
    partition_use(part->partition, &part->wait);
}

static void cancel(struct request *request)
{
    struct lookup *lookup = request->state;

    lookup->cancelled = true;
}

void handle_list_offsets(struct request *request)
{
    struct lookup *lookup = request_take(request, 1, sizeof(*lookup));
    struct part *part;
    uint64_t mark;
    int32_t t, p;

    if (lookup == NULL ||
        !read_list_offsets(&lookup->body, &request->in, &request->arena,
                           request->header.version)) {
        request_refuse(request);
        return;
    }
    lookup->request = request;
    lookup->opening = 1;
    lookup->parts = request_take(request, (size_t)lookup->body.partitions + 1,
                                 sizeof(*lookup->parts));
    if (lookup->parts == NULL) {
        request_refuse(request);
        return;
    }
    request->state = lookup;
    request->cancel = cancel;
    mark = broker_mark(request->broker);
    part = lookup->parts;
    for (t = 0; t < lookup->body.count; t++) {
        for (p = 0; p < lookup->body.topics[t].count; p++) {
            part->lookup = lookup;
            part->from = &lookup->body.topics[t].partitions[p];
            part_start(part++, &lookup->body.topics[t], mark);
        }
    }
    opened(lookup);
}
