/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The broker: what the APIs work on, without sockets.
 *
 * All of it runs on one thread, that of the event loop, which drives the
 * node too; so nothing here takes locks, and everything that can wait is
 * asynchronous.
 */
#ifndef KAFKA_BROKER_H
#define KAFKA_BROKER_H

#include <uv.h>
#include <weir.h>

#include "budget.h"
#include "cluster.h"
#include "producer_ids.h"
#include "settings.h"
#include "topics.h"

/** The broker. */
struct broker {
    uv_loop_t loop;
    struct weir *node;
    struct settings settings;
    struct budget memory;
    struct topics topics;
    struct producer_ids producer_ids;
    char cluster_id[23]; /* As Kafka writes ids: base64url. */
    int32_t node_id;
    struct cluster cluster;
    char listen_host[256];
    char advertised_host[256]; /* "": the address that the client reached. */
    int32_t advertised_port;
    uint64_t marks;
    size_t pending; /* Requests to the node that the shutdown waits for. */
    bool failed;    /* The node takes no more writes: end the process. */
    bool stopping;
};

/** Milliseconds since 1970. */
int64_t broker_wall_ms(void);

/** A number that no other request of this process has. */
uint64_t broker_mark(struct broker *broker);

/**
 * A request on a stream has ended with `status`.  Notes if the node is beyond
 * repair.
 */
void broker_note(struct broker *broker, int status, const char *what);

/** The same for a request on the node, which is fenced as a whole or not. */
void broker_note_node(struct broker *broker, int status, const char *what);

#endif
