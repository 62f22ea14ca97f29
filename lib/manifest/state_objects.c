/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/state_inside.h"

#include "base/alloc.h"
#include "base/sometimes.h"

#include <string.h>

int weir__state_dead_room(struct weir__state *state, uint64_t more)
{
    struct weir__mdead *dead;
    uint64_t room = state->dead_count + more;

    if (room <= state->dead_room)
        return 0;
    if (room > SIZE_MAX / 64)
        return WEIR_ENOMEM;
    room += room / 2;
    dead = weir__resize(state->alloc, state->dead, (size_t)room, sizeof(*dead));
    if (dead == NULL)
        return WEIR_ENOMEM;
    state->dead = dead;
    state->dead_room = (size_t)room;
    return 0;
}

void weir__state_dead_push(struct weir__state *state, uint64_t id, int64_t wall)
{
    state->dead[state->dead_count++] = (struct weir__mdead){id, wall};
}

static void bury(struct weir__state *state, struct weir__mobject *object,
                 int64_t wall)
{
    weir__order_remove(&state->objects, &object->id);
    state->object_bytes -= object->size;
    weir__state_dead_push(state, object->id, wall);
    weir__free(state->alloc, object);
}

void weir__state_release(struct weir__state *state, uint64_t object_id,
                         int64_t wall)
{
    struct weir__mobject *object = weir__order_get(&state->objects, &object_id);

    if (object != NULL && --object->live == 0)
        bury(state, object, wall);
}

static int reserved_room(struct weir__state *state, struct weir__mnode *node)
{
    struct weir__reserved *ranges;
    size_t room = node->range_room > 0 ? 2 * node->range_room : 1;

    if (node->reserved != NULL && node->range_count < node->range_room)
        return 0;
    ranges = weir__resize(state->alloc, node->reserved, room, sizeof(*ranges));
    if (ranges == NULL)
        return WEIR_ENOMEM;
    node->reserved = ranges;
    node->range_room = room;
    return 0;
}

int weir__state_object_reserve(struct weir__state *state, uint32_t node_id,
                               struct weir__op *op)
{
    struct weir__mnode *node = weir__state_node(state, node_id);
    uint32_t count = op->u.object_reserve.count;
    struct weir__reserved *last;

    if (node == NULL)
        return WEIR_ENOMEM;
    if (count == 0 || count > WEIR__RESERVED_MAX - node->reserved_ids) {
        op->status = WEIR_ETOOBIG;
        return 0;
    }
    if (reserved_room(state, node) != 0)
        return WEIR_ENOMEM;
    last =
        node->range_count > 0 ? &node->reserved[node->range_count - 1] : NULL;
    if (last != NULL && last->first + last->count == state->next_object)
        last->count += count;
    else
        node->reserved[node->range_count++] =
            (struct weir__reserved){state->next_object, count};
    node->reserved_ids += count;
    op->u.object_reserve.first = state->next_object;
    state->next_object += count;
    return 0;
}

/* Index of the range that holds `id`, or `range_count`. */
static size_t find_reserved(const struct weir__mnode *node, uint64_t id)
{
    size_t i = 0;

    while (i < node->range_count &&
           id - node->reserved[i].first >= node->reserved[i].count)
        i++;
    return i;
}

/* Take `id` out of range `i`; there is room for one range more. */
static void use_reserved(struct weir__mnode *node, size_t i, uint64_t id)
{
    struct weir__reserved *range = &node->reserved[i];
    uint64_t before = id - range->first;
    uint64_t behind = range->count - before - 1;
    size_t rest = node->range_count - i - 1;

    node->reserved_ids--;
    if (before > 0 && behind > 0) {
        memmove(range + 2, range + 1, rest * sizeof(*range));
        range[1] = (struct weir__reserved){id + 1, behind};
        range->count = before;
        node->range_count++;
    } else if (before > 0) {
        range->count = before;
    } else if (behind > 0) {
        *range = (struct weir__reserved){id + 1, behind};
    } else {
        memmove(range, range + 1, rest * sizeof(*range));
        node->range_count--;
    }
}

static bool sorted(const struct weir__op *op)
{
    const struct weir__range *ranges = op->u.object_add.ranges;

    for (size_t i = 1; i < op->u.object_add.range_count; i++)
        if (ranges[i - 1].stream_id > ranges[i].stream_id)
            return false;
    return true;
}

/* Room in each stream for the ranges it may get, which stand together. */
static int ranges_room(struct weir__state *state, const struct weir__op *op)
{
    const struct weir__range *ranges = op->u.object_add.ranges;
    size_t count = op->u.object_add.range_count;
    size_t next;

    for (size_t i = 0; i < count; i = next) {
        struct weir__mstream *stream =
            weir__order_get(&state->streams, &ranges[i].stream_id);

        for (next = i + 1; next < count; next++)
            if (ranges[next].stream_id != ranges[i].stream_id)
                break;
        if (stream != NULL && weir__mstream_room(state, stream, next - i) != 0)
            return WEIR_ENOMEM;
    }
    return 0;
}

/* May this node say what comes next?  A former owner while it owes, then the
 * present one. */
static int turn_status(const struct weir__mstream *stream,
                       const struct weir__range *range, uint32_t node_id)
{
    const struct weir__debt *debt = stream->debts;
    bool present =
        stream->epoch == range->stream_epoch && stream->owner == node_id;

    if (stream->debt_count == 0)
        return present ? 0 : WEIR_EFENCED;
    if (debt->node_id == node_id && debt->stream_epoch == range->stream_epoch)
        return range->end <= debt->end ? 0 : WEIR_EINVAL;
    for (uint16_t i = 1; i < stream->debt_count && !present; i++)
        present = debt[i].node_id == node_id &&
                  debt[i].stream_epoch == range->stream_epoch;
    return present ? WEIR_EAGAIN : WEIR_EFENCED;
}

static int range_status(const struct weir__mstream *stream,
                        const struct weir__range *range, uint32_t node_id)
{
    int rc;

    if (stream == NULL)
        return WEIR_ENOENT;
    rc = turn_status(stream, range, node_id);
    WEIR__SOMETIMES_IF(rc == WEIR_EFENCED,
                       "a range of a stream that has gone is refused alone");
    WEIR__SOMETIMES_IF(rc == 0 && stream->debt_count > 0, "a debt is paid");
    if (rc != 0)
        return rc;
    if (range->base >= range->end)
        return WEIR_EINVAL;
    if (range->base == stream->committed_end)
        return 0;
    if (range->base > stream->committed_end && range->base <= stream->start)
        return 0;
    return WEIR_ECONFLICT;
}

static void add_range(struct weir__state *state, struct weir__mobject *object,
                      struct weir__range *range)
{
    struct weir__mstream *stream =
        weir__order_get(&state->streams, &range->stream_id);

    range->status = range_status(stream, range, object->node_id);
    if (range->status != 0)
        return;
    stream->committed_end = range->end;
    weir__debt_settle(state, stream);
    if (range->end <= stream->start)
        return;
    stream->extents[stream->extent_count++] =
        (struct weir__extent){range->base, range->end, object->id, range->bytes,
                              range->max_timestamp};
    stream->bytes += range->bytes;
    object->live++;
}

/* All the memory that adding an object takes: it, in the table; NULL, and
 * nothing has changed, when there is none. */
static struct weir__mobject *object_room(struct weir__state *state,
                                         struct weir__mnode *node,
                                         const struct weir__op *op)
{
    struct weir__mobject *object;

    if (reserved_room(state, node) != 0 ||
        weir__state_dead_room(state, 1) != 0 || ranges_room(state, op) != 0)
        return NULL;
    object = weir__calloc(state->alloc, 1, sizeof(*object));
    if (object == NULL)
        return NULL;
    object->id = op->u.object_add.id;
    object->size = op->u.object_add.size;
    object->kind = op->u.object_add.kind;
    if (weir__order_put(&state->objects, &object->id, object) != 0) {
        weir__free(state->alloc, object);
        return NULL;
    }
    return object;
}

int weir__state_object_add(struct weir__state *state,
                           const struct weir__record *record,
                           struct weir__op *op)
{
    uint64_t node_id = record->node_id;
    struct weir__mnode *node = weir__order_get(&state->nodes, &node_id);
    size_t i = node != NULL ? find_reserved(node, op->u.object_add.id) : 0;
    struct weir__mobject *object;

    if (node == NULL || i == node->range_count) {
        op->status = WEIR_EFENCED;
        return 0;
    }
    if (!sorted(op)) {
        op->status = WEIR_EINVAL;
        return 0;
    }
    object = object_room(state, node, op);
    if (object == NULL)
        return WEIR_ENOMEM;
    use_reserved(node, i, object->id);
    object->node_id = record->node_id;
    object->node_epoch = record->node_epoch;
    state->object_bytes += object->size;
    for (size_t r = 0; r < op->u.object_add.range_count; r++)
        add_range(state, object, &op->u.object_add.ranges[r]);
    if (object->live == 0)
        bury(state, object, record->wall);
    return 0;
}

/* Mark a dead object as gone; searched from where the last one was, for they
 * come in order as a rule. */
static size_t mark_gone(struct weir__state *state, size_t from, uint64_t id)
{
    for (size_t n = 0; n < state->dead_count; n++) {
        size_t i = (from + n) % state->dead_count;

        if (state->dead[i].id == id) {
            state->dead[i].id = 0;
            return i;
        }
    }
    return from;
}

int weir__state_object_removed(struct weir__state *state, struct weir__op *op)
{
    size_t at = 0;
    size_t kept = 0;

    for (size_t i = 0; i < op->u.object_removed.count; i++)
        if (op->u.object_removed.ids[i] != 0)
            at = mark_gone(state, at, op->u.object_removed.ids[i]);
    for (size_t i = 0; i < state->dead_count; i++)
        if (state->dead[i].id != 0)
            state->dead[kept++] = state->dead[i];
    state->dead_count = kept;
    return 0;
}
