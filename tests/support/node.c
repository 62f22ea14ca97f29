/* SPDX-License-Identifier: Apache-2.0 */
#include "support/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "support/test.h"

const struct test_backend test_backends[] = {
    {"mem", "mem:", "mem:"},
    {"dir", "dir:%s/store", "file:%s/wal?size=16MiB"},
};
const int test_backend_count = 2;

struct weir_error test_error;

#define OK(call)                                                               \
    do {                                                                       \
        int rc_ = (call);                                                      \
        ck_assert_msg(rc_ >= 0, "%s: %s: %s", #call, weir_error_name(rc_),     \
                      test_error.text);                                        \
    } while (0)

static void set_uri(struct weir_config *config, const char *key,
                    const char *uri, const char *dir)
{
    char text[512];
    const char *at = strstr(uri, "%s");

    if (at == NULL)
        snprintf(text, sizeof(text), "%s", uri);
    else
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - uri), uri, dir,
                 at + 2);
    OK(weir_config_set(config, key, text, &test_error));
}

struct weir_config *test_config(int i, const char *dir, ...)
{
    struct weir_config *config;
    const char *key, *value;
    va_list args;

    OK(weir_config_new(&config, NULL));
    set_uri(config, "store", test_backends[i].store, dir);
    set_uri(config, "wal", test_backends[i].wal, dir);
    va_start(args, dir);
    while ((key = va_arg(args, const char *)) != NULL) {
        value = va_arg(args, const char *);
        OK(weir_config_set(config, key, value, &test_error));
    }
    va_end(args);
    return config;
}

struct weir *test_open(const struct weir_config *config)
{
    struct weir *node;

    OK(weir_open(&node, config, &test_error));
    return node;
}

struct weir_stream *test_stream(struct weir *node, const char *name,
                                unsigned flags)
{
    struct weir_stream_open open = {
        .req.err = &test_error, .name = name, .flags = flags};

    OK(weir_stream_open_sync(node, &open));
    return open.stream;
}

int test_try_append(struct weir_stream *stream, const char *text,
                    unsigned flags)
{
    struct weir_append append = {.req.err = &test_error,
                                 .data = text,
                                 .len = strlen(text),
                                 .count = 1,
                                 .flags = flags,
                                 .max_timestamp = WEIR_NO_TIMESTAMP};

    return weir_append_sync(stream, &append);
}

uint64_t test_append(struct weir_stream *stream, const char *text)
{
    struct weir_append append = {.req.err = &test_error,
                                 .data = text,
                                 .len = strlen(text),
                                 .count = 1,
                                 .max_timestamp = WEIR_NO_TIMESTAMP};

    OK(weir_append_sync(stream, &append));
    return append.base_offset;
}

static void late_done(struct weir_req *req, int status)
{
    struct test_late *late = req->ctx;

    late->over = 1;
    late->status = status;
}

void test_append_late(struct weir *node, struct weir_stream *stream,
                      const char *text, struct test_late *late)
{
    *late = (struct test_late){.req = {.req = {.done = late_done, .ctx = late},
                                       .data = text,
                                       .len = strlen(text),
                                       .count = 1,
                                       .max_timestamp = WEIR_NO_TIMESTAMP}};
    ck_assert_int_eq(weir_append(stream, &late->req), 0);
    for (int i = 0; i < 20; i++)
        weir_poll(node, 0);
}

int test_fetch(struct weir_stream *stream, uint64_t offset,
               struct weir_fetch *fetch)
{
    *fetch = (struct weir_fetch){
        .req.err = &test_error, .offset = offset, .max_bytes = 1 << 20};
    return weir_fetch_sync(stream, fetch);
}

void test_expect(struct weir_stream *stream, uint64_t offset, ...)
{
    struct weir_fetch fetch = {0};
    const char *text;
    size_t i = 0;
    va_list args;

    va_start(args, offset);
    while ((text = va_arg(args, const char *)) != NULL) {
        if (i == fetch.count) {
            weir_fetch_release(&fetch);
            OK(test_fetch(stream, offset, &fetch));
            ck_assert_uint_ne(fetch.count, 0);
            i = 0;
        }
        ck_assert_uint_eq(fetch.batches[i].base_offset, offset);
        ck_assert_uint_eq(fetch.batches[i].len, strlen(text));
        ck_assert_mem_eq(fetch.batches[i].data, text, strlen(text));
        offset += fetch.batches[i++].count;
    }
    va_end(args);
    ck_assert_uint_eq(i, fetch.count);
    weir_fetch_release(&fetch);
    OK(test_fetch(stream, offset, &fetch));
    ck_assert_uint_eq(fetch.count, 0);
    ck_assert_uint_eq(fetch.end, offset);
}

void test_flush(struct weir *node)
{
    struct weir_flush flush = {.req.err = &test_error};

    OK(weir_flush_sync(node, &flush));
}

int test_trim(struct weir_stream *stream, uint64_t start)
{
    struct weir_trim trim = {.req.err = &test_error, .start = start};

    return weir_trim_sync(stream, &trim);
}

int test_delete(struct weir *node, const char *name)
{
    struct weir_stream_delete del = {.req.err = &test_error, .name = name};

    return weir_stream_delete_sync(node, &del);
}

void test_drive(struct weir *node, const int *flag)
{
    for (int i = 0; i < 100000 && *flag == 0; i++)
        OK(weir_poll(node, 1000000));
    ck_assert_int_ne(*flag, 0);
}
