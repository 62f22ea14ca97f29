/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of object logs that a crash, a takeover or a late PUT leaves behind:
 * they are removed in the end, and nothing else is. */
#include <stdio.h>
#include <string.h>

#include "engine/node.h"
#include "format/wal_slot.h"
#include "support/node.h"
#include "support/plug.h"
#include "support/test.h"
#include "support/virtual_env.h"

#define MINUTE UINT64_C(60000000000)

static struct plug plug;
static struct weir_config *configs[3];
static struct weir *nodes[3];

static void configure(int id, const char *key, const char *value)
{
    ck_assert_int_eq(weir_config_set(configs[id], key, value, NULL), 0);
}

static void setup(void)
{
    char text[16];

    plug = (struct plug){0};
    for (int id = 1; id <= 2; id++) {
        ck_assert_int_eq(weir_config_new(&configs[id], NULL), 0);
        plug_register(configs[id], &plug);
        snprintf(text, sizeof(text), "%d", id);
        configure(id, "node_id", text);
        configure(id, "wal", "object:?linger=0s");
        configure(id, "log_cache", "4MiB");
        configure(id, "segment", "64KiB");
        configure(id, "upload_interval", "1h");
    }
}

static void teardown(void)
{
    plug.hook = NULL;
    for (int id = 1; id <= 2; id++) {
        weir_free(nodes[id]);
        weir_config_free(configs[id]);
        nodes[id] = NULL;
        configs[id] = NULL;
    }
    plug_free(&plug);
}

static void start(int id)
{
    nodes[id] = test_open(configs[id]);
}

static void stop(int id)
{
    weir_free(nodes[id]);
    nodes[id] = NULL;
}

/* Slots of a node's log that have records. */
static int slots(int id)
{
    char prefix[32];

    snprintf(prefix, sizeof(prefix), "wal/%08x/", (unsigned)id);
    return plug_larger(&plug, prefix, WEIR__SLOT_HEADER);
}

/* Heads and seals, of all logs. */
static int seals(void)
{
    return plug_larger(&plug, "wal/", 0) -
           plug_larger(&plug, "wal/", WEIR__SLOT_HEADER);
}

/* Drive a node until a node's log has so many slots with records. */
static void await_slots(int by, int id, int count)
{
    for (int i = 0; i < 20000 && slots(id) != count; i++)
        weir_poll(nodes[by], 1000000);
    ck_assert_int_eq(slots(id), count);
}

static int removals; /* DELETEs of slots that were refused. */

static int refuse_removals(struct plug *p, struct weir_store *store,
                           struct weir_store_req *req)
{
    (void)p;
    if (req->verb != WEIR_STORE_DELETE || strncmp(req->key, "wal/", 4) != 0)
        return 0;
    removals++;
    plug_answer(store, req, WEIR_EUNAVAILABLE);
    return 1;
}

/* Appends, each a slot, and flushes: the mark goes with the upload behind. */
static void fill(int id, const char *stream, int count)
{
    struct weir_stream *s = test_stream(nodes[id], stream, WEIR_STREAM_CREATE);

    for (int i = 0; i < count; i++)
        test_append(s, "something");
    test_flush(nodes[id]);
    test_append(s, "and more");
    test_flush(nodes[id]);
}

START_TEST(what_a_crash_before_the_removal_leaves_goes_at_the_next_opening)
{
    int kept;

    start(1);
    plug.hook = refuse_removals;
    fill(1, "s", 5);
    ck_assert_int_eq(slots(1), 6);
    stop(1);
    ck_assert_int_eq(slots(1), 6);
    plug.hook = NULL;
    kept = seals();
    start(1);
    await_slots(1, 1, 0);
    ck_assert_int_ge(seals(), kept);
    test_expect(test_stream(nodes[1], "s", 0), 0, "something", "something",
                "something", "something", "something", "and more", NULL);
}
END_TEST

START_TEST(what_was_not_removed_is_tried_again_with_the_next_upload)
{
    start(1);
    removals = 0;
    plug.hook = refuse_removals;
    fill(1, "s", 5);
    ck_assert_int_gt(removals, 0);
    plug.hook = NULL;
    test_append(test_stream(nodes[1], "s", 0), "again");
    test_flush(nodes[1]);
    await_slots(1, 1, 1);
}
END_TEST

/* All that was acknowledged is in objects, and the manifest knows. */
START_TEST(a_clean_close_leaves_no_slot)
{
    start(1);
    for (int i = 0; i < 3; i++)
        fill(1, "s", 30);
    stop(1);
    ck_assert_int_eq(slots(1), 0);
    ck_assert_int_gt(seals(), 0);
}
END_TEST

START_TEST(what_is_not_in_objects_stays_whoever_looks)
{
    struct weir_takeover take = {.req.err = &test_error, .node_id = 1};

    start(1);
    fill(1, "s", 3);
    test_append(test_stream(nodes[1], "s", 0), "only in the log");
    test_append(test_stream(nodes[1], "s", 0), "this too");
    stop(1);
    ck_assert_int_ge(slots(1), 2);
    start(2);
    fill(2, "t", 3);
    for (int i = 0; i < 1000; i++)
        weir_poll(nodes[2], 0);
    ck_assert_int_ge(slots(1), 2);
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    test_expect(test_stream(nodes[2], "s", 0), 3, "and more", "only in the log",
                "this too", NULL);
}
END_TEST

START_TEST(after_a_takeover_the_dead_ones_slots_go)
{
    struct weir_takeover take = {.req.err = &test_error, .node_id = 1};
    struct weir_stream *s;

    start(1);
    s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    for (int i = 0; i < 100; i++)
        test_append(s, "only in the log");
    stop(1);
    start(2);
    ck_assert_int_eq(slots(1), 100);
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    await_slots(2, 1, 0);
    ck_assert_int_ge(seals(), 3); /* Two heads, and a seal. */
}
END_TEST

/* Drive node 2 until the manifest says that node 1's log is not needed. */
static void await_clean(void)
{
    struct weir_member rows[2] = {0};
    struct weir_node_list list = {
        .req.err = &test_error, .out = rows, .limit = 2};

    for (int i = 0; i < 20000 && !rows[0].wal_clean; i++) {
        weir_poll(nodes[2], 1000000);
        ck_assert_int_eq(weir_node_list_sync(nodes[2], &list), 0);
    }
    ck_assert_int_eq((int)rows[0].wal_clean, 1);
}

/* The taker ends before it has removed them: whoever opens next does. */
START_TEST(what_a_broken_off_takeover_leaves_goes_with_any_opening)
{
    struct weir_takeover take = {.req.err = &test_error, .node_id = 1};

    start(1);
    test_append(test_stream(nodes[1], "s", WEIR_STREAM_CREATE), "one");
    stop(1);
    start(2);
    plug.hook = refuse_removals;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    await_clean();
    stop(2);
    ck_assert_int_eq(slots(1), 1);
    plug.hook = NULL;
    start(2);
    await_slots(2, 1, 0);
}
END_TEST

static struct weir_store *held_in;
static struct weir_store_req *held[2];
static int held_count;

/* The PUTs of two slots do not get to the store, and have no answer. */
static int hold_slots(struct plug *p, struct weir_store *store,
                      struct weir_store_req *req)
{
    if (req->verb != WEIR_STORE_PUT || strncmp(req->key, "wal/", 4) != 0)
        return 0;
    held_in = store;
    held[held_count++] = req;
    if (held_count == 2)
        p->hook = NULL;
    return 1;
}

/* It comes to the store behind the seal: nobody will ever read it. */
START_TEST(a_put_that_comes_behind_the_seal_goes_at_the_next_opening)
{
    struct weir_takeover take = {
        .req.err = &test_error, .node_id = 1, .flags = WEIR_TAKEOVER_FORCE};
    struct test_late first, second;
    struct weir_stream *s;

    start(1);
    s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    test_append(s, "one");
    held_count = 0;
    plug.hook = hold_slots;
    test_append_late(nodes[1], s, "late", &first);
    test_append_late(nodes[1], s, "late", &second);
    ck_assert_int_eq(held_count, 2);
    start(2);
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    await_slots(2, 1, 0);
    held_in->ops->submit(held_in, held[1]);
    ck_assert_int_eq(slots(1), 1);
    held_in->ops->submit(held_in, held[0]);
    test_drive(nodes[1], &second.over);
    ck_assert_int_ne(first.status, 0);
    ck_assert_int_ne(second.status, 0);
    stop(1);
    stop(2);
    start(2);
    await_slots(2, 1, 0);
    test_expect(test_stream(nodes[2], "s", 0), 0, "one", NULL);
}
END_TEST

/* No node has its log in the store any more. */
START_TEST(what_a_crash_leaves_goes_when_the_log_is_another)
{
    start(1);
    plug.hook = refuse_removals;
    fill(1, "s", 5);
    stop(1);
    ck_assert_int_eq(slots(1), 6);
    plug.hook = NULL;
    configure(1, "wal", "mem:");
    start(1);
    await_slots(1, 1, 0);
}
END_TEST

/* Nobody will ask for it, whether it was uploaded or not. */
START_TEST(what_a_log_has_goes_when_it_is_given_up)
{
    start(1);
    test_append(test_stream(nodes[1], "s", WEIR_STREAM_CREATE), "lost");
    plug.put_status = WEIR_EUNAVAILABLE;
    stop(1);
    plug.put_status = 0;
    ck_assert_int_eq(slots(1), 1);
    configure(1, "wal", "mem:");
    configure(1, "wal_abandon", "true");
    start(1);
    await_slots(1, 1, 0);
}
END_TEST

static void put_ended(struct weir_store_req *req, int status)
{
    ck_assert_int_eq(status, 0);
    *(int *)req->ctx = 1;
}

/* A PUT of a process that was stopped until now, into a slot of node 1. */
static void put_slot(int by, uint64_t epoch, uint64_t slot)
{
    static const unsigned char bytes[WEIR__SLOT_HEADER + 64];
    char key[WEIR__SLOT_KEY];
    struct weir_iov iov = {bytes, sizeof(bytes)};
    int over = 0;
    struct weir_store_req req = {.verb = WEIR_STORE_PUT,
                                 .flags = WEIR_STORE_IF_ABSENT,
                                 .key = key,
                                 .iov = &iov,
                                 .iov_count = 1,
                                 .done = put_ended,
                                 .ctx = &over};

    weir__slot_key(key, 1, epoch, slot);
    nodes[by]->store->ops->submit(nodes[by]->store, &req);
    test_drive(nodes[by], &over);
}

/* Who takes over a node that owes nothing makes no log: that it had one in the
 * store is known after that too. */
START_TEST(what_comes_behind_a_takeover_of_nothing_goes_with_any_opening)
{
    struct weir_takeover take = {.req.err = &test_error, .node_id = 1};

    configure(2, "wal", "mem:");
    start(1);
    fill(1, "s", 3);
    stop(1);
    start(2);
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    put_slot(2, 1, 7);
    ck_assert_int_eq(slots(1), 1);
    stop(2);
    start(2);
    await_slots(2, 1, 0);
    test_expect(test_stream(nodes[2], "s", 0), 0, "something", "something",
                "something", "and more", NULL);
}
END_TEST

/* ---- In virtual time ----------------------------------------------------- */

static struct virtual_env env;
static int ended;

static void opened(struct weir__open_req *req, int status)
{
    (void)req;
    ck_assert_int_eq(status, 0);
    ended++;
}

static void closed(struct weir__close *req, int status)
{
    (void)req;
    (void)status;
    ended++;
}

static void put_done(struct weir_store_req *req, int status)
{
    (void)req;
    ck_assert_int_eq(status, 0);
    ended++;
}

/* What a former process, stopped until now, had under way. */
static void put_late(struct weir *node, uint64_t epoch, uint64_t slot)
{
    static const unsigned char bytes[WEIR__SLOT_HEADER + 64];
    char key[WEIR__SLOT_KEY];
    struct weir_iov iov = {bytes, sizeof(bytes)};
    struct weir_store_req req = {.verb = WEIR_STORE_PUT,
                                 .flags = WEIR_STORE_IF_ABSENT,
                                 .key = key,
                                 .iov = &iov,
                                 .iov_count = 1,
                                 .done = put_done};

    weir__slot_key(key, 1, epoch, slot);
    ended = 0;
    node->store->ops->submit(node->store, &req);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
}

START_TEST(puts_that_come_after_the_first_look_go_with_the_second)
{
    struct weir__open_req open = {.done = opened, .err = &test_error};
    struct weir__close close = {.done = closed};

    virtual_env_init(&env, 1);
    plug = (struct plug){0};
    ck_assert_int_eq(weir_config_new(&configs[1], &env.alloc.alloc), 0);
    plug_register(configs[1], &plug);
    weir_config_set_env(configs[1], &env.base);
    configure(1, "wal", "object:");
    configure(1, "delete_grace", "10min");
    open.config = configs[1];
    ended = 0;
    ck_assert_int_eq(weir__node_open(&open), 0);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    virtual_env_settle(&env);
    for (uint64_t slot = 1; slot <= 1100; slot++) /* Some pages of a list. */
        put_late(open.node, 0, slot); /* Of an epoch before this one. */
    virtual_env_sleep(&env, 10 * MINUTE);
    ck_assert_int_eq(slots(1), 1100);
    virtual_env_sleep(&env, 2 * MINUTE);
    virtual_env_settle(&env);
    ck_assert_int_eq(slots(1), 0);
    ended = 0;
    weir__node_close(open.node, &close);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    weir__node_release(open.node);
    weir_config_free(configs[1]);
    configs[1] = NULL;
    virtual_env_close(&env);
    plug_free(&plug);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("what object logs leave");
    TCase *timed = test_case("what object logs leave, later");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(
        tc, what_a_crash_before_the_removal_leaves_goes_at_the_next_opening);
    tcase_add_test(tc,
                   what_was_not_removed_is_tried_again_with_the_next_upload);
    tcase_add_test(tc, a_clean_close_leaves_no_slot);
    tcase_add_test(tc, what_is_not_in_objects_stays_whoever_looks);
    tcase_add_test(tc, after_a_takeover_the_dead_ones_slots_go);
    tcase_add_test(tc, what_a_broken_off_takeover_leaves_goes_with_any_opening);
    tcase_add_test(tc,
                   a_put_that_comes_behind_the_seal_goes_at_the_next_opening);
    tcase_add_test(tc, what_a_crash_leaves_goes_when_the_log_is_another);
    tcase_add_test(tc, what_a_log_has_goes_when_it_is_given_up);
    tcase_add_test(
        tc, what_comes_behind_a_takeover_of_nothing_goes_with_any_opening);
    tcase_add_test(timed,
                   puts_that_come_after_the_first_look_go_with_the_second);
    return test_run();
}
