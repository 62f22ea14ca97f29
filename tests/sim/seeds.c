/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seeds.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

int seeds_save(const char *path, const char *kind,
               const struct run_options *run)
{
    FILE *file = fopen(path, "a");
    char list[400];
    int rc;

    if (file == NULL)
        return -1;
    if (ftell(file) == 0)
        fprintf(file, "weir-sim %d\n", SEEDS_VERSION);
    seeds_print_faults(list, sizeof(list), run->without);
    fprintf(file, "%s %" PRIu64 " %u %s\n", kind, run->seed, run->steps,
            list[0] != '\0' ? list : "-");
    rc = ferror(file) != 0;
    return fclose(file) != 0 || rc ? -1 : 0;
}

static int bad(const char *path, int line, const char *what)
{
    fprintf(stderr, "weir-sim: %s, line %d: %s\n", path, line, what);
    return -1;
}

static int check_version(const char *path, FILE *file)
{
    char line[LINE_ROOM] = "";
    int version = 0;

    if (fgets(line, sizeof(line), file) == NULL ||
        sscanf(line, "weir-sim %d", &version) != 1) /* NOLINT */
        return bad(path, 1, "this is no file of weir-sim --save");
    if (version != SEEDS_VERSION)
        return bad(path, 1,
                   "it is of another version of the scenarios: its seeds do "
                   "other things in this one; run the weir-sim that wrote it");
    return 0;
}

static int run_line(const char *path, int number, const char *line,
                    void (*run)(void *ctx, const char *kind,
                                const struct run_options *run),
                    void *ctx)
{
    struct run_options options = {0};
    char kind[16];
    char list[400];

    if (sscanf(line, "%15s %" SCNu64 " %u %399s", kind, /* NOLINT */
               &options.seed, &options.steps, list) != 4 ||
        (strcmp(kind, "core") != 0 && strcmp(kind, "cluster") != 0) ||
        (strcmp(list, "-") != 0 &&
         seeds_parse_faults(list, &options.without) != 0))
        return bad(path, number, "expected KIND SEED STEPS FAULTS");
    run(ctx, kind, &options);
    return 0;
}

int seeds_load(const char *path,
               void (*run)(void *ctx, const char *kind,
                           const struct run_options *run),
               void *ctx)
{
    FILE *file = fopen(path, "r");
    char line[LINE_ROOM];
    int number = 1;
    int rc;

    if (file == NULL) {
        fprintf(stderr, "weir-sim: %s: %s\n", path, strerror(errno));
        return -1;
    }
    rc = check_version(path, file);
    while (rc == 0 && fgets(line, sizeof(line), file) != NULL)
        rc = run_line(path, ++number, line, run, ctx);
    fclose(file);
    return rc;
}
