/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/shortest.h"

/* Halving an unsigned number takes no more. */
enum { HALVES = 32 };

/* Those that halving has found not to fail, from few steps to many. */
struct passed {
    unsigned steps[HALVES];
    unsigned count;
};

static int run(struct shortest *s, unsigned steps)
{
    s->runs++;
    if (!s->fails(s->ctx, steps))
        return 0;
    s->steps = steps;
    return 1;
}

static void halve(struct shortest *s, struct passed *passed)
{
    unsigned below = 0;

    while (s->steps - below > 1 && s->runs < s->most) {
        unsigned middle = below + (s->steps - below) / 2;

        if (!run(s, middle))
            passed->steps[passed->count++] = below = middle;
    }
}

void shortest_find(struct shortest *s)
{
    struct passed passed = {.count = 0};
    unsigned next = 0; /* Of those that passed. */
    unsigned at = 1;

    s->runs = 0;
    halve(s, &passed);
    for (; at < s->steps; at++) {
        if (next < passed.count && passed.steps[next] == at)
            next++;
        else if (s->runs == s->most || run(s, at))
            break;
    }
    s->exact = at == s->steps;
}
