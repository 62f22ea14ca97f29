/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * LZ4, behind one door.  Pure functions: on any thread, no memory of their
 * own.
 */
#ifndef WEIR_OBJECT_COMPRESS_H
#define WEIR_OBJECT_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

/** Bytes that a first try looks at, to notice data that is compressed
 * already. */
#define WEIR__COMPRESS_PROBE 65536u

/** Bytes of memory, aligned to 8, that compressing needs. */
size_t weir__compress_state_size(void);

/** The most bytes that compressed data may take to be worth it: 95 %. */
size_t weir__compress_limit(size_t raw_length);

/**
 * Compress into at most `room` bytes.
 *
 * @return bytes written; 0 if they do not fit.
 */
size_t weir__compress(void *state, void *to, size_t room, const void *data,
                      size_t len);

/** Decompress to exactly `raw_length` bytes: false if `data` does not give
 * that.  Never reads or writes outside of the two. */
bool weir__decompress(void *to, size_t raw_length, const void *data,
                      size_t len);

#endif
