/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata: who serves what. */
#include <string.h>

#include "broker.h"
#include "kafka_error.h"
#include "request.h"
#include "requests.h"

/* "Nobody asked for the operations that the client may do." */
#define NO_OPERATIONS INT32_MIN

struct metadata;

/** A topic that was asked for. */
struct wanted {
    struct topic_creation creation;
    struct metadata *metadata;
    struct topic *topic; /* With a reference, or NULL. */
    int16_t error;
};

/** A metadata request. */
struct metadata {
    struct request *request;
    struct metadata_request body;
    struct wanted *wanted;
    size_t left; /* Topics that are being created, and 1 for the start. */
};

static void write_broker(struct wire_out *out, const struct request *request,
                         int32_t id, const char *host, int32_t port)
{
    out_i32(out, id);
    out_string(out, host);
    out_i32(out, port);
    if (request->header.version >= 1)
        out_string(out, NULL); /* Rack. */
    out_tags(out);
}

/* Where the client is to find this server: where it came to, unless something
 * else is advertised. */
static void write_self(struct wire_out *out, const struct request *request)
{
    const struct broker *broker = request->broker;
    char host[64];
    int32_t port;

    request_local_address(request, host, &port);
    if (broker->advertised_host[0] != 0 || port == 0)
        port = broker->advertised_port;
    write_broker(
        out, request, broker->node_id,
        broker->advertised_host[0] != 0 ? broker->advertised_host : host, port);
}

static void write_brokers(struct wire_out *out, const struct request *request)
{
    const struct cluster *cluster = &request->broker->cluster;
    const struct peer *peer = cluster->peers;
    size_t i;

    out_array(out, (int32_t)cluster->count);
    for (i = 0; i < cluster->count; i++, peer++) {
        if (peer->id == request->broker->node_id)
            write_self(out, request);
        else
            write_broker(out, request, peer->id, peer->host, peer->port);
    }
}

static void write_partition(struct wire_out *out, int32_t index, int32_t node,
                            int16_t version)
{
    out_i16(out, 0);
    out_i32(out, index);
    out_i32(out, node);
    if (version >= 7)
        out_i32(out, 0); /* Leader epoch: one for ever. */
    out_array(out, 1);
    out_i32(out, node); /* Replicas, */
    out_array(out, 1);
    out_i32(out, node); /* those in sync, */
    if (version >= 5)
        out_array(out, 0); /* and those offline. */
    out_tags(out);
}

static void write_known(struct wire_out *out, const struct request *request,
                        struct topic *topic)
{
    int16_t version = request->header.version;
    int32_t i;

    out_i16(out, 0);
    out_string(out, topic->name);
    if (version >= 10)
        out_uuid(out, &topic->id);
    if (version >= 1)
        out_bool(out, false); /* Internal. */
    out_array(out, topic->count);
    for (i = 0; i < topic->count; i++)
        write_partition(out, i,
                        cluster_leader(&request->broker->cluster, topic, i),
                        version);
    if (version >= 8)
        out_i32(out, NO_OPERATIONS);
    out_tags(out);
}

static void write_unknown(struct wire_out *out, const struct request *request,
                          const struct topic_ref *ref, int16_t error)
{
    int16_t version = request->header.version;

    out_i16(out, error);
    if (ref->name.len >= 0)
        out_text(out, ref->name.data, (size_t)ref->name.len);
    else
        out_string(out, version < 12 ? "" : NULL);
    if (version >= 10)
        out_uuid(out, &ref->id);
    if (version >= 1)
        out_bool(out, false);
    out_array(out, 0);
    if (version >= 8)
        out_i32(out, NO_OPERATIONS);
    out_tags(out);
}

static void write_all(struct wire_out *out, const struct request *request)
{
    struct topics *topics = &request->broker->topics;
    struct list *node;

    out_array(out, (int32_t)topics->count);
    for (node = topics->all.next; node != &topics->all; node = node->next)
        write_known(out, request, container_of(node, struct topic, link));
}

static void write_wanted(struct wire_out *out, struct metadata *metadata)
{
    struct wanted *wanted;
    int32_t i;

    out_array(out, metadata->body.count);
    for (i = 0; i < metadata->body.count; i++) {
        wanted = &metadata->wanted[i];
        if (wanted->topic != NULL)
            write_known(out, metadata->request, wanted->topic);
        else
            write_unknown(out, metadata->request, &metadata->body.topics[i],
                          wanted->error);
        if (wanted->topic != NULL)
            topic_unref(wanted->topic);
    }
}

static void step(struct metadata *metadata)
{
    struct request *request = metadata->request;
    struct wire_out *out = &request->out;
    int16_t version = request->header.version;

    if (--metadata->left > 0)
        return;
    if (version >= 3)
        out_i32(out, 0);
    write_brokers(out, request);
    if (version >= 2)
        out_string(out, request->broker->cluster_id);
    if (version >= 1)
        out_i32(out, request->broker->cluster.peers[0].id); /* Controller. */
    if (metadata->body.count < 0)
        write_all(out, request);
    else
        write_wanted(out, metadata);
    if (version >= 8 && version <= 10)
        out_i32(out, NO_OPERATIONS);
    if (version >= 13)
        out_i16(out, 0);
    out_tags(out);
    request_finish(request);
}

static void found(struct wanted *wanted, struct topic *topic)
{
    wanted->topic = topic;
    wanted->error = 0;
    topic_ref(topic);
}

static void created(struct topic_creation *creation, int16_t error)
{
    struct wanted *wanted = container_of(creation, struct wanted, creation);
    struct metadata *metadata = wanted->metadata;
    struct topic *topic;

    topic = topics_find(&metadata->request->broker->topics, creation->name);
    if (topic != NULL) /* It may be another client who has created it. */
        found(wanted, topic);
    else if (error == KAFKA_TOPIC_ALREADY_EXISTS)
        wanted->error = KAFKA_LEADER_NOT_AVAILABLE;
    else
        wanted->error = error;
    step(metadata);
}

static void look_up(struct metadata *metadata, int32_t i)
{
    struct broker *broker = metadata->request->broker;
    const struct topic_ref *ref = &metadata->body.topics[i];
    struct wanted *wanted = &metadata->wanted[i];
    struct topic *topic;

    topic = topics_find_ref(&broker->topics, ref->name, &ref->id);
    if (topic != NULL) {
        found(wanted, topic);
        return;
    }
    wanted->error = ref->name.len < 0 ? KAFKA_UNKNOWN_TOPIC_ID
                                      : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (ref->name.len >= 0 && !topic_name_valid(ref->name))
        wanted->error = KAFKA_INVALID_TOPIC_EXCEPTION;
    else if (ref->name.len >= 0 && metadata->body.auto_create &&
             broker->settings.auto_create != 0 && !broker->stopping) {
        wanted->metadata = metadata;
        wanted->creation.name = ref->name;
        wanted->creation.partitions = (int32_t)broker->settings.num_partitions;
        wanted->creation.done = created;
        metadata->left++;
        topics_create(broker, &wanted->creation);
    }
}

void handle_metadata(struct request *request)
{
    struct metadata *metadata = request_take(request, 1, sizeof(*metadata));
    int32_t i, count;

    if (metadata == NULL ||
        !read_metadata(&metadata->body, &request->in, &request->arena,
                       request->header.version)) {
        request_refuse(request);
        return;
    }
    count = metadata->body.count < 0 ? 0 : metadata->body.count;
    metadata->request = request;
    metadata->left = 1;
    metadata->wanted =
        request_take(request, (size_t)count + 1, sizeof(*metadata->wanted));
    if (metadata->wanted == NULL) {
        request_refuse(request);
        return;
    }
    for (i = 0; i < count; i++)
        look_up(metadata, i);
    step(metadata);
}
