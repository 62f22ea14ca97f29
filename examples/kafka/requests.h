/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Bodies of requests, read into structs.
 *
 * Strings and records point into the request's bytes; arrays lie in the
 * arena.  Every function returns false on a body that is malformed, has
 * bytes left over, or asks for too much: such a connection is closed.
 */
#ifndef KAFKA_REQUESTS_H
#define KAFKA_REQUESTS_H

#include "arena.h"
#include "wire.h"

/** Topics and partitions in one request, at most. */
#define REQUEST_ITEMS_MAX 20000

/** ApiVersions. */
struct api_versions_request {
    struct text software_name, software_version; /* Null before version 3. */
};

/** A topic by name or id: whichever is there. */
struct topic_ref {
    struct text name; /* Null: by id. */
    struct uuid id;
};

/** Metadata. */
struct metadata_request {
    struct topic_ref *topics;
    int32_t count; /* -1: all topics. */
    bool auto_create;
};

struct produce_partition {
    int32_t index;
    const unsigned char *records; /* NULL: null. */
    size_t len;
};

struct produce_topic {
    struct topic_ref topic;
    struct produce_partition *partitions;
    int32_t count;
};

/** Produce. */
struct produce_request {
    struct text transactional_id;
    int16_t acks;
    int32_t timeout_ms;
    struct produce_topic *topics;
    int32_t count;
    int32_t partitions; /* In all topics. */
};

struct fetch_partition {
    int32_t index;
    int32_t leader_epoch;
    int64_t offset;
    int32_t max_bytes;
};

struct fetch_topic {
    struct topic_ref topic;
    struct fetch_partition *partitions;
    int32_t count;
};

/** Fetch. */
struct fetch_request {
    int32_t max_wait_ms, min_bytes, max_bytes;
    int8_t isolation;
    int32_t session_id, session_epoch;
    struct fetch_topic *topics;
    int32_t count;
    int32_t partitions; /* In all topics. */
};

struct offset_partition {
    int32_t index;
    int32_t leader_epoch;
    int64_t timestamp;
};

struct offset_topic {
    struct topic_ref topic;
    struct offset_partition *partitions;
    int32_t count;
};

/** ListOffsets. */
struct list_offsets_request {
    int8_t isolation;
    struct offset_topic *topics;
    int32_t count;
    int32_t partitions; /* In all topics. */
};

struct new_assignment {
    int32_t partition;
    int32_t *brokers;
    int32_t count;
};

struct new_config {
    struct text name, value;
};

struct new_topic {
    struct text name;
    int32_t partitions;
    int16_t replication;
    struct new_assignment *assignments;
    int32_t assignment_count;
    struct new_config *configs;
    int32_t config_count;
};

/** CreateTopics. */
struct create_topics_request {
    struct new_topic *topics;
    int32_t count;
    int32_t timeout_ms;
    bool validate_only;
};

/** DeleteTopics. */
struct delete_topics_request {
    struct topic_ref *topics;
    int32_t count;
    int32_t timeout_ms;
};

/** InitProducerId. */
struct init_producer_request {
    struct text transactional_id;
    int32_t timeout_ms;
    int64_t producer_id;
    int16_t producer_epoch;
};

bool read_api_versions(struct api_versions_request *out, struct wire_in *in,
                       int16_t version);
bool read_metadata(struct metadata_request *out, struct wire_in *in,
                   struct arena *arena, int16_t version);
bool read_produce(struct produce_request *out, struct wire_in *in,
                  struct arena *arena, int16_t version);
bool read_fetch(struct fetch_request *out, struct wire_in *in,
                struct arena *arena, int16_t version);
bool read_list_offsets(struct list_offsets_request *out, struct wire_in *in,
                       struct arena *arena, int16_t version);
bool read_create_topics(struct create_topics_request *out, struct wire_in *in,
                        struct arena *arena, int16_t version);
bool read_delete_topics(struct delete_topics_request *out, struct wire_in *in,
                        struct arena *arena, int16_t version);
bool read_init_producer(struct init_producer_request *out, struct wire_in *in,
                        int16_t version);

#endif
