/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "broker.h"
#include "connection.h"
#include "log.h"

#define BACKLOG 511
#define SWEEP_MS 1000
/* How long a stop waits for clients to take their last responses. */
#define DRAIN_MS 5000
/* Rounds of the node in one turn of the loop: sockets want their turn too. */
#define ROUNDS 64

/* Lines in a second that clients cause. */
#define LINES_MAX 10u

/** The server. */
struct server {
    struct broker *broker;
    struct list connections;
    size_t count;
    uv_tcp_t listener;
    uv_poll_t node_poll;
    uv_prepare_t prepare;
    uv_timer_t sweep, deadline;
    uv_signal_t sigterm, sigint;
    bool deadline_over;
    uint64_t logged_ms;        /* When the present second of lines began, */
    unsigned logged, unlogged; /* lines in it, and those left out. */
};

struct broker *server_broker(struct server *server)
{
    return server->broker;
}

/* Who sends garbage shall not fill the disk with lines about it. */
bool server_may_log(struct server *server)
{
    uint64_t now = uv_now(&server->broker->loop);

    if (now - server->logged_ms >= 1000) {
        if (server->unlogged > 0)
            log_line(WEIR_LOG_INFO, "%u more lines of this kind",
                     server->unlogged);
        server->logged_ms = now;
        server->logged = 0;
        server->unlogged = 0;
    }
    if (server->logged++ < LINES_MAX)
        return true;
    server->unlogged++;
    return false;
}

void server_print_address(const struct sockaddr *name, char host[64],
                          int32_t *port)
{
    const void *any = name;

    host[0] = 0;
    *port = 0;
    if (name->sa_family == AF_INET) {
        const struct sockaddr_in *in = any;

        uv_ip4_name(in, host, 64);
        *port = ntohs(in->sin_port);
    } else if (name->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = any;

        uv_ip6_name(in6, host, 64);
        *port = ntohs(in6->sin6_port);
    }
}

bool server_admit(struct server *server, struct connection *connection)
{
    const struct settings *settings = &server->broker->settings;
    struct sockaddr_storage name;
    struct list *node;
    int len = sizeof(name);
    int64_t same = 0;
    int32_t port;

    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&name, &len) !=
        0)
        return false;
    server_print_address((const struct sockaddr *)&name, connection->peer,
                         &port);
    for (node = server->connections.next; node != &server->connections;
         node = node->next) {
        if (strcmp(container_of(node, struct connection, link)->peer,
                   connection->peer) == 0)
            same++;
    }
    if ((int64_t)server->count >= settings->connections_max ||
        same >= settings->connections_ip) {
        log_line(WEIR_LOG_DEBUG, "%s: refused: too many connections",
                 connection->peer);
        return false;
    }
    list_append(&server->connections, &connection->link);
    server->count++;
    return true;
}

void server_forget(struct server *server, struct connection *connection)
{
    if (!list_empty(&connection->link))
        server->count--;
    list_remove(&connection->link);
    free(connection);
}

static void accepted(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;

    if (status == 0)
        connection_open(server, listener);
    else
        log_line(WEIR_LOG_WARN, "accept: %s", uv_strerror(status));
}

static void stop(struct server *server);

/* Run what is due in the node, and hand out memory that was freed. */
static void turn(struct server *server)
{
    struct broker *broker = server->broker;
    int rounds = 0;

    while (weir_poll(broker->node, 0) > 0 && ++rounds < ROUNDS)
        continue;
    budget_wake(&broker->memory);
    if (broker->failed || broker->stopping)
        stop(server);
}

static void node_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    turn(poll->data);
}

/* Before the loop sleeps: what the last events have submitted goes out at
 * once, without a round through the descriptor. */
static void before_sleep(uv_prepare_t *prepare)
{
    turn(prepare->data);
}

static void swept(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now = uv_now(timer->loop);
    struct list *node, *next;

    for (node = server->connections.next; node != &server->connections;
         node = next) {
        next = node->next;
        connection_check(container_of(node, struct connection, link), now);
    }
}

static void signaled(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;

    log_line(WEIR_LOG_INFO, "signal %d: stopping", number);
    if (!server->broker->stopping)
        cluster_stop(&server->broker->cluster);
    server->broker->stopping = true;
    stop(server);
}

static void deadline_reached(uv_timer_t *timer)
{
    struct server *server = timer->data;

    server->deadline_over = true;
    stop(server);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Called again and again until all connections are gone; then the loop has
 * nothing left to wait for, and ends. */
static void stop(struct server *server)
{
    struct list *node, *next;
    struct connection *c;

    server->broker->stopping = true;
    if (!uv_is_closing((uv_handle_t *)&server->listener)) {
        close_handle((uv_handle_t *)&server->listener);
        close_handle((uv_handle_t *)&server->sweep);
        uv_timer_start(&server->deadline, deadline_reached, DRAIN_MS, 0);
    }
    for (node = server->connections.next; node != &server->connections;
         node = next) {
        next = node->next;
        c = container_of(node, struct connection, link);
        if (server->deadline_over || server->broker->failed)
            connection_close(c);
        else if (!c->draining)
            connection_drain(c);
    }
    if (server->count > 0)
        return;
    cluster_close(&server->broker->cluster);
    close_handle((uv_handle_t *)&server->deadline);
    close_handle((uv_handle_t *)&server->node_poll);
    close_handle((uv_handle_t *)&server->prepare);
    close_handle((uv_handle_t *)&server->sigterm);
    close_handle((uv_handle_t *)&server->sigint);
}

/* Address of a host by name or number.  Blocks; nothing is served yet. */
static int resolve(struct server *server, const char *host, int32_t port,
                   struct sockaddr_storage *out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    uv_getaddrinfo_t lookup;
    char service[8];
    int rc;

    snprintf(service, sizeof(service), "%d", port);
    rc = uv_getaddrinfo(&server->broker->loop, &lookup, NULL, host, service,
                        &hints);
    if (rc != 0)
        return rc;
    memset(out, 0, sizeof(*out));
    if (lookup.addrinfo->ai_addrlen <= sizeof(*out))
        memcpy(out, lookup.addrinfo->ai_addr, lookup.addrinfo->ai_addrlen);
    uv_freeaddrinfo(lookup.addrinfo);
    return 0;
}

static int listen_on(struct server *server, const char *host, int32_t port)
{
    struct sockaddr_storage name;
    struct sockaddr *any = (struct sockaddr *)&name;
    int len = sizeof(name), rc;
    char printed[64];

    rc = resolve(server, host, port, &name);
    if (rc == 0)
        rc = uv_tcp_bind(&server->listener, any, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&server->listener, BACKLOG, accepted);
    if (rc == 0)
        rc = uv_tcp_getsockname(&server->listener, any, &len);
    if (rc != 0) {
        log_line(WEIR_LOG_ERROR, "listen on %s:%d: %s", host, port,
                 uv_strerror(rc));
        return rc;
    }
    server_print_address(any, printed, &port);
    if (server->broker->advertised_port == 0)
        server->broker->advertised_port = port;
    snprintf(server->broker->listen_host, sizeof(server->broker->listen_host),
             "%s", printed);
    printf(strchr(printed, ':') != NULL ? "weir-kafka: listening on [%s]:%d\n"
                                        : "weir-kafka: listening on %s:%d\n",
           printed, port);
    fflush(stdout);
    return 0;
}

static int start(struct server *server)
{
    uv_loop_t *loop = &server->broker->loop;
    int fd = weir_poll_fd(server->broker->node), rc;

    if (fd < 0)
        return UV_EBADF;
    uv_tcp_init(loop, &server->listener);
    uv_timer_init(loop, &server->sweep);
    uv_timer_init(loop, &server->deadline);
    uv_prepare_init(loop, &server->prepare);
    uv_signal_init(loop, &server->sigterm);
    uv_signal_init(loop, &server->sigint);
    server->listener.data = server;
    server->node_poll.data = server;
    server->sweep.data = server;
    server->deadline.data = server;
    server->prepare.data = server;
    server->sigterm.data = server;
    server->sigint.data = server;
    rc = uv_poll_init(loop, &server->node_poll, fd);
    if (rc == 0)
        rc = uv_poll_start(&server->node_poll, UV_READABLE, node_ready);
    if (rc == 0)
        rc = uv_prepare_start(&server->prepare, before_sleep);
    if (rc == 0)
        rc = uv_timer_start(&server->sweep, swept, SWEEP_MS, SWEEP_MS);
    if (rc == 0)
        rc = uv_signal_start(&server->sigterm, signaled, SIGTERM);
    if (rc == 0)
        rc = uv_signal_start(&server->sigint, signaled, SIGINT);
    return rc;
}

/* One descriptor for each connection, and some for the node. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int server_run(struct broker *broker, const char *host, int32_t port)
{
    struct server server;
    int rc;

    memset(&server, 0, sizeof(server));
    server.broker = broker;
    list_init(&server.connections);
    raise_descriptors();
    signal(SIGPIPE, SIG_IGN);
    rc = start(&server);
    if (rc != 0) {
        log_line(WEIR_LOG_ERROR, "event loop: %s", uv_strerror(rc));
        return 1;
    }
    rc = listen_on(&server, host, port);
    if (rc == 0)
        cluster_start(&broker->cluster);
    else
        stop(&server);
    uv_run(&broker->loop, UV_RUN_DEFAULT);
    return rc == 0 && !broker->failed ? 0 : 1;
}
