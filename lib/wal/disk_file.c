/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file or block device as a disk, with a thread that carries the requests
 * out.  The thread and the core share two queues under one lock; a completion
 * is posted to the environment, one task for as many as have gathered.
 */
#include "wal/disk_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

/* Pieces that go to the system in one call. */
#define PIECES 64

struct queue {
    struct weir__disk_req *first;
    struct weir__disk_req *last;
};

struct disk_file {
    struct weir__disk base;
    const struct weir_host *host;
    char *path;
    struct weir__disk_place place;
    struct weir_error failed; /* First write or sync that did; the thread's. */
    struct weir_error error;  /* Of the request under way; the thread's. */
    pthread_t thread;

    pthread_mutex_t lock; /* Guards the rest. */
    pthread_cond_t wake;
    struct queue todo;
    struct queue done;
    struct weir_error report; /* First failure among `done`. */
    bool asleep;
    bool posted;
    bool stop;

    struct weir_task task;
    struct weir_task *closed; /* The core's. */
};

static struct disk_file *disk_file(struct weir__disk *disk)
{
    return (struct disk_file *)(void *)disk;
}

/* ---- Queues: linked through the request's own room ----------------------*/

static void push(struct queue *q, struct weir__disk_req *req)
{
    req->impl[0] = NULL;
    if (q->last == NULL)
        q->first = req;
    else
        q->last->impl[0] = req;
    q->last = req;
}

static struct weir__disk_req *pop(struct queue *q)
{
    struct weir__disk_req *req = q->first;

    if (req == NULL)
        return NULL;
    q->first = req->impl[0];
    if (q->first == NULL)
        q->last = NULL;
    return req;
}

/* ---- On the thread ------------------------------------------------------*/

static int fail_io(const struct disk_file *d, struct weir__disk_req *req,
                   int number, const char *what)
{
    int rc = weir__fail_errno(req->err, number, "%s %s at byte %llu", what,
                              d->path, (unsigned long long)req->offset);

    if (rc == WEIR_ENOSPC || rc == WEIR_EIO)
        return rc;
    if (req->err != NULL)
        req->err->code = WEIR_EIO;
    return WEIR_EIO;
}

static int read_all(struct disk_file *d, struct weir__disk_req *req)
{
    unsigned char *to = req->data;
    size_t got = 0;
    ssize_t n;

    while (got < req->len) {
        n = pread(d->place.fd, to + got, req->len - got,
                  (off_t)(req->offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_io(d, req, errno, "read");
        if (n == 0)
            return weir__fail(req->err, WEIR_EIO,
                              "read %s at byte %llu: the file ends there",
                              d->path, (unsigned long long)(req->offset + got));
        got += (size_t)n;
    }
    return 0;
}

/* The next pieces behind the first `skip` bytes, as the system wants them. */
static int gather(struct iovec *to, const struct weir__disk_req *req,
                  size_t skip)
{
    int n = 0;

    for (size_t i = 0; i < req->iov_count && n < PIECES; i++) {
        const struct weir_iov *from = &req->iov[i];

        if (skip >= from->len) {
            skip -= from->len;
            continue;
        }
        /* The system only reads from it. */
        to[n].iov_base = (void *)((uintptr_t)from->data + skip);
        to[n].iov_len = from->len - skip;
        skip = 0;
        n++;
    }
    return n;
}

static int write_all(struct disk_file *d, struct weir__disk_req *req)
{
    struct iovec iov[PIECES];
    size_t put = 0;
    ssize_t n;

    while (put < req->len) {
        n = pwritev(d->place.fd, iov, gather(iov, req, put),
                    (off_t)(req->offset + put));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_io(d, req, errno, "write");
        if (n == 0)
            return fail_io(d, req, EIO, "write");
        put += (size_t)n;
    }
    return 0;
}

static int sync_all(struct disk_file *d, struct weir__disk_req *req)
{
    bool first = d->place.nameless;

    if ((first ? fsync(d->place.fd) : fdatasync(d->place.fd)) != 0)
        return fail_io(d, req, errno, "sync");
    if (first)
        return weir__disk_name(&d->place, d->path, req->err);
    return d->place.unsettled ? weir__disk_settle(&d->place, d->path, req->err)
                              : 0;
}

/* After a failed write or sync the system may have forgotten what it could
 * not write, and a later sync would say that all is well.  So what comes after
 * fails as that did, and tells its cause. */
static int carry_out(struct disk_file *d, struct weir__disk_req *req)
{
    int rc = 0;

    if (req->verb == WEIR__DISK_READ)
        return read_all(d, req);
    if (d->failed.code != 0) {
        weir__error_copy(req->err, &d->failed);
        return d->failed.code;
    }
    if (req->verb == WEIR__DISK_WRITE)
        rc = write_all(d, req);
    if (rc == 0 && (req->verb == WEIR__DISK_SYNC || req->sync))
        rc = sync_all(d, req);
    if (rc != 0)
        d->failed = d->error;
    return rc;
}

static struct weir__disk_req *next_request(struct disk_file *d)
{
    struct weir__disk_req *req;

    pthread_mutex_lock(&d->lock);
    while ((req = pop(&d->todo)) == NULL && !d->stop) {
        d->asleep = true;
        pthread_cond_wait(&d->wake, &d->lock);
        d->asleep = false;
    }
    pthread_mutex_unlock(&d->lock);
    return req;
}

static void complete(struct disk_file *d, struct weir__disk_req *req, int rc)
{
    bool post;

    req->impl[1] = (void *)(intptr_t)rc;
    pthread_mutex_lock(&d->lock);
    if (rc != 0 && d->report.code == 0)
        d->report = d->error;
    push(&d->done, req);
    post = !d->posted;
    d->posted = true;
    pthread_mutex_unlock(&d->lock);
    if (post)
        d->host->env->ops->post(d->host->env, &d->task);
}

static void *serve(void *arg)
{
    struct disk_file *d = arg;
    struct weir__disk_req *req;

    while ((req = next_request(d)) != NULL) {
        /* The caller's may be looked at in the core: it is filled there. */
        struct weir_error *err = req->err;
        int rc;

        req->err = &d->error;
        rc = carry_out(d, req);
        req->err = err;
        complete(d, req, rc);
    }
    weir__disk_leave(&d->place);
    d->host->env->ops->post(d->host->env, &d->task);
    return NULL;
}

/* ---- In the core --------------------------------------------------------*/

static void deliver(struct weir_task *task)
{
    struct disk_file *d = WEIR__CONTAINER(task, struct disk_file, task);
    struct weir__disk_req *req;
    struct weir_error report;
    struct queue done;

    pthread_mutex_lock(&d->lock);
    report = d->report;
    d->report.code = 0;
    done = d->done;
    d->done.first = NULL;
    d->done.last = NULL;
    d->posted = false;
    pthread_mutex_unlock(&d->lock);
    while ((req = pop(&done)) != NULL) {
        int rc = (int)(intptr_t)req->impl[1];

        if (rc != 0) {
            weir__error_copy(req->err, &report);
            weir__fail_status(req->err, rc);
        }
        req->done(req, rc);
    }
}

static void disk_submit(struct weir__disk *disk, struct weir__disk_req *req)
{
    struct disk_file *d = disk_file(disk);
    bool wake;

    pthread_mutex_lock(&d->lock);
    push(&d->todo, req);
    wake = d->asleep;
    pthread_mutex_unlock(&d->lock);
    if (wake)
        pthread_cond_signal(&d->wake);
}

static void disk_free(struct disk_file *d)
{
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    weir__free(d->host->alloc, d->path);
    weir__free(d->host->alloc, d);
}

static void closed_run(struct weir_task *task)
{
    struct disk_file *d = WEIR__CONTAINER(task, struct disk_file, task);
    struct weir_task *closed = d->closed;

    pthread_join(d->thread, NULL); /* It posted this as its last act. */
    disk_free(d);
    closed->run(closed);
}

static void disk_close(struct weir__disk *disk, struct weir_task *closed)
{
    struct disk_file *d = disk_file(disk);

    d->closed = closed;
    d->task.run = closed_run;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_mutex_unlock(&d->lock);
    pthread_cond_signal(&d->wake);
}

static const struct weir__disk_ops disk_file_ops = {disk_submit, disk_close};

/* The thread takes no signal: they are the host's. */
static int start_thread(struct disk_file *d, struct weir_error *err)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&d->thread, NULL, serve, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        return 0;
    return weir__fail_errno(err, rc, "thread for %s", d->path);
}

static int open_wish(struct weir__disk **out, const struct weir_host *host,
                     const struct weir__disk_wish *wish, struct weir_error *err)
{
    struct disk_file *d = weir__calloc(host->alloc, 1, sizeof(*d));
    int rc;

    *out = NULL;
    if (d == NULL)
        return weir__fail(err, WEIR_ENOMEM, "open %s", wish->path);
    d->base.ops = &disk_file_ops;
    d->host = host;
    d->task.run = deliver;
    d->place.fd = -1;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    d->path = weir__strdup(host->alloc, wish->path);
    if (d->path == NULL) {
        rc = weir__fail(err, WEIR_ENOMEM, "open %s", wish->path);
        goto fail;
    }
    rc = weir__disk_enter(&d->place, host, wish, err);
    if (rc != 0)
        goto fail;
    d->base.size = d->place.size;
    d->base.align = d->place.align;
    d->base.fresh = d->place.fresh;
    rc = start_thread(d, err);
    if (rc != 0)
        goto fail;
    *out = &d->base;
    return 0;

fail:
    weir__disk_leave(&d->place);
    disk_free(d);
    return rc;
}

int weir__disk_open(struct weir__disk **out, const struct weir_host *host,
                    const char *path, uint64_t size, struct weir_error *err)
{
    struct weir__disk_wish wish = {path, size, false};

    return open_wish(out, host, &wish, err);
}

int weir__disk_open_readonly(struct weir__disk **out,
                             const struct weir_host *host, const char *path,
                             struct weir_error *err)
{
    struct weir__disk_wish wish = {path, 0, true};

    return open_wish(out, host, &wish, err);
}
