/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the object WAL: nothing is read yet. */
#include "wal/wal_object.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/uri.h"
#include "wal/refuse.h"
#include "wal/wal.h"

#include <string.h>

#define DEPTH 4u
#define GROUP_BYTES (UINT64_C(12) << 20)
#define LINGER_NS UINT64_C(150000000)
#define HOUR_NS UINT64_C(3600000000000)
#define NO_LIMIT (UINT64_C(1) << 62)

static const struct weir_wal_ops object_ops = {
    sizeof(struct weir_wal_ops), "object",           weir__object_recover,
    weir__object_start,          weir__object_write, weir__object_trim,
    weir__object_close,          weir__object_noted,
};

static int read_uri(struct wal_object *w, const struct weir_wal_open *req)
{
    static const char *const known[] = {"flush", "inflight", "linger", "puts",
                                        NULL};
    uint64_t flush = GROUP_BYTES, depth = DEPTH, linger = LINGER_NS, puts = 0;
    struct weir__uri uri;
    int rc = weir__uri_parse(&uri, req->host->alloc, req->uri, req->err);

    if (rc != 0)
        return rc;
    rc = weir__uri_check(&uri, known, req->err);
    if (rc == 0)
        rc = weir__uri_size(&uri, "flush", &flush, req->err);
    if (rc == 0)
        rc = weir__uri_number(&uri, "inflight", 1, WEIR__OBJECT_DEPTH_MAX,
                              &depth, req->err);
    if (rc == 0)
        rc = weir__uri_duration(&uri, "linger", &linger, req->err);
    if (rc == 0)
        rc = weir__uri_number(&uri, "puts", 1, 1000000000, &puts, req->err);
    if (rc == 0 && (flush < (64 << 10) || flush > (14 << 20)))
        rc = weir__fail(req->err, WEIR_EINVAL,
                        "wal: flush: expected 64KiB to 14MiB");
    weir__uri_free(&uri);
    w->base.depth = (unsigned)depth;
    w->base.group_bytes = (uint32_t)flush;
    w->base.linger = linger;
    w->put_every = puts > 0 ? HOUR_NS / puts : 0;
    return rc;
}

static void opened(struct weir_task *task)
{
    struct wal_object *w = WEIR__CONTAINER(task, struct wal_object, task);
    struct weir_wal_open *req = w->open;

    req->wal = &w->base;
    req->done(req, 0);
}

static void init(struct wal_object *w, const struct weir_wal_open *req)
{
    w->base.ops = &object_ops;
    w->base.id = weir__slot_log_id(req->owner.cluster, req->owner.node_id);
    w->base.epoch = req->owner.epoch;
    w->base.capacity = NO_LIMIT;
    w->base.align = WEIR__SLOT_ALIGN;
    w->base.max_group = req->max_group;
    w->base.flags = WEIR_WAL_PERSISTENT | WEIR_WAL_SELF_FENCING;
    w->base.mark = req->mark;
    w->noted = req->mark;
    w->epoch = req->mark.epoch;
    w->slot = req->mark.slot;
    w->depth = WEIR__OBJECT_DEPTH_MAX;
    if (w->base.group_bytes > req->max_group)
        w->base.group_bytes = req->max_group;
    req->host->env->ops->random(req->host->env, w->nonce, sizeof(w->nonce));
}

void weir__wal_object_open(struct weir_wal_open *req)
{
    struct wal_object *w;
    int rc;

    if (req->store == NULL) {
        weir__wal_refuse(req, weir__fail(req->err, WEIR_EINVAL,
                                         "wal: object: there is no store"));
        return;
    }
    w = weir__calloc(req->host->alloc, 1, sizeof(*w));
    if (w == NULL) {
        weir__wal_refuse(req, WEIR_ENOMEM);
        return;
    }
    w->host = req->host;
    w->store = req->store;
    w->owner = req->owner;
    w->open = req;
    rc = read_uri(w, req);
    if (rc != 0) {
        weir__free(req->host->alloc, w);
        weir__wal_refuse(req, rc);
        return;
    }
    init(w, req);
    w->task.run = opened;
    req->host->env->ops->post(req->host->env, &w->task);
}
