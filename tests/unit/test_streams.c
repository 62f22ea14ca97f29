/* SPDX-License-Identifier: Apache-2.0 */
/* What a host sees of streams, on every pair of backends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/node.h"
#include "support/test.h"

static struct weir_config *config;
static struct weir *node;
static const char *dir;

static void open_node(int backend)
{
    dir = test_dir();
    config = test_config(backend, dir, "delete_grace", "0ns", NULL);
    node = test_open(config);
}

/* Close and open again.  Memory keeps nothing, so there is nothing to see. */
static int reopened(int backend)
{
    if (backend == 0)
        return 0;
    weir_free(node);
    node = test_open(config);
    return 1;
}

static void close_node(void)
{
    weir_free(node);
    weir_config_free(config);
}

static struct weir_stream *orders(void)
{
    return test_stream(node, "orders", WEIR_STREAM_CREATE);
}

START_TEST(what_was_appended_is_fetched)
{
    struct weir_stream *s;

    open_node(_i);
    s = orders();
    ck_assert_uint_eq(test_append(s, "a"), 0);
    ck_assert_uint_eq(test_append(s, "bb"), 1);
    ck_assert_uint_eq(test_append(s, "ccc"), 2);
    test_expect(s, 0, "a", "bb", "ccc", NULL);
    test_expect(s, 1, "bb", "ccc", NULL);
    test_flush(node);
    test_expect(s, 0, "a", "bb", "ccc", NULL);
    close_node();
}
END_TEST

START_TEST(a_node_opened_again_has_all_of_it)
{
    struct weir_stream *s;

    open_node(_i);
    s = orders();
    test_append(s, "in an object");
    test_flush(node);
    test_append(s, "in the log");
    if (reopened(_i)) {
        s = orders();
        test_expect(s, 0, "in an object", "in the log", NULL);
        ck_assert_uint_eq(test_append(s, "new"), 2);
        test_flush(node);
        test_expect(s, 0, "in an object", "in the log", "new", NULL);
    }
    close_node();
}
END_TEST

START_TEST(a_fetch_begins_with_the_batch_that_holds_the_offset)
{
    struct weir_append append = {.req.err = &test_error,
                                 .data = "ten",
                                 .len = 3,
                                 .count = 10,
                                 .max_timestamp = 77};
    struct weir_stream *s;
    struct weir_fetch f;

    open_node(_i);
    s = orders();
    ck_assert_int_eq(weir_append_sync(s, &append), 0);
    ck_assert_uint_eq(test_append(s, "next"), 10);
    for (int flushed = 0; flushed < 2; flushed++) {
        ck_assert_int_eq(test_fetch(s, 7, &f), 0);
        ck_assert_uint_eq(f.count, 2);
        ck_assert_uint_eq(f.batches[0].base_offset, 0);
        ck_assert_uint_eq(f.batches[0].count, 10);
        ck_assert_int_eq(f.batches[0].max_timestamp, 77);
        ck_assert_uint_eq(f.batches[1].base_offset, 10);
        ck_assert_uint_eq(f.end, 11);
        weir_fetch_release(&f);
        test_flush(node);
    }
    close_node();
}
END_TEST

START_TEST(max_bytes_bounds_all_but_the_first_batch)
{
    struct weir_fetch f = {.req.err = &test_error, .max_bytes = 10};
    struct weir_stream *s;

    open_node(_i);
    s = orders();
    test_append(s, "longer than ten bytes");
    test_append(s, "12345");
    test_append(s, "67890");
    test_append(s, "!");
    for (int flushed = 0; flushed < 2; flushed++) {
        f.offset = 0;
        ck_assert_int_eq(weir_fetch_sync(s, &f), 0);
        ck_assert_uint_eq(f.count, 1);
        weir_fetch_release(&f);
        f.offset = 1;
        ck_assert_int_eq(weir_fetch_sync(s, &f), 0);
        ck_assert_uint_eq(f.count, 2);
        weir_fetch_release(&f);
        test_flush(node);
    }
    close_node();
}
END_TEST

START_TEST(offsets_outside_of_the_stream_are_refused)
{
    struct weir_stream *s;
    struct weir_fetch f;

    open_node(_i);
    s = orders();
    for (int i = 0; i < 4; i++)
        test_append(s, "x");
    ck_assert_int_eq(test_trim(s, 2), 0);
    ck_assert_int_eq(test_fetch(s, 1, &f), WEIR_ERANGE);
    ck_assert_uint_eq(f.start, 2);
    ck_assert_uint_eq(f.end, 4);
    ck_assert_int_eq(test_fetch(s, 5, &f), WEIR_ERANGE);
    ck_assert_ptr_nonnull(strstr(test_error.text, "orders"));
    ck_assert_int_eq(test_fetch(s, 4, &f), 0);
    ck_assert_uint_eq(f.count, 0);
    ck_assert_int_eq(test_fetch(s, WEIR_OFFSET_END, &f), 0);
    ck_assert_uint_eq(f.count, 0);
    ck_assert_int_eq(test_trim(s, 9), WEIR_ERANGE);
    close_node();
}
END_TEST

static int done_status;
static int done_flag;

static void done(struct weir_req *req, int status)
{
    (void)req;
    done_status = status;
    done_flag = 1;
}

static void start_fetch(struct weir_stream *s, struct weir_fetch *f,
                        uint64_t offset, size_t min_bytes, int64_t wait)
{
    *f = (struct weir_fetch){.req.done = done,
                             .req.err = &test_error,
                             .offset = offset,
                             .max_bytes = 1000,
                             .min_bytes = min_bytes,
                             .max_wait = wait};
    done_flag = 0;
    ck_assert_int_eq(weir_fetch(s, f), 0);
    weir_poll(node, 0);
}

START_TEST(a_fetch_waits_for_min_bytes)
{
    struct weir_stream *s;
    struct weir_fetch f;

    open_node(_i);
    s = orders();
    start_fetch(s, &f, 0, 6, WEIR_FOREVER);
    test_append(s, "four");
    ck_assert_int_eq(done_flag, 0);
    test_append(s, "four");
    test_drive(node, &done_flag);
    ck_assert_int_eq(done_status, 0);
    ck_assert_uint_eq(f.count, 2);
    weir_fetch_release(&f);
    close_node();
}
END_TEST

START_TEST(a_fetch_that_waited_long_enough_gives_what_there_is)
{
    struct weir_stream *s;
    struct weir_fetch f;

    open_node(_i);
    s = orders();
    test_append(s, "one");
    start_fetch(s, &f, 0, 100, 2000000);
    test_drive(node, &done_flag);
    ck_assert_int_eq(done_status, 0);
    ck_assert_uint_eq(f.count, 1);
    weir_fetch_release(&f);
    start_fetch(s, &f, 1, 1, WEIR_FOREVER);
    ck_assert_int_eq(done_flag, 0);
    weir_fetch_cancel(s, &f);
    test_drive(node, &done_flag);
    ck_assert_int_eq(done_status, 0);
    ck_assert_uint_eq(f.count, 0);
    close_node();
}
END_TEST

START_TEST(a_trim_hides_what_is_below_and_frees_its_objects)
{
    struct weir_node_stat stat;
    struct weir_stream *s;

    open_node(_i);
    s = orders();
    test_append(s, "a");
    test_flush(node);
    test_append(s, "b");
    test_flush(node);
    test_append(s, "c");
    test_append(s, "d");
    ck_assert_int_eq(test_trim(s, 3), 0);
    test_expect(s, 3, "d", NULL);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(weir_node_stat_sync(node, &stat), 0);
        if (stat.objects == 0)
            break;
    }
    ck_assert_uint_eq(stat.objects, 0);
    test_flush(node);
    test_expect(s, 3, "d", NULL);
    if (reopened(_i))
        test_expect(orders(), 3, "d", NULL);
    close_node();
}
END_TEST

START_TEST(a_deleted_stream_is_gone_and_its_name_is_free)
{
    struct weir_stream *s, *again;
    struct weir_stream_stat stat, stat2;
    struct weir_fetch f;

    open_node(_i);
    s = orders();
    test_append(s, "a");
    test_flush(node);
    test_append(s, "b");
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_int_eq(test_delete(node, "orders"), 0);
    ck_assert_int_eq(test_fetch(s, 0, &f), WEIR_ENOENT);
    ck_assert_int_eq(test_try_append(s, "x", 0), WEIR_ENOENT);
    ck_assert_int_eq(weir_stream_stat(s, &stat2), WEIR_ENOENT);
    ck_assert_int_eq(test_delete(node, "orders"), WEIR_ENOENT);
    again = orders();
    ck_assert_ptr_ne(again, s);
    ck_assert_int_eq(weir_stream_stat(again, &stat2), 0);
    ck_assert_uint_ne(stat.id, stat2.id);
    ck_assert_uint_eq(test_append(again, "new"), 0);
    test_flush(node);
    test_expect(again, 0, "new", NULL);
    if (reopened(_i))
        test_expect(orders(), 0, "new", NULL);
    close_node();
}
END_TEST

static int open_status;

static void opened(struct weir_req *req, int status)
{
    (void)req;
    open_status = status;
}

static void deleted(struct weir_req *req, int status)
{
    *(int *)req->ctx = status == 0;
}

/* The opening and the deletion share a commit. */
START_TEST(a_stream_deleted_as_it_is_opened_is_gone_or_made_anew)
{
    struct weir_stream_open open = {.req.done = opened,
                                    .name = "orders",
                                    .flags = _i ? WEIR_STREAM_CREATE : 0};
    int gone = 0;
    struct weir_stream_delete delete = {.req = {.done = deleted, .ctx = &gone},
                                        .name = "orders"};

    open_node(1);
    orders();
    ck_assert(reopened(1));
    open_status = 1;
    ck_assert_int_eq(weir_stream_open(node, &open), 0);
    ck_assert_int_eq(weir_stream_delete(node, &delete), 0);
    test_drive(node, &gone);
    while (open_status == 1)
        weir_poll(node, 1000000);
    ck_assert_int_eq(open_status, open.flags == 0 ? WEIR_ENOENT : 0);
    if (open_status == 0)
        ck_assert_uint_eq(test_append(open.stream, "a"), 0);
    close_node();
}
END_TEST

START_TEST(streams_are_listed_in_the_order_of_their_names)
{
    struct weir_stream_stat out[3];
    struct weir_stream_list list = {
        .req.err = &test_error, .out = out, .limit = 3, .prefix = "b"};

    open_node(_i);
    test_stream(node, "c", WEIR_STREAM_CREATE);
    test_stream(node, "b2", WEIR_STREAM_CREATE);
    test_stream(node, "a", WEIR_STREAM_CREATE);
    test_append(test_stream(node, "b1", WEIR_STREAM_CREATE), "x");
    ck_assert_int_eq(weir_stream_list_sync(node, &list), 0);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_int_eq(list.more, 0);
    ck_assert_str_eq(out[0].name, "b1");
    ck_assert_uint_eq(out[0].end, 1);
    ck_assert_str_eq(out[1].name, "b2");
    list.prefix = NULL;
    ck_assert_int_eq(weir_stream_list_sync(node, &list), 0);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_int_eq(list.more, 1);
    list.after = out[2].name;
    ck_assert_int_eq(weir_stream_list_sync(node, &list), 0);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_str_eq(out[0].name, "c");
    close_node();
}
END_TEST

START_TEST(opening_honours_its_flags)
{
    struct weir_stream_open open = {.req.err = &test_error, .name = "s"};
    struct weir_stream *s;
    char name[WEIR_NAME_MAX + 2];

    open_node(_i);
    ck_assert_int_eq(weir_stream_open_sync(node, &open), WEIR_ENOENT);
    open.flags = WEIR_STREAM_EXCLUSIVE;
    ck_assert_int_eq(weir_stream_open_sync(node, &open), WEIR_EINVAL);
    open.flags = WEIR_STREAM_CREATE | WEIR_STREAM_EXCLUSIVE;
    ck_assert_int_eq(weir_stream_open_sync(node, &open), 0);
    s = open.stream;
    ck_assert_int_eq(weir_stream_open_sync(node, &open), WEIR_EEXIST);
    open.flags = 0;
    ck_assert_int_eq(weir_stream_open_sync(node, &open), 0);
    ck_assert_ptr_eq(open.stream, s);
    weir_stream_close(s);
    test_append(s, "still open once");
    weir_stream_close(s);
    ck_assert_int_eq(test_try_append(s, "x", 0), WEIR_ECLOSED);
    weir_stream_close(s);
    open.name = "";
    ck_assert_int_eq(weir_stream_open_sync(node, &open), WEIR_EINVAL);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    open.name = name;
    ck_assert_int_eq(weir_stream_open_sync(node, &open), WEIR_EINVAL);
    close_node();
}
END_TEST

START_TEST(a_stream_opened_to_read_takes_no_appends)
{
    struct weir_stream *s;

    open_node(_i);
    test_append(orders(), "x");
    if (reopened(_i)) {
        s = test_stream(node, "orders", WEIR_STREAM_READ);
        test_expect(s, 0, "x", NULL);
        ck_assert_int_eq(test_try_append(s, "y", 0), WEIR_EREADONLY);
        ck_assert_int_eq(test_trim(s, 1), WEIR_EREADONLY);
    }
    close_node();
}
END_TEST

START_TEST(bad_batches_are_refused)
{
    struct weir_append a = {.req.err = &test_error,
                            .data = "x",
                            .len = 1,
                            .count = 1,
                            .max_timestamp = WEIR_NO_TIMESTAMP};
    struct weir_append b;
    struct weir_stream *s;

    open_node(_i);
    s = orders();
    b = a;
    b.len = 0;
    ck_assert_int_eq(weir_append_sync(s, &b), WEIR_EINVAL);
    b = a;
    b.data = NULL;
    ck_assert_int_eq(weir_append_sync(s, &b), WEIR_EINVAL);
    b = a;
    b.count = 0;
    ck_assert_int_eq(weir_append_sync(s, &b), WEIR_EINVAL);
    b.count = (uint32_t)-1;
    ck_assert_int_eq(weir_append_sync(s, &b), WEIR_EINVAL);
    b = a;
    b.flags = 1u << 30;
    ck_assert_int_eq(weir_append_sync(s, &b), WEIR_EINVAL);
    b = a;
    b.len = (size_t)-1;
    ck_assert_int_eq(weir_append_sync(s, &b), WEIR_ETOOBIG);
    ck_assert_int_eq(weir_append(s, &a), WEIR_EINVAL); /* No `done`. */
    ck_assert_uint_eq(test_append(s, "good"), 0);
    close_node();
}
END_TEST

START_TEST(a_large_batch_goes_through_in_one_piece)
{
    size_t len = 16u << 20; /* The default of max_batch. */
    struct weir_append a = {
        .req.err = &test_error, .count = 1, .max_timestamp = WEIR_NO_TIMESTAMP};
    char *data = malloc(len);
    struct weir_stream *s;
    struct weir_fetch f;

    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    config = test_config(_i, test_dir(), NULL);
    if (_i == 1) {
        char wal[300];

        snprintf(wal, sizeof(wal), "file:%s/wal?size=64MiB", test_dir());
        ck_assert_int_eq(weir_config_set(config, "wal", wal, NULL), 0);
    }
    node = test_open(config);
    s = orders();
    a.data = data;
    a.len = len;
    ck_assert_int_eq(weir_append_sync(s, &a), 0);
    test_append(s, "small");
    for (int flushed = 0; flushed < 2; flushed++) {
        ck_assert_int_eq(test_fetch(s, 0, &f), 0);
        ck_assert_uint_eq(f.count, 1);
        ck_assert_uint_eq(f.batches[0].len, len);
        ck_assert_int_eq(memcmp(f.batches[0].data, data, len), 0);
        weir_fetch_release(&f);
        test_flush(node);
        if (reopened(_i))
            s = orders();
    }
    free(data);
    close_node();
}
END_TEST

START_TEST(after_close_every_call_says_so)
{
    struct weir_stream_open open = {.req.err = &test_error, .name = "s"};
    struct weir_flush flush = {.req.err = &test_error};
    struct weir_stream_stat stat;
    struct weir_node_stat node_stat;
    struct weir_stats stats;
    struct weir_stream *s;
    struct weir_fetch f, kept;

    open_node(_i);
    s = orders();
    test_append(s, "kept");
    ck_assert_int_eq(test_fetch(s, 0, &kept), 0);
    ck_assert_int_eq(weir_close(node, &test_error), 0);
    ck_assert_int_eq(test_try_append(s, "x", 0), WEIR_ECLOSED);
    ck_assert_int_eq(test_fetch(s, 0, &f), WEIR_ECLOSED);
    ck_assert_int_eq(test_trim(s, 0), WEIR_ECLOSED);
    ck_assert_int_eq(test_delete(node, "orders"), WEIR_ECLOSED);
    ck_assert_int_eq(weir_stream_open_sync(node, &open), WEIR_ECLOSED);
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_ECLOSED);
    ck_assert_int_eq(weir_stream_stat(s, &stat), WEIR_ECLOSED);
    ck_assert_int_eq(weir_node_stat_sync(node, &node_stat), WEIR_ECLOSED);
    ck_assert_int_eq(weir_stats_sync(node, &stats), WEIR_ECLOSED);
    ck_assert_int_eq(weir_poll(node, 0), WEIR_ECLOSED);
    ck_assert_int_eq(weir_poll_fd(node), WEIR_ECLOSED);
    ck_assert_int_eq(weir_close(node, &test_error), 0);
    close_node();
    ck_assert_mem_eq(kept.batches[0].data, "kept", 4); /* Slices outlive it. */
    weir_fetch_release(&kept);
}
END_TEST

static int inner_status;

static void calls_back(struct weir_req *req, int status)
{
    (void)status;
    inner_status = test_try_append(req->ctx, "inner", 0);
    done_flag = 1;
}

START_TEST(a_blocking_call_in_a_callback_is_refused)
{
    struct weir_append a = {.req.done = calls_back,
                            .data = "outer",
                            .len = 5,
                            .count = 1,
                            .max_timestamp = WEIR_NO_TIMESTAMP};

    open_node(_i);
    a.req.ctx = orders();
    done_flag = 0;
    ck_assert_int_eq(weir_append(a.req.ctx, &a), 0);
    test_drive(node, &done_flag);
    ck_assert_int_eq(inner_status, WEIR_EBUSY);
    test_expect(a.req.ctx, 0, "outer", NULL);
    close_node();
}
END_TEST

START_TEST(a_close_ends_what_waits)
{
    struct weir_stream *s;
    struct weir_fetch f;

    open_node(_i);
    s = orders();
    start_fetch(s, &f, 0, 1, WEIR_FOREVER);
    ck_assert_int_eq(weir_close(node, &test_error), 0);
    ck_assert_int_eq(done_flag, 1);
    ck_assert_int_eq(done_status, WEIR_ECLOSED);
    close_node();
}
END_TEST

static int pair_seen(struct weir_kv_get *req, const struct weir_kv_pair *pair)
{
    (void)req;
    done_flag++;
    ck_assert_uint_ne(pair->version, 0);
    return 0;
}

static int put(const char *key, const char *value, uint64_t expected,
               uint64_t *version)
{
    struct weir_kv_put p = {.req.err = &test_error,
                            .key = key,
                            .value = value,
                            .len = value == NULL ? 0 : strlen(value),
                            .expected = expected};
    int rc = weir_kv_put_sync(node, &p);

    if (version != NULL)
        *version = p.version;
    return rc;
}

static int count_keys(const char *key, int prefix)
{
    struct weir_kv_get g = {.req.err = &test_error,
                            .key = key,
                            .prefix = prefix,
                            .pair = pair_seen};
    int rc;

    done_flag = 0;
    rc = weir_kv_get_sync(node, &g);
    return rc < 0 ? rc : done_flag;
}

START_TEST(keys_are_set_only_at_the_version_expected)
{
    uint64_t v1, v2;

    open_node(_i);
    ck_assert_int_eq(put("t/a", "1", WEIR_KV_ABSENT, &v1), 0);
    ck_assert_int_eq(put("t/a", "2", WEIR_KV_ABSENT, &v2), WEIR_ECONFLICT);
    ck_assert_uint_eq(v1, v2);
    ck_assert_int_eq(put("t/a", "2", v1, &v2), 0);
    ck_assert_uint_gt(v2, v1);
    ck_assert_int_eq(put("t/b", "", WEIR_KV_ANY, NULL), 0);
    ck_assert_int_eq(put("u", "x", WEIR_KV_ANY, NULL), 0);
    (void)reopened(_i);
    if (_i == 1) {
        ck_assert_int_eq(count_keys("t/", 1), 2);
        ck_assert_int_eq(count_keys("t/a", 0), 1);
        ck_assert_int_eq(put("t/a", NULL, v2, NULL), 0);
        ck_assert_int_eq(count_keys("t/a", 0), WEIR_ENOENT);
        ck_assert_int_eq(count_keys("", 1), 2);
    }
    close_node();
}
END_TEST

START_TEST(a_read_only_node_sees_what_is_in_objects)
{
    struct weir_config *reader_config;
    struct weir *reader;
    struct weir_stream *s;

    if (_i == 0)
        return; /* Memory is not shared. */
    open_node(_i);
    s = orders();
    test_append(s, "one");
    test_flush(node);
    reader_config = test_config(_i, dir, "read_only", "true", NULL);
    reader = test_open(reader_config);
    test_expect(test_stream(reader, "orders", WEIR_STREAM_READ), 0, "one",
                NULL);
    test_append(s, "two");
    test_flush(node);
    test_expect(test_stream(reader, "orders", WEIR_STREAM_READ), 0, "one",
                "two", NULL);
    ck_assert_int_eq(test_delete(reader, "orders"), WEIR_EREADONLY);
    weir_free(reader);
    weir_config_free(reader_config);
    test_append(s, "the owner goes on");
    close_node();
}
END_TEST

/* More streams than one commit of the manifest can name. */
enum { MANY = 350000, TWICE = 2 * MANY };
static char names[TWICE][8];
static struct weir_stream_open opens[TWICE];
static struct weir_append appends[MANY];
static int left;
static int refused; /* Calls, or their ends: each check costs a message. */

static void one_done(struct weir_req *req, int status)
{
    (void)req;
    refused += status != 0;
    left--;
}

static void all_done(void)
{
    ck_assert_int_eq(refused, 0);
    while (left > 0)
        weir_poll(node, 1000000);
    ck_assert_int_eq(refused, 0);
}

static void open_many(int count)
{
    left = count;
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "%d", i);
        opens[i] = (struct weir_stream_open){.req.done = one_done,
                                             .name = names[i],
                                             .flags = WEIR_STREAM_CREATE};
        refused += weir_stream_open(node, &opens[i]) != 0;
    }
    all_done();
}

static void append_to_many(void)
{
    left = MANY;
    for (int i = 0; i < MANY; i++) {
        appends[i] = (struct weir_append){.req.done = one_done,
                                          .data = names[i],
                                          .len = strlen(names[i]),
                                          .count = 1,
                                          .max_timestamp = WEIR_NO_TIMESTAMP};
        refused += weir_append(opens[i].stream, &appends[i]) != 0;
    }
    all_done();
}

START_TEST(any_number_of_streams_is_uploaded_at_once)
{
    struct weir_stream_stat stat;
    int uploaded = 0;

    open_node(0);
    open_many(MANY);
    append_to_many();
    test_flush(node);
    for (int i = 0; i < MANY; i++) {
        stat.uploaded_end = 0;
        (void)weir_stream_stat(opens[i].stream, &stat);
        uploaded += stat.uploaded_end == 1;
    }
    ck_assert_int_eq(uploaded, MANY);
    test_expect(opens[0].stream, 0, names[0], NULL);
    test_expect(opens[MANY - 1].stream, 0, names[MANY - 1], NULL);
    close_node();
}
END_TEST

static struct weir_stream *handed[TWICE];

/* Node 2 has nothing but its name: the streams become its own, and are taken
 * from it. */
START_TEST(any_number_of_streams_changes_hands_at_once)
{
    struct weir_handover hand = {.req.err = &test_error,
                                 .streams = handed,
                                 .count = TWICE,
                                 .to_node = 2};
    struct weir_takeover take = {.req.err = &test_error, .node_id = 2};
    struct weir_node_list list = {0};
    struct weir_member members[2];
    struct weir_config *other;

    open_node(1);
    other = test_config(1, dir, "node_id", "2", "wal", "mem:", NULL);
    weir_free(test_open(other));
    weir_config_free(other);
    open_many(TWICE);
    for (int i = 0; i < TWICE; i++)
        handed[i] = opens[i].stream;
    ck_assert_int_eq(weir_handover_sync(node, &hand), 0);
    list.out = members;
    list.limit = 2;
    ck_assert_int_eq(weir_node_list_sync(node, &list), 0);
    ck_assert_uint_eq(members[1].streams, TWICE);
    ck_assert_int_eq(weir_takeover_sync(node, &take), 0);
    ck_assert_uint_eq(take.streams, TWICE);
    ck_assert_int_eq(weir_node_list_sync(node, &list), 0);
    ck_assert_uint_eq(members[1].streams, 0);
    close_node();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("streams");
    int n = test_backend_count;

    tcase_add_loop_test(tc, what_was_appended_is_fetched, 0, n);
    tcase_add_loop_test(tc, a_node_opened_again_has_all_of_it, 0, n);
    tcase_add_loop_test(tc, a_fetch_begins_with_the_batch_that_holds_the_offset,
                        0, n);
    tcase_add_loop_test(tc, max_bytes_bounds_all_but_the_first_batch, 0, n);
    tcase_add_loop_test(tc, offsets_outside_of_the_stream_are_refused, 0, n);
    tcase_add_loop_test(tc, a_fetch_waits_for_min_bytes, 0, n);
    tcase_add_loop_test(tc, a_fetch_that_waited_long_enough_gives_what_there_is,
                        0, n);
    tcase_add_loop_test(tc, a_trim_hides_what_is_below_and_frees_its_objects, 0,
                        n);
    tcase_add_loop_test(tc, a_deleted_stream_is_gone_and_its_name_is_free, 0,
                        n);
    tcase_add_loop_test(
        tc, a_stream_deleted_as_it_is_opened_is_gone_or_made_anew, 0, 2);
    tcase_add_loop_test(tc, streams_are_listed_in_the_order_of_their_names, 0,
                        n);
    tcase_add_loop_test(tc, opening_honours_its_flags, 0, n);
    tcase_add_loop_test(tc, a_stream_opened_to_read_takes_no_appends, 0, n);
    tcase_add_loop_test(tc, bad_batches_are_refused, 0, n);
    tcase_add_loop_test(tc, a_large_batch_goes_through_in_one_piece, 0, n);
    tcase_add_loop_test(tc, after_close_every_call_says_so, 0, n);
    tcase_add_loop_test(tc, a_blocking_call_in_a_callback_is_refused, 0, n);
    tcase_add_loop_test(tc, a_close_ends_what_waits, 0, n);
    tcase_add_loop_test(tc, keys_are_set_only_at_the_version_expected, 0, n);
    tcase_add_loop_test(tc, a_read_only_node_sees_what_is_in_objects, 0, n);
    tcase_add_test(tc, any_number_of_streams_is_uploaded_at_once);
    tcase_add_test(tc, any_number_of_streams_changes_hands_at_once);
    return test_run();
}
