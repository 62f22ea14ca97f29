/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "log.h"
#include "placement.h"

#define PREFIX "kafka/broker/"
#define TICK_MS 1000
#define PAGE 64u

void cluster_init(struct cluster *cluster, struct broker *broker)
{
    memset(cluster, 0, sizeof(*cluster));
    cluster->broker = broker;
    cluster->peers[0].id = broker->node_id;
    cluster->count = 1;
    cluster->view = 1;
    takeovers_init(&cluster->takeovers, broker);
    cluster->rows = calloc(PAGE, sizeof(*cluster->rows));
}

/* ---- Who is there ---------------------------------------------------------
 */

static size_t find(const struct cluster *cluster, int32_t id)
{
    size_t i = 0;

    while (i < cluster->count && cluster->peers[i].id < id)
        i++;
    return i;
}

bool cluster_knows(const struct cluster *cluster, uint32_t id)
{
    size_t i = find(cluster, (int32_t)id);

    return i < cluster->count && (uint32_t)cluster->peers[i].id == id;
}

static void add(struct cluster *cluster, const struct peer *peer)
{
    size_t i = find(cluster, peer->id);

    if (i < cluster->count && cluster->peers[i].id == peer->id) {
        cluster->peers[i] = *peer;
        return;
    }
    if (cluster->count == CLUSTER_MAX) {
        log_line(WEIR_LOG_ERROR, "more than %d servers: %d is left out",
                 CLUSTER_MAX, peer->id);
        return;
    }
    memmove(&cluster->peers[i + 1], &cluster->peers[i],
            (cluster->count - i) * sizeof(*peer));
    cluster->peers[i] = *peer;
    cluster->count++;
    cluster->view++;
    log_line(WEIR_LOG_INFO, "server %d is there, at %s:%d", peer->id,
             peer->host, peer->port);
}

static void drop(struct cluster *cluster, int32_t id)
{
    size_t i = find(cluster, id);

    if (i == cluster->count || cluster->peers[i].id != id ||
        id == cluster->broker->node_id)
        return;
    cluster->count--;
    memmove(&cluster->peers[i], &cluster->peers[i + 1],
            (cluster->count - i) * sizeof(cluster->peers[0]));
    cluster->view++;
    log_line(WEIR_LOG_INFO, "server %d is gone", id);
}

/* HOST PORT, with a space between them. */
static bool read_peer(struct peer *peer, const struct weir_kv_pair *pair)
{
    const char *value = pair->value, *space;
    char port[8];
    int64_t number;
    size_t len;

    space = memchr(value, ' ', pair->len);
    if (space == NULL || space == value || space - value > 255)
        return false;
    len = pair->len - (size_t)(space - value) - 1;
    if (len == 0 || len >= sizeof(port))
        return false;
    memcpy(peer->host, value, (size_t)(space - value));
    peer->host[space - value] = 0;
    memcpy(port, space + 1, len);
    port[len] = 0;
    if (!parse_number(port, 1, 65535, &number))
        return false;
    peer->port = (int32_t)number;
    return true;
}

static int broker_changed(struct weir_kv_watch *watch,
                          const struct weir_kv_pair *pair)
{
    struct cluster *cluster = container_of(watch, struct cluster, brokers);
    struct peer peer;
    int64_t id;

    memset(&peer, 0, sizeof(peer));
    if (!parse_number(pair->key + strlen(PREFIX), 1, INT32_MAX, &id) ||
        id == cluster->broker->node_id)
        return 0;
    peer.id = (int32_t)id;
    if (pair->value == NULL)
        drop(cluster, peer.id);
    else if (read_peer(&peer, pair))
        add(cluster, &peer);
    return 0;
}

static int topic_changed(struct weir_kv_watch *watch,
                         const struct weir_kv_pair *pair)
{
    struct cluster *cluster = container_of(watch, struct cluster, topics);

    topics_heard(cluster->broker, pair);
    return 0;
}

static void watch_ended(struct weir_req *req, int status)
{
    struct cluster *cluster = req->ctx;

    if (status != WEIR_ECLOSED)
        broker_note_node(cluster->broker, status, "watch");
}

/* ---- Where partitions belong ---------------------------------------------
 */

static uint64_t seed_of(const struct topic *topic)
{
    uint64_t seed;

    memcpy(&seed, topic->id.bytes, sizeof(seed));
    return seed;
}

static bool place(struct cluster *cluster, struct topic *topic)
{
    int32_t ids[CLUSTER_MAX];
    size_t load[CLUSTER_MAX], i;

    if (topic->leaders == NULL)
        topic->leaders = calloc((size_t)topic->count, sizeof(*topic->leaders));
    if (topic->leaders == NULL)
        return false;
    for (i = 0; i < cluster->count; i++)
        ids[i] = cluster->peers[i].id;
    placement_make(seed_of(topic), ids, cluster->count, topic->leaders,
                   (size_t)topic->count, load);
    topic->view = cluster->view;
    return true;
}

int32_t cluster_leader(struct cluster *cluster, struct topic *topic,
                       int32_t partition)
{
    if (cluster->count == 1)
        return cluster->broker->node_id;
    if (topic->view != cluster->view && !place(cluster, topic))
        return cluster->broker->node_id;
    return topic->leaders[partition];
}

/* ---- Partitions that are here and belong elsewhere ----------------------- */

static void settle_topic(struct cluster *cluster, struct topic *topic)
{
    struct partition *partition;
    int32_t i, leader;

    for (i = 0; i < topic->count; i++) {
        partition = &topic->partitions[i];
        leader = cluster_leader(cluster, topic, i);
        if (leader != cluster->broker->node_id)
            partition_leave(partition, (uint32_t)leader);
    }
}

static void look(struct cluster *cluster);

/* A stream of this node's that no partition has opened since the start. */
static void look_at(struct cluster *cluster, const char *name)
{
    struct partition *partition =
        topics_partition_of(&cluster->broker->topics, name);
    int32_t leader;

    if (partition == NULL)
        return;
    leader = cluster_leader(cluster, partition->topic, partition->index);
    if (leader != cluster->broker->node_id)
        partition_evict(partition, (uint32_t)leader);
}

static void looked(struct weir_req *req, int status)
{
    struct cluster *cluster = req->ctx;
    const struct weir_stream_stat *row;
    size_t i;

    cluster->broker->pending--;
    cluster->looking = false;
    for (i = 0; status == 0 && i < cluster->streams.count; i++) {
        row = &cluster->rows[i];
        memcpy(cluster->after, row->name, sizeof(cluster->after));
        if (row->owner == (uint32_t)cluster->broker->node_id)
            look_at(cluster, row->name);
    }
    if (status == 0 && cluster->streams.more && !cluster->broker->stopping)
        look(cluster);
}

static void look(struct cluster *cluster)
{
    struct weir_stream_list *list = &cluster->streams;

    memset(list, 0, sizeof(*list));
    list->req.done = looked;
    list->req.ctx = cluster;
    list->prefix = "kafka/";
    list->after = cluster->after[0] != 0 ? cluster->after : NULL;
    list->out = cluster->rows;
    list->limit = PAGE;
    if (cluster->rows == NULL ||
        weir_stream_list(cluster->broker->node, list) != 0)
        return;
    cluster->looking = true;
    cluster->broker->pending++;
}

static void settle(struct cluster *cluster)
{
    struct list *node = cluster->broker->topics.all.next;

    for (; node != &cluster->broker->topics.all; node = node->next)
        settle_topic(cluster, container_of(node, struct topic, link));
    if (cluster->looking)
        return;
    looks_begin(&cluster->looks, cluster->view);
    cluster->after[0] = 0;
    look(cluster);
}

/* ---- Life ---------------------------------------------------------------- */

static void put_done(struct weir_req *req, int status)
{
    struct cluster *cluster = req->ctx;

    cluster->putting = false;
    cluster->broker->pending--;
    broker_note_node(cluster->broker, status, "register the server");
}

/* Register this server, or (without an address) take it back. */
static void put(struct cluster *cluster, size_t len)
{
    struct weir_kv_put *request = &cluster->put;

    if (cluster->putting)
        return;
    memset(request, 0, sizeof(*request));
    request->req.done = put_done;
    request->req.ctx = cluster;
    request->key = cluster->key;
    request->value = len > 0 ? cluster->value : NULL;
    request->len = len;
    request->expected = WEIR_KV_ANY;
    request->flags = len > 0 ? WEIR_KV_NODE_LIFE : 0;
    if (weir_kv_put(cluster->broker->node, request) != 0)
        return;
    cluster->putting = true;
    cluster->broker->pending++;
}

/* A server that is alone, and was so before, asks nobody; but soon after it
 * came, and once behind each look. */
static bool asks(const struct cluster *cluster)
{
    const struct looks *looks = &cluster->looks;

    return cluster->count > 1 || looks->settled != cluster->view ||
           looks->age <= LOOKS_SOON || looks->quiet == 1;
}

/* A server that nobody asks learns here that its place was taken. */
static bool is_fenced(const struct cluster *cluster)
{
    struct weir_node_stat stat;

    return weir_node_stat_sync(cluster->broker->node, &stat) == 0 &&
           stat.fenced != 0;
}

static void tick(uv_timer_t *timer)
{
    struct cluster *cluster = timer->data;

    if (cluster->broker->stopping)
        return;
    if (is_fenced(cluster)) {
        broker_note_node(cluster->broker, WEIR_EFENCED, "this server");
        return;
    }
    if (looks_due(&cluster->looks, cluster->view))
        settle(cluster);
    takeovers_tick(&cluster->takeovers, asks(cluster));
}

static void watch(struct cluster *cluster, struct weir_kv_watch *request,
                  const char *prefix,
                  int (*changed)(struct weir_kv_watch *,
                                 const struct weir_kv_pair *))
{
    request->req.done = watch_ended;
    request->req.ctx = cluster;
    request->prefix = prefix;
    request->present = 1;
    request->changed = changed;
    weir_kv_watch(cluster->broker->node, request);
}

void cluster_start(struct cluster *cluster)
{
    struct broker *broker = cluster->broker;
    struct peer *self = &cluster->peers[find(cluster, broker->node_id)];
    int len;

    snprintf(self->host, sizeof(self->host), "%s",
             broker->advertised_host[0] != 0 ? broker->advertised_host
                                             : broker->listen_host);
    self->port = broker->advertised_port;
    snprintf(cluster->key, sizeof(cluster->key), PREFIX "%d", broker->node_id);
    len = snprintf(cluster->value, sizeof(cluster->value), "%s %d", self->host,
                   self->port);
    put(cluster, (size_t)len);
    watch(cluster, &cluster->brokers, PREFIX, broker_changed);
    watch(cluster, &cluster->topics, TOPIC_KEY, topic_changed);
    uv_timer_init(&broker->loop, &cluster->timer);
    cluster->timer.data = cluster;
    uv_timer_start(&cluster->timer, tick, TICK_MS, TICK_MS);
}

void cluster_stop(struct cluster *cluster)
{
    struct list *node = cluster->broker->topics.all.next;
    struct topic *topic;
    int32_t i;

    if (cluster->count == 1)
        return;
    put(cluster, 0);
    for (; node != &cluster->broker->topics.all; node = node->next) {
        topic = container_of(node, struct topic, link);
        for (i = 0; i < topic->count; i++)
            partition_leave(&topic->partitions[i], 0);
    }
}

void cluster_close(struct cluster *cluster)
{
    uv_handle_t *timer = (uv_handle_t *)&cluster->timer;

    if (timer->loop != NULL && !uv_is_closing(timer))
        uv_close(timer, NULL);
}

void cluster_free(struct cluster *cluster)
{
    takeovers_free(&cluster->takeovers);
    free(cluster->rows);
}
