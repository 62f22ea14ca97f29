/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * When a request to a remote store is tried again, and how many may be under
 * way at one time.  A policy, without I/O: one for all requests of a store.
 *
 * - Between two attempts lies a random time up to a bound that doubles ("full
 *   jitter": AWS Architecture Blog, "Exponential Backoff And Jitter"), so
 *   that clients that failed together do not come back together.
 * - Attempts after the first are paid from a budget that successes refill.
 *   When a store is down, a node asks a little more than once for what it
 *   wants, not `attempts` times.
 * - A store that asks to slow down gets half as many requests at one time; each
 *   success gives a part of one back.
 */
#ifndef WEIR_STORE_RETRY_H
#define WEIR_STORE_RETRY_H

#include <stdbool.h>
#include <weir/env.h>

struct weir__retry {
    struct weir_env *env;
    uint64_t first_delay; /* Nanoseconds; bound of the first wait. */
    uint64_t most_delay;
    unsigned attempts; /* Of one request, at most. */
    unsigned most;     /* Requests at one time, at most. */

    unsigned tokens; /* What is left of the budget. */
    unsigned limit;  /* Requests at one time, in parts of WEIR__RETRY_PART. */
    uint64_t slowed; /* When the limit was last halved. */
};

enum { WEIR__RETRY_PART = 16, WEIR__RETRY_BUDGET = 500 };

/** Fill in the second group; the first is set. */
void weir__retry_init(struct weir__retry *retry);

/** May what ended with `status` go well if it is done again? */
bool weir__retry_worth(int status);

/** Pay for an attempt after `made` of them that ended with `status`.  false:
 * there were enough, or the budget is spent. */
bool weir__retry_pay(struct weir__retry *retry, unsigned made, int status);

/** Nanoseconds to wait after `made` attempts. */
uint64_t weir__retry_delay(struct weir__retry *retry, unsigned made);

/** An attempt went well. */
void weir__retry_good(struct weir__retry *retry);

/** The store asked to slow down. */
void weir__retry_slow(struct weir__retry *retry);

/** Requests that may be under way now: 1 to `most`. */
unsigned weir__retry_limit(const struct weir__retry *retry);

#endif
