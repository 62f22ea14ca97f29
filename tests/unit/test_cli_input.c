/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "weir/cli.h"

#include <string.h>
#include <unistd.h>

static int pipe_fds[2];
static struct input in;

static void feed(const char *text)
{
    size_t len = strlen(text);

    ck_assert_int_eq(write(pipe_fds[1], text, len), (ssize_t)len);
    ck_assert_int_eq(input_fill(&in), 0);
}

static void end_input(void)
{
    close(pipe_fds[1]);
    pipe_fds[1] = -1;
    ck_assert_int_eq(input_fill(&in), 0);
    ck_assert(in.eof);
}

static void expect(const char *text)
{
    const unsigned char *data;
    size_t len;

    ck_assert_int_eq(input_next(&in, &data, &len), 1);
    ck_assert_uint_eq(len, strlen(text));
    ck_assert_mem_eq(data, text, len);
}

static void expect_nothing(void)
{
    const unsigned char *data;
    size_t len;

    ck_assert_int_eq(input_next(&in, &data, &len), 0);
}

static void begin(void)
{
    ck_assert_int_eq(pipe(pipe_fds), 0);
    in = (struct input){.fd = pipe_fds[0], .delimiter = '\n', .limit = 100};
}

static void end(void)
{
    input_free(&in);
    close(pipe_fds[0]);
    if (pipe_fds[1] >= 0)
        close(pipe_fds[1]);
}

/* A record may come in pieces, and several in one. */
START_TEST(pieces_are_put_together)
{
    feed("o");
    expect_nothing();
    feed("ne\n\ntwo\nthr");
    expect("one");
    expect("");
    expect("two");
    expect_nothing();
    feed("ee\n");
    expect("three");
    expect_nothing();
}
END_TEST

START_TEST(last_record_needs_no_delimiter)
{
    feed("one\ntwo");
    expect("one");
    expect_nothing();
    end_input();
    expect("two");
    expect_nothing();
}
END_TEST

START_TEST(delimiter_at_the_end_begins_no_record)
{
    feed("one\n");
    end_input();
    expect("one");
    expect_nothing();
}
END_TEST

START_TEST(nothing_is_no_record)
{
    end_input();
    expect_nothing();
}
END_TEST

START_TEST(without_delimiter_all_is_one_record)
{
    in.delimiter = -1;
    feed("one\n");
    expect_nothing();
    feed("two\n");
    expect_nothing();
    end_input();
    expect("one\ntwo\n");
    expect_nothing();
}
END_TEST

/* It is told before memory is filled with the rest of it. */
START_TEST(record_above_the_limit_is_refused_before_its_end)
{
    const unsigned char *data;
    size_t len;

    in.limit = 4;
    feed("four\nfive5");
    expect("four");
    ck_assert_int_eq(input_next(&in, &data, &len), -1);
}
END_TEST

/* More than the buffer holds at first, with no record lost or torn. */
START_TEST(long_input_stays_in_order)
{
    char line[64];
    unsigned sent = 0;
    unsigned seen = 0;

    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < 100; i++) {
            int len = snprintf(line, sizeof(line), "record %u\n", sent++);

            ck_assert_int_eq(write(pipe_fds[1], line, (size_t)len), len);
        }
        ck_assert_int_eq(input_fill(&in), 0);
        for (; seen < sent; seen++) {
            snprintf(line, sizeof(line), "record %u", seen);
            expect(line);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("records of stdin");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, pieces_are_put_together);
    tcase_add_test(tc, last_record_needs_no_delimiter);
    tcase_add_test(tc, delimiter_at_the_end_begins_no_record);
    tcase_add_test(tc, nothing_is_no_record);
    tcase_add_test(tc, without_delimiter_all_is_one_record);
    tcase_add_test(tc, record_above_the_limit_is_refused_before_its_end);
    tcase_add_test(tc, long_input_stays_in_order);
    return test_run();
}
