/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of an s3 store that the host gives: when it is asked, who waits
 * meanwhile, and what is told when it has none. */
#include "support/keys_rig.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/s3_keys.h>

static struct keys_rig rig;

/** What the host's function does, and what it was asked. */
static struct {
    int status;
    const char *text;
    int64_t expires;
    int calls; /* Atomic, as the following ones. */
    int rejected;
    int hold; /* It does not return while this is 1. */
} host;

static int get(void)
{
    return keys_rig_get(&rig);
}

static int give(void *ctx, int rejected, struct weir_s3_keys *keys,
                struct weir_error *err)
{
    ck_assert_ptr_eq(ctx, &host);
    __atomic_store_n(&host.rejected, rejected, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&host.calls, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&host.hold, __ATOMIC_SEQ_CST))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (host.text != NULL)
        snprintf(err->text, sizeof(err->text), "%s", host.text);
    if (host.status != 0)
        return host.status;
    return weir_s3_keys_set(keys, S3_SERVER_KEY, S3_SERVER_SECRET,
                            "token-of-the-host", host.expires);
}

static int give_nothing(void *ctx, int rejected, struct weir_s3_keys *keys,
                        struct weir_error *err)
{
    (void)ctx;
    (void)rejected;
    (void)keys;
    (void)err;
    return 0;
}

static int calls(void)
{
    return __atomic_load_n(&host.calls, __ATOMIC_SEQ_CST);
}

/* With a property, or NULL. */
static void open_host_with(weir_s3_keys_fn *fn, const char *property,
                           const char *value)
{
    keys_rig_init(&rig);
    weir_config_set_s3_keys(rig.config, fn, &host);
    if (property != NULL)
        ck_assert_int_eq(weir_config_set(rig.config, property, value, NULL), 0);
    ck_assert_msg(keys_rig_open(&rig, "chain") == 0, "%s", rig.store.err.text);
}

static void open_host(weir_s3_keys_fn *fn)
{
    open_host_with(fn, NULL, NULL);
}

static void host_over(void)
{
    memset(&host, 0, sizeof(host));
}

START_TEST(a_host_is_asked_for_keys_once)
{
    keys_clear_environment();
    setenv("AWS_ACCESS_KEY_ID", "another-key", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "another-secret", 1);
    open_host(give);
    ck_assert_int_eq(calls(), 0);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_check_token(&rig, "token-of-the-host");
    ck_assert_int_eq(calls(), 1);
    ck_assert_int_eq(host.rejected, 0);
    keys_rig_close(&rig);
}
END_TEST

START_TEST(a_host_is_asked_again_when_the_store_rejects_its_keys)
{
    struct s3_fault once = keys_expired(1);
    struct s3_fault often = keys_expired(100);

    open_host(give);
    s3_server_fault(rig.server, &once);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(calls(), 2);
    ck_assert_int_eq(host.rejected, 1);
    s3_server_fault(rig.server, &often);
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "ExpiredToken");
    ck_assert_int_eq(calls(), 3);
    keys_rig_close(&rig);
}
END_TEST

static void hold(int on)
{
    __atomic_store_n(&host.hold, on, __ATOMIC_SEQ_CST);
}

/* The first keys are there, and others are held back. */
static void open_and_hold(const char *property, const char *value)
{
    open_host_with(give, property, value);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    hold(1);
}

static void poll_until_requests(int count)
{
    while (s3_server_requests(rig.server, NULL) < count)
        keys_rig_poll(&rig);
}

static void wait_for_calls(int count)
{
    while (calls() < count)
        keys_rig_poll(&rig);
}

static void await_calls(int count)
{
    wait_for_calls(count);
    test_host_settle(&rig.store.host);
}

static void poll_for(uint64_t ms)
{
    struct weir_env *env = rig.store.host.host.env;
    uint64_t end = env->ops->now(env) + ms * 1000000;

    while (env->ops->now(env) < end)
        keys_rig_poll(&rig);
}

static const struct store_call get_a = {
    .req = {.verb = WEIR_STORE_GET, .key = "a", .length = UINT64_MAX}};

/* The first of two attempts is told that the keys have expired; the second is
 * answered while others are waited for. */
START_TEST(who_waits_for_other_keys_has_no_attempt_under_way)
{
    struct s3_fault second = {
        .kind = S3_ANSWER, .status = 404, .code = "NoSuchKey", .late = 900};
    struct s3_fault first = keys_expired(1);
    struct store_call call = get_a;

    first.late = 500;
    first.next = &second;
    open_and_hold("s3_hedge", "50ms");
    s3_server_store(rig.server, "p/a", "0123456789", 10);
    s3_server_fault(rig.server, &first);
    store_rig_start(&rig.store, &call);
    poll_for(1500);
    ck_assert_int_eq(call.done, 0);
    hold(0);
    ck_assert_int_eq(store_rig_finish(&rig.store, &call), 0);
    weir_buf_unref(call.req.body);
    ck_assert_int_eq(s3_server_requests(rig.server, NULL), 4);
    keys_rig_close(&rig);
}
END_TEST

START_TEST(keys_that_the_second_attempt_finds_expired_end_the_first)
{
    struct s3_fault second = keys_expired(1);
    struct s3_fault first = {.kind = S3_SILENT, .next = &second};

    open_host_with(give, "s3_hedge", "50ms");
    s3_server_fault(rig.server, &first);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(s3_server_requests(rig.server, NULL), 3);
    keys_rig_close(&rig);
}
END_TEST

/* The second request was signed with the first keys, and is told so when there
 * are new ones. */
START_TEST(keys_are_rejected_once)
{
    struct s3_fault second = keys_expired(1);
    struct s3_fault first = keys_expired(1);
    struct store_call calls_of[2] = {get_a, get_a};

    second.late = 300;
    first.next = &second;
    open_and_hold(NULL, NULL);
    s3_server_fault(rig.server, &first);
    for (int i = 0; i < 2; i++)
        store_rig_start(&rig.store, &calls_of[i]);
    poll_until_requests(1 + 2);
    hold(0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(store_rig_finish(&rig.store, &calls_of[i]),
                         WEIR_ENOENT);
    ck_assert_int_eq(s3_server_requests(rig.server, NULL), 1 + 4);
    ck_assert_int_eq(calls(), 2);
    keys_rig_close(&rig);
}
END_TEST

/* The store has asked to slow down before its keys expired. */
START_TEST(who_has_waited_for_keys_heeds_the_limit)
{
    struct s3_fault silent = {.kind = S3_SILENT, .count = 1000};
    struct s3_fault expired = keys_expired(1);
    struct s3_fault slow = {
        .kind = S3_ANSWER, .status = 503, .code = "SlowDown", .next = &expired};
    struct store_call calls_of[8];

    expired.next = &silent;
    open_and_hold("s3_connections", "8");
    s3_server_fault(rig.server, &slow);
    calls_of[0] = get_a;
    store_rig_start(&rig.store, &calls_of[0]);
    wait_for_calls(2);
    for (int i = 1; i < 8; i++) {
        calls_of[i] = get_a;
        store_rig_start(&rig.store, &calls_of[i]);
    }
    poll_for(100);
    ck_assert_int_eq(s3_server_requests(rig.server, NULL), 3);
    hold(0);
    poll_until_requests(3 + 4);
    poll_for(100);
    ck_assert_int_eq(s3_server_requests(rig.server, NULL), 3 + 4);
    store_rig_close_store(&rig.store);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(calls_of[i].done, 1);
    keys_rig_close(&rig);
}
END_TEST

#define MINUTE ((int64_t)60000)

START_TEST(keys_of_a_host_are_renewed_while_the_old_ones_serve)
{
    struct weir_env *env;
    int asked;

    open_host(give);
    env = rig.store.host.host.env;
    host.expires = env->ops->wall(env) + 60 * MINUTE;
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_ahead(54 * MINUTE);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(calls(), 1);
    keys_rig_ahead(56 * MINUTE);
    host.status = WEIR_EUNAVAILABLE;
    ck_assert_int_eq(get(), WEIR_ENOENT); /* Begins a renewal. */
    await_calls(2);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_ahead(61 * MINUTE);
    ck_assert_int_eq(get(), WEIR_EUNAVAILABLE);
    asked = calls();
    host.status = 0;
    host.expires += 60 * MINUTE;
    keys_rig_ahead(61 * MINUTE + 1000);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(calls(), asked + 1);
    keys_rig_close(&rig);
}
END_TEST

/* This machine's clock is two hours ahead, which the store tells. */
START_TEST(keys_expire_by_the_clock_of_the_store)
{
    struct s3_fault expired = keys_expired(1);
    char date[80];
    time_t now = time(NULL);
    struct tm tm;

    strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT",
             gmtime_r(&now, &tm));
    keys_rig_ahead(120 * MINUTE);
    host.expires = now * 1000 + 180 * MINUTE;
    open_host(give);
    s3_server_fault(rig.server,
                    &(struct s3_fault){.kind = S3_ANSWER,
                                       .status = 403,
                                       .code = "RequestTimeTooSkewed",
                                       .header = date});
    ck_assert_int_eq(get(), WEIR_ENOENT);
    host.expires = now * 1000 + 60 * MINUTE;
    s3_server_fault(rig.server, &expired);
    ck_assert_msg(get() == WEIR_ENOENT, "%s", rig.store.err.text);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(calls(), 2);
    keys_rig_close(&rig);
}
END_TEST

START_TEST(what_a_host_says_is_told)
{
    static const struct {
        int status;
        const char *text;
        int expect;
        const char *word;
    } cases[] = {
        {WEIR_EUNAVAILABLE, "the vault is sealed", WEIR_EUNAVAILABLE,
         "from the program: the vault is sealed"},
        {WEIR_EACCES, "no such role", WEIR_EAUTH, "no such role"},
        {WEIR_EUNAVAILABLE, NULL, WEIR_EUNAVAILABLE, "cannot be reached"},
        {1, NULL, WEIR_EAUTH, "from the program"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        host.status = cases[i].status;
        host.text = cases[i].text;
        open_host(give);
        ck_assert_int_eq(get(), cases[i].expect);
        keys_rig_check_err(&rig, cases[i].word);
        host.status = 0; /* It has some later. */
        keys_rig_ahead(1000);
        ck_assert_int_eq(get(), WEIR_ENOENT);
        keys_rig_close(&rig);
    }
    open_host(give_nothing);
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "set none");
    keys_rig_close(&rig);
}
END_TEST

START_TEST(keys_that_have_expired_when_they_come_are_not_used)
{
    host.expires = 1;
    open_host(give);
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "have expired");
    ck_assert_int_eq(calls(), 1);
    keys_rig_close(&rig);
}
END_TEST

START_TEST(who_waits_for_a_host_waits_until_its_deadline)
{
    hold(1);
    open_host_with(give, "s3_timeout", "20ms");
    ck_assert_int_eq(get(), WEIR_ETIMEDOUT);
    keys_rig_check_err(&rig, "before there were credentials");
    hold(0);
    keys_rig_close(&rig);
}
END_TEST

START_TEST(closing_waits_until_the_host_has_answered)
{
    struct store_call call = {.req = {.verb = WEIR_STORE_HEAD, .key = "a"}};

    hold(1);
    open_host(give);
    store_rig_start(&rig.store, &call);
    wait_for_calls(1);
    hold(0);
    store_rig_close_store(&rig.store);
    ck_assert_int_eq(call.done, 1);
    keys_rig_close(&rig);
}
END_TEST

static const struct {
    int access, secret, token; /* Lengths; -1: NULL. */
    int status;
} lengths[] = {
    {131, 259, 8191, 0},
    {1, 1, -1, 0},
    {1, 1, 0, 0},
    {132, 1, 1, WEIR_EINVAL},
    {1, 260, 1, WEIR_EINVAL},
    {1, 1, 8192, WEIR_EINVAL},
    {0, 1, 1, WEIR_EINVAL},
    {1, 0, 1, WEIR_EINVAL},
    {-1, 1, 1, WEIR_EINVAL},
    {1, -1, 1, WEIR_EINVAL},
};
static int bad_lengths; /* Those that were not judged as they should be. */

static const char *text_of(char *to, int len)
{
    if (len < 0)
        return NULL;
    memset(to, 'k', (size_t)len);
    to[len] = '\0';
    return to;
}

static int give_lengths(void *ctx, int rejected, struct weir_s3_keys *keys,
                        struct weir_error *err)
{
    char access[200], secret[300], token[9000];

    (void)ctx;
    (void)rejected;
    (void)err;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        bad_lengths +=
            weir_s3_keys_set(keys, text_of(access, lengths[i].access),
                             text_of(secret, lengths[i].secret),
                             text_of(token, lengths[i].token),
                             0) != lengths[i].status;
    bad_lengths += weir_s3_keys_set(keys, "a\nb", "c", NULL, 0) != WEIR_EINVAL;
    bad_lengths += weir_s3_keys_set(keys, "a", "c", "d\r", 0) != WEIR_EINVAL;
    bad_lengths += weir_s3_keys_set(keys, "a", "c", NULL, -1) != WEIR_EINVAL;
    return WEIR_EINVAL;
}

START_TEST(keys_of_odd_lengths_are_refused)
{
    bad_lengths = 0;
    open_host(give_lengths);
    ck_assert_int_eq(get(), WEIR_EAUTH);
    ck_assert_int_eq(bad_lengths, 0);
    keys_rig_close(&rig);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_host_keys");

    tcase_add_checked_fixture(tc, host_over, host_over);
    tcase_add_test(tc, a_host_is_asked_for_keys_once);
    tcase_add_test(tc, a_host_is_asked_again_when_the_store_rejects_its_keys);
    tcase_add_test(tc, who_waits_for_other_keys_has_no_attempt_under_way);
    tcase_add_test(tc,
                   keys_that_the_second_attempt_finds_expired_end_the_first);
    tcase_add_test(tc, keys_are_rejected_once);
    tcase_add_test(tc, who_has_waited_for_keys_heeds_the_limit);
    tcase_add_test(tc, keys_of_a_host_are_renewed_while_the_old_ones_serve);
    tcase_add_test(tc, keys_expire_by_the_clock_of_the_store);
    tcase_add_test(tc, what_a_host_says_is_told);
    tcase_add_test(tc, keys_that_have_expired_when_they_come_are_not_used);
    tcase_add_test(tc, who_waits_for_a_host_waits_until_its_deadline);
    tcase_add_test(tc, closing_waits_until_the_host_has_answered);
    tcase_add_test(tc, keys_of_odd_lengths_are_refused);
    return test_run();
}
