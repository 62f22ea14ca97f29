/* SPDX-License-Identifier: Apache-2.0 */
/* Topics as values in the manifest: version, id, number of partitions, number
 * of configuration pairs, and these as strings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "log.h"
#include "topics.h"

#define VALUE_VERSION 1
#define STREAM_PREFIX "kafka/"
#define STREAM_PAGE 64u

struct known_config {
    const char *name;
    const char *expected; /* What a value must be. */
    int64_t min, max;     /* Of a number; */
    const char *words;    /* or the words that there are. */
};

/* What topics may be configured to.  What this server does in one way only
 * takes the value that stands for this way.  Retention is kept and shown;
 * it will be enforced when the library does it. */
static const struct known_config known[] = {
    {"cleanup.policy", "expected delete", 0, 0, "delete"},
    {"compression.type", "expected producer", 0, 0, "producer"},
    {"max.message.bytes", "expected 1024 to 16777216", 1024, 16777216, NULL},
    {"message.timestamp.type", "expected CreateTime or LogAppendTime", 0, 0,
     "CreateTime|LogAppendTime"},
    {"retention.ms", "expected -1 or a number", -1, INT64_MAX, NULL},
    {"retention.bytes", "expected -1 or a number", -1, INT64_MAX, NULL},
    {"segment.bytes", "expected a number", 14, INT64_MAX, NULL},
    {"segment.ms", "expected a number", 1, INT64_MAX, NULL},
    {"delete.retention.ms", "expected a number", 0, INT64_MAX, NULL},
    {"file.delete.delay.ms", "expected a number", 0, INT64_MAX, NULL},
    {"flush.messages", "expected a number", 1, INT64_MAX, NULL},
    {"flush.ms", "expected a number", 0, INT64_MAX, NULL},
    {"min.insync.replicas", "expected 1 to 3", 1, 3, NULL},
};

static bool one_of(const char *words, struct text value)
{
    size_t len, want = (size_t)value.len;

    while (*words != 0) {
        len = strcspn(words, "|");
        if (len == want && memcmp(words, value.data, len) == 0)
            return true;
        words += len + (words[len] == '|');
    }
    return false;
}

static bool read_number(struct text value, int64_t min, int64_t max,
                        int64_t *out)
{
    char digits[24];

    if (value.len < 1 || (size_t)value.len >= sizeof(digits))
        return false;
    memcpy(digits, value.data, (size_t)value.len);
    digits[value.len] = 0;
    return parse_number(digits, min, max, out);
}

bool topic_config_valid(const struct topic_pair *pair, const char **expected)
{
    const struct known_config *row;
    int64_t number;
    size_t i;

    *expected = "no such topic configuration";
    if (pair->value.len < 0) {
        *expected = "a configuration without a value";
        return false;
    }
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        row = &known[i];
        if (!text_is(pair->name, row->name))
            continue;
        *expected = row->expected;
        return row->words != NULL
                   ? one_of(row->words, pair->value)
                   : read_number(pair->value, row->min, row->max, &number);
    }
    return false;
}

void topic_encode(struct wire_out *out, const struct uuid *id,
                  const struct topic_creation *creation)
{
    const struct topic_pair *pair;
    size_t i;

    out_i8(out, VALUE_VERSION);
    out_uuid(out, id);
    out_i32(out, creation->partitions);
    out_i32(out, (int32_t)creation->config_count);
    for (i = 0; i < creation->config_count; i++) {
        pair = &creation->configs[i];
        out_text(out, pair->name.data, (size_t)pair->name.len);
        out_text(out, pair->value.data, (size_t)pair->value.len);
    }
}

static void apply_config(struct topic *topic, const struct topic_pair *pair)
{
    int64_t number;

    if (text_is(pair->name, "max.message.bytes") &&
        read_number(pair->value, 0, INT64_MAX, &number))
        topic->config.max_message_bytes = number;
    if (text_is(pair->name, "message.timestamp.type"))
        topic->config.append_time = text_is(pair->value, "LogAppendTime");
}

static bool decode_value(struct topic *topic)
{
    struct topic_pair pair;
    struct wire_in in;
    int32_t i, pairs;

    in_begin(&in, topic->value, topic->value_len);
    if (in_i8(&in) != VALUE_VERSION)
        return false;
    topic->id = in_uuid(&in);
    topic->count = in_i32(&in);
    pairs = in_array(&in, 4, false);
    for (i = 0; i < pairs && !in.bad; i++) {
        pair.name = in_text(&in);
        pair.value = in_text(&in);
        if (!in.bad)
            apply_config(topic, &pair);
    }
    return !in.bad && in_left(&in) == 0 && topic->count > 0;
}

struct topic *topic_decode(struct broker *broker, const char *name,
                           const unsigned char *value, size_t len)
{
    struct topic *topic = calloc(1, sizeof(*topic));
    int32_t i;

    if (topic == NULL)
        return NULL;
    topic->broker = broker;
    topic->refs = 1;
    topic->config.max_message_bytes = -1;
    topic->config.append_time = -1;
    list_init(&topic->link);
    snprintf(topic->name, sizeof(topic->name), "%s", name);
    topic->value = malloc(len > 0 ? len : 1);
    if (topic->value == NULL)
        goto fail;
    memcpy(topic->value, value, len);
    topic->value_len = len;
    if (!decode_value(topic))
        goto fail;
    topic->partitions =
        calloc((size_t)topic->count, sizeof(*topic->partitions));
    if (topic->partitions == NULL)
        goto fail;
    for (i = 0; i < topic->count; i++)
        partition_init(&topic->partitions[i], topic, i);
    return topic;

fail:
    topic_free(topic);
    return NULL;
}

struct orphans;

/* Reads all topics.  The blocking call takes the request's `ctx` for itself,
 * so what its callback needs lies around the request. */
struct reading {
    struct weir_kv_get get;
    struct broker *broker;
    struct orphans *orphans;
};

static int topic_found(struct weir_kv_get *get, const struct weir_kv_pair *pair)
{
    struct broker *broker = container_of(get, struct reading, get)->broker;
    struct topic *topic;

    topic = topic_decode(broker, pair->key + strlen(TOPIC_KEY), pair->value,
                         pair->len);
    if (topic == NULL || !topics_add(&broker->topics, topic)) {
        log_line(WEIR_LOG_ERROR, "%s: not a topic, or out of memory",
                 pair->key);
        topic_free(topic);
        return WEIR_ECORRUPT;
    }
    topic->version = pair->version;
    return 0;
}

/* Streams that belong to no topic. */
struct orphans {
    struct broker *broker;
    size_t count;
    struct uuid ids[STREAM_PAGE];
    char names[STREAM_PAGE][PARTITION_NAME_MAX];
};

/* Value of a hexadecimal digit, or -1. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Id in the name of a stream: kafka/, 32 digits, a slash, the partition. */
static bool parse_stream(const char *name, struct uuid *id)
{
    int high, low;
    size_t i;

    if (strlen(name) >= PARTITION_NAME_MAX ||
        strlen(name) < strlen(STREAM_PREFIX) + 34)
        return false;
    name += strlen(STREAM_PREFIX);
    for (i = 0; i < sizeof(id->bytes); i++) {
        high = digit(name[2 * i]);
        low = digit(name[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id->bytes[i] = (unsigned char)(high * 16 + low);
    }
    return name[32] == '/';
}

static void note_stream(struct orphans *orphans, const char *name)
{
    struct uuid id;

    if (orphans->count == STREAM_PAGE || !parse_stream(name, &id) ||
        topics_find_id(&orphans->broker->topics, &id) != NULL)
        return;
    orphans->ids[orphans->count] = id;
    memcpy(orphans->names[orphans->count++], name, strlen(name) + 1);
}

static int find_orphans(struct orphans *orphans, struct weir_error *err)
{
    struct weir_stream_stat *page = calloc(STREAM_PAGE, sizeof(*page));
    struct weir_stream_list list;
    char after[WEIR_NAME_MAX + 1] = "";
    int status = page == NULL ? WEIR_ENOMEM : 0, more = 1;
    size_t i;

    while (status == 0 && more) {
        memset(&list, 0, sizeof(list));
        list.req.err = err;
        list.prefix = STREAM_PREFIX;
        list.after = after[0] != 0 ? after : NULL;
        list.out = page;
        list.limit = STREAM_PAGE;
        status = weir_stream_list_sync(orphans->broker->node, &list);
        more = status == 0 && list.more;
        for (i = 0; status == 0 && i < list.count; i++) {
            note_stream(orphans, page[i].name);
            memcpy(after, page[i].name, sizeof(after));
        }
    }
    free(page);
    return status;
}

/* A topic that another node has created meanwhile. */
static int topic_is_there(struct weir_kv_get *get,
                          const struct weir_kv_pair *pair)
{
    struct orphans *orphans = container_of(get, struct reading, get)->orphans;
    struct topic *topic;
    size_t i;

    topic = topic_decode(orphans->broker, "", pair->value, pair->len);
    if (topic == NULL)
        return WEIR_ENOMEM;
    for (i = 0; i < orphans->count; i++) {
        if (memcmp(&orphans->ids[i], &topic->id, sizeof(topic->id)) == 0)
            orphans->names[i][0] = 0;
    }
    topic_free(topic);
    return 0;
}

static int read_topics(struct reading *reading,
                       int (*pair)(struct weir_kv_get *,
                                   const struct weir_kv_pair *),
                       struct weir_error *err)
{
    reading->get.req.err = err;
    reading->get.key = TOPIC_KEY;
    reading->get.prefix = 1;
    reading->get.pair = pair;
    return weir_kv_get_sync(reading->broker->node, &reading->get);
}

/* Remove streams that are left of a deletion that did not come to its end.
 * A topic is made before its streams; so what has none after the streams
 * were listed never will have. */
static int remove_orphans(struct broker *broker, struct weir_error *err)
{
    struct orphans *orphans = calloc(1, sizeof(*orphans));
    struct reading reading = {.broker = broker, .orphans = orphans};
    struct weir_stream_delete removal;
    int status;
    size_t i;

    if (orphans == NULL)
        return WEIR_ENOMEM;
    orphans->broker = broker;
    status = find_orphans(orphans, err);
    if (status == 0 && orphans->count > 0)
        status = read_topics(&reading, topic_is_there, err);
    for (i = 0; status == 0 && i < orphans->count; i++) {
        if (orphans->names[i][0] == 0)
            continue;
        memset(&removal, 0, sizeof(removal));
        removal.name = orphans->names[i];
        weir_stream_delete_sync(broker->node, &removal);
    }
    free(orphans);
    return status;
}

/* It was deleted: nobody finds it any more, and who uses it is told. */
void topic_vanish(struct topic *topic)
{
    int32_t i;

    if (topic->deleted)
        return;
    topic->deleted = true;
    topics_remove(&topic->broker->topics, topic);
    for (i = 0; i < topic->count; i++)
        partition_gone(&topic->partitions[i]);
    topic_unref(topic);
}

void topics_heard(struct broker *broker, const struct weir_kv_pair *pair)
{
    struct text name = {pair->key + strlen(TOPIC_KEY),
                        (int32_t)strlen(pair->key + strlen(TOPIC_KEY))};
    struct topic *there = topics_find(&broker->topics, name);
    struct topic *topic = NULL;

    if (pair->value != NULL && there != NULL && there->version == pair->version)
        return;
    if (pair->value != NULL)
        topic = topic_decode(broker, pair->key + strlen(TOPIC_KEY), pair->value,
                             pair->len);
    if (topic != NULL && there != NULL &&
        memcmp(&topic->id, &there->id, sizeof(topic->id)) == 0) {
        topic_free(topic);
        return;
    }
    if (there != NULL)
        topic_vanish(there);
    if (topic != NULL)
        topic->version = pair->version;
    if (topic != NULL && !topics_add(&broker->topics, topic))
        topic_free(topic);
}

struct partition *topics_partition_of(struct topics *topics, const char *name)
{
    struct topic *topic;
    struct uuid id;
    int64_t index;

    if (!parse_stream(name, &id))
        return NULL;
    topic = topics_find_id(topics, &id);
    name += strlen(STREAM_PREFIX) + 33;
    if (topic == NULL || !parse_number(name, 0, topic->count - 1, &index))
        return NULL;
    return &topic->partitions[index];
}

int topics_load(struct broker *broker, struct weir_error *err)
{
    struct reading reading = {.broker = broker};
    int status;

    list_init(&broker->topics.all);
    status = read_topics(&reading, topic_found, err);
    return status != 0 ? status : remove_orphans(broker, err);
}
