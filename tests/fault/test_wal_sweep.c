/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a file log on a real file: made, written, trimmed, closed,
 * opened again, recovered, written, closed.  Each system call of it fails in
 * each way that it can, once, and from then on.  What was acknowledged is
 * there afterwards, nothing is shown that was not written, no file but the
 * log is left, and whoever is told of an error is told which and of what.
 * The same on a block device: the file is told to be one, and ioctl answers.
 *
 * This program's own open, pread, ... come before the C library's.
 */
#include "support/host.h"
#include "support/test.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define CALLS(X)                                                               \
    X(OPEN)                                                                    \
    X(STAT)                                                                    \
    X(RESERVE)                                                                 \
    X(LOCK)                                                                    \
    X(FLAGS)                                                                   \
    X(READ)                                                                    \
    X(WRITE)                                                                   \
    X(SYNC)                                                                    \
    X(LINK)                                                                    \
    X(UNLINK)                                                                  \
    X(ACCESS)                                                                  \
    X(ADVISE)                                                                  \
    X(CLOSE)                                                                   \
    X(IOCTL)

enum call {
#define ENUM(name) CALL_##name,
    CALLS(ENUM)
#undef ENUM
        CALL_COUNT
};

static const char *const call_names[] = {
#define NAME(name) #name,
    CALLS(NAME)
#undef NAME
};

/* Instead of an error: a part of it is done. */
#define SHORT (-1)

static const struct failure {
    enum call call;
    int numbers[10]; /* Up to 0. */
} failures[] = {
    {CALL_OPEN, {EIO, EMFILE, ENFILE, EACCES, EROFS, ENOSPC, EDQUOT, EINTR}},
    {CALL_OPEN, {ENOMEM, EBUSY, ENXIO}},
    {CALL_STAT, {EIO, EACCES, ENOMEM}},
    {CALL_RESERVE, {EIO, ENOSPC, EDQUOT, EFBIG, EINTR, EROFS}},
    {CALL_LOCK, {ENOLCK, EIO, EINTR, EAGAIN}},
    {CALL_FLAGS, {EINVAL}},
    {CALL_READ, {EIO, EINTR, EAGAIN, SHORT}},
    {CALL_WRITE,
     {EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EINTR, EAGAIN, ENOMEM, SHORT}},
    {CALL_SYNC, {EIO, ENOSPC, EDQUOT, EINTR, EROFS}},
    {CALL_LINK, {EIO, ENOSPC, EDQUOT, EACCES, EROFS, EMLINK}},
    {CALL_UNLINK, {EIO, EACCES, EROFS}},
    {CALL_ACCESS, {EACCES, ENOENT, EIO, ENOMEM}},
    {CALL_ADVISE, {EINVAL, EBADF}},
    {CALL_CLOSE, {EIO, EINTR, ENOSPC, EDQUOT}},
    {CALL_IOCTL, {EIO, ENOTTY, ENODEV, ENXIO, EINVAL}},
};

/* What is to go wrong.  The disk's thread reads it. */
static atomic_int fail_call = CALL_COUNT;
static atomic_int fail_number;
static atomic_int fail_from; /* The call of this number, from 1, */
static atomic_int fail_times;
static atomic_int calls[CALL_COUNT];
static atomic_int no_nameless; /* The file system knows no O_TMPFILE. */
static atomic_int no_direct;   /* Nor O_DIRECT. */

/* The file that is told to be a block device, and what it says of itself. */
static struct {
    bool on;
    bool changed;   /* A file was made, named, removed or cut. */
    int open_flags; /* How it was opened last. */
    ino_t inode;
    uint64_t size;
    int sector;
} device;

/* 0, the number of the error, or SHORT. */
static int failure_of(enum call call)
{
    int n = atomic_fetch_add(&calls[call], 1) + 1;
    int from = atomic_load(&fail_from);

    return atomic_load(&fail_call) == (int)call && n >= from &&
                   n - from < atomic_load(&fail_times)
               ? atomic_load(&fail_number)
               : 0;
}

static bool fails(enum call call)
{
    int number = failure_of(call);

    if (number != 0)
        errno = number;
    return number != 0;
}

/* The C library's headers name the parameters otherwise.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    va_start(args, flags);
    if ((flags & (O_CREAT | O_TMPFILE)) != 0)
        mode = va_arg(args, mode_t);
    va_end(args);
    if ((flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
        device.changed = true;
    device.open_flags = flags;
    if (fails(CALL_OPEN))
        return -1;
    if ((flags & O_TMPFILE) == O_TMPFILE && atomic_load(&no_nameless)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* What a fortified build makes of an open whose flags are not known before.
 * NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open(path, flags);
}

static int disguise(int rc, struct stat *st)
{
    if (rc != 0 || !device.on || st->st_ino != device.inode)
        return rc;
    st->st_mode = (st->st_mode & ~(mode_t)S_IFMT) | S_IFBLK;
    st->st_size = 0;
    return 0;
}

int fstat(int fd, struct stat *st)
{
    if (fails(CALL_STAT))
        return -1;
    return disguise((int)syscall(SYS_fstat, fd, st), st);
}

int lstat(const char *path, struct stat *st)
{
    if (fails(CALL_STAT))
        return -1;
    return disguise(
        (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW),
        st);
}

int ioctl(int fd, unsigned long what, ...)
{
    va_list args;
    void *to;

    va_start(args, what);
    to = va_arg(args, void *);
    va_end(args);
    if (fails(CALL_IOCTL))
        return -1;
    if (device.on && what == BLKGETSIZE64)
        return memcpy(to, &device.size, sizeof(device.size)), 0;
    if (device.on && what == BLKSSZGET)
        return memcpy(to, &device.sector, sizeof(device.sector)), 0;
    return (int)syscall(SYS_ioctl, fd, what, to);
}

int ftruncate(int fd, off_t len)
{
    device.changed = true;
    return (int)syscall(SYS_ftruncate, fd, len);
}

/* Tells its error in its result. */
int posix_fallocate(int fd, off_t offset, off_t len)
{
    int number = failure_of(CALL_RESERVE);

    if (number != 0)
        return number;
    return syscall(SYS_fallocate, fd, 0, offset, len) == 0 ? 0 : errno;
}

int access(const char *path, int how)
{
    return fails(CALL_ACCESS) ? -1 : (int)syscall(SYS_access, path, how);
}

/* Tells its error in its result. */
int posix_fadvise(int fd, off_t offset, off_t len, int advice)
{
    int number = failure_of(CALL_ADVISE);

    if (number != 0)
        return number;
    return syscall(SYS_fadvise64, fd, offset, len, advice) == 0 ? 0 : errno;
}

/* It is closed, whatever it tells. */
int close(int fd)
{
    int rc = (int)syscall(SYS_close, fd);

    return fails(CALL_CLOSE) ? -1 : rc;
}

int flock(int fd, int how)
{
    return fails(CALL_LOCK) ? -1 : (int)syscall(SYS_flock, fd, how);
}

int fcntl(int fd, int what, ...)
{
    va_list args;
    void *arg;

    va_start(args, what);
    arg = va_arg(args, void *);
    va_end(args);
    if (what == F_OFD_SETLK ? fails(CALL_LOCK)
                            : what != F_DUPFD_CLOEXEC && fails(CALL_FLAGS))
        return -1;
    if (what == F_SETFL && ((uintptr_t)arg & O_DIRECT) != 0 &&
        atomic_load(&no_direct))
        return errno = EINVAL, -1;
    return (int)syscall(SYS_fcntl, fd, what, arg);
}

ssize_t pread(int fd, void *to, size_t len, off_t offset)
{
    int number = failure_of(CALL_READ);

    if (number == SHORT)
        len = len > 4096 ? len / 2 / 4096 * 4096 : len;
    else if (number != 0)
        return errno = number, -1;
    return syscall(SYS_pread64, fd, to, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    struct iovec one = iov[0];
    int number = failure_of(CALL_WRITE);

    if (number == SHORT) {
        one.iov_len = one.iov_len > 4096 ? 4096 : one.iov_len;
        return syscall(SYS_pwritev, fd, &one, 1, offset, 0);
    }
    if (number != 0)
        return errno = number, -1;
    return syscall(SYS_pwritev, fd, iov, count, offset, 0);
}

int fdatasync(int fd)
{
    return fails(CALL_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails(CALL_SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int link(const char *from, const char *to)
{
    return fails(CALL_LINK) ? -1 : (int)syscall(SYS_link, from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to,
           int flags)
{
    if (fails(CALL_LINK))
        return -1;
    return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int unlink(const char *path)
{
    return fails(CALL_UNLINK) ? -1 : (int)syscall(SYS_unlink, path);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static struct test_host host;
static struct wal_rig rig;
static char folder[300];
static char path[400];
static char uri[512];
static char point[100];
#define DEVICE_SIZE (1 << 20)
static size_t trimmed; /* Records that recovery need not show. */
static unsigned points;
static unsigned kept; /* Of those, lives that ended well all the same. */

static void heal(void)
{
    atomic_store(&fail_call, CALL_COUNT);
    for (int i = 0; i < CALL_COUNT; i++)
        atomic_store(&calls[i], 0);
}

/* What is told names the log, and why. */
static int told(int rc)
{
    if (rc == 0)
        return 0;
    ck_assert_msg(rc < 0 && rc != WEIR_EBUG && rc != WEIR_ECORRUPT,
                  "%s: %s: %s", point, weir_error_name(rc), rig.err.text);
    ck_assert_msg(rc == WEIR_EPOISONED || strstr(rig.err.text, folder) != NULL,
                  "%s: %s: %s", point, weir_error_name(rc), rig.err.text);
    /* Not that the device has no sectors. */
    ck_assert_msg(
        atomic_load(&fail_call) != CALL_IOCTL ||
            strstr(rig.err.text, strerror(atomic_load(&fail_number))) != NULL,
        "%s: %s", point, rig.err.text);
    return rc;
}

static int open_log(void)
{
    int rc = wal_rig_open(&rig, weir__wal_file_open, uri);

    if (rc != 0)
        rig.wal = NULL;
    return rc;
}

static int open_and_start(void)
{
    int rc = told(open_log());

    if (rc == 0)
        rc = told(wal_rig_recover(&rig));
    if (rc == 0)
        rc = told(wal_rig_start(&rig));
    return rc;
}

static int append_all(void)
{
    static const size_t lens[] = {100, 5000, 9000};
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++)
        rc = told(wal_rig_append(&rig, lens[i]));
    return rc;
}

static int close_log(void)
{
    return told(wal_rig_close(&rig));
}

/* Up to the first error; then the log is closed as far as it can be. */
static int live(void)
{
    int rc = open_and_start();

    if (rc == 0)
        rc = append_all();
    if (rc == 0) {
        trimmed = 1;
        rig.wal->ops->trim(rig.wal, rig.written.at[1].position);
        rc = append_all();
    }
    if (rc == 0)
        rc = close_log();
    if (rc == 0)
        rc = open_and_start();
    if (rc == 0)
        rc = append_all();
    if (rig.wal != NULL)
        told(wal_rig_close(&rig));
    return rc;
}

/* No file but the log. */
static void check_folder(void)
{
    DIR *dir = opendir(folder);

    ck_assert_ptr_nonnull(dir);
    for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir))
        ck_assert_msg(d->d_name[0] == '.' || strcmp(d->d_name, "wal") == 0 ||
                          atomic_load(&fail_call) == CALL_UNLINK,
                      "%s: left over: %s", point, d->d_name);
    closedir(dir);
}

static void check(void)
{
    size_t acked = rig.acked;
    size_t first;

    check_folder();
    heal();
    ck_assert_msg(open_and_start() == 0, "%s: %s", point, rig.err.text);
    first = rig.seen.count > 0 ? (size_t)rig.seen.at[0].seq : acked;
    ck_assert_msg(first <= trimmed || first == acked, "%s: begins at %zu",
                  point, first);
    ck_assert_msg(first + rig.seen.count >= acked, "%s: %zu acknowledged, %zu",
                  point, acked, first + rig.seen.count);
    ck_assert_msg(first + rig.seen.count <= rig.written.count &&
                      wal_rig_saw(&rig, first, first + rig.seen.count),
                  "%s: others than were written", point);
    /* What was found after all is there from now on. */
    rig.written.count = first + rig.seen.count;
    rig.seq = rig.written.count;
    ck_assert_msg(append_all() == 0, "%s: %s", point, rig.err.text);
    ck_assert_int_eq(close_log(), 0);
}

/* All zeros. */
static void blank_device(void)
{
    struct stat st;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0600);

    ck_assert_int_eq((int)syscall(SYS_ftruncate, fd, (off_t)0), 0);
    ck_assert_int_eq((int)syscall(SYS_ftruncate, fd, (off_t)DEVICE_SIZE), 0);
    ck_assert_int_eq((int)syscall(SYS_fstat, fd, &st), 0);
    syscall(SYS_close, fd);
    device.on = true;
    device.changed = false;
    device.inode = st.st_ino;
    device.size = DEVICE_SIZE;
    device.sector = 512;
}

/* A device is opened for itself alone; it is not made, reserved, named,
 * removed or cut, nor asked what only a file is asked. */
static void check_device(void)
{
    static const enum call never[] = {CALL_RESERVE, CALL_LINK, CALL_UNLINK,
                                      CALL_ACCESS};
    struct stat st;

    ck_assert_msg(!device.changed, "%s: the device is no file", point);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        ck_assert_msg(atomic_load(&calls[never[i]]) == 0, "%s: and %s", point,
                      call_names[never[i]]);
    ck_assert_int_eq((int)syscall(SYS_newfstatat, AT_FDCWD, path, &st, 0), 0);
    ck_assert_msg(st.st_ino == device.inode && st.st_size == DEVICE_SIZE,
                  "%s: the device is another", point);
}

/* Whether the call was reached. */
static bool one_life(enum call call, int number, int from, int times)
{
    bool well, reached;

    snprintf(point, sizeof(point), "%s %d fails with %s%s", call_names[call],
             from, number == SHORT ? "a part done" : strerror(number),
             times > 1 ? " from then on" : "");
    test_host_init(&host);
    wal_rig_init(&rig, &host.host);
    rig.max_group = 65536;
    if (device.on)
        blank_device();
    else
        syscall(SYS_unlink, path);
    trimmed = 0;
    heal();
    atomic_store(&fail_number, number);
    atomic_store(&fail_from, from);
    atomic_store(&fail_times, times);
    atomic_store(&fail_call, (int)call);
    well = live() == 0;
    reached = atomic_load(&calls[call]) >= from;
    points += reached;
    kept += reached && well;
    if (device.on)
        check_device();
    check();
    wal_rig_free(&rig);
    test_host_close(&host);
    return reached;
}

static void sweep(const struct failure *f)
{
    unsigned before = points;

    for (int i = 0; i < 10 && f->numbers[i] != 0; i++) {
        int number = f->numbers[i];
        int from = 1;

        while (one_life(f->call, number, from, 1)) {
            /* Who is interrupted for ever never ends. */
            if (number != EINTR)
                one_life(f->call, number, from, 1 << 20);
            from++;
        }
    }
    printf("%s: %u points\n", call_names[f->call], points - before);
    fflush(stdout);
}

static void name_log(void)
{
    snprintf(folder, sizeof(folder), "%s", test_dir());
    snprintf(path, sizeof(path), "%s/wal", folder);
    snprintf(uri, sizeof(uri), "file:%s?size=1MiB", path);
}

static void sweep_all(enum call first, enum call last)
{
    name_log();
    points = kept = 0;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (failures[i].call >= first && failures[i].call <= last)
            sweep(&failures[i]);
    printf("%u points, %u of them ended well all the same\n", points, kept);
    fflush(stdout);
    ck_assert_uint_gt(points, 0);
}

START_TEST(any_system_call_may_fail)
{
    sweep_all(CALL_OPEN, CALL_CLOSE);
}
END_TEST

/* Where a file must have a name while it is made. */
START_TEST(any_system_call_may_fail_without_nameless_files)
{
    atomic_store(&no_nameless, 1);
    sweep_all(CALL_OPEN, CALL_RESERVE);
    sweep_all(CALL_LINK, CALL_UNLINK);
}
END_TEST

/* Where the page cache cannot be left out it is asked to forget. */
START_TEST(any_system_call_may_fail_without_direct_io)
{
    atomic_store(&no_direct, 1);
    sweep_all(CALL_ADVISE, CALL_ADVISE);
}
END_TEST

START_TEST(any_system_call_may_fail_on_a_device)
{
    device.on = true;
    sweep_all(CALL_OPEN, CALL_IOCTL);
}
END_TEST

/* ---- What a device says of itself ----------------------------------------*/

static void begin_device(void)
{
    name_log();
    snprintf(point, sizeof(point), "a device");
    test_host_init(&host);
    wal_rig_init(&rig, &host.host);
    rig.max_group = 65536;
    heal();
    blank_device();
}

static void end_device(void)
{
    check_device();
    wal_rig_free(&rig);
    test_host_close(&host);
}

static const struct answer {
    uint64_t size;
    int sector;
    int status;
    const char *why;
} answers[] = {
    {0, 512, WEIR_ETRUNCATED, "is 0 bytes long"},
    {512, 512, WEIR_ETRUNCATED, "is 512 bytes long"},
    {6 * 4096 - 512, 512, WEIR_ETRUNCATED, "is 24064 bytes long"},
    {DEVICE_SIZE, 0, WEIR_EUNSUPPORTED, "has sectors of 0 bytes"},
    {DEVICE_SIZE, 3, WEIR_EUNSUPPORTED, "has sectors of 3 bytes"},
    {DEVICE_SIZE, -512, WEIR_EUNSUPPORTED, "has sectors of -512 bytes"},
    {DEVICE_SIZE, 520, WEIR_EUNSUPPORTED, "has sectors of 520 bytes"},
    {DEVICE_SIZE, 131072, WEIR_EUNSUPPORTED, "has sectors of 131072 bytes"},
};

/* It is refused, in words that name it, and nothing is written. */
static void refused(int status, const char *why)
{
    atomic_store(&calls[CALL_WRITE], 0);
    ck_assert_int_eq(open_log(), status);
    ck_assert_msg(strstr(rig.err.text, path) != NULL &&
                      strstr(rig.err.text, why) != NULL,
                  "%s: not: %s", rig.err.text, why);
    ck_assert_int_eq(atomic_load(&calls[CALL_WRITE]), 0);
}

START_TEST(implausible_answers_of_a_device_are_refused)
{
    begin_device();
    device.size = answers[_i].size;
    device.sector = answers[_i].sector;
    refused(answers[_i].status, answers[_i].why);
    end_device();
}
END_TEST

/* Of a log that is there: it was made with more, and with other blocks. */
START_TEST(a_log_on_a_device_that_has_changed_is_refused)
{
    begin_device();
    ck_assert_int_eq(open_and_start(), 0);
    ck_assert_int_eq(append_all(), 0);
    ck_assert_int_eq(close_log(), 0);
    device.size = DEVICE_SIZE / 2;
    refused(WEIR_ETRUNCATED, "but was made with 1048576");
    device.size = DEVICE_SIZE;
    device.sector = 8192;
    refused(WEIR_EUNSUPPORTED, "has blocks of 4096 bytes, the device of 8192");
    device.sector = 512;
    ck_assert_int_eq(open_and_start(), 0);
    ck_assert(wal_rig_saw(&rig, 0, 3));
    ck_assert_int_eq(close_log(), 0);
    end_device();
}
END_TEST

/* Who writes has it alone; who only looks may do so while it is mounted. */
START_TEST(a_device_is_opened_for_oneself_alone)
{
    begin_device();
    ck_assert_int_eq(open_and_start(), 0);
    ck_assert_int_ne(device.open_flags & O_EXCL, 0);
    ck_assert_int_eq(close_log(), 0);
    ck_assert_int_eq(wal_rig_open(&rig, weir__wal_file_inspect, uri), 0);
    ck_assert_int_eq(device.open_flags & (O_EXCL | O_ACCMODE), O_RDONLY);
    ck_assert_int_eq(close_log(), 0);
    end_device();
}
END_TEST

/* A read that stops short has not seen that the rest is zeros. */
START_TEST(a_device_with_something_behind_a_short_read_is_not_blank)
{
    int fd;

    begin_device();
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
    ck_assert_int_eq((int)syscall(SYS_pwrite64, fd, "x", 1, (off_t)65535), 1);
    syscall(SYS_close, fd);
    atomic_store(&fail_number, SHORT);
    atomic_store(&fail_from, 1);
    atomic_store(&fail_times, 1);
    atomic_store(&fail_call, (int)CALL_READ);
    refused(WEIR_EFORMAT, "is not a write-ahead log");
    end_device();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal sweep");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, any_system_call_may_fail);
    tcase_add_test(tc, any_system_call_may_fail_without_nameless_files);
    tcase_add_test(tc, any_system_call_may_fail_without_direct_io);
    tcase_add_test(tc, any_system_call_may_fail_on_a_device);
    tcase_add_loop_test(tc, implausible_answers_of_a_device_are_refused, 0,
                        (int)(sizeof(answers) / sizeof(answers[0])));
    tcase_add_test(tc, a_log_on_a_device_that_has_changed_is_refused);
    tcase_add_test(tc, a_device_is_opened_for_oneself_alone);
    tcase_add_test(tc,
                   a_device_with_something_behind_a_short_read_is_not_blank);
    return test_run();
}
