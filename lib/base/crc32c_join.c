/* SPDX-License-Identifier: Apache-2.0 */
/* A checksum is the remainder of a polynomial whose coefficients are the bits
 * of what it is of.  To put n bytes behind multiplies that by x^(8n). */
#include "base/crc32c.h"

/* The polynomial without x^32, and x^0 and x^8, bits reversed. */
#define POLYNOMIAL 0x82f63b78u
#define ONE 0x80000000u
#define X_8 0x00800000u

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = ONE; bit != 0; bit >>= 1) {
        if ((a & bit) != 0)
            product ^= b;
        b = (b >> 1) ^ ((b & 1) != 0 ? POLYNOMIAL : 0);
    }
    return product;
}

uint32_t weir__crc32c_power(uint64_t len)
{
    uint32_t power = ONE;
    uint32_t square = X_8;

    for (; len > 0; len >>= 1) {
        if ((len & 1) != 0)
            power = multiply(power, square);
        square = multiply(square, square);
    }
    return power;
}

uint32_t weir__crc32c_join(uint32_t a, uint32_t b, uint32_t power)
{
    return multiply(a, power) ^ b;
}
