/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * An object: blocks, then an index of them, then a footer.  Little-endian;
 * "reserved" is written as 0 and not looked at.
 *
 *     block | block | ... | index | footer
 *
 * Each part names its writer, in 36 bytes:
 *
 *     0  16B  cluster id
 *    16  u64  node epoch
 *    24  u64  object id
 *    32  u32  node id
 *
 * A block holds consecutive batches of one stream: a header of 96 bytes and
 * then the stored bytes.
 *
 *     0  u32  magic "WBLK"
 *     4  u8   version (1)
 *     5  u8   codec: 0 stored as they are, 1 one LZ4 block
 *     6  u16  length of the header (96)
 *     8  u64  stream id
 *    16  u64  base offset: first of the first batch
 *    24  u64  end offset: behind the last of the last batch
 *    32  u32  number of batches
 *    36  u32  raw length: of the bytes before compression
 *    40  u32  stored length: of the bytes behind this header
 *    44  u32  CRC32C of the stored bytes
 *    48  36B  writer
 *    84  u64  reserved
 *    92  u32  CRC32C of the bytes before
 *
 * The raw bytes of a block are a table with one entry of 32 bytes for each
 * batch, and then the payloads, one behind the other in the same order.
 *
 *     0  u64  base offset of the batch, less that of the block
 *     8  i64  max timestamp
 *    16  u32  count of offsets
 *    20  u32  length of the payload
 *    24  u32  CRC32C of the payload, as it was appended
 *    28  u32  reserved
 *
 * The index is a header of 64 bytes and one entry of 64 bytes for each
 * block, sorted by stream id and then by base offset.
 *
 *     0  u32  magic "WIDX"                 0  u64  stream id
 *     4  u8   version (1)                  8  u64  base offset
 *     5  u8   reserved                    16  u64  end offset
 *     6  u16  length of the header (64)   24  u64  position in the object
 *     8  u32  number of entries           32  u32  length, header included
 *    12  u16  length of an entry (64)     36  u32  raw length
 *    14  u16  reserved                    40  i64  max timestamp
 *    16  36B  writer                      48  u32  number of batches
 *    52  u32  reserved                    52  u32  CRC32C of stored bytes
 *    56  u32  CRC32C of the entries       56  u32  flags (0)
 *    60  u32  CRC32C of the bytes before  60  u32  reserved
 *
 * The footer is the last 128 bytes of the object, in every version.
 *
 *     0  u32  magic "WFTR"
 *     4  u8   version (1)
 *     5  u8   kind: 1 set object, 2 stream object
 *     6  u16  length of the footer (128)
 *     8  u64  size of the object, footer included
 *    16  u64  position of the index
 *    24  u64  length of the index
 *    32  u32  number of blocks
 *    36  u32  CRC32C of the index
 *    40  36B  writer
 *    76  48B  reserved
 *   124  u32  CRC32C of the bytes before
 */
#ifndef WEIR_FORMAT_OBJECT_H
#define WEIR_FORMAT_OBJECT_H

#include <weir/stream.h>

#define WEIR__BLOCK_HEADER 96u
#define WEIR__BATCH_ENTRY 32u
#define WEIR__INDEX_HEADER 64u
#define WEIR__INDEX_ENTRY 64u
#define WEIR__FOOTER 128u
#define WEIR__OBJECT_VERSION 1u

/** Most raw bytes in a block: one batch of the largest size, and its entry. */
#define WEIR__BLOCK_RAW_MAX (67108864u + WEIR__BATCH_ENTRY)
/** Most blocks in an object. */
#define WEIR__BLOCKS_MAX 4194304u

enum weir__object_kind {
    WEIR__OBJECT_SET = 1,   /* Blocks of many streams. */
    WEIR__OBJECT_STREAM = 2 /* Blocks of one. */
};

enum weir__codec { WEIR__CODEC_NONE = 0, WEIR__CODEC_LZ4 = 1 };

/** Who writes an object: in every block, index and footer. */
struct weir__writer_id {
    unsigned char cluster[16];
    uint64_t node_epoch;
    uint64_t object_id;
    uint32_t node_id;
};

struct weir__block_header {
    struct weir__writer_id writer;
    uint64_t stream_id;
    uint64_t base;
    uint64_t end;
    uint32_t batch_count;
    uint32_t raw_length;
    uint32_t stored_length;
    uint32_t stored_crc32c;
    enum weir__codec codec;
};

/** One block, as the index tells of it. */
struct weir__index_entry {
    uint64_t stream_id;
    uint64_t base;
    uint64_t end;
    uint64_t position;
    int64_t max_timestamp;
    uint32_t length; /* In the object, header included. */
    uint32_t raw_length;
    uint32_t batch_count;
    uint32_t stored_crc32c;
};

struct weir__footer {
    struct weir__writer_id writer;
    uint64_t object_size;
    uint64_t index_position;
    uint64_t index_length;
    uint32_t block_count;
    uint32_t index_crc32c;
    enum weir__object_kind kind;
};

/*
 * The decoders return 0; WEIR_EVERSION (intact, but of a later version);
 * WEIR_ECORRUPT (anything else).  `*why` is set to a constant text that says
 * what is wrong, such as "wrong checksum of the footer".
 */

/** Bytes of an index of so many blocks. */
static inline uint64_t weir__index_size(uint32_t block_count)
{
    return WEIR__INDEX_HEADER + (uint64_t)block_count * WEIR__INDEX_ENTRY;
}

/** Write a block's header into 96 bytes. */
void weir__block_header_encode(unsigned char *to,
                               const struct weir__block_header *header);
/** Read a block's header; its counts and lengths are plausible then. */
int weir__block_header_decode(struct weir__block_header *out,
                              const unsigned char *data, size_t len,
                              const char **why);

/** Write the entry of a batch, in a block that begins at `base`, into 32
 * bytes. */
void weir__batch_entry_encode(unsigned char *to, const struct weir_batch *batch,
                              uint64_t base);
/**
 * Read the raw bytes of a block, and check each payload.
 *
 * @param out     Room for `header->batch_count` batches; their data are
 *                slices of `raw`.
 * @param header  Of the block.
 * @param raw     `header->raw_length` bytes.
 */
int weir__batches_decode(struct weir_batch *out,
                         const struct weir__block_header *header,
                         const unsigned char *raw, const char **why);

/** Write an index into `weir__index_size(count)` bytes. */
void weir__index_encode(unsigned char *to, const struct weir__writer_id *writer,
                        const struct weir__index_entry *entries,
                        uint32_t count);
/**
 * Read an index that the footer tells of.
 *
 * @param out     Room for `footer->block_count` entries.
 * @param footer  Of the object.
 * @param data    `footer->index_length` bytes.
 */
int weir__index_decode(struct weir__index_entry *out,
                       const struct weir__footer *footer,
                       const unsigned char *data, const char **why);

/** Write a footer into 128 bytes. */
void weir__footer_encode(unsigned char *to, const struct weir__footer *footer);
/**
 * Read the footer of an object.  The position and length of the index are
 * in the object then, and fit the number of blocks.
 *
 * @param data         The last 128 bytes of the object.
 * @param object_size  Size that the object is known to have.
 */
int weir__footer_decode(struct weir__footer *out, const unsigned char *data,
                        uint64_t object_size, const char **why);

#endif
