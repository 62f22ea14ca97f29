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

#define KEYS                                                                   \
    "\"AccessKeyId\": \"" S3_SERVER_KEY "\", "                                 \
    "\"SecretAccessKey\": \"" S3_SERVER_SECRET "\", "                          \
    "\"Token\": \"a-session-token\""

static struct store_rig rig;
static struct s3_server *server;

static int try_open(const char *credentials)
{
    struct weir_config *config = store_s3_config("", "");
    char uri[200];
    int rc;

    store_rig_init(&rig);
    server = s3_server_start();
    snprintf(uri, sizeof(uri), "s3://bucket/p?endpoint=%s",
             s3_server_endpoint(server));
    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay", "1ms", NULL), 0);
    ck_assert_int_eq(
        weir_config_set(config, "s3_credentials", credentials, NULL), 0);
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
         "<SessionToken>of-sts</SessionToken>"
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
    ck_assert_msg(get("none") == WEIR_ENOENT, "%s", rig.err.text);
    expect_token("of-sts");
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

    /* The token goes to no foreign machine. */
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/keys", 1);
    open_with("container");
    ck_assert_int_eq(get("none"), WEIR_EAUTH);
    check_err("expected https://");
    close_rig();
    http_script_stop(container);
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

/* The first ones are soon over; the next renewal fails, the one after that
 * goes well. */
START_TEST(keys_are_renewed_and_old_ones_serve_while_that_fails)
{
    char expiration[80];
    char early[600];
    struct http_line lines[] = {{"GET /keys", NULL, 200, early, 1},
                                {"GET /keys", NULL, 403, "no", 1},
                                {"GET /keys", NULL, 200, "{" KEYS "}", 0},
                                {0}};
    struct http_script *container = http_script_start(lines);
    time_t soon = time(NULL) + 120;
    struct tm tm;
    char text[100];

    strftime(expiration, sizeof(expiration), "%Y-%m-%dT%H:%M:%SZ",
             gmtime_r(&soon, &tm));
    snprintf(early, sizeof(early), "{%s, \"Expiration\": \"%s\"}", KEYS,
             expiration);
    clear_environment();
    snprintf(text, sizeof(text), "%s/keys", http_script_url(container));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    open_with("container");
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(get("none"), WEIR_ENOENT); /* Begins a renewal. */
    while (http_script_requests(container) < 2)
        rig.host.host.env->ops->poll(rig.host.host.env, 1000000);
    ck_assert_int_eq(get("none"), WEIR_ENOENT);
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
    char text[100];

    clear_environment();
    snprintf(text, sizeof(text), "%s/keys", http_script_url(container));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    open_with("container");
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

START_TEST(closing_ends_a_look_for_keys)
{
    struct http_line lines[] = {{"GET /keys", NULL, 500, "no", 0}, {0}};
    struct http_script *container = http_script_start(lines);
    struct store_call call = {.req = {.verb = WEIR_STORE_HEAD, .key = "a"}};
    char text[100];

    clear_environment();
    snprintf(text, sizeof(text), "%s/keys", http_script_url(container));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    open_with("container");
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

int main(void)
{
    TCase *tc = test_case("s3_credentials");

    tcase_add_test(tc, keys_of_the_environment_are_used_when_asked_for);
    tcase_add_test(tc, a_profile_of_a_file_is_used);
    tcase_add_test(tc, a_token_of_a_web_identity_is_exchanged);
    tcase_add_test(tc, the_endpoint_of_a_container_is_asked);
    tcase_add_test(tc, an_instance_is_asked_with_a_token);
    tcase_add_test(tc, keys_are_renewed_and_old_ones_serve_while_that_fails);
    tcase_add_test(tc, keys_that_the_store_calls_expired_are_replaced_once);
    tcase_add_test(tc, who_finds_no_keys_anywhere_says_so);
    tcase_add_test(tc, closing_ends_a_look_for_keys);
    return test_run();
}
