/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mem_disk.h"

#include "base/error.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

struct mem_disk {
    struct weir__disk base;
    const struct weir_host *host;
    struct mem_image *image;
    struct weir__disk_req *first;
    struct weir__disk_req *last;
    struct weir_task task;
    struct weir_task *closed;
    bool posted;
    bool failed;
};

void mem_image_init(struct mem_image *image, size_t size)
{
    memset(image, 0, sizeof(*image));
    image->data = calloc(1, size);
    image->size = size;
    image->fresh = true;
}

void mem_image_copy(struct mem_image *to, const struct mem_image *from)
{
    memset(to, 0, sizeof(*to));
    to->data = malloc(from->size > 0 ? from->size : 1);
    to->size = from->size;
    memcpy(to->data, from->data, from->size);
    if (from->unsynced_count == 0)
        return;
    to->unsynced_count = from->unsynced_count;
    to->unsynced_room = from->unsynced_count;
    to->unsynced = malloc(from->unsynced_count * sizeof(*to->unsynced));
    memcpy(to->unsynced, from->unsynced,
           from->unsynced_count * sizeof(*to->unsynced));
}

void mem_image_free(struct mem_image *image)
{
    free(image->data);
    free(image->unsynced);
    memset(image, 0, sizeof(*image));
}

void mem_image_lose(struct mem_image *image, size_t sector)
{
    const struct mem_sector *s = &image->unsynced[sector];

    memcpy(image->data + s->offset, s->old, MEM_SECTOR);
}

void mem_image_settle(struct mem_image *image)
{
    image->unsynced_count = 0;
}

static void remember(struct mem_image *image, uint64_t offset)
{
    struct mem_sector *s;

    for (size_t i = 0; i < image->unsynced_count; i++)
        if (image->unsynced[i].offset == offset)
            return;
    if (image->unsynced_count == image->unsynced_room) {
        image->unsynced_room = image->unsynced_room * 2 + 64;
        image->unsynced =
            realloc(image->unsynced, image->unsynced_room * sizeof(*s));
    }
    s = &image->unsynced[image->unsynced_count++];
    s->offset = offset;
    memcpy(s->old, image->data + offset, MEM_SECTOR);
}

static void put(struct mem_image *image, uint64_t offset,
                const unsigned char *data, size_t len)
{
    for (size_t i = 0; i + MEM_SECTOR <= len; i += MEM_SECTOR) {
        remember(image, offset + i);
        memcpy(image->data + offset + i, data + i, MEM_SECTOR);
    }
}

static void write_pieces(struct mem_image *image,
                         const struct weir__disk_req *req, size_t limit)
{
    uint64_t offset = req->offset;

    for (size_t i = 0; i < req->iov_count && limit > 0; i++) {
        size_t len = req->iov[i].len < limit ? req->iov[i].len : limit;

        put(image, offset, req->iov[i].data, len);
        offset += len;
        limit -= len;
    }
}

static int fail(const struct mem_disk *d, struct weir__disk_req *req)
{
    return weir__fail(req->err, d->image->fail_status,
                      "disk in memory at byte %llu: told to fail",
                      (unsigned long long)req->offset);
}

static int carry_out(struct mem_disk *d, struct weir__disk_req *req)
{
    struct mem_image *image = d->image;
    bool fails = ++image->ops == image->fail_at || d->failed;

    d->failed = fails && !image->fail_once;
    if (req->verb != WEIR__DISK_SYNC && req->offset + req->len > image->size)
        return weir__fail(req->err, WEIR_EIO, "disk in memory: past its end");
    if (req->verb == WEIR__DISK_READ) {
        image->reads++;
        if (fails)
            return fail(d, req);
        memcpy(req->data, image->data + req->offset, req->len);
        return 0;
    }
    if (req->verb == WEIR__DISK_WRITE) {
        image->writes++;
        write_pieces(image, req,
                     fails && !image->fail_sync_only ? image->fail_written
                                                     : req->len);
        if (image->watch != NULL)
            image->watch(image, image->watch_ctx);
        if (fails && !image->fail_sync_only)
            return fail(d, req);
    }
    if (req->verb == WEIR__DISK_SYNC || req->sync) {
        image->syncs++;
        if (fails)
            return fail(d, req);
        image->unsynced_count = 0;
    }
    return 0;
}

static void post(struct mem_disk *d)
{
    if (d->posted)
        return;
    d->posted = true;
    d->host->env->ops->post(d->host->env, &d->task);
}

static void step(struct weir_task *task)
{
    struct mem_disk *d = WEIR__CONTAINER(task, struct mem_disk, task);
    struct weir__disk_req *req = d->first;
    struct weir_task *closed = d->closed;

    d->posted = false;
    if (req == NULL && closed != NULL) {
        d->image->open--;
        free(d);
        closed->run(closed);
        return;
    }
    if (req == NULL || d->image->hang)
        return;
    d->first = req->impl[0];
    if (d->first == NULL)
        d->last = NULL;
    else
        post(d);
    req->done(req, carry_out(d, req));
}

static void mem_submit(struct weir__disk *disk, struct weir__disk_req *req)
{
    struct mem_disk *d = (struct mem_disk *)(void *)disk;

    req->impl[0] = NULL;
    if (d->last == NULL)
        d->first = req;
    else
        d->last->impl[0] = req;
    d->last = req;
    post(d);
}

static void mem_close(struct weir__disk *disk, struct weir_task *closed)
{
    struct mem_disk *d = (struct mem_disk *)(void *)disk;

    d->closed = closed;
    post(d);
}

static const struct weir__disk_ops mem_ops = {mem_submit, mem_close};

struct weir__disk *mem_disk_open(struct mem_image *image,
                                 const struct weir_host *host)
{
    struct mem_disk *d = calloc(1, sizeof(*d));

    d->base.ops = &mem_ops;
    d->base.size = image->size;
    d->base.align = MEM_SECTOR;
    d->base.fresh = image->fresh;
    d->host = host;
    d->image = image;
    d->task.run = step;
    image->fresh = false;
    image->open++;
    return &d->base;
}
