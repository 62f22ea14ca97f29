/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Prints a table of the documentation from the tables of the library:
 *
 *     tables errors|configuration|counters
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <weir.h>

static const char *class_name(enum weir_error_class class)
{
    switch (class) {
    case WEIR_CLASS_OK:
        return "ok";
    case WEIR_CLASS_RETRY:
        return "retry";
    case WEIR_CLASS_REOPEN:
        return "reopen";
    case WEIR_CLASS_UNKNOWN:
        return "unknown";
    case WEIR_CLASS_FATAL:
        return "fatal";
    }
    return "?";
}

static void print_errors(void)
{
    static const int status[] = {
#define WEIR__NUMBER(name, number, class, text) (number),
        WEIR_ERRORS(WEIR__NUMBER)
#undef WEIR__NUMBER
    };

    puts("| name | number | class | text |");
    puts("|---|---|---|---|");
    for (size_t i = 0; i < sizeof(status) / sizeof(status[0]); i++)
        printf("| `%s` | %d | %s | %s |\n", weir_error_name(status[i]),
               status[i], class_name(weir_error_class(status[i])),
               weir_error_text(status[i]));
}

static void print_counters(void)
{
    puts("| counter | what it counts |");
    puts("|---|---|");
#define WEIR__LINE(name, text) printf("| `%s` | %s |\n", #name, text);
    WEIR_COUNTERS(WEIR__LINE)
#undef WEIR__LINE
}

/* A number as one would write it: with the largest unit that divides it. */
static void print_number(enum weir_type type, int64_t number)
{
    static const struct {
        enum weir_type type;
        int64_t factor;
        const char *name;
    } units[] = {
        {WEIR_TYPE_SIZE, INT64_C(1) << 30, "GiB"},
        {WEIR_TYPE_SIZE, INT64_C(1) << 20, "MiB"},
        {WEIR_TYPE_SIZE, INT64_C(1) << 10, "KiB"},
        {WEIR_TYPE_SIZE, 1, "B"},
        {WEIR_TYPE_DURATION, INT64_C(3600000000000), "h"},
        {WEIR_TYPE_DURATION, INT64_C(60000000000), "min"},
        {WEIR_TYPE_DURATION, INT64_C(1000000000), "s"},
        {WEIR_TYPE_DURATION, INT64_C(1000000), "ms"},
        {WEIR_TYPE_DURATION, INT64_C(1000), "us"},
        {WEIR_TYPE_DURATION, 1, "ns"},
    };

    for (size_t i = 0; number != 0 && i < sizeof(units) / sizeof(units[0]);
         i++) {
        if (units[i].type == type && number % units[i].factor == 0) {
            printf("%" PRId64 " %s", number / units[i].factor, units[i].name);
            return;
        }
    }
    printf("%" PRId64, number);
}

static void print_range(const struct weir_property *row)
{
    switch (row->type) {
    case WEIR_TYPE_INT:
    case WEIR_TYPE_SIZE:
    case WEIR_TYPE_DURATION:
        printf("from ");
        print_number(row->type, row->min);
        if (row->max != INT64_MAX) {
            printf(" to ");
            print_number(row->type, row->max);
        }
        break;
    case WEIR_TYPE_BOOL:
        printf("`true`, `false`");
        break;
    case WEIR_TYPE_ENUM:
        for (const char *p = row->words; *p != '\0';) {
            size_t len = strcspn(p, "|");

            printf("`%.*s`%s", (int)len, p, p[len] == '|' ? ", " : "");
            p += len + (p[len] == '|');
        }
        break;
    case WEIR_TYPE_STRING:
    case WEIR_TYPE_SECRET:
    case WEIR_TYPE_URI:
        break;
    }
}

static const char *type_name(enum weir_type type)
{
    switch (type) {
    case WEIR_TYPE_STRING:
        return "text";
    case WEIR_TYPE_SECRET:
        return "secret";
    case WEIR_TYPE_URI:
        return "URI";
    case WEIR_TYPE_INT:
        return "number";
    case WEIR_TYPE_SIZE:
        return "size";
    case WEIR_TYPE_DURATION:
        return "duration";
    case WEIR_TYPE_BOOL:
        return "boolean";
    case WEIR_TYPE_ENUM:
        return "word";
    }
    return "?";
}

static void print_configuration(void)
{
    size_t count;
    const struct weir_property *row = weir_config_properties(&count);

    puts("| property | type | default | values | what it does |");
    puts("|---|---|---|---|---|");
    for (size_t i = 0; i < count; i++, row++) {
        printf("| `%s` | %s | %s%s%s | ", row->key, type_name(row->type),
               row->def[0] != '\0' ? "`" : "", row->def,
               row->def[0] != '\0' ? "`" : "");
        print_range(row);
        printf(" | %s |\n", row->text);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "errors") == 0)
        print_errors();
    else if (argc == 2 && strcmp(argv[1], "counters") == 0)
        print_counters();
    else if (argc == 2 && strcmp(argv[1], "configuration") == 0)
        print_configuration();
    else
        return 2;
    return 0;
}
