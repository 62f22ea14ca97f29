/* SPDX-License-Identifier: Apache-2.0 */
#include "http/xml.h"

#include "support/host.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

static char seen[4096];
static struct weir_error err;

/* "path=text;" for each element. */
static int note(void *ctx, const char *path, const char *text)
{
    size_t len = strlen(seen);

    (void)ctx;
    snprintf(seen + len, sizeof(seen) - len, "%s=%s;", path, text);
    return 0;
}

static int parse(const char *text)
{
    seen[0] = '\0';
    err = (struct weir_error){0};
    return weir__xml_parse(weir_alloc_default(), text, strlen(text), note, NULL,
                           &err);
}

START_TEST(each_element_is_told_with_its_path_and_text)
{
    ck_assert_int_eq(
        parse("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a x=\"y\">1"
              "<b>two</b>2<c><d/><d>&lt;&amp;&#65;</d></c><![CDATA[<3>]]>"
              "</a>"),
        0);
    ck_assert_str_eq(seen, "a/b=two;a/c/d=;a/c/d=<&A;a/c=;a=12<3>;");
}
END_TEST

START_TEST(prefixes_of_namespaces_are_dropped)
{
    ck_assert_int_eq(
        parse("<s3:a xmlns:s3=\"http://x/\"><s3:b>1</s3:b></s3:a>"), 0);
    ck_assert_str_eq(seen, "a/b=1;a=;");
}
END_TEST

START_TEST(what_is_not_well_formed_is_an_error_with_its_line)
{
    static const char *const bad[] = {
        "",           "text", "<a>",         "<a></b>",     "<a/><b/>",
        "<a>&x;</a>", "<a",   "<a>\x01</a>", "<a>\xff</a>", "{\"a\": 1}",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(parse(bad[i]) == WEIR_EFORMAT, "%s", bad[i]);
        ck_assert_ptr_nonnull(strstr(err.text, "line 1: "));
    }
    ck_assert_int_eq(parse("<a>\n\n<b></c></a>"), WEIR_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "line 3: "));
}
END_TEST

/* The document type is where entities that grow without end come from. */
START_TEST(a_document_type_is_refused)
{
    ck_assert_int_eq(parse("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"),
                     WEIR_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "document type"));
    ck_assert_str_eq(seen, "");
    ck_assert_int_eq(parse("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"),
                     WEIR_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "document type"));
}
END_TEST

static void nest(char *to, int depth)
{
    *to = '\0';
    for (int i = 0; i < depth; i++)
        strcat(to, "<e>");
    for (int i = 0; i < depth; i++)
        strcat(to, "</e>");
}

START_TEST(depth_text_and_names_have_bounds)
{
    static char text[WEIR__XML_TEXT + 100];
    char name[700];

    nest(text, WEIR__XML_DEPTH);
    ck_assert_int_eq(parse(text), 0);
    nest(text, WEIR__XML_DEPTH + 1);
    ck_assert_int_eq(parse(text), WEIR_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "too deep"));

    snprintf(text, sizeof(text), "<a>%0*d</a>", WEIR__XML_TEXT, 0);
    ck_assert_int_eq(parse(text), 0);
    snprintf(text, sizeof(text), "<a>%0*d</a>", WEIR__XML_TEXT + 1, 0);
    ck_assert_int_eq(parse(text), WEIR_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "text is too long"));

    memset(name, 'n', 600);
    snprintf(name + 600, sizeof(name) - 600, "/>");
    name[0] = '<';
    ck_assert_int_eq(parse(name), WEIR_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "names are too long"));
}
END_TEST

START_TEST(a_document_that_is_too_long_is_not_read)
{
    char byte = '<';

    ck_assert_int_eq(weir__xml_parse(weir_alloc_default(), &byte,
                                     WEIR__XML_SIZE + 1, note, NULL, &err),
                     WEIR_EFORMAT);
}
END_TEST

static int refuse_b(void *ctx, const char *path, const char *text)
{
    int *calls = ctx;

    (void)text;
    ++*calls;
    return strcmp(path, "a/b") == 0 ? WEIR_ERANGE : 0;
}

START_TEST(a_status_of_the_callback_ends_the_parsing)
{
    static const char text[] = "<a><c/><b/><d/><d/></a>";
    int calls = 0;

    ck_assert_int_eq(weir__xml_parse(weir_alloc_default(), text, strlen(text),
                                     refuse_b, &calls, &err),
                     WEIR_ERANGE);
    ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(memory_that_is_out_is_an_error)
{
    struct test_alloc alloc;

    test_alloc_init(&alloc);
    test_alloc_fail(&alloc, 1, 1);
    ck_assert_int_eq(weir__xml_parse(&alloc.alloc, "<a/>", 4, note, NULL, &err),
                     WEIR_ENOMEM);
    test_alloc_check(&alloc);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("xml");

    tcase_add_test(tc, each_element_is_told_with_its_path_and_text);
    tcase_add_test(tc, prefixes_of_namespaces_are_dropped);
    tcase_add_test(tc, what_is_not_well_formed_is_an_error_with_its_line);
    tcase_add_test(tc, a_document_type_is_refused);
    tcase_add_test(tc, depth_text_and_names_have_bounds);
    tcase_add_test(tc, a_document_that_is_too_long_is_not_read);
    tcase_add_test(tc, a_status_of_the_callback_ends_the_parsing);
    tcase_add_test(tc, memory_that_is_out_is_an_error);
    return test_run();
}
