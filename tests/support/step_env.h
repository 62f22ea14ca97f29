/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * An environment without threads: tasks run in the order of their posting,
 * the clock moves only to the next timer, random numbers come from a seed.
 */
#ifndef TESTS_SUPPORT_STEP_ENV_H
#define TESTS_SUPPORT_STEP_ENV_H

#include <weir/env.h>

#define STEP_ENV_TIMERS 16

struct step_env {
    struct weir_env env; /* Give this one to what is tested. */
    struct weir_task *first;
    struct weir_task *last;
    struct weir_timer *timers[STEP_ENV_TIMERS];
    uint64_t now;
    uint64_t random;
};

void step_env_init(struct step_env *env, uint64_t seed);
/** Run tasks until none is left; no timer fires. */
void step_env_settle(struct step_env *env);
/** Move the clock by `ns`, firing what is due, and settle. */
void step_env_advance(struct step_env *env, uint64_t ns);

#endif
