/* SPDX-License-Identifier: Apache-2.0 */
/* What a fetch takes: from the log cache, from the tail in another node's log,
 * from objects. */
#include "base/error.h"
#include "engine/fetch_inside.h"
#include "engine/tail.h"

/* 1 if the batch may not be added any more. */
static int is_full(struct weir__fetch *f, size_t len)
{
    if (f->result->count != 0 && f->result->bytes + len > f->req->max_bytes)
        f->full = 1;
    return f->full;
}

static int add(struct weir__fetch *f, const struct weir_batch *batch)
{
    int rc = weir__result_add(f->result, batch);

    if (rc == 0)
        f->next = batch->base_offset + batch->count;
    if (f->result->bytes >= f->req->max_bytes)
        f->full = 1;
    return rc;
}

static int add_entry(struct weir__fetch *f, const struct weir__entry *entry)
{
    struct weir_batch batch = {0};
    int rc;

    if (entry->segment == NULL)
        return weir__fail(&f->error, WEIR_ECORRUPT,
                          "stream %s: offsets %llu to %llu are damaged in the "
                          "write-ahead log; trim past them to go on",
                          f->stream->name, (unsigned long long)entry->base,
                          (unsigned long long)entry->base + entry->count - 1);
    rc = weir__result_hold_buf(f->result, entry->segment->buf);
    if (rc != 0)
        return rc;
    batch.base_offset = entry->base;
    batch.data = entry->segment->buf->data + entry->at;
    batch.len = entry->len;
    batch.max_timestamp = entry->max_timestamp;
    batch.count = entry->count;
    batch.crc32c = entry->crc32c;
    return add(f, &batch);
}

int weir__fetch_cached(struct weir__fetch *f, int *rc)
{
    struct weir_stream *s = f->stream;
    size_t i = weir__entries_find(&s->entries, f->next);
    int took = 0;

    for (; i < s->entries.count && *rc == 0; i++) {
        const struct weir__entry *entry = weir__entries_at(&s->entries, i);

        if (entry->base > f->next || entry->base >= s->durable)
            break;
        if (is_full(f, entry->len))
            return 1;
        *rc = add_entry(f, entry);
        took = 1;
        f->cached = 1;
    }
    return took;
}

static int add_tail(struct weir__fetch *f, struct weir__tail_slot *slot,
                    const struct weir__tail_batch *b)
{
    struct weir_batch batch = {.base_offset = b->base,
                               .len = b->len,
                               .max_timestamp = b->max_timestamp,
                               .count = b->count,
                               .crc32c = b->crc32c};
    int rc;

    if (b->damaged)
        return weir__fail(&f->error, WEIR_ECORRUPT,
                          "stream %s: offsets %llu to %llu are damaged in the "
                          "write-ahead log of node %u",
                          f->stream->name, (unsigned long long)b->base,
                          (unsigned long long)b->base + b->count - 1,
                          slot->node_id);
    batch.data = slot->buf->data + b->at;
    rc = weir__result_hold_buf(f->result, slot->buf);
    return rc == 0 ? add(f, &batch) : rc;
}

int weir__fetch_tail(struct weir__fetch *f, int *rc)
{
    struct weir_stream *s = f->stream;
    const struct weir__tail_range *range =
        s->tail.count > 0 ? weir__tail_find(s, f->next) : NULL;
    int took = 0;

    for (size_t i = 0; range != NULL && i < range->slot->count && *rc == 0;
         i++) {
        const struct weir__tail_batch *b = &range->slot->batches[i];

        if (b->stream_id != s->id || b->base + b->count <= f->next)
            continue;
        if (b->base > f->next || b->base >= range->end || b->base >= s->durable)
            break;
        if (is_full(f, b->len))
            return 1;
        *rc = add_tail(f, range->slot, b);
        took = 1;
    }
    return took;
}

/* Take what a block has from `next` on. */
static int take_block(struct weir__fetch *f, struct weir__block *block)
{
    uint64_t before = f->next;
    int rc = 0;

    for (size_t i = 0; i < block->count && rc == 0; i++) {
        const struct weir_batch *batch = &block->batches[i];

        if (batch->base_offset + batch->count <= f->next)
            continue;
        if (batch->base_offset > f->next || is_full(f, batch->len))
            break;
        if (f->next == before)
            rc = weir__result_hold_block(f->result, block);
        if (rc == 0)
            rc = add(f, batch);
    }
    if (rc == 0 && f->next == before && !f->full)
        rc = weir__fail(&f->error, WEIR_ECORRUPT,
                        "stream %s: object %llu does not hold offset %llu",
                        f->stream->name, (unsigned long long)block->object_id,
                        (unsigned long long)f->next);
    return rc;
}

/* The object is gone.  If the stream is another node's, or may be by now, that
 * one may have trimmed it in the meantime: 1 until the manifest was read since
 * then, and names it still. */
static int may_be_trimmed(struct weir__fetch *f)
{
    if (!weir__fetch_shared(f->stream) || !weir__node_is_open(f->stream->node))
        return 0;
    if (f->missed == f->get.object_id)
        return !f->refreshed;
    f->missed = f->get.object_id;
    f->told = 0; /* What was read before tells nothing of it. */
    f->refreshed = 0;
    return 1;
}

static void block_done(struct weir__block_get *get, int status)
{
    struct weir__fetch *f = get->ctx;

    f->reading = 0;
    if (status == 0) {
        status = take_block(f, get->block);
        weir__block_unref(get->block);
    } else if (status == WEIR_ENOENT && may_be_trimmed(f)) {
        f->error.code = 0;
        weir__fetch_park(f);
        return;
    } else if (status == WEIR_ENOENT) {
        status = WEIR_ECORRUPT; /* The manifest says that it is there. */
        f->error.code = status;
    }
    if (status != 0)
        weir__fetch_end(f, status);
    else
        weir__fetch_step(f);
}

/* How far to read ahead of this fetch. */
static size_t ahead(struct weir__fetch *f)
{
    struct weir_stream *s = f->stream;
    const struct weir_config *config = s->node->config;
    size_t most = (size_t)config->number[WEIR__P_READAHEAD];

    if (f->next != s->read_next && f->result->count == 0)
        s->ahead = 0;
    else if (s->ahead == 0)
        s->ahead = (size_t)config->number[WEIR__P_BLOCK];
    else
        s->ahead *= 2;
    if (s->ahead > most)
        s->ahead = most;
    return s->ahead;
}

int weir__fetch_object(struct weir__fetch *f)
{
    struct weir_stream *s = f->stream;
    const struct weir__state *state = weir__manifest_state(s->node->manifest);
    const struct weir__mstream *m = weir__state_stream(state, s->id);
    const struct weir__extent *extent = NULL;
    const struct weir__mobject *object = NULL;

    if (m != NULL)
        extent = weir__mstream_extent(m, f->next);
    if (extent != NULL && extent->base <= f->next)
        object = weir__state_object(state, extent->object_id);
    if (object == NULL)
        return weir__fail(&f->error, WEIR_ECORRUPT,
                          "stream %s: no object holds offset %llu; trim past "
                          "it to go on",
                          s->name, (unsigned long long)f->next);
    f->get.object_id = object->id;
    f->get.object_size = object->size;
    f->get.stream_id = s->id;
    f->get.offset = f->next;
    f->get.ahead = ahead(f);
    f->get.done = block_done;
    f->get.ctx = f;
    f->get.err = &f->error;
    f->reading = 1;
    weir__block_get(s->node->reader, &f->get);
    return 0;
}
