/* SPDX-License-Identifier: Apache-2.0 */
/* What the answers of S3 mean: above all, whether a PUT is certainly not
 * done, may be done, or has lost to another. */
#include "store/s3.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

static struct weir_error err;

struct meaning {
    int http;
    const char *code; /* In the XML; NULL: the answer has no body. */
    int put;          /* Status of a PUT if absent, */
    int get;          /* of a GET. */
};

static const struct meaning meanings[] = {
    /* The condition is decided. */
    {412, "PreconditionFailed", WEIR_ECONFLICT, WEIR_EIO},
    {412, NULL, WEIR_ECONFLICT, WEIR_EIO},
    /* It is not: the same again. */
    {409, "ConditionalRequestConflict", WEIR_ETHROTTLED, WEIR_ETHROTTLED},
    {409, "OperationAborted", WEIR_ETHROTTLED, WEIR_ETHROTTLED},
    {409, NULL, WEIR_ETHROTTLED, WEIR_ETHROTTLED},
    /* The server, or someone on the way, failed with it. */
    {500, "InternalError", WEIR_EUNKNOWN, WEIR_EUNAVAILABLE},
    {500, NULL, WEIR_EUNKNOWN, WEIR_EUNAVAILABLE},
    {502, NULL, WEIR_EUNKNOWN, WEIR_EUNAVAILABLE},
    {504, NULL, WEIR_EUNKNOWN, WEIR_EUNAVAILABLE},
    {520, NULL, WEIR_EUNKNOWN, WEIR_EUNAVAILABLE},
    /* Refused by S3; by someone else; by a limit. */
    {503, "SlowDown", WEIR_ETHROTTLED, WEIR_ETHROTTLED},
    {503, "ServiceUnavailable", WEIR_ETHROTTLED, WEIR_ETHROTTLED},
    {503, NULL, WEIR_EUNKNOWN, WEIR_ETHROTTLED},
    {429, "TooManyRequests", WEIR_ETHROTTLED, WEIR_ETHROTTLED},
    {429, NULL, WEIR_ETHROTTLED, WEIR_ETHROTTLED},
    {408, NULL, WEIR_EUNKNOWN, WEIR_EUNAVAILABLE},
    {400, "RequestTimeout", WEIR_EUNAVAILABLE, WEIR_EUNAVAILABLE},
    {400, "IncompleteBody", WEIR_EUNAVAILABLE, WEIR_EUNAVAILABLE},
    /* Keys and rights. */
    {403, "InvalidAccessKeyId", WEIR_EAUTH, WEIR_EAUTH},
    {403, "SignatureDoesNotMatch", WEIR_EAUTH, WEIR_EAUTH},
    {403, "RequestTimeTooSkewed", WEIR_EAUTH, WEIR_EAUTH},
    {400, "ExpiredToken", WEIR_EAUTH, WEIR_EAUTH},
    {403, "ExpiredToken", WEIR_EAUTH, WEIR_EAUTH},
    {400, "AuthorizationHeaderMalformed", WEIR_EAUTH, WEIR_EAUTH},
    {403, "AccessDenied", WEIR_EACCES, WEIR_EACCES},
    {403, NULL, WEIR_EACCES, WEIR_EACCES},
    {401, NULL, WEIR_EAUTH, WEIR_EAUTH},
    /* The request or the place. */
    {404, "NoSuchKey", WEIR_ENOENT, WEIR_ENOENT},
    {404, "NoSuchBucket", WEIR_ENOENT, WEIR_ENOENT},
    {404, NULL, WEIR_ENOENT, WEIR_ENOENT},
    {416, "InvalidRange", WEIR_ERANGE, WEIR_ERANGE},
    {400, "BadDigest", WEIR_ECORRUPT, WEIR_ECORRUPT},
    {400, "XAmzContentSHA256Mismatch", WEIR_ECORRUPT, WEIR_ECORRUPT},
    {400, "EntityTooLarge", WEIR_ETOOBIG, WEIR_ETOOBIG},
    {400, "Whatever", WEIR_EIO, WEIR_EIO},
    {403, "QuotaExceeded", WEIR_ENOSPC, WEIR_ENOSPC},
    {507, NULL, WEIR_ENOSPC, WEIR_ENOSPC},
    {501, "NotImplemented", WEIR_EUNSUPPORTED, WEIR_EUNSUPPORTED},
    {501, NULL, WEIR_EUNSUPPORTED, WEIR_EUNSUPPORTED},
    {405, NULL, WEIR_EUNSUPPORTED, WEIR_EUNSUPPORTED},
    {301, "PermanentRedirect", WEIR_EIO, WEIR_EIO},
    {308, NULL, WEIR_EIO, WEIR_EIO},
    {307, "TemporaryRedirect", WEIR_EUNAVAILABLE, WEIR_EUNAVAILABLE},
    /* Success, but not of S3 (it was a web page). */
    {200, NULL, WEIR_EUNKNOWN, WEIR_EUNAVAILABLE},
};

static int read_and_decide(const struct weir__http_answer *answer,
                           const char *body, enum weir_store_verb verb,
                           unsigned flags)
{
    struct weir_store_req req = {.verb = verb, .flags = flags, .key = "k"};
    struct weir__s3_error error;
    int rc;

    err = (struct weir_error){0};
    weir__s3_error_read(&error, weir_alloc_default(), answer, body,
                        strlen(body));
    rc =
        weir__s3_error_status(&error, answer, &req, "VERB s3://bucket/k", &err);
    ck_assert_int_eq(err.code, rc);
    ck_assert_int_eq(strncmp(err.text, "VERB s3://bucket/k: ", 20), 0);
    return rc;
}

START_TEST(each_answer_has_its_meaning)
{
    const struct meaning *m = &meanings[_i];
    struct weir__http_answer answer = {.status = m->http};
    char body[300] = "";
    char number[8];
    int rc;

    if (m->code != NULL)
        snprintf(body, sizeof(body),
                 "<?xml version=\"1.0\"?><Error><Code>%s</Code>"
                 "<Message>A message.</Message></Error>",
                 m->code);
    rc = read_and_decide(&answer, body, WEIR_STORE_PUT, WEIR_STORE_IF_ABSENT);
    ck_assert_msg(rc == m->put, "PUT: %s: %s", weir_error_name(rc), err.text);
    rc = read_and_decide(&answer, body, WEIR_STORE_GET, 0);
    ck_assert_msg(rc == m->get, "GET: %s: %s", weir_error_name(rc), err.text);

    snprintf(number, sizeof(number), "%d", m->http);
    ck_assert_ptr_nonnull(strstr(err.text, number));
    if (m->code != NULL) {
        ck_assert_ptr_nonnull(strstr(err.text, m->code));
        ck_assert_ptr_nonnull(strstr(err.text, "A message."));
    }
}
END_TEST

START_TEST(a_put_without_a_condition_does_not_conflict)
{
    struct weir__http_answer answer = {.status = 412};

    ck_assert_int_eq(read_and_decide(&answer, "", WEIR_STORE_PUT, 0), WEIR_EIO);
}
END_TEST

START_TEST(a_web_page_is_told_as_such)
{
    static const char *const pages[] = {
        "<!DOCTYPE html><html><body>Sign in</body></html>",
        "\r\n  <HTML><h1>502 Bad Gateway</h1></HTML>",
    };
    struct weir__http_answer answer = {.status = 502};

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(read_and_decide(&answer, pages[i], WEIR_STORE_GET, 0),
                         WEIR_EUNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(err.text, "a web page"));
    }
    snprintf(answer.content_type, sizeof(answer.content_type),
             "text/html; charset=utf-8");
    answer.status = 403;
    ck_assert_int_eq(read_and_decide(&answer, "Blocked", WEIR_STORE_GET, 0),
                     WEIR_EACCES);
    ck_assert_ptr_nonnull(strstr(err.text, "a web page"));
}
END_TEST

START_TEST(a_port_of_tls_is_told_as_such)
{
    static const char *const pages[] = {
        "Client sent an HTTP request to an HTTPS server.\n",
        "<html><h1>400 Bad Request</h1>The plain HTTP request was sent to "
        "HTTPS port</html>",
        "<!DOCTYPE HTML><html>Reason: You're speaking plain HTTP to an "
        "SSL-enabled server port.</html>",
    };
    struct weir__http_answer answer = {.status = 400};

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(read_and_decide(&answer, pages[i], WEIR_STORE_GET, 0),
                         WEIR_EIO);
        ck_assert_ptr_nonnull(strstr(err.text, "say endpoint=https://"));
    }
}
END_TEST

START_TEST(an_error_that_is_called_a_web_page_is_read)
{
    struct weir__http_answer answer = {.status = 403,
                                       .content_type = "text/html"};

    ck_assert_int_eq(
        read_and_decide(&answer,
                        "<?xml version=\"1.0\"?>"
                        "<Error><Code>SignatureDoesNotMatch</Code></Error>",
                        WEIR_STORE_GET, 0),
        WEIR_EAUTH);
    ck_assert_ptr_null(strstr(err.text, "a web page"));
}
END_TEST

START_TEST(key_and_bucket_are_told_apart)
{
    struct weir__http_answer answer = {.status = 404};

    read_and_decide(&answer, "<Error><Code>NoSuchKey</Code></Error>",
                    WEIR_STORE_GET, 0);
    ck_assert_ptr_nonnull(strstr(err.text, "NoSuchKey"));
    read_and_decide(&answer, "<Error><Code>NoSuchBucket</Code></Error>",
                    WEIR_STORE_GET, 0);
    ck_assert_ptr_nonnull(strstr(err.text, "create the bucket"));
    read_and_decide(&answer, "", WEIR_STORE_HEAD, 0);
    ck_assert_ptr_nonnull(strstr(err.text, "no such key, or no such bucket"));
}
END_TEST

START_TEST(what_to_look_at_is_told)
{
    static const char *const told[][2] = {
        {"SignatureDoesNotMatch", "check the secret key"},
        {"InvalidAccessKeyId", "check the access key"},
        {"ExpiredToken", "get a new session token"},
        {"InvalidToken", "check the session token"},
        {"AccessDenied", "give these keys the right"},
        {"RequestTimeTooSkewed", "set this machine's clock"},
    };
    struct weir__http_answer answer = {.status = 403};
    char body[100];

    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        snprintf(body, sizeof(body), "<Error><Code>%s</Code></Error>",
                 told[i][0]);
        read_and_decide(&answer, body, WEIR_STORE_GET, 0);
        ck_assert_ptr_nonnull(strstr(err.text, told[i][1]));
    }
}
END_TEST

START_TEST(the_right_region_is_named)
{
    struct weir__http_answer answer = {.status = 301};

    read_and_decide(&answer, "", WEIR_STORE_GET, 0);
    ck_assert_ptr_nonnull(strstr(err.text, "wrong region or endpoint"));
    snprintf(answer.region, sizeof(answer.region), "eu-west-1");
    read_and_decide(&answer, "", WEIR_STORE_GET, 0);
    ck_assert_ptr_nonnull(strstr(err.text, "is in region eu-west-1"));
    answer = (struct weir__http_answer){.status = 400};
    read_and_decide(&answer,
                    "<Error><Code>AuthorizationHeaderMalformed</Code>"
                    "<Region>ap-south-1</Region></Error>",
                    WEIR_STORE_GET, 0);
    ck_assert_ptr_nonnull(strstr(err.text, "is in region ap-south-1"));
}
END_TEST

/* What a server says goes into logs: it is kept short and printable. */
START_TEST(texts_from_outside_are_cut_and_cleaned)
{
    struct weir__http_answer answer = {.status = 400};
    char body[2000];

    snprintf(body, sizeof(body),
             "<Error><Code>A&#10;B\xc3\xa9%0500d</Code>"
             "<Message>%0900d</Message></Error>",
             0, 0);
    ck_assert_int_eq(read_and_decide(&answer, body, WEIR_STORE_GET, 0),
                     WEIR_EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "AB000"));
    ck_assert_ptr_null(strchr(err.text, '\n'));
    ck_assert_uint_lt(strlen(err.text), 200);
}
END_TEST

START_TEST(secrets_that_begin_alike_are_hidden_whole)
{
    char key[] = "abcdefKEY123", token[] = "abcdefTOKEN4567";
    const struct weir__s3_credentials credentials = {.secret_key = key,
                                                     .token = token};
    struct weir__s3_error error = {.message = "got abcdefTOKEN4567, not "
                                              "abcdefKEY123"};

    weir__s3_error_hide(&error, &credentials);
    ck_assert_str_eq(error.message, "got ***************, not ************");
}
END_TEST

START_TEST(an_answer_that_cannot_be_read_goes_by_its_status)
{
    static const char *const bodies[] = {
        "<Error><Code>SlowDown</Cod", "not XML", "{\"error\": \"x\"}",
        ("<!DOCTYPE x [<!ENTITY e \"NoSuchKey\">]><Error><Code>&e;</Code>"
         "</Error>"),
        "<Other><Code>NoSuchKey</Code></Other>"};
    struct weir__http_answer answer = {.status = 500};

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        ck_assert_int_eq(read_and_decide(&answer, bodies[i], WEIR_STORE_PUT,
                                         WEIR_STORE_IF_ABSENT),
                         WEIR_EUNKNOWN);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_error");

    tcase_add_loop_test(tc, each_answer_has_its_meaning, 0,
                        sizeof(meanings) / sizeof(meanings[0]));
    tcase_add_test(tc, a_put_without_a_condition_does_not_conflict);
    tcase_add_test(tc, a_web_page_is_told_as_such);
    tcase_add_test(tc, a_port_of_tls_is_told_as_such);
    tcase_add_test(tc, an_error_that_is_called_a_web_page_is_read);
    tcase_add_test(tc, key_and_bucket_are_told_apart);
    tcase_add_test(tc, what_to_look_at_is_told);
    tcase_add_test(tc, the_right_region_is_named);
    tcase_add_test(tc, texts_from_outside_are_cut_and_cleaned);
    tcase_add_test(tc, secrets_that_begin_alike_are_hidden_whole);
    tcase_add_test(tc, an_answer_that_cannot_be_read_goes_by_its_status);
    return test_run();
}
