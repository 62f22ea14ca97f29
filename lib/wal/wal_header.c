/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two header blocks.  One update at a time, to the older copy, so that
 * the newer one is whole whatever happens to the update.
 */
#include "wal/wal_file.h"

#include "base/bytes.h"

bool weir__wal_head_stale(const struct weir__wal_file *w)
{
    const struct weir__wal_head *h = &w->head;

    for (int i = 0; i < 2; i++) {
        if (!h->valid[i] || h->copy[i].epoch != h->super.epoch ||
            h->copy[i].trim < h->super.trim)
            return true;
    }
    return false;
}

static int older(const struct weir__wal_head *h)
{
    if (h->valid[0] != h->valid[1])
        return h->valid[0] ? 1 : 0;
    return h->copy[0].generation < h->copy[1].generation ? 0 : 1;
}

bool weir__wal_head_behind(const struct weir__wal_file *w)
{
    const struct weir__wal_head *h = &w->head;
    int newer = 1 - older(h);

    return h->copy[newer].durable_end < w->base.end;
}

/* Space is free when both copies know it: either may be the one that the next
 * recovery has to do with. */
static void publish_trim(struct weir__wal_file *w)
{
    const struct weir__wal_head *h = &w->head;
    uint64_t trim = h->super.trim;

    for (int i = 0; i < 2; i++) {
        if (!h->valid[i])
            return;
        if (h->copy[i].trim < trim)
            trim = h->copy[i].trim;
    }
    trim -= trim % w->base.align;
    if (trim > w->base.begin)
        w->base.begin = trim;
}

void weir__wal_head_done(struct weir__wal_file *w, int status)
{
    struct weir__wal_head *h = &w->head;

    h->busy = false;
    h->riding = false;
    if (status != 0) {
        h->valid[h->slot] = false;
        weir__wal_poison(w, status);
        return;
    }
    h->copy[h->slot] = h->written;
    h->valid[h->slot] = true;
    publish_trim(w);
}

static void write_done(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;

    w->inflight--;
    if (status != 0 || !w->head.riding)
        weir__wal_head_done(w, status);
    weir__wal_pump(w);
}

static void submit(struct weir__wal_file *w, int slot, bool sync,
                   void (*done)(struct weir__disk_req *req, int status))
{
    struct weir__wal_head *h = &w->head;
    struct weir__disk_req *req = &h->disk_req[slot];

    req->verb = WEIR__DISK_WRITE;
    req->offset = (uint64_t)slot * h->super.block;
    req->iov = &h->iov;
    req->iov_count = 1;
    req->len = h->super.block;
    req->sync = sync;
    weir__wal_submit(w, req, done);
}

static void encode(struct weir__wal_file *w)
{
    struct weir__wal_head *h = &w->head;

    h->super.generation++;
    h->super.durable_end = w->base.end;
    h->super.zeroed = w->zeros.to;
    h->written = h->super;
    memset(h->data, 0, h->super.block);
    weir__wal_super_encode(h->data, &h->super);
    h->iov.data = h->data;
    h->iov.len = h->super.block;
}

void weir__wal_head_write(struct weir__wal_file *w, bool sync)
{
    struct weir__wal_head *h = &w->head;

    encode(w);
    h->slot = older(h);
    h->busy = true;
    h->riding = !sync;
    submit(w, h->slot, sync, write_done);
}

static void format_done(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;

    w->inflight--;
    if (status != 0)
        weir__wal_poison(w, status);
    if (req == &w->head.disk_req[1]) {
        w->head.copy[0] = w->head.written;
        w->head.valid[0] = !w->poisoned;
        weir__wal_head_done(w, status);
    }
    weir__wal_pump(w);
}

void weir__wal_head_format(struct weir__wal_file *w)
{
    encode(w);
    w->head.busy = true;
    w->head.riding = false;
    w->head.slot = 1;
    submit(w, 0, false, format_done);
    submit(w, 1, true, format_done);
}
