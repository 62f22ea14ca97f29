/* SPDX-License-Identifier: Apache-2.0 */
/* A backend of one's own in the simulated world: the object store of
 * examples/custom_store.c, which two nodes share while they crash. */
#include "support/own.h"
#include "support/test.h"

#include <weir.h>
#include <weir/sim.h>

enum { DISK = 5 << 20, NODES = 2, ROUNDS = 20 };
#define SECOND ((uint64_t)1000000000)

static struct weir_sim *sim;
static struct weir_sim_node *nodes[NODES];
static own_bucket bucket;
static uint64_t told; /* Offsets below it were acknowledged. */
static int result;

static int open_node(struct weir_sim_node *node, unsigned flags,
                     struct weir **out, struct weir_stream **stream)
{
    struct weir_stream_open open = {.name = "s", .flags = flags};
    struct weir_config *config;
    int rc = weir_sim_config(&config, node);

    if (rc == 0)
        rc = weir_config_add_store(config, "shared", own_store_open, &bucket);
    if (rc == 0)
        rc = weir_config_set(config, "store", "shared:", NULL);
    if (rc == 0)
        rc = weir_config_set(config, "upload_interval", "10ms", NULL);
    if (rc == 0)
        rc = weir_open(out, config, NULL);
    if (rc == 0)
        rc = weir_stream_open_sync(*out, &open);
    *stream = open.stream;
    return rc;
}

/* Append until somebody pulls the plug. */
static void writer(void *ctx)
{
    struct weir_append append = {.data = "record", .len = 6, .count = 1};
    struct weir_stream *stream = NULL;
    struct weir *node = NULL;

    (void)ctx;
    result = open_node(nodes[0], WEIR_STREAM_CREATE, &node, &stream);
    while (result == 0) {
        result = weir_append_sync(stream, &append);
        if (result == 0)
            told = append.base_offset + 1;
    }
}

static void flush(void *ctx)
{
    struct weir_flush request = {.req = {.done = NULL}};
    struct weir_stream *stream = NULL;
    struct weir *node = NULL;

    (void)ctx;
    result = open_node(nodes[0], WEIR_STREAM_CREATE, &node, &stream);
    if (result == 0)
        result = weir_flush_sync(node, &request);
    weir_free(node);
}

static void reader(void *ctx)
{
    struct weir_fetch fetch = {.max_bytes = 1 << 20};
    struct weir_stream *stream = NULL;
    struct weir *node = NULL;

    result = open_node(nodes[1], WEIR_STREAM_READ, &node, &stream);
    do {
        if (result == 0)
            result = weir_fetch_sync(stream, &fetch);
        for (size_t i = 0; result == 0 && i < fetch.count; i++)
            ck_assert_uint_eq(fetch.batches[i].base_offset, fetch.offset++);
        weir_fetch_release(&fetch);
    } while (result == 0 && fetch.offset < fetch.end);
    *(uint64_t *)ctx = fetch.offset;
    weir_free(node);
}

static void pull_the_plug(struct weir_timer *timer)
{
    (void)timer;
    weir_sim_crash(nodes[0]);
}

START_TEST(a_store_of_ones_own_runs_in_the_world)
{
    struct weir_sim_options options = {
        .size = sizeof(options), .seed = test_seed(), .limit = 3600 * SECOND};
    uint64_t found = 0;

    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    for (uint32_t i = 0; i < NODES; i++)
        ck_assert_int_eq(weir_sim_node_new(&nodes[i], sim, i + 1, DISK), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct weir_timer timer = {.fire = pull_the_plug};

        timer.deadline = weir_sim_now(sim) + weir_sim_below(sim, SECOND / 5);
        weir_sim_at(sim, &timer);
        ck_assert_int_eq(weir_sim_call(nodes[0], writer, NULL), WEIR_ECANCELED);
        weir_sim_start(nodes[0]);
    }
    ck_assert_int_eq(weir_sim_call(nodes[0], flush, NULL), 0);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(weir_sim_call(nodes[1], reader, &found), 0);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_gt(told, 0);
    ck_assert_uint_ge(found, told);
    weir_sim_free(sim);
    own_bucket_clear(&bucket);
}
END_TEST

int main(void)
{
    tcase_add_test(test_case("sim own"), a_store_of_ones_own_runs_in_the_world);
    return test_run();
}
