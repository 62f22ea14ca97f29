/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/machines.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

enum { DISK = 5 << 20, POOL = 8000 };

#define SETTINGS                                                               \
    {                                                                          \
        .lease = "10s", .upload_interval = "10s", .log_cache = "4MiB",         \
        .follow = "0s"                                                         \
    }

struct world world = SETTINGS;

static const char *name_of_next; /* Its node id; NULL: its own. */

/* One for each append of a life; none is used twice. */
static struct appended pool[POOL];
static size_t pool_used;

void world_open(uint64_t number)
{
    struct weir_sim_options options = {
        .size = sizeof(options), .seed = number, .limit = 36000 * SECOND};

    world.seed = number;
    memset(world.machines, 0, sizeof(world.machines));
    pool_used = 0;
    ck_assert_int_eq(weir_sim_new(&world.sim, &options), 0);
    for (uint32_t i = 0; i < NODES; i++)
        ck_assert_int_eq(
            weir_sim_node_new(&world.machines[i].sim, world.sim, i + 1, DISK),
            0);
}

void world_close(void)
{
    weir_sim_free(world.sim);
    world = (struct world)SETTINGS;
}

void world_run(uint64_t ns)
{
    ck_assert_int_eq(weir_sim_run(world.sim, ns), 0);
}

/* ---- Programs of a node -------------------------------------------------- */

/* NULL: it stays as it is. */
static void set(struct machine *m, const char *key, const char *value)
{
    if (m->status == 0 && value != NULL)
        m->status = weir_config_set(m->config, key, value, NULL);
}

static void start_program(void *ctx)
{
    struct machine *m = ctx;

    m->status = weir_sim_config(&m->config, m->sim);
    set(m, "node_id", name_of_next);
    set(m, "lease", world.lease);
    set(m, "wal", world.wal);
    set(m, "upload_interval", world.upload_interval);
    set(m, "follow", world.follow);
    set(m, "log_cache", world.log_cache);
    set(m, "segment", "64KiB");
    set(m, "max_batch", "64KiB");
    if (m->status == 0)
        m->status = weir_open(&m->node, m->config, NULL);
    if (m->status == 0) {
        struct weir_node_stat stat;

        weir_node_stat_sync(m->node, &stat);
        m->epoch = stat.epoch;
    }
}

/* 0, or why the program did not run to its end. */
int machine_call(struct machine *m, void (*program)(void *ctx))
{
    return weir_sim_call(m->sim, program, m);
}

int machine_start(struct machine *m)
{
    struct weir_sim_node *node = m->sim;

    memset(m, 0, sizeof(*m));
    m->sim = node;
    weir_sim_start(node);
    ck_assert_int_eq(machine_call(m, start_program), 0);
    return m->status;
}

int machine_start_as(struct machine *m, const char *node_id)
{
    int status;

    name_of_next = node_id;
    status = machine_start(m);
    name_of_next = NULL;
    return status;
}

void machine_crash(struct machine *m)
{
    weir_sim_crash(m->sim);
    m->node = NULL;
    m->sick = 0;
    m->asleep = 0;
    memset(m->streams, 0, sizeof(m->streams));
    memset(m->readers, 0, sizeof(m->readers));
}

void machine_stop(void *ctx)
{
    struct machine *m = ctx;

    weir_free(m->node);
    weir_config_free(m->config);
    m->node = NULL;
    memset(m->streams, 0, sizeof(m->streams));
    memset(m->readers, 0, sizeof(m->readers));
}

static void stream_name_of(int stream, char name[16])
{
    snprintf(name, 16, "stream-%d", stream);
}

static void open_program(void *ctx)
{
    struct machine *m = ctx;
    char name[16];
    struct weir_stream_open open = {.name = name, .flags = WEIR_STREAM_CREATE};

    stream_name_of(world.arg, name);
    m->status = weir_stream_open_sync(m->node, &open);
    m->streams[world.arg] = m->status == 0 ? open.stream : NULL;
}

int machine_open_stream(struct machine *m, int stream)
{
    world.arg = stream;
    ck_assert_int_eq(machine_call(m, open_program), 0);
    return m->status;
}

static void takeover_program(void *ctx)
{
    struct machine *m = ctx;

    world.took = (struct weir_takeover){.node_id = (uint32_t)world.arg + 1,
                                        .flags = world.takeover_flags};
    m->status = weir_takeover_sync(m->node, &world.took);
}

int machine_take_over(struct machine *m, int node)
{
    world.arg = node;
    ck_assert_int_eq(machine_call(m, takeover_program), 0);
    return m->status;
}

static void handover_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_handover req = {.streams = &m->streams[world.arg], .count = 1};

    m->status = weir_handover_sync(m->node, &req);
}

int machine_hand_over(struct machine *m, int stream)
{
    world.arg = stream;
    ck_assert_int_eq(machine_call(m, handover_program), 0);
    return m->status;
}

static void life_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_member rows[NODES] = {{0}};
    struct weir_node_list list = {.out = rows, .limit = NODES};

    m->status = weir_node_list_sync(m->node, &list);
    world.life = -1;
    for (size_t i = 0; i < list.count; i++)
        if (rows[i].node_id == (uint32_t)world.arg + 1) {
            world.life = rows[i].life;
            world.epoch_seen = rows[i].epoch;
        }
}

int machine_life_of(struct machine *m, int node)
{
    world.arg = node;
    ck_assert_int_eq(machine_call(m, life_program), 0);
    ck_assert_int_eq(m->status, 0);
    return world.life;
}

/* ---- Appends that are awaited or not ------------------------------------- */

static void append_done(struct weir_req *req, int status)
{
    struct appended *a = req->ctx;

    a->over = 1;
    a->status = status;
}

struct appended *machine_append(struct machine *m, int stream, uint64_t number)
{
    struct appended *a = &pool[pool_used++];

    ck_assert_uint_le(pool_used, POOL);
    memset(a, 0, sizeof(*a));
    memcpy(a->data, &number, 8);
    a->req = (struct weir_append){.req = {.done = append_done, .ctx = a},
                                  .data = a->data,
                                  .len = 8,
                                  .count = 1,
                                  .max_timestamp = WEIR_NO_TIMESTAMP};
    ck_assert_int_eq(weir_append(m->streams[stream], &a->req), 0);
    return a;
}

void machine_reader(void *ctx)
{
    struct machine *m = ctx;
    char name[16];
    struct weir_stream_open open = {.name = name, .flags = WEIR_STREAM_READ};

    stream_name_of(world.arg, name);
    m->status = m->readers[world.arg] != NULL
                    ? 0
                    : weir_stream_open_sync(m->node, &open);
    if (m->readers[world.arg] == NULL && m->status == 0)
        m->readers[world.arg] = open.stream;
}

static void flush_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_flush req = {.req = {.done = NULL}};

    m->status = weir_flush_sync(m->node, &req);
}

int machine_flush(struct machine *m)
{
    int rc = machine_call(m, flush_program);

    return rc != 0 ? rc : m->status;
}

static struct weir_stats counted;

static void stats_program(void *ctx)
{
    struct machine *m = ctx;

    m->status = weir_stats_sync(m->node, &counted);
}

struct weir_stats machine_stats(struct machine *m)
{
    ck_assert_int_eq(machine_call(m, stats_program), 0);
    ck_assert_int_eq(m->status, 0);
    return counted;
}

struct appended *machine_append_now(struct machine *m, int stream,
                                    uint64_t number)
{
    struct appended *a = machine_append(m, stream, number);

    for (int i = 0; i < 60000 && !a->over; i++)
        world_run(MS);
    ck_assert_int_eq(a->over, 1);
    ck_assert_int_eq(a->status, 0);
    return a;
}
