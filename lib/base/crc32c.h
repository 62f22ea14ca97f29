/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * CRC32C: the Castagnoli polynomial of RFC 3720, by the processor's own
 * instruction where it has one.
 */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** Checksum of `len` bytes, going on from `crc` (0 to begin). */
uint32_t weir__crc32c(uint32_t crc, const void *data, size_t len);

/** The same, and copies the bytes to `to` in the one pass. */
uint32_t weir__crc32c_copy(uint32_t crc, void *to, const void *data,
                           size_t len);

/** What joins checksums in front of `len` bytes to those of the bytes. */
uint32_t weir__crc32c_power(uint64_t len);
/** Checksum of what `a` is of and, behind it, what `b` is of, without reading
 * either: `power` is that of the length of the latter.  Takes as long as to
 * hash some hundred bytes, and its power ten times that. */
uint32_t weir__crc32c_join(uint32_t a, uint32_t b, uint32_t power);

/** The same in plain C, which tests compare with. */
uint32_t weir__crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
