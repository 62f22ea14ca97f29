/* SPDX-License-Identifier: Apache-2.0 */
/* What a node does when the store or the WAL that a host gave it fails. */
#include <string.h>

#include "support/node.h"
#include "support/plug.h"
#include "support/test.h"

static struct plug plug;
static struct weir_config *config;
static struct weir *node;
static struct weir_stream *stream;

static void set(const char *key, const char *value)
{
    ck_assert_int_eq(weir_config_set(config, key, value, NULL), 0);
}

static void configure(void)
{
    plug = (struct plug){0};
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    plug_register(config, &plug);
    set("log_cache", "4MiB");
    set("segment", "64KiB");
    set("delete_grace", "0ns");
}

static void open_node(void)
{
    configure();
    node = test_open(config);
    stream = test_stream(node, "s", WEIR_STREAM_CREATE);
}

static void close_node(void)
{
    weir_free(node);
    weir_config_free(config);
    plug_free(&plug);
}

START_TEST(a_failed_append_leaves_no_gap)
{
    open_node();
    ck_assert_uint_eq(test_append(stream, "a"), 0);
    plug.wal_status = WEIR_EAGAIN; /* "Certainly not there." */
    ck_assert_int_eq(test_try_append(stream, "b", 0), WEIR_EAGAIN);
    ck_assert_uint_eq(test_append(stream, "c"), 1);
    test_expect(stream, 0, "a", "c", NULL);
    test_flush(node);
    test_expect(stream, 0, "a", "c", NULL);
    close_node();
}
END_TEST

START_TEST(after_an_unknown_write_nothing_is_acknowledged)
{
    open_node();
    test_append(stream, "a");
    plug.wal_status = WEIR_EUNKNOWN;
    ck_assert_int_eq(test_try_append(stream, "b", 0), WEIR_EUNKNOWN);
    ck_assert_int_eq(test_try_append(stream, "c", 0), WEIR_EPOISONED);
    ck_assert_int_eq(test_try_append(stream, "d", WEIR_APPEND_WAIT),
                     WEIR_EPOISONED);
    ck_assert_ptr_nonnull(strstr(test_error.text, "append s: "));
    test_expect(stream, 0, "a", NULL); /* Reads go on. */
    test_flush(node);                  /* And so do uploads. */
    test_expect(stream, 0, "a", NULL);
    close_node();
}
END_TEST

#define MANY 64

static int statuses[MANY];
static int ended;

static void many_done(struct weir_req *req, int status)
{
    statuses[(intptr_t)req->ctx] = status;
    ended++;
}

/* All that was gathered behind a failed write fails with it. */
START_TEST(a_failed_write_takes_what_is_behind_it_along)
{
    static struct weir_append a[MANY];
    static char data[60000];

    open_node();
    test_append(stream, "first");
    plug.wal_status = WEIR_EAGAIN;
    ended = 0;
    for (intptr_t i = 0; i < 8; i++) {
        a[i] = (struct weir_append){.req.done = many_done,
                                    .req.ctx = (void *)i,
                                    .data = data,
                                    .len = sizeof(data),
                                    .count = 3,
                                    .max_timestamp = WEIR_NO_TIMESTAMP};
        ck_assert_int_eq(weir_append(stream, &a[i]), 0);
    }
    while (ended < 8)
        weir_poll(node, 1000000);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(statuses[i], WEIR_EAGAIN);
    ck_assert_uint_eq(test_append(stream, "second"), 1);
    test_flush(node);
    test_expect(stream, 0, "first", "second", NULL);
    close_node();
}
END_TEST

static void append_async(struct weir_append *a, struct weir_stream *s,
                         const char *data, size_t len)
{
    *a = (struct weir_append){.req.done = many_done,
                              .data = data,
                              .len = len,
                              .count = 1,
                              .max_timestamp = WEIR_NO_TIMESTAMP};
    ck_assert_int_eq(weir_append(s, a), 0);
}

/* The memory of a write that failed lies behind the place where the log goes
 * on: it may go before what is written there, and must not take it along. */
START_TEST(memory_of_a_failed_write_goes_alone)
{
    static struct weir_append a[8];
    static char data[60000];
    struct weir_stream *others[2];
    struct weir_append fill = {.data = data,
                               .len = sizeof(data),
                               .count = 1,
                               .max_timestamp = WEIR_NO_TIMESTAMP};

    open_node();
    others[0] = test_stream(node, "x", WEIR_STREAM_CREATE);
    others[1] = test_stream(node, "y", WEIR_STREAM_CREATE);
    test_append(stream, "first");
    plug.put_status = WEIR_EUNAVAILABLE;
    plug.wal_status = WEIR_EAGAIN;
    ended = 0;
    for (int i = 0; i < 8; i++)
        append_async(&a[i], stream, data, sizeof(data));
    while (ended < 8)
        weir_poll(node, 1000000);
    test_append(stream, "second");
    for (int i = 0; i < 2; i++) /* No stream may fill more than a half. */
        while (weir_append_sync(others[i], &fill) == 0)
            ended++;
    ck_assert_int_gt(ended, 60);
    test_expect(stream, 0, "first", "second", NULL);
    plug.put_status = 0;
    test_flush(node);
    test_expect(stream, 0, "first", "second", NULL);
    close_node();
}
END_TEST

/* Fill the memory while the store takes nothing. */
static int fill(unsigned flags)
{
    static char data[50000];
    struct weir_append a = {.req.err = &test_error,
                            .data = data,
                            .len = sizeof(data),
                            .count = 1,
                            .flags = flags,
                            .max_timestamp = WEIR_NO_TIMESTAMP};
    int n = 0;

    while (weir_append_sync(stream, &a) == 0 && n < 1000)
        n++;
    return n;
}

START_TEST(a_store_that_is_down_pushes_back_and_loses_nothing)
{
    struct weir_stats stats;
    struct weir_stream *other;
    int n, more;

    open_node();
    other = test_stream(node, "other", WEIR_STREAM_CREATE);
    plug.put_status = WEIR_EUNAVAILABLE;
    n = fill(0);
    ck_assert_int_gt(n, 10);
    ck_assert_int_lt(n, 100); /* 4 MiB. */
    ck_assert_int_eq(weir_stats_sync(node, &stats), 0);
    ck_assert_uint_le(stats.log_cache_bytes, 4u << 20);
    ck_assert_uint_gt(stats.append_refused, 0);
    test_append(other, "one hot stream does not stop the others");
    plug.put_status = 0;
    more = 0;
    while (more < 30) { /* Waits for room, as often as it takes. */
        ck_assert_int_eq(test_try_append(stream, "w", WEIR_APPEND_WAIT), 0);
        more++;
    }
    test_flush(node);
    for (uint64_t at = 0; at < (uint64_t)(n + more);) {
        struct weir_fetch f;

        ck_assert_int_eq(test_fetch(stream, at, &f), 0);
        ck_assert_uint_gt(f.count, 0);
        ck_assert_uint_eq(f.end, (uint64_t)(n + more));
        at = f.batches[f.count - 1].base_offset + 1;
        weir_fetch_release(&f);
    }
    close_node();
}
END_TEST

START_TEST(an_append_that_waits_is_placed_when_there_is_room)
{
    static char data[50000];
    struct weir_append a = {.req.done = many_done,
                            .data = data,
                            .len = sizeof(data),
                            .count = 1,
                            .flags = WEIR_APPEND_WAIT,
                            .max_timestamp = WEIR_NO_TIMESTAMP};
    int n;

    open_node();
    plug.put_status = WEIR_ETHROTTLED;
    n = fill(0);
    ended = 0;
    ck_assert_int_eq(weir_append(stream, &a), 0);
    for (int i = 0; i < 20; i++)
        weir_poll(node, 100000);
    ck_assert_int_eq(ended, 0);
    plug.put_status = 0;
    while (ended == 0)
        weir_poll(node, 1000000);
    ck_assert_int_eq(statuses[0], 0);
    ck_assert_uint_eq(a.base_offset, (uint64_t)n);
    close_node();
}
END_TEST

START_TEST(a_full_wal_pushes_back_until_it_is_trimmed)
{
    configure();
    plug.capacity = 1u << 20;
    set("max_batch", "64KiB");
    node = test_open(config);
    stream = test_stream(node, "s", WEIR_STREAM_CREATE);
    plug.put_status = WEIR_EUNAVAILABLE;
    ck_assert_int_lt(fill(0), 21);
    plug.put_status = 0;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(test_try_append(stream, "w", WEIR_APPEND_WAIT), 0);
    close_node();
}
END_TEST

START_TEST(a_piece_of_the_log_cache_is_never_larger_than_the_cache)
{
    configure();
    set("segment", "16MiB");
    node = test_open(config);
    stream = test_stream(node, "s", WEIR_STREAM_CREATE);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(test_try_append(stream, "fits", 0), 0);
    close_node();
}
END_TEST

START_TEST(a_flush_tells_why_the_store_refuses)
{
    struct weir_flush flush = {.req.err = &test_error};

    open_node();
    test_append(stream, "a");
    plug.put_status = WEIR_EACCES;
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_EACCES);
    plug.put_status = WEIR_EUNAVAILABLE;
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_EUNAVAILABLE);
    test_expect(stream, 0, "a", NULL);
    plug.put_status = 0;
    ck_assert_int_eq(weir_flush_sync(node, &flush), 0);
    ck_assert_int_eq(plug_data_objects(&plug), 1);
    close_node();
}
END_TEST

static char refused_key[64]; /* Of the object that was not put, */
static int refused_removed;  /* and how often it was removed. */

static int refuse_one(struct plug *p, struct weir_store *store,
                      struct weir_store_req *req)
{
    (void)p;
    if (req->verb == WEIR_STORE_DELETE)
        refused_removed += strcmp(req->key, refused_key) == 0;
    if (req->verb != WEIR_STORE_PUT || strncmp(req->key, "data/", 5) != 0 ||
        refused_key[0] != '\0')
        return 0;
    ck_assert_uint_lt(strlen(req->key), sizeof(refused_key));
    strcpy(refused_key, req->key);
    plug_answer(store, req, WEIR_EACCES);
    return 1;
}

/* Nor does its id stay registered: a node may have so many. */
START_TEST(what_an_upload_that_failed_may_have_put_is_removed)
{
    struct weir_flush flush = {0};

    open_node();
    plug.hook = refuse_one;
    refused_key[0] = '\0';
    refused_removed = 0;
    test_append(stream, "a");
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_EACCES);
    ck_assert_int_eq(refused_removed, 0);
    test_flush(node);
    for (int i = 0; i < 2000 && refused_removed == 0; i++)
        weir_poll(node, 1000000);
    ck_assert_int_eq(refused_removed, 1);
    test_expect(stream, 0, "a", NULL);
    ck_assert_int_eq(plug_data_objects(&plug), 1);
    close_node();
}
END_TEST

START_TEST(a_stream_deleted_during_its_upload_leaves_no_object)
{
    struct weir_node_stat stat;

    open_node();
    test_append(stream, "a");
    plug.hold = 1;
    ended = 0;
    {
        struct weir_flush flush = {.req.done = many_done};

        ck_assert_int_eq(weir_flush(node, &flush), 0);
        while (plug.held == NULL)
            weir_poll(node, 1000000);
        ck_assert_int_eq(test_delete(node, "s"), 0);
        plug.hold = 0;
        plug_release(&plug);
        while (ended == 0)
            weir_poll(node, 1000000);
    }
    for (int i = 0; i < 1000 && plug_data_objects(&plug) != 0; i++)
        ck_assert_int_eq(weir_node_stat_sync(node, &stat), 0);
    ck_assert_int_eq(plug_data_objects(&plug), 0);
    close_node();
}
END_TEST

START_TEST(a_node_closes_while_an_upload_hangs)
{
    open_node();
    test_append(stream, "a");
    plug.hold = 1;
    {
        struct weir_flush flush = {.req.done = many_done};

        ended = 0;
        ck_assert_int_eq(weir_flush(node, &flush), 0);
        while (plug.held == NULL)
            weir_poll(node, 1000000);
        /* The memory WAL wants its contents uploaded first: let it go. */
        plug.hold = 0;
        plug_release(&plug);
        ck_assert_int_eq(weir_close(node, NULL), 0);
        ck_assert_int_eq(ended, 1);
    }
    close_node();
}
END_TEST

static int hold_removal(struct plug *on, struct weir_store *store,
                        struct weir_store_req *req)
{
    if (req->verb != WEIR_STORE_DELETE || strncmp(req->key, "data/", 5) != 0)
        return 0;
    on->held = req;
    on->held_in = store;
    return 1;
}

/* The answer comes while the store closes, when the reader has gone. */
START_TEST(a_node_closes_while_a_dead_object_is_removed)
{
    open_node();
    test_append(stream, "a");
    test_flush(node);
    plug.hook = hold_removal;
    plug.held_done = 1;
    ck_assert_int_eq(test_delete(node, "s"), 0);
    while (plug.held == NULL)
        weir_poll(node, 1000000);
    ck_assert_int_eq(weir_close(node, NULL), 0);
    close_node();
}
END_TEST

/* What a volatile WAL holds cannot be uploaded: closing says so, and ends. */
START_TEST(a_node_closes_while_its_manifest_cannot_be_reached)
{
    open_node();
    test_append(stream, "lost with its WAL");
    plug.meta_status = WEIR_EUNAVAILABLE;
    ck_assert_int_lt(weir_close(node, &test_error), 0);
    ck_assert_str_ne(test_error.text, "");
    close_node();
}
END_TEST

/* Poll until a condition holds; the bound ends a test that hangs. */
#define POLL_UNTIL(condition)                                                  \
    do {                                                                       \
        for (int n_ = 0; n_ < 20000 && !(condition); n_++)                     \
            weir_poll(node, 1000000);                                          \
        ck_assert(condition);                                                  \
    } while (0)

/* Its write may still fail, and then its offset is another batch's. */
START_TEST(an_upload_leaves_out_what_no_write_has_made_durable)
{
    static struct weir_append late;
    struct weir_flush flush = {.req.done = many_done};

    open_node();
    test_append(stream, "a");
    plug.hold_write = 1;
    ended = 0;
    append_async(&late, stream, "b", 1);
    POLL_UNTIL(plug.held_write != NULL);
    ck_assert_int_eq(weir_flush(node, &flush), 0);
    POLL_UNTIL(ended == 1);
    ck_assert_int_eq(plug_data_objects(&plug), 1);
    plug_end_write(&plug, WEIR_EAGAIN);
    POLL_UNTIL(ended == 2);
    ck_assert_uint_eq(test_append(stream, "c"), 1);
    test_flush(node);
    weir_free(node);
    node = test_open(config);
    stream = test_stream(node, "s", 0);
    test_expect(stream, 0, "a", "c", NULL);
    close_node();
}
END_TEST

/* A GET of a data object that waits, and removals meanwhile. */
static struct weir_store_req *waiting;
static struct weir_store *waiting_in;
static int removals;

static int hold_gets(struct plug *p, struct weir_store *store,
                     struct weir_store_req *req)
{
    (void)p;
    if (strncmp(req->key, "data/", 5) != 0)
        return 0;
    removals += req->verb == WEIR_STORE_DELETE;
    if (req->verb != WEIR_STORE_GET)
        return 0;
    waiting = req;
    waiting_in = store;
    return 1;
}

START_TEST(an_object_stays_while_a_fetch_reads_it)
{
    struct weir_fetch f = {.req.done = many_done, .max_bytes = 100};

    open_node();
    test_append(stream, "trimmed while it is read");
    test_flush(node);
    weir_free(node);
    node = test_open(config); /* The log cache is empty. */
    stream = test_stream(node, "s", 0);
    plug.hook = hold_gets;
    waiting = NULL;
    removals = ended = 0;
    ck_assert_int_eq(weir_fetch(stream, &f), 0);
    POLL_UNTIL(waiting != NULL);
    ck_assert_int_eq(test_trim(stream, 1), 0);
    for (int i = 0; i < 10; i++) { /* The grace is 0: these look for dead. */
        test_append(stream, "more");
        test_flush(node);
    }
    ck_assert_int_eq(removals, 0);
    plug.hook = NULL;
    waiting_in->ops->submit(waiting_in, waiting);
    POLL_UNTIL(ended == 1);
    ck_assert_int_eq(statuses[0], 0);
    ck_assert_mem_eq(f.batches[0].data, "trimmed", 7);
    weir_fetch_release(&f);
    POLL_UNTIL(plug_data_objects(&plug) == 10);
    close_node();
}
END_TEST

START_TEST(a_transfer_that_was_damaged_is_read_again)
{
    struct weir_fetch f;

    open_node();
    test_append(stream, "right");
    test_flush(node);
    weir_free(node);
    node = test_open(config);
    stream = test_stream(node, "s", 0);
    plug.damage_gets = 1;
    ck_assert_int_eq(test_fetch(stream, 0, &f), 0);
    ck_assert_mem_eq(f.batches[0].data, "right", 5);
    weir_fetch_release(&f);
    close_node();
}
END_TEST

START_TEST(a_damaged_object_is_reported_and_other_streams_go_on)
{
    struct weir_stream *other;
    struct weir_fetch f;

    open_node();
    test_append(stream, "damaged");
    test_flush(node);
    other = test_stream(node, "other", WEIR_STREAM_CREATE);
    test_append(other, "whole");
    test_flush(node);
    weir_free(node);
    node = test_open(config);
    stream = test_stream(node, "s", 0);
    plug.damage_gets = 1000;
    ck_assert_int_eq(test_fetch(stream, 0, &f), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(test_error.text, "data/"));
    plug.damage_gets = 0;
    test_expect(test_stream(node, "other", 0), 0, "whole", NULL);
    close_node();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("engine faults");

    tcase_add_test(tc, a_failed_append_leaves_no_gap);
    tcase_add_test(tc, after_an_unknown_write_nothing_is_acknowledged);
    tcase_add_test(tc, a_failed_write_takes_what_is_behind_it_along);
    tcase_add_test(tc, memory_of_a_failed_write_goes_alone);
    tcase_add_test(tc, a_store_that_is_down_pushes_back_and_loses_nothing);
    tcase_add_test(tc, an_append_that_waits_is_placed_when_there_is_room);
    tcase_add_test(tc, a_full_wal_pushes_back_until_it_is_trimmed);
    tcase_add_test(tc, a_piece_of_the_log_cache_is_never_larger_than_the_cache);
    tcase_add_test(tc, a_flush_tells_why_the_store_refuses);
    tcase_add_test(tc, what_an_upload_that_failed_may_have_put_is_removed);
    tcase_add_test(tc, a_stream_deleted_during_its_upload_leaves_no_object);
    tcase_add_test(tc, a_node_closes_while_an_upload_hangs);
    tcase_add_test(tc, a_node_closes_while_a_dead_object_is_removed);
    tcase_add_test(tc, a_node_closes_while_its_manifest_cannot_be_reached);
    tcase_add_test(tc, an_upload_leaves_out_what_no_write_has_made_durable);
    tcase_add_test(tc, an_object_stays_while_a_fetch_reads_it);
    tcase_add_test(tc, a_transfer_that_was_damaged_is_read_again);
    tcase_add_test(tc, a_damaged_object_is_reported_and_other_streams_go_on);
    return test_run();
}
