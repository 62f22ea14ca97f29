/* SPDX-License-Identifier: Apache-2.0 */
/* Appends: from any thread to the core, and waiting for room. */
#include "base/error.h"
#include "engine/group.h"
#include "engine/upload.h"

/* How long until room is looked for again when nothing else happens. */
#define RETRY_NS 20000000u

/** What an append needs while it is under way: its `impl`. */
struct append_impl {
    struct weir_task task;
    struct weir_stream *stream;
    struct weir_append *next;
    unsigned losses; /* Of the stream, when it got its offset. */
};

_Static_assert(sizeof(struct append_impl) <= WEIR__IMPL_SIZE,
               "append_impl must fit");

static struct append_impl *impl(const struct weir_append *req)
{
    return (struct append_impl *)(uintptr_t)req->req.impl;
}

struct weir_append *weir__append_next(const struct weir_append *req)
{
    return impl(req)->next;
}

void weir__append_link(struct weir_append *req, struct weir_append *next)
{
    impl(req)->next = next;
}

struct weir_stream *weir__append_stream(const struct weir_append *req)
{
    return impl(req)->stream;
}

void weir__append_placed(struct weir_append *req)
{
    impl(req)->losses = impl(req)->stream->losses;
}

int weir__append_lost(const struct weir_append *req)
{
    const struct weir_stream *s = impl(req)->stream;

    return s->failed != 0 || s->node->fenced || impl(req)->losses != s->losses;
}

void weir__append_end(struct weir_append *req, int status)
{
    struct weir_stats *stats = &impl(req)->stream->node->stats;

    if (status == WEIR_EAGAIN)
        stats->append_refused++;
    else if (status != 0)
        stats->append_errors++;
    weir__req_end(&req->req, status);
}

/* Queue an append behind those that wait for room on its stream. */
static void wait_for_room(struct weir_stream *s, struct weir_append *req)
{
    struct weir__commit_queue *q = &s->node->commits;

    weir__append_link(req, NULL);
    if (s->waiting == NULL) {
        s->waiting = req;
        weir__list_push(&q->starved, &s->starved_link);
    } else {
        weir__append_link(s->waiting_last, req);
    }
    s->waiting_last = req;
}

static void retry_later(struct weir *node)
{
    struct weir_env *env = node->host.env;
    struct weir_timer *timer = &node->commits.retry;

    if (timer->slot != 0)
        return;
    timer->deadline = env->ops->now(env) + RETRY_NS;
    env->ops->timer_start(env, timer);
}

/* A stream may fill half of the memory; the other half is for the others. */
static int over_share(const struct weir_stream *s, size_t len)
{
    return s->pending + len > s->node->cache.limit / 2 && s->pending != 0;
}

static int refusal(const struct weir_stream *s)
{
    if (s->node->fenced)
        return WEIR_EFENCED;
    if (s->failed != 0)
        return s->failed;
    if (s->giving)
        return WEIR_EFENCED;
    if (s->damaged != WEIR_OFFSET_END)
        return WEIR_ECORRUPT;
    if (!weir__node_is_open(s->node))
        return WEIR_ECLOSED;
    return 0;
}

static int place(struct weir_stream *s, struct weir_append *req)
{
    int rc = refusal(s);

    if (rc == 0 && over_share(s, req->len))
        rc = WEIR_EAGAIN;
    if (rc == 0)
        rc = weir__group_place(s, req);
    return rc;
}

/* Tell what is not plain from the status alone. */
static void explain(const struct weir_stream *s, const struct weir_append *req,
                    int status)
{
    if (status == WEIR_ETOOBIG)
        weir__fail(req->req.err, status,
                   "append %s: %zu bytes are more than the write-ahead log or "
                   "log_cache can hold",
                   s->name, req->len);
    else if (status == WEIR_EAGAIN)
        weir__fail(req->req.err, status,
                   "append %s: memory or write-ahead log is full until an "
                   "upload succeeds",
                   s->name);
    else if (status == WEIR_ECORRUPT)
        weir__fail(req->req.err, status,
                   "append %s: offset %llu is damaged in the write-ahead log; "
                   "trim past it to go on",
                   s->name, (unsigned long long)s->damaged);
    else
        weir__fail(req->req.err, status, "append %s: %s", s->name,
                   weir_error_text(status));
}

static void append_run(struct weir_task *task)
{
    struct weir_append *req =
        WEIR__CONTAINER(weir__req_of(task), struct weir_append, req);
    struct weir_stream *s = weir__append_stream(req);
    int rc = s->waiting != NULL ? WEIR_EAGAIN : place(s, req);

    if (rc == 0)
        return;
    if (rc == WEIR_EAGAIN && (req->flags & WEIR_APPEND_WAIT) != 0) {
        wait_for_room(s, req);
        retry_later(s->node);
    } else {
        explain(s, req, rc);
        weir__append_end(req, rc);
    }
    if (rc == WEIR_EAGAIN)
        weir__upload_pressure(s->node);
}

/* Take the first waiting append of a stream from its queue. */
static struct weir_append *waiting_pop(struct weir_stream *s)
{
    struct weir_append *req = s->waiting;

    s->waiting = weir__append_next(req);
    if (s->waiting == NULL)
        weir__list_remove(&s->starved_link);
    return req;
}

void weir__append_fail_waiting(struct weir_stream *s, int status)
{
    while (s->waiting != NULL) {
        struct weir_append *req = waiting_pop(s);

        explain(s, req, status);
        weir__append_end(req, status);
    }
}

void weir__append_retry(struct weir *node)
{
    struct weir__list *starved = &node->commits.starved;
    struct weir__list *at = starved->next;

    while (at != starved) {
        struct weir_stream *s =
            WEIR__CONTAINER(at, struct weir_stream, starved_link);
        struct weir_append *req = s->waiting;
        struct weir_append *next = weir__append_next(req);
        int rc = place(s, req);

        at = at->next;
        if (rc == WEIR_EAGAIN)
            continue;
        s->waiting = next;
        weir__list_remove(&s->starved_link);
        if (next != NULL)
            weir__list_push(starved, &s->starved_link);
        if (at == starved)
            at = starved->next; /* Go round while something fits. */
        if (rc != 0) {
            explain(s, req, rc);
            weir__append_end(req, rc);
        }
    }
    if (!weir__list_empty(starved)) {
        weir__upload_pressure(node);
        retry_later(node);
    }
}

static void retry_due(struct weir_timer *timer)
{
    weir__append_retry(WEIR__CONTAINER(timer, struct weir, commits.retry));
}

void weir__append_init(struct weir *node)
{
    node->commits.retry.fire = retry_due;
}

static int append_check(const struct weir_stream *s,
                        const struct weir_append *req)
{
    const struct weir_config *config = s->node->config;

    if (req->data == NULL || req->len == 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "append %s: a batch needs data", s->name);
    if (req->count == 0 || req->count > INT32_MAX)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "append %s: count is %u, must be 1 to 2147483647",
                          s->name, req->count);
    if ((req->flags & ~WEIR_APPEND_WAIT) != 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "append %s: unknown flags 0x%x", s->name, req->flags);
    if (req->len > (uint64_t)config->number[WEIR__P_MAX_BATCH])
        return weir__fail(req->req.err, WEIR_ETOOBIG,
                          "append %s: %zu bytes, max_batch is %lld", s->name,
                          req->len,
                          (long long)config->number[WEIR__P_MAX_BATCH]);
    return 0;
}

int weir_append(struct weir_stream *s, struct weir_append *req)
{
    int rc;

    if (s == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    rc = weir__node_enter(s->node);
    if (rc != 0)
        return weir__fail_status(req->req.err, rc);
    if (weir__stream_status(s) == WEIR_ECLOSED)
        rc = weir__fail(req->req.err, WEIR_ECLOSED, "append %s: closed",
                        s->name);
    if (rc == 0 && !__atomic_load_n(&s->view.writable, __ATOMIC_ACQUIRE))
        rc = weir__fail(req->req.err, WEIR_EREADONLY,
                        "append %s: opened to read only", s->name);
    if (rc == 0)
        rc = append_check(s, req);
    if (rc == 0) {
        impl(req)->stream = s;
        rc = weir__node_post(s->node, &req->req, append_run);
    }
    weir__node_leave(s->node);
    return rc;
}

static int append_start(void *stream, struct weir_req *req)
{
    return weir_append(stream, WEIR__CONTAINER(req, struct weir_append, req));
}

int weir_append_sync(struct weir_stream *s, struct weir_append *req)
{
    if (s == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(s->node, &req->req, append_start, s);
}
