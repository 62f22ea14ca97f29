/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/state_inside.h"

#include "base/alloc.h"

#include <string.h>

struct weir__mnode *weir__state_node(struct weir__state *state,
                                     uint32_t node_id)
{
    uint64_t id = node_id;
    struct weir__mnode *node = weir__order_get(&state->nodes, &id);

    if (node != NULL)
        return node;
    node = weir__calloc(state->alloc, 1, sizeof(*node));
    if (node == NULL)
        return NULL;
    node->id = id;
    if (weir__order_put(&state->nodes, &id, node) != 0) {
        weir__free(state->alloc, node);
        return NULL;
    }
    return node;
}

/* The node has another log, though the one before may be needed: that is given
 * up, also if it is attached again.  One in memory (0) is another each time.
 * Nothing of an earlier log is needed: this one begins here. */
static void begin_log(struct weir__state *state, struct weir__mnode *node)
{
    struct weir__order_at at = {0, 0};
    struct weir__mstream *stream;

    weir__debt_forgive(state, node);
    while ((stream = weir__order_next(&state->streams, &at)) != NULL)
        if (stream->owner == node->id)
            stream->since = stream->epoch + 1;
    node->mark_epoch = node->epoch;
    node->mark_slot = 0;
}

int weir__state_node_open(struct weir__state *state, int64_t wall,
                          struct weir__op *op)
{
    uint32_t id = op->u.node_open.node_id;
    uint64_t next = op->u.node_open.next;
    struct weir__mnode *node;
    char *wal;

    if (next != 0 && next != weir__state_node_epoch(state, id) + 1) {
        op->status = WEIR_EFENCED; /* Another one has opened it meanwhile. */
        return 0;
    }
    node = weir__state_node(state, id);
    if (node == NULL || weir__state_dead_room(state, node->reserved_ids) != 0)
        return WEIR_ENOMEM;
    wal = weir__strdup(state->alloc,
                       op->u.node_open.wal != NULL ? op->u.node_open.wal : "");
    if (wal == NULL)
        return WEIR_ENOMEM;
    weir__free(state->alloc, node->wal);
    node->wal = wal;
    node->lease_ms = op->u.node_open.lease_ms;
    node->closed = false;
    op->u.node_open.beat = node->beat;
    node->beat = state->version + 1;
    weir__state_drop_keys(state, node);
    for (size_t i = 0; i < node->range_count; i++)
        for (uint64_t n = 0; n < node->reserved[i].count; n++)
            weir__state_dead_push(state, node->reserved[i].first + n, wall);
    weir__free(state->alloc, node->reserved);
    node->reserved = NULL;
    node->range_count = 0;
    node->range_room = 0;
    node->reserved_ids = 0;
    op->u.node_open.epoch = ++node->epoch;
    if (node->wal_id == 0 || node->wal_id != op->u.node_open.wal_id)
        begin_log(state, node);
    node->wal_id = op->u.node_open.wal_id;
    return 0;
}

int weir__state_node_close(struct weir__state *state, uint32_t node_id)
{
    struct weir__mnode *node = weir__state_node(state, node_id);

    if (node == NULL)
        return WEIR_ENOMEM;
    weir__state_drop_keys(state, node);
    node->closed = true;
    return 0;
}

void weir__state_node_trim(struct weir__state *state, uint32_t node_id,
                           struct weir__op *op)
{
    uint64_t id = node_id;
    struct weir__mnode *node = weir__order_get(&state->nodes, &id);
    uint64_t epoch = op->u.node_trim.epoch;
    uint64_t slot = op->u.node_trim.slot;

    if (node == NULL || epoch < node->mark_epoch ||
        (epoch == node->mark_epoch && slot < node->mark_slot))
        return; /* It never goes back. */
    node->mark_epoch = epoch;
    node->mark_slot = slot;
}

bool weir__state_member(const struct weir__state *state, uint32_t id,
                        struct weir__member *out)
{
    uint64_t after = id;
    const struct weir__mnode *node = weir__order_after(&state->nodes, &after);

    if (node == NULL)
        return false;
    *out = (struct weir__member){.id = (uint32_t)node->id,
                                 .lease_ms = node->lease_ms,
                                 .epoch = node->epoch,
                                 .wal_id = node->wal_id,
                                 .beat = node->beat,
                                 .mark_epoch = node->mark_epoch,
                                 .mark_slot = node->mark_slot,
                                 .wal = node->wal != NULL ? node->wal : "",
                                 .closed = node->closed};
    return true;
}

unsigned weir__state_others(const struct weir__state *state, uint32_t node_id,
                            uint64_t since)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mnode *node;
    unsigned count = 0;

    while ((node = weir__order_next(&state->nodes, &at)) != NULL)
        count += node->id != node_id && !node->closed && node->beat >= since;
    return count;
}

int weir__state_node_clean(struct weir__state *state, uint32_t node_id,
                           struct weir__op *op)
{
    struct weir__mnode *node = weir__state_node(state, node_id);

    if (node == NULL)
        return WEIR_ENOMEM;
    if (node->debts > 0)
        op->status = WEIR_EBUSY;
    else
        node->wal_id = 0;
    return 0;
}
