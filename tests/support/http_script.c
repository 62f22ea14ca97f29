/* SPDX-License-Identifier: Apache-2.0 */
#include "support/http_script.h"

#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_ROOM = 65536 };

struct http_script {
    char url[64];
    struct http_line *lines;
    int listener;
    int requests; /* Atomic. */
    int stream;   /* Atomic; -1: none. */
    pthread_t thread;
    char request[REQUEST_ROOM];
};

/* The whole request, its body too; 0: hang up. */
static int read_request(struct http_script *s, int fd)
{
    size_t len = 0;

    while (len + 1 < REQUEST_ROOM) {
        ssize_t n = recv(fd, s->request + len, REQUEST_ROOM - 1 - len, 0);
        const char *end;
        const char *length;
        size_t body = 0;

        /* TLS begins so: many hang up on it. */
        if (n <= 0 || (unsigned char)s->request[0] == 0x16)
            return 0;
        len += (size_t)n;
        s->request[len] = '\0';
        end = strstr(s->request, "\r\n\r\n");
        if (end == NULL)
            continue;
        length = strcasestr(s->request, "\r\ncontent-length:");
        if (length != NULL && length < end)
            body = strtoul(length + 17, NULL, 10);
        if (len >= (size_t)(end + 4 - s->request) + body)
            return 1;
    }
    return 0;
}

static void answer(int fd, int status, const char *body)
{
    char head[200];

    snprintf(head, sizeof(head),
             "HTTP/1.1 %d scripted\r\nContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n",
             status, strlen(body));
    (void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
    (void)!send(fd, body, strlen(body), MSG_NOSIGNAL);
}

static void begin_stream(struct http_script *s, int fd, const char *body)
{
    static const char head[] = "HTTP/1.1 200 scripted\r\n"
                               "Connection: close\r\n\r\n";
    /* Who gets the answer finds the stream. */
    int old = __atomic_exchange_n(&s->stream, dup(fd), __ATOMIC_ACQ_REL);

    if (old >= 0)
        close(old);
    (void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
    (void)!send(fd, body, strlen(body), MSG_NOSIGNAL);
}

static void serve(struct http_script *s, int fd)
{
    struct http_line *line = s->lines;

    if (!read_request(s, fd))
        return;
    __atomic_add_fetch(&s->requests, 1, __ATOMIC_RELAXED);
    while (line->request != NULL &&
           (line->times < 0 ||
            strncmp(s->request, line->request, strlen(line->request)) != 0))
        line++;
    if (line->request == NULL) {
        answer(fd, 404, "no such line");
        return;
    }
    if (line->times > 0 && --line->times == 0)
        line->times = -1;
    if (line->must != NULL && strstr(s->request, line->must) == NULL)
        answer(fd, 403, "it does not say what it must");
    else if (line->status == HTTP_SCRIPT_STREAM)
        begin_stream(s, fd, line->body);
    else
        answer(fd, line->status, line->body);
}

static void *run(void *ctx)
{
    struct http_script *s = ctx;
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        serve(s, fd);
        close(fd);
    }
    return NULL;
}

struct http_script *http_script_start(struct http_line *lines)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    struct http_script *s = calloc(1, sizeof(*s));

    s->lines = lines;
    s->stream = -1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(s->listener, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(s->listener, 16), 0);
    ck_assert_int_eq(
        getsockname(s->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&s->thread, NULL, run, s), 0);
    return s;
}

void http_script_stop(struct http_script *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    if (s->stream >= 0)
        close(s->stream);
    free(s);
}

const char *http_script_url(const struct http_script *s)
{
    return s->url;
}

int http_script_say(struct http_script *s, const void *data, size_t len)
{
    int fd = __atomic_load_n(&s->stream, __ATOMIC_ACQUIRE);

    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0)
            return 0;
        data = (const char *)data + n;
        len -= (size_t)n;
    }
    return 1;
}

void http_script_hang_up(struct http_script *s)
{
    int fd = __atomic_exchange_n(&s->stream, -1, __ATOMIC_ACQ_REL);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

int http_script_left(struct http_script *s)
{
    struct pollfd fd = {.fd = __atomic_load_n(&s->stream, __ATOMIC_ACQUIRE),
                        .events = POLLRDHUP};

    return poll(&fd, 1, 60000) == 1;
}

int http_script_requests(struct http_script *s)
{
    return __atomic_load_n(&s->requests, __ATOMIC_RELAXED);
}
