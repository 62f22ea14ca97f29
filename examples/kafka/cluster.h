/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The servers of one cluster.
 *
 * Each server keeps the key `kafka/broker/ID` with its address as long as it
 * lives.  All watch these keys, and place the partitions on those that are
 * there (placement.h): no server is more than another.  A partition that
 * belongs elsewhere is handed over; a dead server is taken over by a live one
 * (takeovers.h).
 */
#ifndef KAFKA_CLUSTER_H
#define KAFKA_CLUSTER_H

#include <uv.h>
#include <weir/cluster.h>
#include <weir/kv.h>

#include "list.h"
#include "looks.h"
#include "takeovers.h"

struct broker;
struct topic;

/** Most servers of a cluster. */
#define CLUSTER_MAX 256

/** A server. */
struct peer {
    int32_t id;
    int32_t port;
    char host[256];
};

/** The servers, as this one sees them. */
struct cluster {
    struct broker *broker;
    struct peer peers[CLUSTER_MAX]; /* By id; this one is always there. */
    size_t count;
    uint64_t view; /* Counts changes. */

    struct weir_kv_watch brokers, topics;
    struct weir_kv_put put;
    struct takeovers takeovers;
    struct weir_stream_list streams;
    struct weir_stream_stat *rows;
    char after[256];
    char key[32], value[272];
    uv_timer_t timer;
    struct looks looks; /* For partitions that belong elsewhere. */
    bool putting, looking;
};

/** This server alone, until others are heard of. */
void cluster_init(struct cluster *cluster, struct broker *broker);
/** The server listens: let the others know, and hear of them. */
void cluster_start(struct cluster *cluster);
/** The server stops: let the others have its partitions.  What it waits for
 * counts as pending. */
void cluster_stop(struct cluster *cluster);
/** Close the timer. */
void cluster_close(struct cluster *cluster);
/** Free what it holds; the node is closed. */
void cluster_free(struct cluster *cluster);

/** 1 if the node is one of the servers, and not a program's. */
bool cluster_knows(const struct cluster *cluster, uint32_t id);

/** Id of the server that leads a partition. */
int32_t cluster_leader(struct cluster *cluster, struct topic *topic,
                       int32_t partition);

#endif
