/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Timers by deadline, for implementations of `weir_env`.  A pairing heap
 * through the timers themselves: starting one takes no memory, so it cannot
 * fail.
 */
#ifndef WEIR_BASE_TIMERS_H
#define WEIR_BASE_TIMERS_H

#include <weir/env.h>

/** Running timers.  Zero it before use. */
struct weir__timers {
    struct weir_timer *first; /* With the earliest deadline, or NULL. */
    uint64_t order; /* Of the last one started; equal deadlines fire in it. */
};

/** Start a timer, anew if it runs. */
void weir__timers_start(struct weir__timers *timers, struct weir_timer *timer);
/** Stop it; harmless when it does not run. */
void weir__timers_stop(struct weir__timers *timers, struct weir_timer *timer);
/** Take out the first timer that is due at `now` and was started no later
 * than the one of number `order`, or NULL. */
struct weir_timer *weir__timers_due(struct weir__timers *timers, uint64_t now,
                                    uint64_t order);

#endif
