/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds, makes and locks the file or block device of a log.  A new file has
 * no name until it is a log: it gets one, by a link that fails if there is
 * one, after its header blocks are durable.  So no crash leaves half a log,
 * and of two processes that make the same one, one is told.  Who made a file
 * that is there may have been killed before the name was durable; so whoever
 * opens it sees to that before anything else counts as durable.
 */
#include "wal/disk_file.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Alignment that every file system is content with. */
#define FILE_ALIGN 4096u
#define MODE 0600
#define SELF_FD "/proc/self/fd"
/* A device is taken for unused if its first bytes are zero: as many as it
 * takes to see the marks of all file systems in use. */
#define BLANK ((size_t)1 << 20)
#define BLANK_PIECE ((size_t)1 << 16)

static int open_errno(struct weir_error *err, int number, const char *path)
{
    if (number == ELOOP)
        return weir__fail(err, WEIR_EINVAL,
                          "open %s: is a symbolic link; name the file itself",
                          path);
    return weir__fail_errno(err, number, "open %s", path);
}

/* ---- A file that is not there yet ---------------------------------------*/

/* The folder of `path`, to be freed. */
static char *folder_of(const struct weir_alloc *alloc, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return weir__strdup(alloc, ".");
    if (slash == path)
        return weir__strdup(alloc, "/");
    return weir__strndup(alloc, path, (size_t)(slash - path));
}

/* Where a file must have a name from the beginning, it has this one. */
static int open_draft(struct weir__disk_place *place,
                      const struct weir_host *host, const char *path)
{
    size_t room = strlen(path) + 24;
    uint64_t salt;

    place->draft = weir__malloc(place->alloc, room);
    if (place->draft == NULL) {
        errno = ENOMEM;
        return -1;
    }
    host->env->ops->random(host->env, &salt, sizeof(salt));
    snprintf(place->draft, room, "%s.%016llx", path, (unsigned long long)salt);
    return weir__fd_above_standard(
        open(place->draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE));
}

static int open_new(struct weir__disk_place *place,
                    const struct weir_host *host,
                    const struct weir__disk_wish *wish, struct weir_error *err)
{
    char *folder = folder_of(place->alloc, wish->path);
    int rc;

    if (folder == NULL)
        return weir__fail(err, WEIR_ENOMEM, "open %s", wish->path);
    errno = EOPNOTSUPP;
    if (access(SELF_FD, X_OK) == 0)
        place->fd = weir__fd_above_standard(
            open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, MODE));
    weir__free(place->alloc, folder);
    if (place->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
        place->fd = open_draft(place, host, wish->path);
    if (place->fd < 0)
        return open_errno(err, errno, wish->path);
    do {
        rc = posix_fallocate(place->fd, 0, (off_t)wish->size);
    } while (rc == EINTR);
    if (rc != 0)
        return weir__fail_errno(err, rc, "make %s of %llu bytes", wish->path,
                                (unsigned long long)wish->size);
    place->size = wish->size;
    place->align = FILE_ALIGN;
    place->fresh = true;
    place->nameless = true;
    return 0;
}

static int link_name(const struct weir__disk_place *place, const char *path)
{
    char self[64];

    if (place->draft != NULL)
        return link(place->draft, path);
    snprintf(self, sizeof(self), SELF_FD "/%d", place->fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* 0 or an errno. */
static int sync_folder(const struct weir__disk_place *place, const char *path)
{
    char *folder = folder_of(place->alloc, path);
    int fd, number = 0;

    if (folder == NULL)
        return ENOMEM;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        number = errno;
    if (fd >= 0)
        close(fd);
    weir__free(place->alloc, folder);
    return number;
}

static int not_synced(const char *path, int number, struct weir_error *err)
{
    return weir__fail_errno(err, number, "sync the folder of %s", path);
}

static void drop_draft(struct weir__disk_place *place)
{
    if (place->draft != NULL)
        unlink(place->draft);
    weir__free(place->alloc, place->draft);
    place->draft = NULL;
}

int weir__disk_name(struct weir__disk_place *place, const char *path,
                    struct weir_error *err)
{
    int number;

    if (link_name(place, path) != 0) {
        if (errno == EEXIST)
            return weir__fail(err, WEIR_EBUSY,
                              "make %s: another process was faster", path);
        return weir__fail_errno(err, errno, "make %s", path);
    }
    place->nameless = false;
    drop_draft(place);
    number = sync_folder(place, path);
    return number == 0 ? 0 : not_synced(path, number, err);
}

int weir__disk_settle(struct weir__disk_place *place, const char *path,
                      struct weir_error *err)
{
    int number = sync_folder(place, path);

    /* A folder that may be entered but not read was made by others; and there
     * are file systems whose folders have no sync. */
    if (number != 0 && number != EACCES && number != EINVAL)
        return not_synced(path, number, err);
    place->unsettled = false;
    return 0;
}

/* ---- A file or device that is there -------------------------------------*/

static int take_lock(const struct weir__disk_place *place,
                     const struct weir__disk_wish *wish, struct weir_error *err)
{
    struct flock range = {0};

    range.l_type = wish->read_only ? F_RDLCK : F_WRLCK;
    range.l_whence = SEEK_SET;
    if (flock(place->fd, (wish->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) ==
            0 &&
        fcntl(place->fd, F_OFD_SETLK, &range) == 0)
        return 0;
    if (errno == EWOULDBLOCK || errno == EACCES)
        return weir__fail(err, WEIR_EBUSY, "open %s: in use by another process",
                          wish->path);
    return weir__fail_errno(err, errno, "lock %s", wish->path);
}

static bool zeros(const unsigned char *data, size_t len)
{
    size_t i = 0;

    while (i < len && data[i] == 0)
        i++;
    return i == len;
}

static int is_blank(const struct weir__disk_place *place, const char *path,
                    bool *blank, struct weir_error *err)
{
    unsigned char *data = weir__aligned(place->alloc, BLANK_PIECE, BLANK_PIECE);
    ssize_t n = 0;
    size_t at = 0;
    int rc = 0;

    if (data == NULL)
        return weir__fail(err, WEIR_ENOMEM, "open %s", path);
    *blank = true;
    while (*blank && at < BLANK) {
        n = pread(place->fd, data, BLANK_PIECE, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* It fails, or ends. */
        *blank = zeros(data, (size_t)n);
        at += (size_t)n; /* Of a part, behind which may be anything. */
    }
    if (n < 0)
        rc = weir__fail_errno(err, errno, "read %s", path);
    weir__free(place->alloc, data);
    return rc;
}

static int enter_device(struct weir__disk_place *place,
                        const struct weir__disk_wish *wish,
                        struct weir_error *err)
{
    int sector = 0;

    if (ioctl(place->fd, BLKGETSIZE64, &place->size) != 0 ||
        ioctl(place->fd, BLKSSZGET, &sector) != 0)
        return weir__fail_errno(err, errno, "size of %s", wish->path);
    /* Blocks of 4096 bytes or more are whole sectors then. */
    if (sector < 512 || sector > 65536 || (sector & (sector - 1)) != 0)
        return weir__fail(err, WEIR_EUNSUPPORTED, "%s: has sectors of %d bytes",
                          wish->path, sector);
    place->align = (uint32_t)sector;
    return 0;
}

static int enter_file(struct weir__disk_place *place, const struct stat *st,
                      const struct weir__disk_wish *wish,
                      struct weir_error *err)
{
    if (!S_ISREG(st->st_mode))
        return weir__fail(err, WEIR_EINVAL,
                          "open %s: is neither a file nor a block device",
                          wish->path);
    if (st->st_size == 0)
        return weir__fail(err, WEIR_EEMPTY,
                          "open %s: is empty; remove it to have it made anew",
                          wish->path);
    place->size = (uint64_t)st->st_size;
    place->align = FILE_ALIGN;
    place->unsettled = !wish->read_only;
    return 0;
}

static int open_old(struct weir__disk_place *place, bool device,
                    const struct weir__disk_wish *wish, struct weir_error *err)
{
    int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct stat st;
    int rc;

    flags |= wish->read_only ? O_RDONLY : O_RDWR;
    if (device && !wish->read_only)
        flags |= O_EXCL; /* Not while it is mounted, or another's. */
    place->fd = weir__fd_above_standard(open(wish->path, flags));
    if (place->fd < 0 || fstat(place->fd, &st) != 0)
        return open_errno(err, errno, wish->path);
    rc = take_lock(place, wish, err);
    if (rc != 0)
        return rc;
    if (!S_ISBLK(st.st_mode))
        return enter_file(place, &st, wish, err);
    rc = enter_device(place, wish, err);
    if (rc == 0)
        rc = is_blank(place, wish->path, &place->fresh, err);
    return rc;
}

/* ---- Entry --------------------------------------------------------------*/

int weir__disk_enter(struct weir__disk_place *place,
                     const struct weir_host *host,
                     const struct weir__disk_wish *wish, struct weir_error *err)
{
    struct stat st;
    int flags;
    int rc;

    place->alloc = host->alloc;
    place->fd = -1;
    if (lstat(wish->path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return weir__fail(err, WEIR_EISDIR, "open %s: is a directory",
                              wish->path);
        rc = open_old(place, S_ISBLK(st.st_mode), wish, err);
    } else if (errno == ENOENT && wish->size > 0) {
        rc = open_new(place, host, wish, err);
        if (rc == 0)
            rc = take_lock(place, wish, err);
    } else {
        rc = open_errno(err, errno, wish->path);
    }
    if (rc != 0)
        return rc;

    /* Past the page cache where that can be; not all file systems can. */
    flags = fcntl(place->fd, F_GETFL);
    if (flags < 0)
        return weir__fail_errno(err, errno, "flags of %s", wish->path);
    if (fcntl(place->fd, F_SETFL, (flags | O_DIRECT) & ~O_NONBLOCK) == 0)
        return 0;
    /* After a sync that failed the cache may show what the disk never got:
     * recovery has to see the disk. */
    (void)posix_fadvise(place->fd, 0, 0, POSIX_FADV_DONTNEED);
    weir__log(host->log, WEIR_LOG_INFO,
              "%s: no direct I/O here, the page cache is used", wish->path);
    return 0;
}

void weir__disk_leave(struct weir__disk_place *place)
{
    if (place->alloc == NULL)
        return;
    drop_draft(place);
    if (place->fd >= 0)
        close(place->fd); /* Drops both locks. */
    place->fd = -1;
}
