/* SPDX-License-Identifier: Apache-2.0 */
/* The probe of a store: what it accepts, and what it refuses by name. */
#include "support/host.h"
#include "support/test.h"
#include "support/virtual_env.h"

#include "store/store.h"

#include <string.h>

/** A store in memory that does not keep to the contract in one way. */
struct liar {
    struct weir_store base;
    struct weir_store *real;
    int ignores;  /* 1: the condition; 2: only when several ask at once. */
    int unknown;  /* 1: it knows no such condition. */
    int forgets;  /* 1: a GET finds nothing. */
    int failures; /* So many requests fail in passing. */
    struct weir_task task;
    struct weir_store_req *failing;
    int status;
};

static struct test_host host;
static struct liar liar;
static struct weir_error err;

static void fail_now(struct weir_task *task)
{
    struct weir_store_req *req = liar.failing;

    (void)task;
    liar.failing = NULL;
    req->done(req, liar.status);
}

static void fail_later(struct weir_store_req *req, int status)
{
    liar.failing = req;
    liar.status = status;
    liar.task.run = fail_now;
    host.host.env->ops->post(host.host.env, &liar.task);
}

static void submit(struct weir_store *store, struct weir_store_req *req)
{
    size_t len = strlen(req->key);

    (void)store;
    if (liar.failures > 0 && liar.failing == NULL) {
        liar.failures--;
        fail_later(req, WEIR_EUNAVAILABLE);
        return;
    }
    if (liar.unknown && req->flags != 0) {
        fail_later(req, WEIR_EUNSUPPORTED);
        return;
    }
    if (liar.forgets && req->verb == WEIR_STORE_GET) {
        fail_later(req, WEIR_ENOENT);
        return;
    }
    if (liar.ignores == 1 || (liar.ignores == 2 && req->key[len - 1] == '1'))
        req->flags = 0;
    liar.real->ops->submit(liar.real, req);
}

static void close_liar(struct weir_store *store, struct weir_task *closed)
{
    (void)store;
    liar.real->ops->close(liar.real, closed);
}

static const struct weir_store_ops liar_ops = {sizeof(liar_ops), "liar", submit,
                                               close_liar,       NULL,   NULL};

static int over;
static int status_of;

static void probed(struct weir__probe *probe, int status)
{
    (void)probe;
    status_of = status;
    over = 1;
}

static void closed(struct weir_task *task)
{
    (void)task;
    over = 1;
}

static void drive(void)
{
    while (!over)
        host.host.env->ops->poll(host.host.env, 1000000000);
    over = 0;
}

static int probe(void)
{
    static struct weir__probe p;

    p = (struct weir__probe){
        .host = &host.host, .store = &liar.base, .done = probed, .err = &err};
    weir__probe_start(&p);
    drive();
    return status_of;
}

static int listed;

static void was_listed(struct weir_store_req *req, int status)
{
    ck_assert_int_eq(status, 0);
    listed = (int)req->entry_count;
    over = 1;
}

static void setup(void)
{
    test_host_init(&host);
    memset(&liar, 0, sizeof(liar));
    memset(&err, 0, sizeof(err));
    over = 0;
    liar.base.ops = &liar_ops;
    ck_assert_int_eq(
        weir__store_memory_open(&liar.real, &host.host, "mem:", NULL, NULL), 0);
}

static void teardown(void)
{
    struct weir_task task = {.run = closed};

    liar.base.ops->close(&liar.base, &task);
    drive();
    test_host_close(&host);
}

START_TEST(a_store_that_keeps_to_the_contract_is_accepted_and_left_clean)
{
    struct weir_store_req list = {.verb = WEIR_STORE_LIST,
                                  .key = "probe/",
                                  .limit = 10,
                                  .done = was_listed};

    ck_assert_int_eq(probe(), 0);
    liar.real->ops->submit(liar.real, &list);
    drive();
    ck_assert_int_eq(listed, 0);
}
END_TEST

START_TEST(a_store_that_ignores_the_condition_is_refused)
{
    liar.ignores = 1;
    ck_assert_int_eq(probe(), WEIR_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "If-None-Match is ignored"));
}
END_TEST

START_TEST(a_store_that_knows_no_condition_is_refused)
{
    liar.unknown = 1;
    ck_assert_int_eq(probe(), WEIR_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "no conditional create"));
}
END_TEST

START_TEST(a_store_that_lets_several_win_a_race_is_refused)
{
    liar.ignores = 2;
    ck_assert_int_eq(probe(), WEIR_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "more than one"));
}
END_TEST

START_TEST(a_store_that_does_not_read_what_it_wrote_is_refused)
{
    liar.forgets = 1;
    ck_assert_int_eq(probe(), WEIR_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "a read does not give"));
}
END_TEST

START_TEST(what_passes_is_tried_again)
{
    liar.failures = 2;
    ck_assert_int_eq(probe(), 0);
    liar.failures = 100;
    ck_assert_int_eq(probe(), WEIR_EUNAVAILABLE);
    liar.failures = 0;
}
END_TEST

/* ---- A store that fails when its deadline is over ------------------------ */

struct slow {
    struct weir_store base;
    struct virtual_env env;
    struct weir_timer timer;
    struct weir_store_req *req;
    int asked;
};

static struct slow slow;

static void too_late(struct weir_timer *timer)
{
    (void)timer;
    slow.req->done(slow.req, WEIR_ETIMEDOUT);
}

static void submit_slow(struct weir_store *store, struct weir_store_req *req)
{
    struct weir_env *env = &slow.env.base;

    (void)store;
    slow.asked++;
    slow.req = req;
    slow.timer = (struct weir_timer){.fire = too_late,
                                     .deadline = env->ops->now(env) +
                                                 UINT64_C(60000000000)};
    env->ops->timer_start(env, &slow.timer);
}

static const struct weir_store_ops slow_ops = {
    sizeof(slow_ops), "slow", submit_slow, NULL, NULL, NULL};

START_TEST(a_store_that_takes_a_minute_to_fail_is_asked_once)
{
    struct weir__probe p = {.host = &slow.env.host,
                            .store = &slow.base,
                            .done = probed,
                            .err = &err};

    virtual_env_init(&slow.env, 1);
    slow.base.ops = &slow_ops;
    weir__probe_start(&p);
    ck_assert_int_eq(virtual_env_run(&slow.env, &over), 0);
    over = 0;
    ck_assert_int_eq(status_of, WEIR_ETIMEDOUT);
    ck_assert_int_eq(slow.asked, 1);
    virtual_env_close(&slow.env);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("probe");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(
        tc, a_store_that_keeps_to_the_contract_is_accepted_and_left_clean);
    tcase_add_test(tc, a_store_that_ignores_the_condition_is_refused);
    tcase_add_test(tc, a_store_that_knows_no_condition_is_refused);
    tcase_add_test(tc, a_store_that_lets_several_win_a_race_is_refused);
    tcase_add_test(tc, a_store_that_does_not_read_what_it_wrote_is_refused);
    tcase_add_test(tc, what_passes_is_tried_again);
    tcase_add_test(tc, a_store_that_takes_a_minute_to_fail_is_asked_once);
    return test_run();
}
