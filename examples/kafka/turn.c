/* SPDX-License-Identifier: Apache-2.0 */
#include "turn.h"

/* A try that fails late leaves the node under the next epoch, dead: the others'
 * turns begin anew, but not the waiting of the one that has tried.  Else it
 * would be first for ever. */
void turn_dead(struct turn *turn, uint64_t epoch, uint64_t round, uint64_t now)
{
    if (turn->epoch != epoch || turn->round + 1 != round) {
        turn->since = now;
        if (now >= turn->next + TURN_CALM)
            turn->tries = 0;
    }
    turn->epoch = epoch;
    turn->round = round;
}

static uint64_t delay(size_t rank)
{
    size_t far = rank < TURN_SERVERS ? rank : TURN_SERVERS;

    return far * TURN_TICKS + (rank - far);
}

bool turn_due(const struct turn *turn, size_t rank, uint64_t now)
{
    return now >= turn->next && now - turn->since >= delay(rank);
}

void turn_tried(struct turn *turn, uint64_t now)
{
    uint64_t wait = TURN_MOST;

    if (turn->tries < 5) /* 2, 4, 8, 16, 32 ... */
        wait = UINT64_C(2) << turn->tries++;
    turn->next = now + wait;
}
