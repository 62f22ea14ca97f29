/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define MAX_CALLERS 65536u
#define MAX_SIZE (UINT64_C(64) << 20)

static int parse_option(struct bench *b, const struct cli_given *given)
{
    const struct cli *cli = b->cli;
    const char *v = given->value;

    switch (given->key) {
    case 'c':
        return cli_number(cli, "--callers", v, 1, MAX_CALLERS, &b->callers);
    case 'd':
        return cli_number(cli, "--depth", v, 1, 4096, &b->depth);
    case 's':
        return cli_bytes(cli, "--size", v, 1, MAX_SIZE, &b->size);
    case 'n':
        return cli_number(cli, "--streams", v, 1, 1000000, &b->streams);
    case 't':
        return cli_number(cli, "--seconds", v, 1, 86400, &b->seconds);
    case 'N':
        return cli_number(cli, "--count", v, 1, INT64_MAX, &b->count);
    case 'b':
        return cli_bytes(cli, "--bytes", v, 1, INT64_MAX, &b->bytes);
    case 'f':
        return cli_bytes(cli, "--fetch", v, 1, INT32_MAX, &b->fetch);
    case OPTION_THREADS:
        b->threads = true;
        return 0;
    case 'H':
        b->hot = true;
        return 0;
    default:
        b->keep = true;
        return 0;
    }
}

/* Bytes that no compressor makes smaller: the honest case for a disk. */
static void fill_random(unsigned char *data, size_t len)
{
    uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (unsigned char)(x >> 32);
    }
}

int bench_init(struct bench *b, struct cli *cli)
{
    int rc = 0;

    *b = (struct bench){.cli = cli,
                        .callers = 64,
                        .depth = 1,
                        .streams = 1,
                        .size = 1024,
                        .bytes = UINT64_C(256) << 20,
                        .fetch = 1u << 20};
    for (size_t i = 0; i < cli->given_count && rc == 0; i++)
        rc = parse_option(b, &cli->given[i]);
    if (rc != 0)
        return rc;

    b->latency = calloc(1, sizeof(*b->latency));
    b->stream = calloc(b->streams, sizeof(struct weir_stream *));
    b->payload = malloc(b->size + 4096);
    if (b->latency == NULL || b->stream == NULL || b->payload == NULL)
        return cli_error(cli, ": out of memory");
    fill_random(b->payload, b->size + 4096);
    return 0;
}

/* The process is in the name, so that nobody's stream is in the way. */
static void stream_name(char to[64], uint64_t number)
{
    snprintf(to, 64, "weir-bench-%d-%" PRIu64, (int)getpid(), number);
}

int bench_streams(struct bench *b, unsigned flags)
{
    char name[64];
    int rc = 0;

    for (uint64_t i = 0; i < b->streams && rc == 0; i++) {
        stream_name(name, i);
        rc = cli_stream(b->cli, name, flags, &b->stream[i]);
    }
    return rc;
}

static double cpu_seconds(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

void bench_start(struct bench *b)
{
    uint64_t total = b->count != 0 ? b->count : b->seconds * SECOND;

    b->records = 0;
    b->payloads = 0;
    progress_start(&b->bar, b->cli, "bench", total);
    b->cpu = -cpu_seconds();
    b->started = cli_now();
}

void bench_finish(struct bench *b)
{
    b->finished = cli_now();
    b->cpu += cpu_seconds();
    progress_end(&b->bar);
}

bool bench_goes_on(const struct bench *b, uint64_t now, uint64_t sent)
{
    if (b->stop || (b->count != 0 && sent >= b->count))
        return false;
    return b->seconds == 0 || now - b->started < b->seconds * SECOND;
}

void bench_fail(struct bench *b, int status)
{
    b->stop = true;
    if (b->code == 0)
        b->code = cli_fail(b->cli, status, ": record %" PRIu64, b->records);
}

void bench_tick(struct bench *b, uint64_t now)
{
    progress_show(&b->bar, b->count != 0 ? b->records : now - b->started);
    if (cli_stopped(b->cli))
        b->stop = true;
}

int bench_print(struct bench *b, const struct weir_stats *before)
{
    double seconds = (double)(b->finished - b->started) / 1e9;
    struct weir_stats stats;
    struct row *row = row_new();
    uint64_t writes;

    row_uint(row, "callers", b->callers);
    row_uint(row, "depth", b->depth);
    row_uint(row, "size", b->size);
    row_uint(row, "streams", b->streams);
    row_uint(row, "records", b->records);
    row_real(row, "seconds", seconds);
    row_real(row, "records_per_second", (double)b->records / seconds);
    row_real(row, "mib_per_second", (double)b->payloads / seconds / 1048576);
    row_latency(row, b->latency);
    row_real(row, "cpu_seconds", b->cpu);
    if (weir_stats_sync(b->cli->node, &stats) == 0) {
        writes = stats.wal_writes - before->wal_writes;
        row_uint(row, "wal_writes", writes);
        row_uint(row, "wal_bytes", stats.wal_bytes - before->wal_bytes);
        row_uint(row, "log_cache_hits",
                 stats.log_cache_hits - before->log_cache_hits);
        row_uint(row, "block_cache_misses",
                 stats.block_cache_misses - before->block_cache_misses);
        row_uint(row, "store_gets", stats.store_gets - before->store_gets);
        row_uint(row, "store_puts", stats.store_puts - before->store_puts);
    }
    row_print(row, b->cli->json);
    return 0;
}

int bench_end(struct bench *b)
{
    char name[64];

    for (uint64_t i = 0; b->stream != NULL && i < b->streams; i++) {
        struct weir_stream_delete req = {.req.err = &b->cli->err, .name = name};
        int rc = 0;

        if (b->stream[i] == NULL)
            continue;
        weir_stream_close(b->stream[i]);
        stream_name(name, i);
        if (b->keep)
            fprintf(stderr, "%s\n", name);
        else
            rc = weir_stream_delete_sync(b->cli->node, &req);
        if (rc != 0 && b->code == 0)
            b->code = cli_fail(b->cli, rc, ": delete %s", name);
    }
    free(b->stream);
    free(b->payload);
    free(b->latency);
    return b->code;
}
