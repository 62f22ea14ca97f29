/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "sim/env_rig.h"
#include "support/test.h"
#include <weir/sim.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Clock, tasks, timers, work ------------------------------------------ */

struct note {
    struct weir_task task;
    int number;
};

static int ran[64];
static int ran_count;

static void note_run(struct weir_task *task)
{
    ran[ran_count++] = WEIR__CONTAINER(task, struct note, task)->number;
}

START_TEST(tasks_of_one_node_run_in_the_order_of_posting)
{
    struct note notes[32];
    int i;

    open_world(test_seed());
    for (i = 0; i < 32; i++) {
        notes[i] = (struct note){{note_run, NULL}, i};
        env->ops->post(env, &notes[i].task);
    }
    run(SIM_MS);
    ck_assert_int_eq(ran_count, 32);
    for (i = 0; i < 32; i++)
        ck_assert_int_eq(ran[i], i);
    close_world();
}
END_TEST

START_TEST(tasks_of_two_nodes_run_in_an_order_of_the_seed)
{
    struct note notes[8];
    int orders[2][8];
    int different = 0;
    uint64_t seed;
    int i;

    for (seed = 0; seed < 20; seed++) {
        struct weir_sim_node *other;

        open_world(seed);
        ck_assert_int_eq(weir_sim_node_new(&other, sim, 2, DISK), 0);
        ran_count = 0;
        for (i = 0; i < 8; i++) {
            struct weir_env *e = weir_sim_env(i % 2 != 0 ? other : node);

            notes[i] = (struct note){{note_run, NULL}, i};
            e->ops->post(e, &notes[i].task);
        }
        run(SIM_MS);
        ck_assert_int_eq(ran_count, 8);
        memcpy(orders[seed % 2], ran, sizeof(orders[0]));
        different +=
            seed > 0 && memcmp(orders[0], orders[1], sizeof(orders[0])) != 0;
        close_world();
    }
    ck_assert_int_gt(different, 5);
}
END_TEST

static uint64_t fired_at;

static void fire(struct weir_timer *timer)
{
    (void)timer;
    fired_at = weir_sim_now(sim);
}

START_TEST(the_clock_jumps_to_the_next_timer)
{
    struct weir_timer timer = {.fire = fire};
    struct weir_event event = {0};
    uint64_t start;

    open_world(test_seed());
    start = env->ops->now(env);
    timer.deadline = start + 1800 * SIM_SECOND;
    env->ops->timer_start(env, &timer);
    ck_assert_int_eq(env->ops->wait(env, &event, 30 * MINUTE + 1),
                     WEIR_ETIMEDOUT);
    ck_assert_uint_eq(fired_at, timer.deadline);
    ck_assert_uint_ge(env->ops->now(env), start + 1800 * SIM_SECOND + 1);
    ck_assert_int_eq(env->ops->poll_fd(env), -1);
    close_world();
}
END_TEST

static void set_done(struct weir_task *task)
{
    (void)task;
    env->ops->signal(env, &done);
}

static int inside[3];

static void call_inside(struct weir_task *task)
{
    struct weir_event event = {0};

    (void)task;
    inside[0] = env->ops->wait(env, &event, 1);
    inside[1] = env->ops->poll(env, 0);
    inside[2] = weir_sim_run(sim, 1);
}

START_TEST(a_wait_ends_with_its_event_and_is_refused_in_the_core)
{
    struct weir_task inner = {call_inside, NULL};
    struct weir_task task = {set_done, NULL};

    open_world(test_seed());
    env->ops->post(env, &inner);
    env->ops->post(env, &task);
    ck_assert_int_eq(env->ops->wait(env, &done, MINUTE), 0);
    ck_assert_int_eq(inside[0], WEIR_EBUSY);
    ck_assert_int_eq(inside[1], WEIR_EBUSY);
    ck_assert_int_eq(inside[2], WEIR_EBUSY);
    close_world();
}
END_TEST

START_TEST(the_limit_ends_a_run)
{
    open_world(test_seed());
    ck_assert_int_eq(weir_sim_run(sim, 7200 * SIM_SECOND), WEIR_ETIMEDOUT);
    ck_assert_int_eq(env->ops->wait(env, &done, WEIR_FOREVER), WEIR_ETIMEDOUT);
    close_world();
}
END_TEST

static int worked;

static void work_work(struct weir_work *work)
{
    (void)work;
    worked++;
}

static void work_done(struct weir_work *work)
{
    (void)work;
    ck_assert_int_eq(worked, 1);
    worked++;
}

START_TEST(work_takes_time_and_ends_in_the_core)
{
    struct weir_work work = {.work = work_work, .done = work_done};

    open_world(test_seed());
    env->ops->work(env, &work);
    ck_assert_int_eq(worked, 0);
    run(SIM_SECOND);
    ck_assert_int_eq(worked, 2);
    close_world();
}
END_TEST

/* ---- Crashes ------------------------------------------------------------- */

static void wait_for_nothing(void *ctx)
{
    struct weir_event never = {0};
    char *memory =
        weir_sim_alloc(node)->malloc(weir_sim_alloc(node)->ctx, 1000);

    memset(memory, 1, 1000); /* Lost, and found by the leak check if not. */
    *(int *)ctx = 1;
    env->ops->wait(env, &never, WEIR_FOREVER);
    *(int *)ctx = 2;
}

static void crash_it(struct weir_timer *timer)
{
    (void)timer;
    weir_sim_crash(node);
}

START_TEST(a_crash_ends_a_blocking_call_and_takes_the_memory)
{
    struct weir_timer timer = {.fire = crash_it};
    struct note note = {{note_run, NULL}, 1};
    struct weir_timer late = {.fire = fire};
    volatile int reached = 0;

    open_world(test_seed());
    timer.deadline = weir_sim_now(sim) + SIM_SECOND;
    weir_sim_at(sim, &timer);
    ck_assert_int_eq(
        weir_sim_call(node, wait_for_nothing, (void *)(uintptr_t)&reached),
        WEIR_ECANCELED);
    ck_assert_int_eq(reached, 1);
    ck_assert_int_eq(weir_sim_is_up(node), 0);
    ck_assert_uint_eq(weir_sim_bytes(node), 0);
    ck_assert_int_eq(weir_sim_call(node, wait_for_nothing, NULL), WEIR_EBUSY);

    /* What is down does nothing. */
    late.deadline = weir_sim_now(sim) + 1;
    env->ops->timer_start(env, &late);
    env->ops->post(env, &note.task);
    weir_sim_start(node);
    run(SIM_SECOND);
    ck_assert_int_eq(ran_count, 0);
    ck_assert_uint_eq(fired_at, 0);
    close_world();
}
END_TEST

START_TEST(a_call_that_can_never_end_is_ended)
{
    int reached = 0;

    open_world(test_seed());
    ck_assert_int_eq(weir_sim_call(node, wait_for_nothing, &reached),
                     WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_sim_is_up(node), 0);
    close_world();
}
END_TEST

static void crash_task(struct weir_task *task)
{
    char *memory = weir_sim_alloc(node)->malloc(weir_sim_alloc(node)->ctx, 100);

    (void)task;
    weir_sim_crash(node);
    memset(memory, 1, 100); /* Still there until the task returns. */
    ck_assert_uint_eq(weir_sim_bytes(node), 100);
}

START_TEST(a_task_may_crash_its_own_node)
{
    struct weir_task task = {crash_task, NULL};
    struct note note = {{note_run, NULL}, 1};

    open_world(test_seed());
    env->ops->post(env, &task);
    env->ops->post(env, &note.task);
    run(SIM_MS);
    ck_assert_uint_eq(weir_sim_bytes(node), 0);
    ck_assert_uint_eq(weir_sim_blocks(node), 0);
    ck_assert_int_eq(ran_count, 0);
    close_world();
}
END_TEST

/* ---- The disk ------------------------------------------------------------ */

static struct weir__disk *disk;
static unsigned char block[4 * 4096];
static unsigned char back[DISK];

static void disk_done(struct weir__disk_req *io, int result)
{
    (void)io;
    status = result;
    done.set = 1;
}

static int disk_io(struct weir__disk_req *io)
{
    done.set = 0;
    io->done = disk_done;
    disk->ops->submit(disk, io);
    ck_assert_int_eq(done.set, 0);
    ck_assert_int_eq(env->ops->wait(env, &done, MINUTE), 0);
    return status;
}

static void open_disk(void)
{
    ck_assert_int_eq(weir__sim_disk_open(&disk, node, node, NULL), 0);
}

/* Fill `len` bytes from `offset` with `byte`. */
static int write_disk(uint64_t offset, size_t len, int byte, int sync)
{
    struct weir_iov iov[2] = {{block, 4096}, {block + 4096, len - 4096}};
    struct weir__disk_req io = {
        .verb = WEIR__DISK_WRITE,
        .offset = offset,
        .iov = iov,
        .iov_count = len > 4096 ? 2 : 1,
        .len = len,
        .sync = sync,
    };

    memset(block, byte, sizeof(block));
    return disk_io(&io);
}

static int read_disk(void)
{
    struct weir__disk_req io = {
        .verb = WEIR__DISK_READ,
        .data = back,
        .len = sizeof(back),
    };

    return disk_io(&io);
}

static int sync_disk(void)
{
    struct weir__disk_req io = {.verb = WEIR__DISK_SYNC};

    return disk_io(&io);
}

/* How many sectors of the range hold `byte` throughout. */
static int sectors_with(size_t offset, size_t len, int byte)
{
    unsigned char expected[SIM_SECTOR];
    int count = 0;
    size_t at;

    memset(expected, byte, sizeof(expected));
    for (at = offset; at < offset + len; at += SIM_SECTOR)
        count += memcmp(back + at, expected, SIM_SECTOR) == 0;
    return count;
}

static void crash_disk(void)
{
    weir_sim_crash(node);
    weir_sim_start(node);
    open_disk();
    ck_assert_int_eq(read_disk(), 0);
}

START_TEST(what_a_sync_has_covered_survives_a_crash)
{
    open_world(test_seed());
    open_disk();
    ck_assert_int_eq(disk->fresh, 1);
    ck_assert_int_eq(write_disk(4096, 8192, 'a', 0), 0);
    ck_assert_int_eq(sync_disk(), 0);
    ck_assert_int_eq(write_disk(16384, 4096, 'b', 1), 0);
    crash_disk();
    ck_assert_int_eq(disk->fresh, 0);
    ck_assert_int_eq(sectors_with(4096, 8192, 'a'), 16);
    ck_assert_int_eq(sectors_with(16384, 4096, 'b'), 8);
    ck_assert_int_eq(sectors_with(0, 4096, 0), 8);
    close_world();
}
END_TEST

START_TEST(sectors_that_no_sync_has_covered_survive_or_not)
{
    int kept = 0;
    int lost = 0;
    int garbled = 0;
    uint64_t seed;

    for (seed = 0; seed < 50; seed++) {
        open_world(seed);
        weir_sim_faults(sim)->disk_garble = 50000;
        open_disk();
        ck_assert_int_eq(write_disk(0, 16384, 'o', 1), 0);
        ck_assert_int_eq(write_disk(0, 8192, 'n', 0), 0);
        ck_assert_int_eq(read_disk(), 0);
        ck_assert_int_eq(sectors_with(0, 8192, 'n'), 16);
        crash_disk();
        kept += sectors_with(0, 8192, 'n');
        lost += sectors_with(0, 8192, 'o');
        garbled += 16 - sectors_with(0, 8192, 'n') - sectors_with(0, 8192, 'o');
        ck_assert_int_eq(sectors_with(8192, 8192, 'o'), 16);
        close_world();
    }
    ck_assert_int_gt(kept, 200);
    ck_assert_int_gt(lost, 200);
    ck_assert_int_gt(garbled, 5);
    ck_assert_int_lt(garbled, 120);
}
END_TEST

static void ignore(struct weir_task *task)
{
    (void)task;
}

START_TEST(after_a_failed_sync_reads_show_what_a_new_opening_may_not)
{
    struct weir_task closed = {ignore, NULL};
    int lost = 0;
    int some = 0;
    uint64_t seed;

    for (seed = 0; seed < 20; seed++) {
        open_world(seed);
        open_disk();
        ck_assert_int_eq(write_disk(0, 4096, 'o', 1), 0);
        ck_assert_int_eq(write_disk(0, 4096, 'n', 0), 0);
        weir_sim_faults(sim)->disk_sync = 1000000;
        ck_assert_int_eq(sync_disk(), WEIR_EIO);
        weir_sim_faults(sim)->disk_sync = 0;
        /* The system forgets that it ever was to be written. */
        ck_assert_int_eq(sync_disk(), 0);
        ck_assert_int_eq(read_disk(), 0);
        ck_assert_int_eq(sectors_with(0, 4096, 'n'), 8);
        disk->ops->close(disk, &closed);
        open_disk();
        ck_assert_int_eq(read_disk(), 0);
        lost += sectors_with(0, 4096, 'o');
        crash_disk();
        lost -= sectors_with(0, 4096, 'o');
        ck_assert_int_eq(lost, 0); /* And a crash changes nothing more. */
        some += sectors_with(0, 4096, 'o');
        close_world();
    }
    ck_assert_int_gt(some, 20);
}
END_TEST

START_TEST(a_disk_that_was_never_synced_is_fresh_after_a_crash)
{
    open_world(test_seed());
    open_disk();
    ck_assert_int_eq(write_disk(0, 4096, 'a', 0), 0);
    crash_disk();
    ck_assert_int_eq(disk->fresh, 1);
    ck_assert_int_eq(sectors_with(0, DISK, 0), DISK / SIM_SECTOR);
    close_world();
}
END_TEST

START_TEST(a_sector_that_went_bad_cannot_be_read_until_it_is_written)
{
    open_world(test_seed());
    open_disk();
    weir_sim_faults(sim)->disk_latent = 1000000;
    ck_assert_int_eq(write_disk(4096, 4096, 'a', 0), 0);
    ck_assert_int_eq(read_disk(), 0); /* No sync has covered it. */
    ck_assert_int_eq(sync_disk(), 0);
    weir_sim_faults(sim)->disk_latent = 0;
    ck_assert_int_eq(read_disk(), WEIR_EIO);
    weir_sim_crash(node);
    weir_sim_start(node);
    open_disk();
    ck_assert_int_eq(read_disk(), WEIR_EIO);
    ck_assert_int_eq(write_disk(4096, 4096, 'b', 1), 0);
    ck_assert_int_eq(read_disk(), 0);
    close_world();
}
END_TEST

START_TEST(disk_faults_are_reported)
{
    struct weir_error err = {0};
    struct weir__disk *second;

    open_world(test_seed());
    open_disk();
    ck_assert_int_eq(weir__sim_disk_open(&second, node, node, &err),
                     WEIR_EBUSY);
    ck_assert_int_eq(write_disk(DISK, 4096, 'a', 0), WEIR_EIO);
    weir_sim_faults(sim)->disk_write = 1000000;
    ck_assert_int_eq(write_disk(0, 4096, 'a', 0), WEIR_EIO);
    weir_sim_faults(sim)->disk_write = 0;
    weir_sim_faults(sim)->disk_read = 1000000;
    ck_assert_int_eq(read_disk(), WEIR_EIO);
    close_world();
}
END_TEST

static struct weir_wal_open wal_req;

static void wal_opened(struct weir_wal_open *r, int result)
{
    (void)r;
    status = result;
    done.set = 1;
}

/* Open the log on the disk and crash; its id. */
static uint64_t open_log_and_crash(uint64_t epoch)
{
    struct weir_host host = {weir_sim_alloc(node), NULL, env};
    uint64_t id;

    wal_req = (struct weir_wal_open){
        .host = &host, .uri = "sim:", .done = wal_opened, .open_ctx = node};
    wal_req.owner.epoch = epoch;
    wal_req.max_group = 65536;
    done.set = 0;
    weir__sim_wal_open(&wal_req);
    ck_assert_int_eq(env->ops->wait(env, &done, MINUTE), 0);
    ck_assert_int_eq(status, 0);
    id = wal_req.wal->id;
    weir_sim_crash(node);
    weir_sim_start(node);
    return id;
}

/* Whoever is told the id may keep it, and ask for that log again. */
START_TEST(a_new_log_has_its_id_for_ever_once_it_is_open)
{
    uint64_t id;

    open_world(test_seed());
    id = open_log_and_crash(1);
    ck_assert_uint_eq(open_log_and_crash(2), id);
    close_world();
}
END_TEST

/* ---- Determinism --------------------------------------------------------- */

static void some_life(uint64_t seed)
{
    int i;

    open_world(seed);
    *weir_sim_faults(sim) = (struct weir_sim_faults){
        .store_down = 100000,
        .store_unheard = 100000,
        .store_late = 100000,
        .store_repeat = 100000,
        .disk_sync = 50000,
        .disk_garble = 50000,
    };
    open_disk();
    open_store();
    for (i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", (int)weir_sim_below(sim, 20));
        weir_sim_trace(sim, "put %d",
                       put(key, "v", i % 2 != 0 ? WEIR_STORE_IF_ABSENT : 0));
        weir_sim_trace(sim, "write %d", write_disk(0, 8192, i, i % 3 == 0));
        if (weir_sim_below(sim, 10) == 0) {
            crash_disk();
            open_store();
        }
    }
    read_disk();
    for (i = 0; i < 16; i++)
        weir_sim_trace(sim, "sector %d", back[i * SIM_SECTOR]);
    close_world();
}

START_TEST(the_same_seed_gives_the_same_trace)
{
    uint64_t seed = test_seed();

    which = 0;
    some_life(seed);
    which = 1;
    some_life(seed);
    ck_assert_uint_gt(trace_len[0], 5000);
    ck_assert_uint_eq(trace_len[0], trace_len[1]);
    ck_assert_mem_eq(trace[0], trace[1], trace_len[0]);

    trace_len[1] = 0;
    some_life(seed + 1);
    ck_assert(trace_len[0] != trace_len[1] ||
              memcmp(trace[0], trace[1], trace_len[0]) != 0);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim world");

    tcase_add_test(tc, tasks_of_one_node_run_in_the_order_of_posting);
    tcase_add_test(tc, tasks_of_two_nodes_run_in_an_order_of_the_seed);
    tcase_add_test(tc, the_clock_jumps_to_the_next_timer);
    tcase_add_test(tc, a_wait_ends_with_its_event_and_is_refused_in_the_core);
    tcase_add_test(tc, the_limit_ends_a_run);
    tcase_add_test(tc, work_takes_time_and_ends_in_the_core);
    tcase_add_test(tc, a_crash_ends_a_blocking_call_and_takes_the_memory);
    tcase_add_test(tc, a_call_that_can_never_end_is_ended);
    tcase_add_test(tc, a_task_may_crash_its_own_node);

    tc = test_case("sim disk");
    tcase_add_test(tc, what_a_sync_has_covered_survives_a_crash);
    tcase_add_test(tc, sectors_that_no_sync_has_covered_survive_or_not);
    tcase_add_test(tc,
                   after_a_failed_sync_reads_show_what_a_new_opening_may_not);
    tcase_add_test(tc, a_disk_that_was_never_synced_is_fresh_after_a_crash);
    tcase_add_test(tc,
                   a_sector_that_went_bad_cannot_be_read_until_it_is_written);
    tcase_add_test(tc, disk_faults_are_reported);
    tcase_add_test(tc, a_new_log_has_its_id_for_ever_once_it_is_open);

    tcase_add_test(tc, the_same_seed_gives_the_same_trace);
    return test_run();
}
