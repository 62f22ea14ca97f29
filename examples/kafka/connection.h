/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Connections: bytes to requests, responses to bytes.
 *
 * Responses leave in the order of the requests, and a connection has one
 * request under way at a time, as with Kafka; but produce requests that
 * follow each other are started as they arrive, so that their batches share
 * a write of the log.  While a request waits for its turn, nothing more is
 * read: that is how a client is slowed down.
 */
#ifndef KAFKA_CONNECTION_H
#define KAFKA_CONNECTION_H

#include "budget.h"
#include "request.h"

#include <uv.h>

struct server;

/** A connection. */
struct connection {
    uv_tcp_t tcp;
    struct list link; /* In the server. */
    struct server *server;
    struct broker *broker;
    char peer[64];

    /* Being read: the length, then as many bytes. */
    unsigned char length[4];
    size_t length_got;
    unsigned char *frame;
    size_t frame_len, frame_got, frame_room;
    size_t trusted; /* A request of this size has come already. */
    struct budget_wait wait;

    struct list requests; /* Started, in order; not answered yet. */
    unsigned started;
    size_t started_bytes;
    struct request *held; /* Read, and waiting for its turn. */

    uv_write_t write;
    bool writing, reading, closing, closed, running, again, draining;
    uint64_t active_ms; /* When bytes moved last. */
    size_t queued;      /* Bytes that the socket did not take by then. */
};

/** Accept a connection.  Returns false if it could not be. */
bool connection_open(struct server *server, uv_stream_t *listener);
/** Close it; requests under way are cancelled. */
void connection_close(struct connection *connection);
/** Answer what is under way, then close. */
void connection_drain(struct connection *connection);
/** Close it if nothing has moved for too long. */
void connection_check(struct connection *connection, uint64_t now_ms);

#endif
