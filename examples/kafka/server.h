/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The event loop: sockets, signals, and the node.
 *
 * libuv, not epoll by hand: timers, signals, writes that are continued later
 * and accept under a shortage of descriptors are all there and all tested,
 * and its loop takes the node's descriptor like any other.
 */
#ifndef KAFKA_SERVER_H
#define KAFKA_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct broker;
struct connection;
struct server;
struct sockaddr;

/**
 * Serve until a signal ends it or the node fails.
 *
 * Prints one line to standard output when it listens.
 *
 * @param broker  Broker with an open node and an initialised loop.
 * @param host    Address to listen on.
 * @param port    Port; 0 for any that is free.
 * @return the exit code of the program.
 */
int server_run(struct broker *broker, const char *host, int32_t port);

/* For connection.c. */
struct broker *server_broker(struct server *server);
/** May this connection stay?  If so, it is one of the server's. */
bool server_admit(struct server *server, struct connection *connection);
/** A connection is closed, and nothing uses it: free it. */
void server_forget(struct server *server, struct connection *connection);
/** May a line be logged that clients cause?  Not many in a second. */
bool server_may_log(struct server *server);
/** Address as text. */
void server_print_address(const struct sockaddr *name, char host[64],
                          int32_t *port);

#endif
