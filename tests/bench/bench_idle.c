/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Memory of an open node with a thousand streams, over that of the process
 * before it was opened.
 *
 *     bench_idle DIR
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <weir.h>

enum { STREAMS = 1000 };

static struct weir_error err;

static void check(const char *what, int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_idle: %s: %s: %s\n", what, weir_error_name(rc),
            err.text);
    exit(1);
}

/* Resident memory in KiB. */
static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char line[256] = "";
    char *rest = line;

    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) != NULL)
        (void)strtol(line, &rest, 10); /* All of it; then what is resident. */
    fclose(file);
    return strtol(rest, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
    struct weir_config *config;
    struct weir *node;
    char uri[4096];
    long before;
    long opened;

    if (argc != 2)
        return 2;
    check("config", weir_config_new(&config, NULL));
    snprintf(uri, sizeof(uri), "dir:%s/store", argv[1]);
    check("store", weir_config_set(config, "store", uri, &err));
    snprintf(uri, sizeof(uri), "file:%s/wal?size=64MiB", argv[1]);
    check("wal", weir_config_set(config, "wal", uri, &err));

    before = resident();
    check("open", weir_open(&node, config, &err));
    opened = resident();
    for (int i = 0; i < STREAMS; i++) {
        char name[32];
        struct weir_stream_open req = {
            .req.err = &err, .name = name, .flags = WEIR_STREAM_CREATE};

        snprintf(name, sizeof(name), "stream-%d", i);
        check(name, weir_stream_open_sync(node, &req));
    }
    printf("idle node: %ld KiB, with %d open streams %ld KiB\n",
           opened - before, STREAMS, resident() - before);
    weir_free(node);
    weir_config_free(config);
    return 0;
}
