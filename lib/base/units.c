/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uri.h"

#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Digits and a unit; no sign, no spaces, nothing behind. */
static int parse(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            return WEIR_EINVAL;
    if (p == text)
        return WEIR_EINVAL;
    if (n == 0 && *p == '\0') {
        *out = 0;
        return 0;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, p) != 0)
            continue;
        if (__builtin_mul_overflow(n, units->factor, &n))
            return WEIR_EINVAL;
        *out = n;
        return 0;
    }
    return WEIR_EINVAL;
}

int weir__parse_size(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", (uint64_t)1 << 10},
        {"MiB", (uint64_t)1 << 20},
        {"GiB", (uint64_t)1 << 30},
        {"TiB", (uint64_t)1 << 40},
        {NULL, 0},
    };

    return parse(text, units, out);
}

int weir__parse_duration(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"s", 1000000000},
        {"min", (uint64_t)60 * 1000000000},
        {"h", (uint64_t)3600 * 1000000000},
        {NULL, 0},
    };

    return parse(text, units, out);
}
