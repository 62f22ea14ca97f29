/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retry.h"

enum { COST = 5, COST_OF_TIMEOUT = 10 };

/* One burst of refusals halves the limit once. */
#define BURST_NS UINT64_C(1000000000)

void weir__retry_init(struct weir__retry *retry)
{
    retry->tokens = WEIR__RETRY_BUDGET;
    retry->limit = retry->most * WEIR__RETRY_PART;
    retry->slowed = 0;
}

bool weir__retry_worth(int status)
{
    switch (status) {
    case WEIR_ETHROTTLED:
    case WEIR_EUNAVAILABLE:
    case WEIR_ETIMEDOUT:
    case WEIR_EUNKNOWN: /* A PUT that carries an id, so that it can be known. */
    case WEIR_ECORRUPT: /* On the way; what is stored has its own checksums. */
    case WEIR_EAGAIN:
        return true;
    default:
        return false;
    }
}

bool weir__retry_pay(struct weir__retry *retry, unsigned made, int status)
{
    unsigned cost = status == WEIR_ETIMEDOUT ? COST_OF_TIMEOUT : COST;

    if (made >= retry->attempts || retry->tokens < cost)
        return false;
    retry->tokens -= cost;
    return true;
}

uint64_t weir__retry_delay(struct weir__retry *retry, unsigned made)
{
    uint64_t bound = retry->first_delay;
    uint64_t draw;

    for (unsigned i = 1; i < made && bound < retry->most_delay; i++)
        bound *= 2;
    if (bound > retry->most_delay)
        bound = retry->most_delay;
    retry->env->ops->random(retry->env, &draw, sizeof(draw));
    return draw % (bound + 1);
}

void weir__retry_good(struct weir__retry *retry)
{
    if (retry->tokens < WEIR__RETRY_BUDGET)
        retry->tokens++;
    if (retry->limit < retry->most * WEIR__RETRY_PART)
        retry->limit++;
}

void weir__retry_slow(struct weir__retry *retry)
{
    uint64_t now = retry->env->ops->now(retry->env);

    if (retry->slowed != 0 && now - retry->slowed < BURST_NS)
        return;
    retry->slowed = now;
    retry->limit /= 2;
    if (retry->limit < WEIR__RETRY_PART)
        retry->limit = WEIR__RETRY_PART;
}

unsigned weir__retry_limit(const struct weir__retry *retry)
{
    return retry->limit / WEIR__RETRY_PART;
}
