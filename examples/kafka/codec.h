/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Decompression of record batches.
 *
 * Batches are kept as producers sent them; the server looks inside only to
 * look up a timestamp, or to validate records if it is asked to.
 */
#ifndef KAFKA_CODEC_H
#define KAFKA_CODEC_H

#include <stddef.h>

/** Compression of a batch: the low three bits of its attributes. */
enum codec {
    CODEC_NONE = 0,
    CODEC_GZIP = 1,
    CODEC_SNAPPY = 2,
    CODEC_LZ4 = 3,
    CODEC_ZSTD = 4
};

/** Outcome of a decompression. */
enum codec_status {
    CODEC_OK = 0,
    CODEC_DAMAGED = -1, /* Not what the codec writes, or cut off. */
    CODEC_TOO_BIG = -2, /* More than `limit` comes out. */
    CODEC_NO_MEMORY = -3
};

/** Bytes that grow up to a limit. */
struct codec_out {
    unsigned char *data; /* malloc'd; the caller frees it. */
    size_t len, room;
    size_t limit;
};

/**
 * Decompress `len` bytes at `data`.
 *
 * @param codec  One of `enum codec` but CODEC_NONE.
 * @param out    Zeroed but for `limit`; `out->data` is to be freed whatever
 *               the outcome.
 * @return a `codec_status`.
 */
int codec_decompress(int codec, const void *data, size_t len,
                     struct codec_out *out);

/**
 * Room for some more bytes behind `out->len`, at least one.
 *
 * @return CODEC_OK, CODEC_TOO_BIG (the limit is reached), CODEC_NO_MEMORY.
 */
int codec_grow(struct codec_out *out);

/* The doors to the libraries: one file for each. */
int codec_gzip(const void *data, size_t len, struct codec_out *out);
int codec_snappy(const void *data, size_t len, struct codec_out *out);
int codec_lz4(const void *data, size_t len, struct codec_out *out);
int codec_zstd(const void *data, size_t len, struct codec_out *out);

#endif
