/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/actor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Statuses that may come ---------------------------------------------- */

static int is_passing(int status)
{
    return status == WEIR_EUNAVAILABLE || status == WEIR_ETIMEDOUT ||
           status == WEIR_ETHROTTLED || status == WEIR_EUNKNOWN ||
           status == WEIR_ECLOSED || status == WEIR_EAGAIN;
}

/* Breach unless `status` is passing, damage that the store does, or one of
 * the three others. */
void expect_status(struct scenario *sc, const char *what, int status, int a,
                   int b, int c)
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
    actor->scenario->result->operations++;
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

    weir_sim_trace(sc->sim, "append %s %zu %" PRIu64 " %s", stream_of(op)->name,
                   op->batch, status == 0 ? op->u.append.base_offset : 0,
                   weir_error_name(status));
    expect_status(sc, "append", status, 0, WEIR_EPOISONED,
                  stream_of(op)->exists == 1 ? 0 : WEIR_ENOENT);
    sc->result->acked += status == 0;
    sc->result->unknown += status == WEIR_EUNKNOWN;
    model_appended(&sc->model, op->batch, status, op->u.append.base_offset);
    op_free(op);
}

static size_t batch_len(struct scenario *sc)
{
    switch (scenario_below(sc, sc->heavy ? 2 : 10)) {
    case 0:
        return 1 + (size_t)scenario_below(sc, MODEL_LONGEST);
    case 1:
    case 2:
    case 3:
        return 1 + (size_t)scenario_below(sc, 5000);
    default:
        return 1 + (size_t)scenario_below(sc, 200);
    }
}

void request_append(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    struct op *op = op_new(actor, stream, "append");
    size_t len = batch_len(sc);
    int rc;

    op->batch = model_batch(&sc->model, stream, len,
                            (uint32_t)(1 + scenario_below(sc, 20)));
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
        .flags = scenario_below(sc, 2) == 0 ? WEIR_APPEND_WAIT : 0,
    };
    rc = weir_append(actor->streams[stream], &op->u.append);
    if (rc != 0) {
        model_fail(&sc->model, "append refused with %s", weir_error_name(rc));
        op_free(op);
    }
}

/* Batches follow each other, and are what they must be. */
void check_batches(struct scenario *sc, uint32_t stream,
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

    return s->exists != 1 || s->id != op->id;
}

static void fetch_done(struct weir_req *req, int status)
{
    struct op *op = req->ctx;
    struct scenario *sc = op->actor->scenario;
    struct weir_fetch *fetch = &op->u.fetch;

    weir_sim_trace(sc->sim, "fetch %s %" PRIu64 " %zu %s", stream_of(op)->name,
                   fetch->offset, status == 0 ? fetch->count : 0,
                   weir_error_name(status));
    expect_status(sc, "fetch", status, 0, WEIR_ERANGE,
                  may_be_gone(op) ? WEIR_ENOENT : 0);
    /* What was deleted meanwhile may come or not; a reader on another node
     * may open it still. */
    if (status == 0 && op->id == stream_of(op)->id)
        check_batches(sc, op->stream, fetch);
    if (status == 0)
        weir_fetch_release(fetch);
    op_free(op);
}

uint64_t id_of(struct weir_stream *handle)
{
    struct weir_stream_stat stat;

    return weir_stream_stat(handle, &stat) == 0 ? stat.id : 0;
}

void request_fetch(struct actor *actor, uint32_t stream,
                   struct weir_stream *handle)
{
    struct scenario *sc = actor->scenario;
    const struct model_stream *s = &sc->model.streams[stream];
    struct op *op = op_new(actor, stream, "fetch");
    int waits = scenario_below(sc, 3) == 0;
    int rc;

    op->id = id_of(handle);
    op->u.fetch = (struct weir_fetch){
        .req = {.done = fetch_done, .ctx = op},
        .offset = s->start + scenario_below(sc, s->end - s->start + 1),
        .max_bytes = (size_t)scenario_below(sc, 1 << 18),
        .min_bytes = waits ? (size_t)scenario_below(sc, 10000) : 0,
        .max_wait = waits ? (int64_t)scenario_below(sc, 5 * SECOND) : 0,
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

    weir_sim_trace(sc->sim, "trim %s %" PRIu64 " %s", s->name, op->u.trim.start,
                   weir_error_name(status));
    expect_status(sc, "trim", status, 0, 0, s->exists == 1 ? 0 : WEIR_ENOENT);
    if (status == 0 && s->exists == 1 && op->u.trim.start > s->start)
        s->start = op->u.trim.start;
    op_free(op);
}

void request_trim(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    struct model_stream *s = &sc->model.streams[stream];
    struct op *op = op_new(actor, stream, "trim");
    uint64_t start = scenario_below(sc, 4) == 0
                         ? s->end
                         : s->start + scenario_below(sc, s->end - s->start + 1);

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

    weir_sim_trace(sc->sim, "flush %s", weir_error_name(status));
    expect_status(sc, "flush", status, 0, 0, 0);
    op_free(op);
}

void request_flush(struct actor *actor)
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

    weir_sim_trace(sc->sim, "delete %s %s", stream_of(op)->name,
                   weir_error_name(status));
    /* Gone already if an earlier try was done after all. */
    expect_status(sc, "delete", status, 0, WEIR_ENOENT, 0);
    if (status == 0)
        model_deleted(&sc->model, op->stream);
    op_free(op);
}

/* From now on nothing is known of the stream, until it is opened again. */
void request_delete(struct actor *actor, uint32_t stream)
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
    }
    op_free(op);
}

void request_reader(struct actor *actor, uint32_t stream)
{
    struct op *op = op_new(actor, stream, "open");

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

void requests_forget(struct actor *actor)
{
    struct weir__list *next;
    struct weir__list *at;

    for (at = actor->ops.next; at != &actor->ops; at = next) {
        struct op *op = WEIR__CONTAINER(at, struct op, link);

        next = at->next;
        if (strcmp(op->what, "append") == 0)
            actor->scenario->result->unknown++;
        free(op->data);
        free(op);
    }
    weir__list_init(&actor->ops);
}
