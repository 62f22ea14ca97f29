/* SPDX-License-Identifier: Apache-2.0 */
/* An upload's commits: ids for its objects, then each object. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/flush.h"
#include "engine/group.h"
#include "engine/upload_inside.h"

#include <stddef.h>

/* The manifest has the object: what it covers is uploaded. */
static void settle(struct weir__upload *job)
{
    const struct weir__plan_part *p = weir__upload_part(job);

    for (size_t i = 0; i < p->count; i++) {
        struct weir_stream *s = job->plan.items[p->first + i].stream;

        if (s->failed != WEIR_ENOENT)
            weir__stream_sync(s);
        if (job->ranges[i].status == 0)
            continue;
        /* A stream that was opened meanwhile has a later epoch: the next
         * upload takes what this one has left, and a flush waits for that. */
        if (weir__stream_waits(s)) {
            job->plan.waits = 1;
            job->plan.more = 0; /* Not at once. */
        }
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
    if (count > WEIR__UPLOAD_IDS)
        count = WEIR__UPLOAD_IDS;
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

/* Objects that hold nothing are dead at once. */
static void add_spent(struct weir__upload *job)
{
    const struct weir__upload_state *up = &job->node->uploads;

    for (unsigned i = 0; i < up->spent_count; i++) {
        struct weir__op *op = add_op(job, WEIR__OP_OBJECT_ADD);

        op->u.object_add.id = up->spent[i];
        op->u.object_add.kind = WEIR__OBJECT_SET;
    }
}

/* Ids that the manifest has registered. */
static void take_ids(struct weir__upload *job, const struct weir__op *op)
{
    struct weir__upload_state *up = &job->node->uploads;

    up->next_id = op->u.object_reserve.first;
    up->end_id = up->next_id + op->u.object_reserve.count;
}

/* What else the manifest has taken in with the upload's commit.  An id that it
 * has not taken back is another epoch's by now. */
static void take_ops(struct weir__upload *job)
{
    job->node->uploads.spent_count = 0;
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
        weir__upload_end(job, status);
        return;
    }
    job->object_id = 0; /* It is used. */
    settle(job);
    weir__upload_part_free(job);
    job->at++;
    weir__upload_next(job);
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

void weir__upload_commit_start(struct weir__upload *job)
{
    const struct weir__plan_part *p = weir__upload_part(job);
    struct weir__op *op;

    job->ranges =
        weir__calloc(job->node->alloc, p->count, sizeof(*job->ranges));
    if (job->ranges == NULL) {
        weir__upload_end(job, WEIR_ENOMEM);
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
    add_spent(job);
    commit_ops(job, commit_done);
}

static void reserve_done(struct weir__commit *commit, int status)
{
    struct weir__upload *job = commit->ctx;

    weir__flush_late_stop(job->node);
    job->node->uploads.committing = 0;
    if (status == 0) {
        take_ops(job);
        status = job->ops[0].status;
    }
    if (status != 0)
        weir__upload_end(job, status);
    else
        weir__upload_next(job);
}

void weir__upload_reserve(struct weir__upload *job)
{
    job->commit.count = 0;
    add_reserve(job, job->plan.part_count - job->at);
    add_spent(job);
    commit_ops(job, reserve_done);
}
