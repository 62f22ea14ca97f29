/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * An environment for tests of the core, of a part or with a whole node: one
 * thread, a clock that jumps to the next timer when nothing else is to be
 * done, random numbers from a seed.  Takes no memory.
 */
#ifndef TESTS_SUPPORT_VIRTUAL_ENV_H
#define TESTS_SUPPORT_VIRTUAL_ENV_H

#include "support/host.h"

#include "base/timers.h"

struct virtual_env {
    struct weir_env base;
    struct weir_host host; /* Give this one to what is tested. */
    struct test_alloc alloc;
    struct weir_task *tasks;
    struct weir_task **tasks_end;
    struct weir__timers timers;
    uint64_t now;
    uint64_t random;
    int inside; /* 1: in the core. */
    int works;  /* What was given to workers so far. */
};

void virtual_env_init(struct virtual_env *env, uint64_t seed);
/** Run tasks and let time pass until `*flag` is set: 0, or -1 when there is
 * nothing left that could set it. */
int virtual_env_run(struct virtual_env *env, const int *flag);
/** Run one task: 1, or 0 when there is none. */
int virtual_env_step(struct virtual_env *env);
/** Run tasks, without letting time pass, until there are none. */
void virtual_env_settle(struct virtual_env *env);
/** Let time pass, and fire the timers that come due meanwhile. */
void virtual_env_sleep(struct virtual_env *env, uint64_t nanoseconds);
/** Run all tasks and timers, then fail the test if memory is in use. */
void virtual_env_close(struct virtual_env *env);

#endif
