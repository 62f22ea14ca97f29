/* SPDX-License-Identifier: Apache-2.0 */
#include "support/state_model.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

uint64_t state_model_named(struct state_model *m, int name)
{
    for (uint64_t id = 1; id <= m->stream_count; id++)
        if (m->streams[id].there && m->streams[id].name == name)
            return id;
    return 0;
}

struct model_stream *state_model_there(struct state_model *m, uint64_t id)
{
    return id >= 1 && id <= m->stream_count && m->streams[id].there
               ? &m->streams[id]
               : NULL;
}

/* Objects that no extent names have died. */
static void bury(struct state_model *m)
{
    for (uint64_t id = 1; id <= m->object_count; id++) {
        int live = 0;

        for (size_t i = 0; i < m->extent_count; i++)
            live |= m->extents[i].object == id;
        if (m->fates[id] == MODEL_LIVE && !live)
            m->fates[id] = MODEL_DEAD;
    }
}

/* Drop the extents of a stream that end at or below an offset. */
static void drop(struct state_model *m, uint64_t stream, uint64_t start)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->extent_count; i++)
        if (m->extents[i].stream != stream || m->extents[i].end > start)
            m->extents[kept++] = m->extents[i];
    m->extent_count = kept;
    bury(m);
}

static int name_number(const char *name)
{
    return (int)strtol(name + 1, NULL, 10);
}

uint64_t state_model_next(const struct model_stream *s)
{
    uint64_t next =
        s->debt_count > 0 ? s->debts[s->debt_count - 1].end : s->end;

    return next > s->start ? next : s->start;
}

static void settle(struct model_stream *s)
{
    while (s->debt_count > 0 &&
           (s->debts[0].node == 0 || s->debts[0].end <= s->end ||
            s->debts[0].end <= s->start)) {
        if (s->debts[0].end > s->end)
            s->end = s->debts[0].end;
        memmove(s->debts, s->debts + 1, --s->debt_count * sizeof(s->debts[0]));
    }
}

/* Whose batches come next?  0: this node's, of this epoch. */
static int turn(const struct model_stream *s, unsigned node, uint64_t epoch)
{
    for (size_t i = 0; i < s->debt_count; i++)
        if (s->debts[i].node == node && s->debts[i].epoch == epoch)
            return i == 0 ? 0 : WEIR_EAGAIN;
    if (s->owner != node || s->epoch != epoch)
        return WEIR_EFENCED;
    return s->debt_count == 0 ? 0 : WEIR_EAGAIN;
}

static void do_range(struct state_model *m, unsigned node,
                     struct weir__range *range, uint64_t object)
{
    struct model_stream *s = state_model_there(m, range->stream_id);

    if (s == NULL)
        range->status = WEIR_ENOENT;
    else if (turn(s, node, range->stream_epoch) != 0)
        range->status = turn(s, node, range->stream_epoch);
    else if ((s->debt_count > 0 && range->end > s->debts[0].end) ||
             range->base >= range->end)
        range->status = WEIR_EINVAL;
    else if (range->base < s->end ||
             (range->base > s->end && range->base > s->start))
        range->status = WEIR_ECONFLICT;
    else
        range->status = 0;
    if (range->status != 0)
        return;
    s->end = range->end;
    m->paid += s->debt_count > 0 && s->debts[0].end == s->end;
    settle(s);
    if (range->end <= s->start)
        return;
    ck_assert_uint_lt(m->extent_count, MODEL_EXTENTS);
    m->extents[m->extent_count++] = (struct model_extent){
        range->stream_id, range->base, range->end, object};
}

static void do_add(struct state_model *m, unsigned node, struct weir__op *op)
{
    uint64_t id = op->u.object_add.id;

    if (id == 0 || id > m->object_count || m->fates[id] != MODEL_RESERVED ||
        m->reserver[id] != node) {
        op->status = WEIR_EFENCED;
        return;
    }
    m->fates[id] = MODEL_LIVE;
    for (size_t i = 0; i < op->u.object_add.range_count; i++)
        do_range(m, node, &op->u.object_add.ranges[i], id);
    bury(m);
}

static void do_put(struct state_model *m, struct weir__op *op)
{
    int key = name_number(op->u.kv_put.key);
    uint64_t present = m->has_key[key] ? m->key_version[key] : 0;

    op->u.kv_put.version = present;
    if (op->u.kv_put.expected != WEIR_KV_ANY &&
        op->u.kv_put.expected != present) {
        op->status = WEIR_ECONFLICT;
        return;
    }
    m->has_key[key] = op->u.kv_put.value != NULL;
    if (m->has_key[key]) {
        m->key_version[key] = ++m->puts;
        m->key_value[key] = *(const char *)op->u.kv_put.value;
    }
    op->u.kv_put.version = m->has_key[key] ? m->puts : 0;
}

/* It has another log: what it owed is lost, and what it had. */
static void forgive(struct state_model *m, unsigned node)
{
    for (uint64_t id = 1; id <= m->stream_count; id++) {
        struct model_stream *s = &m->streams[id];

        for (size_t i = 0; s->there && i < s->debt_count; i++)
            if (s->debts[i].node == node)
                s->debts[i].node = 0;
        settle(s);
        if (s->there && s->owner == node)
            s->since = s->epoch + 1;
    }
}

static void do_node_open(struct state_model *m, struct weir__op *op)
{
    unsigned node = op->u.node_open.node_id;
    uint64_t next = op->u.node_open.next;

    if (next != 0 && next != m->epochs[node] + 1) {
        op->status = WEIR_EFENCED;
        return;
    }
    for (uint64_t id = 1; id <= m->object_count; id++)
        if (m->fates[id] == MODEL_RESERVED && m->reserver[id] == node)
            m->fates[id] = MODEL_DEAD;
    if (m->logs[node] == 0 || m->logs[node] != op->u.node_open.wal_id)
        forgive(m, node);
    m->logs[node] = op->u.node_open.wal_id;
    op->u.node_open.epoch = ++m->epochs[node];
}

static void do_create(struct state_model *m, struct weir__op *op)
{
    int name = name_number(op->u.stream_create.name);
    uint64_t id = state_model_named(m, name);

    if (id != 0) {
        op->status = WEIR_EEXIST;
    } else {
        id = ++m->stream_count;
        ck_assert_uint_lt(id, MODEL_STREAMS);
        m->streams[id] = (struct model_stream){.there = 1, .name = name};
    }
    op->u.stream_create.id = id;
}

static void do_reserve(struct state_model *m, unsigned node,
                       struct weir__op *op)
{
    op->u.object_reserve.first = m->object_count + 1;
    for (uint32_t i = 0; i < op->u.object_reserve.count; i++) {
        uint64_t id = ++m->object_count;

        ck_assert_uint_lt(id, MODEL_OBJECTS);
        m->fates[id] = MODEL_RESERVED;
        m->reserver[id] = node;
    }
}

static void do_stream_op(struct state_model *m, unsigned node,
                         struct weir__op *op)
{
    uint64_t id = op->kind == WEIR__OP_STREAM_DELETE ? op->u.stream_delete.id
                  : op->kind == WEIR__OP_STREAM_OPEN ? op->u.stream_open.id
                                                     : op->u.stream_trim.id;
    struct model_stream *s = state_model_there(m, id);

    if (s == NULL) {
        op->status = WEIR_ENOENT;
    } else if (op->kind == WEIR__OP_STREAM_DELETE) {
        s->there = 0;
        drop(m, id, UINT64_MAX);
    } else if (op->kind == WEIR__OP_STREAM_OPEN && s->owner != node &&
               m->logs[s->owner] != 0) {
        op->status = WEIR_EBUSY;
    } else if (op->kind == WEIR__OP_STREAM_OPEN) {
        op->u.stream_open.epoch = ++s->epoch;
        s->since = s->owner == node ? s->since : s->epoch;
        s->owner = node;
    } else if (s->epoch != op->u.stream_trim.epoch) {
        op->status = WEIR_EFENCED;
    } else if (op->u.stream_trim.start > s->start) {
        s->start = op->u.stream_trim.start;
        settle(s);
        drop(m, id, s->start);
    }
}

static void do_hand(struct state_model *m, unsigned node, struct weir__op *op)
{
    for (size_t i = 0; i < op->u.stream_hand.count; i++) {
        struct weir__hand *hand = &op->u.stream_hand.hands[i];
        struct model_stream *s = state_model_there(m, hand->stream_id);

        hand->status = 0;
        if (s == NULL)
            hand->status = WEIR_ENOENT;
        else if (s->owner != node || s->epoch != hand->stream_epoch)
            hand->status = WEIR_EFENCED;
        else if (hand->end > state_model_next(s) && s->debt_count == 64)
            hand->status = WEIR_ETOOBIG;
        if (hand->status != 0)
            continue;
        if (hand->end > state_model_next(s)) {
            s->debts[s->debt_count++] = (struct model_debt){
                hand->end, s->epoch, s->since > s->epoch ? s->epoch : s->since,
                node};
            m->hands++;
        }
        s->since = ++s->epoch;
        s->owner = op->u.stream_hand.node_id;
    }
}

void state_model_op(struct state_model *m, unsigned node, uint64_t epoch,
                    struct weir__op *op)
{
    op->status = 0;
    if (op->kind != WEIR__OP_NODE_OPEN && m->epochs[node] != epoch) {
        op->status = WEIR_EFENCED;
        return;
    }
    switch (op->kind) {
    case WEIR__OP_NODE_OPEN:
        do_node_open(m, op);
        break;
    case WEIR__OP_STREAM_CREATE:
        do_create(m, op);
        break;
    case WEIR__OP_OBJECT_RESERVE:
        do_reserve(m, node, op);
        break;
    case WEIR__OP_OBJECT_ADD:
        do_add(m, node, op);
        break;
    case WEIR__OP_OBJECT_REMOVED:
        for (size_t i = 0; i < op->u.object_removed.count; i++)
            if (m->fates[op->u.object_removed.ids[i]] == MODEL_DEAD)
                m->fates[op->u.object_removed.ids[i]] = MODEL_GONE;
        break;
    case WEIR__OP_KV_PUT:
        do_put(m, op);
        break;
    case WEIR__OP_STREAM_HAND:
        do_hand(m, node, op);
        break;
    default:
        do_stream_op(m, node, op);
        break;
    }
}
