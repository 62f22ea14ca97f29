/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/actor.h"

#include <inttypes.h>
#include <string.h>

/* ---- Crashes ------------------------------------------------------------- */

/* What a crash leaves of a node's program. */
static void forget(struct actor *actor)
{
    requests_forget(actor);
    model_crashed(&actor->scenario->model, actor->number);
    actor->config = NULL;
    actor->node = NULL;
    memset(actor->streams, 0, sizeof(actor->streams));
    memset(actor->readers, 0, sizeof(actor->readers));
}

void actor_crash_now(struct actor *actor)
{
    if (!weir_sim_is_up(actor->sim))
        return;
    weir_sim_crash(actor->sim);
    actor->scenario->result->faults[FAULT_CRASH]++;
    forget(actor);
}

static void crash_due(struct weir_timer *timer)
{
    actor_crash_now(WEIR__CONTAINER(timer, struct actor, crash));
}

static void plan_crash(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    static const uint64_t spans[] = {20 * MS, 300 * MS, 10 * SECOND,
                                     200 * SECOND};

    if (sc->calm || (sc->options->without & (1u << FAULT_CRASH)) != 0)
        return;
    actor->crash.fire = crash_due;
    actor->crash.deadline = weir_sim_now(sc->sim) +
                            scenario_below(sc, spans[scenario_below(sc, 4)]) +
                            1;
    weir_sim_at(sc->sim, &actor->crash);
}

/* While what was just asked for is under way. */
void actor_crash_soon(struct actor *actor)
{
    struct scenario *sc = actor->scenario;

    scenario_pass(sc, scenario_below(sc, 500000));
    weir_sim_cancel(sc->sim, &actor->crash);
    actor_crash_now(actor);
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
    for (at = stat.start; rc == 0 && at < stat.end && !scenario_broken(sc);) {
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
    if (rc == 0 && !scenario_broken(sc))
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
    s->id = id_of(actor->streams[stream]);
    return read_all(actor, stream);
}

/* The same; it may turn out to have moved to the other node. */
static int open_mine(struct actor *actor, uint32_t stream)
{
    struct scenario *sc = actor->scenario;
    int rc = open_own(actor, stream);

    if (rc != WEIR_EBUSY || sc->actor_count == 1)
        return rc;
    sc->model.streams[stream].owner = 1 - actor->number;
    return 0;
}

static int configure(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    int rc = weir_sim_config(&actor->config, actor->sim);
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
        /* Now and then an answer takes seconds without any fault. */
        {"commit_timeout",
         sc->calm ? "1min" : run_commit_timeout(sc->options->seed)},
        {"delete_grace", DELETE_GRACE},
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
    weir_sim_trace(sc->sim, "open %" PRIu32 " %s", actor->number,
                   weir_error_name(rc));
    /* A read of the disk that fails is reported as it is; and the commit of
     * an opening that crashed may come in between. */
    if (rc != 0 && rc != WEIR_EIO && rc != WEIR_EFENCED)
        expect_status(sc, err.text[0] != '\0' ? err.text : "open", rc, 0, 0, 0);
    if (rc == 0)
        sc->result->opens++;
    for (i = 0; i < MODEL_STREAMS && rc == 0; i++)
        if (sc->model.streams[i].owner == actor->number)
            rc = open_mine(actor, i);
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
    weir_sim_trace(sc->sim, "closed %" PRIu32, actor->number);
    if (!weir__list_empty(&actor->ops))
        model_fail(&sc->model, "a request (%s) did not end with its node",
                   WEIR__CONTAINER(actor->ops.next, struct op, link)->what);
    if (weir_sim_blocks(actor->sim) != 0)
        model_fail(&sc->model, "a closed node keeps %zu blocks of memory",
                   weir_sim_blocks(actor->sim));
}

/* Run a program of the node: 0, or it has crashed. */
int actor_run(struct actor *actor, void (*program)(void *ctx), const char *what)
{
    struct scenario *sc = actor->scenario;
    int rc;

    sc->result->operations++;
    rc = weir_sim_call(actor->sim, program, actor);
    if (rc == WEIR_ETIMEDOUT)
        model_fail(&sc->model, "%s never ends: %s", what,
                   run_why_ended(sc->sim));
    if (rc == WEIR_ETIMEDOUT)
        forget(actor);
    return rc;
}

void actor_close(struct actor *actor)
{
    if (actor_run(actor, close_program, "close") == 0)
        weir_sim_cancel(actor->scenario->sim, &actor->crash);
}

void actor_open(struct actor *actor)
{
    weir_sim_start(actor->sim);
    weir_sim_cancel(actor->scenario->sim, &actor->crash);
    plan_crash(actor);
    actor->verified = 0;
    if (actor_run(actor, open_program, "open") == 0 && !actor->verified)
        actor_close(actor);
}

/* ---- A stream moves to another node -------------------------------------- */

/* End what is under way, and bring all of it into objects. */
static void hand_over_program(void *ctx)
{
    struct actor *actor = ctx;
    struct weir_env *env = weir_sim_env(actor->sim);
    struct weir_flush flush = {.req = {.done = NULL}};

    while (!weir__list_empty(&actor->ops)) {
        struct weir_event never = {0};

        env->ops->wait(env, &never, (int64_t)MS);
    }
    expect_status(actor->scenario, "flush",
                  weir_flush_sync(actor->node, &flush), 0, 0, 0);
}

static void take_program(void *ctx)
{
    struct actor *actor = ctx;
    struct model_stream *s = &actor->scenario->model.streams[actor->taking];
    int rc = open_own(actor, actor->taking);

    weir_sim_trace(actor->scenario->sim, "take %s %s", s->name,
                   weir_error_name(rc));
    /* Refused while the other's log may hold a part of it. */
    expect_status(actor->scenario, "take", rc, 0, WEIR_EBUSY, 0);
    if (actor->streams[actor->taking] != NULL)
        s->owner = actor->number;
}

void actor_hand_over(struct actor *actor)
{
    if (actor_run(actor, hand_over_program, "hand over") == 0)
        actor_close(actor);
}

void actor_take(struct actor *actor, uint32_t stream)
{
    actor->taking = stream;
    actor_run(actor, take_program, "take");
}
