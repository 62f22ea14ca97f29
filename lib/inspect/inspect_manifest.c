/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the manifest on an object store: the newest snapshot that is there,
 * and then every commit, also those that the snapshot covers.
 */
#include "base/config.h"
#include "base/error.h"
#include "base/uri.h"
#include "format/manifest_record.h"
#include "format/object_name.h"
#include "inspect/inspect.h"
#include <string.h>
#include <weir/kv.h>

struct walk {
    struct weir__inspect *in;
    uint64_t snapshot; /* Version of the newest, 0: none. */
    uint64_t found;    /* Snapshots and commits. */
};

static const char *kind_name(uint32_t kind)
{
    return kind == WEIR__OBJECT_SET      ? "set"
           : kind == WEIR__OBJECT_STREAM ? "stream"
                                         : "unknown";
}

/* ---- Operations ---------------------------------------------------------- */

static int give_ranges(struct weir__inspect *in, const struct weir__op *op)
{
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < op->u.object_add.range_count; i++) {
        const struct weir__range *range = &op->u.object_add.ranges[i];

        weir__inspect_uint(in, "object_id", op->u.object_add.id);
        weir__inspect_uint(in, "stream_id", range->stream_id);
        weir__inspect_uint(in, "stream_epoch", range->stream_epoch);
        weir__inspect_uint(in, "base_offset", range->base);
        weir__inspect_uint(in, "end_offset", range->end);
        weir__inspect_uint(in, "bytes", range->bytes);
        weir__inspect_time(in, "max_timestamp", range->max_timestamp);
        rc = weir__inspect_item(in, "range", 0, NULL);
    }
    return rc;
}

static int give_object_add(struct weir__inspect *in, const struct weir__op *op)
{
    int rc;

    weir__inspect_uint(in, "object_id", op->u.object_add.id);
    weir__inspect_text(in, "object_kind", kind_name(op->u.object_add.kind));
    weir__inspect_uint(in, "size", op->u.object_add.size);
    weir__inspect_uint(in, "ranges", op->u.object_add.range_count);
    rc = weir__inspect_item(in, "object_add", 0, NULL);
    return rc != 0 ? rc : give_ranges(in, op);
}

static int give_object_removed(struct weir__inspect *in,
                               const struct weir__op *op)
{
    size_t i;
    int rc;

    weir__inspect_uint(in, "objects", op->u.object_removed.count);
    rc = weir__inspect_item(in, "object_removed", 0, NULL);
    for (i = 0; rc == 0 && i < op->u.object_removed.count; i++) {
        weir__inspect_uint(in, "object_id", op->u.object_removed.ids[i]);
        rc = weir__inspect_item(in, "removed", 0, NULL);
    }
    return rc;
}

static int give_kv_put(struct weir__inspect *in, const struct weir__op *op)
{
    uint64_t expected = op->u.kv_put.expected;

    weir__inspect_text(in, "key", op->u.kv_put.key);
    if (expected == WEIR_KV_ANY || expected == WEIR_KV_ABSENT)
        weir__inspect_text(in, "expected",
                           expected == WEIR_KV_ANY ? "any" : "absent");
    else
        weir__inspect_uint(in, "expected", expected);
    weir__inspect_text(in, "removes",
                       op->u.kv_put.value == NULL ? "yes" : "no");
    weir__inspect_uint(in, "length", op->u.kv_put.len);
    weir__inspect_bytes(in, "value", op->u.kv_put.value, op->u.kv_put.len);
    return weir__inspect_item(in, "kv_put", 0, NULL);
}

static int give_op(struct weir__inspect *in, const struct weir__op *op)
{
    switch (op->kind) {
    case WEIR__OP_CLUSTER:
        weir__inspect_id(in, "cluster", op->u.cluster.id,
                         sizeof(op->u.cluster.id));
        return weir__inspect_item(in, "cluster", 0, NULL);
    case WEIR__OP_NODE_OPEN:
        weir__inspect_uint(in, "node_id", op->u.node_open.node_id);
        weir__inspect_hex(in, "wal_id", op->u.node_open.wal_id);
        weir__inspect_uint(in, "lease_ms", op->u.node_open.lease_ms);
        weir__inspect_text(in, "wal", op->u.node_open.wal);
        if (op->u.node_open.next != 0)
            weir__inspect_uint(in, "next_epoch", op->u.node_open.next);
        return weir__inspect_item(in, "node_open", 0, NULL);
    case WEIR__OP_STREAM_CREATE:
        weir__inspect_text(in, "name", op->u.stream_create.name);
        return weir__inspect_item(in, "stream_create", 0, NULL);
    case WEIR__OP_STREAM_DELETE:
        weir__inspect_uint(in, "stream_id", op->u.stream_delete.id);
        return weir__inspect_item(in, "stream_delete", 0, NULL);
    case WEIR__OP_STREAM_OPEN:
        weir__inspect_uint(in, "stream_id", op->u.stream_open.id);
        return weir__inspect_item(in, "stream_open", 0, NULL);
    case WEIR__OP_STREAM_TRIM:
        weir__inspect_uint(in, "stream_id", op->u.stream_trim.id);
        weir__inspect_uint(in, "stream_epoch", op->u.stream_trim.epoch);
        weir__inspect_uint(in, "start", op->u.stream_trim.start);
        return weir__inspect_item(in, "stream_trim", 0, NULL);
    case WEIR__OP_OBJECT_RESERVE:
        weir__inspect_uint(in, "objects", op->u.object_reserve.count);
        return weir__inspect_item(in, "object_reserve", 0, NULL);
    case WEIR__OP_OBJECT_ADD:
        return give_object_add(in, op);
    case WEIR__OP_OBJECT_REMOVED:
        return give_object_removed(in, op);
    case WEIR__OP_KV_PUT:
        return give_kv_put(in, op);
    case WEIR__OP_NODE_CLEAN:
        return weir__inspect_item(in, "node_clean", 0, NULL);
    case WEIR__OP_NODE_BEAT:
        return weir__inspect_item(in, "node_beat", 0, NULL);
    case WEIR__OP_NODE_TRIM:
        weir__inspect_uint(in, "epoch", op->u.node_trim.epoch);
        weir__inspect_uint(in, "slot", op->u.node_trim.slot);
        return weir__inspect_item(in, "node_trim", 0, NULL);
    case WEIR__OP_NODE_CLOSE:
        return weir__inspect_item(in, "node_close", 0, NULL);
    case WEIR__OP_STREAM_HAND:
        weir__inspect_uint(in, "node_id", op->u.stream_hand.node_id);
        weir__inspect_uint(in, "streams", op->u.stream_hand.count);
        return weir__inspect_item(in, "stream_hand", 0, NULL);
    }
    return weir__inspect_item(in, "unknown", WEIR_EVERSION, NULL);
}

/* ---- Commits ------------------------------------------------------------- */

static int give_ops(struct weir__inspect *in, struct weir__record_reader *r)
{
    struct weir__op op;
    int rc, more;

    while ((more = weir__record_next(r, &op)) > 0) {
        rc = give_op(in, &op);
        if (rc != 0)
            return rc;
    }
    if (more < 0)
        return weir__fail(in->err, more, "commit %llu: %s",
                          (unsigned long long)r->header.version,
                          weir_error_text(more));
    return 0;
}

static int give_commit(struct walk *w, const struct weir_buf *body,
                       uint64_t version)
{
    struct weir__inspect *in = w->in;
    struct weir__record_reader r;
    struct weir_error err = {0};
    int rc, status;

    status = weir__record_open(&r, in->host.alloc, body->data, body->len,
                               version, NULL, &err);
    weir__inspect_uint(in, "version", version);
    weir__inspect_uint(in, "length", body->len);
    if (status != 0)
        return weir__inspect_item(in, "commit", status, err.text);
    weir__inspect_uint(in, "operations", r.header.op_count);
    weir__inspect_uint(in, "carried_bytes", r.header.carried);
    weir__inspect_uint(in, "node_id", r.header.node_id);
    weir__inspect_uint(in, "node_epoch", r.header.node_epoch);
    weir__inspect_time(in, "time", r.header.wall);
    weir__inspect_id(in, "nonce", r.header.nonce, sizeof(r.header.nonce));
    weir__inspect_id(in, "cluster", r.header.cluster, sizeof(r.header.cluster));
    weir__inspect_text(in, "in_snapshot",
                       version <= w->snapshot ? "yes" : "no");
    rc = weir__inspect_item(in, "commit", 0, NULL);
    if (rc == 0)
        rc = give_ops(in, &r);
    weir__record_close(&r);
    return rc;
}

/* ---- Snapshots ----------------------------------------------------------- */

static int give_nodes(struct weir__inspect *in, struct weir__reader *r,
                      const struct weir__snapshot *header)
{
    struct weir__snap_node node;
    uint32_t i, k;
    int rc = 0;

    for (i = 0; rc == 0 && i < header->nodes; i++) {
        if (!weir__snapshot_read_node(r, &node))
            return WEIR_ECORRUPT;
        for (k = 0; k < node.reserved; k++) {
            (void)weir__read64(r);
            (void)weir__read64(r);
        }
        weir__inspect_uint(in, "node_id", node.id);
        weir__inspect_uint(in, "epoch", node.epoch);
        weir__inspect_hex(in, "wal_id", node.wal_id);
        weir__inspect_uint(in, "reserved_ranges", node.reserved);
        rc = weir__inspect_item(in, "node", 0, NULL);
    }
    return rc;
}

static int give_extents(struct weir__inspect *in, struct weir__reader *r,
                        const struct weir__snap_stream *stream)
{
    struct weir__snap_extent extent;
    uint64_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < stream->extents; i++) {
        if (!weir__snapshot_read_extent(r, &extent))
            return WEIR_ECORRUPT;
        weir__inspect_uint(in, "stream_id", stream->id);
        weir__inspect_uint(in, "base_offset", extent.base);
        weir__inspect_uint(in, "end_offset", extent.end);
        weir__inspect_uint(in, "object_id", extent.object_id);
        weir__inspect_uint(in, "bytes", extent.bytes);
        weir__inspect_time(in, "max_timestamp", extent.max_timestamp);
        rc = weir__inspect_item(in, "extent", 0, NULL);
    }
    return rc;
}

static int give_debts(struct weir__inspect *in, struct weir__reader *r,
                      const struct weir__snapshot *header,
                      const struct weir__snap_stream *stream)
{
    struct weir__snap_debt debt;
    int rc = 0;

    for (uint16_t i = 0; rc == 0 && i < stream->debts; i++) {
        if (!weir__snapshot_read_debt(r, header->format, &debt))
            return WEIR_ECORRUPT;
        weir__inspect_uint(in, "stream_id", stream->id);
        weir__inspect_uint(in, "end_offset", debt.end);
        weir__inspect_uint(in, "node_id", debt.node_id);
        weir__inspect_uint(in, "first_epoch", debt.since);
        weir__inspect_uint(in, "epoch", debt.stream_epoch);
        rc = weir__inspect_item(in, "debt", 0, NULL);
    }
    return rc;
}

static int give_streams(struct weir__inspect *in, struct weir__reader *r,
                        const struct weir__snapshot *header)
{
    struct weir__snap_stream stream;
    uint64_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < header->streams; i++) {
        if (!weir__snapshot_read_stream(r, header->format, &stream))
            return WEIR_ECORRUPT;
        weir__inspect_uint(in, "stream_id", stream.id);
        weir__inspect_text(in, "name", stream.name);
        weir__inspect_uint(in, "epoch", stream.epoch);
        weir__inspect_uint(in, "owner", stream.owner);
        weir__inspect_uint(in, "first_epoch", stream.since);
        weir__inspect_uint(in, "start", stream.start);
        weir__inspect_uint(in, "committed_end", stream.committed_end);
        weir__inspect_uint(in, "extents", stream.extents);
        rc = weir__inspect_item(in, "stream", 0, NULL);
        if (rc == 0)
            rc = give_extents(in, r, &stream);
        if (rc == 0)
            rc = give_debts(in, r, header, &stream);
    }
    return rc;
}

static int give_objects(struct weir__inspect *in, struct weir__reader *r,
                        const struct weir__snapshot *header)
{
    struct weir__snap_object object;
    uint64_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < header->objects; i++) {
        if (!weir__snapshot_read_object(r, &object))
            return WEIR_ECORRUPT;
        weir__inspect_uint(in, "object_id", object.id);
        weir__inspect_text(in, "object_kind", kind_name(object.kind));
        weir__inspect_uint(in, "size", object.size);
        weir__inspect_uint(in, "node_id", object.node_id);
        weir__inspect_uint(in, "node_epoch", object.node_epoch);
        rc = weir__inspect_item(in, "object", 0, NULL);
    }
    return rc;
}

static int give_dead(struct weir__inspect *in, struct weir__reader *r,
                     const struct weir__snapshot *header)
{
    uint64_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < header->dead; i++) {
        weir__inspect_uint(in, "object_id", weir__read64(r));
        weir__inspect_time(in, "since", (int64_t)weir__read64(r));
        if (r->bad) {
            in->count = 0;
            return WEIR_ECORRUPT;
        }
        rc = weir__inspect_item(in, "dead", 0, NULL);
    }
    return rc;
}

static int give_keys(struct weir__inspect *in, struct weir__reader *r,
                     const struct weir__snapshot *header)
{
    struct weir__snap_key key;
    uint64_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < header->keys; i++) {
        if (!weir__snapshot_read_key(r, &key))
            return WEIR_ECORRUPT;
        weir__inspect_text(in, "key", key.key);
        weir__inspect_uint(in, "version", key.version);
        weir__inspect_uint(in, "length", key.len);
        weir__inspect_bytes(in, "value", key.value, key.len);
        rc = weir__inspect_item(in, "key", 0, NULL);
    }
    return rc;
}

/* The parts: 0, what ended the walk, or WEIR_ECORRUPT if they are cut short
 * (`in->stop` is 0 then). */
static int give_parts(struct weir__inspect *in, struct weir__reader *r,
                      const struct weir__snapshot *header)
{
    int rc = give_nodes(in, r, header);

    if (rc == 0)
        rc = give_objects(in, r, header);
    if (rc == 0)
        rc = give_streams(in, r, header);
    if (rc == 0)
        rc = give_dead(in, r, header);
    if (rc == 0)
        rc = give_keys(in, r, header);
    return rc;
}

static int give_snapshot(struct walk *w, const struct weir_buf *body,
                         uint64_t version)
{
    struct weir__inspect *in = w->in;
    struct weir__snapshot header;
    struct weir_error err = {0};
    struct weir__reader r;
    int rc, status;

    status =
        weir__snapshot_open(&r, &header, body->data, body->len, version, &err);
    weir__inspect_uint(in, "version", version);
    weir__inspect_uint(in, "length", body->len);
    if (status != 0)
        return weir__inspect_item(in, "snapshot", status, err.text);
    weir__inspect_uint(in, "nodes", header.nodes);
    weir__inspect_uint(in, "streams", header.streams);
    weir__inspect_uint(in, "objects", header.objects);
    weir__inspect_uint(in, "dead", header.dead);
    weir__inspect_uint(in, "keys", header.keys);
    weir__inspect_uint(in, "next_stream", header.next_stream);
    weir__inspect_uint(in, "next_object", header.next_object);
    if (header.named)
        weir__inspect_id(in, "cluster", header.cluster, sizeof(header.cluster));
    rc = weir__inspect_item(in, "snapshot", 0, NULL);
    if (rc == 0)
        rc = give_parts(in, &r, &header);
    if (rc == WEIR_ECORRUPT && in->stop == 0) {
        weir__inspect_uint(in, "version", version);
        rc = weir__inspect_item(in, "snapshot", WEIR_ECORRUPT,
                                "cut short, or a count is wrong");
    }
    return rc;
}

/* ---- Finding them -------------------------------------------------------- */

typedef int give_fn(struct walk *w, const struct weir_buf *body,
                    uint64_t version);

static int give_key(struct walk *w, const char *key, uint64_t version,
                    give_fn *give)
{
    struct weir_buf *body;
    int rc = weir__inspect_get_all(w->in, key, &body);

    if (rc != 0) /* A commit may be removed meanwhile. */
        return rc == WEIR_ENOENT ? 0 : rc;
    w->found++;
    rc = give(w, body, version);
    weir_buf_unref(body);
    return rc;
}

/* Version of the newest snapshot. */
static int find_snapshot(struct walk *w)
{
    struct weir__inspect_page page = {.prefix = "manifest/snap/"};
    uint64_t version;
    size_t i;
    int rc;

    do {
        rc = weir__inspect_list(w->in, &page);
        for (i = 0; rc == 0 && i < page.count; i++)
            if (weir__manifest_key_version(page.keys[i], &version) == 0)
                w->snapshot = version;
    } while (rc == 0 && page.more);
    return rc;
}

static int give_commits(struct walk *w)
{
    struct weir__inspect_page page = {.prefix = "manifest/log/"};
    uint64_t version;
    size_t i;
    int rc;

    do {
        rc = weir__inspect_list(w->in, &page);
        for (i = 0; rc == 0 && i < page.count; i++)
            if (weir__manifest_key_version(page.keys[i], &version) == 0)
                rc = give_key(w, page.keys[i], version, give_commit);
    } while (rc == 0 && page.more);
    return rc;
}

static int walk_manifest(struct walk *w)
{
    const char *store = weir__config_text(w->in->config, WEIR__P_STORE);
    char key[WEIR__KEY_SIZE];
    int rc = find_snapshot(w);

    if (rc == 0 && w->snapshot != 0) {
        weir__manifest_snap_key(key, w->snapshot);
        rc = give_key(w, key, w->snapshot, give_snapshot);
    }
    if (rc == 0)
        rc = give_commits(w);
    if (rc == 0 && w->found == 0)
        rc = weir__fail(w->in->err, WEIR_ENOENT,
                        "store: %.*s: no manifest in it",
                        weir__uri_shown(store), store);
    return rc;
}

int weir_inspect_manifest(const struct weir_config *config, weir_inspect_fn *fn,
                          void *ctx, struct weir_error *err)
{
    struct weir__inspect in;
    struct walk walk = {.in = &in};
    int rc;

    rc = weir__inspect_begin(&in, config, fn, ctx, err);
    if (rc == 0)
        rc = weir__inspect_manifest_store(&in);
    if (rc == 0)
        rc = walk_manifest(&walk);
    return weir__inspect_end(&in, rc);
}
