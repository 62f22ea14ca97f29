/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/group.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/fetch.h"
#include "engine/handover.h"
#include "engine/lease.h"
#include "engine/upload.h"
#include "format/wal_record.h"

/* A group is closed when it has so much.  Two of this size, one in flight and
 * one that gathers, keep the disk busier than one that takes all that callers
 * have under way and lets them wait for one another. */
#define GROUP_BYTES (512u << 10)
/* Pieces of memory that one write may gather. */
#define GROUP_PIECES 16

/* Payloads from this size on are not read again for the checksum of a write
 * that joins those of its records. */
#define JOINED_MIN (16u << 10)

/* A group is large when it has this part of the bytes that it may have; and has
 * stopped to grow after this part of the time that it may linger. */
#define LARGE_PART 8
#define QUIET_PART 16

/** What one write makes durable. */
struct weir__group {
    struct weir__list link;
    struct weir *node;
    struct weir_append *first;
    struct weir_append *last;
    uint64_t position;
    struct weir__segment *segments[GROUP_PIECES];
    struct weir_iov iov[GROUP_PIECES];
    size_t pieces;
    struct weir_wal_write write;
    uint32_t sum; /* CRC32C of the pieces, */
    int summed;   /* if it is had for little. */
    struct weir_error error;
    uint64_t since; /* When it began to gather, if others may be in flight, */
    int loaded;     /* and whether some were, or were about to. */
    int status;
};

static void kick(struct weir_task *task);
static void linger_over(struct weir_timer *timer);

void weir__group_init(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;

    q->kick.run = kick;
    q->linger.fire = linger_over;
    q->position = node->wal->end;
    q->durable = node->wal->end;
}

int weir__group_busy(const struct weir *node)
{
    return node->commits.open != NULL ||
           !weir__list_empty(&node->commits.groups) ||
           node->commits.writing > 0 || !weir__list_empty(&node->commits.held);
}

/* The pieces are not needed for the write any more. */
static void group_free(struct weir__group *g)
{
    for (size_t i = 0; i < g->pieces; i++)
        g->segments[i]->pending--;
    weir__free(g->node->alloc, g);
}

void weir__group_free(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__list *at;

    while ((at = weir__list_pop(&q->groups)) != NULL ||
           (at = weir__list_pop(&q->flying)) != NULL ||
           (at = weir__list_pop(&q->held)) != NULL)
        group_free(WEIR__CONTAINER(at, struct weir__group, link));
    if (q->open != NULL)
        group_free(q->open);
    q->open = NULL;
}

static struct weir__group *group_new(struct weir *node, uint64_t position)
{
    struct weir__group *g = weir__calloc(node->alloc, 1, sizeof(*g));

    if (g == NULL)
        return NULL;
    weir__list_init(&g->link);
    g->node = node;
    g->position = position;
    g->summed = node->wal->depth > 1; /* Those that send it over a network. */
    if (node->wal->depth > 1)
        g->since = node->host.env->ops->now(node->host.env);
    g->loaded =
        node->commits.writing > 0 || !weir__list_empty(&node->commits.groups);
    return g;
}

/* Fill with zeros up to the next multiple of the alignment, so that the last
 * piece is whole, and go on behind it. */
static void pad(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__group *g = q->open;
    uint64_t to = weir__round_up(q->position, node->wal->align);
    size_t n = (size_t)(to - q->position);
    struct weir__segment *segment;
    unsigned char *at;

    if (g == NULL || g->pieces == 0 || n == 0)
        return;
    segment = g->segments[g->pieces - 1];
    at = segment->buf->data + (q->position - segment->position);
    memset(at, 0, n);
    g->sum = weir__crc32c(g->sum, at, n);
    g->iov[g->pieces - 1].len += n;
    segment->used += n;
    q->position = to;
}

static void group_close(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;

    pad(node);
    weir__list_push(&q->groups, &q->open->link);
    q->open = NULL;
}

static unsigned depth(const struct weir *node)
{
    return node->wal->depth > 1 ? node->wal->depth : 1;
}

/* 1 if the open group cannot take `size` more bytes. */
static int group_full(const struct weir *node, size_t size)
{
    const struct weir__commit_queue *q = &node->commits;
    const struct weir__group *g = q->open;
    uint64_t most =
        node->wal->group_bytes > 0 ? node->wal->group_bytes : GROUP_BYTES;

    if (g == NULL || g->pieces == 0)
        return 0;
    return q->position - g->position + size > most || g->pieces == GROUP_PIECES;
}

/* 1 if the WAL has room for `size` bytes more. */
static int wal_has_room(const struct weir *node, uint64_t position, size_t size)
{
    const struct weir_wal *wal = node->wal;
    uint64_t end = weir__round_up(position, wal->align);

    end = weir__round_up(end + size, wal->align);
    return end - wal->begin <= wal->capacity;
}

/* Make the open group, the current segment and the position such that a
 * record of `size` bytes can be written at once. */
static int make_place(struct weir *node, size_t size)
{
    struct weir__commit_queue *q = &node->commits;
    uint64_t position = q->position;
    int rc;

    if (size + 2 * node->wal->align > node->wal->capacity ||
        size + 2 * node->wal->align > node->wal->max_group ||
        size + node->wal->align > node->cache.limit)
        return WEIR_ETOOBIG;
    WEIR__SOMETIMES_IF(!wal_has_room(node, position, size), "the log is full");
    if (!wal_has_room(node, position, size))
        return WEIR_EAGAIN;
    if (group_full(node, size)) {
        WEIR__SOMETIMES("a group is full before its write can begin");
        group_close(node);
        position = q->position;
    }
    if (!weir__log_cache_fits(&node->cache, position, size)) {
        position = weir__round_up(position, node->wal->align);
        rc = weir__log_cache_reserve(&node->cache, position, size);
        if (rc != 0)
            return rc;
        pad(node);
        q->position = position;
    }
    if (q->open == NULL)
        q->open = group_new(node, q->position);
    return q->open == NULL ? WEIR_ENOMEM : 0;
}

/* Make the record's bytes part of the open group. */
static void piece_extend(struct weir *node, size_t size)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__segment *segment = node->cache.current;
    struct weir__group *g = q->open;
    size_t i = g->pieces;

    if (i == 0 || g->segments[i - 1] != segment) {
        g->segments[i] = segment;
        g->iov[i].data = segment->buf->data + (q->position - segment->position);
        g->iov[i].len = 0;
        g->pieces++;
        segment->pending++;
        i++;
    }
    g->iov[i - 1].len += size;
    segment->used += size;
    q->position += size;
    q->tail = q->position;
}

/* The record joins the checksum of its group.  What is small would have to be
 * read once more: who needs the checksum then computes it by himself. */
static void sum_add(struct weir *node, const unsigned char *record, size_t size,
                    size_t len, uint32_t crc)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__group *g = q->open;
    size_t end = WEIR__WAL_RECORD_HEADER + len;

    g->summed = g->summed && len >= JOINED_MIN;
    if (!g->summed)
        return;
    if (q->power_of != len)
        q->power = weir__crc32c_power(len);
    q->power_of = len;
    g->sum = weir__crc32c(g->sum, record, WEIR__WAL_RECORD_HEADER);
    g->sum = weir__crc32c_join(g->sum, crc, q->power);
    g->sum = weir__crc32c(g->sum, record + end, size - end);
}

/* Write the record; the payload's one copy is here. */
static uint32_t encode(struct weir_stream *s, const struct weir_append *req,
                       unsigned char *to, size_t size)
{
    const struct weir *node = s->node;
    struct weir__wal_header header = {0};
    size_t end = WEIR__WAL_RECORD_HEADER + req->len;

    header.type = WEIR__WAL_BATCH;
    header.wal_id = node->wal->id;
    header.epoch = node->wal->epoch;
    header.position = node->commits.position;
    /* With several writes in flight those before may not be durable yet. */
    header.durable =
        depth(node) > 1 ? node->commits.durable : node->commits.open->position;
    header.stream_id = s->id;
    header.base_offset = s->next;
    header.max_timestamp = req->max_timestamp;
    header.stream_epoch = s->epoch;
    header.count = req->count;
    header.len = (uint32_t)req->len;
    if (node->commits.tail != 0)
        header.gap =
            1 + (uint32_t)(node->commits.position - node->commits.tail);
    header.crc32c =
        weir__crc32c_copy(0, to + WEIR__WAL_RECORD_HEADER, req->data, req->len);
    weir__wal_header_encode(to, &header);
    memset(to + end, 0, size - end);
    sum_add(s->node, to, size, req->len, header.crc32c);
    return header.crc32c;
}

static void group_add(struct weir__group *g, struct weir_append *req)
{
    weir__append_link(req, NULL);
    if (g->first == NULL)
        g->first = req;
    else
        weir__append_link(g->last, req);
    g->last = req;
}

/* Post the task that writes, unless the end of a write will. */
static void kick_later(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;

    if (q->writing >= depth(node) || q->kick_posted)
        return;
    q->kick_posted = 1;
    node->host.env->ops->post(node->host.env, &q->kick);
}

int weir__group_place(struct weir_stream *s, struct weir_append *req)
{
    struct weir *node = s->node;
    struct weir__commit_queue *q = &node->commits;
    size_t size = (size_t)weir__wal_record_size(req->len);
    struct weir__entry entry = {0};
    struct weir__segment *segment;
    int rc;

    if (q->poisoned)
        return WEIR_EPOISONED;
    rc = make_place(node, size);
    if (rc != 0)
        return rc;
    segment = node->cache.current;
    entry.base = s->next;
    entry.max_timestamp = req->max_timestamp;
    entry.segment = segment;
    entry.at =
        (uint32_t)(q->position - segment->position) + WEIR__WAL_RECORD_HEADER;
    entry.len = (uint32_t)req->len;
    entry.count = req->count;
    rc = weir__segment_add(segment, node->alloc, s);
    if (rc == 0) {
        rc = weir__entries_push(&s->entries, node->alloc, &entry);
        if (rc != 0)
            segment->pending--;
    }
    if (rc != 0) {
        kick_later(node); /* An open group may be empty: kick ends it. */
        return rc;
    }
    weir__entries_at(&s->entries, s->entries.count - 1)->crc32c = encode(
        s, req, segment->buf->data + (q->position - segment->position), size);
    piece_extend(node, size);
    group_add(q->open, req);
    weir__append_placed(req);
    req->base_offset = s->next;
    s->next += req->count;
    kick_later(node);
    return 0;
}

/* Acknowledge one append of a durable group. */
static void acknowledge(struct weir_append *req, struct weir__list *woken)
{
    struct weir_stream *s = weir__append_stream(req);
    struct weir_stats *stats = &s->node->stats;

    if (weir__append_lost(req) || s->node->commits.forsaken)
        return;
    s->durable = req->base_offset + req->count;
    weir__stream_pending(s, req->len);
    stats->appends++;
    stats->append_bytes += req->len;
    if (s->woken_link.next == &s->woken_link)
        weir__list_push(woken, &s->woken_link);
}

/* What an append whose group is durable ends with. */
static int ack_status(const struct weir_append *req)
{
    if (!weir__append_lost(req))
        return weir__append_stream(req)->node->commits.forsaken ? WEIR_EUNKNOWN
                                                                : 0;
    if (weir__append_stream(req)->failed == WEIR_ENOENT)
        return WEIR_ENOENT;
    return WEIR_EUNKNOWN; /* The new owner may have found it. */
}

static void group_acknowledge(struct weir__group *g)
{
    struct weir *node = g->node;
    struct weir_append *req, *next;
    struct weir__list woken, *at;

    weir__list_init(&woken);
    for (req = g->first; req != NULL; req = weir__append_next(req))
        acknowledge(req, &woken);
    for (at = woken.next; at != &woken; at = at->next)
        weir__stream_publish(
            WEIR__CONTAINER(at, struct weir_stream, woken_link));
    for (req = g->first; req != NULL; req = next) {
        next = weir__append_next(req);
        weir__append_end(req, ack_status(req));
    }
    while ((at = weir__list_pop(&woken)) != NULL)
        weir__fetch_wake(WEIR__CONTAINER(at, struct weir_stream, woken_link));
    group_free(g);
    weir__upload_look(node);
    weir__append_retry(node);
    weir__handover_look(node);
}

/* Take an append's offset back: the newest of its stream. */
static void withdraw(struct weir_append *req)
{
    struct weir_stream *s = weir__append_stream(req);
    struct weir__entry *entry;

    if (weir__append_lost(req) || s->entries.count == 0)
        return;
    entry = weir__entries_at(&s->entries, s->entries.count - 1);
    if (entry->base < s->durable)
        return;
    entry->segment->pending--;
    s->entries.count--;
}

/* Take the offsets of `g`'s appends back.  What is before them stays, also if
 * it is durable and waits for the lease. */
static void group_withdraw(struct weir__group *g)
{
    struct weir_append *req;

    for (req = g->first; req != NULL; req = weir__append_next(req))
        withdraw(req);
    for (req = g->first; req != NULL; req = weir__append_next(req)) {
        struct weir_stream *s = weir__append_stream(req);

        if (!weir__append_lost(req) && req->base_offset < s->next)
            s->next = req->base_offset;
    }
}

static void group_fail(struct weir__group *g, int status)
{
    struct weir_append *req, *next;

    for (req = g->first; req != NULL; req = next) {
        next = weir__append_next(req);
        weir__error_copy(req->req.err, &g->error);
        weir__append_end(req, status);
    }
    group_free(g);
}

/* Writes have failed, and none is in flight.  They and all behind them go; if
 * the log can go on, the next record comes where the first of them was to
 * be. */
static void write_failed(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__group *first =
        WEIR__CONTAINER(q->lost.next, struct weir__group, link);
    struct weir__list failed, *at;
    struct weir_error error = first->error;
    int status = first->status;
    int later = status;

    weir__log(node->host.log, WEIR_LOG_ERROR, "node %u: write-ahead log: %s",
              node->id, error.text);
    if (status == WEIR_EUNKNOWN || status == WEIR_EPOISONED ||
        status == WEIR_EFENCED) {
        WEIR__SOMETIMES_IF(status == WEIR_EUNKNOWN,
                           "the outcome of a write to the log is unknown");
        q->poisoned = 1;
        q->unsure = status == WEIR_EUNKNOWN &&
                    (node->wal->flags & WEIR_WAL_SELF_FENCING) != 0;
        later = WEIR_EPOISONED;
    }
    if (q->open != NULL)
        group_close(node);
    q->position = first->position;
    q->tail = 0;
    node->cache.current = NULL;
    weir__list_init(&failed);
    while ((at = weir__list_pop(&q->lost)) != NULL)
        weir__list_push(&failed, at);
    while ((at = weir__list_pop(&q->groups)) != NULL) {
        struct weir__group *never =
            WEIR__CONTAINER(at, struct weir__group, link);

        never->status = later; /* It was not even sent. */
        never->error = error;
        weir__list_push(&failed, at);
    }
    for (at = failed.prev; at != &failed; at = at->prev)
        group_withdraw(WEIR__CONTAINER(at, struct weir__group, link));
    while ((at = weir__list_pop(&failed)) != NULL) {
        struct weir__group *each =
            WEIR__CONTAINER(at, struct weir__group, link);

        group_fail(each, each->status);
    }
    weir__append_retry(node);
    weir__handover_look(node);
}

/* Durable is not enough where the log may be another node's by now. */
void weir__group_release(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__list *at;

    while (!weir__list_empty(&q->held) && weir__lease_holds(node)) {
        at = weir__list_pop(&q->held);
        group_acknowledge(WEIR__CONTAINER(at, struct weir__group, link));
    }
    weir__close_step(node);
}

static void write_next(struct weir *node);

static void write_done(struct weir_wal_write *write, int status)
{
    struct weir__group *g = write->ctx;
    struct weir *node = g->node;
    struct weir__commit_queue *q = &node->commits;

    q->writing--;
    weir__list_remove(&g->link);
    g->status = status;
    if (status != 0 || !weir__list_empty(&q->lost)) {
        weir__fail_status(&g->error, status);
        weir__list_push(&q->lost, &g->link);
        if (q->writing == 0)
            write_failed(node);
    } else {
        q->durable = g->position + write->len;
        node->stats.wal_writes++;
        node->stats.wal_bytes += write->len;
        write_next(node);
        weir__list_push(&q->held, &g->link);
        WEIR__SOMETIMES_IF(!weir__lease_holds(node),
                           "what is durable waits for the lease");
        weir__group_release(node);
    }
    weir__close_step(node);
}

static void write_start(struct weir *node, struct weir__group *g)
{
    struct weir__commit_queue *q = &node->commits;

    weir__list_remove(&g->link);
    weir__list_push(&q->flying, &g->link);
    q->writing++;
    g->write.position = g->position;
    g->write.iov = g->iov;
    g->write.iov_count = g->pieces;
    for (size_t i = 0; i < g->pieces; i++)
        g->write.len += g->iov[i].len;
    g->write.crc32c = g->summed ? &g->sum : NULL;
    g->write.done = write_done;
    g->write.ctx = g;
    g->write.err = &g->error;
    node->wal->ops->write(node->wal, &g->write);
}

/* When a group that began under load is not worth waiting for any more, though
 * none is in flight: while it grows so fast that it will be large before it has
 * lingered, and does not stop to grow, as it does when all callers wait. */
static uint64_t worth_until(const struct weir *node, uint64_t now)
{
    const struct weir__commit_queue *q = &node->commits;
    uint64_t linger = node->wal->linger;
    uint64_t size = q->position - q->open->position;
    uint64_t large = node->wal->group_bytes / LARGE_PART;
    uint64_t age = now - q->open->since;

    if (!q->open->loaded || size * (linger / 1000) < large * (age / 1000))
        return 0;
    return q->grown + linger / QUIET_PART;
}

/* When the open group is to be written. */
static uint64_t ripe_at(const struct weir *node, uint64_t now)
{
    const struct weir__commit_queue *q = &node->commits;
    uint64_t due = q->open->since + node->wal->linger;
    uint64_t worth;

    if (!weir__node_is_open(node))
        return 0;
    if (q->writing == 0) {
        worth = worth_until(node, now);
        due = worth < due ? worth : due;
    }
    return due > node->wal->not_before ? due : node->wal->not_before;
}

static void linger_until(struct weir *node, uint64_t deadline)
{
    struct weir_env *env = node->host.env;
    struct weir_timer *timer = &node->commits.linger;

    if (timer->slot != 0 && timer->deadline == deadline)
        return;
    env->ops->timer_stop(env, timer);
    timer->deadline = deadline;
    env->ops->timer_start(env, timer);
}

/* 1 if the group is to be written now, or else the time is noted. */
static int is_ripe(struct weir *node, int closed)
{
    struct weir_env *env = node->host.env;
    uint64_t now = env->ops->now(env);
    uint64_t due = closed ? node->wal->not_before : ripe_at(node, now);

    if (node->wal->depth <= 1 || due <= now || !weir__node_is_open(node))
        return 1;
    linger_until(node, due);
    return 0;
}

/* Write the oldest closed group, or close the open one and write that; as many
 * as may be in flight. */
static void write_next(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;

    while (q->writing < depth(node) && weir__list_empty(&q->lost)) {
        if (weir__list_empty(&q->groups)) {
            if (q->open == NULL)
                return;
            if (q->open->pieces == 0) {
                group_free(q->open);
                q->open = NULL;
                return;
            }
            if (!is_ripe(node, 0))
                return;
            group_close(node);
        } else if (!is_ripe(node, 1)) {
            return;
        }
        write_start(node,
                    WEIR__CONTAINER(q->groups.next, struct weir__group, link));
    }
}

void weir__group_hurry(struct weir *node)
{
    if (node->wal != NULL && node->recovered)
        write_next(node);
}

static void linger_over(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, commits.linger);

    write_next(node);
}

static void kick(struct weir_task *task)
{
    struct weir *node = WEIR__CONTAINER(task, struct weir, commits.kick);

    node->commits.kick_posted = 0;
    node->commits.grown = node->host.env->ops->now(node->host.env);
    write_next(node);
    weir__close_step(node);
}

/* What no one needs ends where something waits for its upload, or where a
 * damaged record lies: it is the only trace of what was acknowledged there,
 * until the stream is trimmed past it. */
static uint64_t needed_from(struct weir *node)
{
    uint64_t needed =
        weir__log_cache_needed(&node->cache, node->commits.durable);
    const struct weir_stream *s;
    size_t at = 0;

    if (!node->damage)
        return needed;
    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        if (s->damaged != WEIR_OFFSET_END && s->damaged_at < needed)
            needed = s->damaged_at;
    return needed;
}

void weir__group_trim(struct weir *node)
{
    uint64_t needed;

    if (node->wal == NULL)
        return;
    needed = needed_from(node);
    if (needed > node->wal->begin)
        node->wal->ops->trim(node->wal, needed);
    weir__append_retry(node);
}
