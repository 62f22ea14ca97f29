/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Recovery of a WAL full of records of 1 KiB, beside the time it takes to
 * read the same file past the page cache and checksum it.
 *
 *     bench_recovery DIR MIB
 */
#include "base/crc32c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weir.h>

enum { RECORD = 1024, SLOTS = 256, READ = 1 << 20 };

static struct weir_error err;
static struct weir_append slots[SLOTS];
static unsigned char payload[RECORD];
static int under_way;
static int failed;

static void check(const char *what, int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_recovery: %s: %s: %s\n", what, weir_error_name(rc),
            err.text);
    exit(1);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct weir *open_node(const char *dir, unsigned long mib)
{
    struct weir_config *config;
    struct weir *node;
    char text[4096];

    check("config", weir_config_new(&config, NULL));
    snprintf(text, sizeof(text), "dir:%s/store", dir);
    check("store", weir_config_set(config, "store", text, &err));
    snprintf(text, sizeof(text), "file:%s/wal?size=%luMiB", dir, mib * 2);
    check("wal", weir_config_set(config, "wal", text, &err));
    /* Nothing is uploaded, so that all of it is to be recovered. */
    snprintf(text, sizeof(text), "%luMiB", mib * 2);
    check("log_cache", weir_config_set(config, "log_cache", text, &err));
    check("upload_bytes", weir_config_set(config, "upload_bytes", text, &err));
    check("upload_interval",
          weir_config_set(config, "upload_interval", "24h", &err));
    check("open", weir_open(&node, config, &err));
    weir_config_free(config);
    return node;
}

static void appended(struct weir_req *req, int status)
{
    (void)req;
    under_way--;
    if (status != 0)
        failed = status;
}

static void fill(struct weir *node, unsigned long mib)
{
    struct weir_stream_open open = {
        .req.err = &err, .name = "bench", .flags = WEIR_STREAM_CREATE};
    unsigned long left = mib * 1024;

    check("stream", weir_stream_open_sync(node, &open));
    while ((left > 0 || under_way > 0) && failed == 0) {
        for (int i = 0; under_way == 0 && i < SLOTS && left > 0; i++, left--) {
            slots[i] = (struct weir_append){.req.done = appended,
                                            .req.err = &err,
                                            .data = payload,
                                            .len = RECORD,
                                            .count = 1,
                                            .max_timestamp = WEIR_NO_TIMESTAMP};
            under_way++;
            check("append", weir_append(open.stream, &slots[i]));
        }
        check("poll", weir_poll(node, WEIR_FOREVER));
    }
    check("append", failed);
}

/* Read so much of the file as the records take, and checksum it. */
static double read_plainly(const char *dir, uint64_t bytes)
{
    char path[4096];
    unsigned char *data = aligned_alloc(4096, READ);
    double start = now();
    uint64_t at = 0;
    uint32_t crc = 0;
    int fd;

    snprintf(path, sizeof(path), "%s/wal", dir);
    fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0) /* No O_DIRECT on this file system. */
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && data != NULL && at < bytes) {
        ssize_t got = pread(fd, data, READ, (off_t)at);

        if (got <= 0)
            break;
        crc = weir__crc32c(crc, data, (size_t)got);
        at += (uint64_t)got;
    }
    if (fd >= 0)
        close(fd);
    free(data);
    fprintf(stderr, "(checksum %08x)\n", crc);
    return now() - start;
}

int main(int argc, char **argv)
{
    unsigned long mib = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    struct weir_stats stats;
    struct weir_node_stat stat;
    struct weir *node;
    double plain;
    double start;

    if (mib == 0 || mib > 65536)
        return 2;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (unsigned char)(i * 131 + i / 7);
    node = open_node(argv[1], mib);
    fill(node, mib);
    check("stat", weir_node_stat_sync(node, &stat));
    weir_free(node);

    plain = read_plainly(argv[1], stat.wal_bytes);
    start = now();
    node = open_node(argv[1], mib);
    start = now() - start;
    check("stats", weir_stats_sync(node, &stats));
    printf("recovery: %llu records of 1 KiB (%llu MiB of log) in %.2f s;"
           " reading and checksumming the file %.2f s: %.2f times\n",
           (unsigned long long)stats.recovered_batches,
           (unsigned long long)(stat.wal_bytes >> 20), start, plain,
           start / plain);
    weir_free(node);
    return 0;
}
