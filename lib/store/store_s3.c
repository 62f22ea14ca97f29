/* SPDX-License-Identifier: Apache-2.0 */
/* The store in an S3 bucket: requests of the port as calls (s3_call.h).
 *
 * A PUT is hashed on a worker first, and carries an id of its own.  A create
 * that fails because the key exists, after an attempt whose outcome nobody
 * told, reads that id back: it may be its own. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "http/xml.h"
#include "store/s3_call.h"
#include "store/store_request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WHAT_ROOM = 176 };

struct s3 {
    struct weir_store base;
    struct weir_host host;
    struct weir__s3_line line;
    uint64_t timeout;         /* Nanoseconds of one request. */
    size_t pending;           /* Requests not yet done. */
    struct weir_task *closed; /* Set: closing. */
    struct weir_task http_closed;
    struct weir_task keys_closed;
};

/* A request under way. */
struct operation {
    struct weir_work work; /* PUT: hashes the body. */
    struct weir__s3_call call;
    struct s3 *store;
    struct weir_store_req *req;
    struct weir__s3_payload payload;
    struct weir__s3_list list;
    char *after; /* LIST: a whole key, or NULL. */
    char what[WHAT_ROOM];
    int status;
    bool own; /* What is there was put by this request. */
};

static void free_all(struct s3 *s3)
{
    weir__s3_keys_free(&s3->line.keys);
    weir__s3_place_free(&s3->line.place);
    weir__free(s3->host.alloc, s3);
}

static void free_if_closed(struct s3 *s3)
{
    struct weir_env *env = s3->host.env;
    struct weir_task *closed = s3->closed;

    if (closed == NULL || s3->pending > 0 || s3->line.http != NULL ||
        s3->line.keys.renewing)
        return;
    s3->closed = NULL; /* Once. */
    free_all(s3);
    env->ops->post(env, closed);
}

/* Verb and object, as messages begin. */
static void describe(struct operation *op)
{
    static const char *const verbs[] = {"PUT", "GET", "HEAD", "DELETE", "LIST"};
    const struct weir__s3_place *place = &op->store->line.place;

    snprintf(op->what, WHAT_ROOM, "%s s3://%s/%.40s%.60s", verbs[op->req->verb],
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

    weir__s3_list_free(&op->list);
    weir__free(s3->host.alloc, op->after);
    weir__free(s3->host.alloc, op);
    s3->pending--;
    free_if_closed(s3);
}

static struct operation *operation_of(struct weir__s3_call *call)
{
    return WEIR__CONTAINER(call, struct operation, call);
}

static int write_message(struct weir__s3_call *call,
                         struct weir__s3_message *message,
                         const struct weir__s3_credentials *credentials,
                         int64_t wall)
{
    struct operation *op = operation_of(call);

    return weir__s3_request(message, &call->line->place, credentials, op->req,
                            op->after, &op->payload, wall);
}

/* ---- What an answer means
 * ---------------------------------------------------- */

static int read_list(struct operation *op, const struct weir_buf *body,
                     struct weir_error *err)
{
    struct weir_error cause = {0};
    int rc;

    weir__s3_list_free(&op->list); /* Of a page before. */
    rc = weir__s3_list_read(&op->list, &op->store->line.place, op->req->key,
                            body != NULL ? body->data : NULL,
                            body != NULL ? body->len : 0, &cause);

    if (rc == WEIR_EFORMAT)
        rc = WEIR_EIO; /* Not the caller's bytes are of a wrong format. */
    if (rc != 0)
        return weir__fail(err, rc, "%s: %.120s", op->what, cause.text);
    return 0;
}

static int read_size(struct operation *op,
                     const struct weir__http_answer *answer,
                     struct weir_error *err)
{
    struct weir_store_req *req = op->req;
    uint64_t offset;
    uint64_t length;
    int rc = 0;

    if (answer->content_length < 0)
        return weir__fail(err, WEIR_EIO, "%s: answered without a size",
                          op->what);
    req->size = (uint64_t)answer->content_length;
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
static int read_success(struct operation *op, struct weir__s3_attempt *a,
                        struct weir_buf *body)
{
    struct weir_store_req *req = op->req;
    int rc = 0;

    if (req->verb == WEIR_STORE_GET && req->length > 0)
        return weir__s3_read_get(req, op->store->host.alloc, &a->http.answer,
                                 body, op->what, &a->err);
    if (req->verb == WEIR_STORE_LIST)
        rc = read_list(op, body, &a->err);
    else if (req->verb == WEIR_STORE_GET || req->verb == WEIR_STORE_HEAD)
        rc = read_size(op, &a->http.answer, &a->err);
    weir_buf_unref(body);
    return rc;
}

/* A range of an empty object begins behind its end, says HTTP; the port has
 * it that the beginning of an object is always there. */
static bool is_empty_range(const struct weir_store_req *req,
                           const struct weir__http_answer *answer)
{
    const char *total = strchr(answer->content_range, '/');

    return req->verb == WEIR_STORE_GET && answer->status == 416 &&
           (req->offset == 0 || (req->flags & WEIR_STORE_SUFFIX) != 0) &&
           (total == NULL || strcmp(total, "/0") == 0);
}

static int read_failure(struct operation *op, struct weir__s3_attempt *a,
                        struct weir_buf *body)
{
    struct weir_store_req *req = op->req;
    const struct weir__http_answer *answer = &a->http.answer;
    struct weir__s3_error *error = &op->call.error;

    weir__s3_error_read(error, op->store->host.alloc, answer,
                        body != NULL ? (const char *)body->data : "",
                        body != NULL ? body->len : 0);
    weir_buf_unref(body);
    if (req->verb == WEIR_STORE_DELETE && answer->status == 404 &&
        (strcmp(error->code, "NoSuchKey") == 0))
        return 0;
    if (is_empty_range(req, answer)) {
        req->body = weir_buf_new(op->store->host.alloc, 0, 0);
        return req->body != NULL ? 0 : WEIR_ENOMEM;
    }
    return weir__s3_error_status(error, answer, req, op->what, &a->err);
}

static int read_answer(struct weir__s3_call *call, struct weir__s3_attempt *a,
                       struct weir_buf *body)
{
    struct operation *op = operation_of(call);
    const struct weir__http_answer *answer = &a->http.answer;
    bool good = answer->status >= 200 && answer->status <= 299;
    bool html = strncmp(answer->content_type, "text/html", 9) == 0;

    /* Our objects are no web pages, and S3 answers with none. */
    if (good && !(html && (body != NULL || op->req->verb == WEIR_STORE_PUT)))
        return read_success(op, a, body);
    return read_failure(op, a, body);
}

/* ---- Whose is it?
 * ------------------------------------------------------------- */

static int write_look(struct weir__s3_call *call,
                      struct weir__s3_message *message,
                      const struct weir__s3_credentials *credentials,
                      int64_t wall)
{
    struct operation *op = operation_of(call);
    const struct weir_store_req look = {.verb = WEIR_STORE_HEAD,
                                        .key = op->req->key};
    struct weir__s3_payload payload = WEIR__S3_NO_PAYLOAD;

    return weir__s3_request(message, &call->line->place, credentials, &look,
                            NULL, &payload, wall);
}

static int read_look(struct weir__s3_call *call, struct weir__s3_attempt *a,
                     struct weir_buf *body)
{
    static const struct weir_store_req look = {.verb = WEIR_STORE_HEAD};
    struct operation *op = operation_of(call);
    const struct weir__http_answer *answer = &a->http.answer;

    weir_buf_unref(body);
    if (answer->status >= 200 && answer->status <= 299) {
        op->own = strcmp(answer->put_id, op->payload.id) == 0;
        return 0;
    }
    weir__s3_error_read(&call->error, op->store->host.alloc, answer, "", 0);
    return weir__s3_error_status(&call->error, answer, &look, op->what,
                                 &a->err);
}

static void looked(struct weir__s3_call *call, int status)
{
    struct operation *op = operation_of(call);

    if (status != 0) /* Removed since, or not to be seen. */
        finish(op, weir__fail(op->req->err, WEIR_EUNKNOWN,
                              "%s: may have been done, and cannot be read back",
                              op->what));
    else if (op->own)
        finish(op, 0);
    else
        finish(op, weir__fail(op->req->err, WEIR_ECONFLICT, "%s: it exists",
                              op->what));
}

/* It exists, and an attempt of ours may have made it. */
static void look(struct operation *op)
{
    uint64_t deadline = op->call.deadline;

    op->call = (struct weir__s3_call){
        .line = &op->store->line,
        .write = write_look,
        .read = read_look,
        .done = looked,
        .deadline = deadline,
        .what = op->what,
    };
    weir__s3_call_start(&op->call);
}

/* ---- Requests
 * ------------------------------------------------------------------ */

static void call_done(struct weir__s3_call *call, int status);

static void send_request(struct operation *op)
{
    struct weir_store_req *req = op->req;
    uint64_t deadline = op->call.deadline;

    op->call = (struct weir__s3_call){
        .line = &op->store->line,
        .write = write_message,
        .read = read_answer,
        .done = call_done,
        .deadline = deadline,
        .err = req->err,
        .what = op->what,
        .max_body = WEIR__XML_SIZE,
    };
    if (req->verb == WEIR_STORE_PUT) {
        op->call.iov = req->iov;
        op->call.iov_count = req->iov_count;
        op->call.body_size = weir__store_body_size(req);
        op->call.max_body = WEIR__HTTP_ERROR_BODY;
        op->call.flags = WEIR__S3_CHANGES;
        if ((req->flags & WEIR_STORE_IF_ABSENT) != 0)
            op->call.flags |= WEIR__S3_ONCE;
    } else if (req->verb == WEIR_STORE_GET) {
        op->call.max_body = req->length;
        op->call.flags = WEIR__S3_HEDGE;
    }
    weir__s3_call_start(&op->call);
}

/* The next page, behind the last key of this one. */
static void list_on(struct operation *op)
{
    weir__free(op->store->host.alloc, op->after);
    op->after = op->list.last;
    op->list.last = NULL;
    send_request(op);
}

static void call_done(struct weir__s3_call *call, int status)
{
    struct operation *op = operation_of(call);

    /* A page of foreign names alone: go on behind it. */
    if (status == 0 && op->req->verb == WEIR_STORE_LIST &&
        op->list.count == 0 && op->list.more)
        list_on(op);
    else if (status == WEIR_ECONFLICT && call->ambiguous)
        look(op);
    else
        finish(op, status);
}

/* On a worker. */
static void hash_body(struct weir_work *work)
{
    struct operation *op = WEIR__CONTAINER(work, struct operation, work);

    op->status =
        weir__s3_payload(&op->payload, op->req, op->store->line.place.https);
}

static void hashed(struct weir_work *work)
{
    struct operation *op = WEIR__CONTAINER(work, struct operation, work);

    if (op->status != 0)
        finish(op, op->status);
    else
        send_request(op);
}

static void start_put(struct operation *op)
{
    struct weir_env *env = op->store->host.env;
    unsigned char id[(WEIR__S3_PUT_ID - 1) / 2];

    env->ops->random(env, id, sizeof(id));
    weir__hex(op->payload.id, id, sizeof(id));
    op->work.work = hash_body;
    op->work.done = hashed;
    env->ops->work(env, &op->work);
}

/* 0 or WEIR_ENOMEM. */
static int start(struct operation *op)
{
    const struct weir_store_req *req = op->req;
    const char *prefix = op->store->line.place.prefix;
    size_t room;

    describe(op);
    if (req->verb == WEIR_STORE_PUT) {
        start_put(op);
        return 0;
    }
    op->payload = (struct weir__s3_payload)WEIR__S3_NO_PAYLOAD;
    if (req->verb == WEIR_STORE_LIST && req->after != NULL &&
        req->after[0] != '\0') {
        room = strlen(prefix) + strlen(req->after) + 1;
        op->after = weir__malloc(op->store->host.alloc, room);
        if (op->after == NULL)
            return WEIR_ENOMEM;
        snprintf(op->after, room, "%s%s", prefix, req->after);
    }
    send_request(op);
    return 0;
}

static void s3_submit(struct weir_store *store, struct weir_store_req *req)
{
    struct s3 *s3 = (void *)store;
    struct weir_env *env = s3->host.env;
    struct operation *op = NULL;
    int rc = s3->closed != NULL ? WEIR_ECANCELED : weir__store_check(req);

    req->body = NULL;
    req->size = 0;
    req->entries = NULL;
    req->entry_count = 0;
    req->more = 0;
    if (rc == 0) {
        op = weir__calloc(s3->host.alloc, 1, sizeof(*op));
        rc = op != NULL ? 0 : WEIR_ENOMEM;
    }
    if (rc == 0) {
        op->store = s3;
        op->req = req;
        op->list.alloc = s3->host.alloc;
        op->call.deadline = req->deadline != 0
                                ? req->deadline
                                : env->ops->now(env) + s3->timeout;
        rc = start(op);
    }
    if (rc != 0) {
        weir__free(s3->host.alloc, op);
        weir__store_refuse(env, req, rc);
        return;
    }
    s3->pending++;
}

static void on_http_closed(struct weir_task *task)
{
    struct s3 *s3 = WEIR__CONTAINER(task, struct s3, http_closed);

    s3->line.http = NULL;
    free_if_closed(s3);
}

static void on_keys_closed(struct weir_task *task)
{
    struct s3 *s3 = WEIR__CONTAINER(task, struct s3, keys_closed);

    s3->line.keys.renewing = false;
    free_if_closed(s3);
}

static void s3_close(struct weir_store *store, struct weir_task *closed)
{
    struct s3 *s3 = (void *)store;

    s3->closed = closed;
    s3->http_closed.run = on_http_closed;
    s3->keys_closed.run = on_keys_closed;
    weir__s3_line_close(&s3->line, &s3->keys_closed);
    weir__http_close(s3->line.http, &s3->http_closed);
}

static const struct weir_store_ops s3_ops = {
    .size = sizeof(s3_ops),
    .name = "s3",
    .submit = s3_submit,
    .close = s3_close,
};

static void read_limits(struct s3 *s3, const struct weir_config *config)
{
    struct weir__s3_line *line = &s3->line;
    const int64_t *number = config->number;

    s3->timeout = (uint64_t)number[WEIR__P_S3_TIMEOUT];
    line->attempt_timeout = (uint64_t)number[WEIR__P_S3_ATTEMPT_TIMEOUT];
    line->hedge = (uint64_t)number[WEIR__P_S3_HEDGE];
    line->retry.attempts = (unsigned)number[WEIR__P_S3_ATTEMPTS];
    line->retry.first_delay = (uint64_t)number[WEIR__P_S3_RETRY_DELAY];
    line->retry.most_delay = (uint64_t)number[WEIR__P_S3_RETRY_DELAY_MAX];
    line->retry.most = (unsigned)number[WEIR__P_S3_CONNECTIONS];
    weir__s3_line_init(line);
}

static int open_http(struct s3 *s3, const struct weir_config *config,
                     struct weir_error *err)
{
    const char *ca_file = weir__config_text(config, WEIR__P_S3_CA_FILE);
    const struct weir__s3_place *place = &s3->line.place;
    struct weir__http_config http = {
        .host = &s3->host,
        .connections = (unsigned)config->number[WEIR__P_S3_CONNECTIONS],
        .ca_file = ca_file[0] != '\0' ? ca_file : NULL,
    };

    if (http.ca_file != NULL && access(http.ca_file, R_OK) != 0)
        return weir__fail_errno(err, errno, "s3_ca_file: read %s",
                                http.ca_file);
    if (place->insecure)
        weir__log(s3->host.log, WEIR_LOG_WARN,
                  "s3://%s: plain http to %s: data and requests can be read "
                  "and changed on the way",
                  place->bucket, place->host);
    return weir__http_open(&s3->line.http, &http, err);
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
    s3->host = s3->line.host = *host;
    read_limits(s3, ctx);
    rc = weir__s3_place_read(&s3->line.place, host->alloc, &parsed, err);
    weir__uri_free(&parsed);
    if (rc == 0)
        rc =
            weir__s3_keys_open(&s3->line.keys, host, ctx, &s3->line.place, err);
    if (rc == 0)
        rc = open_http(s3, ctx, err);
    if (rc != 0) {
        free_all(s3);
        return rc;
    }
    s3->line.keys.http = s3->line.http;
    *out = &s3->base;
    return 0;
}
