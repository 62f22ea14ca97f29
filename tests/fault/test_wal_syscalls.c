/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file log on a real file whose system calls fail, stop short or are
 * interrupted.  This program's own pread, pwritev, fdatasync, fsync and
 * linkat come before the C library's.
 */
#include "support/host.h"
#include "support/test.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { CALL_NONE, CALL_READ, CALL_WRITE, CALL_SYNC, CALL_LINK };

/* What is to go wrong.  The disk's thread reads it. */
static atomic_int fail_call;
static atomic_int fail_errno; /* 0: stop short. */
static atomic_int fail_from;  /* The call of this number, from 1, */
static atomic_int fail_times; /* and so many. */
static atomic_int calls[CALL_LINK + 1];
static atomic_int folder_syncs; /* That succeeded. */

static bool fails(enum call call)
{
    int n = atomic_fetch_add(&calls[call], 1) + 1;
    int from = atomic_load(&fail_from);

    if (atomic_load(&fail_call) != (int)call || n < from ||
        n >= from + atomic_load(&fail_times))
        return false;
    errno = atomic_load(&fail_errno);
    return true;
}

/* The C library's headers name the parameters otherwise.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    if (fails(CALL_READ)) {
        if (errno != 0)
            return -1;
        len = len > 4096 ? len / 2 / 4096 * 4096 : len;
    }
    return syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    struct iovec one = iov[0];

    if (fails(CALL_WRITE)) {
        if (errno != 0)
            return -1;
        one.iov_len = one.iov_len > 4096 ? 4096 : one.iov_len;
        return syscall(SYS_pwritev, fd, &one, 1, offset, 0);
    }
    return syscall(SYS_pwritev, fd, iov, count, offset, 0);
}

int fdatasync(int fd)
{
    return fails(CALL_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    struct stat st;

    if (fails(CALL_SYNC) || syscall(SYS_fsync, fd) != 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        atomic_fetch_add(&folder_syncs, 1);
    return 0;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to,
           int flags)
{
    if (fails(CALL_LINK))
        return -1;
    return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static struct test_host host;
static struct wal_rig rig;
static char path[400];
static char uri[512];

static void break_call(enum call call, int number, int from, int times)
{
    for (int i = 0; i <= CALL_LINK; i++)
        atomic_store(&calls[i], 0);
    atomic_store(&fail_errno, number);
    atomic_store(&fail_from, from);
    atomic_store(&fail_times, times);
    atomic_store(&fail_call, (int)call);
}

static void setup(void)
{
    break_call(CALL_NONE, 0, 0, 0);
    test_host_init(&host);
    wal_rig_init(&rig, &host.host);
    rig.max_group = 65536;
    snprintf(path, sizeof(path), "%s/wal", test_dir());
    snprintf(uri, sizeof(uri), "file:%s?size=1MiB", path);
    unlink(path);
}

static void teardown(void)
{
    break_call(CALL_NONE, 0, 0, 0);
    wal_rig_free(&rig);
    test_host_close(&host);
}

static void open_all(void)
{
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, uri), 0);
    ck_assert_int_eq(wal_rig_recover(&rig), 0);
    ck_assert_int_eq(wal_rig_start(&rig), 0);
}

/* After a failed group nothing more is acknowledged; what was is found. */
static void check_poison(enum call call, int number, int times)
{
    size_t acked;
    int rc;

    setup();
    open_all();
    ck_assert_int_eq(wal_rig_append(&rig, 100), 0);
    ck_assert_int_eq(wal_rig_append(&rig, 5000), 0);
    break_call(call, number, 1, times);
    do {
        rc = wal_rig_append(&rig, 300);
    } while (rc == 0 && rig.acked < 50);
    /* If zeros ahead of the end took the failed call, its group is well. */
    if (rc == 0) {
        ck_assert_int_eq(call, CALL_WRITE);
        ck_assert_int_eq(times, 1);
    } else {
        ck_assert_int_eq(rc, WEIR_EUNKNOWN);
        ck_assert_ptr_nonnull(strstr(rig.err.text, path));
        acked = rig.acked;
        break_call(CALL_NONE, 0, 0, 0);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(wal_rig_append(&rig, 10), WEIR_EPOISONED);
        ck_assert_uint_eq(rig.acked, acked);
    }
    acked = rig.acked;
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    break_call(CALL_NONE, 0, 0, 0);
    open_all();
    ck_assert_uint_ge(rig.seen.count, acked);
    ck_assert_uint_le(rig.seen.count, acked + 1);
    ck_assert(wal_rig_saw(&rig, 0, rig.seen.count));
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}

static const int numbers[] = {EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EAGAIN};
#define NUMBERS ((int)(sizeof(numbers) / sizeof(numbers[0])))

START_TEST(failed_write_poisons)
{
    check_poison(CALL_WRITE, numbers[_i], 1);
    check_poison(CALL_WRITE, numbers[_i], 1000);
}
END_TEST

/* The kernel reports a lost page once; a later sync that succeeds proves
 * nothing. */
START_TEST(sync_that_fails_once_poisons_for_ever)
{
    check_poison(CALL_SYNC, numbers[_i], 1);
    check_poison(CALL_SYNC, numbers[_i], 1000);
}
END_TEST

START_TEST(interrupted_and_short_calls_are_taken_up_again)
{
    static const enum call kinds[] = {CALL_READ, CALL_WRITE};

    for (int i = 0; i < 2; i++) {
        for (int number = 0; number <= EINTR; number += EINTR) {
            setup();
            break_call(kinds[i], number, 1, number == 0 ? 1000 : 3);
            open_all();
            for (size_t n = 0; n < 20; n++)
                ck_assert_int_eq(wal_rig_append(&rig, n * 1000), 0);
            ck_assert_int_eq(wal_rig_close(&rig), 0);
            break_call(kinds[i], number, 1, number == 0 ? 1000 : 3);
            open_all();
            ck_assert(wal_rig_saw(&rig, 0, 20));
            ck_assert_int_eq(wal_rig_close(&rig), 0);
            teardown();
        }
    }
}
END_TEST

START_TEST(creation_that_fails_leaves_no_file)
{
    static const enum call kinds[] = {CALL_WRITE, CALL_SYNC, CALL_LINK};

    for (int i = 0; i < 3; i++) {
        setup();
        break_call(kinds[i], EIO, 1, 1);
        ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, uri),
                         WEIR_EIO);
        ck_assert_ptr_nonnull(strstr(rig.err.text, strerror(EIO)));
        ck_assert_int_ne(access(path, F_OK), 0);
        break_call(CALL_NONE, 0, 0, 0);
        open_all();
        ck_assert_int_eq(wal_rig_close(&rig), 0);
        teardown();
    }
}
END_TEST

/* The log has its name, and whether that is on the disk is not known.  Who
 * finds it may have nothing acknowledged that a power cut takes along with the
 * name; and in the same way if the one that made it was killed there. */
START_TEST(a_name_that_was_not_synced_is_synced_by_the_next_opening)
{
    setup();
    break_call(CALL_SYNC, EIO, 2, 1);
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, uri), WEIR_EIO);
    ck_assert_int_eq(access(path, F_OK), 0);
    break_call(CALL_SYNC, EIO, 2, 1);
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, uri), 0);
    ck_assert_int_eq(wal_rig_recover(&rig), 0);
    ck_assert_int_eq(wal_rig_start(&rig), WEIR_EIO);
    wal_rig_close(&rig);
    break_call(CALL_NONE, 0, 0, 0);
    atomic_store(&folder_syncs, 0);
    open_all();
    ck_assert_int_eq(atomic_load(&folder_syncs), 1);
    ck_assert_int_eq(wal_rig_append(&rig, 100), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(two_that_make_the_same_log_do_not_both_have_it)
{
    setup();
    break_call(CALL_LINK, EEXIST, 1, 1);
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, uri), WEIR_EBUSY);
    teardown();
}
END_TEST

START_TEST(failed_read_is_no_empty_log)
{
    setup();
    open_all();
    ck_assert_int_eq(wal_rig_append(&rig, 1000), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    for (int n = 3; n < 5; n++) {
        break_call(CALL_READ, EIO, n, 1);
        ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, uri), 0);
        if (wal_rig_recover(&rig) == 0)
            ck_assert(wal_rig_saw(&rig, 0, 1));
        else
            ck_assert_ptr_nonnull(strstr(rig.err.text, path));
        ck_assert(n == 4 || rig.status == WEIR_EIO);
        ck_assert_int_eq(wal_rig_close(&rig), 0);
    }
    break_call(CALL_READ, EIO, 1, 2);
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_open, uri), WEIR_EIO);
    teardown();
}
END_TEST

START_TEST(clean_end_that_fails_is_told)
{
    setup();
    open_all();
    ck_assert_int_eq(wal_rig_append(&rig, 1000), 0);
    break_call(CALL_SYNC, EIO, 1, 1000);
    ck_assert_int_eq(wal_rig_close(&rig), WEIR_EIO);
    break_call(CALL_NONE, 0, 0, 0);
    open_all();
    ck_assert(wal_rig_saw(&rig, 0, 1));
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal system calls");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, failed_write_poisons, 0, NUMBERS);
    tcase_add_loop_test(tc, sync_that_fails_once_poisons_for_ever, 0, NUMBERS);
    tcase_add_test(tc, interrupted_and_short_calls_are_taken_up_again);
    tcase_add_test(tc, creation_that_fails_leaves_no_file);
    tcase_add_test(tc,
                   a_name_that_was_not_synced_is_synced_by_the_next_opening);
    tcase_add_test(tc, two_that_make_the_same_log_do_not_both_have_it);
    tcase_add_test(tc, failed_read_is_no_empty_log);
    tcase_add_test(tc, clean_end_that_fails_is_told);
    return test_run();
}
