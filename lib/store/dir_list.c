/* SPDX-License-Identifier: Apache-2.0 */
/* LIST in a directory: a walk in the order of the keys' bytes.
 *
 * Within a folder the names are sorted as the keys below them are: a folder
 * counts as its name and a slash, so that "a.b" comes before "a/x", and that
 * before "ab". */
#include "store/dir.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/store_request.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names in one folder, those of folders with a slash. */
struct names {
    char **at;
    size_t count;
    size_t room;
};

struct walk {
    const struct weir__dir *dir;
    const struct weir_store_req *req;
    struct weir__dir_list *list;
    char path[WEIR_STORE_KEY_MAX + 1]; /* Of the folder; "" or "a/b/". */
    size_t len;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Can the key, or a key below the folder, be part of the answer? */
static bool is_wanted(const struct walk *walk, bool folder)
{
    const char *prefix = walk->req->key;
    const char *after = walk->req->after;

    if (!starts_with(walk->path, prefix) &&
        !(folder && starts_with(prefix, walk->path)))
        return false;
    if (after == NULL || strcmp(walk->path, after) > 0)
        return true;
    return folder && starts_with(after, walk->path);
}

static void names_free(const struct weir_alloc *alloc, struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        weir__free(alloc, names->at[i]);
    weir__free(alloc, names->at);
}

static int names_add(const struct weir_alloc *alloc, struct names *names,
                     const char *name, bool folder)
{
    size_t len = strlen(name);
    char *copy;

    if (names->count == names->room) {
        size_t room = names->room == 0 ? 32 : names->room * 2;
        char **at = weir__resize(alloc, names->at, room, sizeof(*at));

        if (at == NULL)
            return WEIR_ENOMEM;
        names->at = at;
        names->room = room;
    }
    copy = weir__malloc(alloc, len + 2);
    if (copy == NULL)
        return WEIR_ENOMEM;
    memcpy(copy, name, len);
    copy[len] = '/';
    copy[len + (folder ? 1 : 0)] = '\0';
    names->at[names->count++] = copy;
    return 0;
}

/* Append `name` to the walk's path; false when that is no key. */
static bool enter(struct walk *walk, const char *name, bool folder)
{
    size_t n = strlen(name);

    if (walk->len + n + (folder ? 1 : 0) > WEIR_STORE_KEY_MAX)
        return false;
    memcpy(walk->path + walk->len, name, n);
    walk->path[walk->len + n] = '/';
    walk->path[walk->len + n + (folder ? 1 : 0)] = '\0';
    return true;
}

/* File, folder, or neither (a link, a socket, removed meanwhile): DT_REG,
 * DT_DIR, or DT_UNKNOWN.  -1 with errno: that cannot be told. */
static int kind_of(int fd, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DT_UNKNOWN : -1;
    if (S_ISDIR(st.st_mode))
        return DT_DIR;
    return S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

static int fail_read(const struct walk *walk)
{
    return weir__fail_errno(walk->req->err, errno, "read the folder %s/%s",
                            walk->dir->path, walk->path);
}

/* Keep the name if it, or something below it, may be in the answer. */
static int consider(struct walk *walk, int fd, const struct dirent *entry,
                    struct names *names)
{
    int rc = 0;
    bool folder;
    int kind;

    if (entry->d_name[0] == '.' || !weir__store_key_valid(entry->d_name))
        return 0;
    kind = kind_of(fd, entry);
    if (kind < 0)
        return fail_read(walk);
    if (kind != DT_DIR && kind != DT_REG)
        return 0;
    folder = kind == DT_DIR;
    if (enter(walk, entry->d_name, folder) && is_wanted(walk, folder))
        rc = names_add(walk->list->alloc, names, entry->d_name, folder);
    walk->path[walk->len] = '\0';
    return rc;
}

/* Names in the folder at `walk->path`, sorted. */
static int read_folder(struct walk *walk, struct names *names)
{
    int fd = openat(walk->dir->root, walk->len == 0 ? "." : walk->path,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int rc = 0;

    if (stream == NULL) {
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
            return 0;
        rc = fail_read(walk);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while (rc == 0) {
        errno = 0;
        entry = readdir(stream);
        if (entry == NULL) {
            if (errno != 0)
                rc = fail_read(walk);
            break;
        }
        rc = consider(walk, fd, entry, names);
    }
    closedir(stream);
    if (rc == 0 && names->count > 1)
        qsort(names->at, names->count, sizeof(names->at[0]), compare_names);
    return rc;
}

static int add_entry(struct walk *walk)
{
    struct weir__dir_list *list = walk->list;
    struct weir_store_entry *entry;
    struct stat st;
    char *key;

    if (list->count == walk->req->limit) {
        list->more = 1;
        return 0;
    }
    if (fstatat(walk->dir->root, walk->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : fail_read(walk); /* Removed meanwhile. */
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 16 : list->room * 2;

        entry = weir__resize(list->alloc, list->entries, room, sizeof(*entry));
        if (entry == NULL)
            return WEIR_ENOMEM;
        list->entries = entry;
        list->room = room;
    }
    key = weir__strdup(list->alloc, walk->path);
    if (key == NULL)
        return WEIR_ENOMEM;
    list->entries[list->count++] = (struct weir_store_entry){
        .key = key,
        .size = (uint64_t)st.st_size,
        .modified =
            (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
    };
    return 0;
}

/* As deep as a key has slashes: at most 256. */
static int walk_folder(struct walk *walk)
{
    struct names names = {0};
    size_t len = walk->len;
    int rc = read_folder(walk, &names);

    for (size_t i = 0; i < names.count && rc == 0 && !walk->list->more; i++) {
        size_t n = strlen(names.at[i]);

        enter(walk, names.at[i], false);
        if (names.at[i][n - 1] == '/') {
            walk->len = len + n;
            rc = walk_folder(walk);
            walk->len = len;
        } else {
            rc = add_entry(walk);
        }
        walk->path[len] = '\0';
    }
    names_free(walk->list->alloc, &names);
    return rc;
}

int weir__dir_list(struct weir__dir *dir, struct weir_store_req *req,
                   struct weir__dir_list *list)
{
    struct walk walk = {.dir = dir, .req = req, .list = list};
    const char *slash = strrchr(req->key, '/');

    /* Begin in the folder that the prefix names. */
    if (slash != NULL) {
        walk.len = (size_t)(slash - req->key) + 1;
        memcpy(walk.path, req->key, walk.len);
        walk.path[walk.len] = '\0';
    }
    return walk_folder(&walk);
}

void weir__dir_list_free(struct weir__dir_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        /* The keys are ours; only the entry's reader may not write. */
        weir__free(list->alloc, (void *)(uintptr_t)list->entries[i].key);
    }
    weir__free(list->alloc, list->entries);
}
