/* SPDX-License-Identifier: Apache-2.0 */
/* A write-ahead log that is damaged where records were acknowledged: what a
 * node makes of it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/node.h"
#include "support/test.h"

static const char *dir;
static char image[256 * 1024];
static struct weir_config *config;
static struct weir *node;
static struct weir_stream *hit, *whole;

/* Two streams, a record of each in a group of its own, in turn. */
static void append_in_turn(void)
{
    dir = test_dir();
    config = test_config(1, dir, NULL);
    node = test_open(config);
    hit = test_stream(node, "hit", WEIR_STREAM_CREATE);
    whole = test_stream(node, "whole", WEIR_STREAM_CREATE);
    test_append(hit, "hit number one");
    test_append(whole, "whole number one");
    test_append(hit, "hit number two");
    test_append(whole, "whole number two");
    test_append(hit, "hit number three");
}

static void write_log(void)
{
    append_in_turn();
    weir_free(node);
}

static int open_log(void)
{
    char path[400];
    int fd;

    snprintf(path, sizeof(path), "%s/wal", dir);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* The same log, as a crash after the last append leaves it. */
static void write_log_and_crash(void)
{
    ssize_t n;
    int fd;

    append_in_turn();
    fd = open_log();
    n = pread(fd, image, sizeof(image), 0);
    ck_assert_int_gt(n, 0);
    weir_free(node);
    ck_assert_int_eq(pwrite(fd, image, (size_t)n, 0), n);
    close(fd);
}

/* Change a byte of the log, `at` bytes from the first place of `text`. */
static void damage(const char *text, off_t at)
{
    int fd = open_log();
    ssize_t n;
    char *found;

    n = pread(fd, image, sizeof(image), 0);
    ck_assert_int_gt(n, 0);
    found = memmem(image, (size_t)n, text, strlen(text));
    ck_assert_ptr_nonnull(found);
    at += found - image;
    image[at] ^= 0x20;
    ck_assert_int_eq(pwrite(fd, &image[at], 1, at), 1);
    close(fd);
}

static void reopen(void)
{
    node = test_open(config);
    hit = test_stream(node, "hit", 0);
    whole = test_stream(node, "whole", 0);
}

static void end(void)
{
    weir_free(node);
    weir_config_free(config);
}

/* What holds of a stream whose record two cannot be read. */
static void expect_damage(void)
{
    struct weir_fetch f;

    ck_assert_int_eq(test_fetch(hit, 0, &f), 0);
    ck_assert_uint_eq(f.count, 1); /* What is before it is given. */
    weir_fetch_release(&f);
    ck_assert_int_eq(test_fetch(hit, 1, &f), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(test_error.text, "hit"));
    ck_assert_ptr_nonnull(strstr(test_error.text, "1"));
    ck_assert_int_eq(test_fetch(hit, 2, &f), 0);
    ck_assert_uint_eq(f.batches[0].base_offset, 2);
    weir_fetch_release(&f);
    ck_assert_int_eq(test_try_append(hit, "x", 0), WEIR_ECORRUPT);
    test_expect(whole, 0, "whole number one", "whole number two", NULL);
}

START_TEST(a_damaged_payload_harms_its_own_batch_alone)
{
    struct weir_flush flush = {.req.err = &test_error};

    write_log();
    damage("hit number two", 3);
    reopen();
    expect_damage();
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_ECORRUPT);
    expect_damage();
    weir_free(node); /* The damage is still there the next time. */
    reopen();
    expect_damage();
    ck_assert_uint_eq(test_append(whole, "goes on"), 2);
    end();
}
END_TEST

/* The damaged record is all that is left in the log: it is the only trace of
 * what was acknowledged there, and must not be trimmed away. */
START_TEST(damage_at_the_end_is_not_forgotten_with_the_log)
{
    struct weir_flush flush = {.req.err = &test_error};
    struct weir_fetch f;

    write_log();
    damage("hit number three", 3);
    reopen();
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_ECORRUPT);
    weir_free(node);
    reopen();
    ck_assert_int_eq(test_fetch(hit, 2, &f), WEIR_ECORRUPT);
    ck_assert_int_eq(test_try_append(hit, "x", 0), WEIR_ECORRUPT);
    end();
}
END_TEST

/* No header block vouches for the log's end; records that were written later
 * tell that this one was acknowledged. */
/* What is before it is in objects by the second one. */
START_TEST(every_flush_tells_of_what_was_left_out)
{
    struct weir_flush flush = {0};

    write_log();
    damage("hit number three", 0);
    reopen();
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_ECORRUPT);
    ck_assert_int_eq(weir_flush_sync(node, &flush), WEIR_ECORRUPT);
    ck_assert_int_eq(test_trim(hit, 3), 0);
    ck_assert_int_eq(weir_flush_sync(node, &flush), 0);
    end();
}
END_TEST

START_TEST(damage_in_a_log_that_was_not_closed_is_no_torn_end)
{
    write_log_and_crash();
    damage("hit number two", -90);
    ck_assert_int_eq(weir_open(&node, config, &test_error), WEIR_ECORRUPT);
    weir_config_free(config);
}
END_TEST

START_TEST(a_trim_past_the_damage_heals_the_stream)
{
    write_log();
    damage("hit number two", 3);
    reopen();
    ck_assert_int_eq(test_trim(hit, 2), 0);
    ck_assert_uint_eq(test_append(hit, "hit number four"), 3);
    test_expect(hit, 2, "hit number three", "hit number four", NULL);
    test_flush(node);
    test_expect(hit, 2, "hit number three", "hit number four", NULL);
    weir_free(node);
    reopen();
    test_expect(hit, 2, "hit number three", "hit number four", NULL);
    test_expect(whole, 0, "whole number one", "whole number two", NULL);
    end();
}
END_TEST

/* A header tells whose record it is; without it nobody knows. */
START_TEST(a_damaged_header_stops_the_opening_unless_it_is_to_be_salvaged)
{
    write_log();
    damage("hit number two", -90);
    ck_assert_int_eq(weir_open(&node, config, &test_error), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(test_error.text, "position"));
    ck_assert_int_eq(weir_config_set(config, "wal_salvage", "true", NULL), 0);
    reopen();
    expect_damage();
    ck_assert_int_eq(test_trim(hit, 2), 0);
    test_append(hit, "hit number four");
    test_flush(node);
    weir_free(node);
    ck_assert_int_eq(weir_config_set(config, "wal_salvage", "false", NULL), 0);
    reopen(); /* All that could be saved is in objects. */
    test_expect(hit, 2, "hit number three", "hit number four", NULL);
    end();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("engine damage");

    tcase_add_test(tc, a_damaged_payload_harms_its_own_batch_alone);
    tcase_add_test(tc, damage_at_the_end_is_not_forgotten_with_the_log);
    tcase_add_test(tc, every_flush_tells_of_what_was_left_out);
    tcase_add_test(tc, damage_in_a_log_that_was_not_closed_is_no_torn_end);
    tcase_add_test(tc, a_trim_past_the_damage_heals_the_stream);
    tcase_add_test(
        tc, a_damaged_header_stops_the_opening_unless_it_is_to_be_salvaged);
    return test_run();
}
