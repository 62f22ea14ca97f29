/* SPDX-License-Identifier: Apache-2.0 */
#include "support/s3_server_inside.h"

#include "base/crc32c.h"
#include "http/digest.h"
#include "store/sigv4.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- A request, cut up --------------------------------------------------- */

int s3_header_of(const char *head, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);

    out[0] = '\0';
    for (const char *p = strstr(head, "\r\n"); p != NULL;
         p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, len) == 0 && p[len] == ':') {
            p += len + 1;
            p += strspn(p, " ");
            snprintf(out, room, "%.*s", (int)strcspn(p, "\r\n"), p);
            return 1;
        }
    }
    return 0;
}

static void decode(char *to, size_t room, const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < room; i++) {
        char digits[3] = "";

        if (text[i] == '%' && i + 2 < len) {
            memcpy(digits, text + i + 1, 2);
            to[n++] = (char)strtol(digits, NULL, 16);
            i += 2;
        } else {
            to[n++] = text[i];
        }
    }
    to[n] = '\0';
}

static void parse_query(struct request *r, const char *query, size_t len)
{
    const char *end = query + len;

    while (query < end && r->param_count < PARAMS) {
        struct param *param = &r->params[r->param_count++];
        const char *stop = memchr(query, '&', (size_t)(end - query));
        const char *equals;

        stop = stop != NULL ? stop : end;
        equals = memchr(query, '=', (size_t)(stop - query));
        ck_assert_msg(equals != NULL, "a parameter without '='");
        decode(param->name, sizeof(param->name), query,
               (size_t)(equals - query));
        decode(param->value, sizeof(param->value), equals + 1,
               (size_t)(stop - equals - 1));
        query = stop + 1;
    }
}

int s3_parse_head(struct request *r)
{
    const char *target = strchr(r->head, ' ');
    const char *end = target != NULL ? strchr(target + 1, ' ') : NULL;
    const char *query;

    if (end == NULL || target - r->head >= (long)sizeof(r->method))
        return -1;
    snprintf(r->method, sizeof(r->method), "%.*s", (int)(target - r->head),
             r->head);
    target++;
    query = memchr(target, '?', (size_t)(end - target));
    decode(r->path, sizeof(r->path), target,
           (size_t)((query != NULL ? query : end) - target));
    if (query != NULL)
        parse_query(r, query + 1, (size_t)(end - query - 1));
    return 0;
}

/* ---- Is the request what it says? ---------------------------------------- */

void s3_refuse(struct answer *a, int status, const char *code)
{
    char text[400];

    snprintf(text, sizeof(text),
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s"
             "</Code><Message>scripted</Message><RequestId>1</RequestId>"
             "</Error>",
             code);
    a->status = status;
    a->body = (unsigned char *)strdup(text);
    a->len = strlen(text);
    a->told = a->len;
    snprintf(a->header, sizeof(a->header), "Content-Type: application/xml\r\n");
}

/* Sign what came over the wire; the result must be what came with it. */
static int check_signature(const struct request *r)
{
    static char values[WEIR__SIGV4_PAIRS][TEXT_ROOM];
    char region[64] = "";
    struct weir__pair headers[WEIR__SIGV4_PAIRS];
    struct weir__pair query[PARAMS];
    struct weir__sigv4 s = {.method = r->method,
                            .path = r->path,
                            .query = query,
                            .query_count = r->param_count,
                            .headers = headers,
                            .region = region,
                            .service = "s3",
                            .access_key = S3_SERVER_KEY,
                            .secret_key = S3_SERVER_SECRET};
    struct weir__writer w;
    char given[TEXT_ROOM];
    char date[64];
    char hash[80];
    char names[TEXT_ROOM];
    const char *at;
    char *save = NULL;
    int good;

    if (!s3_header_of(r->head, "authorization", given, sizeof(given)) ||
        (at = strstr(given, "SignedHeaders=")) == NULL)
        return 0;
    /* The bucket is in whatever region the client thinks. */
    if (sscanf(given, "AWS4-HMAC-SHA256 Credential=%*[^/]/%*[^/]/%63[^/]",
               region) != 1)
        return 0;
    s3_header_of(r->head, "x-amz-date", date, sizeof(date));
    s3_header_of(r->head, "x-amz-content-sha256", hash, sizeof(hash));
    s.date = date;
    s.payload_hash = hash;
    for (size_t i = 0; i < r->param_count; i++)
        query[i] = (struct weir__pair){r->params[i].name, r->params[i].value};
    at += strlen("SignedHeaders=");
    snprintf(names, sizeof(names), "%.*s", (int)strcspn(at, ","), at);
    for (char *name = strtok_r(names, ";", &save);
         name != NULL && s.header_count < WEIR__SIGV4_PAIRS;
         name = strtok_r(NULL, ";", &save)) {
        char *value = values[s.header_count];

        s3_header_of(r->head, name, value, TEXT_ROOM);
        headers[s.header_count++] = (struct weir__pair){name, value};
    }
    weir__writer_init(&w, weir_alloc_default());
    good = weir__sigv4_authorize(&w, &s) == 0 && w.len == strlen(given) &&
           memcmp(w.data, given, w.len) == 0;
    weir__writer_free(&w);
    return good;
}

const char *s3_wrong_body(const struct s3_server *server,
                          const struct request *r)
{
    const struct weir_iov iov = {r->body, r->len};
    unsigned char digest[WEIR__SHA256_SIZE];
    unsigned char bytes[4];
    char hex[WEIR__SHA256_HEX];
    char base64[16];
    char text[80];

    if (server->believes)
        return NULL;
    s3_header_of(r->head, "x-amz-content-sha256", text, sizeof(text));
    weir__sha256(digest, &iov, 1);
    weir__hex(hex, digest, sizeof(digest));
    if (strcmp(text, "UNSIGNED-PAYLOAD") != 0 && strcmp(text, hex) != 0)
        return "XAmzContentSHA256Mismatch";
    if (s3_header_of(r->head, "x-amz-checksum-crc32c", text, sizeof(text))) {
        uint32_t crc = weir__crc32c(0, r->body, r->len);

        for (int i = 0; i < 4; i++)
            bytes[i] = (unsigned char)(crc >> (24 - 8 * i));
        weir__base64(base64, bytes, 4);
        return strcmp(base64, text) == 0 ? NULL : "BadDigest";
    }
    return NULL;
}

/* ---- What the requests do ------------------------------------------------ */

const char *s3_param(const struct request *r, const char *name,
                     const char *otherwise)
{
    for (size_t i = 0; i < r->param_count; i++)
        if (strcmp(r->params[i].name, name) == 0)
            return r->params[i].value;
    return otherwise;
}

static void do_list(struct s3_server *server, const struct request *r,
                    struct answer *a)
{
    ck_assert_str_eq(s3_param(r, "list-type", ""), "2");
    ck_assert_str_eq(s3_param(r, "encoding-type", ""), "url");
    a->body = (unsigned char *)s3_objects_list(
        &server->objects, s3_param(r, "prefix", ""),
        s3_param(r, "start-after", ""),
        strtoul(s3_param(r, "max-keys", "1000"), NULL, 10));
    a->len = strlen((char *)a->body);
    a->told = a->len;
    a->status = 200;
    snprintf(a->header, sizeof(a->header), "Content-Type: application/xml\r\n");
}

/* Range of a GET: 0 there is none, 1 there is, -1 it begins behind the end. */
static int find_range(const struct request *r, size_t size, size_t *first,
                      size_t *len)
{
    char text[80];
    char *rest;

    *first = 0;
    *len = size;
    if (r->fault.kind == S3_FULL_BODY ||
        !s3_header_of(r->head, "range", text, sizeof(text)))
        return 0;
    ck_assert_int_eq(strncmp(text, "bytes=", 6), 0);
    if (text[6] == '-') {
        *len = strtoul(text + 7, NULL, 10);
        *len = *len < size ? *len : size;
        *first = size - *len;
        return *len > 0 ? 1 : -1;
    }
    *first = strtoul(text + 6, &rest, 10);
    if (*first >= size)
        return -1;
    *len = size - *first;
    if (rest[1] != '\0') {
        size_t last = strtoul(rest + 1, NULL, 10);

        ck_assert_uint_ge(last, *first);
        *len = last - *first + 1 < *len ? last - *first + 1 : *len;
    }
    return 1;
}

static void do_get(const struct s3_object *object, const struct request *r,
                   struct answer *a)
{
    size_t first;
    size_t len;
    int range = find_range(r, object->len, &first, &len);

    if (range < 0) {
        s3_refuse(a, 416, "InvalidRange");
        return;
    }
    if (r->fault.kind == S3_SHIFT_RANGE && first + len < object->len)
        first++;
    a->status = range ? 206 : 200;
    a->told = len;
    if (object->id[0] != '\0')
        snprintf(a->header, sizeof(a->header),
                 "x-amz-meta-weir-put: %s\r\n%s%s%s", object->id,
                 object->sum[0] != '\0' ? "x-amz-meta-weir-crc32c: " : "",
                 object->sum, object->sum[0] != '\0' ? "\r\n" : "");
    if (range) {
        size_t n = strlen(a->header);

        snprintf(a->header + n, sizeof(a->header) - n,
                 "Content-Range: bytes %zu-%zu/%zu\r\n", first, first + len - 1,
                 object->len);
    }
    if (strcmp(r->method, "HEAD") == 0)
        return;
    a->body = malloc(len + 1);
    a->len = len;
    memcpy(a->body, object->data + first, len);
}

int s3_refuse_if_there(struct s3_server *server, const struct request *r,
                       const char *key, struct answer *a)
{
    char text[16];

    if (!s3_header_of(r->head, "if-none-match", text, sizeof(text)) ||
        s3_objects_find(&server->objects, key) == NULL)
        return 0;
    s3_refuse(a, 412, "PreconditionFailed");
    return 1;
}

static void do_put(struct s3_server *server, const struct request *r,
                   const char *key, struct answer *a)
{
    const char *wrong = s3_wrong_body(server, r);
    struct s3_object *object;

    if (wrong != NULL) {
        s3_refuse(a, 400, wrong);
        return;
    }
    if (s3_refuse_if_there(server, r, key, a))
        return;
    s3_objects_put(&server->objects, key, r->body, r->len);
    object = s3_objects_find(&server->objects, key);
    s3_header_of(r->head, "x-amz-meta-weir-put", object->id,
                 sizeof(object->id));
    s3_header_of(r->head, "x-amz-meta-weir-crc32c", object->sum,
                 sizeof(object->sum));
    a->status = 200;
    snprintf(a->header, sizeof(a->header), "ETag: \"etag\"\r\n");
}

void s3_act(struct s3_server *server, const struct request *r, struct answer *a)
{
    static const char bucket[] = "/bucket/";
    const char *key = r->path + sizeof(bucket) - 1;
    struct s3_object *object;

    if (strstr(r->head, "Credential=" S3_SERVER_KEY "/") == NULL) {
        s3_refuse(a, 403, "InvalidAccessKeyId");
    } else if (!server->trusts && !check_signature(r)) {
        s3_refuse(a, 403, "SignatureDoesNotMatch");
    } else if (strncmp(r->path, bucket, sizeof(bucket) - 1) != 0) {
        s3_refuse(a, 404, "NoSuchBucket");
    } else if (strcmp(r->method, "POST") == 0) {
        s3_do_post(server, r, key, a);
    } else if (s3_param(r, "partNumber", NULL) != NULL) {
        s3_do_part(server, r, a);
    } else if (strcmp(r->method, "PUT") == 0) {
        do_put(server, r, key, a);
    } else if (s3_param(r, "uploadId", NULL) != NULL) {
        s3_end_upload(server, s3_param(r, "uploadId", ""), NULL);
        a->status = 204;
    } else if (strcmp(r->method, "DELETE") == 0) {
        s3_objects_remove(&server->objects, key);
        a->status = 204;
    } else if (key[0] == '\0') {
        do_list(server, r, a);
    } else {
        object = s3_objects_find(&server->objects, key);
        if (object == NULL)
            s3_refuse(a, 404, "NoSuchKey");
        else
            do_get(object, r, a);
    }
}
