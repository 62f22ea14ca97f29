/* SPDX-License-Identifier: Apache-2.0 */
/* A host that has closed stdin, stdout or stderr, and may still print there:
 * no file that holds data takes their place. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "support/host.h"
#include "support/test.h"
#include "wal/disk.h"

static int saved;

static void close_standard(int fd)
{
    saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    ck_assert_int_ge(saved, 10);
    close(fd);
}

static void restore_standard(int fd)
{
    dup2(saved, fd);
    close(saved);
}

START_TEST(a_descriptor_moves_above_the_standard_ones)
{
    char path[512];
    struct stat before, after;
    int fd;

    snprintf(path, sizeof(path), "%s/file", test_dir());
    close_standard(_i);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(fd, _i);
    ck_assert_int_eq(fstat(fd, &before), 0);
    fd = weir__fd_above_standard(fd);
    ck_assert_int_gt(fd, 2);
    ck_assert_int_lt(fcntl(_i, F_GETFD), 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fstat(fd, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    ck_assert_int_eq(weir__fd_above_standard(fd), fd);
    close(fd);
    restore_standard(_i);
}
END_TEST

static struct weir_task closed;
static int is_closed;

static void closed_run(struct weir_task *task)
{
    (void)task;
    is_closed = 1;
}

static void close_disk(struct test_host *host, struct weir__disk *disk)
{
    closed.run = closed_run;
    is_closed = 0;
    disk->ops->close(disk, &closed);
    test_host_run(host, &is_closed);
}

/* The environment has its descriptors already, so that the disk's own is the
 * first that would get the free number. */
START_TEST(a_log_is_not_where_a_host_may_print)
{
    struct weir_error err = {0};
    struct weir__disk *disk;
    struct test_host host;
    char path[512];
    int there = _i / 3;
    int fd = _i % 3;

    snprintf(path, sizeof(path), "%s/wal", test_dir());
    if (there) {
        int made = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        ck_assert_int_eq(ftruncate(made, 1 << 20), 0);
        close(made);
    }
    test_host_init(&host);
    close_standard(fd);
    ck_assert_int_eq(weir__disk_open(&disk, &host.host, path, 1 << 20, &err),
                     0);
    ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
    close_disk(&host, disk);
    restore_standard(fd);
    test_host_close(&host);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("closed descriptors");

    tcase_add_loop_test(tc, a_descriptor_moves_above_the_standard_ones, 0, 3);
    tcase_add_loop_test(tc, a_log_is_not_where_a_host_may_print, 0, 6);
    return test_run();
}
