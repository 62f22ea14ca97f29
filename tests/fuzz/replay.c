/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A main for a fuzz target without libFuzzer: runs each file of its corpus
 * (tests/fuzz/corpus/NAME for replay_NAME, or the files and folders that are
 * given) and, so that each input also comes cut off, every prefix of the
 * short ones.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs up to this size are run with every prefix. */
#define ALL_PREFIXES 2048u

static unsigned long runs; /* Inputs, without their prefixes. */
static unsigned long failures;

/* A copy of its own for each run, so that a sanitizer or valgrind sees a
 * read beyond the end. */
static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);

    if (copy == NULL) {
        failures++;
        return;
    }
    if (size != 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    uint8_t *data = NULL;
    size_t size;

    if (file == NULL || fstat(fileno(file), &st) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        failures++;
        goto out;
    }
    size = (size_t)st.st_size;
    data = malloc(size + 1);
    if (data == NULL || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        failures++;
        goto out;
    }
    run_one(data, size);
    runs++;
    for (size_t cut = 0; size <= ALL_PREFIXES && cut < size; cut++)
        run_one(data, cut);

out:
    free(data);
    if (file != NULL)
        fclose(file);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void run_path(const char *path)
{
    struct dirent **names = NULL;
    struct stat st;
    int count;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char child[4096];

        if (names[i]->d_name[0] != '.' &&
            (size_t)snprintf(child, sizeof(child), "%s/%s", path,
                             names[i]->d_name) < sizeof(child))
            run_path(child);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        qsort(argv + 1, (size_t)argc - 1, sizeof(*argv), compare);
        for (int i = 1; i < argc; i++)
            run_path(argv[i]);
    } else {
        const char *name = strstr(argv[0], "replay_");
        char path[4096];

        snprintf(path, sizeof(path), "tests/fuzz/corpus/%s",
                 name != NULL ? name + strlen("replay_") : "");
        run_one(NULL, 0);
        runs++;
        run_path(path);
    }
    printf("%lu passed, %lu failed\n", runs, failures);
    return failures != 0;
}
