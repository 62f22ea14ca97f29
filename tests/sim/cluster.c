/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that move at random.  Each node's program does one thing at a
 * time; appends go on in the background. */
#include "sim/cluster_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct machine *owner_of(struct cluster *c, int stream)
{
    for (uint32_t i = 0; i <= c->count; i++)
        if (c->machines[i].streams[stream] != NULL)
            return &c->machines[i];
    return NULL;
}

int cluster_is_free(struct cluster *c, int stream)
{
    return owner_of(c, stream) == NULL;
}

void cluster_give_away(struct machine *m, int stream)
{
    int rc = cluster_call(m, cluster_handover_program, stream, "hand over");

    if (rc != 0)
        return;
    if (m->status == WEIR_EFENCED || m->status == WEIR_EPOISONED)
        m->sick = 1;
    if (m->status == 0 || m->status == WEIR_EFENCED ||
        m->status == WEIR_EUNKNOWN)
        m->streams[stream] = NULL;
}

/* A dead one; with the object log also one that sleeps or lives, which is
 * refused unless its lease has run out. */
static void try_take_over(struct machine *m)
{
    struct cluster *c = m->cluster;
    struct machine *dead = &c->machines[cluster_below(c, c->count)];

    if (dead->id == m->id || (dead->node != NULL && c->wal == NULL))
        return;
    for (int s = 0; s < STREAMS; s++)
        if (m->streams[s] != NULL && cluster_below(c, 2) == 0)
            cluster_append_some(m, s);
    (void)cluster_call(m, cluster_takeover_program, (int)dead->number,
                       "take over");
}

int cluster_allows(const struct cluster *c, enum run_fault kind)
{
    return (c->options->without & (1u << kind)) == 0;
}

struct machine *cluster_another(struct machine *m)
{
    struct cluster *c = m->cluster;
    uint32_t all = c->count + 1;
    uint64_t first = cluster_below(c, all);

    for (uint32_t i = 0; i < all; i++) {
        struct machine *other = &c->machines[(first + i) % all];

        if (other->id != m->id && other->node != NULL && !other->asleep &&
            !other->sick)
            return other;
    }
    return NULL;
}

/* Appends that come while others are on their way. */
void cluster_append_some(struct machine *m, int stream)
{
    struct cluster *c = m->cluster;
    uint64_t n = 1 + cluster_below(c, 5);
    uint64_t gap = cluster_below(c, 4) == 0 ? 2 * MS : 1;

    for (n = gap > 1 ? 4 * n : n; n > 0 && m->streams[stream] != NULL; n--) {
        cluster_start_append(m, stream);
        cluster_pass(c, cluster_below(c, gap));
    }
}

/* The new owner goes on at once, while the former one still owes its part, or
 * is dead. */
static void move(struct machine *m, int stream)
{
    struct cluster *c = m->cluster;
    struct machine *other = cluster_another(m);

    cluster_append_some(m, stream);
    cluster_give_away(m, stream);
    if (cluster_allows(c, FAULT_CRASH) && cluster_below(c, 3) == 0)
        cluster_crash(m);
    if (other == NULL || owner_of(c, stream) != NULL ||
        cluster_call(other, cluster_open_program, stream, "open") != 0 ||
        other->streams[stream] == NULL)
        return;
    cluster_append_some(other, stream);
    if (cluster_below(c, 2) == 0)
        (void)cluster_call(other, cluster_read_program, stream, "read");
    else
        (void)cluster_call(other, cluster_flush_program, stream, "flush");
}

/* A node sleeps with appends on their way, is taken over, and wakes up. */
static void zombie(struct machine *m)
{
    struct cluster *c = m->cluster;
    struct machine *other = cluster_another(m);
    struct machine *third;

    for (int s = 0; s < STREAMS; s++)
        if (m->streams[s] != NULL)
            cluster_append_some(m, s);
    cluster_pass(c, cluster_below(c, 12 * MS));
    if (cluster_below(c, 2) == 0)
        cluster_start_put(m);
    cluster_pass(c, cluster_below(c, 12 * MS));
    cluster_sleep_now(m);
    cluster_pass(c, cluster_below(c, 8) == 0 ? (c->grace + 900) * SECOND
                                             : cluster_below(c, 40 * SECOND));
    cluster_collect(c, NULL);
    if (other != NULL && !other->sick && cluster_below(c, 3) == 0 &&
        (third = cluster_another(other)) != NULL)
        cluster_start_taking(third, m->number);
    if (other != NULL && !other->sick && cluster_below(c, 3) != 0)
        (void)cluster_call(other, cluster_takeover_program, (int)m->number,
                           "take over");
    if (cluster_below(c, 2) == 0)
        cluster_wake(m);
}

static void do_with_stream(struct machine *m, int stream, uint64_t dice)
{
    if (dice < 62) {
        cluster_append_some(m, stream);
    } else if (dice < 70) {
        (void)cluster_call(m, cluster_read_program, stream, "read");
    } else if (dice < 73) {
        (void)cluster_call(m, cluster_trim_program, stream, "trim");
    } else if (dice < 78) {
        (void)cluster_call(m, cluster_flush_program, stream, "flush");
    } else {
        move(m, stream);
    }
}

/* 1 if one of the longer things that happen did. */
static int act_seldom(struct machine *m, int stream)
{
    struct cluster *c = m->cluster;
    int has = m->streams[stream] != NULL;

    if (cluster_below(c, 60) == 0)
        cluster_make_anew(m);
    else if (has && cluster_below(c, 40) == 0)
        cluster_chain(m, stream);
    else if (has && c->wal != NULL && cluster_allows(c, FAULT_CUT) &&
             cluster_below(c, 60) == 0)
        cluster_part(m, stream);
    else if (m->disks[1] != NULL && cluster_below(c, 30) == 0)
        cluster_change_disk(m);
    else if (has && cluster_below(c, 50) == 0)
        cluster_lull(m, stream);
    else
        return 0;
    return 1;
}

static void act_awake(struct machine *m)
{
    struct cluster *c = m->cluster;
    int stream = (int)cluster_below(c, STREAMS);
    uint64_t dice = cluster_below(c, 100);

    if (cluster_below(c, 8) == 0)
        cluster_start_add(m);
    if (act_seldom(m, stream))
        return;
    if (m->streams[stream] != NULL && dice < 84) {
        do_with_stream(m, stream, dice);
    } else if (dice < 70) {
        if (owner_of(c, stream) == NULL)
            (void)cluster_call(m, cluster_open_program, stream, "open");
        else
            (void)cluster_call(m, cluster_read_program, stream, "read");
    } else if (dice < 88) {
        if (cluster_allows(c, FAULT_CRASH) && dice >= 84)
            cluster_crash(m);
    } else if (dice < 89) {
        cluster_stop(m);
    } else if (dice < 94) {
        try_take_over(m);
    } else if (dice < 99) {
        /* A file log fences nobody whose write is under way: its lease does. */
        if (c->wal != NULL && cluster_below(c, 3) == 0)
            cluster_open_elsewhere(m);
        else if (cluster_allows(c, FAULT_SLEEP) && c->wal != NULL)
            zombie(m);
    } else if (cluster_allows(c, FAULT_CUT)) {
        cluster_cut(m);
    }
}

/* The store holds what the manifest names. */
static void check_named(struct cluster *c)
{
    char text[300];

    if (!cluster_broken(c) &&
        named_check(&c->named, c->sim, run_latest_wall(c->machines[0].sim),
                    (int64_t)c->grace * 1000, text, sizeof(text)) != 0)
        cluster_breach(c, "%s", text);
}

/* One thing that happens. */
static void step(struct cluster *c)
{
    int doubled = cluster_double(c)->node != NULL;
    struct machine *m =
        &c->machines[cluster_below(c, c->count + (doubled ? 1 : 0))];
    uint64_t dice = cluster_below(c, 100);
    const char *planted =
        plant_step(c->options->plant, c->result->steps, c->sim, m->sim);

    if (planted != NULL)
        cluster_breach(c, "%s", planted);
    if (m->node == NULL) {
        if (dice < 40) {
            cluster_end_double_of(m);
            cluster_start(m);
        }
    } else if (m->asleep) {
        if (dice < 40)
            cluster_wake(m);
    } else if (m->sick) {
        cluster_crash(m);
    } else {
        act_awake(m);
    }
    if (weir_sim_bytes(m->sim) > MEMORY_MAX)
        cluster_breach(c, "node %u uses %zu bytes", (unsigned)m->number,
                       weir_sim_bytes(m->sim));
    cluster_pass(c, cluster_below(c, 3) == 0 ? cluster_below(c, 10 * SECOND)
                                             : cluster_below(c, 20 * MS));
    cluster_collect(c, NULL);
    if (c->result->steps % NAMED_EVERY == 0)
        check_named(c);
}

/* ---- The end: faults stop, and everything is read -------------------------
 */

static void check_program(void *ctx)
{
    struct machine *m = ctx;
    struct cluster *c = m->cluster;
    const struct track *t = &c->tracks[m->arg];
    struct weir_stream_stat stat = {0};
    uint64_t at;

    c->reader = m;
    m->status = weir_stream_stat(m->streams[m->arg], &stat);
    if (m->status == 0 && (stat.start < t->start || stat.start > t->start_max))
        cluster_breach(c, "stream %d: starts at %" PRIu64, m->arg, stat.start);
    for (at = stat.start; m->status == 0 && !cluster_broken(c);) {
        struct weir_fetch fetch = {.offset = at, .max_bytes = 1 << 20};

        m->status = weir_fetch_sync(m->streams[m->arg], &fetch);
        /* What a log in memory owed is told as damage. */
        if (m->status == WEIR_ECORRUPT &&
            cluster_is_gap(c, m->arg, at, at + 1)) {
            m->status = 0;
            at++;
            continue;
        }
        if (m->status != 0 || fetch.count == 0)
            break;
        cluster_check_batches(c, m->arg, at, &fetch);
        at = cluster_behind(&fetch, at);
        weir_fetch_release(&fetch);
    }
    if (m->status == 0 && at < MOST && t->shown[at] != 0)
        cluster_breach(c, "stream %d, offset %" PRIu64 ": shown, and not there",
                       m->arg, at);
    if (m->status == 0 && at < t->end)
        cluster_breach(c,
                       "stream %d: acknowledged up to %" PRIu64
                       ", and it ends at %" PRIu64,
                       m->arg, t->end, at);
}

/* Objects in the store are those of the manifest. */
static void orphans_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_node_stat stat = {0};
    struct weir_sim_object *const *objects;
    uint64_t found = 0;
    size_t count;

    m->status = weir_node_stat_sync(m->node, &stat);
    objects = weir_sim_objects(m->cluster->sim, &count);
    for (size_t i = 0; i < count; i++)
        found += strncmp(objects[i]->key, "data/", 5) == 0;
    if (m->status == 0 && found != stat.objects)
        cluster_breach(m->cluster,
                       "the store has %" PRIu64
                       " objects, the manifest %" PRIu64,
                       found, stat.objects);
}

/* Nothing was written to the log that the last node has begun. */
static void check_slots(struct cluster *c)
{
    char text[300];

    if (named_slots(c->sim, text, sizeof(text)) != 0)
        cluster_breach(c, "%s", text);
}

/* Do it until it goes well: faults have stopped. */
static void insist(struct machine *m, void (*program)(void *ctx), int arg,
                   const char *what)
{
    struct cluster *c = m->cluster;

    for (int i = 0; i < TRIES && !cluster_broken(c); i++) {
        if (m->node == NULL && program != cluster_start_program)
            insist(m, cluster_start_program, 0, "start");
        if (m->node == NULL)
            weir_sim_start(m->sim);
        if (cluster_call(m, program, arg, what) == 0 && m->status == 0)
            return;
        if (m->node == NULL || m->status == WEIR_EFENCED ||
            m->status == WEIR_EPOISONED)
            cluster_crash(m);
        cluster_pass(c, 20 * SECOND);
        cluster_collect(c, NULL);
    }
    cluster_breach(c, "%s of node %u does not go well without faults: %s", what,
                   (unsigned)m->number, weir_error_name(m->status));
}

/* All end in order, and what they owed is taken over by the first. */
static void finish(struct cluster *c)
{
    struct machine *last = &c->machines[0];

    *weir_sim_faults(c->sim) = (struct weir_sim_faults){0};
    c->calm = 1;
    for (uint32_t i = 0; i <= c->count; i++)
        if (c->machines[i].asleep)
            cluster_wake(&c->machines[i]);
    cluster_pass(c, 120 * SECOND);
    cluster_collect(c, NULL);
    for (uint32_t i = 0; i <= c->count; i++)
        if (c->machines[i].node != NULL)
            cluster_crash(&c->machines[i]);
    for (uint32_t i = 0; i < c->count; i++)
        insist(&c->machines[i], cluster_start_program, 0, "start");
    cluster_pass(c, 120 * SECOND);
    for (uint32_t i = 1; i < c->count && !cluster_broken(c); i++) {
        cluster_stop(&c->machines[i]);
        cluster_pass(c, 60 * SECOND);
        insist(last, cluster_takeover_program, (int)i, "take over");
    }
    cluster_pass(c, (c->grace + 300) * SECOND);
    for (int s = 0; s < STREAMS && !cluster_broken(c); s++) {
        insist(last, cluster_open_program, s, "open");
        if (!cluster_broken(c))
            insist(last, check_program, s, "check");
    }
    insist(last, cluster_flush_program, 0, "flush");
    insist(last, cluster_sum_program, 0, "sum");
    insist(last, cluster_brief_program, 0, "brief");
    cluster_pass(c, (c->grace + 300) * SECOND);
    if (!cluster_broken(c))
        insist(last, orphans_program, 0, "objects");
    if (cluster_broken(c))
        return;
    cluster_stop(last);
    insist(last, cluster_start_program, 0, "start");
    cluster_pass(c, 60 * SECOND);
    if (!cluster_broken(c))
        check_slots(c);
}

/* ---- A run --------------------------------------------------------------- */

/* A disk is asked for little beside the store: half of the runs have disks
 * that fail often.  One that hangs is silent for ten minutes, in which its
 * node is a dead one to the others. */
static void choose_disk_faults(struct cluster *c,
                               struct weir_sim_faults *faults)
{
    uint32_t often = cluster_below(c, 2) == 0 ? 10 : 1;

    if (cluster_below(c, 4) == 0)
        faults->disk_read = often * (uint32_t)cluster_below(c, 20000);
    if (cluster_below(c, 4) == 0)
        faults->disk_write = often * (uint32_t)cluster_below(c, 10000);
    if (cluster_below(c, 4) == 0)
        faults->disk_sync = often * (uint32_t)cluster_below(c, 10000);
    if (cluster_below(c, 3) == 0)
        faults->disk_slow = often * (uint32_t)cluster_below(c, 20000);
    if (cluster_below(c, 4) == 0)
        faults->disk_hang = often * (uint32_t)cluster_below(c, 5000);
    faults->disk_garble = (uint32_t)cluster_below(c, 50000);
}

/* Not every fault in every run: some show only where others are absent. */
static void choose_faults(struct cluster *c)
{
    struct weir_sim_faults *faults = weir_sim_faults(c->sim);
    uint32_t *const store[] = {
        &faults->store_down,    &faults->store_throttle,
        &faults->store_lost,    &faults->store_unheard,
        &faults->store_late,    &faults->store_repeat,
        &faults->store_slow,    &faults->store_stale,
        &faults->store_refused, &faults->store_lost_race,
    };

    for (size_t i = 0; i < sizeof(store) / sizeof(store[0]); i++)
        if (cluster_below(c, 3) == 0)
            *store[i] = (uint32_t)cluster_below(c, 60000);
    if (cluster_below(c, 5) == 0)
        faults->store_corrupt = (uint32_t)cluster_below(c, 50000);
    if (cluster_below(c, 5) == 0)
        faults->store_cut = (uint32_t)cluster_below(c, 50000);
    if (cluster_below(c, 6) == 0)
        faults->store_hot = (uint32_t)cluster_below(c, 5000);
    choose_disk_faults(c, faults);
    faults->store_tells = run_tells(c->options->seed);
    run_without(faults, c->options->without);
}

/* Longer than the clocks of two nodes differ, and over twice what a request
 * takes: a late one comes after ten minutes. */
static void choose_grace(struct cluster *c)
{
    const struct weir_sim_faults *faults = weir_sim_faults(c->sim);

    c->grace = faults->store_late + faults->store_slow > 0 ? 1500 : 240;
    snprintf(c->delete_grace, sizeof(c->delete_grace), "%us",
             (unsigned)c->grace);
}

static void choose_sizes(struct cluster *c)
{
    c->wal = cluster_below(c, 2) == 0 ? "object:" : NULL;
    snprintf(c->upload_bytes, sizeof(c->upload_bytes), "%uKiB",
             8u << cluster_below(c, 8));
    /* Up to 25.6 s; or only what must be is brought into objects. */
    snprintf(c->interval, sizeof(c->interval), "%ums",
             cluster_below(c, 4) == 0 ? 3600000u : 100u << cluster_below(c, 9));
    snprintf(c->snapshot, sizeof(c->snapshot), "%u",
             3u + (unsigned)cluster_below(c, 60));
    snprintf(c->block, sizeof(c->block), "%uKiB", 4u << cluster_below(c, 5));
}

/* The same for all, or each its own. */
static void choose_leases(struct cluster *c)
{
    unsigned seconds = cluster_below(c, 3) == 0   ? 0
                       : cluster_below(c, 2) == 0 ? 10
                                                  : 3;

    for (uint32_t i = 0; i < c->count; i++)
        cluster_choose_lease(&c->machines[i], seconds);
}

/* A node that knows of nothing but objects when it is opened again. */
static void choose_soft(struct cluster *c)
{
    c->softness = c->wal != NULL && cluster_below(c, 3) == 0;
    for (uint32_t i = 0; i < c->count; i++)
        c->machines[i].soft = c->softness && cluster_below(c, 2) == 0;
}

/* Spare disks are none of the nodes': their ids are free. */
static void choose_disks(struct cluster *c)
{
    int spare = c->wal == NULL && cluster_below(c, 2) == 0;

    for (uint32_t i = 0; i < c->count; i++) {
        struct machine *m = &c->machines[i];
        uint32_t id = SPARE + m->id;

        m->disks[0] = m->sim;
        snprintf(m->spare_uri, sizeof(m->spare_uri), "sim:%u", (unsigned)id);
        if (spare && weir_sim_node_new(&m->disks[1], c->sim, id, DISK) != 0)
            abort();
    }
}

static void hash_line(void *ctx, const char *line)
{
    struct cluster *c = ctx;

    c->result->trace_hash = run_hash_line(c->result->trace_hash, line);
    if (c->options->trace != NULL)
        c->options->trace(c->options->ctx, line);
}

static void log_line(void *ctx, enum weir_log_level level, const char *text)
{
    struct cluster *c = ctx;

    weir_sim_trace(c->sim, "log %d: %s", (int)level, text);
}

static void make_nodes(struct cluster *c)
{
    c->count = 3 + (uint32_t)cluster_below(c, NODES_MAX - 2);
    c->result->nodes = c->count;
    for (uint32_t i = 0; i <= c->count; i++) {
        c->machines[i].cluster = c;
        c->machines[i].number = i;
        c->machines[i].id = i + 1;
        if (weir_sim_node_new(&c->machines[i].sim, c->sim, i + 1, DISK) != 0)
            abort();
    }
}

/* Most runs are short, so that there are many; none asks for too little. */
static int is_long_enough(const struct cluster *c, unsigned steps)
{
    unsigned made = c->result->steps;

    if (c->options->steps > 0 && made >= c->options->steps)
        return 1;
    return made >= STEPS ||
           (made >= steps && c->result->operations >= OPERATIONS_MIN);
}

int cluster_run(const struct run_options *options, struct run_result *result)
{
    struct cluster *c = calloc(1, sizeof(*c));
    unsigned steps;
    struct weir_sim_options world = {
        .size = sizeof(world),
        .seed = options->seed,
        .limit = 48 * 3600 * SECOND,
        .busy_limit = RUN_BUSY_LIMIT,
        .step_limit = RUN_STEP_LIMIT,
        .store_time = run_store_time(options->seed),
        .disk_time = run_disk_time(options->seed),
        .trace = options->unhashed ? NULL : hash_line,
        .trace_ctx = c};

    if (c == NULL)
        abort();
    *result = (struct run_result){.trace_hash = RUN_HASH_OF_NOTHING};
    c->options = options;
    c->result = result;
    c->log = (struct weir_log){sizeof(struct weir_log), log_line, c};
    if (weir_sim_new(&c->sim, &world) != 0)
        abort();
    make_nodes(c);
    steps = cluster_below(c, 4) == 0 ? STEPS : STEPS / 2;
    choose_sizes(c);
    choose_leases(c);
    choose_soft(c);
    choose_disks(c);
    choose_faults(c);
    choose_grace(c);
    for (; !is_long_enough(c, steps) && !cluster_broken(c); result->steps++)
        step(c);
    if (!cluster_broken(c))
        finish(c);
    result->seconds = weir_sim_now(c->sim) / SECOND;
    run_count_faults(c->sim, result);
    for (uint32_t i = 0; i <= c->count; i++) {
        cluster_collect(c, &c->machines[i]);
        cluster_forget_requests(&c->machines[i]);
    }
    weir_sim_free(c->sim);
    free(c);
    return result->failure[0] != '\0';
}
