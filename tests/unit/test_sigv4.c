/* SPDX-License-Identifier: Apache-2.0 */
/* The signature of requests, against what AWS has published: the signatures
 * of its test suite for Signature Version 4, and the examples of the S3
 * documentation.  (The suite's cases that normalise a path are not for S3.) */
#include "store/sigv4.h"

#include "http/digest.h"
#include "support/host.h"
#include "support/test.h"

#include <string.h>

#define UNRESERVED                                                             \
    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FORM "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
#define HELLO "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define TOKEN                                                                  \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKW" \
    "HGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4" \
    "IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE" \
    "8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj" \
    "c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

struct vector {
    const char *name;
    const char *method;
    const char *path;
    struct weir__pair query[4];
    struct weir__pair headers[6];
    const char *payload_hash;
    const char *signature;
};

#define HOST                                                                   \
    {                                                                          \
        "Host", "example.amazonaws.com"                                        \
    }
#define DATE                                                                   \
    {                                                                          \
        "X-Amz-Date", "20150830T123600Z"                                       \
    }

static const struct vector suite[] = {
    {"get-vanilla",
     "GET",
     "/",
     {{0}},
     {HOST, DATE},
     EMPTY,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     {{"Param2", "value2"}, {"Param1", "value1"}},
     {HOST, DATE},
     EMPTY,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/",
     {{"Param1", "value1"}},
     {HOST, DATE},
     EMPTY,
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     {{UNRESERVED, UNRESERVED}},
     {HOST, DATE},
     EMPTY,
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     {{"\xe1\x88\xb4", "bar"}},
     {HOST, DATE},
     EMPTY,
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-unreserved",
     "GET",
     "/" UNRESERVED,
     {{0}},
     {HOST, DATE},
     EMPTY,
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     "GET",
     "/\xe1\x88\xb4",
     {{0}},
     {HOST, DATE},
     EMPTY,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space",
     "GET",
     "/example space/",
     {{0}},
     {HOST, DATE},
     EMPTY,
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-header-key-duplicate",
     "GET",
     "/",
     {{0}},
     {HOST,
      {"My-Header1", "value2"},
      {"My-Header1", "value2"},
      {"My-Header1", "value1"},
      DATE},
     EMPTY,
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-order",
     "GET",
     "/",
     {{0}},
     {HOST,
      {"My-Header1", "value4"},
      {"My-Header1", "value1"},
      {"My-Header1", "value3"},
      {"My-Header1", "value2"},
      DATE},
     EMPTY,
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim",
     "GET",
     "/",
     {{0}},
     {HOST, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}, DATE},
     EMPTY,
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla",
     "POST",
     "/",
     {{0}},
     {HOST, DATE},
     EMPTY,
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-value-case",
     "POST",
     "/",
     {{0}},
     {HOST, {"My-Header1", "value1"}, DATE},
     EMPTY,
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-sts-header-before",
     "POST",
     "/",
     {{0}},
     {HOST, DATE, {"X-Amz-Security-Token", TOKEN}},
     EMPTY,
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     {{0}},
     {HOST, {"Content-Type", "application/x-www-form-urlencoded"}, DATE},
     FORM,
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

#define BUCKET                                                                 \
    {                                                                          \
        "Host", "examplebucket.s3.amazonaws.com"                               \
    }
#define DAY                                                                    \
    {                                                                          \
        "x-amz-date", "20130524T000000Z"                                       \
    }
#define NOTHING                                                                \
    {                                                                          \
        "x-amz-content-sha256", EMPTY                                          \
    }

static const struct vector examples[] = {
    {"GET Object",
     "GET",
     "/test.txt",
     {{0}},
     {BUCKET, {"Range", "bytes=0-9"}, NOTHING, DAY},
     EMPTY,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT Object",
     "PUT",
     "/test$file.text",
     {{0}},
     {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
      BUCKET,
      {"x-amz-content-sha256", HELLO},
      DAY},
     HELLO,
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET Bucket Lifecycle",
     "GET",
     "/",
     {{"lifecycle", ""}},
     {BUCKET, NOTHING, DAY},
     EMPTY,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"Get Bucket (List Objects)",
     "GET",
     "/",
     {{"prefix", "J"}, {"max-keys", "2"}},
     {BUCKET, NOTHING, DAY},
     EMPTY,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static size_t count_pairs(const struct weir__pair *pairs, size_t max)
{
    size_t n = 0;

    while (n < max && pairs[n].name != NULL)
        n++;
    return n;
}

static void check_vector(const struct vector *v, struct weir__sigv4 *s)
{
    struct weir__writer w;
    const char *found;

    s->method = v->method;
    s->path = v->path;
    s->query = v->query;
    s->query_count = count_pairs(v->query, 4);
    s->headers = v->headers;
    s->header_count = count_pairs(v->headers, 6);
    s->payload_hash = v->payload_hash;
    weir__writer_init(&w, weir_alloc_default());
    ck_assert_int_eq(weir__sigv4_authorize(&w, s), 0);
    weir__write8(&w, 0);
    found = strstr((const char *)w.data, "Signature=");
    ck_assert_ptr_nonnull(found);
    ck_assert_msg(strcmp(found + 10, v->signature) == 0, "%s: %s", v->name,
                  found);
    weir__writer_free(&w);
}

START_TEST(published_test_suite_matches)
{
    struct weir__sigv4 s = {
        .date = "20150830T123600Z",
        .region = "us-east-1",
        .service = "service",
        .access_key = "AKIDEXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    };

    for (size_t i = 0; i < sizeof(suite) / sizeof(suite[0]); i++)
        check_vector(&suite[i], &s);
}
END_TEST

START_TEST(examples_of_the_s3_documentation_match)
{
    struct weir__sigv4 s = {
        .date = "20130524T000000Z",
        .region = "us-east-1",
        .service = "s3",
        .access_key = "AKIAIOSFODNN7EXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    };

    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        check_vector(&examples[i], &s);
}
END_TEST

/* The steps in between, as the documentation of the GET example has them. */
START_TEST(intermediate_texts_are_the_published_ones)
{
    static const char canonical[] =
        "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\n"
        "range:bytes=0-9\nx-amz-content-sha256:" EMPTY "\n"
        "x-amz-date:20130524T000000Z\n\n"
        "host;range;x-amz-content-sha256;x-amz-date\n" EMPTY;
    static const char string[] =
        "AWS4-HMAC-SHA256\n20130524T000000Z\n"
        "20130524/us-east-1/s3/aws4_request\n"
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
    const struct vector *v = &examples[0];
    struct weir__sigv4 s = {.method = v->method,
                            .path = v->path,
                            .headers = v->headers,
                            .header_count = 4,
                            .payload_hash = EMPTY,
                            .date = "20130524T000000Z",
                            .region = "us-east-1",
                            .service = "s3",
                            .access_key = "AKIAIOSFODNN7EXAMPLE",
                            .secret_key = "secret"};
    struct weir__writer w;
    struct weir__writer x;

    weir__writer_init(&w, weir_alloc_default());
    weir__writer_init(&x, weir_alloc_default());
    weir__sigv4_canonical(&w, &s);
    ck_assert_uint_eq(w.len, strlen(canonical));
    ck_assert_mem_eq(w.data, canonical, w.len);
    ck_assert_int_eq(weir__sigv4_string(&x, &s, w.data, w.len), 0);
    ck_assert_uint_eq(x.len, strlen(string));
    ck_assert_mem_eq(x.data, string, x.len);
    weir__writer_free(&w);
    weir__writer_free(&x);
}
END_TEST

START_TEST(names_are_sorted_as_encoded_and_before_their_values)
{
    static const struct weir__pair query[] = {
        {"a-b", "1"}, {"a", "2"},  {"a", "10"},
        {"b c", "+"}, {"a/b", ""}, {"\xff", "&="},
    };
    struct weir__sigv4 s = {.query = query, .query_count = 6};
    struct weir__writer w;

    weir__writer_init(&w, weir_alloc_default());
    weir__sigv4_query(&w, &s);
    weir__write8(&w, 0);
    /* By the bytes of the encoded names: '%' comes before letters. */
    ck_assert_str_eq((const char *)w.data,
                     "%FF=%26%3D&a=10&a=2&a%2Fb=&a-b=1&b%20c=%2B");
    weir__writer_free(&w);
}
END_TEST

START_TEST(a_time_is_written_in_utc)
{
    char date[WEIR__SIGV4_DATE];

    weir__sigv4_date(date, 1369353600000);
    ck_assert_str_eq(date, "20130524T000000Z");
    weir__sigv4_date(date, 1440938160999);
    ck_assert_str_eq(date, "20150830T123600Z");
    weir__sigv4_date(date, 0);
    ck_assert_str_eq(date, "19700101T000000Z");
    weir__sigv4_date(date, 951782399000);
    ck_assert_str_eq(date, "20000228T235959Z");
    weir__sigv4_date(date, INT64_MAX);
    ck_assert_str_eq(date, "19700101T000000Z");
}
END_TEST

START_TEST(too_many_headers_are_refused)
{
    struct weir__pair pairs[WEIR__SIGV4_PAIRS + 1];
    struct weir__sigv4 s = {.method = "GET",
                            .path = "/",
                            .headers = pairs,
                            .header_count = WEIR__SIGV4_PAIRS + 1,
                            .payload_hash = EMPTY,
                            .date = "20130524T000000Z",
                            .region = "r",
                            .service = "s3",
                            .access_key = "a",
                            .secret_key = "s"};
    struct weir__writer w;

    for (size_t i = 0; i < WEIR__SIGV4_PAIRS + 1; i++)
        pairs[i] = (struct weir__pair){"x", "y"};
    weir__writer_init(&w, weir_alloc_default());
    ck_assert_int_ne(weir__sigv4_authorize(&w, &s), 0);
    s.header_count--;
    ck_assert_int_eq(weir__sigv4_authorize(&w, &s), 0);
    weir__writer_free(&w);
}
END_TEST

/* Each allocation in turn fails: an error, no leak, and never a signature. */
START_TEST(memory_that_is_out_gives_no_signature)
{
    const struct vector *v = &examples[3];
    struct weir__sigv4 s = {.method = v->method,
                            .path = v->path,
                            .query = v->query,
                            .query_count = 2,
                            .headers = v->headers,
                            .header_count = 3,
                            .payload_hash = EMPTY,
                            .date = "20130524T000000Z",
                            .region = "us-east-1",
                            .service = "s3",
                            .access_key = "a",
                            .secret_key = "s"};
    struct test_alloc alloc;
    struct weir__writer w;
    long n = 1;
    int rc;

    test_alloc_init(&alloc);
    do {
        test_alloc_fail(&alloc, n, 0);
        weir__writer_init(&w, &alloc.alloc);
        rc = weir__sigv4_authorize(&w, &s);
        ck_assert(rc == 0 || rc == WEIR_ENOMEM);
        weir__writer_free(&w);
        test_alloc_check(&alloc);
        n++;
    } while (rc != 0);
    ck_assert_int_gt(n, 5);
}
END_TEST

START_TEST(digests_of_known_texts_match)
{
    static const struct {
        const char *plain;
        const char *text;
    } base64[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    const struct weir_iov iov[] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    unsigned char digest[WEIR__SHA256_SIZE];
    char hex[WEIR__SHA256_HEX];
    char text[16];

    ck_assert_int_eq(weir__sha256(digest, iov, 3), 0);
    weir__hex(hex, digest, sizeof(digest));
    ck_assert_str_eq(
        hex,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_int_eq(weir__hmac_sha256(digest, "Jefe", 4,
                                       "what do ya want for nothing?", 28),
                     0);
    weir__hex(hex, digest, sizeof(digest));
    ck_assert_str_eq(
        hex,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    for (size_t i = 0; i < sizeof(base64) / sizeof(base64[0]); i++) {
        weir__base64(text, (const unsigned char *)base64[i].plain,
                     strlen(base64[i].plain));
        ck_assert_str_eq(text, base64[i].text);
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sigv4");

    tcase_add_test(tc, published_test_suite_matches);
    tcase_add_test(tc, examples_of_the_s3_documentation_match);
    tcase_add_test(tc, intermediate_texts_are_the_published_ones);
    tcase_add_test(tc, names_are_sorted_as_encoded_and_before_their_values);
    tcase_add_test(tc, a_time_is_written_in_utc);
    tcase_add_test(tc, too_many_headers_are_refused);
    tcase_add_test(tc, memory_that_is_out_gives_no_signature);
    tcase_add_test(tc, digests_of_known_texts_match);
    return test_run();
}
