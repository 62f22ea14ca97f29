/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/state_inside.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

int weir__state_begin(struct weir__state *state,
                      const struct weir__record *record, struct weir_error *err)
{
    if (record->version != state->version + 1)
        return weir__fail(err, WEIR_EBUG,
                          "manifest commit %" PRIu64 ": state is at %" PRIu64,
                          record->version, state->version);
    if (state->named && memcmp(state->cluster, record->cluster, 16) != 0)
        return weir__fail(err, WEIR_EFOREIGN,
                          "manifest commit %" PRIu64 ": of another cluster",
                          record->version);
    return 0;
}

static int apply_cluster(struct weir__state *state, struct weir__op *op)
{
    if (state->named) {
        op->status = WEIR_EEXIST;
        return 0;
    }
    memcpy(state->cluster, op->u.cluster.id, 16);
    state->named = true;
    return 0;
}

/* Its writer has been fenced: an epoch that is not its node's present one.
 * A newer one was never granted, and counts as little. */
static bool fenced(const struct weir__state *state,
                   const struct weir__record *record, enum weir__op_kind kind)
{
    return kind != WEIR__OP_CLUSTER && kind != WEIR__OP_NODE_OPEN &&
           weir__state_node_epoch(state, record->node_id) != record->node_epoch;
}

static int apply(struct weir__state *state, const struct weir__record *record,
                 struct weir__op *op)
{
    switch (op->kind) {
    case WEIR__OP_CLUSTER:
        return apply_cluster(state, op);
    case WEIR__OP_NODE_OPEN:
        return weir__state_node_open(state, record->wall, op);
    case WEIR__OP_STREAM_CREATE:
        return weir__state_stream_create(state, op);
    case WEIR__OP_STREAM_DELETE:
        return weir__state_stream_delete(state, record->wall, op);
    case WEIR__OP_STREAM_OPEN:
        return weir__state_stream_open(state, record->node_id, op);
    case WEIR__OP_STREAM_TRIM:
        return weir__state_stream_trim(state, record->wall, op);
    case WEIR__OP_OBJECT_RESERVE:
        return weir__state_object_reserve(state, record->node_id, op);
    case WEIR__OP_OBJECT_ADD:
        return weir__state_object_add(state, record, op);
    case WEIR__OP_OBJECT_REMOVED:
        return weir__state_object_removed(state, op);
    case WEIR__OP_KV_PUT:
        return weir__state_kv_put(state, record->node_id, op);
    case WEIR__OP_NODE_CLEAN:
        return weir__state_node_clean(state, record->node_id, op);
    case WEIR__OP_NODE_BEAT:
        return 0; /* That it was committed is all. */
    case WEIR__OP_NODE_TRIM:
        weir__state_node_trim(state, record->node_id, op);
        return 0;
    case WEIR__OP_NODE_CLOSE:
        return weir__state_node_close(state, record->node_id);
    case WEIR__OP_STREAM_HAND:
        return weir__state_stream_hand(state, record->node_id, op);
    }
    op->status = WEIR_EINVAL;
    return 0;
}

int weir__state_op(struct weir__state *state, const struct weir__record *record,
                   uint32_t index, struct weir__op *op)
{
    int rc = 0;

    if (index < state->applied)
        return 0;
    op->status = 0;
    if (fenced(state, record, op->kind))
        op->status = WEIR_EFENCED;
    else
        rc = apply(state, record, op);
    if (rc == 0)
        state->applied = index + 1;
    return rc;
}

void weir__state_end(struct weir__state *state,
                     const struct weir__record *record)
{
    uint64_t id = record->node_id;
    struct weir__mnode *node = weir__order_get(&state->nodes, &id);

    if (node != NULL && node->epoch == record->node_epoch)
        node->beat = record->version;
    state->version = record->version;
    state->applied = 0;
}

bool weir__state_partial(const struct weir__state *state)
{
    return state->applied > 0;
}
