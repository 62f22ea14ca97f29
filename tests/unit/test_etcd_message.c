/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to etcd's gateway, and what is made of its answers, also of
 * those that no etcd gives. */
#include "store/etcd.h"

#include "http/digest.h"
#include "http/json.h"
#include "support/test.h"

#include <string.h>

static struct weir__writer w;

static void begin(void)
{
    weir__writer_init(&w, weir_alloc_default());
}

static void is(const char *text)
{
    ck_assert_uint_eq(w.len, strlen(text));
    ck_assert_mem_eq(w.data, text, w.len);
    weir__writer_free(&w);
}

START_TEST(requests_are_what_the_gateway_takes)
{
    const struct weir_iov iov[] = {{"he", 2}, {"", 0}, {"llo", 3}};

    begin();
    weir__etcd_write_get(&w, "a/b");
    is("{\"key\":\"YS9i\"}");
    begin();
    weir__etcd_write_list(&w, "a", "b", 7);
    is("{\"key\":\"YQ==\",\"range_end\":\"Yg==\",\"limit\":\"7\","
       "\"keys_only\":true}");
    begin(); /* A zero, and "hello" in three pieces. */
    weir__etcd_write_put(&w, "k", 0, iov, 3);
    is("{\"key\":\"aw==\",\"value\":\"AGhlbGxv\"}");
    begin();
    weir__etcd_write_create(&w, "k", 1, iov, 1);
    is("{\"compare\":[{\"result\":\"EQUAL\",\"target\":\"CREATE\","
       "\"key\":\"aw==\",\"create_revision\":\"0\"}],"
       "\"success\":[{\"request_put\":{\"key\":\"aw==\","
       "\"value\":\"AWhl\"}}],"
       "\"failure\":[{\"request_range\":{\"key\":\"aw==\"}}]}");
    begin();
    weir__etcd_write_watch(&w, "a", "b");
    is("{\"create_request\":{\"key\":\"YQ==\",\"range_end\":\"Yg==\","
       "\"filters\":[\"NODELETE\"],\"progress_notify\":true}}");
    begin();
    weir__etcd_write_login(&w, "u\"\\\n", "p\xc3\xa4");
    is("{\"name\":\"u\\\"\\\\\\u000a\",\"password\":\"p\xc3\xa4\"}");
}
END_TEST

static struct weir__etcd_news news;

static int read_news(const char *text)
{
    struct weir__json *root = NULL;
    int rc;

    ck_assert_int_eq(weir__json_parse(&root, text, strlen(text), NULL), 0);
    rc = weir__etcd_read_news(&news, root);
    weir__json_free(root);
    return rc;
}

START_TEST(lines_of_a_watch_are_read)
{
    ck_assert_int_eq(read_news("{\"result\":{\"header\":{\"revision\":\"7\"},"
                               "\"created\":true}}"),
                     0);
    ck_assert(news.created && !news.canceled && news.revision == 7);
    ck_assert_str_eq(news.key, "");
    ck_assert_int_eq(
        read_news("{\"result\":{\"header\":{\"revision\":8},\"events\":["
                  "{\"type\":\"PUT\",\"kv\":{\"key\":\"Yg==\"}},"
                  "{\"kv\":{\"key\":\"YQ==\",\"value\":\"!\"}},"
                  "{\"type\":\"DELETE\",\"kv\":{\"key\":\"Yw==\"}}]}}"),
        0);
    ck_assert(!news.created && !news.canceled && news.revision == 8);
    ck_assert_str_eq(news.key, "b");
    ck_assert_int_eq(read_news("{\"result\":{}}"), 0);
    ck_assert(!news.created && !news.canceled && news.revision == 0);
    ck_assert_int_eq(
        read_news("{\"result\":{\"created\":true,\"canceled\":true,"
                  "\"cancel_reason\":\"etcdserver: permission denied\"}}"),
        0);
    ck_assert(news.canceled && news.login);
    ck_assert_int_eq(read_news("{\"result\":{\"canceled\":true,"
                               "\"compact_revision\":\"3\"}}"),
                     0);
    ck_assert(news.canceled && !news.login);
    ck_assert_int_eq(read_news("{\"error\":{\"message\":\"no\\nleader\"}}"), 0);
    ck_assert(news.canceled && !news.login);
    ck_assert_str_eq(news.reason, "noleader");
}
END_TEST

START_TEST(what_is_no_line_of_a_watch_is_refused)
{
    static const char *const bad[] = {
        "{}",
        "[{\"result\":{}}]",
        "{\"result\":{\"events\":[{}]}}",
        "{\"result\":{\"events\":[{\"kv\":{\"key\":7}}]}}",
        "{\"result\":{\"events\":[{\"kv\":{\"key\":\"AA==\"}}]}}",
        "{\"result\":{\"events\":[7]}}",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(read_news(bad[i]) == WEIR_EFORMAT, "%s", bad[i]);
}
END_TEST

START_TEST(base64_is_read_as_it_is_written)
{
    unsigned char bytes[64];
    unsigned char back[96];
    char text[100];
    size_t len;

    for (size_t n = 0; n < sizeof(bytes); n++) {
        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)(i * 37 + n);
        weir__base64(text, bytes, n);
        ck_assert_int_eq(weir__base64_decode(back, &len, text), 0);
        ck_assert_uint_eq(len, n);
        ck_assert_mem_eq(back, bytes, n);
    }
    ck_assert_int_eq(weir__base64_decode(back, &len, "AAA"), WEIR_EFORMAT);
    ck_assert_int_eq(weir__base64_decode(back, &len, "A=AA"), WEIR_EFORMAT);
    ck_assert_int_eq(weir__base64_decode(back, &len, "AA-A"), WEIR_EFORMAT);
}
END_TEST

/* The status of reading a value out of an answer to a range. */
static int value_of(const char *json, struct weir__etcd_value *value)
{
    struct weir__json *root;
    int rc;

    ck_assert_int_eq(weir__json_parse(&root, json, strlen(json), NULL), 0);
    rc = weir__etcd_read_value(value, weir_alloc_default(),
                               weir__json_get(root, "kvs"));
    weir__json_free(root);
    return rc;
}

START_TEST(a_value_is_there_or_not_or_cannot_be_read)
{
    static const char *const bad[] = {
        "{\"kvs\":[{}]}", "{\"kvs\":[{\"value\":7}]}",
        "{\"kvs\":[{\"value\":\"\"}]}", "{\"kvs\":[{\"value\":\"A\"}]}",
        "{\"kvs\":[{\"value\":\"Ag==\"}]}" /* A tag that there is not. */};
    struct weir__etcd_value value;

    ck_assert_int_eq(value_of("{\"kvs\":[{\"value\":\"AGhlbGxv\"}]}", &value),
                     0);
    ck_assert_uint_eq(value.tag, 0);
    ck_assert_uint_eq(value.body->len, 5);
    ck_assert_mem_eq(value.body->data, "hello", 5);
    weir_buf_unref(value.body);
    ck_assert_int_eq(value_of("{}", &value), 0);
    ck_assert_ptr_null(value.body);
    ck_assert_int_eq(value_of("{\"kvs\":{}}", &value), 0);
    ck_assert_ptr_null(value.body);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(value_of(bad[i], &value), WEIR_EFORMAT);
        ck_assert_ptr_null(value.body);
    }
}
END_TEST

START_TEST(chunks_come_back_and_nothing_else_passes_for_them)
{
    struct weir__etcd_chunks chunks = {"0123456789abcdef0123456789abcdef",
                                       1234567};
    struct weir__etcd_chunks back;
    unsigned char data[WEIR__ETCD_CHUNKS_SIZE];

    weir__etcd_chunks_encode(data, &chunks);
    ck_assert_int_eq(weir__etcd_chunks_decode(&back, data, sizeof(data)), 0);
    ck_assert_str_eq(back.id, chunks.id);
    ck_assert_uint_eq(back.size, 1234567);
    ck_assert_int_eq(weir__etcd_chunks_decode(&back, data, 39), WEIR_EFORMAT);
    data[3] = '/'; /* It would lead out of the place of chunks. */
    ck_assert_int_eq(weir__etcd_chunks_decode(&back, data, sizeof(data)),
                     WEIR_EFORMAT);
    weir__etcd_chunks_encode(data, &chunks);
    memset(data + 32, 0xff, 8);
    ck_assert_int_eq(weir__etcd_chunks_decode(&back, data, sizeof(data)),
                     WEIR_EFORMAT);
}
END_TEST

static const struct {
    int http;
    const char *body;
    int put;
    int status;
    int login;
} failures[] = {
    {503, "{\"error\":\"etcdserver: leader changed\",\"code\":14}", 1,
     WEIR_EUNKNOWN, 0},
    {503, "{\"error\":\"etcdserver: leader changed\",\"code\":14}", 0,
     WEIR_EUNAVAILABLE, 0},
    {401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", 1,
     WEIR_EAUTH, 1},
    {400, "{\"error\":\"etcdserver: user name is empty\",\"code\":3}", 1,
     WEIR_EAUTH, 1},
    {400,
     "{\"error\":\"etcdserver: authentication failed, invalid user ID or "
     "password\",\"code\":3}",
     1, WEIR_EAUTH, 0},
    {403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}", 1,
     WEIR_EACCES, 0},
    {429,
     "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}", 1,
     WEIR_ENOSPC, 0},
    {400, "{\"error\":\"etcdserver: request is too large\",\"code\":3}", 1,
     WEIR_ETOOBIG, 0},
    {404, "404 page not found", 0, WEIR_EUNSUPPORTED, 0},
    {502, "<html>Bad gateway</html>", 1, WEIR_EUNKNOWN, 0},
    {500, "[[[[", 0, WEIR_EUNAVAILABLE, 0},
    {500, "", 1, WEIR_EUNKNOWN, 0},
};

START_TEST(failures_say_what_they_mean)
{
    struct weir_error err = {0};
    int login = -1;
    int rc = weir__etcd_failure(failures[_i].http, failures[_i].body,
                                strlen(failures[_i].body), failures[_i].put,
                                &login, "PUT etcd:x", &err);

    ck_assert_int_eq(rc, failures[_i].status);
    ck_assert_int_eq(login, failures[_i].login);
    ck_assert_int_eq(err.code, rc);
    ck_assert_ptr_nonnull(strstr(err.text, "PUT etcd:x: HTTP status"));
}
END_TEST

int main(void)
{
    TCase *tc = test_case("etcd_message");

    tcase_add_test(tc, requests_are_what_the_gateway_takes);
    tcase_add_test(tc, lines_of_a_watch_are_read);
    tcase_add_test(tc, what_is_no_line_of_a_watch_is_refused);
    tcase_add_test(tc, base64_is_read_as_it_is_written);
    tcase_add_test(tc, a_value_is_there_or_not_or_cannot_be_read);
    tcase_add_test(tc, chunks_come_back_and_nothing_else_passes_for_them);
    tcase_add_loop_test(tc, failures_say_what_they_mean, 0,
                        sizeof(failures) / sizeof(failures[0]));
    return test_run();
}
