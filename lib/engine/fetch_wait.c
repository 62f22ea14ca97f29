/* SPDX-License-Identifier: Apache-2.0 */
/* What a fetch waits for, and whom it asks before it says that there is no
 * more. */
#include "base/error.h"
#include "engine/fetch_inside.h"
#include "engine/flush.h"
#include "engine/lease.h"
#include "engine/tail.h"

/* How often a fetch that waits on another node's stream reads the log. */
#define REFRESH_NS 250000000u
/* How long a fetch waits, at least, for a former owner's upload, and one that
 * need not wait for more, to learn that there is none. */
#define OTHERS_NS 10000000000u

int weir__fetch_foreign(const struct weir_stream *s)
{
    return s->node->read_only || s->node->fenced ||
           s->view.owner != s->node->id;
}

int weir__fetch_shared(const struct weir_stream *s)
{
    return weir__fetch_foreign(s) || !weir__lease_runs(s->node);
}

/* 1 if what comes next is in a former owner's WAL, and in no object yet. */
static int is_owed(const struct weir__fetch *f)
{
    const struct weir_stream *s = f->stream;

    return f->next < s->owed && f->next >= s->committed;
}

int weir__fetch_elsewhere(const struct weir__fetch *f)
{
    const struct weir_stream *s = f->stream;

    return is_owed(f) || (f->next >= s->committed && f->next < s->durable &&
                          weir__fetch_foreign(s));
}

/* 1 if the manifest was read for the fetch, and the logs that it tells of. */
static int was_told(const struct weir__fetch *f)
{
    return f->refreshed && (f->looked || !weir__tail_can(f->stream));
}

/* How long to wait: 0 for ever. */
static uint64_t patience(const struct weir__fetch *f)
{
    uint64_t wait = (uint64_t)f->req->max_wait;

    if (f->req->max_wait == WEIR_FOREVER)
        return 0;
    if (wait < OTHERS_NS && (wait == 0 || weir__fetch_elsewhere(f)))
        return OTHERS_NS;
    return wait;
}

/* 1 if the logs were looked at in the wrong place, for all that is known now;
 * also if a later look has begun in the right one. */
static int looked_astray(const struct weir__fetch *f)
{
    const struct weir_stream *s = f->stream;

    return f->looked && weir__tail_can(s) &&
           (weir__tail_is_stale(s) || s->node->tail.moved > f->look);
}

/* The manifest was read.  If it tells that the logs were looked at in the
 * wrong place, that begins anew. */
static void told(struct weir__fetch *f, int status)
{
    f->refreshed = 1;
    f->unclear = status;
    if (!looked_astray(f))
        return;
    f->refreshed = 0;
    f->told = 0;
    f->looked = 0;
    f->asked = 0;
}

void weir__fetch_wake_all(struct weir *node)
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
        struct weir__fetch *f = WEIR__CONTAINER(at, struct weir__fetch, link);

        /* One that was begun before the fetch tells nothing of the time
         * since. */
        if (f->told && f->refresh < node->refreshes)
            told(f, status);
    }
    weir__fetch_wake_all(node);
    if (node->refresh_again)
        weir__fetch_refresh(node);
    weir__close_step(node);
}

/* Nobody reads the manifest of a node that closes, but for its last upload. */
void weir__fetch_refresh(struct weir *node)
{
    if (!weir__node_is_open(node) &&
        !weir__flushes_have_last(&node->uploads.flushes))
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
        weir__fetch_wake_all(node); /* Who still waits comes back here. */
    else
        weir__fetch_refresh(node);
}

void weir__fetch_init(struct weir *node)
{
    node->refresh_due.fire = refresh_due;
}

/* Other nodes' logs are read once for this fetch, then the manifest: only that
 * tells whether a slot that was missing had been there before. */
static void ask(struct weir__fetch *f, int tail)
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
static void ask_later(struct weir__fetch *f, int tail)
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

void weir__fetch_park(struct weir__fetch *f)
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
    if (!weir__fetch_shared(s) && !is_owed(f))
        return;
    tail = weir__tail_can(s);
    if (was_told(f))
        ask_later(f, tail);
    else
        ask(f, tail);
}

int weir__fetch_wants_refresh(const struct weir__fetch *f)
{
    const struct weir_stream *s = f->stream;

    return !f->hurry && f->next >= s->durable && s->failed != WEIR_ENOENT &&
           weir__fetch_shared(s) && f->result->count == 0 &&
           weir__node_is_open(s->node) && !was_told(f);
}

int weir__fetch_unknown(const struct weir__fetch *f)
{
    struct weir_error error;

    return weir__fetch_shared(f->stream) &&
           (!was_told(f) || f->unclear != 0 ||
            (f->looked && weir__tail_status(f->stream, &error) != 0));
}

/* Why nobody knows whether there is more, or 0. */
static int uncertainty(struct weir__fetch *f)
{
    const char *name = f->stream->name;

    if (f->unclear != 0)
        return weir__fail(&f->error, f->unclear,
                          "stream %s: the manifest cannot be read: %s", name,
                          weir_error_text(f->unclear));
    if (!was_told(f))
        return weir__fail(&f->error, WEIR_ETIMEDOUT,
                          "stream %s: whether there is more behind offset %llu "
                          "cannot be told: the manifest or the log of another "
                          "node is not read in time",
                          name, (unsigned long long)f->next);
    return 0;
}

int weir__fetch_doubt(struct weir__fetch *f)
{
    int rc;

    if (f->result->count != 0 || f->next < f->stream->durable ||
        !weir__fetch_shared(f->stream))
        return 0;
    rc = f->looked ? weir__tail_status(f->stream, &f->error) : 0;
    if (rc == WEIR_ECORRUPT)
        return rc;
    if (f->req->max_wait > 0 || f->cancelled)
        return 0;
    return rc != 0 ? rc : uncertainty(f);
}

void weir__fetch_looked(struct weir *node)
{
    struct weir__list *at = node->fetches.next;
    struct weir_stream *s;
    size_t i = 0;

    for (; at != &node->fetches; at = at->next) {
        struct weir__fetch *f = WEIR__CONTAINER(at, struct weir__fetch, link);

        if (!f->asked || f->looked || f->look >= node->tail.round)
            continue;
        f->looked = 1;
        f->look = node->tail.round;
        f->told = 0; /* It must be read later than that. */
        f->refreshed = 0;
    }
    while ((s = weir__map_next(&node->streams, &i)) != NULL)
        if (s->tail.on)
            weir__fetch_wake(s);
}
