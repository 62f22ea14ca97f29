/* SPDX-License-Identifier: Apache-2.0 */
#include "format/manifest_record.h"

#include "base/alloc.h"
#include "base/error.h"

#include <inttypes.h>
#include <weir/kv.h>
#include <weir/stream.h>

#define RANGE 48u
#define HAND 24u

static void read_header(struct weir__record *header, const unsigned char *data)
{
    header->format = weir__get16(data + 4);
    memcpy(header->cluster, data + 24, 16);
    header->version = weir__get64(data + 40);
    memcpy(header->nonce, data + 48, 16);
    header->node_epoch = weir__get64(data + 64);
    header->wall = (int64_t)weir__get64(data + 72);
    header->node_id = weir__get32(data + 80);
    header->op_count = weir__get32(data + 84);
    header->carried =
        header->format >= WEIR__COMMIT_CARRIES ? weir__get32(data + 12) : 0;
}

/* `len` bytes without a zero, and a zero behind them; NULL: they are not. */
static const char *read_name(struct weir__reader *r, size_t len, size_t max)
{
    const unsigned char *name = weir__read_bytes(r, len + 1);

    if (name == NULL || len == 0 || len > max || name[len] != 0 ||
        memchr(name, 0, len) != NULL)
        return NULL;
    return (const char *)name;
}

static bool read_kv_put(struct weir__reader *r, struct weir__op *op)
{
    uint32_t len;
    uint16_t key_len;
    uint16_t flags;

    op->u.kv_put.expected = weir__read64(r);
    len = weir__read32(r);
    key_len = weir__read16(r);
    flags = weir__read16(r);
    op->u.kv_put.key = read_name(r, key_len, WEIR_KV_KEY_MAX);
    op->u.kv_put.value = weir__read_bytes(r, len);
    op->u.kv_put.len = len;
    if (flags == 1)
        op->u.kv_put.value = NULL;
    op->u.kv_put.bound = flags == 2;
    return !r->bad && op->u.kv_put.key != NULL && flags <= 2 &&
           len <= WEIR_KV_VALUE_MAX && (flags != 1 || len == 0);
}

/* All but the ranges: `r` is left in front of them. */
static bool read_object_add(struct weir__reader *r, struct weir__op *op)
{
    uint32_t kind;

    op->u.object_add.id = weir__read64(r);
    op->u.object_add.size = weir__read64(r);
    kind = weir__read32(r);
    op->u.object_add.range_count = weir__read32(r);
    op->u.object_add.kind =
        kind == WEIR__OBJECT_STREAM ? WEIR__OBJECT_STREAM : WEIR__OBJECT_SET;
    return !r->bad &&
           (kind == WEIR__OBJECT_SET || kind == WEIR__OBJECT_STREAM) &&
           op->u.object_add.range_count == weir__reader_left(r) / RANGE &&
           weir__reader_left(r) % RANGE == 0;
}

static bool read_node_open(struct weir__reader *r, struct weir__op *op)
{
    const unsigned char *wal;
    uint16_t len;

    op->u.node_open.wal_id = weir__read64(r);
    op->u.node_open.node_id = weir__read32(r);
    op->u.node_open.lease_ms = weir__read32(r);
    len = weir__read16(r);
    wal = weir__read_bytes(r, (size_t)len + 1);
    op->u.node_open.wal = (const char *)wal;
    if (wal != NULL && weir__reader_left(r) > 0) {
        op->u.node_open.next = weir__read64(r);
        if (r->bad || op->u.node_open.next == 0)
            return false;
    }
    return wal != NULL && len <= WEIR__WAL_URI_MAX && wal[len] == 0 &&
           memchr(wal, 0, len) == NULL;
}

static bool read_small_body(struct weir__reader *r, struct weir__op *op)
{
    const unsigned char *id;

    switch (op->kind) {
    case WEIR__OP_CLUSTER:
        id = weir__read_bytes(r, 16);
        if (id != NULL)
            memcpy(op->u.cluster.id, id, 16);
        return id != NULL;
    case WEIR__OP_NODE_OPEN:
        return read_node_open(r, op);
    case WEIR__OP_NODE_TRIM:
        op->u.node_trim.epoch = weir__read64(r);
        op->u.node_trim.slot = weir__read64(r);
        return !r->bad;
    case WEIR__OP_NODE_CLEAN:
    case WEIR__OP_NODE_BEAT:
    case WEIR__OP_NODE_CLOSE:
        return true;
    case WEIR__OP_STREAM_CREATE:
        op->u.stream_create.name = read_name(r, weir__read16(r), WEIR_NAME_MAX);
        return op->u.stream_create.name != NULL;
    case WEIR__OP_STREAM_DELETE:
        op->u.stream_delete.id = weir__read64(r);
        return !r->bad;
    case WEIR__OP_STREAM_OPEN:
        op->u.stream_open.id = weir__read64(r);
        return !r->bad;
    case WEIR__OP_STREAM_TRIM:
        op->u.stream_trim.id = weir__read64(r);
        op->u.stream_trim.epoch = weir__read64(r);
        op->u.stream_trim.start = weir__read64(r);
        return !r->bad;
    case WEIR__OP_OBJECT_RESERVE:
        op->u.object_reserve.count = weir__read32(r);
        return op->u.object_reserve.count > 0 &&
               op->u.object_reserve.count <= WEIR__RESERVE_MAX;
    case WEIR__OP_OBJECT_REMOVED:
        op->u.object_removed.count = weir__read32(r);
        return !r->bad &&
               op->u.object_removed.count == weir__reader_left(r) / 8 &&
               weir__reader_left(r) % 8 == 0;
    case WEIR__OP_OBJECT_ADD:
        return read_object_add(r, op);
    case WEIR__OP_STREAM_HAND:
        op->u.stream_hand.node_id = weir__read32(r);
        op->u.stream_hand.count = weir__read32(r);
        return !r->bad &&
               op->u.stream_hand.count == weir__reader_left(r) / HAND &&
               weir__reader_left(r) % HAND == 0;
    case WEIR__OP_KV_PUT:
        return read_kv_put(r, op);
    }
    return false;
}

/* One operation but for its ranges and ids, which `body` is left in front
 * of.  False: these bytes are none. */
static bool read_op(struct weir__reader *r, struct weir__op *op,
                    struct weir__reader *body)
{
    uint32_t kind = weir__read32(r);
    uint32_t len = weir__read32(r);
    const unsigned char *data = weir__read_bytes(r, len);

    if (data == NULL || kind < WEIR__OP_CLUSTER || kind > WEIR__OP_STREAM_HAND)
        return false;
    memset(op, 0, sizeof(*op));
    op->kind = (enum weir__op_kind)kind;
    weir__reader_init(body, data, len);
    if (!read_small_body(body, op))
        return false;
    return op->kind == WEIR__OP_OBJECT_ADD ||
           op->kind == WEIR__OP_OBJECT_REMOVED ||
           op->kind == WEIR__OP_STREAM_HAND || weir__reader_left(body) == 0;
}

/* Look at every operation before the first is applied: a commit counts as a
 * whole or not at all. */
static bool check_ops(struct weir__reader r, uint32_t count, uint16_t format)
{
    struct weir__reader body;
    struct weir__op op;

    for (; count > 0; count--)
        if (!read_op(&r, &op, &body) || weir__op_format(&op) > format)
            return false;
    return weir__reader_left(&r) == 0;
}

int weir__record_open(struct weir__record_reader *r,
                      const struct weir_alloc *alloc, const void *data,
                      size_t len, uint64_t version,
                      const unsigned char *cluster, struct weir_error *err)
{
    int rc = weir__manifest_check(data, len, WEIR__COMMIT_MAGIC, "commit",
                                  version, err);

    if (rc != 0)
        return rc;
    memset(r, 0, sizeof(*r));
    r->alloc = alloc;
    if (len < WEIR__RECORD_HEADER || len > WEIR__RECORD_MAX)
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest commit %" PRIu64 ": %zu bytes", version,
                          len);
    read_header(&r->header, data);
    if (r->header.carried > len - WEIR__RECORD_HEADER)
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest commit %" PRIu64 ": carries %" PRIu32
                          " of %zu bytes",
                          version, r->header.carried, len);
    weir__reader_init(&r->at, data, len - r->header.carried);
    weir__read_bytes(&r->at, WEIR__RECORD_HEADER);
    r->left = r->header.op_count;
    if (cluster != NULL && memcmp(cluster, r->header.cluster, 16) != 0)
        return weir__fail(err, WEIR_EFOREIGN,
                          "manifest commit %" PRIu64 ": of another cluster",
                          version);
    if (r->header.version != version)
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest commit %" PRIu64 ": holds commit %" PRIu64,
                          version, r->header.version);
    if (!check_ops(r->at, r->left, r->header.format))
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest commit %" PRIu64 ": malformed operation",
                          version);
    return 0;
}

static bool read_ranges(struct weir__record_reader *r,
                        struct weir__reader *body, struct weir__op *op)
{
    size_t count = op->u.object_add.range_count;

    if (count > r->range_room) {
        struct weir__range *ranges =
            weir__resize(r->alloc, r->ranges, count, sizeof(*ranges));

        if (ranges == NULL)
            return false;
        r->ranges = ranges;
        r->range_room = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct weir__range *range = &r->ranges[i];

        range->stream_id = weir__read64(body);
        range->stream_epoch = weir__read64(body);
        range->base = weir__read64(body);
        range->end = weir__read64(body);
        range->bytes = weir__read64(body);
        range->max_timestamp = (int64_t)weir__read64(body);
        range->status = 0;
    }
    op->u.object_add.ranges = r->ranges;
    return true;
}

static bool read_ids(struct weir__record_reader *r, struct weir__reader *body,
                     struct weir__op *op)
{
    size_t count = op->u.object_removed.count;

    if (count > r->id_room) {
        uint64_t *ids = weir__resize(r->alloc, r->ids, count, sizeof(*ids));

        if (ids == NULL)
            return false;
        r->ids = ids;
        r->id_room = count;
    }
    for (size_t i = 0; i < count; i++)
        r->ids[i] = weir__read64(body);
    op->u.object_removed.ids = r->ids;
    return true;
}

static bool read_hands(struct weir__record_reader *r, struct weir__reader *body,
                       struct weir__op *op)
{
    size_t count = op->u.stream_hand.count;

    if (count > r->hand_room) {
        struct weir__hand *hands =
            weir__resize(r->alloc, r->hands, count, sizeof(*hands));

        if (hands == NULL)
            return false;
        r->hands = hands;
        r->hand_room = count;
    }
    for (size_t i = 0; i < count; i++) {
        r->hands[i].stream_id = weir__read64(body);
        r->hands[i].stream_epoch = weir__read64(body);
        r->hands[i].end = weir__read64(body);
        r->hands[i].status = 0;
    }
    op->u.stream_hand.hands = r->hands;
    return true;
}

int weir__record_next(struct weir__record_reader *r, struct weir__op *op)
{
    struct weir__reader at = r->at;
    struct weir__reader body;

    if (r->left == 0 || !read_op(&at, op, &body))
        return 0;
    if (op->kind == WEIR__OP_OBJECT_ADD && !read_ranges(r, &body, op))
        return WEIR_ENOMEM;
    if (op->kind == WEIR__OP_OBJECT_REMOVED && !read_ids(r, &body, op))
        return WEIR_ENOMEM;
    if (op->kind == WEIR__OP_STREAM_HAND && !read_hands(r, &body, op))
        return WEIR_ENOMEM;
    r->at = at;
    r->left--;
    return 1;
}

void weir__record_close(struct weir__record_reader *r)
{
    weir__free(r->alloc, r->ranges);
    weir__free(r->alloc, r->ids);
    weir__free(r->alloc, r->hands);
    r->ranges = NULL;
    r->ids = NULL;
    r->hands = NULL;
}

uint64_t weir__record_carried(const unsigned char *data, size_t len, size_t *at,
                              struct weir_iov *out)
{
    size_t carried = 0;
    uint64_t own;

    if (len < WEIR__RECORD_HEADER)
        return 0;
    if (weir__get16(data + 4) >= WEIR__COMMIT_CARRIES)
        carried = weir__get32(data + 12);
    if (carried > len - WEIR__RECORD_HEADER)
        return 0;
    if (*at == 0)
        *at = len - carried;
    if (len - *at < WEIR__RECORD_HEADER)
        return 0;
    own = weir__get64(data + *at + 16);
    if (own < WEIR__RECORD_HEADER || own > len - *at)
        return 0;
    *out = (struct weir_iov){data + *at, (size_t)own};
    *at += (size_t)own;
    return weir__get64((const unsigned char *)out->data + 40);
}

void weir__record_strip(unsigned char *data, size_t len)
{
    weir__put32(data + 12, 0);
    weir__manifest_seal(data, len);
}
