/* SPDX-License-Identifier: Apache-2.0 */
#include "http/transfer.h"

#include "base/buf.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    CONNECT_MS = 10000,      /* To connect, TLS included. */
    CONTINUE_MS = 1000,      /* To wait for "100 Continue". */
    CONTINUE_FROM = 1 << 20, /* Bodies from here on wait for it. */
    IDLE_S = 15,             /* Servers close after 20 s and more. */
    DNS_S = 5,               /* S3 asks for fresh addresses. */
    SLOW_BYTES = 256,        /* Less than this a second ... */
    SLOW_S = 30,             /* ... for so long: give up. */
    PROBE_S = 15,            /* A stream: is the other side still there? */
    BUFFER = 128 << 10,
    FIRST_BODY = 64 << 10, /* Room for a body of unknown size. */
    DROP_MAX = 1 << 20,    /* Of an error's body: then hang up. */
    ASKED_MAX = 64 << 20,  /* A range up to here is read in one piece. */
    UNPROMISED = 1 << 20   /* Room to take on the word of a header. */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t on_read(char *to, size_t size, size_t count, void *ctx)
{
    struct weir__transfer *t = ctx;
    const struct weir__http_req *req = t->req;
    size_t room = size * count;
    size_t done = 0;

    while (done < room && t->piece < req->iov_count) {
        const struct weir_iov *iov = &req->iov[t->piece];
        size_t n = smaller(room - done, iov->len - t->piece_at);

        if (n > 0)
            memcpy(to + done, (const char *)iov->data + t->piece_at, n);
        done += n;
        t->piece_at += n;
        if (t->piece_at == iov->len) {
            t->piece++;
            t->piece_at = 0;
        }
    }
    t->given += done;
    return done;
}

/* libcurl wants to send the body again, on another connection. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct weir__transfer *t = ctx;

    if (origin != SEEK_SET || offset != 0)
        return CURL_SEEKFUNC_CANTSEEK;
    if ((t->req->flags & WEIR__HTTP_ONCE) != 0 && t->given > 0)
        return CURL_SEEKFUNC_FAIL;
    /* The first time may yet have been the one that was done. */
    t->was_given = t->was_given || t->given == t->req->body_size;
    t->piece = 0;
    t->piece_at = 0;
    t->given = 0;
    return CURL_SEEKFUNC_OK;
}

static void copy_value(char *to, size_t room, const char *value, size_t len)
{
    len = smaller(len, room - 1);
    memcpy(to, value, len);
    to[len] = '\0';
}

static void keep_header(struct weir__http_answer *answer, const char *line,
                        size_t len)
{
    const struct {
        const char *name;
        char *to;
        size_t room;
    } known[] = {
        {"content-type", answer->content_type, sizeof(answer->content_type)},
        {"content-range", answer->content_range, sizeof(answer->content_range)},
        {"etag", answer->etag, sizeof(answer->etag)},
        {"x-amz-bucket-region", answer->region, sizeof(answer->region)},
        {"x-amz-request-id", answer->request_id, sizeof(answer->request_id)},
        {"date", answer->date, sizeof(answer->date)},
        {"x-amz-meta-weir-put", answer->put_id, sizeof(answer->put_id)},
        {"x-amz-checksum-crc32c", answer->crc32c, sizeof(answer->crc32c)},
        {"x-amz-meta-weir-crc32c", answer->sum, sizeof(answer->sum)},
    };
    const char *colon = memchr(line, ':', len);
    const char *value;
    const char *end = line + len;

    if (colon == NULL)
        return;
    value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (unsigned char)end[-1] <= ' ')
        end--;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i].name) == (size_t)(colon - line) &&
            strncasecmp(known[i].name, line, (size_t)(colon - line)) == 0)
            copy_value(known[i].to, known[i].room, value,
                       (size_t)(end - value));
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    struct weir__transfer *t = ctx;
    size_t len = size * count;

    t->header_bytes += len;
    if (t->header_bytes > WEIR__HTTP_HEADERS) {
        t->failed = weir__fail(t->req->err, WEIR_EIO,
                               "%s: the answer's headers are over %u bytes",
                               t->req->url, WEIR__HTTP_HEADERS);
        return 0;
    }
    /* An answer of its own may follow upon "100 Continue". */
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
        t->req->answer = (struct weir__http_answer){0};
    else
        keep_header(&t->req->answer, line, len);
    return len;
}

static void wipe_body(struct weir_buf *buf, void *ctx)
{
    (void)ctx;
    explicit_bzero(buf->data, buf->len);
    weir__buf_free(buf);
}

static struct weir_buf *new_body(const struct weir__transfer *t,
                                 size_t capacity)
{
    struct weir_buf *buf = weir_buf_new(t->alloc, capacity, 0);

    if (buf != NULL && (t->req->flags & WEIR__HTTP_SECRET) != 0)
        weir__buf_on_free(buf, wipe_body, NULL);
    return buf;
}

/* Room for `more` bytes behind what is there, `limit` in all at most. */
static bool make_room(struct weir__transfer *t, size_t more, uint64_t limit)
{
    struct weir_buf *old = t->req->body;
    size_t need = (old != NULL ? old->len : 0) + more;
    size_t capacity;
    struct weir_buf *buf;
    curl_off_t told = -1;

    if (old != NULL && old->capacity >= need)
        return true;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &told);
    if (old != NULL)
        capacity = old->capacity > SIZE_MAX / 2 ? need : old->capacity * 2;
    else if (told < 0)
        capacity = FIRST_BODY;
    else if (limit <= ASKED_MAX || told <= UNPROMISED)
        capacity = (size_t)told;
    else
        capacity = UNPROMISED;
    if (capacity > limit)
        capacity = (size_t)limit;
    if (capacity < need)
        capacity = need;
    buf = new_body(t, capacity);
    if (buf == NULL)
        return false;
    if (old != NULL) {
        memcpy(buf->data, old->data, old->len);
        buf->len = old->len;
        weir_buf_unref(old);
    }
    t->req->body = buf;
    return true;
}

/* Bytes of an error's body that are still of use. */
static size_t clip_error(struct weir__transfer *t, size_t len)
{
    size_t have = t->req->body != NULL ? t->req->body->len : 0;
    size_t keep = smaller(len, WEIR__HTTP_ERROR_BODY - have);

    t->dropped += len - keep;
    return keep;
}

static bool part_busy(const struct weir__transfer *t)
{
    return __atomic_load_n(&t->req->part_busy, __ATOMIC_ACQUIRE) != 0;
}

/* The core gets one part at a time. */
static size_t give_part(struct weir__transfer *t, const char *data, size_t len)
{
    struct weir__http_req *req = t->req;

    if (part_busy(t)) {
        t->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    req->part_buf = weir_buf_new(t->alloc, len, 0);
    if (req->part_buf == NULL) {
        t->failed = WEIR_ENOMEM;
        return 0;
    }
    memcpy(req->part_buf->data, data, len);
    req->part_buf->len = len;
    __atomic_store_n(&req->part_busy, 1, __ATOMIC_RELEASE);
    t->env->ops->post(t->env, &req->part_task);
    return len;
}

void weir__transfer_resume(struct weir__transfer *t)
{
    if (!t->paused || part_busy(t))
        return;
    t->paused = false;
    curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct weir__transfer *t = ctx;
    struct weir__http_req *req = t->req;
    size_t len = size * count;
    size_t keep = len;
    size_t have = req->body != NULL ? req->body->len : 0;
    uint64_t limit = req->max_body;
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299) {
        limit = WEIR__HTTP_ERROR_BODY;
        keep = clip_error(t, len);
    } else if (req->part != NULL) {
        return len > 0 ? give_part(t, data, len) : 0;
    }
    if (keep > limit - have) {
        t->failed = weir__fail(req->err, WEIR_ETOOBIG,
                               "%s: the answer is longer than the %llu bytes "
                               "that were asked for",
                               req->url, (unsigned long long)limit);
        return 0;
    }
    if (keep > 0) {
        if (!make_room(t, keep, limit)) {
            t->failed = WEIR_ENOMEM;
            return 0;
        }
        memcpy(req->body->data + req->body->len, data, keep);
        req->body->len += keep;
    }
    return t->dropped <= DROP_MAX ? len : 0;
}

static bool add_header(struct weir__transfer *t, const char *line)
{
    struct curl_slist *list = curl_slist_append(t->headers, line);

    if (list == NULL)
        return false;
    t->headers = list;
    return true;
}

static bool add_headers(struct weir__transfer *t)
{
    const struct weir__http_req *req = t->req;

    for (const char *const *h = req->headers; h != NULL && *h != NULL; h++)
        if (!add_header(t, *h))
            return false;
    if (!add_header(t, "Accept:") || !add_header(t, "User-Agent: weir"))
        return false;
    /* A large body waits for leave, so that a server that refuses it gets
     * to say so before it has been sent. */
    return add_header(
        t, req->body_size < CONTINUE_FROM ? "Expect:" : "Expect: 100-continue");
}

static void set_method(struct weir__transfer *t)
{
    const struct weir__http_req *req = t->req;

    if (strcmp(req->method, "HEAD") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (strcmp(req->method, "PUT") == 0 || strcmp(req->method, "POST") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE,
                         (curl_off_t)req->body_size);
        curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
        curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
        /* Without a body there is no rewind to be refused (on_seek), so a
         * kept connection, after whose death libcurl repeats, is not used. */
        if ((req->flags & WEIR__HTTP_ONCE) != 0 && req->body_size == 0)
            curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
    }
    if (strcmp(req->method, "GET") != 0)
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
    if ((req->flags & WEIR__HTTP_FRESH) != 0)
        curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
}

/* A stream may be silent for hours, and its other side be gone. */
static void set_patience(struct weir__transfer *t)
{
    CURL *easy = t->easy;

    if (t->req->part == NULL) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)PROBE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)PROBE_S);
}

static void set_connection(struct weir__transfer *t, uint64_t timeout_ns)
{
    CURL *easy = t->easy;
    uint64_t ms = timeout_ns / 1000000 + 1;

    if (ms > INT32_MAX)
        ms = INT32_MAX;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ms);
    set_patience(t);
    curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)CONTINUE_MS);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (t->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (t->cert_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, t->cert_file);
    if (t->key_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, t->key_file);
}

int weir__transfer_begin(struct weir__transfer *t, struct weir__http_req *req,
                         uint64_t timeout_ns)
{
    CURL *easy = t->easy;

    *t = (struct weir__transfer){.alloc = t->alloc,
                                 .env = t->env,
                                 .ca_file = t->ca_file,
                                 .cert_file = t->cert_file,
                                 .key_file = t->key_file,
                                 .easy = easy,
                                 .req = req};
    curl_easy_reset(easy);
    set_connection(t, timeout_ns);
    set_method(t);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->message);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    if (!add_headers(t) ||
        curl_easy_setopt(easy, CURLOPT_URL, req->url) != CURLE_OK) {
        weir__transfer_abort(t, WEIR_ENOMEM);
        return WEIR_ENOMEM;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    return 0;
}

static int status_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OUT_OF_MEMORY:
        return WEIR_ENOMEM;
    case CURLE_OPERATION_TIMEDOUT:
        return WEIR_ETIMEDOUT;
    /* Whoever is there is not who should be; that does not pass. */
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return WEIR_EACCES;
    default:
        return WEIR_EUNAVAILABLE;
    }
}

/* What could not be done, in the order in which it is tried. */
static const char *what_failed(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "cannot look up the host";
    case CURLE_COULDNT_CONNECT:
        return "cannot connect";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_SHUTDOWN_FAILED:
        return "TLS failed";
    case CURLE_OPERATION_TIMEDOUT:
        return "no end in time";
    case CURLE_PARTIAL_FILE:
        return "the answer was cut off";
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return "the connection was lost";
    default:
        return "the request failed";
    }
}

/* The server can act on a request only when it has all of it. */
static int may_be_sent(const struct weir__transfer *t)
{
    long request_size = 0;

    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_size);
    return request_size > 0 && (t->was_given || t->given == t->req->body_size);
}

static void settle(struct weir__transfer *t, int status)
{
    struct weir__http_req *req = t->req;
    curl_off_t length = -1;
    long answer = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &answer);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    req->answer.status = (int)answer;
    req->answer.content_length = length;
    req->sent = may_be_sent(t);
    req->status = status;
    if (status != 0) {
        weir_buf_unref(req->body);
        req->body = NULL;
    }
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    t->req = NULL;
}

/* What OpenSSL and libcurl say of bytes that are no record of TLS, and of none
 * at all. */
static enum weir__http_tls read_tls(const char *message)
{
    static const struct {
        const char *says;
        enum weir__http_tls tls;
    } known[] = {{"wrong version number", WEIR__HTTP_TLS_NONE},
                 {"unknown protocol", WEIR__HTTP_TLS_NONE},
                 {"packet length too long", WEIR__HTTP_TLS_NONE},
                 {"SSL_ERROR_SYSCALL", WEIR__HTTP_TLS_HUNG_UP},
                 {"Connection reset by peer", WEIR__HTTP_TLS_HUNG_UP},
                 {"unexpected eof", WEIR__HTTP_TLS_HUNG_UP}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strstr(message, known[i].says) != NULL)
            return known[i].tls;
    return WEIR__HTTP_TLS_FITS;
}

static enum weir__http_tls tls_of(const struct weir__transfer *t, CURLcode code)
{
    bool https = strncmp(t->req->url, "https:", 6) == 0;

    switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
        return read_tls(t->message);
    case CURLE_UNSUPPORTED_PROTOCOL: /* An alert, taken for HTTP/0.9. */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return https ? WEIR__HTTP_TLS_FITS : WEIR__HTTP_TLS_PERHAPS;
    default:
        return WEIR__HTTP_TLS_FITS;
    }
}

void weir__transfer_end(struct weir__transfer *t, CURLcode code)
{
    const char *cause =
        t->message[0] != '\0' ? t->message : curl_easy_strerror(code);
    int status = status_of(code);

    t->req->tls = tls_of(t, code);
    if (t->failed != 0)
        status = t->failed;
    else if (t->dropped > DROP_MAX)
        status = 0; /* Enough of the error was seen. */
    else if (code != CURLE_OK)
        weir__fail(t->req->err, status, "%s: %s", what_failed(code), cause);
    settle(t, status);
}

void weir__transfer_abort(struct weir__transfer *t, int status)
{
    settle(t, status);
}
