/* SPDX-License-Identifier: Apache-2.0 */
/* weir bench fetch: how fast records are read back. */
#include "bench.h"

#include <string.h>

/* One fetch that a caller has under way: it reads a stream front to back. */
struct scan {
    struct weir_fetch fetch; /* First: `done` gets its address. */
    struct weir_error err;
    struct scans *all;
    uint64_t number;
    uint64_t offset;
    uint64_t sent_at;
};

struct scans {
    struct bench *bench;
    uint64_t under_way;
};

static void send_fetch(struct scan *scan);

/* Where to go on.  False: this caller has read everything. */
static bool advance(struct scan *scan)
{
    const struct weir_fetch *fetch = &scan->fetch;
    const struct weir_batch *last;

    if (fetch->count > 0) {
        last = &fetch->batches[fetch->count - 1];
        scan->offset = last->base_offset + last->count;
        if (scan->offset < fetch->end)
            return true;
    }
    scan->offset = 0;
    return scan->all->bench->seconds != 0;
}

static void scan_done(struct weir_req *base, int status)
{
    struct scan *scan = (struct scan *)base;
    struct bench *b = scan->all->bench;
    uint64_t now = cli_now();
    bool more;

    scan->all->under_way--;
    if (status != 0) {
        b->cli->err = scan->err;
        bench_fail(b, status);
        return;
    }
    latency_add(b->latency, now - scan->sent_at);
    b->records += scan->fetch.count;
    for (size_t i = 0; i < scan->fetch.count; i++)
        b->payloads += scan->fetch.batches[i].len;
    more = advance(scan);
    weir_fetch_release(&scan->fetch);
    if (more && bench_goes_on(b, now, b->records))
        send_fetch(scan);
}

static void send_fetch(struct scan *scan)
{
    struct bench *b = scan->all->bench;
    int rc;

    scan->fetch = (struct weir_fetch){.req.done = scan_done,
                                      .req.err = &scan->err,
                                      .offset = scan->offset,
                                      .max_bytes = b->fetch};
    scan->sent_at = cli_now();
    scan->all->under_way++;
    rc = weir_fetch(b->stream[scan->number % b->streams], &scan->fetch);
    if (rc != 0) {
        scan->all->under_way--;
        b->cli->err = scan->err;
        bench_fail(b, rc);
    }
}

static void read_all(struct bench *b)
{
    uint64_t total = b->callers * b->depth;
    struct scan *scan = calloc(total, sizeof(*scan));
    struct scans all = {.bench = b};

    if (scan == NULL) {
        b->code = cli_error(b->cli, ": out of memory");
        return;
    }
    for (uint64_t i = 0; i < total && !b->stop; i++) {
        scan[i].all = &all;
        scan[i].number = i;
        send_fetch(&scan[i]);
    }
    while (all.under_way > 0) {
        (void)cli_drive(b->cli, -1, 0);
        bench_tick(b, cli_now());
    }
    free(scan);
}

/* Something to read: in objects, and in no cache unless --hot. */
static int prepare(struct bench *b)
{
    struct weir_flush flush = {.req.err = &b->cli->err};
    struct bench fill = *b;
    const char *store = weir_config_get(b->cli->config, "store");
    int rc;

    fill.callers = 64;
    fill.depth = 16;
    fill.seconds = 0;
    fill.count = (b->bytes + b->size - 1) / b->size;
    bench_start(&fill);
    bench_append_async(&fill);
    bench_finish(&fill);
    if (fill.code != 0 || fill.stop || b->hot)
        return fill.code;

    rc = weir_flush_sync(b->cli->node, &flush);
    if (rc != 0)
        return cli_fail(b->cli, rc, ": flush");
    if (strncmp(store, "mem:", 4) == 0)
        return 0;
    for (uint64_t i = 0; i < b->streams; i++) {
        weir_stream_close(b->stream[i]);
        b->stream[i] = NULL;
    }
    rc = cli_close(b->cli);
    if (rc == 0)
        rc = cli_open(b->cli);
    return rc != 0 ? rc : bench_streams(b, 0);
}

static void measure(struct bench *b)
{
    struct weir_stats before = {0};

    memset(b->latency, 0, sizeof(*b->latency));
    (void)weir_stats_sync(b->cli->node, &before);
    bench_start(b);
    read_all(b);
    bench_finish(b);
    if (b->code == 0)
        b->code = bench_print(b, &before);
}

static int bench_fetch_run(struct cli *cli)
{
    struct bench b;

    b.code = bench_init(&b, cli);
    if (b.code == 0)
        b.code = bench_streams(&b, WEIR_STREAM_CREATE | WEIR_STREAM_EXCLUSIVE);
    if (b.code == 0)
        b.code = prepare(&b);
    if (b.code == 0 && !cli_stopped(cli))
        measure(&b);
    return bench_end(&b);
}

static const struct cli_option bench_fetch_options[] = {
    BENCH_OPTIONS,
    {'b', "bytes", "BYTES", "payload to write first, in all (256MiB)"},
    {'f', "fetch", "BYTES", "payload that one fetch asks for (1MiB)"},
    {'H', "hot", NULL, "read from the log cache, not from objects"},
    {0, NULL, NULL, NULL}};

const struct command bench_fetch_command = {
    "bench",
    "fetch",
    "",
    "Measure how fast records are read back.",
    "Writes --bytes first, uploads them and opens the node again, so that its\n"
    "caches are empty; then each caller reads a stream from its start to its\n"
    "end, once, or again and again with --seconds.  Latencies are those of a\n"
    "fetch.  The streams are deleted at the end.",
    bench_fetch_options,
    0,
    0,
    COMMAND_STOPS | COMMAND_CREATES,
    bench_fetch_run};
