/* SPDX-License-Identifier: Apache-2.0 */
/* Where an s3 store is, and with which keys. */
#include "store/s3.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/secret.h"
#include "store/store_request.h"

#include <stdio.h>
#include <string.h>

/* An endpoint, cut up: pointers into its text. */
struct endpoint {
    bool https;
    const char *host;
    size_t host_len; /* With the brackets of an IPv6 address. */
    const char *port;
    size_t port_len; /* 0: none. */
};

static bool is_host(const char *text, size_t len)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

    if (len > 2 && text[0] == '[' && text[len - 1] == ']')
        return strspn(text + 1, "0123456789abcdefABCDEF:.") == len - 2;
    return len > 0 && strspn(text, good) == len;
}

static bool is_port(const char *text, size_t len)
{
    unsigned port = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || port > 65535)
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

static int parse_endpoint(struct endpoint *e, const char *text,
                          struct weir_error *err)
{
    const char *rest;
    const char *colon;
    size_t len;

    e->https = strncmp(text, "https://", 8) == 0;
    if (!e->https && strncmp(text, "http://", 7) != 0)
        return weir__fail(err, WEIR_EINVAL,
                          "endpoint=%.*s: expected http://HOST:PORT or "
                          "https://HOST:PORT",
                          weir__uri_shown(text), text);
    rest = text + (e->https ? 8 : 7);
    len = strcspn(rest, "/");
    if (rest[len] == '/' && rest[len + 1] != '\0')
        return weir__fail(err, WEIR_EINVAL,
                          "endpoint=%.*s: expected no path behind the host",
                          weir__uri_shown(text), text);
    colon = memrchr(rest, ':', len);
    if (colon != NULL && memchr(colon, ']', len - (size_t)(colon - rest)))
        colon = NULL; /* Within an IPv6 address. */
    e->host = rest;
    e->host_len = colon != NULL ? (size_t)(colon - rest) : len;
    e->port = colon != NULL ? colon + 1 : "";
    e->port_len = colon != NULL ? len - e->host_len - 1 : 0;
    if (!is_host(e->host, e->host_len) ||
        (colon != NULL && !is_port(e->port, e->port_len)))
        return weir__fail(err, WEIR_EINVAL,
                          "endpoint=%.*s: expected a host name or address, "
                          "and a port from 1 to 65535",
                          weir__uri_shown(text), text);
    return 0;
}

static bool is_loopback(const struct endpoint *e)
{
    return weir__is_loopback(e->host, e->host_len);
}

/* The Host header as libcurl would write it, too: without a port that is the
 * scheme's own. */
static int set_host(struct weir__s3_place *place, const struct endpoint *e)
{
    const char *own = place->https ? "443" : "80";
    struct weir__writer w;

    weir__writer_init(&w, place->alloc);
    if (!place->path_style) {
        weir__write_bytes(&w, place->bucket, strlen(place->bucket));
        weir__write8(&w, '.');
    }
    weir__write_bytes(&w, e->host, e->host_len);
    if (e->port_len > 0 && (e->port_len != strlen(own) ||
                            memcmp(e->port, own, e->port_len) != 0)) {
        weir__write8(&w, ':');
        weir__write_bytes(&w, e->port, e->port_len);
    }
    weir__write8(&w, '\0');
    if (w.bad) {
        weir__writer_free(&w);
        return WEIR_ENOMEM;
    }
    place->host = (char *)w.data;
    return 0;
}

static bool is_bucket(const char *text)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t len = strlen(text);

    return len >= 3 && len <= 63 && strspn(text, good) == len &&
           text[0] != '.' && text[0] != '-';
}

static bool is_region(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len < WEIR__S3_REGION &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static int set_bucket(struct weir__s3_place *place, const char *bucket,
                      struct weir_error *err)
{
    const char *text = bucket != NULL ? bucket : "";

    if (!is_bucket(text))
        return weir__fail(err, WEIR_EINVAL,
                          "s3://%.*s: expected a bucket of 3 to 63 letters, "
                          "digits, dots and dashes: s3://BUCKET/PREFIX",
                          weir__uri_shown(text), text);
    place->bucket = weir__strdup(place->alloc, bucket);
    return place->bucket != NULL ? 0 : WEIR_ENOMEM;
}

/* "/a/b" or "/a/b/" becomes "a/b/". */
static int set_prefix(struct weir__s3_place *place, const char *path,
                      struct weir_error *err)
{
    const char *text = path[0] == '/' ? path + 1 : path;
    size_t len = strlen(text);
    char *prefix;

    if (!weir__store_prefix_valid(text) || len > WEIR_STORE_KEY_MAX)
        return weir__fail(err, WEIR_EINVAL,
                          "s3://%s/%.*s: expected a prefix of "
                          "[a-z0-9/_.-], no part empty or beginning with a dot",
                          place->bucket, weir__uri_shown(text), text);
    prefix = weir__malloc(place->alloc, len + 2);
    if (prefix == NULL)
        return WEIR_ENOMEM;
    memcpy(prefix, text, len + 1);
    if (len > 0 && text[len - 1] != '/')
        memcpy(prefix + len, "/", 2);
    place->prefix = prefix;
    return 0;
}

static int set_region(struct weir__s3_place *place, const char *region,
                      struct weir_error *err)
{
    if (region == NULL)
        region = "us-east-1";
    if (!is_region(region))
        return weir__fail(err, WEIR_EINVAL,
                          "region=%.60s: expected a name such as us-east-1",
                          region);
    place->region = weir__strdup(place->alloc, region);
    return place->region != NULL ? 0 : WEIR_ENOMEM;
}

static void amazon_host(char *to, size_t room, const char *region)
{
    snprintf(to, room, "s3.%s.amazonaws.com%s", region,
             strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

/* Amazon's own; a certificate there covers no bucket with a dot. */
static int set_amazon(struct weir__s3_place *place, const struct weir__uri *uri,
                      struct weir_error *err)
{
    struct endpoint e = {.https = true, .port = ""};
    int path_style = strchr(place->bucket, '.') != NULL;
    char host[100];
    int rc = weir__uri_bool(uri, "path_style", &path_style, err);

    if (rc != 0)
        return rc;
    amazon_host(host, sizeof(host), place->region);
    place->amazon = true;
    e.host = host;
    e.host_len = strlen(host);
    place->https = true;
    place->path_style = path_style != 0;
    return set_host(place, &e);
}

static int set_endpoint(struct weir__s3_place *place,
                        const struct weir__uri *uri, const char *text,
                        struct weir_error *err)
{
    struct endpoint e = {0};
    int path_style = 1;
    int insecure = 0;
    int rc = parse_endpoint(&e, text, err);

    if (rc == 0)
        rc = weir__uri_bool(uri, "path_style", &path_style, err);
    if (rc == 0)
        rc = weir__uri_bool(uri, "insecure", &insecure, err);
    if (rc != 0)
        return rc;
    if (!e.https && !is_loopback(&e) && !insecure)
        return weir__fail(err, WEIR_EINVAL,
                          "endpoint=%.*s: expected https://: anyone on the "
                          "way could read and change the data; add "
                          "insecure=true to allow it",
                          weir__uri_shown(text), text);
    place->https = e.https;
    place->insecure = !e.https && !is_loopback(&e);
    place->path_style = path_style != 0;
    return set_host(place, &e);
}

int weir__s3_place_read(struct weir__s3_place *place,
                        const struct weir_alloc *alloc,
                        const struct weir__uri *uri, struct weir_error *err)
{
    static const char *const known[] = {"endpoint", "region", "path_style",
                                        "insecure", NULL};
    const char *endpoint = weir__uri_get(uri, "endpoint");
    int rc = weir__uri_check(uri, known, err);

    *place = (struct weir__s3_place){.alloc = alloc};
    if (rc == 0)
        rc = set_bucket(place, uri->authority, err);
    if (rc == 0)
        rc = set_prefix(place, uri->path, err);
    if (rc == 0)
        rc = set_region(place, weir__uri_get(uri, "region"), err);
    if (rc == 0)
        rc = endpoint != NULL ? set_endpoint(place, uri, endpoint, err)
                              : set_amazon(place, uri, err);
    return rc == 0 ? 0 : weir__fail_status(err, rc);
}

int weir__s3_place_move(struct weir__s3_place *place, const char *region)
{
    struct weir__s3_place moved = *place;
    struct endpoint e = {.https = true, .port = ""};
    char host[100];

    if (!is_region(region))
        return WEIR_EINVAL;
    moved.region = weir__strdup(place->alloc, region);
    if (moved.region == NULL)
        return WEIR_ENOMEM;
    if (place->amazon) {
        amazon_host(host, sizeof(host), region);
        e.host = host;
        e.host_len = strlen(host);
        if (set_host(&moved, &e) != 0) {
            weir__free(place->alloc, moved.region);
            return WEIR_ENOMEM;
        }
        weir__free(place->alloc, place->host);
    }
    weir__free(place->alloc, place->region);
    *place = moved;
    return 0;
}

void weir__s3_place_free(struct weir__s3_place *place)
{
    weir__free(place->alloc, place->bucket);
    weir__free(place->alloc, place->prefix);
    weir__free(place->alloc, place->region);
    weir__free(place->alloc, place->host);
}

int weir__s3_credentials_copy(struct weir__s3_credentials *to,
                              const struct weir_alloc *alloc,
                              const char *access_key, const char *secret_key,
                              const char *token)
{
    size_t access_room = strlen(access_key) + 1;
    size_t secret_room = strlen(secret_key) + 1;
    size_t token_room = token != NULL ? strlen(token) + 1 : 0;
    char *room =
        weir__secret_calloc(alloc, access_room + secret_room + token_room);

    *to = (struct weir__s3_credentials){.alloc = alloc, .room = room};
    if (room == NULL)
        return WEIR_ENOMEM;
    to->access_key = memcpy(room, access_key, access_room);
    room += access_room;
    to->secret_key = memcpy(room, secret_key, secret_room);
    room += secret_room;
    if (token_room > 1)
        to->token = memcpy(room, token, token_room);
    return 0;
}

void weir__s3_credentials_wipe(struct weir__s3_credentials *credentials)
{
    weir__secret_free(credentials->alloc, credentials->room);
    *credentials = (struct weir__s3_credentials){0};
}
