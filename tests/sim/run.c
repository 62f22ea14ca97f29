/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run.h"

#include <stddef.h>
#include <string.h>

/* Wall clocks of nodes differ by as much at most. */
enum { SKEW_MS = 60000 };

const char *const run_fault_names[FAULTS] = {
    "store_down",  "store_throttle", "store_lost",    "store_unheard",
    "store_late",  "store_repeat",   "store_slow",    "store_corrupt",
    "store_stale", "store_cut",      "store_refused", "store_lost_race",
    "store_hot",   "disk_read",      "disk_write",    "disk_sync",
    "disk_garble", "disk_slow",      "disk_hang",     "memory",
    "crash",       "sleep",          "cut",
};

/* Where the world keeps a kind; none for what scenarios do themselves. */
#define NONE SIZE_MAX
static const size_t places[FAULTS] = {
    offsetof(struct weir_sim_faults, store_down),
    offsetof(struct weir_sim_faults, store_throttle),
    offsetof(struct weir_sim_faults, store_lost),
    offsetof(struct weir_sim_faults, store_unheard),
    offsetof(struct weir_sim_faults, store_late),
    offsetof(struct weir_sim_faults, store_repeat),
    offsetof(struct weir_sim_faults, store_slow),
    offsetof(struct weir_sim_faults, store_corrupt),
    offsetof(struct weir_sim_faults, store_stale),
    offsetof(struct weir_sim_faults, store_cut),
    offsetof(struct weir_sim_faults, store_refused),
    offsetof(struct weir_sim_faults, store_lost_race),
    offsetof(struct weir_sim_faults, store_hot),
    offsetof(struct weir_sim_faults, disk_read),
    offsetof(struct weir_sim_faults, disk_write),
    offsetof(struct weir_sim_faults, disk_sync),
    offsetof(struct weir_sim_faults, disk_garble),
    offsetof(struct weir_sim_faults, disk_slow),
    offsetof(struct weir_sim_faults, disk_hang),
    offsetof(struct weir_sim_faults, memory),
    NONE,
    NONE,
    NONE,
};

/* As FNV-1a, but for eight bytes at a time: each run hashes megabytes. */
uint64_t run_hash_line(uint64_t hash, const char *line)
{
    for (size_t left = strlen(line) + 1; left > 0;) {
        size_t len = left < sizeof(uint64_t) ? left : sizeof(uint64_t);
        uint64_t word = 0;

        memcpy(&word, line, len);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
        line += len;
        left -= len;
    }
    return hash;
}

const char *run_commit_timeout(uint64_t seed)
{
    static const char *const choice[] = {"1min", "2s", "20s", "0s"};

    return choice[seed % (sizeof(choice) / sizeof(choice[0]))];
}

int64_t run_latest_wall(struct weir_sim_node *node)
{
    struct weir_env *env = weir_sim_env(node);

    return env->ops->wall(env) + SKEW_MS;
}

const char *run_why_ended(const struct weir_sim *sim)
{
    const char *why = weir_sim_ended(sim);

    return why != NULL ? why : "nothing can happen any more";
}

uint32_t run_tells(uint64_t seed)
{
    static const uint32_t choice[] = {0, 1000000, 0, 0, 500000, 0};

    return choice[seed % (sizeof(choice) / sizeof(choice[0]))];
}

uint64_t run_store_time(uint64_t seed)
{
    static const uint64_t choice[] = {8000000, 400000, 30000000, 90000000};

    return choice[seed / 4 % (sizeof(choice) / sizeof(choice[0]))];
}

uint64_t run_disk_time(uint64_t seed)
{
    static const uint64_t choice[] = {200000, 20000, 8000000};

    return choice[seed / 16 % (sizeof(choice) / sizeof(choice[0]))];
}

void run_without(struct weir_sim_faults *faults, unsigned without)
{
    for (unsigned i = 0; i < FAULTS; i++)
        if ((without & (1u << i)) != 0 && places[i] != NONE)
            *(uint32_t *)(void *)((char *)faults + places[i]) = 0;
}

void run_count_faults(struct weir_sim *sim, struct run_result *result)
{
    const struct weir_sim_faults *seen = weir_sim_faults_seen(sim);

    for (unsigned i = 0; i < FAULTS; i++)
        if (places[i] != NONE)
            result->faults[i] += *(
                const uint32_t *)(const void *)((const char *)seen + places[i]);
}
