/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write-ahead log of one's own: a ring in memory that outlives the process.
 *
 *     custom_wal DIR [TEXT...]    appends each TEXT, without an upload, and
 *                                 tells what came back from an earlier run
 *
 * The memory is a mapped file; on /dev/shm it never sees a disk.  So what is
 * acknowledged survives a crash of the process, not one of the machine.
 *
 * weir/wal.h tells what a log must do.  The parts to get right:
 *  - A write is acknowledged when it is as durable as the log promises: here
 *    when the bytes are in place, and then `end`, which vouches for them.
 *  - One process has the log: a lock.  A higher epoch has it for good.
 *  - Nothing blocks, and `done` never runs before the call has returned: an
 *    answer is a task.  A log on a disk or a network posts it when it knows;
 *    a write that may have been done is WEIR_EUNKNOWN.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weir.h>

enum { PAGE = 4096, CAPACITY = 16 << 20, ALIGN = 64 };

/* The first page; the ring follows, position p at p % CAPACITY. */
struct head {
    char magic[8]; /* Zeros: a new file. */
    struct weir_wal_owner owner;
    uint64_t id; /* Of the log: its records carry it. */
    uint64_t begin, end;
};

struct ring {
    struct weir_wal base; /* First: a log is its ring. */
    const struct weir_host *host;
    struct weir_wal_owner owner;
    int fd;
    struct head *head;
    unsigned char *bytes;
};

static int refuse(struct weir_error *err, int status, const char *what)
{
    if (err != NULL) {
        err->code = status;
        snprintf(err->text, sizeof(err->text), "ring: %.150s: %s", what,
                 weir_error_text(status));
    }
    return status;
}

/* In the `impl` of a request, so that an answer needs no memory. */
struct answer {
    struct weir_task task; /* First: a task is its answer. */
    void *req;
    void *ring;
};

/* Tasks run in the order of the posts: so do the answers. */
static void answer(const struct weir_host *host, void **impl, void *req,
                   void *ring, void (*run)(struct weir_task *task))
{
    struct answer *a = (struct answer *)(void *)impl;

    *a = (struct answer){.task.run = run, .req = req, .ring = ring};
    host->env->ops->post(host->env, &a->task);
}

/* ---- The methods --------------------------------------------------------- */

static void recover_run(struct weir_task *task)
{
    struct ring *r = ((struct answer *)task)->ring;
    struct weir_wal_recover *req = ((struct answer *)task)->req;
    uint64_t at = r->head->begin;
    size_t len = (size_t)(r->head->end - at);
    size_t first = (size_t)(CAPACITY - at % CAPACITY);
    struct weir_buf *buf = weir_buf_new(r->host->alloc, len, ALIGN);
    int status = buf == NULL ? refuse(req->err, WEIR_ENOMEM, "recovery") : 0;

    if (buf != NULL) {
        first = first < len ? first : len;
        memcpy(buf->data, r->bytes + at % CAPACITY, first);
        memcpy(buf->data + first, r->bytes, len - first);
        buf->len = len;
        status = weir_wal_give_groups(&r->base, req, buf, 0, at);
    }
    weir_buf_unref(buf); /* Records that were kept hold it. */
    req->more = 0;
    req->done(req, status);
}

static void ring_recover(struct weir_wal *wal, struct weir_wal_recover *req)
{
    answer(((struct ring *)wal)->host, req->impl, req, wal, recover_run);
}

static void start_run(struct weir_task *task)
{
    struct ring *r = ((struct answer *)task)->ring;
    struct weir_wal_req *req = ((struct answer *)task)->req;

    r->head->owner = r->owner; /* Ours from now on. */
    req->done(req, 0);
}

static void ring_start(struct weir_wal *wal, struct weir_wal_req *req)
{
    answer(((struct ring *)wal)->host, req->impl, req, wal, start_run);
}

static int put(struct ring *r, const struct weir_wal_write *req)
{
    uint64_t at = req->position;

    if (at != r->base.end)
        return refuse(req->err, WEIR_EBUG, "write behind the end");
    if (req->len > r->base.max_group)
        return refuse(req->err, WEIR_ETOOBIG, "write");
    if (at + req->len > r->base.begin + CAPACITY)
        return refuse(req->err, WEIR_EAGAIN, "full");
    for (size_t i = 0; i < req->iov_count; i++) {
        const unsigned char *from = req->iov[i].data;
        size_t len = req->iov[i].len;
        size_t first = (size_t)(CAPACITY - at % CAPACITY);

        first = first < len ? first : len;
        memcpy(r->bytes + at % CAPACITY, from, first);
        memcpy(r->bytes, from + first, len - first);
        at += len;
    }
    /* Who is killed before this has written nothing. */
    __atomic_store_n(&r->head->end, at, __ATOMIC_RELEASE);
    r->base.end = at;
    return 0;
}

static void write_run(struct weir_task *task)
{
    struct weir_wal_write *req = ((struct answer *)task)->req;

    req->done(req, put(((struct answer *)task)->ring, req));
}

static void ring_write(struct weir_wal *wal, struct weir_wal_write *req)
{
    answer(((struct ring *)wal)->host, req->impl, req, wal, write_run);
}

static void ring_trim(struct weir_wal *wal, uint64_t position)
{
    if (position <= wal->begin || position > wal->end)
        return;
    ((struct ring *)wal)->head->begin = position; /* Recovery: from here. */
    wal->begin = position - position % ALIGN;     /* Free: below this. */
}

static void free_ring(struct ring *r)
{
    if (r->head != NULL)
        munmap(r->head, PAGE + CAPACITY);
    close(r->fd); /* And unlock. */
    free(r);
}

static void close_run(struct weir_task *task)
{
    struct weir_wal_req *req = ((struct answer *)task)->req;

    free_ring(((struct answer *)task)->ring);
    req->done(req, 0);
}

static void ring_close(struct weir_wal *wal, struct weir_wal_req *req)
{
    answer(((struct ring *)wal)->host, req->impl, req, wal, close_run);
}

static const struct weir_wal_ops ring_ops = {
    sizeof(ring_ops), "ring",    ring_recover, ring_start,
    ring_write,       ring_trim, ring_close,   .noted = NULL};

/* ---- Opening ------------------------------------------------------------- */

static int check(struct ring *r, struct weir_error *err)
{
    struct head *head = r->head;

    if (head->magic[0] == '\0') { /* A new one: ours. */
        head->owner = r->owner;
        head->owner.epoch = 0;
        r->host->env->ops->random(r->host->env, &head->id, sizeof(head->id));
        memcpy(head->magic, "WEIRRING", 8);
    }
    if (memcmp(head->magic, "WEIRRING", 8) != 0 ||
        head->end - head->begin > CAPACITY)
        return refuse(err, WEIR_EFORMAT, "head");
    if (memcmp(&head->owner, &r->owner, 16) != 0 ||
        head->owner.node_id != r->owner.node_id)
        return refuse(err, WEIR_EFOREIGN, "owner");
    if (head->owner.epoch >= r->owner.epoch)
        return refuse(err, WEIR_EFENCED, "owner");
    r->base.ops = &ring_ops;
    r->base.id = head->id;
    r->base.epoch = r->owner.epoch;
    r->base.capacity = CAPACITY;
    r->base.begin = head->begin - head->begin % ALIGN;
    r->base.end = head->end;
    r->base.align = ALIGN;
    r->base.flags = WEIR_WAL_PERSISTENT;
    return 0;
}

static int map(struct ring *r, const struct weir_wal_open *req)
{
    const char *path = strchr(req->uri, ':') + 1;
    struct weir_error *err = req->err;
    void *memory;

    *r = (struct ring){.host = req->host, .owner = req->owner};
    r->base.max_group = req->max_group < CAPACITY ? req->max_group : CAPACITY;
    r->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (r->fd < 0 || flock(r->fd, LOCK_EX | LOCK_NB) != 0)
        return refuse(err, r->fd < 0 ? WEIR_EACCES : WEIR_EBUSY, path);
    if (posix_fallocate(r->fd, 0, PAGE + CAPACITY) != 0)
        return refuse(err, WEIR_ENOSPC, path); /* Or a write dies of it. */
    memory = mmap(NULL, PAGE + CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED,
                  r->fd, 0);
    if (memory == MAP_FAILED)
        return refuse(err, WEIR_EIO, path);
    r->head = memory;
    r->bytes = (unsigned char *)memory + PAGE;
    return check(r, err);
}

static void open_run(struct weir_task *task)
{
    struct weir_wal_open *req = ((struct answer *)task)->req;
    struct ring *r = calloc(1, sizeof(*r));
    int status =
        r == NULL ? refuse(req->err, WEIR_ENOMEM, "open") : map(r, req);

    if (r != NULL && status != 0)
        free_ring(r);
    req->wal = status == 0 ? &r->base : NULL;
    req->done(req, status);
}

static void open_ring(struct weir_wal_open *req)
{
    answer(req->host, req->impl, req, NULL, open_run);
}

static int run(struct weir *node, char **texts, struct weir_error *err)
{
    struct weir_stream_open open = {
        .req.err = err, .name = "texts", .flags = WEIR_STREAM_CREATE};
    struct weir_stats stats;
    int rc = weir_stream_open_sync(node, &open);

    for (; rc == 0 && *texts != NULL; texts++) {
        struct weir_append text = {
            .data = *texts, .len = strlen(*texts), .count = 1, .req.err = err};

        rc = weir_append_sync(open.stream, &text);
    }
    if (rc == 0 && (rc = weir_stats_sync(node, &stats)) == 0)
        printf("%d came back, %d were appended\n", (int)stats.recovered_batches,
               (int)stats.appends);
    return rc;
}

int main(int argc, char **argv)
{
    struct weir_error err = {0};
    struct weir_config *config = NULL;
    struct weir *node = NULL;
    int ok;

    if (argc < 2)
        return fputs("usage: custom_wal DIR [TEXT...]\n", stderr), 2;
    if (chdir(argv[1]) != 0)
        return perror(argv[1]), 1;
    ok = weir_config_new(&config, NULL) == 0 &&
         weir_config_add_wal(config, "ring", open_ring, NULL) == 0 &&
         weir_config_set(config, "store", "dir:store", &err) == 0 &&
         weir_config_set(config, "wal", "ring:ring", &err) == 0 &&
         weir_open(&node, config, &err) == 0 && run(node, argv + 2, &err) == 0;
    if (!ok)
        fprintf(stderr, "custom_wal: %s\n", err.text);
    weir_free(node);
    weir_config_free(config);
    return !ok;
}
