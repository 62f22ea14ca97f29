/* SPDX-License-Identifier: Apache-2.0 */
/* An allocation of a node's life fails, whichever: nothing leaks, every
 * request ends, and what was acknowledged is there afterwards.  WEIR_EVERY=1
 * tries every allocation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/host.h"
#include "support/node.h"
#include "support/plug.h"
#include "support/test.h"

#include <weir/probe.h>

#define BATCHES 24

/** What the host knows after one life. */
struct life {
    int acknowledged[BATCHES]; /* At this offset plus 1; 0: not. */
    int appended;
    uint64_t start; /* Trimmed to. */
    int deleted;    /* The other stream: -1 unknown, 1 gone, 0 there. */
};

static struct test_alloc alloc;
static struct plug plug;
static struct weir_error err;
static struct life life;

static struct weir_config *configure(int kind, const char *dir,
                                     const struct weir_alloc *with)
{
    struct weir_config *config = NULL;
    char uri[512];

    if (weir_config_new(&config, with) != 0)
        return NULL;
    if (kind == 0) {
        plug_register(config, &plug);
    } else {
        snprintf(uri, sizeof(uri), "dir:%s/store?fsync=false", dir);
        ck_assert_int_eq(weir_config_set(config, "store", uri, NULL), 0);
        snprintf(uri, sizeof(uri), "file:%s/wal?size=1MiB", dir);
        ck_assert_int_eq(weir_config_set(config, "wal", uri, NULL), 0);
    }
    ck_assert_int_eq(weir_config_set(config, "log_cache", "4MiB", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "segment", "64KiB", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "max_batch", "64KiB", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "block", "4KiB", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "delete_grace", "0ns", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "snapshot_commits", "3", NULL), 0);
    return config;
}

/* An error must be one, and say something. */
static int told(int status)
{
    if (status == 0)
        return 0;
    ck_assert_int_lt(status, 0);
    ck_assert_msg(err.text[0] != '\0', "%s has no text",
                  weir_error_name(status));
    ck_assert_msg(status == WEIR_ENOMEM || status == WEIR_EUNKNOWN ||
                      status == WEIR_EPOISONED || status == WEIR_EAGAIN,
                  "%s: %s", weir_error_name(status), err.text);
    err.text[0] = '\0';
    return status;
}

static struct weir_stream *open_stream(struct weir *node, const char *name)
{
    struct weir_stream_open open = {
        .req.err = &err, .name = name, .flags = WEIR_STREAM_CREATE};

    return told(weir_stream_open_sync(node, &open)) == 0 ? open.stream : NULL;
}

/* Batch `i` is 3000 bytes of its own letter. */
static void fill(char *data, int i)
{
    memset(data, 'a' + i, 3000);
}

static void append_one(struct weir_stream *s)
{
    static char data[3000];
    struct weir_append a = {.req.err = &err,
                            .data = data,
                            .len = sizeof(data),
                            .count = 1,
                            .max_timestamp = WEIR_NO_TIMESTAMP};
    int i = life.appended++;

    fill(data, i);
    if (told(weir_append_sync(s, &a)) == 0)
        life.acknowledged[i] = (int)a.base_offset + 1;
}

static int many_left;

static void many_done(struct weir_req *req, int status)
{
    struct weir_append *a = (struct weir_append *)(void *)req;

    if (status == 0)
        life.acknowledged[(intptr_t)req->ctx] = (int)a->base_offset + 1;
    many_left--;
}

/* Several at once, so that they share a write. */
static void append_many(struct weir *node, struct weir_stream *s)
{
    static char data[8][3000];
    struct weir_append a[8];

    for (int n = 0; n < 8; n++) {
        int i = life.appended++;

        fill(data[n], i);
        a[n] = (struct weir_append){.req.done = many_done,
                                    .req.ctx = (void *)(intptr_t)i,
                                    .data = data[n],
                                    .len = sizeof(data[n]),
                                    .count = 1,
                                    .flags = WEIR_APPEND_WAIT,
                                    .max_timestamp = WEIR_NO_TIMESTAMP};
        many_left++;
        ck_assert_int_eq(weir_append(s, &a[n]), 0);
    }
    while (many_left > 0)
        ck_assert_int_ge(weir_poll(node, WEIR_FOREVER), 0);
}

/* What a fetch gives is right, or it is an error. */
static void fetch_all(struct weir_stream *s)
{
    struct weir_fetch f = {.req.err = &err, .max_bytes = 1 << 20};

    f.offset = life.start;
    if (told(weir_fetch_sync(s, &f)) != 0)
        return;
    for (size_t i = 0; i < f.count; i++)
        for (int n = 0; n < BATCHES; n++)
            if (life.acknowledged[n] == (int)f.batches[i].base_offset + 1)
                ck_assert_int_eq(*(const char *)f.batches[i].data, 'a' + n);
    weir_fetch_release(&f);
}

static void flush(struct weir *node)
{
    struct weir_flush flush = {.req.err = &err};

    (void)told(weir_flush_sync(node, &flush));
}

static int pair(struct weir_kv_get *req, const struct weir_kv_pair *got)
{
    (void)req;
    ck_assert_uint_eq(got->len, 5);
    return 0;
}

static void use_keys(struct weir *node)
{
    struct weir_kv_put put = {.req.err = &err,
                              .key = "key",
                              .value = "value",
                              .len = 5,
                              .expected = WEIR_KV_ANY};
    struct weir_kv_get get = {.req.err = &err, .key = "key", .pair = pair};

    if (told(weir_kv_put_sync(node, &put)) == 0)
        (void)told(weir_kv_get_sync(node, &get));
}

static void trim(struct weir_stream *s)
{
    struct weir_trim trim = {.req.err = &err, .start = 2};

    if (weir_trim_sync(s, &trim) == 0)
        life.start = 2;
}

static void delete_other(struct weir *node)
{
    struct weir_stream_delete del = {.req.err = &err, .name = "other"};
    int status = weir_stream_delete_sync(node, &del);

    life.deleted = status == 0 ? 1 : status == WEIR_ENOENT ? 0 : -1;
}

static void live(struct weir *node)
{
    struct weir_stream *s = open_stream(node, "s");
    struct weir_stream *other = open_stream(node, "other");

    if (other != NULL)
        (void)test_try_append(other, "short", 0);
    if (s == NULL)
        return;
    append_one(s);
    append_many(node, s);
    fetch_all(s);
    flush(node);
    use_keys(node);
    append_one(s);
    fetch_all(s);
    trim(s);
    delete_other(node);
    append_many(node, s);
    flush(node);
    fetch_all(s);
}

/* What was acknowledged is there, unless it was trimmed. */
static void check(int kind, const char *dir)
{
    struct weir_config *config = configure(kind, dir, NULL);
    struct weir *node = test_open(config);
    struct weir_stream *s = test_stream(node, "s", WEIR_STREAM_CREATE);
    struct weir_fetch f;

    for (int i = 0; i < BATCHES; i++) {
        uint64_t at = (uint64_t)life.acknowledged[i] - 1;
        char data[3000];

        if (life.acknowledged[i] == 0 || at < 2)
            continue;
        fill(data, i);
        ck_assert_msg(test_fetch(s, at, &f) == 0, "%s", test_error.text);
        ck_assert_uint_ge(f.count, 1);
        ck_assert_uint_eq(f.batches[0].len, sizeof(data));
        ck_assert_mem_eq(f.batches[0].data, data, sizeof(data));
        weir_fetch_release(&f);
    }
    weir_free(node);
    weir_config_free(config);
}

/* One life in which `row` allocations fail, from number `n` on; 0 when there
 * were not so many. */
static int one_life(int kind, const char *dir, long n, int row)
{
    struct weir_config *config;
    struct weir *node;
    int reached;

    life = (struct life){0};
    plug = (struct plug){0};
    test_alloc_init(&alloc);
    config = configure(kind, dir, &alloc.alloc);
    ck_assert_ptr_nonnull(config);
    test_alloc_fail(&alloc, n, row > 1 ? row : 0);
    if (told(weir_open(&node, config, &err)) == 0) {
        live(node);
        (void)weir_close(node, &err);
        weir_free(node);
    } else {
        ck_assert_ptr_null(node);
    }
    reached = alloc.calls >= alloc.fail_at;
    alloc.fail_at = 0;
    weir_config_free(config);
    test_alloc_check(&alloc);
    check(kind, dir);
    plug_free(&plug);
    return reached;
}

static void remove_all(const char *dir)
{
    char command[600];

    snprintf(command, sizeof(command), "rm -rf %s/store %s/wal*", dir, dir);
    ck_assert_int_eq(system(command), 0);
}

/* How many allocations fail in a row. */
static const int rows[] = {1, 5};
/* A life with a failure takes a while, for the node waits before it tries
 * again: each run tests one in so many, beginning with another one. */
#define STRIDE 29

static long stride(void)
{
    return getenv("WEIR_EVERY") != NULL ? 1 : STRIDE;
}

START_TEST(any_allocation_may_fail)
{
    const char *dir = test_dir();
    long n = 1 + (long)(test_seed() % (unsigned long long)stride());
    long lives = 0;

    for (; one_life(_i % 2, dir, n, rows[_i / 2]); n += stride()) {
        if (_i % 2 == 1)
            remove_all(dir);
        lives++;
    }
    printf("%s, %d in a row: of %ld allocations, %ld were tried\n",
           _i % 2 == 0 ? "memory" : "files", rows[_i / 2], n - 1, lives);
    fflush(stdout);
    ck_assert_int_gt(n, 100); /* Some were reached. */
}
END_TEST

static int see_item(void *ctx, const struct weir_item *item)
{
    (void)item;
    ++*(int *)ctx;
    return 0;
}

/* It tells of what it could not try, or that memory is out. */
START_TEST(any_allocation_of_a_probe_may_fail)
{
    struct weir_config *config;
    int reached = 1;
    long n;

    for (n = 1; reached; n++) {
        int items = 0;
        int rc;

        test_alloc_init(&alloc);
        ck_assert_int_eq(weir_config_new(&config, &alloc.alloc), 0);
        ck_assert_int_eq(weir_config_set(config, "store", "mem:", NULL), 0);
        test_alloc_fail(&alloc, n, _i);
        rc = weir_probe(config, see_item, &items, &err);
        ck_assert_msg(rc == 0 || rc == WEIR_ENOMEM || rc == WEIR_EUNKNOWN ||
                          rc == WEIR_EUNSUPPORTED,
                      "%ld: %s: %s", n, weir_error_name(rc), err.text);
        ck_assert_msg(rc != 0 || items > 0, "%ld", n);
        reached = alloc.calls >= alloc.fail_at;
        alloc.fail_at = 0;
        weir_config_free(config);
        test_alloc_check(&alloc);
    }
    printf("probe, %s: %ld allocations\n", _i == 0 ? "once" : "from then on",
           n - 2);
    fflush(stdout);
    ck_assert_int_gt(n, 10);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("engine memory");

    tcase_set_timeout(tc, stride() == 1 ? 7200 : 300);
    tcase_add_loop_test(tc, any_allocation_may_fail, 0, 4);
    tcase_add_loop_test(tc, any_allocation_of_a_probe_may_fail, 0, 2);
    return test_run();
}
