/* SPDX-License-Identifier: Apache-2.0 */
/* Where an s3 store is, what it sends, and what it makes of a list and of a
 * range that come back: without a network. */
#include "store/s3.h"

#include "support/host.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

static struct weir_error err;

static int read_place(struct weir__s3_place *place, const char *text)
{
    struct weir__uri uri;
    int rc;

    err = (struct weir_error){0};
    ck_assert_int_eq(weir__uri_parse(&uri, weir_alloc_default(), text, &err),
                     0);
    rc = weir__s3_place_read(place, weir_alloc_default(), &uri, &err);
    weir__uri_free(&uri);
    return rc;
}

struct where {
    const char *uri;
    const char *url; /* Of the object "k". */
};

static const struct where good[] = {
    {"s3://bucket", "https://bucket.s3.us-east-1.amazonaws.com/k"},
    {"s3://bucket/a/b?region=eu-west-1",
     "https://bucket.s3.eu-west-1.amazonaws.com/a/b/k"},
    {"s3://bucket/a/b/?region=cn-north-1",
     "https://bucket.s3.cn-north-1.amazonaws.com.cn/a/b/k"},
    {"s3://my.bucket", "https://s3.us-east-1.amazonaws.com/my.bucket/k"},
    {"s3://bucket?path_style=true",
     "https://s3.us-east-1.amazonaws.com/bucket/k"},
    {"s3://bucket/p?endpoint=http://127.0.0.1:7480",
     "http://127.0.0.1:7480/bucket/p/k"},
    {"s3://bucket?endpoint=http://localhost:80", "http://localhost/bucket/k"},
    {"s3://bucket?endpoint=https://host:443/", "https://host/bucket/k"},
    {"s3://bucket?endpoint=https://host:8443", "https://host:8443/bucket/k"},
    {"s3://bucket?endpoint=http://[::1]:9000", "http://[::1]:9000/bucket/k"},
    {"s3://bucket?endpoint=http://[::1]", "http://[::1]/bucket/k"},
    {"s3://bucket?endpoint=https://s3.example.org&path_style=false",
     "https://bucket.s3.example.org/k"},
    {"s3://bucket?endpoint=http://10.0.0.1:80&insecure=true",
     "http://10.0.0.1/bucket/k"},
};

static void make(struct weir__s3_message *m, const char *uri,
                 const struct weir_store_req *req, const char *after,
                 const char *token)
{
    struct weir__s3_place place;
    struct weir__s3_credentials keys = {0};
    struct weir__s3_payload payload = {.hash = "UNSIGNED-PAYLOAD",
                                       .crc32c = "AAAAAA=="};

    ck_assert_msg(read_place(&place, uri) == 0, "%s", err.text);
    ck_assert_int_eq(weir__s3_credentials_copy(&keys, weir_alloc_default(),
                                               "AK", "SK", token),
                     0);
    ck_assert_int_eq(
        weir__s3_request(m, &place, &keys, req, after, &payload, 0), 0);
    weir__s3_credentials_wipe(&keys);
    weir__s3_place_free(&place);
}

/* The line of a header, or "". */
static const char *line_of(const struct weir__s3_message *m, const char *name)
{
    for (size_t i = 0; i < m->line_count; i++)
        if (strncmp(m->lines[i], name, strlen(name)) == 0)
            return m->lines[i];
    return "";
}

START_TEST(a_uri_says_where_an_object_is)
{
    const struct weir_store_req req = {
        .verb = WEIR_STORE_GET, .key = "k", .length = UINT64_MAX};
    struct weir__s3_message m;
    char host[200];

    make(&m, good[_i].uri, &req, NULL, NULL);
    ck_assert_str_eq(m.url, good[_i].url);
    snprintf(host, sizeof(host), "host: %s", strstr(m.url, "//") + 2);
    host[strcspn(host, "/")] = '\0';
    ck_assert_str_eq(line_of(&m, "host: "), host);
    weir__s3_message_wipe(&m);
}
END_TEST

struct wrong {
    const char *uri;
    const char *word; /* That the error has. */
};

static const struct wrong bad[] = {
    {"s3:bucket", "s3://BUCKET"},
    {"s3://", "s3://BUCKET"},
    {"s3:///p", "s3://BUCKET"},
    {"s3://ab", "s3://BUCKET"},
    {"s3://b@d", "s3://BUCKET"},
    {"s3://bucket/A", "prefix"},
    {"s3://bucket/a//b", "prefix"},
    {"s3://bucket/../x", "prefix"},
    {"s3://bucket?regoin=x", "regoin"},
    {"s3://bucket?region=a/b", "region=a/b"},
    {"s3://bucket?region=", "region="},
    {"s3://bucket?path_style=maybe", "path_style"},
    {"s3://bucket?endpoint=127.0.0.1:80", "http://HOST:PORT"},
    {"s3://bucket?endpoint=ftp://host", "http://HOST:PORT"},
    {"s3://bucket?endpoint=https://host/path", "no path"},
    {"s3://bucket?endpoint=https://", "host name"},
    {"s3://bucket?endpoint=https://host:0", "port"},
    {"s3://bucket?endpoint=https://host:65536", "port"},
    {"s3://bucket?endpoint=https://host:", "port"},
    {"s3://bucket?endpoint=https://user@host", "host name"},
    {"s3://bucket?endpoint=https://host%0d%0aX:1", "host name"},
    {"s3://bucket?endpoint=http://10.0.0.1", "insecure=true"},
    {"s3://bucket?endpoint=http://127.evil.org", "insecure=true"},
    {"s3://bucket?endpoint=http://localhost.evil.org", "insecure=true"},
};

START_TEST(a_wrong_uri_is_told_by_its_part)
{
    struct weir__s3_place place;

    ck_assert_int_eq(read_place(&place, bad[_i].uri), WEIR_EINVAL);
    ck_assert_msg(strstr(err.text, bad[_i].word) != NULL, "%s", err.text);
    weir__s3_place_free(&place);
}
END_TEST

static const char *range_of(uint64_t offset, uint64_t length, unsigned flags)
{
    static char copy[100];
    const struct weir_store_req req = {.verb = WEIR_STORE_GET,
                                       .flags = flags,
                                       .key = "k",
                                       .offset = offset,
                                       .length = length};
    struct weir__s3_message m;

    make(&m, "s3://bucket", &req, NULL, NULL);
    snprintf(copy, sizeof(copy), "%s %s", m.method, line_of(&m, "range"));
    weir__s3_message_wipe(&m);
    return copy;
}

START_TEST(a_range_is_asked_for_only_when_it_is_one)
{
    const unsigned suffix = WEIR_STORE_SUFFIX;

    ck_assert_str_eq(range_of(0, UINT64_MAX, 0), "GET ");
    ck_assert_str_eq(range_of(5, UINT64_MAX, 0), "GET range: bytes=5-");
    ck_assert_str_eq(range_of(0, 1, 0), "GET range: bytes=0-0");
    ck_assert_str_eq(range_of(10, 20, 0), "GET range: bytes=10-29");
    ck_assert_str_eq(range_of(7, UINT64_MAX - 1, 0), "GET range: bytes=7-");
    ck_assert_str_eq(range_of(UINT64_MAX, 1, 0),
                     "GET range: bytes=9223372036854775807-");
    ck_assert_str_eq(range_of(9, 8, suffix), "GET range: bytes=-8");
    ck_assert_str_eq(range_of(0, UINT64_MAX, suffix), "GET ");
    ck_assert_str_eq(range_of(5, 0, 0), "HEAD ");
    ck_assert_str_eq(range_of(0, 0, suffix), "HEAD ");
}
END_TEST

START_TEST(a_put_tells_its_condition_and_its_checksum)
{
    const struct weir_store_req req = {
        .verb = WEIR_STORE_PUT, .flags = WEIR_STORE_IF_ABSENT, .key = "a/b"};
    struct weir__s3_message m;
    const char *signature;

    make(&m, "s3://bucket/p", &req, NULL, "a/session+token==");
    ck_assert_str_eq(m.method, "PUT");
    ck_assert_str_eq(line_of(&m, "if-none-match"), "if-none-match: *");
    ck_assert_str_eq(line_of(&m, "x-amz-checksum-crc32c"),
                     "x-amz-checksum-crc32c: AAAAAA==");
    ck_assert_str_eq(line_of(&m, "x-amz-security-token"),
                     "x-amz-security-token: a/session+token==");
    signature = line_of(&m, "authorization");
    ck_assert_ptr_nonnull(
        strstr(signature, "SignedHeaders=content-type;host;if-none-match;"
                          "x-amz-checksum-crc32c;x-amz-content-sha256;"
                          "x-amz-date;x-amz-security-token, "));
    ck_assert_ptr_null(strstr(signature, "SK"));
    ck_assert_ptr_null(m.lines[m.line_count]);
    weir__s3_message_wipe(&m);
}
END_TEST

START_TEST(a_list_goes_to_the_bucket_with_the_whole_prefix)
{
    const struct weir_store_req req = {
        .verb = WEIR_STORE_LIST, .key = "data/", .limit = 7};
    struct weir__s3_message m;

    make(&m, "s3://bucket/p?path_style=true", &req, "p/data/a b", NULL);
    ck_assert_str_eq(m.url, "https://s3.us-east-1.amazonaws.com/bucket/"
                            "?encoding-type=url&list-type=2&max-keys=7"
                            "&prefix=p%2Fdata%2F&start-after=p%2Fdata%2Fa%20b");
    weir__s3_message_wipe(&m);
}
END_TEST

/* Small, or in the clear: a hash that is signed.  Else a CRC goes along. */
START_TEST(a_body_is_hashed_unless_it_is_large_and_private)
{
    static unsigned char data[WEIR__S3_HASHED + 1];
    struct weir_iov iov = {data, 0};
    struct weir_store_req req = {
        .verb = WEIR_STORE_PUT, .iov = &iov, .iov_count = 1};
    const struct weir__s3_place guarded = {.insecure = false};
    const struct weir__s3_place open = {.insecure = true};
    struct weir__s3_payload p;

    ck_assert_int_eq(weir__s3_payload(&p, &req, &guarded), 0);
    ck_assert_str_eq(
        p.hash,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_str_eq(p.crc32c, "");
    iov.len = WEIR__S3_HASHED;
    ck_assert_int_eq(weir__s3_payload(&p, &req, &guarded), 0);
    ck_assert_uint_eq(strlen(p.hash), 64);
    iov.len = WEIR__S3_HASHED + 1;
    ck_assert_int_eq(weir__s3_payload(&p, &req, &open), 0);
    ck_assert_uint_eq(strlen(p.hash), 64);
    ck_assert_str_eq(p.crc32c, "");
    ck_assert_int_eq(weir__s3_payload(&p, &req, &guarded), 0);
    ck_assert_str_eq(p.hash, "UNSIGNED-PAYLOAD");
    ck_assert_str_eq(p.crc32c, "N96xLA=="); /* Of 65537 zero bytes. */
}
END_TEST

/* Nobody is on the way over TLS, and within this machine. */
START_TEST(only_what_leaves_the_machine_in_the_clear_is_hashed_whole)
{
    static const struct {
        const char *uri;
        bool hashed;
    } cases[] = {
        {"s3://bucket", false},
        {"s3://bucket?endpoint=https://10.0.0.1", false},
        {"s3://bucket?endpoint=http://127.0.0.1:7480", false},
        {"s3://bucket?endpoint=http://[::1]:9000", false},
        {"s3://bucket?endpoint=http://10.0.0.1&insecure=true", true},
        {"s3://bucket?endpoint=http://localhost.a.org&insecure=true", true},
    };
    static unsigned char data[WEIR__S3_HASHED + 1];
    const struct weir_iov iov = {data, sizeof(data)};
    const struct weir_store_req req = {
        .verb = WEIR_STORE_PUT, .iov = &iov, .iov_count = 1};
    struct weir__s3_payload p;
    struct weir__s3_place place;

    ck_assert_msg(read_place(&place, cases[_i].uri) == 0, "%s", err.text);
    ck_assert_int_eq(weir__s3_payload(&p, &req, &place), 0);
    ck_assert_int_eq(strcmp(p.hash, "UNSIGNED-PAYLOAD") != 0, cases[_i].hashed);
    weir__s3_place_free(&place);
}
END_TEST

static int read_list(struct weir__s3_list *list, const char *prefix,
                     const char *body)
{
    static char own[] = "p/";
    const struct weir__s3_place place = {.prefix = own};

    *list = (struct weir__s3_list){.alloc = weir_alloc_default()};
    err = (struct weir_error){0};
    return weir__s3_list_read(list, &place, prefix, body, strlen(body), &err);
}

#define KEY(key, size)                                                         \
    "<Contents><Key>" key "</Key><Size>" size "</Size>"                        \
    "<LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents>"
#define LIST(truncated, contents)                                              \
    "<ListBucketResult><IsTruncated>" truncated "</IsTruncated>" contents      \
    "</ListBucketResult>"

START_TEST(a_list_has_the_keys_of_this_store)
{
    struct weir__s3_list list;

    ck_assert_int_eq(
        read_list(&list, "a",
                  LIST("true", KEY("o/a", "1") KEY("p%2F.tmp%2Fx", "1")
                                   KEY("p/a%2F1", "10") KEY("p/aB", "2")
                                       KEY("p/a_b", "18446744073709551615")
                                           KEY("p/a%C3%A9", "2"))),
        0);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.entries[0].key, "a/1");
    ck_assert_uint_eq(list.entries[0].size, 10);
    ck_assert_int_eq(list.entries[0].modified, 1767323045678);
    ck_assert_str_eq(list.entries[1].key, "a_b");
    ck_assert_uint_eq(list.entries[1].size, UINT64_MAX);
    ck_assert_int_eq(list.more, 1);
    ck_assert_str_eq(list.last, "p/a\xc3\xa9");
    weir__s3_list_free(&list);
}
END_TEST

START_TEST(a_list_that_makes_no_sense_is_an_error)
{
    static const char *const senseless[] = {
        "",
        "<html></html>",
        "<Error><Code>X</Code></Error>",
        "<ListBucketResult><IsTruncated>false</IsTruncated>",
        LIST("true", ""),
        LIST("false", "<Contents><Key>p/a</Key></Contents>"),
        LIST("false", "<Contents><Size>1</Size></Contents>"),
        LIST("false", KEY("p/a", "")),
        LIST("false", KEY("p/a", "-1")),
        LIST("false", KEY("p/a", "18446744073709551616")),
        LIST("false", KEY("p/a%", "1")),
        LIST("false", KEY("p/a%0", "1")),
        LIST("false", KEY("p/a%00", "1")),
        LIST("false", KEY("", "1")),
        LIST("false", KEY("p/b", "1") KEY("p/a", "1")),
        LIST("false", KEY("p/a", "1") KEY("p/a", "1")),
    };
    struct weir__s3_list list;

    for (size_t i = 0; i < sizeof(senseless) / sizeof(senseless[0]); i++) {
        ck_assert_msg(read_list(&list, "", senseless[i]) == WEIR_EFORMAT, "%s",
                      senseless[i]);
        ck_assert(err.text[0] != '\0');
        weir__s3_list_free(&list);
    }
}
END_TEST

static int check_get(uint64_t offset, uint64_t length, unsigned flags,
                     int status, const char *range, size_t len)
{
    struct weir_store_req req = {.verb = WEIR_STORE_GET,
                                 .flags = flags,
                                 .key = "k",
                                 .offset = offset,
                                 .length = length,
                                 .err = &err};
    struct weir__http_answer answer = {.status = status};
    struct weir_buf *body = weir_buf_new(weir_alloc_default(), len, 0);
    int rc;

    body->len = len;
    snprintf(answer.content_range, sizeof(answer.content_range), "%s", range);
    rc = weir__s3_read_get(&req, weir_alloc_default(), &answer, body, "GET k",
                           &err);
    ck_assert_int_eq(rc == 0, req.body != NULL);
    weir_buf_unref(req.body);
    return rc;
}

START_TEST(a_range_that_is_not_the_one_asked_for_is_damage)
{
    const unsigned suffix = WEIR_STORE_SUFFIX;

    ck_assert_int_eq(check_get(2, 3, 0, 206, "bytes 2-4/10", 3), 0);
    ck_assert_int_eq(check_get(8, 5, 0, 206, "bytes 8-9/10", 2), 0);
    ck_assert_int_eq(check_get(0, 4, suffix, 206, "bytes 6-9/10", 4), 0);
    ck_assert_int_eq(check_get(0, 40, suffix, 206, "bytes 0-9/10", 10), 0);
    ck_assert_int_eq(check_get(0, 4, suffix, 206, "bytes 0--1/0", 0), 0);
    ck_assert_int_eq(check_get(1, 4, 0, 206, "bytes 0--1/0", 0), WEIR_ERANGE);

    ck_assert_int_eq(check_get(2, 3, 0, 206, "bytes 3-5/10", 3), WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(0, 4, suffix, 206, "bytes 0--1/0", 1),
                     WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(2, 3, 0, 206, "bytes 2-4/10", 2), WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(2, 3, 0, 206, "bytes 2-3/10", 2), WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(2, 3, 0, 206, "bytes 2-4/4", 3), WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(2, 3, 0, 206, "bytes 2-4/*", 3), WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(2, 3, 0, 206, "", 3), WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(2, 3, 0, 206, "bytes 4-2/10", 3), WEIR_ECORRUPT);
    ck_assert_int_eq(check_get(0, 4, suffix, 206, "bytes 0-3/10", 4),
                     WEIR_ECORRUPT);
    ck_assert_int_eq(
        check_get(2, 3, 0, 206, "bytes 2-4/99999999999999999999999999", 3),
        WEIR_ECORRUPT);
}
END_TEST

START_TEST(a_server_that_ignores_ranges_is_found_out)
{
    ck_assert_int_eq(check_get(0, UINT64_MAX, 0, 200, "", 10), 0);
    ck_assert_int_eq(check_get(0, 20, 0, 200, "", 10), 0);
    ck_assert_int_eq(check_get(0, 20, WEIR_STORE_SUFFIX, 200, "", 10), 0);
    ck_assert_int_eq(check_get(0, 5, 0, 200, "", 10), WEIR_EUNSUPPORTED);
    ck_assert_int_eq(check_get(5, 5, 0, 200, "", 10), WEIR_EUNSUPPORTED);
    ck_assert_int_eq(check_get(5, UINT64_MAX, 0, 200, "", 10),
                     WEIR_EUNSUPPORTED);
}
END_TEST

/* Each allocation in turn fails. */
START_TEST(memory_that_is_out_makes_no_message)
{
    const struct weir_store_req req = {
        .verb = WEIR_STORE_LIST, .key = "data/", .limit = 7};
    struct weir__s3_payload payload = {.hash = "UNSIGNED-PAYLOAD"};
    struct test_alloc alloc;
    long n = 1;
    int rc;

    test_alloc_init(&alloc);
    do {
        struct weir__s3_message m = {.alloc = &alloc.alloc};
        struct weir__s3_place place = {.alloc = &alloc.alloc};
        struct weir__s3_credentials keys = {0};
        struct weir__uri uri;

        ck_assert_int_eq(
            weir__uri_parse(&uri, weir_alloc_default(), "s3://b-b/p", &err), 0);
        test_alloc_fail(&alloc, n, 0);
        rc = weir__s3_place_read(&place, &alloc.alloc, &uri, &err);
        if (rc == 0)
            rc = weir__s3_credentials_copy(&keys, &alloc.alloc, "a", "s", "t");
        if (rc == 0)
            rc = weir__s3_request(&m, &place, &keys, &req, "p/x", &payload, 0);
        ck_assert(rc == 0 || rc == WEIR_ENOMEM);
        weir__s3_message_wipe(&m);
        weir__s3_credentials_wipe(&keys);
        weir__s3_place_free(&place);
        weir__uri_free(&uri);
        test_alloc_check(&alloc);
        n++;
    } while (rc != 0);
    ck_assert_int_gt(n, 15);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_message");

    tcase_add_loop_test(tc, a_uri_says_where_an_object_is, 0,
                        sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tc, a_wrong_uri_is_told_by_its_part, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tc, a_range_is_asked_for_only_when_it_is_one);
    tcase_add_test(tc, a_put_tells_its_condition_and_its_checksum);
    tcase_add_test(tc, a_list_goes_to_the_bucket_with_the_whole_prefix);
    tcase_add_test(tc, a_body_is_hashed_unless_it_is_large_and_private);
    tcase_add_loop_test(
        tc, only_what_leaves_the_machine_in_the_clear_is_hashed_whole, 0, 6);
    tcase_add_test(tc, a_list_has_the_keys_of_this_store);
    tcase_add_test(tc, a_list_that_makes_no_sense_is_an_error);
    tcase_add_test(tc, a_range_that_is_not_the_one_asked_for_is_damage);
    tcase_add_test(tc, a_server_that_ignores_ranges_is_found_out);
    tcase_add_test(tc, memory_that_is_out_makes_no_message);
    return test_run();
}
