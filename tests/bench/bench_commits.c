/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the manifest takes commits: of one node, and of 16 that all commit
 * at once, in turns on the same store.  A commit is one key that is set; each
 * node has some under way.
 *
 *     bench_commits STORE [KEY=VALUE]...
 *     bench_commits sim: [SEED]
 *
 * The second is in a simulated world, where a PUT takes 8 ms and a GET 3 ms in
 * the middle, and computing nothing: what the protocol costs by itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir.h>
#include <weir/sim.h>

enum { NODES = 16, DEPTH_MAX = 8, ROUNDS = 5, REAL_ROUNDS = 3 };
#define ROUND_NS UINT64_C(3000000000)

/** A key that is set again and again. */
struct slot {
    struct weir_kv_put put;
    struct runner *runner;
    char key[32];
};

/** A node, and what it has under way. */
struct runner {
    struct weir *node;
    struct weir_sim_node *machine;
    struct slot slots[DEPTH_MAX];
    uint64_t done; /* Atomic, as all that callbacks touch. */
    int under_way;
    int stop;
};

static struct weir_error error;
static struct runner runners[NODES];
static struct weir_sim *world; /* NULL: the real one. */

static void ok(const char *what, int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_commits: %s: %s\n", what,
            error.text[0] != '\0' ? error.text : weir_error_name(rc));
    exit(EXIT_FAILURE);
}

static uint64_t now(void)
{
    struct timespec t;

    if (world != NULL)
        return weir_sim_now(world);
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pass(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    if (world != NULL)
        ok("run", weir_sim_run(world, ns));
    else
        nanosleep(&t, NULL);
}

static void put_next(struct slot *slot);

static void put_done(struct weir_req *req, int status)
{
    struct slot *slot = req->ctx;
    struct runner *r = slot->runner;

    ok("put", status);
    __atomic_add_fetch(&r->done, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE) == 0)
        put_next(slot);
    else
        __atomic_sub_fetch(&r->under_way, 1, __ATOMIC_RELEASE);
}

static void put_next(struct slot *slot)
{
    slot->put = (struct weir_kv_put){.req = {.done = put_done, .ctx = slot},
                                     .key = slot->key,
                                     .value = "value",
                                     .len = 5,
                                     .expected = WEIR_KV_ANY};
    ok("put", weir_kv_put(slot->runner->node, &slot->put));
}

static void start(struct runner *r, int depth)
{
    r->stop = 0;
    r->done = 0;
    r->under_way = depth;
    for (int i = 0; i < depth; i++)
        put_next(&r->slots[i]);
}

static void finish(struct runner *r)
{
    while (__atomic_load_n(&r->under_way, __ATOMIC_ACQUIRE) > 0)
        pass(1000000);
}

/* The newest version that the first node has heard of. */
static uint64_t seen;

static void look(void *ctx)
{
    struct weir_stream_stat stream;
    struct weir_stream_list list = {
        .req.err = &error, .out = &stream, .limit = 1};
    struct weir_node_stat stat;

    (void)ctx;
    ok("list", weir_stream_list_sync(runners[0].node, &list));
    ok("stat", weir_node_stat_sync(runners[0].node, &stat));
    seen = stat.manifest_version;
}

/* Requests to the store of all nodes so far. */
static uint64_t requests;

static void count(void *ctx)
{
    struct runner *r = ctx;
    struct weir_stats stats;

    ok("stats", weir_stats_sync(r->node, &stats));
    requests += stats.store_puts + stats.store_gets + stats.store_lists;
}

static uint64_t count_all(void)
{
    requests = 0;
    for (int i = 0; i < NODES; i++)
        if (world != NULL)
            ok("count", weir_sim_call(runners[i].machine, count, &runners[i]));
        else
            count(&runners[i]);
    return requests;
}

static uint64_t version(void)
{
    if (world != NULL)
        ok("look", weir_sim_call(runners[0].machine, look, NULL));
    else
        look(NULL);
    return seen;
}

/** Rates of one round. */
struct rates {
    double puts;    /* Keys set, a second. */
    double commits; /* Versions of the manifest, a second. */
    double least;   /* Keys set by the node that came to least. */
    double cost;    /* Requests for each version. */
};

/* Each node sets a key: it has read then what the others have written. */
static void catch_up(int nodes)
{
    for (int i = 0; i < nodes; i++) {
        start(&runners[i], 1);
        __atomic_store_n(&runners[i].stop, 1, __ATOMIC_RELEASE);
        finish(&runners[i]);
    }
}

static struct rates run(int nodes, int depth)
{
    struct rates rates = {0, 0, 1e18, 0};
    uint64_t before, asked, began;
    double seconds;

    catch_up(nodes);
    before = version();
    asked = count_all();
    began = now();
    for (int i = 0; i < nodes; i++)
        start(&runners[i], depth);
    pass(ROUND_NS);
    for (int i = 0; i < nodes; i++)
        __atomic_store_n(&runners[i].stop, 1, __ATOMIC_RELEASE);
    /* What is under way then is not counted: fewer and fewer are at it. */
    seconds = (double)(now() - began) / 1e9;
    for (int i = 0; i < nodes; i++) {
        double own =
            (double)__atomic_load_n(&runners[i].done, __ATOMIC_RELAXED) /
            seconds;

        rates.puts += own;
        rates.least = own < rates.least ? own : rates.least;
    }
    rates.cost = (double)(count_all() - asked);
    rates.commits = (double)(version() - before);
    rates.cost /= rates.commits;
    rates.commits /= seconds;
    for (int i = 0; i < nodes; i++)
        finish(&runners[i]);
    return rates;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void compare(int depth)
{
    double puts[ROUNDS] = {0}, commits[ROUNDS] = {0};
    struct rates one = {0}, all = {0};
    int rounds = world != NULL ? ROUNDS : REAL_ROUNDS;

    for (int i = 0; i < rounds; i++) {
        one = run(1, depth);
        all = run(NODES, depth);
        puts[i] = all.puts / one.puts;
        commits[i] = all.commits / one.commits;
    }
    qsort(puts, (size_t)rounds, sizeof(puts[0]), by_value);
    qsort(commits, (size_t)rounds, sizeof(commits[0]), by_value);
    printf("%2d under way each: one node %6.0f commits/s, %d nodes %6.0f (the "
           "slowest node %.1f, %.1f requests each): %.2f (%.2f to %.2f)   "
           ">= 0.70\n",
           depth, one.commits, NODES, all.commits, all.least, all.cost,
           commits[rounds / 2], commits[0], commits[rounds - 1]);
    printf("%19s keys set: %6.0f and %6.0f a second: %.2f (%.2f to %.2f)\n", "",
           one.puts, all.puts, puts[rounds / 2], puts[0], puts[rounds - 1]);
    fflush(stdout);
}

static void set(struct weir_config *config, const char *key, const char *value)
{
    ok(key, weir_config_set(config, key, value, &error));
}

static void set_pair(struct weir_config *config, const char *pair)
{
    size_t len = strcspn(pair, "=");
    char key[64];

    if (pair[len] == '\0' || len >= sizeof(key))
        ok(pair, WEIR_EINVAL);
    snprintf(key, sizeof(key), "%.*s", (int)len, pair);
    set(config, key, pair + len + 1);
}

static void open_real(int i, char *const *argv)
{
    struct weir_config *config;
    char id[16];

    ok("configure", weir_config_new(&config, NULL));
    snprintf(id, sizeof(id), "%d", i + 1);
    set(config, "node_id", id);
    set(config, "driver", "true");
    set(config, "workers", "1");
    set(config, "store", argv[1]);
    for (int j = 2; argv[j] != NULL; j++)
        set_pair(config, argv[j]);
    ok("open", weir_open(&runners[i].node, config, &error));
    weir_config_free(config);
}

static void open_simulated(void *ctx)
{
    struct runner *r = ctx;
    struct weir_config *config;

    ok("configure", weir_sim_config(&config, r->machine));
    set(config, "log_cache", "4MiB");
    ok("open", weir_open(&r->node, config, &error));
    weir_config_free(config);
}

static void make_world(const char *seed)
{
    struct weir_sim_options options = {
        .size = sizeof(options),
        .seed = seed != NULL ? strtoull(seed, NULL, 10) : 1,
        .limit = UINT64_C(3600000000000)};

    ok("world", weir_sim_new(&world, &options));
    for (unsigned i = 0; i < NODES; i++) {
        ok("node",
           weir_sim_node_new(&runners[i].machine, world, i + 1, 4u << 20));
        ok("open",
           weir_sim_call(runners[i].machine, open_simulated, &runners[i]));
    }
}

static void name_slots(void)
{
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < DEPTH_MAX; j++) {
            struct slot *slot = &runners[i].slots[j];

            slot->runner = &runners[i];
            snprintf(slot->key, sizeof(slot->key), "bench/%d/%d", i, j);
        }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_commits STORE [KEY=VALUE]...\n");
        return 2;
    }
    name_slots();
    if (strcmp(argv[1], "sim:") == 0)
        make_world(argv[2]);
    for (int i = 0; i < NODES && world == NULL; i++)
        open_real(i, argv);
    compare(1);
    compare(DEPTH_MAX);
    for (int i = 0; i < NODES && world == NULL; i++)
        weir_free(runners[i].node);
    weir_sim_free(world);
    return 0;
}
