/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

/* A counter with a golden-ratio step, and a mixing of its bits that maps each
 * value to another one: every 64-bit number comes once in a period. */
uint64_t weir__sim_random_next(struct sim_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void weir__sim_random_init(struct sim_random *random, uint64_t seed,
                           uint64_t use)
{
    /* Seeds that are near each other must not give runs that are. */
    random->state = seed;
    random->state = weir__sim_random_next(random) ^ use * 0xd6e8feb86659fd93u;
    random->state = weir__sim_random_next(random);
}

uint64_t weir__sim_random_below(struct sim_random *random, uint64_t n)
{
    /* The bias is n in 2^64. */
    return n > 0 ? weir__sim_random_next(random) % n : 0;
}

int weir__sim_random_chance(struct sim_random *random, uint32_t millionths)
{
    return weir__sim_random_below(random, 1000000) < millionths;
}

uint64_t weir__sim_random_time(struct sim_random *random, uint64_t typical)
{
    uint64_t time = typical / 2 + weir__sim_random_below(random, typical);

    /* Twice as long with a chance of one in four, and so on. */
    while (time < typical << 10 && weir__sim_random_below(random, 4) == 0)
        time *= 2;
    return time;
}

int weir__sim_fault(struct sim_random *random, uint32_t millionths,
                    uint32_t *seen)
{
    if (!weir__sim_random_chance(random, millionths))
        return 0;
    ++*seen;
    return 1;
}
