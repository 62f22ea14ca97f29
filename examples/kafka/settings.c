/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct setting {
    const char *name;
    size_t field; /* Its offset in struct settings. */
    int64_t def, min, max;
    const char *text;
};

static const struct setting table[] = {
#define SETTINGS_ROW(field, name, def, min, max, text)                         \
    {name, offsetof(struct settings, field), def, min, max, text},
    SETTINGS(SETTINGS_ROW)
#undef SETTINGS_ROW
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static bool is_switch(const struct setting *row)
{
    return row->min == 0 && row->max == 1;
}

static void assign(struct settings *settings, const struct setting *row,
                   int64_t value)
{
    memcpy((char *)settings + row->field, &value, sizeof(value));
}

void settings_init(struct settings *settings)
{
    size_t i;

    for (i = 0; i < COUNT; i++)
        assign(settings, &table[i], table[i].def);
}

bool parse_number(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || *end != 0 || errno != 0 || v < min || v > max)
        return false;
    *out = v;
    return true;
}

static bool parse(const struct setting *row, const char *text, int64_t *out)
{
    if (!is_switch(row))
        return parse_number(text, row->min, row->max, out);
    *out = strcmp(text, "true") == 0;
    return *out != 0 || strcmp(text, "false") == 0;
}

enum settings_status settings_set(struct settings *settings, const char *name,
                                  const char *value, char expected[96])
{
    const struct setting *row = NULL;
    int64_t number;
    size_t i;

    for (i = 0; i < COUNT && row == NULL; i++) {
        if (strcmp(table[i].name, name) == 0)
            row = &table[i];
    }
    if (row == NULL)
        return SETTINGS_UNKNOWN;
    if (parse(row, value, &number)) {
        assign(settings, row, number);
        return SETTINGS_OK;
    }
    if (is_switch(row))
        snprintf(expected, 96, "expected true or false");
    else
        snprintf(expected, 96, "expected a number from %" PRId64 " to %" PRId64,
                 row->min, row->max);
    return SETTINGS_INVALID;
}

void settings_print(void)
{
    size_t i;

    for (i = 0; i < COUNT; i++) {
        if (is_switch(&table[i]))
            printf("  %s=%s\n", table[i].name,
                   table[i].def != 0 ? "true" : "false");
        else
            printf("  %s=%" PRId64 "\n", table[i].name, table[i].def);
        printf("        %s\n", table[i].text);
    }
}
