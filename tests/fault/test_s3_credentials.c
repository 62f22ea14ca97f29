/* SPDX-License-Identifier: Apache-2.0 */
/* Where the keys of an s3 store come from, that they are renewed, and what is
 * told when there are none. */
#include "store/store.h"
#include "support/http_script.h"
#include "support/s3_server.h"
#include "support/store_kinds.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/s3_keys.h>

#define KEYS                                                                   \
    "\"AccessKeyId\": \"" S3_SERVER_KEY "\", "                                 \
    "\"SecretAccessKey\": \"" S3_SERVER_SECRET "\", "                          \
    "\"Token\": \"a-session-token\""

static struct store_rig rig;
static struct s3_server *server;

/** What the host's function does, and what it was asked. */
static struct {
    weir_s3_keys_fn *give; /* NULL: there is none. */
    const char *timeout;   /* s3_timeout. */
    const char *hedge;     /* s3_hedge. */
    const char *together;  /* s3_connections. */
    int status;
    const char *text;
    int64_t expires;
    int calls; /* Atomic, as the following ones. */
    int rejected;
    int hold; /* It does not return while this is 1. */
} host;

static const struct weir_env_ops *real_ops;
static int64_t ahead; /* Of the wall clock, milliseconds. */

static int64_t wall_ahead(struct weir_env *env)
{
    return real_ops->wall(env) + ahead;
}

static void set_wall_clock(void)
{
    static struct weir_env_ops ops;

    real_ops = rig.host.host.env->ops;
    ops = *real_ops;
    ops.wall = wall_ahead;
    rig.host.host.env->ops = &ops;
}

static int try_open(const char *credentials)
{
    struct weir_config *config = store_s3_config("", "");
    char uri[200];
    int rc;

    store_rig_init(&rig);
    rig.host.alloc.secret = S3_SERVER_SECRET;
    set_wall_clock();
    server = s3_server_start();
    snprintf(uri, sizeof(uri), "s3://bucket/p?endpoint=%s",
             s3_server_endpoint(server));
    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay", "1ms", NULL), 0);
    ck_assert_int_eq(
        weir_config_set(config, "s3_credentials", credentials, NULL), 0);
    weir_config_set_s3_keys(config, host.give, &host);
    if (host.timeout != NULL)
        ck_assert_int_eq(
            weir_config_set(config, "s3_timeout", host.timeout, NULL), 0);
    if (host.together != NULL)
        ck_assert_int_eq(
            weir_config_set(config, "s3_connections", host.together, NULL), 0);
    if (host.hedge != NULL)
        ck_assert_int_eq(weir_config_set(config, "s3_hedge", host.hedge, NULL),
                         0);
    rc = store_rig_open(&rig, weir__store_s3_open, uri, config);
    weir_config_free(config);
    return rc;
}

static void open_with(const char *credentials)
{
    ck_assert_msg(try_open(credentials) == 0, "%s", rig.err.text);
}

static void close_rig(void)
{
    store_rig_close(&rig);
    s3_server_stop(server);
}

static int get(const char *key)
{
    return store_get(&rig, key, 0, UINT64_MAX, 0, NULL, NULL);
}

static void check_err(const char *word)
{
    ck_assert_msg(strstr(rig.err.text, word) != NULL, "%s", rig.err.text);
    ck_assert_ptr_null(strstr(rig.err.text, S3_SERVER_SECRET));
}

static void expect_token(const char *token)
{
    char text[200];

    s3_server_header(server, "x-amz-security-token", text, sizeof(text));
    ck_assert_str_eq(text, token);
}

static void clear_environment(void)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv("HOME", test_dir(), 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static void write_file(char *path, size_t room, const char *name,
                       const char *text)
{
    FILE *file;

    snprintf(path, room, "%s/%s", test_dir(), name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(keys_of_the_environment_are_used_when_asked_for)
{
    clear_environment();
    setenv("AWS_ACCESS_KEY_ID", S3_SERVER_KEY, 1);
    setenv("AWS_SECRET_ACCESS_KEY", S3_SERVER_SECRET, 1);
    setenv("AWS_SESSION_TOKEN", "token-of-the-environment", 1);
    open_with("environment");
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    expect_token("token-of-the-environment");
    close_rig();
    open_with("chain");
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    close_rig();
    /* And not when not. */
    ck_assert_int_eq(try_open("config"), WEIR_EAUTH);
    check_err("s3_credentials=chain");
    close_rig();
}
END_TEST

START_TEST(a_profile_of_a_file_is_used)
{
    char path[300];

    clear_environment();
    write_file(path, sizeof(path), "credentials",
               "# A comment\n[default]\naws_access_key_id=nobody\n"
               "aws_secret_access_key = nothing\n\n[ work ]\n"
               "aws_access_key_id = " S3_SERVER_KEY "\r\n"
               "aws_secret_access_key=" S3_SERVER_SECRET "\n"
               "region = nowhere\naws_session_token = of-a-file\n");
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    setenv("AWS_PROFILE", "work", 1);
    open_with("profile");
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    expect_token("of-a-file");
    close_rig();

    setenv("AWS_PROFILE", "missing", 1);
    open_with("chain");
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("no profile \"missing\"");
    close_rig();

    setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file", 1);
    open_with("profile");
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("/no/such/file: ENOENT");
    close_rig();
}
END_TEST

START_TEST(a_token_of_a_web_identity_is_exchanged)
{
    struct http_line lines[] = {
        {"POST /", "WebIdentityToken=header.body%2Bsignature", 200,
         "<AssumeRoleWithWebIdentityResponse xmlns=\"x\">"
         "<AssumeRoleWithWebIdentityResult><Credentials>"
         "<AccessKeyId>" S3_SERVER_KEY "</AccessKeyId>"
         "<SecretAccessKey>" S3_SERVER_SECRET "</SecretAccessKey>"
         "<SessionToken>of-sts-and-longer-than-a-date-by-the-rest-of-it</"
         "SessionToken>"
         "<Expiration>2099-01-01T00:00:00Z</Expiration>"
         "</Credentials></AssumeRoleWithWebIdentityResult>"
         "</AssumeRoleWithWebIdentityResponse>",
         0},
        {0}};
    struct http_script *sts = http_script_start(lines);
    char path[300];

    clear_environment();
    write_file(path, sizeof(path), "identity", "header.body+signature\n");
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
    setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
    setenv("AWS_ENDPOINT_URL_STS", http_script_url(sts), 1);
    open_with("chain");
    rig.host.alloc.secret = "the-rest-of-it"; /* A date comes behind. */
    ck_assert_msg(get("none") == WEIR_ENOENT, "%s", rig.err.text);
    expect_token("of-sts-and-longer-than-a-date-by-the-rest-of-it");
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(http_script_requests(sts), 1);
    close_rig();
    http_script_stop(sts);
}
END_TEST

START_TEST(the_endpoint_of_a_container_is_asked)
{
    struct http_line lines[] = {
        {"GET /keys", "Authorization: let-me-in", 200, "{" KEYS "}", 0}, {0}};
    struct http_script *container = http_script_start(lines);
    char text[300];

    clear_environment();
    snprintf(text, sizeof(text), "%s/keys", http_script_url(container));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in", 1);
    open_with("container");
    ck_assert_msg(get("none") == WEIR_ENOENT, "%s", rig.err.text);
    expect_token("a-session-token");
    close_rig();

    write_file(text, sizeof(text), "authorization", "let-me-in");
    unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text, 1);
    open_with("chain");
    ck_assert_msg(get("none") == WEIR_ENOENT, "%s", rig.err.text);
    close_rig();

    http_script_stop(container);
}
END_TEST

/* Whatever the address looks like at its beginning. */
START_TEST(the_token_of_a_container_goes_to_no_foreign_machine)
{
    static const char *const places[] = {
        "http://example.org/keys", "http://127.0.0.1:x@example.org/keys",
        "http://localhost:80@example.org/keys",
        "http://[::1]:@example.org/keys", "http://127.0.0.1.example.org/"};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        clear_environment();
        setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in", 1);
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", places[i], 1);
        open_with("container");
        ck_assert_int_eq(get("none"), WEIR_EAUTH);
        check_err("expected https://");
        close_rig();
    }
}
END_TEST

START_TEST(an_instance_is_asked_with_a_token)
{
    struct http_line lines[] = {
        {"PUT /latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600",
         200, "imds-token", 0},
        {"GET /latest/meta-data/iam/security-credentials/role",
         "X-aws-ec2-metadata-token: imds-token", 200, "{" KEYS "}", 0},
        {"GET /latest/meta-data/iam/security-credentials/",
         "X-aws-ec2-metadata-token: imds-token", 200, "role\n", 0},
        {0}};
    struct http_script *imds = http_script_start(lines);

    clear_environment();
    unsetenv("AWS_EC2_METADATA_DISABLED");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", http_script_url(imds), 1);
    open_with("instance");
    ck_assert_msg(get("none") == WEIR_ENOENT, "%s", rig.err.text);
    expect_token("a-session-token");
    close_rig();
    http_script_stop(imds);
}
END_TEST

/* Keys that are good for two minutes more. */
static void write_early(char *to, size_t room)
{
    time_t soon = time(NULL) + 120;
    char expiration[80];
    struct tm tm;

    strftime(expiration, sizeof(expiration), "%Y-%m-%dT%H:%M:%SZ",
             gmtime_r(&soon, &tm));
    snprintf(to, room, "{%s, \"Expiration\": \"%s\"}", KEYS, expiration);
}

static void open_container(struct http_script *container)
{
    char text[100];

    clear_environment();
    snprintf(text, sizeof(text), "%s/keys", http_script_url(container));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    open_with("container");
}

/* The first ones are soon over; the next renewal fails, the one after that
 * goes well. */
START_TEST(keys_are_renewed_and_old_ones_serve_while_that_fails)
{
    char early[600];
    struct http_line lines[] = {{"GET /keys", NULL, 200, early, 1},
                                {"GET /keys", NULL, 403, "no", 1},
                                {"GET /keys", NULL, 200, "{" KEYS "}", 0},
                                {0}};
    struct http_script *container = http_script_start(lines);

    write_early(early, sizeof(early));
    open_container(container);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ahead = 20000;
    ck_assert_int_eq(get("none"), WEIR_ENOENT); /* Begins a renewal. */
    while (http_script_requests(container) < 2)
        rig.host.host.env->ops->poll(rig.host.host.env, 1000000);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    close_rig();
    http_script_stop(container);
}
END_TEST

/* As an endpoint does that has no new ones yet. */
START_TEST(keys_that_come_again_are_not_asked_for_at_once)
{
    char early[600];
    struct http_line lines[] = {{"GET /keys", NULL, 200, early, 0}, {0}};
    struct http_script *container = http_script_start(lines);

    write_early(early, sizeof(early));
    open_container(container);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(http_script_requests(container), 1);
    ahead = 20000;
    for (int i = 0; i < 20 || http_script_requests(container) < 2; i++)
        ck_assert_int_eq(get("none"), WEIR_ENOENT);
    test_host_settle(&rig.host);
    ck_assert_int_eq(http_script_requests(container), 2);
    close_rig();
    http_script_stop(container);
}
END_TEST

START_TEST(keys_that_the_store_calls_expired_are_replaced_once)
{
    struct http_line lines[] = {{"GET /keys", NULL, 200, "{" KEYS "}", 0}, {0}};
    struct http_script *container = http_script_start(lines);
    struct s3_fault expired = {
        .kind = S3_ANSWER, .status = 400, .code = "ExpiredToken"};

    open_container(container);
    s3_server_fault(server, &expired);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(http_script_requests(container), 2);
    expired.count = 100;
    s3_server_fault(server, &expired);
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("ExpiredToken");
    ck_assert_int_eq(http_script_requests(container), 3);
    close_rig();
    http_script_stop(container);
}
END_TEST

START_TEST(who_finds_no_keys_anywhere_says_so)
{
    clear_environment();
    open_with("chain");
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("none of the places");
    close_rig();
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/keys", 1);
    open_with("chain");
    ck_assert_int_eq(get("none"), WEIR_EUNAVAILABLE);
    check_err("127.0.0.1:1/keys");
    close_rig();
}
END_TEST

/* All that came of it by then. */
START_TEST(an_answer_that_is_too_long_is_overwritten)
{
    static char body[80000];
    struct http_line lines[] = {{"GET /keys", NULL, 200, body, 0}, {0}};
    struct http_script *container = http_script_start(lines);

    memset(body, ' ', sizeof(body) - 1);
    memcpy(body, "{" KEYS "}", strlen("{" KEYS "}"));
    open_container(container);
    ck_assert_int_eq(get("none"), WEIR_EUNAVAILABLE);
    check_err("longer than the 65536 bytes");
    close_rig(); /* Looks for the secret in all that was given back. */
    http_script_stop(container);
}
END_TEST

START_TEST(closing_ends_a_look_for_keys)
{
    struct http_line lines[] = {{"GET /keys", NULL, 500, "no", 0}, {0}};
    struct http_script *container = http_script_start(lines);
    struct store_call call = {.req = {.verb = WEIR_STORE_HEAD, .key = "a"}};

    open_container(container);
    store_rig_start(&rig, &call);
    while (http_script_requests(container) < 1)
        rig.host.host.env->ops->poll(rig.host.host.env, 1000000);
    store_rig_close_store(&rig);
    ck_assert_int_eq(call.done, 1);
    ck_assert_int_ne(call.status, 0);
    close_rig();
    http_script_stop(container);
}
END_TEST

/* ---- Keys of the host ---------------------------------------------------- */

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

static void open_host(weir_s3_keys_fn *fn)
{
    host.give = fn;
    open_with("chain");
}

static void host_over(void)
{
    memset(&host, 0, sizeof(host));
    ahead = 0;
}

START_TEST(a_host_is_asked_for_keys_once)
{
    clear_environment();
    setenv("AWS_ACCESS_KEY_ID", "another-key", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "another-secret", 1);
    open_host(give);
    ck_assert_int_eq(calls(), 0);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    expect_token("token-of-the-host");
    ck_assert_int_eq(calls(), 1);
    ck_assert_int_eq(host.rejected, 0);
    close_rig();
}
END_TEST

START_TEST(a_host_is_asked_again_when_the_store_rejects_its_keys)
{
    struct s3_fault expired = {
        .kind = S3_ANSWER, .status = 400, .code = "ExpiredToken"};

    open_host(give);
    s3_server_fault(server, &expired);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(calls(), 2);
    ck_assert_int_eq(host.rejected, 1);
    expired.count = 100;
    s3_server_fault(server, &expired);
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("ExpiredToken");
    ck_assert_int_eq(calls(), 3);
    close_rig();
}
END_TEST

static void hold(int on)
{
    __atomic_store_n(&host.hold, on, __ATOMIC_SEQ_CST);
}

/* The first keys are there, and others are held back. */
static void open_and_hold(void)
{
    open_host(give);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    hold(1);
}

static void poll_until_requests(int count)
{
    while (s3_server_requests(server, NULL) < count)
        rig.host.host.env->ops->poll(rig.host.host.env, 1000000);
}

static void wait_for_calls(int count)
{
    while (calls() < count)
        rig.host.host.env->ops->poll(rig.host.host.env, 1000000);
}

static void await_calls(int count)
{
    wait_for_calls(count);
    test_host_settle(&rig.host);
}

static void poll_for(uint64_t ms)
{
    struct weir_env *env = rig.host.host.env;
    uint64_t end = env->ops->now(env) + ms * 1000000;

    while (env->ops->now(env) < end)
        env->ops->poll(env, 1000000);
}

static const struct store_call get_a = {
    .req = {.verb = WEIR_STORE_GET, .key = "a", .length = UINT64_MAX}};

/* The first of two attempts is told that the keys have expired; the second is
 * answered while others are waited for. */
START_TEST(who_waits_for_other_keys_has_no_attempt_under_way)
{
    struct s3_fault second = {
        .kind = S3_ANSWER, .status = 404, .code = "NoSuchKey", .late = 900};
    struct s3_fault first = {.kind = S3_ANSWER,
                             .status = 400,
                             .code = "ExpiredToken",
                             .late = 500,
                             .next = &second};
    struct store_call call = get_a;

    host.hedge = "50ms";
    open_and_hold();
    s3_server_store(server, "p/a", "0123456789", 10);
    s3_server_fault(server, &first);
    store_rig_start(&rig, &call);
    poll_for(1500);
    ck_assert_int_eq(call.done, 0);
    hold(0);
    ck_assert_int_eq(store_rig_finish(&rig, &call), 0);
    weir_buf_unref(call.req.body);
    ck_assert_int_eq(s3_server_requests(server, NULL), 4);
    close_rig();
}
END_TEST

START_TEST(keys_that_the_second_attempt_finds_expired_end_the_first)
{
    struct s3_fault second = {
        .kind = S3_ANSWER, .status = 400, .code = "ExpiredToken"};
    struct s3_fault first = {.kind = S3_SILENT, .next = &second};

    host.hedge = "50ms";
    open_host(give);
    s3_server_fault(server, &first);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(s3_server_requests(server, NULL), 3);
    close_rig();
}
END_TEST

/* The second request was signed with the first keys, and is told so when there
 * are new ones. */
START_TEST(keys_are_rejected_once)
{
    struct s3_fault second = {
        .kind = S3_ANSWER, .status = 400, .code = "ExpiredToken", .late = 300};
    struct s3_fault first = {.kind = S3_ANSWER,
                             .status = 400,
                             .code = "ExpiredToken",
                             .next = &second};
    struct store_call calls_of[2] = {get_a, get_a};

    open_and_hold();
    s3_server_fault(server, &first);
    for (int i = 0; i < 2; i++)
        store_rig_start(&rig, &calls_of[i]);
    poll_until_requests(1 + 2);
    hold(0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(store_rig_finish(&rig, &calls_of[i]), WEIR_ENOENT);
    ck_assert_int_eq(s3_server_requests(server, NULL), 1 + 4);
    ck_assert_int_eq(calls(), 2);
    close_rig();
}
END_TEST

/* The store has asked to slow down before its keys expired. */
START_TEST(who_has_waited_for_keys_heeds_the_limit)
{
    struct s3_fault silent = {.kind = S3_SILENT, .count = 1000};
    struct s3_fault expired = {.kind = S3_ANSWER,
                               .status = 400,
                               .code = "ExpiredToken",
                               .next = &silent};
    struct s3_fault slow = {
        .kind = S3_ANSWER, .status = 503, .code = "SlowDown", .next = &expired};
    struct store_call calls_of[8];

    host.together = "8";
    open_and_hold();
    s3_server_fault(server, &slow);
    calls_of[0] = get_a;
    store_rig_start(&rig, &calls_of[0]);
    wait_for_calls(2);
    for (int i = 1; i < 8; i++) {
        calls_of[i] = get_a;
        store_rig_start(&rig, &calls_of[i]);
    }
    poll_for(100);
    ck_assert_int_eq(s3_server_requests(server, NULL), 3);
    hold(0);
    poll_until_requests(3 + 4);
    poll_for(100);
    ck_assert_int_eq(s3_server_requests(server, NULL), 3 + 4);
    store_rig_close_store(&rig);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(calls_of[i].done, 1);
    close_rig();
}
END_TEST

#define MINUTE ((int64_t)60000)

START_TEST(keys_of_a_host_are_renewed_while_the_old_ones_serve)
{
    int asked;

    ahead = 0;
    open_host(give);
    host.expires = real_ops->wall(rig.host.host.env) + 60 * MINUTE;
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ahead = 54 * MINUTE;
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(calls(), 1);
    ahead = 56 * MINUTE;
    host.status = WEIR_EUNAVAILABLE;
    ck_assert_int_eq(get("none"), WEIR_ENOENT); /* Begins a renewal. */
    await_calls(2);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ahead = 61 * MINUTE;
    ck_assert_int_eq(get("none"), WEIR_EUNAVAILABLE);
    asked = calls();
    host.status = 0;
    host.expires += 60 * MINUTE;
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(calls(), asked + 1);
    close_rig();
}
END_TEST

/* This machine's clock is two hours ahead, which the store tells. */
START_TEST(keys_expire_by_the_clock_of_the_store)
{
    struct s3_fault expired = {
        .kind = S3_ANSWER, .status = 400, .code = "ExpiredToken"};
    char date[80];
    time_t now = time(NULL);
    struct tm tm;

    strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT",
             gmtime_r(&now, &tm));
    ahead = 120 * MINUTE;
    host.expires = now * 1000 + 180 * MINUTE;
    open_host(give);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_ANSWER,
                                               .status = 403,
                                               .code = "RequestTimeTooSkewed",
                                               .header = date});
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    host.expires = now * 1000 + 60 * MINUTE;
    s3_server_fault(server, &expired);
    ck_assert_msg(get("none") == WEIR_ENOENT, "%s", rig.err.text);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(calls(), 2);
    close_rig();
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
        ck_assert_int_eq(get("none"), cases[i].expect);
        check_err(cases[i].word);
        host.status = 0; /* It has some later. */
        ck_assert_int_eq(get("none"), WEIR_ENOENT);
        close_rig();
    }
    open_host(give_nothing);
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("set none");
    close_rig();
}
END_TEST

START_TEST(keys_that_have_expired_when_they_come_are_not_used)
{
    host.expires = 1;
    open_host(give);
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("have expired");
    ck_assert_int_eq(calls(), 1);
    close_rig();
}
END_TEST

START_TEST(who_waits_for_a_host_waits_until_its_deadline)
{
    host.hold = 1;
    host.timeout = "20ms";
    open_host(give);
    ck_assert_int_eq(get("none"), WEIR_ETIMEDOUT);
    check_err("before there were credentials");
    __atomic_store_n(&host.hold, 0, __ATOMIC_SEQ_CST);
    close_rig();
}
END_TEST

START_TEST(closing_waits_until_the_host_has_answered)
{
    struct store_call call = {.req = {.verb = WEIR_STORE_HEAD, .key = "a"}};

    host.hold = 1;
    open_host(give);
    store_rig_start(&rig, &call);
    while (calls() < 1)
        rig.host.host.env->ops->poll(rig.host.host.env, 1000000);
    __atomic_store_n(&host.hold, 0, __ATOMIC_SEQ_CST);
    store_rig_close_store(&rig);
    ck_assert_int_eq(call.done, 1);
    close_rig();
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
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    ck_assert_int_eq(bad_lengths, 0);
    close_rig();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_credentials");

    tcase_add_test(tc, keys_of_the_environment_are_used_when_asked_for);
    tcase_add_test(tc, a_profile_of_a_file_is_used);
    tcase_add_test(tc, a_token_of_a_web_identity_is_exchanged);
    tcase_add_test(tc, the_endpoint_of_a_container_is_asked);
    tcase_add_test(tc, the_token_of_a_container_goes_to_no_foreign_machine);
    tcase_add_test(tc, an_instance_is_asked_with_a_token);
    tcase_add_test(tc, keys_are_renewed_and_old_ones_serve_while_that_fails);
    tcase_add_test(tc, keys_that_come_again_are_not_asked_for_at_once);
    tcase_add_test(tc, keys_that_the_store_calls_expired_are_replaced_once);
    tcase_add_test(tc, who_finds_no_keys_anywhere_says_so);
    tcase_add_test(tc, an_answer_that_is_too_long_is_overwritten);
    tcase_add_test(tc, closing_ends_a_look_for_keys);
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
