/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the ring for the walk, one chunk ahead of it.  Records are handed out
 * by reference into the chunks; the end of a chunk that holds half a record
 * is copied in front of the next one, or, if it is long, both into a buffer
 * of their own.
 */
#include "wal/wal_file.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/sometimes.h"

static void read_done(struct weir__disk_req *req, int status);

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Keep one buffer that nobody else holds, so that reading a long log does not
 * ask for fresh memory with every chunk. */
static void give_back(struct weir__wal_reader *r, struct weir_buf *buf)
{
    if (buf == NULL)
        return;
    if (r->spare == NULL && weir__buf_refs(buf) == 1 &&
        buf->capacity == WEIR__WAL_CHUNK_HEAD + r->chunk) {
        r->spare = buf;
        return;
    }
    weir_buf_unref(buf);
}

static void read_next(struct weir__wal_file *w)
{
    struct weir__wal_reader *r = &w->reader;
    uint64_t at = r->next % w->base.capacity;
    struct weir_buf *buf = r->spare;
    uint64_t len;

    if (r->flight.buf != NULL || r->ready.buf != NULL ||
        r->next >= r->walk.limit || r->read_status != 0)
        return;
    r->spare = NULL;
    if (buf == NULL)
        buf = weir_buf_new(w->host->alloc, WEIR__WAL_CHUNK_HEAD + r->chunk,
                           WEIR__WAL_BLOCK_MAX);
    if (buf == NULL) {
        r->read_status =
            weir__fail(&r->error, WEIR_ENOMEM, "%s: recovery", w->name);
        return;
    }
    len = smaller(r->chunk, w->base.capacity - at);
    len = smaller(len, r->walk.limit - r->next);
    buf->len = WEIR__WAL_CHUNK_HEAD + (size_t)len;
    r->flight.buf = buf;
    r->flight.position = r->next;
    r->flight.len = (size_t)len;
    r->next += len;

    r->disk_req.verb = WEIR__DISK_READ;
    r->disk_req.offset = weir__wal_ring(w) + at;
    r->disk_req.data = buf->data + WEIR__WAL_CHUNK_HEAD;
    r->disk_req.len = (size_t)len;
    r->disk_req.err = &r->error;
    weir__wal_submit(w, &r->disk_req, read_done);
}

static void drop_window(struct weir__wal_reader *r)
{
    give_back(r, r->window.buf);
    r->window.buf = NULL;
    r->window.len = 0;
}

/* Go and read again from where the walk is. */
static void seek(struct weir__wal_file *w)
{
    struct weir__wal_reader *r = &w->reader;

    drop_window(r);
    give_back(r, r->ready.buf);
    r->ready.buf = NULL;
    r->discard = r->flight.buf != NULL;
    r->read_status = 0;
    r->next = r->walk.at - r->walk.at % w->base.align;
    r->window.position = r->next;
}

static void show_ready(struct weir__wal_reader *r, size_t left)
{
    struct weir_buf *buf = r->ready.buf;
    unsigned char *data = buf->data + WEIR__WAL_CHUNK_HEAD - left;

    if (left > 0)
        memcpy(data, r->window.data + r->window.len - left, left);
    drop_window(r);
    r->window.buf = buf;
    r->window.data = data;
    r->window.position = r->ready.position - left;
    r->window.len = r->ready.len + left;
    r->ready.buf = NULL;
}

/* Put the ready chunk behind the window's last `left` bytes, in a buffer that
 * has room for all that the walk needs. */
static int join_ready(struct weir__wal_file *w, size_t left)
{
    struct weir__wal_reader *r = &w->reader;
    const unsigned char *from = r->window.data + r->window.len - left;
    struct weir_buf *buf =
        weir_buf_new(w->host->alloc, r->walk.need + r->chunk, 0);

    if (buf == NULL)
        return weir__fail(&r->error, WEIR_ENOMEM, "%s: recovery", w->name);
    memcpy(buf->data, from, left);
    buf->len = left;
    drop_window(r);
    r->window.buf = buf;
    r->window.data = buf->data;
    r->window.position = r->ready.position - left;
    r->window.len = left;
    return 0;
}

static void append_ready(struct weir__wal_reader *r)
{
    struct weir_buf *buf = r->window.buf;

    memcpy(buf->data + buf->len, r->ready.buf->data + WEIR__WAL_CHUNK_HEAD,
           r->ready.len);
    buf->len += r->ready.len;
    r->window.len += r->ready.len;
    give_back(r, r->ready.buf);
    r->ready.buf = NULL;
}

/* Make the window longer by the chunk that is ready. */
static int extend(struct weir__wal_file *w)
{
    struct weir__wal_reader *r = &w->reader;
    uint64_t end = r->window.position + r->window.len;
    size_t left = r->walk.at < end ? (size_t)(end - r->walk.at) : 0;
    size_t room = 0;
    int rc;

    if (left <= WEIR__WAL_CHUNK_HEAD &&
        (left == 0 || r->walk.need <= left + r->ready.len)) {
        show_ready(r, left);
        return 0;
    }
    if (r->window.data == r->window.buf->data)
        room = r->window.buf->capacity - r->window.buf->len;
    if (room < r->ready.len) {
        rc = join_ready(w, left);
        if (rc != 0)
            return rc;
    }
    append_ready(r);
    return 0;
}

static void finish(struct weir__wal_file *w, int status, int more)
{
    struct weir__wal_reader *r = &w->reader;
    struct weir_wal_recover *req = r->req;

    r->req = NULL;
    if (status != 0) {
        weir__error_copy(req->err, &r->error);
        weir__fail_status(req->err, status);
    }
    req->more = more;
    req->done(req, status);
}

static void fail(struct weir__wal_file *w, int status)
{
    w->reader.status = status;
    finish(w, status, 0);
}

/* Whether what is read crosses the end of the file. */
static bool goes_round(const struct weir__wal_file *w)
{
    return w->base.end % w->base.capacity < w->base.begin % w->base.capacity;
}

/* Whether the log ends at a record of which the payload is not whole. */
static bool is_torn(const struct weir__wal_walk *walk)
{
    return walk->mode == WEIR__WALK_PROBE && walk->whole_header;
}

static void end_of_log(struct weir__wal_file *w)
{
    struct weir__wal_reader *r = &w->reader;

    w->base.end = weir__round_up(r->walk.tail, w->base.align);
    WEIR__SOMETIMES_IF(goes_round(w),
                       "a log that goes round its ring is recovered");
    WEIR__SOMETIMES_IF(goes_round(w) && is_torn(&r->walk),
                       "a log that goes round its ring ends in a torn record");
    if (w->base.end < w->head.super.durable_end)
        w->base.end = w->head.super.durable_end;
    w->state = WEIR__WAL_RECOVERED;
    if (r->walk.lost > 0)
        weir__log(w->host->log, WEIR_LOG_ERROR,
                  "%s: salvage: records were lost in %llu places", w->name,
                  (unsigned long long)r->walk.lost);
    weir__wal_recover_free(w);
    finish(w, 0, 0);
}

static void corrupt(struct weir__wal_file *w)
{
    weir__log(w->host->log, WEIR_LOG_ERROR, "%s", w->reader.error.text);
    fail(w, WEIR_ECORRUPT);
}

/* Hand records out until the window is at its end. */
static void run(struct weir__wal_file *w)
{
    struct weir__wal_reader *r = &w->reader;
    struct weir_wal_record record;
    enum weir__walk_step step;
    bool shown = false;
    int rc = 0;

    while (r->status == 0 && rc == 0) {
        step = weir__wal_walk_step(&r->walk, &r->window, &record, &r->error);
        if (step == WEIR__WALK_RECORD) {
            rc = r->req->record(r->req, &record);
        } else if (step == WEIR__WALK_SEEK) {
            seek(w);
        } else if (step == WEIR__WALK_END) {
            end_of_log(w);
            return;
        } else if (step == WEIR__WALK_CORRUPT) {
            corrupt(w);
            return;
        } else if (shown) {
            finish(w, 0, 1);
            return;
        } else if (r->ready.buf != NULL) {
            shown = true;
            rc = extend(w);
            read_next(w);
        } else {
            read_next(w);
            rc = r->read_status;
            r->waiting = rc == 0;
            if (r->waiting)
                return;
        }
    }
    fail(w, r->status != 0 ? r->status : rc);
}

static void read_done(struct weir__disk_req *req, int status)
{
    struct weir__wal_file *w = req->ctx;
    struct weir__wal_reader *r = &w->reader;
    bool waiting = r->waiting;

    w->inflight--;
    if (status != 0 || r->discard || w->state != WEIR__WAL_OPENED) {
        give_back(r, r->flight.buf);
        if (w->state != WEIR__WAL_OPENED)
            weir__wal_recover_free(w);
        else if (!r->discard)
            r->read_status = status;
    } else {
        r->ready = r->flight;
    }
    r->flight.buf = NULL;
    r->discard = false;
    r->waiting = false;
    if (waiting && r->req != NULL)
        run(w);
    weir__wal_pump(w);
}

static void recover_run(struct weir_task *task)
{
    struct weir__wal_file *w =
        WEIR__CONTAINER(task, struct weir__wal_file, reader.task);

    w->inflight--;
    if (w->state == WEIR__WAL_OPENED)
        run(w);
    else
        finish(w, 0, 0);
    weir__wal_pump(w);
}

void weir__wal_recover(struct weir_wal *wal, struct weir_wal_recover *req)
{
    struct weir__wal_file *w = weir__wal_file(wal);
    struct weir__wal_reader *r = &w->reader;

    r->req = req;
    r->task.run = recover_run;
    w->inflight++;
    w->host->env->ops->post(w->host->env, &r->task);
}

void weir__wal_recover_init(struct weir__wal_file *w)
{
    const struct weir__wal_super *s = &w->head.super;
    struct weir__wal_walk *walk = &w->reader.walk;

    walk->name = w->name;
    walk->wal_id = s->wal_id;
    walk->epoch = s->epoch;
    walk->epoch_start = s->epoch_start;
    walk->durable_end = s->durable_end;
    walk->block = s->block;
    walk->max_group = s->max_group;
    walk->salvage = w->salvage;
    walk->at = s->trim;
    walk->tail = s->trim;
    /* A log that was closed, or never written, ends where it says. */
    walk->limit = w->base.begin + s->capacity;
    if (s->closed || s->epoch == 0)
        walk->limit = s->durable_end;
    w->reader.chunk = (size_t)smaller(WEIR__WAL_CHUNK, s->capacity);
    seek(w);
}

void weir__wal_recover_free(struct weir__wal_file *w)
{
    struct weir__wal_reader *r = &w->reader;

    weir_buf_unref(r->window.buf);
    weir_buf_unref(r->ready.buf);
    weir_buf_unref(r->spare);
    r->window.buf = NULL;
    r->window.len = 0;
    r->ready.buf = NULL;
    r->spare = NULL;
}
