/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the directory, and reading and removing objects in it. */
#include "store/dir.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/store_request.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Remove a temporary file that no living writer holds. */
static void sweep_one(int tmp, const char *name)
{
    int fd = openat(tmp, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(tmp, name, 0);
    close(fd);
}

/* Best effort: what stays takes room, and does nothing worse. */
static void sweep(const struct weir__dir *dir)
{
    int fd = openat(dir->root, ".tmp",
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const struct dirent *entry;
    DIR *stream;

    if (fd < 0)
        return;
    stream = fdopendir(fd);
    if (stream == NULL) {
        close(fd);
        return;
    }
    while ((entry = readdir(stream)) != NULL)
        if (entry->d_name[0] != '.')
            sweep_one(fd, entry->d_name);
    closedir(stream);
}

int weir__dir_open(struct weir__dir *dir, const struct weir_alloc *alloc,
                   const char *path, struct weir_error *err)
{
    int number = mkdir(path, 0700) == 0 ? 0 : errno;

    dir->alloc = alloc;
    if (number == ENOENT)
        return weir__fail(err, WEIR_ENOENT,
                          "create the directory %s: its parent does not exist",
                          path);
    /* If it is there after all, open says so. */
    if (number != 0 && number != EEXIST && number != EROFS && number != EACCES)
        return weir__fail_errno(err, number, "create the directory %s", path);
    dir->path = weir__strdup(alloc, path);
    if (dir->path == NULL)
        return weir__fail(err, WEIR_ENOMEM, "open %s: out of memory", path);
    for (size_t n = strlen(path); n > 1 && dir->path[n - 1] == '/'; n--)
        dir->path[n - 1] = '\0';
    dir->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->root < 0 && errno == ENOENT && number != EEXIST && number != 0)
        return weir__fail_errno(err, number, "create the directory %s", path);
    if (dir->root < 0)
        return weir__fail_errno(err, errno, "open the directory %s", path);
    sweep(dir);
    return 0;
}

void weir__dir_close(struct weir__dir *dir)
{
    if (dir->root >= 0)
        close(dir->root);
    weir__free(dir->alloc, dir->path);
}

/* A path that is no object: there is nothing, or a folder, or a file where
 * the key has a folder. */
static int is_absence(int number)
{
    return number == ENOENT || number == ENOTDIR || number == EISDIR;
}

static int fail_absent(const struct weir__dir *dir,
                       const struct weir_store_req *req)
{
    return weir__fail(req->err, WEIR_ENOENT, "%s/%s: no such object", dir->path,
                      req->key);
}

/* Read `length` bytes from `offset` into a new `req->body`. */
static int read_range(const struct weir__dir *dir, struct weir_store_req *req,
                      int fd, uint64_t offset, uint64_t length)
{
    struct weir_buf *buf = weir_buf_new(dir->alloc, (size_t)length, 0);

    if (buf == NULL)
        return weir__fail(req->err, WEIR_ENOMEM, "read %s/%s: out of memory",
                          dir->path, req->key);
    while (buf->len < length) {
        ssize_t n = pread(fd, buf->data + buf->len, (size_t)length - buf->len,
                          (off_t)(offset + buf->len));

        if (n > 0) {
            buf->len += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        weir_buf_unref(buf);
        if (n < 0)
            return weir__fail_errno(req->err, errno, "read %s/%s", dir->path,
                                    req->key);
        return weir__fail(req->err, WEIR_EIO,
                          "read %s/%s: it became shorter while it was read",
                          dir->path, req->key);
    }
    req->body = buf;
    return 0;
}

static int read_object(const struct weir__dir *dir, struct weir_store_req *req,
                       int fd)
{
    struct stat st;
    uint64_t offset;
    uint64_t length;
    int rc;

    if (fstat(fd, &st) != 0)
        return weir__fail_errno(req->err, errno, "stat %s/%s", dir->path,
                                req->key);
    if (!S_ISREG(st.st_mode))
        return fail_absent(dir, req);
    rc = weir__store_range(req, (uint64_t)st.st_size, &offset, &length);
    if (rc != 0)
        return rc;
    req->size = (uint64_t)st.st_size;
    return read_range(dir, req, fd, offset, length);
}

int weir__dir_get(struct weir__dir *dir, struct weir_store_req *req)
{
    /* O_NONBLOCK: a fifo that someone put there must not hold up a worker. */
    int fd = openat(dir->root, req->key,
                    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int rc;

    if (fd < 0 && is_absence(errno))
        return fail_absent(dir, req);
    if (fd < 0)
        return weir__fail_errno(req->err, errno, "open %s/%s", dir->path,
                                req->key);
    rc = weir__dir_sync_owed(dir, req);
    if (rc == 0)
        rc = read_object(dir, req, fd);
    close(fd);
    return rc;
}

int weir__dir_head(struct weir__dir *dir, struct weir_store_req *req)
{
    struct stat st;

    if (fstatat(dir->root, req->key, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (is_absence(errno))
            return fail_absent(dir, req);
        return weir__fail_errno(req->err, errno, "stat %s/%s", dir->path,
                                req->key);
    }
    if (!S_ISREG(st.st_mode))
        return fail_absent(dir, req);
    req->size = (uint64_t)st.st_size;
    return weir__dir_sync_owed(dir, req);
}

int weir__dir_delete(struct weir__dir *dir, struct weir_store_req *req)
{
    /* What is gone may have gone a moment ago, by someone, or by us before an
     * error, and may come back in a power cut: it is synced as well. */
    if (unlinkat(dir->root, req->key, 0) != 0 && !is_absence(errno))
        return weir__fail_errno(req->err, errno, "remove %s/%s", dir->path,
                                req->key);
    if (weir__dir_sync_folder(dir, req->key) != 0 && !is_absence(errno))
        return weir__fail_errno(req->err, errno, "sync the folder of %s/%s",
                                dir->path, req->key);
    return 0;
}
