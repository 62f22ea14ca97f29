/* SPDX-License-Identifier: Apache-2.0 */
/* weir bench append: how fast records become durable. */
#include "bench.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

/* One request that a caller has under way. */
struct request {
    struct weir_append append; /* First: `done` gets its address. */
    struct weir_error err;
    struct round *round;
    uint64_t sent_at;
    uint64_t number;
};

/* A run in which one thread plays all callers. */
struct round {
    struct bench *bench;
    uint64_t sent;
    uint64_t under_way;
};

static void send_request(struct request *req);

static void request_done(struct weir_req *base, int status)
{
    struct request *req = (struct request *)base;
    struct bench *b = req->round->bench;
    uint64_t now = cli_now();

    req->round->under_way--;
    if (status != 0) {
        b->cli->err = req->err;
        bench_fail(b, status);
        return;
    }
    b->records++;
    b->payloads += b->size;
    latency_add(b->latency, now - req->sent_at);
    if (bench_goes_on(b, now, req->round->sent))
        send_request(req);
}

static struct weir_append make_append(const struct bench *b, uint64_t number)
{
    return (struct weir_append){.data = b->payload + number % 4096,
                                .len = b->size,
                                .count = 1,
                                .flags = WEIR_APPEND_WAIT,
                                .max_timestamp = WEIR_NO_TIMESTAMP};
}

static void send_request(struct request *req)
{
    struct bench *b = req->round->bench;
    int rc;

    req->number = req->round->sent++;
    req->append = make_append(b, req->number);
    req->append.req.done = request_done;
    req->append.req.err = &req->err;
    req->sent_at = cli_now();
    req->round->under_way++;
    rc = weir_append(b->stream[req->number % b->streams], &req->append);
    if (rc != 0) {
        req->round->under_way--;
        b->cli->err = req->err;
        bench_fail(b, rc);
    }
}

void bench_append_async(struct bench *b)
{
    uint64_t total = b->callers * b->depth;
    struct request *requests = calloc(total, sizeof(*requests));
    struct round round = {.bench = b};

    if (requests == NULL) {
        b->code = cli_error(b->cli, ": out of memory");
        return;
    }
    for (uint64_t i = 0; i < total; i++) {
        requests[i].round = &round;
        if (bench_goes_on(b, b->started, round.sent))
            send_request(&requests[i]);
    }
    while (round.under_way > 0) {
        (void)cli_drive(b->cli, -1, 0);
        bench_tick(b, cli_now());
    }
    free(requests);
}

/* One caller that waits for each append, and drives the node meanwhile. */
static void append_one_by_one(struct bench *b)
{
    uint64_t before = b->started;
    uint64_t ticked = before;

    while (bench_goes_on(b, before, b->records)) {
        struct weir_append append = make_append(b, b->records);
        uint64_t after;
        int rc;

        append.req.err = &b->cli->err;
        rc = weir_append_sync(b->stream[b->records % b->streams], &append);
        after = cli_now();
        if (rc != 0) {
            bench_fail(b, rc);
            return;
        }
        latency_add(b->latency, after - before);
        b->records++;
        b->payloads += b->size;
        if (after - ticked > 50000000) {
            cli_check_signal(b->cli);
            bench_tick(b, after);
            ticked = after = cli_now();
        }
        before = after;
    }
}

/* A caller that is a thread; what it shares with others is atomic. */
struct caller {
    struct bench *bench;
    pthread_t thread;
    struct weir_error err;
    struct latency latency;
    _Atomic uint64_t *sent;
    atomic_bool *stop;
    uint64_t records;
    int status;
};

static void *caller_run(void *arg)
{
    struct caller *c = arg;
    const struct bench *b = c->bench;
    uint64_t before = cli_now();

    while (!atomic_load(c->stop)) {
        uint64_t number = atomic_fetch_add(c->sent, 1);
        struct weir_append append = make_append(b, number);
        uint64_t after;

        if (!bench_goes_on(b, before, number))
            break;
        append.req.err = &c->err;
        c->status = weir_append_sync(b->stream[number % b->streams], &append);
        if (c->status != 0) {
            atomic_store(c->stop, true);
            break;
        }
        after = cli_now();
        latency_add(&c->latency, after - before);
        c->records++;
        before = after;
    }
    return NULL;
}

static void collect(struct bench *b, struct caller *c)
{
    latency_merge(b->latency, &c->latency);
    b->records += c->records;
    b->payloads += c->records * b->size;
    if (c->status != 0) {
        b->cli->err = c->err;
        bench_fail(b, c->status);
    }
}

static void append_threads(struct bench *b)
{
    struct caller *callers = calloc(b->callers, sizeof(*callers));
    _Atomic uint64_t sent = 0;
    atomic_bool stop = false;
    uint64_t started = 0;

    if (callers == NULL) {
        b->code = cli_error(b->cli, ": out of memory");
        return;
    }
    for (; started < b->callers; started++) {
        struct caller *c = &callers[started];

        c->bench = b;
        c->sent = &sent;
        c->stop = &stop;
        if (pthread_create(&c->thread, NULL, caller_run, c) != 0) {
            b->code = cli_error(b->cli, ": cannot start thread %llu",
                                (unsigned long long)started);
            atomic_store(&stop, true);
            break;
        }
    }
    for (uint64_t now = cli_now();
         !atomic_load(&stop) && bench_goes_on(b, now, atomic_load(&sent));
         now = cli_now()) {
        struct pollfd fd = {b->cli->signal_fd, POLLIN, 0};

        (void)poll(&fd, 1, 50);
        cli_check_signal(b->cli);
        if (cli_stopped(b->cli))
            atomic_store(&stop, true);
    }
    for (uint64_t i = 0; i < started; i++)
        pthread_join(callers[i].thread, NULL);
    for (uint64_t i = 0; i < started; i++)
        collect(b, &callers[i]);
    free(callers);
}

static void measure(struct bench *b)
{
    struct weir_stats before = {0};

    (void)weir_stats_sync(b->cli->node, &before);
    bench_start(b);
    if (b->threads)
        append_threads(b);
    else if (b->callers == 1 && b->depth == 1)
        append_one_by_one(b);
    else
        bench_append_async(b);
    bench_finish(b);
    if (b->code == 0)
        b->code = bench_print(b, &before);
}

static int bench_append_run(struct cli *cli)
{
    struct bench b;

    b.code = bench_init(&b, cli);
    if (b.code == 0 && b.seconds == 0 && b.count == 0)
        b.seconds = 5;
    if (b.code == 0)
        b.code = bench_streams(&b, WEIR_STREAM_CREATE | WEIR_STREAM_EXCLUSIVE);
    if (b.code == 0)
        measure(&b);
    return bench_end(&b);
}

static const struct cli_option bench_append_options[] = {
    BENCH_OPTIONS,
    {OPTION_THREADS, "threads", NULL,
     "each caller is a thread that waits for its\n"
     "append (with -X driver=true a thread of the\n"
     "library drives the node)"},
    {0, NULL, NULL, NULL}};

const struct command bench_append_command = {
    "bench",
    "append",
    "",
    "Measure how fast records become durable.",
    "With one caller and depth 1 it waits for each append and drives the node\n"
    "itself; with more, one thread plays all callers with the asynchronous\n"
    "calls.  Payloads do not compress.  The streams are deleted at the end.",
    bench_append_options,
    0,
    0,
    COMMAND_STOPS | COMMAND_CREATES,
    bench_append_run};
