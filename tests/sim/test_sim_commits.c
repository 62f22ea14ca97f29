/* SPDX-License-Identifier: Apache-2.0 */
/* Many nodes that commit at once: all come to their turn, and few requests are
 * made for each commit. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { MANY = 16, EACH = 30, DISK = 4 << 20 };
#define SECOND UINT64_C(1000000000)

/** A node, and the key that it sets again and again. */
struct committer {
    struct weir_sim_node *machine;
    struct weir *node;
    struct weir_kv_put put;
    char key[16];
    int left;
    uint64_t done;
    uint64_t since;   /* Of the last one that was done. */
    uint64_t longest; /* Without one. */
};

static struct committer committers[MANY];
static struct weir_sim *sim;

static void open_node(void *ctx)
{
    struct committer *c = ctx;
    struct weir_config *config;

    ck_assert_int_eq(weir_sim_config(&config, c->machine), 0);
    ck_assert_int_eq(weir_config_set(config, "log_cache", "4MiB", NULL), 0);
    ck_assert_int_eq(weir_open(&c->node, config, NULL), 0);
    weir_config_free(config);
}

static void make_world(int nodes)
{
    struct weir_sim_options options = {
        .size = sizeof(options), .seed = test_seed(), .limit = 36000 * SECOND};

    memset(committers, 0, sizeof(committers));
    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    for (int i = 0; i < nodes; i++) {
        struct committer *c = &committers[i];

        snprintf(c->key, sizeof(c->key), "key-%d", i);
        ck_assert_int_eq(
            weir_sim_node_new(&c->machine, sim, (uint32_t)i + 1, DISK), 0);
        ck_assert_int_eq(weir_sim_call(c->machine, open_node, c), 0);
    }
}

static void put_next(struct committer *c);

static void put_done(struct weir_req *req, int status)
{
    struct committer *c = req->ctx;
    uint64_t now = weir_sim_now(sim);

    ck_assert_int_eq(status, 0);
    if (now - c->since > c->longest)
        c->longest = now - c->since;
    c->since = now;
    c->done++;
    if (--c->left > 0)
        put_next(c);
}

static void put_next(struct committer *c)
{
    c->put = (struct weir_kv_put){.req = {.done = put_done, .ctx = c},
                                  .key = c->key,
                                  .value = "value",
                                  .len = 5,
                                  .expected = WEIR_KV_ANY};
    ck_assert_int_eq(weir_kv_put(c->node, &c->put), 0);
}

static void start(int i, int count)
{
    committers[i].left = count;
    committers[i].since = weir_sim_now(sim);
    put_next(&committers[i]);
}

static void run_until_done(int first, int nodes, uint64_t seconds)
{
    for (uint64_t s = 0; s < 10 * seconds; s++) {
        int left = 0;

        for (int i = first; i < nodes; i++)
            left += committers[i].left;
        if (left == 0)
            return;
        ck_assert_int_eq(weir_sim_run(sim, SECOND / 10), 0);
    }
    ck_abort_msg("not done after %llu s", (unsigned long long)seconds);
}

/* The one that has not ended yet among them. */
static uint64_t longest_wait(const struct committer *c)
{
    uint64_t now = weir_sim_now(sim);

    return c->left > 0 && now - c->since > c->longest ? now - c->since
                                                      : c->longest;
}

static uint64_t requests;

static void count(void *ctx)
{
    struct committer *c = ctx;
    struct weir_stats stats;

    ck_assert_int_eq(weir_stats_sync(c->node, &stats), 0);
    requests += stats.store_puts + stats.store_gets + stats.store_lists;
}

static uint64_t count_all(int nodes)
{
    requests = 0;
    for (int i = 0; i < nodes; i++)
        ck_assert_int_eq(
            weir_sim_call(committers[i].machine, count, &committers[i]), 0);
    return requests;
}

/* Each of 16 has to know what the 15 others have committed; the more so that
 * not each of them reads each commit. */
START_TEST(many_nodes_commit_with_few_requests)
{
    uint64_t before;

    make_world(MANY);
    before = count_all(MANY);
    for (int i = 0; i < MANY; i++)
        start(i, EACH);
    run_until_done(0, MANY, 120);
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(committers[i].done, EACH);
    ck_assert_uint_lt(count_all(MANY) - before, (uint64_t)10 * MANY * EACH);
    weir_sim_free(sim);
}
END_TEST

/* One node commits without a pause, for ever; others now and then. */
START_TEST(who_commits_without_a_pause_lets_others_in)
{
    make_world(4);
    start(0, 1 << 30);
    for (int round = 0; round < 5; round++) {
        for (int i = 1; i < 4; i++)
            start(i, 3);
        run_until_done(1, 4, 60);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_uint_lt(longest_wait(&committers[i]), 20 * SECOND);
    weir_sim_free(sim);
}
END_TEST

/* A node that opens has to commit that, and has never committed before. */
START_TEST(a_node_opens_while_others_commit_without_a_pause)
{
    uint64_t began;

    make_world(4);
    for (int i = 0; i < 3; i++)
        start(i, 1 << 30);
    for (int i = 0; i < 5; i++) {
        weir_sim_crash(committers[3].machine);
        ck_assert_int_eq(weir_sim_run(sim, SECOND), 0);
        weir_sim_start(committers[3].machine);
        began = weir_sim_now(sim);
        ck_assert_int_eq(
            weir_sim_call(committers[3].machine, open_node, &committers[3]), 0);
        ck_assert_uint_lt(weir_sim_now(sim) - began, 10 * SECOND);
    }
    weir_sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim commits");

    tcase_add_test(tc, many_nodes_commit_with_few_requests);
    tcase_add_test(tc, who_commits_without_a_pause_lets_others_in);
    tcase_add_test(tc, a_node_opens_while_others_commit_without_a_pause);
    return test_run();
}
