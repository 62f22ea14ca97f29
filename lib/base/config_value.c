/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_value.h"

#include "base/error.h"
#include "base/uri.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_ROOM = 32, KEY_MAX = 32 };

struct scale {
    int64_t factor;
    const char *unit;
};

/* A number in the largest unit that divides it. */
static void format_number(char *to, enum weir_type type, int64_t n)
{
    static const struct scale sizes[] = {{(int64_t)1 << 30, "GiB"},
                                         {1 << 20, "MiB"},
                                         {1 << 10, "KiB"},
                                         {1, "B"}};
    static const struct scale times[] = {
        {1000000000, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
    const struct scale *scale = type == WEIR_TYPE_SIZE ? sizes : times;

    if (type == WEIR_TYPE_INT || n == 0) {
        snprintf(to, NUMBER_ROOM, "%" PRId64, n);
        return;
    }
    while (n % scale->factor != 0)
        scale++;
    snprintf(to, NUMBER_ROOM, "%" PRId64 "%s", n / scale->factor, scale->unit);
}

static int bad_number(const struct weir_property *property, const char *value,
                      struct weir_error *err)
{
    const char *what = property->type == WEIR_TYPE_INT    ? "a number"
                       : property->type == WEIR_TYPE_SIZE ? "a size such as "
                                                            "64MiB"
                                                          : "a duration such "
                                                            "as 10s";
    char min[NUMBER_ROOM];
    char max[NUMBER_ROOM];

    format_number(min, property->type, property->min);
    if (property->max == INT64_MAX)
        return weir__fail(err, WEIR_EINVAL,
                          "%s: expected %s, at least %s, not \"%s\"",
                          property->key, what, min, value);
    format_number(max, property->type, property->max);
    return weir__fail(err, WEIR_EINVAL,
                      "%s: expected %s, from %s to %s, not \"%s\"",
                      property->key, what, min, max, value);
}

static int parse_int(const char *value, uint64_t *out)
{
    uint64_t n;

    /* A size without a unit is a plain number. */
    if (value[strspn(value, "0123456789")] != '\0' ||
        weir__parse_size(value, &n) != 0)
        return WEIR_EINVAL;
    *out = n;
    return 0;
}

static int parse_number(const struct weir_property *property, const char *value,
                        int64_t *number, struct weir_error *err)
{
    uint64_t n;
    int rc = property->type == WEIR_TYPE_INT ? parse_int(value, &n)
             : property->type == WEIR_TYPE_SIZE
                 ? weir__parse_size(value, &n)
                 : weir__parse_duration(value, &n);

    if (rc != 0 || n > INT64_MAX || (int64_t)n < property->min ||
        (int64_t)n > property->max)
        return bad_number(property, value, err);
    *number = (int64_t)n;
    return 0;
}

static int parse_bool(const struct weir_property *property, const char *value,
                      int64_t *number, struct weir_error *err)
{
    *number = strcmp(value, "true") == 0;
    if (*number == 0 && strcmp(value, "false") != 0)
        return weir__fail(err, WEIR_EINVAL,
                          "%s: expected true or false, not \"%s\"",
                          property->key, value);
    return 0;
}

static int parse_enum(const struct weir_property *property, const char *value,
                      int64_t *number, struct weir_error *err)
{
    const char *word = property->words;
    size_t len = strlen(value);

    for (*number = 0;; (*number)++) {
        size_t n = strcspn(word, "|");

        if (n == len && len > 0 && memcmp(word, value, n) == 0)
            return 0;
        if (word[n] == '\0')
            break;
        word += n + 1;
    }
    return weir__fail(err, WEIR_EINVAL, "%s: expected %s, not \"%s\"",
                      property->key, property->words, value);
}

static int parse_uri(const struct weir_property *property,
                     const struct weir_alloc *alloc, const char *value,
                     struct weir_error *err)
{
    struct weir_error cause = {0};
    struct weir__uri uri;
    int rc = weir__uri_parse(&uri, alloc, value, &cause);

    if (rc != 0)
        return weir__fail(err, rc, "%s: %.200s", property->key, cause.text);
    weir__uri_free(&uri);
    return 0;
}

int weir__config_parse(const struct weir_property *property,
                       const struct weir_alloc *alloc, const char *value,
                       int64_t *number, struct weir_error *err)
{
    *number = 0;
    switch (property->type) {
    case WEIR_TYPE_URI:
        return parse_uri(property, alloc, value, err);
    case WEIR_TYPE_INT:
    case WEIR_TYPE_SIZE:
    case WEIR_TYPE_DURATION:
        return parse_number(property, value, number, err);
    case WEIR_TYPE_BOOL:
        return parse_bool(property, value, number, err);
    case WEIR_TYPE_ENUM:
        return parse_enum(property, value, number, err);
    case WEIR_TYPE_STRING:
    case WEIR_TYPE_SECRET:
        break;
    }
    return 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must change, come or go between two keys. */
static size_t distance(const char *a, const char *b)
{
    size_t row[KEY_MAX + 1];
    size_t len = strlen(b);
    size_t i;
    size_t j;

    if (strlen(a) > KEY_MAX || len > KEY_MAX)
        return SIZE_MAX;
    for (j = 0; j <= len; j++)
        row[j] = j;
    for (i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (j = 1; j <= len; j++) {
            size_t replace = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            row[j] = least(replace, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[len];
}

const struct weir_property *weir__config_nearest(const char *key)
{
    const struct weir_property *best = NULL;
    size_t best_distance = 1 + least(3, strlen(key) / 2);
    size_t count;
    const struct weir_property *table = weir_config_properties(&count);
    size_t i;

    for (i = 0; i < count; i++) {
        size_t d = distance(key, table[i].key);

        if (d < best_distance) {
            best = &table[i];
            best_distance = d;
        }
    }
    return best;
}
