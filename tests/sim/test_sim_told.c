/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes on a store that tells of what comes: what others commit is seen
 * without asking for it, and nobody asks more than before. */
#include "sim/machines.h"
#include "support/test.h"

#include <string.h>

static int seen;
static int over;
static struct weir_kv_watch watch;
static struct weir_fetch waiting;

static int changed(struct weir_kv_watch *req, const struct weir_kv_pair *pair)
{
    (void)req;
    seen += pair->value != NULL;
    return 0;
}

static void watched(struct weir_req *req, int status)
{
    (void)req;
    (void)status;
}

static void put_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_kv_put put = {
        .key = "k", .value = "v", .len = 1, .expected = WEIR_KV_ANY};

    m->status = weir_kv_put_sync(m->node, &put);
}

static void put(struct machine *m)
{
    ck_assert_int_eq(machine_call(m, put_program), 0);
    ck_assert_int_eq(m->status, 0);
}

/* Two nodes without leases, so that only the first of them ever commits; the
 * second one watches keys. */
static void start(uint32_t tells, const char *follow)
{
    seen = 0;
    over = 0;
    world_open(test_seed());
    world.lease = "0s";
    world.upload_interval = "1s";
    world.follow = follow;
    weir_sim_faults(world.sim)->store_tells = tells;
    ck_assert_int_eq(machine_start(&world.machines[0]), 0);
    ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    watch = (struct weir_kv_watch){
        .req.done = watched, .prefix = "", .changed = changed};
    ck_assert_int_eq(weir_kv_watch(world.machines[1].node, &watch), 0);
    world_run(60 * SECOND);
}

static uint64_t requests(struct machine *m)
{
    struct weir_stats stats = machine_stats(m);

    return stats.store_gets + stats.store_puts + stats.store_lists;
}

START_TEST(a_change_is_seen_though_nobody_asks)
{
    start(1000000, "1h");
    for (int i = 1; i < 10; i++) {
        put(&world.machines[0]);
        for (int s = 0; s < 100 && seen < i; s++)
            world_run(SECOND);
        ck_assert_int_eq(seen, i);
    }
    weir_sim_free(world.sim);
}
END_TEST

/* That is what the test above would see otherwise. */
START_TEST(a_store_that_does_not_tell_has_to_be_asked)
{
    start(0, "1h");
    put(&world.machines[0]);
    world_run(3000 * SECOND);
    ck_assert_int_eq(seen, 0);
    world_run(1200 * SECOND);
    ck_assert_int_eq(seen, 1);
    weir_sim_free(world.sim);
}
END_TEST

/* It is told of one change in a hundred, and asks now and then. */
START_TEST(what_is_not_told_is_found_out_all_the_same)
{
    start(10000, "0s");
    for (int i = 1; i < 10; i++) {
        put(&world.machines[0]);
        world_run(40 * SECOND);
        ck_assert_int_eq(seen, i);
    }
    weir_sim_free(world.sim);
}
END_TEST

START_TEST(a_node_that_is_told_asks_less)
{
    static const struct {
        uint32_t tells;
        uint64_t least;
        uint64_t most;
    } rounds[] = {{0, 500, 700}, {1000000, 10, 30}};

    for (size_t i = 0; i < 2; i++) {
        uint64_t before;

        start(rounds[i].tells, "0s");
        before = requests(&world.machines[1]);
        world_run(600 * SECOND);
        before = requests(&world.machines[1]) - before;
        ck_assert_uint_ge(before, rounds[i].least);
        ck_assert_uint_le(before, rounds[i].most);
        weir_sim_free(world.sim);
    }
}
END_TEST

static void fetch_done(struct weir_req *req, int status)
{
    *(int *)req->ctx = status == 0 ? 1 : status;
}

/* A reader waits for data of another node's stream, for ten minutes. */
START_TEST(a_reader_is_told_of_an_upload)
{
    struct machine *reader = &world.machines[1];
    uint64_t before;

    start(1000000, "1h");
    world.arg = 0;
    ck_assert_int_eq(machine_call(reader, machine_reader), 0);
    waiting = (struct weir_fetch){.req = {.done = fetch_done, .ctx = &over},
                                  .max_bytes = 100,
                                  .min_bytes = 1,
                                  .max_wait = (int64_t)(6000 * SECOND)};
    ck_assert_int_eq(weir_fetch(reader->readers[0], &waiting), 0);
    world_run(60 * SECOND);
    before = requests(reader);
    world_run(600 * SECOND);
    ck_assert_uint_le(requests(reader) - before, 30);
    ck_assert_int_eq(over, 0);
    machine_append(&world.machines[0], 0, 1);
    world_run(100 * SECOND);
    ck_assert_int_eq(over, 1);
    ck_assert_uint_eq(waiting.count, 1);
    weir_fetch_release(&waiting);
    weir_sim_free(world.sim);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("what a store tells");

    tcase_add_test(tc, a_change_is_seen_though_nobody_asks);
    tcase_add_test(tc, a_store_that_does_not_tell_has_to_be_asked);
    tcase_add_test(tc, what_is_not_told_is_found_out_all_the_same);
    tcase_add_test(tc, a_node_that_is_told_asks_less);
    tcase_add_test(tc, a_reader_is_told_of_an_upload);
    return test_run();
}
