/* SPDX-License-Identifier: Apache-2.0 */
/* How long a full WAL takes to recover, and to merely read.
 *
 *     bench_recover fill STORE WAL BYTES   append so much in records of 1 KiB
 *                                          and die; prints bytes in the WAL
 *     bench_recover open STORE WAL         open the node; prints ns, records
 *     bench_recover read FILE BYTES        read and checksum; prints ns
 *
 * Before "open" and "read" the file is put out of the page cache. */
#include "base/crc32c.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weir.h>

#define RECORD 1024u
#define WINDOW 4096u
#define CHUNK (1u << 20)

static int fail(const char *what, int rc, const struct weir_error *err)
{
    fprintf(stderr, "bench_recover: %s: %s %s\n", what, weir_error_name(rc),
            err->text);
    return EXIT_FAILURE;
}

static uint64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Nothing is uploaded: all that is appended stays in the WAL. */
static int open_node(struct weir **node, const char *store, const char *wal)
{
    const char *const properties[][2] = {
        {"store", store},          {"wal", wal},
        {"log_cache", "3GiB"},     {"upload_bytes", "1TiB"},
        {"upload_interval", "1h"},
    };
    struct weir_config *config = NULL;
    struct weir_error err = {0};
    int rc = weir_config_new(&config, NULL);

    for (size_t i = 0; i < 5 && rc == 0; i++)
        rc = weir_config_set(config, properties[i][0], properties[i][1], &err);
    if (rc == 0)
        rc = weir_open(node, config, &err);
    weir_config_free(config);
    return rc == 0 ? 0 : fail("open", rc, &err);
}

struct fill {
    struct weir_append append; /* First: `done` gets its address. */
    struct weir_stream *stream;
    uint64_t *left;
    uint64_t *under_way;
};

static void send_one(struct fill *fill)
{
    fill->append.flags = WEIR_APPEND_WAIT;
    --*fill->left;
    ++*fill->under_way;
    if (weir_append(fill->stream, &fill->append) != 0)
        abort();
}

static void appended(struct weir_req *req, int status)
{
    struct fill *fill = (struct fill *)req;

    if (status != 0)
        abort();
    --*fill->under_way;
    if (*fill->left > 0)
        send_one(fill);
}

static int fill(const char *store, const char *wal, uint64_t bytes)
{
    static unsigned char payload[RECORD];
    struct weir_stream_open open = {.name = "recover",
                                    .flags = WEIR_STREAM_CREATE};
    static struct fill all[WINDOW];
    uint64_t left = bytes / RECORD;
    uint64_t under_way = 0;
    struct weir_node_stat stat = {0};
    struct weir *node;

    memset(payload, 'x', sizeof(payload));
    if (open_node(&node, store, wal) != 0 ||
        weir_stream_open_sync(node, &open) != 0)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < WINDOW && left > 0; i++) {
        all[i].append = (struct weir_append){
            .req.done = appended, .data = payload, .len = RECORD, .count = 1};
        all[i].stream = open.stream;
        all[i].left = &left;
        all[i].under_way = &under_way;
        send_one(&all[i]);
    }
    while (under_way > 0)
        (void)weir_poll(node, WEIR_FOREVER);
    (void)weir_node_stat_sync(node, &stat);
    printf("%" PRIu64 "\n", stat.wal_bytes);
    fflush(stdout);
    _exit(EXIT_SUCCESS); /* As a crash would. */
}

/* Root may drop all of the page cache; others ask for this file. */
static void make_cold(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int drop;

    sync();
    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    drop = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    if (drop >= 0) {
        if (write(drop, "1\n", 2) != 2)
            perror("bench_recover: drop_caches");
        close(drop);
    }
}

static int measure_open(const char *store, const char *wal)
{
    struct weir_stats stats = {0};
    struct weir *node;
    char path[4096];
    uint64_t started;
    uint64_t ended;

    snprintf(path, sizeof(path), "%.*s", (int)strcspn(wal + 5, "?"), wal + 5);
    make_cold(path);
    started = now();
    if (open_node(&node, store, wal) != 0)
        return EXIT_FAILURE;
    ended = now();
    (void)weir_stats_sync(node, &stats);
    printf("%" PRIu64 " %" PRIu64 "\n", ended - started,
           stats.recovered_batches);
    fflush(stdout);
    _exit(EXIT_SUCCESS);
}

static int measure_read(const char *path, uint64_t bytes)
{
    unsigned char *data = malloc(CHUNK);
    uint32_t sum = 0;
    uint64_t done = 0;
    uint64_t started;
    ssize_t got = 1;
    int fd;

    make_cold(path);
    started = now();
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || data == NULL) {
        perror(path);
        free(data);
        return EXIT_FAILURE;
    }
    while (done < bytes && got > 0) {
        got = read(fd, data, CHUNK);
        if (got > 0) {
            sum = weir__crc32c(sum, data, (size_t)got);
            done += (uint64_t)got;
        }
    }
    printf("%" PRIu64 " %08" PRIx32 "\n", now() - started, sum);
    close(fd);
    free(data);
    return got < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], argv[3], strtoull(argv[4], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "open") == 0)
        return measure_open(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "read") == 0)
        return measure_read(argv[2], strtoull(argv[3], NULL, 10));
    return 2;
}
