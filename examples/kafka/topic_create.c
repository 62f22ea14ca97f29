/* SPDX-License-Identifier: Apache-2.0 */
/* Creation and deletion of topics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker.h"
#include "kafka_error.h"
#include "log.h"
#include "topics.h"

bool topic_name_valid(struct text name)
{
    int32_t i;
    char c;

    if (name.len < 1 || name.len > TOPIC_NAME_MAX || text_is(name, ".") ||
        text_is(name, ".."))
        return false;
    for (i = 0; i < name.len; i++) {
        c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static char folded(char c)
{
    return c == '.' ? '_' : c;
}

/* Kafka's metrics cannot tell '.' from '_', so it refuses names that differ
 * in nothing else; clients' tools count on that. */
static bool topic_name_collides(const struct topics *topics, struct text name)
{
    const struct topic *topic;
    const struct list *node;
    int32_t i;

    if (memchr(name.data, '.', (size_t)name.len) == NULL &&
        memchr(name.data, '_', (size_t)name.len) == NULL)
        return false;
    for (node = topics->all.next; node != &topics->all; node = node->next) {
        topic =
            (const struct topic *)(const void *)((const char *)node -
                                                 offsetof(struct topic, link));
        if (strlen(topic->name) != (size_t)name.len ||
            text_is(name, topic->name))
            continue;
        for (i = 0; i < name.len; i++) {
            if (folded(name.data[i]) != folded(topic->name[i]))
                break;
        }
        if (i == name.len)
            return true;
    }
    return false;
}

static int16_t refuse(struct topic_creation *creation, int16_t error,
                      const char *message)
{
    creation->message = message;
    return error;
}

static int16_t check(struct broker *broker, struct topic_creation *creation)
{
    size_t i;

    if (!topic_name_valid(creation->name))
        return refuse(creation, KAFKA_INVALID_TOPIC_EXCEPTION,
                      "expected 1 to 249 of a-z A-Z 0-9 . _ -");
    if (topics_find(&broker->topics, creation->name) != NULL)
        return refuse(creation, KAFKA_TOPIC_ALREADY_EXISTS,
                      "the topic exists already");
    if (topic_name_collides(&broker->topics, creation->name))
        return refuse(creation, KAFKA_INVALID_TOPIC_EXCEPTION,
                      "another topic differs only in '.' and '_'");
    if (creation->partitions < 1 || creation->partitions > 10000)
        return refuse(creation, KAFKA_INVALID_PARTITIONS,
                      "expected 1 to 10000 partitions");
    if (broker->topics.partitions + creation->partitions >
        broker->settings.partitions_max)
        return refuse(creation, KAFKA_INVALID_PARTITIONS,
                      "more partitions than partitions.max allows");
    if ((int64_t)broker->topics.count >= broker->settings.topics_max)
        return refuse(creation, KAFKA_INVALID_REQUEST,
                      "there are as many topics as topics.max allows");
    for (i = 0; i < creation->config_count; i++) {
        if (!topic_config_valid(&creation->configs[i], &creation->message))
            return KAFKA_INVALID_CONFIG;
    }
    return 0;
}

/* The topic is in the manifest: now clients may see it. */
static void created(struct weir_req *req, int status)
{
    struct topic_creation *creation = req->ctx;
    struct broker *broker = creation->broker;
    struct topic *topic = creation->topic;
    int16_t error = 0;

    broker->pending--;
    broker_note_node(broker, status, "create topic");
    topic->version = creation->put.version;
    if (status == WEIR_ECONFLICT) {
        error = refuse(creation, KAFKA_TOPIC_ALREADY_EXISTS,
                       "the topic exists already");
    } else if (status != 0) {
        error = kafka_error_of(status);
        creation->message = weir_error_text(status);
    } else if (topics_find_id(&broker->topics, &topic->id) != NULL) {
        topic_free(topic); /* It was heard of already. */
        topic = NULL;
    } else if (!topics_add(&broker->topics, topic)) {
        error = kafka_error_of(WEIR_ENOMEM);
    }
    if (error != 0)
        topic_free(topic);
    creation->done(creation, error);
}

static void topic_key(char key[WEIR_KV_KEY_MAX + 1], const char *name)
{
    memcpy(key, TOPIC_KEY, sizeof(TOPIC_KEY));
    memcpy(key + sizeof(TOPIC_KEY) - 1, name, strlen(name) + 1);
}

static int16_t start(struct topic_creation *creation)
{
    struct wire_out value = {0};
    char name[TOPIC_NAME_MAX + 1];
    int status;

    if (getrandom(&creation->id, sizeof(creation->id), 0) !=
        (ssize_t)sizeof(creation->id))
        return KAFKA_UNKNOWN_SERVER_ERROR;
    snprintf(name, sizeof(name), "%.*s", creation->name.len,
             creation->name.data);
    topic_key(creation->key, name);
    topic_encode(&value, &creation->id, creation);
    if (!value.bad && value.len <= WEIR_KV_VALUE_MAX)
        creation->topic =
            topic_decode(creation->broker, name, value.data, value.len);
    out_free(&value);
    if (creation->topic == NULL)
        return kafka_error_of(WEIR_ENOMEM);
    memset(&creation->put, 0, sizeof(creation->put));
    creation->put.req.done = created;
    creation->put.req.ctx = creation;
    creation->put.key = creation->key;
    creation->put.value = creation->topic->value;
    creation->put.len = creation->topic->value_len;
    creation->put.expected = WEIR_KV_ABSENT;
    creation->broker->pending++;
    status = weir_kv_put(creation->broker->node, &creation->put);
    if (status == 0)
        return 0;
    creation->broker->pending--;
    topic_free(creation->topic);
    return kafka_error_of(status);
}

void topics_create(struct broker *broker, struct topic_creation *creation)
{
    int16_t error;

    creation->broker = broker;
    creation->topic = NULL;
    creation->message = NULL;
    error = check(broker, creation);
    if (error == 0 && !creation->validate_only)
        error = start(creation);
    else
        goto done;
    if (error == 0)
        return;
done:
    creation->done(creation, error);
}

/* One stream, or one key, of a topic that was deleted. */
struct leftover {
    struct weir_stream_delete removal;
    struct weir_kv_put put;
    struct broker *broker;
    char name[PARTITION_NAME_MAX];
    char key[PARTITION_NAME_MAX];
};

static void key_gone(struct weir_req *req, int status)
{
    struct leftover *left = req->ctx;

    broker_note_node(left->broker, status, "delete producers");
    left->broker->pending--;
    free(left);
}

static void stream_gone(struct weir_req *req, int status)
{
    struct leftover *left = req->ctx;

    if (status != 0 && status != WEIR_ENOENT)
        log_line(WEIR_LOG_WARN, "%s: delete: %s; the next start will do it",
                 left->name, weir_error_text(status));
    broker_note_node(left->broker, status, "delete partition");
    left->put.req.done = key_gone;
    left->put.req.ctx = left;
    left->put.key = left->key;
    left->put.expected = WEIR_KV_ANY;
    if (weir_kv_put(left->broker->node, &left->put) != 0)
        key_gone(&left->put.req, WEIR_ECLOSED);
}

static void topic_drop_streams(struct topic *topic)
{
    struct leftover *left;
    int32_t i;

    for (i = 0; i < topic->count; i++) {
        left = calloc(1, sizeof(*left));
        if (left == NULL)
            return; /* The next start removes what is left. */
        left->broker = topic->broker;
        partition_stream_name(&topic->partitions[i], left->name);
        partition_producers_key(&topic->partitions[i], left->key);
        left->removal.req.done = stream_gone;
        left->removal.req.ctx = left;
        left->removal.name = left->name;
        left->broker->pending++;
        if (weir_stream_delete(left->broker->node, &left->removal) != 0)
            stream_gone(&left->removal.req, WEIR_ECLOSED);
    }
}

static void deleted(struct weir_req *req, int status)
{
    struct topic_deletion *deletion = req->ctx;
    struct topic *topic = deletion->topic;
    struct broker *broker = topic->broker;

    broker->pending--;
    broker_note_node(broker, status, "delete topic");
    if (status == 0) {
        topic_drop_streams(topic);
        topic_vanish(topic); /* Unless that was heard of already. */
    }
    deletion->done(deletion, status == WEIR_ECONFLICT
                                 ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                 : kafka_error_of(status));
}

void topics_delete(struct topic_deletion *deletion)
{
    struct topic *topic = deletion->topic;
    int status;

    topic_key(deletion->key, topic->name);
    memset(&deletion->put, 0, sizeof(deletion->put));
    deletion->put.req.done = deleted;
    deletion->put.req.ctx = deletion;
    deletion->put.key = deletion->key;
    deletion->put.expected = topic->version;
    topic->broker->pending++;
    status = weir_kv_put(topic->broker->node, &deletion->put);
    if (status != 0)
        deleted(&deletion->put.req, status);
}
