/* SPDX-License-Identifier: Apache-2.0 */
#include "topics.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"

#define FIRST_BUCKETS 64u

/* FNV-1a: topics' names are the clients', but there are at most topics.max of
 * them, and who may create topics need not collide to do harm. */
static size_t hash(const void *data, size_t len)
{
    const unsigned char *at = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; len > 0; len--, at++)
        h = (h ^ *at) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ (h >> 32));
}

static struct topic **name_bucket(const struct topics *topics, const char *name,
                                  size_t len)
{
    return &topics->by_name[hash(name, len) & (topics->buckets - 1)];
}

static struct topic **id_bucket(const struct topics *topics,
                                const struct uuid *id)
{
    return &topics->by_id[hash(id, sizeof(*id)) & (topics->buckets - 1)];
}

struct topic *topics_find(struct topics *topics, struct text name)
{
    struct topic *topic;

    if (topics->buckets == 0 || name.len < 0)
        return NULL;
    topic = *name_bucket(topics, name.data, (size_t)name.len);
    while (topic != NULL && !text_is(name, topic->name))
        topic = topic->next_name;
    return topic;
}

struct topic *topics_find_id(struct topics *topics, const struct uuid *id)
{
    struct topic *topic;

    if (topics->buckets == 0)
        return NULL;
    topic = *id_bucket(topics, id);
    while (topic != NULL && memcmp(&topic->id, id, sizeof(*id)) != 0)
        topic = topic->next_id;
    return topic;
}

struct topic *topics_find_ref(struct topics *topics, struct text name,
                              const struct uuid *id)
{
    return name.len >= 0 ? topics_find(topics, name)
                         : topics_find_id(topics, id);
}

static void link_topic(struct topics *topics, struct topic *topic)
{
    struct topic **name = name_bucket(topics, topic->name, strlen(topic->name));
    struct topic **id = id_bucket(topics, &topic->id);

    topic->next_name = *name;
    *name = topic;
    topic->next_id = *id;
    *id = topic;
}

static bool grow(struct topics *topics)
{
    size_t buckets = topics->buckets == 0 ? FIRST_BUCKETS : topics->buckets * 2;
    struct topic **by_name = calloc(buckets, sizeof(struct topic *));
    struct topic **by_id = calloc(buckets, sizeof(struct topic *));
    struct list *node;

    if (by_name == NULL || by_id == NULL) {
        free(by_name);
        free(by_id);
        return false;
    }
    free(topics->by_name);
    free(topics->by_id);
    topics->by_name = by_name;
    topics->by_id = by_id;
    topics->buckets = buckets;
    for (node = topics->all.next; node != &topics->all; node = node->next)
        link_topic(topics, container_of(node, struct topic, link));
    return true;
}

bool topics_add(struct topics *topics, struct topic *topic)
{
    if (topics->count >= topics->buckets && !grow(topics))
        return false;
    link_topic(topics, topic);
    list_append(&topics->all, &topic->link);
    topics->count++;
    topics->partitions += topic->count;
    return true;
}

void topics_remove(struct topics *topics, struct topic *topic)
{
    struct topic **at = name_bucket(topics, topic->name, strlen(topic->name));

    while (*at != topic)
        at = &(*at)->next_name;
    *at = topic->next_name;
    at = id_bucket(topics, &topic->id);
    while (*at != topic)
        at = &(*at)->next_id;
    *at = topic->next_id;
    list_remove(&topic->link);
    topics->count--;
    topics->partitions -= topic->count;
}

void topics_free(struct topics *topics)
{
    struct list *node;

    while ((node = list_pop(&topics->all)) != NULL)
        topic_free(container_of(node, struct topic, link));
    free(topics->by_name);
    free(topics->by_id);
    topics->by_name = NULL;
    topics->by_id = NULL;
    topics->buckets = 0;
    topics->count = 0;
}

void topic_ref(struct topic *topic)
{
    topic->refs++;
}

void topic_unref(struct topic *topic)
{
    if (--topic->refs == 0)
        topic_free(topic);
}

void topic_free(struct topic *topic)
{
    int32_t i;

    if (topic == NULL)
        return;
    for (i = 0; topic->partitions != NULL && i < topic->count; i++)
        partition_free(&topic->partitions[i]);
    free(topic->partitions);
    free(topic->leaders);
    free(topic->value);
    free(topic);
}

size_t topic_max_batch(const struct topic *topic)
{
    int64_t max = topic->config.max_message_bytes;

    return (size_t)(max >= 0 ? max : topic->broker->settings.message_max);
}

bool topic_append_time(const struct topic *topic)
{
    int set = topic->config.append_time;

    return set >= 0 ? set == 1 : topic->broker->settings.append_time == 1;
}
