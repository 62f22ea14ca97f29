/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/upload.h"

#include <stddef.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/fetch.h"
#include "engine/flush.h"
#include "engine/group.h"
#include "engine/upload_plan.h"
#include "format/object_name.h"

/* PUTs of one object until the upload is given up and planned anew. */
#define PUT_TRIES 4
/* Uploads that may fail for a passing reason before a flush is told. */
#define FLUSH_TRIES 3
/* Looks for what former owners have yet to upload until a flush is told. */
#define WAIT_TRIES 20
#define WAIT_NS 250000000u
#define BACKOFF_MIN_NS 100000000u
#define BACKOFF_MAX_NS 10000000000u
/* Ids registered by one commit, at most. */
#define RESERVE_MAX 64
/* Operations of one commit: an object, the log's mark, the next ids. */
#define OPS 3

/** An upload under way: a plan, and the object that is being made. */
struct weir__upload {
    struct weir *node;
    struct weir__plan plan;
    struct weir__list flushes; /* Those that this upload will end. */
    size_t at;                 /* Part under way. */
    uint64_t object_id;
    struct weir__build build;
    int built;
    struct weir_store_req put;
    char key[WEIR__KEY_SIZE];
    unsigned tries;
    struct weir__refresh refresh;
    struct weir__range *ranges;
    struct weir__commit commit;
    struct weir__op ops[OPS];
    struct weir_error error;
};

static void next_part(struct weir__upload *job);
static void put_start(struct weir__upload *job);

static struct weir__plan_part *part(struct weir__upload *job)
{
    return &job->plan.parts[job->at];
}

static void part_free(struct weir__upload *job)
{
    const struct weir_alloc *alloc = job->node->alloc;

    if (job->built)
        weir__build_free(&job->build);
    job->built = 0;
    weir__free(alloc, job->build.streams);
    weir__free(alloc, job->ranges);
    job->build.streams = NULL;
    job->ranges = NULL;
}

static void start_backoff(struct weir *node)
{
    struct weir__upload_state *up = &node->uploads;
    struct weir_env *env = node->host.env;
    uint64_t wait = BACKOFF_MIN_NS;

    for (unsigned i = 1; i < up->failures && wait < BACKOFF_MAX_NS; i++)
        wait *= 2;
    up->backoff.deadline = env->ops->now(env) + wait;
    env->ops->timer_start(env, &up->backoff);
}

/* Nothing is pending that can be uploaded now: look again in a while.  A node
 * that closes looks only for a flush. */
static void look_later(struct weir *node)
{
    const struct weir__upload_state *up = &node->uploads;

    if (!weir__list_empty(&up->pending) &&
        (weir__node_is_open(node) || !weir__list_empty(&up->flushes)))
        start_backoff(node);
}

/* Some batches come behind those of a former owner, who has yet to upload
 * them: see whether it has, and look again. */
static void job_waits(struct weir__upload *job)
{
    struct weir *node = job->node;
    struct weir__upload_state *up = &node->uploads;
    struct weir_env *env = node->host.env;

    if (++up->waits < WAIT_TRIES) {
        weir__flushes_requeue(node, &job->flushes);
    } else {
        weir__fail(&job->error, WEIR_EAGAIN,
                   "flush: the former owner of a stream has yet to upload its "
                   "part of it; if that node is dead, take it over");
        weir__flushes_end(&job->flushes, WEIR_EAGAIN, &job->error);
    }
    weir__fetch_refresh(node);
    if (!weir__node_is_open(node) && weir__list_empty(&up->flushes))
        return;
    up->backoff.deadline = env->ops->now(env) + WAIT_NS;
    env->ops->timer_start(env, &up->backoff);
}

/* The upload has failed: what it was to end waits on, or is told. */
static void job_failed(struct weir__upload *job, int status)
{
    struct weir *node = job->node;
    struct weir__upload_state *up = &node->uploads;
    int passing = weir_error_class(status) == WEIR_CLASS_RETRY ||
                  weir_error_class(status) == WEIR_CLASS_UNKNOWN;

    up->failures++;
    node->stats.upload_errors++;
    weir__fail_status(&job->error, status);
    weir__log(node->host.log, WEIR_LOG_WARN,
              "node %u: upload failed and will be tried again: %s", node->id,
              job->error.text);
    if (passing && up->failures < FLUSH_TRIES)
        weir__flushes_requeue(node, &job->flushes);
    else
        weir__flushes_end(&job->flushes, status, &job->error);
    if (weir__node_is_open(node) || !weir__list_empty(&up->flushes))
        start_backoff(node);
}

static void job_end(struct weir__upload *job, int status)
{
    struct weir *node = job->node;
    int left_out = job->plan.damaged ? WEIR_ECORRUPT : 0;
    int parts = job->plan.part_count != 0;
    int waits = job->plan.waits;

    node->uploads.job = NULL;
    if (!parts && !waits)
        look_later(node);
    part_free(job);
    weir__plan_free(&job->plan);
    if (status == 0 && waits) {
        job_waits(job);
    } else if (status == 0) {
        node->uploads.failures = 0;
        node->uploads.waits = 0;
        if (left_out != 0)
            weir__fail(&job->error, left_out,
                       "flush: damaged batches were left in the WAL");
        weir__flushes_end(&job->flushes, left_out, &job->error);
    } else if (status == WEIR_ECLOSED) {
        weir__flushes_end(&job->flushes, status, NULL);
    } else {
        job_failed(job, status);
    }
    weir__free(node->alloc, job);
    weir__group_trim(node);
    if (status == 0 || status == WEIR_ECLOSED)
        weir__upload_look(node); /* The node's last flush may wait. */
    weir__sweep_look(node);
    weir__close_step(node);
}

/* 1 if the node is closing and the upload is not what it waits for: store and
 * manifest may be gone. */
static int abandoned(const struct weir__upload *job)
{
    return !weir__node_is_open(job->node) &&
           !weir__flushes_have_last(&job->flushes);
}

/* The manifest has the object: what it covers is uploaded. */
static void settle(struct weir__upload *job)
{
    const struct weir__plan_part *p = part(job);

    for (size_t i = 0; i < p->count; i++) {
        struct weir_stream *s = job->plan.items[p->first + i].stream;

        if (s->failed != WEIR_ENOENT)
            weir__stream_sync(s);
        /* A stream that was opened meanwhile has a later epoch: the next
         * upload takes what this one has left. */
        if (job->ranges[i].status != 0)
            weir__log(job->node->host.log, WEIR_LOG_DEBUG,
                      "stream %s: upload not taken: %s", s->name,
                      weir_error_name(job->ranges[i].status));
    }
    job->node->stats.uploads++;
    job->node->stats.upload_bytes += job->build.size;
}

static struct weir__op *add_op(struct weir__upload *job,
                               enum weir__op_kind kind)
{
    struct weir__op *op = &job->ops[job->commit.count++];

    *op = (struct weir__op){.kind = kind};
    return op;
}

/* The manifest knows where recovery of the log begins. */
static void tell_log(const struct weir__upload *job, const struct weir__op *op)
{
    struct weir_wal *wal = job->node->wal;
    struct weir_wal_mark mark = {op->u.node_trim.epoch, op->u.node_trim.slot};

    if (wal != NULL)
        wal->ops->noted(wal, &mark);
}

/* The log's mark goes with the commit that the upload makes anyway. */
static void add_trim(struct weir__upload *job)
{
    const struct weir_wal *wal = job->node->wal;
    struct weir__op *op;

    if (wal == NULL || wal->ops->size <= offsetof(struct weir_wal_ops, noted) ||
        wal->ops->noted == NULL)
        return;
    op = add_op(job, WEIR__OP_NODE_TRIM);
    op->u.node_trim.epoch = wal->mark.epoch;
    op->u.node_trim.slot = wal->mark.slot;
}

/* Register ids: twice as many each time, so that a node that uploads little
 * leaves few unused; `needed` at least. */
static void add_reserve(struct weir__upload *job, size_t needed)
{
    uint64_t count = job->node->stats.uploads + 1;

    if (count < needed)
        count = needed;
    if (count > RESERVE_MAX)
        count = RESERVE_MAX;
    add_op(job, WEIR__OP_OBJECT_RESERVE)->u.object_reserve.count =
        (uint32_t)count;
}

/* So do the ids of the next objects, if these are known to come. */
static void add_next_ids(struct weir__upload *job)
{
    const struct weir__upload_state *up = &job->node->uploads;
    const struct weir__plan *plan = &job->plan;
    uint64_t planned = 0;

    if (up->next_id != up->end_id || !weir__node_is_open(job->node))
        return;
    for (size_t i = job->at; i < plan->part_count; i++)
        planned += plan->parts[i].bytes;
    if (job->at + 1 < plan->part_count || up->pending_bytes > planned ||
        weir__group_busy(job->node))
        add_reserve(job, plan->part_count - job->at - 1);
}

/* Ids that the manifest has registered. */
static void take_ids(struct weir__upload *job, const struct weir__op *op)
{
    struct weir__upload_state *up = &job->node->uploads;

    up->next_id = op->u.object_reserve.first;
    up->end_id = up->next_id + op->u.object_reserve.count;
}

/* What else the manifest has taken in with the upload's commit. */
static void take_ops(struct weir__upload *job)
{
    for (size_t i = 0; i < job->commit.count; i++) {
        const struct weir__op *op = &job->ops[i];

        if (op->status == 0 && op->kind == WEIR__OP_NODE_TRIM)
            tell_log(job, op);
        else if (op->status == 0 && op->kind == WEIR__OP_OBJECT_RESERVE)
            take_ids(job, op);
    }
}

/* Commit `job->ops`, and note that it is under way. */
static void commit_ops(struct weir__upload *job,
                       void (*done)(struct weir__commit *commit, int status))
{
    struct weir__upload_state *up = &job->node->uploads;

    up->commits++;
    up->committing = 1;
    job->commit.ops = job->ops;
    job->commit.done = done;
    job->commit.ctx = job;
    job->commit.err = &job->error;
    weir__flush_late_start(job->node);
    weir__manifest_commit(job->node->manifest, &job->commit);
}

static void commit_done(struct weir__commit *commit, int status)
{
    struct weir__upload *job = commit->ctx;

    weir__flush_late_stop(job->node);
    job->node->uploads.committing = 0;
    if (status == 0) {
        take_ops(job);
        status = job->ops[0].status;
    }
    if (status != 0) {
        job_end(job, status);
        return;
    }
    settle(job);
    part_free(job);
    job->at++;
    next_part(job);
}

static void fill_range(struct weir__range *range,
                       const struct weir__plan_item *item,
                       const struct weir__build_stream *built)
{
    const struct weir_batch *last = &item->batches[item->count - 1];

    range->stream_id = item->stream->id;
    range->stream_epoch = item->epoch;
    range->base = item->batches[0].base_offset;
    range->end = last->base_offset + last->count;
    range->bytes = built->stored;
    range->max_timestamp = built->max_timestamp;
}

static void commit_start(struct weir__upload *job)
{
    const struct weir__plan_part *p = part(job);
    struct weir__op *op;

    job->ranges =
        weir__calloc(job->node->alloc, p->count, sizeof(*job->ranges));
    if (job->ranges == NULL) {
        job_end(job, WEIR_ENOMEM);
        return;
    }
    for (size_t i = 0; i < p->count; i++)
        fill_range(&job->ranges[i], &job->plan.items[p->first + i],
                   &job->build.streams[i]);
    job->commit.count = 0;
    op = add_op(job, WEIR__OP_OBJECT_ADD);
    op->u.object_add.id = job->object_id;
    op->u.object_add.kind =
        p->count == 1 ? WEIR__OBJECT_STREAM : WEIR__OBJECT_SET;
    op->u.object_add.size = job->build.size;
    op->u.object_add.ranges = job->ranges;
    op->u.object_add.range_count = p->count;
    add_trim(job);
    add_next_ids(job);
    commit_ops(job, commit_done);
}

/* The key is ours alone; if it is there, an earlier try has put it, and its
 * size tells that it is whole. */
static void head_done(struct weir_store_req *req, int status)
{
    struct weir__upload *job = req->ctx;

    if (abandoned(job))
        job_end(job, WEIR_ECLOSED);
    else if (status != 0)
        job_end(job, status);
    else if (req->size != job->build.size)
        job_end(job,
                weir__fail(&job->error, WEIR_ECORRUPT,
                           "object %s exists and is another one", job->key));
    else
        commit_start(job);
}

static void head_start(struct weir__upload *job)
{
    job->put = (struct weir_store_req){.verb = WEIR_STORE_HEAD,
                                       .key = job->key,
                                       .done = head_done,
                                       .ctx = job,
                                       .err = &job->error};
    job->node->store->ops->submit(job->node->store, &job->put);
}

static void put_done(struct weir_store_req *req, int status)
{
    struct weir__upload *job = req->ctx;
    enum weir_error_class class = weir_error_class(status);

    WEIR__SOMETIMES_IF(status == WEIR_ECONFLICT,
                       "an object is there already when it is put again");
    WEIR__SOMETIMES_IF(status == WEIR_EUNKNOWN,
                       "the outcome of a PUT is unknown");
    if (abandoned(job))
        job_end(job, WEIR_ECLOSED);
    else if (status == 0)
        commit_start(job);
    else if (status == WEIR_ECONFLICT)
        head_start(job);
    else if ((class == WEIR_CLASS_UNKNOWN || class == WEIR_CLASS_RETRY) &&
             ++job->tries < PUT_TRIES)
        put_start(job);
    else
        job_end(job, status);
}

static void put_now(struct weir__upload *job)
{
    job->put = (struct weir_store_req){.verb = WEIR_STORE_PUT,
                                       .flags = WEIR_STORE_IF_ABSENT |
                                                WEIR_STORE_PARTS,
                                       .key = job->key,
                                       .iov = job->build.iov,
                                       .iov_count = job->build.iov_count,
                                       .done = put_done,
                                       .ctx = job,
                                       .err = &job->error};
    job->node->store->ops->submit(job->node->store, &job->put);
}

/* 1 if a later epoch has what this one had registered, and the job has
 * ended. */
static int fenced(struct weir__upload *job)
{
    if (!job->node->fenced)
        return 0;
    job_end(job, weir__fail(&job->error, WEIR_EFENCED,
                            "a later epoch of this node removes what it has "
                            "not committed"));
    return 1;
}

static void looked(struct weir__refresh *refresh, int status)
{
    struct weir__upload *job = refresh->ctx;

    weir__flush_late_stop(job->node);
    if (abandoned(job))
        job_end(job, WEIR_ECLOSED);
    else if (fenced(job))
        return;
    else if (status != 0)
        job_end(job, status);
    else
        put_now(job);
}

/* A node that slept may have been taken over, and what it had registered been
 * removed from the store for good: an object put after that would stay for
 * ever.  So who has not seen the manifest for half the grace looks first. */
static void put_start(struct weir__upload *job)
{
    struct weir *node = job->node;
    struct weir_env *env = node->host.env;
    uint64_t grace = (uint64_t)node->config->number[WEIR__P_DELETE_GRACE];
    uint64_t seen = weir__manifest_seen(node->manifest);

    if (fenced(job))
        return;
    if (env->ops->now(env) - seen <= grace / 2) {
        put_now(job);
        return;
    }
    WEIR__SOMETIMES("a node that slept looks before it puts an object");
    job->refresh =
        (struct weir__refresh){.done = looked, .ctx = job, .err = &job->error};
    weir__flush_late_start(node);
    weir__manifest_refresh(node->manifest, &job->refresh);
}

static void build_done(struct weir__build *build, int status)
{
    struct weir__upload *job = build->ctx;

    if (status != 0) {
        job->built = 0;
        job_end(job, status);
        return;
    }
    if (abandoned(job)) {
        job_end(job, WEIR_ECLOSED);
        return;
    }
    job->tries = 0;
    put_start(job);
}

static void build_start(struct weir__upload *job)
{
    struct weir *node = job->node;
    const struct weir__plan_part *p = part(job);
    const unsigned char *cluster =
        weir__state_cluster(weir__manifest_state(node->manifest));
    struct weir__build *b = &job->build;

    *b = (struct weir__build){.host = &node->host};
    b->streams = weir__calloc(node->alloc, p->count, sizeof(*b->streams));
    if (b->streams == NULL) {
        job_end(job, WEIR_ENOMEM);
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        const struct weir__plan_item *item = &job->plan.items[p->first + i];

        b->streams[i].stream_id = item->stream->id;
        b->streams[i].batches = item->batches;
        b->streams[i].count = item->count;
    }
    b->stream_count = p->count;
    memcpy(b->writer.cluster, cluster, sizeof(b->writer.cluster));
    b->writer.node_id = node->id;
    b->writer.node_epoch = node->epoch;
    b->writer.object_id = job->object_id;
    b->block_size = (size_t)node->config->number[WEIR__P_BLOCK];
    b->compress = node->config->number[WEIR__P_COMPRESSION] == 0;
    b->done = build_done;
    b->ctx = job;
    job->built = 1;
    weir__build_start(b);
}

static void reserve_done(struct weir__commit *commit, int status)
{
    struct weir__upload *job = commit->ctx;

    weir__flush_late_stop(job->node);
    job->node->uploads.committing = 0;
    if (status == 0)
        status = job->ops[0].status;
    if (status != 0) {
        job_end(job, status);
        return;
    }
    take_ops(job);
    next_part(job);
}

static void reserve_start(struct weir__upload *job)
{
    job->commit.count = 0;
    add_reserve(job, job->plan.part_count - job->at);
    commit_ops(job, reserve_done);
}

static void next_part(struct weir__upload *job)
{
    struct weir__upload_state *up = &job->node->uploads;

    if (job->at == job->plan.part_count) {
        job_end(job, 0);
    } else if (abandoned(job)) {
        job_end(job, WEIR_ECLOSED);
    } else if (up->next_id == up->end_id) {
        reserve_start(job);
    } else {
        job->object_id = up->next_id++;
        weir__object_key(job->key, job->object_id);
        build_start(job);
    }
}

static void job_start(struct weir *node)
{
    struct weir__upload_state *up = &node->uploads;
    struct weir__upload *job = weir__calloc(node->alloc, 1, sizeof(*job));
    struct weir__list *at;
    int rc;

    if (job == NULL) {
        up->failures++;
        start_backoff(node);
        return;
    }
    job->node = node;
    weir__list_init(&job->flushes);
    while ((at = weir__list_pop(&up->flushes)) != NULL)
        weir__list_push(&job->flushes, at);
    up->job = job;
    node->host.env->ops->timer_stop(node->host.env, &up->due);
    rc = weir__plan_make(&job->plan, node);
    if (rc != 0)
        job_end(job, rc);
    else
        next_part(job);
}

/* 1 if the WAL or the memory is half full. */
static int under_pressure(const struct weir *node)
{
    const struct weir_wal *wal = node->wal;

    return node->commits.position - wal->begin > wal->capacity / 2 ||
           node->uploads.pending_bytes > node->cache.limit / 2;
}

/* 1 if others wait for what this node has to upload. */
static int is_awaited(const struct weir *node)
{
    return weir__state_node_debts(weir__manifest_state(node->manifest),
                                  node->id) > 0;
}

static int can_start(const struct weir *node)
{
    const struct weir__upload_state *up = &node->uploads;

    return !node->read_only && up->job == NULL && up->backoff.slot == 0 &&
           (weir__node_is_open(node) || !weir__list_empty(&up->flushes));
}

void weir__upload_look(struct weir *node)
{
    struct weir__upload_state *up = &node->uploads;
    struct weir_env *env = node->host.env;
    uint64_t interval = (uint64_t)node->config->number[WEIR__P_UPLOAD_INTERVAL];

    if (!can_start(node))
        return;
    if (!weir__list_empty(&up->flushes)) {
        job_start(node);
        return;
    }
    if (weir__list_empty(&up->pending))
        return;
    if (up->pending_bytes >=
            (uint64_t)node->config->number[WEIR__P_UPLOAD_BYTES] ||
        under_pressure(node) || is_awaited(node)) {
        job_start(node);
    } else if (up->due.slot == 0) {
        up->due.deadline = env->ops->now(env) + interval;
        env->ops->timer_start(env, &up->due);
    }
}

void weir__upload_pressure(struct weir *node)
{
    if (can_start(node) && !weir__list_empty(&node->uploads.pending))
        job_start(node);
}

static void due(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, uploads.due);

    weir__upload_pressure(node);
}

static void backoff_over(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, uploads.backoff);

    if (!weir__list_empty(&node->uploads.flushes) ||
        !weir__list_empty(&node->uploads.pending)) {
        if (can_start(node))
            job_start(node);
    }
}

void weir__upload_init(struct weir *node)
{
    node->uploads.due.fire = due;
    node->uploads.backoff.fire = backoff_over;
    weir__flush_init(node);
}

void weir__upload_close(struct weir *node)
{
    struct weir_env *env = node->host.env;

    env->ops->timer_stop(env, &node->uploads.due);
    env->ops->timer_stop(env, &node->uploads.backoff);
    env->ops->timer_stop(env, &node->uploads.late);
}

struct weir__list *weir__upload_flushes(struct weir *node)
{
    return &node->uploads.job->flushes;
}

uint64_t weir__upload_commit(const struct weir *node)
{
    return node->uploads.committing ? node->uploads.commits : 0;
}
