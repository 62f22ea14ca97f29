/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/state_inside.h"

#include "base/alloc.h"

#include <string.h>

static struct weir__mstream *find(struct weir__state *state, uint64_t id)
{
    return weir__order_get(&state->streams, &id);
}

void weir__mstream_free(struct weir__state *state, struct weir__mstream *stream)
{
    weir__free(state->alloc, stream->extents);
    weir__free(state->alloc, stream->debts);
    weir__free(state->alloc, stream->name);
    weir__free(state->alloc, stream);
}

int weir__mstream_room(struct weir__state *state, struct weir__mstream *stream,
                       uint64_t more)
{
    struct weir__extent *extents;
    uint64_t room = stream->extent_count + more;

    if (room <= stream->extent_room)
        return 0;
    if (room > SIZE_MAX / 64)
        return WEIR_ENOMEM;
    room += room / 2;
    extents = weir__resize(state->alloc, stream->extents, (size_t)room,
                           sizeof(*extents));
    if (extents == NULL)
        return WEIR_ENOMEM;
    stream->extents = extents;
    stream->extent_room = (size_t)room;
    return 0;
}

int weir__state_put_stream(struct weir__state *state,
                           struct weir__mstream *stream)
{
    int rc = weir__order_put(&state->names, stream->name, stream);

    if (rc != 0)
        return rc;
    rc = weir__order_put(&state->streams, &stream->id, stream);
    if (rc != 0)
        weir__order_remove(&state->names, stream->name);
    return rc;
}

int weir__state_stream_create(struct weir__state *state, struct weir__op *op)
{
    const char *name = op->u.stream_create.name;
    const struct weir__mstream *there = weir__state_stream_named(state, name);
    struct weir__mstream *stream;

    if (there != NULL) {
        op->status = WEIR_EEXIST;
        op->u.stream_create.id = there->id;
        return 0;
    }
    stream = weir__calloc(state->alloc, 1, sizeof(*stream));
    if (stream == NULL)
        return WEIR_ENOMEM;
    stream->id = state->next_stream;
    stream->name = weir__strdup(state->alloc, name);
    if (stream->name == NULL || weir__state_put_stream(state, stream) != 0) {
        weir__mstream_free(state, stream);
        return WEIR_ENOMEM;
    }
    state->next_stream++;
    op->u.stream_create.id = stream->id;
    return 0;
}

/* Forget the first `count` extents; there is room for their objects among
 * the dead. */
static void drop_extents(struct weir__state *state,
                         struct weir__mstream *stream, size_t count,
                         int64_t wall)
{
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        stream->bytes -= stream->extents[i].bytes;
        weir__state_release(state, stream->extents[i].object_id, wall);
    }
    stream->extent_count -= count;
    memmove(stream->extents, stream->extents + count,
            stream->extent_count * sizeof(*stream->extents));
}

/* Give back what a stream that has shrunk does not need; it is no harm if
 * that fails. */
static void shrink(struct weir__state *state, struct weir__mstream *stream)
{
    struct weir__extent *extents;
    size_t room = stream->extent_count + stream->extent_count / 2;

    if (stream->extent_room < 16 || room > stream->extent_room / 2)
        return;
    if (room == 0) {
        weir__free(state->alloc, stream->extents);
        stream->extents = NULL;
        stream->extent_room = 0;
        return;
    }
    extents =
        weir__resize(state->alloc, stream->extents, room, sizeof(*extents));
    if (extents == NULL)
        return;
    stream->extents = extents;
    stream->extent_room = room;
}

int weir__state_stream_delete(struct weir__state *state, int64_t wall,
                              struct weir__op *op)
{
    struct weir__mstream *stream = find(state, op->u.stream_delete.id);

    if (stream == NULL) {
        op->status = WEIR_ENOENT;
        return 0;
    }
    if (weir__state_dead_room(state, stream->extent_count) != 0)
        return WEIR_ENOMEM;
    drop_extents(state, stream, stream->extent_count, wall);
    weir__debt_clear(state, stream);
    weir__order_remove(&state->streams, &stream->id);
    weir__order_remove(&state->names, stream->name);
    weir__mstream_free(state, stream);
    return 0;
}

int weir__state_stream_open(struct weir__state *state, uint32_t node_id,
                            struct weir__op *op)
{
    struct weir__mstream *stream = find(state, op->u.stream_open.id);

    if (stream == NULL) {
        op->status = WEIR_ENOENT;
        return 0;
    }
    if (stream->owner != node_id &&
        weir__state_node_wal(state, stream->owner) != 0) {
        op->status = WEIR_EBUSY;
        return 0;
    }
    stream->epoch++;
    if (stream->owner != node_id)
        stream->since = stream->epoch;
    stream->owner = node_id;
    op->u.stream_open.epoch = stream->epoch;
    return 0;
}

int weir__state_stream_trim(struct weir__state *state, int64_t wall,
                            struct weir__op *op)
{
    struct weir__mstream *stream = find(state, op->u.stream_trim.id);
    uint64_t start = op->u.stream_trim.start;
    size_t gone = 0;

    if (stream == NULL || stream->epoch != op->u.stream_trim.epoch) {
        op->status = stream == NULL ? WEIR_ENOENT : WEIR_EFENCED;
        return 0;
    }
    if (start <= stream->start)
        return 0;
    while (gone < stream->extent_count && stream->extents[gone].end <= start)
        gone++;
    if (weir__state_dead_room(state, gone) != 0)
        return WEIR_ENOMEM;
    stream->start = start;
    drop_extents(state, stream, gone, wall);
    weir__debt_settle(state, stream);
    shrink(state, stream);
    return 0;
}
