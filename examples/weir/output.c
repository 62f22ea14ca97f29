/* SPDX-License-Identifier: Apache-2.0 */
/* The program's door to jansson: nobody else here knows of it. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

/* A row is a JSON object even when it is shown as text, so that both say the
 * same.  Jansson copies keys and values, and a failed setter only leaves its
 * field out: row_print() compares what there is with what there should be. */
struct row {
    json_t *object;
    size_t fields;
};

struct row *row_new(void)
{
    struct row *row = calloc(1, sizeof(*row));

    if (row != NULL)
        row->object = json_object();
    return row;
}

static void row_set(struct row *row, const char *key, json_t *value)
{
    if (row == NULL) {
        json_decref(value);
        return;
    }
    /* A field that is set twice counts once. */
    row->fields += json_object_get(row->object, key) == NULL;
    (void)json_object_set_new(row->object, key, value);
}

void row_uint(struct row *row, const char *key, uint64_t value)
{
    char text[24];

    if (value <= INT64_MAX) {
        row_set(row, key, json_integer((json_int_t)value));
        return;
    }
    /* More than a JSON reader can be trusted with. */
    snprintf(text, sizeof(text), "%" PRIu64, value);
    row_set(row, key, json_string(text));
}

void row_int(struct row *row, const char *key, int64_t value)
{
    row_set(row, key, json_integer(value));
}

void row_real(struct row *row, const char *key, double value)
{
    row_set(row, key, json_real(value));
}

void row_bool(struct row *row, const char *key, bool value)
{
    row_set(row, key, json_boolean(value));
}

void row_text(struct row *row, const char *key, const char *value)
{
    row_bytes(row, key, value, strlen(value));
}

static json_t *base64(const unsigned char *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((len + 2) / 3 * 4 + 1);
    char *to = text;
    json_t *value;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;

        bits |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0u;
        bits |= i + 2 < len ? data[i + 2] : 0u;
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63u];
        *to++ = digits[bits >> 6 & 63u];
        *to++ = digits[bits & 63u];
    }
    for (size_t pad = (3 - len % 3) % 3; pad > 0; pad--)
        to[-(ptrdiff_t)pad] = '=';
    value = json_stringn(text, (size_t)(to - text));
    free(text);
    return value;
}

void row_bytes(struct row *row, const char *key, const void *data, size_t len)
{
    json_t *value = json_stringn(data, len); /* NULL: not UTF-8. */
    char name[64];

    if (value != NULL) {
        row_set(row, key, value);
        return;
    }
    snprintf(name, sizeof(name), "%s_base64", key);
    row_set(row, name, base64(data, len));
}

void row_time(struct row *row, const char *key, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    char text[64];
    char day[40];
    struct tm tm;

    if (ms < 0 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return;
    snprintf(text, sizeof(text), "%s.%03dZ", day, (int)(ms % 1000));
    row_text(row, key, text);
}

void row_stream(struct row *row, const struct weir_stream_stat *stat)
{
    row_text(row, "name", stat->name);
    row_uint(row, "id", stat->id);
    row_uint(row, "epoch", stat->epoch);
    row_uint(row, "owner", stat->owner);
    row_uint(row, "start", stat->start);
    row_uint(row, "end", stat->end);
    row_uint(row, "uploaded_end", stat->uploaded_end);
    row_uint(row, "bytes", stat->bytes);
    row_uint(row, "objects", stat->objects);
    row_time(row, "max_timestamp", stat->max_timestamp);
}

void row_counters(struct row *row, const struct weir_stats *stats)
{
#define COUNTER(name, text) row_uint(row, #name, stats->name);
    WEIR_COUNTERS(COUNTER)
#undef COUNTER
}

static void print_value(const json_t *value)
{
    if (json_is_string(value))
        print_name(stdout, json_string_value(value));
    else if (json_is_integer(value))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        printf("%.3f", json_real_value(value));
    else
        fputs(json_is_true(value) ? "yes" : "no", stdout);
}

static void print_lines(json_t *object)
{
    const char *key;
    json_t *value;
    int width = 0;

    json_object_foreach(object, key, value)
    {
        if ((int)strlen(key) > width)
            width = (int)strlen(key);
    }
    json_object_foreach(object, key, value)
    {
        printf("%s:%*s", key, width + 1 - (int)strlen(key), "");
        print_value(value);
        putchar('\n');
    }
}

/* Half a row would be a lie. */
static void check_complete(const struct row *row)
{
    if (row != NULL && json_object_size(row->object) == row->fields)
        return;
    fputs("weir: out of memory\n", stderr);
    exit(EXIT_FAILURE);
}

void row_print_line(struct row *row)
{
    const char *key;
    json_t *value;
    bool first = true;

    check_complete(row);
    json_object_foreach(row->object, key, value)
    {
        bool quoted = !first && json_is_string(value) &&
                      (json_string_length(value) == 0 ||
                       strchr(json_string_value(value), ' ') != NULL);

        if (!first)
            printf(" %s=%s", key, quoted ? "\"" : "");
        print_value(value);
        if (quoted)
            putchar('"');
        first = false;
    }
    putchar('\n');
    json_decref(row->object);
    free(row);
}

void row_print(struct row *row, bool json)
{
    check_complete(row);
    if (json) {
        json_dumpf(row->object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else {
        print_lines(row->object);
    }
    json_decref(row->object);
    free(row);
}

void print_name(FILE *to, const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c != 0; c++) {
        if (*c == '\\')
            fputs("\\\\", to);
        else if (*c == '\n')
            fputs("\\n", to);
        else if (*c < 32 || *c == 127)
            fprintf(to, "\\x%02x", *c);
        else
            fputc(*c, to);
    }
}

bool output_flush(struct cli *cli)
{
    if (cli->output_errno == 0 && (fflush(stdout) != 0 || ferror(stdout) != 0))
        cli->output_errno = errno != 0 ? errno : EIO;
    return cli->output_errno == 0;
}
