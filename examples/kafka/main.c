/* SPDX-License-Identifier: Apache-2.0 */
/* weir-kafka: the Kafka protocol on streams.  Opens the node, loads the
 * topics, serves, and leaves everything tidy at the end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "log.h"
#include "options.h"
#include "server.h"

/* How long the end waits for what is under way in the node. */
#define SETTLE_NS (INT64_C(10) * 1000000000)
#define TURN_NS (INT64_C(100) * 1000000)

/* 16 bytes as 22 characters, as Kafka writes ids. */
static void write_id(const unsigned char id[16], char out[23])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                 "qrstuvwxyz0123456789-_";
    unsigned bits = 0, have = 0;
    size_t i, at = 0;

    for (i = 0; i < 16; i++) {
        bits = (bits << 8) | id[i];
        have += 8;
        while (have >= 6) {
            have -= 6;
            out[at++] = digits[(bits >> have) & 63];
        }
    }
    out[at++] = digits[(bits << (6 - have)) & 63];
    out[at] = 0;
}

/* 0, or the exit code. */
static int start(struct broker *broker, const struct options *options)
{
    struct weir_node_stat stat;
    struct weir_error err = {0};

    if (weir_open(&broker->node, options->config, &err) != 0) {
        log_line(WEIR_LOG_ERROR, "%s: %s", weir_error_name(err.code), err.text);
        return err.code == WEIR_EINVAL ? 2 : 1;
    }
    weir_node_stat_sync(broker->node, &stat);
    broker->node_id = (int32_t)stat.node_id;
    cluster_init(&broker->cluster, broker);
    if (topics_load(broker, &err) != 0) {
        log_line(WEIR_LOG_ERROR, "%s: %s", weir_error_name(err.code), err.text);
        return 1;
    }
    write_id(stat.cluster, broker->cluster_id);
    log_line(WEIR_LOG_INFO, "node %d of cluster %s, %zu topics",
             broker->node_id, broker->cluster_id, broker->topics.count);
    return 0;
}

static void flushed(struct weir_req *req, int status)
{
    struct broker *broker = req->ctx;

    broker->pending--;
    broker_note_node(broker, status, "upload");
}

/* Others have the partitions by now: what is in the log is theirs too. */
static void flush(struct broker *broker, struct weir_flush *request)
{
    request->req.done = flushed;
    request->req.ctx = broker;
    if (broker->cluster.count > 1 && !broker->failed &&
        weir_flush(broker->node, request) == 0)
        broker->pending++;
}

static void wait_for_pending(struct broker *broker, uint64_t until)
{
    while (broker->pending > 0 && uv_hrtime() < until)
        if (weir_poll(broker->node, TURN_NS) < 0)
            break;
}

/* Write a snapshot of the producers of every partition, so that the next
 * start reads little, and wait for what is under way. */
static void settle(struct broker *broker)
{
    uint64_t until = uv_hrtime() + (uint64_t)SETTLE_NS;
    static struct weir_flush request;
    struct list *node;
    struct topic *topic;
    int32_t i;

    for (node = broker->topics.all.next;
         !broker->failed && node != &broker->topics.all; node = node->next) {
        topic = container_of(node, struct topic, link);
        for (i = 0; i < topic->count; i++)
            partition_save(&topic->partitions[i]);
    }
    wait_for_pending(broker, until);
    flush(broker, &request);
    wait_for_pending(broker, until);
}

static int run(struct broker *broker, struct options *options)
{
    struct weir_error err = {0};
    int code = start(broker, options);

    if (code != 0)
        return code;
    code = server_run(broker, options->listen_host, options->listen_port);
    settle(broker);
    if (weir_close(broker->node, &err) != 0 && !broker->failed) {
        log_line(WEIR_LOG_ERROR, "close: %s: %s", weir_error_name(err.code),
                 err.text);
        code = 1;
    }
    return code;
}

/* What is closed of 0, 1 and 2 must not become a log or a socket that a
 * message is then printed into: it fails as a closed one does. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    struct options options;
    struct broker *broker;
    int code;

    hold_standard_descriptors();
    memset(&options, 0, sizeof(options));
    switch (options_read(&options, argc, argv)) {
    case OPTIONS_RUN:
        break;
    case OPTIONS_DONE:
        options_free(&options);
        return 0;
    case OPTIONS_INVALID:
        options_free(&options);
        return 2;
    }
    broker = calloc(1, sizeof(*broker));
    if (broker == NULL || uv_loop_init(&broker->loop) != 0) {
        fputs("weir-kafka: out of memory\n", stderr);
        return 1;
    }
    weir_config_set_log(options.config, &stderr_log);
    broker->settings = options.settings;
    memcpy(broker->advertised_host, options.advertised_host,
           sizeof(broker->advertised_host));
    broker->advertised_port = options.advertised_port;
    budget_init(&broker->memory, (size_t)options.settings.memory_max);
    list_init(&broker->topics.all);
    producer_ids_init(&broker->producer_ids, broker);
    code = run(broker, &options);
    topics_free(&broker->topics);
    weir_free(broker->node);
    cluster_free(&broker->cluster);
    uv_loop_close(&broker->loop);
    options_free(&options);
    free(broker);
    return code;
}
