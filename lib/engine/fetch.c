/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/sometimes.h"
#include "engine/fetch_inside.h"

/** What a fetch needs until it is handed to the core: its `impl`. */
struct fetch_impl {
    struct weir_task task;
    struct weir_stream *stream;
};

static struct fetch_impl *impl(const struct weir_fetch *req)
{
    return (struct fetch_impl *)(uintptr_t)req->req.impl;
}

static void fetch_free(struct weir__fetch *f)
{
    struct weir *node = f->stream->node;

    node->host.env->ops->timer_stop(node->host.env, &f->timer);
    weir__list_remove(&f->wait);
    weir__list_remove(&f->link);
    weir__result_free(f->result);
    weir__free(node->alloc, f);
}

static void count(struct weir__fetch *f, int status)
{
    struct weir_stats *stats = &f->stream->node->stats;

    if (status != 0) {
        stats->fetch_errors++;
        return;
    }
    stats->fetches++;
    stats->log_cache_hits += (uint64_t)f->cached;
    stats->fetch_bytes += f->result->bytes;
}

void weir__fetch_end(struct weir__fetch *f, int status)
{
    struct weir_fetch *req = f->req;
    struct weir_stream *s = f->stream;
    struct weir *node = s->node;

    if (status != 0 && f->result->count != 0 && status != WEIR_ECLOSED)
        status = 0;
    count(f, status);
    req->start = s->start;
    req->end = s->durable;
    if (status == 0 && f->result->count != 0) {
        req->batches = f->result->batches;
        req->count = f->result->count;
        req->held = f->result;
        f->result = NULL;
        s->read_next = f->next;
    } else if (status != 0) {
        weir__fail_status(&f->error, status);
        weir__error_copy(req->req.err, &f->error);
    }
    fetch_free(f);
    weir__req_end(&req->req, status);
    weir__close_step(node);
}

/* Why the fetch cannot go on, or 0. */
static int obstacle(struct weir__fetch *f)
{
    struct weir_stream *s = f->stream;

    if (s->failed == WEIR_ENOENT)
        return weir__fail(&f->error, WEIR_ENOENT, "stream %s: deleted",
                          s->name);
    if (!weir__node_is_open(s->node))
        return WEIR_ECLOSED;
    if (f->next >= s->start &&
        (f->next <= s->durable || weir__fetch_unknown(f)))
        return 0;
    return weir__fail(&f->error, WEIR_ERANGE,
                      "stream %s: offset %llu is not in %llu to %llu", s->name,
                      (unsigned long long)f->next, (unsigned long long)s->start,
                      (unsigned long long)s->durable);
}

/* 1 if the fetch has all that it asked for. */
static int satisfied(const struct weir__fetch *f)
{
    return f->full || f->hurry || f->result->bytes >= f->req->min_bytes ||
           f->req->max_wait == 0;
}

/* Give what was found before it, or wait for its upload or a look at its log.
 */
static void step_owed(struct weir__fetch *f)
{
    const struct weir_stream *s = f->stream;

    WEIR__SOMETIMES("a fetch waits for what is owed");
    if (f->result->count != 0)
        weir__fetch_end(f, 0);
    else if (!f->hurry)
        weir__fetch_park(f);
    else
        weir__fetch_end(
            f,
            weir__fail(&f->error, WEIR_EAGAIN,
                       "stream %s: offsets %llu to %llu are not uploaded "
                       "yet by the node in whose log they are",
                       s->name, (unsigned long long)s->committed,
                       (unsigned long long)(s->owed > s->durable ? s->owed
                                                                 : s->durable) -
                           1));
}

void weir__fetch_step(struct weir__fetch *f)
{
    struct weir_stream *s = f->stream;
    int rc;

    if (f->reading)
        return;
    weir__list_remove(&f->wait);
    if (weir__fetch_wants_refresh(f)) {
        weir__fetch_park(f);
        return;
    }
    rc = obstacle(f);
    while (rc == 0 && !f->full && f->next < s->durable) {
        if (weir__fetch_cached(f, &rc) || rc != 0)
            continue;
        if (weir__fetch_tail(f, &rc) || rc != 0)
            continue;
        if (weir__fetch_elsewhere(f)) {
            step_owed(f);
            return;
        }
        rc = weir__fetch_object(f);
        if (rc == 0)
            return;
    }
    if (rc == 0)
        rc = weir__fetch_doubt(f);
    if (rc != 0 || satisfied(f))
        weir__fetch_end(f, rc);
    else
        weir__fetch_park(f);
}

void weir__fetch_wake(struct weir_stream *s)
{
    struct weir__list woken;
    struct weir__list *at;

    weir__list_init(&woken);
    while ((at = weir__list_pop(&s->waiters)) != NULL)
        weir__list_push(&woken, at);
    while ((at = weir__list_pop(&woken)) != NULL)
        weir__fetch_step(WEIR__CONTAINER(at, struct weir__fetch, wait));
}

static void waited(struct weir_timer *timer)
{
    struct weir__fetch *f = WEIR__CONTAINER(timer, struct weir__fetch, timer);

    f->hurry = 1;
    weir__fetch_step(f);
}

static struct weir__fetch *fetch_new(struct weir_stream *s,
                                     struct weir_fetch *req)
{
    const struct weir_alloc *alloc = s->node->alloc;
    struct weir__fetch *f = weir__calloc(alloc, 1, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->result = weir__calloc(alloc, 1, sizeof(*f->result));
    if (f->result == NULL) {
        weir__free(alloc, f);
        return NULL;
    }
    f->result->alloc = alloc;
    f->stream = s;
    f->req = req;
    f->next = req->offset == WEIR_OFFSET_END ? s->durable : req->offset;
    f->timer.fire = waited;
    weir__list_init(&f->wait);
    weir__list_push(&s->node->fetches, &f->link);
    return f;
}

static void fetch_run(struct weir_task *task)
{
    struct weir_fetch *req =
        WEIR__CONTAINER(weir__req_of(task), struct weir_fetch, req);
    struct weir__fetch *f = fetch_new(impl(req)->stream, req);

    if (f == NULL)
        weir__req_end(&req->req, WEIR_ENOMEM);
    else
        weir__fetch_step(f);
}

int weir_fetch(struct weir_stream *s, struct weir_fetch *req)
{
    int rc;

    if (s == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    if (req->max_wait < 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "fetch %s: max_wait is negative", s->name);
    rc = weir__node_enter(s->node);
    if (rc != 0)
        return weir__fail_status(req->req.err, rc);
    req->batches = NULL;
    req->count = 0;
    req->held = NULL;
    if (weir__stream_status(s) == WEIR_ECLOSED) {
        rc =
            weir__fail(req->req.err, WEIR_ECLOSED, "fetch %s: closed", s->name);
    } else {
        impl(req)->stream = s;
        rc = weir__node_post(s->node, &req->req, fetch_run);
    }
    weir__node_leave(s->node);
    return rc;
}

static int fetch_start(void *stream, struct weir_req *req)
{
    return weir_fetch(stream, WEIR__CONTAINER(req, struct weir_fetch, req));
}

int weir_fetch_sync(struct weir_stream *s, struct weir_fetch *req)
{
    if (s == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(s->node, &req->req, fetch_start, s);
}

void weir_fetch_release(struct weir_fetch *req)
{
    if (req == NULL)
        return;
    weir__result_free(req->held);
    req->held = NULL;
    req->batches = NULL;
    req->count = 0;
}

/** Carries a cancellation to the core. */
struct cancel {
    struct weir_task task;
    struct weir *node;
    struct weir_fetch *req;
};

static void cancel_run(struct weir_task *task)
{
    struct cancel *c = WEIR__CONTAINER(task, struct cancel, task);
    struct weir__list *at = c->node->fetches.next;

    for (; at != &c->node->fetches; at = at->next) {
        struct weir__fetch *f = WEIR__CONTAINER(at, struct weir__fetch, link);

        if (f->req != c->req)
            continue;
        f->hurry = 1;
        f->cancelled = 1;
        weir__fetch_step(f);
        break;
    }
    weir__free(c->node->alloc, c);
}

void weir_fetch_cancel(struct weir_stream *s, struct weir_fetch *req)
{
    struct cancel *c;

    if (s == NULL || weir__node_enter(s->node) != 0)
        return;
    c = weir__calloc(s->node->alloc, 1, sizeof(*c));
    if (c != NULL) {
        c->task.run = cancel_run;
        c->node = s->node;
        c->req = req;
        s->node->host.env->ops->post(s->node->host.env, &c->task);
    }
    weir__node_leave(s->node);
}

void weir__fetch_close(struct weir *node)
{
    struct weir__list *at = node->fetches.next;

    node->host.env->ops->timer_stop(node->host.env, &node->refresh_due);
    while (at != &node->fetches) {
        struct weir__fetch *f = WEIR__CONTAINER(at, struct weir__fetch, link);

        at = at->next;
        if (!f->reading)
            weir__fetch_end(f, WEIR_ECLOSED);
    }
}

int weir__fetch_reads(const struct weir *node, uint64_t object_id)
{
    const struct weir__list *at = node->fetches.next;

    for (; at != &node->fetches; at = at->next) {
        const struct weir__fetch *f =
            (const struct weir__fetch *)(const void *)at; /* `link` is first. */

        if (f->reading && f->get.object_id == object_id)
            return 1;
    }
    return 0;
}
