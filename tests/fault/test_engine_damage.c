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
static struct weir_config *config;
static struct weir *node;
static struct weir_stream *hit, *whole;

/* Two streams, a record of each in a group of its own, in turn. */
static void write_log(void)
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
    weir_free(node);
}

/* Change a byte of the log, `at` bytes from the first place of `text`. */
static void damage(const char *text, off_t at)
{
    static char image[256 * 1024];
    char path[400];
    ssize_t n;
    char *found;
    int fd;

    snprintf(path, sizeof(path), "%s/wal", dir);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
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
    tcase_add_test(tc, a_trim_past_the_damage_heals_the_stream);
    tcase_add_test(
        tc, a_damaged_header_stops_the_opening_unless_it_is_to_be_salvaged);
    return test_run();
}
