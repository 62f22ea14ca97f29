/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seeds.h"
#include "sim/tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINE_ROOM = 600 };

int seeds_parse_faults(const char *text, unsigned *bits)
{
    *bits = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        unsigned i = 0;

        while (i < FAULTS && (strlen(run_fault_names[i]) != len ||
                              strncmp(run_fault_names[i], text, len) != 0))
            i++;
        if (i == FAULTS)
            return -1;
        *bits |= 1u << i;
        text += len + (text[len] == ',');
    }
    return 0;
}

void seeds_print_faults(char *to, size_t room, unsigned bits)
{
    size_t n = 0;

    to[0] = '\0';
    for (unsigned i = 0; i < FAULTS && n < room; i++)
        if ((bits & (1u << i)) != 0)
            n += (size_t)snprintf(to + n, room - n, "%s%s", n > 0 ? "," : "",
                                  run_fault_names[i]);
}

static int bad_line(const char *path, int line, const char *what)
{
    fprintf(stderr, "weir-sim: %s, line %d: %s\n", path, line, what);
    return -1;
}

static int bad_file(const char *path, const char *what)
{
    fprintf(stderr, "weir-sim: %s: %s\n", path, what);
    return -1;
}

/* The version is the whole of the first line. */
static int check_version(const char *path, const char *line)
{
    char want[32];

    if (strncmp(line, "weir-sim ", 9) != 0)
        return bad_line(path, 1, "this is no file of weir-sim --save");
    snprintf(want, sizeof(want), "weir-sim %d\n", SEEDS_VERSION);
    if (strcmp(line, want) == 0)
        return 0;
    fprintf(stderr,
            "weir-sim: %s, line 1: \"%.*s\": this program has version %d of "
            "the scenarios, in which seeds mean other runs; run the weir-sim "
            "that wrote it, or begin another file\n",
            path, (int)strcspn(line, "\n"), line, SEEDS_VERSION);
    return -1;
}

/* ---- Writing ------------------------------------------------------------- */

int seeds_check_save(const char *path)
{
    char line[LINE_ROOM];
    FILE *file = fopen(path, "r");
    int is_new = file == NULL && errno == ENOENT;
    int rc = 0;

    if (file != NULL) {
        if (fgets(line, sizeof(line), file) != NULL)
            rc = check_version(path, line);
        fclose(file);
    }
    if (rc != 0)
        return rc;
    file = fopen(path, "a");
    if (file == NULL)
        return bad_file(path, strerror(errno));
    fclose(file);
    if (is_new)
        remove(path); /* Until something fails. */
    return 0;
}

int seeds_save(const char *path, const char *kind,
               const struct run_options *run)
{
    FILE *file = fopen(path, "a");
    struct stat now;
    char list[400];
    int rc;

    if (file == NULL)
        return bad_file(path, strerror(errno));
    if (fstat(fileno(file), &now) == 0 && now.st_size == 0)
        fprintf(file, "weir-sim %d\n", SEEDS_VERSION);
    seeds_print_faults(list, sizeof(list), run->without);
    fprintf(file, "%s %" PRIu64 " %u %s\n", kind, run->seed, run->steps,
            list[0] != '\0' ? list : "-");
    rc = ferror(file);
    if (fclose(file) != 0 || rc)
        return bad_file(path, strerror(errno));
    return 0;
}

/* ---- Reading ------------------------------------------------------------- */

/* The next word of a line, which it cuts off; NULL if there is none. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " ");
    size_t len = strcspn(word, " ");

    if (len == 0)
        return NULL;
    *at = word + len + (word[len] == ' ');
    word[len] = '\0';
    return word;
}

static int parse_number(const char *text, uint64_t most, uint64_t *out)
{
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno != 0 || *end != '\0' || *out > most ? -1 : 0;
}

/* What is wrong with a line, or NULL. */
static const char *parse_line(char *line, int *kind, struct run_options *run)
{
    size_t len = strlen(line);
    const char *word;
    uint64_t steps;

    *run = (struct run_options){0};
    if (len == 0 || line[len - 1] != '\n')
        return "it is cut short, or too long";
    line[len - 1] = '\0';
    word = next_word(&line);
    *kind = word == NULL                   ? 0
            : strcmp(word, "core") == 0    ? KIND_CORE
            : strcmp(word, "cluster") == 0 ? KIND_CLUSTER
                                           : 0;
    if (*kind == 0)
        return "the kind, its first word, is neither core nor cluster";
    if (parse_number(next_word(&line), UINT64_MAX, &run->seed) != 0)
        return "the seed, its second word, is no number";
    if (parse_number(next_word(&line), UINT32_MAX, &steps) != 0)
        return "the steps, its third word, are no number (0 is for all)";
    run->steps = (unsigned)steps;
    word = next_word(&line);
    if (word == NULL || (strcmp(word, "-") != 0 &&
                         seeds_parse_faults(word, &run->without) != 0))
        return "its fourth word is no list of faults, nor -, for none";
    if (next_word(&line) != NULL)
        return "there is more than KIND SEED STEPS FAULTS";
    return NULL;
}

/* Each line behind the first; `run` may be NULL: only look. */
static int read_lines(const char *path, FILE *file,
                      void (*run)(void *ctx, int kind,
                                  const struct run_options *run),
                      void *ctx)
{
    char line[LINE_ROOM];
    int number = 1;

    while (fgets(line, sizeof(line), file) != NULL) {
        struct run_options options;
        int kind;
        const char *wrong = parse_line(line, &kind, &options);

        number++;
        if (wrong != NULL)
            return bad_line(path, number, wrong);
        if (run != NULL)
            run(ctx, kind, &options);
    }
    if (ferror(file))
        return bad_file(path, strerror(errno));
    return number > 1 ? 0 : bad_file(path, "it names no run");
}

static int read_file(const char *path, FILE *file,
                     void (*run)(void *ctx, int kind,
                                 const struct run_options *run),
                     void *ctx)
{
    char line[LINE_ROOM];

    rewind(file);
    if (fgets(line, sizeof(line), file) != NULL)
        return check_version(path, line) != 0
                   ? -1
                   : read_lines(path, file, run, ctx);
    return bad_file(path, ferror(file) ? strerror(errno) : "it is empty");
}

int seeds_load(const char *path,
               void (*run)(void *ctx, int kind, const struct run_options *run),
               void *ctx)
{
    FILE *file = fopen(path, "r");
    int rc;

    if (file == NULL)
        return bad_file(path, strerror(errno));
    rc = read_file(path, file, NULL, NULL);
    if (rc == 0)
        rc = read_file(path, file, run, ctx);
    fclose(file);
    return rc;
}
