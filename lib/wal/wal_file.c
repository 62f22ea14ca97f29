/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file log from `start` to `close`.  What wants the disk is ranked:
 * a group goes at once; a header block goes along with it, or alone when no
 * group is in flight; zeros ahead of the end go when there is nothing else.
 */
#include "wal/wal_file.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"

/* A log that was not written for so long vouches for its end in a header
 * block, so that damage in its last group is not taken for a torn tail. */
#define IDLE_NS UINT64_C(100000000)

/* How far zeros go ahead: begin below the one, stop at the other. */
#define AHEAD_MIN ((uint64_t)1 << 20)
#define AHEAD_MAX ((uint64_t)16 << 20)
#define SMALL_GROUP ((size_t)64 << 10)

void weir__wal_submit(struct weir__wal_file *w, struct weir__disk_req *req,
                      void (*done)(struct weir__disk_req *req, int status))
{
    req->done = done;
    req->ctx = w;
    if (req->err == NULL)
        req->err = &w->error;
    w->inflight++;
    w->disk->ops->submit(w->disk, req);
}

void weir__wal_poison(struct weir__wal_file *w, int status)
{
    if (w->poisoned)
        return;
    w->poisoned = true;
    w->poison = status;
    weir__fail_status(&w->error, status);
    weir__log(w->host->log, WEIR_LOG_ERROR,
              "%s: %s; it acknowledges nothing more until it is opened again",
              w->name, w->error.text);
}

/* ---- Zeros ahead of the end ---------------------------------------------*/

static void zeros_done(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;

    w->inflight--;
    w->zeros.busy = false;
    if (status == 0) {
        w->zeros.to += w->zeros.len;
    } else {
        /* Not needed for anything: the groups will tell if it is serious. */
        weir__log(w->host->log, WEIR_LOG_WARN, "%s: zeros ahead of the end: %s",
                  w->name, w->zeros.disk_req.err->text);
        weir__free(w->host->alloc, w->zeros.data);
        w->zeros.data = NULL;
        w->zeros.off = true;
    }
    weir__wal_pump(w);
}

static bool zeros_there(struct weir__wal_file *w)
{
    struct weir__wal_zeros *z = &w->zeros;
    size_t piece = WEIR__WAL_SLICE / WEIR__WAL_SLICE_PIECES;

    if (z->data == NULL && !z->off) {
        z->data = weir__aligned(w->host->alloc, WEIR__WAL_BLOCK_MAX, piece);
        if (z->data != NULL)
            memset(z->data, 0, piece);
    }
    return z->data != NULL;
}

static void zeros_write(struct weir__wal_file *w, size_t len)
{
    struct weir__wal_zeros *z = &w->zeros;
    size_t piece = WEIR__WAL_SLICE / WEIR__WAL_SLICE_PIECES;
    size_t left = len;
    size_t n = 0;

    for (; left > 0; n++) {
        z->iov[n].data = z->data;
        z->iov[n].len = left < piece ? left : piece;
        left -= z->iov[n].len;
    }
    z->len = len;
    z->busy = true;
    z->disk_req.verb = WEIR__DISK_WRITE;
    z->disk_req.offset = weir__wal_ring(w) + z->to;
    z->disk_req.iov = z->iov;
    z->disk_req.iov_count = n;
    z->disk_req.len = len;
    z->disk_req.sync = 0;
    weir__wal_submit(w, &z->disk_req, zeros_done);
}

static void zeros_step(struct weir__wal_file *w)
{
    struct weir__wal_zeros *z = &w->zeros;
    uint64_t left;

    if (z->to < w->base.end)
        z->to = w->base.end;
    if (z->to >= w->base.capacity)
        return;
    /* What writes long groups gains nothing by it, and would pay twice. */
    if (z->to - w->base.end < AHEAD_MIN &&
        (w->quiet || w->group.len <= SMALL_GROUP))
        z->filling = true;
    if (z->to - w->base.end >= AHEAD_MAX)
        z->filling = false;
    if (!z->filling || !zeros_there(w))
        return;
    left = w->base.capacity - z->to;
    zeros_write(w, left < WEIR__WAL_SLICE ? (size_t)left : WEIR__WAL_SLICE);
}

/* ---- Idleness -----------------------------------------------------------*/

static void idle_arm(struct weir__wal_file *w)
{
    struct weir_env *env = w->host->env;

    w->groups_idle = w->groups;
    w->idle.deadline = env->ops->now(env) + IDLE_NS;
    env->ops->timer_start(env, &w->idle);
}

static void idle_fire(struct weir_timer *timer)
{
    struct weir__wal_file *w =
        WEIR__CONTAINER(timer, struct weir__wal_file, idle);

    if (w->groups != w->groups_idle) {
        idle_arm(w);
        return;
    }
    w->idle.fire = NULL;
    w->quiet = true;
    weir__wal_pump(w);
}

/* One look in a while is cheaper than to start a timer with each group. */
static void idle_watch(struct weir__wal_file *w)
{
    w->quiet = false;
    w->groups++;
    if (w->idle.fire != NULL)
        return;
    w->idle.fire = idle_fire;
    idle_arm(w);
}

/* ---- Write --------------------------------------------------------------*/

static void group_end(struct weir__wal_file *w)
{
    struct weir__wal_group *g = &w->group;
    struct weir_wal_write *req = g->req;
    int status = 0;

    if (g->status != 0)
        weir__wal_poison(w, g->status);
    if (w->head.busy && w->head.riding)
        weir__wal_head_done(w, g->status);
    g->req = NULL;
    if (w->poisoned) {
        status = weir__fail(req->err, WEIR_EUNKNOWN, "%s", w->error.text);
    } else {
        w->base.end = req->position + req->len;
        g->len = req->len;
        idle_watch(w);
    }
    req->done(req, status);
    weir__wal_pump(w);
}

static void part_done(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;

    w->inflight--;
    if (w->group.status == 0)
        w->group.status = status;
    if (--w->group.parts == 0)
        group_end(w);
}

static void part_submit(struct weir__wal_file *w, unsigned part,
                        uint64_t position, const struct weir_iov *iov,
                        size_t count, size_t len, bool last)
{
    struct weir__disk_req *req = &w->group.part[part];

    req->verb = WEIR__DISK_WRITE;
    req->offset = weir__wal_ring(w) + position % w->base.capacity;
    req->iov = iov;
    req->iov_count = count;
    req->len = len;
    req->sync = last;
    weir__wal_submit(w, req, part_done);
}

/* The group goes round the end of the ring: cut the pieces at `first` bytes.
 * One piece may be cut in two, hence one more. */
static void submit_split(struct weir__wal_file *w,
                         const struct weir_wal_write *req, size_t first)
{
    struct weir_iov *to = w->group.iov;
    size_t left = first;
    size_t i = 0;
    size_t n;

    for (; left >= req->iov[i].len; i++) {
        to[i] = req->iov[i];
        left -= to[i].len;
        if (left == 0) {
            i++;
            break;
        }
    }
    n = i;
    if (left > 0) {
        to[n].data = req->iov[i].data;
        to[n++].len = left;
    }
    part_submit(w, 0, req->position, to, n, first, false);

    to += n;
    n = 0;
    if (left > 0) {
        to[n].data = (const unsigned char *)req->iov[i].data + left;
        to[n++].len = req->iov[i].len - left;
        i++;
    }
    for (; i < req->iov_count; i++)
        to[n++] = req->iov[i];
    part_submit(w, 1, req->position + first, to, n, req->len - first, true);
}

static int room_for_split(struct weir__wal_file *w, size_t pieces)
{
    struct weir_iov *iov;

    if (pieces <= w->group.iov_room)
        return 0;
    iov = weir__resize(w->host->alloc, w->group.iov, pieces, sizeof(*iov));
    if (iov == NULL)
        return WEIR_ENOMEM;
    w->group.iov = iov;
    w->group.iov_room = pieces;
    return 0;
}

static bool aligned(const struct weir__wal_file *w,
                    const struct weir_wal_write *req)
{
    size_t len = 0;

    for (size_t i = 0; i < req->iov_count; i++) {
        if ((uintptr_t)req->iov[i].data % w->base.align != 0 ||
            req->iov[i].len % w->base.align != 0 || req->iov[i].len == 0)
            return false;
        len += req->iov[i].len;
    }
    return len == req->len && len > 0;
}

/* What speaks against a write, before anything of it is done. */
static int check_write(struct weir__wal_file *w,
                       const struct weir_wal_write *req)
{
    if (w->state != WEIR__WAL_STARTED)
        return weir__fail(req->err, WEIR_ECLOSED, "%s: not open for writing",
                          w->name);
    if (w->poisoned)
        return weir__fail(req->err, WEIR_EPOISONED,
                          "%s: an earlier write "
                          "failed: %s",
                          w->name, w->error.text);
    if (w->group.req != NULL || req->position != w->base.end ||
        !aligned(w, req))
        return weir__fail(req->err, WEIR_EBUG,
                          "%s: write of %zu bytes at %llu, the end is %llu",
                          w->name, req->len, (unsigned long long)req->position,
                          (unsigned long long)w->base.end);
    if (req->len > w->base.max_group)
        return weir__fail(req->err, WEIR_ETOOBIG,
                          "%s: write of %zu bytes, at "
                          "most %u are allowed",
                          w->name, req->len, w->base.max_group);
    if (req->position + req->len > w->base.begin + w->base.capacity)
        return weir__fail(req->err, WEIR_EAGAIN, "%s: full", w->name);
    return 0;
}

static void refuse_run(struct weir_task *task)
{
    struct weir__wal_file *w =
        WEIR__CONTAINER(task, struct weir__wal_file, group.refused);
    struct weir_wal_write *req = w->group.req;

    w->inflight--;
    w->group.req = NULL;
    req->done(req, w->group.status);
    weir__wal_pump(w);
}

static void refuse(struct weir__wal_file *w, struct weir_wal_write *req,
                   int status)
{
    w->inflight++;
    w->group.req = req;
    w->group.status = status;
    w->group.refused.run = refuse_run;
    w->host->env->ops->post(w->host->env, &w->group.refused);
}

static void wal_write(struct weir_wal *wal, struct weir_wal_write *req)
{
    struct weir__wal_file *w = weir__wal_file(wal);
    uint64_t to_edge = wal->capacity - req->position % wal->capacity;
    int rc = check_write(w, req);

    if (rc == 0 && req->len > to_edge &&
        room_for_split(w, req->iov_count + 1) != 0)
        rc = weir__fail(req->err, WEIR_ENOMEM, "%s: write", w->name);
    if (rc != 0) {
        refuse(w, req, rc);
        return;
    }
    w->group.req = req;
    w->group.status = 0;
    if (weir__wal_head_stale(w) && !w->head.busy)
        weir__wal_head_write(w, false);
    if (req->len <= to_edge) {
        w->group.parts = 1;
        part_submit(w, 0, req->position, req->iov, req->iov_count, req->len,
                    true);
    } else {
        w->group.parts = 2;
        submit_split(w, req, (size_t)to_edge);
    }
}

static void wal_trim(struct weir_wal *wal, uint64_t position)
{
    struct weir__wal_file *w = weir__wal_file(wal);

    if (position <= w->head.super.trim || position > wal->end ||
        position % WEIR__WAL_RECORD_ALIGN != 0)
        return;
    w->head.super.trim = position;
    weir__wal_pump(w);
}

/* ---- Start --------------------------------------------------------------*/

static void start_end(struct weir__wal_file *w, int status)
{
    struct weir_wal_req *req = w->start;

    w->start = NULL;
    if (status == 0) {
        w->state = WEIR__WAL_STARTED;
    } else {
        weir__error_copy(req->err, &w->error);
        weir__fail_status(req->err, status);
    }
    req->done(req, status);
    weir__wal_pump(w);
}

static void start_refused(struct weir_task *task)
{
    struct weir__wal_file *w =
        WEIR__CONTAINER(task, struct weir__wal_file, task);

    w->inflight--;
    start_end(w, w->status);
}

/* From here on the epoch is the owner's, in both header blocks of a new log,
 * and soon in both of an old one. */
static void start_header(struct weir__wal_file *w)
{
    struct weir__wal_super *s = &w->head.super;

    s->epoch = w->base.epoch;
    s->epoch_start = w->base.end;
    s->closed = false;
    w->head_wanted = true;
    if (s->max_group < w->base.max_group)
        s->max_group = w->base.max_group;
    if (!w->head.valid[0] && !w->head.valid[1])
        weir__wal_head_format(w);
    else
        weir__wal_head_write(w, true);
}

/* What must be on the disk before the header is written is there. */
static void settled(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;

    w->inflight--;
    if (status != 0) {
        weir__wal_poison(w, status);
        start_end(w, status);
        return;
    }
    start_header(w);
}

/* After a write that failed, be it the last one of a log that was closed, the
 * newer header block may be one that the disk has not got yet.  It has to,
 * before the other one is written over. */
static void settle(struct weir__wal_file *w)
{
    struct weir__disk_req *req = &w->head.disk_req[0];

    req->verb = WEIR__DISK_SYNC;
    weir__wal_submit(w, req, settled);
}

/* The block in which the log was cut holds what is left of a torn record.
 * Nothing in this block was ever acknowledged, so it may be written again:
 * with zeros there, which later walks take for the padding that it is. */
static void mend(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;
    uint32_t block = w->base.align;
    size_t keep = (size_t)(w->reader.walk.tail % block);
    unsigned char *data = req->data;
    size_t i = keep;

    w->inflight--;
    if (status != 0) {
        start_end(w, status);
        return;
    }
    while (i < block && data[i] == 0)
        i++;
    if (i == block) {
        settle(w);
        return;
    }
    memset(data + keep, 0, block - keep);
    w->head.iov.data = data;
    w->head.iov.len = block;
    req->verb = WEIR__DISK_WRITE;
    req->iov = &w->head.iov;
    req->iov_count = 1;
    req->len = block;
    req->sync = 1;
    weir__wal_submit(w, req, settled);
}

static void wal_start(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct weir__wal_file *w = weir__wal_file(wal);
    struct weir__disk_req *read = &w->head.disk_req[0];

    w->start = req;
    w->status = 0;
    if (w->state != WEIR__WAL_RECOVERED || w->inspect) {
        w->status = weir__fail(&w->error, WEIR_EBUG,
                               "%s: start before the end of recovery", w->name);
        w->inflight++;
        w->task.run = start_refused;
        w->host->env->ops->post(w->host->env, &w->task);
        return;
    }
    if (w->reader.walk.tail % wal->align == 0 ||
        wal->end <= w->head.super.durable_end) {
        settle(w);
        return;
    }
    read->verb = WEIR__DISK_READ;
    read->offset = weir__wal_ring(w) + (wal->end - wal->align) % wal->capacity;
    read->data = w->head.data;
    read->len = wal->align;
    weir__wal_submit(w, read, mend);
}

/* ---- Close --------------------------------------------------------------*/

static void closed(struct weir_task *task)
{
    struct weir__wal_file *w =
        WEIR__CONTAINER(task, struct weir__wal_file, task);
    struct weir_wal_req *req = w->close;
    int status = w->status;

    if (status != 0)
        weir__error_copy(req->err, &w->error);
    weir__wal_file_free(w);
    req->done(req, status);
}

static void close_step(struct weir__wal_file *w)
{
    if (w->inflight > 0)
        return;
    if (w->mark_end) {
        w->mark_end = false;
        w->head.super.closed = true;
        w->head_wanted = true;
        weir__wal_head_write(w, true);
        return;
    }
    w->status = w->head_wanted ? w->poison : 0;
    w->state = WEIR__WAL_CLOSED;
    w->task.run = closed;
    w->disk->ops->close(w->disk, &w->task);
}

static void wal_close(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct weir__wal_file *w = weir__wal_file(wal);
    struct weir_env *env = w->host->env;

    env->ops->timer_stop(env, &w->idle);
    w->close = req;
    w->mark_end = w->state == WEIR__WAL_STARTED && !w->poisoned;
    w->head_wanted = false;
    w->state = WEIR__WAL_CLOSING;
    weir__wal_pump(w);
}

/* ---- What next ----------------------------------------------------------*/

void weir__wal_pump(struct weir__wal_file *w)
{
    if (w->group.req != NULL || w->head.busy || w->zeros.busy)
        return;
    if (w->formatting) {
        if (w->inflight == 0)
            weir__wal_formatted(w);
        return;
    }
    if (w->start != NULL) {
        if (w->head_wanted && w->inflight == 0) {
            w->head_wanted = false;
            start_end(w, w->poison);
        }
        return;
    }
    if (w->state == WEIR__WAL_CLOSING) {
        close_step(w);
        return;
    }
    if (w->state != WEIR__WAL_STARTED || w->poisoned)
        return;
    if (weir__wal_head_stale(w) || (w->quiet && weir__wal_head_behind(w)))
        weir__wal_head_write(w, true);
    else
        zeros_step(w);
}

const struct weir_wal_ops weir__wal_file_ops = {
    sizeof(struct weir_wal_ops),
    "file",
    weir__wal_recover,
    wal_start,
    wal_write,
    wal_trim,
    wal_close,
    NULL,
};
