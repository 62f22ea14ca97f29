/* SPDX-License-Identifier: Apache-2.0 */
/* The store in an S3 bucket.
 *
 * A request is checked, its body hashed on a worker (PUT), signed in the
 * core, sent by the HTTP thread, and its answer read in the core.  Each
 * request is sent once: who retries, and when, is decided in `answered`. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/config.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "http/http.h"
#include "http/xml.h"
#include "store/s3.h"
#include "store/store_request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WHAT_ROOM = 176 };

struct s3 {
    struct weir_store base;
    struct weir_host host;
    struct weir__s3_place place;
    struct weir__s3_credentials credentials;
    struct weir__http *http;  /* NULL when it is closed. */
    uint64_t timeout;         /* Nanoseconds of one request. */
    size_t pending;           /* Requests not yet done. */
    struct weir_task *closed; /* Set: closing. */
    struct weir_task http_closed;
};

/* A request under way. */
struct operation {
    struct weir_work work; /* PUT: hashes the body. */
    struct weir_task failed;
    struct s3 *store;
    struct weir_store_req *req;
    struct weir__http_req http;
    struct weir__s3_message message;
    struct weir__s3_payload payload;
    struct weir__s3_list list;
    uint64_t deadline;
    int status;
};

static void free_all(struct s3 *s3)
{
    weir__s3_credentials_wipe(&s3->credentials);
    weir__s3_place_free(&s3->place);
    weir__free(s3->host.alloc, s3);
}

static void free_if_closed(struct s3 *s3)
{
    struct weir_env *env = s3->host.env;
    struct weir_task *closed = s3->closed;

    if (closed == NULL || s3->pending > 0 || s3->http != NULL)
        return;
    free_all(s3);
    env->ops->post(env, closed);
}

/* Verb and object, as messages begin. */
static void describe(char what[WHAT_ROOM], const struct operation *op)
{
    static const char *const verbs[] = {"PUT", "GET", "HEAD", "DELETE", "LIST"};
    const struct weir__s3_place *place = &op->store->place;

    snprintf(what, WHAT_ROOM, "%s s3://%s/%.40s%.60s", verbs[op->req->verb],
             place->bucket, place->prefix, op->req->key);
}

/* Ends the request and the operation. */
static void finish(struct operation *op, int status)
{
    struct s3 *s3 = op->store;
    struct weir_store_req *req = op->req;

    if (status != 0) {
        weir__fail_status(req->err, status);
    } else if (req->verb == WEIR_STORE_LIST) {
        req->entries = op->list.entries;
        req->entry_count = op->list.count;
        req->more = op->list.more;
    }
    req->done(req, status);

    weir__s3_message_wipe(&op->message);
    weir__s3_list_free(&op->list);
    weir__free(s3->host.alloc, op);
    s3->pending--;
    free_if_closed(s3);
}

static void run_failed(struct weir_task *task)
{
    struct operation *op = WEIR__CONTAINER(task, struct operation, failed);

    finish(op, op->status);
}

/* `done` must not run before `submit` has returned. */
static void finish_later(struct operation *op, int status)
{
    struct weir_env *env = op->store->host.env;

    op->status = status;
    op->failed.run = run_failed;
    env->ops->post(env, &op->failed);
}

static void answered(struct weir__http_req *http, int status);

/* Sign it and hand it to the HTTP thread.  `after` is a whole key, with the
 * store's prefix. */
static void send_request(struct operation *op, const char *after)
{
    struct s3 *s3 = op->store;
    struct weir_env *env = s3->host.env;
    struct weir_store_req *req = op->req;
    int rc = s3->closed != NULL ? WEIR_ECANCELED : 0;

    weir__s3_message_wipe(&op->message);
    if (rc == 0)
        rc = weir__s3_request(&op->message, &s3->place, &s3->credentials, req,
                              after, &op->payload, env->ops->wall(env));
    if (rc != 0) {
        finish_later(op, rc);
        return;
    }
    op->http = (struct weir__http_req){
        .method = op->message.method,
        .url = op->message.url,
        .headers = (const char *const *)op->message.lines,
        .deadline = op->deadline,
        .done = answered,
        .err = req->err,
        .max_body = 0,
    };
    if (req->verb == WEIR_STORE_PUT) {
        op->http.iov = req->iov;
        op->http.iov_count = req->iov_count;
        op->http.body_size = weir__store_body_size(req);
        op->http.max_body = WEIR__HTTP_ERROR_BODY;
        if ((req->flags & WEIR_STORE_IF_ABSENT) != 0)
            op->http.flags = WEIR__HTTP_ONCE;
    } else if (req->verb == WEIR_STORE_GET) {
        op->http.max_body = req->length;
    } else {
        op->http.max_body = WEIR__XML_SIZE;
    }
    weir__http_submit(s3->http, &op->http);
}

static int read_list(struct operation *op, const struct weir_buf *body,
                     const char *what)
{
    struct weir_error cause = {0};
    int rc = weir__s3_list_read(&op->list, &op->store->place, op->req->key,
                                body != NULL ? body->data : NULL,
                                body != NULL ? body->len : 0, &cause);

    if (rc == WEIR_EFORMAT)
        rc = WEIR_EIO; /* Not the caller's bytes are of a wrong format. */
    if (rc != 0)
        return weir__fail(op->req->err, rc, "%s: %.120s", what, cause.text);
    return 0;
}

static int read_size(struct operation *op, const char *what)
{
    struct weir_store_req *req = op->req;
    uint64_t offset;
    uint64_t length;
    int rc = 0;

    if (op->http.answer.content_length < 0)
        return weir__fail(req->err, WEIR_EIO, "%s: answered without a size",
                          what);
    req->size = (uint64_t)op->http.answer.content_length;
    if (req->verb == WEIR_STORE_GET) {
        rc = weir__store_range(req, req->size, &offset, &length);
        if (rc == 0) {
            req->body = weir_buf_new(op->store->host.alloc, 0, 0);
            rc = req->body != NULL ? 0 : WEIR_ENOMEM;
        }
    }
    return rc;
}

/* There is an answer and it is success. */
static int read_success(struct operation *op, struct weir_buf *body,
                        const char *what)
{
    int rc = 0;

    if (op->req->verb == WEIR_STORE_GET && op->req->length > 0)
        return weir__s3_read_get(op->req, op->store->host.alloc,
                                 &op->http.answer, body, what);
    if (op->req->verb == WEIR_STORE_LIST)
        rc = read_list(op, body, what);
    else if (op->req->verb == WEIR_STORE_GET ||
             op->req->verb == WEIR_STORE_HEAD)
        rc = read_size(op, what);
    weir_buf_unref(body);
    return rc;
}

/* A range of an empty object begins behind its end, says HTTP; the port has
 * it that the beginning of an object is always there. */
static bool is_empty_range(const struct operation *op)
{
    const struct weir_store_req *req = op->req;
    const char *total = strchr(op->http.answer.content_range, '/');

    return req->verb == WEIR_STORE_GET && op->http.answer.status == 416 &&
           (req->offset == 0 || (req->flags & WEIR_STORE_SUFFIX) != 0) &&
           (total == NULL || strcmp(total, "/0") == 0);
}

static int read_failure(struct operation *op, struct weir_buf *body,
                        const char *what)
{
    struct weir_store_req *req = op->req;
    const struct weir__http_answer *answer = &op->http.answer;
    struct weir__s3_error error;
    int rc;

    weir__s3_error_read(&error, op->store->host.alloc, answer,
                        body != NULL ? (const char *)body->data : "",
                        body != NULL ? body->len : 0);
    weir_buf_unref(body);
    if (req->verb == WEIR_STORE_DELETE && answer->status == 404 &&
        (strcmp(error.code, "NoSuchKey") == 0))
        return 0;
    if (is_empty_range(op)) {
        req->body = weir_buf_new(op->store->host.alloc, 0, 0);
        return req->body != NULL ? 0 : WEIR_ENOMEM;
    }
    rc = weir__s3_error_status(&error, answer, req, what, req->err);
    return rc;
}

static int read_answer(struct operation *op, struct weir_buf *body,
                       const char *what)
{
    const struct weir__http_answer *answer = &op->http.answer;
    bool good = answer->status >= 200 && answer->status <= 299;
    bool html = strncmp(answer->content_type, "text/html", 9) == 0;

    /* Our objects are no web pages, and S3 answers with none. */
    if (good && !(html && (body != NULL || op->req->verb == WEIR_STORE_PUT)))
        return read_success(op, body, what);
    return read_failure(op, body, what);
}

/* No answer came: what does that mean for a PUT that may have arrived? */
static int read_silence(struct operation *op, int status, const char *what)
{
    struct weir_store_req *req = op->req;
    char cause[WEIR_ERROR_TEXT] = "";

    if (req->err != NULL)
        snprintf(cause, sizeof(cause), "%s", req->err->text);
    if (status == WEIR_ETOOBIG && req->verb == WEIR_STORE_GET)
        return weir__fail(req->err, WEIR_EUNSUPPORTED,
                          "%s: more came than was asked for: the server "
                          "ignores the Range header",
                          what);
    if (req->verb == WEIR_STORE_PUT && op->http.sent)
        status = WEIR_EUNKNOWN;
    return weir__fail(req->err, status, "%s: %.160s", what, cause);
}

/* One attempt is over.  The place for a retry, after `status` and before
 * `finish`: the operation can be sent again by `send_request`. */
static void answered(struct weir__http_req *http, int status)
{
    struct operation *op = WEIR__CONTAINER(http, struct operation, http);
    struct weir_buf *body = http->body;
    char what[WHAT_ROOM];

    http->body = NULL;
    describe(what, op);
    if (status == 0)
        status = read_answer(op, body, what);
    else
        status = read_silence(op, status, what);

    /* A page of foreign names alone: go on behind it. */
    if (status == 0 && op->req->verb == WEIR_STORE_LIST &&
        op->list.count == 0 && op->list.more) {
        send_request(op, op->list.last);
        return;
    }
    finish(op, status);
}

/* On a worker. */
static void hash_body(struct weir_work *work)
{
    struct operation *op = WEIR__CONTAINER(work, struct operation, work);

    op->status =
        weir__s3_payload(&op->payload, op->req, op->store->place.https);
}

static void hashed(struct weir_work *work)
{
    struct operation *op = WEIR__CONTAINER(work, struct operation, work);

    if (op->status != 0)
        finish(op, op->status);
    else
        send_request(op, NULL);
}

static void start_list(struct operation *op)
{
    const struct weir_store_req *req = op->req;
    const char *prefix = op->store->place.prefix;
    char after[2 * WEIR_STORE_KEY_MAX + 8];

    snprintf(after, sizeof(after), "%s%s", prefix,
             req->after != NULL ? req->after : "");
    send_request(op,
                 req->after != NULL && req->after[0] != '\0' ? after : NULL);
}

static void start(struct operation *op)
{
    static const struct weir__s3_payload empty = {
        /* SHA-256 of nothing. */
        .hash = "e3b0c44298fc1c149afbf4c8996fb924"
                "27ae41e4649b934ca495991b7852b855",
    };
    struct weir_env *env = op->store->host.env;

    if (op->req->verb == WEIR_STORE_PUT) {
        op->work.work = hash_body;
        op->work.done = hashed;
        env->ops->work(env, &op->work);
        return;
    }
    op->payload = empty;
    if (op->req->verb == WEIR_STORE_LIST)
        start_list(op);
    else
        send_request(op, NULL);
}

static void s3_submit(struct weir_store *store, struct weir_store_req *req)
{
    struct s3 *s3 = (void *)store;
    struct weir_env *env = s3->host.env;
    struct operation *op;
    int rc = s3->closed != NULL ? WEIR_ECANCELED : weir__store_check(req);

    req->body = NULL;
    req->size = 0;
    req->entries = NULL;
    req->entry_count = 0;
    req->more = 0;
    if (rc != 0) {
        weir__store_refuse(env, req, rc);
        return;
    }
    op = weir__calloc(s3->host.alloc, 1, sizeof(*op));
    if (op == NULL) {
        weir__store_refuse(env, req, WEIR_ENOMEM);
        return;
    }
    op->store = s3;
    op->req = req;
    op->list.alloc = s3->host.alloc;
    op->message.alloc = s3->host.alloc;
    op->deadline =
        req->deadline != 0 ? req->deadline : env->ops->now(env) + s3->timeout;
    s3->pending++;
    start(op);
}

static void on_http_closed(struct weir_task *task)
{
    struct s3 *s3 = WEIR__CONTAINER(task, struct s3, http_closed);

    s3->http = NULL;
    free_if_closed(s3);
}

static void s3_close(struct weir_store *store, struct weir_task *closed)
{
    struct s3 *s3 = (void *)store;

    s3->closed = closed;
    s3->http_closed.run = on_http_closed;
    weir__http_close(s3->http, &s3->http_closed);
}

static const struct weir_store_ops s3_ops = {
    .size = sizeof(s3_ops),
    .name = "s3",
    .submit = s3_submit,
    .close = s3_close,
};

static int read_keys(struct s3 *s3, const struct weir_config *config,
                     struct weir_error *err)
{
    const char *access = weir__config_text(config, WEIR__P_S3_ACCESS_KEY);
    const char *secret = weir__config_text(config, WEIR__P_S3_SECRET_KEY);
    const char *token = weir__config_text(config, WEIR__P_S3_SESSION_TOKEN);
    int rc;

    if (access[0] == '\0' || secret[0] == '\0')
        return weir__fail(err, WEIR_EAUTH,
                          "s3://%s: no keys: set s3_access_key and "
                          "s3_secret_key",
                          s3->place.bucket);
    if (strpbrk(access, "\r\n") != NULL ||
        (token != NULL && strpbrk(token, "\r\n") != NULL))
        return weir__fail(err, WEIR_EINVAL,
                          "s3_access_key, s3_session_token: expected one line");
    rc = weir__s3_credentials_copy(&s3->credentials, s3->host.alloc, access,
                                   secret, token);
    return rc == 0 ? 0 : weir__fail(err, rc, "s3 store: out of memory");
}

static int open_http(struct s3 *s3, const struct weir_config *config,
                     struct weir_error *err)
{
    const char *ca_file = weir__config_text(config, WEIR__P_S3_CA_FILE);
    struct weir__http_config http = {
        .host = &s3->host,
        .connections = (unsigned)config->number[WEIR__P_S3_CONNECTIONS],
        .ca_file = ca_file[0] != '\0' ? ca_file : NULL,
    };

    s3->timeout = (uint64_t)config->number[WEIR__P_S3_TIMEOUT];
    if (http.ca_file != NULL && access(http.ca_file, R_OK) != 0)
        return weir__fail_errno(err, errno, "s3_ca_file: read %s",
                                http.ca_file);
    if (s3->place.insecure)
        weir__log(s3->host.log, WEIR_LOG_WARN,
                  "s3://%s: plain http to %s: data and requests can be read "
                  "and changed on the way",
                  s3->place.bucket, s3->place.host);
    return weir__http_open(&s3->http, &http, err);
}

int weir__store_s3_open(struct weir_store **out, const struct weir_host *host,
                        const char *uri, void *ctx, struct weir_error *err)
{
    struct weir__uri parsed;
    struct s3 *s3;
    int rc;

    *out = NULL;
    rc = weir__uri_parse(&parsed, host->alloc, uri, err);
    if (rc != 0)
        return rc;
    s3 = weir__calloc(host->alloc, 1, sizeof(*s3));
    if (s3 == NULL) {
        weir__uri_free(&parsed);
        return weir__fail(err, WEIR_ENOMEM, "store %s: out of memory", uri);
    }
    s3->base.ops = &s3_ops;
    s3->host = *host;
    rc = weir__s3_place_read(&s3->place, host->alloc, &parsed, err);
    weir__uri_free(&parsed);
    if (rc == 0)
        rc = read_keys(s3, ctx, err);
    if (rc == 0)
        rc = open_http(s3, ctx, err);
    if (rc != 0) {
        free_all(s3);
        return rc;
    }
    *out = &s3->base;
    return 0;
}
