/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a node that does nothing, with so many streams open to append.
 *
 *     bench_idle STORE WAL STREAMS create|open
 *
 * "open" is a process of its own, so that it does not count what creating
 * the streams took.  Prints bytes: resident in all, and held by the caches. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

static int fail(const char *what, int rc, const struct weir_error *err)
{
    fprintf(stderr, "bench_idle: %s: %s %s\n", what, weir_error_name(rc),
            err->text);
    return EXIT_FAILURE;
}

struct opening {
    struct weir_stream_open open; /* First: `done` gets its address. */
    struct weir_error err;
    char name[32];
    unsigned *left;
    int status;
};

static void opened(struct weir_req *req, int status)
{
    struct opening *opening = (struct opening *)req;

    opening->status = status;
    --*opening->left;
}

/* All at one time, so that they share commits. */
static int open_streams(struct weir *node, unsigned count)
{
    struct opening *all = calloc(count, sizeof(*all));
    unsigned left = count;
    int rc = 0;

    if (all == NULL)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < count && rc == 0; i++) {
        struct opening *o = &all[i];

        snprintf(o->name, sizeof(o->name), "idle-%u", i);
        o->left = &left;
        o->open.req.done = opened;
        o->open.req.err = &o->err;
        o->open.name = o->name;
        o->open.flags = WEIR_STREAM_CREATE;
        rc = weir_stream_open(node, &o->open);
    }
    while (left > 0 && rc == 0)
        (void)weir_poll(node, WEIR_FOREVER);
    for (unsigned i = 0; i < count && rc == 0; i++)
        if (all[i].status != 0)
            rc = fail(all[i].name, all[i].status, &all[i].err);
    free(all);
    return rc;
}

static uint64_t resident(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");

    if (status == NULL)
        return 0;
    while (kib == 0 && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    fclose(status);
    return kib * 1024;
}

static int measure(struct weir *node)
{
    struct weir_stats stats;
    uint64_t bytes;
    int rc = weir_stats_sync(node, &stats);

    if (rc != 0)
        return EXIT_FAILURE;
    bytes = resident();
    printf("%" PRIu64 " %" PRIu64 "\n", bytes,
           stats.log_cache_bytes + stats.block_cache_bytes);
    return 0;
}

int main(int argc, char **argv)
{
    struct weir_config *config = NULL;
    struct weir_error err = {0};
    struct weir *node = NULL;
    int rc;

    if (argc != 5 || weir_config_new(&config, NULL) != 0)
        return 2;
    rc = weir_config_set(config, "store", argv[1], &err);
    if (rc == 0)
        rc = weir_config_set(config, "wal", argv[2], &err);
    if (rc == 0)
        rc = weir_open(&node, config, &err);
    weir_config_free(config);
    if (rc != 0)
        return fail("open", rc, &err);

    rc = open_streams(node, (unsigned)strtoul(argv[3], NULL, 10));
    /* What the opening set off comes to its end. */
    for (int i = 0; i < 20 && rc == 0; i++)
        (void)weir_poll(node, INT64_C(20000000));
    if (rc == 0 && strcmp(argv[4], "open") == 0)
        rc = measure(node);
    weir_free(node);
    return rc;
}
