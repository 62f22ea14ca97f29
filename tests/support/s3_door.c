/* SPDX-License-Identifier: Apache-2.0 */
#include "support/s3_door.h"

#include "base/error.h"
#include "base/list.h"
#include "support/s3_server_inside.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How long an answer takes. */
#define ANSWER_NS UINT64_C(1000000)

struct s3_door {
    struct s3_server server; /* Without sockets and threads. */
    const struct s3_door_fault *fault;
    int index;
    int seen;
    unsigned life; /* Requests of an earlier one do not get through. */
    char hit[200];
    uint64_t delay;
    void (*watch)(const char *method, const char *url);
};

struct weir__http {
    struct s3_door *door;
    struct weir_host host;
    unsigned life;
    struct weir__list flights; /* Those whose answer is awaited. */
    struct weir_task *closed;  /* Set: closing. */
};

/* A request on its way. */
struct flight {
    struct weir__list link;
    struct weir_timer timer;
    struct weir__http *http;
    struct weir__http_req *req;
    struct answer answer;
    int status;
};

/* One that is done later, whoever is there then. */
struct late {
    struct weir_timer timer;
    struct s3_door *door;
    struct request *r;
};

static struct s3_door *current;

struct s3_door *s3_door_new(void)
{
    struct s3_door *door = calloc(1, sizeof(*door));

    ck_assert_ptr_nonnull(door);
    door->delay = ANSWER_NS;
    door->server.trusts =
        1; /* Others look at these; they take half the time. */
    return door;
}

void s3_door_free(struct s3_door *door)
{
    s3_objects_free(&door->server.objects);
    s3_objects_free(&door->server.uploads);
    free(door);
}

void s3_door_set(struct s3_door *door)
{
    current = door;
}

void s3_door_fault(struct s3_door *door, const struct s3_door_fault *fault,
                   int index)
{
    door->fault = fault;
    door->index = index;
    door->seen = 0;
    door->hit[0] = '\0';
}

int s3_door_requests(const struct s3_door *door)
{
    return door->seen;
}

const char *s3_door_hit(const struct s3_door *door)
{
    return door->hit[0] != '\0' ? door->hit : NULL;
}

void s3_door_watch(struct s3_door *door,
                   void (*fn)(const char *method, const char *url))
{
    door->watch = fn;
}

void s3_door_delay(struct s3_door *door, uint64_t nanoseconds)
{
    door->delay = nanoseconds;
}

void s3_door_empty(struct s3_door *door, const char *prefix)
{
    struct s3_objects *all = &door->server.objects;

    for (size_t i = 0; i < all->count; i++)
        if (strncmp(all->at[i].key, prefix, strlen(prefix)) == 0)
            s3_objects_put(all, all->at[i].key, "", 0);
}

void s3_door_cut(struct s3_door *door)
{
    door->life++;
}

const void *s3_door_object(struct s3_door *door, const char *key, size_t *len)
{
    struct s3_object *object = s3_objects_find(&door->server.objects, key);

    *len = object != NULL ? object->len : 0;
    return object != NULL ? object->data : NULL;
}

size_t s3_door_uploads(const struct s3_door *door)
{
    return door->server.uploads.count;
}

/* ---- From a request of HTTP to one of the server ------------------------- */

static void write_head(struct request *r, const struct weir__http_req *req)
{
    const char *path = strchr(strstr(req->url, "//") + 2, '/');
    size_t n = (size_t)snprintf(r->head, sizeof(r->head), "%s %s HTTP/1.1\r\n",
                                req->method, path);

    for (const char *const *h = req->headers; h != NULL && *h != NULL; h++)
        n += (size_t)snprintf(r->head + n, sizeof(r->head) - n, "%s\r\n", *h);
    snprintf(r->head + n, sizeof(r->head) - n, "\r\n");
}

static struct request *make_request(const struct weir__http_req *req)
{
    struct request *r = calloc(1, sizeof(*r));

    ck_assert_ptr_nonnull(r);
    write_head(r, req);
    ck_assert_int_eq(s3_parse_head(r), 0);
    r->len = req->body_size;
    r->body = malloc(r->len + 1);
    r->body[r->len] = '\0'; /* XML is looked at as text. */
    for (size_t i = 0, at = 0; i < req->iov_count; at += req->iov[i++].len)
        if (req->iov[i].len > 0)
            memcpy(r->body + at, req->iov[i].data, req->iov[i].len);
    return r;
}

static void free_request(struct request *r)
{
    free(r->body);
    free(r);
}

/* ---- Faults -------------------------------------------------------------- */

static void do_late(struct weir_timer *timer)
{
    struct late *late = WEIR__CONTAINER(timer, struct late, timer);
    struct answer a = {0};

    s3_act(&late->door->server, late->r, &a);
    free(a.body);
    free_request(late->r);
    free(late);
}

/* Takes `r` over. */
static void do_later(struct weir__http *http, struct request *r, uint64_t delay)
{
    struct weir_env *env = http->host.env;
    struct late *late = calloc(1, sizeof(*late));

    ck_assert_ptr_nonnull(late);
    late->door = http->door;
    late->r = r;
    late->timer.fire = do_late;
    late->timer.deadline = env->ops->now(env) + delay;
    env->ops->timer_start(env, &late->timer);
}

/* What is due for this request, or NULL. */
static const struct s3_door_fault *take_fault(struct s3_door *door,
                                              const struct request *r)
{
    if (door->seen++ != door->index || door->fault == NULL)
        return NULL;
    snprintf(door->hit, sizeof(door->hit), "%s %.180s", r->method, r->path);
    return door->fault;
}

static void damage(struct answer *a, enum s3_fault_kind kind)
{
    if (kind == S3_FLIP && a->len > 0)
        a->body[a->len / 2] ^= 1;
    if (kind == S3_TRUNCATE && a->len > 0)
        a->len--;
}

/* Do the request, or not, and say in `f` how it ends.  Takes `r` over. */
static void perform(struct flight *f, struct request *r)
{
    struct s3_door *door = f->http->door;
    const struct s3_door_fault *fault = take_fault(door, r);
    struct weir__http_req *req = f->req;

    req->sent = fault == NULL || !fault->unsent;
    if (fault != NULL)
        r->fault = fault->answer;
    if (fault == NULL || fault->when == S3_AFTER)
        s3_act(&door->server, r, &f->answer);
    if (fault != NULL) {
        f->status = fault->status;
        if (fault->answer.kind == S3_ANSWER)
            s3_replace_answer(&fault->answer, &f->answer);
        damage(&f->answer, fault->answer.kind);
    }
    if (fault != NULL && fault->when == S3_LATE) {
        r->fault = (struct s3_fault){0};
        do_later(f->http, r, fault->delay);
        return;
    }
    free_request(r);
}

/* ---- From its answer to one of HTTP ---------------------------------------
 */

static void keep_header(const char *head, const char *name, char *to,
                        size_t room)
{
    if (!s3_header_of(head, name, to, room))
        to[0] = '\0';
}

static void keep_headers(struct weir__http_answer *to, const struct answer *a)
{
    char head[300];

    *to = (struct weir__http_answer){.status = a->status};
    to->content_length = (int64_t)a->told;
    snprintf(head, sizeof(head), "\r\n%s", a->header);
    keep_header(head, "content-type", to->content_type,
                sizeof(to->content_type));
    keep_header(head, "content-range", to->content_range,
                sizeof(to->content_range));
    keep_header(head, "etag", to->etag, sizeof(to->etag));
    keep_header(head, "x-amz-bucket-region", to->region, sizeof(to->region));
    keep_header(head, "date", to->date, sizeof(to->date));
    keep_header(head, "x-amz-meta-weir-put", to->put_id, sizeof(to->put_id));
    keep_header(head, "x-amz-meta-weir-crc32c", to->sum, sizeof(to->sum));
    keep_header(head, "x-amz-checksum-crc32c", to->crc32c, sizeof(to->crc32c));
}

/* A good body of more than was asked for is no answer, nor is one that ends
 * before its end. */
static int take_body(struct flight *f)
{
    struct weir__http_req *req = f->req;
    const struct answer *a = &f->answer;
    int good = a->status >= 200 && a->status <= 299;

    if (strcmp(req->method, "HEAD") == 0 || a->told == 0)
        return 0;
    if (good && a->told > req->max_body)
        return WEIR_ETOOBIG;
    if (a->len < a->told)
        return WEIR_EUNAVAILABLE;
    req->body = weir_buf_new(f->http->host.alloc, a->len, 0);
    ck_assert_ptr_nonnull(req->body);
    memcpy(req->body->data, a->body, a->len);
    req->body->len = a->len;
    return 0;
}

static void free_if_closed(struct weir__http *http)
{
    struct weir_env *env = http->host.env;

    if (http->closed == NULL || !weir__list_empty(&http->flights))
        return;
    env->ops->post(env, http->closed);
    free(http);
}

static void land(struct weir_timer *timer)
{
    struct flight *f = WEIR__CONTAINER(timer, struct flight, timer);
    struct weir__http *http = f->http;
    struct weir__http_req *req = f->req;
    int status = http->life == http->door->life ? f->status : WEIR_ECANCELED;

    weir__list_remove(&f->link);
    req->body = NULL;
    if (status == 0) {
        keep_headers(&req->answer, &f->answer);
        status = take_body(f);
    }
    if (status != 0)
        weir__fail(req->err, status, "scripted: %s", weir_error_text(status));
    free(f->answer.body);
    free(f);
    req->done(req, status);
    free_if_closed(http);
}

/* ---- The four functions of HTTP ------------------------------------------ */

int s3_door_http_open(struct weir__http **out,
                      const struct weir__http_config *config)
{
    struct weir__http *http = calloc(1, sizeof(*http));

    ck_assert_ptr_nonnull(http);
    http->door = current;
    http->life = current->life;
    http->host = *config->host;
    weir__list_init(&http->flights);
    *out = http;
    return 0;
}

void s3_door_http_submit(struct weir__http *http, struct weir__http_req *req)
{
    struct weir_env *env = http->host.env;
    struct flight *f = calloc(1, sizeof(*f));

    ck_assert_ptr_nonnull(f);
    f->http = http;
    f->req = req;
    req->answer = (struct weir__http_answer){.content_length = -1};
    if (http->door->watch != NULL)
        http->door->watch(req->method, req->url);
    if (http->life == http->door->life)
        perform(f, make_request(req));
    else
        f->status = WEIR_ECANCELED;
    f->timer.fire = land;
    f->timer.deadline = env->ops->now(env) + http->door->delay;
    if (f->status == WEIR_ETIMEDOUT && req->deadline != 0)
        f->timer.deadline = req->deadline;
    env->ops->timer_start(env, &f->timer);
    weir__list_push(&http->flights, &f->link);
}

static void cancel(struct flight *f)
{
    struct weir_env *env = f->http->host.env;

    f->status = WEIR_ECANCELED;
    f->timer.deadline = env->ops->now(env);
    env->ops->timer_start(env, &f->timer);
}

void s3_door_http_cancel(struct weir__http *http, struct weir__http_req *req)
{
    for (struct weir__list *at = http->flights.next; at != &http->flights;
         at = at->next) {
        struct flight *f = WEIR__CONTAINER(at, struct flight, link);

        if (f->req == req) {
            cancel(f);
            return;
        }
    }
}

void s3_door_http_close(struct weir__http *http, struct weir_task *closed)
{
    for (struct weir__list *at = http->flights.next; at != &http->flights;
         at = at->next)
        cancel(WEIR__CONTAINER(at, struct flight, link));
    http->closed = closed;
    free_if_closed(http);
}
