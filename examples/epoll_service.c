/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service with an event loop of its own, and a node in it.
 *
 *     epoll_service PORT STORE WAL
 *     epoll_service 7000 dir:data file:wal
 *
 * Each line that comes in on a connection is a record; the answer is the
 * offset that it has got, when it is durable.  One thread does everything:
 * the node's descriptor (weir_poll_fd) is one more in the epoll set, and
 * weir_poll runs what is due.  Nothing blocks.  A connection has one append
 * under way; those of all connections share the writes to the log.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir.h>

enum { LINE_MAX_BYTES = 64 << 10, CLIENTS = 1000, EVENTS = 64 };

/* A connection.  Its append reads from `buf`, which stays as it is until the
 * append has ended; so the connection outlives its socket if need be. */
struct client {
    struct weir_append append; /* First: a request is its client. */
    struct weir_error err;
    int slot;      /* In `clients`. */
    int fd;        /* -1: gone. */
    int appending; /* The library has `append`. */
    size_t len;    /* Bytes in `buf`. */
    char buf[LINE_MAX_BYTES];
};

static int epoll_fd, listen_fd, signal_fd;
static struct client *clients[CLIENTS];
static struct weir *node;
static struct weir_stream *stream;

static int watch(int op, int fd, unsigned events, void *ptr)
{
    struct epoll_event event = {.events = events, .data.ptr = ptr};

    return epoll_ctl(epoll_fd, op, fd, &event);
}

/* ---- Connections --------------------------------------------------------- */

static void hang_up(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd); /* It leaves the epoll set by itself. */
    c->fd = -1;
    if (c->appending)
        return; /* `appended` comes back here. */
    clients[c->slot] = NULL;
    free(c);
}

/* A client that does not read its answers is not waited for. */
static int answer(struct client *c, const char *text)
{
    size_t len = strlen(text);

    if (send(c->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
        return 1;
    hang_up(c);
    return 0;
}

static void next_line(struct client *c);

/* Runs inside of weir_poll. */
static void appended(struct weir_req *req, int status)
{
    struct client *c = (struct client *)(void *)req;
    size_t line = c->append.len + 1;
    char text[400];

    c->appending = 0;
    if (c->fd < 0) {
        hang_up(c);
        return;
    }
    if (status == 0)
        snprintf(text, sizeof(text), "%llu\n",
                 (unsigned long long)c->append.base_offset);
    else
        snprintf(text, sizeof(text), "error %s: %s\n", weir_error_name(status),
                 c->err.text);
    if (!answer(c, text))
        return;
    c->len -= line;
    memmove(c->buf, c->buf + line, c->len);
    next_line(c);
}

/* Append the line that has come, or wait for the rest of it. */
static void next_line(struct client *c)
{
    char *end = memchr(c->buf, '\n', c->len);
    int rc;

    if (end == NULL && c->len == sizeof(c->buf)) {
        if (answer(c, "error: the line is too long\n"))
            hang_up(c);
        return;
    }
    watch(EPOLL_CTL_MOD, c->fd, end == NULL ? EPOLLIN : 0, c);
    if (end == NULL)
        return;
    c->append = (struct weir_append){
        .req = {.done = appended, .err = &c->err},
        .data = c->buf,
        .len = (size_t)(end - c->buf),
        .count = 1,
        .flags = WEIR_APPEND_WAIT, /* A full log slows clients down. */
        .max_timestamp = WEIR_NO_TIMESTAMP};
    c->appending = 1;
    rc = weir_append(stream, &c->append);
    if (rc == 0)
        return;
    c->appending = 0; /* Refused: `appended` will not run. */
    if (answer(c, "error: an empty line is no record\n"))
        hang_up(c);
}

static void readable(struct client *c, unsigned events)
{
    ssize_t n;

    if (c->appending) { /* Not asked for, so it is a hang-up. */
        hang_up(c);
        return;
    }
    n = read(c->fd, c->buf + c->len, sizeof(c->buf) - c->len);
    if (n > 0) {
        c->len += (size_t)n;
        next_line(c);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR) ||
               (events & EPOLLERR) != 0) {
        hang_up(c);
    }
}

static void welcome(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *c = NULL;
    int slot = 0;

    if (fd < 0)
        return;
    while (slot < CLIENTS && clients[slot] != NULL)
        slot++;
    if (slot < CLIENTS)
        c = calloc(1, sizeof(*c));
    if (c == NULL) {
        close(fd); /* Full. */
        return;
    }
    c->fd = fd;
    c->slot = slot;
    clients[slot] = c;
    if (watch(EPOLL_CTL_ADD, fd, EPOLLIN, c) != 0)
        hang_up(c);
}

/* ---- The loop ------------------------------------------------------------ */

static void serve(void)
{
    struct epoll_event events[EVENTS];
    int n, i;

    for (;;) {
        n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (i = 0; i < n; i++) {
            void *what = events[i].data.ptr;

            if (what == &signal_fd)
                return;
            if (what == &listen_fd)
                welcome();
            else if (what != &node)
                readable(what, events[i].events);
        }
        /* After the sockets: it may free clients that have hung up. */
        weir_poll(node, 0);
    }
}

static int open_node(const char *store, const char *wal)
{
    struct weir_error err = {0};
    struct weir_stream_open open = {
        .req.err = &err, .name = "lines", .flags = WEIR_STREAM_CREATE};
    struct weir_config *config;
    int ok = weir_config_new(&config, NULL) == 0 &&
             weir_config_set(config, "store", store, &err) == 0 &&
             weir_config_set(config, "wal", wal, &err) == 0 &&
             weir_open(&node, config, &err) == 0 &&
             weir_stream_open_sync(node, &open) == 0;

    if (!ok)
        fprintf(stderr, "epoll_service: %s: %s\n", weir_error_name(err.code),
                err.text);
    stream = open.stream;
    weir_config_free(config);
    return ok;
}

/* The port, or 0. */
static unsigned open_sockets(unsigned short port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(at);
    sigset_t set;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (signal_fd < 0 || epoll_fd < 0 || listen_fd < 0 ||
        setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &(int){1},
                   sizeof(int)) != 0 ||
        bind(listen_fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(listen_fd, 64) != 0 ||
        getsockname(listen_fd, (struct sockaddr *)&at, &len) != 0 ||
        watch(EPOLL_CTL_ADD, signal_fd, EPOLLIN, &signal_fd) != 0 ||
        watch(EPOLL_CTL_ADD, listen_fd, EPOLLIN, &listen_fd) != 0) {
        fprintf(stderr, "epoll_service: 127.0.0.1:%u: %s\n", port,
                strerror(errno));
        return 0;
    }
    return ntohs(at.sin_port);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    unsigned long port = argc == 4 ? strtoul(argv[1], &end, 10) : 0;
    int ok;

    if (argc != 4 || *argv[1] == '\0' || *end != '\0' || port > 65535) {
        fputs("usage: epoll_service PORT STORE WAL\n", stderr);
        return 2;
    }
    port = open_sockets((unsigned short)port);
    ok = port != 0 && open_node(argv[2], argv[3]) &&
         watch(EPOLL_CTL_ADD, weir_poll_fd(node), EPOLLIN, &node) == 0;
    if (ok) {
        printf("listening on 127.0.0.1:%lu\n", port);
        fflush(stdout);
        serve();
    }
    for (int slot = 0; slot < CLIENTS; slot++)
        if (clients[slot] != NULL)
            hang_up(clients[slot]);
    weir_free(node); /* Appends under way end first: `appended` runs. */
    return !ok;
}
