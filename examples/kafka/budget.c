/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"

void budget_init(struct budget *budget, size_t limit)
{
    budget->used = 0;
    budget->limit = limit;
    budget->first = NULL;
    list_init(&budget->waiting);
}

bool budget_take(struct budget *budget, size_t bytes)
{
    if (budget->used > budget->limit || bytes > budget->limit - budget->used)
        return false;
    budget->used += bytes;
    return true;
}

void budget_force(struct budget *budget, size_t bytes)
{
    budget->used += bytes;
}

bool budget_take_or_wait(struct budget *budget, size_t bytes,
                         struct budget_wait *wait)
{
    if (budget_take(budget, bytes))
        return true;
    if (budget->first == NULL || budget->first == wait) {
        budget->first = wait;
        budget->used += bytes;
        return true;
    }
    list_remove(&wait->link);
    list_append(&budget->waiting, &wait->link);
    return false;
}

void budget_leave(struct budget *budget, struct budget_wait *wait)
{
    list_remove(&wait->link);
    if (budget->first == wait)
        budget->first = NULL;
}

void budget_give(struct budget *budget, size_t bytes)
{
    budget->used -= bytes;
}

void budget_wake(struct budget *budget)
{
    struct list now, *node;
    struct budget_wait *wait;

    if (list_empty(&budget->waiting) ||
        (budget->used >= budget->limit && budget->first != NULL))
        return;
    list_init(&now);
    list_take(&now, &budget->waiting);
    while ((node = list_pop(&now)) != NULL) {
        wait = container_of(node, struct budget_wait, link);
        wait->retry(wait);
    }
}
