/* SPDX-License-Identifier: Apache-2.0 */
#include "crc32c.h"

#include <string.h>

/* Bytes without the instruction: half-byte steps, the table of sixteen fits
 * in a line of cache and needs no making at start. */
static uint32_t crc32c_plain(uint32_t crc, const unsigned char *at, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    for (; len > 0; len--, at++) {
        crc ^= *at;
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse(uint32_t crc, const unsigned char *at, size_t len)
{
    uint64_t wide = crc, word;

    for (; len >= 8; len -= 8, at += 8) {
        memcpy(&word, at, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; len--, at++)
        crc = _mm_crc32_u8(crc, *at);
    return crc;
}
#endif

uint32_t crc32c(const void *data, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_sse(~0u, data, len);
#endif
    return ~crc32c_plain(~0u, data, len);
}
