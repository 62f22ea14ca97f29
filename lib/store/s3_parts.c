/* SPDX-License-Identifier: Apache-2.0 */
#include "store/s3_parts.h"

#include "base/alloc.h"
#include "base/error.h"
#include "http/xml.h"
#include "store/store_request.h"

#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 8, ANSWER_MAX = 64 << 10, UPLOAD_ROOM = 1100 };

/* A part has 5 GiB at most, and may become a quarter larger. */
#define GROWS_TO_MOST (UINT64_C(4) << 30)

/* An abort that does not get through leaves parts for the bucket's lifecycle
 * rule (AbortIncompleteMultipartUpload) to remove. */
#define ABORT_NS UINT64_C(10000000000)

/** A part. */
struct weir__s3_part {
    struct weir_work work; /* Hashes it. */
    struct weir__s3_call call;
    struct weir__s3_parts *parts;
    struct weir_iov *iov;
    size_t iov_count;
    uint64_t size;
    unsigned number; /* From 1. */
    struct weir__s3_payload payload;
    struct weir_error error;
    char etag[80];
    int status;
};

static const struct weir_alloc *alloc_of(const struct weir__s3_parts *p)
{
    return p->line->host.alloc;
}

static void free_all(struct weir__s3_parts *p)
{
    for (size_t i = 0; i < p->count && p->part != NULL; i++)
        weir__free(alloc_of(p), p->part[i].iov);
    weir__free(alloc_of(p), p->part);
    weir__free(alloc_of(p), p->upload);
    weir__free(alloc_of(p), p->key);
    weir__writer_free(&p->body);
    p->part = NULL;
    p->upload = NULL;
    p->key = NULL;
}

static void end(struct weir__s3_parts *p)
{
    int status = p->status;

    if (status != 0)
        weir__error_copy(p->err, &p->error);
    free_all(p);
    p->done(p, status);
}

/* ---- Answers ------------------------------------------------------------- */

/* What an answer that is no success means, as of a PUT. */
static int read_failure(struct weir__s3_call *call, struct weir__s3_attempt *a,
                        struct weir_buf *body, const struct weir_store_req *req)
{
    weir__s3_error_read(&call->error, call->line->host.alloc, &a->http.answer,
                        body != NULL ? (const char *)body->data : "",
                        body != NULL ? body->len : 0);
    weir__s3_error_hide(&call->error, &call->line->keys.now);
    weir_buf_unref(body);
    return weir__s3_error_status(&call->error, &a->http.answer, req, call->what,
                                 &a->err);
}

/* ---- Taking it apart ----------------------------------------------------- */

/* Pieces of `req`'s body from `offset` on, `size` bytes of them. */
static int slice(struct weir__s3_part *part, const struct weir_store_req *req,
                 uint64_t offset, uint64_t size)
{
    size_t first = 0;
    size_t n = 0;

    while (first < req->iov_count && offset >= req->iov[first].len)
        offset -= req->iov[first++].len;
    part->size = size;
    part->iov = weir__calloc(alloc_of(part->parts), req->iov_count - first + 1,
                             sizeof(*part->iov));
    if (part->iov == NULL)
        return WEIR_ENOMEM;
    for (size_t i = first; size > 0; i++) {
        size_t len = req->iov[i].len - offset;

        if (len > size)
            len = (size_t)size;
        part->iov[n].data = (const char *)req->iov[i].data + offset;
        part->iov[n++].len = len;
        size -= len;
        offset = 0;
    }
    part->iov_count = n;
    return 0;
}

uint64_t weir__s3_part_size(uint64_t body, uint64_t asked)
{
    uint64_t size = asked > WEIR__S3_PART_MIN ? asked : WEIR__S3_PART_MIN;
    uint64_t whole;

    if (body / WEIR__S3_PARTS_MAX >= size)
        size = body / WEIR__S3_PARTS_MAX + 1;
    whole = body / size;
    if (whole > 0 && body % size <= size / 4 && size <= GROWS_TO_MOST)
        size = (body + whole - 1) / whole;
    return size;
}

static int cut(struct weir__s3_parts *p)
{
    uint64_t left = weir__store_body_size(p->req);
    uint64_t offset = 0;
    int rc = 0;

    p->count = (size_t)((left + p->part_size - 1) / p->part_size);
    p->part = weir__calloc(alloc_of(p), p->count, sizeof(*p->part));
    if (p->part == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < p->count && rc == 0; i++) {
        uint64_t size = left < p->part_size ? left : p->part_size;

        p->part[i].parts = p;
        p->part[i].number = (unsigned)i + 1;
        rc = slice(&p->part[i], p->req, offset, size);
        offset += size;
        left -= size;
    }
    return rc;
}

/* ---- The end: abort ------------------------------------------------------ */

static int sign(struct weir__s3_parts *p, struct weir__s3_message *message,
                const struct weir__s3_credentials *credentials,
                struct weir__s3_ask *ask, int64_t wall)
{
    ask->key = p->key;
    return weir__s3_ask_sign(message, &p->line->place, credentials, ask, wall);
}

static int write_abort(struct weir__s3_call *call,
                       struct weir__s3_message *message,
                       const struct weir__s3_credentials *credentials,
                       int64_t wall)
{
    static const struct weir__s3_payload empty = WEIR__S3_NO_PAYLOAD;
    struct weir__s3_parts *p =
        WEIR__CONTAINER(call, struct weir__s3_parts, call);
    struct weir__s3_ask ask = {.method = "DELETE", .payload_hash = empty.hash};

    weir__s3_ask_query(&ask, "uploadId", p->upload);
    return sign(p, message, credentials, &ask, wall);
}

static int read_abort(struct weir__s3_call *call, struct weir__s3_attempt *a,
                      struct weir_buf *body)
{
    static const struct weir_store_req gone = {.verb = WEIR_STORE_DELETE};

    if (a->http.answer.status < 300 || a->http.answer.status == 404) {
        weir_buf_unref(body);
        return 0;
    }
    return read_failure(call, a, body, &gone);
}

static void aborted(struct weir__s3_call *call, int status)
{
    (void)status; /* It has failed for a better reason. */
    end(WEIR__CONTAINER(call, struct weir__s3_parts, call));
}

static void start_abort(struct weir__s3_parts *p)
{
    struct weir_env *env = p->line->host.env;

    p->call = (struct weir__s3_call){
        .line = p->line,
        .write = write_abort,
        .read = read_abort,
        .done = aborted,
        .max_body = ANSWER_MAX,
        .deadline = env->ops->now(env) + ABORT_NS,
        .what = p->what,
    };
    weir__s3_call_start(&p->call);
}

/* ---- The end: complete --------------------------------------------------- */

static int write_complete(struct weir__s3_call *call,
                          struct weir__s3_message *message,
                          const struct weir__s3_credentials *credentials,
                          int64_t wall)
{
    struct weir__s3_parts *p =
        WEIR__CONTAINER(call, struct weir__s3_parts, call);
    struct weir__s3_ask ask = {.method = "POST",
                               .payload_hash = p->payload.hash};

    weir__s3_ask_header(&ask, "content-type", "application/xml");
    if ((p->req->flags & WEIR_STORE_IF_ABSENT) != 0)
        weir__s3_ask_header(&ask, "if-none-match", "*");
    weir__s3_ask_query(&ask, "uploadId", p->upload);
    return sign(p, message, credentials, &ask, wall);
}

static int on_result(void *ctx, const char *path, const char *text)
{
    if (strcmp(path, "CompleteMultipartUploadResult/ETag") == 0 &&
        text[0] != '\0')
        *(bool *)ctx = true;
    return 0;
}

/* The status comes before the work is done: only the body tells how it
 * ended (S3 API, CompleteMultipartUpload). */
static int read_complete(struct weir__s3_call *call, struct weir__s3_attempt *a,
                         struct weir_buf *body)
{
    struct weir__s3_parts *p =
        WEIR__CONTAINER(call, struct weir__s3_parts, call);
    bool good = false;

    if (a->http.answer.status == 200 && body != NULL)
        weir__xml_parse(alloc_of(p), body->data, body->len, on_result, &good,
                        NULL);
    if (!good)
        return read_failure(call, a, body, p->req);
    weir_buf_unref(body);
    return 0;
}

static void completed(struct weir__s3_call *call, int status)
{
    struct weir__s3_parts *p =
        WEIR__CONTAINER(call, struct weir__s3_parts, call);

    p->status = status;
    /* It may be done, or be under way yet: then nothing is to be aborted. */
    if (status == 0 || status == WEIR_EUNKNOWN || p->line->closing)
        end(p);
    else
        start_abort(p);
}

static void write_text(struct weir__writer *w, const char *text)
{
    weir__write_bytes(w, text, strlen(text));
}

static int write_body(struct weir__s3_parts *p)
{
    struct weir__writer *w = &p->body;
    char number[32];

    weir__writer_init(w, alloc_of(p));
    write_text(w, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < p->count; i++) {
        snprintf(number, sizeof(number), "%u", p->part[i].number);
        write_text(w, "<Part><PartNumber>");
        write_text(w, number);
        write_text(w, "</PartNumber><ETag>");
        write_text(w, p->part[i].etag);
        write_text(w, "</ETag></Part>");
    }
    write_text(w, "</CompleteMultipartUpload>");
    if (w->bad)
        return WEIR_ENOMEM;
    p->iov = (struct weir_iov){w->data, w->len};
    return weir__s3_hash(&p->payload, &p->iov, 1);
}

static void start_complete(struct weir__s3_parts *p)
{
    int rc = write_body(p);

    if (rc != 0) {
        p->status = weir__fail(&p->error, rc, "%s: out of memory", p->what);
        start_abort(p);
        return;
    }
    p->call = (struct weir__s3_call){
        .line = p->line,
        .write = write_complete,
        .read = read_complete,
        .done = completed,
        .iov = &p->iov,
        .iov_count = 1,
        .body_size = p->body.len,
        .max_body = ANSWER_MAX,
        .flags = WEIR__S3_CHANGES | WEIR__S3_ONCE,
        .deadline = p->deadline,
        .err = &p->error,
        .what = p->what,
    };
    weir__s3_call_start(&p->call);
}

/* ---- Parts --------------------------------------------------------------- */

static void next_part(struct weir__s3_parts *p);

static int write_part(struct weir__s3_call *call,
                      struct weir__s3_message *message,
                      const struct weir__s3_credentials *credentials,
                      int64_t wall)
{
    struct weir__s3_part *part =
        WEIR__CONTAINER(call, struct weir__s3_part, call);
    struct weir__s3_ask ask = {.method = "PUT",
                               .payload_hash = part->payload.hash};
    char number[16];

    snprintf(number, sizeof(number), "%u", part->number);
    weir__s3_ask_query(&ask, "partNumber", number);
    weir__s3_ask_query(&ask, "uploadId", part->parts->upload);
    return sign(part->parts, message, credentials, &ask, wall);
}

static int read_part(struct weir__s3_call *call, struct weir__s3_attempt *a,
                     struct weir_buf *body)
{
    struct weir__s3_part *part =
        WEIR__CONTAINER(call, struct weir__s3_part, call);
    const char *etag = a->http.answer.etag;

    if (a->http.answer.status == 200 && etag[0] != '\0' &&
        etag[strcspn(etag, "<>&")] == '\0') {
        snprintf(part->etag, sizeof(part->etag), "%s", etag);
        weir_buf_unref(body);
        return 0;
    }
    return read_failure(call, a, body, part->parts->req);
}

/* The last one out completes, or aborts. */
static void part_end(struct weir__s3_part *part, int status)
{
    struct weir__s3_parts *p = part->parts;

    p->flying--;
    if (status != 0 && p->status == 0) {
        /* A part that may be there changes nothing about the object. */
        p->status = status == WEIR_EUNKNOWN ? WEIR_EUNAVAILABLE : status;
        p->error = part->error;
        p->error.code = p->status;
    }
    next_part(p);
}

static void part_done(struct weir__s3_call *call, int status)
{
    part_end(WEIR__CONTAINER(call, struct weir__s3_part, call), status);
}

/* Always a hash that is signed: that is what every server checks.  AWS refuses
 * a part with a checksum that the upload has not declared ("Checksum Type
 * mismatch"), and not every server knows how to declare one. */
static void hash_part(struct weir_work *work)
{
    struct weir__s3_part *part =
        WEIR__CONTAINER(work, struct weir__s3_part, work);

    part->status = weir__s3_hash(&part->payload, part->iov, part->iov_count);
}

static void part_hashed(struct weir_work *work)
{
    struct weir__s3_part *part =
        WEIR__CONTAINER(work, struct weir__s3_part, work);
    struct weir__s3_parts *p = part->parts;

    if (part->status != 0) {
        weir__fail(&part->error, part->status, "%s: out of memory", p->what);
        part_end(part, part->status);
        return;
    }
    part->call = (struct weir__s3_call){
        .line = p->line,
        .write = write_part,
        .read = read_part,
        .done = part_done,
        .iov = part->iov,
        .iov_count = part->iov_count,
        .body_size = part->size,
        .max_body = ANSWER_MAX,
        .flags = WEIR__S3_CHANGES,
        .deadline = p->deadline,
        .err = &part->error,
        .what = p->what,
    };
    weir__s3_call_start(&part->call);
}

static void next_part(struct weir__s3_parts *p)
{
    struct weir_env *env = p->line->host.env;

    while (p->status == 0 && p->next < p->count && p->flying < AT_ONCE) {
        struct weir__s3_part *part = &p->part[p->next++];

        p->flying++;
        part->work.work = hash_part;
        part->work.done = part_hashed;
        env->ops->work(env, &part->work);
    }
    if (p->flying > 0)
        return;
    if (p->status == 0)
        start_complete(p);
    else if (p->line->closing)
        end(p);
    else
        start_abort(p);
}

/* ---- The beginning ------------------------------------------------------- */

static int write_create(struct weir__s3_call *call,
                        struct weir__s3_message *message,
                        const struct weir__s3_credentials *credentials,
                        int64_t wall)
{
    struct weir__s3_parts *p =
        WEIR__CONTAINER(call, struct weir__s3_parts, call);
    struct weir__s3_payload payload = WEIR__S3_NO_PAYLOAD;
    struct weir__s3_ask ask = {.method = "POST", .payload_hash = payload.hash};

    snprintf(payload.id, sizeof(payload.id), "%s", p->id);
    weir__s3_ask_put(&ask, &p->line->place, &payload);
    weir__s3_ask_query(&ask, "uploads", "");
    return sign(p, message, credentials, &ask, wall);
}

static int on_upload(void *ctx, const char *path, const char *text)
{
    struct weir__s3_parts *p = ctx;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0 ||
        text[0] == '\0' || strlen(text) >= UPLOAD_ROOM)
        return 0;
    weir__free(alloc_of(p), p->upload);
    p->upload = weir__strdup(alloc_of(p), text);
    return p->upload != NULL ? 0 : WEIR_ENOMEM;
}

static int read_create(struct weir__s3_call *call, struct weir__s3_attempt *a,
                       struct weir_buf *body)
{
    struct weir__s3_parts *p =
        WEIR__CONTAINER(call, struct weir__s3_parts, call);
    int rc = 0;

    if (a->http.answer.status == 200 && body != NULL)
        rc = weir__xml_parse(alloc_of(p), body->data, body->len, on_upload, p,
                             NULL);
    if (p->upload == NULL && rc != WEIR_ENOMEM)
        return read_failure(call, a, body, p->req);
    weir_buf_unref(body);
    return rc == WEIR_ENOMEM ? rc : 0;
}

static void created(struct weir__s3_call *call, int status)
{
    struct weir__s3_parts *p =
        WEIR__CONTAINER(call, struct weir__s3_parts, call);

    if (status == 0) {
        next_part(p);
        return;
    }
    /* An upload that may have been begun is no object. */
    p->status = status == WEIR_EUNKNOWN ? WEIR_EUNAVAILABLE : status;
    p->error.code = p->status;
    end(p);
}

int weir__s3_parts_start(struct weir__s3_parts *p)
{
    const char *prefix = p->line->place.prefix;
    size_t room = strlen(prefix) + strlen(p->req->key) + 1;

    weir__writer_init(&p->body, alloc_of(p));
    p->key = weir__malloc(alloc_of(p), room);
    if (p->key == NULL || cut(p) != 0) {
        free_all(p);
        return WEIR_ENOMEM;
    }
    snprintf(p->key, room, "%s%s", prefix, p->req->key);
    p->call = (struct weir__s3_call){
        .line = p->line,
        .write = write_create,
        .read = read_create,
        .done = created,
        .max_body = ANSWER_MAX,
        .flags = WEIR__S3_CHANGES,
        .deadline = p->deadline,
        .err = &p->error,
        .what = p->what,
    };
    weir__s3_call_start(&p->call);
    return 0;
}
