/* SPDX-License-Identifier: Apache-2.0 */
/* The store on etcd when its members fail, do not answer, or want to know who
 * asks: against scripted members. */
#include "store/store.h"
#include "support/http_script.h"
#include "support/s3_server.h"
#include "support/store_rig.h"
#include "support/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DONE "{\"header\":{},\"succeeded\":true,\"responses\":[{}]}"
/* It exists, with "body"; with "other". */
#define OURS                                                                   \
    "{\"header\":{},\"responses\":[{\"response_range\":{\"kvs\":["             \
    "{\"key\":\"eA==\",\"value\":\"AGJvZHk=\"}]}}]}"
#define THEIRS                                                                 \
    "{\"header\":{},\"responses\":[{\"response_range\":{\"kvs\":["             \
    "{\"key\":\"eA==\",\"value\":\"AG90aGVy\"}]}}]}"
#define CHANGED "{\"error\":\"etcdserver: leader changed\",\"code\":14}"

static struct store_rig rig;
static atomic_int locks; /* Pages for secrets that were asked for. */

/* This program's own comes before the C library's. */
int mlock(const void *addr, size_t len)
{
    atomic_fetch_add(&locks, 1);
    return (int)syscall(SYS_mlock, addr, len);
}

static void open_uri(const char *hosts, const char *query, const char *user)
{
    struct weir_config *config = NULL;
    char uri[300];

    store_rig_init(&rig);
    snprintf(uri, sizeof(uri), "etcd://%s/p%s", hosts, query);
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    ck_assert_int_eq(
        weir_config_set(config, "etcd_attempt_timeout", "1s", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "etcd_timeout", "1min", NULL), 0);
    if (user != NULL) {
        ck_assert_int_eq(weir_config_set(config, "etcd_user", user, NULL), 0);
        ck_assert_int_eq(
            weir_config_set(config, "etcd_password", "a-secret", NULL), 0);
    }
    ck_assert_int_eq(store_rig_open(&rig, weir__store_etcd_open, uri, config),
                     0);
    weir_config_free(config);
}

static void open_on(const char *hosts, const char *user)
{
    open_uri(hosts, "", user);
}

static const char *host(const struct http_script *script)
{
    return http_script_url(script) + strlen("http://");
}

static int put(void)
{
    return store_put(&rig, "a", "body", 4, WEIR_STORE_IF_ABSENT);
}

static void check_err(const char *word)
{
    ck_assert_msg(strstr(rig.err.text, word) != NULL, "%s", rig.err.text);
    ck_assert_ptr_null(strstr(rig.err.text, "a-secret"));
}

START_TEST(a_create_that_meets_itself_is_done)
{
    struct http_line lines[] = {{"POST /v3/kv/txn", NULL, 503, CHANGED, 1},
                                {"POST /v3/kv/txn", NULL, 200, OURS, 0},
                                {0}};
    struct http_script *etcd = http_script_start(lines);

    open_on(host(etcd), NULL);
    ck_assert_msg(put() == 0, "%s", rig.err.text);
    /* Where every attempt was answered it is another's. */
    ck_assert_int_eq(put(), WEIR_ECONFLICT);
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

START_TEST(a_create_that_meets_another_one_is_lost)
{
    struct http_line lines[] = {{"POST /v3/kv/txn", NULL, 503, CHANGED, 1},
                                {"POST /v3/kv/txn", NULL, 200, THEIRS, 0},
                                {0}};
    struct http_script *etcd = http_script_start(lines);

    open_on(host(etcd), NULL);
    ck_assert_int_eq(put(), WEIR_ECONFLICT);
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

START_TEST(another_member_is_asked_when_one_is_gone)
{
    struct http_line lines[] = {{"POST /v3/kv/txn", NULL, 200, DONE, 0}, {0}};
    struct http_script *etcd = http_script_start(lines);
    char hosts[200];

    snprintf(hosts, sizeof(hosts), "127.0.0.1:1,127.0.0.1:2,%s", host(etcd));
    open_on(hosts, NULL);
    ck_assert_msg(put() == 0, "%s", rig.err.text);
    ck_assert_msg(put() == 0, "%s", rig.err.text);
    ck_assert_int_eq(http_script_requests(etcd), 2);
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

START_TEST(who_asks_logs_in_and_again_when_the_token_is_old)
{
    struct http_line lines[] = {
        {"POST /v3/auth/authenticate",
         "{\"name\":\"root\",\"password\":\"a-secret\"}", 200,
         "{\"token\":\"first.1\"}", 1},
        {"POST /v3/auth/authenticate", NULL, 200, "{\"token\":\"second.2\"}",
         0},
        {"POST /v3/kv/txn", "Authorization: first.1", 200, DONE, 1},
        {"POST /v3/kv/txn", NULL, 401,
         "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", 1},
        {"POST /v3/kv/txn", "Authorization: second.2", 200, DONE, 0},
        {0}};
    struct http_script *etcd = http_script_start(lines);

    open_on(host(etcd), "root");
    rig.host.alloc.secret = "first.1";
    ck_assert_msg(put() == 0, "%s", rig.err.text);
    ck_assert_msg(put() == 0, "%s", rig.err.text);
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

/* Each exchange would cost four system calls more, which all threads of the
 * process wait for. */
START_TEST(exchanges_share_the_memory_of_their_token)
{
    struct http_line lines[] = {
        {"POST /v3/auth/authenticate", NULL, 200, "{\"token\":\"first.1\"}", 1},
        {"POST /v3/kv/txn", "Authorization: first.1", 200, DONE, 0},
        {0}};
    struct http_script *etcd = http_script_start(lines);
    int before;

    atomic_store(&locks, 0);
    open_on(host(etcd), "root");
    ck_assert_msg(put() == 0, "%s", rig.err.text);
    before = atomic_load(&locks);
    ck_assert_int_gt(before, 0);
    for (int i = 0; i < 10; i++)
        ck_assert_msg(put() == 0, "%s", rig.err.text);
    ck_assert_int_eq(atomic_load(&locks), before);
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

enum { MANY = 24 };

static const struct weir_iov piece = {"body", 4};

/* More requests than connections: those that wait for one were begun with a
 * token that the first answer makes the store drop. */
START_TEST(requests_that_wait_outlive_their_token)
{
    struct http_line lines[] = {
        {"POST /v3/auth/authenticate", NULL, 200, "{\"token\":\"first.1\"}", 1},
        {"POST /v3/auth/authenticate", NULL, 200, "{\"token\":\"second.2\"}",
         0},
        {"POST /v3/kv/txn", "Authorization: first.1", 200, DONE, 1},
        {"POST /v3/kv/txn", NULL, 401,
         "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", 1},
        {"POST /v3/kv/txn", "Authorization: ", 200, DONE, 0},
        {0}};
    struct http_script *etcd = http_script_start(lines);
    static struct store_call calls[MANY];

    open_on(host(etcd), "root");
    ck_assert_msg(put() == 0, "%s", rig.err.text);
    for (int i = 0; i < MANY; i++) {
        calls[i] = (struct store_call){.req = {.verb = WEIR_STORE_PUT,
                                               .flags = WEIR_STORE_IF_ABSENT,
                                               .key = "a",
                                               .iov = &piece,
                                               .iov_count = 1}};
        store_rig_start(&rig, &calls[i]);
    }
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(store_rig_finish(&rig, &calls[i]), 0);
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

START_TEST(a_wrong_password_is_told_and_not_shown)
{
    struct http_line lines[] = {
        {"POST /v3/auth/authenticate", NULL, 400,
         "{\"error\":\"etcdserver: authentication failed, invalid user ID or "
         "password\",\"code\":3}",
         0},
        {0}};
    struct http_script *etcd = http_script_start(lines);

    open_on(host(etcd), "root");
    ck_assert_int_eq(put(), WEIR_EAUTH);
    check_err("authentication failed");
    ck_assert_int_eq(http_script_requests(etcd), 1);
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

START_TEST(nobody_there_is_told_within_the_deadline)
{
    struct store_call call = {.req = {.verb = WEIR_STORE_HEAD, .key = "a"}};

    open_on("127.0.0.1:1", NULL);
    call.req.deadline =
        rig.host.host.env->ops->now(rig.host.host.env) + 500000000;
    store_rig_start(&rig, &call);
    ck_assert_int_eq(store_rig_finish(&rig, &call), WEIR_EUNAVAILABLE);
    check_err("cannot connect");
    store_rig_close(&rig);
}
END_TEST

/* ---- TLS, where none is spoken, and the other way round ------------------ */

static struct store_call asking;
static const char *awaited;
static int told;
static char attempt[WEIR_ERROR_TEXT + 20]; /* The one that told it. */

static void look_for_awaited(void *ctx, enum weir_log_level level,
                             const char *text)
{
    (void)ctx;
    (void)level;
    if (told || strstr(text, awaited) == NULL)
        return;
    snprintf(attempt, sizeof(attempt), "%s", text);
    told = 1;
}

/* Until an attempt comes to what has this word in it. */
static void await(const char *word)
{
    told = 0;
    awaited = word;
    test_host_run(&rig.host, &told);
}

/* Begin a request that is tried again and again. */
static void ask(const char *hosts, const char *query)
{
    open_uri(hosts, query, NULL);
    rig.host.log.write = look_for_awaited;
    asking = (struct store_call){.req = {.verb = WEIR_STORE_HEAD, .key = "a"}};
    store_rig_start(&rig, &asking);
}

START_TEST(members_without_tls_are_told_to_who_wants_it)
{
    struct s3_server *plain = s3_server_start();

    ask(s3_server_endpoint(plain) + strlen("http://"), "?tls=true");
    await("no TLS is spoken there: leave tls=true out");
    store_rig_close(&rig); /* Ends the request. */
    s3_server_stop(plain);
}
END_TEST

/* As etcd does. */
START_TEST(members_that_hang_up_on_tls_may_speak_none)
{
    struct http_line lines[] = {{0}};
    struct http_script *etcd = http_script_start(lines);

    ask(host(etcd), "?tls=true");
    await("if that port is none of TLS, leave tls=true out");
    store_rig_close(&rig);
    http_script_stop(etcd);
}
END_TEST

/* Who has answered, whatever it was, is not one. */
START_TEST(a_port_that_hangs_up_may_be_one_of_tls)
{
    static const struct s3_fault hangs_up = {.kind = S3_CLOSE_EARLY,
                                             .count = 1000};
    struct s3_server *server = s3_server_start();

    s3_server_fault(server, &hangs_up);
    ask(s3_server_endpoint(server) + strlen("http://"), "");
    await("if that port is one of TLS, say tls=true");
    s3_server_fault(server, NULL);
    await("HTTP status");
    s3_server_fault(server, &hangs_up);
    await("the connection was lost");
    ck_assert_ptr_null(strstr(attempt, "TLS"));
    store_rig_close(&rig);
    s3_server_stop(server);
}
END_TEST

START_TEST(uris_that_cannot_be_meant_are_refused)
{
    static const struct {
        const char *uri;
        const char *word;
    } bad[] = {
        {"etcd:///p", "HOST:PORT"},
        {"etcd://a b/p", "HOST:PORT"},
        {"etcd://example.org/p", "tls=true"},
        {"etcd://localhost.example.org/p", "tls=true"},
        {"etcd://127.0.0.1.example.org:2379/p", "tls=true"},
        {"etcd://127.0.0.1,127.example.org/p", "tls=true"},
        {"etcd://[::2]:2379/p", "tls=true"},
        {"etcd://[::1].example.org/p", "HOST:PORT"},
        {"etcd://[::1/p", "HOST:PORT"},
        {"etcd://localhost:1.example.org/p", "HOST:PORT"},
        {"etcd://localhost:[example.org]/p", "HOST:PORT"},
        {"etcd://localhost:/p", "HOST:PORT"},
        {"etcd://127.0.0.1/..", "prefix"},
        {"etcd://127.0.0.1/p?tsl=true", "tsl"},
    };
    struct weir_config *config = NULL;

    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        store_rig_init(&rig);
        ck_assert_int_eq(
            store_rig_open(&rig, weir__store_etcd_open, bad[i].uri, config),
            WEIR_EINVAL);
        check_err(bad[i].word);
        store_rig_close(&rig);
    }
    weir_config_free(config);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("etcd");

    tcase_add_test(tc, a_create_that_meets_itself_is_done);
    tcase_add_test(tc, a_create_that_meets_another_one_is_lost);
    tcase_add_test(tc, another_member_is_asked_when_one_is_gone);
    tcase_add_test(tc, who_asks_logs_in_and_again_when_the_token_is_old);
    tcase_add_test(tc, exchanges_share_the_memory_of_their_token);
    tcase_add_test(tc, requests_that_wait_outlive_their_token);
    tcase_add_test(tc, a_wrong_password_is_told_and_not_shown);
    tcase_add_test(tc, nobody_there_is_told_within_the_deadline);
    tcase_add_test(tc, members_without_tls_are_told_to_who_wants_it);
    tcase_add_test(tc, members_that_hang_up_on_tls_may_speak_none);
    tcase_add_test(tc, a_port_that_hangs_up_may_be_one_of_tls);
    tcase_add_test(tc, uris_that_cannot_be_meant_are_refused);
    return test_run();
}
