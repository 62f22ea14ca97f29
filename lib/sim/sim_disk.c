/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "sim/world.h"

#include <inttypes.h>
#include <stdbool.h>

enum { USE_DISK = 101, PAGE = 65536 };

static struct weir_sim *world(struct sim_disk *disk)
{
    return disk->node->sim;
}

/* ---- The medium ---------------------------------------------------------- */

static size_t pages(const struct sim_disk *disk)
{
    return (size_t)((disk->base.size + PAGE - 1) / PAGE);
}

static size_t page_len(const struct sim_disk *disk, size_t page)
{
    uint64_t left = disk->base.size - (uint64_t)page * PAGE;

    return left < PAGE ? (size_t)left : PAGE;
}

static void touch(struct sim_disk *disk, uint64_t offset)
{
    disk->touched[offset / PAGE] = 1;
}

/* Reads give what is on the medium: all else was forgotten. */
static void forget_cached(struct sim_disk *disk)
{
    for (size_t page = 0; page < pages(disk); page++)
        if (disk->touched[page])
            memcpy(disk->cached + page * PAGE, disk->stable + page * PAGE,
                   page_len(disk, page));
    memset(disk->touched, disk->shown, pages(disk));
}

/* The medium as it came: all that was ever written is in touched pages, as
 * no sync has ended. */
static void forget_stable(struct sim_disk *disk)
{
    for (size_t page = 0; page < pages(disk); page++)
        if (disk->touched[page])
            memset(disk->stable + page * PAGE, 0, page_len(disk, page));
}

/* What a power cut makes of one sector that was pending. */
static void settle_sector(struct sim_disk *disk,
                          const struct sim_sector *sector)
{
    unsigned char *to = disk->stable + sector->number * SIM_SECTOR;
    size_t i;

    if (SIM_FAULT(world(disk), &disk->random, disk_garble)) {
        for (i = 0; i < SIM_SECTOR; i++)
            to[i] = (unsigned char)weir__sim_random_next(&disk->random);
    } else if (weir__sim_random_below(&disk->random, 2) == 0) {
        memcpy(to, sector->data, SIM_SECTOR);
    }
}

/* Nothing is known of what is pending: each sector is there or is not. */
static void settle_pending(struct sim_disk *disk)
{
    size_t i;

    for (i = 0; i < disk->pending_count; i++)
        settle_sector(disk, &disk->pending[i]);
    disk->pending_count = 0;
}

/* A sector is well written, and goes bad later. */
static void spoil(struct sim_disk *disk, uint64_t sector)
{
    if (world(disk)->faults.disk_latent > 0 &&
        SIM_FAULT(world(disk), &disk->random, disk_latent))
        disk->bad[sector] = 1;
}

static bool is_bad(const struct sim_disk *disk, uint64_t offset, size_t len)
{
    return memchr(disk->bad + offset / SIM_SECTOR, 1, len / SIM_SECTOR) != NULL;
}

static void make_durable(struct sim_disk *disk)
{
    size_t i;

    for (i = 0; i < disk->pending_count; i++) {
        memcpy(disk->stable + disk->pending[i].number * SIM_SECTOR,
               disk->pending[i].data, SIM_SECTOR);
        spoil(disk, disk->pending[i].number);
    }
    disk->pending_count = 0;
    disk->exists = 1;
}

static bool reserve(struct sim_disk *disk, size_t sectors)
{
    size_t capacity = disk->pending_count + sectors;
    struct sim_sector *pending;

    if (capacity <= disk->pending_capacity)
        return true;
    capacity += capacity / 2;
    pending = weir__resize(world(disk)->alloc, disk->pending, capacity,
                           sizeof(*pending));
    if (pending == NULL)
        return false;
    disk->pending = pending;
    disk->pending_capacity = capacity;
    return true;
}

static void write_sector(struct sim_disk *disk, uint64_t offset,
                         const unsigned char *data)
{
    struct sim_sector *sector = &disk->pending[disk->pending_count++];

    sector->number = offset / SIM_SECTOR;
    memcpy(sector->data, data, SIM_SECTOR);
    memcpy(disk->cached + offset, data, SIM_SECTOR);
    disk->bad[sector->number] = 0;
    touch(disk, offset);
}

/* Some place that takes a write of so many bytes. */
static uint64_t elsewhere(struct sim_disk *disk, size_t len)
{
    uint64_t places = (disk->base.size - len) / SIM_DISK_ALIGN + 1;

    return weir__sim_random_below(&disk->random, places) * SIM_DISK_ALIGN;
}

/* From now on each sector of the write is on its way. */
static int start_write(struct sim_disk *disk, struct weir__disk_req *req,
                       bool broken)
{
    uint64_t offset = req->offset;
    size_t i;
    size_t at;

    if (!reserve(disk, req->len / SIM_SECTOR))
        return WEIR_EIO;
    if (SIM_FAULT(world(disk), &disk->random, disk_lost))
        return 0;
    if (SIM_FAULT(world(disk), &disk->random, disk_misplaced))
        offset = elsewhere(disk, req->len);
    for (i = 0; i < req->iov_count; i++) {
        const unsigned char *data = req->iov[i].data;

        for (at = 0; at < req->iov[i].len; at += SIM_SECTOR) {
            /* A write that breaks has reached some of its sectors. */
            if (!broken || weir__sim_random_below(&disk->random, 2) == 0)
                write_sector(disk, offset, data + at);
            offset += SIM_SECTOR;
        }
    }
    return broken ? WEIR_EIO : 0;
}

static int end_sync(struct sim_disk *disk)
{
    if (SIM_FAULT(world(disk), &disk->random, disk_sync)) {
        settle_pending(disk);
        return WEIR_EIO;
    }
    make_durable(disk);
    return 0;
}

/* ---- Requests, one after the other --------------------------------------- */

static const char *verb_name(const struct weir__disk_req *req)
{
    switch (req->verb) {
    case WEIR__DISK_READ:
        return "read";
    case WEIR__DISK_WRITE:
        return req->sync ? "write+sync" : "write";
    default:
        return "sync";
    }
}

static size_t length(const struct weir__disk_req *req)
{
    size_t len = 0;
    size_t i;

    if (req->verb != WEIR__DISK_WRITE)
        return req->len;
    for (i = 0; i < req->iov_count; i++)
        len += req->iov[i].len;
    return len;
}

static bool in_range(const struct sim_disk *disk,
                     const struct weir__disk_req *req)
{
    size_t len = length(req);

    if (req->verb == WEIR__DISK_SYNC)
        return true;
    return req->offset % SIM_DISK_ALIGN == 0 && len % SIM_DISK_ALIGN == 0 &&
           req->offset <= disk->base.size &&
           len <= disk->base.size - req->offset;
}

static void start_first(struct sim_disk *disk)
{
    struct weir__disk_req *req = disk->first;
    uint64_t sync = world(disk)->options.disk_time;
    uint64_t typical =
        req->verb == WEIR__DISK_SYNC || req->sync ? sync : sync / 10;

    disk->status = in_range(disk, req) ? 0 : WEIR_EIO;
    if (disk->status == 0 && req->verb == WEIR__DISK_WRITE) {
        req->len = length(req);
        disk->status = start_write(
            disk, req, SIM_FAULT(world(disk), &disk->random, disk_write) != 0);
    }
    if (SIM_FAULT(world(disk), &disk->random, disk_slow))
        typical = 2 * SIM_SECOND;
    disk->timer.deadline =
        world(disk)->now + weir__sim_random_time(&disk->random, typical);
    if (SIM_FAULT(world(disk), &disk->random, disk_hang))
        disk->timer.deadline += 600 * SIM_SECOND;
    weir_sim_at(world(disk), &disk->timer);
}

static void end_read(struct sim_disk *disk, struct weir__disk_req *req)
{
    if (SIM_FAULT(world(disk), &disk->random, disk_read) ||
        is_bad(disk, req->offset, req->len))
        disk->status = WEIR_EIO;
    else
        memcpy(req->data, disk->cached + req->offset, req->len);
}

/* The I/O has ended; tell the node. */
static void end_first(struct weir_timer *timer)
{
    struct sim_disk *disk = WEIR__CONTAINER(timer, struct sim_disk, timer);
    struct weir__disk_req *req = disk->first;

    if (disk->status == 0 && req->verb == WEIR__DISK_READ)
        end_read(disk, req);
    if (disk->status == 0 && (req->verb == WEIR__DISK_SYNC || req->sync))
        disk->status = end_sync(disk);
    weir_sim_trace(world(disk), "disk %" PRIu32 " %s %" PRIu64 "+%zu %s",
                   disk->node->id, verb_name(req), req->offset, req->len,
                   weir_error_name(disk->status));
    disk->user->env.ops->post(&disk->user->env, &disk->task);
}

static void tell(struct weir_task *task)
{
    struct sim_disk *disk = WEIR__CONTAINER(task, struct sim_disk, task);
    struct weir__disk_req *req = disk->first;
    int status = disk->status;

    disk->first = req->impl[0];
    if (disk->first != NULL)
        start_first(disk);
    else
        disk->end = &disk->first;
    if (status != 0)
        weir__fail(req->err, status, "%s the simulated disk at %" PRIu64,
                   verb_name(req), req->offset);
    req->done(req, status);
}

static void sim_disk_submit(struct weir__disk *base, struct weir__disk_req *req)
{
    struct sim_disk *disk = WEIR__CONTAINER(base, struct sim_disk, base);

    if (!disk->user->up)
        return;
    req->impl[0] = NULL;
    *disk->end = req;
    /* `impl[0]` of the last one is where the next goes. */
    disk->end = (struct weir__disk_req **)(void *)&req->impl[0];
    if (disk->first == req)
        start_first(disk);
}

static void sim_disk_close(struct weir__disk *base, struct weir_task *closed)
{
    struct sim_disk *disk = WEIR__CONTAINER(base, struct sim_disk, base);

    disk->open = 0;
    disk->user->env.ops->post(&disk->user->env, closed);
}

static const struct weir__disk_ops sim_disk_ops = {
    .submit = sim_disk_submit,
    .close = sim_disk_close,
};

/* ---- Life ---------------------------------------------------------------- */

int weir__sim_disk_init(struct weir_sim_node *node, uint64_t size)
{
    struct sim_disk *disk = &node->disk;
    const struct weir_alloc *alloc = node->sim->alloc;

    disk->node = node;
    disk->user = node;
    disk->base.ops = &sim_disk_ops;
    disk->base.size = size;
    disk->base.align = SIM_DISK_ALIGN;
    disk->end = &disk->first;
    disk->timer.fire = end_first;
    disk->task.run = tell;
    weir__sim_random_init(&disk->random, node->sim->options.seed,
                          USE_DISK + (uint64_t)node->id * 2);
    disk->stable = weir__calloc(alloc, 1, size);
    disk->cached = weir__calloc(alloc, 1, size);
    disk->touched = weir__calloc(alloc, 1, pages(disk) + 1);
    disk->bad = weir__calloc(alloc, 1, (size_t)(size / SIM_SECTOR));
    if (disk->stable != NULL && disk->cached != NULL && disk->touched != NULL &&
        disk->bad != NULL)
        return 0;
    weir__sim_disk_free(disk);
    return WEIR_ENOMEM;
}

void weir__sim_disk_free(struct sim_disk *disk)
{
    const struct weir_alloc *alloc = world(disk)->alloc;

    weir__free(alloc, disk->stable);
    weir__free(alloc, disk->cached);
    weir__free(alloc, disk->touched);
    weir__free(alloc, disk->bad);
    weir__free(alloc, disk->pending);
}

static void disk_crash(struct sim_disk *disk)
{
    weir_sim_cancel(world(disk), &disk->timer);
    disk->first = NULL;
    disk->end = &disk->first;
    disk->open = 0;
    settle_pending(disk);
    /* A file that no sync has named yet is not found again. */
    if (!disk->exists)
        forget_stable(disk);
    forget_cached(disk);
}

/* A disk that another node has open does not notice. */
void weir__sim_disks_crash(struct weir_sim_node *node)
{
    struct weir_sim_node *each = node->sim->nodes;

    for (; each != NULL; each = each->next)
        if (each->disk.open ? each->disk.user == node : each == node)
            disk_crash(&each->disk);
}

/* Opening reads the medium, not what the system remembers: what a failed sync
 * has lost is gone by now.  What is still to be written is not. */
static void read_anew(struct sim_disk *disk)
{
    size_t i;

    forget_cached(disk);
    for (i = 0; i < disk->pending_count; i++) {
        memcpy(disk->cached + disk->pending[i].number * SIM_SECTOR,
               disk->pending[i].data, SIM_SECTOR);
        touch(disk, disk->pending[i].number * SIM_SECTOR);
    }
}

/* As of a device: whoever may change it has wiped it. */
static bool is_blank(const struct sim_disk *disk)
{
    size_t i = 0;

    while (i < SIM_DISK_ALIGN && disk->stable[i] == 0)
        i++;
    return i == SIM_DISK_ALIGN;
}

int weir__sim_disk_open(struct weir__disk **out, struct weir_sim_node *node,
                        struct weir_sim_node *user, struct weir_error *err)
{
    struct sim_disk *disk = &node->disk;

    *out = NULL;
    if (disk->open)
        return weir__fail(err, WEIR_EBUSY,
                          "the simulated disk of node %" PRIu32 " is in use",
                          node->id);
    disk->open = 1;
    disk->user = user;
    read_anew(disk);
    disk->base.fresh = !disk->exists || (disk->shown && is_blank(disk));
    *out = &disk->base;
    return 0;
}

unsigned char *weir_sim_disk_data(struct weir_sim_node *node, size_t *size)
{
    struct sim_disk *disk = &node->disk;

    disk->shown = 1;
    disk->exists = 1; /* What is put there is found. */
    memset(disk->touched, 1, pages(disk));
    *size = (size_t)disk->base.size;
    return disk->stable;
}
