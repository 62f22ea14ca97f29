/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the port as calls (s3_call.h), and what their answers mean. */
#include "store/s3_inside.h"

#include "base/alloc.h"
#include "base/error.h"
#include "http/xml.h"
#include "store/store.h"
#include "store/store_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Verb and object, as messages begin. */
static void describe(struct weir__s3_op *op)
{
    static const char *const verbs[] = {"PUT", "GET", "HEAD", "DELETE", "LIST"};
    const struct weir__s3_place *place = &op->store->line.place;

    snprintf(op->what, WEIR__S3_WHAT, "%s s3://%s/%.40s%.60s",
             verbs[op->req->verb], place->bucket, place->prefix, op->req->key);
}

void weir__s3_finish(struct weir__s3_op *op, int status)
{
    struct weir__s3 *s3 = op->store;
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
    weir__free(s3->host.alloc, op->parts);
    weir__free(s3->host.alloc, op->after);
    weir__free(s3->host.alloc, op);
    s3->pending--;
    weir__s3_free_if_closed(s3);
}

static struct weir__s3_op *operation_of(struct weir__s3_call *call)
{
    return WEIR__CONTAINER(call, struct weir__s3_op, call);
}

static int write_message(struct weir__s3_call *call,
                         struct weir__s3_message *message,
                         const struct weir__s3_credentials *credentials,
                         int64_t wall)
{
    struct weir__s3_op *op = operation_of(call);

    return weir__s3_request(message, &call->line->place, credentials, op->req,
                            op->after, &op->payload, wall);
}

/* ---- What an answer means ------------------------------------------------ */

static int read_list(struct weir__s3_op *op, const struct weir_buf *body,
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

static int read_size(struct weir__s3_op *op,
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

/* Checksum of the whole object in base64, by whoever put it or by the server;
 * "": none.  The server's has a dash when it is one of checksums of parts, and
 * may be that of the part with a range. */
static const char *whole_sum(const struct weir__http_answer *answer)
{
    if (answer->sum[0] != '\0' || answer->status != 200 ||
        strchr(answer->crc32c, '-') != NULL)
        return answer->sum;
    return answer->crc32c;
}

/* A whole object has come: is it what was put?  If not it is asked for once
 * more, for it may be the way here.  Then it is given as it is: those who read
 * it find out where the damage is, and save the rest. */
static int check_sum(struct weir__s3_op *op, struct weir__s3_attempt *a)
{
    struct weir_store_req *req = op->req;
    const struct weir_iov iov = {req->body->data, req->body->len};
    const char *want = whole_sum(&a->http.answer);
    char sum[16];

    if (want[0] == '\0' || req->body->len != req->size || op->doubted)
        return 0;
    weir__s3_sum(sum, &iov, 1);
    if (strcmp(sum, want) == 0)
        return 0;
    op->doubted = true;
    weir_buf_unref(req->body);
    req->body = NULL;
    return weir__fail(&a->err, WEIR_ECORRUPT,
                      "%s: CRC32C is %s, and %.15s when it was put", op->what,
                      sum, want);
}

/* There is an answer and it is success. */
static int read_success(struct weir__s3_op *op, struct weir__s3_attempt *a,
                        struct weir_buf *body)
{
    struct weir_store_req *req = op->req;
    int rc = 0;

    if (req->verb == WEIR_STORE_GET && req->length > 0) {
        rc = weir__s3_read_get(req, op->store->host.alloc, &a->http.answer,
                               body, op->what, &a->err);
        return rc == 0 ? check_sum(op, a) : rc;
    }
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

static int read_failure(struct weir__s3_op *op, struct weir__s3_attempt *a,
                        struct weir_buf *body)
{
    struct weir_store_req *req = op->req;
    const struct weir__http_answer *answer = &a->http.answer;
    struct weir__s3_error *error = &op->call.error;

    weir__s3_error_read(error, op->store->host.alloc, answer,
                        body != NULL ? (const char *)body->data : "",
                        body != NULL ? body->len : 0);
    weir__s3_error_hide(error, &op->store->line.keys.now);
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

/* Our objects are no web pages, and S3 answers with none: some servers call
 * their empty answers so, to a PUT with an ETag. */
static bool is_page(const struct weir__s3_op *op,
                    const struct weir__http_answer *answer,
                    const struct weir_buf *body)
{
    if (strncasecmp(answer->content_type, "text/html", 9) != 0)
        return false;
    return (body != NULL && body->len > 0) ||
           (op->req->verb == WEIR_STORE_PUT && answer->etag[0] == '\0');
}

static int read_answer(struct weir__s3_call *call, struct weir__s3_attempt *a,
                       struct weir_buf *body)
{
    struct weir__s3_op *op = operation_of(call);
    const struct weir__http_answer *answer = &a->http.answer;
    bool good = answer->status >= 200 && answer->status <= 299;

    if (good && !is_page(op, answer, body))
        return read_success(op, a, body);
    return read_failure(op, a, body);
}

/* ---- Requests ------------------------------------------------------------ */

static void call_done(struct weir__s3_call *call, int status);

void weir__s3_send(struct weir__s3_op *op)
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
        if ((req->flags & WEIR__STORE_DAMAGED) != 0)
            op->call.flags |= WEIR__S3_DAMAGED;
    } else if (req->verb == WEIR_STORE_GET) {
        op->call.max_body = req->length;
        op->call.flags = WEIR__S3_HEDGE;
    }
    weir__s3_call_start(&op->call);
}

/* The next page, behind the last key of this one. */
static void list_on(struct weir__s3_op *op)
{
    weir__free(op->store->host.alloc, op->after);
    op->after = op->list.last;
    op->list.last = NULL;
    weir__s3_send(op);
}

static void call_done(struct weir__s3_call *call, int status)
{
    struct weir__s3_op *op = operation_of(call);

    /* A page of foreign names alone: go on behind it. */
    if (status == 0 && op->req->verb == WEIR_STORE_LIST &&
        op->list.count == 0 && op->list.more)
        list_on(op);
    else if (status == WEIR_ECONFLICT && call->ambiguous)
        weir__s3_look(op);
    else
        weir__s3_finish(op, status);
}

/* 0 or WEIR_ENOMEM. */
static int start(struct weir__s3_op *op)
{
    const struct weir_store_req *req = op->req;
    const char *prefix = op->store->line.place.prefix;
    size_t room;

    describe(op);
    if (req->verb == WEIR_STORE_PUT)
        return weir__s3_put(op);
    op->payload = (struct weir__s3_payload)WEIR__S3_NO_PAYLOAD;
    if (req->verb == WEIR_STORE_LIST && req->after != NULL &&
        req->after[0] != '\0') {
        room = strlen(prefix) + strlen(req->after) + 1;
        op->after = weir__malloc(op->store->host.alloc, room);
        if (op->after == NULL)
            return WEIR_ENOMEM;
        snprintf(op->after, room, "%s%s", prefix, req->after);
    }
    if (req->verb == WEIR_STORE_DELETE)
        weir__s3_remove(op);
    else
        weir__s3_send(op);
    return 0;
}

void weir__s3_submit(struct weir_store *store, struct weir_store_req *req)
{
    struct weir__s3 *s3 = (void *)store;
    struct weir_env *env = s3->host.env;
    struct weir__s3_op *op = NULL;
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
        if (op != NULL)
            weir__free(s3->host.alloc, op->parts);
        weir__free(s3->host.alloc, op);
        weir__store_refuse(env, req, rc);
        return;
    }
    s3->pending++;
}
