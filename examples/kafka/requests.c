/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

/* Topics to create in one request: their names are compared with each other. */
#define CREATE_MAX 2000

/* Reads `count` things, each of `size` bytes in memory, in all not more than
 * REQUEST_ITEMS_MAX together with `*total`. */
static void *take_items(struct wire_in *in, struct arena *arena, int32_t count,
                        size_t size, int32_t *total)
{
    void *out;

    if (in->bad || count > REQUEST_ITEMS_MAX - *total) {
        in->bad = true;
        return NULL;
    }
    if (count > 0)
        *total += count;
    out = arena_take(arena, count > 0 ? (size_t)count : 1, size);
    if (out == NULL)
        in->bad = true;
    return out;
}

/* The end of every body. */
static bool finish(struct wire_in *in)
{
    in_tags(in);
    return !in->bad && in_left(in) == 0;
}

/* A topic by name before version `since`, by id from then on. */
static void read_topic_ref(struct topic_ref *out, struct wire_in *in,
                           bool by_id)
{
    out->name.data = NULL;
    out->name.len = -1;
    if (by_id)
        out->id = in_uuid(in);
    else
        out->name = in_text(in);
}

bool read_api_versions(struct api_versions_request *out, struct wire_in *in,
                       int16_t version)
{
    out->software_name = (struct text){NULL, -1};
    out->software_version = out->software_name;
    if (version >= 3) {
        out->software_name = in_text(in);
        out->software_version = in_text(in);
    }
    return finish(in);
}

bool read_metadata(struct metadata_request *out, struct wire_in *in,
                   struct arena *arena, int16_t version)
{
    size_t smallest = version >= 10 ? 18 : 2;
    int32_t i, total = 0;

    out->count = in_array(in, smallest, version >= 1);
    if (version == 0 && out->count == 0)
        out->count = -1;
    out->topics =
        take_items(in, arena, out->count, sizeof(*out->topics), &total);
    for (i = 0; i < out->count && !in->bad; i++) {
        if (version >= 10) {
            out->topics[i].id = in_uuid(in);
            out->topics[i].name = in_nullable_text(in);
        } else {
            out->topics[i].name = in_text(in);
        }
        in_tags(in);
    }
    out->auto_create = version >= 4 ? in_bool(in) : true;
    if (version >= 8 && version <= 10)
        in_bool(in); /* Operations on the cluster: there are none to tell. */
    if (version >= 8)
        in_bool(in);
    return finish(in);
}

static void read_produce_topic(struct produce_topic *out, struct wire_in *in,
                               struct arena *arena, int16_t version,
                               int32_t *total)
{
    int32_t i;

    read_topic_ref(&out->topic, in, version >= 13);
    out->count = in_array(in, in->flexible ? 6 : 8, false);
    out->partitions =
        take_items(in, arena, out->count, sizeof(*out->partitions), total);
    for (i = 0; i < out->count && !in->bad; i++) {
        out->partitions[i].index = in_i32(in);
        out->partitions[i].len = in_bytes(in, &out->partitions[i].records);
        in_tags(in);
    }
    in_tags(in);
}

bool read_produce(struct produce_request *out, struct wire_in *in,
                  struct arena *arena, int16_t version)
{
    int32_t i, total = 0;

    out->transactional_id = in_nullable_text(in);
    out->acks = in_i16(in);
    out->timeout_ms = in_i32(in);
    out->partitions = 0;
    out->count = in_array(in, in->flexible ? 3 : 6, false);
    out->topics =
        take_items(in, arena, out->count, sizeof(*out->topics), &total);
    for (i = 0; i < out->count && !in->bad; i++)
        read_produce_topic(&out->topics[i], in, arena, version,
                           &out->partitions);
    return finish(in);
}

static void read_fetch_topic(struct fetch_topic *out, struct wire_in *in,
                             struct arena *arena, int16_t version,
                             int32_t *total)
{
    struct fetch_partition *p;
    int32_t i;

    read_topic_ref(&out->topic, in, version >= 13);
    out->count = in_array(in, 16, false);
    out->partitions =
        take_items(in, arena, out->count, sizeof(*out->partitions), total);
    for (i = 0; i < out->count && !in->bad; i++) {
        p = &out->partitions[i];
        p->index = in_i32(in);
        p->leader_epoch = version >= 9 ? in_i32(in) : -1;
        p->offset = in_i64(in);
        if (version >= 12)
            in_i32(in); /* Epoch of the last record: there is one for ever. */
        if (version >= 5)
            in_i64(in); /* A follower's start offset. */
        p->max_bytes = in_i32(in);
        in_tags(in);
    }
    in_tags(in);
}

/* Topics that leave a fetch session; there are no sessions. */
static void skip_forgotten(struct wire_in *in, int16_t version)
{
    int32_t topics, partitions, i, k;
    struct topic_ref topic;

    topics = in_array(in, in->flexible ? 3 : 6, false);
    for (i = 0; i < topics && !in->bad; i++) {
        read_topic_ref(&topic, in, version >= 13);
        partitions = in_array(in, 4, false);
        for (k = 0; k < partitions && !in->bad; k++)
            in_i32(in);
        in_tags(in);
    }
}

bool read_fetch(struct fetch_request *out, struct wire_in *in,
                struct arena *arena, int16_t version)
{
    int32_t i, total = 0;

    if (version < 15)
        in_i32(in); /* A follower's id. */
    out->max_wait_ms = in_i32(in);
    out->min_bytes = in_i32(in);
    out->max_bytes = in_i32(in);
    out->isolation = in_i8(in);
    out->session_id = version >= 7 ? in_i32(in) : 0;
    out->session_epoch = version >= 7 ? in_i32(in) : -1;
    out->partitions = 0;
    out->count = in_array(in, in->flexible ? 3 : 6, false);
    out->topics =
        take_items(in, arena, out->count, sizeof(*out->topics), &total);
    for (i = 0; i < out->count && !in->bad; i++)
        read_fetch_topic(&out->topics[i], in, arena, version, &out->partitions);
    if (version >= 7)
        skip_forgotten(in, version);
    if (version >= 11)
        in_text(in); /* Rack. */
    return finish(in);
}

bool read_list_offsets(struct list_offsets_request *out, struct wire_in *in,
                       struct arena *arena, int16_t version)
{
    struct offset_topic *topic;
    int32_t i, k, total = 0;

    in_i32(in); /* A follower's id. */
    out->isolation = version >= 2 ? in_i8(in) : 0;
    out->partitions = 0;
    out->count = in_array(in, in->flexible ? 3 : 6, false);
    out->topics =
        take_items(in, arena, out->count, sizeof(*out->topics), &total);
    for (i = 0; i < out->count && !in->bad; i++) {
        topic = &out->topics[i];
        read_topic_ref(&topic->topic, in, false);
        topic->count = in_array(in, 12, false);
        topic->partitions =
            take_items(in, arena, topic->count, sizeof(*topic->partitions),
                       &out->partitions);
        for (k = 0; k < topic->count && !in->bad; k++) {
            topic->partitions[k].index = in_i32(in);
            topic->partitions[k].leader_epoch = version >= 4 ? in_i32(in) : -1;
            topic->partitions[k].timestamp = in_i64(in);
            in_tags(in);
        }
        in_tags(in);
    }
    if (version >= 10)
        in_i32(in); /* Timeout. */
    return finish(in);
}

static void read_assignments(struct new_topic *out, struct wire_in *in,
                             struct arena *arena, int32_t *total)
{
    struct new_assignment *a;
    int32_t i, k;

    out->assignment_count = in_array(in, in->flexible ? 6 : 8, false);
    out->assignments = take_items(in, arena, out->assignment_count,
                                  sizeof(*out->assignments), total);
    for (i = 0; i < out->assignment_count && !in->bad; i++) {
        a = &out->assignments[i];
        a->partition = in_i32(in);
        a->count = in_array(in, 4, false);
        a->brokers =
            take_items(in, arena, a->count, sizeof(*a->brokers), total);
        for (k = 0; k < a->count && !in->bad; k++)
            a->brokers[k] = in_i32(in);
        in_tags(in);
    }
}

static void read_new_topic(struct new_topic *out, struct wire_in *in,
                           struct arena *arena, int32_t *total)
{
    int32_t i;

    out->name = in_text(in);
    out->partitions = in_i32(in);
    out->replication = in_i16(in);
    read_assignments(out, in, arena, total);
    out->config_count = in_array(in, in->flexible ? 3 : 4, false);
    out->configs =
        take_items(in, arena, out->config_count, sizeof(*out->configs), total);
    for (i = 0; i < out->config_count && !in->bad; i++) {
        out->configs[i].name = in_text(in);
        out->configs[i].value = in_nullable_text(in);
        in_tags(in);
    }
    in_tags(in);
}

bool read_create_topics(struct create_topics_request *out, struct wire_in *in,
                        struct arena *arena, int16_t version)
{
    int32_t i, total = 0;

    out->count = in_array(in, in->flexible ? 10 : 16, false);
    if (out->count > CREATE_MAX)
        in->bad = true;
    out->topics =
        take_items(in, arena, out->count, sizeof(*out->topics), &total);
    for (i = 0; i < out->count && !in->bad; i++)
        read_new_topic(&out->topics[i], in, arena, &total);
    out->timeout_ms = in_i32(in);
    out->validate_only = version >= 1 ? in_bool(in) : false;
    return finish(in);
}

bool read_delete_topics(struct delete_topics_request *out, struct wire_in *in,
                        struct arena *arena, int16_t version)
{
    int32_t i, total = 0;

    out->count = in_array(in, version >= 6 ? 18 : in->flexible ? 1 : 2, false);
    out->topics =
        take_items(in, arena, out->count, sizeof(*out->topics), &total);
    for (i = 0; i < out->count && !in->bad; i++) {
        out->topics[i].name = version >= 6 ? in_nullable_text(in) : in_text(in);
        if (version >= 6) {
            out->topics[i].id = in_uuid(in);
            in_tags(in);
        }
    }
    out->timeout_ms = in_i32(in);
    return finish(in);
}

bool read_init_producer(struct init_producer_request *out, struct wire_in *in,
                        int16_t version)
{
    out->transactional_id = in_nullable_text(in);
    out->timeout_ms = in_i32(in);
    out->producer_id = version >= 3 ? in_i64(in) : -1;
    out->producer_epoch = version >= 3 ? in_i16(in) : -1;
    return finish(in);
}
