/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uri.h"
#include "support/host.h"
#include "support/test.h"

#include <string.h>

static struct test_alloc alloc;
static struct weir__uri uri;
static struct weir_error err;

static void setup(void)
{
    test_alloc_init(&alloc);
}

static void teardown(void)
{
    test_alloc_check(&alloc);
}

static int parse(const char *text)
{
    err = (struct weir_error){0};
    return weir__uri_parse(&uri, &alloc.alloc, text, &err);
}

/* What is told of a malformed URI: a part of it. */
struct refusal {
    const char *uri;
    const char *expected;
};

START_TEST(parts_are_found)
{
    ck_assert_int_eq(
        parse("s3://bucket/a/b%20c?endpoint=http://h:1/&empty=&x%3d=%26"), 0);
    ck_assert_str_eq(uri.scheme, "s3");
    ck_assert_str_eq(uri.authority, "bucket");
    ck_assert_str_eq(uri.path, "/a/b c");
    ck_assert_uint_eq(uri.param_count, 3);
    ck_assert_str_eq(weir__uri_get(&uri, "endpoint"), "http://h:1/");
    ck_assert_str_eq(weir__uri_get(&uri, "empty"), "");
    ck_assert_str_eq(weir__uri_get(&uri, "x="), "&");
    ck_assert_ptr_null(weir__uri_get(&uri, "absent"));
    weir__uri_free(&uri);
}
END_TEST

START_TEST(a_path_needs_no_authority)
{
    ck_assert_int_eq(parse("file:/var/wal?size=1GiB"), 0);
    ck_assert_ptr_null(uri.authority);
    ck_assert_str_eq(uri.path, "/var/wal");
    weir__uri_free(&uri);

    ck_assert_int_eq(parse("dir:relative/%2e"), 0);
    ck_assert_str_eq(uri.path, "relative/.");
    weir__uri_free(&uri);

    ck_assert_int_eq(parse("mem:"), 0);
    ck_assert_str_eq(uri.path, "");
    weir__uri_free(&uri);

    ck_assert_int_eq(parse("s3://bucket?a=b"), 0);
    ck_assert_str_eq(uri.authority, "bucket");
    ck_assert_str_eq(uri.path, "");
    ck_assert_str_eq(weir__uri_get(&uri, "a"), "b");
    weir__uri_free(&uri);

    ck_assert_int_eq(parse("x:///p"), 0);
    ck_assert_str_eq(uri.authority, "");
    ck_assert_str_eq(uri.path, "/p");
    weir__uri_free(&uri);
}
END_TEST

static const struct refusal refusals[] = {
    {"", "expected SCHEME:"},
    {"/var/wal", "expected SCHEME:"},
    {"1a:x", "expected SCHEME:"},
    {":x", "expected SCHEME:"},
    {"a b:x", "expected SCHEME:"},
    {"dir", "expected SCHEME:"},
    {"dir:/a?b", "URI dir:/a: parameter 1: expected KEY=VALUE"},
    {"dir:/a?=b", "expected KEY=VALUE"},
    {"dir:/a?x=1&&y=2", "expected KEY=VALUE"},
    {"dir:/a?x=1&x=2", "parameter x: expected at most once"},
    {"dir:/%", "expected two hex digits"},
    {"dir:/%1", "expected two hex digits"},
    {"dir:/%zz", "expected two hex digits"},
    {"dir:/a%00b", "not 00"},
    {"s3://b%/x", "expected two hex digits"},
    {"dir:/a?y=1&x=%4", "parameter 2: expected two hex digits"},
    {"dir:/a?%4=x", "expected two hex digits"},
    {"dir:/a#b", "expected no '#'"},
    {"dir:/a\nb", "expected no control character"},
    {"x:?a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p=&q=",
     "expected at most 16 parameters"},
};

START_TEST(a_malformed_uri_is_refused_with_what_was_expected)
{
    ck_assert_int_eq(parse(refusals[_i].uri), WEIR_EINVAL);
    ck_assert_int_eq(err.code, WEIR_EINVAL);
    if (strstr(err.text, refusals[_i].expected) == NULL)
        ck_abort_msg("\"%s\" does not tell \"%s\"", err.text,
                     refusals[_i].expected);
}
END_TEST

/* URIs are shown in messages, so nothing in one may be secret. */
START_TEST(a_password_is_refused_and_not_shown)
{
    static const char *const uris[] = {
        "s3://KEY:canary@bucket/prefix",
        "s3://KEY:canary/with+slash@bucket",
        "s3://KEY:canary#%zz@bucket",
        "s3://bucket?endpoint=http://user:canary@127.0.0.1:9000&region=r",
        "etcd://root:canary@127.0.0.1:2379,127.0.0.2:2379/prefix",
    };

    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        ck_assert_int_eq(parse(uris[i]), WEIR_EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "expected no password"));
        ck_assert_ptr_null(strstr(err.text, "canary"));
    }
}
END_TEST

/* Somebody may have taken it for the place of a secret. */
START_TEST(of_a_parameter_that_is_not_known_only_the_name_is_shown)
{
    static const char *const known[] = {"region", NULL};
    static const char *const uris[] = {
        "s3://bucket?region=r&secret=canary",
        "s3://bucket?password=%63anary",
        "s3://bucket?secret=canary&region=%zz",
        "s3://bucket?secret=canary%zz",
        "s3://bucket?secret=x&canary",
        "s3://bucket?=canary",
        "s3://bucket?secret=canary&secret=canary",
        "s3://bucket?token=canary#x",
        "s3://bucket#canary",
        "bucket?secret=canary",
        "s3:%zz?secret=canary",
        "s3://%zz?secret=canary",
        "x:?a=canary&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p=&q=",
    };

    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        int rc = parse(uris[i]);

        if (rc == 0) {
            rc = weir__uri_check(&uri, known, &err);
            ck_assert_ptr_nonnull(strstr(err.text, "is not known"));
            weir__uri_free(&uri);
        }
        ck_assert_int_eq(rc, WEIR_EINVAL);
        ck_assert_msg(strstr(err.text, "canary") == NULL, "%s", err.text);
    }
}
END_TEST

START_TEST(an_at_sign_alone_is_no_password)
{
    static const char *const uris[] = {
        "dir:/a:b@c",
        "file:///a:b@c",
        "s3://bucket/p?endpoint=http://127.0.0.1:9000&x=a@b",
        "x://user@host:1/p",
        "x://host:1,host:2/a@b",
    };

    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        ck_assert_int_eq(parse(uris[i]), 0);
        weir__uri_free(&uri);
    }
}
END_TEST

START_TEST(an_unknown_parameter_is_named_with_the_known_ones)
{
    static const char *const known[] = {"size", "mode", "fsync", NULL};

    ck_assert_int_eq(parse("file:/x?size=1&mode=a"), 0);
    ck_assert_int_eq(weir__uri_check(&uri, known, &err), 0);
    weir__uri_free(&uri);
    ck_assert_int_eq(parse("file:/x?siez=1"), 0);
    ck_assert_int_eq(weir__uri_check(&uri, known, &err), WEIR_EINVAL);
    ck_assert_str_eq(err.text, "file: parameter siez is not known; expected "
                               "size, mode or fsync");
    ck_assert_int_eq(weir__uri_check(&uri, known + 3, &err), WEIR_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "expected none"));
    weir__uri_free(&uri);
}
END_TEST

START_TEST(parameters_have_types)
{
    uint64_t size = 7;
    int flag = 7;

    ck_assert_int_eq(parse("a:?s=2MiB&t=true&f=false&bad=12XB"), 0);
    ck_assert_int_eq(weir__uri_size(&uri, "absent", &size, &err), 0);
    ck_assert_uint_eq(size, 7);
    ck_assert_int_eq(weir__uri_size(&uri, "s", &size, &err), 0);
    ck_assert_uint_eq(size, 2097152);
    ck_assert_int_eq(weir__uri_size(&uri, "bad", &size, &err), WEIR_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "bad: expected a size"));
    ck_assert_int_eq(weir__uri_bool(&uri, "absent", &flag, &err), 0);
    ck_assert_int_eq(flag, 7);
    ck_assert_int_eq(weir__uri_bool(&uri, "t", &flag, &err), 0);
    ck_assert_int_eq(flag, 1);
    ck_assert_int_eq(weir__uri_bool(&uri, "f", &flag, &err), 0);
    ck_assert_int_eq(flag, 0);
    ck_assert_int_eq(weir__uri_bool(&uri, "s", &flag, &err), WEIR_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "s: expected true or false"));
    weir__uri_free(&uri);
}
END_TEST

START_TEST(sizes_and_durations_are_read_exactly)
{
    uint64_t n = 0;

    ck_assert_int_eq(weir__parse_size("0", &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(weir__parse_size("12", &n), 0);
    ck_assert_uint_eq(n, 12);
    ck_assert_int_eq(weir__parse_size("3KiB", &n), 0);
    ck_assert_uint_eq(n, 3072);
    ck_assert_int_eq(weir__parse_size("16777215TiB", &n), 0);
    ck_assert_uint_eq(n, UINT64_MAX - ((uint64_t)1 << 40) + 1);
    ck_assert_int_eq(weir__parse_duration("1500ms", &n), 0);
    ck_assert_uint_eq(n, 1500000000);
    ck_assert_int_eq(weir__parse_duration("2h", &n), 0);
    ck_assert_uint_eq(n, (uint64_t)7200 * 1000000000);
    ck_assert_int_eq(weir__parse_duration("0", &n), 0);
    ck_assert_uint_eq(n, 0);
}
END_TEST

static const char *const bad_sizes[] = {
    "",
    "-1",
    "+1",
    " 1",
    "1 MiB",
    "MiB",
    "1.5K",
    "0x10B",
    "1MB",
    "1mib",
    "1MiB ",
    "18446744073709551616",
    "16777216TiB",
};

START_TEST(anything_else_is_not_a_size)
{
    uint64_t n = 7;

    ck_assert_int_eq(weir__parse_size(bad_sizes[_i], &n), WEIR_EINVAL);
    ck_assert_int_eq(weir__parse_duration(bad_sizes[_i], &n), WEIR_EINVAL);
    ck_assert_int_eq(weir__parse_duration("10", &n), WEIR_EINVAL);
    ck_assert_uint_eq(n, 7);
}
END_TEST

/* Who else's name only begins as this machine's does is a stranger. */
START_TEST(loopback_is_the_whole_host)
{
    static const struct {
        const char *host;
        bool loopback;
    } hosts[] = {
        {"localhost", true},
        {"127.0.0.1", true},
        {"127.1.2.3", true},
        {"[::1]", true},
        {"", false},
        {"localhost.", false},
        {"localhost.example.com", false},
        {"localhost-2", false},
        {"127.0.0.1.evil.com", false},
        {"127.evil.com", false},
        {"127.0.0.1-2", false},
        {"[::1].evil.com", false},
        {"[::12]", false},
        {"::1", false},
        {"12.0.0.1", false},
        {"10.0.0.1", false},
    };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        ck_assert_msg(weir__is_loopback(hosts[i].host, strlen(hosts[i].host)) ==
                          hosts[i].loopback,
                      "%s", hosts[i].host);
    ck_assert(weir__is_loopback("127.0.0.1:80", 9));
    ck_assert(!weir__is_loopback("localhost.org", 13));
}
END_TEST

START_TEST(without_memory_it_says_so)
{
    test_alloc_fail(&alloc, 1, 0);
    ck_assert_int_eq(parse("mem:"), WEIR_ENOMEM);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("uri");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, parts_are_found);
    tcase_add_test(tc, a_path_needs_no_authority);
    tcase_add_loop_test(tc, a_malformed_uri_is_refused_with_what_was_expected,
                        0, (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(tc, a_password_is_refused_and_not_shown);
    tcase_add_test(tc, of_a_parameter_that_is_not_known_only_the_name_is_shown);
    tcase_add_test(tc, an_at_sign_alone_is_no_password);
    tcase_add_test(tc, an_unknown_parameter_is_named_with_the_known_ones);
    tcase_add_test(tc, parameters_have_types);
    tcase_add_test(tc, sizes_and_durations_are_read_exactly);
    tcase_add_loop_test(tc, anything_else_is_not_a_size, 0,
                        (int)(sizeof(bad_sizes) / sizeof(bad_sizes[0])));
    tcase_add_test(tc, loopback_is_the_whole_host);
    tcase_add_test(tc, without_memory_it_says_so);
    return test_run();
}
