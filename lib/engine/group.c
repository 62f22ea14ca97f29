/* SPDX-License-Identifier: Apache-2.0 */
/* Appends get their offsets and become records of the group that gathers. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/sometimes.h"
#include "engine/group_inside.h"
#include "format/wal_record.h"

/* A group is closed when it has so much.  Two of this size, one in flight and
 * one that gathers, keep the disk busier than one that takes all that callers
 * have under way and lets them wait for one another. */
#define GROUP_BYTES (512u << 10)

/* Payloads from this size on are not read again for the checksum of a write
 * that joins those of its records. */
#define JOINED_MIN (16u << 10)

void weir__group_init(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;

    q->kick.run = weir__group_kick;
    q->linger.fire = weir__group_linger_over;
    q->position = node->wal->end;
    q->durable = node->wal->end;
}

int weir__group_busy(const struct weir *node)
{
    return node->commits.open != NULL ||
           !weir__list_empty(&node->commits.groups) ||
           node->commits.writing > 0 || !weir__list_empty(&node->commits.held);
}

void weir__group_drop(struct weir__group *g)
{
    for (size_t i = 0; i < g->pieces; i++)
        g->segments[i]->pending--;
    weir__free(g->node->alloc, g);
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

void weir__group_close(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;

    pad(node);
    weir__list_push(&q->groups, &q->open->link);
    q->open = NULL;
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
    return q->position - g->position + size > most ||
           g->pieces == WEIR__GROUP_PIECES;
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
        weir__group_close(node);
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
    header.durable = weir__group_depth(node) > 1 ? node->commits.durable
                                                 : node->commits.open->position;
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

    if (q->writing >= weir__group_depth(node) || q->kick_posted)
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
