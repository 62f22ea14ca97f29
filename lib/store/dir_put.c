/* SPDX-License-Identifier: Apache-2.0 */
/* Writing objects as files: see dir.h for the steps of a PUT. */
#include "store/dir.h"

#include "base/error.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    NAME_ROOM = 64, /* Bytes of a temporary name. */
    TRIES = 1000,   /* Temporary names to try. */
    PIECES = 64     /* Pieces of a body in one write. */
};

/* A temporary file that is being written. */
struct temporary {
    char name[NAME_ROOM];
    int fd;
    bool moved;   /* The name is not ours any more. */
    bool unclear; /* It may have been moved, in spite of an error. */
};

/* FNV-1a; never 0, which marks a free slot. */
static uint64_t hash_path(const char *path, size_t len)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)path[i]) * 1099511628211u;
    return h != 0 ? h : 1;
}

static int sync_path(const struct weir__dir *dir, const char *path)
{
    int fd = openat(dir->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int saved;
    int rc;

    if (fd < 0)
        return -1;
    rc = fsync(fd);
    saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

int weir__dir_sync_folder(const struct weir__dir *dir, const char *key)
{
    char folder[WEIR_STORE_KEY_MAX + 1];
    const char *slash = strrchr(key, '/');

    if (!dir->sync)
        return 0;
    if (slash == NULL)
        return sync_path(dir, ".");
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - key), key);
    return sync_path(dir, folder);
}

/* Make the folder `path` and have its entry on the disk.  It may be there
 * already and be new all the same, made by someone whose sync of the parent
 * has yet to end; so the first PUT of each process syncs the parent. */
static int make_folder(struct weir__dir *dir, const char *path, bool again)
{
    uint64_t hash = hash_path(path, strlen(path));
    uint64_t *slot = &dir->known[hash % WEIR__DIR_KNOWN];

    if (!again && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == hash)
        return 0;
    if (mkdirat(dir->root, path, 0700) != 0 && errno != EEXIST)
        return -1;
    if (weir__dir_sync_folder(dir, path) != 0)
        return -1;
    __atomic_store_n(slot, hash, __ATOMIC_RELEASE);
    return 0;
}

/* The entry of the directory itself: an open that failed, or a process that
 * died, may have made it and not have synced it. */
static int settle_root(struct weir__dir *dir)
{
    if (!dir->sync || __atomic_load_n(&dir->settled, __ATOMIC_ACQUIRE))
        return 0;
    /* A parent that may be entered but not read was made by others; and there
     * are file systems, not ours, whose folders have no sync. */
    if (sync_path(dir, "..") != 0 && errno != EACCES && errno != EINVAL)
        return -1;
    __atomic_store_n(&dir->settled, 1, __ATOMIC_RELEASE);
    return 0;
}

/* Make the folders above `key`. */
static int make_folders(struct weir__dir *dir, const char *key, bool again)
{
    char path[WEIR_STORE_KEY_MAX + 1];

    if (settle_root(dir) != 0)
        return -1;
    for (const char *p = key; (p = strchr(p, '/')) != NULL; p++) {
        snprintf(path, sizeof(path), "%.*s", (int)(p - key), key);
        if (make_folder(dir, path, again) != 0)
            return -1;
    }
    return 0;
}

/* Open a new file under `name` and lock it.  The sweep of another process
 * may have removed it between the two: errno is EEXIST then as well. */
static int create_locked(const struct weir__dir *dir, const char *name)
{
    struct stat st;
    int saved = EEXIST;
    int fd = weir__fd_above_standard(
        openat(dir->root, name,
               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0)
        saved = errno == EWOULDBLOCK ? EEXIST : errno;
    else if (st.st_nlink > 0)
        return fd;
    unlinkat(dir->root, name, 0);
    close(fd);
    errno = saved;
    return -1;
}

/* Process ids are not unique where several machines or containers share the
 * directory; the exclusive create is what makes the name ours. */
static int create_temporary(struct weir__dir *dir, struct temporary *tmp)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t n = __atomic_fetch_add(&dir->next, 1, __ATOMIC_RELAXED);

        snprintf(tmp->name, sizeof(tmp->name), ".tmp/%ld-%" PRIu64,
                 (long)getpid(), n);
        tmp->fd = create_locked(dir, tmp->name);
        if (tmp->fd >= 0)
            return 0;
        if (errno == ENOENT) {
            if (mkdirat(dir->root, ".tmp", 0700) != 0 && errno != EEXIST)
                return -1;
        } else if (errno != EEXIST) {
            return -1;
        }
    }
    return -1;
}

/* Write all of `vec`, which is used up. */
static int write_all(int fd, struct iovec *vec, int count)
{
    while (count > 0) {
        ssize_t n = writev(fd, vec, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        while (count > 0 && (size_t)n >= vec->iov_len) {
            n -= (ssize_t)vec->iov_len;
            vec++;
            count--;
        }
        if (count > 0) {
            vec->iov_base = (char *)vec->iov_base + n;
            vec->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int write_body(int fd, const struct weir_store_req *req)
{
    struct iovec vec[PIECES];
    size_t at = 0;

    while (at < req->iov_count) {
        int n = 0;

        for (; n < PIECES && at < req->iov_count; at++) {
            if (req->iov[at].len == 0)
                continue;
            /* writev only reads, but its struct cannot say so. */
            vec[n].iov_base = (void *)(uintptr_t)req->iov[at].data;
            vec[n].iov_len = req->iov[at].len;
            n++;
        }
        if (write_all(fd, vec, n) != 0)
            return -1;
    }
    return 0;
}

/* Move the file to its name, unless that is taken: errno EEXIST. */
static int move_if_absent(const struct weir__dir *dir, const char *from,
                          const char *to)
{
    if (renameat2(dir->root, from, dir->root, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    /* A file system without that flag (NFS) has links instead. */
    if (linkat(dir->root, from, dir->root, to, 0) != 0)
        return -1;
    unlinkat(dir->root, from, 0);
    return 0;
}

/* Does the error of a rename say that nothing was done?  After an EIO, or over
 * a network after a time-out, the name may be there. */
static bool is_refusal(int number)
{
    static const int refusals[] = {
        EEXIST, ENOENT, ENOTDIR, EISDIR, ENOTEMPTY,    EACCES, EPERM, EROFS,
        ENOSPC, EDQUOT, EMLINK,  EINVAL, ENAMETOOLONG, ELOOP,  EXDEV, EBUSY};

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i] == number)
            return true;
    return false;
}

static int move(const struct weir__dir *dir, struct temporary *tmp,
                const struct weir_store_req *req)
{
    int rc;

    if ((req->flags & WEIR_STORE_IF_ABSENT) != 0)
        rc = move_if_absent(dir, tmp->name, req->key);
    else
        rc = renameat(dir->root, tmp->name, dir->root, req->key);
    tmp->moved = rc == 0;
    tmp->unclear = rc != 0 && !is_refusal(errno);
    return rc;
}

int weir__dir_sync_owed(struct weir__dir *dir, const struct weir_store_req *req)
{
    uint64_t owed = __atomic_load_n(&dir->owed, __ATOMIC_ACQUIRE);

    if (!dir->sync || owed == 0)
        return 0;
    /* Their folders are not kept in mind: it happens hardly ever. */
    if (syncfs(dir->root) != 0)
        return weir__fail_errno(req->err, errno,
                                "sync %s, where a write is unknown, for %s",
                                dir->path, req->key);
    /* Unless there is one more by now. */
    (void)__atomic_compare_exchange_n(&dir->owed, &owed, 0, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    return 0;
}

static int fail_unknown(struct weir__dir *dir, const struct weir_store_req *req,
                        const char *what)
{
    __atomic_add_fetch(&dir->owed, 1, __ATOMIC_RELEASE);
    weir__fail_errno(req->err, errno, "%s %s/%s", what, dir->path, req->key);
    if (req->err != NULL)
        req->err->code = WEIR_EUNKNOWN;
    return WEIR_EUNKNOWN;
}

/* The name is there from here on, so a failure leaves the outcome open. */
static int settle(struct weir__dir *dir, const struct weir_store_req *req)
{
    if (weir__dir_sync_folder(dir, req->key) == 0)
        return 0;
    return fail_unknown(dir, req, "sync the folder of");
}

static int publish(struct weir__dir *dir, const struct weir_store_req *req,
                   struct temporary *tmp)
{
    int rc = make_folders(dir, req->key, false);

    if (rc == 0)
        rc = move(dir, tmp, req);
    if (rc != 0 && errno == ENOENT) {
        /* Someone removed a folder that we know. */
        rc = make_folders(dir, req->key, true);
        if (rc == 0)
            rc = move(dir, tmp, req);
    }
    if (rc == 0)
        return settle(dir, req);
    if (tmp->unclear)
        return fail_unknown(dir, req, "create");
    if (errno != EEXIST || (req->flags & WEIR_STORE_IF_ABSENT) == 0)
        return weir__fail_errno(req->err, errno, "create %s/%s", dir->path,
                                req->key);
    /* Who loses acts on what won: that must not go away in a power cut. */
    rc = settle(dir, req);
    if (rc != 0)
        return rc;
    return weir__fail(req->err, WEIR_ECONFLICT, "create %s/%s: it exists",
                      dir->path, req->key);
}

int weir__dir_put(struct weir__dir *dir, struct weir_store_req *req)
{
    struct temporary tmp = {.fd = -1};
    int rc;

    if (create_temporary(dir, &tmp) != 0)
        return weir__fail_errno(req->err, errno, "create a file in %s/.tmp",
                                dir->path);
    if (write_body(tmp.fd, req) != 0 || (dir->sync && fsync(tmp.fd) != 0))
        rc = weir__fail_errno(req->err, errno, "write %s/%s for %s", dir->path,
                              tmp.name, req->key);
    else
        rc = publish(dir, req, &tmp);
    if (!tmp.moved)
        unlinkat(dir->root, tmp.name, 0);
    close(tmp.fd);
    return rc;
}
