/* SPDX-License-Identifier: Apache-2.0 */
/* Trims of what is only in the log, and opening again after them. */
#include <string.h>

#include "support/node.h"
#include "support/test.h"

/* The backend that keeps what it is given. */
enum { PERSISTENT = 1 };

static struct weir_config *config;
static struct weir *node;
static struct weir_stream *stream;

static void setup(void)
{
    config = test_config(PERSISTENT, test_dir(), NULL);
    node = test_open(config);
    stream = test_stream(node, "orders", WEIR_STREAM_CREATE);
}

static void teardown(void)
{
    weir_free(node);
    weir_config_free(config);
}

static void reopen(void)
{
    weir_free(node);
    node = test_open(config);
    stream = test_stream(node, "orders", 0);
}

/* Append a batch of eight; its base. */
static uint64_t append_eight(void)
{
    struct weir_append req = {.data = "eight", .len = 5, .count = 8};

    ck_assert_int_eq(weir_append_sync(stream, &req), 0);
    return req.base_offset;
}

START_TEST(offsets_below_a_start_are_not_given_again)
{
    struct weir_stream_stat stat;

    ck_assert_uint_eq(append_eight(), 0);
    ck_assert_int_eq(test_trim(stream, 8), 0);
    reopen();
    ck_assert_int_eq(weir_stream_stat(stream, &stat), 0);
    ck_assert_uint_eq(stat.start, 8);
    ck_assert_uint_eq(stat.end, 8);
    ck_assert_uint_eq(append_eight(), 8);
    test_flush(node);
    reopen();
    ck_assert_uint_eq(append_eight(), 16);
}
END_TEST

START_TEST(a_batch_that_holds_the_start_is_kept)
{
    struct weir_fetch fetch;

    append_eight();
    append_eight();
    ck_assert_int_eq(test_trim(stream, 5), 0);
    reopen();
    ck_assert_int_eq(test_fetch(stream, 5, &fetch), 0);
    ck_assert_uint_eq(fetch.count, 2);
    ck_assert_uint_eq(fetch.batches[0].base_offset, 0);
    ck_assert_uint_eq(fetch.batches[1].base_offset, 8);
    weir_fetch_release(&fetch);
    ck_assert_uint_eq(append_eight(), 16);
    test_flush(node);
    reopen();
    ck_assert_int_eq(test_fetch(stream, 5, &fetch), 0);
    ck_assert_uint_eq(fetch.batches[0].base_offset, 0);
    weir_fetch_release(&fetch);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("trim and recovery");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, offsets_below_a_start_are_not_given_again);
    tcase_add_test(tc, a_batch_that_holds_the_start_is_kept);
    return test_run();
}
