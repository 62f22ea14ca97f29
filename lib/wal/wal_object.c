/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the object WAL: nothing is read yet. */
#include "wal/wal_object.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "wal/refuse.h"
#include "wal/wal.h"
#include "wal/wal_uri.h"

#include <string.h>

#define HOUR_NS UINT64_C(3600000000000)
#define NO_LIMIT (UINT64_C(1) << 62)

static const struct weir_wal_ops object_ops = {
    sizeof(struct weir_wal_ops), "object",           weir__object_recover,
    weir__object_start,          weir__object_write, weir__object_trim,
    weir__object_close,          weir__object_noted,
};

static int read_uri(struct wal_object *w, const struct weir_wal_open *req)
{
    struct weir__object_wish wish;
    int rc = weir__wal_object_uri(req->host->alloc, req->uri, &wish, req->err);

    if (rc != 0)
        return rc;
    w->base.depth = (unsigned)wish.depth;
    w->base.group_bytes = (uint32_t)wish.flush;
    w->base.linger = wish.linger;
    w->put_every = wish.puts > 0 ? HOUR_NS / wish.puts : 0;
    return 0;
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
