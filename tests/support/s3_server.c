/* SPDX-License-Identifier: Apache-2.0 */
#include "support/s3_server_inside.h"

#include "base/crc32c.h"
#include "http/digest.h"
#include "store/sigv4.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
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

int s3_header_of(const char *head, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);

    out[0] = '\0';
    for (const char *p = strstr(head, "\r\n"); p != NULL;
         p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, len) == 0 && p[len] == ':') {
            p += len + 1;
            p += strspn(p, " ");
            snprintf(out, room, "%.*s", (int)strcspn(p, "\r\n"), p);
            return 1;
        }
    }
    return 0;
}

static void decode(char *to, size_t room, const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < room; i++) {
        char digits[3] = "";

        if (text[i] == '%' && i + 2 < len) {
            memcpy(digits, text + i + 1, 2);
            to[n++] = (char)strtol(digits, NULL, 16);
            i += 2;
        } else {
            to[n++] = text[i];
        }
    }
    to[n] = '\0';
}

static void parse_query(struct request *r, const char *query, size_t len)
{
    const char *end = query + len;

    while (query < end && r->param_count < PARAMS) {
        struct param *param = &r->params[r->param_count++];
        const char *stop = memchr(query, '&', (size_t)(end - query));
        const char *equals;

        stop = stop != NULL ? stop : end;
        equals = memchr(query, '=', (size_t)(stop - query));
        ck_assert_msg(equals != NULL, "a parameter without '='");
        decode(param->name, sizeof(param->name), query,
               (size_t)(equals - query));
        decode(param->value, sizeof(param->value), equals + 1,
               (size_t)(stop - equals - 1));
        query = stop + 1;
    }
}

int s3_parse_head(struct request *r)
{
    const char *target = strchr(r->head, ' ');
    const char *end = target != NULL ? strchr(target + 1, ' ') : NULL;
    const char *query;

    if (end == NULL || target - r->head >= (long)sizeof(r->method))
        return -1;
    snprintf(r->method, sizeof(r->method), "%.*s", (int)(target - r->head),
             r->head);
    target++;
    query = memchr(target, '?', (size_t)(end - target));
    decode(r->path, sizeof(r->path), target,
           (size_t)((query != NULL ? query : end) - target));
    if (query != NULL)
        parse_query(r, query + 1, (size_t)(end - query - 1));
    return 0;
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

/* ---- Is the request what it says? ---------------------------------------- */

void s3_refuse(struct answer *a, int status, const char *code)
{
    char text[400];

    snprintf(text, sizeof(text),
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s"
             "</Code><Message>scripted</Message><RequestId>1</RequestId>"
             "</Error>",
             code);
    a->status = status;
    a->body = (unsigned char *)strdup(text);
    a->len = strlen(text);
    a->told = a->len;
    snprintf(a->header, sizeof(a->header), "Content-Type: application/xml\r\n");
}

/* Sign what came over the wire; the result must be what came with it. */
static int check_signature(const struct request *r)
{
    static char values[WEIR__SIGV4_PAIRS][TEXT_ROOM];
    char region[64] = "";
    struct weir__pair headers[WEIR__SIGV4_PAIRS];
    struct weir__pair query[PARAMS];
    struct weir__sigv4 s = {.method = r->method,
                            .path = r->path,
                            .query = query,
                            .query_count = r->param_count,
                            .headers = headers,
                            .region = region,
                            .service = "s3",
                            .access_key = S3_SERVER_KEY,
                            .secret_key = S3_SERVER_SECRET};
    struct weir__writer w;
    char given[TEXT_ROOM];
    char date[64];
    char hash[80];
    char names[TEXT_ROOM];
    const char *at;
    char *save = NULL;
    int good;

    if (!s3_header_of(r->head, "authorization", given, sizeof(given)) ||
        (at = strstr(given, "SignedHeaders=")) == NULL)
        return 0;
    /* The bucket is in whatever region the client thinks. */
    if (sscanf(given, "AWS4-HMAC-SHA256 Credential=%*[^/]/%*[^/]/%63[^/]",
               region) != 1)
        return 0;
    s3_header_of(r->head, "x-amz-date", date, sizeof(date));
    s3_header_of(r->head, "x-amz-content-sha256", hash, sizeof(hash));
    s.date = date;
    s.payload_hash = hash;
    for (size_t i = 0; i < r->param_count; i++)
        query[i] = (struct weir__pair){r->params[i].name, r->params[i].value};
    at += strlen("SignedHeaders=");
    snprintf(names, sizeof(names), "%.*s", (int)strcspn(at, ","), at);
    for (char *name = strtok_r(names, ";", &save);
         name != NULL && s.header_count < WEIR__SIGV4_PAIRS;
         name = strtok_r(NULL, ";", &save)) {
        char *value = values[s.header_count];

        s3_header_of(r->head, name, value, TEXT_ROOM);
        headers[s.header_count++] = (struct weir__pair){name, value};
    }
    weir__writer_init(&w, weir_alloc_default());
    good = weir__sigv4_authorize(&w, &s) == 0 && w.len == strlen(given) &&
           memcmp(w.data, given, w.len) == 0;
    weir__writer_free(&w);
    return good;
}

const char *s3_wrong_body(const struct s3_server *server,
                          const struct request *r)
{
    const struct weir_iov iov = {r->body, r->len};
    unsigned char digest[WEIR__SHA256_SIZE];
    unsigned char bytes[4];
    char hex[WEIR__SHA256_HEX];
    char base64[16];
    char text[80];

    if (server->believes)
        return NULL;
    s3_header_of(r->head, "x-amz-content-sha256", text, sizeof(text));
    weir__sha256(digest, &iov, 1);
    weir__hex(hex, digest, sizeof(digest));
    if (strcmp(text, "UNSIGNED-PAYLOAD") != 0 && strcmp(text, hex) != 0)
        return "XAmzContentSHA256Mismatch";
    if (s3_header_of(r->head, "x-amz-checksum-crc32c", text, sizeof(text))) {
        uint32_t crc = weir__crc32c(0, r->body, r->len);

        for (int i = 0; i < 4; i++)
            bytes[i] = (unsigned char)(crc >> (24 - 8 * i));
        weir__base64(base64, bytes, 4);
        return strcmp(base64, text) == 0 ? NULL : "BadDigest";
    }
    return NULL;
}

/* ---- What the requests do ------------------------------------------------ */

const char *s3_param(const struct request *r, const char *name,
                     const char *otherwise)
{
    for (size_t i = 0; i < r->param_count; i++)
        if (strcmp(r->params[i].name, name) == 0)
            return r->params[i].value;
    return otherwise;
}

static void do_list(struct s3_server *server, const struct request *r,
                    struct answer *a)
{
    ck_assert_str_eq(s3_param(r, "list-type", ""), "2");
    ck_assert_str_eq(s3_param(r, "encoding-type", ""), "url");
    a->body = (unsigned char *)s3_objects_list(
        &server->objects, s3_param(r, "prefix", ""),
        s3_param(r, "start-after", ""),
        strtoul(s3_param(r, "max-keys", "1000"), NULL, 10));
    a->len = strlen((char *)a->body);
    a->told = a->len;
    a->status = 200;
    snprintf(a->header, sizeof(a->header), "Content-Type: application/xml\r\n");
}

/* Range of a GET: 0 there is none, 1 there is, -1 it begins behind the end. */
static int find_range(const struct request *r, size_t size, size_t *first,
                      size_t *len)
{
    char text[80];
    char *rest;

    *first = 0;
    *len = size;
    if (r->fault.kind == S3_FULL_BODY ||
        !s3_header_of(r->head, "range", text, sizeof(text)))
        return 0;
    ck_assert_int_eq(strncmp(text, "bytes=", 6), 0);
    if (text[6] == '-') {
        *len = strtoul(text + 7, NULL, 10);
        *len = *len < size ? *len : size;
        *first = size - *len;
        return *len > 0 ? 1 : -1;
    }
    *first = strtoul(text + 6, &rest, 10);
    if (*first >= size)
        return -1;
    *len = size - *first;
    if (rest[1] != '\0') {
        size_t last = strtoul(rest + 1, NULL, 10);

        ck_assert_uint_ge(last, *first);
        *len = last - *first + 1 < *len ? last - *first + 1 : *len;
    }
    return 1;
}

static void do_get(const struct s3_object *object, const struct request *r,
                   struct answer *a)
{
    size_t first;
    size_t len;
    int range = find_range(r, object->len, &first, &len);

    if (range < 0) {
        s3_refuse(a, 416, "InvalidRange");
        return;
    }
    if (r->fault.kind == S3_SHIFT_RANGE && first + len < object->len)
        first++;
    a->status = range ? 206 : 200;
    a->told = len;
    if (object->id[0] != '\0')
        snprintf(a->header, sizeof(a->header),
                 "x-amz-meta-weir-put: %s\r\n%s%s%s", object->id,
                 object->sum[0] != '\0' ? "x-amz-meta-weir-crc32c: " : "",
                 object->sum, object->sum[0] != '\0' ? "\r\n" : "");
    if (range) {
        size_t n = strlen(a->header);

        snprintf(a->header + n, sizeof(a->header) - n,
                 "Content-Range: bytes %zu-%zu/%zu\r\n", first, first + len - 1,
                 object->len);
    }
    if (strcmp(r->method, "HEAD") == 0)
        return;
    a->body = malloc(len + 1);
    a->len = len;
    memcpy(a->body, object->data + first, len);
}

static void do_put(struct s3_server *server, const struct request *r,
                   const char *key, struct answer *a)
{
    const char *wrong = s3_wrong_body(server, r);
    struct s3_object *object;
    char text[16];

    if (wrong != NULL) {
        s3_refuse(a, 400, wrong);
        return;
    }
    if (s3_header_of(r->head, "if-none-match", text, sizeof(text)) &&
        s3_objects_find(&server->objects, key) != NULL) {
        s3_refuse(a, 412, "PreconditionFailed");
        return;
    }
    s3_objects_put(&server->objects, key, r->body, r->len);
    object = s3_objects_find(&server->objects, key);
    s3_header_of(r->head, "x-amz-meta-weir-put", object->id,
                 sizeof(object->id));
    s3_header_of(r->head, "x-amz-meta-weir-crc32c", object->sum,
                 sizeof(object->sum));
    a->status = 200;
    snprintf(a->header, sizeof(a->header), "ETag: \"etag\"\r\n");
}

void s3_act(struct s3_server *server, const struct request *r, struct answer *a)
{
    static const char bucket[] = "/bucket/";
    const char *key = r->path + sizeof(bucket) - 1;
    struct s3_object *object;

    if (strstr(r->head, "Credential=" S3_SERVER_KEY "/") == NULL) {
        s3_refuse(a, 403, "InvalidAccessKeyId");
    } else if (!server->trusts && !check_signature(r)) {
        s3_refuse(a, 403, "SignatureDoesNotMatch");
    } else if (strncmp(r->path, bucket, sizeof(bucket) - 1) != 0) {
        s3_refuse(a, 404, "NoSuchBucket");
    } else if (strcmp(r->method, "POST") == 0) {
        s3_do_post(server, r, key, a);
    } else if (s3_param(r, "partNumber", NULL) != NULL) {
        s3_do_part(server, r, a);
    } else if (strcmp(r->method, "PUT") == 0) {
        do_put(server, r, key, a);
    } else if (s3_param(r, "uploadId", NULL) != NULL) {
        s3_end_upload(server, s3_param(r, "uploadId", ""), NULL);
        a->status = 204;
    } else if (strcmp(r->method, "DELETE") == 0) {
        s3_objects_remove(&server->objects, key);
        a->status = 204;
    } else if (key[0] == '\0') {
        do_list(server, r, a);
    } else {
        object = s3_objects_find(&server->objects, key);
        if (object == NULL)
            s3_refuse(a, 404, "NoSuchKey");
        else
            do_get(object, r, a);
    }
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
