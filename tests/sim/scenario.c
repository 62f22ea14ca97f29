/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/actor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A node may use what its log cache is allowed, an object of all of that in
 * the making, and blocks on their way from the store. */
enum { STEPS = 160, DISK_MIN = 1 << 20, MEMORY_MAX = 16 << 20 };

/* Steps from one look at all of the manifest to the next: it takes a while. */
enum { NAMED_EVERY = 16 };

uint64_t scenario_below(struct scenario *sc, uint64_t n)
{
    return weir_sim_below(sc->sim, n);
}

int scenario_broken(const struct scenario *sc)
{
    return sc->model.failure[0] != '\0';
}

void scenario_pass(struct scenario *sc, uint64_t ns)
{
    if (weir_sim_run(sc->sim, ns) != 0)
        model_fail(&sc->model, "the run does not end: %s",
                   weir_sim_ended(sc->sim));
}

/* ---- A run --------------------------------------------------------------- */

static struct weir_stream *any_reader(struct actor *actor, uint32_t *stream)
{
    *stream = (uint32_t)scenario_below(actor->scenario, MODEL_STREAMS);
    return actor->readers[*stream];
}

/* One of the actor's own streams, open, or NULL. */
static struct weir_stream *any_own(struct actor *actor, uint32_t *stream)
{
    uint32_t n = (uint32_t)scenario_below(actor->scenario, MODEL_STREAMS);
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
        request_fetch(actor, stream, reader);
    else if (sc->model.streams[stream].owner != actor->number)
        request_reader(actor, stream);
}

/* Streams of a node that is down, or has closed, or does not think of it. */
static void take_any(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    uint32_t stream = (uint32_t)scenario_below(sc, MODEL_STREAMS);

    if (actor->node != NULL &&
        sc->model.streams[stream].owner != actor->number &&
        sc->model.streams[stream].exists == 1)
        actor_take(actor, stream);
}

static void act(struct actor *actor)
{
    struct scenario *sc = actor->scenario;
    uint32_t stream;
    uint64_t dice = scenario_below(sc, 100);
    uint64_t n;

    if (any_own(actor, &stream) == NULL || dice >= 97) {
        actor_close(actor);
    } else if (dice < 60) {
        for (n = 1 + scenario_below(sc, 12); n > 0; n--)
            request_append(actor, stream);
    } else if (dice < 80) {
        request_fetch(actor, stream, actor->streams[stream]);
    } else if (dice < 85) {
        request_trim(actor, stream);
    } else if (dice < 90) {
        request_flush(actor);
    } else if (dice < 92) {
        request_delete(actor, stream);
    } else if (dice < 93) {
        actor_hand_over(actor);
        for (n = 3; n > 0 && sc->actor_count > 1; n--)
            take_any(&sc->actors[1 - actor->number]);
    } else if (dice < 95) {
        take_any(actor);
    } else {
        read_elsewhere(actor);
    }
}

static void check_memory(struct scenario *sc)
{
    uint32_t i;

    for (i = 0; i < sc->actor_count; i++)
        if (weir_sim_bytes(sc->actors[i].sim) > MEMORY_MAX)
            model_fail(&sc->model,
                       "node %" PRIu32 " uses %zu bytes, and may use %zu", i,
                       weir_sim_bytes(sc->actors[i].sim), (size_t)MEMORY_MAX);
}

/* The store holds what the manifest names. */
static void check_named(struct scenario *sc)
{
    char text[MODEL_TEXT];

    if (!scenario_broken(sc) &&
        named_check(&sc->named, sc->sim, run_latest_wall(sc->actors[0].sim),
                    DELETE_GRACE_MS, text, sizeof(text)) != 0)
        model_fail(&sc->model, "%s", text);
}

static void pass_time(struct scenario *sc)
{
    static const uint64_t spans[] = {0,       100000,     3 * MS,
                                     20 * MS, 2 * SECOND, 60 * SECOND};
    uint64_t span = spans[scenario_below(sc, 6)];

    scenario_pass(sc, scenario_below(sc, span + 1));
}

static void step(struct scenario *sc)
{
    struct actor *actor = &sc->actors[scenario_below(sc, sc->actor_count)];
    const char *planted =
        plant_step(sc->options->plant, sc->result->steps, sc->sim, actor->sim);

    if (planted != NULL)
        model_fail(&sc->model, "%s", planted);
    if (actor->node == NULL)
        actor_open(actor);
    else
        act(actor);
    if (actor->node != NULL && scenario_below(sc, 12) == 0 &&
        (sc->options->without & (1u << FAULT_CRASH)) == 0)
        actor_crash_soon(actor);
    check_memory(sc);
    pass_time(sc);
    check_memory(sc);
    if (sc->result->steps % NAMED_EVERY == 0)
        check_named(sc);
}

/* Objects in the store are those of the manifest, no more and no less. */
static void check_objects(struct scenario *sc, struct weir *node)
{
    struct weir_node_stat stat;
    struct weir_sim_object *const *objects;
    size_t count;
    size_t i;
    uint64_t found = 0;
    uint64_t bytes = 0;
    int rc = weir_node_stat_sync(node, &stat);

    if (rc != 0) {
        model_fail(&sc->model, "node stat: %s", weir_error_name(rc));
        return;
    }
    objects = weir_sim_objects(sc->sim, &count);
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
        actor_close(actor);
    for (tries = 0; tries < 3 && actor->node == NULL && !scenario_broken(sc);
         tries++)
        actor_open(actor);
    if (actor->node == NULL && !scenario_broken(sc))
        model_fail(&sc->model, "node %" PRIu32 " does not open again: %s",
                   actor->number, weir_error_name(actor->failed));
}

/* Faults stop: everything is there, twice, and the garbage goes. */
static void finish(struct scenario *sc)
{
    uint32_t i;

    *weir_sim_faults(sc->sim) = (struct weir_sim_faults){0};
    for (i = 0; i < sc->actor_count; i++) {
        weir_sim_cancel(sc->sim, &sc->actors[i].crash);
        if (sc->actors[i].node != NULL)
            actor_close(&sc->actors[i]);
    }
    sc->calm = 1;
    sc->corrupt = 0;
    sc->starved = 0;
    for (i = 0; i < sc->actor_count && !scenario_broken(sc); i++) {
        reopen(sc, &sc->actors[i]);
        if (!scenario_broken(sc))
            request_flush(&sc->actors[i]);
    }
    scenario_pass(sc, 30 * 60 * SECOND);
    for (i = 0; i < sc->actor_count && !scenario_broken(sc); i++)
        reopen(sc, &sc->actors[i]);
    scenario_pass(sc, 30 * 60 * SECOND);
    if (!scenario_broken(sc))
        actor_run(&sc->actors[0], objects_program, "node stat");
    for (i = 0; i < sc->actor_count && !scenario_broken(sc); i++)
        actor_close(&sc->actors[i]);
}

/* Not every fault in every run: some show only where others are absent. */
static void choose_faults(struct scenario *sc)
{
    struct weir_sim_faults *faults = weir_sim_faults(sc->sim);
    uint32_t *const store[] = {
        &faults->store_down,      &faults->store_throttle,
        &faults->store_lost,      &faults->store_unheard,
        &faults->store_late,      &faults->store_repeat,
        &faults->store_slow,      &faults->store_refused,
        &faults->store_lost_race,
    };
    size_t i;

    for (i = 0; i < sizeof(store) / sizeof(store[0]); i++)
        if (scenario_below(sc, 3) == 0)
            *store[i] = (uint32_t)scenario_below(sc, 100000);
    if (scenario_below(sc, 8) == 0)
        faults->store_corrupt = (uint32_t)scenario_below(sc, 20000);
    if (scenario_below(sc, 8) == 0)
        faults->store_cut = (uint32_t)scenario_below(sc, 20000);
    if (scenario_below(sc, 8) == 0)
        faults->store_hot = (uint32_t)scenario_below(sc, 5000);
    if (scenario_below(sc, 4) == 0)
        faults->disk_write = (uint32_t)scenario_below(sc, 20000);
    if (scenario_below(sc, 4) == 0)
        faults->disk_sync = (uint32_t)scenario_below(sc, 20000);
    if (scenario_below(sc, 8) == 0)
        faults->disk_read = (uint32_t)scenario_below(sc, 20000);
    faults->disk_garble = (uint32_t)scenario_below(sc, 50000);
    if (scenario_below(sc, 6) == 0)
        faults->memory = 100u << scenario_below(sc, 8);
    if (scenario_below(sc, 4) == 0)
        faults->disk_slow = (uint32_t)scenario_below(sc, 20000);
    if (scenario_below(sc, 4) == 0)
        faults->store_stale = (uint32_t)scenario_below(sc, 200000);
    faults->store_tells = run_tells(sc->options->seed);
    run_without(faults, sc->options->without);
    sc->corrupt = faults->store_corrupt > 0 || faults->store_cut > 0;
    sc->starved = faults->memory > 0;
}

static void choose_sizes(struct scenario *sc)
{
    sc->heavy = scenario_below(sc, 6) == 0;
    snprintf(sc->upload_bytes, sizeof(sc->upload_bytes), "%uKiB",
             16u << scenario_below(sc, 7));
    snprintf(sc->stream_object, sizeof(sc->stream_object), "%uKiB",
             4u << scenario_below(sc, 7));
    snprintf(sc->block, sizeof(sc->block), "%uKiB",
             4u << scenario_below(sc, 5));
    snprintf(sc->snapshot, sizeof(sc->snapshot), "%u",
             2u + (unsigned)scenario_below(sc, 20));
    snprintf(sc->interval, sizeof(sc->interval), "%ums",
             100u << scenario_below(sc, 9));
}

static void hash_line(void *ctx, const char *line)
{
    struct scenario *sc = ctx;

    sc->result->trace_hash = run_hash_line(sc->result->trace_hash, line);
    if (sc->options->trace != NULL)
        sc->options->trace(sc->options->ctx, line);
}

static void log_line(void *ctx, enum weir_log_level level, const char *text)
{
    struct scenario *sc = ctx;

    weir_sim_trace(sc->sim, "log %d: %s", (int)level, text);
}

static void open_actors(struct scenario *sc)
{
    /* A small log goes round its ring, and is full before the memory is. */
    uint64_t disk = DISK_MIN * (1 + scenario_below(sc, 5));
    uint32_t i;

    sc->actor_count = scenario_below(sc, 2) == 0 ? 1 : NODES_MAX;
    sc->result->nodes = sc->actor_count;
    for (i = 0; i < sc->actor_count; i++) {
        sc->actors[i].scenario = sc;
        sc->actors[i].number = i;
        weir__list_init(&sc->actors[i].ops);
        if (weir_sim_node_new(&sc->actors[i].sim, sc->sim, i + 1, disk) != 0)
            abort();
    }
    for (i = 0; i < MODEL_STREAMS; i++) {
        sc->model.streams[i].owner = i % sc->actor_count;
        snprintf(sc->model.streams[i].name, sizeof(sc->model.streams[i].name),
                 "stream-%u", i);
    }
}

int scenario_run(const struct run_options *given, struct run_result *result)
{
    struct scenario sc = {.result = result, .options = given};
    unsigned steps =
        given->steps > 0 && given->steps < STEPS ? given->steps : STEPS;
    struct weir_sim_options options = {
        .size = sizeof(struct weir_sim_options),
        .seed = given->seed,
        .limit = 24 * 3600 * SECOND,
        .busy_limit = RUN_BUSY_LIMIT,
        .step_limit = RUN_STEP_LIMIT,
        .store_time = run_store_time(given->seed),
        .disk_time = run_disk_time(given->seed),
        .trace = given->unhashed ? NULL : hash_line,
        .trace_ctx = &sc,
    };

    sc.log = (struct weir_log){sizeof(struct weir_log), log_line, &sc};
    *result = (struct run_result){.trace_hash = RUN_HASH_OF_NOTHING};
    if (weir_sim_new(&sc.sim, &options) != 0)
        abort();
    sc.model.sim = sc.sim;
    open_actors(&sc);
    choose_sizes(&sc);
    choose_faults(&sc);
    for (; result->steps < steps && !scenario_broken(&sc); result->steps++)
        step(&sc);
    if (!scenario_broken(&sc))
        finish(&sc);
    result->seconds = weir_sim_now(sc.sim) / SECOND;
    snprintf(result->failure, sizeof(result->failure), "%s", sc.model.failure);
    run_count_faults(sc.sim, result);
    for (uint32_t i = 0; i < sc.actor_count; i++)
        if (weir_sim_is_up(sc.actors[i].sim))
            actor_crash_now(&sc.actors[i]);
    weir_sim_free(sc.sim);
    model_free(&sc.model);
    return result->failure[0] != '\0';
}
