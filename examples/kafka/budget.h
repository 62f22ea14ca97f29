/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A budget of memory that many share, and the queue of those who wait for it.
 */
#ifndef KAFKA_BUDGET_H
#define KAFKA_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "list.h"

/** Somebody who may wait.  `link` is to be initialised with list_init. */
struct budget_wait {
    struct list link;
    void (*retry)(struct budget_wait *wait);
};

/** A budget. */
struct budget {
    size_t used, limit;
    struct list waiting;       /* Of struct budget_wait. */
    struct budget_wait *first; /* May overdraw: see budget_take_or_wait. */
};

void budget_init(struct budget *budget, size_t limit);

/** Take `bytes` if that much is left. */
bool budget_take(struct budget *budget, size_t bytes);

/** Take `bytes` even if that overdraws: they are in use already. */
void budget_force(struct budget *budget, size_t bytes);

/**
 * Take `bytes`, or be called again when some were given back.
 *
 * Half-read requests could together spend the budget so that none of them
 * can ever be completed.  So one at a time may overdraw it, until it says
 * `budget_leave`.
 */
bool budget_take_or_wait(struct budget *budget, size_t bytes,
                         struct budget_wait *wait);

/** Do not wait any more, and give up the right to overdraw. */
void budget_leave(struct budget *budget, struct budget_wait *wait);

/** Give `bytes` back. */
void budget_give(struct budget *budget, size_t bytes);

/** Let those retry who wait, if there is something to be had. */
void budget_wake(struct budget *budget);

#endif
