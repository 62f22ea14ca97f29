/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>

#define TARGET __attribute__((target("sse4.2,pclmul")))
#define INLINE static inline TARGET __attribute__((always_inline))

/* The instruction takes three cycles but one can begin in each, so three
 * lanes run side by side and are joined: the checksum of a lane is moved past
 * the bytes behind it by multiplying it with a power of x.  SHIFT_n is
 * x^(8n-33) modulo the polynomial, bits reversed; 33 because the product of
 * two reversed numbers is one bit off, and the reduction multiplies by
 * x^32. */
enum { SHORT_LANE = 128, LONG_LANE = 1024 };
#define SHIFT_128 0x0d3b6092u
#define SHIFT_256 0xb9e02b86u
#define SHIFT_1024 0x170076fau
#define SHIFT_2048 0xa51b6135u

INLINE uint64_t word_at(const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

INLINE uint64_t step(uint64_t crc, unsigned char *to, const unsigned char *p,
                     size_t at, bool copy)
{
    uint64_t word = word_at(p + at);

    if (copy)
        memcpy(to + at, &word, sizeof(word));
    return _mm_crc32_u64(crc, word);
}

INLINE uint32_t shift(uint64_t crc, uint32_t power)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc),
                                           _mm_cvtsi32_si128((int)power), 0);

    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

INLINE uint32_t three_lanes(uint32_t crc, unsigned char *to,
                            const unsigned char *p, size_t lane, bool copy)
{
    bool is_long = lane == LONG_LANE;
    uint64_t a = crc;
    uint64_t b = 0;
    uint64_t c = 0;
    size_t i;

    for (i = 0; i < lane; i += 8) {
        a = step(a, to, p, i, copy);
        b = step(b, to, p, lane + i, copy);
        c = step(c, to, p, 2 * lane + i, copy);
    }
    return shift(a, is_long ? SHIFT_2048 : SHIFT_256) ^
           shift(b, is_long ? SHIFT_1024 : SHIFT_128) ^ (uint32_t)c;
}

INLINE uint32_t run(uint32_t crc, unsigned char *to, const unsigned char *p,
                    size_t len, bool copy)
{
    size_t at = 0;

    for (; len - at >= 3 * LONG_LANE; at += 3 * LONG_LANE)
        crc = three_lanes(crc, to + at, p + at, LONG_LANE, copy);
    for (; len - at >= 3 * SHORT_LANE; at += 3 * SHORT_LANE)
        crc = three_lanes(crc, to + at, p + at, SHORT_LANE, copy);
    for (; len - at >= 8; at += 8)
        crc = (uint32_t)step(crc, to, p, at, copy);
    for (; at < len; at++) {
        if (copy)
            to[at] = p[at];
        crc = _mm_crc32_u8(crc, p[at]);
    }
    return crc;
}

TARGET static uint32_t fast(uint32_t crc, const void *data, size_t len)
{
    unsigned char none = 0; /* Never written: the copy is compiled out. */

    return ~run(~crc, &none, data, len, false);
}

TARGET static uint32_t fast_copy(uint32_t crc, void *to, const void *data,
                                 size_t len)
{
    return ~run(~crc, to, data, len, true);
}

static bool have_fast(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static bool have_fast(void)
{
    return true;
}

static uint32_t fast_copy(uint32_t crc, void *to, const void *data, size_t len)
{
    const unsigned char *p = data;
    unsigned char *q = to;
    uint64_t word;

    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&word, p, sizeof(word));
        if (q != NULL) {
            memcpy(q, &word, sizeof(word));
            q += 8;
        }
        crc = __crc32cd(crc, word);
    }
    for (; len > 0; len--, p++) {
        if (q != NULL)
            *q++ = *p;
        crc = __crc32cb(crc, *p);
    }
    return ~crc;
}

static uint32_t fast(uint32_t crc, const void *data, size_t len)
{
    return fast_copy(crc, NULL, data, len);
}

#else

static bool have_fast(void)
{
    return false;
}

static uint32_t fast(uint32_t crc, const void *data, size_t len)
{
    return weir__crc32c_portable(crc, data, len);
}

static uint32_t fast_copy(uint32_t crc, void *to, const void *data, size_t len)
{
    memcpy(to, data, len);
    return weir__crc32c_portable(crc, data, len);
}

#endif

uint32_t weir__crc32c(uint32_t crc, const void *data, size_t len)
{
    if (!have_fast())
        return weir__crc32c_portable(crc, data, len);
    return fast(crc, data, len);
}

uint32_t weir__crc32c_copy(uint32_t crc, void *to, const void *data, size_t len)
{
    if (have_fast())
        return fast_copy(crc, to, data, len);
    if (len > 0)
        memcpy(to, data, len);
    return weir__crc32c_portable(crc, data, len);
}
