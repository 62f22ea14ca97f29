/* SPDX-License-Identifier: Apache-2.0 */
#include "object/piece.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "object/compress.h"

/* Payloads of this length or more, on average, are referred to, not copied,
 * when they are stored as they are. */
#define REFER_BYTES 4096u

static size_t table_length(const struct weir__piece *p)
{
    return (size_t)p->entry.batch_count * WEIR__BATCH_ENTRY;
}

static int payload_is_bad(struct weir__piece *p, size_t i)
{
    p->bad = p->first + i;
    return WEIR_ECORRUPT;
}

static void write_table(const struct weir__piece *p, unsigned char *to)
{
    size_t i;

    for (i = 0; i < p->entry.batch_count; i++)
        weir__batch_entry_encode(to + i * WEIR__BATCH_ENTRY,
                                 weir__piece_batch(p, i), p->entry.base);
}

/* All the raw bytes of the block, each payload checked on the way. */
static int write_raw(struct weir__piece *p, unsigned char *to)
{
    size_t i;

    write_table(p, to);
    to += table_length(p);
    for (i = 0; i < p->entry.batch_count; i++) {
        const struct weir_batch *batch = weir__piece_batch(p, i);

        if (weir__crc32c_copy(0, to, batch->data, batch->len) != batch->crc32c)
            return payload_is_bad(p, i);
        to += batch->len;
    }
    return 0;
}

static void write_header(struct weir__piece *p,
                         const struct weir__writer_id *writer,
                         enum weir__codec codec, size_t stored)
{
    struct weir__block_header header = {
        .writer = *writer,
        .stream_id = p->entry.stream_id,
        .base = p->entry.base,
        .end = p->entry.end,
        .batch_count = p->entry.batch_count,
        .raw_length = p->entry.raw_length,
        .stored_length = (uint32_t)stored,
        .stored_crc32c = p->entry.stored_crc32c,
        .codec = codec,
    };

    p->entry.length = WEIR__BLOCK_HEADER + (uint32_t)stored;
    weir__block_header_encode(p->head, &header);
}

/* The first bytes of the payloads, enough for the probe. */
static size_t gather(const struct weir__piece *p, unsigned char *to,
                     size_t room)
{
    size_t at = 0, i;

    for (i = 0; i < p->entry.batch_count && at < room; i++) {
        const struct weir_batch *batch = weir__piece_batch(p, i);
        size_t n = batch->len < room - at ? batch->len : room - at;

        memcpy(to + at, batch->data, n);
        at += n;
    }
    return at;
}

/* Whether the first payload bytes, where there are enough to tell, say that
 * compressing does not pay. */
static bool seems_compressed(const struct weir__piece *p, void *state,
                             unsigned char *raw, unsigned char *room)
{
    size_t n = gather(p, raw, WEIR__COMPRESS_PROBE);

    return n == WEIR__COMPRESS_PROBE &&
           weir__compress(state, room, weir__compress_limit(n), raw, n) == 0;
}

/* Compress into `p->head`, if that pays; else leave it NULL. */
static int try_compress(struct weir__piece *p, const struct weir_alloc *alloc,
                        unsigned char *state, unsigned char *raw)
{
    size_t limit = weir__compress_limit(p->entry.raw_length), n;
    unsigned char *block = weir__malloc(alloc, WEIR__BLOCK_HEADER + limit);
    void *smaller;
    int rc;

    if (block == NULL)
        return WEIR_ENOMEM;
    if (seems_compressed(p, state, raw, block)) {
        weir__free(alloc, block);
        return 0;
    }
    rc = write_raw(p, raw);
    n = rc != 0 ? 0
                : weir__compress(state, block + WEIR__BLOCK_HEADER, limit, raw,
                                 p->entry.raw_length);
    if (n == 0) {
        weir__free(alloc, block);
        return rc;
    }
    smaller = weir__resize(alloc, block, WEIR__BLOCK_HEADER + n, 1);
    p->head = smaller != NULL ? smaller : block;
    p->head_len = WEIR__BLOCK_HEADER + n;
    p->entry.stored_crc32c = weir__crc32c(0, p->head + WEIR__BLOCK_HEADER, n);
    return 0;
}

/* Checks the payloads where they are, and goes on with the checksum. */
static int check_payloads(struct weir__piece *p, uint32_t *crc)
{
    size_t i;

    for (i = 0; i < p->entry.batch_count; i++) {
        const struct weir_batch *batch = weir__piece_batch(p, i);

        if (weir__crc32c(0, batch->data, batch->len) != batch->crc32c)
            return payload_is_bad(p, i);
        *crc = weir__crc32c(*crc, batch->data, batch->len);
    }
    return 0;
}

/* The block as it is: header and table, and the payloads by reference if
 * they are large. */
static int store_raw(struct weir__piece *p, const struct weir_alloc *alloc)
{
    size_t table = table_length(p), raw = p->entry.raw_length;
    unsigned char *body;
    int rc;

    p->refer = (raw - table) / p->entry.batch_count >= REFER_BYTES;
    p->head_len = WEIR__BLOCK_HEADER + (p->refer ? table : raw);
    p->head = weir__malloc(alloc, p->head_len);
    if (p->head == NULL)
        return WEIR_ENOMEM;
    body = p->head + WEIR__BLOCK_HEADER;
    if (!p->refer) {
        rc = write_raw(p, body);
        if (rc == 0)
            p->entry.stored_crc32c = weir__crc32c(0, body, raw);
        return rc;
    }
    write_table(p, body);
    p->entry.stored_crc32c = weir__crc32c(0, body, table);
    return check_payloads(p, &p->entry.stored_crc32c);
}

int weir__piece_make(struct weir__piece *p, const struct weir__build *req)
{
    const struct weir_alloc *alloc = req->host->alloc;
    size_t state_size = weir__round_up(weir__compress_state_size(), 16);
    unsigned char *scratch;
    int rc = 0;

    if (req->compress) {
        scratch = weir__malloc(alloc, state_size + p->entry.raw_length);
        if (scratch == NULL)
            return WEIR_ENOMEM;
        rc = try_compress(p, alloc, scratch, scratch + state_size);
        weir__free(alloc, scratch);
    }
    if (rc != 0)
        return rc;
    if (p->head != NULL) {
        write_header(p, &req->writer, WEIR__CODEC_LZ4,
                     p->head_len - WEIR__BLOCK_HEADER);
        return 0;
    }
    rc = store_raw(p, alloc);
    if (rc == 0)
        write_header(p, &req->writer, WEIR__CODEC_NONE, p->entry.raw_length);
    return rc;
}
