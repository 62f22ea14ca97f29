/* SPDX-License-Identifier: Apache-2.0 */
/* From a request of the port to a signed HTTP message.
 *
 * How a server comes to check the body of a PUT: over plain http to another
 * machine, and for small bodies, the SHA-256 of the body is part of the
 * signature.  Over https, and within this machine, nobody on the way can
 * change it, so a large body is left out of the signature, which saves a pass
 * of SHA-256, and a CRC32C goes along for servers that check it.  Parts of an
 * object are always hashed; see s3_parts.c.
 *
 * And how a reader comes to check it: the CRC32C is kept with the object, as
 * metadata of ours, which every server gives back. */
#include "store/s3.h"

#include "base/alloc.h"
#include "base/crc32c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RANGE_ROOM = 64, LIMIT_ROOM = 16 };

static void sum_text(char to[16], uint32_t crc)
{
    unsigned char big_endian[4];

    for (int i = 0; i < 4; i++)
        big_endian[i] = (unsigned char)(crc >> (24 - 8 * i));
    weir__base64(to, big_endian, sizeof(big_endian));
}

void weir__s3_sum(char to[16], const struct weir_iov *iov, size_t iov_count)
{
    uint32_t crc = 0;

    for (size_t i = 0; i < iov_count; i++)
        if (iov[i].len > 0)
            crc = weir__crc32c(crc, iov[i].data, iov[i].len);
    sum_text(to, crc);
}

/* 1 if the server is to check the body by a hash that is signed. */
static bool is_hashed(const struct weir_iov *iov, size_t iov_count,
                      const struct weir__s3_place *place)
{
    uint64_t size = 0;

    for (size_t i = 0; i < iov_count; i++)
        size += iov[i].len;
    return place->insecure || size <= WEIR__S3_HASHED;
}

int weir__s3_hash(struct weir__s3_payload *payload, const struct weir_iov *iov,
                  size_t iov_count)
{
    unsigned char digest[WEIR__SHA256_SIZE];

    payload->crc32c[0] = '\0';
    if (weir__sha256(digest, iov, iov_count) != 0)
        return WEIR_ENOMEM;
    weir__hex(payload->hash, digest, sizeof(digest));
    return 0;
}

int weir__s3_payload(struct weir__s3_payload *payload,
                     const struct weir_store_req *req,
                     const struct weir__s3_place *place)
{
    if (req->crc32c != NULL)
        sum_text(payload->sum, *req->crc32c);
    else
        weir__s3_sum(payload->sum, req->iov, req->iov_count);
    if (is_hashed(req->iov, req->iov_count, place))
        return weir__s3_hash(payload, req->iov, req->iov_count);
    snprintf(payload->hash, sizeof(payload->hash), "UNSIGNED-PAYLOAD");
    memcpy(payload->crc32c, payload->sum, sizeof(payload->crc32c));
    return 0;
}

void weir__s3_ask_header(struct weir__s3_ask *ask, const char *name,
                         const char *value)
{
    ask->headers[ask->header_count++] = (struct weir__pair){name, value};
}

void weir__s3_ask_query(struct weir__s3_ask *ask, const char *name,
                        const char *value)
{
    ask->query[ask->query_count++] = (struct weir__pair){name, value};
}

void weir__s3_ask_put(struct weir__s3_ask *ask,
                      const struct weir__s3_place *place,
                      const struct weir__s3_payload *payload)
{
    /* Also tells an object from a web page that came in its place. */
    weir__s3_ask_header(ask, "content-type", "application/octet-stream");
    if (payload->id[0] != '\0')
        weir__s3_ask_header(ask, "x-amz-meta-weir-put", payload->id);
    if (payload->sum[0] != '\0')
        weir__s3_ask_header(ask, "x-amz-meta-weir-crc32c", payload->sum);
    if (place->sse != NULL)
        weir__s3_ask_header(ask, "x-amz-server-side-encryption", place->sse);
    if (place->sse_key != NULL)
        weir__s3_ask_header(ask, "x-amz-server-side-encryption-aws-kms-key-id",
                            place->sse_key);
}

/* A message that is being written. */
struct draft {
    struct weir__s3_message *message;
    const struct weir__s3_place *place;
    const struct weir__s3_ask *ask;
    struct weir__sigv4 sign;
    struct weir__pair headers[WEIR__S3_HEADERS + 5];
    char *path; /* Of the URL, not encoded. */
};

/* What a request of the port asks for, in words of S3. */
struct translation {
    struct weir__s3_ask ask;
    const struct weir_alloc *alloc;
    const struct weir__s3_place *place;
    const struct weir_store_req *req;
    char range[RANGE_ROOM];
    char limit[LIMIT_ROOM];
    char *key;    /* With the store's own prefix, */
    char *prefix; /* and so the prefix of a LIST. */
};

static void add_header(struct draft *d, const char *name, const char *value)
{
    d->headers[d->sign.header_count++] = (struct weir__pair){name, value};
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
static bool write_range(struct translation *d)
{
    const struct weir_store_req *req = d->req;

    if ((req->flags & WEIR_STORE_SUFFIX) != 0) {
        if (req->length > INT64_MAX)
            return false; /* All of it. */
        snprintf(d->range, sizeof(d->range), "bytes=-%" PRIu64, req->length);
    } else if (req->length > INT64_MAX || req->offset > INT64_MAX) {
        if (req->offset == 0)
            return false;
        /* No object is so long, and no server reads more digits for sure. */
        snprintf(d->range, sizeof(d->range), "bytes=%" PRIu64 "-",
                 req->offset < INT64_MAX ? req->offset : INT64_MAX);
    } else {
        snprintf(d->range, sizeof(d->range), "bytes=%" PRIu64 "-%" PRIu64,
                 req->offset, req->offset + req->length - 1);
    }
    return true;
}

static bool write_list(struct translation *t, const char *after)
{
    struct weir__s3_ask *ask = &t->ask;

    ask->method = "GET";
    t->prefix = concat(t->alloc, t->place->prefix, t->req->key, "", "");
    if (t->prefix == NULL)
        return false;
    snprintf(t->limit, sizeof(t->limit), "%u", (unsigned)t->req->limit);
    if (after != NULL)
        weir__s3_ask_query(ask, "start-after", after);
    weir__s3_ask_query(ask, "list-type", "2");
    weir__s3_ask_query(ask, "encoding-type", "url");
    weir__s3_ask_query(ask, "max-keys", t->limit);
    weir__s3_ask_query(ask, "prefix", t->prefix);
    return true;
}

static bool write_put(struct translation *t,
                      const struct weir__s3_payload *payload)
{
    struct weir__s3_ask *ask = &t->ask;

    ask->method = "PUT";
    weir__s3_ask_put(ask, t->place, payload);
    if ((t->req->flags & WEIR_STORE_IF_ABSENT) != 0)
        weir__s3_ask_header(ask, "if-none-match", "*");
    if (payload->crc32c[0] != '\0')
        weir__s3_ask_header(ask, "x-amz-checksum-crc32c", payload->crc32c);
    return true;
}

/* What the verb says; false when memory is out. */
static bool write_verb(struct translation *t,
                       const struct weir__s3_payload *payload,
                       const char *after)
{
    struct weir__s3_ask *ask = &t->ask;
    const struct weir_store_req *req = t->req;

    if (req->verb == WEIR_STORE_LIST)
        return write_list(t, after);
    t->key = concat(t->alloc, t->place->prefix, req->key, "", "");
    ask->key = t->key;
    if (t->key == NULL)
        return false;
    if (req->verb == WEIR_STORE_PUT)
        return write_put(t, payload);
    /* No range has no bytes: then it is the size that matters. */
    if (req->verb == WEIR_STORE_GET && req->length > 0) {
        ask->method = "GET";
        if (write_range(t))
            weir__s3_ask_header(ask, "range", t->range);
    } else {
        ask->method = req->verb == WEIR_STORE_DELETE ? "DELETE" : "HEAD";
    }
    return true;
}

static bool write_path(struct draft *d)
{
    const struct weir__s3_place *place = d->place;
    const char *key = d->ask->key != NULL ? d->ask->key : "";

    d->path =
        concat(d->message->alloc, "/", place->path_style ? place->bucket : "",
               place->path_style ? "/" : "", key);
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

int weir__s3_ask_sign(struct weir__s3_message *message,
                      const struct weir__s3_place *place,
                      const struct weir__s3_credentials *credentials,
                      const struct weir__s3_ask *ask, int64_t wall)
{
    const struct weir_alloc *alloc = place->alloc;
    char date[WEIR__SIGV4_DATE];
    struct draft d = {.message = message, .place = place, .ask = ask};
    bool good;

    *message = (struct weir__s3_message){.alloc = alloc};
    weir__sigv4_date(date, wall);
    d.sign.method = ask->method;
    d.sign.headers = d.headers;
    d.sign.query = ask->query;
    d.sign.query_count = ask->query_count;
    d.sign.payload_hash = ask->payload_hash;
    d.sign.date = date;
    d.sign.region = place->region;
    d.sign.service = "s3";
    d.sign.access_key = credentials->access_key;
    d.sign.secret_key = credentials->secret_key;
    add_header(&d, "host", place->host);
    add_header(&d, "x-amz-date", date);
    add_header(&d, "x-amz-content-sha256", ask->payload_hash);
    if (credentials->token != NULL)
        add_header(&d, "x-amz-security-token", credentials->token);
    for (size_t i = 0; i < ask->header_count; i++)
        add_header(&d, ask->headers[i].name, ask->headers[i].value);

    good = write_path(&d) && write_url(&d) && write_lines(&d);
    message->method = ask->method;
    weir__free(alloc, d.path);
    if (good)
        return 0;
    weir__s3_message_wipe(message);
    return WEIR_ENOMEM;
}

int weir__s3_request(struct weir__s3_message *message,
                     const struct weir__s3_place *place,
                     const struct weir__s3_credentials *credentials,
                     const struct weir_store_req *req, const char *after,
                     const struct weir__s3_payload *payload, int64_t wall)
{
    struct translation t = {.alloc = place->alloc,
                            .place = place,
                            .req = req,
                            .ask = {.payload_hash = payload->hash}};
    int rc = WEIR_ENOMEM;

    *message = (struct weir__s3_message){.alloc = place->alloc};
    if (write_verb(&t, payload, after))
        rc = weir__s3_ask_sign(message, place, credentials, &t.ask, wall);
    weir__free(place->alloc, t.key);
    weir__free(place->alloc, t.prefix);
    return rc;
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
