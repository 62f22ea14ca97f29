/* SPDX-License-Identifier: Apache-2.0 */
/* The library in nodes of the simulated world, as a user has both: public
 * headers only. */
#include "support/test.h"

#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { DISK = 5 << 20, NODES = 2 };
#define SECOND ((uint64_t)1000000000)

static struct weir_sim *sim;
static struct weir_sim_node *nodes[NODES];
static struct weir_error err;

/* The trace of the world, as a hash (FNV-1a) and a length. */
static uint64_t trace_hash;
static size_t trace_lines;

static void hash_line(void *ctx, const char *line)
{
    (void)ctx;
    for (; *line != '\0'; line++)
        trace_hash = (trace_hash ^ (unsigned char)*line) * 0x100000001b3u;
    trace_lines++;
}

static void open_world(uint64_t seed)
{
    struct weir_sim_options options = {
        .size = sizeof(options),
        .seed = seed,
        .limit = 7200 * SECOND,
        .trace = hash_line,
    };
    uint32_t i;

    trace_hash = 0xcbf29ce484222325u;
    trace_lines = 0;
    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    for (i = 0; i < NODES; i++)
        ck_assert_int_eq(weir_sim_node_new(&nodes[i], sim, i + 1, DISK), 0);
}

static void run(uint64_t ns)
{
    ck_assert_int_eq(weir_sim_run(sim, ns), 0);
}

/* A program: open a stream and append to it, with all that it says. */
struct program {
    struct weir_sim_node *on;
    const char *stream;
    int appends;
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *handle;
    int status; /* Of what failed first, or of the last step. */
    int acked;
};

static void open_program(void *ctx)
{
    struct program *p = ctx;
    struct weir_stream_open open = {.name = p->stream,
                                    .flags = WEIR_STREAM_CREATE};

    p->status = weir_sim_config(&p->config, p->on);
    if (p->status == 0)
        p->status = weir_open(&p->node, p->config, &err);
    weir_sim_trace(sim, "open %s", weir_error_name(p->status));
    if (p->status == 0)
        p->status = weir_stream_open_sync(p->node, &open);
    p->handle = open.stream;
}

static void append_program(void *ctx)
{
    struct program *p = ctx;
    int i;

    for (i = 0; i < p->appends && p->status == 0; i++) {
        struct weir_append append = {.data = "0123456789",
                                     .len = 10,
                                     .count = 1,
                                     .max_timestamp = WEIR_NO_TIMESTAMP};

        p->status = weir_append_sync(p->handle, &append);
        p->acked += p->status == 0;
    }
}

static void flush_program(void *ctx)
{
    struct program *p = ctx;
    struct weir_flush flush = {.req = {.done = NULL}};

    p->status = weir_flush_sync(p->node, &flush);
}

START_TEST(damage_to_a_disk_is_found_by_the_next_opening)
{
    struct program p = {.on = NULL, .stream = "damaged", .appends = 20};
    unsigned char *data;
    size_t size;

    open_world(test_seed());
    p.on = nodes[0];
    ck_assert_int_eq(weir_sim_call(nodes[0], open_program, &p), 0);
    ck_assert_int_eq(weir_sim_call(nodes[0], append_program, &p), 0);
    ck_assert_int_eq(p.acked, 20);
    weir_sim_crash(nodes[0]);
    data = weir_sim_disk_data(nodes[0], &size);
    memset(data, 0xff, size);
    weir_sim_start(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], open_program, &p), 0);
    ck_assert_int_eq(p.status, WEIR_EFORMAT);
    weir_sim_free(sim);
}
END_TEST

/* Its log goes to the disk of the other one, which has had none. */
START_TEST(a_disk_may_be_copied_and_wiped)
{
    struct program p = {.on = NULL, .stream = "moved", .appends = 20};
    unsigned char *from, *to;
    size_t size;

    open_world(test_seed());
    p.on = nodes[0];
    ck_assert_int_eq(weir_sim_call(nodes[0], open_program, &p), 0);
    ck_assert_int_eq(weir_sim_call(nodes[0], append_program, &p), 0);
    weir_sim_crash(nodes[0]);
    weir_sim_crash(nodes[1]);
    from = weir_sim_disk_data(nodes[0], &size);
    to = weir_sim_disk_data(nodes[1], &size);
    memcpy(to, from, size);
    memset(from, 0, size);
    weir_sim_start(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], open_program, &p), 0);
    ck_assert_int_eq(p.status, WEIR_EFOREIGN); /* One was made. */
    weir_sim_crash(nodes[0]);
    p.on = nodes[1];
    weir_sim_start(nodes[1]);
    ck_assert_int_eq(weir_sim_call(nodes[1], open_program, &p), 0);
    ck_assert_int_eq(p.status, WEIR_EFOREIGN); /* It is that of node 1. */
    memcpy(from, to, size);
    p.on = nodes[0];
    weir_sim_start(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], open_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    weir_sim_free(sim);
}
END_TEST

static size_t object_count(void)
{
    size_t n;

    weir_sim_objects(sim, &n);
    return n;
}

static void open_with_data(struct program *p)
{
    open_world(test_seed());
    *p = (struct program){.on = nodes[0], .stream = "a", .appends = 10};
    ck_assert_int_eq(weir_sim_call(p->on, open_program, p), 0);
    ck_assert_int_eq(p->status, 0);
    ck_assert_int_eq(weir_sim_call(p->on, append_program, p), 0);
    ck_assert_int_eq(p->acked, 10);
}

static int more_objects(void *ctx)
{
    return object_count() > *(size_t *)ctx;
}

static void check_upload_after_heal(enum weir_sim_cut_kind kind)
{
    struct program p;
    size_t before;

    open_with_data(&p);
    before = object_count();
    weir_sim_cut(nodes[0], kind);
    ck_assert_int_eq(
        weir_sim_run_until(sim, more_objects, &before, 900 * SECOND, &err),
        WEIR_ETIMEDOUT);
    /* What the log takes does not need the store. */
    ck_assert_int_eq(weir_sim_call(nodes[0], append_program, &p), 0);
    ck_assert_int_eq(p.acked, 20);
    weir_sim_heal(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], flush_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    ck_assert_uint_gt(object_count(), before);
    weir_sim_free(sim);
}

START_TEST(a_node_cut_from_the_store_uploads_when_it_is_healed)
{
    check_upload_after_heal(WEIR_SIM_CUT_REFUSES);
    check_upload_after_heal(WEIR_SIM_CUT_HANGS);
}
END_TEST

START_TEST(a_node_that_is_refused_by_the_store_does_not_open_and_others_do)
{
    struct program p = {.stream = "a"};
    struct program q = {.stream = "b"};

    open_world(test_seed());
    p.on = nodes[0];
    q.on = nodes[1];
    weir_sim_cut(nodes[0], WEIR_SIM_CUT_REFUSES);
    ck_assert_int_eq(weir_sim_call(p.on, open_program, &p), 0);
    ck_assert_int_eq(p.status, WEIR_EUNAVAILABLE);
    ck_assert_int_eq(weir_sim_call(q.on, open_program, &q), 0);
    ck_assert_int_eq(q.status, 0);
    weir_sim_heal(nodes[0]);
    ck_assert_int_eq(weir_sim_call(p.on, open_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    weir_sim_free(sim);
}
END_TEST

static void heal_first(struct weir_timer *timer)
{
    (void)timer;
    weir_sim_heal(nodes[0]);
}

START_TEST(requests_that_hang_when_cut_are_carried_out_when_healed)
{
    struct weir_timer heal = {.fire = heal_first};
    struct program p = {.stream = "a"};

    open_world(test_seed());
    p.on = nodes[0];
    weir_sim_cut(nodes[0], WEIR_SIM_CUT_HANGS);
    heal.deadline = weir_sim_now(sim) + 2 * SECOND;
    weir_sim_at(sim, &heal);
    ck_assert_int_eq(weir_sim_call(p.on, open_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    ck_assert_uint_ge(weir_sim_now(sim), heal.deadline);
    weir_sim_free(sim);
}
END_TEST

START_TEST(a_paused_owner_loses_nothing_that_it_has_acknowledged)
{
    struct program p;
    struct weir_stream_stat stat;

    open_with_data(&p);
    weir_sim_pause(nodes[0]);
    run(1800 * SECOND);
    weir_sim_resume(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], append_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    ck_assert_int_eq(weir_stream_stat(p.handle, &stat), 0);
    ck_assert_uint_eq(stat.end, 20);
    weir_sim_free(sim);
}
END_TEST

/* ---- The same seed ------------------------------------------------------- */

static void drop(void *ctx, uint32_t from, const void *data, size_t len)
{
    (void)data;
    weir_sim_trace(ctx, "got %u of %u", (unsigned)len, (unsigned)from);
}

/* A step of a run in which everything happens. */
static void step(struct program *programs)
{
    uint64_t i = weir_sim_below(sim, NODES);
    struct program *p = &programs[i];

    switch (weir_sim_below(sim, 8)) {
    case 0:
        weir_sim_crash(p->on);
        break;
    case 1:
        weir_sim_pause(p->on);
        break;
    case 2:
        weir_sim_cut(p->on, weir_sim_below(sim, 2) == 0 ? WEIR_SIM_CUT_REFUSES
                                                        : WEIR_SIM_CUT_HANGS);
        break;
    case 3:
        weir_sim_heal(p->on);
        break;
    case 4:
        weir_sim_send(nodes[1 - i], p->on, "hello", 1 + weir_sim_below(sim, 5));
        break;
    case 5:
        weir_sim_resume(p->on);
        if (weir_sim_is_up(p->on))
            break;
        weir_sim_start(p->on);
        weir_sim_heal(p->on); /* It would wait for that until the end. */
        weir_sim_receive(p->on, drop, sim);
        p->handle = NULL;
        weir_sim_call(p->on, open_program, p);
        break;
    default:
        weir_sim_resume(p->on);
        if (weir_sim_is_up(p->on) && p->handle != NULL)
            weir_sim_call(p->on, append_program, p);
    }
    run(weir_sim_below(sim, 2 * SECOND));
}

static void mixed_run(uint64_t seed)
{
    struct program programs[NODES] = {{.stream = "a", .appends = 3},
                                      {.stream = "b", .appends = 3}};
    struct weir_sim_faults *faults;
    int i;

    open_world(seed);
    faults = weir_sim_faults(sim);
    faults->store_late = faults->store_unheard = 50000;
    faults->message_late = faults->message_twice = 200000;
    for (i = 0; i < NODES; i++) {
        programs[i].on = nodes[i];
        weir_sim_crash(nodes[i]);
    }
    for (i = 0; i < 60; i++)
        step(programs);
    weir_sim_free(sim);
}

START_TEST(twenty_seeds_give_the_same_trace_twice_and_each_its_own)
{
    uint64_t seed = test_seed();
    uint64_t last = 0;
    uint64_t i;

    for (i = 0; i < 20; i++) {
        uint64_t hash;
        size_t lines;

        mixed_run(seed + i);
        hash = trace_hash;
        lines = trace_lines;
        mixed_run(seed + i);
        ck_assert_uint_gt(lines, 5);
        ck_assert_uint_eq(trace_hash, hash);
        ck_assert_uint_eq(trace_lines, lines);
        ck_assert_uint_ne(hash, last);
        last = hash;
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim library");

    tcase_add_test(tc, damage_to_a_disk_is_found_by_the_next_opening);
    tcase_add_test(tc, a_disk_may_be_copied_and_wiped);
    tcase_add_test(tc, a_node_cut_from_the_store_uploads_when_it_is_healed);
    tcase_add_test(
        tc, a_node_that_is_refused_by_the_store_does_not_open_and_others_do);
    tcase_add_test(tc, requests_that_hang_when_cut_are_carried_out_when_healed);
    tcase_add_test(tc, a_paused_owner_loses_nothing_that_it_has_acknowledged);
    tcase_add_test(tc, twenty_seeds_give_the_same_trace_twice_and_each_its_own);
    return test_run();
}
