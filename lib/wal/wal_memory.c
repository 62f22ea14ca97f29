/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log that keeps nothing: for tests, and for streams that need no
 * durability.  It counts what is not trimmed, so that it can be full.
 */
#include "wal/wal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "wal/refuse.h"
#include "wal/wal_uri.h"

#define ALIGN 64u

/* What has been asked for and is answered on the next turn. */
struct answer {
    struct weir_task task;
    void *req;
    int status;
};

struct wal_memory {
    struct weir_wal base;
    const struct weir_host *host;
    struct weir_wal_open *open;
    struct answer recover;
    struct answer write;
    struct answer start;
    struct answer close;
};

static struct wal_memory *wal_memory(struct weir_wal *wal)
{
    return (struct wal_memory *)(void *)wal;
}

static void answer_later(struct wal_memory *m, struct answer *a, void *req,
                         int status, void (*run)(struct weir_task *task))
{
    a->req = req;
    a->status = status;
    a->task.run = run;
    m->host->env->ops->post(m->host->env, &a->task);
}

static void recover_run(struct weir_task *task)
{
    struct answer *a = WEIR__CONTAINER(task, struct answer, task);
    struct weir_wal_recover *req = a->req;

    req->more = 0;
    req->done(req, a->status);
}

static void memory_recover(struct weir_wal *wal, struct weir_wal_recover *req)
{
    struct wal_memory *m = wal_memory(wal);

    answer_later(m, &m->recover, req, 0, recover_run);
}

static void req_run(struct weir_task *task)
{
    struct answer *a = WEIR__CONTAINER(task, struct answer, task);
    struct weir_wal_req *req = a->req;

    req->done(req, a->status);
}

static void memory_start(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct wal_memory *m = wal_memory(wal);

    answer_later(m, &m->start, req, 0, req_run);
}

static int check_write(const struct weir_wal *wal,
                       const struct weir_wal_write *req)
{
    if (req->position != wal->end || req->len == 0 ||
        req->len % wal->align != 0)
        return weir__fail(req->err, WEIR_EBUG,
                          "memory log: write of %zu bytes at %llu, the end "
                          "is %llu",
                          req->len, (unsigned long long)req->position,
                          (unsigned long long)wal->end);
    if (req->len > wal->max_group)
        return weir__fail(req->err, WEIR_ETOOBIG,
                          "memory log: write of %zu bytes, at most %u are "
                          "allowed",
                          req->len, wal->max_group);
    if (req->position + req->len > wal->begin + wal->capacity)
        return weir__fail(req->err, WEIR_EAGAIN, "memory log: full");
    return 0;
}

static void write_run(struct weir_task *task)
{
    struct wal_memory *m = WEIR__CONTAINER(task, struct wal_memory, write.task);
    struct weir_wal_write *req = m->write.req;

    if (m->write.status == 0)
        m->base.end = req->position + req->len;
    req->done(req, m->write.status);
}

static void memory_write(struct weir_wal *wal, struct weir_wal_write *req)
{
    struct wal_memory *m = wal_memory(wal);

    answer_later(m, &m->write, req, check_write(wal, req), write_run);
}

static void memory_trim(struct weir_wal *wal, uint64_t position)
{
    if (position > wal->end)
        return;
    position -= position % wal->align;
    if (position > wal->begin)
        wal->begin = position;
}

static void close_run(struct weir_task *task)
{
    struct wal_memory *m = WEIR__CONTAINER(task, struct wal_memory, close.task);
    struct weir_wal_req *req = m->close.req;

    weir__free(m->host->alloc, m);
    req->done(req, 0);
}

static void memory_close(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct wal_memory *m = wal_memory(wal);

    answer_later(m, &m->close, req, 0, close_run);
}

static const struct weir_wal_ops memory_ops = {
    sizeof(struct weir_wal_ops),
    "mem",
    memory_recover,
    memory_start,
    memory_write,
    memory_trim,
    memory_close,
    NULL,
};

static void open_run(struct weir_task *task)
{
    struct wal_memory *m = WEIR__CONTAINER(task, struct wal_memory, start.task);
    struct weir_wal_open *req = m->open;

    req->wal = &m->base;
    req->done(req, 0);
}

void weir__wal_memory_open(struct weir_wal_open *req)
{
    uint64_t size;
    struct wal_memory *m = NULL;
    int rc = weir__wal_memory_uri(req->host->alloc, req->uri, &size, req->err);

    if (rc == 0) {
        m = weir__calloc(req->host->alloc, 1, sizeof(*m));
        rc = m == NULL ? WEIR_ENOMEM : 0;
    }
    if (rc != 0) {
        weir__wal_refuse(req, rc);
        return;
    }
    m->base.ops = &memory_ops;
    m->host = req->host;
    m->open = req;
    req->host->env->ops->random(req->host->env, &m->base.id,
                                sizeof(m->base.id));
    m->base.epoch = req->owner.epoch;
    m->base.capacity = size - size % ALIGN;
    m->base.align = ALIGN;
    m->base.max_group =
        req->max_group < size ? req->max_group : (uint32_t)m->base.capacity;
    answer_later(m, &m->start, NULL, 0, open_run);
}
