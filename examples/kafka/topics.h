/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Topics: kept in the manifest's key/values, and all of them in memory.
 *
 * The key `topic/NAME` has the topic's id, its number of partitions
 * and its configuration.  The id is new whenever a topic is created, and
 * partition N is the stream `kafka/ID/N`: a topic that was deleted and
 * created again has nothing in common with its predecessor.
 */
#ifndef KAFKA_TOPICS_H
#define KAFKA_TOPICS_H

#include <weir/kv.h>

#include "list.h"
#include "partition.h"
#include "wire.h"

/** Longest name of a topic. */
#define TOPIC_NAME_MAX 249
/** What keys of topics begin with: as short as the longest name needs it. */
#define TOPIC_KEY "topic/"

/** What a topic is configured to; -1 where it follows the broker. */
struct topic_config {
    int64_t max_message_bytes;
    int append_time; /* 0: time of the producer, 1: of append. */
};

/** A topic. */
struct topic {
    struct broker *broker;
    struct topic *next_name, *next_id; /* In their buckets. */
    struct list link;                  /* In the order of creation. */
    char name[TOPIC_NAME_MAX + 1];
    struct uuid id;
    uint64_t version; /* Of the key. */
    struct partition *partitions;
    int32_t count;
    struct topic_config config;
    unsigned char *value; /* Of the key: has the configuration as text. */
    size_t value_len;
    int32_t *leaders; /* Of its partitions, as of this view of the cluster. */
    uint64_t view;
    unsigned refs; /* The table and each request that uses it. */
    bool deleted;
};

/** All topics. */
struct topics {
    struct topic **by_name, **by_id;
    size_t buckets, count;
    int64_t partitions; /* Of all of them. */
    struct list all;
};

/** Load all topics, and remove streams of deleted ones.  Blocks.
 * @return 0 or a `weir_status`. */
int topics_load(struct broker *broker, struct weir_error *err);
/** Forget all. */
void topics_free(struct topics *topics);

/** Topic of a name or an id, or NULL. */
struct topic *topics_find(struct topics *topics, struct text name);
struct topic *topics_find_id(struct topics *topics, const struct uuid *id);
/** Either, as a request has it. */
struct topic *topics_find_ref(struct topics *topics, struct text name,
                              const struct uuid *id);

/** A key of a topic has changed, here or on another server. */
void topics_heard(struct broker *broker, const struct weir_kv_pair *pair);
/** The partition whose stream has this name, or NULL. */
struct partition *topics_partition_of(struct topics *topics, const char *name);

/** Use a topic; its partitions stay until `topic_unref`. */
void topic_ref(struct topic *topic);
void topic_unref(struct topic *topic);

/** Largest batch that a topic takes. */
size_t topic_max_batch(const struct topic *topic);
/** Does the topic keep the time of append? */
bool topic_append_time(const struct topic *topic);

/** One pair of a topic's configuration. */
struct topic_pair {
    struct text name, value;
};

/**
 * Is this a configuration that the server has?
 *
 * @param expected  Out, if not: what is wrong with it.
 */
bool topic_config_valid(const struct topic_pair *pair, const char **expected);

/** Creates a topic.  Fill in the first group; the caller's until `done`. */
struct topic_creation {
    struct text name;
    int32_t partitions;
    const struct topic_pair *configs;
    size_t config_count;
    bool validate_only;
    void (*done)(struct topic_creation *creation, int16_t error);

    const char *message;   /* Out: what is wrong; NULL. */
    struct uuid id;        /* Out. */
    struct broker *broker; /* Private. */
    struct weir_kv_put put;
    struct topic *topic;
    char key[WEIR_KV_KEY_MAX + 1];
};

/** Create a topic.  `done` runs exactly once, possibly before the return. */
void topics_create(struct broker *broker, struct topic_creation *creation);

/** Deletes a topic.  Fill in the first group; the caller's until `done`. */
struct topic_deletion {
    struct topic *topic; /* The deletion holds a reference of its own. */
    void (*done)(struct topic_deletion *deletion, int16_t error);

    struct weir_kv_put put; /* Private. */
    char key[WEIR_KV_KEY_MAX + 1];
};

/** Delete a topic and its data.  `done` runs exactly once. */
void topics_delete(struct topic_deletion *deletion);

/* For topics.c, topic_create.c and topic_store.c alone. */
struct topic *topic_decode(struct broker *broker, const char *name,
                           const unsigned char *value, size_t len);
void topic_encode(struct wire_out *out, const struct uuid *id,
                  const struct topic_creation *creation);
bool topics_add(struct topics *topics, struct topic *topic);
void topics_remove(struct topics *topics, struct topic *topic);
void topic_free(struct topic *topic);
void topic_vanish(struct topic *topic);
bool topic_name_valid(struct text name);

#endif
