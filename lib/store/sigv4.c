/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sigv4.h"

#include "base/alloc.h"
#include "http/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <weir/error.h>

enum { DAY = 8 /* Bytes of the date that are the day. */ };

static void add_text(struct weir__writer *w, const char *text)
{
    weir__write_bytes(w, text, strlen(text));
}

void weir__sigv4_date(char to[WEIR__SIGV4_DATE], int64_t wall)
{
    time_t seconds = (time_t)(wall / 1000);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(to, WEIR__SIGV4_DATE, "%Y%m%dT%H%M%SZ", &tm) == 0)
        snprintf(to, WEIR__SIGV4_DATE, "19700101T000000Z");
}

static bool is_plain(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

static void add_encoded(struct weir__writer *w, const char *text,
                        bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (is_plain(c) || (c == '/' && keep_slash)) {
            weir__write8(w, c);
        } else {
            weir__write8(w, '%');
            weir__write8(w, (uint8_t)digits[c >> 4]);
            weir__write8(w, (uint8_t)digits[c & 15]);
        }
    }
}

void weir__sigv4_path(struct weir__writer *w, const struct weir__sigv4 *s)
{
    add_encoded(w, s->path, true);
}

static int compare_pairs(const void *a, const void *b)
{
    const struct weir__pair *x = a;
    const struct weir__pair *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : strcmp(x->value, y->value);
}

/* The order is that of the encoded names, so encode them all first: into one
 * buffer, as strings; `at` has the offsets of names and values in turn. */
static bool encode_pairs(struct weir__writer *texts,
                         const struct weir__sigv4 *s,
                         size_t at[2 * WEIR__SIGV4_PAIRS])
{
    for (size_t i = 0; i < s->query_count; i++) {
        at[2 * i] = texts->len;
        add_encoded(texts, s->query[i].name, false);
        weir__write8(texts, 0);
        at[2 * i + 1] = texts->len;
        add_encoded(texts, s->query[i].value, false);
        weir__write8(texts, 0);
    }
    return !texts->bad;
}

void weir__sigv4_query(struct weir__writer *w, const struct weir__sigv4 *s)
{
    struct weir__pair sorted[WEIR__SIGV4_PAIRS];
    size_t at[2 * WEIR__SIGV4_PAIRS] = {0};
    struct weir__writer texts;

    weir__writer_init(&texts, w->alloc);
    if (s->query_count > WEIR__SIGV4_PAIRS || !encode_pairs(&texts, s, at)) {
        w->bad = true;
        weir__writer_free(&texts);
        return;
    }
    for (size_t i = 0; i < s->query_count; i++) {
        sorted[i].name = (const char *)texts.data + at[2 * i];
        sorted[i].value = (const char *)texts.data + at[2 * i + 1];
    }
    qsort(sorted, s->query_count, sizeof(sorted[0]), compare_pairs);
    for (size_t i = 0; i < s->query_count; i++) {
        if (i > 0)
            weir__write8(w, '&');
        add_text(w, sorted[i].name);
        weir__write8(w, '=');
        add_text(w, sorted[i].value);
    }
    weir__writer_free(&texts);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int compare_names(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return (unsigned char)lower(*a) - (unsigned char)lower(*b);
}

/* Sort by name and keep the order of equal names, which qsort does not. */
static bool sort_headers(const struct weir__pair *sorted[WEIR__SIGV4_PAIRS],
                         const struct weir__sigv4 *s)
{
    if (s->header_count > WEIR__SIGV4_PAIRS)
        return false;
    for (size_t i = 0; i < s->header_count; i++) {
        const struct weir__pair *pair = &s->headers[i];
        size_t j = i;

        for (; j > 0 && compare_names(sorted[j - 1]->name, pair->name) > 0; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = pair;
    }
    return true;
}

static void add_lower(struct weir__writer *w, const char *text)
{
    for (; *text != '\0'; text++)
        weir__write8(w, (uint8_t)lower(*text));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without spaces at the ends, and runs of them as one. */
static void add_trimmed(struct weir__writer *w, const char *text)
{
    bool gap = false;

    while (is_space(*text))
        text++;
    for (; *text != '\0'; text++) {
        if (is_space(*text)) {
            gap = true;
            continue;
        }
        if (gap)
            weir__write8(w, ' ');
        gap = false;
        weir__write8(w, (uint8_t)*text);
    }
}

static void add_headers(struct weir__writer *w, const struct weir__sigv4 *s)
{
    const struct weir__pair *sorted[WEIR__SIGV4_PAIRS];

    if (!sort_headers(sorted, s)) {
        w->bad = true;
        return;
    }
    for (size_t i = 0; i < s->header_count; i++) {
        if (i > 0 && compare_names(sorted[i - 1]->name, sorted[i]->name) == 0) {
            weir__write8(w, ',');
        } else {
            if (i > 0)
                weir__write8(w, '\n');
            add_lower(w, sorted[i]->name);
            weir__write8(w, ':');
        }
        add_trimmed(w, sorted[i]->value);
    }
    if (s->header_count > 0)
        weir__write8(w, '\n');
}

static void add_names(struct weir__writer *w, const struct weir__sigv4 *s)
{
    const struct weir__pair *sorted[WEIR__SIGV4_PAIRS];

    if (!sort_headers(sorted, s)) {
        w->bad = true;
        return;
    }
    for (size_t i = 0; i < s->header_count; i++) {
        if (i > 0 && compare_names(sorted[i - 1]->name, sorted[i]->name) == 0)
            continue;
        if (i > 0)
            weir__write8(w, ';');
        add_lower(w, sorted[i]->name);
    }
}

void weir__sigv4_canonical(struct weir__writer *w, const struct weir__sigv4 *s)
{
    add_text(w, s->method);
    weir__write8(w, '\n');
    weir__sigv4_path(w, s);
    weir__write8(w, '\n');
    weir__sigv4_query(w, s);
    weir__write8(w, '\n');
    add_headers(w, s);
    weir__write8(w, '\n');
    add_names(w, s);
    weir__write8(w, '\n');
    add_text(w, s->payload_hash);
}

/* "20130524/us-east-1/s3/aws4_request" */
static void add_scope(struct weir__writer *w, const struct weir__sigv4 *s)
{
    weir__write_bytes(w, s->date, DAY);
    weir__write8(w, '/');
    add_text(w, s->region);
    weir__write8(w, '/');
    add_text(w, s->service);
    add_text(w, "/aws4_request");
}

int weir__sigv4_string(struct weir__writer *w, const struct weir__sigv4 *s,
                       const void *canonical, size_t len)
{
    const struct weir_iov iov = {canonical, len};
    unsigned char digest[WEIR__SHA256_SIZE];
    char hex[WEIR__SHA256_HEX];

    if (weir__sha256(digest, &iov, 1) != 0)
        return WEIR_ENOMEM;
    weir__hex(hex, digest, sizeof(digest));
    add_text(w, "AWS4-HMAC-SHA256\n");
    add_text(w, s->date);
    weir__write8(w, '\n');
    add_scope(w, s);
    weir__write8(w, '\n');
    add_text(w, hex);
    return w->bad ? WEIR_ENOMEM : 0;
}

/* The key for one day, region and service. */
static int derive_key(unsigned char key[WEIR__SHA256_SIZE],
                      const struct weir__sigv4 *s,
                      const struct weir_alloc *alloc)
{
    const char *const parts[] = {s->region, s->service, "aws4_request"};
    size_t len = strlen(s->secret_key) + 4;
    char *first = weir__malloc(alloc, len + 1);
    int rc;

    if (first == NULL)
        return WEIR_ENOMEM;
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, s->secret_key, len - 3);
    rc = weir__hmac_sha256(key, first, len, s->date, DAY);
    explicit_bzero(first, len);
    weir__free(alloc, first);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == 0; i++) {
        unsigned char next[WEIR__SHA256_SIZE];

        rc = weir__hmac_sha256(next, key, WEIR__SHA256_SIZE, parts[i],
                               strlen(parts[i]));
        memcpy(key, next, sizeof(next));
        explicit_bzero(next, sizeof(next));
    }
    return rc;
}

/* Signature of the request as hexadecimal text. */
static int sign(char hex[WEIR__SHA256_HEX], const struct weir__sigv4 *s,
                const struct weir_alloc *alloc)
{
    unsigned char key[WEIR__SHA256_SIZE];
    unsigned char signature[WEIR__SHA256_SIZE];
    struct weir__writer canonical;
    struct weir__writer string;
    int rc;

    /* A session token is among the headers. */
    weir__writer_init_secret(&canonical, alloc);
    weir__writer_init(&string, alloc);
    weir__sigv4_canonical(&canonical, s);
    rc = canonical.bad
             ? WEIR_ENOMEM
             : weir__sigv4_string(&string, s, canonical.data, canonical.len);
    if (rc == 0)
        rc = derive_key(key, s, alloc);
    if (rc == 0)
        rc = weir__hmac_sha256(signature, key, sizeof(key), string.data,
                               string.len);
    if (rc == 0)
        weir__hex(hex, signature, sizeof(signature));
    explicit_bzero(key, sizeof(key));
    weir__writer_free(&canonical);
    weir__writer_free(&string);
    return rc;
}

int weir__sigv4_authorize(struct weir__writer *w, const struct weir__sigv4 *s)
{
    char hex[WEIR__SHA256_HEX];
    int rc = sign(hex, s, w->alloc);

    if (rc != 0)
        return rc;
    add_text(w, "AWS4-HMAC-SHA256 Credential=");
    add_text(w, s->access_key);
    weir__write8(w, '/');
    add_scope(w, s);
    add_text(w, ", SignedHeaders=");
    add_names(w, s);
    add_text(w, ", Signature=");
    add_text(w, hex);
    return w->bad ? WEIR_ENOMEM : 0;
}
