/* SPDX-License-Identifier: Apache-2.0 */
/* Produce: one append for each partition, straight from the request's bytes. */
#include <string.h>

#include "broker.h"
#include "kafka_error.h"
#include "record_batch.h"
#include "request.h"
#include "requests.h"

struct produce;

/** The batch for one partition. */
struct part {
    struct partition_wait wait;
    struct produce *produce;
    struct topic *topic;
    struct partition *partition;
    unsigned char *data;
    struct batch_header batch;
    struct producer_claim claim;
    struct weir_append append;
    bool idempotent;

    int16_t error; /* The result. */
    const char *message;
    int64_t base_offset, append_time, log_start;
};

/** A produce request. */
struct produce {
    struct request *request;
    struct produce_request body;
    struct part *parts;
    size_t left; /* Parts that are under way, and 1 for the start. */
    uint64_t mark;
};

static void write_part(struct wire_out *out, const struct part *part,
                       int32_t index, int16_t version)
{
    out_i32(out, index);
    out_i16(out, part->error);
    out_i64(out, part->base_offset);
    if (version >= 2)
        out_i64(out, part->append_time);
    if (version >= 5)
        out_i64(out, part->log_start);
    if (version >= 8) {
        out_array(out, 0);
        out_string(out, part->message);
    }
    out_tags(out);
}

static void respond(struct produce *produce)
{
    struct request *request = produce->request;
    struct wire_out *out = &request->out;
    int16_t version = request->header.version;
    const struct part *part = produce->parts;
    const struct produce_topic *topic;
    int32_t t, p;

    out_array(out, produce->body.count);
    for (t = 0; t < produce->body.count; t++) {
        topic = &produce->body.topics[t];
        if (version >= 13)
            out_uuid(out, &topic->topic.id);
        else
            out_text(out, topic->topic.name.data,
                     (size_t)topic->topic.name.len);
        out_array(out, topic->count);
        for (p = 0; p < topic->count; p++)
            write_part(out, part++, topic->partitions[p].index, version);
        out_tags(out);
    }
    if (version >= 1)
        out_i32(out, 0);
    out_tags(out);
}

/* One part has its result, or the start is over. */
static void step(struct produce *produce)
{
    struct request *request = produce->request;
    int32_t i;
    bool failed = false;

    if (--produce->left > 0)
        return;
    for (i = 0; i < produce->body.partitions; i++) {
        failed |= produce->parts[i].error != 0;
        if (produce->parts[i].topic != NULL)
            topic_unref(produce->parts[i].topic);
    }
    if (produce->body.acks != 0)
        respond(produce);
    else if (failed)
        request->refused = true; /* How else is the client to know? */
    else
        request->silent = true;
    request_finish(request);
}

static void part_end(struct part *part, int16_t error, const char *message)
{
    struct weir_stream_stat stat;

    part->error = error;
    part->message = message;
    if (error != 0) {
        part->base_offset = -1;
        part->append_time = -1;
    } else if (part->partition->stream != NULL &&
               weir_stream_stat(part->partition->stream, &stat) == 0) {
        part->log_start = (int64_t)stat.start;
    }
    step(part->produce);
}

static void appended(struct weir_req *req, int status)
{
    struct part *part = req->ctx;
    struct partition *partition = part->partition;

    if (status != 0) {
        broker_note(part->produce->request->broker, status, "append");
        partition_append_failed(partition, status);
        part_end(part, kafka_error_of(status), weir_error_text(status));
        return;
    }
    part->base_offset = (int64_t)part->append.base_offset;
    /* Also while the partition leaves: the next server is told of all that is
     * before `next_offset`. */
    if (part->idempotent)
        producers_end(&partition->producers, &part->claim, part->base_offset);
    partition_appended(partition, part->append.base_offset + part->append.count,
                       part->append.len);
    part_end(part, 0, NULL);
}

/* Check the sequence and give the batch to the stream, in one step: the order
 * of sequences is the order of offsets.  This is where a batch that was sent
 * twice comes again, when its first copy is durable. */
static void part_ready(struct partition_wait *wait, int16_t error)
{
    struct part *part = container_of(wait, struct part, wait);
    struct partition *partition = part->partition;
    const struct producer_batch *dup = NULL;
    int64_t now = broker_wall_ms();
    int status;

    if (error == 0 && part->idempotent)
        error = producers_check(&partition->producers, &part->claim, now, &dup);
    if (error == 0 && dup != NULL && dup->base_offset == PRODUCER_PENDING) {
        list_append(&partition->retries, &wait->link);
        return;
    }
    if (error != 0 || dup != NULL) {
        part->base_offset = dup != NULL ? dup->base_offset : -1;
        part_end(part, error, NULL);
        return;
    }
    if (topic_append_time(part->topic)) {
        batch_set_append_time(part->data, part->batch.size, now);
        part->append.max_timestamp = now;
        part->append_time = now;
    }
    status = weir_append(partition->stream, &part->append);
    if (status != 0) {
        part_end(part, kafka_error_of(status), weir_error_text(status));
        return;
    }
    partition_appending(partition);
    if (part->idempotent)
        producers_begin(&partition->producers, &part->claim, now);
}

/* Is the batch one that can be appended? */
static int16_t validate(struct part *part, const struct produce_partition *from)
{
    const struct settings *settings = &part->topic->broker->settings;
    struct request *request = part->produce->request;
    struct batch_rules rules;
    int64_t now = broker_wall_ms();
    int16_t error;

    rules.max_size = topic_max_batch(part->topic);
    rules.latest = now > INT64_MAX - settings->timestamp_after
                       ? INT64_MAX
                       : now + settings->timestamp_after;
    rules.produce_version = request->header.version;
    rules.look_inside = settings->look_inside != 0;
    rules.max_inside = (size_t)settings->inside_max;
    error = batch_validate(&part->batch, from->records, from->len, &rules,
                           &part->message);
    if (error != 0)
        return error;
    /* The same bytes, but this pointer may write: the time of append. */
    part->data = request->frame + (from->records - request->frame);
    part->idempotent = part->batch.producer_id >= 0;
    part->claim = (struct producer_claim){
        part->batch.producer_id, part->batch.producer_epoch,
        part->batch.base_sequence, part->batch.count};
    part->append.req.done = appended;
    part->append.req.ctx = part;
    part->append.data = part->data;
    part->append.len = from->len;
    part->append.count = (uint32_t)part->batch.count;
    part->append.flags = WEIR_APPEND_WAIT;
    part->append.max_timestamp = part->batch.max_timestamp >= 0
                                     ? part->batch.max_timestamp
                                     : WEIR_NO_TIMESTAMP;
    return 0;
}

static void part_start(struct part *part, struct produce_topic *topic,
                       const struct produce_partition *from)
{
    struct produce *produce = part->produce;
    struct broker *broker = produce->request->broker;
    int16_t error;

    part->base_offset = -1;
    part->append_time = -1;
    part->log_start = -1;
    produce->left++;
    part->topic =
        topics_find_ref(&broker->topics, topic->topic.name, &topic->topic.id);
    if (part->topic == NULL || from->index < 0 ||
        from->index >= part->topic->count) {
        error = part->topic == NULL && topic->topic.name.len < 0
                    ? KAFKA_UNKNOWN_TOPIC_ID
                    : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        part->topic = NULL;
        part_end(part, error, NULL);
        return;
    }
    topic_ref(part->topic);
    part->partition = &part->topic->partitions[from->index];
    if (part->partition->mark == produce->mark) {
        part_end(part, KAFKA_INVALID_REQUEST,
                 "a partition twice in one request");
        return;
    }
    part->partition->mark = produce->mark;
    error = validate(part, from);
    if (error != 0) {
        part_end(part, error, part->message);
        return;
    }
    list_init(&part->wait.link);
    part->wait.ready = part_ready;
    partition_use(part->partition, &part->wait);
}

static void start(struct produce *produce)
{
    struct part *part = produce->parts;
    struct produce_topic *topic;
    int32_t t, p;

    for (t = 0; t < produce->body.count; t++) {
        topic = &produce->body.topics[t];
        for (p = 0; p < topic->count; p++, part++) {
            part->produce = produce;
            part_start(part, topic, &topic->partitions[p]);
        }
    }
}

/* What is wrong with the request as a whole is told for each partition. */
static void refuse_all(struct produce *produce, int16_t error)
{
    int32_t i;

    for (i = 0; i < produce->body.partitions; i++) {
        produce->parts[i].error = error;
        produce->parts[i].base_offset = -1;
        produce->parts[i].append_time = -1;
        produce->parts[i].log_start = -1;
    }
}

void handle_produce(struct request *request)
{
    struct produce *produce = request_take(request, 1, sizeof(*produce));
    struct produce_request *body;

    if (produce == NULL ||
        !read_produce(&produce->body, &request->in, &request->arena,
                      request->header.version)) {
        request_refuse(request);
        return;
    }
    body = &produce->body;
    produce->request = request;
    produce->mark = broker_mark(request->broker);
    produce->left = 1;
    produce->parts = request_take(request, (size_t)body->partitions + 1,
                                  sizeof(*produce->parts));
    if (produce->parts == NULL) {
        request_refuse(request);
        return;
    }
    if (body->acks < -1 || body->acks > 1)
        refuse_all(produce, KAFKA_INVALID_REQUIRED_ACKS);
    else if (body->transactional_id.len >= 0)
        refuse_all(produce, KAFKA_INVALID_REQUEST);
    else
        start(produce);
    step(produce);
}
