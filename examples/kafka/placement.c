/* SPDX-License-Identifier: Apache-2.0 */
#include "placement.h"

/* Mixes well: the last step of splitmix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t rank(uint64_t seed, size_t partition, int32_t server)
{
    return mix(mix(seed + partition) ^
               mix((uint64_t)(uint32_t)server * UINT64_C(0x9e3779b97f4a7c15)));
}

/* The highest in rank that has room. */
static size_t choose(uint64_t seed, size_t partition, const int32_t *servers,
                     size_t count, const size_t *load, size_t most)
{
    size_t best = count, i;
    uint64_t high = 0, r;

    for (i = 0; i < count; i++) {
        if (load[i] >= most)
            continue;
        r = rank(seed, partition, servers[i]);
        if (best == count || r > high) {
            best = i;
            high = r;
        }
    }
    return best;
}

void placement_make(uint64_t seed, const int32_t *servers, size_t count,
                    int32_t *leaders, size_t partitions, size_t *load)
{
    size_t least = partitions / count, more = partitions % count, p, at;

    for (at = 0; at < count; at++)
        load[at] = 0;
    for (p = 0; p < partitions; p++) {
        /* `more` servers have one partition above the others. */
        at = choose(seed, p, servers, count, load, least + (more > 0));
        leaders[p] = servers[at];
        load[at]++;
        if (load[at] > least)
            more--;
    }
}
