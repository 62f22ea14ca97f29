/* SPDX-License-Identifier: Apache-2.0 */
/* A watch of etcd's whose members end it, break it, say nothing, or say what
 * no etcd says: against scripted members. */
#include "store/etcd_watch.h"
#include "store/store.h"
#include "support/http_script.h"
#include "support/store_rig.h"
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir.h>

#define WATCH "POST /v3/watch"
#define CREATED                                                                \
    "{\"result\":{\"header\":{\"revision\":\"5\"},\"created\":true}}\n"
#define PROGRESS "{\"result\":{\"header\":{\"revision\":\"7\"}}}\n"
#define EVENT(key, revision)                                                   \
    "{\"result\":{\"header\":{\"revision\":\"" revision "\"},\"events\":["     \
    "{\"kv\":{\"key\":\"" key "\",\"value\":\"AGJvZHk=\"}}]}}\n"
/* "p/w/1", "p/w/2" */
#define ONE "cC93LzE="
#define TWO "cC93LzI="

static struct store_rig rig;
static struct http_script *members[2];
static struct weir_store_watch watch;
/* How long a member may take: short where it does. */
static const char *patience = "10s";
static char key[64];   /* That was told last; "?": none. */
static int told;       /* How often, */
static char story[64]; /* and what: + live, - not live, k a key. */
static int ends;       /* It is to be ended when it tells. */
static int wanted;     /* `told` that is waited for, */
static int is_told;    /* and 1 when it is. */

static void changed(struct weir_store_watch *req, const char *name)
{
    ck_assert_ptr_eq(req, &watch);
    snprintf(key, sizeof(key), "%s", name != NULL ? name : "?");
    story[told % 63] = name != NULL ? 'k' : req->live ? '+' : '-';
    told++;
    is_told = told >= wanted;
    if (ends)
        weir__store_unwatch(rig.store, &watch);
}

static void wait_told(int times)
{
    wanted = times;
    is_told = told >= wanted;
    test_host_run(&rig.host, &is_told);
}

static const char *host(const struct http_script *script)
{
    return http_script_url(script) + strlen("http://");
}

static void open_store(const char *user)
{
    struct weir_config *config = NULL;
    char uri[300];

    store_rig_init(&rig);
    snprintf(uri, sizeof(uri), "etcd://%s%s%s/p", host(members[0]),
             members[1] != NULL ? "," : "",
             members[1] != NULL ? host(members[1]) : "");
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    ck_assert_int_eq(
        weir_config_set(config, "etcd_attempt_timeout", patience, NULL), 0);
    if (user != NULL) {
        ck_assert_int_eq(weir_config_set(config, "etcd_user", user, NULL), 0);
        ck_assert_int_eq(
            weir_config_set(config, "etcd_password", "a-secret", NULL), 0);
    }
    ck_assert_int_eq(store_rig_open(&rig, weir__store_etcd_open, uri, config),
                     0);
    weir_config_free(config);
}

static void begin(void)
{
    told = 0;
    memset(story, 0, sizeof(story));
    ends = 0;
    watch = (struct weir_store_watch){.prefix = "w/", .changed = changed};
    ck_assert_int_eq(weir__store_watch(rig.store, &watch), 0);
    ck_assert_int_eq(told, 0);
}

/* Two members, of which the first is asked first. */
static void start(struct http_line *first, struct http_line *second)
{
    members[0] = http_script_start(first);
    members[1] = second != NULL ? http_script_start(second) : NULL;
    open_store(NULL);
    begin();
}

static void stop(void)
{
    if (!ends)
        weir__store_unwatch(rig.store, &watch);
    store_rig_close(&rig);
    http_script_stop(members[0]);
    if (members[1] != NULL)
        http_script_stop(members[1]);
    members[1] = NULL;
}

static void say(const char *text)
{
    ck_assert_int_eq(http_script_say(members[0], text, strlen(text)), 1);
}

static void is_live(int times)
{
    wait_told(times);
    ck_assert_int_eq(told, times);
    ck_assert_int_eq(watch.live, 1);
    ck_assert_str_eq(key, "?");
}

START_TEST(keys_that_come_are_told_of)
{
    struct http_line lines[] = {{WATCH,
                                 "{\"create_request\":{\"key\":\"cC93Lw==\","
                                 "\"range_end\":\"cC93MA==\"",
                                 HTTP_SCRIPT_STREAM, CREATED, 0},
                                {0}};

    start(lines, NULL);
    ck_assert_int_eq(weir__store_watch(rig.store, &watch), WEIR_EUNSUPPORTED);
    is_live(1);
    say("{\"result\":{\"header\":{\"revi");
    test_host_settle(&rig.host);
    say("sion\":\"6\"},\"events\":[{\"kv\":{\"key\":\"" ONE "\"}}]}}\n");
    wait_told(2);
    ck_assert_str_eq(key, "w/1");
    /* Not in order, one of them removed; then nothing; then two lines. */
    say("{\"result\":{\"header\":{\"revision\":\"9\"},\"events\":["
        "{\"kv\":{\"key\":\"" TWO "\"}},{\"kv\":{\"key\":\"" ONE "\"}},"
        "{\"type\":\"DELETE\",\"kv\":{\"key\":\"cC93Lzk=\"}}]}}\n");
    wait_told(3);
    ck_assert_str_eq(key, "w/2");
    say(PROGRESS "\n" PROGRESS EVENT(TWO, "10") EVENT(ONE, "11"));
    wait_told(5);
    ck_assert_int_eq(told, 5);
    ck_assert_str_eq(key, "w/1");
    ck_assert_int_eq(watch.live, 1);
    stop();
}
END_TEST

START_TEST(when_it_ends_the_next_member_is_asked)
{
    struct http_line first[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 1},
                                {0}};
    struct http_line second[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
                                 {0}};

    start(first, second);
    is_live(1);
    http_script_hang_up(members[0]);
    is_live(3);
    ck_assert_str_eq(story, "+-+");
    ck_assert_int_eq(http_script_requests(members[0]), 1);
    ck_assert_int_eq(http_script_requests(members[1]), 1);
    stop();
}
END_TEST

START_TEST(what_is_no_line_of_a_watch_ends_it)
{
    static const char *const bad[] = {
        "nonsense\n",
        "[]\n",
        "{\"result\":7}{}\n",
        "{}\n",
        "{\"result\":{\"events\":[{\"kv\":{\"key\":\"*\"}}]}}\n",
        "{\"result\":{\"events\":[{}]}}\n",
        "{\"result\":{\"canceled\":true,\"compact_revision\":\"4\"}}\n",
        "{\"result\":{\"canceled\":true,\"cancel_reason\":\"no\\u0007\"}}\n",
        "{\"error\":{\"grpc_code\":14,\"message\":\"no leader\"}}\n",
        "{\"error\":{}}\n",
    };
    struct http_line first[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 1},
                                {0}};
    struct http_line second[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
                                 {0}};

    ck_assert_int_eq((int)(sizeof(bad) / sizeof(bad[0])), 10);
    start(first, second);
    is_live(1);
    say(bad[_i]);
    is_live(3);
    ck_assert_str_eq(story, "+-+");
    ck_assert_int_eq(http_script_left(members[0]), 1);
    stop();
}
END_TEST

/* Writes as long as somebody reads. */
static void *flood(void *ctx)
{
    size_t *written = ctx;
    char *piece = malloc(1 << 16);

    memset(piece, 'x', 1 << 16);
    while (*written < (size_t)1 << 30 &&
           http_script_say(members[0], piece, 1 << 16))
        *written += 1 << 16;
    free(piece);
    return NULL;
}

/* Read is no more than that and what is under way in the system. */
START_TEST(a_line_without_an_end_ends_it)
{
    struct http_line first[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 1},
                                {0}};
    struct http_line second[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
                                 {0}};
    size_t written = 0;
    pthread_t thread;

    start(first, second);
    is_live(1);
    ck_assert_int_eq(pthread_create(&thread, NULL, flood, &written), 0);
    is_live(3);
    pthread_join(thread, NULL);
    ck_assert_uint_lt(written, (size_t)1 << 30);
    stop();
}
END_TEST

/* Nobody drives the core: the server has to wait. */
START_TEST(what_is_not_taken_is_not_read)
{
    struct http_line lines[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
                                {0}};
    struct timespec pause = {.tv_nsec = 200000000};
    size_t written = 0;
    pthread_t thread;
    long most;

    start(lines, NULL);
    is_live(1);
    most = rig.host.alloc.bytes + (1 << 20);
    ck_assert_int_eq(pthread_create(&thread, NULL, flood, &written), 0);
    nanosleep(&pause, NULL);
    ck_assert_int_lt(__atomic_load_n(&rig.host.alloc.bytes, __ATOMIC_RELAXED),
                     most);
    weir__store_unwatch(rig.store, &watch);
    ends = 1;
    store_rig_close_store(&rig);
    pthread_join(thread, NULL);
    ck_assert_uint_lt(written, (size_t)1 << 30);
    stop();
}
END_TEST

START_TEST(a_member_that_does_not_answer_is_passed_over)
{
    struct http_line first[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, "", 1}, {0}};
    struct http_line second[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
                                 {0}};

    patience = "300ms";
    start(first, second);
    is_live(1);
    ck_assert_int_eq(http_script_left(members[0]), 1);
    stop();
}
END_TEST

/* It goes on asking, and says that it does not tell. */
START_TEST(a_gateway_without_a_watch_tells_nothing)
{
    struct http_line lines[] = {
        {WATCH, NULL, 404, "404 page not found", 1},
        {WATCH, NULL, 501, "{\"error\":\"Not Implemented\",\"code\":12}", 1},
        {WATCH, NULL, 200, "", 1},
        {WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
        {0}};

    start(lines, NULL);
    ck_assert_int_eq(watch.live, 0);
    is_live(1);
    ck_assert_int_eq(http_script_requests(members[0]), 4);
    stop();
}
END_TEST

START_TEST(who_watches_logs_in_and_again_when_the_token_is_old)
{
    static const char *const refusals[] = {
        "{\"result\":{\"header\":{},\"created\":true,\"canceled\":true,"
        "\"cancel_reason\":\"etcdserver: permission denied\"}}\n",
        "{\"result\":{\"header\":{},\"created\":true,\"canceled\":true,"
        "\"cancel_reason\":\"etcdserver: invalid auth token\"}}\n",
        "{\"error\":{\"grpc_code\":16,"
        "\"message\":\"etcdserver: invalid auth token\"}}\n",
        "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}",
    };
    struct http_line lines[] = {
        {"POST /v3/auth/authenticate",
         "{\"name\":\"root\",\"password\":\"a-secret\"}", 200,
         "{\"token\":\"first.1\"}", 1},
        {"POST /v3/auth/authenticate", NULL, 200, "{\"token\":\"second.2\"}",
         0},
        {WATCH, "Authorization: first.1", _i == 3 ? 401 : 200, refusals[_i], 1},
        {WATCH, "Authorization: second.2", HTTP_SCRIPT_STREAM, CREATED, 0},
        {0}};

    members[0] = http_script_start(lines);
    open_store("root");
    begin();
    is_live(1);
    ck_assert_int_eq(http_script_requests(members[0]), 4);
    stop();
}
END_TEST

START_TEST(a_password_that_is_refused_is_asked_again)
{
    struct http_line lines[] = {
        {"POST /v3/auth/authenticate", NULL, 400,
         "{\"error\":\"etcdserver: authentication failed\",\"code\":3}", 2},
        {"POST /v3/auth/authenticate", NULL, 200, "{\"token\":\"a.1\"}", 0},
        {WATCH, "Authorization: a.1", HTTP_SCRIPT_STREAM, CREATED, 0},
        {0}};

    members[0] = http_script_start(lines);
    open_store("root");
    begin();
    is_live(1);
    stop();
}
END_TEST

/* Own requests tell what it should have told of. */
START_TEST(a_member_that_is_behind_is_left)
{
    static const char read[] =
        "{\"header\":{\"revision\":\"99\"},\"kvs\":[{\"key\":\"" ONE
        "\",\"value\":\"AGJvZHk=\",\"mod_revision\":\"9\"}]}";
    struct http_line first[] = {
        {WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 1},
        {"POST /v3/kv/txn", NULL, 200,
         "{\"header\":{\"revision\":\"9\"},\"succeeded\":true,"
         "\"responses\":[{}]}",
         0},
        {"POST /v3/kv/range", NULL, 200, read, 0},
        {0}};
    struct http_line second[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
                                 {0}};
    struct weir_buf *body;
    uint64_t size;

    patience = "300ms";
    start(first, second);
    is_live(1);
    if (_i == 0)
        ck_assert_int_eq(
            store_put(&rig, "w/1", "body", 4, WEIR_STORE_IF_ABSENT), 0);
    else
        ck_assert_int_eq(store_get(&rig, "w/1", 0, UINT64_MAX, 0, &body, &size),
                         0);
    if (_i == 1)
        weir_buf_unref(body);
    is_live(3);
    ck_assert_str_eq(story, "+-+");
    ck_assert_int_eq(http_script_requests(members[1]), 1);
    stop();
}
END_TEST

struct alarm {
    struct weir_timer timer;
    int over;
};

static void ring(struct weir_timer *timer)
{
    ((struct alarm *)timer)->over = 1;
}

static void drive(uint64_t nanoseconds)
{
    struct weir_env *env = rig.host.host.env;
    struct alarm alarm = {.timer.fire = ring};

    alarm.timer.deadline = env->ops->now(env) + nanoseconds;
    env->ops->timer_start(env, &alarm.timer);
    test_host_run(&rig.host, &alarm.over);
}

START_TEST(a_member_that_tells_is_kept)
{
    struct http_line lines[] = {
        {WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
        {"POST /v3/kv/range", NULL, 200, "{\"header\":{\"revision\":\"99\"}}",
         1}, /* It is not there. */
        {"POST /v3/kv/range", NULL, 200,
         "{\"header\":{\"revision\":\"99\"},\"kvs\":[{\"key\":\"" ONE
         "\",\"value\":\"AGJvZHk=\",\"mod_revision\":\"4\"}]}",
         1}, /* It was before. */
        {"POST /v3/kv/txn", NULL, 200,
         "{\"header\":{\"revision\":\"9\"},\"succeeded\":true,"
         "\"responses\":[{}]}",
         0},
        {0}};
    uint64_t size;

    patience = "1s";
    start(lines, NULL);
    is_live(1);
    ck_assert_int_eq(store_head(&rig, "w/1", &size), WEIR_ENOENT);
    ck_assert_int_eq(store_head(&rig, "w/1", &size), 0);
    ck_assert_int_eq(store_put(&rig, "x/1", "body", 4, WEIR_STORE_IF_ABSENT),
                     0); /* Another prefix. */
    drive(1500000000);
    ck_assert_int_eq(told, 1);
    ck_assert_int_eq(store_put(&rig, "w/1", "body", 4, WEIR_STORE_IF_ABSENT),
                     0);
    say(EVENT(ONE, "9"));
    wait_told(2);
    drive(1500000000);
    ck_assert_int_eq(told, 2);
    ck_assert_int_eq(watch.live, 1);
    stop();
}
END_TEST

/* When it is asked for, logged in, live, waits for another try, told. */
START_TEST(it_can_be_ended_at_any_time)
{
    struct http_line lines[] = {
        {"POST /v3/auth/authenticate", NULL, 200, "{\"token\":\"a.1\"}", 0},
        {WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 1},
        {WATCH, NULL, 503, "", 0},
        {0}};

    members[0] = http_script_start(lines);
    open_store(_i % 2 == 0 ? "root" : NULL);
    begin();
    ends = _i / 2 == 4;
    if (_i / 2 == 1)
        test_host_settle(&rig.host);
    if (_i / 2 >= 2)
        wait_told(1);
    if (_i / 2 == 3) {
        http_script_hang_up(members[0]);
        wait_told(2);
    }
    stop();
}
END_TEST

START_TEST(another_one_can_be_begun_when_it_has_ended)
{
    struct http_line lines[] = {{WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED, 0},
                                {0}};
    int rc;

    start(lines, NULL);
    is_live(1);
    weir__store_unwatch(rig.store, &watch);
    told = 0;
    do {
        rc = weir__store_watch(rig.store, &watch);
        test_host_settle(&rig.host);
    } while (rc == WEIR_EUNSUPPORTED);
    ck_assert_int_eq(rc, 0);
    is_live(1);
    stop();
}
END_TEST

START_TEST(out_of_memory_once_only_delays_it)
{
    struct http_line lines[] = {
        {WATCH, NULL, HTTP_SCRIPT_STREAM, CREATED EVENT(ONE, "6"), 0}, {0}};

    members[0] = http_script_start(lines);
    open_store(NULL);
    test_alloc_fail(&rig.host.alloc, _i, 0);
    begin();
    while (strcmp(key, "w/1") != 0)
        wait_told(told + 1);
    ck_assert_int_eq(watch.live, 1);
    stop();
}
END_TEST

/* ---- A real etcd --------------------------------------------------------- */

enum { CHANGES = 40 };

static int seen; /* Atomic: the newest value of the key. */

static int pair_changed(struct weir_kv_watch *req,
                        const struct weir_kv_pair *pair)
{
    int value = 0;

    (void)req;
    if (pair->value != NULL && pair->len == sizeof(value))
        memcpy(&value, pair->value, sizeof(value));
    __atomic_store_n(&seen, value, __ATOMIC_RELEASE);
    return 0;
}

static void pair_done(struct weir_req *req, int status)
{
    (void)req;
    (void)status;
}

/* A node whose manifest is in that etcd, and which reads it once an hour. */
static struct weir *open_node(const char *id)
{
    struct weir_config *config = NULL;
    struct weir *node = NULL;
    struct weir_error err = {0};
    char store[300];
    char manifest[400];
    const char *pairs[][2] = {{"store", store},       {"wal", "mem:"},
                              {"node_id", id},        {"manifest", manifest},
                              {"follow", "1h"},       {"driver", "true"},
                              {"etcd_timeout", "60s"}};

    snprintf(store, sizeof(store), "dir:%s/store", test_dir());
    snprintf(manifest, sizeof(manifest), "%s/w%llx", getenv("WEIR_TEST_ETCD"),
             test_seed());
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        ck_assert_int_eq(
            weir_config_set(config, pairs[i][0], pairs[i][1], NULL), 0);
    ck_assert_msg(weir_open(&node, config, &err) == 0, "%s", err.text);
    weir_config_free(config);
    return node;
}

static void put_pair(struct weir *node, int value)
{
    struct weir_kv_put put = {.key = "k",
                              .value = &value,
                              .len = sizeof(value),
                              .expected = WEIR_KV_ANY};

    ck_assert_int_eq(weir_kv_put_sync(node, &put), 0);
}

/* Some seconds long, so that members can be killed meanwhile. */
START_TEST(what_others_commit_is_seen_hours_before_it_is_asked_for)
{
    struct timespec pause = {.tv_nsec = 100000000};
    struct weir *writer = open_node("1");
    struct weir *reader = open_node("2");
    struct weir_kv_watch pairs = {
        .req.done = pair_done, .prefix = "", .changed = pair_changed};

    ck_assert_int_eq(weir_kv_watch(reader, &pairs), 0);
    for (int i = 1; i <= CHANGES; i++) {
        put_pair(writer, i);
        for (int t = 0;
             t < 600 && __atomic_load_n(&seen, __ATOMIC_ACQUIRE) != i; t++)
            nanosleep(&pause, NULL);
        ck_assert_int_eq(__atomic_load_n(&seen, __ATOMIC_ACQUIRE), i);
        printf("seen %d\n", i);
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
    weir_free(reader);
    weir_free(writer);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("etcd watch");

    if (getenv("WEIR_TEST_ETCD") != NULL) {
        tcase_set_timeout(tc, 300);
        tcase_add_test(tc,
                       what_others_commit_is_seen_hours_before_it_is_asked_for);
        return test_run();
    }

    tcase_add_test(tc, keys_that_come_are_told_of);
    tcase_add_test(tc, when_it_ends_the_next_member_is_asked);
    tcase_add_loop_test(tc, what_is_no_line_of_a_watch_ends_it, 0, 10);
    tcase_add_test(tc, a_line_without_an_end_ends_it);
    tcase_add_test(tc, what_is_not_taken_is_not_read);
    tcase_add_test(tc, a_member_that_does_not_answer_is_passed_over);
    tcase_add_test(tc, a_gateway_without_a_watch_tells_nothing);
    tcase_add_loop_test(tc, who_watches_logs_in_and_again_when_the_token_is_old,
                        0, 4);
    tcase_add_test(tc, a_password_that_is_refused_is_asked_again);
    tcase_add_loop_test(tc, a_member_that_is_behind_is_left, 0, 2);
    tcase_add_test(tc, a_member_that_tells_is_kept);
    tcase_add_loop_test(tc, it_can_be_ended_at_any_time, 0, 10);
    tcase_add_test(tc, another_one_can_be_begun_when_it_has_ended);
    tcase_add_loop_test(tc, out_of_memory_once_only_delays_it, 1, 8);
    return test_run();
}
