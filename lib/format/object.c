/* SPDX-License-Identifier: Apache-2.0 */
#include "format/object.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#define BLOCK_MAGIC 0x4b4c4257u  /* "WBLK" */
#define INDEX_MAGIC 0x58444957u  /* "WIDX" */
#define FOOTER_MAGIC 0x52544657u /* "WFTR" */

/* An LZ4 block grows at most so many times when it is decompressed. */
#define LZ4_MAX_RATIO 255u

static int bad(const char **why, const char *text)
{
    *why = text;
    return WEIR_ECORRUPT;
}

/* Magic, version, length and checksum, which every part has at the same
 * places.  A later version may be longer, but ends in its checksum. */
static int check_part(const unsigned char *data, size_t len, uint32_t magic,
                      size_t size, const char **why)
{
    size_t told;

    if (len < size)
        return bad(why, "too short");
    if (weir__get32(data) != magic)
        return bad(why, "wrong magic");
    told = weir__get16(data + 6);
    if (told < size || told > len)
        return bad(why, "wrong length of the header");
    if (weir__get32(data + told - 4) != weir__crc32c(0, data, told - 4))
        return bad(why, "wrong checksum of the header");
    if (data[4] != WEIR__OBJECT_VERSION) {
        *why = "of a later version";
        return WEIR_EVERSION;
    }
    if (told != size)
        return bad(why, "wrong length of the header");
    return 0;
}

static void begin_part(unsigned char *to, uint32_t magic, uint8_t byte5,
                       uint16_t size)
{
    memset(to, 0, size);
    weir__put32(to, magic);
    to[4] = WEIR__OBJECT_VERSION;
    to[5] = byte5;
    weir__put16(to + 6, size);
}

static void end_part(unsigned char *to, size_t size)
{
    weir__put32(to + size - 4, weir__crc32c(0, to, size - 4));
}

static void writer_encode(unsigned char *to, const struct weir__writer_id *id)
{
    memcpy(to, id->cluster, sizeof(id->cluster));
    weir__put64(to + 16, id->node_epoch);
    weir__put64(to + 24, id->object_id);
    weir__put32(to + 32, id->node_id);
}

static void writer_decode(struct weir__writer_id *out,
                          const unsigned char *data)
{
    memcpy(out->cluster, data, sizeof(out->cluster));
    out->node_epoch = weir__get64(data + 16);
    out->object_id = weir__get64(data + 24);
    out->node_id = weir__get32(data + 32);
}

void weir__block_header_encode(unsigned char *to,
                               const struct weir__block_header *header)
{
    begin_part(to, BLOCK_MAGIC, (uint8_t)header->codec, WEIR__BLOCK_HEADER);
    weir__put64(to + 8, header->stream_id);
    weir__put64(to + 16, header->base);
    weir__put64(to + 24, header->end);
    weir__put32(to + 32, header->batch_count);
    weir__put32(to + 36, header->raw_length);
    weir__put32(to + 40, header->stored_length);
    weir__put32(to + 44, header->stored_crc32c);
    writer_encode(to + 48, &header->writer);
    end_part(to, WEIR__BLOCK_HEADER);
}

/* So that nobody allocates by a length that the stored bytes cannot have. */
static int block_header_plausible(const struct weir__block_header *h,
                                  const char **why)
{
    if (h->base >= h->end || h->batch_count == 0)
        return bad(why, "no offsets in the block");
    if (h->raw_length > WEIR__BLOCK_RAW_MAX ||
        h->raw_length / WEIR__BATCH_ENTRY < h->batch_count)
        return bad(why, "wrong raw length of the block");
    if (h->codec == WEIR__CODEC_NONE && h->stored_length != h->raw_length)
        return bad(why, "raw and stored length differ");
    if (h->raw_length / LZ4_MAX_RATIO > h->stored_length)
        return bad(why, "wrong stored length of the block");
    return 0;
}

int weir__block_header_decode(struct weir__block_header *out,
                              const unsigned char *data, size_t len,
                              const char **why)
{
    int rc = check_part(data, len, BLOCK_MAGIC, WEIR__BLOCK_HEADER, why);

    if (rc != 0)
        return rc;
    if (data[5] > WEIR__CODEC_LZ4) {
        *why = "unknown codec";
        return WEIR_EVERSION;
    }
    out->codec = (enum weir__codec)data[5];
    out->stream_id = weir__get64(data + 8);
    out->base = weir__get64(data + 16);
    out->end = weir__get64(data + 24);
    out->batch_count = weir__get32(data + 32);
    out->raw_length = weir__get32(data + 36);
    out->stored_length = weir__get32(data + 40);
    out->stored_crc32c = weir__get32(data + 44);
    writer_decode(&out->writer, data + 48);
    return block_header_plausible(out, why);
}

void weir__batch_entry_encode(unsigned char *to, const struct weir_batch *batch,
                              uint64_t base)
{
    weir__put64(to, batch->base_offset - base);
    weir__put64(to + 8, (uint64_t)batch->max_timestamp);
    weir__put32(to + 16, batch->count);
    weir__put32(to + 20, (uint32_t)batch->len);
    weir__put32(to + 24, batch->crc32c);
    weir__put32(to + 28, 0);
}

int weir__batches_decode(struct weir_batch *out,
                         const struct weir__block_header *header,
                         const unsigned char *raw, const char **why)
{
    uint64_t next = header->base;
    size_t at = (size_t)header->batch_count * WEIR__BATCH_ENTRY;
    uint32_t i;

    for (i = 0; i < header->batch_count; i++) {
        const unsigned char *entry = raw + (size_t)i * WEIR__BATCH_ENTRY;
        struct weir_batch *batch = &out[i];

        batch->base_offset = header->base + weir__get64(entry);
        batch->max_timestamp = (int64_t)weir__get64(entry + 8);
        batch->count = weir__get32(entry + 16);
        batch->len = weir__get32(entry + 20);
        batch->crc32c = weir__get32(entry + 24);
        batch->data = raw + at;
        if (batch->base_offset != next || batch->count == 0 ||
            batch->count > header->end - next)
            return bad(why, "batches do not join on");
        if (batch->len > header->raw_length - at)
            return bad(why, "a batch ends outside of its block");
        if (weir__crc32c(0, batch->data, batch->len) != batch->crc32c)
            return bad(why, "wrong checksum of a payload");
        next += batch->count;
        at += batch->len;
    }
    if (next != header->end || at != header->raw_length)
        return bad(why, "batches do not fill their block");
    return 0;
}

static void entry_encode(unsigned char *to, const struct weir__index_entry *e)
{
    memset(to, 0, WEIR__INDEX_ENTRY);
    weir__put64(to, e->stream_id);
    weir__put64(to + 8, e->base);
    weir__put64(to + 16, e->end);
    weir__put64(to + 24, e->position);
    weir__put32(to + 32, e->length);
    weir__put32(to + 36, e->raw_length);
    weir__put64(to + 40, (uint64_t)e->max_timestamp);
    weir__put32(to + 48, e->batch_count);
    weir__put32(to + 52, e->stored_crc32c);
}

void weir__index_encode(unsigned char *to, const struct weir__writer_id *writer,
                        const struct weir__index_entry *entries, uint32_t count)
{
    unsigned char *at = to + WEIR__INDEX_HEADER;
    uint32_t i;

    for (i = 0; i < count; i++)
        entry_encode(at + (size_t)i * WEIR__INDEX_ENTRY, &entries[i]);
    begin_part(to, INDEX_MAGIC, 0, WEIR__INDEX_HEADER);
    weir__put32(to + 8, count);
    weir__put16(to + 12, WEIR__INDEX_ENTRY);
    writer_encode(to + 16, writer);
    weir__put32(to + 56,
                weir__crc32c(0, at, (size_t)count * WEIR__INDEX_ENTRY));
    end_part(to, WEIR__INDEX_HEADER);
}

/* An entry after `last` (NULL for the first), inside the blocks' part. */
static int entry_decode(struct weir__index_entry *out,
                        const struct weir__index_entry *last,
                        const unsigned char *data, uint64_t room,
                        const char **why)
{
    out->stream_id = weir__get64(data);
    out->base = weir__get64(data + 8);
    out->end = weir__get64(data + 16);
    out->position = weir__get64(data + 24);
    out->length = weir__get32(data + 32);
    out->raw_length = weir__get32(data + 36);
    out->max_timestamp = (int64_t)weir__get64(data + 40);
    out->batch_count = weir__get32(data + 48);
    out->stored_crc32c = weir__get32(data + 52);
    if (weir__get32(data + 56) != 0) {
        *why = "unknown flags of a block";
        return WEIR_EVERSION;
    }
    if (out->base >= out->end || out->length <= WEIR__BLOCK_HEADER ||
        out->raw_length > WEIR__BLOCK_RAW_MAX ||
        out->length > WEIR__BLOCK_HEADER + WEIR__BLOCK_RAW_MAX ||
        out->raw_length / LZ4_MAX_RATIO > out->length)
        return bad(why, "impossible entry of the index");
    if (out->position > room || out->length > room - out->position)
        return bad(why, "a block outside of the object");
    if (last != NULL &&
        (last->stream_id > out->stream_id ||
         (last->stream_id == out->stream_id && last->end > out->base)))
        return bad(why, "entries of the index out of order");
    return 0;
}

static int same_writer(const struct weir__writer_id *a,
                       const struct weir__writer_id *b)
{
    return memcmp(a->cluster, b->cluster, sizeof(a->cluster)) == 0 &&
           a->node_epoch == b->node_epoch && a->object_id == b->object_id &&
           a->node_id == b->node_id;
}

int weir__index_decode(struct weir__index_entry *out,
                       const struct weir__footer *footer,
                       const unsigned char *data, const char **why)
{
    const unsigned char *at = data + WEIR__INDEX_HEADER;
    size_t size = (size_t)footer->block_count * WEIR__INDEX_ENTRY;
    struct weir__writer_id writer;
    uint32_t i;
    int rc;

    rc = check_part(data, (size_t)footer->index_length, INDEX_MAGIC,
                    WEIR__INDEX_HEADER, why);
    if (rc != 0)
        return rc;
    writer_decode(&writer, data + 16);
    if (weir__get32(data + 8) != footer->block_count ||
        weir__get16(data + 12) != WEIR__INDEX_ENTRY ||
        !same_writer(&writer, &footer->writer))
        return bad(why, "the index does not belong to the footer");
    if (weir__get32(data + 56) != weir__crc32c(0, at, size) ||
        footer->index_crc32c !=
            weir__crc32c(0, data, (size_t)footer->index_length))
        return bad(why, "wrong checksum of the entries");
    for (i = 0; i < footer->block_count; i++) {
        rc = entry_decode(&out[i], i == 0 ? NULL : &out[i - 1],
                          at + (size_t)i * WEIR__INDEX_ENTRY,
                          footer->index_position, why);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void weir__footer_encode(unsigned char *to, const struct weir__footer *footer)
{
    begin_part(to, FOOTER_MAGIC, (uint8_t)footer->kind, WEIR__FOOTER);
    weir__put64(to + 8, footer->object_size);
    weir__put64(to + 16, footer->index_position);
    weir__put64(to + 24, footer->index_length);
    weir__put32(to + 32, footer->block_count);
    weir__put32(to + 36, footer->index_crc32c);
    writer_encode(to + 40, &footer->writer);
    end_part(to, WEIR__FOOTER);
}

int weir__footer_decode(struct weir__footer *out, const unsigned char *data,
                        uint64_t object_size, const char **why)
{
    int rc = check_part(data, WEIR__FOOTER, FOOTER_MAGIC, WEIR__FOOTER, why);

    if (rc != 0)
        return rc;
    out->kind = (enum weir__object_kind)data[5];
    out->object_size = weir__get64(data + 8);
    out->index_position = weir__get64(data + 16);
    out->index_length = weir__get64(data + 24);
    out->block_count = weir__get32(data + 32);
    out->index_crc32c = weir__get32(data + 36);
    writer_decode(&out->writer, data + 40);
    if (out->object_size != object_size)
        return bad(why, "another size than the footer tells");
    if (out->block_count == 0 || out->block_count > WEIR__BLOCKS_MAX ||
        out->index_length != weir__index_size(out->block_count) ||
        object_size < out->index_length + WEIR__FOOTER ||
        out->index_position != object_size - WEIR__FOOTER - out->index_length)
        return bad(why, "no such index in the object");
    return 0;
}
