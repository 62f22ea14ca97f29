/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes that take a stream from one another, on one store. */
#include <stdio.h>
#include <string.h>

#include "support/node.h"
#include "support/plug.h"
#include "support/test.h"
#include <weir/cluster.h>

static struct plug plug;
static struct weir_config *configs[2];
static struct weir *nodes[2];

static void set(struct weir_config *config, const char *key, const char *value)
{
    ck_assert_int_eq(weir_config_set(config, key, value, NULL), 0);
}

static void open_nodes(uint64_t capacity)
{
    plug = (struct plug){.capacity = capacity};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(weir_config_new(&configs[i], NULL), 0);
        plug_register(configs[i], &plug);
        set(configs[i], "node_id", i == 0 ? "1" : "2");
        set(configs[i], "segment", "64KiB");
        set(configs[i], "max_batch", "256KiB");
        set(configs[i], "delete_grace", "0ns");
        nodes[i] = test_open(configs[i]);
    }
}

static void close_nodes(void)
{
    for (int i = 0; i < 2; i++) {
        weir_free(nodes[i]);
        weir_config_free(configs[i]);
    }
    plug_free(&plug);
}

/* A node hears of what others have committed. */
static void hear(struct weir *node)
{
    struct weir_stream_stat stat;
    struct weir_stream_list list = {
        .req.err = &test_error, .out = &stat, .limit = 1};

    ck_assert_int_eq(weir_stream_list_sync(node, &list), 0);
}

static int ended;

static void flush_done(struct weir_req *req, int status)
{
    (void)req;
    (void)status;
    ended = 1;
}

START_TEST(an_upload_under_way_is_not_taken_under_the_next_owners_epoch)
{
    struct weir_flush flush = {.req.done = flush_done};
    struct weir_stream *old, *new;

    open_nodes(0);
    old = test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    test_append(old, "of the former owner");
    plug.hold = 1;
    ended = 0;
    ck_assert_int_eq(weir_flush(nodes[0], &flush), 0);
    while (plug.held == NULL)
        weir_poll(nodes[0], 1000000);
    new = test_stream(nodes[1], "s", 0);
    ck_assert_uint_eq(test_append(new, "of the owner"), 0);
    hear(nodes[0]);
    plug.hold = 0;
    plug_release(&plug);
    test_drive(nodes[0], &ended);
    test_flush(nodes[1]);
    test_expect(new, 0, "of the owner", NULL);
    test_expect(test_stream(nodes[0], "s", WEIR_STREAM_READ), 0, "of the owner",
                NULL);
    close_nodes();
}
END_TEST

/* What was volatile and is lost must not come again in the place of what the
 * other owner has written. */
START_TEST(a_stream_that_comes_back_holds_what_its_other_owner_wrote)
{
    struct weir_flush flush = {0};
    struct weir_stream *s;

    open_nodes(0);
    s = test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    test_append(s, "lost");
    test_append(s, "lost too");
    s = test_stream(nodes[1], "s", 0);
    ck_assert_uint_eq(test_append(s, "kept"), 0);
    test_flush(nodes[1]);
    hear(nodes[0]);
    ck_assert_int_eq(weir_flush_sync(nodes[0], &flush), WEIR_EFENCED);
    s = test_stream(nodes[0], "s", 0);
    test_expect(s, 0, "kept", NULL);
    ck_assert_uint_eq(test_append(s, "next"), 1);
    test_flush(nodes[0]);
    test_expect(s, 0, "kept", "next", NULL);
    hear(nodes[1]);
    test_expect(test_stream(nodes[1], "s", WEIR_STREAM_READ), 0, "kept", "next",
                NULL);
    close_nodes();
}
END_TEST

/* A node that has not heard yet of what another one did to a name. */
START_TEST(a_stream_made_anew_elsewhere_is_found_by_its_name)
{
    struct weir_stream *s;

    open_nodes(0);
    test_append(test_stream(nodes[0], "s", WEIR_STREAM_CREATE), "old");
    hear(nodes[1]);
    ck_assert_int_eq(test_delete(nodes[0], "s"), 0);
    test_append(test_stream(nodes[0], "s", WEIR_STREAM_CREATE), "new");
    test_flush(nodes[0]);
    s = test_stream(nodes[1], "s", 0);
    test_expect(s, 0, "new", NULL);
    close_nodes();
}
END_TEST

START_TEST(a_stream_made_anew_elsewhere_is_deleted_by_its_name)
{
    open_nodes(0);
    ck_assert_int_eq(test_delete(nodes[1], "s"), WEIR_ENOENT);
    test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    ck_assert_int_eq(test_delete(nodes[1], "s"), 0);
    test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    hear(nodes[0]);
    ck_assert_int_eq(test_delete(nodes[1], "s"), 0);
    test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    ck_assert_int_eq(test_delete(nodes[0], "s"), 0);
    ck_assert_int_eq(test_delete(nodes[0], "s"), WEIR_ENOENT);
    close_nodes();
}
END_TEST

START_TEST(a_stream_lost_to_another_node_does_not_hold_the_wal)
{
    static char data[200000];
    struct weir_append a = {.req.err = &test_error,
                            .data = data,
                            .len = sizeof(data),
                            .count = 1,
                            .max_timestamp = WEIR_NO_TIMESTAMP};
    struct weir_flush flush = {0};
    struct weir_stream *lost, *other;

    open_nodes(1u << 20);
    lost = test_stream(nodes[0], "lost", WEIR_STREAM_CREATE);
    other = test_stream(nodes[0], "other", WEIR_STREAM_CREATE);
    ck_assert_int_eq(weir_append_sync(lost, &a), 0);
    test_stream(nodes[1], "lost", 0);
    hear(nodes[0]);
    ck_assert_int_eq(test_try_append(lost, "x", 0), WEIR_EFENCED);
    ck_assert_int_eq(weir_flush_sync(nodes[0], &flush), WEIR_EFENCED);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(weir_append_sync(other, &a), 0);
        test_flush(nodes[0]);
    }
    close_nodes();
}
END_TEST

static int append_status = 1;

static void append_done(struct weir_req *req, int status)
{
    (void)req;
    append_status = status;
}

/* Losing a race makes a node read several commits at once: it must see what
 * each of them says. */
START_TEST(a_writer_that_has_read_of_the_next_owner_acknowledges_nothing)
{
    struct weir_stream *s, *t;
    struct weir_stream_open open = {0};
    struct weir_append a = {.req.done = append_done,
                            .data = "x",
                            .len = 1,
                            .count = 1,
                            .max_timestamp = WEIR_NO_TIMESTAMP};

    open_nodes(0);
    s = test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    t = test_stream(nodes[0], "t", WEIR_STREAM_CREATE);
    for (int i = 0; i < 4; i++) {
        char name[8] = {(char)('a' + i)};

        test_stream(nodes[1], name, WEIR_STREAM_CREATE);
    }
    test_stream(nodes[1], "s", 0);
    test_stream(nodes[1], "t", 0);
    open =
        (struct weir_stream_open){.name = "mine", .flags = WEIR_STREAM_CREATE};
    ck_assert_int_eq(weir_stream_open_sync(nodes[0], &open), 0);
    ck_assert_int_eq(test_try_append(s, "late", 0), WEIR_EFENCED);
    ck_assert_int_eq(test_try_append(t, "late", 0), WEIR_EFENCED);
    ck_assert_int_eq(weir_append(s, &a), 0);
    while (append_status == 1)
        weir_poll(nodes[0], 1000000);
    ck_assert_int_eq(append_status, WEIR_EFENCED);
    close_nodes();
}
END_TEST

/* The reader has not heard of the trim; its object is gone all the same. */
START_TEST(what_another_node_has_removed_is_not_called_damage)
{
    struct weir_stream *s, *reader;
    struct weir_fetch f;

    open_nodes(0);
    s = test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    test_append(s, "trimmed");
    test_flush(nodes[0]);
    reader = test_stream(nodes[1], "s", WEIR_STREAM_READ);
    ck_assert_int_eq(test_trim(s, 1), 0);
    while (plug_data_objects(&plug) != 0)
        weir_poll(nodes[0], 1000000);
    ck_assert_int_eq(test_fetch(reader, 0, &f), WEIR_ERANGE);
    ck_assert_uint_eq(f.start, 1);
    close_nodes();
}
END_TEST

static int handed;
static int hand_status;

static void hand_done(struct weir_req *req, int status)
{
    (void)req;
    hand_status = status;
    handed = 1;
}

/* The append that it waits for ends, and is no part of anything. */
START_TEST(a_hand_over_does_not_wait_for_a_stream_that_was_deleted)
{
    struct weir_handover hand = {.req.done = hand_done, .count = 1};
    struct test_late late;
    struct weir_stream *s;

    open_nodes(0);
    s = test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    hand.streams = &s;
    plug.hold_write = 1;
    test_append_late(nodes[0], s, "under way", &late);
    handed = 0;
    ck_assert_int_eq(weir_handover(nodes[0], &hand), 0);
    ck_assert_int_eq(test_delete(nodes[0], "s"), 0);
    ck_assert_int_eq(handed, 0);
    plug_end_write(&plug, WEIR_EAGAIN);
    test_drive(nodes[0], &late.over);
    for (int i = 0; i < 100 && !handed; i++)
        weir_poll(nodes[0], 1000000);
    ck_assert_int_eq(handed, 1);
    ck_assert_int_eq(hand_status, 0);
    close_nodes();
}
END_TEST

/* Drive the node until an upload has failed once more. */
static void fail_to_upload(struct weir *node)
{
    struct weir_stats before = {0}, after;

    ck_assert_int_eq(weir_stats_sync(node, &before), 0);
    do {
        weir_poll(node, 1000000);
        ck_assert_int_eq(weir_stats_sync(node, &after), 0);
    } while (after.upload_errors == before.upload_errors);
}

/* One upload takes what is owed, and the next one the rest: the flush that the
 * first one has taken along ends with the second. */
START_TEST(a_flush_uploads_what_is_behind_what_was_handed_over)
{
    struct weir_flush flush = {.req.done = flush_done};
    struct weir_handover hand = {.count = 1};
    struct weir_stream_stat stat = {0};
    struct weir_stream *s;

    open_nodes(0);
    s = test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    hand.streams = &s;
    plug.put_status = WEIR_EAGAIN;
    test_append(s, "handed over");
    ck_assert_int_eq(weir_handover_sync(nodes[0], &hand), 0);
    s = test_stream(nodes[0], "s", 0);
    test_append(s, "of the present owner");
    ended = 0;
    ck_assert_int_eq(weir_flush(nodes[0], &flush), 0);
    fail_to_upload(nodes[0]);
    plug.put_status = 0;
    test_drive(nodes[0], &ended);
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_uint_eq(stat.uploaded_end, 2);
    close_nodes();
}
END_TEST

/* The store takes nothing until then. */
START_TEST(a_node_that_closes_uploads_all_parts_of_a_volatile_stream)
{
    struct weir_stream *s;
    struct weir_handover hand = {
        .req.err = &test_error, .streams = &s, .count = 1, .to_node = 1};

    open_nodes(0);
    plug.put_status = WEIR_EIO;
    s = test_stream(nodes[0], "s", WEIR_STREAM_CREATE);
    test_append(s, "one");
    ck_assert_int_eq(weir_handover_sync(nodes[0], &hand), 0);
    s = test_stream(nodes[0], "s", 0);
    test_append(s, "two");
    plug.put_status = 0;
    weir_free(nodes[0]);
    nodes[0] = NULL;
    test_expect(test_stream(nodes[1], "s", 0), 0, "one", "two", NULL);
    close_nodes();
}
END_TEST

/* Parts of one stream that may be owed. */
enum { DEBTS = 64 };

/* It hands its stream to itself time and again, and cannot upload: no further
 * part can be owed before it has. */
static void run_into_debt(struct weir *node)
{
    struct weir_handover hand = {.count = 1};
    struct weir_stream *s = test_stream(node, "s", WEIR_STREAM_CREATE);

    hand.streams = &s;
    plug.put_status = WEIR_EAGAIN;
    for (int i = 0; i < DEBTS; i++) {
        test_append(s, "owed");
        ck_assert_int_eq(weir_handover_sync(node, &hand), 0);
        s = test_stream(node, "s", 0);
    }
    test_append(s, "of the owner");
    ck_assert_int_eq(weir_handover_sync(node, &hand), WEIR_ETOOBIG);
}

static int taken;
static int take_status;

static void take_done(struct weir_req *req, int status)
{
    (void)req;
    take_status = status;
    taken = 1;
}

/* Its last part is owed once the others are uploaded: the takeover does that
 * first, and does not say that the stream is free before. */
START_TEST(a_takeover_of_a_stream_deep_in_debt_frees_it)
{
    struct weir_takeover take = {.req = {.done = take_done}, .node_id = 1};
    char wal[400];

    open_nodes(0);
    weir_free(nodes[0]);
    snprintf(wal, sizeof(wal), "file:%s/wal?size=1MiB", test_dir());
    set(configs[0], "wal", wal);
    nodes[0] = test_open(configs[0]);
    run_into_debt(nodes[0]);
    weir_free(nodes[0]);
    nodes[0] = NULL;
    taken = 0;
    ck_assert_int_eq(weir_takeover(nodes[1], &take), 0);
    for (int i = 0; i < 100 && !taken; i++)
        weir_poll(nodes[1], 1000000);
    plug.put_status = 0;
    test_drive(nodes[1], &taken);
    ck_assert_int_eq(take_status, 0);
    ck_assert_uint_eq(take.streams, 1);
    ck_assert_uint_eq(test_append(test_stream(nodes[1], "s", 0), "goes on"),
                      DEBTS + 1);
    close_nodes();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("engine owners");

    tcase_add_test(
        tc, an_upload_under_way_is_not_taken_under_the_next_owners_epoch);
    tcase_add_test(tc,
                   a_stream_that_comes_back_holds_what_its_other_owner_wrote);
    tcase_add_test(tc, a_stream_made_anew_elsewhere_is_found_by_its_name);
    tcase_add_test(tc, a_stream_made_anew_elsewhere_is_deleted_by_its_name);
    tcase_add_test(tc, a_stream_lost_to_another_node_does_not_hold_the_wal);
    tcase_add_test(
        tc, a_writer_that_has_read_of_the_next_owner_acknowledges_nothing);
    tcase_add_test(tc, what_another_node_has_removed_is_not_called_damage);
    tcase_add_test(tc, a_hand_over_does_not_wait_for_a_stream_that_was_deleted);
    tcase_add_test(tc, a_flush_uploads_what_is_behind_what_was_handed_over);
    tcase_add_test(tc,
                   a_node_that_closes_uploads_all_parts_of_a_volatile_stream);
    tcase_add_test(tc, a_takeover_of_a_stream_deep_in_debt_frees_it);
    return test_run();
}
