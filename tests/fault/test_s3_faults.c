/* SPDX-License-Identifier: Apache-2.0 */
/* The s3 store when the server, or the way to it, fails: what the caller is
 * told, and that a PUT that was done is never called "certainly not done". */
#include "store/store.h"
#include "support/s3_server.h"
#include "support/store_kinds.h"
#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BIG = 3 << 20, MS = 1000000 };

static struct store_rig rig;
static struct s3_server *server;

static int try_open(const char *uri, const char *key, const char *secret,
                    const char *property, const char *value)
{
    struct weir_config *config = store_s3_config(key, secret);
    int rc;

    /* What one attempt tells; test_s3_retry has more of them. */
    ck_assert_int_eq(weir_config_set(config, "s3_attempts", "1", NULL), 0);
    if (property != NULL)
        ck_assert_int_eq(weir_config_set(config, property, value, NULL), 0);
    rc = store_rig_open(&rig, weir__store_s3_open, uri, config);
    weir_config_free(config);
    return rc;
}

static void open_with(const char *key, const char *secret, const char *property,
                      const char *value)
{
    char uri[200];

    store_rig_init(&rig);
    server = s3_server_start();
    snprintf(uri, sizeof(uri), "s3://bucket/p?endpoint=%s",
             s3_server_endpoint(server));
    ck_assert_msg(try_open(uri, key, secret, property, value) == 0, "%s",
                  rig.err.text);
}

static void open_rig(void)
{
    open_with(S3_SERVER_KEY, S3_SERVER_SECRET, NULL, NULL);
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

static void fault(enum s3_fault_kind kind)
{
    s3_server_fault(server, &(struct s3_fault){.kind = kind});
}

static int put(const char *key)
{
    return store_put(&rig, key, "body", 4, WEIR_STORE_IF_ABSENT);
}

static int get(const char *key)
{
    return store_get(&rig, key, 0, UINT64_MAX, 0, NULL, NULL);
}

static uint64_t soon(int ms)
{
    struct weir_env *env = rig.host.host.env;

    return env->ops->now(env) + (uint64_t)ms * MS;
}

/* A request that gives up after some time. */
static int run_until(enum weir_store_verb verb, const char *key, int ms)
{
    const struct weir_iov iov = {"body", 4};
    struct store_call call = {.req = {.verb = verb,
                                      .key = key,
                                      .iov = &iov,
                                      .iov_count = 1,
                                      .length = UINT64_MAX,
                                      .limit = 10,
                                      .deadline = soon(ms)}};

    store_rig_start(&rig, &call);
    return store_rig_finish(&rig, &call);
}

START_TEST(a_put_that_was_cut_off_after_it_came_is_unknown)
{
    open_rig();
    fault(S3_RESET_BEFORE);
    ck_assert_int_eq(put("a"), WEIR_EUNKNOWN);
    check_err("PUT s3://bucket/p/a");
    ck_assert_int_eq(s3_server_size(server, "p/a"), -1);
    fault(S3_RESET_AFTER);
    ck_assert_int_eq(put("a"), WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_size(server, "p/a"), 4);
    ck_assert_int_eq(put("a"), WEIR_ECONFLICT);
    close_rig();
}
END_TEST

/* libcurl repeats what failed on a connection that was kept.  A repeated
 * create would fail because of itself. */
START_TEST(a_create_is_not_sent_twice_on_a_kept_connection)
{
    open_rig();
    ck_assert_int_eq(put("first"), 0);
    fault(S3_RESET_AFTER);
    ck_assert_int_eq(put("a"), WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_requests(server, "PUT"), 2);
    ck_assert_int_eq(put("second"), 0);
    fault(S3_RESET_AFTER);
    ck_assert_int_eq(store_put(&rig, "e", NULL, 0, WEIR_STORE_IF_ABSENT),
                     WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_requests(server, "PUT"), 4);
    close_rig();
}
END_TEST

START_TEST(a_put_whose_body_did_not_all_go_out_is_not_done)
{
    unsigned char *data = calloc(1, BIG);

    open_rig();
    fault(S3_CLOSE_EARLY);
    ck_assert_int_eq(store_put(&rig, "a", data, BIG, WEIR_STORE_IF_ABSENT),
                     WEIR_EUNAVAILABLE);
    ck_assert_int_eq(s3_server_size(server, "p/a"), -1);
    ck_assert_int_eq(store_put(&rig, "a", data, BIG, WEIR_STORE_IF_ABSENT), 0);
    free(data);
    close_rig();
}
END_TEST

/* Some servers never say "100 Continue"; others refuse before the body. */
START_TEST(a_large_body_does_not_depend_on_a_continue)
{
    struct s3_fault refusal = {
        .kind = S3_ANSWER, .status = 403, .code = "AccessDenied"};
    unsigned char *data = calloc(1, BIG);

    open_rig();
    fault(S3_NO_CONTINUE);
    ck_assert_int_eq(store_put(&rig, "a", data, BIG, WEIR_STORE_IF_ABSENT), 0);
    ck_assert_int_eq(s3_server_size(server, "p/a"), BIG);
    s3_server_fault(server, &refusal);
    ck_assert_int_eq(store_put(&rig, "b", data, BIG, 0), WEIR_EACCES);
    free(data);
    close_rig();
}
END_TEST

START_TEST(an_open_without_memory_leaves_nothing)
{
    struct weir_config *config = store_s3_config("key", "secret");
    int rc = WEIR_ENOMEM;
    long n;

    ck_assert_int_eq(weir_config_set(config, "s3_session_token", "token", NULL),
                     0);
    store_rig_init(&rig);
    for (n = 1; rc != 0; n++) {
        test_alloc_fail(&rig.host.alloc, n, 0);
        rc = store_rig_open(&rig, weir__store_s3_open, "s3://bucket/p", config);
        ck_assert(rc == 0 || rc == WEIR_ENOMEM);
    }
    ck_assert_int_gt(n, 8);
    test_alloc_fail(&rig.host.alloc, 0, 0);
    weir_config_free(config);
    store_rig_close(&rig);
}
END_TEST

START_TEST(a_refusal_of_s3_is_not_done_and_a_failure_is_unknown)
{
    struct s3_fault script = {
        .kind = S3_ANSWER, .status = 503, .code = "SlowDown"};

    open_rig();
    s3_server_fault(server, &script);
    ck_assert_int_eq(put("a"), WEIR_ETHROTTLED);
    check_err("503 SlowDown");
    script.status = 409;
    script.code = "ConditionalRequestConflict";
    s3_server_fault(server, &script);
    ck_assert_int_eq(put("a"), WEIR_ETHROTTLED);
    ck_assert_int_eq(s3_server_size(server, "p/a"), -1);

    script.kind = S3_ANSWER_AFTER;
    script.status = 500;
    script.code = "InternalError";
    s3_server_fault(server, &script);
    ck_assert_int_eq(put("a"), WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_size(server, "p/a"), 4);
    close_rig();
}
END_TEST

START_TEST(a_web_page_is_no_answer)
{
    struct s3_fault script = {
        .kind = S3_ANSWER,
        .status = 200,
        .body = "<!DOCTYPE html><html>Please sign in.</html>",
        .header = "Content-Type: text/html",
        .count = 100,
    };
    char line[64];

    open_rig();
    s3_server_store(server, "p/a", "1234", 4);
    s3_server_fault(server, &script);
    ck_assert_int_eq(put("b"), WEIR_EUNKNOWN);
    check_err("a web page");
    ck_assert_int_eq(get("a"), WEIR_EUNAVAILABLE);
    check_err("a web page");
    ck_assert_int_eq(store_list(&rig, "", NULL, 9, line, sizeof(line)),
                     WEIR_EUNAVAILABLE);
    check_err("a web page");
    ck_assert_int_eq(store_delete(&rig, "a"), WEIR_EUNAVAILABLE);
    close_rig();
}
END_TEST

START_TEST(a_body_that_is_cut_short_is_never_data)
{
    open_rig();
    s3_server_store(server, "p/a", "0123456789", 10);
    for (int cut = 1; cut <= 10; cut++) {
        s3_server_fault(server,
                        &(struct s3_fault){.kind = S3_TRUNCATE, .cut = cut});
        ck_assert_int_eq(get("a"), WEIR_EUNAVAILABLE);
        check_err("cut off");
    }
    ck_assert_int_eq(get("a"), 0);
    close_rig();
}
END_TEST

START_TEST(a_wrong_range_is_never_data)
{
    open_rig();
    s3_server_store(server, "p/a", "0123456789", 10);
    fault(S3_SHIFT_RANGE);
    ck_assert_int_eq(store_get(&rig, "a", 2, 3, 0, NULL, NULL), WEIR_ECORRUPT);
    check_err("bytes 3-5/10");
    fault(S3_FULL_BODY);
    ck_assert_int_eq(store_get(&rig, "a", 2, 3, 0, NULL, NULL),
                     WEIR_EUNSUPPORTED);
    check_err("ignores the Range header");
    fault(S3_FULL_BODY);
    ck_assert_int_eq(store_get(&rig, "a", 0, 3, WEIR_STORE_SUFFIX, NULL, NULL),
                     WEIR_EUNSUPPORTED);
    close_rig();
}
END_TEST

/* A PUT to which no answer comes, given up after it has come there. */
static int put_in_silence(enum s3_fault_kind kind, const char *key)
{
    int rc = 0;

    for (int ms = 100; ms < 60000; ms *= 2) {
        int before = s3_server_requests(server, "PUT");

        fault(kind);
        rc = run_until(WEIR_STORE_PUT, key, ms);
        if (s3_server_requests(server, "PUT") > before)
            break;
        ck_assert_int_eq(rc, WEIR_ETIMEDOUT); /* A slow machine. */
    }
    return rc;
}

START_TEST(silence_ends_at_the_deadline)
{
    open_rig();
    s3_server_store(server, "p/a", "0123456789", 10);
    fault(S3_SILENT);
    ck_assert_int_eq(run_until(WEIR_STORE_GET, "a", 100), WEIR_ETIMEDOUT);
    fault(S3_DRIP);
    ck_assert_int_eq(run_until(WEIR_STORE_GET, "a", 100), WEIR_ETIMEDOUT);
    fault(S3_SILENT);
    ck_assert_int_eq(run_until(WEIR_STORE_LIST, "", 100), WEIR_ETIMEDOUT);
    ck_assert_int_eq(put_in_silence(S3_SILENT, "b"), WEIR_EUNKNOWN);
    ck_assert_int_eq(put_in_silence(S3_SILENT_AFTER, "c"), WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_size(server, "p/c"), 4);
    ck_assert_int_eq(get("a"), 0);
    close_rig();
}
END_TEST

START_TEST(what_is_not_http_is_an_error)
{
    open_rig();
    s3_server_store(server, "p/a", "0123456789", 10);
    fault(S3_GARBAGE);
    ck_assert_int_eq(get("a"), WEIR_EUNAVAILABLE);
    fault(S3_BIG_HEADERS);
    ck_assert_int_ne(get("a"), 0);
    check_err("headers");
    ck_assert_int_eq(get("a"), 0);
    close_rig();
}
END_TEST

START_TEST(an_error_with_an_endless_body_is_cut)
{
    char *page = malloc(300000);

    open_rig();
    memset(page, 'x', 299999);
    page[299999] = '\0';
    s3_server_fault(
        server,
        &(struct s3_fault){.kind = S3_ANSWER, .status = 500, .body = page});
    ck_assert_int_eq(get("a"), WEIR_EUNAVAILABLE);
    check_err("500");
    ck_assert_int_eq(get("a"), WEIR_ENOENT);
    close_rig();
    free(page);
}
END_TEST

START_TEST(a_list_that_cannot_be_read_is_an_error_and_not_empty)
{
    struct s3_fault script = {.kind = S3_ANSWER,
                              .status = 200,
                              .body = "<ListBucketResult><Contents>"};
    char line[64];

    open_rig();
    s3_server_fault(server, &script);
    ck_assert_int_eq(store_list(&rig, "", NULL, 9, line, sizeof(line)),
                     WEIR_EIO);
    check_err("LIST s3://bucket/p/: the list cannot be read: XML, line 1");
    close_rig();
}
END_TEST

/* A redirect would take the credentials along. */
START_TEST(a_redirect_is_told_and_not_followed)
{
    struct s3_fault script = {
        .kind = S3_ANSWER, .status = 301, .code = "PermanentRedirect"};
    char header[100];
    int before;

    open_rig();
    snprintf(header, sizeof(header), "Location: %s/bucket/p/b",
             s3_server_endpoint(server));
    script.header = header;
    s3_server_store(server, "p/b", "0123456789", 10);
    s3_server_fault(server, &script);
    before = s3_server_requests(server, NULL);
    ck_assert_int_eq(get("a"), WEIR_EIO);
    check_err("wrong region or endpoint");
    ck_assert_int_eq(s3_server_requests(server, NULL), before + 1);
    close_rig();
}
END_TEST

START_TEST(nobody_there_is_certainly_not_done)
{
    char uri[200];

    store_rig_init(&rig);
    server = s3_server_start();
    snprintf(uri, sizeof(uri), "s3://bucket/p?endpoint=%s",
             s3_server_endpoint(server));
    s3_server_stop(server);
    ck_assert_int_eq(try_open(uri, "key", "secret", NULL, NULL), 0);
    ck_assert_int_eq(put("a"), WEIR_EUNAVAILABLE);
    check_err("cannot connect");
    ck_assert_int_eq(get("a"), WEIR_EUNAVAILABLE);
    store_rig_close(&rig);
}
END_TEST

START_TEST(a_server_without_tls_is_told_from_one_that_is_not_there)
{
    char uri[200];

    store_rig_init(&rig);
    server = s3_server_start();
    snprintf(uri, sizeof(uri), "s3://bucket/p?endpoint=https%s",
             s3_server_endpoint(server) + 4);
    ck_assert_int_eq(try_open(uri, "key", "secret", NULL, NULL), 0);
    ck_assert_int_eq(put("a"), WEIR_EUNAVAILABLE);
    check_err("TLS failed");
    check_err("no TLS is spoken there: say endpoint=http://");
    close_rig();
}
END_TEST

/* Those that say so, and those that hang up or give an alert. */
START_TEST(a_port_of_tls_is_told_to_who_speaks_plain_http)
{
    static const struct s3_fault says = {
        .kind = S3_ANSWER,
        .status = 400,
        .body = "Client sent an HTTP request to an HTTPS server.\n"};

    open_rig();
    s3_server_fault(server, &says);
    ck_assert_int_eq(put("a"), WEIR_EIO);
    check_err("that port is one of TLS: say endpoint=https://");
    close_rig();
    open_rig();
    fault(S3_CLOSE_EARLY);
    ck_assert_int_ne(get("a"), 0);
    check_err("if that port is one of TLS, say endpoint=https://");
    fault(S3_GARBAGE);
    ck_assert_int_ne(get("a"), 0);
    check_err("if that port is one of TLS, say endpoint=https://");
    /* One that has answered by now speaks what it is spoken to in. */
    ck_assert_int_eq(put("a"), 0);
    fault(S3_GARBAGE);
    ck_assert_int_ne(get("a"), 0);
    check_err("HTTP/0.9");
    ck_assert_ptr_null(strstr(rig.err.text, "TLS"));
    close_rig();
}
END_TEST

START_TEST(wrong_keys_are_told_and_never_shown)
{
    static const char secret[] = "a-secret-that-is-not-to-be-seen";

    open_with(S3_SERVER_KEY, secret, NULL, NULL);
    ck_assert_int_eq(put("a"), WEIR_EAUTH);
    check_err("SignatureDoesNotMatch");
    ck_assert_ptr_null(strstr(rig.err.text, secret));
    ck_assert_int_eq(get("a"), WEIR_EAUTH);
    close_rig();
    open_with("AKIDNOBODY", S3_SERVER_SECRET, NULL, NULL);
    ck_assert_int_eq(get("a"), WEIR_EAUTH);
    check_err("InvalidAccessKeyId");
    close_rig();
}
END_TEST

START_TEST(a_store_without_keys_or_with_a_missing_ca_file_does_not_open)
{
    store_rig_init(&rig);
    ck_assert_int_eq(try_open("s3://bucket", "", "", NULL, NULL), WEIR_EAUTH);
    check_err("s3_access_key");
    ck_assert_int_ne(
        try_open("s3://bucket", "a", "b", "s3_ca_file", "/no/such/file.pem"),
        0);
    check_err("/no/such/file.pem");
    ck_assert_int_eq(try_open("s3://b", "a", "b", NULL, NULL), WEIR_EINVAL);
    store_rig_close(&rig);
}
END_TEST

START_TEST(no_bucket_is_told_from_no_key)
{
    char uri[200];
    char line[64];

    store_rig_init(&rig);
    server = s3_server_start();
    snprintf(uri, sizeof(uri), "s3://other?endpoint=%s",
             s3_server_endpoint(server));
    ck_assert_int_eq(try_open(uri, S3_SERVER_KEY, S3_SERVER_SECRET, NULL, NULL),
                     0);
    ck_assert_int_eq(get("a"), WEIR_ENOENT);
    check_err("NoSuchBucket");
    ck_assert_int_eq(put("a"), WEIR_ENOENT);
    ck_assert_int_eq(store_delete(&rig, "a"), WEIR_ENOENT);
    ck_assert_int_eq(store_list(&rig, "", NULL, 9, line, sizeof(line)),
                     WEIR_ENOENT);
    close_rig();
}
END_TEST

/* A page of foreign names alone must not look like the end of the list. */
START_TEST(foreign_names_in_the_bucket_are_passed_over)
{
    char line[64];

    open_rig();
    s3_server_store(server, "o/z", "", 0);
    for (int i = 0; i < 5; i++) {
        snprintf(line, sizeof(line), "p/Foreign name %d", i);
        s3_server_store(server, line, "", 0);
    }
    s3_server_store(server, "p/b", "", 0);
    s3_server_store(server, "p/c", "", 0);
    s3_server_store(server, "p/d", "", 0);
    s3_server_store(server, "q/a", "", 0);
    ck_assert_int_eq(store_list(&rig, "", NULL, 2, line, sizeof(line)), 0);
    ck_assert_str_eq(line, "b ...");
    ck_assert_int_eq(store_list(&rig, "", "b", 2, line, sizeof(line)), 0);
    ck_assert_str_eq(line, "c d");
    close_rig();
}
END_TEST

START_TEST(connections_are_kept_and_bounded)
{
    struct store_call calls[40];

    open_with(S3_SERVER_KEY, S3_SERVER_SECRET, "s3_connections", "3");
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(get("none"), WEIR_ENOENT);
    ck_assert_int_eq(s3_server_connections(server), 1);
    memset(calls, 0, sizeof(calls));
    for (int i = 0; i < 40; i++) {
        calls[i].req.verb = WEIR_STORE_HEAD;
        calls[i].req.key = "none";
        store_rig_start(&rig, &calls[i]);
    }
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(store_rig_finish(&rig, &calls[i]), WEIR_ENOENT);
    ck_assert_int_le(s3_server_connections(server), 3);
    close_rig();
}
END_TEST

START_TEST(who_waits_for_a_connection_has_a_deadline_too)
{
    struct store_call slow = {
        .req = {.verb = WEIR_STORE_GET, .key = "a", .length = UINT64_MAX}};

    open_with(S3_SERVER_KEY, S3_SERVER_SECRET, "s3_connections", "1");
    fault(S3_SILENT);
    slow.req.deadline = soon(60000);
    store_rig_start(&rig, &slow);
    while (s3_server_requests(server, NULL) == 0)
        test_host_settle(&rig.host);
    ck_assert_int_eq(run_until(WEIR_STORE_PUT, "b", 100), WEIR_ETIMEDOUT);
    check_err("before a connection was free");
    ck_assert_int_eq(slow.done, 0);
    store_rig_close_store(&rig);
    ck_assert_int_eq(slow.status, WEIR_ECANCELED);
    close_rig();
}
END_TEST

START_TEST(a_close_during_a_put_leaves_it_unknown)
{
    const struct weir_iov iov = {"body", 4};
    struct store_call call = {
        .req = {
            .verb = WEIR_STORE_PUT, .key = "a", .iov = &iov, .iov_count = 1}};

    open_rig();
    fault(S3_SILENT_AFTER);
    store_rig_start(&rig, &call);
    while (s3_server_size(server, "p/a") < 0)
        test_host_settle(&rig.host);
    store_rig_close_store(&rig);
    ck_assert_int_eq(call.status, WEIR_EUNKNOWN);
    close_rig();
}
END_TEST

/* libcurl takes a proxy from there, which the library must not do. */
START_TEST(the_environment_is_not_read)
{
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("all_proxy", "http://127.0.0.1:9", 1);
    open_rig();
    ck_assert_int_eq(put("a"), 0);
    ck_assert_int_eq(get("a"), 0);
    close_rig();
}
END_TEST

static const struct s3_fault faults[] = {
    {.kind = S3_RESET_BEFORE},
    {.kind = S3_RESET_AFTER},
    {.kind = S3_CLOSE_EARLY},
    {.kind = S3_ANSWER, .status = 500, .code = "InternalError"},
    {.kind = S3_ANSWER, .status = 503, .code = "SlowDown"},
    {.kind = S3_ANSWER, .status = 503},
    {.kind = S3_ANSWER, .status = 403, .code = "AccessDenied"},
    {.kind = S3_ANSWER, .status = 403, .code = "ExpiredToken"},
    {.kind = S3_ANSWER, .status = 204},
    {.kind = S3_ANSWER, .status = 304},
    {.kind = S3_ANSWER, .status = 404, .code = "NoSuchBucket"},
    {.kind = S3_ANSWER, .status = 409, .code = "OperationAborted"},
    {.kind = S3_ANSWER, .status = 416, .code = "InvalidRange"},
    {.kind = S3_ANSWER, .status = 599, .body = "<html>"},
    {.kind = S3_ANSWER_AFTER, .status = 500, .code = "InternalError"},
    {.kind = S3_ANSWER_AFTER, .status = 502, .body = "<html>bad gateway"},
    {.kind = S3_ANSWER_AFTER, .status = 503, .body = "<html>reset"},
    {.kind = S3_ANSWER_AFTER, .status = 504},
    {.kind = S3_ANSWER_AFTER, .status = 408},
    {.kind = S3_ANSWER_AFTER, .status = 200, .body = "<html>sign in"},
    {.kind = S3_TRUNCATE, .cut = 0},
    {.kind = S3_SHIFT_RANGE},
    {.kind = S3_FULL_BODY},
    {.kind = S3_DRIP},
    {.kind = S3_SILENT},
    {.kind = S3_SILENT_AFTER},
    {.kind = S3_BIG_HEADERS},
    {.kind = S3_GARBAGE},
};

/* Bytes that a GET may return are the object's, whatever happens. */
static void check_bytes(const struct store_call *call)
{
    if (call->status != 0 || call->req.verb != WEIR_STORE_GET)
        return;
    ck_assert_uint_eq(call->req.body->len, 3);
    ck_assert_mem_eq(call->req.body->data, "234", 3);
    weir_buf_unref(call->req.body);
}

/* For each fault, with each verb, on a new connection and on a kept one. */
START_TEST(no_fault_makes_a_put_that_was_done_look_undone)
{
    const struct weir_iov iov = {"body", 4};

    open_rig();
    for (int turn = 0; turn < 10; turn++) {
        struct store_call call = {.req = {.verb = (unsigned)turn % 5,
                                          .key = "there",
                                          .iov = &iov,
                                          .offset = 2,
                                          .length = 3,
                                          .limit = 10}};
        bool is_put = call.req.verb == WEIR_STORE_PUT;
        bool kept = turn >= 5;

        s3_server_fault(server, NULL);
        s3_server_store(server, "p/there", "0123456789", 10);
        if (kept)
            ck_assert_int_eq(get("there"), 0);
        s3_server_fault(server, &faults[_i]);
        if (is_put) {
            call.req.key = kept ? "new1" : "new2";
            call.req.flags = WEIR_STORE_IF_ABSENT;
        }
        call.req.deadline = soon(150);
        store_rig_start(&rig, &call);
        store_rig_finish(&rig, &call);
        check_bytes(&call);
        if (is_put) {
            long size = s3_server_size(server, kept ? "p/new1" : "p/new2");
            bool unclear = call.status == WEIR_EUNKNOWN;

            ck_assert_msg(size < 0 || call.status == 0 || unclear,
                          "done, and told %s", weir_error_name(call.status));
            ck_assert_msg(call.status != WEIR_ECONFLICT, "lost to itself");
        }
    }
    close_rig();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_faults");

    tcase_add_test(tc, a_put_that_was_cut_off_after_it_came_is_unknown);
    tcase_add_test(tc, a_create_is_not_sent_twice_on_a_kept_connection);
    tcase_add_test(tc, a_put_whose_body_did_not_all_go_out_is_not_done);
    tcase_add_test(tc, a_large_body_does_not_depend_on_a_continue);
    tcase_add_test(tc, an_open_without_memory_leaves_nothing);
    tcase_add_test(tc, a_refusal_of_s3_is_not_done_and_a_failure_is_unknown);
    tcase_add_test(tc, a_web_page_is_no_answer);
    tcase_add_test(tc, a_body_that_is_cut_short_is_never_data);
    tcase_add_test(tc, a_wrong_range_is_never_data);
    tcase_add_test(tc, silence_ends_at_the_deadline);
    tcase_add_test(tc, what_is_not_http_is_an_error);
    tcase_add_test(tc, an_error_with_an_endless_body_is_cut);
    tcase_add_test(tc, a_list_that_cannot_be_read_is_an_error_and_not_empty);
    tcase_add_test(tc, a_redirect_is_told_and_not_followed);
    tcase_add_test(tc, nobody_there_is_certainly_not_done);
    tcase_add_test(tc, a_server_without_tls_is_told_from_one_that_is_not_there);
    tcase_add_test(tc, a_port_of_tls_is_told_to_who_speaks_plain_http);
    tcase_add_test(tc, wrong_keys_are_told_and_never_shown);
    tcase_add_test(
        tc, a_store_without_keys_or_with_a_missing_ca_file_does_not_open);
    tcase_add_test(tc, no_bucket_is_told_from_no_key);
    tcase_add_test(tc, foreign_names_in_the_bucket_are_passed_over);
    tcase_add_test(tc, connections_are_kept_and_bounded);
    tcase_add_test(tc, who_waits_for_a_connection_has_a_deadline_too);
    tcase_add_test(tc, a_close_during_a_put_leaves_it_unknown);
    tcase_add_test(tc, the_environment_is_not_read);
    tcase_add_loop_test(tc, no_fault_makes_a_put_that_was_done_look_undone, 0,
                        sizeof(faults) / sizeof(faults[0]));
    return test_run();
}
