/* SPDX-License-Identifier: Apache-2.0 */
#include "partition.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "kafka_error.h"
#include "log.h"

/* A snapshot bounds what has to be read when the partition is opened again:
 * one is due after so much. */
#define SAVE_BATCHES 8192u
#define SAVE_BYTES (UINT64_C(128) << 20)

void partition_init(struct partition *partition, struct topic *topic,
                    int32_t index)
{
    const struct settings *settings = &topic->broker->settings;

    partition->topic = topic;
    partition->index = index;
    partition->producers.max = (size_t)settings->producers_max;
    partition->producers.expiration = settings->producer_expiration;
    list_init(&partition->waiting);
    list_init(&partition->watching);
    list_init(&partition->retries);
}

static void write_name(const struct partition *partition, const char *prefix,
                       char out[PARTITION_NAME_MAX])
{
    const unsigned char *id = partition->topic->id.bytes;
    int at, i;

    at = snprintf(out, PARTITION_NAME_MAX, "%s", prefix);
    for (i = 0; i < 16; i++)
        at +=
            snprintf(out + at, PARTITION_NAME_MAX - (size_t)at, "%02x", id[i]);
    snprintf(out + at, PARTITION_NAME_MAX - (size_t)at, "/%d",
             partition->index);
}

void partition_stream_name(const struct partition *partition,
                           char out[PARTITION_NAME_MAX])
{
    write_name(partition, "kafka/", out);
}

void partition_producers_key(const struct partition *partition,
                             char out[PARTITION_NAME_MAX])
{
    write_name(partition, "kafka/producers/", out);
}

static void wake_all(struct list *waiting, int16_t error)
{
    struct partition_wait *wait;
    struct list *node;

    while ((node = list_pop(waiting)) != NULL) {
        wait = container_of(node, struct partition_wait, link);
        wait->ready(wait, error);
    }
}

/* Some batch is durable.  Who waits for a later one waits again: each is asked
 * once. */
static void wake_retries(struct partition *partition)
{
    struct list told;

    list_init(&told);
    list_take(&told, &partition->retries);
    wake_all(&told, 0);
}

/* A watch may be removed, and others too, while it is called; so each goes
 * through a list of those that are still to be told. */
static void wake_watching(struct partition *partition, size_t bytes,
                          int16_t error)
{
    struct partition_watch *watch;
    struct list told, *node;

    list_init(&told);
    list_take(&told, &partition->watching);
    while ((node = list_pop(&told)) != NULL) {
        list_append(&partition->watching, node);
        watch = container_of(node, struct partition_watch, link);
        watch->woken(watch, bytes, error);
    }
}

/* Does this server lead the partition? */
static bool leads(const struct partition *partition)
{
    struct broker *broker = partition->topic->broker;

    if (broker->stopping && broker->cluster.count > 1)
        return false;
    return cluster_leader(&broker->cluster, partition->topic,
                          partition->index) == broker->node_id;
}

void partition_use(struct partition *partition, struct partition_wait *wait)
{
    if (partition->topic->deleted) {
        wait->ready(wait, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    if (!leads(partition)) {
        wait->ready(wait, KAFKA_NOT_LEADER_OR_FOLLOWER);
        return;
    }
    switch (partition->state) {
    case PARTITION_OPEN:
        wait->ready(wait, 0);
        break;
    case PARTITION_LEAVING:
    case PARTITION_FAILED:
        wait->ready(wait, KAFKA_NOT_LEADER_OR_FOLLOWER);
        break;
    case PARTITION_OPENING:
        list_append(&partition->waiting, &wait->link);
        break;
    case PARTITION_CLOSED:
        list_append(&partition->waiting, &wait->link);
        partition->state = PARTITION_OPENING;
        partition_open(partition);
        break;
    }
}

/* Those who come while the others are told must stay behind them, so the
 * state changes last. */
void partition_opened(struct partition *partition, int16_t error)
{
    if (partition->topic->deleted)
        error = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    wake_all(&partition->waiting, error);
    if (error == 0) {
        partition->state = PARTITION_OPEN;
        return;
    }
    weir_stream_close(partition->stream);
    partition->stream = NULL;
    producers_clear(&partition->producers);
    partition->state =
        partition->under_way > 0 ? PARTITION_FAILED : PARTITION_CLOSED;
}

void partition_appending(struct partition *partition)
{
    partition->under_way++;
}

void partition_appended(struct partition *partition, uint64_t next_offset,
                        size_t len)
{
    partition->under_way--;
    partition->next_offset = next_offset;
    partition->unsaved_batches++;
    partition->unsaved_bytes += len;
    if (partition->state == PARTITION_FAILED) {
        if (partition->under_way == 0)
            partition->state = PARTITION_CLOSED;
        return;
    }
    if (partition->state == PARTITION_LEAVING) {
        partition_leave_now(partition);
        return;
    }
    wake_retries(partition);
    wake_watching(partition, len, 0);
    if (partition->unsaved_batches >= SAVE_BATCHES ||
        partition->unsaved_bytes >= SAVE_BYTES)
        partition_save(partition);
}

/* After an append that failed nothing is known of what comes behind it, so
 * the state of the producers is read from the log again. */
void partition_append_failed(struct partition *partition, int status)
{
    char name[PARTITION_NAME_MAX];

    partition->under_way--;
    if (partition->state == PARTITION_LEAVING) {
        partition_leave_now(partition);
        return;
    }
    if (partition->state == PARTITION_OPEN) {
        partition_stream_name(partition, name);
        log_line(WEIR_LOG_WARN, "%s: append failed: %s", name,
                 weir_error_text(status));
        partition->state = PARTITION_FAILED;
        weir_stream_close(partition->stream);
        partition->stream = NULL;
        producers_clear(&partition->producers);
        wake_all(&partition->retries, KAFKA_NOT_LEADER_OR_FOLLOWER);
    }
    if (partition->state == PARTITION_FAILED && partition->under_way == 0)
        partition->state = PARTITION_CLOSED;
}

void partition_leave(struct partition *partition, uint32_t to_node)
{
    if (partition->state != PARTITION_OPEN)
        return;
    partition->state = PARTITION_LEAVING;
    partition->to_node = to_node;
    wake_all(&partition->retries, KAFKA_NOT_LEADER_OR_FOLLOWER);
    wake_watching(partition, 0, KAFKA_NOT_LEADER_OR_FOLLOWER);
    partition_leave_now(partition);
}

void partition_gone(struct partition *partition)
{
    wake_all(&partition->waiting, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    wake_all(&partition->retries, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    wake_watching(partition, 0, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    if (partition->state == PARTITION_OPEN) {
        weir_stream_close(partition->stream);
        partition->stream = NULL;
        partition->state =
            partition->under_way > 0 ? PARTITION_FAILED : PARTITION_CLOSED;
    }
    producers_clear(&partition->producers);
}

void partition_free(struct partition *partition)
{
    weir_stream_close(partition->stream);
    producers_clear(&partition->producers);
}

/* One snapshot on its way to the manifest. */
struct snapshot {
    struct weir_kv_put put;
    struct partition *partition;
    struct broker *broker;
    uint64_t batches, bytes; /* That it covers. */
    char key[PARTITION_NAME_MAX];
    unsigned char value[];
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void saved(struct weir_req *req, int status)
{
    struct snapshot *snapshot = req->ctx;
    struct partition *partition = snapshot->partition;

    partition->saving = false;
    if (status == 0) {
        /* The partition may have been opened anew, and counted anew. */
        partition->unsaved_batches -=
            smaller(snapshot->batches, partition->unsaved_batches);
        partition->unsaved_bytes -=
            smaller(snapshot->bytes, partition->unsaved_bytes);
    }
    snapshot->broker->pending--;
    broker_note_node(snapshot->broker, status, "save producers");
    topic_unref(partition->topic);
    free(snapshot);
}

static size_t snapshot_room(const struct partition *partition)
{
    size_t room = 16 + partition->producers.count * 136;

    return room < WEIR_KV_VALUE_MAX ? room : WEIR_KV_VALUE_MAX;
}

void partition_save(struct partition *partition)
{
    struct snapshot *snapshot;
    size_t room = snapshot_room(partition);

    if (partition->saving || partition->unsaved_batches == 0 ||
        (partition->state != PARTITION_OPEN &&
         partition->state != PARTITION_LEAVING))
        return;
    snapshot = calloc(1, sizeof(*snapshot) + room);
    if (snapshot == NULL)
        return;
    snapshot->partition = partition;
    snapshot->broker = partition->topic->broker;
    snapshot->batches = partition->unsaved_batches;
    snapshot->bytes = partition->unsaved_bytes;
    partition_producers_key(partition, snapshot->key);
    snapshot->put.req.done = saved;
    snapshot->put.req.ctx = snapshot;
    snapshot->put.key = snapshot->key;
    snapshot->put.expected = WEIR_KV_ANY;
    snapshot->put.value = snapshot->value;
    snapshot->put.len =
        producers_save(&partition->producers, (int64_t)partition->next_offset,
                       snapshot->value, room);
    if (snapshot->put.len == 0 ||
        weir_kv_put(snapshot->broker->node, &snapshot->put) != 0) {
        free(snapshot);
        return;
    }
    partition->saving = true;
    snapshot->broker->pending++;
    topic_ref(partition->topic);
}
