/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/upload_plan.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Streams in one object, at most.  One commit tells of all of them, and cannot
 * be longer than five times that. */
#define PART_STREAMS 65536u

/* What of a stream is this node's to upload next. */
struct turn {
    uint64_t end;   /* Offsets below it; 0: nothing. */
    uint64_t epoch; /* Under which they were appended. */
};

/* Former owners come first, each with what it owes; then the present one. */
static struct turn turn_of(const struct weir_stream *s)
{
    const struct weir__mstream *m =
        weir__state_stream(weir__manifest_state(s->node->manifest), s->id);

    if (m == NULL)
        return (struct turn){0, 0};
    if (m->debt_count > 0)
        return m->debts[0].node_id == s->node->id
                   ? (struct turn){m->debts[0].end, m->debts[0].stream_epoch}
                   : (struct turn){0, 0};
    return m->owner == s->node->id && s->failed == 0
               ? (struct turn){s->durable, s->epoch}
               : (struct turn){0, 0};
}

/* Entries of a stream that can be uploaded now: [*first, return). */
static size_t uploadable(const struct weir_stream *s, const struct turn *turn,
                         size_t *first)
{
    size_t i = weir__entries_find(&s->entries, s->uploaded);

    *first = i;
    for (; i < s->entries.count; i++) {
        const struct weir__entry *entry = weir__entries_at(&s->entries, i);

        if (entry->base >= s->durable || entry->base >= turn->end ||
            entry->segment == NULL)
            break;
    }
    return i;
}

/* 1 if more of the stream is acknowledged than it is the turn of: a range is of
 * one epoch, and what was appended after the stream had come back is of
 * another. */
static int has_more(const struct weir_stream *s, const struct turn *turn,
                    size_t end)
{
    const struct weir__entry *entry;

    if (turn->end == 0 || end == s->entries.count)
        return 0;
    entry = weir__entries_at(&s->entries, end);
    return entry->base >= turn->end && entry->base < s->durable;
}

/* 1 if nothing of what waits can be uploaded, nor ever will be: the stream is
 * another's by now, or a successor's of this node's name, even if this node,
 * as it closes, has not learnt of that. */
static int is_gone(const struct weir_stream *s, const struct turn *turn,
                   size_t first, size_t end)
{
    const struct weir__entry *entry;

    if (end > first || end == s->entries.count ||
        (turn->end == 0 && s->owed != 0) ||
        weir__state_stream(weir__manifest_state(s->node->manifest), s->id) ==
            NULL)
        return 0;
    entry = weir__entries_at(&s->entries, end);
    return entry->base < s->durable && entry->segment != NULL;
}

/* 1 if a stream is damaged in the WAL, also where that is all that waits. */
static int is_damaged(const struct weir *node)
{
    const struct weir_stream *s;
    size_t at = 0;

    if (!node->damage)
        return 0;
    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        if (s->damaged != WEIR_OFFSET_END)
            return 1;
    return 0;
}

/** How much there is to plan. */
struct totals {
    size_t streams;
    size_t batches;
};

static struct totals measure(struct weir__plan *plan, struct weir *node)
{
    struct totals total = {0, 0};
    struct weir__list *at = node->uploads.pending.next;

    for (; at != &node->uploads.pending; at = at->next) {
        const struct weir_stream *s =
            WEIR__CONTAINER(at, struct weir_stream, pending_link);
        struct turn turn = turn_of(s);
        size_t first, end;

        plan->waits |= turn.end == 0 && s->owed != 0;
        end = uploadable(s, &turn, &first);
        plan->more |= has_more(s, &turn, end);
        plan->gone |= is_gone(s, &turn, first, end);
        total.streams += end > first;
        total.batches += end - first;
    }
    return total;
}

static int allocate(struct weir__plan *plan, struct totals total)
{
    const struct weir_alloc *alloc = plan->alloc;

    plan->items = weir__calloc(alloc, total.streams, sizeof(*plan->items));
    plan->parts = weir__calloc(alloc, total.streams, sizeof(*plan->parts));
    plan->batches = weir__calloc(alloc, total.batches, sizeof(*plan->batches));
    plan->pins = weir__calloc(alloc, total.batches, sizeof(struct weir_buf *));
    if (plan->items == NULL || plan->parts == NULL || plan->batches == NULL ||
        plan->pins == NULL)
        return WEIR_ENOMEM;
    return 0;
}

static void pin(struct weir__plan *plan, struct weir_buf *buf)
{
    if (plan->pin_count != 0 && plan->pins[plan->pin_count - 1] == buf)
        return;
    plan->pins[plan->pin_count++] = weir_buf_ref(buf);
}

static void fill_batch(struct weir_batch *batch,
                       const struct weir__entry *entry)
{
    batch->base_offset = entry->base;
    batch->data = entry->segment->buf->data + entry->at;
    batch->len = entry->len;
    batch->max_timestamp = entry->max_timestamp;
    batch->count = entry->count;
    batch->crc32c = entry->crc32c;
}

static void add_stream(struct weir__plan *plan, struct weir_stream *s,
                       size_t *used)
{
    struct weir__plan_item *item = &plan->items[plan->item_count];
    struct turn turn = turn_of(s);
    size_t first, end;

    end = uploadable(s, &turn, &first);
    if (end == first)
        return;
    plan->item_count++;
    item->stream = s;
    item->epoch = turn.epoch;
    item->batches = &plan->batches[*used];
    for (; first < end; first++) {
        const struct weir__entry *entry = weir__entries_at(&s->entries, first);

        pin(plan, entry->segment->buf);
        fill_batch(&item->batches[item->count++], entry);
        item->bytes += entry->len;
        ++*used;
    }
}

/* Streams that fill an object come first, one each; the rest by id. */
static int compare(const void *a, const void *b)
{
    const struct weir__plan_item *x = a;
    const struct weir__plan_item *y = b;
    size_t alone =
        (size_t)x->stream->node->config->number[WEIR__P_STREAM_OBJECT];
    int x_alone = x->bytes >= alone;
    int y_alone = y->bytes >= alone;

    if (x_alone != y_alone)
        return y_alone - x_alone;
    return (x->stream->id > y->stream->id) - (x->stream->id < y->stream->id);
}

static void cut_parts(struct weir__plan *plan, const struct weir *node)
{
    size_t alone = (size_t)node->config->number[WEIR__P_STREAM_OBJECT];
    size_t most = (size_t)node->config->number[WEIR__P_UPLOAD_BYTES];
    struct weir__plan_part *part = NULL;

    for (size_t i = 0; i < plan->item_count; i++) {
        const struct weir__plan_item *item = &plan->items[i];

        if (part == NULL || part->bytes + item->bytes > most ||
            part->count == PART_STREAMS) {
            part = &plan->parts[plan->part_count++];
            part->first = i;
        }
        part->count++;
        part->bytes += item->bytes;
        if (item->bytes >= alone)
            part = NULL;
    }
}

int weir__plan_make(struct weir__plan *plan, struct weir *node)
{
    struct weir__list *at = node->uploads.pending.next;
    struct totals total;
    size_t used = 0;
    int rc;

    plan->alloc = node->alloc;
    plan->damaged = is_damaged(node);
    total = measure(plan, node);
    if (total.streams == 0)
        return 0;
    rc = allocate(plan, total);
    if (rc != 0) {
        weir__plan_free(plan);
        return rc;
    }
    for (; at != &node->uploads.pending; at = at->next)
        add_stream(plan, WEIR__CONTAINER(at, struct weir_stream, pending_link),
                   &used);
    qsort(plan->items, plan->item_count, sizeof(*plan->items), compare);
    cut_parts(plan, node);
    return 0;
}

void weir__plan_free(struct weir__plan *plan)
{
    for (size_t i = 0; i < plan->pin_count; i++)
        weir_buf_unref(plan->pins[i]);
    weir__free(plan->alloc, plan->pins);
    weir__free(plan->alloc, plan->batches);
    weir__free(plan->alloc, plan->parts);
    weir__free(plan->alloc, plan->items);
    *plan = (struct weir__plan){0};
}
