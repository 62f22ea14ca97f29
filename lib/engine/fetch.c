/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fetch.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/sometimes.h"
#include "engine/fetch_result.h"
#include "engine/lease.h"
#include "engine/tail.h"

/* How often a fetch that waits on another node's stream reads the log. */
#define REFRESH_NS 250000000u
/* How long a fetch waits, at least, for a former owner's upload, and one that
 * need not wait for more, to learn that there is none. */
#define OTHERS_NS 10000000000u

/** What a fetch needs until it is handed to the core: its `impl`. */
struct fetch_impl {
    struct weir_task task;
    struct weir_stream *stream;
};

/** A fetch under way. */
struct fetch {
    struct weir__list link; /* In the node's fetches. */
    struct weir__list wait; /* In the stream's waiters. */
    struct weir_stream *stream;
    struct weir_fetch *req;
    struct weir__fetch_result *result;
    struct weir_timer timer;
    struct weir__block_get get;
    struct weir_error error;
    uint64_t next;    /* Offset to go on with. */
    int reading;      /* `get` is under way. */
    int hurry;        /* The wait is over: give what there is. */
    int cancelled;    /* The host has ended it. */
    int full;         /* One more batch would be too much. */
    int cached;       /* Something came from the log cache. */
    int refreshed;    /* The manifest was read for it: */
    int told;         /* that was asked for, and is to be */
    uint64_t refresh; /* later than this time. */
    int unclear;      /* Why it was not, or 0. */
    int asked;        /* So is a look at other nodes' logs, */
    int looked;       /* and that has ended: */
    uint64_t look;    /* it is later than this one. */
};

static void step(struct fetch *f);
static void park(struct fetch *f);

static struct fetch_impl *impl(const struct weir_fetch *req)
{
    return (struct fetch_impl *)(uintptr_t)req->req.impl;
}

static void fetch_free(struct fetch *f)
{
    struct weir *node = f->stream->node;

    node->host.env->ops->timer_stop(node->host.env, &f->timer);
    weir__list_remove(&f->wait);
    weir__list_remove(&f->link);
    weir__result_free(f->result);
    weir__free(node->alloc, f);
}

static void count(struct fetch *f, int status)
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

/* End the fetch: an error only if nothing was found before it. */
static void end(struct fetch *f, int status)
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

/* 1 if the batch may not be added any more. */
static int is_full(struct fetch *f, size_t len)
{
    if (f->result->count != 0 && f->result->bytes + len > f->req->max_bytes)
        f->full = 1;
    return f->full;
}

static int add(struct fetch *f, const struct weir_batch *batch)
{
    int rc = weir__result_add(f->result, batch);

    if (rc == 0)
        f->next = batch->base_offset + batch->count;
    if (f->result->bytes >= f->req->max_bytes)
        f->full = 1;
    return rc;
}

static int add_entry(struct fetch *f, const struct weir__entry *entry)
{
    struct weir_batch batch = {0};
    int rc;

    if (entry->segment == NULL)
        return weir__fail(&f->error, WEIR_ECORRUPT,
                          "stream %s: offsets %llu to %llu are damaged in the "
                          "write-ahead log; trim past them to go on",
                          f->stream->name, (unsigned long long)entry->base,
                          (unsigned long long)entry->base + entry->count - 1);
    rc = weir__result_hold_buf(f->result, entry->segment->buf);
    if (rc != 0)
        return rc;
    batch.base_offset = entry->base;
    batch.data = entry->segment->buf->data + entry->at;
    batch.len = entry->len;
    batch.max_timestamp = entry->max_timestamp;
    batch.count = entry->count;
    batch.crc32c = entry->crc32c;
    return add(f, &batch);
}

/* Take what the log cache has from `next` on.  1: took something. */
static int take_cached(struct fetch *f, int *rc)
{
    struct weir_stream *s = f->stream;
    size_t i = weir__entries_find(&s->entries, f->next);
    int took = 0;

    for (; i < s->entries.count && *rc == 0; i++) {
        const struct weir__entry *entry = weir__entries_at(&s->entries, i);

        if (entry->base > f->next || entry->base >= s->durable)
            break;
        if (is_full(f, entry->len))
            return 1;
        *rc = add_entry(f, entry);
        took = 1;
        f->cached = 1;
    }
    return took;
}

static int add_tail(struct fetch *f, struct weir__tail_slot *slot,
                    const struct weir__tail_batch *b)
{
    struct weir_batch batch = {.base_offset = b->base,
                               .data = slot->buf->data + b->at,
                               .len = b->len,
                               .max_timestamp = b->max_timestamp,
                               .count = b->count,
                               .crc32c = b->crc32c};
    int rc;

    if (b->damaged)
        return weir__fail(&f->error, WEIR_ECORRUPT,
                          "stream %s: offsets %llu to %llu are damaged in the "
                          "write-ahead log of node %u",
                          f->stream->name, (unsigned long long)b->base,
                          (unsigned long long)b->base + b->count - 1,
                          slot->node_id);
    rc = weir__result_hold_buf(f->result, slot->buf);
    return rc == 0 ? add(f, &batch) : rc;
}

/* Take what a slot of another node's log has from `next` on.  1: took
 * something. */
static int take_tail(struct fetch *f, int *rc)
{
    struct weir_stream *s = f->stream;
    const struct weir__tail_range *range =
        s->tail.count > 0 ? weir__tail_find(s, f->next) : NULL;
    int took = 0;

    for (size_t i = 0; range != NULL && i < range->slot->count && *rc == 0;
         i++) {
        const struct weir__tail_batch *b = &range->slot->batches[i];

        if (b->stream_id != s->id || b->base + b->count <= f->next)
            continue;
        if (b->base > f->next || b->base >= range->end || b->base >= s->durable)
            break;
        if (is_full(f, b->len))
            return 1;
        *rc = add_tail(f, range->slot, b);
        took = 1;
    }
    return took;
}

/* Take what a block has from `next` on. */
static int take_block(struct fetch *f, struct weir__block *block)
{
    uint64_t before = f->next;
    int rc = 0;

    for (size_t i = 0; i < block->count && rc == 0; i++) {
        const struct weir_batch *batch = &block->batches[i];

        if (batch->base_offset + batch->count <= f->next)
            continue;
        if (batch->base_offset > f->next || is_full(f, batch->len))
            break;
        if (f->next == before)
            rc = weir__result_hold_block(f->result, block);
        if (rc == 0)
            rc = add(f, batch);
    }
    if (rc == 0 && f->next == before && !f->full)
        rc = weir__fail(&f->error, WEIR_ECORRUPT,
                        "stream %s: object %llu does not hold offset %llu",
                        f->stream->name, (unsigned long long)block->object_id,
                        (unsigned long long)f->next);
    return rc;
}

/* 1 if other nodes append to the stream, as far as this node knows. */
static int is_foreign(const struct weir_stream *s)
{
    return s->node->read_only || s->view.owner != s->node->id;
}

/* 1 if other nodes may append to the stream, or may do so since this one was
 * taken over. */
static int is_shared(const struct weir_stream *s)
{
    return is_foreign(s) || !weir__lease_runs(s->node);
}

/* The object is gone.  If the stream is another node's, that one may have
 * trimmed it in the meantime: read the manifest, then look again. */
static int may_be_trimmed(const struct fetch *f)
{
    return is_foreign(f->stream) && !f->refreshed &&
           weir__node_is_open(f->stream->node);
}

static void block_done(struct weir__block_get *get, int status)
{
    struct fetch *f = get->ctx;

    f->reading = 0;
    if (status == 0) {
        status = take_block(f, get->block);
        weir__block_unref(get->block);
    } else if (status == WEIR_ENOENT && may_be_trimmed(f)) {
        f->error.code = 0;
        park(f);
        return;
    } else if (status == WEIR_ENOENT) {
        status = WEIR_ECORRUPT; /* The manifest says that it is there. */
        f->error.code = status;
    }
    if (status != 0)
        end(f, status);
    else
        step(f);
}

/* How far to read ahead of this fetch. */
static size_t ahead(struct fetch *f)
{
    struct weir_stream *s = f->stream;
    const struct weir_config *config = s->node->config;
    size_t most = (size_t)config->number[WEIR__P_READAHEAD];

    if (f->next != s->read_next && f->result->count == 0)
        s->ahead = 0;
    else if (s->ahead == 0)
        s->ahead = (size_t)config->number[WEIR__P_BLOCK];
    else
        s->ahead *= 2;
    if (s->ahead > most)
        s->ahead = most;
    return s->ahead;
}

/* Ask for the block that holds `next`. */
static int read_object(struct fetch *f)
{
    struct weir_stream *s = f->stream;
    const struct weir__state *state = weir__manifest_state(s->node->manifest);
    const struct weir__mstream *m = weir__state_stream(state, s->id);
    const struct weir__extent *extent = NULL;
    const struct weir__mobject *object = NULL;

    if (m != NULL)
        extent = weir__mstream_extent(m, f->next);
    if (extent != NULL && extent->base <= f->next)
        object = weir__state_object(state, extent->object_id);
    if (object == NULL)
        return weir__fail(&f->error, WEIR_ECORRUPT,
                          "stream %s: no object holds offset %llu; trim past "
                          "it to go on",
                          s->name, (unsigned long long)f->next);
    f->get.object_id = object->id;
    f->get.object_size = object->size;
    f->get.stream_id = s->id;
    f->get.offset = f->next;
    f->get.ahead = ahead(f);
    f->get.done = block_done;
    f->get.ctx = f;
    f->get.err = &f->error;
    f->reading = 1;
    weir__block_get(s->node->reader, &f->get);
    return 0;
}

/* The manifest was read.  If it tells that the logs were looked at in the
 * wrong place, that begins anew. */
static void told(struct fetch *f, int status)
{
    f->refreshed = 1;
    f->unclear = status;
    if (!f->looked || !weir__tail_can(f->stream) ||
        !weir__tail_is_stale(f->stream))
        return;
    f->refreshed = 0;
    f->told = 0;
    f->looked = 0;
    f->asked = 0;
}

static void wake_all(struct weir *node)
{
    struct weir_stream *s;
    size_t i = 0;

    while ((s = weir__map_next(&node->streams, &i)) != NULL)
        weir__fetch_wake(s);
}

static void refresh_done(struct weir__refresh *req, int status)
{
    struct weir *node = req->ctx;
    struct weir__list *at = node->fetches.next;

    node->refreshing = 0;
    if (status == 0)
        weir__stream_sync_all(node);
    for (; at != &node->fetches; at = at->next) {
        struct fetch *f = WEIR__CONTAINER(at, struct fetch, link);

        /* One that was begun before the fetch tells nothing of the time
         * since. */
        if (f->told && f->refresh < node->refreshes)
            told(f, status);
    }
    wake_all(node);
    if (node->refresh_again)
        weir__fetch_refresh(node);
    weir__close_step(node);
}

void weir__fetch_refresh(struct weir *node)
{
    if (!weir__node_is_open(node))
        return;
    node->refresh_again = node->refreshing;
    if (node->refreshing)
        return;
    node->refreshing = 1;
    node->refreshes++;
    node->refresh.done = refresh_done;
    node->refresh.ctx = node;
    weir__manifest_refresh(node->manifest, &node->refresh);
}

static void refresh_due(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, refresh_due);

    if (weir__manifest_hears(node->manifest))
        wake_all(node); /* Who still waits comes back here. */
    else
        weir__fetch_refresh(node);
}

void weir__fetch_init(struct weir *node)
{
    node->refresh_due.fire = refresh_due;
}

/* 1 if what comes next is in a former owner's WAL, and in no object yet. */
static int is_owed(const struct fetch *f)
{
    const struct weir_stream *s = f->stream;

    return f->next < s->owed && f->next >= s->committed;
}

/* 1 if what comes next is in another node's WAL alone. */
static int is_elsewhere(const struct fetch *f)
{
    const struct weir_stream *s = f->stream;

    return is_owed(f) ||
           (f->next >= s->committed && f->next < s->durable && is_foreign(s));
}

/* How long to wait: 0 for ever. */
static uint64_t patience(const struct fetch *f)
{
    uint64_t wait = (uint64_t)f->req->max_wait;

    if (f->req->max_wait == WEIR_FOREVER)
        return 0;
    if (wait < OTHERS_NS && (wait == 0 || is_elsewhere(f)))
        return OTHERS_NS;
    return wait;
}

/* Other nodes' logs are read once for this fetch, then the manifest: only that
 * tells whether a slot that was missing had been there before. */
static void ask(struct fetch *f, int tail)
{
    struct weir *node = f->stream->node;

    if (tail && !f->looked) {
        if (!f->asked)
            f->look = node->tail.round;
        if (!f->asked)
            weir__tail_look(f->stream);
        f->asked = 1;
    } else if (!f->told) {
        f->told = 1;
        f->refresh = node->refreshes;
        weir__fetch_refresh(node);
    }
}

/* And then now and then. */
static void ask_later(struct fetch *f, int tail)
{
    struct weir *node = f->stream->node;
    struct weir_env *env = node->host.env;

    if (tail)
        weir__tail_later(f->stream);
    if (node->refresh_due.slot != 0)
        return;
    weir__manifest_listen(node->manifest);
    node->refresh_due.deadline = env->ops->now(env) + REFRESH_NS;
    env->ops->timer_start(env, &node->refresh_due);
}

/* Wait for data, or for the end of the wait. */
static void park(struct fetch *f)
{
    struct weir_stream *s = f->stream;
    struct weir *node = s->node;
    struct weir_env *env = node->host.env;
    int tail;

    if (f->wait.next == &f->wait)
        weir__list_push(&s->waiters, &f->wait);
    if (f->timer.slot == 0 && patience(f) > 0) {
        f->timer.deadline = env->ops->now(env) + patience(f);
        env->ops->timer_start(env, &f->timer);
    }
    if (!is_shared(s) && !is_owed(f))
        return;
    tail = weir__tail_can(s);
    if (f->refreshed && (f->looked || !tail))
        ask_later(f, tail);
    else
        ask(f, tail);
}

/* Why the fetch cannot go on, or 0. */
static int obstacle(struct fetch *f)
{
    struct weir_stream *s = f->stream;

    if (s->failed == WEIR_ENOENT)
        return weir__fail(&f->error, WEIR_ENOENT, "stream %s: deleted",
                          s->name);
    if (!weir__node_is_open(s->node))
        return WEIR_ECLOSED;
    if (f->next >= s->start && f->next <= s->durable)
        return 0;
    return weir__fail(&f->error, WEIR_ERANGE,
                      "stream %s: offset %llu is not in %llu to %llu", s->name,
                      (unsigned long long)f->next, (unsigned long long)s->start,
                      (unsigned long long)s->durable);
}

/* 1 if the fetch has all that it asked for. */
static int satisfied(const struct fetch *f)
{
    return f->full || f->hurry || f->result->bytes >= f->req->min_bytes ||
           f->req->max_wait == 0;
}

/* At the end of a shared stream the logs that hold its tail are read once, and
 * the manifest, before anyone is told that there is no more. */
static int wants_refresh(const struct fetch *f)
{
    const struct weir_stream *s = f->stream;

    return !f->hurry && f->next >= s->durable && s->failed != WEIR_ENOENT &&
           is_shared(s) && f->result->count == 0 &&
           weir__node_is_open(s->node) &&
           (!f->refreshed || (!f->looked && weir__tail_can(s)));
}

/* Why nobody knows whether there is more, or 0. */
static int uncertainty(struct fetch *f)
{
    const char *name = f->stream->name;

    if (f->unclear != 0)
        return weir__fail(&f->error, f->unclear,
                          "stream %s: the manifest cannot be read: %s", name,
                          weir_error_text(f->unclear));
    if (!f->refreshed)
        return weir__fail(&f->error, WEIR_ETIMEDOUT,
                          "stream %s: whether there is more behind offset %llu "
                          "cannot be told: the manifest or the log of another "
                          "node is not read in time",
                          name, (unsigned long long)f->next);
    return 0;
}

/* A fetch that has found nothing is told why nobody knows whether there is
 * more; one that waits goes on waiting, but not for what is damaged. */
static int end_status(struct fetch *f)
{
    int rc;

    if (f->result->count != 0 || f->next < f->stream->durable ||
        !is_shared(f->stream))
        return 0;
    rc = f->looked ? weir__tail_status(f->stream, &f->error) : 0;
    if (rc == WEIR_ECORRUPT)
        return rc;
    if (f->req->max_wait > 0 || f->cancelled)
        return 0;
    return rc != 0 ? rc : uncertainty(f);
}

/* Give what was found before it, or wait for its upload or a look at its log.
 */
static void step_owed(struct fetch *f)
{
    const struct weir_stream *s = f->stream;

    WEIR__SOMETIMES("a fetch waits for what is owed");
    if (f->result->count != 0)
        end(f, 0);
    else if (!f->hurry)
        park(f);
    else
        end(f,
            weir__fail(&f->error, WEIR_EAGAIN,
                       "stream %s: offsets %llu to %llu are not uploaded "
                       "yet by the node in whose log they are",
                       s->name, (unsigned long long)s->committed,
                       (unsigned long long)(s->owed > s->durable ? s->owed
                                                                 : s->durable) -
                           1));
}

static void step(struct fetch *f)
{
    struct weir_stream *s = f->stream;
    int rc;

    if (f->reading)
        return;
    weir__list_remove(&f->wait);
    if (wants_refresh(f)) {
        park(f);
        return;
    }
    rc = obstacle(f);
    while (rc == 0 && !f->full && f->next < s->durable) {
        if (take_cached(f, &rc) || rc != 0)
            continue;
        if (take_tail(f, &rc) || rc != 0)
            continue;
        if (is_elsewhere(f)) {
            step_owed(f);
            return;
        }
        rc = read_object(f);
        if (rc == 0)
            return;
    }
    if (rc == 0)
        rc = end_status(f);
    if (rc != 0 || satisfied(f))
        end(f, rc);
    else
        park(f);
}

void weir__fetch_wake(struct weir_stream *s)
{
    struct weir__list woken;
    struct weir__list *at;

    weir__list_init(&woken);
    while ((at = weir__list_pop(&s->waiters)) != NULL)
        weir__list_push(&woken, at);
    while ((at = weir__list_pop(&woken)) != NULL)
        step(WEIR__CONTAINER(at, struct fetch, wait));
}

void weir__fetch_looked(struct weir *node)
{
    struct weir__list *at = node->fetches.next;
    struct weir_stream *s;
    size_t i = 0;

    for (; at != &node->fetches; at = at->next) {
        struct fetch *f = WEIR__CONTAINER(at, struct fetch, link);

        if (!f->asked || f->looked || f->look >= node->tail.round)
            continue;
        f->looked = 1;
        f->told = 0; /* It must be read later than that. */
        f->refreshed = 0;
    }
    while ((s = weir__map_next(&node->streams, &i)) != NULL)
        if (s->tail.on)
            weir__fetch_wake(s);
}

static void waited(struct weir_timer *timer)
{
    struct fetch *f = WEIR__CONTAINER(timer, struct fetch, timer);

    f->hurry = 1;
    step(f);
}

static struct fetch *fetch_new(struct weir_stream *s, struct weir_fetch *req)
{
    const struct weir_alloc *alloc = s->node->alloc;
    struct fetch *f = weir__calloc(alloc, 1, sizeof(*f));

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
    struct fetch *f = fetch_new(impl(req)->stream, req);

    if (f == NULL)
        weir__req_end(&req->req, WEIR_ENOMEM);
    else
        step(f);
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
        struct fetch *f = WEIR__CONTAINER(at, struct fetch, link);

        if (f->req != c->req)
            continue;
        f->hurry = 1;
        f->cancelled = 1;
        step(f);
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
        struct fetch *f = WEIR__CONTAINER(at, struct fetch, link);

        at = at->next;
        if (!f->reading)
            end(f, WEIR_ECLOSED);
    }
}

int weir__fetch_reads(const struct weir *node, uint64_t object_id)
{
    const struct weir__list *at = node->fetches.next;

    for (; at != &node->fetches; at = at->next) {
        const struct fetch *f =
            (const struct fetch *)(const void *)at; /* `link` is first. */

        if (f->reading && f->get.object_id == object_id)
            return 1;
    }
    return 0;
}
