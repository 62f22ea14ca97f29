/* SPDX-License-Identifier: Apache-2.0 */
/* What is of the directory store alone: names on the disk, leftovers, rights,
 * a full disk. */
#include "store/store.h"
#include "support/store_rig.h"
#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = 400 };

static struct store_rig rig;
static char root[ROOM];
static char line[1024];

static int try_open(const char *uri)
{
    return store_rig_open(&rig, weir__store_dir_open, uri, NULL);
}

static void open_root(const char *parameters)
{
    char uri[ROOM + 20];

    snprintf(uri, sizeof(uri), "dir:%s%s", root, parameters);
    ck_assert_msg(try_open(uri) == 0, "%s", rig.err.text);
}

static void open_rig(void)
{
    store_rig_init(&rig);
    snprintf(root, sizeof(root), "%s/store", test_dir());
    open_root("");
}

static const char *path(const char *name)
{
    static char full[2 * ROOM];

    snprintf(full, sizeof(full), "%s/%s", root, name);
    return full;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path(name), "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static bool exists(const char *name)
{
    struct stat st;

    return lstat(path(name), &st) == 0;
}

/* Files in a folder, or -1. */
static int count_files(const char *name)
{
    DIR *dir = opendir(path(name));
    const struct dirent *entry;
    int n = 0;

    if (dir == NULL)
        return -1;
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static const char *list(void)
{
    ck_assert_int_eq(store_list(&rig, "", NULL, 100, line, sizeof(line)), 0);
    return line;
}

START_TEST(a_key_is_a_path_and_nothing_else_stays)
{
    struct stat st;

    open_rig();
    ck_assert_int_eq(store_put(&rig, "data/3f/1", "body", 4, 0), 0);
    ck_assert_int_eq(store_put(&rig, "data/3f/1", "b", 1, WEIR_STORE_IF_ABSENT),
                     WEIR_ECONFLICT);
    ck_assert_int_eq(stat(path("data/3f/1"), &st), 0);
    ck_assert_int_eq(st.st_size, 4);
    ck_assert_uint_eq(st.st_mode & 0777u, 0600);
    ck_assert_int_eq(stat(path("data/3f"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777u, 0700);
    ck_assert_int_eq(count_files(".tmp"), 0);
    store_rig_close(&rig);
}
END_TEST

START_TEST(objects_are_there_in_the_next_opening)
{
    open_rig();
    ck_assert_int_eq(store_put(&rig, "a/b", "body", 4, 0), 0);
    store_rig_close_store(&rig);
    open_root("?fsync=false");
    ck_assert_int_eq(store_put(&rig, "a/b", "x", 1, WEIR_STORE_IF_ABSENT),
                     WEIR_ECONFLICT);
    ck_assert_int_eq(store_put(&rig, "a/c", "x", 1, WEIR_STORE_IF_ABSENT), 0);
    ck_assert_str_eq(list(), "a/b a/c");
    store_rig_close(&rig);
}
END_TEST

struct wrong {
    const char *uri; /* %s: a directory. */
    int status;
    const char *word;
};

static const struct wrong wrongs[] = {
    {"dir:", WEIR_EINVAL, "dir:/path"},
    {"dir://host/path", WEIR_EINVAL, "no host"},
    {"dir:%s/x?fsnyc=false", WEIR_EINVAL, "fsnyc"},
    {"dir:%s/x?fsync=perhaps", WEIR_EINVAL, "fsync"},
    {"dir:%s/no/parent", WEIR_ENOENT, "/no/parent"},
    {"dir:%s/file", WEIR_EINVAL, "/file"},
};

START_TEST(a_wrong_uri_or_place_is_told)
{
    const struct wrong *w = &wrongs[_i];
    const char *at = strstr(w->uri, "%s");
    char uri[ROOM + 60];

    store_rig_init(&rig);
    snprintf(root, sizeof(root), "%s", test_dir());
    write_file("file", "x");
    snprintf(uri, sizeof(uri), "%.*s%s%s",
             (int)(at != NULL ? at - w->uri : (long)strlen(w->uri)), w->uri,
             at != NULL ? root : "", at != NULL ? at + 2 : "");
    ck_assert_int_eq(try_open(uri), w->status);
    ck_assert_msg(strstr(rig.err.text, w->word) != NULL, "%s", rig.err.text);
    store_rig_close(&rig);
}
END_TEST

START_TEST(names_that_are_no_keys_are_not_seen)
{
    open_rig();
    ck_assert_int_eq(store_put(&rig, "a", "1", 1, 0), 0);
    ck_assert_int_eq(mkdir(path(".wal"), 0700), 0);
    write_file(".wal/x", "x");
    write_file(".hidden", "x");
    write_file("Upper", "x");
    write_file("with space", "x");
    ck_assert_int_eq(mkdir(path("lost+found"), 0700), 0);
    ck_assert_int_eq(mkdir(path("empty"), 0700), 0);
    ck_assert_int_eq(symlink("/etc", path("link")), 0);
    ck_assert_int_eq(symlink("a", path("b")), 0);
    ck_assert_int_eq(mkfifo(path("fifo"), 0600), 0);
    ck_assert_str_eq(list(), "a");
    store_rig_close(&rig);
}
END_TEST

/* A link could point anywhere, and a fifo would hold up a worker for ever. */
START_TEST(links_and_fifos_are_no_objects)
{
    open_rig();
    ck_assert_int_eq(symlink("/etc/hostname", path("link")), 0);
    ck_assert_int_eq(mkfifo(path("fifo"), 0600), 0);
    ck_assert_int_ne(store_get(&rig, "link", 0, 1, 0, NULL, NULL), 0);
    ck_assert_int_eq(store_head(&rig, "link", NULL), WEIR_ENOENT);
    ck_assert_int_eq(store_get(&rig, "fifo", 0, 1, 0, NULL, NULL), WEIR_ENOENT);
    ck_assert_int_eq(store_head(&rig, "fifo", NULL), WEIR_ENOENT);
    store_rig_close(&rig);
}
END_TEST

/* Its writer lives as long as it holds the lock. */
START_TEST(an_open_removes_what_dead_writers_left_and_no_more)
{
    int held;

    open_rig();
    ck_assert_int_eq(store_put(&rig, "a", "1", 1, 0), 0);
    store_rig_close_store(&rig);
    write_file(".tmp/1-1", "left over");
    write_file(".tmp/2-2", "being written");
    held = open(path(".tmp/2-2"), O_WRONLY);
    ck_assert_int_eq(flock(held, LOCK_EX | LOCK_NB), 0);
    open_root("");
    ck_assert(!exists(".tmp/1-1"));
    ck_assert(exists(".tmp/2-2"));
    close(held);
    store_rig_close_store(&rig);
    open_root("");
    ck_assert(!exists(".tmp/2-2"));
    ck_assert_str_eq(list(), "a");
    store_rig_close(&rig);
}
END_TEST

START_TEST(a_taken_temporary_name_is_passed_over)
{
    char name[64];
    int held[3];

    open_rig();
    ck_assert_int_eq(mkdir(path(".tmp"), 0700), 0);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), ".tmp/%ld-%d", (long)getpid(), i);
        write_file(name, "another's");
        held[i] = open(path(name), O_WRONLY);
    }
    ck_assert_int_eq(store_put(&rig, "a", "1", 1, 0), 0);
    ck_assert_int_eq(count_files(".tmp"), 3);
    for (int i = 0; i < 3; i++)
        close(held[i]);
    store_rig_close(&rig);
}
END_TEST

START_TEST(folders_removed_by_others_are_made_again)
{
    open_rig();
    ck_assert_int_eq(store_put(&rig, "a/b/c", "1", 1, 0), 0);
    ck_assert_int_eq(store_delete(&rig, "a/b/c"), 0);
    ck_assert_int_eq(rmdir(path("a/b")), 0);
    ck_assert_int_eq(rmdir(path("a")), 0);
    ck_assert_int_eq(rmdir(path(".tmp")), 0);
    ck_assert_int_eq(store_put(&rig, "a/b/c", "2", 1, WEIR_STORE_IF_ABSENT), 0);
    ck_assert_str_eq(list(), "a/b/c");
    store_rig_close(&rig);
}
END_TEST

START_TEST(a_file_in_the_way_is_an_error_and_no_loss)
{
    open_rig();
    ck_assert_int_eq(store_put(&rig, "a", "1", 1, 0), 0);
    ck_assert_int_eq(store_put(&rig, "a/b", "2", 1, 0), WEIR_EINVAL);
    ck_assert_msg(strstr(rig.err.text, "a/b") != NULL, "%s", rig.err.text);
    ck_assert_int_eq(count_files(".tmp"), 0);
    ck_assert_str_eq(list(), "a");
    store_rig_close(&rig);
}
END_TEST

/* Rights do not hold for root, so this runs as nobody. */
START_TEST(a_directory_without_rights_is_told)
{
    pid_t child;
    int status;

    snprintf(root, sizeof(root), "%s", test_dir());
    ck_assert_int_eq(chmod(root, 0555), 0);
    child = fork();
    if (child == 0) {
        char uri[ROOM + 20];

        if (getuid() == 0 && setuid(65534) != 0)
            _exit(0);
        store_rig_init(&rig);
        snprintf(uri, sizeof(uri), "dir:%s", root);
        /* The folders above may be closed to nobody; that is told as well. */
        if (try_open(uri) != 0)
            _exit(rig.err.code == WEIR_EACCES ? 0 : 1);
        _exit(store_put(&rig, "a", "1", 1, 0) == WEIR_EACCES &&
                      strstr(rig.err.text, root) != NULL
                  ? 0
                  : 2);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* A file system of its own, which needs root and the right to mount. */
START_TEST(a_full_disk_is_told_and_can_be_freed)
{
    unsigned char *data = calloc(1, 1 << 20);
    int stored = 0;
    char key[32];
    int rc = 0;

    snprintf(root, sizeof(root), "%s", test_dir());
    /* Seen by this process alone, so that nothing stays if the test fails. */
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", root, "tmpfs", 0, "size=4m") != 0) {
        printf("skipped: a full disk (cannot mount a file system here)\n");
        free(data);
        return;
    }
    store_rig_init(&rig);
    open_root("");
    while (rc == 0 && stored < 100) {
        snprintf(key, sizeof(key), "fill/%d", stored);
        rc = store_put(&rig, key, data, 1 << 20, WEIR_STORE_IF_ABSENT);
        stored += rc == 0;
    }
    ck_assert_int_eq(rc, WEIR_ENOSPC);
    ck_assert_msg(strstr(rig.err.text, key) != NULL, "%s", rig.err.text);
    ck_assert_int_eq(store_head(&rig, key, NULL), WEIR_ENOENT);
    ck_assert_int_eq(count_files(".tmp"), 0);
    ck_assert_int_eq(store_delete(&rig, "fill/0"), 0);
    ck_assert_int_eq(store_put(&rig, key, data, 1 << 20, WEIR_STORE_IF_ABSENT),
                     0);
    store_rig_close(&rig);
    ck_assert_int_eq(umount(root), 0);
    free(data);
}
END_TEST

START_TEST(an_open_without_memory_leaves_nothing)
{
    char uri[ROOM + 20];
    int rc = WEIR_ENOMEM;
    long n;

    store_rig_init(&rig);
    snprintf(uri, sizeof(uri), "dir:%s/", test_dir());
    for (n = 1; rc != 0; n++) {
        test_alloc_fail(&rig.host.alloc, n, 0);
        rc = try_open(uri);
        ck_assert(rc == 0 || rc == WEIR_ENOMEM);
    }
    ck_assert_int_gt(n, 3);
    store_rig_close(&rig);
}
END_TEST

START_TEST(a_deadline_that_is_over_is_told)
{
    struct store_call call = {
        .req = {.verb = WEIR_STORE_HEAD, .key = "a", .deadline = 1}};

    open_rig();
    store_rig_start(&rig, &call);
    ck_assert_int_eq(store_rig_finish(&rig, &call), WEIR_ETIMEDOUT);
    store_rig_close(&rig);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("store_dir");

    tcase_add_test(tc, a_key_is_a_path_and_nothing_else_stays);
    tcase_add_test(tc, objects_are_there_in_the_next_opening);
    tcase_add_loop_test(tc, a_wrong_uri_or_place_is_told, 0,
                        sizeof(wrongs) / sizeof(wrongs[0]));
    tcase_add_test(tc, names_that_are_no_keys_are_not_seen);
    tcase_add_test(tc, links_and_fifos_are_no_objects);
    tcase_add_test(tc, an_open_removes_what_dead_writers_left_and_no_more);
    tcase_add_test(tc, a_taken_temporary_name_is_passed_over);
    tcase_add_test(tc, folders_removed_by_others_are_made_again);
    tcase_add_test(tc, a_file_in_the_way_is_an_error_and_no_loss);
    tcase_add_test(tc, a_directory_without_rights_is_told);
    tcase_add_test(tc, a_full_disk_is_told_and_can_be_freed);
    tcase_add_test(tc, an_open_without_memory_leaves_nothing);
    tcase_add_test(tc, a_deadline_that_is_over_is_told);
    return test_run();
}
