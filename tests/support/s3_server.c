/* SPDX-License-Identifier: Apache-2.0 */
#include "support/s3_server_inside.h"

#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Bytes in and out ---------------------------------------------------- */

static int send_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n <= 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Hang up with a reset and not with an end. */
static void reset(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

/* Up to and with the empty line; one byte at a time is fast enough. */
static int read_head(int fd, struct request *r)
{
    size_t len = 0;

    while (len + 1 < sizeof(r->head)) {
        if (recv(fd, r->head + len, 1, 0) != 1)
            return -1;
        /* TLS, say: answer as servers of plain HTTP do. */
        if (len == 0 && (r->head[0] < 'A' || r->head[0] > 'Z')) {
            send_all(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
            return -1;
        }
        len++;
        r->head[len] = '\0';
        if (len >= 4 && memcmp(r->head + len - 4, "\r\n\r\n", 4) == 0)
            return s3_parse_head(r);
    }
    return -1;
}

static int read_body(int fd, struct request *r)
{
    char text[64];
    size_t at = 0;

    if (s3_header_of(r->head, "content-length", text, sizeof(text)))
        r->len = strtoul(text, NULL, 10);
    if (s3_header_of(r->head, "expect", text, sizeof(text)) &&
        r->fault.kind != S3_NO_CONTINUE && r->fault.kind != S3_MUTE_RESET &&
        send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 0)
        return -1;
    r->body = malloc(r->len + 1);
    while (at < r->len) {
        ssize_t n = recv(fd, r->body + at, r->len - at, 0);

        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    r->body[at] = '\0';
    return 0;
}

/* ---- Faults -------------------------------------------------------------- */

static void take_fault(struct s3_server *server, struct request *r)
{
    struct s3_fault *fault = &server->fault;
    int count = fault->count > 0 ? fault->count : 1;

    if (fault->kind == S3_FAULT_NONE ||
        (fault->method != NULL && strcmp(fault->method, r->method) != 0))
        return;
    if (server->seen >= fault->skip + count && fault->next != NULL) {
        *fault = *fault->next;
        server->seen = 0;
        take_fault(server, r);
        return;
    }
    if (server->seen >= fault->skip && server->seen < fault->skip + count)
        r->fault = *fault;
    server->seen++;
}

static void note_request(struct s3_server *server, struct request *r)
{
    pthread_mutex_lock(&server->lock);
    memcpy(server->last_head, r->head, sizeof(r->head));
    for (int i = 0; i < METHODS; i++) {
        if (server->methods[i].count == 0)
            memcpy(server->methods[i].method, r->method, sizeof(r->method));
        if (strcmp(server->methods[i].method, r->method) == 0) {
            server->methods[i].count++;
            break;
        }
    }
    take_fault(server, r);
    pthread_mutex_unlock(&server->lock);
}

/* The answer of the script instead of the one there is. */
void s3_replace_answer(const struct s3_fault *fault, struct answer *a)
{
    free(a->body);
    *a = (struct answer){.status = fault->status};
    if (fault->code != NULL)
        s3_refuse(a, fault->status, fault->code);
    if (fault->body != NULL) {
        free(a->body);
        a->body = (unsigned char *)strdup(fault->body);
        a->len = strlen(fault->body);
        a->told = a->len;
        a->header[0] = '\0';
    }
    if (fault->header != NULL)
        snprintf(a->header + strlen(a->header),
                 sizeof(a->header) - strlen(a->header), "%s\r\n",
                 fault->header);
}

/* Until the other side hangs up, or the server is stopped. */
static void wait_for_end(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0)
        ;
}

/* So long, or until the other side hangs up, or the server is stopped. */
static void wait_until_late(int fd, int ms)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};

    poll(&end, 1, ms);
}

static int send_headers(int fd, const struct answer *a)
{
    char head[512];

    snprintf(head, sizeof(head),
             "HTTP/1.1 %d scripted\r\n%sContent-Length: %zu\r\n"
             "x-amz-request-id: 1\r\n\r\n",
             a->status, a->header, a->told);
    return send_all(fd, head, strlen(head));
}

static int send_big_headers(int fd)
{
    char line[1024];

    if (send_all(fd, "HTTP/1.1 200 OK\r\n", 17) != 0)
        return -1;
    snprintf(line, sizeof(line), "X-Long: %01000d\r\n", 0);
    for (int i = 0; i < 100; i++)
        if (send_all(fd, line, strlen(line)) != 0)
            return -1;
    return send_all(fd, "Content-Length: 0\r\n\r\n", 21);
}

/* -1: hang up. */
static int send_answer(int fd, const struct request *r, struct answer *a)
{
    enum s3_fault_kind kind = r->fault.kind;
    size_t len = a->len;

    if (kind == S3_GARBAGE)
        return send_all(fd, "+OK this is no HTTP\r\n\r\n", 23) - 1;
    if (kind == S3_BIG_HEADERS)
        return send_big_headers(fd);
    if (kind == S3_FLIP && len > 0)
        a->body[len / 2] ^= 1;
    if (send_headers(fd, a) != 0)
        return -1;
    if (kind == S3_TRUNCATE)
        len -= (size_t)r->fault.cut;
    if (kind == S3_DRIP)
        len = 1;
    if (send_all(fd, a->body, len) != 0)
        return -1;
    if (kind == S3_DRIP)
        wait_for_end(fd);
    return kind == S3_TRUNCATE || kind == S3_DRIP ? -1 : 0;
}

/* ---- Connections --------------------------------------------------------- */

/* 0: the connection goes on. */
static int answer_request(struct s3_server *server, int fd, struct request *r)
{
    struct answer a = {0};
    enum s3_fault_kind kind = r->fault.kind;
    int rc;

    if (kind == S3_RESET_BEFORE) {
        reset(fd);
        return -1;
    }
    if (kind == S3_SILENT) {
        wait_for_end(fd);
        return -1;
    }
    if (kind == S3_DAMAGE && r->len > 0)
        r->body[r->len / 2] ^= 1;
    if (kind != S3_ANSWER) {
        pthread_mutex_lock(&server->lock);
        s3_act(server, r, &a);
        pthread_mutex_unlock(&server->lock);
    }
    if (kind == S3_ANSWER || kind == S3_ANSWER_AFTER)
        s3_replace_answer(&r->fault, &a);
    if (strcmp(r->method, "HEAD") == 0)
        a.len = 0;
    if (r->fault.late > 0)
        wait_until_late(fd, r->fault.late);
    if (kind == S3_RESET_AFTER || kind == S3_MUTE_RESET) {
        reset(fd);
        rc = -1;
    } else if (kind == S3_SILENT_AFTER) {
        wait_for_end(fd);
        rc = -1;
    } else {
        rc = send_answer(fd, r, &a);
    }
    free(a.body);
    return rc;
}

static int serve_one(struct s3_server *server, int fd)
{
    struct request *r = calloc(1, sizeof(*r));
    int rc = read_head(fd, r);

    if (rc == 0) {
        note_request(server, r);
        if (r->fault.kind == S3_CLOSE_EARLY) {
            reset(fd);
            rc = -1;
        } else {
            rc = read_body(fd, r);
        }
    }
    if (rc == 0)
        rc = answer_request(server, fd, r);
    free(r->body);
    free(r);
    return rc;
}

static void *serve(void *ctx)
{
    struct connection *connection = ctx;

    while (serve_one(connection->server, connection->fd) == 0)
        ;
    /* Only the end; the descriptor is closed by `s3_server_stop`. */
    shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void add_connection(struct s3_server *server, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->server = server;
    connection->fd = fd;
    pthread_mutex_lock(&server->lock);
    connection->next = server->connections;
    server->connections = connection;
    server->connection_count++;
    ck_assert_int_eq(
        pthread_create(&connection->thread, NULL, serve, connection), 0);
    if (server->stopping)
        shutdown(fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
}

static void *take_connections(void *ctx)
{
    struct s3_server *server = ctx;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0)
        add_connection(server, fd);
    return NULL;
}

struct s3_server *s3_server_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    struct s3_server *server = calloc(1, sizeof(*server));

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(server->listener, 0);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, len),
                     0);
    ck_assert_int_eq(listen(server->listener, 64), 0);
    ck_assert_int_eq(
        getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(server->endpoint, sizeof(server->endpoint), "http://127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    ck_assert_int_eq(
        pthread_create(&server->thread, NULL, take_connections, server), 0);
    return server;
}

void s3_server_stop(struct s3_server *server)
{
    struct connection *connection;

    pthread_mutex_lock(&server->lock);
    server->stopping = 1;
    for (connection = server->connections; connection != NULL;
         connection = connection->next)
        shutdown(connection->fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    while ((connection = server->connections) != NULL) {
        server->connections = connection->next;
        pthread_join(connection->thread, NULL);
        close(connection->fd);
        free(connection);
    }
    close(server->listener);
    s3_objects_free(&server->objects);
    s3_objects_free(&server->uploads);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *s3_server_endpoint(const struct s3_server *server)
{
    return server->endpoint;
}

void s3_server_fault(struct s3_server *server, const struct s3_fault *fault)
{
    pthread_mutex_lock(&server->lock);
    server->fault = fault != NULL ? *fault : (struct s3_fault){0};
    server->seen = 0;
    pthread_mutex_unlock(&server->lock);
}

void s3_server_believe(struct s3_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->believes = 1;
    pthread_mutex_unlock(&server->lock);
}

int s3_server_requests(struct s3_server *server, const char *method)
{
    int count = 0;

    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < METHODS; i++)
        if (method == NULL || strcmp(server->methods[i].method, method) == 0)
            count += server->methods[i].count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

int s3_server_connections(struct s3_server *server)
{
    int count;

    pthread_mutex_lock(&server->lock);
    count = server->connection_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

void s3_server_header(struct s3_server *server, const char *name, char *out,
                      size_t room)
{
    pthread_mutex_lock(&server->lock);
    s3_header_of(server->last_head, name, out, room);
    pthread_mutex_unlock(&server->lock);
}

long s3_server_size(struct s3_server *server, const char *key)
{
    struct s3_object *object;
    long size;

    pthread_mutex_lock(&server->lock);
    object = s3_objects_find(&server->objects, key);
    size = object != NULL ? (long)object->len : -1;
    pthread_mutex_unlock(&server->lock);
    return size;
}

int s3_server_uploads(struct s3_server *server)
{
    int count;

    pthread_mutex_lock(&server->lock);
    count = (int)server->uploads.count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

void s3_server_store(struct s3_server *server, const char *key,
                     const void *data, size_t len)
{
    pthread_mutex_lock(&server->lock);
    s3_objects_put(&server->objects, key, data, len);
    pthread_mutex_unlock(&server->lock);
}
