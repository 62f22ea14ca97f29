/* SPDX-License-Identifier: Apache-2.0 */
/* What a host sees of streams whose records are in a node's file log, when the
 * node gets another log, or another node the stream. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/node.h"
#include "support/test.h"

static struct weir_config *config;
static struct weir *node;
static const char *dir;

static void open_node(void)
{
    dir = test_dir();
    config = test_config(1, dir, "delete_grace", "0ns", NULL);
    node = test_open(config);
}

static void close_node(void)
{
    weir_free(node);
    weir_config_free(config);
}

static struct weir_stream *orders(void)
{
    return test_stream(node, "orders", WEIR_STREAM_CREATE);
}

/* The log of `config`, moved to another file name; the status of opening. */
static int open_with_wal(const char *name, const char *abandon)
{
    struct weir_config *other =
        test_config(1, dir, "wal_abandon", abandon, NULL);
    char wal[400];
    int rc;

    snprintf(wal, sizeof(wal), "file:%s/%s?size=1MiB", dir, name);
    ck_assert_int_eq(weir_config_set(other, "wal", wal, NULL), 0);
    weir_free(node);
    rc = weir_open(&node, other, &test_error);
    weir_config_free(other);
    return rc;
}

START_TEST(acknowledged_data_is_not_forgotten_with_its_log)
{
    open_node();
    test_append(orders(), "in the log only");
    ck_assert_int_eq(open_with_wal("another", "false"), WEIR_EFOREIGN);
    ck_assert_ptr_nonnull(strstr(test_error.text, "wal_abandon"));
    node = test_open(config);
    test_expect(orders(), 0, "in the log only", NULL);
    test_flush(node); /* Now the log is not needed any more. */
    ck_assert_int_eq(open_with_wal("another", "false"), 0);
    test_expect(orders(), 0, "in the log only", NULL);
    test_append(orders(), "given up");
    ck_assert_int_eq(open_with_wal("third", "false"), WEIR_EFOREIGN);
    ck_assert_int_eq(open_with_wal("third", "true"), 0);
    test_expect(orders(), 0, "in the log only", NULL);
    close_node();
}
END_TEST

/* A log whose volume is not mounted looks just like one that is gone. */
START_TEST(a_log_that_is_gone_is_not_made_anew)
{
    char path[400];

    open_node();
    snprintf(path, sizeof(path), "%s/first", dir);
    ck_assert_int_eq(open_with_wal("first", "false"), 0);
    test_append(orders(), "in the log only");
    weir_free(node);
    ck_assert_int_eq(unlink(path), 0);
    for (int i = 0; i < 2; i++) {
        node = NULL;
        ck_assert_int_eq(open_with_wal("first", "false"), WEIR_EFOREIGN);
        ck_assert_ptr_nonnull(strstr(test_error.text, path));
        ck_assert_ptr_nonnull(strstr(test_error.text, "wal_abandon"));
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    ck_assert_int_eq(open_with_wal("second", "false"), WEIR_EFOREIGN);
    snprintf(path, sizeof(path), "%s/second", dir);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(open_with_wal("first", "true"), 0);
    test_append(orders(), "anew");
    test_expect(orders(), 0, "anew", NULL);
    close_node();
}
END_TEST

/* What it has of then does not come again behind what was appended since. */
START_TEST(a_log_that_was_given_up_is_given_up_when_it_comes_back)
{
    struct weir_stream *s;

    open_node();
    ck_assert_int_eq(open_with_wal("first", "false"), 0);
    test_append(orders(), "given up");
    test_append(orders(), "this too");
    ck_assert_int_eq(open_with_wal("second", "true"), 0);
    s = orders();
    test_expect(s, 0, NULL);
    ck_assert_uint_eq(test_append(s, "kept"), 0);
    test_flush(node);
    ck_assert_int_eq(open_with_wal("first", "false"), 0);
    s = orders();
    test_expect(s, 0, "kept", NULL);
    ck_assert_uint_eq(test_append(s, "next"), 1);
    ck_assert_int_eq(open_with_wal("first", "false"), 0);
    test_expect(orders(), 0, "kept", "next", NULL);
    /* Given up at once: the one that comes back has not been the last one. */
    ck_assert_int_eq(open_with_wal("second", "true"), 0);
    ck_assert_int_eq(open_with_wal("first", "true"), 0);
    test_expect(orders(), 0, "kept", NULL);
    close_node();
}
END_TEST

START_TEST(a_stream_does_not_move_away_from_its_owners_log)
{
    struct weir_stream_open open = {.req.err = &test_error, .name = "orders"};
    struct weir_config *second_config;
    struct weir *second;
    char wal[400];

    open_node();
    test_append(orders(), "in the log of node 1");
    second_config = test_config(1, dir, "node_id", "2", NULL);
    snprintf(wal, sizeof(wal), "file:%s/second?size=1MiB", dir);
    ck_assert_int_eq(weir_config_set(second_config, "wal", wal, NULL), 0);
    second = test_open(second_config);
    ck_assert_int_eq(weir_stream_open_sync(second, &open), WEIR_EBUSY);
    ck_assert_ptr_nonnull(strstr(test_error.text, "orders"));
    test_append(orders(), "still the owner");
    test_flush(node);
    ck_assert_int_eq(weir_close(node, &test_error), 0);
    ck_assert_int_eq(weir_stream_open_sync(second, &open), 0);
    ck_assert_uint_eq(test_append(open.stream, "moved"), 2);
    test_expect(open.stream, 0, "in the log of node 1", "still the owner",
                "moved", NULL);
    weir_free(second);
    weir_config_free(second_config);
    close_node();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("other log");

    tcase_add_test(tc, a_log_that_was_given_up_is_given_up_when_it_comes_back);
    tcase_add_test(tc, a_stream_does_not_move_away_from_its_owners_log);
    tcase_add_test(tc, a_log_that_is_gone_is_not_made_anew);
    tcase_add_test(tc, acknowledged_data_is_not_forgotten_with_its_log);
    return test_run();
}
