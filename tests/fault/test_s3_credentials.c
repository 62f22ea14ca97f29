/* SPDX-License-Identifier: Apache-2.0 */
/* Where the keys of an s3 store come from, that they are renewed, and what is
 * told when there are none. */
#include "support/http_script.h"
#include "support/keys_rig.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEYS                                                                   \
    "\"AccessKeyId\": \"" S3_SERVER_KEY "\", "                                 \
    "\"SecretAccessKey\": \"" S3_SERVER_SECRET "\", "                          \
    "\"Token\": \"a-session-token\""

static struct keys_rig rig;

static int try_open(const char *credentials)
{
    keys_rig_init(&rig);
    return keys_rig_open(&rig, credentials);
}

static void open_with(const char *credentials)
{
    ck_assert_msg(try_open(credentials) == 0, "%s", rig.store.err.text);
}

static int get(void)
{
    return keys_rig_get(&rig);
}

START_TEST(keys_of_the_environment_are_used_when_asked_for)
{
    keys_clear_environment();
    setenv("AWS_ACCESS_KEY_ID", S3_SERVER_KEY, 1);
    setenv("AWS_SECRET_ACCESS_KEY", S3_SERVER_SECRET, 1);
    setenv("AWS_SESSION_TOKEN", "token-of-the-environment", 1);
    open_with("environment");
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_check_token(&rig, "token-of-the-environment");
    keys_rig_close(&rig);
    open_with("chain");
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_close(&rig);
    /* And not when not. */
    ck_assert_int_eq(try_open("config"), WEIR_EAUTH);
    keys_rig_check_err(&rig, "s3_credentials=chain");
    keys_rig_close(&rig);
}
END_TEST

START_TEST(a_profile_of_a_file_is_used)
{
    char path[300];

    keys_clear_environment();
    test_file(path, sizeof(path), "credentials",
              "# A comment\n[default]\naws_access_key_id=nobody\n"
              "aws_secret_access_key = nothing\n\n[ work ]\n"
              "aws_access_key_id = " S3_SERVER_KEY "\r\n"
              "aws_secret_access_key=" S3_SERVER_SECRET "\n"
              "region = nowhere\naws_session_token = of-a-file\n");
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    setenv("AWS_PROFILE", "work", 1);
    open_with("profile");
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_check_token(&rig, "of-a-file");
    keys_rig_close(&rig);

    setenv("AWS_PROFILE", "missing", 1);
    open_with("chain");
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "no profile \"missing\"");
    keys_rig_close(&rig);

    setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file", 1);
    open_with("profile");
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "/no/such/file: ENOENT");
    keys_rig_close(&rig);
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

    keys_clear_environment();
    test_file(path, sizeof(path), "identity", "header.body+signature\n");
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
    setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
    setenv("AWS_ENDPOINT_URL_STS", http_script_url(sts), 1);
    open_with("chain");
    rig.store.host.alloc.secret = "the-rest-of-it"; /* A date comes behind. */
    ck_assert_msg(get() == WEIR_ENOENT, "%s", rig.store.err.text);
    keys_rig_check_token(&rig,
                         "of-sts-and-longer-than-a-date-by-the-rest-of-it");
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(http_script_requests(sts), 1);
    keys_rig_close(&rig);
    http_script_stop(sts);
}
END_TEST

START_TEST(the_endpoint_of_a_container_is_asked)
{
    struct http_line lines[] = {
        {"GET /keys", "Authorization: let-me-in", 200, "{" KEYS "}", 0}, {0}};
    struct http_script *container = http_script_start(lines);
    char text[300];

    keys_clear_environment();
    snprintf(text, sizeof(text), "%s/keys", http_script_url(container));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in", 1);
    open_with("container");
    ck_assert_msg(get() == WEIR_ENOENT, "%s", rig.store.err.text);
    keys_rig_check_token(&rig, "a-session-token");
    keys_rig_close(&rig);

    test_file(text, sizeof(text), "authorization", "let-me-in");
    unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text, 1);
    open_with("chain");
    ck_assert_msg(get() == WEIR_ENOENT, "%s", rig.store.err.text);
    keys_rig_close(&rig);

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
        keys_clear_environment();
        setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in", 1);
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", places[i], 1);
        open_with("container");
        ck_assert_int_eq(get(), WEIR_EAUTH);
        keys_rig_check_err(&rig, "expected https://");
        keys_rig_close(&rig);
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

    keys_clear_environment();
    unsetenv("AWS_EC2_METADATA_DISABLED");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", http_script_url(imds), 1);
    open_with("instance");
    ck_assert_msg(get() == WEIR_ENOENT, "%s", rig.store.err.text);
    keys_rig_check_token(&rig, "a-session-token");
    keys_rig_close(&rig);
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

    keys_clear_environment();
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
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_ahead(20000);
    ck_assert_int_eq(get(), WEIR_ENOENT); /* Begins a renewal. */
    while (http_script_requests(container) < 2)
        keys_rig_poll(&rig);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_close(&rig);
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
        ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(http_script_requests(container), 1);
    keys_rig_ahead(20000);
    for (int i = 0; i < 20 || http_script_requests(container) < 2; i++)
        ck_assert_int_eq(get(), WEIR_ENOENT);
    test_host_settle(&rig.store.host);
    ck_assert_int_eq(http_script_requests(container), 2);
    keys_rig_close(&rig);
    http_script_stop(container);
}
END_TEST

/* Neither one that fails, nor one whose keys are over already: not with each
 * request, and yet without being told to. */
START_TEST(a_source_without_good_keys_is_asked_once_a_second)
{
    static const char over[] =
        "{" KEYS ", \"Expiration\": \"2001-01-01T00:00:00Z\"}";
    struct http_line lines[] = {{"GET /keys", NULL, 200, over, 1},
                                {"GET /keys", NULL, 403, "no", 1},
                                {"GET /keys", NULL, 200, "{" KEYS "}", 0},
                                {0}};
    static const char *const says[] = {"have expired", "HTTP status 403"};
    struct http_script *container = http_script_start(lines);

    open_container(container);
    keys_rig_stop_clock(&rig);
    for (int look = 0; look < 2; look++) {
        keys_rig_ahead(1000 * look);
        for (int i = 0; i < 20; i++) {
            ck_assert_int_eq(get(), WEIR_EAUTH);
            keys_rig_check_err(&rig, says[look]);
        }
        ck_assert_int_eq(http_script_requests(container), look + 1);
    }
    keys_rig_ahead(1999);
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_ahead(2000);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(http_script_requests(container), 3);
    keys_rig_close(&rig);
    http_script_stop(container);
}
END_TEST

START_TEST(a_clock_that_is_set_right_is_not_waited_for)
{
    char early[600];
    struct http_line lines[] = {{"GET /keys", NULL, 200, early, 0}, {0}};
    struct http_script *container = http_script_start(lines);

    write_early(early, sizeof(early));
    open_container(container);
    keys_rig_ahead(3600000);
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "this machine's clock is wrong");
    keys_rig_ahead(0);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    keys_rig_close(&rig);
    http_script_stop(container);
}
END_TEST

START_TEST(keys_that_the_store_calls_expired_are_replaced_once)
{
    struct http_line lines[] = {{"GET /keys", NULL, 200, "{" KEYS "}", 0}, {0}};
    struct http_script *container = http_script_start(lines);
    struct s3_fault once = keys_expired(1);
    struct s3_fault often = keys_expired(100);

    open_container(container);
    s3_server_fault(rig.server, &once);
    ck_assert_int_eq(get(), WEIR_ENOENT);
    ck_assert_int_eq(http_script_requests(container), 2);
    s3_server_fault(rig.server, &often);
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "ExpiredToken");
    ck_assert_int_eq(http_script_requests(container), 3);
    keys_rig_close(&rig);
    http_script_stop(container);
}
END_TEST

START_TEST(who_finds_no_keys_anywhere_says_so)
{
    keys_clear_environment();
    open_with("chain");
    ck_assert_int_eq(get(), WEIR_EAUTH);
    keys_rig_check_err(&rig, "none of the places");
    keys_rig_check_err(&rig, "set s3_access_key and s3_secret_key");
    keys_rig_close(&rig);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/keys", 1);
    open_with("chain");
    ck_assert_int_eq(get(), WEIR_EUNAVAILABLE);
    keys_rig_check_err(&rig, "127.0.0.1:1/keys");
    keys_rig_close(&rig);
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
    ck_assert_int_eq(get(), WEIR_EUNAVAILABLE);
    keys_rig_check_err(&rig, "longer than the 65536 bytes");
    keys_rig_close(&rig); /* Looks for the secret in all that was given back. */
    http_script_stop(container);
}
END_TEST

START_TEST(closing_ends_a_look_for_keys)
{
    struct http_line lines[] = {{"GET /keys", NULL, 500, "no", 0}, {0}};
    struct http_script *container = http_script_start(lines);
    struct store_call call = {.req = {.verb = WEIR_STORE_HEAD, .key = "a"}};

    open_container(container);
    store_rig_start(&rig.store, &call);
    while (http_script_requests(container) < 1)
        keys_rig_poll(&rig);
    store_rig_close_store(&rig.store);
    ck_assert_int_eq(call.done, 1);
    ck_assert_int_ne(call.status, 0);
    keys_rig_close(&rig);
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
    tcase_add_test(tc, the_token_of_a_container_goes_to_no_foreign_machine);
    tcase_add_test(tc, an_instance_is_asked_with_a_token);
    tcase_add_test(tc, keys_are_renewed_and_old_ones_serve_while_that_fails);
    tcase_add_test(tc, keys_that_come_again_are_not_asked_for_at_once);
    tcase_add_test(tc, a_source_without_good_keys_is_asked_once_a_second);
    tcase_add_test(tc, a_clock_that_is_set_right_is_not_waited_for);
    tcase_add_test(tc, keys_that_the_store_calls_expired_are_replaced_once);
    tcase_add_test(tc, who_finds_no_keys_anywhere_says_so);
    tcase_add_test(tc, an_answer_that_is_too_long_is_overwritten);
    tcase_add_test(tc, closing_ends_a_look_for_keys);
    return test_run();
}
