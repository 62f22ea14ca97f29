/* SPDX-License-Identifier: Apache-2.0 */
/* Closing a node, one part after the other; also what a failed open does. */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/fetch.h"
#include "engine/flush.h"
#include "engine/group.h"
#include "engine/lease.h"
#include "engine/members.h"
#include "engine/tail.h"
#include "engine/takeover.h"
#include "engine/upload.h"
#include "engine/watch.h"

/* How long a close waits for its last commit, */
#define PATIENCE_NS 2000000000u
/* and at least for each commit of a volatile WAL's last upload. */
#define UPLOAD_PATIENCE_NS 5000000000u

/** Where closing is. */
enum phase {
    PHASE_GROUPS,   /* What was accepted is being written. */
    PHASE_UPLOAD,   /* A WAL that does not last: all of it is uploaded. */
    PHASE_CLEAN,    /* The manifest is told that the WAL is not needed. */
    PHASE_WAIT,     /* What the last phase has started is under way. */
    PHASE_WAL,      /* The WAL closes. */
    PHASE_MANIFEST, /* The manifest closes. */
    PHASE_STORE,    /* Reader and store close. */
    PHASE_REST,     /* What they have ended comes back. */
    PHASE_END
};

static void post_step(struct weir__close *c)
{
    if (c->posted)
        return;
    c->posted = 1;
    c->node->host.env->ops->post(c->node->host.env, &c->step);
}

void weir__close_step(struct weir *node)
{
    if (node->closing != NULL)
        post_step(node->closing);
}

/* Requests that wait for something that will not come now. */
static void fail_waiting(struct weir *node)
{
    struct weir_env *env = node->host.env;
    struct weir_stream *s;
    size_t at = 0;

    env->ops->timer_stop(env, &node->commits.retry);
    env->ops->timer_stop(env, &node->commits.linger);
    weir__group_hurry(node);
    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        weir__append_fail_waiting(s, WEIR_ECLOSED);
    weir__flushes_end(&node->uploads.flushes, WEIR_ECLOSED, NULL);
    weir__upload_close(node);
    weir__sweep_close(node);
    weir__log_sweep_close(node);
    weir__tail_close(node);
    weir__fetch_close(node);
    weir__watch_close(node);
    weir__members_close(node);
}

static void start_patience(struct weir__close *c,
                           void (*fire)(struct weir_timer *timer),
                           uint64_t wait)
{
    struct weir_env *env = c->node->host.env;

    c->patience = (struct weir_timer){.fire = fire};
    c->patience.deadline = env->ops->now(env) + wait;
    env->ops->timer_start(env, &c->patience);
}

static void flushed(struct weir_req *req, int status)
{
    struct weir__close *c = req->ctx;
    struct weir_env *env = c->node->host.env;

    env->ops->timer_stop(env, &c->patience);
    if (c->status == 0 && status != WEIR_ECLOSED)
        c->status = status;
    c->phase = PHASE_CLEAN;
    post_step(c);
}

/* 1 if acknowledged data would be gone with the WAL. */
static int must_upload(const struct weir *node)
{
    return node->wal != NULL && (node->wal->flags & WEIR_WAL_PERSISTENT) == 0 &&
           !weir__list_empty(&node->uploads.pending);
}

/* What is gone cannot be uploaded. */
static void tell_loss(const struct weir *node, struct weir__close *c)
{
    if (node->lost && c->status == 0)
        c->status = weir__fail(c->err, WEIR_EFENCED,
                               "close: another process has opened this node or "
                               "a stream of it, and what the volatile "
                               "write-ahead log held of that is lost");
}

/* A store gives up by itself; a commit is tried until the manifest closes.
 * Do not wait for one that is still awaited at the second look. */
static void look_at_upload(struct weir_timer *timer)
{
    struct weir__close *c =
        WEIR__CONTAINER(timer, struct weir__close, patience);
    uint64_t awaited = weir__upload_commit(c->node);

    if (awaited == 0 || awaited != c->awaited) {
        c->awaited = awaited;
        start_patience(c, look_at_upload, UPLOAD_PATIENCE_NS);
        return;
    }
    weir__flush_give_up(&c->flush);
    c->status = weir__fail(c->err, WEIR_ETIMEDOUT,
                           "close: what the volatile write-ahead log holds is "
                           "not uploaded: the manifest cannot be reached");
    c->phase = PHASE_CLEAN;
    post_step(c);
}

static void upload_start(struct weir *node, struct weir__close *c)
{
    c->awaited = 0;
    start_patience(c, look_at_upload, UPLOAD_PATIENCE_NS);
    c->flush =
        (struct weir_flush){.req = {.done = flushed, .ctx = c, .err = c->err}};
    weir__flush_last(node, &c->flush);
}

/* A lease that has run out and is not renewed is not waited for long. */
static void forsake(struct weir_timer *timer)
{
    struct weir__close *c =
        WEIR__CONTAINER(timer, struct weir__close, patience);

    c->waiting = 0;
    if (weir__list_empty(&c->node->commits.held))
        return; /* It was renewed. */
    c->node->commits.forsaken = 1;
    weir__group_release(c->node);
}

/* 1 once all that was accepted is written and told.  Until then the lease is
 * kept: a write may take longer than what is left of it. */
static int groups_have_ended(struct weir *node, struct weir__close *c)
{
    if (!weir__group_busy(node)) {
        node->host.env->ops->timer_stop(node->host.env, &c->patience);
        weir__lease_close(node);
        return 1;
    }
    if (!weir__list_empty(&node->commits.held) && !c->waiting) {
        c->waiting = 1;
        start_patience(c, forsake, PATIENCE_NS);
    }
    return 0;
}

static void clean_over(struct weir__close *c)
{
    struct weir_env *env = c->node->host.env;

    if (!c->cleaning)
        return; /* It took too long, and closing went on. */
    c->cleaning = 0;
    env->ops->timer_stop(env, &c->patience);
    c->phase = PHASE_WAL;
    post_step(c);
}

/* The next opening begins behind this epoch: nothing of the log is needed. */
static void clear_log(const struct weir *node)
{
    struct weir_wal *wal = node->wal;
    struct weir_wal_mark behind = {node->epoch + 1, 0};

    if (wal != NULL && wal->ops->size > offsetof(struct weir_wal_ops, noted) &&
        wal->ops->noted != NULL)
        wal->ops->noted(wal, &behind);
}

/* If it fails, the WAL will be asked for once more than it need be. */
static void clean_committed(struct weir__commit *commit, int status)
{
    struct weir__close *c = commit->ctx;

    if (c->cleaning && status == 0 && commit->count == 2 &&
        c->ops[1].status == 0)
        clear_log(c->node);
    clean_over(c);
}

static void clean_given_up(struct weir_timer *timer)
{
    clean_over(WEIR__CONTAINER(timer, struct weir__close, patience));
}

/* 1 if the others are to be told that this node ends in order. */
static int must_tell(const struct weir *node)
{
    return node->recovered && !node->fenced;
}

/* 1 if the manifest thinks that the WAL may be needed, and it is not. */
static int is_clean(const struct weir *node)
{
    const struct weir_stream *s;
    size_t at = 0;

    if (node->commits.unsure ||
        weir__state_node_wal(weir__manifest_state(node->manifest), node->id) ==
            0)
        return 0;
    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        if (weir__stream_waits(s))
            return 0;
    return 1;
}

static void commit_clean(struct weir *node, struct weir__close *c)
{
    c->cleaning = 1;
    start_patience(c, clean_given_up, PATIENCE_NS);
    c->ops[0] = (struct weir__op){.kind = WEIR__OP_NODE_CLOSE};
    c->ops[1] = (struct weir__op){.kind = WEIR__OP_NODE_CLEAN};
    c->commit = (struct weir__commit){.ops = c->ops,
                                      .count = is_clean(node) ? 2 : 1,
                                      .done = clean_committed,
                                      .ctx = c};
    weir__manifest_commit(node->manifest, &c->commit);
}

static void wal_closed(struct weir_wal_req *req, int status)
{
    struct weir__close *c = req->ctx;

    if (c->status == 0)
        c->status = status;
    c->phase = PHASE_MANIFEST;
    post_step(c);
}

static void manifest_closed(struct weir_task *task)
{
    struct weir__close *c =
        WEIR__CONTAINER(task, struct weir__close, manifest_closed);

    c->node->manifest = NULL;
    c->phase = PHASE_STORE;
    post_step(c);
}

static void part_closed(struct weir__close *c)
{
    c->parts--;
    if (c->parts == 0)
        c->phase = PHASE_REST;
    post_step(c);
}

static void reader_closed(struct weir_task *task)
{
    part_closed(WEIR__CONTAINER(task, struct weir__close, reader_closed));
}

static void store_closed(struct weir_task *task)
{
    part_closed(WEIR__CONTAINER(task, struct weir__close, store_closed));
}

static void close_wal(struct weir *node, struct weir__close *c)
{
    struct weir_wal *wal = node->wal;

    if (wal == NULL) {
        c->phase = PHASE_MANIFEST;
        post_step(c);
        return;
    }
    node->wal = NULL;
    c->wal = (struct weir_wal_req){.done = wal_closed, .ctx = c, .err = c->err};
    wal->ops->close(wal, &c->wal);
}

static void close_manifest(struct weir *node, struct weir__close *c)
{
    if (node->manifest == NULL) {
        c->phase = PHASE_STORE;
        post_step(c);
        return;
    }
    c->manifest_closed.run = manifest_closed;
    weir__manifest_close(node->manifest, &c->manifest_closed);
}

static void manifest_store_closed(struct weir_task *task)
{
    part_closed(WEIR__CONTAINER(task, struct weir__close, mstore_closed));
}

static void close_store(struct weir *node, struct weir__close *c)
{
    c->parts = (node->reader != NULL) + (node->store != NULL) +
               (node->manifest_store != NULL);
    c->mstore_closed.run = manifest_store_closed;
    c->reader_closed.run = reader_closed;
    c->store_closed.run = store_closed;
    if (node->reader != NULL)
        weir__object_reader_close(node->reader, &c->reader_closed);
    if (node->store != NULL)
        node->store->ops->close(node->store, &c->store_closed);
    if (node->manifest_store != NULL)
        node->manifest_store->ops->close(node->manifest_store,
                                         &c->mstore_closed);
    node->manifest_store = NULL;
    node->reader = NULL;
    node->store = NULL;
    if (c->parts == 0) {
        c->phase = PHASE_REST;
        post_step(c);
    }
}

static int rest(const struct weir *node)
{
    return node->uploads.job != NULL || node->sweep.busy ||
           node->log_sweep.busy || node->refreshing || node->tail.busy > 0 ||
           !weir__list_empty(&node->fetches) ||
           !weir__list_empty(&node->calls) ||
           !weir__list_empty(&node->takeovers);
}

/* Each phase starts one thing, whose end posts the next step. */
static void step(struct weir_task *task)
{
    struct weir__close *c = WEIR__CONTAINER(task, struct weir__close, step);
    struct weir *node = c->node;
    struct weir_env *env = node->host.env;

    c->posted = 0;
    switch ((enum phase)c->phase) {
    case PHASE_GROUPS:
        if (!groups_have_ended(node, c))
            return;
        c->phase = must_upload(node) ? PHASE_UPLOAD : PHASE_CLEAN;
        post_step(c);
        return;
    case PHASE_UPLOAD:
        c->phase = PHASE_WAIT;
        upload_start(node, c);
        return;
    case PHASE_CLEAN:
        env->ops->timer_stop(env, &c->patience);
        tell_loss(node, c);
        c->phase = must_tell(node) ? PHASE_WAIT : PHASE_WAL;
        if (c->phase == PHASE_WAIT)
            commit_clean(node, c);
        else
            post_step(c);
        return;
    case PHASE_WAL:
        c->phase = PHASE_WAIT;
        close_wal(node, c);
        return;
    case PHASE_MANIFEST:
        c->phase = PHASE_WAIT;
        close_manifest(node, c);
        return;
    case PHASE_STORE:
        c->phase = PHASE_WAIT;
        close_store(node, c);
        return;
    case PHASE_REST:
        if (rest(node))
            return;
        c->phase = PHASE_END;
        node->closing = NULL;
        c->done(c, c->status);
        return;
    case PHASE_WAIT:
    case PHASE_END:
        return;
    }
}

static void begin(struct weir_task *task)
{
    struct weir__close *c = WEIR__CONTAINER(task, struct weir__close, begin);

    c->node->closing = c;
    weir__takeover_close(c->node);
    fail_waiting(c->node);
    post_step(c);
}

void weir__node_close(struct weir *node, struct weir__close *req)
{
    __atomic_store_n(&node->state, WEIR__NODE_CLOSING, __ATOMIC_SEQ_CST);
    req->node = node;
    req->phase = PHASE_GROUPS;
    req->status = 0;
    req->posted = 0;
    req->waiting = 0;
    req->patience = (struct weir_timer){.fire = NULL};
    req->cleaning = 0;
    req->begin.run = begin;
    req->step.run = step;
    node->host.env->ops->post(node->host.env, &req->begin);
}

void weir__node_release(struct weir *node)
{
    struct weir_stream *s;
    size_t at = 0;

    weir__tail_free(node);
    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        weir__stream_release(s);
    weir__map_free(&node->streams);
    weir__members_free(node);
    weir__log_cache_free(&node->cache);
    weir_config_free(node->config);
    weir__free(node->alloc, node);
}
