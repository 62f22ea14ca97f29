/* SPDX-License-Identifier: Apache-2.0 */
/* From a request of the port to a signed HTTP message.
 *
 * How a server comes to check the body of a PUT: over plain http, and for
 * small bodies, the SHA-256 of the body is part of the signature.  Over https
 * nobody on the way can change it, so a large body is left out of the
 * signature, which saves a pass of SHA-256, and a CRC32C goes along for
 * servers that check it. */
#include "store/s3.h"

#include "base/alloc.h"
#include "base/crc32c.h"
#include "store/store_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RANGE_ROOM = 64, LIMIT_ROOM = 16 };

int weir__s3_payload(struct weir__s3_payload *payload,
                     const struct weir_store_req *req, bool https)
{
    unsigned char digest[WEIR__SHA256_SIZE];
    unsigned char big_endian[4];
    uint32_t crc = 0;

    payload->crc32c[0] = '\0';
    if (!https || weir__store_body_size(req) <= WEIR__S3_HASHED) {
        if (weir__sha256(digest, req->iov, req->iov_count) != 0)
            return WEIR_ENOMEM;
        weir__hex(payload->hash, digest, sizeof(digest));
        return 0;
    }
    for (size_t i = 0; i < req->iov_count; i++)
        if (req->iov[i].len > 0)
            crc = weir__crc32c(crc, req->iov[i].data, req->iov[i].len);
    for (int i = 0; i < 4; i++)
        big_endian[i] = (unsigned char)(crc >> (24 - 8 * i));
    weir__base64(payload->crc32c, big_endian, sizeof(big_endian));
    snprintf(payload->hash, sizeof(payload->hash), "UNSIGNED-PAYLOAD");
    return 0;
}

/* A message that is being written. */
struct draft {
    struct weir__s3_message *message;
    const struct weir__s3_place *place;
    const struct weir_store_req *req;
    struct weir__sigv4 sign;
    struct weir__pair headers[WEIR__S3_HEADERS];
    struct weir__pair query[8];
    char range[RANGE_ROOM];
    char limit[LIMIT_ROOM];
    char *path;   /* Of the URL, not encoded. */
    char *prefix; /* LIST: with the store's own in front. */
    char *after;
};

static void add_header(struct draft *d, const char *name, const char *value)
{
    d->headers[d->sign.header_count++] = (struct weir__pair){name, value};
}

static void add_query(struct draft *d, const char *name, const char *value)
{
    d->query[d->sign.query_count++] = (struct weir__pair){name, value};
}

static char *concat(const struct weir_alloc *alloc, const char *a,
                    const char *b, const char *c, const char *d)
{
    size_t room = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
    char *text = weir__malloc(alloc, room);

    if (text != NULL)
        snprintf(text, room, "%s%s%s%s", a, b, c, d);
    return text;
}

/* Range header of a GET; false: none is needed. */
static bool write_range(struct draft *d)
{
    const struct weir_store_req *req = d->req;

    if ((req->flags & WEIR_STORE_SUFFIX) != 0) {
        if (req->length > INT64_MAX)
            return false; /* All of it. */
        snprintf(d->range, sizeof(d->range), "bytes=-%" PRIu64, req->length);
    } else if (req->length > INT64_MAX || req->offset > INT64_MAX) {
        if (req->offset == 0)
            return false;
        snprintf(d->range, sizeof(d->range), "bytes=%" PRIu64 "-", req->offset);
    } else {
        snprintf(d->range, sizeof(d->range), "bytes=%" PRIu64 "-%" PRIu64,
                 req->offset, req->offset + req->length - 1);
    }
    return true;
}

static bool write_list(struct draft *d, const char *after)
{
    const struct weir_alloc *alloc = d->message->alloc;

    d->prefix = concat(alloc, d->place->prefix, d->req->key, "", "");
    if (d->prefix == NULL)
        return false;
    if (after != NULL) {
        d->after = weir__strdup(alloc, after);
        if (d->after == NULL)
            return false;
        add_query(d, "start-after", d->after);
    }
    snprintf(d->limit, sizeof(d->limit), "%u", (unsigned)d->req->limit);
    add_query(d, "list-type", "2");
    add_query(d, "encoding-type", "url");
    add_query(d, "max-keys", d->limit);
    add_query(d, "prefix", d->prefix);
    return true;
}

/* What the verb adds; false when memory is out. */
static bool write_verb(struct draft *d, const struct weir__s3_payload *payload,
                       const char *after)
{
    const struct weir_store_req *req = d->req;

    switch (req->verb) {
    case WEIR_STORE_PUT:
        d->sign.method = "PUT";
        /* Also tells an object from a web page that came in its place. */
        add_header(d, "content-type", "application/octet-stream");
        if ((req->flags & WEIR_STORE_IF_ABSENT) != 0)
            add_header(d, "if-none-match", "*");
        if (payload->crc32c[0] != '\0')
            add_header(d, "x-amz-checksum-crc32c", payload->crc32c);
        return true;
    case WEIR_STORE_GET:
        /* No range has no bytes: then it is the size that matters. */
        d->sign.method = req->length == 0 ? "HEAD" : "GET";
        if (req->length > 0 && write_range(d))
            add_header(d, "range", d->range);
        return true;
    case WEIR_STORE_HEAD:
        d->sign.method = "HEAD";
        return true;
    case WEIR_STORE_DELETE:
        d->sign.method = "DELETE";
        return true;
    case WEIR_STORE_LIST:
        d->sign.method = "GET";
        return write_list(d, after);
    }
    return false;
}

static bool write_path(struct draft *d)
{
    const struct weir__s3_place *place = d->place;
    bool list = d->req->verb == WEIR_STORE_LIST;

    if (place->path_style)
        d->path = concat(d->message->alloc, "/", place->bucket, "/", "");
    else
        d->path = weir__strdup(d->message->alloc, "/");
    if (d->path != NULL && !list) {
        char *front = d->path;

        d->path =
            concat(d->message->alloc, front, place->prefix, d->req->key, "");
        weir__free(d->message->alloc, front);
    }
    d->sign.path = d->path;
    return d->path != NULL;
}

static bool write_url(struct draft *d)
{
    struct weir__writer w;
    const char *scheme = d->place->https ? "https://" : "http://";

    weir__writer_init(&w, d->message->alloc);
    weir__write_bytes(&w, scheme, strlen(scheme));
    weir__write_bytes(&w, d->place->host, strlen(d->place->host));
    weir__sigv4_path(&w, &d->sign);
    if (d->sign.query_count > 0) {
        weir__write8(&w, '?');
        weir__sigv4_query(&w, &d->sign);
    }
    weir__write8(&w, '\0');
    if (w.bad) {
        weir__writer_free(&w);
        return false;
    }
    d->message->url = (char *)w.data;
    return true;
}

static bool add_line(struct weir__s3_message *m, const char *name,
                     const char *value)
{
    m->lines[m->line_count] = concat(m->alloc, name, ": ", value, "");
    return m->lines[m->line_count++] != NULL;
}

/* The headers that were signed, and the signature. */
static bool write_lines(struct draft *d)
{
    struct weir__s3_message *m = d->message;
    struct weir__writer w;
    bool good;

    for (size_t i = 0; i < d->sign.header_count; i++)
        if (!add_line(m, d->headers[i].name, d->headers[i].value))
            return false;
    weir__writer_init(&w, m->alloc);
    good = weir__sigv4_authorize(&w, &d->sign) == 0;
    weir__write8(&w, '\0');
    good = good && !w.bad && add_line(m, "authorization", (const char *)w.data);
    weir__writer_free(&w);
    return good;
}

int weir__s3_request(struct weir__s3_message *message,
                     const struct weir__s3_place *place,
                     const struct weir__s3_credentials *credentials,
                     const struct weir_store_req *req, const char *after,
                     const struct weir__s3_payload *payload, int64_t wall)
{
    const struct weir_alloc *alloc = place->alloc;
    char date[WEIR__SIGV4_DATE];
    struct draft d = {.message = message, .place = place, .req = req};
    bool good;

    *message = (struct weir__s3_message){.alloc = alloc};
    weir__sigv4_date(date, wall);
    d.sign.headers = d.headers;
    d.sign.query = d.query;
    d.sign.payload_hash = payload->hash;
    d.sign.date = date;
    d.sign.region = place->region;
    d.sign.service = "s3";
    d.sign.access_key = credentials->access_key;
    d.sign.secret_key = credentials->secret_key;
    add_header(&d, "host", place->host);
    add_header(&d, "x-amz-date", date);
    add_header(&d, "x-amz-content-sha256", payload->hash);
    if (credentials->token != NULL)
        add_header(&d, "x-amz-security-token", credentials->token);

    good = write_verb(&d, payload, after) && write_path(&d) && write_url(&d) &&
           write_lines(&d);
    message->method = d.sign.method;
    weir__free(alloc, d.path);
    weir__free(alloc, d.prefix);
    weir__free(alloc, d.after);
    if (good)
        return 0;
    weir__s3_message_wipe(message);
    return WEIR_ENOMEM;
}

void weir__s3_message_wipe(struct weir__s3_message *message)
{
    for (size_t i = 0; i < message->line_count; i++) {
        char *line = message->lines[i];

        if (line != NULL)
            explicit_bzero(line, strlen(line));
        weir__free(message->alloc, line);
    }
    weir__free(message->alloc, message->url);
    *message = (struct weir__s3_message){.alloc = message->alloc};
}
