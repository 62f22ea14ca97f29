/* SPDX-License-Identifier: Apache-2.0 */
#include "store/etcd.h"

#include "base/error.h"
#include "http/digest.h"
#include "http/json.h"

#include <stdio.h>
#include <string.h>

/* Codes of gRPC (google.rpc.Code). */
enum {
    INVALID_ARGUMENT = 3,
    NOT_FOUND = 5,
    PERMISSION_DENIED = 7,
    EXHAUSTED = 8,
    UNIMPLEMENTED = 12,
    UNAUTHENTICATED = 16
};

static void add(struct weir__writer *w, const char *text)
{
    weir__write_bytes(w, text, strlen(text));
}

/* Bytes in base64, three at a time over the borders of pieces. */
struct encoder {
    struct weir__writer *w;
    unsigned char three[3];
    size_t count;
};

static void flush(struct encoder *e)
{
    char four[8];

    weir__base64(four, e->three, e->count);
    add(e->w, four);
    e->count = 0;
}

static void encode(struct encoder *e, const void *data, size_t len)
{
    const unsigned char *at = data;

    for (size_t i = 0; i < len; i++) {
        e->three[e->count++] = at[i];
        if (e->count == 3)
            flush(e);
    }
}

static void add_base64(struct weir__writer *w, const char *text)
{
    struct encoder e = {.w = w};

    encode(&e, text, strlen(text));
    if (e.count > 0)
        flush(&e);
}

static void add_key(struct weir__writer *w, const char *name, const char *key)
{
    add(w, "\"");
    add(w, name);
    add(w, "\":\"");
    add_base64(w, key);
    add(w, "\"");
}

static void add_value(struct weir__writer *w, uint8_t tag,
                      const struct weir_iov *iov, size_t iov_count)
{
    struct encoder e = {.w = w};

    add(w, ",\"value\":\"");
    encode(&e, &tag, 1);
    for (size_t i = 0; i < iov_count; i++)
        encode(&e, iov[i].data, iov[i].len);
    if (e.count > 0)
        flush(&e);
    add(w, "\"");
}

void weir__etcd_write_get(struct weir__writer *w, const char *key)
{
    add(w, "{");
    add_key(w, "key", key);
    add(w, "}");
}

void weir__etcd_write_list(struct weir__writer *w, const char *from,
                           const char *end, unsigned limit)
{
    char text[64];

    add(w, "{");
    add_key(w, "key", from);
    add(w, ",");
    add_key(w, "range_end", end);
    snprintf(text, sizeof(text), ",\"limit\":\"%u\",\"keys_only\":true}",
             limit);
    add(w, text);
}

void weir__etcd_write_put(struct weir__writer *w, const char *key, uint8_t tag,
                          const struct weir_iov *iov, size_t iov_count)
{
    add(w, "{");
    add_key(w, "key", key);
    add_value(w, tag, iov, iov_count);
    add(w, "}");
}

void weir__etcd_write_create(struct weir__writer *w, const char *key,
                             uint8_t tag, const struct weir_iov *iov,
                             size_t iov_count)
{
    add(w, "{\"compare\":[{\"result\":\"EQUAL\",\"target\":\"CREATE\",");
    add_key(w, "key", key);
    add(w, ",\"create_revision\":\"0\"}],\"success\":[{\"request_put\":");
    weir__etcd_write_put(w, key, tag, iov, iov_count);
    add(w, "}],\"failure\":[{\"request_range\":");
    weir__etcd_write_get(w, key);
    add(w, "}]}");
}

void weir__etcd_write_delete(struct weir__writer *w, const char *key,
                             const char *end, int old)
{
    add(w, "{");
    add_key(w, "key", key);
    if (end != NULL) {
        add(w, ",");
        add_key(w, "range_end", end);
    }
    add(w, old ? ",\"prev_kv\":true}" : "}");
}

void weir__etcd_write_watch(struct weir__writer *w, const char *from,
                            const char *end)
{
    add(w, "{\"create_request\":{");
    add_key(w, "key", from);
    add(w, ",");
    add_key(w, "range_end", end);
    add(w, ",\"filters\":[\"NODELETE\"],\"progress_notify\":true}}");
}

/* A text as JSON has it (RFC 8259, section 7); bytes of UTF-8 as they are. */
static void add_text(struct weir__writer *w, const char *text)
{
    add(w, "\"");
    for (; *text != '\0'; text++) {
        char escaped[8];

        if (*text == '"' || *text == '\\')
            snprintf(escaped, sizeof(escaped), "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            snprintf(escaped, sizeof(escaped), "\\u%04x",
                     (unsigned)(unsigned char)*text);
        else
            snprintf(escaped, sizeof(escaped), "%c", *text);
        add(w, escaped);
    }
    add(w, "\"");
}

void weir__etcd_write_login(struct weir__writer *w, const char *user,
                            const char *password)
{
    add(w, "{\"name\":");
    add_text(w, user);
    add(w, ",\"password\":");
    add_text(w, password);
    add(w, "}");
}

void weir__etcd_end(char *to, size_t room, const char *prefix)
{
    size_t len = strlen(prefix);

    snprintf(to, room, "%s", prefix);
    if (len > 0 && len < room)
        to[len - 1]++;
}

/* ---- Answers ------------------------------------------------------------- */

int weir__etcd_read_value(struct weir__etcd_value *value,
                          const struct weir_alloc *alloc,
                          const struct weir__json *list)
{
    const struct weir__json *entry = weir__json_at(list, 0);
    const char *text = weir__json_text(weir__json_get(entry, "value"));
    unsigned char *data;
    size_t len = 0;
    int rc;

    value->body = NULL;
    if (entry == NULL)
        return 0;
    if (text == NULL)
        return WEIR_EFORMAT;
    value->body = weir_buf_new(alloc, strlen(text) / 4 * 3 + 3, 0);
    if (value->body == NULL)
        return WEIR_ENOMEM;
    data = value->body->data;
    rc = weir__base64_decode(data, &len, text);
    if (rc != 0 || len == 0 || data[0] > 1) {
        weir_buf_unref(value->body);
        value->body = NULL;
        return WEIR_EFORMAT;
    }
    value->tag = data[0];
    memmove(data, data + 1, len - 1);
    value->body->len = len - 1;
    return 0;
}

int weir__etcd_read_key(char *to, size_t room, const struct weir__json *entry)
{
    const char *text = weir__json_text(weir__json_get(entry, "key"));
    size_t len;

    if (text == NULL || strlen(text) / 4 * 3 + 1 > room ||
        weir__base64_decode((unsigned char *)to, &len, text) != 0 ||
        memchr(to, '\0', len) != NULL)
        return WEIR_EFORMAT;
    to[len] = '\0';
    return 0;
}

int64_t weir__etcd_read_revision(const struct weir__json *answer)
{
    const struct weir__json *first =
        weir__json_at(weir__json_get(answer, "kvs"), 0);

    if (first != NULL)
        return weir__json_number(weir__json_get(first, "mod_revision"), 0);
    return weir__json_number(
        weir__json_get(weir__json_get(answer, "header"), "revision"), 0);
}

int weir__etcd_read_create(const struct weir__json *answer, int *done,
                           struct weir__etcd_value *value,
                           const struct weir_alloc *alloc)
{
    const struct weir__json *first =
        weir__json_at(weir__json_get(answer, "responses"), 0);
    const struct weir__json *range = weir__json_get(first, "response_range");

    value->body = NULL;
    *done = weir__json_true(weir__json_get(answer, "succeeded"));
    if (*done)
        return 0;
    if (range == NULL)
        return WEIR_EFORMAT;
    return weir__etcd_read_value(value, alloc, weir__json_get(range, "kvs"));
}

void weir__etcd_chunks_encode(unsigned char *to,
                              const struct weir__etcd_chunks *chunks)
{
    memcpy(to, chunks->id, WEIR__ETCD_ID - 1);
    weir__put64(to + WEIR__ETCD_ID - 1, chunks->size);
}

int weir__etcd_chunks_decode(struct weir__etcd_chunks *chunks, const void *data,
                             size_t len)
{
    static const char hex[] = "0123456789abcdef";

    if (len != WEIR__ETCD_CHUNKS_SIZE)
        return WEIR_EFORMAT;
    memcpy(chunks->id, data, WEIR__ETCD_ID - 1);
    chunks->id[WEIR__ETCD_ID - 1] = '\0';
    chunks->size = weir__get64((const unsigned char *)data + WEIR__ETCD_ID - 1);
    if (strspn(chunks->id, hex) != WEIR__ETCD_ID - 1 ||
        chunks->size > WEIR__ETCD_VALUE_MAX)
        return WEIR_EFORMAT;
    return 0;
}

/* Text from outside, for a message: printable, and cut to fit. */
static void keep(char *to, size_t room, const char *text)
{
    size_t n = 0;

    for (; text != NULL && *text != '\0' && n + 1 < room; text++)
        if (*text >= ' ' && *text <= '~')
            to[n++] = *text;
    to[n] = '\0';
}

/* ---- Watches ------------------------------------------------------------- */

static int read_event(struct weir__etcd_news *news,
                      const struct weir__json *event)
{
    const char *type = weir__json_text(weir__json_get(event, "type"));
    char key[sizeof(news->key)];

    if (type != NULL && strcmp(type, "PUT") != 0)
        return 0;
    if (weir__etcd_read_key(key, sizeof(key), weir__json_get(event, "kv")) != 0)
        return WEIR_EFORMAT;
    if (strcmp(key, news->key) > 0)
        memcpy(news->key, key, sizeof(key));
    return 0;
}

/* What is wrong with a token is told in words only, and not always that. */
static void read_reason(struct weir__etcd_news *news, const char *text)
{
    news->canceled = 1;
    keep(news->reason, sizeof(news->reason), text);
    news->login = strstr(news->reason, "permission denied") != NULL ||
                  strstr(news->reason, "auth") != NULL ||
                  strstr(news->reason, "user name is empty") != NULL;
}

int weir__etcd_read_news(struct weir__etcd_news *news,
                         const struct weir__json *line)
{
    const struct weir__json *result = weir__json_get(line, "result");
    const struct weir__json *error = weir__json_get(line, "error");
    const struct weir__json *events = weir__json_get(result, "events");
    int rc = 0;

    *news = (struct weir__etcd_news){0};
    if (error != NULL) {
        read_reason(news, weir__json_text(weir__json_get(error, "message")));
        return 0;
    }
    if (result == NULL)
        return WEIR_EFORMAT;
    news->revision = weir__json_number(
        weir__json_get(weir__json_get(result, "header"), "revision"), 0);
    news->created = weir__json_true(weir__json_get(result, "created"));
    if (weir__json_true(weir__json_get(result, "canceled")))
        read_reason(news,
                    weir__json_text(weir__json_get(result, "cancel_reason")));
    for (size_t i = 0; rc == 0 && i < weir__json_count(events); i++)
        rc = read_event(news, weir__json_at(events, i));
    return rc;
}

/* ---- Failures ------------------------------------------------------------ */

/* What was certainly not done, and what it means; 0: who knows. */
static int status_of(int code, const char *message)
{
    if (strstr(message, "database space exceeded") != NULL)
        return WEIR_ENOSPC;
    if (strstr(message, "too many requests") != NULL)
        return WEIR_ETHROTTLED;
    if (strstr(message, "request is too large") != NULL ||
        strstr(message, "larger than max") != NULL)
        return WEIR_ETOOBIG;
    if (strstr(message, "authentication failed") != NULL ||
        strstr(message, "user name is empty") != NULL ||
        strstr(message, "authentication is not enabled") != NULL)
        return WEIR_EAUTH;
    switch (code) {
    case UNAUTHENTICATED:
        return WEIR_EAUTH;
    case PERMISSION_DENIED:
        return WEIR_EACCES;
    case EXHAUSTED:
        return WEIR_ETHROTTLED;
    case UNIMPLEMENTED:
    case NOT_FOUND:
        return WEIR_EUNSUPPORTED;
    case INVALID_ARGUMENT:
        return WEIR_EINVAL;
    default:
        return 0;
    }
}

int weir__etcd_failure(int http, const void *data, size_t len, int put,
                       int *login, const char *what, struct weir_error *err)
{
    struct weir__json *root = NULL;
    const char *text;
    char message[120] = "";
    int code = 0;
    int status;

    if (weir__json_parse(&root, data, len, NULL) == 0) {
        text = weir__json_text(weir__json_get(root, "message"));
        if (text == NULL)
            text = weir__json_text(weir__json_get(root, "error"));
        keep(message, sizeof(message), text);
        code = (int)weir__json_number(weir__json_get(root, "code"), 0);
    }
    weir__json_free(root);
    *login = code == UNAUTHENTICATED ||
             strstr(message, "user name is empty") != NULL;
    status = http == 404 && message[0] == '\0' ? WEIR_EUNSUPPORTED
                                               : status_of(code, message);
    if (status == 0)
        status = put ? WEIR_EUNKNOWN : WEIR_EUNAVAILABLE;
    return weir__fail(err, status, "%s: HTTP status %d%s%s%s", what, http,
                      message[0] != '\0' ? ", " : "", message,
                      status == WEIR_EUNSUPPORTED
                          ? "; no etcd with the v3 API is there"
                          : "");
}
