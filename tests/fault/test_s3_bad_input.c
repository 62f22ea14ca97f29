/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose bucket cannot be used: what is wrong is told, each thing in
 * words of its own and within the deadline; what was acknowledged stays safe in
 * the log; those who append get back-pressure; and no secret is shown. */
#include "support/node.h"
#include "support/s3_server.h"
#include "support/test.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must not be seen anywhere. */
#define CANARY_SECRET "canary/secret+which/nobody+may/see0"
#define CANARY_TOKEN "canary-token-which-nobody-may-see-1"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct s3_server *server;

/* ---- An ear and an eye for secrets -----------------------------------------
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *heard; /* All that was logged. */
static size_t heard_len;
static FILE *ear;
static int unwiped; /* Blocks that were given back with a secret in them. */

static void hear(void *ctx, enum weir_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    pthread_mutex_lock(&lock);
    fprintf(ear, "%s\n", text);
    pthread_mutex_unlock(&lock);
}

static const struct weir_log listener = {sizeof(listener), hear, NULL};

/* Whole, in its parts, or as the key of a signature ("AWS4" and it). */
static bool shows_secret(const void *data, size_t len)
{
    static const char *const secrets[] = {CANARY_SECRET, CANARY_TOKEN,
                                          S3_SERVER_SECRET};

    for (size_t i = 0; i < COUNT(secrets); i++)
        if (memmem(data, len, secrets[i], 12) != NULL)
            return true;
    return false;
}

/* In front of each block. */
struct mark {
    size_t size;  /* To look at when it is given back. */
    size_t align; /* Where the block begins before this. */
};

static void *mark(char *block, size_t size, size_t align)
{
    struct mark *at;

    if (block == NULL)
        return NULL;
    memset(block, 0xaa, size + align);
    at = (struct mark *)(void *)(block + align) - 1;
    *at = (struct mark){size, align};
    return at + 1;
}

static void *watch_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return mark(malloc(size + sizeof(struct mark)), size, sizeof(struct mark));
}

static void *watch_aligned(void *ctx, size_t align, size_t size)
{
    (void)ctx;
    return mark(aligned_alloc(align, size + align), size, align);
}

static void watch_free(void *ctx, void *ptr)
{
    struct mark *at = ptr;

    (void)ctx;
    if (ptr == NULL)
        return;
    if (shows_secret(ptr, at[-1].size))
        __atomic_add_fetch(&unwiped, 1, __ATOMIC_RELAXED);
    free((char *)ptr - at[-1].align);
}

static void *watch_realloc(void *ctx, void *ptr, size_t size)
{
    void *to = watch_malloc(ctx, size);
    size_t old;

    if (ptr == NULL || to == NULL)
        return to;
    old = ((struct mark *)ptr)[-1].size;
    memcpy(to, ptr, old < size ? old : size);
    watch_free(ctx, ptr);
    return to;
}

static const struct weir_alloc watched = {
    .size = sizeof(watched),
    .malloc = watch_malloc,
    .realloc = watch_realloc,
    .aligned = watch_aligned,
    .free = watch_free,
};

static void listen_begin(void)
{
    ear = open_memstream(&heard, &heard_len);
    ck_assert_ptr_nonnull(ear);
}

static void check_no_secret(const struct weir_error *err)
{
    ck_assert_msg(!shows_secret(err->text, strlen(err->text)),
                  "a secret is shown: %s", err->text);
}

static void listen_end(void)
{
    fclose(ear);
    ck_assert_msg(!shows_secret(heard, heard_len), "a secret is logged: %s",
                  heard);
    free(heard);
    heard = NULL;
    ck_assert_int_eq(unwiped, 0);
}

/* ---- What can be wrong ------------------------------------------------------
 */

struct wrong {
    const char *name;
    const char *says; /* And no other one does. */
    int status;
    const char *uri; /* NULL: that of the scripted server; %s: its port. */
    const char *key;
    const char *secret;
    struct s3_fault fault; /* Of all requests, from now on. */
    bool impatient;        /* It ends when the time is over. */
};

#define ALWAYS(http, text)                                                     \
    .fault = {                                                                 \
        .kind = S3_ANSWER, .status = (http), .code = (text), .count = 1000000}

static const struct wrong wrongs[] = {
    {.name = "wrong secret",
     .says = "check the secret key",
     .status = WEIR_EAUTH,
     .secret = CANARY_SECRET},
    {.name = "unknown key",
     .says = "InvalidAccessKeyId",
     .status = WEIR_EAUTH,
     .key = "AKIDNOBODY",
     .secret = CANARY_SECRET},
    {.name = "expired token",
     .says = "ExpiredToken",
     .status = WEIR_EAUTH,
     ALWAYS(400, "ExpiredToken")},
    {.name = "no such bucket",
     .says = "create the bucket",
     .status = WEIR_ENOENT,
     .uri = "s3://nowhere/p?endpoint=http://127.0.0.1:%s"},
    {.name = "no permission",
     .says = "AccessDenied",
     .status = WEIR_EACCES,
     ALWAYS(403, "AccessDenied")},
    {.name = "wrong region",
     .says = "is in region eu-west-9",
     .status = WEIR_EIO,
     .fault = {.kind = S3_ANSWER,
               .status = 301,
               .code = "PermanentRedirect",
               .header = "x-amz-bucket-region: eu-west-9",
               .count = 1000000}},
    {.name = "wrong clock",
     .says = "set this machine's clock",
     .status = WEIR_EAUTH,
     .fault = {.kind = S3_ANSWER,
               .status = 403,
               .code = "RequestTimeTooSkewed",
               .header = "Date: Mon, 02 Jan 2006 15:04:05 GMT",
               .count = 1000000}},
    {.name = "no TLS",
     .says = "TLS failed",
     .status = WEIR_EUNAVAILABLE,
     .uri = "s3://bucket/p?endpoint=https://127.0.0.1:%s"},
    {.name = "no such name",
     .says = "cannot look up the host",
     .status = WEIR_EUNAVAILABLE,
     .uri = "s3://bucket/p?endpoint=https://name.invalid:%s"},
    {.name = "nobody there",
     .says = "cannot connect",
     .status = WEIR_EUNAVAILABLE,
     .uri = "s3://bucket/p?endpoint=http://127.0.0.1:1"},
    {.name = "web page",
     .says = "a web page",
     .status = WEIR_EUNKNOWN,
     .fault = {.kind = S3_ANSWER,
               .status = 200,
               .body = "<!DOCTYPE html><html>Please sign in.</html>",
               .header = "Content-Type: text/html",
               .count = 1000000}},
    {.name = "silence",
     .says = "no end in time",
     .status = WEIR_EUNKNOWN,
     .fault = {.kind = S3_SILENT, .count = 1000000},
     .impatient = true},
    {.name = "no HTTP",
     .says = "HTTP/0.9",
     .status = WEIR_EUNKNOWN,
     .fault = {.kind = S3_GARBAGE, .count = 1000000}},
    {.name = "quota",
     .says = "QuotaExceeded",
     .status = WEIR_ENOSPC,
     ALWAYS(507, "QuotaExceeded")},
    {.name = "overload",
     .says = "SlowDown",
     .status = WEIR_ETHROTTLED,
     ALWAYS(503, "SlowDown")},
};

static struct weir_config *configure(const struct wrong *wrong)
{
    const char *port = strrchr(s3_server_endpoint(server), ':') + 1;
    const char *const pairs[][2] = {
        {"s3_access_key", wrong->key != NULL ? wrong->key : S3_SERVER_KEY},
        {"s3_secret_key",
         wrong->secret != NULL ? wrong->secret : S3_SERVER_SECRET},
        {"s3_session_token", CANARY_TOKEN},
        {"s3_retry_delay", "1ms"},
        {"s3_retry_delay_max", "5ms"},
        {"s3_attempts", "3"},
        {"s3_timeout", wrong->impatient ? "3s" : "5min"},
        {"s3_attempt_timeout", wrong->impatient ? "1s" : "1min"},
        {"log_cache", "4MiB"},
        {"segment", "64KiB"},
        {"upload_interval", "1h"},
    };
    struct weir_config *config;
    char text[400];

    ck_assert_int_eq(weir_config_new(&config, &watched), 0);
    weir_config_set_log(config, &listener);
    for (size_t i = 0; i < COUNT(pairs); i++)
        ck_assert_int_eq(
            weir_config_set(config, pairs[i][0], pairs[i][1], NULL), 0);
    /* One of our own tables, above. */
    if (wrong->uri == NULL)
        snprintf(text, sizeof(text), "s3://bucket/p?endpoint=%s",
                 s3_server_endpoint(server));
    else
        snprintf(text, sizeof(text), "%.*s%s", (int)strcspn(wrong->uri, "%"),
                 wrong->uri, strchr(wrong->uri, '%') != NULL ? port : "");
    ck_assert_int_eq(weir_config_set(config, "store", text, NULL), 0);
    snprintf(text, sizeof(text), "file:%s/wal?size=16MiB", test_dir());
    ck_assert_int_eq(weir_config_set(config, "wal", text, NULL), 0);
    return config;
}

/* The words of this one, and of no other. */
static void check_told(const struct wrong *wrong, int status,
                       const struct weir_error *err)
{
    ck_assert_msg(status == wrong->status, "%s: %s: %s", wrong->name,
                  weir_error_name(status), err->text);
    for (size_t i = 0; i < COUNT(wrongs); i++)
        ck_assert_msg((strstr(err->text, wrongs[i].says) != NULL) ==
                          (&wrongs[i] == wrong),
                      "%s: %s", wrong->name, err->text);
    check_no_secret(err);
}

START_TEST(what_is_wrong_is_told_when_a_node_opens)
{
    const struct wrong *wrong = &wrongs[_i];
    struct weir_config *config;
    struct weir *node = NULL;
    struct weir_error err = {0};
    int rc;

    server = s3_server_start();
    listen_begin();
    config = configure(wrong);
    s3_server_fault(server, &wrong->fault);
    rc = weir_open(&node, config, &err);
    check_told(wrong, rc, &err);
    ck_assert_str_eq(weir_config_get(config, "s3_secret_key"), "***");
    ck_assert_str_eq(weir_config_get(config, "s3_session_token"), "***");
    weir_config_free(config);
    listen_end();
    s3_server_stop(server);
}
END_TEST

/* ---- A bucket that goes bad while a node is open
 * ----------------------------- */

enum { RECORD = 60000, MANY = 400 };

static char payload[RECORD];

/* Appends until there is no more room: how many were acknowledged. */
static uint64_t append_until_refused(struct weir_stream *stream)
{
    struct weir_append a = {0};
    uint64_t count = 0;
    int rc;

    do {
        memset(payload, (int)('a' + count % 26), RECORD);
        a = (struct weir_append){.req.err = &test_error,
                                 .data = payload,
                                 .len = RECORD,
                                 .count = 1,
                                 .max_timestamp = WEIR_NO_TIMESTAMP};
        rc = weir_append_sync(stream, &a);
        count += rc == 0;
    } while (rc == 0 && count < MANY);
    ck_assert_msg(rc == WEIR_EAGAIN, "%s: %s", weir_error_name(rc),
                  test_error.text);
    return count;
}

static void check_records(struct weir_stream *stream, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct weir_fetch fetch;

        ck_assert_int_eq(test_fetch(stream, i, &fetch), 0);
        memset(payload, (int)('a' + i % 26), RECORD);
        ck_assert_uint_ge(fetch.count, 1);
        ck_assert_uint_eq(fetch.batches[0].len, RECORD);
        ck_assert_mem_eq(fetch.batches[0].data, payload, RECORD);
        weir_fetch_release(&fetch);
    }
}

/* Where the answer of a server is what is wrong. */
static bool can_come_later(const struct wrong *wrong)
{
    return wrong->fault.kind != S3_FAULT_NONE;
}

static bool was_heard(const char *text)
{
    bool found;

    pthread_mutex_lock(&lock);
    fflush(ear);
    found = memmem(heard, heard_len, text, strlen(text)) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

static struct weir_flush in_vain;
static struct weir_error in_vain_err;
static int in_vain_ended;

static void ended_in_vain(struct weir_req *req, int status)
{
    (void)req;
    ck_assert_int_ne(status, 0);
    in_vain_ended = 1;
}

/* It ends with what is wrong; or, when that may pass, goes on trying, and
 * the log tells what is wrong. */
static void flush_in_vain(struct weir *node, const struct wrong *wrong)
{
    in_vain =
        (struct weir_flush){.req.done = ended_in_vain, .req.err = &in_vain_err};
    in_vain_ended = 0;
    ck_assert_int_eq(weir_flush(node, &in_vain), 0);
    while (!in_vain_ended && !was_heard(wrong->says))
        ck_assert_int_ge(weir_poll(node, 10000000), 0);
    if (!in_vain_ended)
        return;
    ck_assert_msg(strstr(in_vain_err.text, wrong->says) != NULL, "%s: %s",
                  wrong->name, in_vain_err.text);
    check_no_secret(&in_vain_err);
}

START_TEST(what_was_acknowledged_is_safe_while_the_bucket_is_bad)
{
    const struct wrong *wrong = &wrongs[_i];
    struct weir_config *config;
    struct weir_stream *stream;
    struct weir *node;
    uint64_t count;

    if (!can_come_later(wrong))
        return;
    server = s3_server_start();
    listen_begin();
    config = configure(wrong);
    node = test_open(config);
    stream = test_stream(node, "s", WEIR_STREAM_CREATE);
    s3_server_fault(server, &wrong->fault);
    count = append_until_refused(stream);
    ck_assert_uint_gt(count, 20);
    flush_in_vain(node, wrong);
    check_records(stream, count);

    /* The process ends, and another one finds the bucket mended. */
    weir_free(node);
    ck_assert_int_eq(in_vain_ended, 1);
    s3_server_fault(server, NULL);
    node = test_open(config);
    stream = test_stream(node, "s", 0);
    check_records(stream, count);
    test_flush(node);
    check_records(stream, count);
    weir_free(node);
    weir_config_free(config);
    listen_end();
    s3_server_stop(server);
}
END_TEST

/* A server, or a proxy in between, that shows what it was sent. */
START_TEST(a_server_that_repeats_a_secret_does_not_get_it_shown)
{
    static const char *const bodies[] = {
        "<Error><Code>InvalidToken</Code><Message>" CANARY_TOKEN
        " is malformed</Message></Error>",
        "<Error><Code>" CANARY_TOKEN "</Code></Error>",
        "<Error><Code>SignatureDoesNotMatch</Code><Message>"
        "AWS4" S3_SERVER_SECRET "</Message></Error>",
        "<Error><Code>PermanentRedirect</Code><Region>" CANARY_TOKEN
        "</Region></Error>",
    };
    struct wrong wrong = {.name = "repeats"};

    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct weir_config *config;
        struct weir *node = NULL;
        struct weir_error err = {0};

        server = s3_server_start();
        listen_begin();
        config = configure(&wrong);
        s3_server_fault(server, &(struct s3_fault){.kind = S3_ANSWER,
                                                   .status = 403,
                                                   .body = bodies[i],
                                                   .count = 1000000});
        ck_assert_int_ne(weir_open(&node, config, &err), 0);
        check_no_secret(&err);
        weir_config_free(config);
        unwiped = 0; /* What it has sent is in its hands, not in ours. */
        listen_end();
        s3_server_stop(server);
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_bad_input");

    tcase_add_loop_test(tc, what_is_wrong_is_told_when_a_node_opens, 0,
                        COUNT(wrongs));
    tcase_add_loop_test(tc,
                        what_was_acknowledged_is_safe_while_the_bucket_is_bad,
                        0, COUNT(wrongs));
    tcase_add_test(tc, a_server_that_repeats_a_secret_does_not_get_it_shown);
    return test_run();
}
