/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory store on real files while its system calls fail: each call
 * that a request makes, with each error that it can have, both when nothing
 * was done and when it was done all the same.
 *
 * This program's own openat, writev, ... come before the C library's.
 */
#include "store/store.h"
#include "support/store_rig.h"
#include "support/test.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define CALLS(X)                                                               \
    X(MKDIR)                                                                   \
    X(OPEN)                                                                    \
    X(LOCK)                                                                    \
    X(STAT)                                                                    \
    X(WRITE)                                                                   \
    X(SYNC)                                                                    \
    X(RENAME)                                                                  \
    X(LINK)                                                                    \
    X(UNLINK)                                                                  \
    X(READ)                                                                    \
    X(LIST)                                                                    \
    X(FOLDER)                                                                  \
    X(CLOSE)

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

/* How a call fails. */
enum way {
    WAY_UNDONE, /* Nothing was done. */
    WAY_DONE,   /* It was done, and an error told all the same. */
    WAY_SHORT   /* A part of it was done. */
};

/* What is to go wrong.  The workers read it. */
static atomic_int fail_call = CALL_COUNT;
static atomic_int fail_errno;
static atomic_int fail_from; /* The call of this number, from 1, */
static atomic_int fail_times;
static atomic_int fail_way;
static atomic_int calls[CALL_COUNT];
static atomic_int no_replace; /* 0: renameat2 does not have its flag. */
static atomic_int no_types;   /* 1: readdir does not tell the kind. */

static bool fails(enum call call)
{
    int n = atomic_fetch_add(&calls[call], 1) + 1;
    int from = atomic_load(&fail_from);

    return atomic_load(&fail_call) == (int)call && n >= from &&
           n < from + atomic_load(&fail_times);
}

/* The result of a call that is to fail, if `run` was its result. */
static long outcome(long run)
{
    if (run >= 0 && atomic_load(&fail_way) == WAY_SHORT)
        return run;
    errno = atomic_load(&fail_errno);
    return -1;
}

/* Carry out `expression` unless the call is to fail without that. */
#define CALL(call, expression)                                                 \
    (!fails(call)                                                              \
         ? (expression)                                                        \
         : outcome(atomic_load(&fail_way) == WAY_UNDONE ? -1 : (expression)))

/* The C library's headers name the parameters otherwise.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int mkdir(const char *path, mode_t mode)
{
    return (int)CALL(CALL_MKDIR, syscall(SYS_mkdir, path, mode));
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    return (int)CALL(CALL_MKDIR, syscall(SYS_mkdirat, dir, path, mode));
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    va_start(args, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(args, mode_t);
    va_end(args);
    return (int)CALL(CALL_OPEN,
                     syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    va_start(args, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(args, mode_t);
    va_end(args);
    return (int)CALL(CALL_OPEN, syscall(SYS_openat, dir, path, flags, mode));
}

int flock(int fd, int how)
{
    return (int)CALL(CALL_LOCK, syscall(SYS_flock, fd, how));
}

int fstat(int fd, struct stat *st)
{
    return (int)CALL(CALL_STAT, syscall(SYS_fstat, fd, st));
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return (int)CALL(CALL_STAT, syscall(SYS_newfstatat, dir, path, st, flags));
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    struct iovec one = iov[0];

    if (atomic_load(&fail_way) != WAY_SHORT)
        return CALL(CALL_WRITE, syscall(SYS_writev, fd, iov, count));
    one.iov_len = one.iov_len > 7 ? 7 : one.iov_len;
    return fails(CALL_WRITE) ? syscall(SYS_writev, fd, &one, 1)
                             : syscall(SYS_writev, fd, iov, count);
}

int fsync(int fd)
{
    return (int)CALL(CALL_SYNC, syscall(SYS_fsync, fd));
}

int syncfs(int fd)
{
    return (int)CALL(CALL_SYNC, syscall(SYS_syncfs, fd));
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return (int)CALL(CALL_RENAME,
                     syscall(SYS_renameat, from_dir, from, to_dir, to));
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to,
              unsigned flags)
{
    if (!atomic_load(&no_replace)) {
        errno = EINVAL;
        return -1;
    }
    return (int)CALL(CALL_RENAME,
                     syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

int linkat(int from_dir, const char *from, int to_dir, const char *to,
           int flags)
{
    return (int)CALL(CALL_LINK,
                     syscall(SYS_linkat, from_dir, from, to_dir, to, flags));
}

int unlinkat(int dir, const char *path, int flags)
{
    return (int)CALL(CALL_UNLINK, syscall(SYS_unlinkat, dir, path, flags));
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    if (atomic_load(&fail_way) == WAY_SHORT && fails(CALL_READ))
        len = len > 7 ? 7 : len;
    else if (fails(CALL_READ))
        return outcome(-1);
    return syscall(SYS_pread64, fd, data, len, offset);
}

/* Those of the C library: a pointer to a function is no pointer in ISO C. */
static void find_real(void *real, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(real, &found, sizeof(found));
}

DIR *fdopendir(int fd)
{
    DIR *(*real)(int);

    if (fails(CALL_FOLDER)) {
        errno = atomic_load(&fail_errno);
        return NULL;
    }
    find_real(&real, "fdopendir");
    return real(fd);
}

/* It is closed, whatever it tells. */
int close(int fd)
{
    return (int)CALL(CALL_CLOSE, syscall(SYS_close, fd));
}

int closedir(DIR *stream)
{
    int (*real)(DIR *);

    find_real(&real, "closedir");
    return (int)CALL(CALL_CLOSE, real(stream));
}

/* One folder at a time is read here, so one buffer will do. */
struct dirent *readdir(DIR *stream)
{
    struct dirent64 *entry;

    if (fails(CALL_LIST)) {
        errno = atomic_load(&fail_errno);
        return NULL;
    }
    entry = readdir64(stream);
    if (entry != NULL && atomic_load(&no_types))
        entry->d_type = DT_UNKNOWN;
    return (struct dirent *)(void *)entry;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* The errors that a call can have, and the ways in which it fails. */
struct failure {
    enum call call;
    enum way way;
    int numbers[10];
};

static const struct failure failures[] = {
    {CALL_MKDIR, WAY_UNDONE, {EIO, ENOSPC, EDQUOT, EACCES, EROFS, EMLINK}},
    {CALL_MKDIR, WAY_DONE, {EIO, EINTR}},
    {CALL_OPEN, WAY_UNDONE, {EIO, EMFILE, ENFILE, EACCES, ENOMEM, EINTR}},
    {CALL_OPEN, WAY_UNDONE, {ENOSPC, EDQUOT, EROFS}},
    {CALL_LOCK, WAY_UNDONE, {ENOLCK, EIO, EINTR}},
    {CALL_STAT, WAY_UNDONE, {EIO, ENOMEM, EACCES}},
    {CALL_WRITE, WAY_UNDONE, {EIO, ENOSPC, EDQUOT, EFBIG, EINTR}},
    {CALL_WRITE, WAY_DONE, {EIO}},
    {CALL_WRITE, WAY_SHORT, {EINTR}},
    {CALL_SYNC, WAY_UNDONE, {EIO, ENOSPC, EDQUOT, EINTR, EROFS}},
    {CALL_RENAME, WAY_UNDONE, {EIO, ENOSPC, EDQUOT, EACCES, EROFS, EINTR}},
    {CALL_RENAME, WAY_DONE, {EIO, EINTR, ETIMEDOUT, ESTALE}},
    {CALL_LINK, WAY_UNDONE, {EIO, ENOSPC, EDQUOT, EACCES, EMLINK, EPERM}},
    {CALL_LINK, WAY_DONE, {EIO, EINTR, ETIMEDOUT, EEXIST}},
    {CALL_UNLINK, WAY_UNDONE, {EIO, EACCES, EROFS, EINTR}},
    {CALL_UNLINK, WAY_DONE, {EIO, EINTR}},
    {CALL_READ, WAY_UNDONE, {EIO, EINTR}},
    {CALL_READ, WAY_SHORT, {EINTR}},
    {CALL_LIST, WAY_UNDONE, {EIO, ENOMEM}},
    {CALL_FOLDER, WAY_UNDONE, {ENOMEM}},
    {CALL_CLOSE, WAY_DONE, {EIO, EINTR, ENOSPC, EDQUOT, ESTALE}},
};

enum { SIZE = 1000 };

static struct store_rig rig;
static char root[400];
static unsigned char bodies[2][SIZE];
static int points;

/* The point that is being tried, for messages. */
static char point[100];

static void heal(void)
{
    atomic_store(&fail_call, CALL_COUNT);
    atomic_store(&fail_way, WAY_UNDONE);
    for (int i = 0; i < CALL_COUNT; i++)
        atomic_store(&calls[i], 0);
}

static void hurt(const struct failure *f, int number, int from, int times)
{
    heal();
    snprintf(point, sizeof(point), "%s number %d%s, %s%s", call_names[f->call],
             from, times > 1 ? " and on" : "", strerrorname_np(number),
             f->way == WAY_DONE    ? ", but done"
             : f->way == WAY_SHORT ? ", stopping short"
                                   : "");
    atomic_store(&fail_errno, number);
    atomic_store(&fail_from, from);
    atomic_store(&fail_times, times);
    atomic_store(&fail_way, f->way);
    atomic_store(&fail_call, (int)f->call);
}

static int open_store(void)
{
    char uri[sizeof(root) + 8];

    snprintf(uri, sizeof(uri), "dir:%s", root);
    return store_rig_open(&rig, weir__store_dir_open, uri, NULL);
}

static int shell(const char *format, const char *path)
{
    char command[sizeof(root) + 100];

    snprintf(command, sizeof(command), format, path);
    return system(command);
}

static void setup(void)
{
    heal();
    atomic_store(&no_replace, 1);
    atomic_store(&no_types, 0);
    for (int i = 0; i < SIZE; i++) {
        bodies[0][i] = (unsigned char)(i * 7);
        bodies[1][i] = (unsigned char)(i * 11 + 1);
    }
    snprintf(root, sizeof(root), "%s/store", test_dir());
    ck_assert_int_eq(shell("rm -rf '%s'", root), 0);
    store_rig_init(&rig);
}

static void teardown(void)
{
    heal();
    store_rig_close(&rig);
}

/* Status of a request that failed is one that the store may give, and the
 * text names the store's place. */
static void check_status(int rc)
{
    static const int known[] = {WEIR_ENOMEM,  WEIR_EUNKNOWN,    WEIR_ENOSPC,
                                WEIR_EACCES,  WEIR_EIO,         WEIR_EAGAIN,
                                WEIR_ETOOBIG, WEIR_EUNAVAILABLE};
    bool found = false;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        found = found || rc == known[i];
    ck_assert_msg(found, "%s: gave %s", point, weir_error_name(rc));
    ck_assert_msg(strstr(rig.err.text, root) != NULL, "%s: says %s", point,
                  rig.err.text);
}

/* 0 or 1: the object is there and is that body; -1: it is not there. */
static int what_is_there(const char *key)
{
    struct weir_buf *body = NULL;
    int which;
    int rc = store_get(&rig, key, 0, UINT64_MAX, 0, &body, NULL);

    if (rc == WEIR_ENOENT)
        return -1;
    ck_assert_msg(rc == 0, "%s: %s", point, rig.err.text);
    which =
        memcmp(body->data, bodies[1], body->len < SIZE ? body->len : SIZE) == 0
            ? 1
            : 0;
    ck_assert_msg(body->len == SIZE &&
                      memcmp(body->data, bodies[which], SIZE) == 0,
                  "%s: half an object", point);
    weir_buf_unref(body);
    return which;
}

/* Remove what is in .tmp; how many there were. */
static int clear_temporaries(void)
{
    char path[sizeof(root) + 8];
    const struct dirent *entry;
    DIR *stream;
    int count = 0;

    snprintf(path, sizeof(path), "%s/.tmp", root);
    stream = opendir(path);
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        ck_assert_int_eq(unlinkat(dirfd(stream), entry->d_name, 0), 0);
        count++;
    }
    if (stream != NULL)
        closedir(stream);
    return count;
}

/* What is swept: a request, and what is before and after it. */
struct sweep {
    void (*prepare)(void);
    int (*attempt)(void);
    void (*check)(int rc, enum call call);
};

/* Call number `from` fails, and so many.  False: there was no such call. */
static bool try_one(const struct sweep *s, const struct failure *f, int number,
                    int from, int times)
{
    bool reached;
    int rc;

    s->prepare();
    hurt(f, number, from, times);
    rc = s->attempt();
    reached = atomic_load(&calls[f->call]) >= from;
    heal();
    s->check(rc, f->call);
    points += reached;
    return reached;
}

/* Each call fails in each way: once, and from then on.  (Not interrupted for
 * ever: that would be to hang.) */
static void sweep(const struct sweep *s)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        const struct failure *f = &failures[i];

        for (int n = 0; f->numbers[n] != 0; n++) {
            int number = f->numbers[n];

            for (int from = 1; try_one(s, f, number, from, 1); from++)
                if (number != EINTR)
                    try_one(s, f, number, from, 100000);
        }
    }
}

/* ---- PUT ----------------------------------------------------------------*/

static char key[40];
static unsigned put_flags;
static bool exists; /* There is an object to be replaced. */
static bool links;  /* renameat2 does not have its flag. */

static void before_put(void)
{
    static int number;

    snprintf(key, sizeof(key), "f%d/g/k", number++);
    if (exists)
        ck_assert_int_eq(store_put(&rig, key, bodies[0], SIZE, 0), 0);
}

static int attempt_put(void)
{
    return store_put(&rig, key, bodies[1], SIZE, put_flags);
}

/* What a PUT of unknown outcome has left is read back, and counts if it is
 * there: so it is there to stay by then. */
static void check_unknown(int found)
{
    if (found == 1)
        ck_assert_msg(atomic_load(&calls[CALL_SYNC]) > 0,
                      "%s: unknown, and then shown without a sync", point);
    heal();
    ck_assert_int_eq(what_is_there(key), found);
    ck_assert_msg(atomic_load(&calls[CALL_SYNC]) == 0,
                  "%s: synced again and again", point);
}

static void check_put(int rc, enum call call)
{
    int found;

    if (rc != 0 && rc != WEIR_ECONFLICT)
        check_status(rc);
    found = what_is_there(key);
    if (rc == WEIR_EUNKNOWN)
        check_unknown(found);
    if (rc == 0 || rc == WEIR_ECONFLICT)
        ck_assert_msg(found == 1, "%s: %s, and it is not there", point,
                      weir_error_name(rc));
    else if (rc != WEIR_EUNKNOWN)
        ck_assert_msg(found == (exists ? 0 : -1),
                      "%s: %s, and it is there: it is to be unknown", point,
                      weir_error_name(rc));
    ck_assert_msg(clear_temporaries() == 0 || call == CALL_UNLINK,
                  "%s: a file is left in .tmp", point);
    rc = attempt_put();
    ck_assert_msg(rc == 0 || (rc == WEIR_ECONFLICT && found == 1),
                  "%s: then %s", point, rig.err.text);
    ck_assert_int_eq(what_is_there(key), 1);
}

static void run_puts(unsigned flags, bool replace)
{
    setup();
    put_flags = flags;
    exists = replace;
    atomic_store(&no_replace, links ? 0 : 1);
    ck_assert_int_eq(open_store(), 0);
    ck_assert_int_eq(store_put(&rig, "x", bodies[0], SIZE, 0), 0);
    sweep(&(struct sweep){before_put, attempt_put, check_put});
    teardown();
}

START_TEST(put_is_done_or_not_or_unknown)
{
    run_puts(0, false);
    run_puts(0, true);
    printf("%d points\n", points);
}
END_TEST

START_TEST(put_if_absent_is_done_or_not_or_unknown)
{
    run_puts(WEIR_STORE_IF_ABSENT, false);
    printf("%d points\n", points);
}
END_TEST

/* Where a rename cannot refuse to replace. */
START_TEST(put_by_a_link_is_done_or_not_or_unknown)
{
    links = true;
    run_puts(WEIR_STORE_IF_ABSENT, false);
    printf("%d points\n", points);
}
END_TEST

/* Who loses is told so only when what won is durable. */
static int attempt_conflict(void)
{
    return store_put(&rig, key, bodies[1], SIZE, WEIR_STORE_IF_ABSENT);
}

static void check_conflict(int rc, enum call call)
{
    (void)call;
    ck_assert_msg(rc != 0, "%s: replaced", point);
    if (rc != WEIR_ECONFLICT)
        check_status(rc);
    ck_assert_int_eq(what_is_there(key), 0);
    ck_assert_int_eq(attempt_conflict(), WEIR_ECONFLICT);
}

START_TEST(put_if_absent_never_replaces)
{
    setup();
    exists = true;
    ck_assert_int_eq(open_store(), 0);
    sweep(&(struct sweep){before_put, attempt_conflict, check_conflict});
    teardown();
    printf("%d points\n", points);
}
END_TEST

/* Nor is it told to be there before that could be synced. */
START_TEST(what_cannot_be_synced_is_not_shown)
{
    static const struct failure failure = {CALL_SYNC, WAY_UNDONE, {EIO}};
    struct weir_buf *body = NULL;
    uint64_t size;

    setup();
    ck_assert_int_eq(open_store(), 0);
    ck_assert_int_eq(store_put(&rig, "f/a", bodies[1], SIZE, 0), 0);
    hurt(&failure, EIO, 2, 100000); /* The first one is the file's. */
    ck_assert_int_eq(
        store_put(&rig, "f/b", bodies[1], SIZE, WEIR_STORE_IF_ABSENT),
        WEIR_EUNKNOWN);
    ck_assert_int_eq(store_get(&rig, "f/b", 0, UINT64_MAX, 0, &body, NULL),
                     WEIR_EIO);
    ck_assert_int_eq(store_head(&rig, "f/b", &size), WEIR_EIO);
    ck_assert_int_eq(store_head(&rig, "f/c", &size), WEIR_ENOENT);
    heal();
    ck_assert_int_eq(store_head(&rig, "f/b", &size), 0);
    ck_assert_uint_eq(size, SIZE);
    teardown();
}
END_TEST

/* ---- GET, HEAD, LIST, DELETE --------------------------------------------*/

static struct weir_buf *got;

static void make_objects(void)
{
    setup();
    ck_assert_int_eq(open_store(), 0);
    ck_assert_int_eq(store_put(&rig, "a/b/c", bodies[0], SIZE, 0), 0);
    ck_assert_int_eq(store_put(&rig, "a/d", bodies[0], SIZE, 0), 0);
    ck_assert_int_eq(store_put(&rig, "e", bodies[0], SIZE, 0), 0);
}

static void nothing(void)
{
}

static int attempt_get(void)
{
    got = NULL;
    return store_get(&rig, "a/b/c", 1, SIZE - 1, 0, &got, NULL);
}

static void check_get(int rc, enum call call)
{
    (void)call;
    if (rc != 0) {
        check_status(rc);
        return;
    }
    ck_assert_msg(got->len == SIZE - 1 &&
                      memcmp(got->data, bodies[0] + 1, SIZE - 1) == 0,
                  "%s: other bytes", point);
    weir_buf_unref(got);
}

static int attempt_head(void)
{
    uint64_t size = 0;
    int rc = store_head(&rig, "a/b/c", &size);

    ck_assert(rc != 0 || size == SIZE);
    return rc;
}

static void check_failed(int rc, enum call call)
{
    (void)call;
    if (rc != 0)
        check_status(rc);
}

START_TEST(failed_read_is_no_absence_and_never_short)
{
    make_objects();
    sweep(&(struct sweep){nothing, attempt_get, check_get});
    sweep(&(struct sweep){nothing, attempt_head, check_failed});
    teardown();
    printf("%d points\n", points);
}
END_TEST

static int attempt_list(void)
{
    char keys[100];
    int rc = store_list(&rig, "", NULL, 10, keys, sizeof(keys));

    if (rc == 0)
        ck_assert_msg(strcmp(keys, "a/b/c a/d e") == 0, "%s: only %s", point,
                      keys);
    return rc;
}

START_TEST(failed_list_is_no_shorter_list)
{
    make_objects();
    sweep(&(struct sweep){nothing, attempt_list, check_failed});
    atomic_store(&no_types, 1);
    sweep(&(struct sweep){nothing, attempt_list, check_failed});
    teardown();
    printf("%d points\n", points);
}
END_TEST

static void before_delete(void)
{
    ck_assert_int_eq(store_put(&rig, "a/b/c", bodies[0], SIZE, 0), 0);
}

static int attempt_delete(void)
{
    return store_delete(&rig, "a/b/c");
}

/* A deletion that failed is tried again; when that is well, the folder has
 * been synced since the object went. */
static void check_delete(int rc, enum call call)
{
    int found;

    (void)call;
    if (rc != 0)
        check_status(rc);
    found = what_is_there("a/b/c");
    ck_assert(rc != 0 || found == -1);
    if (rc == 0)
        return;
    heal();
    ck_assert_int_eq(attempt_delete(), 0);
    ck_assert_msg(atomic_load(&calls[CALL_SYNC]) > 0,
                  "%s: gone at the second try, and nothing was synced", point);
    ck_assert_int_eq(what_is_there("a/b/c"), -1);
}

START_TEST(failed_delete_can_be_repeated)
{
    make_objects();
    sweep(&(struct sweep){before_delete, attempt_delete, check_delete});
    teardown();
    printf("%d points\n", points);
}
END_TEST

/* ---- Opening ------------------------------------------------------------*/

static void no_store(void)
{
    ck_assert_int_eq(shell("rm -rf '%s'", root), 0);
}

/* What opens, takes an object; what does not, names the place. */
static void check_open(int rc, enum call call)
{
    (void)call;
    if (rc != 0) {
        ck_assert_msg(rc != WEIR_ENOENT && strstr(rig.err.text, root) != NULL,
                      "%s: %s", point, rig.err.text);
        ck_assert_int_eq(open_store(), 0);
    }
    heal();
    ck_assert_int_eq(store_put(&rig, "e", bodies[0], SIZE, 0), 0);
    /* The file, its folder, and the folder's own entry, whoever made it. */
    ck_assert_msg(atomic_load(&calls[CALL_SYNC]) == 3, "%s: %d syncs", point,
                  atomic_load(&calls[CALL_SYNC]));
    store_rig_close_store(&rig);
}

START_TEST(failed_opening_names_the_place_and_can_be_repeated)
{
    setup();
    sweep(&(struct sweep){no_store, open_store, check_open});
    teardown();
    printf("%d points\n", points);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("dir system calls");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, put_is_done_or_not_or_unknown);
    tcase_add_test(tc, put_if_absent_is_done_or_not_or_unknown);
    tcase_add_test(tc, put_by_a_link_is_done_or_not_or_unknown);
    tcase_add_test(tc, put_if_absent_never_replaces);
    tcase_add_test(tc, what_cannot_be_synced_is_not_shown);
    tcase_add_test(tc, failed_read_is_no_absence_and_never_short);
    tcase_add_test(tc, failed_list_is_no_shorter_list);
    tcase_add_test(tc, failed_delete_can_be_repeated);
    tcase_add_test(tc, failed_opening_names_the_place_and_can_be_repeated);
    return test_run();
}
