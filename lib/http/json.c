/* SPDX-License-Identifier: Apache-2.0 */
#include "http/json.h"

#include "base/error.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The opaque struct is jansson's value. */
static json_t *value_of(const struct weir__json *value)
{
    return (json_t *)(uintptr_t)value;
}

static struct weir__json *wrap(json_t *value)
{
    return (struct weir__json *)(void *)value;
}

int weir__json_parse(struct weir__json **out, const void *data, size_t len,
                     struct weir_error *err)
{
    json_error_t cause;
    json_t *value;

    *out = NULL;
    if (len > WEIR__JSON_SIZE)
        return weir__fail(err, WEIR_ETOOBIG, "JSON of over %u bytes",
                          WEIR__JSON_SIZE);
    value = json_loadb(data != NULL ? data : "", len, JSON_REJECT_DUPLICATES,
                       &cause);
    if (value == NULL)
        return weir__fail(err, WEIR_EFORMAT, "JSON, line %d: %.100s",
                          cause.line, cause.text);
    *out = wrap(value);
    return 0;
}

/* It may have been a secret. */
static void wipe(json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_string(value))
        explicit_bzero((void *)(uintptr_t)json_string_value(value),
                       json_string_length(value));
    json_object_foreach(value, name, member) wipe(member);
    json_array_foreach(value, i, member) wipe(member);
}

void weir__json_free(struct weir__json *document)
{
    if (document == NULL)
        return;
    wipe(value_of(document));
    json_decref(value_of(document));
}

struct weir__json *weir__json_get(const struct weir__json *value,
                                  const char *name)
{
    return wrap(json_object_get(value_of(value), name));
}

struct weir__json *weir__json_at(const struct weir__json *value, size_t i)
{
    return wrap(json_array_get(value_of(value), i));
}

size_t weir__json_count(const struct weir__json *value)
{
    return json_array_size(value_of(value));
}

const char *weir__json_text(const struct weir__json *value)
{
    return json_string_value(value_of(value));
}

int64_t weir__json_number(const struct weir__json *value, int64_t otherwise)
{
    const char *text = weir__json_text(value);
    char *end;
    long long n;

    if (json_is_integer(value_of(value)))
        return json_integer_value(value_of(value));
    if (text == NULL || text[0] == '\0')
        return otherwise;
    errno = 0;
    n = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' ? n : otherwise;
}

int weir__json_true(const struct weir__json *value)
{
    return json_is_true(value_of(value));
}
