/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a node whose manifest does not answer, in virtual time. */
#include <string.h>

#include "engine/node.h"
#include "support/node.h"
#include "support/plug.h"
#include "support/test.h"
#include "support/virtual_env.h"
#include <weir/cluster.h>

#define SECOND UINT64_C(1000000000)

static struct virtual_env env;
static struct plug plug;
static struct weir_config *config;
static struct weir *node;
static int ended;
static int end_status;
static int held_verb;   /* Requests for the manifest's commits that are held; */
static int held_all;    /* those that follow, too. */
static int puts_before; /* So many commits go through before that. */

static int hold(struct plug *p, struct weir_store *store,
                struct weir_store_req *req)
{
    if (held_verb < 0 || strncmp(req->key, "manifest/log/", 13) != 0)
        return 0;
    if (puts_before > 0) {
        puts_before -= req->verb == WEIR_STORE_PUT;
        return 0;
    }
    if ((int)req->verb != held_verb || p->held != NULL)
        return 0;
    p->held = req;
    p->held_in = store;
    held_verb = held_all ? held_verb : -1;
    return 1;
}

static void opened(struct weir__open_req *req, int status)
{
    (void)req;
    ended++;
    end_status = status;
}

static void closed(struct weir__close *req, int status)
{
    (void)req;
    (void)status;
    ended++;
}

static void setup(const char *timeout)
{
    struct weir__open_req req = {.done = opened, .err = &test_error};

    virtual_env_init(&env, 1);
    plug = (struct plug){.hook = hold};
    held_verb = -1;
    held_all = 0;
    puts_before = 0;
    ended = 0;
    ck_assert_int_eq(weir_config_new(&config, &env.alloc.alloc), 0);
    plug_register(config, &plug);
    weir_config_set_env(config, &env.base);
    ck_assert_int_eq(weir_config_set(config, "commit_timeout", timeout, NULL),
                     0);
    req.config = config;
    ck_assert_int_eq(weir__node_open(&req), 0);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    ck_assert_int_eq(end_status, 0);
    node = req.node;
}

/* What is under way still is answered as the node closes. */
static void teardown(void)
{
    struct weir__close req = {.done = closed};

    ended = 0;
    held_verb = -1;
    weir__node_close(node, &req);
    plug_release(&plug);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    weir__node_release(node);
    weir_config_free(config);
    virtual_env_close(&env);
    plug_free(&plug);
}

static void done(struct weir_req *req, int status)
{
    (void)req;
    ended++;
    end_status = status;
}

static struct weir_req begin(void)
{
    ended = 0;
    test_error = (struct weir_error){0};
    return (struct weir_req){.done = done, .err = &test_error};
}

/* Wait for what `begin` began; how it ended. */
static int finish(void)
{
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    return end_status;
}

static int put(const char *key, const char *value)
{
    struct weir_kv_put req = {.req = begin(),
                              .key = key,
                              .value = value,
                              .len = strlen(value),
                              .expected = WEIR_KV_ANY};

    ck_assert_int_eq(weir_kv_put(node, &req), 0);
    return finish();
}

static char got[64];

static int take(struct weir_kv_get *req, const struct weir_kv_pair *pair)
{
    (void)req;
    memcpy(got, pair->value, pair->len);
    got[pair->len] = '\0';
    return 0;
}

static int get(const char *key)
{
    struct weir_kv_get req = {.req = begin(), .key = key, .pair = take};

    ck_assert_int_eq(weir_kv_get(node, &req), 0);
    return finish();
}

static struct weir *first;
static struct weir_config *second;

/* From now on `node` is node 2. */
static void open_second(const char *wal)
{
    struct weir__open_req open = {.done = opened, .err = &test_error};

    ck_assert_int_eq(weir__config_copy(&second, config), 0);
    ck_assert_int_eq(weir_config_set(second, "node_id", "2", NULL), 0);
    ck_assert_int_eq(weir_config_set(second, "wal", wal, NULL), 0);
    open.config = second;
    ended = 0;
    ck_assert_int_eq(weir__node_open(&open), 0);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    first = node;
    node = open.node;
}

static void close_second(void)
{
    struct weir__close close = {.done = closed};

    ended = 0;
    weir__node_close(node, &close);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    weir__node_release(node);
    weir_config_free(second);
    node = first;
}

static struct weir_stream *open_stream(const char *name, unsigned flags,
                                       int expected)
{
    struct weir_stream_open req = {
        .req = begin(), .name = name, .flags = flags};

    ck_assert_int_eq(weir_stream_open(node, &req), 0);
    ck_assert_int_eq(finish(), expected);
    return req.stream;
}

static void append(struct weir_stream *stream)
{
    struct weir_append req = {
        .req = begin(), .data = "x", .len = 1, .count = 1};

    ck_assert_int_eq(weir_append(stream, &req), 0);
    ck_assert_int_eq(finish(), 0);
}

static int flush(void)
{
    struct weir_flush req = {.req = begin()};

    ck_assert_int_eq(weir_flush(node, &req), 0);
    return finish();
}

/* The next commit gets no answer for now. */
static void hold_next_commit(void)
{
    held_verb = WEIR_STORE_PUT;
}

static void answer(void)
{
    ck_assert_ptr_nonnull(plug.held);
    plug_release(&plug);
    virtual_env_settle(&env);
}

static void ends_unknown_after(uint64_t began, uint64_t ns)
{
    ck_assert_uint_ge(env.now - began, ns);
    ck_assert_uint_le(env.now - began, ns + SECOND);
    ck_assert_ptr_nonnull(strstr(test_error.text, "may be done"));
}

START_TEST(a_put_under_way_ends_unknown_and_still_comes)
{
    char key[] = "key", value[] = "value";
    uint64_t began;

    setup("5s");
    began = env.now;
    hold_next_commit();
    ck_assert_int_eq(put(key, value), WEIR_EUNKNOWN);
    ends_unknown_after(began, 5 * SECOND);
    /* They are the caller's again. */
    memset(key, '!', sizeof(key) - 1);
    memset(value, '!', sizeof(value) - 1);
    ck_assert_int_eq(get("key"), WEIR_ENOENT);
    answer();
    ck_assert_int_eq(get("key"), 0);
    ck_assert_str_eq(got, "value");
    ck_assert_int_eq(get("!!!"), WEIR_ENOENT);
    teardown();
}
END_TEST

static void note(struct weir_req *req, int status)
{
    *(int *)req->ctx = status;
}

START_TEST(a_put_that_waits_behind_it_is_taken_back)
{
    int status[2] = {1, 1};
    struct weir_error err[2] = {{0}, {0}};
    struct weir_kv_put req[2];

    setup("5s");
    hold_next_commit();
    for (int i = 0; i < 2; i++) {
        req[i] = (struct weir_kv_put){
            .req = {.done = note, .ctx = &status[i], .err = &err[i]},
            .key = i == 0 ? "first" : "second",
            .value = "v",
            .len = 1,
            .expected = WEIR_KV_ANY};
        ck_assert_int_eq(weir_kv_put(node, &req[i]), 0);
        virtual_env_sleep(&env, SECOND);
    }
    virtual_env_sleep(&env, 10 * SECOND);
    ck_assert_int_eq(status[0], WEIR_EUNKNOWN);
    ck_assert_int_eq(status[1], WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(err[1].text, "nothing was sent"));
    answer();
    ck_assert_int_eq(get("first"), 0);
    ck_assert_int_eq(get("second"), WEIR_ENOENT);
    ck_assert_int_eq(put("second", "2"), 0);
    teardown();
}
END_TEST

START_TEST(who_waits_is_told_why_the_manifest_takes_nothing)
{
    setup("5s");
    plug.meta_status = WEIR_ENOSPC;
    ck_assert_int_lt(put("key", "value"), 0);
    ck_assert_ptr_nonnull(strstr(test_error.text, "no space"));
    plug.meta_status = 0;
    virtual_env_sleep(&env, 20 * SECOND);
    ck_assert_int_eq(put("key", "value"), 0);
    teardown();
}
END_TEST

START_TEST(without_a_limit_a_request_waits_as_long_as_it_takes)
{
    struct weir_kv_put req = {.req = {.done = done},
                              .key = "key",
                              .value = "v",
                              .len = 1,
                              .expected = WEIR_KV_ANY};

    setup("0s");
    req.req = begin();
    hold_next_commit();
    ck_assert_int_eq(weir_kv_put(node, &req), 0);
    virtual_env_settle(&env);
    virtual_env_sleep(&env, 100000 * SECOND);
    ck_assert_int_eq(ended, 0);
    plug_release(&plug);
    ck_assert_int_eq(finish(), 0);
    teardown();
}
END_TEST

START_TEST(a_stream_whose_making_ended_unknown_is_there_and_nobodys)
{
    char name[] = "name";
    struct weir_stream_stat stat;
    struct weir_stream_list list = {.out = &stat, .limit = 1};

    setup("5s");
    hold_next_commit();
    ck_assert_ptr_null(open_stream(name, WEIR_STREAM_CREATE, WEIR_EUNKNOWN));
    memset(name, '!', sizeof(name) - 1);
    answer();
    list.req = begin();
    ck_assert_int_eq(weir_stream_list(node, &list), 0);
    ck_assert_int_eq(finish(), 0);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_str_eq(stat.name, "name");
    ck_assert_uint_eq(stat.owner, 0);
    append(open_stream("name", 0, 0));
    teardown();
}
END_TEST

START_TEST(a_stream_whose_opening_ended_unknown_can_be_opened)
{
    setup("5s");
    open_stream("name", WEIR_STREAM_CREATE, 0);
    teardown();

    /* Another life of the node: it has to become the owner anew. */
    setup("5s");
    hold_next_commit();
    open_stream("other", WEIR_STREAM_CREATE, WEIR_EUNKNOWN);
    answer();
    hold_next_commit();
    ck_assert_ptr_null(open_stream("other", 0, WEIR_EUNKNOWN));
    answer();
    append(open_stream("other", 0, 0));
    teardown();
}
END_TEST

START_TEST(a_trim_that_ended_unknown_is_done_later)
{
    struct weir_trim trim = {.start = 2};
    struct weir_stream *s;
    struct weir_stream_stat stat;

    setup("5s");
    s = open_stream("name", WEIR_STREAM_CREATE, 0);
    for (int i = 0; i < 3; i++)
        append(s);
    hold_next_commit();
    trim.req = begin();
    ck_assert_int_eq(weir_trim(s, &trim), 0);
    ck_assert_int_eq(finish(), WEIR_EUNKNOWN);
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_uint_eq(stat.start, 0);
    answer();
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_uint_eq(stat.start, 2);
    append(s);
    teardown();
}
END_TEST

START_TEST(a_deletion_that_ended_unknown_is_done_later)
{
    char name[] = "name";
    struct weir_stream_delete delete = {.name = name};

    setup("5s");
    open_stream("name", WEIR_STREAM_CREATE, 0);
    hold_next_commit();
    delete.req = begin();
    ck_assert_int_eq(weir_stream_delete(node, &delete), 0);
    ck_assert_int_eq(finish(), WEIR_EUNKNOWN);
    memset(name, '!', sizeof(name) - 1);
    answer();
    open_stream("name", 0, WEIR_ENOENT);
    teardown();
}
END_TEST

static void delete_stream(const char *name, int expected)
{
    struct weir_stream_delete delete = {.req = begin(), .name = name};

    ck_assert_int_eq(weir_stream_delete(node, &delete), 0);
    ck_assert_int_eq(finish(), expected);
}

/* Another node deletes it meanwhile, and makes one of the same name. */
START_TEST(a_deletion_that_ended_unknown_does_not_take_what_was_made_since)
{
    struct weir_stream_stat stat;
    struct weir_stream *s;

    setup("5s");
    open_stream("name", WEIR_STREAM_CREATE, 0);
    hold_next_commit();
    delete_stream("name", WEIR_EUNKNOWN);
    open_second("mem:");
    delete_stream("name", 0);
    append(open_stream("name", WEIR_STREAM_CREATE, 0));
    ck_assert_int_eq(flush(), 0);
    answer();
    virtual_env_sleep(&env, 10 * SECOND);
    close_second(); /* What follows is on the node that was late. */
    s = open_stream("name", WEIR_STREAM_READ, 0);
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_uint_eq(stat.end, 1);
    teardown();
}
END_TEST

START_TEST(streams_whose_handover_ended_unknown_take_no_appends)
{
    struct weir_stream *s;
    struct weir_handover hand = {.streams = &s, .count = 1, .to_node = 7};
    struct weir_append req = {.data = "x", .len = 1, .count = 1};
    struct weir_stream_stat stat;

    setup("5s");
    s = open_stream("name", WEIR_STREAM_CREATE, 0);
    append(s);
    hold_next_commit();
    hand.req = begin();
    ck_assert_int_eq(weir_handover(node, &hand), 0);
    ck_assert_int_eq(finish(), WEIR_EUNKNOWN);
    req.req = begin();
    if (weir_append(s, &req) == 0)
        ck_assert_int_eq(finish(), WEIR_EFENCED);
    answer();
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_uint_eq(stat.owner, 7);
    teardown();
}
END_TEST

/* ---- Takeovers ----------------------------------------------------------- */

/* Node 2 dies with a batch in its log. */
static void let_node_2_die(void)
{
    open_second("object:");
    append(open_stream("name", WEIR_STREAM_CREATE, 0));
    close_second();
}

/* The first commit gives the dead node's epoch, the second frees its
 * streams. */
static int take_over(int verb, int commits_before)
{
    static struct weir_takeover req;

    req = (struct weir_takeover){
        .req = begin(), .node_id = 2, .flags = WEIR_TAKEOVER_FORCE};
    held_verb = verb;
    puts_before = commits_before;
    ck_assert_int_eq(weir_takeover(node, &req), 0);
    return finish();
}

START_TEST(a_takeover_whose_commit_is_under_way_ends_unknown_and_goes_on)
{
    struct weir_stream_stat stat;
    struct weir_stream *s;

    setup("5s");
    let_node_2_die();
    ck_assert_int_eq(take_over(WEIR_STORE_PUT, 1), WEIR_EUNKNOWN);
    ck_assert_ptr_nonnull(strstr(test_error.text, "node 2"));
    ck_assert_ptr_nonnull(strstr(test_error.text, "take it over again"));
    answer();
    s = open_stream("name", 0, 0);
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_uint_eq(stat.end, 1);
    append(s);
    ck_assert_int_eq(take_over(-1, 0), 0); /* It does no harm. */
    teardown();
}
END_TEST

START_TEST(a_takeover_that_is_done_does_not_wait_to_see_it)
{
    setup("5s");
    let_node_2_die();
    ck_assert_int_eq(take_over(WEIR_STORE_GET, 2), 0);
    answer();
    append(open_stream("name", 0, 0));
    teardown();
}
END_TEST

START_TEST(a_node_closes_while_a_takeover_waits_for_the_manifest)
{
    setup("5s");
    let_node_2_die();
    held_all = 1;
    ck_assert_int_eq(take_over(WEIR_STORE_PUT, 1), WEIR_EUNKNOWN);
    teardown();
}
END_TEST

/* ---- A log that cannot be read ------------------------------------------- */

static struct weir_timer silence;
static struct weir_store *silent;
static struct weir_store_req *unanswered;

static void give_up(struct weir_timer *timer)
{
    (void)timer;
    plug_answer(silent, unanswered, WEIR_ETIMEDOUT);
}

/* No GET of a slot is answered until its deadline, or the store's own. */
static int keep_silent(struct plug *p, struct weir_store *store,
                       struct weir_store_req *req)
{
    uint64_t own = env.now + 60 * SECOND;

    (void)p;
    if (req->verb != WEIR_STORE_GET || strncmp(req->key, "wal/", 4) != 0)
        return 0;
    silent = store;
    unanswered = req;
    silence.fire = give_up;
    silence.deadline =
        req->deadline != 0 && req->deadline < own ? req->deadline : own;
    env.base.ops->timer_start(&env.base, &silence);
    return 1;
}

START_TEST(a_log_that_cannot_be_read_is_given_up_after_a_minute)
{
    uint64_t began;

    setup("5s");
    let_node_2_die();
    plug.hook = keep_silent;
    began = env.now;
    ck_assert_int_eq(take_over(-1, 0), WEIR_ETIMEDOUT);
    ck_assert_uint_le(env.now - began, 62 * SECOND);
    plug.hook = hold;
    ck_assert_int_eq(take_over(-1, 0), 0);
    teardown();
}
END_TEST

START_TEST(a_list_does_not_wait_for_the_manifest_for_ever)
{
    struct weir_stream_stat stat;
    struct weir_stream_list list = {.out = &stat, .limit = 1};

    setup("5s");
    held_verb = WEIR_STORE_GET;
    list.req = begin();
    ck_assert_int_eq(weir_stream_list(node, &list), 0);
    ck_assert_int_eq(finish(), WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(test_error.text, "cannot be reached"));
    plug_answer(plug.held_in, plug.held, WEIR_ENOENT);
    plug.held = NULL;
    list.req = begin();
    ck_assert_int_eq(weir_stream_list(node, &list), 0);
    ck_assert_int_eq(finish(), 0);
    teardown();
}
END_TEST

START_TEST(a_flush_ends_and_its_upload_goes_on)
{
    struct weir_stream *s;
    struct weir_stream_stat stat;

    setup("5s");
    s = open_stream("name", WEIR_STREAM_CREATE, 0);
    append(s);
    hold_next_commit();
    ck_assert_int_eq(flush(), WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(test_error.text, "stays in the write-ahead"));
    /* One that comes later does not wait for ever either. */
    ck_assert_int_eq(flush(), WEIR_ETIMEDOUT);
    answer();
    ck_assert_int_eq(flush(), 0);
    ck_assert_int_eq(weir_stream_stat(s, &stat), 0);
    ck_assert_uint_eq(stat.uploaded_end, 1);
    teardown();
}
END_TEST

START_TEST(a_node_closes_while_commits_go_on_for_nobody)
{
    setup("5s");
    hold_next_commit();
    ck_assert_int_eq(put("key", "value"), WEIR_EUNKNOWN);
    teardown();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("engine late");

    tcase_add_test(tc, a_put_under_way_ends_unknown_and_still_comes);
    tcase_add_test(tc, a_put_that_waits_behind_it_is_taken_back);
    tcase_add_test(tc, who_waits_is_told_why_the_manifest_takes_nothing);
    tcase_add_test(tc, without_a_limit_a_request_waits_as_long_as_it_takes);
    tcase_add_test(tc,
                   a_stream_whose_making_ended_unknown_is_there_and_nobodys);
    tcase_add_test(tc, a_stream_whose_opening_ended_unknown_can_be_opened);
    tcase_add_test(tc, a_trim_that_ended_unknown_is_done_later);
    tcase_add_test(tc, a_deletion_that_ended_unknown_is_done_later);
    tcase_add_test(
        tc, a_deletion_that_ended_unknown_does_not_take_what_was_made_since);
    tcase_add_test(tc, streams_whose_handover_ended_unknown_take_no_appends);
    tcase_add_test(tc, a_list_does_not_wait_for_the_manifest_for_ever);
    tcase_add_test(tc, a_flush_ends_and_its_upload_goes_on);
    tcase_add_test(tc, a_node_closes_while_commits_go_on_for_nobody);
    tcase_add_test(
        tc, a_takeover_whose_commit_is_under_way_ends_unknown_and_goes_on);
    tcase_add_test(tc, a_takeover_that_is_done_does_not_wait_to_see_it);
    tcase_add_test(tc, a_node_closes_while_a_takeover_waits_for_the_manifest);
    tcase_add_test(tc, a_log_that_cannot_be_read_is_given_up_after_a_minute);
    return test_run();
}
