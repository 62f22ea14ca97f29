/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of an S3 server.  The first byte says to what: a LIST ('l'), a GET
 * of a range ('g'), or anything that failed (all others).
 *
 *     l<XML>
 *     g<offset><length><flags><odd: 206><size of the body>Content-Range
 *     e<status - 300><verb>body */
#include "store/s3.h"

#include "store/store_request.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_list(const uint8_t *data, size_t size)
{
    static char own[] = "p/";
    const struct weir__s3_place place = {.prefix = own};
    struct weir__s3_list list = {.alloc = weir_alloc_default()};
    struct weir_error err = {0};
    int rc = weir__s3_list_read(&list, &place, "d", data, size, &err);

    if (rc != 0 && err.text[0] == '\0')
        abort();
    for (size_t i = 0; i < list.count && rc == 0; i++) {
        if (!weir__store_key_valid(list.entries[i].key) ||
            list.entries[i].key[0] != 'd')
            abort();
        if (i > 0 && strcmp(list.entries[i - 1].key, list.entries[i].key) >= 0)
            abort();
    }
    if (rc == 0 && list.more && list.last == NULL)
        abort();
    weir__s3_list_free(&list);
}

/* Whatever the headers say: bytes that are taken are as many as the range
 * has, and the range begins where it was asked for. */
static void fuzz_get(const uint8_t *data, size_t size)
{
    struct weir_store_req req = {.verb = WEIR_STORE_GET, .key = "k"};
    struct weir__http_answer answer = {0};
    struct weir_buf *body;
    uint64_t offset;
    uint64_t length;

    if (size < 5)
        return;
    req.offset = data[0];
    req.length = data[1];
    req.flags = data[2] & WEIR_STORE_SUFFIX;
    answer.status = (data[3] & 1) != 0 ? 206 : 200;
    snprintf(answer.content_range, sizeof(answer.content_range), "%.*s",
             (int)(size - 5), (const char *)data + 5);
    body = weir_buf_new(weir_alloc_default(), data[4], 0);
    if (body == NULL)
        return;
    body->len = data[4];
    if (weir__s3_read_get(&req, weir_alloc_default(), &answer, body, "GET",
                          NULL) != 0)
        return;
    if (weir__store_range(&req, req.size, &offset, &length) != 0 ||
        req.body->len != length)
        abort();
    weir_buf_unref(req.body);
}

static void fuzz_error(const uint8_t *data, size_t size)
{
    struct weir_store_req req = {.key = "k"};
    struct weir__http_answer answer = {0};
    struct weir__s3_error error;
    struct weir_error err = {0};

    if (size < 2)
        return;
    answer.status = data[0] == 255 ? 200 : 300 + data[0];
    req.verb = data[1] % 5;
    req.flags = req.verb == WEIR_STORE_PUT ? WEIR_STORE_IF_ABSENT : 0;
    weir__s3_error_read(&error, weir_alloc_default(), &answer, data + 2,
                        size - 2);
    if (weir__s3_error_status(&error, &answer, &req, "X", &err) >= 0)
        abort();
    for (const char *p = err.text; *p != '\0'; p++)
        if (*p < ' ' || *p > '~')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'l')
        fuzz_list(data + 1, size - 1);
    else if (data[0] == 'g')
        fuzz_get(data + 1, size - 1);
    else
        fuzz_error(data + 1, size - 1);
    return 0;
}
