/* SPDX-License-Identifier: Apache-2.0 */
/* What came with a GET, against what was asked: bytes of another range, or
 * fewer bytes, must never pass for the ones that were wanted. */
#include "store/s3.h"

#include "base/error.h"
#include "store/store_request.h"

#include <inttypes.h>
#include <string.h>

static bool parse_number(const char **at, uint64_t *out)
{
    const char *p = *at;
    uint64_t n = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (unsigned)(*p - '0'), &n))
            return false;
    *at = p;
    *out = n;
    return true;
}

static bool parse_byte(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* "bytes 0-9/100" */
static bool parse_range(const char *text, uint64_t *first, uint64_t *last,
                        uint64_t *size)
{
    if (strncmp(text, "bytes ", 6) != 0)
        return false;
    text += 6;
    return parse_number(&text, first) && parse_byte(&text, '-') &&
           parse_number(&text, last) && parse_byte(&text, '/') &&
           parse_number(&text, size) && *text == '\0';
}

/* A part of the object came: is it the right one? */
static int check_part(struct weir_store_req *req,
                      const struct weir__http_answer *answer, size_t len,
                      const char *what, struct weir_error *err)
{
    uint64_t first;
    uint64_t last;
    uint64_t size;
    uint64_t offset;
    uint64_t length;

    /* The end of an empty object, as MinIO tells of it. */
    if (len == 0 && strcmp(answer->content_range, "bytes 0--1/0") == 0) {
        req->size = 0;
        return weir__store_range(req, 0, &offset, &length);
    }
    if (!parse_range(answer->content_range, &first, &last, &size) ||
        last < first || last >= size ||
        weir__store_range(req, size, &offset, &length) != 0 ||
        first != offset || last - first + 1 != length || len != length)
        return weir__fail(err, WEIR_ECORRUPT,
                          "%s: offset %" PRIu64 ", length %" PRIu64
                          "%s were asked for, and %zu bytes came as \"%.60s\"",
                          what, req->offset, req->length,
                          (req->flags & WEIR_STORE_SUFFIX) != 0 ? " (suffix)"
                                                                : "",
                          len, answer->content_range);
    req->size = size;
    return 0;
}

/* The whole object came. */
static int check_whole(struct weir_store_req *req, size_t len, const char *what,
                       struct weir_error *err)
{
    uint64_t offset;
    uint64_t length;
    int rc = weir__store_range(req, len, &offset, &length);

    if (rc != 0)
        return rc;
    if (length != len)
        return weir__fail(err, WEIR_EUNSUPPORTED,
                          "%s: the server ignores the Range header", what);
    req->size = len;
    return 0;
}

int weir__s3_read_get(struct weir_store_req *req,
                      const struct weir_alloc *alloc,
                      const struct weir__http_answer *answer,
                      struct weir_buf *body, const char *what,
                      struct weir_error *err)
{
    size_t len = body != NULL ? body->len : 0;
    int rc = answer->status == 206 ? check_part(req, answer, len, what, err)
                                   : check_whole(req, len, what, err);

    if (rc == 0 && body == NULL) {
        body = weir_buf_new(alloc, 0, 0);
        if (body == NULL)
            rc = WEIR_ENOMEM;
    }
    if (rc != 0) {
        weir_buf_unref(body);
        return rc;
    }
    req->body = body;
    return 0;
}
