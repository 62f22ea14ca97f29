/* SPDX-License-Identifier: Apache-2.0 */
/* The object log of a node when the store fails in the middle, or somebody
 * else opens it. */
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "format/wal_record.h"
#include "format/wal_slot.h"
#include "support/node.h"
#include "support/plug.h"
#include "support/test.h"

static struct plug plug;
static struct weir_config *configs[3];
static struct weir *nodes[3];

static void configure(int id, const char *wal)
{
    char text[16];

    ck_assert_int_eq(weir_config_new(&configs[id], NULL), 0);
    plug_register(configs[id], &plug);
    snprintf(text, sizeof(text), "%d", id);
    ck_assert_int_eq(weir_config_set(configs[id], "node_id", text, NULL), 0);
    ck_assert_int_eq(weir_config_set(configs[id], "wal", wal, NULL), 0);
    ck_assert_int_eq(weir_config_set(configs[id], "log_cache", "4MiB", NULL),
                     0);
    ck_assert_int_eq(weir_config_set(configs[id], "segment", "64KiB", NULL), 0);
    ck_assert_int_eq(
        weir_config_set(configs[id], "upload_interval", "1h", NULL), 0);
    nodes[id] = test_open(configs[id]);
}

static void setup(void)
{
    plug = (struct plug){0};
    configure(1, "object:?linger=0s");
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

static struct weir_store *held_in;
static struct weir_store_req *held[3];
static int holding; /* So many PUTs of slots are to be held. */
static int held_count;

/* The PUT of a slot does not get to the store, and has no answer for now. */
static int hold_slot(struct plug *p, struct weir_store *store,
                     struct weir_store_req *req)
{
    if (req->verb != WEIR_STORE_PUT || strncmp(req->key, "wal/", 4) != 0)
        return 0;
    held_in = store;
    held[held_count++] = req;
    if (held_count == holding)
        p->hook = NULL;
    return 1;
}

static void hold(int count)
{
    plug.hook = hold_slot;
    holding = count;
    held_count = 0;
}

/* It is not known to be there, and what lies behind counts if it is. */
START_TEST(what_is_behind_a_write_of_unknown_outcome_is_unknown_too)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct weir_handover hand = {
        .req.err = &test_error, .streams = &s, .count = 1};
    struct test_late first, second;

    test_append(s, "one");
    hold(1);
    test_append_late(nodes[1], s, "two", &first);
    test_append_late(nodes[1], s, "three", &second);
    ck_assert_int_eq(first.over + second.over, 0);
    plug_answer(held_in, held[0], WEIR_EACCES);
    test_drive(nodes[1], &second.over);
    ck_assert_int_eq(first.status, WEIR_EUNKNOWN);
    ck_assert_int_eq(second.status, WEIR_EUNKNOWN);
    ck_assert_int_eq(test_try_append(s, "four", 0), WEIR_EPOISONED);
    ck_assert_int_eq(weir_handover_sync(nodes[1], &hand), WEIR_EPOISONED);
}
END_TEST

/* The mark stays before it, though all that was acknowledged is uploaded. */
START_TEST(recovery_begins_before_a_write_of_unknown_outcome)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct test_late first, second;

    test_append(s, "one");
    hold(2);
    test_append_late(nodes[1], s, "two", &first);
    test_append_late(nodes[1], s, "three", &second);
    plug_answer(held_in, held[0], WEIR_EACCES);
    test_flush(nodes[1]);
    held_in->ops->submit(held_in, held[1]);
    test_drive(nodes[1], &second.over);
    weir_free(nodes[1]);
    nodes[1] = test_open(configs[1]);
    s = test_stream(nodes[1], "s", 0);
    test_expect(s, 0, "one", NULL);
    ck_assert_uint_eq(test_append(s, "new"), 1);
}
END_TEST

static void raw_done(struct weir_store_req *req, int status)
{
    *(int *)req->ctx = status == 0 ? 1 : status;
}

/* Ask the store below the node. */
static void raw(struct weir_store_req *req)
{
    int over = 0;

    req->done = raw_done;
    req->ctx = &over;
    req->length = UINT64_MAX;
    held_in->ops->submit(held_in, req);
    test_drive(nodes[1], &over);
    ck_assert_int_eq(over, 1);
}

/* Another slot in the place of a write proves nothing: the write may have been
 * there before, and been recovered and removed (weir-sim, cluster, seed
 * 21010989). */
START_TEST(a_write_that_finds_anothers_slot_may_have_been_there_before)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct test_late first, second;
    struct weir_store_req get = {
        .verb = WEIR_STORE_GET,
        .key = "wal/00000001/0000000000000001/0000000000000000"};
    struct weir_store_req put = {.verb = WEIR_STORE_PUT, .iov_count = 1};
    struct weir_iov iov;

    hold(2);
    test_append_late(nodes[1], s, "one", &first);
    test_append_late(nodes[1], s, "two", &second);
    ck_assert_int_eq(held_count, 2);
    raw(&get);
    iov = (struct weir_iov){get.body->data, get.body->len};
    put.key = held[0]->key;
    put.iov = &iov;
    raw(&put);
    weir_buf_unref(get.body);
    held_in->ops->submit(held_in, held[0]);
    held_in->ops->submit(held_in, held[1]);
    test_drive(nodes[1], &second.over);
    ck_assert_int_eq(first.status, WEIR_EUNKNOWN);
    ck_assert_int_eq(second.status, WEIR_EUNKNOWN);
    ck_assert_int_eq(test_try_append(s, "three", 0), WEIR_EPOISONED);
}
END_TEST

static void (*look_done)(struct weir_store_req *req, int status);
static int looks;

/* A bit flips on the way, in the header that tells whose a slot is. */
static void damage(struct weir_store_req *req, int status)
{
    ck_assert_int_eq(status, 0);
    req->body->data[40] ^= 1;
    req->done = look_done;
    req->done(req, status);
}

static void ignore(struct weir_store_req *req, int status)
{
    (void)req;
    ck_assert_int_eq(status, 0);
}

static struct weir_store_req sent_before;

/* The PUT of a slot arrives twice, so that the second finds the first. */
static int twice(struct plug *p, struct weir_store *store,
                 struct weir_store_req *req)
{
    (void)p;
    if (strncmp(req->key, "wal/", 4) != 0 || req == &sent_before)
        return 0;
    if (req->verb == WEIR_STORE_PUT && looks == 0) {
        sent_before = *req;
        sent_before.done = ignore;
        store->ops->submit(store, &sent_before);
    } else if (req->verb == WEIR_STORE_GET && looks++ == 0) {
        look_done = req->done;
        req->done = damage;
    }
    return 0;
}

/* It has not failed for certain: the slot may be the own one, as it is here. */
START_TEST(a_slot_that_is_read_damaged_is_not_taken_for_anothers)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);

    looks = 0;
    plug.hook = twice;
    ck_assert_uint_eq(test_append(s, "one"), 0);
    ck_assert_int_eq(looks, 2);
    test_expect(s, 0, "one", NULL);
}
END_TEST

/* The former process lives: it uploads, and removes the slot at which the one
 * that opens its log is about to begin. */
static int upload_first(struct plug *p, struct weir_store *store,
                        struct weir_store_req *req)
{
    (void)store;
    if (req->verb != WEIR_STORE_GET || strncmp(req->key, "wal/", 4) != 0)
        return 0;
    p->hook = NULL;
    test_flush(nodes[1]);
    test_append(test_stream(nodes[1], "s", 0), "three");
    test_flush(nodes[1]); /* With it goes the mark of the one before. */
    for (int i = 0; i < 20; i++)
        weir_poll(nodes[1], 0);
    test_append(test_stream(nodes[1], "s", 0), "four");
    return 0;
}

START_TEST(who_began_at_a_mark_that_has_moved_begins_once_more)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct weir_takeover take = {
        .req.err = &test_error, .node_id = 1, .flags = WEIR_TAKEOVER_FORCE};

    configure(2, "object:");
    test_append(s, "one");
    test_append(s, "two");
    plug.hook = upload_first;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    ck_assert(plug.hook == NULL); /* It has come to that. */
    s = test_stream(nodes[2], "s", 0);
    test_expect(s, 0, "one", "two", "three", "four", NULL);
    ck_assert_uint_eq(test_append(s, "five"), 4);
}
END_TEST

static int makes; /* 1: a stream that there was not; 0: one that was free. */

/* The former process lives: it opens a stream and appends to it while its log
 * is being read. */
static int append_first(struct plug *p, struct weir_store *store,
                        struct weir_store_req *req)
{
    (void)store;
    if (req->verb != WEIR_STORE_GET || strncmp(req->key, "wal/", 4) != 0)
        return 0;
    p->hook = NULL;
    if (makes)
        test_append(test_stream(nodes[1], "t", WEIR_STREAM_CREATE), "two");
    else
        test_append(test_stream(nodes[1], "u", 0), "two");
    return 0;
}

/* What it was told is there, whoever had the manifest at hand (weir-sim,
 * cluster, seed 40002357 of version 3). */
START_TEST(who_reads_records_of_a_stream_it_has_not_heard_of_begins_once_more)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct weir_takeover take = {
        .req.err = &test_error, .node_id = 1, .flags = WEIR_TAKEOVER_FORCE};
    struct weir_handover hand = {.count = 1};

    makes = _i;
    configure(2, "object:");
    test_append(s, "one");
    s = test_stream(nodes[2], "u", WEIR_STREAM_CREATE);
    hand.streams = &s;
    ck_assert_int_eq(weir_handover_sync(nodes[2], &hand), 0);
    plug.hook = append_first;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    ck_assert(plug.hook == NULL); /* It has come to that. */
    test_expect(test_stream(nodes[2], "s", 0), 0, "one", NULL);
    test_expect(test_stream(nodes[2], makes ? "t" : "u", 0), 0, "two", NULL);
}
END_TEST

static int is_slot(const struct weir_store_req *req, enum weir_store_verb verb,
                   unsigned slot)
{
    char end[24];

    snprintf(end, sizeof(end), "/%016x", slot);
    return req->verb == verb && strncmp(req->key, "wal/", 4) == 0 &&
           strcmp(strrchr(req->key, '/'), end) == 0;
}

static int early; /* Slot 5 is read before there is a fence in slot 4. */

static int see_early(struct plug *p, struct weir_store *store,
                     struct weir_store_req *req)
{
    (void)store;
    if (is_slot(req, WEIR_STORE_GET, 5))
        early = 1;
    else if (is_slot(req, WEIR_STORE_PUT, 4))
        p->hook = NULL;
    return 0;
}

/* It is read ahead, but was never acknowledged, nor can be. */
START_TEST(a_slot_behind_one_that_is_missing_is_not_recovered)
{
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct weir_takeover take = {
        .req.err = &test_error, .node_id = 1, .flags = WEIR_TAKEOVER_FORCE};
    struct test_late first, second;

    configure(2, "object:");
    test_append(s, "one");
    test_append(s, "two");
    test_append(s, "three");
    hold(1);
    test_append_late(nodes[1], s, "four", &first);
    test_append_late(nodes[1], s, "five", &second);
    early = 0;
    plug.hook = see_early;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    ck_assert(plug.hook == NULL);
    ck_assert_int_eq(early, 1);
    s = test_stream(nodes[2], "s", 0);
    test_expect(s, 0, "one", "two", "three", NULL);
    ck_assert_uint_eq(test_append(s, "new"), 3);
    held_in->ops->submit(held_in, held[0]);
    test_drive(nodes[1], &second.over);
    ck_assert_int_ne(first.status, 0);
    ck_assert_int_ne(second.status, 0);
}
END_TEST

/* Slot 3, whose turn it is, and the two behind it. */
static int hold_reads(struct plug *p, struct weir_store *store,
                      struct weir_store_req *req)
{
    if (!is_slot(req, WEIR_STORE_GET, 3u + (unsigned)held_count))
        return 0;
    held_in = store;
    held[held_count++] = req;
    if (held_count == 3)
        p->hook = NULL;
    return 1;
}

static struct {
    int over;
    int status;
} taken;

static void take_done(struct weir_req *req, int status)
{
    (void)req;
    taken.over = 1;
    taken.status = status;
}

/* A takeover begins, of six records, and comes to the third. */
static void take_half(void)
{
    static const char *const texts[] = {"one",  "two",  "three",
                                        "four", "five", "six"};
    static struct weir_takeover take;
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);

    configure(2, "object:");
    for (int i = 0; i < 6; i++)
        test_append(s, texts[i]);
    held_count = 0;
    plug.hook = hold_reads;
    memset(&taken, 0, sizeof(taken));
    take =
        (struct weir_takeover){.req = {.done = take_done, .err = &test_error},
                               .node_id = 1,
                               .flags = WEIR_TAKEOVER_FORCE};
    ck_assert_int_eq(weir_takeover(nodes[2], &take), 0);
    while (plug.hook != NULL)
        weir_poll(nodes[2], 1000000);
}

static void poll_some(void)
{
    for (int i = 0; i < 20; i++)
        weir_poll(nodes[2], 0);
}

/* It ends well, and all that the dead one had is there. */
static void expect_all_taken(void)
{
    test_drive(nodes[2], &taken.over);
    ck_assert_int_eq(taken.status, 0);
    test_expect(test_stream(nodes[2], "s", 0), 0, "one", "two", "three", "four",
                "five", "six", NULL);
}

START_TEST(slots_that_are_read_ahead_are_used_in_their_turn)
{
    take_half();
    for (int i = 2; i >= 0; i--) {
        ck_assert_int_eq(taken.over, 0);
        if (_i == 0 || i == 0)
            held_in->ops->submit(held_in, held[i]);
        else
            plug_answer(held_in, held[i], _i == 1 ? WEIR_EACCES : WEIR_ENOENT);
        poll_some();
    }
    expect_all_taken();
}
END_TEST

START_TEST(a_slot_that_was_awaited_in_vain_is_read_again)
{
    take_half();
    plug_answer(held_in, held[0], _i == 0 ? WEIR_ENOENT : WEIR_EUNAVAILABLE);
    poll_some();
    held_in->ops->submit(held_in, held[2]);
    plug_answer(held_in, held[1], WEIR_EUNAVAILABLE);
    expect_all_taken();
}
END_TEST

START_TEST(a_recovery_that_fails_waits_for_what_it_has_read_ahead)
{
    take_half();
    plug_answer(held_in, held[0], WEIR_EACCES);
    poll_some();
    ck_assert_int_eq(taken.over, 0);
    held_in->ops->submit(held_in, held[2]);
    poll_some();
    ck_assert_int_eq(taken.over, 0);
    plug_answer(held_in, held[1], WEIR_EUNAVAILABLE);
    test_drive(nodes[2], &taken.over);
    ck_assert_int_eq(taken.status, WEIR_EACCES);
}
END_TEST

static unsigned damage_slot; /* Is read damaged once, */
static size_t damage_at;     /* here. */
static void (*damaged_done)(struct weir_store_req *req, int status);

/* On the way: the store's own bytes are right. */
static void damage_body(struct weir_store_req *req, int status)
{
    if (status == 0) {
        ck_assert_uint_gt(req->body->len, damage_at);
        req->body->data[damage_at] ^= 1;
    }
    damaged_done(req, status);
}

static int damage_once(struct plug *p, struct weir_store *store,
                       struct weir_store_req *req)
{
    (void)store;
    if (!is_slot(req, WEIR_STORE_GET, damage_slot))
        return 0;
    p->hook = NULL;
    damaged_done = req->done;
    req->done = damage_body;
    return 0;
}

static void expect_whole(struct weir_stream *s)
{
    test_expect(s, 0, "one", "two", "three", "four", "five", "six", NULL);
}

/* In the header of the slot, that of a record, its payload: it is read once
 * more, in case it was the transfer, before anything is said to be damaged. */
static const size_t damages[] = {20, WEIR__SLOT_HEADER + 20,
                                 WEIR__SLOT_HEADER + WEIR__WAL_RECORD_HEADER};

START_TEST(a_slot_that_comes_damaged_is_read_once_more)
{
    static const char *const texts[] = {"one",  "two",  "three",
                                        "four", "five", "six"};
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);
    struct weir_takeover take = {.node_id = 1, .flags = WEIR_TAKEOVER_FORCE};

    configure(2, "object:");
    for (int i = 0; i < 6; i++)
        test_append(s, texts[i]);
    damage_slot = (unsigned)_i / 3 + 1;
    damage_at = damages[_i % 3];
    plug.hook = damage_once;
    expect_whole(test_stream(nodes[2], "s", WEIR_STREAM_READ));
    ck_assert(plug.hook == NULL);
    plug.hook = damage_once;
    ck_assert_int_eq(weir_takeover_sync(nodes[2], &take), 0);
    ck_assert(plug.hook == NULL);
    expect_whole(test_stream(nodes[2], "s", 0));
}
END_TEST

static unsigned sums; /* Slots whose checksum was known when they were put. */

static int check_sum(struct plug *p, struct weir_store *store,
                     struct weir_store_req *req)
{
    uint32_t crc = 0;

    (void)p;
    (void)store;
    if (req->verb != WEIR_STORE_PUT || req->crc32c == NULL)
        return 0;
    for (size_t i = 0; i < req->iov_count; i++)
        crc = weir__crc32c(crc, req->iov[i].data, req->iov[i].len);
    ck_assert_uint_eq(crc, *req->crc32c);
    sums++;
    return 0;
}

static void count_done(struct weir_req *req, int status)
{
    ck_assert_int_eq(status, 0);
    ++*(int *)req->ctx;
}

/* Of large records; where there is a small one the store reads all of it. */
START_TEST(the_checksum_of_a_slot_is_joined_from_those_of_its_records)
{
    static char data[40000];
    struct weir_stream *s = test_stream(nodes[1], "s", WEIR_STREAM_CREATE);

    plug.hook = check_sum;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * i / 7);
    for (size_t len = 1; len < sizeof(data); len = len * 9 / 8 + 1) {
        struct weir_append reqs[3];
        int over = 0;

        for (int i = 0; i < 3; i++) {
            reqs[i] =
                (struct weir_append){.req = {.done = count_done, .ctx = &over},
                                     .data = data,
                                     .len = len,
                                     .count = 1,
                                     .max_timestamp = WEIR_NO_TIMESTAMP};
            ck_assert_int_eq(weir_append(s, &reqs[i]), 0);
        }
        while (over < 3)
            weir_poll(nodes[1], 1000000);
    }
    ck_assert_uint_gt(sums, 5);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("object log");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc,
                   what_is_behind_a_write_of_unknown_outcome_is_unknown_too);
    tcase_add_test(tc, recovery_begins_before_a_write_of_unknown_outcome);
    tcase_add_test(tc,
                   a_write_that_finds_anothers_slot_may_have_been_there_before);
    tcase_add_test(tc, a_slot_that_is_read_damaged_is_not_taken_for_anothers);
    tcase_add_test(tc, who_began_at_a_mark_that_has_moved_begins_once_more);
    tcase_add_loop_test(
        tc, who_reads_records_of_a_stream_it_has_not_heard_of_begins_once_more,
        0, 2);
    tcase_add_test(tc, a_slot_behind_one_that_is_missing_is_not_recovered);
    tcase_add_loop_test(tc, slots_that_are_read_ahead_are_used_in_their_turn, 0,
                        3);
    tcase_add_loop_test(tc, a_slot_that_was_awaited_in_vain_is_read_again, 0,
                        2);
    tcase_add_test(tc, a_recovery_that_fails_waits_for_what_it_has_read_ahead);
    tcase_add_test(tc,
                   the_checksum_of_a_slot_is_joined_from_those_of_its_records);
    tcase_add_loop_test(tc, a_slot_that_comes_damaged_is_read_once_more, 0,
                        6 * 3);
    return test_run();
}
