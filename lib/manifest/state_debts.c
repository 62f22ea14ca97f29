/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that change hands while a part of them is still in a WAL. */
#include "manifest/state_inside.h"

#include "base/alloc.h"

#include <string.h>

uint64_t weir__mstream_next(const struct weir__mstream *stream)
{
    uint64_t next = stream->committed_end;

    if (stream->debt_count > 0)
        next = stream->debts[stream->debt_count - 1].end;
    return next > stream->start ? next : stream->start;
}

uint64_t weir__mstream_part(const struct weir__mstream *stream, uint16_t i)
{
    return i == 0 ? stream->committed_end : stream->debts[i - 1].end;
}

bool weir__mstream_holds(const struct weir__mstream *stream, uint32_t node_id,
                         uint64_t stream_epoch, uint64_t base, uint64_t end)
{
    uint16_t count = stream->debt_count;

    /* What was not acknowledged when the stream was given away is no part of
     * it, also if the log has it, and the stream came back. */
    for (uint16_t i = 0; i < count; i++) {
        const struct weir__debt *debt = &stream->debts[i];

        if (debt->node_id == node_id && stream_epoch >= debt->since &&
            stream_epoch <= debt->stream_epoch &&
            base >= weir__mstream_part(stream, i) && base < debt->end)
            return true;
    }
    return stream->owner == node_id && stream_epoch >= stream->since &&
           stream_epoch <= stream->epoch &&
           end > weir__mstream_part(stream, count);
}

/* Nodes that owe are known: a debt is made by its node's commit. */
static struct weir__mnode *debtor(struct weir__state *state,
                                  const struct weir__debt *debt)
{
    uint64_t id = debt->node_id;

    return weir__order_get(&state->nodes, &id);
}

uint64_t weir__state_node_debts(const struct weir__state *state,
                                uint32_t node_id)
{
    uint64_t id = node_id;
    const struct weir__mnode *node = weir__order_get(&state->nodes, &id);

    return node != NULL ? node->debts : 0;
}

int weir__debt_room(struct weir__state *state, struct weir__mstream *stream)
{
    size_t room = stream->debt_room > 0 ? 2 * (size_t)stream->debt_room : 1;
    struct weir__debt *debts;

    if (stream->debt_count < stream->debt_room ||
        stream->debt_count == WEIR__DEBTS_MAX)
        return 0;
    debts = weir__resize(state->alloc, stream->debts, room, sizeof(*debts));
    if (debts == NULL)
        return WEIR_ENOMEM;
    stream->debts = debts;
    stream->debt_room = (uint16_t)room;
    return 0;
}

void weir__debt_push(struct weir__state *state, struct weir__mstream *stream,
                     const struct weir__debt *debt)
{
    struct weir__mnode *node = debtor(state, debt);

    stream->debts[stream->debt_count++] = *debt;
    if (node != NULL)
        node->debts++;
}

static void debt_pop(struct weir__state *state, struct weir__mstream *stream)
{
    struct weir__mnode *node = debtor(state, &stream->debts[0]);

    if (node != NULL)
        node->debts--;
    stream->debt_count--;
    memmove(stream->debts, stream->debts + 1,
            stream->debt_count * sizeof(*stream->debts));
    if (stream->debt_count > 0)
        return;
    weir__free(state->alloc, stream->debts);
    stream->debts = NULL;
    stream->debt_room = 0;
}

void weir__debt_settle(struct weir__state *state, struct weir__mstream *stream)
{
    while (stream->debt_count > 0) {
        const struct weir__debt *debt = &stream->debts[0];

        if (debt->node_id != 0 && debt->end > stream->committed_end &&
            debt->end > stream->start)
            return;
        if (debt->end > stream->committed_end)
            stream->committed_end = debt->end;
        debt_pop(state, stream);
    }
}

void weir__debt_clear(struct weir__state *state, struct weir__mstream *stream)
{
    while (stream->debt_count > 0)
        debt_pop(state, stream);
}

void weir__debt_forgive(struct weir__state *state, struct weir__mnode *node)
{
    struct weir__order_at at = {0, 0};
    struct weir__mstream *stream;

    while (node->debts > 0 &&
           (stream = weir__order_next(&state->streams, &at)) != NULL) {
        for (size_t i = 0; i < stream->debt_count; i++) {
            if (stream->debts[i].node_id != node->id)
                continue;
            stream->debts[i].node_id = 0;
            node->debts--;
        }
        weir__debt_settle(state, stream);
    }
}

static bool sorted(const struct weir__op *op)
{
    const struct weir__hand *hands = op->u.stream_hand.hands;

    for (size_t i = 1; i < op->u.stream_hand.count; i++)
        if (hands[i - 1].stream_id >= hands[i].stream_id)
            return false;
    return true;
}

static int hand_over(struct weir__state *state, uint32_t node_id, uint32_t to,
                     const struct weir__hand *hand)
{
    struct weir__mstream *stream =
        weir__order_get(&state->streams, &hand->stream_id);
    struct weir__debt debt = {.end = hand->end,
                              .stream_epoch = hand->stream_epoch,
                              .node_id = node_id};

    if (stream == NULL)
        return WEIR_ENOENT;
    if (stream->owner != node_id || stream->epoch != hand->stream_epoch)
        return WEIR_EFENCED;
    if (hand->end > weir__mstream_next(stream)) {
        if (stream->debt_count == WEIR__DEBTS_MAX)
            return WEIR_ETOOBIG;
        /* The same epoch at least, if its owner has had no log since. */
        debt.since = stream->since < hand->stream_epoch ? stream->since
                                                        : hand->stream_epoch;
        weir__debt_push(state, stream, &debt);
    }
    stream->epoch++;
    stream->since = stream->epoch;
    stream->owner = to;
    return 0;
}

int weir__state_stream_hand(struct weir__state *state, uint32_t node_id,
                            struct weir__op *op)
{
    struct weir__hand *hands = op->u.stream_hand.hands;
    size_t count = op->u.stream_hand.count;

    if (!sorted(op)) {
        op->status = WEIR_EINVAL;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct weir__mstream *stream =
            weir__order_get(&state->streams, &hands[i].stream_id);

        if (stream != NULL && weir__debt_room(state, stream) != 0)
            return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        hands[i].status =
            hand_over(state, node_id, op->u.stream_hand.node_id, &hands[i]);
    return 0;
}
