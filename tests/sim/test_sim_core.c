/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster.h"
#include "sim/scenario.h"
#include "support/test.h"

#include <inttypes.h>
#include <time.h>

/* So many seeds, or fewer if the machine is slow; one is always run.  A world
 * has one thread: ThreadSanitizer finds no more in many of them, and makes each
 * take many times as long. */
#ifdef __SANITIZE_THREAD__
enum { SEEDS = 50, SECONDS = 20, FIXED = 20, TWICE = 4, CLUSTERS = 10 };
#else
enum { SEEDS = 150, SECONDS = 20, FIXED = 20, TWICE = 20, CLUSTERS = 50 };
#endif

static void run_seed(uint64_t seed)
{
    struct run_options options = {.seed = seed};
    struct run_result r;

    if (scenario_run(&options, &r) != 0)
        ck_abort_msg("seed %" PRIu64 ": %s (repeat with WEIR_SEED=%" PRIu64
                     ", or build/weir-sim --seed %" PRIu64 " --trace)",
                     seed, r.failure, seed, seed);
}

START_TEST(whatever_fails_acknowledged_batches_stay_and_nothing_is_invented)
{
    time_t end = time(NULL) + SECONDS;
    uint64_t seed = test_seed();
    int i;

    for (i = 0; i < SEEDS && (i == 0 || time(NULL) < end); i++)
        run_seed(i < FIXED && i > 0 ? (uint64_t)i : seed + (uint64_t)i);
}
END_TEST

START_TEST(whatever_fails_in_a_cluster_acknowledged_batches_stay)
{
    uint64_t seed = test_seed();

    for (int i = 0; i < CLUSTERS; i++) {
        struct run_options options = {.seed = seed + (uint64_t)i};
        struct run_result r;

        if (cluster_run(&options, &r) != 0)
            ck_abort_msg("seed %" PRIu64 ": %s (build/weir-sim --kind cluster "
                         "--seed %" PRIu64 " --trace)",
                         options.seed, r.failure, options.seed);
    }
}
END_TEST

START_TEST(the_same_seed_gives_the_same_run_of_the_core)
{
    struct run_result a;
    struct run_result b;
    uint64_t seed = test_seed();
    int i;

    for (i = 0; i < TWICE; i++) {
        struct run_options options = {.seed = seed + (uint64_t)i};

        scenario_run(&options, &a);
        scenario_run(&options, &b);
        ck_assert_uint_eq(a.trace_hash, b.trace_hash);
        cluster_run(&options, &a);
        cluster_run(&options, &b);
        ck_assert_uint_eq(a.trace_hash, b.trace_hash);
    }
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim core");

    tcase_add_test(
        tc, whatever_fails_acknowledged_batches_stay_and_nothing_is_invented);
    tcase_add_test(tc, whatever_fails_in_a_cluster_acknowledged_batches_stay);
    tcase_add_test(tc, the_same_seed_gives_the_same_run_of_the_core);
    return test_run();
}
