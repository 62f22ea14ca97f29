/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Seconds until a test counts as hung; generous, for sanitizers and for
 * machines that are busy with something else. */
enum { TIMEOUT = 120, ROOT_MAX = 256, PATH_ROOM = 320, DIRS_MAX = 256 };

enum { PARTS_MAX = 1000000 }; /* Some fifty years. */

static Suite *suite;
static unsigned long long seed;
static int *seed_shown; /* Shared with the children that Check forks. */

/* The folder above all of `test_dir`, and the process that removes it: Check
 * forks, and its children run our atexit function too. */
static char root[ROOT_MAX];
static pid_t root_owner;
static char dirs[DIRS_MAX][PATH_ROOM];
static int dir_count;

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

static void remove_root(void)
{
    if (root_owner == getpid())
        (void)nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* In the parent, so that what the children leave is removed as well. */
static void make_root(void)
{
    const char *tmp = getenv("TMPDIR");

    if (root_owner != 0)
        return;
    snprintf(root, sizeof(root), "%s/weir-test-XXXXXX",
             tmp != NULL && strlen(tmp) < ROOT_MAX - 32 ? tmp : "/tmp");
    if (mkdtemp(root) == NULL) {
        perror(root);
        exit(1);
    }
    root_owner = getpid();
    atexit(remove_root);
}

static void make_seed(void)
{
    const char *text = getenv("WEIR_SEED");
    struct timespec now;

    if (seed != 0)
        return;
    if (text != NULL && *text != '\0') {
        seed = strtoull(text, NULL, 0);
    } else {
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (unsigned long long)now.tv_nsec * 2654435761u ^
               (unsigned long long)now.tv_sec ^
               (unsigned long long)getpid() << 20;
        seed %= 1000000000000ULL; /* Short enough to type. */
    }
    if (seed == 0)
        seed = 1;
    seed_shown = mmap(NULL, sizeof(*seed_shown), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seed_shown == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
}

TCase *test_case(const char *name)
{
    TCase *tc = tcase_create(name);

    if (suite == NULL)
        suite = suite_create(name);
    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, TIMEOUT);
    return tc;
}

int test_run(void)
{
    SRunner *runner;
    int failed;

    make_root();
    make_seed();
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

unsigned long long test_seed(void)
{
    make_seed();
    if (*seed_shown == 0) {
        printf("seed %llu (repeat with WEIR_SEED=%llu)\n", seed, seed);
        fflush(stdout);
        *seed_shown = 1;
    }
    return seed;
}

unsigned long test_env_number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text != NULL && *text != '\0' ? strtoul(text, NULL, 10) : otherwise;
}

int test_parts(unsigned long seconds)
{
    unsigned long parts =
        seconds / TEST_PART_SECONDS + (seconds % TEST_PART_SECONDS != 0);

    return parts == 0 ? 1 : parts < PARTS_MAX ? (int)parts : PARTS_MAX;
}

unsigned long test_part_seconds(unsigned long seconds, int part)
{
    unsigned long parts = (unsigned long)test_parts(seconds);

    return seconds / parts + ((unsigned long)part < seconds % parts);
}

const char *test_dir(void)
{
    char *dir;

    make_root();
    if (dir_count == DIRS_MAX)
        ck_abort_msg("more than %d test_dir() in one process", DIRS_MAX);
    dir = dirs[dir_count++];
    snprintf(dir, PATH_ROOM, "%s/XXXXXX", root);
    if (mkdtemp(dir) == NULL)
        ck_abort_msg("mkdtemp %s failed", dir);
    return dir;
}

void test_file(char *path, size_t room, const char *name, const char *text)
{
    FILE *file;

    snprintf(path, room, "%s/%s", test_dir(), name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}
