/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds an object.  The core cuts the batches into blocks; workers, a few at
 * a time, check and compress them; then the core lays them out, with the
 * index and the footer behind.  Payloads that are stored as they are stay
 * where they are, and the result points to them.
 */
#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "base/log.h"
#include "format/object_name.h"
#include "object/piece.h"

/* Work under way at one time, and how much of it to give away at once: small
 * blocks go in runs, so that handing over costs little beside the work. */
#define LANES 4
#define RUN_BYTES 262144u

struct lane {
    struct weir_work work;
    struct build *build;
    struct weir__piece *first;
    struct weir__piece *last; /* Behind the last. */
};

struct build {
    const struct weir_host *host;
    struct weir__build *req;
    struct lane lanes[LANES];
    size_t active; /* Lanes at work. */
    struct weir__piece *pieces;
    size_t count;
    size_t next;         /* Piece to be given to a lane. */
    unsigned char *tail; /* Index and footer. */
    size_t tail_len;
    int status;
};

static void lane_work(struct weir_work *work)
{
    struct lane *lane = WEIR__CONTAINER(work, struct lane, work);
    struct weir__piece *p;

    for (p = lane->first; p != lane->last; p++) {
        p->status = weir__piece_make(p, lane->build->req);
        if (p->status != 0)
            return;
    }
}

/* ---- Cutting, in the core ------------------------------------------------ */

/* Number of batches, from `first`, that make the next block. */
static size_t cut(const struct weir__build_stream *stream, size_t first,
                  size_t block_size)
{
    size_t bytes = 0, i;

    for (i = first; i < stream->count; i++) {
        bytes += WEIR__BATCH_ENTRY + stream->batches[i].len;
        if (bytes > block_size && i > first)
            break;
    }
    return i - first;
}

static int check_stream(const struct weir__build_stream *stream)
{
    size_t i;

    for (i = 0; i < stream->count; i++) {
        const struct weir_batch *batch = &stream->batches[i];

        if (batch->len > WEIR__BLOCK_RAW_MAX - WEIR__BATCH_ENTRY)
            return WEIR_ETOOBIG;
        if (batch->count == 0 || batch->base_offset > UINT64_MAX - batch->count)
            return WEIR_EINVAL;
        if (i > 0 &&
            batch->base_offset != batch[-1].base_offset + batch[-1].count)
            return WEIR_EINVAL;
    }
    return 0;
}

/* Check the order of all, and count the blocks. */
static int count_blocks(const struct weir__build *req, size_t block_size,
                        size_t *count)
{
    size_t i, at;
    int rc;

    *count = 0;
    for (i = 0; i < req->stream_count; i++) {
        const struct weir__build_stream *stream = &req->streams[i];

        if (i > 0 && stream[-1].stream_id >= stream->stream_id)
            return WEIR_EINVAL;
        rc = check_stream(stream);
        if (rc != 0)
            return rc;
        for (at = 0; at < stream->count; at += cut(stream, at, block_size))
            ++*count;
    }
    if (*count == 0)
        return WEIR_EINVAL;
    return *count > WEIR__BLOCKS_MAX ? WEIR_ETOOBIG : 0;
}

static void fill_piece(struct weir__piece *p,
                       const struct weir__build_stream *stream, size_t first,
                       size_t count)
{
    const struct weir_batch *batch = &stream->batches[first];
    size_t i, raw = count * WEIR__BATCH_ENTRY;

    p->stream = stream;
    p->first = first;
    p->entry.stream_id = stream->stream_id;
    p->entry.base = batch->base_offset;
    p->entry.max_timestamp = WEIR_NO_TIMESTAMP;
    for (i = 0; i < count; i++) {
        raw += batch[i].len;
        p->entry.end = batch[i].base_offset + batch[i].count;
        if (batch[i].max_timestamp > p->entry.max_timestamp)
            p->entry.max_timestamp = batch[i].max_timestamp;
    }
    p->entry.raw_length = (uint32_t)raw;
    p->entry.batch_count = (uint32_t)count;
}

static void cut_all(struct build *b, size_t block_size)
{
    struct weir__piece *p = b->pieces;
    size_t i, at, n;

    for (i = 0; i < b->req->stream_count; i++) {
        const struct weir__build_stream *stream = &b->req->streams[i];

        for (at = 0; at < stream->count; at += n) {
            n = cut(stream, at, block_size);
            fill_piece(p++, stream, at, n);
        }
    }
}

/* ---- Laying out ---------------------------------------------------------- */

/* Positions of the blocks, and what the streams are told. */
static void place(struct build *b)
{
    struct weir__build *req = b->req;
    size_t i, s = 0;

    for (i = 0; i < req->stream_count; i++) {
        req->streams[i].stored = 0;
        req->streams[i].max_timestamp = WEIR_NO_TIMESTAMP;
    }
    for (i = 0; i < b->count; i++) {
        struct weir__index_entry *entry = &b->pieces[i].entry;

        while (&req->streams[s] != b->pieces[i].stream)
            s++;
        entry->position = req->size;
        req->size += entry->length;
        req->streams[s].stored += entry->length;
        if (entry->max_timestamp > req->streams[s].max_timestamp)
            req->streams[s].max_timestamp = entry->max_timestamp;
    }
}

static int write_tail(struct build *b)
{
    const struct weir_alloc *alloc = b->host->alloc;
    uint64_t index_size = weir__index_size((uint32_t)b->count);
    struct weir__index_entry *entries;
    struct weir__footer footer;
    size_t i;

    b->tail_len = (size_t)index_size + WEIR__FOOTER;
    b->tail = weir__malloc(alloc, b->tail_len);
    entries = weir__calloc(alloc, b->count, sizeof(*entries));
    if (b->tail == NULL || entries == NULL) {
        weir__free(alloc, entries);
        return WEIR_ENOMEM;
    }
    for (i = 0; i < b->count; i++)
        entries[i] = b->pieces[i].entry;
    weir__index_encode(b->tail, &b->req->writer, entries, (uint32_t)b->count);
    weir__free(alloc, entries);

    footer.writer = b->req->writer;
    footer.index_position = b->req->size;
    footer.index_length = index_size;
    footer.object_size = b->req->size + b->tail_len;
    footer.block_count = (uint32_t)b->count;
    footer.index_crc32c = weir__crc32c(0, b->tail, (size_t)index_size);
    footer.kind =
        b->req->stream_count == 1 ? WEIR__OBJECT_STREAM : WEIR__OBJECT_SET;
    weir__footer_encode(b->tail + index_size, &footer);
    b->req->size += b->tail_len;
    return 0;
}

static struct weir_iov *list_piece(struct weir_iov *iov,
                                   const struct weir__piece *p)
{
    size_t i;

    *iov++ = (struct weir_iov){p->head, p->head_len};
    for (i = 0; p->refer && i < p->entry.batch_count; i++) {
        const struct weir_batch *batch = weir__piece_batch(p, i);

        if (batch->len > 0)
            *iov++ = (struct weir_iov){batch->data, batch->len};
    }
    return iov;
}

static int list_pieces(struct build *b)
{
    struct weir__build *req = b->req;
    struct weir_iov *iov;
    size_t i, room = 1;

    for (i = 0; i < b->count; i++)
        room += 1 + (b->pieces[i].refer ? b->pieces[i].entry.batch_count : 0);
    req->iov = weir__calloc(b->host->alloc, room, sizeof(*req->iov));
    if (req->iov == NULL)
        return WEIR_ENOMEM;
    iov = req->iov;
    for (i = 0; i < b->count; i++)
        iov = list_piece(iov, &b->pieces[i]);
    *iov++ = (struct weir_iov){b->tail, b->tail_len};
    req->iov_count = (size_t)(iov - req->iov);
    return 0;
}

/* ---- The whole ----------------------------------------------------------- */

static void finish(struct build *b)
{
    struct weir__build *req = b->req;
    int rc = b->status;

    if (rc == 0) {
        place(b);
        rc = write_tail(b);
    }
    if (rc == 0)
        rc = list_pieces(b);
    if (rc != 0)
        weir__build_free(req);
    req->done(req, rc);
}

/* The pieces of a lane are made, up to the first that failed. */
static void lane_result(struct build *b, const struct lane *lane)
{
    const struct weir__piece *p;
    char key[WEIR__KEY_SIZE];

    for (p = lane->first; p != lane->last && p->status == 0; p++)
        continue;
    if (p == lane->last)
        return;
    if (b->status == 0)
        b->status = p->status;
    if (p->status != WEIR_ECORRUPT)
        return;
    weir__object_key(key, b->req->writer.object_id);
    weir__log(b->host->log, WEIR_LOG_ERROR,
              "%s: not built: stream %llu: wrong checksum of the payload at "
              "offset %llu, in memory",
              key, (unsigned long long)p->entry.stream_id,
              (unsigned long long)p->stream->batches[p->bad].base_offset);
}

/* Give the lane its next run of pieces; false: there is nothing to do. */
static bool lane_start(struct build *b, struct lane *lane)
{
    size_t bytes = 0;

    if (b->status != 0 || b->next == b->count)
        return false;
    lane->first = &b->pieces[b->next];
    while (b->next < b->count && bytes < RUN_BYTES)
        bytes += b->pieces[b->next++].entry.raw_length;
    lane->last = &b->pieces[b->next];
    b->active++;
    b->host->env->ops->work(b->host->env, &lane->work);
    return true;
}

static void lane_done(struct weir_work *work)
{
    struct lane *lane = WEIR__CONTAINER(work, struct lane, work);
    struct build *b = lane->build;

    b->active--;
    lane_result(b, lane);
    if (!lane_start(b, lane) && b->active == 0)
        finish(b);
}

static int build_new(struct build **out, struct weir__build *req)
{
    const struct weir_alloc *alloc = req->host->alloc;
    size_t block_size = req->block_size, count;
    struct build *b;
    int rc;

    if (block_size > WEIR__BLOCK_RAW_MAX)
        block_size = WEIR__BLOCK_RAW_MAX;
    rc = count_blocks(req, block_size, &count);
    if (rc != 0)
        return rc;
    b = weir__calloc(alloc, 1, sizeof(*b));
    if (b == NULL)
        return WEIR_ENOMEM;
    b->host = req->host;
    b->req = req;
    b->pieces = weir__calloc(alloc, count, sizeof(*b->pieces));
    if (b->pieces == NULL) {
        weir__free(alloc, b);
        return WEIR_ENOMEM;
    }
    b->count = count;
    cut_all(b, block_size);
    *out = b;
    return 0;
}

/* What could not begin ends here; `held` is free to carry the status. */
static void refused(struct weir_task *task)
{
    struct weir__build *req = WEIR__CONTAINER(task, struct weir__build, task);
    int status = (int)(intptr_t)req->held;

    req->held = NULL;
    req->done(req, status);
}

void weir__build_start(struct weir__build *req)
{
    struct build *b = NULL;
    size_t i;
    int rc;

    req->iov = NULL;
    req->iov_count = 0;
    req->size = 0;
    req->held = NULL;
    rc = build_new(&b, req);
    if (rc != 0) {
        req->held = (void *)(intptr_t)rc;
        req->task.run = refused;
        req->host->env->ops->post(req->host->env, &req->task);
        return;
    }
    req->held = b;
    for (i = 0; i < LANES; i++) {
        b->lanes[i].build = b;
        b->lanes[i].work.work = lane_work;
        b->lanes[i].work.done = lane_done;
        (void)lane_start(b, &b->lanes[i]);
    }
}

void weir__build_free(struct weir__build *req)
{
    struct build *b = req->held;
    size_t i;

    if (b == NULL)
        return;
    for (i = 0; i < b->count; i++)
        weir__free(b->host->alloc, b->pieces[i].head);
    weir__free(b->host->alloc, b->pieces);
    weir__free(b->host->alloc, b->tail);
    weir__free(b->host->alloc, req->iov);
    weir__free(b->host->alloc, b);
    req->iov = NULL;
    req->iov_count = 0;
    req->size = 0;
    req->held = NULL;
}
