/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that move from node to node, on a directory and on log files:
 * handed over by the living, taken from the dead. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/node.h"
#include "support/test.h"

enum { NODES = 3 };

static const char *dir;
static struct weir_config *configs[NODES + 1];
static struct weir *nodes[NODES + 1];

static const char *wal_of(int id)
{
    static char uri[512];

    snprintf(uri, sizeof(uri), "file:%s/wal-%d?size=1MiB", dir, id);
    return uri;
}

static void set(int id, const char *key, const char *value)
{
    ck_assert_int_eq(weir_config_set(configs[id], key, value, NULL), 0);
}

static void start(int id)
{
    nodes[id] = test_open(configs[id]);
}

/* It leaves its log as a crash would: nothing is uploaded. */
static void die(int id)
{
    weir_free(nodes[id]);
    nodes[id] = NULL;
}

static void setup(void)
{
    char text[512];

    dir = test_dir();
    for (int id = 1; id <= NODES; id++) {
        ck_assert_int_eq(weir_config_new(&configs[id], NULL), 0);
        snprintf(text, sizeof(text), "dir:%s/store", dir);
        set(id, "store", text);
        set(id, "wal", wal_of(id));
        snprintf(text, sizeof(text), "%d", id);
        set(id, "node_id", text);
        set(id, "log_cache", "4MiB");
        set(id, "segment", "64KiB");
        set(id, "max_batch", "64KiB");
        set(id, "upload_interval", "1h");
        start(id);
    }
}

static void teardown(void)
{
    for (int id = 1; id <= NODES; id++) {
        weir_free(nodes[id]);
        weir_config_free(configs[id]);
    }
}

static int take(int by, int dead, unsigned flags, struct weir_takeover *out)
{
    struct weir_takeover req = {.req.err = &test_error,
                                .node_id = (uint32_t)dead,
                                .flags = flags,
                                .wal = wal_of(dead)};
    int rc = weir_takeover_sync(nodes[by], &req);

    if (out != NULL)
        *out = req;
    return rc;
}

static int hand(int from, struct weir_stream *s, uint32_t to)
{
    struct weir_handover req = {
        .req.err = &test_error, .streams = &s, .count = 1, .to_node = to};

    return weir_handover_sync(nodes[from], &req);
}

START_TEST(streams_of_a_dead_node_go_on_where_they_were)
{
    struct weir_stream *a = test_stream(nodes[1], "a", WEIR_STREAM_CREATE);
    struct weir_stream *b = test_stream(nodes[1], "b", WEIR_STREAM_CREATE);
    struct weir_takeover took;

    test_append(a, "uploaded");
    test_flush(nodes[1]);
    test_append(a, "in the log");
    test_append(b, "too");
    die(1);
    ck_assert_int_eq(take(2, 1, 0, &took), 0);
    ck_assert_uint_eq(took.streams, 2);
    ck_assert_uint_eq(took.batches, 2);
    ck_assert_uint_eq(took.bytes, strlen("in the log") + strlen("too"));
    a = test_stream(nodes[2], "a", 0);
    ck_assert_uint_eq(test_append(a, "after"), 2);
    test_expect(a, 0, "uploaded", "in the log", "after", NULL);
    test_expect(test_stream(nodes[3], "b", 0), 0, "too", NULL);
    test_flush(nodes[2]);
    test_expect(test_stream(nodes[3], "a", WEIR_STREAM_READ), 0, "uploaded",
                "in the log", "after", NULL);
    /* It comes back, and has to ask for its streams. */
    start(1);
    ck_assert_uint_eq(
        test_append(test_stream(nodes[1], "c", WEIR_STREAM_CREATE), "new"), 0);
}
END_TEST

START_TEST(a_node_whose_log_is_in_use_is_not_taken_over)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);

    test_append(s, "one");
    ck_assert_int_eq(take(2, 1, 0, NULL), WEIR_EBUSY);
    ck_assert_ptr_nonnull(strstr(test_error.text, "it has no lease"));
    ck_assert_int_eq(take(2, 1, WEIR_TAKEOVER_FORCE, NULL), WEIR_EBUSY);
    ck_assert_uint_eq(test_append(s, "two"), 1);
    test_expect(s, 0, "one", "two", NULL);
}
END_TEST

/* Its volume is not attached here, though the folder is there. */
START_TEST(a_takeover_without_the_log_makes_none)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    char path[512], away[512];

    snprintf(path, sizeof(path), "%s/wal-1", dir);
    snprintf(away, sizeof(away), "%s/away", dir);
    test_append(s, "one");
    die(1);
    ck_assert_int_eq(rename(path, away), 0);
    ck_assert_int_eq(take(2, 1, WEIR_TAKEOVER_FORCE, NULL), WEIR_ENOENT);
    ck_assert_ptr_nonnull(strstr(test_error.text, path));
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(rename(away, path), 0);
    ck_assert_int_eq(take(3, 1, WEIR_TAKEOVER_FORCE, NULL), 0);
    s = test_stream(nodes[3], "s", 0);
    test_expect(s, 0, "one", NULL);
}
END_TEST

START_TEST(a_takeover_that_was_broken_off_is_ended_by_a_third_node)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);

    test_append(s, "one");
    test_append(s, "two");
    die(1);
    ck_assert_int_eq(take(2, 1, WEIR_TAKEOVER_FORCE, NULL), 0);
    die(2); /* Perhaps before it has uploaded. */
    ck_assert_int_eq(take(3, 1, WEIR_TAKEOVER_FORCE, NULL), 0);
    s = test_stream(nodes[3], "s", 0);
    ck_assert_uint_eq(test_append(s, "three"), 2);
    test_expect(s, 0, "one", "two", "three", NULL);
    /* Once more, with nothing left to take. */
    ck_assert_int_eq(take(3, 1, WEIR_TAKEOVER_FORCE, NULL), 0);
    ck_assert_uint_eq(test_append(s, "four"), 3);
}
END_TEST

START_TEST(who_takes_over_tells_what_it_cannot)
{
    struct weir_takeover req = {.req.err = &test_error, .node_id = 1};

    ck_assert_int_eq(weir_takeover_sync(nodes[1], &req), WEIR_EINVAL);
    req.node_id = 77;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &req), WEIR_ENOENT);
    req.node_id = 1;
    req.epoch = 9;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &req), WEIR_ECONFLICT);
    req.flags = 64;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &req), WEIR_EINVAL);
}
END_TEST

START_TEST(a_log_that_is_lost_is_given_up_and_the_stream_goes_on)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);

    test_append(s, "kept");
    test_flush(nodes[1]);
    test_append(s, "lost");
    die(1);
    ck_assert_int_eq(
        take(2, 1, WEIR_TAKEOVER_FORCE | WEIR_TAKEOVER_ABANDON, NULL), 0);
    s = test_stream(nodes[2], "s", 0);
    ck_assert_uint_eq(test_append(s, "after"), 1);
    test_expect(s, 0, "kept", "after", NULL);
}
END_TEST

START_TEST(a_stream_that_is_handed_over_takes_appends_at_once)
{
    struct weir_stream *old = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct weir_stream *new;

    test_append(old, "one");
    test_append(old, "two");
    ck_assert_int_eq(hand(1, old, 2), 0);
    ck_assert_int_eq(test_try_append(old, "late", 0), WEIR_EFENCED);
    ck_assert_int_eq(hand(1, old, 2), WEIR_EFENCED);
    new = test_stream(nodes[2], "s", 0);
    ck_assert_uint_eq(test_append(new, "three"), 2);
    test_flush(nodes[1]);
    test_expect(new, 0, "one", "two", "three", NULL);
    test_flush(nodes[2]);
    test_expect(old, 0, "one", "two", "three", NULL);
    /* And back. */
    ck_assert_int_eq(hand(2, new, 1), 0);
    old = test_stream(nodes[1], "s", 0);
    ck_assert_uint_eq(test_append(old, "four"), 3);
    test_expect(old, 0, "one", "two", "three", "four", NULL);
}
END_TEST

/* It owes the first part, and has the third in its log as well. */
START_TEST(a_stream_that_came_back_at_once_is_recovered_in_order)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);

    test_append(s, "one");
    ck_assert_int_eq(hand(1, s, 2), 0);
    s = test_stream(nodes[2], "s", 0);
    test_append(s, "two");
    ck_assert_int_eq(hand(2, s, 1), 0);
    s = test_stream(nodes[1], "s", 0);
    test_append(s, "three");
    die(1);
    die(2);
    for (int id = 2; id >= 1; id--) {
        set(id, "driver", "true"); /* Each waits for the other's uploads. */
        start(id);
    }
    s = test_stream(nodes[1], "s", 0);
    ck_assert_uint_eq(test_append(s, "four"), 3);
    test_flush(nodes[1]);
    test_expect(s, 0, "one", "two", "three", "four", NULL);
}
END_TEST

/* As many parts of the stream are owed as there may be, as who owes the first
 * is dead: the last owner's part cannot be noted beside them. */
static void owe_as_much_as_goes(void)
{
    struct weir_stream *s = test_stream(nodes[3], "s", WEIR_STREAM_CREATE);

    test_append(s, "first");
    ck_assert_int_eq(hand(3, s, 2), 0);
    die(3);
    for (int i = 0; i < 63; i++) {
        s = test_stream(nodes[2], "s", 0);
        test_append(s, "more");
        ck_assert_int_eq(hand(2, s, 2), 0);
    }
    test_append(test_stream(nodes[2], "s", 0), "last");
    test_append(test_stream(nodes[2], "t", WEIR_STREAM_CREATE), "other");
    die(2);
}

START_TEST(a_takeover_tells_of_streams_that_are_not_free)
{
    struct weir_stream_open open = {.req.err = &test_error, .name = "s"};
    struct weir_takeover took;
    int rc = WEIR_EBUSY;

    owe_as_much_as_goes();
    ck_assert_int_eq(take(1, 2, 0, &took), WEIR_EAGAIN);
    ck_assert_ptr_nonnull(strstr(test_error.text, "1 of its streams"));
    ck_assert_uint_eq(took.streams, 1);
    test_expect(test_stream(nodes[1], "t", 0), 0, "other", NULL);
    ck_assert_int_eq(weir_stream_open_sync(nodes[1], &open), WEIR_EBUSY);
    set(3, "driver", "true");
    start(3);
    for (int i = 0; i < 10000 && rc == WEIR_EBUSY; i++) {
        weir_poll(nodes[1], 1000000);
        rc = weir_stream_open_sync(nodes[1], &open);
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(test_append(open.stream, "next"), 65);
    test_expect(open.stream, 63, "more", "last", "next", NULL);
}
END_TEST

/* Node 1 owes a part of the stream, and has another one behind that; what comes
 * before them is with node 3, which is dead. */
static void have_two_parts(void)
{
    struct weir_stream *s = test_stream(nodes[3], "s", WEIR_STREAM_CREATE);

    test_append(s, "one");
    ck_assert_int_eq(hand(3, s, 1), 0);
    die(3);
    s = test_stream(nodes[1], "s", 0);
    test_append(s, "two");
    ck_assert_int_eq(hand(1, s, 2), 0);
    s = test_stream(nodes[2], "s", 0);
    ck_assert_int_eq(hand(2, s, 1), 0);
    test_append(test_stream(nodes[1], "s", 0), "three");
}

START_TEST(a_flush_uploads_all_parts_of_a_stream)
{
    struct weir_stream_stat stat;

    have_two_parts();
    start(3);
    test_flush(nodes[3]);
    test_flush(nodes[1]);
    ck_assert_int_eq(weir_stream_stat(test_stream(nodes[1], "s", 0), &stat), 0);
    ck_assert_uint_eq(stat.uploaded_end, 3);
    ck_assert_uint_eq(stat.objects, 3);
}
END_TEST

START_TEST(a_takeover_uploads_all_parts_of_a_stream)
{
    struct weir_stream *s;

    have_two_parts();
    die(1);
    ck_assert_int_eq(take(2, 1, 0, NULL), 0);
    ck_assert_int_eq(take(2, 3, 0, NULL), 0);
    s = test_stream(nodes[2], "s", 0);
    ck_assert_uint_eq(test_append(s, "four"), 3);
    test_flush(nodes[2]);
    test_expect(s, 0, "one", "two", "three", "four", NULL);
}
END_TEST

static int left;

static void opened(struct weir_req *req, int status)
{
    (void)req;
    ck_assert_int_eq(status, 0);
    left--;
}

START_TEST(a_thousand_streams_are_handed_over_in_one_commit)
{
    enum { COUNT = 1000 };
    static struct weir_stream_open opens[COUNT];
    static struct weir_stream *streams[COUNT];
    static char names[COUNT][16];
    struct weir_handover req = {
        .req.err = &test_error, .streams = streams, .count = COUNT};
    struct weir_stats before, after;

    for (int n = 1; n <= 2; n++) {
        left = COUNT;
        weir_stats_sync(nodes[n], &before);
        for (int i = 0; i < COUNT; i++) {
            snprintf(names[i], sizeof(names[i]), "s%d", i);
            opens[i] = (struct weir_stream_open){
                .req.done = opened,
                .name = names[i],
                .flags = n == 1 ? WEIR_STREAM_CREATE : 0};
            ck_assert_int_eq(weir_stream_open(nodes[n], &opens[i]), 0);
        }
        while (left > 0)
            weir_poll(nodes[n], 1000000);
        weir_stats_sync(nodes[n], &after);
        ck_assert_uint_le(after.commits - before.commits, 4);
        for (int i = 0; i < COUNT; i++)
            streams[i] = opens[i].stream;
        for (int i = 0; i < COUNT; i += 100)
            test_append(streams[i], "x");
        if (n == 2)
            break;
        weir_stats_sync(nodes[1], &before);
        ck_assert_int_eq(weir_handover_sync(nodes[1], &req), 0);
        weir_stats_sync(nodes[1], &after);
        /* A sign of life may fall between them. */
        ck_assert_uint_ge(after.commits - before.commits, 1);
        ck_assert_uint_le(after.commits - before.commits, 2);
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("takeover");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, streams_of_a_dead_node_go_on_where_they_were);
    tcase_add_test(tc, a_node_whose_log_is_in_use_is_not_taken_over);
    tcase_add_test(tc, a_takeover_without_the_log_makes_none);
    tcase_add_test(tc, a_takeover_that_was_broken_off_is_ended_by_a_third_node);
    tcase_add_test(tc, a_takeover_tells_of_streams_that_are_not_free);
    tcase_add_test(tc, who_takes_over_tells_what_it_cannot);
    tcase_add_test(tc, a_log_that_is_lost_is_given_up_and_the_stream_goes_on);
    tcase_add_test(tc, a_stream_that_is_handed_over_takes_appends_at_once);
    tcase_add_test(tc, a_stream_that_came_back_at_once_is_recovered_in_order);
    tcase_add_test(tc, a_flush_uploads_all_parts_of_a_stream);
    tcase_add_test(tc, a_takeover_uploads_all_parts_of_a_stream);
    tcase_add_test(tc, a_thousand_streams_are_handed_over_in_one_commit);
    return test_run();
}
