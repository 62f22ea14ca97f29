/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uri.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <string.h>

enum { SHOWN_MAX = 100 }; /* The cause has room behind it. */

int weir__uri_shown(const char *text)
{
    size_t len = strcspn(text, "?&#");

    return len < SHOWN_MAX ? (int)len : SHOWN_MAX;
}

/* Decode %XX in place.  false: not two hex digits, or a zero byte. */
static bool decode(char *text)
{
    char *to = text;
    int high;
    int low;

    for (; *text != '\0'; text++) {
        if (*text != '%') {
            *to++ = *text;
            continue;
        }
        high = weir__hex_digit(text[1]);
        low = high < 0 ? -1 : weir__hex_digit(text[2]);
        if (low < 0 || high * 16 + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        text += 2;
    }
    *to = '\0';
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of the scheme at the beginning, or 0. */
static size_t scheme_len(const char *text)
{
    size_t len = 0;

    if (!is_letter(text[0]))
        return 0;
    while (is_letter(text[len]) || (text[len] >= '0' && text[len] <= '9') ||
           text[len] == '+' || text[len] == '-' || text[len] == '.')
        len++;
    return text[len] == ':' ? len : 0;
}

static int bad_percent(struct weir_error *err, const char *text)
{
    return weir__fail(err, WEIR_EINVAL,
                      "URI %.*s: expected two hex digits, not 00, after each "
                      "%%",
                      weir__uri_shown(text), text);
}

/* One that has no name yet, and may be what belongs to a value before it. */
static int bad_param(const struct weir__uri *uri, const char *text,
                     const char *expected, struct weir_error *err)
{
    return weir__fail(err, WEIR_EINVAL, "URI %.*s: parameter %zu: expected %s",
                      weir__uri_shown(text), text, uri->param_count + 1,
                      expected);
}

/* One "key=value", cut out of the query already. */
static int add_param(struct weir__uri *uri, char *param, const char *text,
                     struct weir_error *err)
{
    char *equals = strchr(param, '=');

    if (equals == NULL || equals == param)
        return bad_param(uri, text, "KEY=VALUE", err);
    *equals = '\0';
    if (!decode(param) || !decode(equals + 1))
        return bad_param(uri, text, "two hex digits, not 00, after each %",
                         err);
    if (weir__uri_get(uri, param) != NULL)
        return weir__fail(err, WEIR_EINVAL,
                          "URI %.*s: parameter %.64s: expected at most once",
                          weir__uri_shown(text), text, param);
    if (uri->param_count == WEIR__URI_PARAMS)
        return weir__fail(err, WEIR_EINVAL,
                          "URI %.*s: expected at most %d parameters",
                          weir__uri_shown(text), text, WEIR__URI_PARAMS);
    uri->params[uri->param_count].key = param;
    uri->params[uri->param_count].value = equals + 1;
    uri->param_count++;
    return 0;
}

static int parse_query(struct weir__uri *uri, char *query, const char *text,
                       struct weir_error *err)
{
    char *end;
    int rc;

    while (query != NULL && *query != '\0') {
        end = strchr(query, '&');
        if (end != NULL)
            *end++ = '\0';
        rc = add_param(uri, query, text, err);
        if (rc != 0)
            return rc;
        query = end;
    }
    return 0;
}

/* Split what follows the scheme.  The authority moves one byte to the left,
 * over the second slash, which makes room for its zero. */
static int parse_rest(struct weir__uri *uri, char *rest, const char *text,
                      struct weir_error *err)
{
    char *query = strchr(rest, '?');
    char *path = rest;
    size_t len;

    if (query != NULL)
        *query++ = '\0';
    if (strncmp(rest, "//", 2) == 0) {
        len = strcspn(rest + 2, "/");
        path = rest + 2 + len;
        memmove(rest + 1, rest + 2, len);
        rest[1 + len] = '\0';
        uri->authority = rest + 1;
        if (!decode(rest + 1))
            return bad_percent(err, text);
    }
    if (!decode(path))
        return bad_percent(err, text);
    uri->path = path;
    return parse_query(uri, query, text, err);
}

/* 1 if "user:password@" is at the beginning.  A password may have slashes in
 * it; what a port is in front of is a path. */
static bool has_password(const char *host)
{
    size_t len = strcspn(host, "?&");
    size_t slash = strcspn(host, "/?&");
    const char *colon = memchr(host, ':', slash);
    const char *at =
        colon == NULL ? NULL : memchr(colon, '@', len - (size_t)(colon - host));

    if (at == NULL || at < host + slash)
        return at != NULL;
    colon = memrchr(host, ':', slash);
    return colon + 1 + strspn(colon + 1, "0123456789") != host + slash;
}

/* The URI, and one that is the value of a parameter. */
static bool shows_password(const char *text)
{
    while ((text = strstr(text, "://")) != NULL) {
        text += 3;
        if (has_password(text))
            return true;
    }
    return false;
}

static int check_bytes(const char *text, struct weir_error *err)
{
    const char *p;

    for (p = text; *p != '\0'; p++) {
        if (*p == '#')
            return weir__fail(err, WEIR_EINVAL,
                              "URI %.*s: expected no '#' (write %%23)",
                              weir__uri_shown(text), text);
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return weir__fail(err, WEIR_EINVAL,
                              "URI: expected no control character, found 0x%02x"
                              " at byte %zu",
                              (unsigned)(unsigned char)*p, (size_t)(p - text));
    }
    return 0;
}

int weir__uri_parse(struct weir__uri *uri, const struct weir_alloc *alloc,
                    const char *text, struct weir_error *err)
{
    size_t len;
    int rc;

    *uri = (struct weir__uri){.alloc = alloc, .path = ""};
    /* First, as all other texts show the URI. */
    if (shows_password(text))
        return weir__fail(err, WEIR_EINVAL,
                          "URI: expected no password before the host, since "
                          "URIs are shown in messages: set s3_access_key and "
                          "s3_secret_key, or etcd_user and etcd_password");
    rc = check_bytes(text, err);
    if (rc != 0)
        return rc;
    len = scheme_len(text);
    if (len == 0)
        return weir__fail(err, WEIR_EINVAL,
                          "URI \"%.*s\": expected SCHEME:..., such as mem: or "
                          "dir:/path",
                          weir__uri_shown(text), text);
    uri->memory = weir__strdup(alloc, text);
    if (uri->memory == NULL)
        return weir__fail(err, WEIR_ENOMEM, "URI %.*s: out of memory",
                          weir__uri_shown(text), text);
    uri->memory[len] = '\0';
    uri->scheme = uri->memory;
    rc = parse_rest(uri, uri->memory + len + 1, text, err);
    if (rc != 0)
        weir__uri_free(uri);
    return rc;
}

void weir__uri_free(struct weir__uri *uri)
{
    weir__free(uri->alloc, uri->memory);
    *uri = (struct weir__uri){.alloc = uri->alloc, .path = ""};
}

const char *weir__uri_get(const struct weir__uri *uri, const char *key)
{
    size_t i;

    for (i = 0; i < uri->param_count; i++)
        if (strcmp(uri->params[i].key, key) == 0)
            return uri->params[i].value;
    return NULL;
}

static bool is_known(const char *const *known, const char *key)
{
    for (; *known != NULL; known++)
        if (strcmp(*known, key) == 0)
            return true;
    return false;
}

/* "a, b or c", as much as has room. */
static void join(char *to, size_t room, const char *const *words)
{
    size_t len = 0;
    size_t i;

    to[0] = '\0';
    for (i = 0; words[i] != NULL; i++) {
        const char *gap = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";

        if (len + strlen(gap) + strlen(words[i]) + 1 > room)
            return;
        strcpy(to + len, gap);
        strcat(to + len, words[i]);
        len += strlen(to + len);
    }
}

int weir__uri_check(const struct weir__uri *uri, const char *const *known,
                    struct weir_error *err)
{
    char words[128];
    size_t i;

    join(words, sizeof(words), known);
    for (i = 0; i < uri->param_count; i++) {
        if (is_known(known, uri->params[i].key))
            continue;
        return weir__fail(
            err, WEIR_EINVAL, "%s: parameter %.64s is not known; expected %s",
            uri->scheme, uri->params[i].key, words[0] != '\0' ? words : "none");
    }
    return 0;
}

int weir__uri_size(const struct weir__uri *uri, const char *key, uint64_t *out,
                   struct weir_error *err)
{
    const char *value = weir__uri_get(uri, key);

    if (value == NULL || weir__parse_size(value, out) == 0)
        return 0;
    return weir__fail(err, WEIR_EINVAL,
                      "%s: parameter %s: expected a size such as 64MiB, not "
                      "\"%s\"",
                      uri->scheme, key, value);
}

int weir__uri_duration(const struct weir__uri *uri, const char *key,
                       uint64_t *out, struct weir_error *err)
{
    const char *value = weir__uri_get(uri, key);

    if (value == NULL || weir__parse_duration(value, out) == 0)
        return 0;
    return weir__fail(err, WEIR_EINVAL,
                      "%s: parameter %s: expected a duration such as 100ms, "
                      "not \"%s\"",
                      uri->scheme, key, value);
}

int weir__uri_number(const struct weir__uri *uri, const char *key, uint64_t min,
                     uint64_t max, uint64_t *out, struct weir_error *err)
{
    const char *value = weir__uri_get(uri, key);
    uint64_t number = 0;
    const char *at = value;

    if (value == NULL)
        return 0;
    while (*at >= '0' && *at <= '9' && number <= max)
        number = number * 10 + (uint64_t)(*at++ - '0');
    if (at != value && *at == '\0' && number >= min && number <= max) {
        *out = number;
        return 0;
    }
    return weir__fail(err, WEIR_EINVAL,
                      "%s: parameter %s: expected %llu to %llu, not \"%s\"",
                      uri->scheme, key, (unsigned long long)min,
                      (unsigned long long)max, value);
}

int weir__uri_bool(const struct weir__uri *uri, const char *key, int *out,
                   struct weir_error *err)
{
    const char *value = weir__uri_get(uri, key);

    if (value == NULL)
        return 0;
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
        *out = value[0] == 't';
        return 0;
    }
    return weir__fail(err, WEIR_EINVAL,
                      "%s: parameter %s: expected true or false, not \"%s\"",
                      uri->scheme, key, value);
}

static bool is_text(const char *host, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(host, text, len) == 0;
}

bool weir__is_loopback(const char *host, size_t len)
{
    return is_text(host, len, "localhost") || is_text(host, len, "[::1]") ||
           (len >= 7 && memcmp(host, "127.", 4) == 0 &&
            strspn(host, "0123456789.") >= len);
}
