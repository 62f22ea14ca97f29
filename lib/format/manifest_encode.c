/* SPDX-License-Identifier: Apache-2.0 */
#include "format/manifest_record.h"

#include "base/error.h"

#include <weir/kv.h>
#include <weir/stream.h>

uint16_t weir__op_format(const struct weir__op *op)
{
    return op->kind == WEIR__OP_NODE_OPEN && op->u.node_open.next != 0 ? 2 : 1;
}

void weir__record_begin(struct weir__writer *w)
{
    static const unsigned char zeros[WEIR__RECORD_HEADER];

    weir__write_bytes(w, zeros, sizeof(zeros));
}

void weir__record_seal(unsigned char *data, size_t len,
                       const struct weir__record *header)
{
    weir__put32(data, WEIR__COMMIT_MAGIC);
    weir__put16(data + 4,
                header->carried > 0 ? WEIR__COMMIT_CARRIES : header->format);
    weir__put32(data + 12, header->carried);
    memcpy(data + 24, header->cluster, 16);
    weir__put64(data + 40, header->version);
    memcpy(data + 48, header->nonce, 16);
    weir__put64(data + 64, header->node_epoch);
    weir__put64(data + 72, (uint64_t)header->wall);
    weir__put32(data + 80, header->node_id);
    weir__put32(data + 84, header->op_count);
    weir__manifest_seal(data, len);
}

/* A name or key: 1 to 255 bytes. */
static int check_name(const char *what, const char *name, size_t max,
                      struct weir_error *err)
{
    size_t len = name != NULL ? strnlen(name, max + 1) : 0;

    if (len == 0)
        return weir__fail(err, WEIR_EINVAL, "empty %s", what);
    if (len > max)
        return weir__fail(err, WEIR_ETOOBIG, "%s of more than %zu bytes", what,
                          max);
    return 0;
}

static int check_op(const struct weir__op *op, struct weir_error *err)
{
    switch (op->kind) {
    case WEIR__OP_STREAM_CREATE:
        return check_name("stream name", op->u.stream_create.name,
                          WEIR_NAME_MAX, err);
    case WEIR__OP_OBJECT_RESERVE:
        if (op->u.object_reserve.count == 0 ||
            op->u.object_reserve.count > WEIR__RESERVE_MAX)
            return weir__fail(err, WEIR_EINVAL,
                              "%u object ids reserved at once",
                              (unsigned)op->u.object_reserve.count);
        return 0;
    case WEIR__OP_OBJECT_ADD:
        if (op->u.object_add.kind != WEIR__OBJECT_SET &&
            op->u.object_add.kind != WEIR__OBJECT_STREAM)
            return weir__fail(err, WEIR_EINVAL, "object of kind %d",
                              (int)op->u.object_add.kind);
        if (op->u.object_add.range_count > WEIR__RECORD_MAX / 48)
            return weir__fail(err, WEIR_ETOOBIG, "too many ranges");
        return 0;
    case WEIR__OP_OBJECT_REMOVED:
        if (op->u.object_removed.count > WEIR__RECORD_MAX / 8)
            return weir__fail(err, WEIR_ETOOBIG, "too many objects");
        return 0;
    case WEIR__OP_KV_PUT:
        if (op->u.kv_put.value != NULL && op->u.kv_put.len > WEIR_KV_VALUE_MAX)
            return weir__fail(err, WEIR_ETOOBIG,
                              "value of %zu bytes, at most %d",
                              op->u.kv_put.len, WEIR_KV_VALUE_MAX);
        return check_name("key", op->u.kv_put.key, WEIR_KV_KEY_MAX, err);
    case WEIR__OP_STREAM_HAND:
        if (op->u.stream_hand.count > WEIR__RECORD_MAX / 24)
            return weir__fail(err, WEIR_ETOOBIG, "too many streams");
        return 0;
    case WEIR__OP_NODE_OPEN:
        if (op->u.node_open.wal != NULL &&
            strlen(op->u.node_open.wal) > WEIR__WAL_URI_MAX)
            return weir__fail(err, WEIR_ETOOBIG,
                              "the WAL's URI has more than %u bytes",
                              WEIR__WAL_URI_MAX);
        return 0;
    case WEIR__OP_CLUSTER:
    case WEIR__OP_NODE_BEAT:
    case WEIR__OP_NODE_CLOSE:
    case WEIR__OP_NODE_TRIM:
    case WEIR__OP_STREAM_DELETE:
    case WEIR__OP_STREAM_OPEN:
    case WEIR__OP_STREAM_TRIM:
    case WEIR__OP_NODE_CLEAN:
        return 0;
    }
    return weir__fail(err, WEIR_EINVAL, "operation %d", (int)op->kind);
}

static void write_object_add(struct weir__writer *w, const struct weir__op *op)
{
    const struct weir__range *range = op->u.object_add.ranges;

    weir__write64(w, op->u.object_add.id);
    weir__write64(w, op->u.object_add.size);
    weir__write32(w, (uint32_t)op->u.object_add.kind);
    weir__write32(w, (uint32_t)op->u.object_add.range_count);
    for (size_t i = op->u.object_add.range_count; i > 0; i--, range++) {
        weir__write64(w, range->stream_id);
        weir__write64(w, range->stream_epoch);
        weir__write64(w, range->base);
        weir__write64(w, range->end);
        weir__write64(w, range->bytes);
        weir__write64(w, (uint64_t)range->max_timestamp);
    }
}

static void write_kv_put(struct weir__writer *w, const struct weir__op *op)
{
    size_t key_len = strlen(op->u.kv_put.key);
    int remove = op->u.kv_put.value == NULL;
    size_t len = remove ? 0 : op->u.kv_put.len;

    weir__write64(w, op->u.kv_put.expected);
    weir__write32(w, (uint32_t)len);
    weir__write16(w, (uint16_t)key_len);
    weir__write16(w, remove ? 1 : op->u.kv_put.bound ? 2 : 0);
    weir__write_bytes(w, op->u.kv_put.key, key_len + 1);
    if (len > 0)
        weir__write_bytes(w, op->u.kv_put.value, len);
}

static void write_node_open(struct weir__writer *w, const struct weir__op *op)
{
    const char *wal = op->u.node_open.wal != NULL ? op->u.node_open.wal : "";
    size_t len = strlen(wal);

    weir__write64(w, op->u.node_open.wal_id);
    weir__write32(w, op->u.node_open.node_id);
    weir__write32(w, op->u.node_open.lease_ms);
    weir__write16(w, (uint16_t)len);
    weir__write_bytes(w, wal, len + 1);
    if (op->u.node_open.next != 0)
        weir__write64(w, op->u.node_open.next);
}

static void write_stream_hand(struct weir__writer *w, const struct weir__op *op)
{
    const struct weir__hand *hand = op->u.stream_hand.hands;

    weir__write32(w, op->u.stream_hand.node_id);
    weir__write32(w, (uint32_t)op->u.stream_hand.count);
    for (size_t i = op->u.stream_hand.count; i > 0; i--, hand++) {
        weir__write64(w, hand->stream_id);
        weir__write64(w, hand->stream_epoch);
        weir__write64(w, hand->end);
    }
}

static void write_body(struct weir__writer *w, const struct weir__op *op)
{
    size_t len;

    switch (op->kind) {
    case WEIR__OP_CLUSTER:
        weir__write_bytes(w, op->u.cluster.id, 16);
        break;
    case WEIR__OP_NODE_OPEN:
        write_node_open(w, op);
        break;
    case WEIR__OP_STREAM_CREATE:
        len = strlen(op->u.stream_create.name);
        weir__write16(w, (uint16_t)len);
        weir__write_bytes(w, op->u.stream_create.name, len + 1);
        break;
    case WEIR__OP_STREAM_DELETE:
        weir__write64(w, op->u.stream_delete.id);
        break;
    case WEIR__OP_STREAM_OPEN:
        weir__write64(w, op->u.stream_open.id);
        break;
    case WEIR__OP_STREAM_TRIM:
        weir__write64(w, op->u.stream_trim.id);
        weir__write64(w, op->u.stream_trim.epoch);
        weir__write64(w, op->u.stream_trim.start);
        break;
    case WEIR__OP_OBJECT_RESERVE:
        weir__write32(w, op->u.object_reserve.count);
        break;
    case WEIR__OP_OBJECT_ADD:
        write_object_add(w, op);
        break;
    case WEIR__OP_OBJECT_REMOVED:
        weir__write32(w, (uint32_t)op->u.object_removed.count);
        for (size_t i = 0; i < op->u.object_removed.count; i++)
            weir__write64(w, op->u.object_removed.ids[i]);
        break;
    case WEIR__OP_KV_PUT:
        write_kv_put(w, op);
        break;
    case WEIR__OP_STREAM_HAND:
        write_stream_hand(w, op);
        break;
    case WEIR__OP_NODE_TRIM:
        weir__write64(w, op->u.node_trim.epoch);
        weir__write64(w, op->u.node_trim.slot);
        break;
    case WEIR__OP_NODE_CLEAN:
    case WEIR__OP_NODE_BEAT:
    case WEIR__OP_NODE_CLOSE:
        break;
    }
}

int weir__record_add(struct weir__writer *w, const struct weir__op *op,
                     struct weir_error *err)
{
    size_t mark = w->len;
    int rc = check_op(op, err);

    if (rc != 0)
        return rc;
    weir__write32(w, (uint32_t)op->kind);
    weir__write32(w, 0);
    write_body(w, op);
    if (w->bad) {
        rc = weir__fail(err, WEIR_ENOMEM, "out of memory");
    } else if (w->len > WEIR__RECORD_MAX) {
        rc = weir__fail(err, WEIR_ETOOBIG, "a record of more than %zu bytes",
                        WEIR__RECORD_MAX);
    } else {
        weir__put32(w->data + mark + 4, (uint32_t)(w->len - mark - 8));
        return 0;
    }
    w->len = mark;
    w->bad = false;
    return rc;
}
