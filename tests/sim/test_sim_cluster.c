/* SPDX-License-Identifier: Apache-2.0 */
/* Several nodes on one store in the simulated world: leases, hand-overs,
 * takeovers, and what becomes of the streams. */
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { DISK = 5 << 20, NODES = 3, STREAMS = 3, MOST = 600, POOL = 8000 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

static struct weir_sim *sim;
static uint64_t seed;

/** A node and what its program holds. */
static struct machine {
    struct weir_sim_node *sim;
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *streams[STREAMS];
    int status; /* Of the program that ran last. */
    uint64_t epoch;
    int sick;   /* Its log was taken over, or failed: it must be restarted. */
    int asleep; /* Paused: a zombie when it wakes up. */
} machines[NODES];

/** An append under way, in the test's memory. */
struct appended {
    struct weir_append req;
    int over;
    int status;
    unsigned char data[8];
};

/* One for each append of a life; none is used twice. */
static struct appended pool[POOL];
static size_t pool_used;

static void open_world(uint64_t number)
{
    struct weir_sim_options options = {
        .size = sizeof(options), .seed = number, .limit = 36000 * SECOND};

    seed = number;
    memset(machines, 0, sizeof(machines));
    pool_used = 0;
    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    for (uint32_t i = 0; i < NODES; i++)
        ck_assert_int_eq(weir_sim_node_new(&machines[i].sim, sim, i + 1, DISK),
                         0);
}

static void run(uint64_t ns)
{
    ck_assert_int_eq(weir_sim_run(sim, ns), 0);
}

/* ---- Programs of a node -------------------------------------------------- */

static const char *lease = "10s";
static const char *wal; /* NULL: the node's disk. */

static void start_program(void *ctx)
{
    struct machine *m = ctx;

    m->status = weir_sim_config(&m->config, m->sim);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "lease", lease, NULL);
    if (m->status == 0 && wal != NULL)
        m->status = weir_config_set(m->config, "wal", wal, NULL);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "log_cache", "4MiB", NULL);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "segment", "64KiB", NULL);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "max_batch", "64KiB", NULL);
    if (m->status == 0)
        m->status = weir_open(&m->node, m->config, NULL);
    if (m->status == 0) {
        struct weir_node_stat stat;

        weir_node_stat_sync(m->node, &stat);
        m->epoch = stat.epoch;
    }
}

/* 0, or why the program did not run to its end. */
static int call(struct machine *m, void (*program)(void *ctx))
{
    return weir_sim_call(m->sim, program, m);
}

static int start(struct machine *m)
{
    struct weir_sim_node *node = m->sim;

    memset(m, 0, sizeof(*m));
    m->sim = node;
    weir_sim_start(node);
    ck_assert_int_eq(call(m, start_program), 0);
    return m->status;
}

static void crash(struct machine *m)
{
    weir_sim_crash(m->sim);
    m->node = NULL;
    m->sick = 0;
    m->asleep = 0;
    memset(m->streams, 0, sizeof(m->streams));
}

static void stop_program(void *ctx)
{
    struct machine *m = ctx;

    weir_free(m->node);
    weir_config_free(m->config);
    m->node = NULL;
    memset(m->streams, 0, sizeof(m->streams));
}

static int arg; /* Of the next program: a stream, a node. */

static void name_of(int stream, char name[16])
{
    snprintf(name, 16, "stream-%d", stream);
}

static void open_program(void *ctx)
{
    struct machine *m = ctx;
    char name[16];
    struct weir_stream_open open = {.name = name, .flags = WEIR_STREAM_CREATE};

    name_of(arg, name);
    m->status = weir_stream_open_sync(m->node, &open);
    m->streams[arg] = m->status == 0 ? open.stream : NULL;
}

static int open_stream(struct machine *m, int stream)
{
    arg = stream;
    ck_assert_int_eq(call(m, open_program), 0);
    return m->status;
}

static struct weir_takeover took;

static void takeover_program(void *ctx)
{
    struct machine *m = ctx;

    took = (struct weir_takeover){.node_id = (uint32_t)arg + 1};
    m->status = weir_takeover_sync(m->node, &took);
}

static int take_over(struct machine *m, int node)
{
    arg = node;
    ck_assert_int_eq(call(m, takeover_program), 0);
    return m->status;
}

static void handover_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_handover req = {.streams = &m->streams[arg], .count = 1};

    m->status = weir_handover_sync(m->node, &req);
}

static int hand_over(struct machine *m, int stream)
{
    arg = stream;
    ck_assert_int_eq(call(m, handover_program), 0);
    return m->status;
}

static int life;
static uint64_t epoch_seen;

static void life_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_member rows[NODES] = {{0}};
    struct weir_node_list list = {.out = rows, .limit = NODES};

    m->status = weir_node_list_sync(m->node, &list);
    life = -1;
    for (size_t i = 0; i < list.count; i++)
        if (rows[i].node_id == (uint32_t)arg + 1) {
            life = rows[i].life;
            epoch_seen = rows[i].epoch;
        }
}

static int life_of(struct machine *m, int node)
{
    arg = node;
    ck_assert_int_eq(call(m, life_program), 0);
    ck_assert_int_eq(m->status, 0);
    return life;
}

/* ---- Appends that are awaited or not ------------------------------------- */

static void append_done(struct weir_req *req, int status)
{
    struct appended *a = req->ctx;

    a->over = 1;
    a->status = status;
}

static struct appended *append(struct machine *m, int stream, uint64_t number)
{
    struct appended *a = &pool[pool_used++];

    ck_assert_uint_le(pool_used, POOL);
    memset(a, 0, sizeof(*a));
    memcpy(a->data, &number, 8);
    a->req = (struct weir_append){.req = {.done = append_done, .ctx = a},
                                  .data = a->data,
                                  .len = 8,
                                  .count = 1,
                                  .max_timestamp = WEIR_NO_TIMESTAMP};
    ck_assert_int_eq(weir_append(m->streams[stream], &a->req), 0);
    return a;
}

/* ---- Leases -------------------------------------------------------------- */

static char told[256];

static int changed(struct weir_kv_watch *watch, const struct weir_kv_pair *pair)
{
    size_t n = strlen(told);

    (void)watch;
    snprintf(told + n, sizeof(told) - n, "%c%s ",
             pair->value != NULL ? '+' : '-', pair->key);
    return 0;
}

static int watch_status;

static void watched(struct weir_req *req, int status)
{
    (void)req;
    watch_status = status;
}

static void put_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_kv_put put = {.key = "broker/1",
                              .value = "here",
                              .len = 4,
                              .expected = WEIR_KV_ANY,
                              .flags = WEIR_KV_NODE_LIFE};

    m->status = weir_kv_put_sync(m->node, &put);
}

START_TEST(a_lease_that_runs_out_is_seen_by_the_others)
{
    struct weir_kv_watch watch = {
        .req.done = watched, .prefix = "broker/", .changed = changed};

    open_world(test_seed());
    ck_assert_int_eq(start(&machines[0]), 0);
    ck_assert_int_eq(start(&machines[1]), 0);
    told[0] = '\0';
    ck_assert_int_eq(weir_kv_watch(machines[1].node, &watch), 0);
    ck_assert_int_eq(call(&machines[0], put_program), 0);
    ck_assert_int_eq(open_stream(&machines[0], 0), 0);
    run(120 * SECOND);
    ck_assert_int_eq(life_of(&machines[1], 0), WEIR_NODE_LIVE);
    ck_assert_int_eq(take_over(&machines[1], 0), WEIR_EBUSY);
    crash(&machines[0]);
    run(5 * SECOND);
    ck_assert_int_eq(life_of(&machines[1], 0), WEIR_NODE_LIVE);
    run(15 * SECOND);
    ck_assert_int_eq(life_of(&machines[1], 0), WEIR_NODE_LAPSED);
    ck_assert_str_eq(told, "+broker/1 ");
    ck_assert_int_eq(take_over(&machines[1], 0), 0);
    ck_assert_uint_eq(took.streams, 1);
    ck_assert_str_eq(told, "+broker/1 -broker/1 ");
    run(60 * SECOND);
    ck_assert_int_eq(life_of(&machines[1], 0), WEIR_NODE_CLOSED);
    ck_assert_int_eq(call(&machines[1], stop_program), 0);
    ck_assert_int_eq(watch_status, WEIR_ECLOSED);
    weir_sim_free(sim);
}
END_TEST

/* Its log would take the write, but it may be another node's by now. */
START_TEST(who_cannot_renew_its_lease_acknowledges_nothing)
{
    struct appended *a, *b;

    open_world(test_seed());
    ck_assert_int_eq(start(&machines[0]), 0);
    ck_assert_int_eq(open_stream(&machines[0], 0), 0);
    a = append(&machines[0], 0, 1);
    run(SECOND);
    ck_assert(a->over && a->status == 0);
    weir_sim_cut(machines[0].sim, WEIR_SIM_CUT_HANGS);
    run(30 * SECOND);
    b = append(&machines[0], 0, 2);
    run(60 * SECOND);
    ck_assert_int_eq(b->over, 0);
    weir_sim_heal(machines[0].sim);
    run(120 * SECOND);
    ck_assert(b->over && b->status == 0);
    ck_assert_uint_eq(b->req.base_offset, 1);
    weir_sim_free(sim);
}
END_TEST

START_TEST(a_node_that_closes_without_its_store_ends_all_the_same)
{
    struct appended *a;

    open_world(test_seed());
    ck_assert_int_eq(start(&machines[0]), 0);
    ck_assert_int_eq(open_stream(&machines[0], 0), 0);
    weir_sim_cut(machines[0].sim, WEIR_SIM_CUT_HANGS);
    run(30 * SECOND);
    a = append(&machines[0], 0, 1);
    run(SECOND);
    ck_assert_int_eq(call(&machines[0], stop_program), 0);
    ck_assert_int_eq(a->over, 1);
    ck_assert_int_eq(a->status, WEIR_EUNKNOWN);
    weir_sim_free(sim);
}
END_TEST

/* Its write leaves after the takeover.  The log itself tells it so, whatever it
 * thinks of its lease. */
START_TEST(a_zombie_acknowledges_nothing_on_the_object_log)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct appended *late, *good;

        open_world(test_seed() + i);
        wal = "object:";
        ck_assert_int_eq(start(&machines[0]), 0);
        ck_assert_int_eq(start(&machines[1]), 0);
        ck_assert_int_eq(open_stream(&machines[0], 0), 0);
        good = append(&machines[0], 0, 1);
        run(SECOND);
        ck_assert(good->over && good->status == 0);
        late = append(&machines[0], 0, 2);
        weir_sim_pause(machines[0].sim);
        run(30 * SECOND);
        ck_assert_int_eq(take_over(&machines[1], 0), 0);
        ck_assert_int_eq(open_stream(&machines[1], 0), 0);
        good = append(&machines[1], 0, 3);
        run(SECOND);
        ck_assert(good->over && good->status == 0);
        ck_assert_uint_eq(good->req.base_offset, 1);
        weir_sim_resume(machines[0].sim);
        run(30 * SECOND);
        ck_assert_int_eq(late->over, 1);
        ck_assert_int_ne(late->status, 0);
        weir_sim_free(sim);
    }
    wal = NULL;
}
END_TEST

/* ---- Streams that move at random ----------------------------------------- */

/** What a stream must hold: numbers of appends in their order. */
static struct track {
    uint64_t acked[MOST]; /* By offset; 0: not known. */
    uint64_t end;         /* Behind the last that was acknowledged. */
} tracks[STREAMS];

static uint64_t numbers; /* Given to appends. */

/* What all runs together came to. */
static struct {
    unsigned acked;
    unsigned failed;
    unsigned crashes;
    unsigned given;
    unsigned taken;
    unsigned tail; /* Batches that takeovers found in logs. */
    unsigned naps;
} sum;

static struct pending {
    struct appended *append;
    uint64_t number;
    int stream;
    int machine;
} pending[MOST * STREAMS];
static size_t pending_count;

static void breach(const char *what, int stream, uint64_t offset)
{
    ck_abort_msg("seed %" PRIu64 ": stream %d, offset %" PRIu64 ": %s", seed,
                 stream, offset, what);
}

/* Take over what has ended. */
static void collect(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < pending_count; i++) {
        struct pending *p = &pending[i];
        struct track *t = &tracks[p->stream];
        uint64_t base = p->append->req.base_offset;

        if (!p->append->over) {
            pending[kept++] = *p;
            continue;
        }
        if (p->append->status == 0) {
            ck_assert_uint_lt(base, MOST);
            if (t->acked[base % MOST] != 0)
                breach("acknowledged twice", p->stream, base);
            t->acked[base % MOST] = p->number;
            if (t->end <= base)
                t->end = base + 1;
            sum.acked++;
        } else {
            sum.failed++;
            machines[p->machine].sick = 1;
        }
    }
    pending_count = kept;
}

/* What was under way on a node that crashed never ends. */
static void forget(int machine)
{
    size_t kept = 0;

    collect();
    for (size_t i = 0; i < pending_count; i++) {
        if (pending[i].machine != machine)
            pending[kept++] = pending[i];
    }
    pending_count = kept;
}

static int owner_of(int stream)
{
    for (int i = 0; i < NODES; i++)
        if (machines[i].streams[stream] != NULL)
            return i;
    return -1;
}

static void some_appends(int machine, int stream)
{
    uint64_t n = 1 + weir_sim_below(sim, 5);

    for (; n > 0 && tracks[stream].end + 50 < MOST; n--) {
        numbers++;
        pending[pending_count++] =
            (struct pending){append(&machines[machine], stream, numbers),
                             numbers, stream, machine};
    }
}

static void give_away(int machine, int stream)
{
    struct machine *m = &machines[machine];
    int rc = hand_over(m, stream);

    if (rc == WEIR_EFENCED || rc == WEIR_EPOISONED)
        m->sick = 1;

    sum.given += rc == 0;
    if (rc == 0 || rc == WEIR_EFENCED)
        m->streams[stream] = NULL;
}

static void try_open(int machine, int stream)
{
    if (owner_of(stream) < 0)
        open_stream(&machines[machine], stream);
}

/* A dead one; with the object log also one that sleeps or lives, which is
 * refused unless its lease has run out. */
static void try_take_over(int by)
{
    int dead = (int)weir_sim_below(sim, NODES);

    if (dead == by || (machines[dead].node != NULL && wal == NULL))
        return;
    if (take_over(&machines[by], dead) != 0)
        return;
    sum.taken++;
    sum.tail += (unsigned)took.batches;
}

static void wake(struct machine *m)
{
    weir_sim_resume(m->sim);
    m->asleep = 0;
}

/* One thing that happens. */
static void act(void)
{
    int n = (int)weir_sim_below(sim, NODES);
    int stream = (int)weir_sim_below(sim, STREAMS);
    struct machine *m = &machines[n];
    uint64_t dice = weir_sim_below(sim, 100);

    if (m->node == NULL) {
        if (dice < 30)
            start(m);
        return;
    }
    if (m->asleep) {
        if (dice < 40)
            wake(m);
        return;
    }
    if (m->sick) {
        crash(m);
        forget(n);
        return;
    }
    if (m->streams[stream] != NULL && dice < 85) {
        some_appends(n, stream);
    } else if (m->streams[stream] != NULL && dice < 89) {
        give_away(n, stream);
    } else if (dice < 85) {
        try_open(n, stream);
    } else if (dice < 92) {
        sum.crashes++;
        crash(m);
        forget(n);
    } else if (dice < 93) {
        call(m, stop_program);
    } else if (dice < 97) {
        try_take_over(n);
    } else if (wal != NULL) {
        weir_sim_pause(m->sim);
        m->asleep = 1;
        sum.naps++;
    }
}

static int checked; /* Stream of the check. */

static void check_program(void *ctx)
{
    struct machine *m = ctx;
    struct track *t = &tracks[checked];
    uint64_t at = 0;

    m->status = 0;
    while (m->status == 0) {
        struct weir_fetch fetch = {.offset = at, .max_bytes = 1 << 20};

        m->status = weir_fetch_sync(m->streams[checked], &fetch);
        if (m->status != 0 || fetch.count == 0)
            break;
        for (size_t i = 0; i < fetch.count; i++, at++) {
            uint64_t number;

            if (fetch.batches[i].base_offset != at || fetch.batches[i].len != 8)
                breach("not the next batch", checked, at);
            memcpy(&number, fetch.batches[i].data, 8);
            if (at < MOST && t->acked[at] != 0 && t->acked[at] != number)
                breach("another batch than was acknowledged", checked, at);
        }
        weir_fetch_release(&fetch);
    }
    if (m->status == 0 && at < t->end)
        breach("acknowledged, and not there", checked, at);
}

/* Was it taken over while it slept?  Its epoch is not the present one. */
static int is_fenced(int machine)
{
    struct machine *other = &machines[(machine + 1) % NODES];

    return machines[machine].sick || other->node == NULL ||
           life_of(&machines[machine], machine) != WEIR_NODE_LIVE ||
           epoch_seen != machines[machine].epoch;
}

/* All come back and end what they owe; then everything is read. */
static void check_all(void)
{
    struct machine *last = &machines[0];

    for (int i = 0; i < NODES; i++)
        if (machines[i].asleep)
            wake(&machines[i]);
    run(120 * SECOND);
    collect();
    for (int i = 0; i < NODES; i++) {
        if (machines[i].node != NULL && is_fenced(i)) {
            crash(&machines[i]);
            forget(i);
        }
        if (machines[i].node == NULL)
            ck_assert_int_eq(start(&machines[i]), 0);
    }
    run(120 * SECOND);
    collect();
    for (int s = 0; s < STREAMS; s++) {
        int owner = owner_of(s);

        if (owner > 0)
            give_away(owner, s);
    }
    for (int i = 1; i < NODES; i++) {
        ck_assert_int_eq(call(&machines[i], stop_program), 0);
        collect();
        ck_assert_int_eq(take_over(last, i), 0);
        run(120 * SECOND);
    }
    for (checked = 0; checked < STREAMS; checked++) {
        if (last->streams[checked] == NULL)
            ck_assert_int_eq(open_stream(last, checked), 0);
        ck_assert_int_eq(call(last, check_program), 0);
        ck_assert_msg(last->status == 0, "seed %" PRIu64 ": %s", seed,
                      weir_error_name(last->status));
    }
}

static void some_life(uint64_t number)
{
    open_world(number);
    memset(tracks, 0, sizeof(tracks));
    pending_count = 0;
    lease = weir_sim_below(sim, 2) == 0 ? "10s" : "3s";
    wal = weir_sim_below(sim, 2) == 0 ? "object:" : NULL;
    for (int i = 0; i < NODES; i++)
        ck_assert_int_eq(start(&machines[i]), 0);
    for (int step = 0; step < 300; step++) {
        act();
        run(weir_sim_below(sim, 3) == 0 ? weir_sim_below(sim, 10 * SECOND)
                                        : weir_sim_below(sim, 20 * MS));
        collect();
    }
    check_all();
    for (int i = 0; i < NODES; i++)
        forget(i);
    weir_sim_free(sim);
    lease = "10s";
    wal = NULL;
}

START_TEST(streams_that_move_at_random_lose_nothing)
{
    const char *count = getenv("WEIR_SEEDS");
    uint64_t first = test_seed();
    uint64_t n = count != NULL ? strtoull(count, NULL, 10) : 40;

    for (uint64_t i = 0; i < n; i++)
        some_life(first + i);
    printf("%u acknowledged, %u failed, %u crashes, %u handed over, %u taken "
           "over with %u batches, %u naps\n",
           sum.acked, sum.failed, sum.crashes, sum.given, sum.taken, sum.tail,
           sum.naps);
    fflush(stdout);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim cluster");

    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, a_lease_that_runs_out_is_seen_by_the_others);
    tcase_add_test(tc, who_cannot_renew_its_lease_acknowledges_nothing);
    tcase_add_test(tc, a_node_that_closes_without_its_store_ends_all_the_same);
    tcase_add_test(tc, a_zombie_acknowledges_nothing_on_the_object_log);
    tcase_add_test(tc, streams_that_move_at_random_lose_nothing);
    return test_run();
}
