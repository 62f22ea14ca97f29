/* SPDX-License-Identifier: Apache-2.0 */
#include "format/manifest_record.h"

#include "base/error.h"

#include <inttypes.h>
#include <weir/kv.h>
#include <weir/stream.h>

/* Least bytes that each thing takes. */
#define NODE 57u
#define PAIR 16u
#define STREAM 50u /* In version 1. */
#define EXTENT 40u
#define DEBT 24u /* In version 1. */
#define OBJECT 32u
#define KEY 20u

void weir__snapshot_begin(struct weir__writer *w)
{
    static const unsigned char zeros[WEIR__SNAPSHOT_HEADER];

    weir__write_bytes(w, zeros, sizeof(zeros));
}

void weir__snapshot_pair(struct weir__writer *w, uint64_t a, uint64_t b)
{
    weir__write64(w, a);
    weir__write64(w, b);
}

void weir__snapshot_node(struct weir__writer *w,
                         const struct weir__snap_node *node)
{
    size_t len = strlen(node->wal);

    weir__write64(w, node->epoch);
    weir__write64(w, node->wal_id);
    weir__write64(w, node->beat);
    weir__write64(w, node->mark_epoch);
    weir__write64(w, node->mark_slot);
    weir__write32(w, node->id);
    weir__write32(w, node->lease_ms);
    weir__write16(w, node->closed);
    weir__write16(w, (uint16_t)len);
    weir__write32(w, node->reserved);
    weir__write_bytes(w, node->wal, len + 1);
}

void weir__snapshot_stream(struct weir__writer *w,
                           const struct weir__snap_stream *stream)
{
    size_t len = strlen(stream->name);

    weir__write64(w, stream->id);
    weir__write64(w, stream->epoch);
    weir__write64(w, stream->start);
    weir__write64(w, stream->committed_end);
    weir__write32(w, stream->owner);
    weir__write16(w, (uint16_t)len);
    weir__write16(w, stream->debts);
    weir__write64(w, stream->extents);
    weir__write64(w, stream->since);
    weir__write_bytes(w, stream->name, len + 1);
}

void weir__snapshot_extent(struct weir__writer *w,
                           const struct weir__snap_extent *extent)
{
    weir__write64(w, extent->base);
    weir__write64(w, extent->end);
    weir__write64(w, extent->object_id);
    weir__write64(w, extent->bytes);
    weir__write64(w, (uint64_t)extent->max_timestamp);
}

void weir__snapshot_debt(struct weir__writer *w,
                         const struct weir__snap_debt *debt)
{
    weir__write64(w, debt->end);
    weir__write64(w, debt->stream_epoch);
    weir__write32(w, debt->node_id);
    weir__write32(w, 0);
    weir__write64(w, debt->since);
}

void weir__snapshot_object(struct weir__writer *w,
                           const struct weir__snap_object *object)
{
    weir__write64(w, object->id);
    weir__write64(w, object->size);
    weir__write64(w, object->node_epoch);
    weir__write32(w, object->node_id);
    weir__write32(w, object->kind);
}

void weir__snapshot_key(struct weir__writer *w,
                        const struct weir__snap_key *key)
{
    size_t len = strlen(key->key);

    weir__write64(w, key->version);
    weir__write32(w, key->len);
    weir__write32(w, key->node_id);
    weir__write16(w, (uint16_t)len);
    weir__write_bytes(w, key->key, len + 1);
    if (key->len > 0)
        weir__write_bytes(w, key->value, key->len);
}

int weir__snapshot_end(struct weir__writer *w,
                       const struct weir__snapshot *header)
{
    unsigned char *data = w->data;

    if (w->bad)
        return WEIR_ENOMEM;
    weir__put32(data, WEIR__SNAPSHOT_MAGIC);
    weir__put16(data + 4, WEIR__SNAPSHOT_VERSION);
    memcpy(data + 24, header->cluster, 16);
    weir__put64(data + 40, header->version);
    weir__put64(data + 48, header->next_stream);
    weir__put64(data + 56, header->next_object);
    weir__put64(data + 64, header->kv_version);
    weir__put32(data + 72, header->named);
    weir__put32(data + 76, header->nodes);
    weir__put64(data + 80, header->streams);
    weir__put64(data + 88, header->objects);
    weir__put64(data + 96, header->dead);
    weir__put64(data + 104, header->keys);
    weir__manifest_seal(data, w->len);
    return 0;
}

static void read_header(struct weir__reader *r, struct weir__snapshot *header)
{
    const unsigned char *cluster;

    weir__read32(r);
    header->format = weir__read16(r);
    weir__read_bytes(r, 18);
    cluster = weir__read_bytes(r, 16);
    if (cluster != NULL)
        memcpy(header->cluster, cluster, 16);
    header->version = weir__read64(r);
    header->next_stream = weir__read64(r);
    header->next_object = weir__read64(r);
    header->kv_version = weir__read64(r);
    header->named = weir__read32(r);
    header->nodes = weir__read32(r);
    header->streams = weir__read64(r);
    header->objects = weir__read64(r);
    header->dead = weir__read64(r);
    header->keys = weir__read64(r);
}

static bool counts_fit(const struct weir__snapshot *header, size_t left)
{
    return header->nodes <= left / NODE && header->streams <= left / STREAM &&
           header->objects <= left / OBJECT && header->dead <= left / PAIR &&
           header->keys <= left / KEY;
}

int weir__snapshot_open(struct weir__reader *r, struct weir__snapshot *header,
                        const void *data, size_t len, uint64_t version,
                        struct weir_error *err)
{
    int rc = weir__manifest_check(data, len, WEIR__SNAPSHOT_MAGIC, "snapshot",
                                  version, err);

    if (rc != 0)
        return rc;
    memset(header, 0, sizeof(*header));
    weir__reader_init(r, data, len);
    read_header(r, header);
    if (r->bad || header->version != version || header->named > 1 ||
        !counts_fit(header, weir__reader_left(r)))
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest snapshot %" PRIu64 ": malformed header",
                          version);
    return 0;
}

bool weir__snapshot_read_node(struct weir__reader *r,
                              struct weir__snap_node *node)
{
    const unsigned char *wal;
    uint16_t len;

    node->epoch = weir__read64(r);
    node->wal_id = weir__read64(r);
    node->beat = weir__read64(r);
    node->mark_epoch = weir__read64(r);
    node->mark_slot = weir__read64(r);
    node->id = weir__read32(r);
    node->lease_ms = weir__read32(r);
    node->closed = weir__read16(r);
    len = weir__read16(r);
    node->reserved = weir__read32(r);
    wal = weir__read_bytes(r, (size_t)len + 1);
    node->wal = (const char *)wal;
    if (wal == NULL || len > WEIR__WAL_URI_MAX || wal[len] != 0 ||
        memchr(wal, 0, len) != NULL || node->closed > 1)
        r->bad = true;
    if (node->reserved > weir__reader_left(r) / PAIR)
        r->bad = true;
    return !r->bad;
}

static const char *read_name(struct weir__reader *r, size_t len)
{
    const unsigned char *name = weir__read_bytes(r, len + 1);

    if (name == NULL || len == 0 || len > WEIR_NAME_MAX || name[len] != 0 ||
        memchr(name, 0, len) != NULL) {
        r->bad = true;
        return NULL;
    }
    return (const char *)name;
}

/* What version 1 does not tell. */
static uint64_t read_since(struct weir__reader *r, unsigned format)
{
    return format >= 2 ? weir__read64(r) : 0;
}

bool weir__snapshot_read_stream(struct weir__reader *r, unsigned format,
                                struct weir__snap_stream *stream)
{
    uint16_t len;

    stream->id = weir__read64(r);
    stream->epoch = weir__read64(r);
    stream->start = weir__read64(r);
    stream->committed_end = weir__read64(r);
    stream->owner = weir__read32(r);
    len = weir__read16(r);
    stream->debts = weir__read16(r);
    stream->extents = weir__read64(r);
    stream->since = read_since(r, format);
    stream->name = read_name(r, len);
    if (stream->extents > weir__reader_left(r) / EXTENT ||
        stream->debts > weir__reader_left(r) / DEBT)
        r->bad = true;
    return !r->bad;
}

bool weir__snapshot_read_extent(struct weir__reader *r,
                                struct weir__snap_extent *extent)
{
    extent->base = weir__read64(r);
    extent->end = weir__read64(r);
    extent->object_id = weir__read64(r);
    extent->bytes = weir__read64(r);
    extent->max_timestamp = (int64_t)weir__read64(r);
    return !r->bad;
}

bool weir__snapshot_read_debt(struct weir__reader *r, unsigned format,
                              struct weir__snap_debt *debt)
{
    debt->end = weir__read64(r);
    debt->stream_epoch = weir__read64(r);
    debt->node_id = weir__read32(r);
    weir__read32(r);
    debt->since = read_since(r, format);
    return !r->bad;
}

bool weir__snapshot_read_object(struct weir__reader *r,
                                struct weir__snap_object *object)
{
    object->id = weir__read64(r);
    object->size = weir__read64(r);
    object->node_epoch = weir__read64(r);
    object->node_id = weir__read32(r);
    object->kind = weir__read32(r);
    if (object->kind != WEIR__OBJECT_SET && object->kind != WEIR__OBJECT_STREAM)
        r->bad = true;
    return !r->bad;
}

bool weir__snapshot_read_key(struct weir__reader *r, struct weir__snap_key *key)
{
    uint16_t len;

    key->version = weir__read64(r);
    key->len = weir__read32(r);
    key->node_id = weir__read32(r);
    len = weir__read16(r);
    key->key = read_name(r, len);
    key->value = weir__read_bytes(r, key->len);
    if (key->len > WEIR_KV_VALUE_MAX)
        r->bad = true;
    return !r->bad;
}
