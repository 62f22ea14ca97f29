/* SPDX-License-Identifier: Apache-2.0 */
/* CreateTopics and DeleteTopics. */
#include <string.h>

#include "broker.h"
#include "kafka_error.h"
#include "request.h"
#include "requests.h"

/* Where a topic's configuration comes from, as the protocol numbers it. */
#define SOURCE_TOPIC 1
/* A client may ask for this many copies: the store keeps them. */
#define REPLICATION_MAX 3

/* ---- CreateTopics ---------------------------------------------------------
 */

struct creations;

/** One topic to create. */
struct item {
    struct topic_creation creation;
    struct creations *all;
    const struct new_topic *from;
    int16_t error;
};

/** A request to create topics. */
struct creations {
    struct request *request;
    struct create_topics_request body;
    struct item *items;
    size_t left; /* Items that are under way, and 1 for the start. */
};

static void write_configs(struct wire_out *out, const struct item *item)
{
    const struct topic_pair *pair;
    size_t i;

    out_array(out, (int32_t)item->creation.config_count);
    for (i = 0; i < item->creation.config_count; i++) {
        pair = &item->creation.configs[i];
        out_text(out, pair->name.data, (size_t)pair->name.len);
        out_text(out, pair->value.data, (size_t)pair->value.len);
        out_bool(out, false); /* Read-only. */
        out_i8(out, SOURCE_TOPIC);
        out_bool(out, false); /* Sensitive. */
        out_tags(out);
    }
}

static void write_item(struct wire_out *out, const struct item *item,
                       int16_t version)
{
    bool ok = item->error == 0;

    out_text(out, item->from->name.data, (size_t)item->from->name.len);
    if (version >= 7)
        out_uuid(out, &item->creation.id);
    out_i16(out, item->error);
    if (version >= 1)
        out_string(out, item->creation.message);
    if (version >= 5) {
        out_i32(out, ok ? item->creation.partitions : -1);
        out_i16(out, ok ? 1 : -1);
        if (ok)
            write_configs(out, item);
        else
            out_array(out, -1);
    }
    out_tags(out);
}

static void creations_step(struct creations *all)
{
    struct request *request = all->request;
    struct wire_out *out = &request->out;
    int16_t version = request->header.version;
    int32_t i;

    if (--all->left > 0)
        return;
    if (version >= 2)
        out_i32(out, 0);
    out_array(out, all->body.count);
    for (i = 0; i < all->body.count; i++)
        write_item(out, &all->items[i], version);
    out_tags(out);
    request_finish(request);
}

static void item_created(struct topic_creation *creation, int16_t error)
{
    struct item *item = container_of(creation, struct item, creation);

    item->error = error;
    if (error != 0)
        memset(&creation->id, 0, sizeof(creation->id));
    creations_step(item->all);
}

static int16_t item_refuse(struct item *item, int16_t error, const char *text)
{
    item->creation.message = text;
    return error;
}

static bool is_server(const struct cluster *cluster, int32_t id)
{
    size_t i = 0;

    while (i < cluster->count && cluster->peers[i].id != id)
        i++;
    return i < cluster->count;
}

/* Partitions 0 to n-1, each once, each on servers that there are.  Where they
 * go is decided by the placement all the same. */
static bool assignments_valid(const struct item *item,
                              const struct cluster *cluster,
                              unsigned char *seen)
{
    const struct new_topic *from = item->from;
    int32_t i, k;

    for (i = 0; i < from->assignment_count; i++) {
        const struct new_assignment *a = &from->assignments[i];

        if (a->partition < 0 || a->partition >= from->assignment_count ||
            seen[a->partition] != 0 || a->count < 1)
            return false;
        seen[a->partition] = 1;
        for (k = 0; k < a->count; k++) {
            if (!is_server(cluster, a->brokers[k]))
                return false;
        }
    }
    return true;
}

/* How many partitions, on how many copies? */
static int16_t item_partitions(struct item *item)
{
    struct request *request = item->all->request;
    const struct new_topic *from = item->from;
    unsigned char *seen;

    if (from->assignment_count > 0) {
        if (from->partitions != -1 || from->replication != -1)
            return item_refuse(item, KAFKA_INVALID_REQUEST,
                               "both an assignment and numbers");
        seen = request_take(request, (size_t)from->assignment_count, 1);
        if (seen == NULL ||
            !assignments_valid(item, &request->broker->cluster, seen))
            return item_refuse(item, KAFKA_INVALID_REPLICA_ASSIGNMENT,
                               "expected partitions from 0, on servers that "
                               "there are");
        item->creation.partitions = from->assignment_count;
        return 0;
    }
    item->creation.partitions = from->partitions;
    if (from->partitions == -1)
        item->creation.partitions =
            (int32_t)request->broker->settings.num_partitions;
    if (from->replication != -1 &&
        (from->replication < 1 || from->replication > REPLICATION_MAX))
        return item_refuse(item, KAFKA_INVALID_REPLICATION_FACTOR,
                           "expected -1 or 1 to 3; the store keeps the copies");
    return 0;
}

static bool item_configs(struct item *item)
{
    size_t count = (size_t)item->from->config_count, i;
    struct topic_pair *pairs;

    pairs = request_take(item->all->request, count + 1, sizeof(*pairs));
    if (pairs == NULL)
        return false;
    for (i = 0; i < count; i++)
        pairs[i] = (struct topic_pair){item->from->configs[i].name,
                                       item->from->configs[i].value};
    item->creation.configs = pairs;
    item->creation.config_count = count;
    return true;
}

/* Is the name there twice?  Quadratic, but a name is compared only when its
 * length is the same, and there are few. */
static bool twice(const struct create_topics_request *body, int32_t i)
{
    struct text a = body->topics[i].name, b;
    int32_t k;

    for (k = 0; k < body->count; k++) {
        b = body->topics[k].name;
        if (k != i && a.len == b.len &&
            memcmp(a.data, b.data, (size_t)a.len) == 0)
            return true;
    }
    return false;
}

static void item_start(struct creations *all, int32_t i)
{
    struct item *item = &all->items[i];

    item->all = all;
    item->from = &all->body.topics[i];
    item->creation.name = item->from->name;
    item->creation.validate_only = all->body.validate_only;
    item->creation.done = item_created;
    if (twice(&all->body, i))
        item->error = item_refuse(item, KAFKA_INVALID_REQUEST,
                                  "the topic twice in one request");
    else if (!item_configs(item))
        item->error = KAFKA_UNKNOWN_SERVER_ERROR;
    else
        item->error = item_partitions(item);
    if (item->error != 0)
        return;
    all->left++;
    topics_create(all->request->broker, &item->creation);
}

void handle_create_topics(struct request *request)
{
    struct creations *all = request_take(request, 1, sizeof(*all));
    int32_t i;

    if (all == NULL ||
        !read_create_topics(&all->body, &request->in, &request->arena,
                            request->header.version)) {
        request_refuse(request);
        return;
    }
    all->request = request;
    all->left = 1;
    all->items =
        request_take(request, (size_t)all->body.count + 1, sizeof(*all->items));
    if (all->items == NULL) {
        request_refuse(request);
        return;
    }
    for (i = 0; i < all->body.count; i++)
        item_start(all, i);
    creations_step(all);
}

/* ---- DeleteTopics ---------------------------------------------------------
 */

struct deletions;

/** One topic to delete. */
struct removal {
    struct topic_deletion deletion;
    struct deletions *all;
    const struct topic_ref *from;
    int16_t error;
};

/** A request to delete topics. */
struct deletions {
    struct request *request;
    struct delete_topics_request body;
    struct removal *items;
    size_t left; /* Items that are under way, and 1 for the start. */
};

static void write_removal(struct wire_out *out, const struct removal *item,
                          int16_t version)
{
    const struct topic *topic = item->deletion.topic;

    if (topic != NULL)
        out_string(out, topic->name);
    else
        out_text(out, item->from->name.data,
                 item->from->name.len < 0 ? 0 : (size_t)item->from->name.len);
    if (version >= 6)
        out_uuid(out, topic != NULL ? &topic->id : &item->from->id);
    out_i16(out, item->error);
    if (version >= 5)
        out_string(out, NULL);
    out_tags(out);
}

static void deletions_step(struct deletions *all)
{
    struct request *request = all->request;
    struct wire_out *out = &request->out;
    int16_t version = request->header.version;
    int32_t i;

    if (--all->left > 0)
        return;
    if (version >= 1)
        out_i32(out, 0);
    out_array(out, all->body.count);
    for (i = 0; i < all->body.count; i++) {
        write_removal(out, &all->items[i], version);
        if (all->items[i].deletion.topic != NULL)
            topic_unref(all->items[i].deletion.topic);
    }
    out_tags(out);
    request_finish(request);
}

static void removal_done(struct topic_deletion *deletion, int16_t error)
{
    struct removal *item = container_of(deletion, struct removal, deletion);

    item->error = error;
    deletions_step(item->all);
}

static void removal_start(struct deletions *all, int32_t i)
{
    struct broker *broker = all->request->broker;
    struct removal *item = &all->items[i];
    struct topic *topic;

    item->all = all;
    item->from = &all->body.topics[i];
    topic = topics_find_ref(&broker->topics, item->from->name, &item->from->id);
    if (topic == NULL) {
        item->error = item->from->name.len < 0
                          ? KAFKA_UNKNOWN_TOPIC_ID
                          : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    } else if (broker->settings.delete_enable == 0) {
        item->error = KAFKA_TOPIC_DELETION_DISABLED;
    } else {
        topic_ref(topic);
        item->deletion.topic = topic;
        item->deletion.done = removal_done;
        all->left++;
        topics_delete(&item->deletion);
    }
}

void handle_delete_topics(struct request *request)
{
    struct deletions *all = request_take(request, 1, sizeof(*all));
    int32_t i;

    if (all == NULL ||
        !read_delete_topics(&all->body, &request->in, &request->arena,
                            request->header.version)) {
        request_refuse(request);
        return;
    }
    all->request = request;
    all->left = 1;
    all->items =
        request_take(request, (size_t)all->body.count + 1, sizeof(*all->items));
    if (all->items == NULL) {
        request_refuse(request);
        return;
    }
    for (i = 0; i < all->body.count; i++)
        removal_start(all, i);
    deletions_step(all);
}
