/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario.h"

#include "base/list.h"
#include "sim/model.h"
#include "sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 2, STEPS = 160, BATCH_MAX = 200 * 1024, DISK = 5 << 20 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

struct scenario;

/** A node of the world, and its program's view of it. */
struct actor {
    struct scenario *scenario;
    uint32_t number;
    struct weir__sim_node *sim;
    struct weir_timer crash; /* When it will. */
    struct weir__list ops;   /* Under way. */

    /* In the node's memory: gone after a crash. */
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *streams[MODEL_STREAMS]; /* Its own, to append. */
    struct weir_stream *readers[MODEL_STREAMS]; /* Of others, */
    unsigned lives[MODEL_STREAMS]; /* opened in this life of the stream. */

    int verified; /* 1: the check after opening went to its end. */
    int failed;   /* Of the program that ran last: a status. */
};

/** A request under way.  In the test's memory. */
struct op {
    struct weir__list link;
    struct actor *actor;
    const char *what;
    uint32_t stream;
    size_t batch;
    unsigned life; /* Of the stream, when a fetch began. */
    int reader;    /* A fetch from another node's stream. */
    unsigned char *data;
    union {
        struct weir_append append;
        struct weir_fetch fetch;
        struct weir_trim trim;
        struct weir_flush flush;
        struct weir_stream_open open;
        struct weir_stream_delete delete;
    } u;
};

struct scenario {
    struct weir__sim *sim;
    struct model model;
    struct actor actors[NODES_MAX];
    uint32_t actor_count;
    int corrupt; /* 1: the store corrupts what it returns. */
    int starved; /* 1: allocations fail. */
    int calm;    /* 1: nothing fails any more. */
    struct scenario_result *result;
    struct weir_log log; /* Of the nodes: goes to the trace. */
    void (*trace)(void *ctx, const char *line);
    void *trace_ctx;
    /* Of this seed. */
    char upload_bytes[32];
    char stream_object[32];
    char block[32];
    char snapshot[32];
    char interval[32];
};

static uint64_t below(struct scenario *sc, uint64_t n)
{
    return weir__sim_below(sc->sim, n);
}

static int broken(const struct scenario *sc)
{
    return sc->model.failure[0] != '\0';
}

/* ---- Statuses that may come ---------------------------------------------- */

static int is_passing(int status)
{
    return status == WEIR_EUNAVAILABLE || status == WEIR_ETIMEDOUT ||
           status == WEIR_ETHROTTLED || status == WEIR_EUNKNOWN ||
           status == WEIR_ECLOSED || status == WEIR_EAGAIN;
}

/* Breach unless `status` is passing, damage that the store does, or one of
 * the three others. */
static void expect_status(struct scenario *sc, const char *what, int status,
                          int a, int b, int c)
{
    if (status == a || status == b || status == c ||
        (is_passing(status) && (!sc->calm || status == WEIR_ECLOSED)) ||
        (sc->corrupt && status == WEIR_ECORRUPT) ||
        (sc->starved && status == WEIR_ENOMEM))
        return;
    model_fail(&sc->model, "%s: unexpected %s", what, weir_error_name(status));
}

/* ---- Requests ------------------------------------------------------------ */

static struct op *op_new(struct actor *actor, uint32_t stream, const char *what)
{
    struct op *op = calloc(1, sizeof(*op));

    if (op == NULL)
        abort();
    op->what = what;
    op->actor = actor;
    op->stream = stream;
    weir__list_push(&actor->ops, &op->link);
    return op;
}

static void op_free(struct op *op)
{
    weir__list_remove(&op->link);
    free(op->data);
    free(op);
}

static struct model_stream *stream_of(struct op *op)
{
    return &op->actor->scenario->model.streams[op->stream];
}

static void append_done(struct weir_req *req, int status)
{
    struct op *op = req->ctx;
    struct scenario *sc = op->actor->scenario;

    weir__sim_trace(
        sc->sim, "append %s %zu %" PRIu64 " %s", stream_of(op)->name, op->batch,
        status == 0 ? op->u.append.base_offset : 0, weir_error_name(status));
    expect_status(sc, "append", status, 0, WEIR_EPOISONED,
                  stream_of(op)->exists == 1 ? 0 : WEIR_ENOENT);
    sc->result->acked += status == 0;
    sc->result->unknown += status == WEIR_EUNKNOWN;
    model_appended(&sc->model, op->batch, status, op->u.append.base_offset);
    op_free(op);
}

static size_t batch_len(struct scenario *sc)
{
    switch (below(sc, 10)) {
    case 0:
        return 1 + (size_t)below(sc, BATCH_MAX);
    case 1:
    case 2:
    case 3:
        return 1 + (size_t)below(sc, 5000);
    default:
        return 1 + (size_t)below(sc, 200);
    }
}

static void start_append(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    struct op *op = op_new(actor, stream, "append");
    size_t len = batch_len(sc);
    int rc;

    op->batch =
        model_batch(&sc->model, stream, len, (uint32_t)(1 + below(sc, 20)));
    op->data = malloc(len);
    if (op->data == NULL)
        abort();
    model_fill(&sc->model, op->batch, op->data);
    op->u.append = (struct weir_append){
        .req = {.done = append_done, .ctx = op},
        .data = op->data,
        .len = len,
        .count = sc->model.batches[op->batch].count,
        .max_timestamp = sc->model.batches[op->batch].timestamp,
        .flags = below(sc, 2) == 0 ? WEIR_APPEND_WAIT : 0,
    };
    rc = weir_append(actor->streams[stream], &op->u.append);
    if (rc != 0) {
        model_fail(&sc->model, "append refused with %s", weir_error_name(rc));
        op_free(op);
    }
}

/* Batches follow each other, and are what they must be. */
static void check_batches(struct scenario *sc, uint32_t stream,
                          const struct weir_fetch *fetch)
{
    size_t i;

    for (i = 0; i < fetch->count; i++) {
        const struct weir_batch *b = &fetch->batches[i];

        if (i == 0 ? b->base_offset > fetch->offset ||
                         b->base_offset + b->count <= fetch->offset
                   : b->base_offset != b[-1].base_offset + b[-1].count)
            model_fail(&sc->model, "%s: a fetch from %" PRIu64 " gave %" PRIu64,
                       sc->model.streams[stream].name, fetch->offset,
                       b->base_offset);
        model_check(&sc->model, stream, b);
        sc->result->fetched++;
    }
}

/* 1 if the stream that a fetch was for may have been deleted. */
static int may_be_gone(struct op *op)
{
    const struct model_stream *s = stream_of(op);

    return s->exists != 1 || s->life != op->life ||
           (op->reader && s->life != op->actor->lives[op->stream]);
}

static void fetch_done(struct weir_req *req, int status)
{
    struct op *op = req->ctx;
    struct scenario *sc = op->actor->scenario;
    struct weir_fetch *fetch = &op->u.fetch;

    weir__sim_trace(sc->sim, "fetch %s %" PRIu64 " %zu %s", stream_of(op)->name,
                    fetch->offset, status == 0 ? fetch->count : 0,
                    weir_error_name(status));
    expect_status(sc, "fetch", status, 0, WEIR_ERANGE,
                  may_be_gone(op) ? WEIR_ENOENT : 0);
    /* What was deleted meanwhile may come or not. */
    if (status == 0 && op->life == stream_of(op)->life)
        check_batches(sc, op->stream, fetch);
    if (status == 0)
        weir_fetch_release(fetch);
    op_free(op);
}

static void start_fetch(struct actor *actor, uint32_t stream,
                        struct weir_stream *handle, int reader)
{
    struct scenario *sc = actor->scenario;
    const struct model_stream *s = &sc->model.streams[stream];
    struct op *op = op_new(actor, stream, "fetch");
    int waits = below(sc, 3) == 0;
    int rc;

    op->reader = reader;
    op->life = s->life;
    op->u.fetch = (struct weir_fetch){
        .req = {.done = fetch_done, .ctx = op},
        .offset = s->start + below(sc, s->end - s->start + 1),
        .max_bytes = (size_t)below(sc, 1 << 18),
        .min_bytes = waits ? (size_t)below(sc, 10000) : 0,
        .max_wait = waits ? (int64_t)below(sc, 5 * SECOND) : 0,
    };
    rc = weir_fetch(handle, &op->u.fetch);
    if (rc != 0) {
        model_fail(&sc->model, "fetch refused with %s", weir_error_name(rc));
        op_free(op);
    }
}

static void trim_done(struct weir_req *req, int status)
{
    struct op *op = req->ctx;
    struct scenario *sc = op->actor->scenario;
    struct model_stream *s = stream_of(op);

    weir__sim_trace(sc->sim, "trim %s %" PRIu64 " %s", s->name,
                    op->u.trim.start, weir_error_name(status));
    expect_status(sc, "trim", status, 0, 0, s->exists == 1 ? 0 : WEIR_ENOENT);
    if (status == 0 && s->exists == 1 && op->u.trim.start > s->start)
        s->start = op->u.trim.start;
    op_free(op);
}

static void start_trim(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    struct model_stream *s = &sc->model.streams[stream];
    struct op *op = op_new(actor, stream, "trim");
    uint64_t start = s->start + below(sc, s->end - s->start + 1);

    op->u.trim = (struct weir_trim){
        .req = {.done = trim_done, .ctx = op},
        .start = start,
    };
    if (start > s->start_max)
        s->start_max = start;
    if (weir_trim(actor->streams[stream], &op->u.trim) != 0) {
        model_fail(&sc->model, "trim refused");
        op_free(op);
    }
}

static void flush_done(struct weir_req *req, int status)
{
    struct op *op = req->ctx;
    struct scenario *sc = op->actor->scenario;

    weir__sim_trace(sc->sim, "flush %s", weir_error_name(status));
    expect_status(sc, "flush", status, 0, 0, 0);
    op_free(op);
}

static void start_flush(struct actor *actor)
{
    struct op *op = op_new(actor, 0, "flush");

    op->u.flush = (struct weir_flush){.req = {.done = flush_done, .ctx = op}};
    if (weir_flush(actor->node, &op->u.flush) != 0) {
        model_fail(&actor->scenario->model, "flush refused");
        op_free(op);
    }
}

static void delete_done(struct weir_req *req, int status)
{
    struct op *op = req->ctx;
    struct scenario *sc = op->actor->scenario;

    weir__sim_trace(sc->sim, "delete %s %s", stream_of(op)->name,
                    weir_error_name(status));
    /* Gone already if an earlier try was done after all. */
    expect_status(sc, "delete", status, 0, WEIR_ENOENT, 0);
    if (status == 0)
        model_deleted(&sc->model, op->stream);
    op_free(op);
}

/* From now on nothing is known of the stream, until it is opened again. */
static void start_delete(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    struct op *op = op_new(actor, stream, "delete");

    op->u.delete = (struct weir_stream_delete){
        .req = {.done = delete_done, .ctx = op},
        .name = sc->model.streams[stream].name,
    };
    sc->model.streams[stream].exists = -1;
    if (weir_stream_delete(actor->node, &op->u.delete) != 0) {
        model_fail(&sc->model, "delete refused");
        op_free(op);
        return;
    }
    weir_stream_close(actor->streams[stream]);
    actor->streams[stream] = NULL;
}

static void reader_done(struct weir_req *req, int status)
{
    struct op *op = req->ctx;
    struct actor *actor = op->actor;

    expect_status(actor->scenario, "open to read", status, 0, WEIR_ENOENT, 0);
    if (status == 0) {
        if (actor->readers[op->stream] != NULL)
            weir_stream_close(actor->readers[op->stream]);
        actor->readers[op->stream] = op->u.open.stream;
        actor->lives[op->stream] = op->life;
    }
    op_free(op);
}

static void start_reader(struct actor *actor, uint32_t stream)
{
    struct op *op = op_new(actor, stream, "open");

    op->life = actor->scenario->model.streams[stream].life;
    op->u.open = (struct weir_stream_open){
        .req = {.done = reader_done, .ctx = op},
        .name = actor->scenario->model.streams[stream].name,
        .flags = WEIR_STREAM_READ,
    };
    if (weir_stream_open(actor->node, &op->u.open) != 0) {
        model_fail(&actor->scenario->model, "open to read refused");
        op_free(op);
    }
}

/* ---- Crashes ------------------------------------------------------------- */

/* The node's memory is gone: nobody will end what was under way. */
static void forget(struct actor *actor)
{
    struct scenario *sc = actor->scenario;

    while (!weir__list_empty(&actor->ops)) {
        struct op *op = WEIR__CONTAINER(actor->ops.next, struct op, link);

        if (strcmp(op->what, "append") == 0)
            sc->result->unknown++;
        op_free(op);
    }
    model_crashed(&sc->model, actor->number);
    actor->config = NULL;
    actor->node = NULL;
    memset(actor->streams, 0, sizeof(actor->streams));
    memset(actor->readers, 0, sizeof(actor->readers));
}

static void crash_now(struct weir_timer *timer)
{
    struct actor *actor = WEIR__CONTAINER(timer, struct actor, crash);

    if (!weir__sim_is_up(actor->sim))
        return;
    weir__sim_crash(actor->sim);
    actor->scenario->result->crashes++;
    forget(actor);
}

static void plan_crash(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    static const uint64_t spans[] = {20 * MS, 300 * MS, 10 * SECOND,
                                     200 * SECOND};

    if (sc->calm)
        return;
    actor->crash.fire = crash_now;
    actor->crash.deadline =
        weir__sim_now(sc->sim) + below(sc, spans[below(sc, 4)]) + 1;
    weir__sim_at(sc->sim, &actor->crash);
}

/* While what was just asked for is under way. */
static void crash_soon(struct actor *actor)
{
    struct scenario *sc = actor->scenario;

    if (weir__sim_run(sc->sim, below(sc, 500000)) != 0)
        model_fail(&sc->model, "the run takes longer than its limit");
    weir__sim_cancel(sc->sim, &actor->crash);
    crash_now(&actor->crash);
}

/* ---- The programs of a node: open and check, close ----------------------- */

/* Read a stream as a whole: 0, or why it could not be read. */
static int read_all(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    struct weir_stream_stat stat;
    uint64_t at;
    size_t i;
    int rc = weir_stream_stat(actor->streams[stream], &stat);

    model_read_begin(&sc->model, stream);
    for (at = stat.start; rc == 0 && at < stat.end && !broken(sc);) {
        struct weir_error err = {0};
        struct weir_fetch fetch = {
            .offset = at, .max_bytes = 1 << 20, .req = {.err = &err}};

        rc = weir_fetch_sync(actor->streams[stream], &fetch);
        if (rc != 0) {
            expect_status(sc, err.text, rc, 0, 0, 0);
            break;
        }
        check_batches(sc, stream, &fetch);
        for (i = 0; i < fetch.count; i++) {
            model_read_seen(&sc->model, stream, &fetch.batches[i]);
            at = fetch.batches[i].base_offset + fetch.batches[i].count;
        }
        if (fetch.count == 0)
            model_fail(&sc->model, "%s: nothing at %" PRIu64 ", end %" PRIu64,
                       sc->model.streams[stream].name, at, stat.end);
        weir_fetch_release(&fetch);
    }
    if (rc == 0 && !broken(sc))
        model_read_end(&sc->model, stream, stat.start, stat.end);
    return rc;
}

static int open_stream(struct actor *actor, uint32_t stream, unsigned flags)
{
    struct weir_stream_open open = {
        .name = actor->scenario->model.streams[stream].name,
        .flags = flags,
    };
    int rc = weir_stream_open_sync(actor->node, &open);

    if (rc == 0)
        actor->streams[stream] = open.stream;
    return rc;
}

/* Open a stream that the model knows of, or make it; then read it. */
static int open_own(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    struct model_stream *s = &sc->model.streams[stream];
    int rc = WEIR_ENOENT;

    if (s->exists != 0)
        rc = open_stream(actor, stream, 0);
    if (rc == WEIR_ENOENT && s->exists == 1) {
        model_fail(&sc->model, "%s: is gone", s->name);
        return rc;
    }
    if (rc == WEIR_ENOENT) {
        model_deleted(&sc->model, stream);
        s->exists = -1;
        rc = open_stream(actor, stream, WEIR_STREAM_CREATE);
    }
    if (rc != 0)
        return rc;
    s->exists = 1;
    return read_all(actor, stream);
}

static int configure(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    int rc = weir__sim_config(&actor->config, actor->sim);
    const char *const pairs[][2] = {
        {"log_cache", "4MiB"},
        {"segment", "256KiB"},
        {"max_batch", "256KiB"},
        {"block_cache", "256KiB"},
        {"index_cache", "64KiB"},
        {"upload_bytes", sc->upload_bytes},
        {"upload_interval", sc->interval},
        {"stream_object", sc->stream_object},
        {"block", sc->block},
        {"snapshot_commits", sc->snapshot},
        /* Longer than a late request to the store. */
        {"delete_grace", "11min"},
    };
    size_t i;

    if (rc == 0)
        weir_config_set_log(actor->config, &sc->log);
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]) && rc == 0; i++)
        rc = weir_config_set(actor->config, pairs[i][0], pairs[i][1], NULL);
    return rc;
}

static void open_program(void *ctx)
{
    struct actor *actor = ctx;
    struct scenario *sc = actor->scenario;
    struct weir_error err = {0};
    uint32_t i;
    int rc = configure(actor);

    if (rc == 0)
        rc = weir_open(&actor->node, actor->config, &err);
    weir__sim_trace(sc->sim, "open %" PRIu32 " %s", actor->number,
                    weir_error_name(rc));
    /* A read of the disk that fails is reported as it is; and the commit of
     * an opening that crashed may come in between. */
    if (rc != 0 && rc != WEIR_EIO && rc != WEIR_EFENCED)
        expect_status(sc, err.text[0] != '\0' ? err.text : "open", rc, 0, 0, 0);
    if (rc == 0)
        sc->result->opens++;
    for (i = 0; i < MODEL_STREAMS && rc == 0; i++)
        if (sc->model.streams[i].owner == actor->number)
            rc = open_own(actor, i);
    if (actor->node != NULL && rc != 0)
        expect_status(sc, "read after open", rc, 0, 0, 0);
    actor->failed = rc;
    actor->verified = rc == 0;
}

static void close_program(void *ctx)
{
    struct actor *actor = ctx;
    struct scenario *sc = actor->scenario;

    weir_free(actor->node);
    weir_config_free(actor->config);
    actor->node = NULL;
    actor->config = NULL;
    memset(actor->streams, 0, sizeof(actor->streams));
    memset(actor->readers, 0, sizeof(actor->readers));
    weir__sim_trace(sc->sim, "closed %" PRIu32, actor->number);
    if (!weir__list_empty(&actor->ops))
        model_fail(&sc->model, "a request (%s) did not end with its node",
                   WEIR__CONTAINER(actor->ops.next, struct op, link)->what);
    if (weir__sim_blocks(actor->sim) != 0)
        model_fail(&sc->model, "a closed node keeps %zu blocks of memory",
                   weir__sim_blocks(actor->sim));
}

/* Run a program of the node: 0, or it has crashed. */
static int run_program(struct actor *actor, void (*program)(void *ctx),
                       const char *what)
{
    struct scenario *sc = actor->scenario;
    int rc = weir__sim_call(actor->sim, program, actor);

    if (rc == WEIR_ETIMEDOUT)
        model_fail(&sc->model, "%s never ends", what);
    if (rc == WEIR_ETIMEDOUT)
        forget(actor);
    return rc;
}

static void close_node(struct actor *actor)
{
    if (run_program(actor, close_program, "close") == 0)
        weir__sim_cancel(actor->scenario->sim, &actor->crash);
}

static void open_node(struct actor *actor)
{
    weir__sim_start(actor->sim);
    weir__sim_cancel(actor->scenario->sim, &actor->crash);
    plan_crash(actor);
    actor->verified = 0;
    if (run_program(actor, open_program, "open") == 0 && !actor->verified)
        close_node(actor);
}

/* ---- A run --------------------------------------------------------------- */

static struct weir_stream *any_reader(struct actor *actor, uint32_t *stream)
{
    *stream = (uint32_t)below(actor->scenario, MODEL_STREAMS);
    return actor->readers[*stream];
}

/* One of the actor's own streams, open, or NULL. */
static struct weir_stream *any_own(struct actor *actor, uint32_t *stream)
{
    uint32_t n = (uint32_t)below(actor->scenario, MODEL_STREAMS);
    uint32_t i;

    for (i = 0; i < MODEL_STREAMS; i++) {
        *stream = (n + i) % MODEL_STREAMS;
        if (actor->streams[*stream] != NULL)
            return actor->streams[*stream];
    }
    return NULL;
}

static void read_elsewhere(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    uint32_t stream;
    struct weir_stream *reader = any_reader(actor, &stream);

    if (reader != NULL)
        start_fetch(actor, stream, reader, 1);
    else if (sc->model.streams[stream].owner != actor->number)
        start_reader(actor, stream);
}

static void act(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    uint32_t stream;
    uint64_t dice = below(sc, 100);
    uint64_t n;

    if (any_own(actor, &stream) == NULL || dice >= 97) {
        close_node(actor);
    } else if (dice < 60) {
        for (n = 1 + below(sc, 12); n > 0; n--)
            start_append(actor, stream);
    } else if (dice < 80) {
        start_fetch(actor, stream, actor->streams[stream], 0);
    } else if (dice < 85) {
        start_trim(actor, stream);
    } else if (dice < 90) {
        start_flush(actor);
    } else if (dice < 92) {
        start_delete(actor, stream);
    } else {
        read_elsewhere(actor);
    }
}

static void pass_time(struct scenario *sc)
{
    static const uint64_t spans[] = {0,       100000,     3 * MS,
                                     20 * MS, 2 * SECOND, 60 * SECOND};
    uint64_t span = spans[below(sc, 6)];

    if (weir__sim_run(sc->sim, below(sc, span + 1)) != 0)
        model_fail(&sc->model, "the run takes longer than its limit");
}

static void step(struct scenario *sc)
{
    struct actor *actor = &sc->actors[below(sc, sc->actor_count)];

    if (actor->node == NULL)
        open_node(actor);
    else
        act(actor);
    if (actor->node != NULL && below(sc, 12) == 0)
        crash_soon(actor);
    pass_time(sc);
}

/* Objects in the store are those of the manifest, no more and no less. */
static void check_objects(struct scenario *sc, struct weir *node)
{
    struct weir_node_stat stat;
    struct weir__sim_object *const *objects;
    size_t count;
    size_t i;
    uint64_t found = 0;
    uint64_t bytes = 0;
    int rc = weir_node_stat_sync(node, &stat);

    if (rc != 0) {
        model_fail(&sc->model, "node stat: %s", weir_error_name(rc));
        return;
    }
    objects = weir__sim_objects(sc->sim, &count);
    for (i = 0; i < count; i++) {
        if (strncmp(objects[i]->key, "data/", 5) != 0)
            continue;
        found++;
        bytes += objects[i]->len;
    }
    if (found != stat.objects || bytes != stat.bytes)
        model_fail(&sc->model,
                   "the store has %" PRIu64 " objects of %" PRIu64
                   " bytes, the manifest %" PRIu64 " of %" PRIu64,
                   found, bytes, stat.objects, stat.bytes);
}

static void objects_program(void *ctx)
{
    struct actor *actor = ctx;

    check_objects(actor->scenario, actor->node);
}

/* Open, which checks everything, until it succeeds. */
static void reopen(struct scenario *sc, struct actor *actor)
{
    int tries;

    if (actor->node != NULL)
        close_node(actor);
    for (tries = 0; tries < 3 && actor->node == NULL && !broken(sc); tries++)
        open_node(actor);
    if (actor->node == NULL && !broken(sc))
        model_fail(&sc->model, "node %" PRIu32 " does not open again: %s",
                   actor->number, weir_error_name(actor->failed));
}

/* Faults stop: everything is there, twice, and the garbage goes. */
static void finish(struct scenario *sc)
{
    uint32_t i;

    *weir__sim_faults(sc->sim) = (struct weir__sim_faults){0};
    for (i = 0; i < sc->actor_count; i++) {
        weir__sim_cancel(sc->sim, &sc->actors[i].crash);
        if (sc->actors[i].node != NULL)
            close_node(&sc->actors[i]);
    }
    sc->calm = 1;
    sc->corrupt = 0;
    sc->starved = 0;
    for (i = 0; i < sc->actor_count && !broken(sc); i++) {
        reopen(sc, &sc->actors[i]);
        if (!broken(sc))
            start_flush(&sc->actors[i]);
    }
    if (weir__sim_run(sc->sim, 30 * 60 * SECOND) != 0)
        model_fail(&sc->model, "the run takes longer than its limit");
    for (i = 0; i < sc->actor_count && !broken(sc); i++)
        reopen(sc, &sc->actors[i]);
    if (weir__sim_run(sc->sim, 30 * 60 * SECOND) != 0)
        model_fail(&sc->model, "the run takes longer than its limit");
    if (!broken(sc))
        run_program(&sc->actors[0], objects_program, "node stat");
    for (i = 0; i < sc->actor_count && !broken(sc); i++)
        close_node(&sc->actors[i]);
}

/* Not every fault in every run: some show only where others are absent. */
static void choose_faults(struct scenario *sc)
{
    struct weir__sim_faults *faults = weir__sim_faults(sc->sim);
    uint32_t *const store[] = {
        &faults->store_down,    &faults->store_throttle, &faults->store_lost,
        &faults->store_unheard, &faults->store_late,     &faults->store_repeat,
        &faults->store_slow,
    };
    size_t i;

    for (i = 0; i < sizeof(store) / sizeof(store[0]); i++)
        if (below(sc, 3) == 0)
            *store[i] = (uint32_t)below(sc, 100000);
    if (below(sc, 8) == 0)
        faults->store_corrupt = (uint32_t)below(sc, 20000);
    sc->corrupt = faults->store_corrupt > 0;
    if (below(sc, 4) == 0)
        faults->disk_write = (uint32_t)below(sc, 20000);
    if (below(sc, 4) == 0)
        faults->disk_sync = (uint32_t)below(sc, 20000);
    if (below(sc, 8) == 0)
        faults->disk_read = (uint32_t)below(sc, 20000);
    faults->disk_garble = (uint32_t)below(sc, 50000);
    if (below(sc, 6) == 0)
        faults->memory = (uint32_t)below(sc, 3000);
    sc->starved = faults->memory > 0;
}

static void choose_sizes(struct scenario *sc)
{
    snprintf(sc->upload_bytes, sizeof(sc->upload_bytes), "%uKiB",
             16u << below(sc, 7));
    snprintf(sc->stream_object, sizeof(sc->stream_object), "%uKiB",
             4u << below(sc, 7));
    snprintf(sc->block, sizeof(sc->block), "%uKiB", 4u << below(sc, 5));
    snprintf(sc->snapshot, sizeof(sc->snapshot), "%u",
             2u + (unsigned)below(sc, 20));
    snprintf(sc->interval, sizeof(sc->interval), "%ums", 100u << below(sc, 9));
}

/* FNV-1a over all lines. */
static void hash_line(void *ctx, const char *line)
{
    struct scenario *sc = ctx;
    const char *p;

    for (p = line; *p != '\0'; p++)
        sc->result->trace_hash =
            (sc->result->trace_hash ^ (unsigned char)*p) * 0x100000001b3u;
    if (sc->trace != NULL)
        sc->trace(sc->trace_ctx, line);
}

static void log_line(void *ctx, enum weir_log_level level, const char *text)
{
    struct scenario *sc = ctx;

    weir__sim_trace(sc->sim, "log %d: %s", (int)level, text);
}

static void open_actors(struct scenario *sc)
{
    uint32_t i;

    sc->actor_count = 1 + (uint32_t)below(sc, NODES_MAX);
    for (i = 0; i < sc->actor_count; i++) {
        sc->actors[i].scenario = sc;
        sc->actors[i].number = i;
        weir__list_init(&sc->actors[i].ops);
        if (weir__sim_node_new(&sc->actors[i].sim, sc->sim, i + 1, DISK) != 0)
            abort();
    }
    for (i = 0; i < MODEL_STREAMS; i++) {
        sc->model.streams[i].owner = i % sc->actor_count;
        snprintf(sc->model.streams[i].name, sizeof(sc->model.streams[i].name),
                 "stream-%u", i);
    }
}

int scenario_run(uint64_t seed, void (*trace)(void *ctx, const char *line),
                 void *ctx, struct scenario_result *result)
{
    struct scenario sc = {.result = result, .trace = trace, .trace_ctx = ctx};
    struct weir__sim_options options = {
        .seed = seed,
        .limit = 24 * 3600 * SECOND,
        .trace = hash_line,
        .trace_ctx = &sc,
    };
    int steps;

    sc.log = (struct weir_log){sizeof(struct weir_log), log_line, &sc};
    *result = (struct scenario_result){.trace_hash = 0xcbf29ce484222325u};
    if (weir__sim_new(&sc.sim, &options) != 0)
        abort();
    open_actors(&sc);
    choose_sizes(&sc);
    choose_faults(&sc);
    for (steps = STEPS; steps > 0 && !broken(&sc); steps--)
        step(&sc);
    if (!broken(&sc))
        finish(&sc);
    result->seconds = weir__sim_now(sc.sim) / SECOND;
    snprintf(result->failure, sizeof(result->failure), "%s", sc.model.failure);
    for (uint32_t i = 0; i < sc.actor_count; i++)
        if (weir__sim_is_up(sc.actors[i].sim))
            crash_now(&sc.actors[i].crash);
    weir__sim_free(sc.sim);
    model_free(&sc.model);
    return result->failure[0] != '\0';
}
