/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Big-endian numbers at any address: how Kafka writes all of its numbers.
 */
#ifndef KAFKA_BYTES_H
#define KAFKA_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load_be16(const void *at)
{
    uint16_t v;

    memcpy(&v, at, sizeof(v));
    return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof(v));
    return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const void *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v));
    return __builtin_bswap64(v);
}

static inline void store_be16(void *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(at, &v, sizeof(v));
}

static inline void store_be32(void *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, sizeof(v));
}

static inline void store_be64(void *at, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(at, &v, sizeof(v));
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bytes.h swaps without asking: teach it about big-endian machines"
#endif

#endif
