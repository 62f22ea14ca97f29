/* SPDX-License-Identifier: Apache-2.0 */
/* What the slots of other nodes' logs hold, and their bytes. */
#include "base/alloc.h"
#include "engine/fetch.h"
#include "engine/tail.h"

#include <string.h>

/* Slots that are read again at one time. */
#define LOADS_MAX 4u

/* ---- Slots --------------------------------------------------------------- */

static size_t memory_of(const struct weir__tail_slot *slot)
{
    size_t bytes = slot->buf != NULL ? slot->buf->capacity : 0;

    return bytes + slot->room * sizeof(*slot->batches);
}

/* Only that it holds something is kept. */
static void unload(struct weir__tail_slot *slot)
{
    if (slot->link.next != &slot->link)
        slot->node->tail.bytes -= memory_of(slot);
    weir_buf_unref(slot->buf);
    weir__list_remove(&slot->link);
    weir__free(slot->node->alloc, slot->batches);
    slot->buf = NULL;
    slot->batches = NULL;
    slot->count = 0;
    slot->room = 0;
}

void weir__tail_slot_drop(struct weir__tail_slot *slot)
{
    if (slot == NULL || slot->ranges > 0 || slot->loading)
        return;
    unload(slot);
    weir__free(slot->node->alloc, slot);
}

static struct weir__tail_slot *slot_new(struct weir *node)
{
    struct weir__tail_slot *slot = weir__calloc(node->alloc, 1, sizeof(*slot));

    if (slot == NULL)
        return NULL;
    weir__list_init(&slot->link);
    slot->node = node;
    return slot;
}

static int batch_add(struct weir__tail_slot *slot,
                     const struct weir_wal_record *record)
{
    if (slot->count == slot->room) {
        size_t room = slot->room * 2 + 16;
        struct weir__tail_batch *batches = weir__resize(
            slot->node->alloc, slot->batches, room, sizeof(*batches));

        if (batches == NULL)
            return WEIR_ENOMEM;
        slot->batches = batches;
        slot->room = room;
    }
    slot->batches[slot->count++] = (struct weir__tail_batch){
        .stream_id = record->stream_id,
        .base = record->base_offset,
        .max_timestamp = record->max_timestamp,
        .at =
            record->damaged ? 0 : (uint32_t)(record->data - record->buf->data),
        .len = (uint32_t)record->len,
        .count = record->count,
        .crc32c = record->crc32c,
        .damaged = record->damaged};
    return 0;
}

int weir__tail_add(struct weir__tail_slot **slot, struct weir *node,
                   const struct weir_wal_record *record)
{
    const struct weir_stream *s =
        weir__map_get(&node->streams, record->stream_id);

    if (s == NULL || !s->tail.on)
        return 0;
    if (*slot == NULL)
        *slot = slot_new(node);
    if (*slot == NULL)
        return WEIR_ENOMEM;
    if ((*slot)->buf == NULL && !record->damaged) /* Those have none. */
        (*slot)->buf = weir_buf_ref(record->buf);
    return batch_add(*slot, record);
}

void weir__tail_keep(struct weir__tail_slot *slot)
{
    struct weir__tail *tail = &slot->node->tail;
    size_t limit = (size_t)slot->node->config->number[WEIR__P_TAIL_CACHE];

    if (slot->count == 0)
        return;
    tail->bytes += memory_of(slot);
    weir__list_push(&tail->loaded, &slot->link);
    while (tail->bytes > limit && tail->loaded.next != &slot->link)
        unload(
            WEIR__CONTAINER(tail->loaded.next, struct weir__tail_slot, link));
}

/* ---- Ranges -------------------------------------------------------------- */

/* The first range that ends behind `offset`. */
static size_t find(const struct weir__tail_ranges *t, uint64_t offset)
{
    size_t low = 0;
    size_t high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->ranges[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void range_drop(struct weir_stream *s, struct weir__tail_range *range)
{
    s->node->tail.ranges--;
    range->slot->ranges--;
    weir__tail_slot_drop(range->slot);
}

int weir__tail_range_add(struct weir_stream *s, uint64_t base, uint64_t end,
                         struct weir__tail_slot *slot)
{
    struct weir__tail_ranges *t = &s->tail;
    size_t i = find(t, base);

    if (i < t->count && t->ranges[i].base < end)
        return 0;
    if (t->count == t->room) {
        size_t room = t->room * 2 + 8;
        struct weir__tail_range *ranges =
            weir__resize(s->node->alloc, t->ranges, room, sizeof(*ranges));

        if (ranges == NULL)
            return WEIR_ENOMEM;
        t->ranges = ranges;
        t->room = room;
    }
    memmove(&t->ranges[i + 1], &t->ranges[i],
            (t->count - i) * sizeof(*t->ranges));
    t->ranges[i] = (struct weir__tail_range){base, end, slot};
    t->count++;
    slot->ranges++;
    s->node->tail.ranges++;
    return 0;
}

static void give_back(struct weir_stream *s)
{
    if (s->tail.count > 0)
        return;
    weir__free(s->node->alloc, s->tail.ranges);
    s->tail.ranges = NULL;
    s->tail.room = 0;
}

void weir__tail_forget(struct weir_stream *s, uint32_t node_id)
{
    struct weir__tail_ranges *t = &s->tail;
    size_t kept = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (node_id == 0 || t->ranges[i].slot->node_id == node_id)
            range_drop(s, &t->ranges[i]);
        else
            t->ranges[kept++] = t->ranges[i];
    }
    t->count = kept;
    give_back(s);
}

void weir__tail_settle(struct weir_stream *s)
{
    struct weir__tail_ranges *t = &s->tail;
    size_t gone = find(t, s->committed > s->start ? s->committed : s->start);

    if (gone == 0)
        return;
    for (size_t i = 0; i < gone; i++)
        range_drop(s, &t->ranges[i]);
    t->count -= gone;
    memmove(t->ranges, t->ranges + gone, t->count * sizeof(*t->ranges));
    give_back(s);
}

/* ---- Reading again ------------------------------------------------------- */

static int load_record(void *ctx, const struct weir_wal_record *record)
{
    struct weir__tail_slot *slot = ctx;

    return weir__tail_add(&slot, slot->node, record);
}

static void wake_all(struct weir *node)
{
    struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        if (s->tail.on)
            weir__fetch_wake(s);
}

/* It is not there any more, or not to be had now: what the manifest has learnt
 * meanwhile tells where to go on. */
static void load_failed(struct weir__tail_slot *slot, int status)
{
    struct weir *node = slot->node;
    struct weir_stream *s;
    size_t at = 0;

    slot->ranges++; /* It must not go while it is looked at. */
    unload(slot);
    while ((s = weir__map_next(&node->streams, &at)) != NULL) {
        if (!s->tail.on)
            continue;
        if (status == WEIR_ENOENT || status == WEIR_ECORRUPT) {
            weir__tail_forget(s, slot->node_id);
            s->tail.epoch = 0; /* Its logs are to be read anew. */
        }
        if (!weir__list_empty(&s->waiters))
            weir__tail_later(s);
    }
    slot->ranges--;
    weir__tail_slot_drop(slot);
    weir__fetch_refresh(node);
}

static void loaded(struct weir__slot_get *get, int status)
{
    struct weir__tail_slot *slot = get->ctx;
    struct weir *node = slot->node;

    node->tail.busy--;
    node->tail.loads--;
    slot->loading = 0;
    if (!weir__node_is_open(node)) {
        weir__close_step(node);
    } else if (status == 0 && slot->ranges > 0) {
        weir__tail_keep(slot);
        wake_all(node);
    } else if (status == 0) {
        weir__tail_slot_drop(slot);
    } else {
        load_failed(slot, status);
    }
}

static void load(struct weir__tail_slot *slot)
{
    struct weir *node = slot->node;

    slot->get = (struct weir__slot_get){
        .store = node->store,
        .cluster = weir__state_cluster(weir__manifest_state(node->manifest)),
        .node_id = slot->node_id,
        .at = slot->at,
        .record = load_record,
        .done = loaded,
        .ctx = slot,
        .err = &slot->error};
    slot->loading = 1;
    node->tail.loads++;
    node->tail.busy++;
    weir__slot_get(&slot->get);
}

const struct weir__tail_range *weir__tail_find(struct weir_stream *s,
                                               uint64_t offset)
{
    struct weir__tail_ranges *t = &s->tail;
    size_t i = find(t, offset);
    struct weir__tail_slot *slot;

    if (i == t->count || t->ranges[i].base > offset)
        return NULL;
    slot = t->ranges[i].slot;
    if (slot->count == 0 || slot->loading) {
        if (!slot->loading && s->node->tail.loads < LOADS_MAX)
            load(slot);
        return NULL;
    }
    weir__list_remove(&slot->link);
    weir__list_push(&s->node->tail.loaded, &slot->link);
    return &t->ranges[i];
}
