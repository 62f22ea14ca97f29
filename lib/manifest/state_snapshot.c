/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/state_inside.h"

#include "base/alloc.h"
#include "base/error.h"

#include <inttypes.h>

static void encode_nodes(const struct weir__state *state,
                         struct weir__writer *w)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mnode *node;

    while ((node = weir__order_next(&state->nodes, &at)) != NULL) {
        weir__snapshot_node(w, &(struct weir__snap_node){
                                   .epoch = node->epoch,
                                   .wal_id = node->wal_id,
                                   .beat = node->beat,
                                   .mark_epoch = node->mark_epoch,
                                   .mark_slot = node->mark_slot,
                                   .wal = node->wal != NULL ? node->wal : "",
                                   .lease_ms = node->lease_ms,
                                   .closed = node->closed,
                                   .id = (uint32_t)node->id,
                                   .reserved = (uint32_t)node->range_count});
        for (size_t i = 0; i < node->range_count; i++)
            weir__snapshot_pair(w, node->reserved[i].first,
                                node->reserved[i].count);
    }
}

static void encode_objects(const struct weir__state *state,
                           struct weir__writer *w)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mobject *object;

    while ((object = weir__order_next(&state->objects, &at)) != NULL)
        weir__snapshot_object(
            w, &(struct weir__snap_object){.id = object->id,
                                           .size = object->size,
                                           .node_epoch = object->node_epoch,
                                           .node_id = object->node_id,
                                           .kind = (uint32_t)object->kind});
}

static void encode_stream(const struct weir__mstream *stream,
                          struct weir__writer *w)
{
    weir__snapshot_stream(
        w, &(struct weir__snap_stream){.id = stream->id,
                                       .epoch = stream->epoch,
                                       .start = stream->start,
                                       .committed_end = stream->committed_end,
                                       .extents = stream->extent_count,
                                       .since = stream->since,
                                       .name = stream->name,
                                       .owner = stream->owner,
                                       .debts = stream->debt_count});
    for (size_t i = 0; i < stream->extent_count; i++) {
        const struct weir__extent *extent = &stream->extents[i];

        weir__snapshot_extent(w, &(struct weir__snap_extent){
                                     .base = extent->base,
                                     .end = extent->end,
                                     .object_id = extent->object_id,
                                     .bytes = extent->bytes,
                                     .max_timestamp = extent->max_timestamp});
    }
    for (size_t i = 0; i < stream->debt_count; i++) {
        const struct weir__debt *debt = &stream->debts[i];

        weir__snapshot_debt(
            w, &(struct weir__snap_debt){.end = debt->end,
                                         .stream_epoch = debt->stream_epoch,
                                         .since = debt->since,
                                         .node_id = debt->node_id});
    }
}

static void encode_keys(const struct weir__state *state, struct weir__writer *w)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mkey *key;

    while ((key = weir__order_next(&state->keys, &at)) != NULL)
        weir__snapshot_key(
            w, &(struct weir__snap_key){.version = key->pair.version,
                                        .key = key->key,
                                        .value = key->pair.value,
                                        .len = (uint32_t)key->pair.len,
                                        .node_id = key->node_id});
}

int weir__state_encode(const struct weir__state *state, struct weir__writer *w)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mstream *stream;
    struct weir__snapshot header = {
        .version = state->version,
        .next_stream = state->next_stream,
        .next_object = state->next_object,
        .kv_version = state->kv_version,
        .streams = state->streams.count,
        .objects = state->objects.count,
        .dead = state->dead_count,
        .keys = state->keys.count,
        .named = state->named,
        .nodes = (uint32_t)state->nodes.count,
    };

    if (weir__state_partial(state))
        return WEIR_EBUG;
    memcpy(header.cluster, state->cluster, 16);
    weir__snapshot_begin(w);
    encode_nodes(state, w);
    encode_objects(state, w);
    while ((stream = weir__order_next(&state->streams, &at)) != NULL)
        encode_stream(stream, w);
    for (size_t i = 0; i < state->dead_count; i++)
        weir__snapshot_pair(w, state->dead[i].id,
                            (uint64_t)state->dead[i].since);
    encode_keys(state, w);
    return weir__snapshot_end(w, &header);
}

/* What order_put says of a thing that is there already: damage. */
static int put_status(int rc)
{
    return rc == WEIR_EBUG ? WEIR_ECORRUPT : rc;
}

static int decode_reserved(struct weir__state *state, struct weir__mnode *node,
                           uint32_t count, struct weir__reader *r)
{
    uint64_t behind = 1;

    if (count == 0)
        return 0;
    node->reserved = weir__calloc(state->alloc, count, sizeof(*node->reserved));
    if (node->reserved == NULL)
        return WEIR_ENOMEM;
    node->range_room = count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t first = weir__read64(r);
        uint64_t ids = weir__read64(r);

        if (r->bad || first < behind || ids == 0 ||
            ids > WEIR__RESERVED_MAX - node->reserved_ids ||
            first >= state->next_object || ids > state->next_object - first)
            return WEIR_ECORRUPT;
        node->reserved[node->range_count++] =
            (struct weir__reserved){first, ids};
        node->reserved_ids += ids;
        behind = first + ids;
    }
    return 0;
}

static int decode_nodes(struct weir__state *state, uint32_t count,
                        struct weir__reader *r)
{
    for (; count > 0; count--) {
        struct weir__snap_node snap;
        struct weir__mnode *node;
        int rc;

        if (!weir__snapshot_read_node(r, &snap))
            return WEIR_ECORRUPT;
        if (weir__order_get(&state->nodes, &(uint64_t){snap.id}) != NULL)
            return WEIR_ECORRUPT;
        node = weir__state_node(state, snap.id);
        if (node == NULL)
            return WEIR_ENOMEM;
        node->epoch = snap.epoch;
        node->wal_id = snap.wal_id;
        node->beat = snap.beat;
        node->mark_epoch = snap.mark_epoch;
        node->mark_slot = snap.mark_slot;
        node->lease_ms = snap.lease_ms;
        node->closed = snap.closed != 0;
        node->wal = weir__strdup(state->alloc, snap.wal);
        if (node->wal == NULL)
            return WEIR_ENOMEM;
        rc = decode_reserved(state, node, snap.reserved, r);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int decode_objects(struct weir__state *state, uint64_t count,
                          struct weir__reader *r)
{
    for (; count > 0; count--) {
        struct weir__snap_object snap;
        struct weir__mobject *object;
        int rc;

        if (!weir__snapshot_read_object(r, &snap) || snap.id == 0 ||
            snap.id >= state->next_object)
            return WEIR_ECORRUPT;
        object = weir__calloc(state->alloc, 1, sizeof(*object));
        if (object == NULL)
            return WEIR_ENOMEM;
        object->id = snap.id;
        object->size = snap.size;
        object->node_epoch = snap.node_epoch;
        object->node_id = snap.node_id;
        object->kind = snap.kind == WEIR__OBJECT_STREAM ? WEIR__OBJECT_STREAM
                                                        : WEIR__OBJECT_SET;
        rc = weir__order_put(&state->objects, &object->id, object);
        if (rc != 0) {
            weir__free(state->alloc, object);
            return put_status(rc);
        }
        state->object_bytes += object->size;
    }
    return 0;
}

/* One extent, which must lie behind the one before it. */
static int decode_extent(struct weir__state *state,
                         struct weir__mstream *stream, struct weir__reader *r)
{
    struct weir__snap_extent snap;
    struct weir__mobject *object;
    uint64_t behind = stream->extent_count > 0
                          ? stream->extents[stream->extent_count - 1].end
                          : 0;

    if (!weir__snapshot_read_extent(r, &snap) || snap.base >= snap.end ||
        snap.base < behind || snap.end <= stream->start ||
        snap.end > stream->committed_end)
        return WEIR_ECORRUPT;
    object = weir__order_get(&state->objects, &snap.object_id);
    if (object == NULL || object->live == UINT32_MAX)
        return WEIR_ECORRUPT;
    object->live++;
    stream->bytes += snap.bytes;
    stream->extents[stream->extent_count++] = (struct weir__extent){
        snap.base, snap.end, snap.object_id, snap.bytes, snap.max_timestamp};
    return 0;
}

/* The first epoch of the owner behind the debts read so far: a stream has the
 * next one when it is given away.  Of version 1 that is all there is. */
static uint64_t since_at_least(const struct weir__mstream *stream,
                               uint64_t since)
{
    uint64_t least =
        stream->debt_count == 0
            ? 0
            : stream->debts[stream->debt_count - 1].stream_epoch + 1;

    return since > least ? since : least;
}

/* One debt, which must lie behind what is committed and the one before it. */
static int decode_debt(struct weir__state *state, struct weir__mstream *stream,
                       unsigned format, struct weir__reader *r)
{
    struct weir__snap_debt snap;
    bool whole = weir__snapshot_read_debt(r, format, &snap);
    uint64_t since = since_at_least(stream, snap.since);

    if (!whole || snap.end <= weir__mstream_next(stream) ||
        snap.stream_epoch >= stream->epoch || since > snap.stream_epoch ||
        stream->debt_count == WEIR__DEBTS_MAX ||
        (snap.node_id != 0 &&
         weir__order_get(&state->nodes, &(uint64_t){snap.node_id}) == NULL))
        return WEIR_ECORRUPT;
    if (weir__debt_room(state, stream) != 0)
        return WEIR_ENOMEM;
    weir__debt_push(state, stream,
                    &(struct weir__debt){.end = snap.end,
                                         .stream_epoch = snap.stream_epoch,
                                         .since = since,
                                         .node_id = snap.node_id});
    return 0;
}

static int decode_stream(struct weir__state *state,
                         const struct weir__snap_stream *snap, unsigned format,
                         struct weir__reader *r)
{
    struct weir__mstream *stream =
        weir__calloc(state->alloc, 1, sizeof(*stream));
    int rc = WEIR_ENOMEM;

    if (stream == NULL)
        return rc;
    stream->id = snap->id;
    stream->epoch = snap->epoch;
    stream->since = snap->since;
    stream->start = snap->start;
    stream->committed_end = snap->committed_end;
    stream->owner = snap->owner;
    stream->name = weir__strdup(state->alloc, snap->name);
    if (stream->name != NULL)
        rc = put_status(weir__state_put_stream(state, stream));
    if (rc != 0) {
        weir__mstream_free(state, stream);
        return rc;
    }
    rc = weir__mstream_room(state, stream, snap->extents);
    for (uint64_t i = 0; i < snap->extents && rc == 0; i++)
        rc = decode_extent(state, stream, r);
    for (uint16_t i = 0; i < snap->debts && rc == 0; i++)
        rc = decode_debt(state, stream, format, r);
    stream->since = since_at_least(stream, stream->since);
    return rc;
}

static int decode_streams(struct weir__state *state,
                          const struct weir__snapshot *header,
                          struct weir__reader *r)
{
    for (uint64_t i = 0; i < header->streams; i++) {
        struct weir__snap_stream snap;
        int rc;

        if (!weir__snapshot_read_stream(r, header->format, &snap) ||
            snap.id == 0 || snap.id >= state->next_stream ||
            snap.since > snap.epoch + 1)
            return WEIR_ECORRUPT;
        rc = decode_stream(state, &snap, header->format, r);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* An object that no extent names would never be removed. */
static bool all_live(const struct weir__state *state)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mobject *object;

    while ((object = weir__order_next(&state->objects, &at)) != NULL)
        if (object->live == 0)
            return false;
    return true;
}

static int decode_dead(struct weir__state *state, uint64_t count,
                       struct weir__reader *r)
{
    if (weir__state_dead_room(state, count) != 0)
        return WEIR_ENOMEM;
    for (; count > 0; count--) {
        uint64_t id = weir__read64(r);
        int64_t since = (int64_t)weir__read64(r);

        if (r->bad || id == 0 || id >= state->next_object)
            return WEIR_ECORRUPT;
        weir__state_dead_push(state, id, since);
    }
    return 0;
}

static int decode_keys(struct weir__state *state, uint64_t count,
                       struct weir__reader *r)
{
    for (; count > 0; count--) {
        struct weir__snap_key snap;
        int rc;

        if (!weir__snapshot_read_key(r, &snap) || snap.version == 0 ||
            snap.version > state->kv_version ||
            weir__state_kv(state, snap.key) != NULL)
            return WEIR_ECORRUPT;
        rc = weir__state_put_key(state, snap.key, snap.value, snap.len,
                                 snap.version, snap.node_id);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int decode_parts(struct weir__state *state,
                        const struct weir__snapshot *header,
                        struct weir__reader *r)
{
    int rc = decode_nodes(state, header->nodes, r);

    if (rc == 0)
        rc = decode_objects(state, header->objects, r);
    if (rc == 0)
        rc = decode_streams(state, header, r);
    if (rc == 0)
        rc = decode_dead(state, header->dead, r);
    if (rc == 0)
        rc = decode_keys(state, header->keys, r);
    if (rc == 0 && (weir__reader_left(r) > 0 || !all_live(state)))
        rc = WEIR_ECORRUPT;
    return rc;
}

int weir__state_decode(struct weir__state **out, const struct weir_alloc *alloc,
                       const void *data, size_t len, uint64_t version,
                       struct weir_error *err)
{
    struct weir__snapshot header;
    struct weir__reader r;
    struct weir__state *state;
    int rc = weir__snapshot_open(&r, &header, data, len, version, err);

    *out = NULL;
    if (rc != 0)
        return rc;
    rc = weir__state_new(&state, alloc);
    if (rc == 0) {
        state->version = header.version;
        state->next_stream = header.next_stream;
        state->next_object = header.next_object;
        state->kv_version = header.kv_version;
        state->named = header.named == 1;
        memcpy(state->cluster, header.cluster, 16);
        rc = decode_parts(state, &header, &r);
    }
    if (rc != 0) {
        weir__state_free(state);
        return weir__fail(err, rc, "manifest snapshot %" PRIu64 ": %s", version,
                          rc == WEIR_ENOMEM ? "out of memory"
                                            : "malformed content");
    }
    *out = state;
    return 0;
}
