/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * CRC32C (Castagnoli): the checksum of record batches.
 */
#ifndef KAFKA_CRC32C_H
#define KAFKA_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** Checksum of `len` bytes at `data`. */
uint32_t crc32c(const void *data, size_t len);

#endif
