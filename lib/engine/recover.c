/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery: what the WAL holds and no object does goes back into the log
 * cache, where readers and uploads find it. */
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/open.h"
#include "format/wal_record.h"

/* A batch that cannot be read: the stream is damaged from here on. */
static int add_damaged(struct weir_stream *s, uint64_t base, uint64_t end,
                       uint64_t position)
{
    struct weir__entry entry = {0};

    entry.base = base;
    entry.count = end - base > UINT32_MAX ? UINT32_MAX : (uint32_t)(end - base);
    if (s->damaged == WEIR_OFFSET_END) {
        s->damaged = base;
        s->damaged_at = position;
    }
    s->node->damage = 1;
    weir__log(s->node->host.log, WEIR_LOG_ERROR,
              "stream %s: offsets %llu to %llu are damaged in the write-ahead "
              "log",
              s->name, (unsigned long long)base, (unsigned long long)end - 1);
    return weir__entries_push(&s->entries, s->node->alloc, &entry);
}

/* The segment that holds the record's memory: the newest, or a new one. */
static struct weir__segment *segment_of(struct weir *node,
                                        const struct weir_wal_record *record)
{
    struct weir__log_cache *cache = &node->cache;

    if (!weir__list_empty(&cache->segments)) {
        struct weir__segment *last =
            WEIR__CONTAINER(cache->segments.prev, struct weir__segment, link);

        if (last->buf == record->buf)
            return last;
    }
    return weir__log_cache_adopt(cache, record->buf, record->position);
}

static int add_batch(struct weir_stream *s,
                     const struct weir_wal_record *record)
{
    struct weir *node = s->node;
    struct weir__segment *segment = segment_of(node, record);
    struct weir__entry entry = {0};
    int rc;

    if (segment == NULL)
        return WEIR_ENOMEM;
    rc = weir__segment_add(segment, node->alloc, s);
    if (rc != 0)
        return rc;
    entry.base = record->base_offset;
    entry.max_timestamp = record->max_timestamp;
    entry.segment = segment;
    entry.at = (uint32_t)(record->data - record->buf->data);
    entry.len = (uint32_t)record->len;
    entry.count = record->count;
    entry.crc32c = record->crc32c;
    rc = weir__entries_push(&s->entries, node->alloc, &entry);
    if (rc != 0) {
        segment->pending--;
        return rc;
    }
    node->stats.recovered_batches++;
    node->stats.recovered_bytes += record->len;
    return 0;
}

/* 1 if the record is the first one kept, and the start lies inside of it. */
static int holds_start(const struct weir_stream *s, uint64_t base)
{
    return s->entries.count == 0 && s->next == s->start && base < s->start;
}

/* The record goes behind the stream's end; a hole below the start is what a
 * trim has left, any other is damage. */
static int join(struct weir_stream *s, const struct weir_wal_record *record,
                struct weir_error *err)
{
    uint64_t base = record->base_offset;
    uint64_t end = base + record->count;
    int rc = 0;

    if (base < s->next && !holds_start(s, base))
        return weir__fail(err, WEIR_ECORRUPT,
                          "write-ahead log: position %llu: stream %s: offset "
                          "%llu comes again",
                          (unsigned long long)record->position, s->name,
                          (unsigned long long)base);
    WEIR__SOMETIMES_IF(holds_start(s, base),
                       "the start of a stream lies inside of a batch");
    if (base > s->next && base > s->start)
        rc = add_damaged(s, s->next, base, record->position);
    if (rc == 0)
        rc = record->damaged ? add_damaged(s, base, end, record->position)
                             : add_batch(s, record);
    if (rc != 0)
        return rc;
    s->next = end;
    s->durable = end;
    weir__stream_pending(s, record->damaged ? 0 : record->len);
    return 0;
}

/* Go past offsets that are in other nodes' WALs. */
static void skip_owed(struct weir_stream *s, const struct weir__mstream *m)
{
    for (uint16_t i = 0; i < m->debt_count; i++) {
        const struct weir__debt *debt = &m->debts[i];

        if (debt->node_id == s->node->id ||
            s->next < weir__mstream_part(m, i) || s->next >= debt->end)
            continue;
        s->next = debt->end;
        s->durable = debt->end;
    }
}

/* 1 if the record was written to a stream that its node had opened after the
 * manifest was read here: the former process lived on. */
static int is_news(const struct weir__state *state,
                   const struct weir__mstream *m,
                   const struct weir_wal_record *record)
{
    if (m == NULL)
        return record->stream_id >= weir__state_next_stream(state);
    return record->stream_epoch > m->epoch;
}

static int record_found(struct weir_wal_recover *req,
                        const struct weir_wal_record *record)
{
    struct weir__open *open = req->ctx;
    struct weir *node = open->node;
    const struct weir__state *state = weir__manifest_state(node->manifest);
    const struct weir__mstream *m =
        weir__state_stream(state, record->stream_id);
    uint64_t end = record->base_offset + record->count;
    struct weir_stream *s;

    if (is_news(state, m, record)) {
        open->again = 1;
        return weir__fail(req->err, WEIR_EAGAIN,
                          "node %u: it has opened a stream while its "
                          "write-ahead log was taken: open it again",
                          node->id);
    }
    if (m == NULL || !weir__mstream_holds(m, node->id, record->stream_epoch,
                                          record->base_offset, end))
        return 0; /* Deleted, in an object, or moved to another node. */
    if (end <= m->start)
        return 0;
    s = weir__stream_get(node, m->id);
    if (s == NULL)
        return WEIR_ENOMEM;
    skip_owed(s, m);
    return join(s, record, req->err);
}

static void run_done(struct weir_wal_recover *req, int status)
{
    struct weir__open *open = req->ctx;

    if (status == 0 && req->more)
        weir__recover_start(open->node, open);
    else
        weir__open_recovered(open, status);
}

void weir__recover_start(struct weir *node, struct weir__open *open)
{
    open->recover = (struct weir_wal_recover){.record = record_found,
                                              .done = run_done,
                                              .ctx = open,
                                              .err = &open->error};
    node->wal->ops->recover(node->wal, &open->recover);
}
