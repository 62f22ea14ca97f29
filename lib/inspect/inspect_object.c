/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks an object.  With footer and index intact the index leads; else the
 * blocks are walked from the object's beginning, each telling where the next
 * one is.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "format/object_name.h"
#include "inspect/inspect.h"
#include "object/object.h"

struct walk {
    struct weir__inspect *in;
    const char *key;
    uint64_t size;
    struct weir__footer footer;
    struct weir__index_entry *entries; /* NULL: not to be trusted. */
};

static void add_writer(struct weir__inspect *in,
                       const struct weir__writer_id *writer)
{
    weir__inspect_uint(in, "object_id", writer->object_id);
    weir__inspect_uint(in, "node_id", writer->node_id);
    weir__inspect_uint(in, "node_epoch", writer->node_epoch);
    weir__inspect_id(in, "cluster", writer->cluster, sizeof(writer->cluster));
}

/* ---- Blocks -------------------------------------------------------------- */

static int give_batches(struct walk *w, const struct weir__block *block)
{
    struct weir__inspect *in = w->in;
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < block->count; i++) {
        const struct weir_batch *batch = &block->batches[i];

        weir__inspect_uint(in, "stream_id", block->stream_id);
        weir__inspect_uint(in, "base_offset", batch->base_offset);
        weir__inspect_uint(in, "count", batch->count);
        weir__inspect_time(in, "max_timestamp", batch->max_timestamp);
        weir__inspect_hex(in, "crc32c", batch->crc32c);
        weir__inspect_uint(in, "length", batch->len);
        weir__inspect_bytes(in, "payload", batch->data, batch->len);
        rc = weir__inspect_item(in, "batch", 0, NULL);
    }
    return rc;
}

static void add_block(struct walk *w, const struct weir__writer_id *writer,
                      const struct weir__index_entry *entry,
                      const unsigned char *data)
{
    static const char *const codecs[] = {"none", "lz4"};
    struct weir__inspect *in = w->in;
    struct weir__block_header header;
    const char *why;

    weir__inspect_uint(in, "position", entry->position);
    weir__inspect_uint(in, "length", entry->length);
    weir__inspect_uint(in, "stream_id", entry->stream_id);
    weir__inspect_uint(in, "base_offset", entry->base);
    weir__inspect_uint(in, "end_offset", entry->end);
    weir__inspect_uint(in, "batches", entry->batch_count);
    weir__inspect_uint(in, "raw_length", entry->raw_length);
    weir__inspect_hex(in, "crc32c", entry->stored_crc32c);
    if (w->entries != NULL)
        weir__inspect_time(in, "max_timestamp", entry->max_timestamp);
    if (weir__block_header_decode(&header, data, entry->length, &why) != 0)
        return;
    weir__inspect_text(in, "codec", codecs[header.codec]);
    if (w->entries == NULL)
        add_writer(in, writer);
}

/* Give a block, read from the store, and its batches. */
static int give_block(struct walk *w, const struct weir__writer_id *writer,
                      const struct weir__index_entry *entry)
{
    struct weir__block_expect expect = {
        .alloc = w->in->host.alloc,
        .cluster = writer->cluster,
        .object_id = writer->object_id,
        .entry = *entry,
    };
    struct weir__block *block = NULL;
    struct weir_buf *body;
    const char *why = NULL;
    int rc, status;

    rc =
        weir__inspect_get(w->in, w->key, entry->position, entry->length, &body);
    if (rc != 0)
        return rc;
    status = weir__block_decode(&block, &expect, body->data, &why);
    if (status == WEIR_ENOMEM) {
        weir_buf_unref(body);
        return weir__fail(w->in->err, status, "out of memory");
    }
    add_block(w, writer, entry, body->data);
    rc = weir__inspect_item(w->in, "block", status, why);
    weir_buf_unref(body);
    if (rc == 0 && block != NULL)
        rc = give_batches(w, block);
    weir__block_unref(block);
    return rc;
}

/* ---- Without an index ---------------------------------------------------- */

static int give_lost(struct walk *w, uint64_t position, int status,
                     const char *why)
{
    weir__inspect_uint(w->in, "position", position);
    return weir__inspect_item(w->in, "block", status, why);
}

/* What the index would tell of a block; false: it leaves the object. */
static bool entry_of(struct weir__index_entry *entry,
                     const struct weir__block_header *header, uint64_t position,
                     uint64_t limit)
{
    *entry = (struct weir__index_entry){
        .stream_id = header->stream_id,
        .base = header->base,
        .end = header->end,
        .position = position,
        .max_timestamp = WEIR_NO_TIMESTAMP,
        .length = WEIR__BLOCK_HEADER + header->stored_length,
        .raw_length = header->raw_length,
        .batch_count = header->batch_count,
        .stored_crc32c = header->stored_crc32c,
    };
    return entry->length <= limit - position;
}

/* From block to block, up to `limit`, as far as their headers lead. */
static int scan(struct walk *w, uint64_t limit)
{
    struct weir__index_entry entry;
    struct weir__block_header header;
    struct weir_buf *body;
    uint64_t at = 0;
    const char *why;
    bool index;
    int rc = 0, status;

    while (rc == 0 && at + WEIR__BLOCK_HEADER <= limit) {
        rc = weir__inspect_get(w->in, w->key, at, WEIR__BLOCK_HEADER, &body);
        if (rc != 0)
            return rc;
        status =
            weir__block_header_decode(&header, body->data, body->len, &why);
        index = body->data[0] == 'W' && body->data[1] == 'I';
        weir_buf_unref(body);
        if (status != 0) /* The index: all blocks were seen. */
            return index && at > 0 ? 0 : give_lost(w, at, status, why);
        if (!entry_of(&entry, &header, at, limit))
            return give_lost(w, at, WEIR_ECORRUPT,
                             "the block ends behind the object");
        rc = give_block(w, &header.writer, &entry);
        at += entry.length;
    }
    return rc;
}

/* ---- Footer and index ---------------------------------------------------- */

static void add_footer(struct weir__inspect *in, const struct weir__footer *f)
{
    weir__inspect_text(in, "object_kind",
                       f->kind == WEIR__OBJECT_SET ? "set" : "stream");
    weir__inspect_uint(in, "size", f->object_size);
    weir__inspect_uint(in, "blocks", f->block_count);
    weir__inspect_uint(in, "index_position", f->index_position);
    weir__inspect_uint(in, "index_length", f->index_length);
    weir__inspect_hex(in, "index_crc32c", f->index_crc32c);
    add_writer(in, &f->writer);
}

/* `*whole` tells whether the footer can be trusted. */
static int give_footer(struct walk *w, bool *whole)
{
    struct weir_buf *body;
    const char *why = NULL;
    uint64_t id;
    int rc, status;

    *whole = false;
    if (w->size < WEIR__FOOTER) {
        weir__inspect_uint(w->in, "size", w->size);
        return weir__inspect_item(w->in, "footer", WEIR_ECORRUPT,
                                  "the object is shorter than a footer");
    }
    rc = weir__inspect_get(w->in, w->key, w->size - WEIR__FOOTER, WEIR__FOOTER,
                           &body);
    if (rc != 0)
        return rc;
    status = weir__footer_decode(&w->footer, body->data, w->size, &why);
    weir_buf_unref(body);
    *whole = status == 0;
    if (*whole)
        add_footer(w->in, &w->footer);
    else
        weir__inspect_uint(w->in, "size", w->size);
    if (*whole && weir__object_key_id(w->key, &id) == 0 &&
        id != w->footer.writer.object_id) {
        status = WEIR_ECORRUPT;
        why = "another object than its key tells";
    }
    return weir__inspect_item(w->in, "footer", status, why);
}

static int give_index(struct walk *w)
{
    const struct weir_alloc *alloc = w->in->host.alloc;
    struct weir_buf *body;
    const char *why = NULL;
    int rc, status;

    rc = weir__inspect_get(w->in, w->key, w->footer.index_position,
                           w->footer.index_length, &body);
    if (rc != 0)
        return rc;
    w->entries =
        weir__calloc(alloc, w->footer.block_count, sizeof(*w->entries));
    if (w->entries == NULL) {
        weir_buf_unref(body);
        return weir__fail(w->in->err, WEIR_ENOMEM, "out of memory");
    }
    status = weir__index_decode(w->entries, &w->footer, body->data, &why);
    weir_buf_unref(body);
    if (status != 0) {
        weir__free(alloc, w->entries);
        w->entries = NULL;
    }
    weir__inspect_uint(w->in, "position", w->footer.index_position);
    weir__inspect_uint(w->in, "length", w->footer.index_length);
    weir__inspect_uint(w->in, "blocks", w->footer.block_count);
    return weir__inspect_item(w->in, "index", status, why);
}

static int walk_object(struct walk *w)
{
    struct weir_store_req head = {.verb = WEIR_STORE_HEAD, .key = w->key};
    bool whole;
    uint32_t i;
    int rc;

    rc = weir__inspect_request(w->in, &head);
    w->size = head.size;
    if (rc == 0)
        rc = give_footer(w, &whole);
    if (rc != 0)
        return rc;
    if (!whole)
        return scan(w, w->size);
    rc = give_index(w);
    if (rc == 0 && w->entries == NULL)
        return scan(w, w->footer.index_position);
    for (i = 0; rc == 0 && i < w->footer.block_count; i++)
        rc = give_block(w, &w->footer.writer, &w->entries[i]);
    return rc;
}

int weir_inspect_object(const struct weir_config *config, const char *key,
                        weir_inspect_fn *fn, void *ctx, struct weir_error *err)
{
    struct weir__inspect in;
    struct walk walk = {.in = &in, .key = key};
    int rc;

    rc = weir__inspect_begin(&in, config, fn, ctx, err);
    if (rc == 0 && key == NULL)
        rc = weir__fail(err, WEIR_EINVAL, "no key");
    if (rc == 0)
        rc = weir__inspect_store(&in);
    if (rc == 0)
        rc = walk_object(&walk);
    if (rc == 0 || in.host.alloc != NULL)
        weir__free(in.host.alloc, walk.entries);
    return weir__inspect_end(&in, rc);
}
