/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens the file log: reads both header blocks and refuses what is not this
 * node's, before anything is written.
 */
#include "wal/wal_file.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "wal/refuse.h"
#include "wal/wal_uri.h"

#define MIN_BLOCKS 4 /* In the ring. */

void weir__wal_file_free(struct weir__wal_file *w)
{
    const struct weir_alloc *alloc = w->host->alloc;

    weir__wal_recover_free(w);
    weir__free(alloc, w->head.data);
    weir__free(alloc, w->zeros.data);
    weir__free(alloc, w->group.iov);
    weir__free(alloc, w->name);
    weir__free(alloc, w);
}

/* ---- The end of opening -------------------------------------------------*/

static void open_failed(struct weir_task *task)
{
    struct weir__wal_file *w =
        WEIR__CONTAINER(task, struct weir__wal_file, task);
    struct weir_wal_open *req = w->open;
    int status = w->status;

    weir__error_copy(req->err, &w->error);
    weir__fail_status(req->err, status);
    weir__wal_file_free(w);
    req->wal = NULL;
    req->done(req, status);
}

static void open_end(struct weir__wal_file *w, int status)
{
    struct weir_wal_open *req = w->open;

    if (status != 0) {
        w->status = status;
        w->task.run = open_failed;
        w->disk->ops->close(w->disk, &w->task);
        return;
    }
    req->wal = &w->base;
    req->done(req, 0);
}

/* Once it is known what the log is like: fill in the port's base. */
static void accept(struct weir__wal_file *w)
{
    const struct weir__wal_super *s = &w->head.super;

    w->base.id = s->wal_id;
    w->base.epoch = w->inspect ? s->epoch : w->open->owner.epoch;
    w->base.capacity = s->capacity;
    w->base.align = s->block;
    w->base.begin = s->trim - s->trim % s->block;
    w->base.end = w->base.begin;
    w->base.flags = WEIR_WAL_PERSISTENT;
    w->base.max_group = w->open->max_group;
    if (w->base.max_group > s->capacity)
        w->base.max_group = (uint32_t)s->capacity;
    w->zeros.to = s->zeroed < s->capacity ? s->zeroed : s->capacity;
    weir__wal_recover_init(w);
}

/* ---- A log that is there ------------------------------------------------*/

static int check_super(struct weir__wal_file *w)
{
    const struct weir__wal_super *s = &w->head.super;
    const struct weir_wal_owner *owner = &w->open->owner;
    uint64_t need = 2 * (uint64_t)s->block + s->capacity;

    if (w->disk->size < need)
        return weir__fail(&w->error, WEIR_ETRUNCATED,
                          "%s: is %llu bytes long, but was made with %llu",
                          w->name, (unsigned long long)w->disk->size,
                          (unsigned long long)need);
    if (w->inspect)
        return 0;
    if (memcmp(s->cluster, owner->cluster, sizeof(s->cluster)) != 0)
        return weir__fail(&w->error, WEIR_EFOREIGN,
                          "%s: belongs to another cluster", w->name);
    if (s->node_id != owner->node_id)
        return weir__fail(&w->error, WEIR_EFOREIGN,
                          "%s: belongs to node %u, this is node %u", w->name,
                          s->node_id, owner->node_id);
    if (s->epoch >= owner->epoch)
        return weir__fail(&w->error, WEIR_EFENCED,
                          "%s: was opened under epoch %llu, this is epoch %llu",
                          w->name, (unsigned long long)s->epoch,
                          (unsigned long long)owner->epoch);
    return 0;
}

static int no_copy(struct weir__wal_file *w, const int rc[2])
{
    if (rc[0] == WEIR_EIO || rc[1] == WEIR_EIO)
        return WEIR_EIO; /* The one that cannot be read may be whole. */
    if (rc[0] == WEIR_ECORRUPT || rc[1] == WEIR_ECORRUPT)
        return weir__fail(&w->error, WEIR_ECORRUPT,
                          "%s: both header blocks are damaged", w->name);
    return weir__fail(&w->error, WEIR_EFORMAT,
                      "%s: is not a write-ahead log; name another file, or "
                      "blank a device's first MiB to have it overwritten",
                      w->name);
}

/* Choose the newer of the copies that are whole.  `rc` holds what is wrong
 * with each. */
static int judge(struct weir__wal_file *w, int rc[2])
{
    struct weir__wal_head *h = &w->head;
    uint32_t block = h->super.block;
    int newer;

    for (int i = 0; i < 2; i++) {
        if (rc[i] == 0)
            rc[i] = weir__wal_super_decode(&h->copy[i],
                                           h->data + (size_t)i * block);
        if (rc[i] == WEIR_EVERSION)
            return weir__fail(&w->error, WEIR_EVERSION,
                              "%s: was written by a newer version", w->name);
        h->valid[i] = rc[i] == 0;
    }
    if (!h->valid[0] && !h->valid[1])
        return no_copy(w, rc);
    newer = h->valid[1] &&
            (!h->valid[0] || h->copy[1].generation > h->copy[0].generation);
    if (!h->valid[1 - newer])
        weir__log(w->host->log, WEIR_LOG_WARN,
                  "%s: header block %c is damaged; the other one is good",
                  w->name, newer ? 'A' : 'B');
    if (h->copy[newer].block != block)
        return weir__fail(&w->error, WEIR_EUNSUPPORTED,
                          "%s: has blocks of %u bytes, the device of %u",
                          w->name, h->copy[newer].block, block);
    h->super = h->copy[newer];
    return check_super(w);
}

static void head_read(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;
    int rc[2];

    w->inflight--;
    req->len = status == 0 ? req->len : 0;
    if (w->inflight > 0)
        return;
    rc[0] = w->head.disk_req[0].len > 0 ? 0 : WEIR_EIO;
    rc[1] = w->head.disk_req[1].len > 0 ? 0 : WEIR_EIO;
    status = judge(w, rc);
    if (status == 0)
        accept(w);
    open_end(w, status);
}

static void read_heads(struct weir__wal_file *w)
{
    struct weir__wal_head *h = &w->head;

    for (unsigned i = 0; i < 2; i++) {
        h->disk_req[i].verb = WEIR__DISK_READ;
        h->disk_req[i].offset = (uint64_t)i * h->super.block;
        h->disk_req[i].data = h->data + (size_t)i * h->super.block;
        h->disk_req[i].len = h->super.block;
        weir__wal_submit(w, &h->disk_req[i], head_read);
    }
}

/* ---- A log that is new --------------------------------------------------*/

/* The new log is under its name before anyone is told its id: the manifest
 * will ask for that log and no other.  Epoch 0: nobody has written to it. */
static void format(struct weir__wal_file *w)
{
    struct weir__wal_super *s = &w->head.super;
    const struct weir_wal_owner *owner = &w->open->owner;
    struct weir_env *env = w->host->env;
    uint64_t ring = w->disk->size - 2 * (uint64_t)s->block;

    env->ops->random(env, &s->wal_id, sizeof(s->wal_id));
    memcpy(s->cluster, owner->cluster, sizeof(s->cluster));
    s->node_id = owner->node_id;
    s->capacity = ring - ring % s->block;
    accept(w);
    w->formatting = true;
    weir__wal_head_format(w);
}

void weir__wal_formatted(struct weir__wal_file *w)
{
    w->formatting = false;
    open_end(w, w->poison);
}

static void open_step(struct weir_task *task)
{
    struct weir__wal_file *w =
        WEIR__CONTAINER(task, struct weir__wal_file, task);
    uint64_t least = (2 + MIN_BLOCKS) * (uint64_t)w->head.super.block;

    if (w->disk->size < least) {
        open_end(w, weir__fail(&w->error, WEIR_ETRUNCATED,
                               "%s: is %llu bytes long, a log has %llu at "
                               "least",
                               w->name, (unsigned long long)w->disk->size,
                               (unsigned long long)least));
    } else if (w->disk->fresh && w->kept) { /* A blank device. */
        open_end(
            w, weir__fail(&w->error, WEIR_ENOENT, "%s: holds no log", w->name));
    } else if (w->disk->fresh && w->inspect) {
        open_end(w, weir__fail(&w->error, WEIR_EFORMAT, "%s: holds no log",
                               w->name));
    } else if (w->disk->fresh) {
        format(w);
    } else {
        read_heads(w);
    }
}

/* ---- Entry --------------------------------------------------------------*/

static struct weir__wal_file *
file_new(struct weir_wal_open *req, struct weir__disk *disk, const char *name)
{
    const struct weir_alloc *alloc = req->host->alloc;
    struct weir__wal_file *w = weir__calloc(alloc, 1, sizeof(*w));
    uint32_t block = WEIR__WAL_BLOCK_MIN;

    if (w == NULL)
        return NULL;
    if (block < disk->align)
        block = disk->align;
    w->base.ops = &weir__wal_file_ops;
    w->host = req->host;
    w->disk = disk;
    w->open = req;
    w->head.super.block = block;
    w->name = weir__strdup(alloc, name);
    w->head.data = weir__aligned(alloc, WEIR__WAL_BLOCK_MAX, 2 * (size_t)block);
    if (w->name == NULL || w->head.data == NULL) {
        weir__wal_file_free(w);
        return NULL;
    }
    return w;
}

static void open_disk(struct weir_wal_open *req, struct weir__disk *disk,
                      const char *name, bool inspect,
                      const struct weir__file_wish *wish)
{
    struct weir__wal_file *w = file_new(req, disk, name);

    if (w == NULL) {
        weir__fail(req->err, WEIR_ENOMEM, "%s: open", name);
        disk->ops->close(disk, weir__wal_refusal(req, WEIR_ENOMEM));
        return;
    }
    w->inspect = inspect;
    w->salvage = wish->salvage != 0;
    w->kept = wish->create == 0;
    w->task.run = open_step;
    req->host->env->ops->post(req->host->env, &w->task);
}

void weir__wal_file_open_disk(struct weir_wal_open *req,
                              struct weir__disk *disk, const char *name)
{
    static const struct weir__file_wish plain = {.create = 1};

    open_disk(req, disk, name, false, &plain);
}

static int open_wish(struct weir_wal_open *req,
                     const struct weir__file_wish *wish, bool inspect)
{
    const struct weir__uri *uri = &wish->uri;
    struct weir__disk *disk;
    int rc;

    if (inspect)
        rc = weir__disk_open_readonly(&disk, req->host, uri->path, req->err);
    else
        rc = weir__disk_open(&disk, req->host, uri->path,
                             wish->create != 0 ? wish->size : 0, req->err);
    if (rc != 0)
        return rc;
    if (!disk->fresh && weir__uri_get(uri, "size") != NULL &&
        disk->size != wish->size)
        weir__log(req->host->log, WEIR_LOG_INFO,
                  "%s: is there already and keeps its size of %llu bytes",
                  uri->path, (unsigned long long)disk->size);
    open_disk(req, disk, uri->path, inspect, wish);
    return 0;
}

static void open_any(struct weir_wal_open *req, bool inspect)
{
    struct weir__file_wish wish;
    int rc = weir__wal_file_uri(req->host->alloc, req->uri, &wish, req->err);

    if (rc == 0) {
        rc = open_wish(req, &wish, inspect);
        weir__uri_free(&wish.uri);
    }
    if (rc != 0)
        weir__wal_refuse(req, rc);
}

void weir__wal_file_open(struct weir_wal_open *req)
{
    open_any(req, false);
}

void weir__wal_file_inspect(struct weir_wal_open *req)
{
    open_any(req, true);
}

void weir__wal_file_super(const struct weir_wal *wal,
                          struct weir__wal_super *out)
{
    const struct weir__wal_file *w =
        (const struct weir__wal_file *)(const void *)wal;

    *out = w->head.super;
}
