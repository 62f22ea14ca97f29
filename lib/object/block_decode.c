/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "object/compress.h"
#include "object/reader.h"

/* The header is intact: is it that of the block the index tells of? */
static int check_header(const struct weir__block_header *h,
                        const struct weir__block_expect *expect,
                        const char **why)
{
    const struct weir__index_entry *entry = &expect->entry;

    if (memcmp(h->writer.cluster, expect->cluster, 16) != 0) {
        *why = "a block of another cluster";
        return WEIR_EFOREIGN;
    }
    if (h->writer.object_id != expect->object_id) {
        *why = "a block of another object";
        return WEIR_ECORRUPT;
    }
    if (h->stream_id != entry->stream_id || h->base != entry->base ||
        h->end != entry->end || h->batch_count != entry->batch_count ||
        h->raw_length != entry->raw_length ||
        h->stored_crc32c != entry->stored_crc32c ||
        h->stored_length != entry->length - WEIR__BLOCK_HEADER) {
        *why = "another block than the index tells of";
        return WEIR_ECORRUPT;
    }
    return 0;
}

/* Stored to raw bytes, the stored ones checked. */
static int unpack(unsigned char *raw, const struct weir__block_header *h,
                  const unsigned char *stored, const char **why)
{
    uint32_t crc;

    if (h->codec == WEIR__CODEC_NONE)
        crc = weir__crc32c_copy(0, raw, stored, h->stored_length);
    else
        crc = weir__crc32c(0, stored, h->stored_length);
    if (crc != h->stored_crc32c) {
        *why = "wrong checksum of the stored bytes";
        return WEIR_ECORRUPT;
    }
    if (h->codec == WEIR__CODEC_LZ4 &&
        !weir__decompress(raw, h->raw_length, stored, h->stored_length)) {
        *why = "does not decompress to its raw length";
        return WEIR_ECORRUPT;
    }
    return 0;
}

/* One piece of memory: the block, its batches, their payloads. */
static struct weir__block *block_new(const struct weir_alloc *alloc,
                                     const struct weir__block_header *h,
                                     struct weir_batch **batches,
                                     unsigned char **raw)
{
    size_t at = (size_t)weir__round_up(sizeof(struct weir__block), 16);
    size_t table = (size_t)h->batch_count * sizeof(struct weir_batch);
    size_t size = at + table + h->raw_length;
    unsigned char *memory = weir__malloc(alloc, size);
    struct weir__block *block = (struct weir__block *)(void *)memory;

    if (block == NULL)
        return NULL;
    *batches = (struct weir_batch *)(void *)(memory + at);
    *raw = memory + at + table;
    *block = (struct weir__block){
        .object_id = h->writer.object_id,
        .stream_id = h->stream_id,
        .base = h->base,
        .end = h->end,
        .batches = *batches,
        .count = h->batch_count,
        .memory = size,
        .refs = 1,
        .alloc = alloc,
    };
    return block;
}

int weir__block_decode(struct weir__block **out,
                       const struct weir__block_expect *expect,
                       const unsigned char *data, const char **why)
{
    struct weir__block_header header;
    struct weir__block *block;
    struct weir_batch *batches;
    unsigned char *raw;
    int rc;

    *out = NULL;
    rc = weir__block_header_decode(&header, data, expect->entry.length, why);
    if (rc == 0)
        rc = check_header(&header, expect, why);
    if (rc != 0)
        return rc;
    block = block_new(expect->alloc, &header, &batches, &raw);
    if (block == NULL)
        return WEIR_ENOMEM;
    rc = unpack(raw, &header, data + WEIR__BLOCK_HEADER, why);
    if (rc == 0)
        rc = weir__batches_decode(batches, &header, raw, why);
    if (rc != 0) {
        weir__block_unref(block);
        return rc;
    }
    *out = block;
    return 0;
}

struct weir__block *weir__block_ref(struct weir__block *block)
{
    (void)__atomic_add_fetch(&block->refs, 1, __ATOMIC_RELAXED);
    return block;
}

void weir__block_unref(struct weir__block *block)
{
    if (block != NULL &&
        __atomic_sub_fetch(&block->refs, 1, __ATOMIC_ACQ_REL) == 0)
        weir__free(block->alloc, block);
}
