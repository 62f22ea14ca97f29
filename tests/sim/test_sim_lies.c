/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that lies: it says that a write was done, and did not do it, or did
 * it in another place, or cannot read it later.  What it has lost nobody can
 * bring back; but nobody is given other bytes in its place, and what lies
 * before readable data is not passed over in silence. */
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { SEEDS = 120, APPENDS = 40 };
#define SECOND UINT64_C(1000000000)

static struct weir_sim *sim;
static struct weir_sim_node *machine;
static struct weir_config *config;
static struct weir *node;
static struct weir_stream *stream;
static uint64_t seed;
static uint64_t acked; /* Offsets below it were. */
static int opened;
static unsigned missed; /* Runs whose loss was told. */
static unsigned silent; /* Runs whose end was lost unseen. */

static void open_program(void *ctx)
{
    struct weir_stream_open open = {.name = "s", .flags = WEIR_STREAM_CREATE};

    (void)ctx;
    opened = weir_sim_config(&config, machine);
    if (opened == 0)
        opened = weir_config_set(config, "log_cache", "4MiB", NULL);
    if (opened == 0)
        opened = weir_config_set(config, "max_batch", "64KiB", NULL);
    if (opened == 0)
        opened = weir_config_set(config, "segment", "64KiB", NULL);
    if (opened == 0)
        opened = weir_open(&node, config, NULL);
    if (opened == 0)
        opened = weir_stream_open_sync(node, &open);
    stream = open.stream;
}

static void append_program(void *ctx)
{
    (void)ctx;
    for (acked = 0; acked < APPENDS; acked++) {
        uint64_t data[40];
        struct weir_append req = {.data = data,
                                  .len = sizeof(data),
                                  .count = 1,
                                  .max_timestamp = WEIR_NO_TIMESTAMP};

        for (size_t i = 0; i < 40; i++)
            data[i] = acked * 1000003u + seed;
        if (weir_append_sync(stream, &req) != 0)
            return;
        ck_assert_uint_eq(req.base_offset, acked);
    }
}

/* Each batch is what was appended there, or is said to be damaged. */
static void read_program(void *ctx)
{
    struct weir_stream_stat stat = {0};
    int told = 0;

    (void)ctx;
    ck_assert_int_eq(weir_stream_stat(stream, &stat), 0);
    for (uint64_t at = stat.start; at < stat.end; at++) {
        struct weir_fetch fetch = {.offset = at, .max_bytes = 1};
        int rc = weir_fetch_sync(stream, &fetch);

        if (rc == WEIR_ECORRUPT) {
            told = 1;
        } else {
            uint64_t want = at * 1000003u + seed;

            ck_assert_int_eq(rc, 0);
            ck_assert_uint_eq(fetch.batches[0].base_offset, at);
            ck_assert_msg(memcmp(fetch.batches[0].data, &want, 8) == 0,
                          "seed %" PRIu64 ": other bytes at %" PRIu64, seed,
                          at);
        }
        weir_fetch_release(&fetch);
    }
    missed += told != 0;
    silent += stat.end < acked;
}

enum lie { LIE_MISPLACED, LIE_LOST, LIE_LATENT, LIES };

static void tell_lies(enum lie lie)
{
    struct weir_sim_faults *faults = weir_sim_faults(sim);

    if (lie == LIE_MISPLACED)
        faults->disk_misplaced = 40000;
    else if (lie == LIE_LOST)
        faults->disk_lost = 40000;
    else
        faults->disk_latent = 60; /* The whole log is written once. */
}

static void run_seed(uint64_t number, enum lie lie)
{
    struct weir_sim_options options = {
        .size = sizeof(options), .seed = number, .limit = 3600 * SECOND};

    seed = number;
    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    ck_assert_int_eq(weir_sim_node_new(&machine, sim, 1, 8 << 20), 0);
    ck_assert_int_eq(weir_sim_call(machine, open_program, NULL), 0);
    ck_assert_int_eq(opened, 0);
    tell_lies(lie);
    ck_assert_int_eq(weir_sim_call(machine, append_program, NULL), 0);
    *weir_sim_faults(sim) = (struct weir_sim_faults){0};
    weir_sim_crash(machine);
    weir_sim_start(machine);
    ck_assert_int_eq(weir_sim_call(machine, open_program, NULL), 0);
    if (opened == 0)
        ck_assert_int_eq(weir_sim_call(machine, read_program, NULL), 0);
    else
        missed++;
    weir_sim_free(sim);
}

START_TEST(what_a_lying_disk_loses_is_told_and_never_replaced)
{
    missed = silent = 0;
    for (uint64_t i = 0; i < SEEDS; i++)
        run_seed(test_seed() + i, (enum lie)_i);
    printf("%u losses told, %u ends lost unseen, of %d runs\n", missed, silent,
           SEEDS);
    fflush(stdout);
    ck_assert_uint_gt(missed, 0);
    if (_i == LIE_LATENT) /* What cannot be read is not taken for an end. */
        ck_assert_uint_eq(silent, 0);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim lies");

    tcase_add_loop_test(tc, what_a_lying_disk_loses_is_told_and_never_replaced,
                        0, LIES);
    return test_run();
}
