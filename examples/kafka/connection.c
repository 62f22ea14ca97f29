/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "bytes.h"
#include "log.h"
#include "response.h"
#include "server.h"

/* A frame gets so much at first, and twice as much whenever that is full. */
#define FRAME_FIRST 4096u
/* Produce requests of one connection that are under way, and their bytes. */
#define PIPELINE_MAX 64u
#define PIPELINE_BYTES (8u << 20)
/* Memory for the arrays of one request. */
#define ARENA_MAX (8u << 20)

static void connection_run(struct connection *c);

/* Say why a connection is closed, unless such lines come too fast. */
__attribute__((format(printf, 2, 3))) static void
complain(struct connection *c, const char *format, ...)
{
    char text[256];
    va_list args;

    if (!server_may_log(c->server))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_line(WEIR_LOG_INFO, "%s: closed: %s", c->peer, text);
}

static void connection_release(struct connection *c)
{
    if (c->closed && !c->running && list_empty(&c->requests))
        server_forget(c->server, c);
}

static void request_free(struct request *request)
{
    struct connection *c = request->connection;

    if (request->release != NULL)
        request->release(request);
    list_remove(&request->link);
    if (request->started) {
        c->started--;
        c->started_bytes -= request->frame_len;
    }
    budget_give(&request->broker->memory, request->charged);
    out_free(&request->out);
    arena_free(&request->arena);
    free(request->frame);
    free(request);
}

void *request_take(struct request *request, size_t count, size_t size)
{
    return arena_take(&request->arena, count, size);
}

void request_finish(struct request *request)
{
    struct connection *c = request->connection;

    request->complete = true;
    request->cancel = NULL;
    if (c->closing) {
        request_free(request);
        connection_release(c);
        return;
    }
    connection_run(c);
}

void request_refuse(struct request *request)
{
    request->refused = true;
    request_finish(request);
}

static void drop_frame(struct connection *c)
{
    free(c->frame);
    budget_give(&c->broker->memory, c->frame_room);
    budget_leave(&c->broker->memory, &c->wait);
    c->frame = NULL;
    c->frame_room = 0;
}

static void tcp_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;

    c->closed = true;
    connection_release(c);
}

void connection_close(struct connection *c)
{
    struct list *node, *next;
    struct request *request;

    if (c->closing)
        return;
    c->closing = true;
    drop_frame(c);
    if (c->held != NULL)
        request_free(c->held);
    c->held = NULL;
    uv_close((uv_handle_t *)&c->tcp, tcp_closed);
    for (node = c->requests.next; node != &c->requests; node = next) {
        next = node->next;
        request = container_of(node, struct request, link);
        if (request->complete)
            request_free(request);
        else if (request->cancel != NULL)
            request->cancel(request);
    }
}

void connection_drain(struct connection *c)
{
    struct list *node, *next;
    struct request *request;

    c->draining = true;
    for (node = c->requests.next; node != &c->requests; node = next) {
        next = node->next;
        request = container_of(node, struct request, link);
        if (!request->complete && request->cancel != NULL)
            request->cancel(request);
    }
    connection_run(c);
}

void connection_check(struct connection *c, uint64_t now_ms)
{
    const struct settings *settings = &c->broker->settings;
    size_t queued = c->tcp.write_queue_size;
    bool half = c->length_got > 0 || c->frame != NULL || c->writing;
    uint64_t silent;

    /* A large response may go out slowly, but it has to go. */
    if (queued != c->queued)
        c->active_ms = now_ms;
    c->queued = queued;
    /* Whose request is under way, or waits for its turn, waits for the
     * server; unless it is the client that does not take a response. */
    if (!c->writing &&
        (c->held != NULL || (!half && !list_empty(&c->requests))))
        return;
    silent = now_ms > c->active_ms ? now_ms - c->active_ms : 0;
    if (silent <= (uint64_t)(half ? settings->stall_ms : settings->idle_ms))
        return;
    complain(c, "%s for %llu ms", half ? "stalled" : "idle",
             (unsigned long long)silent);
    connection_close(c);
}

static void written(uv_write_t *write, int status)
{
    struct connection *c = write->data;

    c->writing = false;
    c->active_ms = uv_now(&c->broker->loop);
    if (c->closing)
        return;
    if (status < 0) {
        connection_close(c);
        return;
    }
    request_free(container_of(c->requests.next, struct request, link));
    connection_run(c);
}

/* Send the oldest response.  False if it is still on its way. */
static bool send_response(struct connection *c, struct request *request)
{
    int rc;

    if (request->refused) {
        complain(c, "refused a %s request", request->header.api->name);
        connection_close(c);
        return false;
    }
    if (!request->silent) {
        c->write.data = c;
        rc = response_send(&c->write, (uv_stream_t *)&c->tcp, request, written);
        if (rc < 0) {
            connection_close(c);
            return false;
        }
        if (rc > 0) {
            c->writing = true;
            return false;
        }
        c->active_ms = uv_now(&c->broker->loop);
    }
    request_free(request);
    return true;
}

static void flush(struct connection *c)
{
    struct request *request;

    while (!c->closing && !c->writing && !list_empty(&c->requests)) {
        request = container_of(c->requests.next, struct request, link);
        if (!request->complete || !send_response(c, request))
            return;
    }
}

static bool may_start(const struct connection *c, const struct request *next)
{
    const struct request *first;

    if (c->draining)
        return false;
    if (c->started == 0)
        return true;
    first = container_of(c->requests.next, struct request, link);
    /* If the first one is a produce request, so are all of them. */
    return first->header.api == next->header.api &&
           next->header.api->handle == handle_produce &&
           c->started < PIPELINE_MAX &&
           c->started_bytes + next->frame_len <= PIPELINE_BYTES;
}

static void start_held(struct connection *c)
{
    struct request *request = c->held;

    if (c->closing || request == NULL || !may_start(c, request))
        return;
    c->held = NULL;
    c->started++;
    c->started_bytes += request->frame_len;
    request->started = true;
    list_append(&c->requests, &request->link);
    response_begin(request);
    request->header.api->handle(request);
}

static void update_reading(struct connection *c);

/* Send what can be sent, start what can be started.  Handlers and senders
 * come back here, so the work is done in a loop, not in depth. */
static void connection_run(struct connection *c)
{
    c->again = true;
    if (c->running)
        return;
    c->running = true;
    while (c->again && !c->closing) {
        c->again = false;
        flush(c);
        start_held(c);
    }
    c->running = false;
    if (c->draining && !c->closing && list_empty(&c->requests))
        connection_close(c);
    if (!c->closing)
        update_reading(c);
    connection_release(c);
}

/* A whole request has been read. */
static void frame_complete(struct connection *c)
{
    struct request *request = calloc(1, sizeof(*request));

    if (request == NULL) {
        connection_close(c);
        return;
    }
    list_init(&request->link);
    request->connection = c;
    request->broker = c->broker;
    request->frame = c->frame;
    request->frame_len = c->frame_len;
    request->charged = c->frame_room;
    request->arena.limit = ARENA_MAX;
    if (c->frame_len > c->trusted)
        c->trusted = c->frame_len;
    c->frame = NULL;
    c->frame_room = 0;
    c->length_got = 0;
    budget_leave(&c->broker->memory, &c->wait);

    in_begin(&request->in, request->frame, request->frame_len);
    if (!request_read_header(&request->header, &request->in)) {
        complain(c, "not a request that is served");
        request_free(request);
        connection_close(c);
        return;
    }
    c->held = request;
    connection_run(c);
}

/* Make room for more of the frame: false if there is none now. */
static bool frame_grow(struct connection *c)
{
    size_t room = c->frame_room == 0 ? FRAME_FIRST : c->frame_room * 2;
    unsigned char *frame;

    if (c->frame_room == 0 && room < c->trusted)
        room = c->trusted;
    if (room > c->frame_len)
        room = c->frame_len;
    if (!budget_take_or_wait(&c->broker->memory, room - c->frame_room,
                             &c->wait))
        return false;
    frame = realloc(c->frame, room);
    if (frame == NULL) {
        budget_give(&c->broker->memory, room - c->frame_room);
        return false;
    }
    c->frame = frame;
    c->frame_room = room;
    return true;
}

/* Bytes are read into where they stay: first the four of the length, then
 * the request.  So nothing is copied, and nothing is read too far. */
static void read_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = handle->data;

    (void)suggested;
    if (c->length_got < sizeof(c->length)) {
        buf->base = (char *)c->length + c->length_got;
        buf->len = sizeof(c->length) - c->length_got;
        return;
    }
    if (c->frame_got == c->frame_room && !frame_grow(c)) {
        buf->base = NULL;
        buf->len = 0;
        return;
    }
    buf->base = (char *)c->frame + c->frame_got;
    buf->len = c->frame_room - c->frame_got;
}

static void length_complete(struct connection *c)
{
    int32_t len = (int32_t)load_be32(c->length);

    if (len < 8 || len > c->broker->settings.request_max) {
        complain(c, "a request of %d bytes", len);
        connection_close(c);
        return;
    }
    c->frame_len = (size_t)len;
    c->frame_got = 0;
}

static void have_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;

    (void)buf;
    if (n == 0 || c->closing)
        return;
    if (n == UV_ENOBUFS) {
        /* The budget is spent: its retry reads on. */
        c->reading = false;
        uv_read_stop(stream);
        return;
    }
    if (n < 0) {
        connection_close(c);
        return;
    }
    c->active_ms = uv_now(&c->broker->loop);
    if (c->length_got < sizeof(c->length)) {
        c->length_got += (size_t)n;
        if (c->length_got == sizeof(c->length))
            length_complete(c);
        return;
    }
    c->frame_got += (size_t)n;
    if (c->frame_got == c->frame_len)
        frame_complete(c);
}

static void update_reading(struct connection *c)
{
    bool want = c->held == NULL && !c->draining;

    if (want == c->reading)
        return;
    if (want && list_empty(&c->wait.link))
        c->reading =
            uv_read_start((uv_stream_t *)&c->tcp, read_room, have_read) == 0;
    else if (!want) {
        uv_read_stop((uv_stream_t *)&c->tcp);
        c->reading = false;
    }
}

static void memory_freed(struct budget_wait *wait)
{
    struct connection *c = container_of(wait, struct connection, wait);

    if (!c->closing) {
        c->active_ms = uv_now(&c->broker->loop);
        update_reading(c);
    }
}

bool connection_open(struct server *server, uv_stream_t *listener)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return false;
    c->server = server;
    c->broker = server_broker(server);
    list_init(&c->link);
    list_init(&c->requests);
    list_init(&c->wait.link);
    c->wait.retry = memory_freed;
    if (uv_tcp_init(&c->broker->loop, &c->tcp) != 0) {
        free(c);
        return false;
    }
    c->tcp.data = c;
    c->active_ms = uv_now(&c->broker->loop);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 ||
        !server_admit(server, c)) {
        connection_close(c);
        return true;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    update_reading(c);
    return true;
}

void request_local_address(const struct request *request, char host[64],
                           int32_t *port)
{
    struct sockaddr_storage name;
    int len = sizeof(name);

    host[0] = 0;
    *port = 0;
    if (uv_tcp_getsockname(&request->connection->tcp, (struct sockaddr *)&name,
                           &len) != 0)
        return;
    server_print_address((const struct sockaddr *)&name, host, port);
}
