/* SPDX-License-Identifier: Apache-2.0 */
/* What a node may use of memory is what its host has set, however long the
 * store is away.  Public headers only. */
#include "support/test.h"

#include <weir.h>
#include <weir/sim.h>

enum {
    MIB = 1 << 20,
    DISK = 64 * MIB,
    BATCH = 64 << 10,
    BATCHES = 1000,
    STREAMS = 8
};
#define SECOND ((uint64_t)1000000000)

/* `log_cache`, an object of all of it in the making, the other caches. */
enum { BUDGET = 4 * MIB, MOST = 2 * BUDGET + MIB };

static struct weir_sim *sim;
static struct weir_sim_node *node;
static struct weir *opened;
static struct weir_stream *streams[STREAMS];
static struct weir_append requests[BATCHES];
static unsigned char data[BATCH];
static unsigned done;

static void open_program(void *ctx)
{
    static const char *const names[STREAMS] = {"a", "b", "c", "d",
                                               "e", "f", "g", "h"};
    struct weir_config *config;
    const char *const pairs[][2] = {{"log_cache", "4MiB"},
                                    {"segment", "256KiB"},
                                    {"max_batch", "256KiB"},
                                    {"block_cache", "256KiB"},
                                    {"upload_bytes", "512KiB"}};

    (void)ctx;
    ck_assert_int_eq(weir_sim_config(&config, node), 0);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        ck_assert_int_eq(
            weir_config_set(config, pairs[i][0], pairs[i][1], NULL), 0);
    ck_assert_int_eq(weir_open(&opened, config, NULL), 0);
    for (int i = 0; i < STREAMS; i++) {
        struct weir_stream_open open = {.name = names[i],
                                        .flags = WEIR_STREAM_CREATE};

        ck_assert_int_eq(weir_stream_open_sync(opened, &open), 0);
        streams[i] = open.stream;
    }
}

static void appended(struct weir_req *req, int status)
{
    (void)req;
    done += status == 0;
}

/* Append to each stream in turn, more than there is room for. */
static void append_all(void)
{
    done = 0;
    for (int i = 0; i < BATCHES; i++) {
        requests[i] = (struct weir_append){.req = {.done = appended},
                                           .data = data,
                                           .len = sizeof(data),
                                           .count = 1,
                                           .max_timestamp = WEIR_NO_TIMESTAMP};
        ck_assert_int_eq(weir_append(streams[i % STREAMS], &requests[i]), 0);
        ck_assert_int_eq(weir_sim_run(sim, SECOND / 10), 0);
        ck_assert_uint_le(weir_sim_bytes(node), MOST);
    }
}

START_TEST(what_the_memory_has_no_room_for_is_refused_while_the_store_is_away)
{
    struct weir_sim_options options = {
        .size = sizeof(options), .seed = test_seed(), .limit = 36000 * SECOND};

    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    ck_assert_int_eq(weir_sim_node_new(&node, sim, 1, DISK), 0);
    ck_assert_int_eq(weir_sim_call(node, open_program, NULL), 0);
    weir_sim_cut(node, WEIR_SIM_CUT_REFUSES);
    append_all();
    ck_assert_uint_gt(done, MIB / BATCH);
    ck_assert_uint_lt(done, BUDGET / BATCH + 1);
    weir_sim_heal(node);
    ck_assert_int_eq(weir_sim_run(sim, 600 * SECOND), 0);
    append_all();
    ck_assert_uint_gt(done, 4 * BUDGET / BATCH);
    weir_sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim budget");

    tcase_add_test(
        tc, what_the_memory_has_no_room_for_is_refused_while_the_store_is_away);
    return test_run();
}
