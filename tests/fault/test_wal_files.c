/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the file log makes of files that it cannot take: an error of its own
 * for each, and not a byte changed.  And its ways to only read, and to read
 * around damage.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "support/host.h"
#include "support/test.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define RING 8192u

static struct test_host host;
static struct wal_rig rig;
static char path[400];
static char uri[512];

static void setup(void)
{
    test_host_init(&host);
    wal_rig_init(&rig, &host.host);
    rig.max_group = 65536;
    snprintf(path, sizeof(path), "%s/wal", test_dir());
    snprintf(uri, sizeof(uri), "file:%s?size=1MiB", path);
    unlink(path);
    rmdir(path);
}

static void teardown(void)
{
    wal_rig_free(&rig);
    test_host_close(&host);
}

static int open_log(void)
{
    return wal_rig_open(&rig, weir__wal_file_open, uri);
}

static void open_all(void)
{
    ck_assert_int_eq(open_log(), 0);
    ck_assert_int_eq(wal_rig_recover(&rig), 0);
    ck_assert_int_eq(wal_rig_start(&rig), 0);
}

static void make_log(void)
{
    open_all();
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(wal_rig_append(&rig, i * 500), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
}

/* The file's bytes, NULL if there is none. */
static char *slurp(size_t *len)
{
    FILE *f = fopen(path, "rb");
    char *data;

    *len = 0;
    if (f == NULL)
        return NULL;
    data = malloc(4 * MIB);
    *len = fread(data, 1, 4 * MIB, f);
    fclose(f);
    return data;
}

static void poke(size_t at, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(pwrite(fd, data, len, (off_t)at), (ssize_t)len);
    close(fd);
}

/* Opening fails with `status` and a text, and changes nothing. */
static void refused(int status)
{
    size_t before_len, after_len;
    char *before = slurp(&before_len);
    char *after;

    ck_assert_int_eq(open_log(), status);
    ck_assert_ptr_null(rig.wal);
    ck_assert_int_eq(rig.err.code, status);
    ck_assert_ptr_nonnull(strstr(rig.err.text, path));
    after = slurp(&after_len);
    ck_assert_uint_eq(before_len, after_len);
    ck_assert_int_eq(memcmp(before, after, before_len), 0);
    free(before);
    free(after);
}

START_TEST(foreign_things_are_refused_unchanged)
{
    char junk[65536];

    setup();
    memset(junk, 'x', sizeof(junk));
    poke(0, junk, 0);
    refused(WEIR_EEMPTY);
    poke(0, junk, 100);
    refused(WEIR_ETRUNCATED);
    poke(0, junk, sizeof(junk));
    refused(WEIR_EFORMAT);
    memset(junk, 0, sizeof(junk));
    poke(0, junk, sizeof(junk));
    refused(WEIR_EFORMAT);
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(open_log(), WEIR_EISDIR);
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(open_log(), WEIR_EINVAL);
    unlink(path);
    ck_assert_int_eq(symlink("elsewhere", path), 0);
    ck_assert_int_eq(open_log(), WEIR_EINVAL);
    ck_assert_ptr_nonnull(strstr(rig.err.text, "symbolic link"));
    teardown();
}
END_TEST

START_TEST(logs_of_others_are_refused_unchanged)
{
    setup();
    make_log();
    rig.owner.node_id = 8;
    refused(WEIR_EFOREIGN);
    rig.owner.node_id = 7;
    rig.owner.cluster[0] ^= 1;
    refused(WEIR_EFOREIGN);
    rig.owner.cluster[0] ^= 1;
    rig.owner.epoch = 0;
    refused(WEIR_EFENCED);
    rig.owner.epoch = 100;
    ck_assert_int_eq(truncate(path, MIB - 1), 0);
    refused(WEIR_ETRUNCATED);
    ck_assert_int_eq(truncate(path, 8192), 0);
    refused(WEIR_ETRUNCATED);
    ck_assert_int_eq(truncate(path, 1), 0);
    refused(WEIR_ETRUNCATED);
    ck_assert_int_eq(truncate(path, 0), 0);
    refused(WEIR_EEMPTY);
    teardown();
}
END_TEST

START_TEST(newer_format_is_refused_unchanged)
{
    unsigned char block[4096];
    int fd;

    setup();
    make_log();
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(pread(fd, block, sizeof(block), 0), sizeof(block));
    close(fd);
    weir__put32(block + 8, 2);
    weir__put32(block + 4092, weir__crc32c(0, block, 4092));
    poke(0, block, sizeof(block));
    refused(WEIR_EVERSION);
    teardown();
}
END_TEST

START_TEST(log_in_use_is_refused)
{
    struct weir_wal *wal;

    setup();
    open_all();
    wal = rig.wal;
    /* Its bytes are not compared: who has it may write ahead of its end. */
    ck_assert_int_eq(open_log(), WEIR_EBUSY);
    ck_assert_ptr_nonnull(strstr(rig.err.text, path));
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_inspect, uri),
                     WEIR_EBUSY);
    rig.wal = wal;
    ck_assert_int_eq(wal_rig_append(&rig, 10), WEIR_OK);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    open_all();
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(malformed_uris_are_refused)
{
    static const char *const bad[] = {
        "file:",
        "file:/tmp/x?size=10",
        "file:/tmp/x?size=many",
        "file:/tmp/x?sise=1MiB",
        "file://host/tmp/x",
        "file:/tmp/x?salvage=perhaps",
    };

    setup();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, bad[i]),
                         WEIR_EINVAL);
        ck_assert_str_ne(rig.err.text, "");
    }
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_memory_open, "mem:?size=1"),
                     WEIR_EINVAL);
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_memory_open, "mem:?x=1"),
                     WEIR_EINVAL);
    ck_assert_int_eq(
        wal_rig_open(&rig, weir__wal_file_open, "file:/no/such/place/wal"),
        WEIR_ENOENT);
    teardown();
}
END_TEST

START_TEST(file_that_is_there_keeps_its_size)
{
    struct stat st;
    uint64_t capacity;

    setup();
    make_log();
    snprintf(uri, sizeof(uri), "file:%s?size=2MiB", path);
    open_all();
    capacity = rig.wal->capacity;
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, (off_t)MIB);
    ck_assert_uint_eq(capacity, MIB - RING);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    teardown();
}
END_TEST

START_TEST(log_that_was_never_started_is_empty)
{
    uint64_t id;

    setup();
    ck_assert_int_eq(open_log(), 0);
    id = rig.wal->id;
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    open_all();
    ck_assert_uint_eq(rig.wal->id, id);
    ck_assert_uint_eq(rig.seen.count, 0);
    ck_assert_int_eq(wal_rig_append(&rig, 10), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(inspection_reads_and_changes_nothing)
{
    struct weir__wal_super super;
    size_t before_len, after_len;
    char *before, *after;

    setup();
    make_log();
    before = slurp(&before_len);
    memset(rig.owner.cluster, 0, sizeof(rig.owner.cluster));
    rig.owner.epoch = 0;
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_inspect, uri), 0);
    weir__wal_file_super(rig.wal, &super);
    ck_assert_uint_eq(super.node_id, 7);
    ck_assert_uint_eq(super.epoch, 1);
    ck_assert(super.closed);
    ck_assert_int_eq(wal_rig_recover(&rig), 0);
    ck_assert(wal_rig_saw(&rig, 0, 10));
    ck_assert_int_eq(wal_rig_start(&rig), WEIR_EBUG);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    after = slurp(&after_len);
    ck_assert_uint_eq(before_len, after_len);
    ck_assert_int_eq(memcmp(before, after, before_len), 0);
    free(before);
    free(after);
    unlink(path);
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_inspect, uri),
                     WEIR_ENOENT);
    ck_assert_int_ne(access(path, F_OK), 0);
    teardown();
}
END_TEST

START_TEST(salvage_steps_over_a_damaged_header)
{
    setup();
    make_log();
    poke(RING + rig.written.at[4].position + 24, "damage", 6);
    ck_assert_int_eq(open_log(), 0);
    ck_assert_int_eq(wal_rig_recover(&rig), WEIR_ECORRUPT);
    ck_assert_uint_eq(rig.seen.count, 4);
    ck_assert_ptr_nonnull(strstr(rig.err.text, path));
    ck_assert_int_eq(wal_rig_close(&rig), 0);

    snprintf(uri, sizeof(uri), "file:%s?salvage=true", path);
    open_all();
    ck_assert_uint_eq(rig.seen.count, 9);
    ck_assert_uint_eq(rig.seen.at[3].seq, 3);
    ck_assert_uint_eq(rig.seen.at[4].seq, 5);
    ck_assert_uint_eq(rig.seen.at[8].seq, 9);
    ck_assert_int_eq(wal_rig_append(&rig, 10), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal files");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, foreign_things_are_refused_unchanged);
    tcase_add_test(tc, logs_of_others_are_refused_unchanged);
    tcase_add_test(tc, newer_format_is_refused_unchanged);
    tcase_add_test(tc, log_in_use_is_refused);
    tcase_add_test(tc, malformed_uris_are_refused);
    tcase_add_test(tc, file_that_is_there_keeps_its_size);
    tcase_add_test(tc, log_that_was_never_started_is_empty);
    tcase_add_test(tc, inspection_reads_and_changes_nothing);
    tcase_add_test(tc, salvage_steps_over_a_damaged_header);
    return test_run();
}
