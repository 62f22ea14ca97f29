/* SPDX-License-Identifier: Apache-2.0 */
/* The s3 store when what fails passes: that it tries again, that what may
 * have been done is found out, and when it stops. */
#include "support/s3_server.h"
#include "support/store_kinds.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static struct store_rig rig;
static struct s3_server *server;

static void open_with(const char *property, const char *value)
{
    struct weir_config *config =
        store_s3_config(S3_SERVER_KEY, S3_SERVER_SECRET);
    int rc;

    store_rig_init(&rig);
    server = s3_server_start();
    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay", "1ms", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay_max", "5ms", NULL),
                     0);
    if (property != NULL)
        ck_assert_int_eq(weir_config_set(config, property, value, NULL), 0);
    rc = store_s3_open(&rig, server, config);
    ck_assert_msg(rc == 0, "%s", rig.err.text);
    weir_config_free(config);
}

static void open_rig(void)
{
    open_with(NULL, NULL);
}

static void close_rig(void)
{
    store_rig_close(&rig);
    s3_server_stop(server);
}

static void check_err(const char *word)
{
    ck_assert_msg(strstr(rig.err.text, word) != NULL, "%s", rig.err.text);
}

static int put(const char *key)
{
    return store_put(&rig, key, "body", 4, WEIR_STORE_IF_ABSENT);
}

static int get(const char *key)
{
    return store_get(&rig, key, 0, UINT64_MAX, 0, NULL, NULL);
}

/* What passes after some attempts. */
static const struct s3_fault passing[] = {
    {.kind = S3_ANSWER, .status = 503, .code = "SlowDown", .count = 3},
    {.kind = S3_ANSWER, .status = 429, .code = "TooManyRequests", .count = 3},
    {.kind = S3_ANSWER, .status = 500, .code = "InternalError", .count = 3},
    {.kind = S3_ANSWER, .status = 502, .count = 3},
    {.kind = S3_ANSWER, .status = 504, .count = 3},
    {.kind = S3_ANSWER,
     .status = 409,
     .code = "ConditionalRequestConflict",
     .count = 3},
    {.kind = S3_ANSWER, .status = 400, .code = "RequestTimeout", .count = 3},
    {.kind = S3_RESET_BEFORE, .count = 3},
    {.kind = S3_CLOSE_EARLY, .count = 3},
    {.kind = S3_GARBAGE, .count = 3},
    {.kind = S3_ANSWER,
     .status = 200,
     .body = "<!DOCTYPE html><html>Please sign in.</html>",
     .header = "Content-Type: text/html",
     .count = 3},
};

START_TEST(what_passes_is_tried_again)
{
    char line[64];

    open_rig();
    ck_assert_int_eq(get("a"), WEIR_ENOENT);
    s3_server_fault(server, &passing[_i]);
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    s3_server_fault(server, &passing[_i]);
    ck_assert_msg(get("a") == 0, "%s", rig.err.text);
    s3_server_fault(server, &passing[_i]);
    ck_assert_msg(store_list(&rig, "", NULL, 9, line, sizeof(line)) == 0, "%s",
                  rig.err.text);
    ck_assert_str_eq(line, "a");
    s3_server_fault(server, &passing[_i]);
    ck_assert_msg(store_delete(&rig, "a") == 0, "%s", rig.err.text);
    ck_assert_int_eq(s3_server_size(server, "p/a"), -1);
    close_rig();
}
END_TEST

/* It was done, and nobody said so: the second attempt meets the first. */
static const struct s3_fault silent[] = {
    {.kind = S3_RESET_AFTER},
    {.kind = S3_ANSWER_AFTER, .status = 500, .code = "InternalError"},
    {.kind = S3_ANSWER_AFTER, .status = 503},
    {.kind = S3_ANSWER_AFTER, .status = 504},
    {.kind = S3_SILENT_AFTER},
};

START_TEST(a_create_that_meets_itself_is_done)
{
    struct s3_fault again = silent[_i];

    open_with("s3_attempt_timeout", "1s");
    s3_server_fault(server, &silent[_i]);
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    ck_assert_int_eq(s3_server_requests(server, "PUT"), 2);
    ck_assert_int_eq(s3_server_requests(server, "HEAD"), 1);

    /* The read-back fails as well, at first. */
    again.count = 2;
    again.kind = again.kind == S3_SILENT_AFTER ? S3_RESET_AFTER : again.kind;
    s3_server_fault(server, &again);
    ck_assert_msg(put("b") == 0, "%s", rig.err.text);
    close_rig();
}
END_TEST

START_TEST(a_create_that_meets_another_one_is_lost)
{
    open_rig();
    s3_server_store(server, "p/a", "another", 7);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_ANSWER_AFTER,
                                               .status = 500,
                                               .code = "InternalError"});
    ck_assert_int_eq(put("a"), WEIR_ECONFLICT);
    ck_assert_int_eq(s3_server_size(server, "p/a"), 7);
    /* Where all attempts had an answer nothing is read back. */
    ck_assert_int_eq(put("a"), WEIR_ECONFLICT);
    ck_assert_int_eq(s3_server_requests(server, "HEAD"), 1);
    close_rig();
}
END_TEST

START_TEST(what_cannot_be_found_out_is_unknown)
{
    open_with("s3_attempts", "3");
    /* Done at once, then nothing but refusals. */
    s3_server_fault(server, &(struct s3_fault){.kind = S3_ANSWER_AFTER,
                                               .method = "PUT",
                                               .status = 500,
                                               .code = "InternalError",
                                               .count = 100});
    ck_assert_int_eq(put("a"), WEIR_EUNKNOWN);
    check_err("3 attempts");
    s3_server_fault(server, &(struct s3_fault){.kind = S3_RESET_BEFORE,
                                               .method = "PUT",
                                               .count = 100});
    ck_assert_int_eq(put("b"), WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_size(server, "p/b"), -1);
    close_rig();
}
END_TEST

/* libcurl repeats what it sent on a kept connection that was then lost, and
 * loses the next one when it has sent the headers. */
START_TEST(what_was_sent_once_is_unknown_though_the_repetition_was_not)
{
    struct s3_fault second = {.kind = S3_CLOSE_EARLY};
    struct s3_fault first = {.kind = S3_MUTE_RESET, .next = &second};
    char *large = calloc(1, 1 << 20); /* It waits for "100 Continue". */

    open_with("s3_attempts", "1");
    ck_assert_int_eq(get("a"), WEIR_ENOENT);
    s3_server_fault(server, &first);
    ck_assert_int_eq(store_put(&rig, "a", large, 1 << 20, 0), WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_requests(server, "PUT"), 2);
    ck_assert_int_eq(s3_server_size(server, "p/a"), 1 << 20);
    close_rig();
    free(large);
}
END_TEST

START_TEST(what_does_not_pass_is_not_tried_again)
{
    static const struct {
        int status;
        const char *code;
        int rc;
    } finals[] = {
        {403, "AccessDenied", WEIR_EACCES},
        {403, "SignatureDoesNotMatch", WEIR_EAUTH},
        {403, "InvalidAccessKeyId", WEIR_EAUTH},
        {400, "ExpiredToken", WEIR_EAUTH},
        {404, "NoSuchBucket", WEIR_ENOENT},
        {501, "NotImplemented", WEIR_EUNSUPPORTED},
    };

    open_rig();
    for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
        int before = s3_server_requests(server, NULL);

        s3_server_fault(server, &(struct s3_fault){.kind = S3_ANSWER,
                                                   .status = finals[i].status,
                                                   .code = finals[i].code});
        ck_assert_int_eq(put("a"), finals[i].rc);
        ck_assert_int_eq(s3_server_requests(server, NULL), before + 1);
    }
    ck_assert_int_eq(s3_server_size(server, "p/a"), -1);
    close_rig();
}
END_TEST

/* A wrong endpoint, or a proxy that wants a sign-in.  Once S3 has been there
 * it may come back: what_passes_is_tried_again. */
START_TEST(a_server_that_has_only_web_pages_is_asked_once)
{
    struct s3_fault page = {
        .kind = S3_ANSWER,
        .status = _i == 0 ? 200 : 302,
        .body = "<!DOCTYPE html><html>Please sign in.</html>",
        .header = "Content-Type: text/html",
        .count = 100,
    };

    open_rig();
    s3_server_fault(server, &page);
    ck_assert_int_eq(put("a"), _i == 0 ? WEIR_EUNKNOWN : WEIR_EUNAVAILABLE);
    check_err("this is no S3 server");
    ck_assert_int_eq(s3_server_requests(server, NULL), 1);
    ck_assert_int_eq(get("a"), WEIR_EUNAVAILABLE);
    check_err("this is no S3 server");
    ck_assert_int_eq(s3_server_requests(server, NULL), 2);
    close_rig();
}
END_TEST

/* As moto does, whose framework calls so all that nobody has named. */
START_TEST(an_empty_answer_to_a_put_may_be_called_a_web_page)
{
    struct s3_fault empty = {
        .kind = S3_ANSWER_AFTER,
        .status = 200,
        .header = "ETag: \"etag\"\r\nContent-Type: text/html; charset=utf-8",
        .count = 100,
    };

    open_rig();
    s3_server_fault(server, &empty);
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    ck_assert_int_eq(s3_server_requests(server, NULL), 1);
    ck_assert_int_eq(s3_server_size(server, "p/a"), 4);
    close_rig();
}
END_TEST

/* A proxy that fails says so with a page, too. */
START_TEST(a_page_of_a_server_that_fails_is_tried_again)
{
    open_rig();
    s3_server_fault(server,
                    &(struct s3_fault){.kind = S3_ANSWER,
                                       .status = 502,
                                       .body = "<html>Bad gateway",
                                       .header = "Content-Type: text/html",
                                       .count = 3});
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    close_rig();
}
END_TEST

/* A store that is down is asked for a while, and then once for each request. */
START_TEST(attempts_are_paid_from_a_budget)
{
    int before;

    open_rig();
    s3_server_fault(server, &(struct s3_fault){.kind = S3_ANSWER,
                                               .status = 503,
                                               .code = "SlowDown",
                                               .count = 100000});
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(get("a"), WEIR_ETHROTTLED);
    before = s3_server_requests(server, NULL);
    ck_assert_int_le(before, 20 + 500 / 5);
    ck_assert_int_eq(get("a"), WEIR_ETHROTTLED);
    ck_assert_int_eq(s3_server_requests(server, NULL), before + 1);
    close_rig();
}
END_TEST

START_TEST(a_read_that_is_damaged_on_the_way_is_read_again)
{
    struct weir_buf *body = NULL;

    open_rig();
    s3_server_store(server, "p/a", "0123456789", 10);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_TRUNCATE, .cut = 3});
    ck_assert_int_eq(store_get(&rig, "a", 0, UINT64_MAX, 0, &body, NULL), 0);
    ck_assert_uint_eq(body->len, 10);
    weir_buf_unref(body);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_SHIFT_RANGE});
    ck_assert_int_eq(store_get(&rig, "a", 2, 3, 0, &body, NULL), 0);
    ck_assert_mem_eq(body->data, "234", 3);
    weir_buf_unref(body);
    close_rig();
}
END_TEST

/* A bit that flips on the way is noticed by the checksum that was put along;
 * one that has flipped in the store is too, and what is there is given. */
START_TEST(a_whole_object_is_checked_against_what_was_put)
{
    struct weir_buf *body = NULL;

    open_rig();
    ck_assert_int_eq(put("a"), 0);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_FLIP});
    ck_assert_int_eq(store_get(&rig, "a", 0, UINT64_MAX, 0, &body, NULL), 0);
    ck_assert_uint_eq(body->len, 4);
    ck_assert_mem_eq(body->data, "body", 4);
    weir_buf_unref(body);
    ck_assert_int_eq(s3_server_requests(server, "GET"), 2);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_FLIP, .count = 9});
    ck_assert_int_eq(store_get(&rig, "a", 0, UINT64_MAX, 0, &body, NULL), 0);
    ck_assert_mem_eq(body->data, "bo", 2);
    ck_assert_mem_ne(body->data, "body", 4);
    weir_buf_unref(body);
    ck_assert_int_eq(s3_server_requests(server, "GET"), 4);
    close_rig();
}
END_TEST

/* Some servers tell theirs without being asked; that of an upload in parts is
 * not one of the bytes. */
START_TEST(a_whole_object_is_checked_against_the_servers_checksum)
{
    static const char *const sums[] = {"x-amz-checksum-crc32c: AAAAAA==",
                                       "x-amz-checksum-crc32c: AAAAAA==-2"};
    struct s3_fault wrong = {
        .kind = S3_ANSWER, .status = 200, .body = "bodY", .header = sums[_i]};
    struct weir_buf *body = NULL;

    open_rig();
    s3_server_store(server, "p/a", "body", 4);
    s3_server_fault(server, &wrong);
    ck_assert_int_eq(store_get(&rig, "a", 0, UINT64_MAX, 0, &body, NULL), 0);
    ck_assert_mem_eq(body->data, _i == 0 ? "body" : "bodY", 4);
    weir_buf_unref(body);
    ck_assert_int_eq(s3_server_requests(server, "GET"), _i == 0 ? 2 : 1);
    close_rig();
}
END_TEST

START_TEST(a_read_that_is_slow_is_asked_for_a_second_time)
{
    open_with("s3_hedge", "50ms");
    s3_server_store(server, "p/a", "0123456789", 10);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_SILENT});
    ck_assert_int_eq(get("a"), 0);
    ck_assert_int_eq(s3_server_requests(server, "GET"), 2);
    s3_server_fault(server, &(struct s3_fault){.kind = S3_DRIP});
    ck_assert_int_eq(get("a"), 0);
    close_rig();
}
END_TEST

/* What can be learned, from an answer to one of two attempts. */
static const struct s3_fault lessons[] = {
    {.kind = S3_ANSWER,
     .status = 403,
     .code = "RequestTimeTooSkewed",
     .header = "Date: Mon, 02 Jan 2006 15:04:05 GMT"},
    {.kind = S3_ANSWER,
     .status = 301,
     .code = "PermanentRedirect",
     .header = "x-amz-bucket-region: eu-west-9"},
    {.kind = S3_ANSWER,
     .status = 400,
     .code = "AuthorizationHeaderMalformed",
     .header = "x-amz-bucket-region: eu-west-9"},
};

START_TEST(what_the_second_attempt_learns_ends_the_first)
{
    struct s3_fault silent_one = {.kind = S3_SILENT, .next = &lessons[_i]};

    open_with("s3_hedge", "50ms");
    s3_server_store(server, "p/a", "0123456789", 10);
    s3_server_fault(server, &silent_one);
    ck_assert_msg(get("a") == 0, "%s", rig.err.text);
    ck_assert_int_eq(s3_server_requests(server, "GET"), 3);
    close_rig();
}
END_TEST

/* The second is told the same, which is no news, while the third, which is
 * signed anew, is under way. */
START_TEST(what_the_first_attempt_learns_ends_the_second)
{
    struct s3_fault good = {.kind = S3_SLOW, .late = 800};
    struct s3_fault second = lessons[_i];
    struct s3_fault first = lessons[_i];

    first.late = 500;
    first.next = &second;
    second.late = 700;
    second.next = &good;
    open_with("s3_hedge", "50ms");
    s3_server_store(server, "p/a", "0123456789", 10);
    s3_server_fault(server, &first);
    ck_assert_msg(get("a") == 0, "%s", rig.err.text);
    ck_assert_int_eq(s3_server_requests(server, "GET"), 3);
    close_rig();
}
END_TEST

/* "Mon, 02 Jan 2006 15:04:05 GMT" is far from any clock that is right. */
START_TEST(the_servers_clock_is_learned_once)
{
    char text[80];

    open_rig();
    s3_server_fault(
        server,
        &(struct s3_fault){.kind = S3_ANSWER,
                           .status = 403,
                           .code = "RequestTimeTooSkewed",
                           .header = "Date: Mon, 02 Jan 2006 15:04:05 GMT"});
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    s3_server_header(server, "x-amz-date", text, sizeof(text));
    ck_assert_msg(strncmp(text, "20060102T15040", 14) == 0, "%s", text);
    s3_server_fault(server, &(struct s3_fault){
                                .kind = S3_ANSWER,
                                .status = 403,
                                .code = "RequestTimeTooSkewed",
                                .header = "Date: Tue, 03 Jan 2006 15:04:05 GMT",
                                .count = 2});
    ck_assert_int_eq(put("b"), WEIR_EAUTH);
    check_err("clock");
    close_rig();
}
END_TEST

START_TEST(the_buckets_region_is_learned_once)
{
    char text[300];

    open_rig();
    s3_server_fault(
        server, &(struct s3_fault){.kind = S3_ANSWER,
                                   .status = 400,
                                   .code = "AuthorizationHeaderMalformed",
                                   .header = "x-amz-bucket-region: eu-west-9"});
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    s3_server_header(server, "authorization", text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "/eu-west-9/s3/"));
    s3_server_fault(
        server, &(struct s3_fault){.kind = S3_ANSWER,
                                   .status = 301,
                                   .code = "PermanentRedirect",
                                   .header = "x-amz-bucket-region: eu-west-8"});
    ck_assert_int_eq(get("a"), 0);
    /* One that contradicts itself is not followed for ever. */
    s3_server_fault(
        server, &(struct s3_fault){.kind = S3_ANSWER,
                                   .status = 301,
                                   .code = "PermanentRedirect",
                                   .header = "x-amz-bucket-region: eu-west-7",
                                   .count = 2});
    ck_assert_int_eq(get("a"), WEIR_EIO);
    check_err("region");
    close_rig();
}
END_TEST

/* All that were sent before the first of them was answered. */
START_TEST(a_region_that_another_request_has_learned_is_good_for_all)
{
    struct s3_fault moved = {.kind = S3_ANSWER,
                             .status = 301,
                             .code = "PermanentRedirect",
                             .header = "x-amz-bucket-region: eu-west-9",
                             .count = 4,
                             .late = 500};
    struct store_call calls[4];

    open_rig();
    s3_server_fault(server, &moved);
    for (int i = 0; i < 4; i++) {
        calls[i] = (struct store_call){
            .req = {.verb = WEIR_STORE_GET, .key = "a", .length = UINT64_MAX}};
        store_rig_start(&rig, &calls[i]);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_msg(store_rig_finish(&rig, &calls[i]) == WEIR_ENOENT, "%s",
                      rig.err.text);
    ck_assert_int_eq(s3_server_requests(server, "GET"), 8);
    close_rig();
}
END_TEST

START_TEST(closing_ends_what_waits_for_a_retry)
{
    struct store_call calls[8];
    struct store_call call = {
        .req = {.verb = WEIR_STORE_GET, .key = "a", .length = UINT64_MAX}};

    open_with("s3_retry_delay", "60s");
    s3_server_fault(server, &(struct s3_fault){.kind = S3_ANSWER,
                                               .status = 503,
                                               .code = "SlowDown",
                                               .count = 1000});
    for (int i = 0; i < 8; i++) {
        calls[i] = call;
        store_rig_start(&rig, &calls[i]);
    }
    while (s3_server_requests(server, NULL) < 8)
        rig.host.host.env->ops->poll(rig.host.host.env, 1000000);
    store_rig_close_store(&rig);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(calls[i].done, 1);
        ck_assert_msg(calls[i].status == WEIR_ECANCELED ||
                          calls[i].status == WEIR_ETHROTTLED,
                      "%s", weir_error_name(calls[i].status));
    }
    close_rig();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_retry");

    tcase_add_loop_test(tc, what_passes_is_tried_again, 0,
                        sizeof(passing) / sizeof(passing[0]));
    tcase_add_loop_test(tc, a_create_that_meets_itself_is_done, 0,
                        sizeof(silent) / sizeof(silent[0]));
    tcase_add_test(tc, a_create_that_meets_another_one_is_lost);
    tcase_add_test(tc, what_cannot_be_found_out_is_unknown);
    tcase_add_test(tc,
                   what_was_sent_once_is_unknown_though_the_repetition_was_not);
    tcase_add_test(tc, what_does_not_pass_is_not_tried_again);
    tcase_add_loop_test(tc, a_server_that_has_only_web_pages_is_asked_once, 0,
                        2);
    tcase_add_test(tc, an_empty_answer_to_a_put_may_be_called_a_web_page);
    tcase_add_test(tc, a_page_of_a_server_that_fails_is_tried_again);
    tcase_add_test(tc, attempts_are_paid_from_a_budget);
    tcase_add_test(tc, a_read_that_is_damaged_on_the_way_is_read_again);
    tcase_add_test(tc, a_whole_object_is_checked_against_what_was_put);
    tcase_add_loop_test(
        tc, a_whole_object_is_checked_against_the_servers_checksum, 0, 2);
    tcase_add_test(tc, a_read_that_is_slow_is_asked_for_a_second_time);
    tcase_add_loop_test(tc, what_the_second_attempt_learns_ends_the_first, 0,
                        3);
    tcase_add_loop_test(tc, what_the_first_attempt_learns_ends_the_second, 0,
                        3);
    tcase_add_test(tc, the_servers_clock_is_learned_once);
    tcase_add_test(tc, the_buckets_region_is_learned_once);
    tcase_add_test(tc,
                   a_region_that_another_request_has_learned_is_good_for_all);
    tcase_add_test(tc, closing_ends_what_waits_for_a_retry);
    return test_run();
}
