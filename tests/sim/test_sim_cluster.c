/* SPDX-License-Identifier: Apache-2.0 */
/* Several nodes on one store in the simulated world: leases, hand-overs,
 * takeovers, and what becomes of the streams. */
#include "sim/machines.h"
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { MOST = 600 };

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

    world_open(test_seed());
    ck_assert_int_eq(machine_start(&world.machines[0]), 0);
    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    told[0] = '\0';
    ck_assert_int_eq(weir_kv_watch(world.machines[1].node, &watch), 0);
    ck_assert_int_eq(machine_call(&world.machines[0], put_program), 0);
    ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
    world_run(120 * SECOND);
    ck_assert_int_eq(machine_life_of(&world.machines[1], 0), WEIR_NODE_LIVE);
    ck_assert_int_eq(machine_take_over(&world.machines[1], 0), WEIR_EBUSY);
    machine_crash(&world.machines[0]);
    world_run(5 * SECOND);
    ck_assert_int_eq(machine_life_of(&world.machines[1], 0), WEIR_NODE_LIVE);
    world_run(15 * SECOND);
    ck_assert_int_eq(machine_life_of(&world.machines[1], 0), WEIR_NODE_LAPSED);
    ck_assert_str_eq(told, "+broker/1 ");
    ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
    ck_assert_uint_eq(world.took.streams, 1);
    ck_assert_str_eq(told, "+broker/1 -broker/1 ");
    world_run(60 * SECOND);
    ck_assert_int_eq(machine_life_of(&world.machines[1], 0), WEIR_NODE_CLOSED);
    ck_assert_int_eq(machine_call(&world.machines[1], machine_stop), 0);
    ck_assert_int_eq(watch_status, WEIR_ECLOSED);
    weir_sim_free(world.sim);
}
END_TEST

/* Its log would take the write, but it may be another node's by now. */
START_TEST(who_cannot_renew_its_lease_acknowledges_nothing)
{
    struct appended *a, *b;

    world_open(test_seed());
    ck_assert_int_eq(machine_start(&world.machines[0]), 0);
    ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
    a = machine_append(&world.machines[0], 0, 1);
    world_run(SECOND);
    ck_assert(a->over && a->status == 0);
    weir_sim_cut(world.machines[0].sim, WEIR_SIM_CUT_HANGS);
    world_run(30 * SECOND);
    b = machine_append(&world.machines[0], 0, 2);
    world_run(60 * SECOND);
    ck_assert_int_eq(b->over, 0);
    weir_sim_heal(world.machines[0].sim);
    world_run(120 * SECOND);
    ck_assert(b->over && b->status == 0);
    ck_assert_uint_eq(b->req.base_offset, 1);
    weir_sim_free(world.sim);
}
END_TEST

START_TEST(a_node_that_closes_without_its_store_ends_all_the_same)
{
    struct appended *a;

    world_open(test_seed());
    ck_assert_int_eq(machine_start(&world.machines[0]), 0);
    ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
    weir_sim_cut(world.machines[0].sim, WEIR_SIM_CUT_HANGS);
    world_run(30 * SECOND);
    a = machine_append(&world.machines[0], 0, 1);
    world_run(SECOND);
    ck_assert_int_eq(machine_call(&world.machines[0], machine_stop), 0);
    ck_assert_int_eq(a->over, 1);
    ck_assert_int_eq(a->status, WEIR_EUNKNOWN);
    weir_sim_free(world.sim);
}
END_TEST

/* Its write leaves after the takeover.  The log itself tells it so, whatever it
 * thinks of its lease. */
START_TEST(a_zombie_acknowledges_nothing_on_the_object_log)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct appended *late, *good;

        world_open(test_seed() + i);
        world.wal = "object:";
        ck_assert_int_eq(machine_start(&world.machines[0]), 0);
        ck_assert_int_eq(machine_start(&world.machines[1]), 0);
        ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
        good = machine_append(&world.machines[0], 0, 1);
        world_run(SECOND);
        ck_assert(good->over && good->status == 0);
        late = machine_append(&world.machines[0], 0, 2);
        weir_sim_pause(world.machines[0].sim);
        world_run(30 * SECOND);
        ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
        ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
        good = machine_append(&world.machines[1], 0, 3);
        world_run(SECOND);
        ck_assert(good->over && good->status == 0);
        ck_assert_uint_eq(good->req.base_offset, 1);
        weir_sim_resume(world.machines[0].sim);
        world_run(30 * SECOND);
        ck_assert_int_eq(late->over, 1);
        ck_assert_int_ne(late->status, 0);
        weir_sim_free(world.sim);
    }
    world.wal = NULL;
}
END_TEST

/* ---- What it may cost ---------------------------------------------------- */

/* 360 an hour: one each ten seconds, and what was saved in a minute at once. */
START_TEST(no_more_puts_are_made_than_may_be_paid_for)
{
    struct weir_stats counters;
    struct appended *all[120];
    uint64_t began;

    world_open(test_seed());
    world.wal = "object:?puts=360";
    ck_assert_int_eq(machine_start(&world.machines[0]), 0);
    ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
    began = weir_sim_now(world.sim);
    for (int i = 0; i < 120; i++) {
        all[i] = machine_append(&world.machines[0], 0, (uint64_t)i);
        world_run(SECOND);
    }
    ck_assert_int_eq(all[0]->over, 1);
    counters = machine_stats(&world.machines[0]);
    ck_assert_uint_ge(counters.wal_writes, 12);
    ck_assert_uint_le(counters.wal_writes,
                      7 + (weir_sim_now(world.sim) - began) / (10 * SECOND));
    world_run(20 * SECOND);
    for (int i = 0; i < 120; i++)
        ck_assert(all[i]->over && all[i]->status == 0);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

/* ---- Streams that move at random ----------------------------------------- */

/** What a stream must hold: numbers of appends in their order. */
static struct track {
    uint64_t acked[MOST]; /* By offset; 0: not known. */
    uint64_t shown[MOST]; /* To a reader; 0: not yet. */
    uint64_t end;         /* Behind the last that was acknowledged. */
} tracks[STREAMS];

static uint64_t numbers; /* Given to appends of this life. */
/* Appends that have ended for certain: they never are in a stream. */
static unsigned char never[MOST * STREAMS * 4];

/* What all runs together came to. */
static struct {
    unsigned acked;
    unsigned failed;
    unsigned crashes;
    unsigned given;
    unsigned taken;
    unsigned tail; /* Batches that takeovers found in logs. */
    unsigned naps;
    unsigned reads; /* Of streams that another node owns. */
    unsigned tails; /* Batches that they showed and no append had ended. */
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
    ck_abort_msg("seed %" PRIu64 ": stream %d, offset %" PRIu64 ": %s",
                 world.seed, stream, offset, what);
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
            if (t->shown[base % MOST] != 0 &&
                t->shown[base % MOST] != p->number)
                breach("acknowledged, but another one was shown", p->stream,
                       base);
            t->acked[base % MOST] = p->number;
            if (t->end <= base)
                t->end = base + 1;
            sum.acked++;
        } else {
            never[p->number] = p->append->status != WEIR_EUNKNOWN;
            sum.failed++;
            world.machines[p->machine].sick = 1;
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
        if (world.machines[i].streams[stream] != NULL)
            return i;
    return -1;
}

static void some_appends(int machine, int stream)
{
    uint64_t n = 1 + weir_sim_below(world.sim, 5);

    for (; n > 0 && tracks[stream].end + 50 < MOST; n--) {
        numbers++;
        pending[pending_count++] = (struct pending){
            machine_append(&world.machines[machine], stream, numbers), numbers,
            stream, machine};
    }
}

static void give_away(int machine, int stream)
{
    struct machine *m = &world.machines[machine];
    int rc = machine_hand_over(m, stream);

    if (rc == WEIR_EFENCED || rc == WEIR_EPOISONED)
        m->sick = 1;

    sum.given += rc == 0;
    if (rc == 0 || rc == WEIR_EFENCED)
        m->streams[stream] = NULL;
}

static void try_open(int machine, int stream)
{
    if (owner_of(stream) < 0)
        machine_open_stream(&world.machines[machine], stream);
}

/* A dead one; with the object log also one that sleeps or lives, which is
 * refused unless its lease has run out. */
static void try_take_over(int by)
{
    int dead = (int)weir_sim_below(world.sim, NODES);
    int rc;

    if (dead == by || (world.machines[dead].node != NULL && world.wal == NULL))
        return;
    if (world.wal != NULL && weir_sim_below(world.sim, 3) == 0)
        world.takeover_flags = WEIR_TAKEOVER_FORCE;
    rc = machine_take_over(&world.machines[by], dead);
    world.takeover_flags = 0;
    if (rc != 0)
        return;
    sum.taken++;
    sum.tail += (unsigned)world.took.batches;
}

/* Not there for certain, but there all the same? */
static void check_number(int stream, uint64_t offset, uint64_t number)
{
    if (number >= sizeof(never) || never[number])
        breach("an append that had failed for certain", stream, offset);
}

static uint64_t read_from; /* Offset to begin at. */
static uint64_t known_end; /* What was acknowledged before. */

/* A batch that a reader was shown is never another one. */
static void note_shown(int stream, uint64_t at, const struct weir_batch *batch)
{
    struct track *t = &tracks[stream];
    uint64_t number;

    ck_assert_uint_lt(at, MOST);
    if (batch->base_offset != at || batch->len != 8)
        breach("a reader was shown a gap", stream, at);
    memcpy(&number, batch->data, 8);
    check_number(stream, at, number);
    if (t->acked[at] != 0 && t->acked[at] != number)
        breach("a reader was shown another batch", stream, at);
    if (t->shown[at] != 0 && t->shown[at] != number)
        breach("a reader was shown another batch than before", stream, at);
    sum.tails += t->acked[at] == 0 && t->shown[at] == 0;
    t->shown[at] = number;
}

static void follow_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_stream *reader = m->readers[world.arg];
    int stream = world.arg;
    uint64_t at = read_from;

    m->status = 0;
    while (m->status == 0) {
        struct weir_fetch fetch = {.offset = at, .max_bytes = 300};
        size_t count;

        m->status = weir_fetch_sync(reader, &fetch);
        count = fetch.count;
        for (size_t i = 0; i < count; i++, at++)
            note_shown(stream, at, &fetch.batches[i]);
        weir_fetch_release(&fetch);
        if (count == 0)
            break;
    }
    read_from = at;
}

/* Read a stream on a node that does not own it.  The object log shows all
 * that was acknowledged before; the others what was uploaded. */
static void read_along(int machine, int stream)
{
    struct machine *m = &world.machines[machine];
    struct track *t = &tracks[stream];

    world.arg = stream;
    ck_assert_int_eq(machine_call(m, machine_reader), 0);
    if (m->status != 0)
        return;
    collect();
    known_end = t->end;
    read_from = weir_sim_below(world.sim, t->end + 1);
    ck_assert_int_eq(machine_call(m, follow_program), 0);
    if (m->status == WEIR_ECORRUPT)
        breach("a reader was told of damage", stream, read_from);
    sum.reads++;
    if (world.wal != NULL && m->status == 0 && read_from < known_end)
        breach("acknowledged, and not shown", stream, read_from);
}

static void wake(struct machine *m)
{
    weir_sim_resume(m->sim);
    m->asleep = 0;
}

/* One thing that happens. */
static void act(void)
{
    int n = (int)weir_sim_below(world.sim, NODES);
    int stream = (int)weir_sim_below(world.sim, STREAMS);
    struct machine *m = &world.machines[n];
    uint64_t dice = weir_sim_below(world.sim, 100);

    if (m->node == NULL) {
        if (dice < 30)
            machine_start(m);
        return;
    }
    if (m->asleep) {
        if (dice < 40)
            wake(m);
        return;
    }
    if (m->sick) {
        machine_crash(m);
        forget(n);
        return;
    }
    if (m->streams[stream] == NULL && dice < 30) {
        read_along(n, stream);
    } else if (m->streams[stream] != NULL && dice < 85) {
        some_appends(n, stream);
    } else if (m->streams[stream] != NULL && dice < 89) {
        give_away(n, stream);
    } else if (dice < 85) {
        try_open(n, stream);
    } else if (dice < 92) {
        sum.crashes++;
        machine_crash(m);
        forget(n);
    } else if (dice < 93) {
        machine_call(m, machine_stop);
    } else if (dice < 97) {
        try_take_over(n);
    } else if (world.wal != NULL) {
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
            check_number(checked, at, number);
            if (at < MOST && t->acked[at] != 0 && t->acked[at] != number)
                breach("another batch than was acknowledged", checked, at);
            if (at < MOST && t->shown[at] != 0 && t->shown[at] != number)
                breach("another batch than was shown", checked, at);
        }
        weir_fetch_release(&fetch);
    }
    if (m->status == 0 && at < t->end)
        breach("acknowledged, and not there", checked, at);
    if (m->status == 0 && at < MOST && t->shown[at] != 0)
        breach("shown to a reader, and not there", checked, at);
}

/* Was it taken over while it slept?  Its epoch is not the present one. */
static int is_fenced(int machine)
{
    struct machine *other = &world.machines[(machine + 1) % NODES];

    return world.machines[machine].sick || other->node == NULL ||
           machine_life_of(&world.machines[machine], machine) !=
               WEIR_NODE_LIVE ||
           world.epoch_seen != world.machines[machine].epoch;
}

/* All come back and end what they owe; then everything is read. */
static void check_all(void)
{
    struct machine *last = &world.machines[0];

    for (int i = 0; i < NODES; i++)
        if (world.machines[i].asleep)
            wake(&world.machines[i]);
    world_run(120 * SECOND);
    collect();
    for (int i = 0; i < NODES; i++) {
        if (world.machines[i].node != NULL && is_fenced(i)) {
            machine_crash(&world.machines[i]);
            forget(i);
        }
        if (world.machines[i].node == NULL)
            ck_assert_int_eq(machine_start(&world.machines[i]), 0);
    }
    world_run(120 * SECOND);
    collect();
    for (int s = 0; s < STREAMS; s++) {
        int owner = owner_of(s);

        if (owner > 0)
            give_away(owner, s);
    }
    for (int i = 1; i < NODES; i++) {
        ck_assert_int_eq(machine_call(&world.machines[i], machine_stop), 0);
        collect();
        if (machine_take_over(last, i) == WEIR_EBUSY) {
            world_run(20 *
                      SECOND); /* It could not say in time that it closes. */
            machine_take_over(last, i);
        }
        ck_assert_msg(last->status == 0, "seed %" PRIu64 ": %s", world.seed,
                      weir_error_name(last->status));
        world_run(120 * SECOND);
    }
    for (checked = 0; checked < STREAMS; checked++) {
        if (last->streams[checked] == NULL)
            ck_assert_int_eq(machine_open_stream(last, checked), 0);
        ck_assert_int_eq(machine_call(last, check_program), 0);
        ck_assert_msg(last->status == 0, "seed %" PRIu64 ": %s", world.seed,
                      weir_error_name(last->status));
    }
}

/* Requests to the store come late, twice, or without an answer. */
static void set_faults(uint32_t chance)
{
    struct weir_sim_faults *faults = weir_sim_faults(world.sim);

    faults->store_late = chance;
    faults->store_lost = chance;
    faults->store_unheard = chance;
    faults->store_repeat = 2 * chance;
    faults->store_slow = chance;
    faults->store_down = chance;
}

static void some_life(uint64_t number)
{
    world_open(number);
    memset(tracks, 0, sizeof(tracks));
    memset(never, 0, sizeof(never));
    numbers = 0;
    pending_count = 0;
    world.lease = weir_sim_below(world.sim, 2) == 0 ? "10s" : "3s";
    world.wal = weir_sim_below(world.sim, 2) == 0 ? "object:" : NULL;
    world.upload_interval = weir_sim_below(world.sim, 2) == 0 ? "10s" : "1s";
    for (int i = 0; i < NODES; i++)
        ck_assert_int_eq(machine_start(&world.machines[i]), 0);
    if (world.wal != NULL && weir_sim_below(world.sim, 2) == 0)
        set_faults(3000);
    for (int step = 0; step < 300; step++) {
        act();
        world_run(weir_sim_below(world.sim, 3) == 0
                      ? weir_sim_below(world.sim, 10 * SECOND)
                      : weir_sim_below(world.sim, 20 * MS));
        collect();
    }
    set_faults(0);
    check_all();
    for (int i = 0; i < NODES; i++)
        forget(i);
    weir_sim_free(world.sim);
    world.lease = "10s";
    world.wal = NULL;
    world.upload_interval = "10s";
}

START_TEST(streams_that_move_at_random_lose_nothing)
{
    const char *count = getenv("WEIR_SEEDS");
    uint64_t first = test_seed();
    uint64_t n = count != NULL ? strtoull(count, NULL, 10) : 40;

    for (uint64_t i = 0; i < n; i++)
        some_life(first + i);
    printf("%u acknowledged, %u failed, %u crashes, %u handed over, %u taken "
           "over with %u batches, %u naps, %u reads on other nodes that saw "
           "%u batches before their appends had ended\n",
           sum.acked, sum.failed, sum.crashes, sum.given, sum.taken, sum.tail,
           sum.naps, sum.reads, sum.tails);
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
    tcase_add_test(tc, no_more_puts_are_made_than_may_be_paid_for);
    tcase_add_test(tc, streams_that_move_at_random_lose_nothing);
    return test_run();
}
