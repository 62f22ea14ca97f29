/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/uri.h"
#include "sim/world.h"
#include "wal/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USE_NODE = 100, USE_MEMORY = 1000000, SKEW_MS = 60000 };

/* As property `node_id` has it. */
enum { ID_MAX = 1000000 };

int weir_sim_node_new(struct weir_sim_node **out, struct weir_sim *sim,
                      uint32_t node_id, uint64_t disk_size)
{
    struct weir_sim_node *node;
    struct weir_sim_node **end = &sim->nodes;

    *out = NULL;
    if (node_id < 1 || node_id > ID_MAX || disk_size == 0 ||
        disk_size % SIM_DISK_ALIGN != 0)
        return WEIR_EINVAL;
    for (; *end != NULL; end = &(*end)->next)
        if ((*end)->id == node_id)
            return WEIR_EEXIST;
    node = weir__calloc(sim->alloc, 1, sizeof(*node));
    if (node == NULL)
        return WEIR_ENOMEM;
    node->env.ops = &weir__sim_env_ops;
    node->sim = sim;
    node->id = node_id;
    node->tasks_end = &node->tasks;
    node->up = 1;
    weir__list_init(&node->works);
    weir__sim_memory_init(node);
    weir__sim_random_init(&node->random, sim->options.seed,
                          USE_NODE + (uint64_t)node_id * 2);
    weir__sim_random_init(&node->memory_random, sim->options.seed,
                          USE_MEMORY + node_id);
    node->skew = (int64_t)weir__sim_random_below(&node->random, SKEW_MS);
    if (weir__sim_disk_init(node, disk_size) != 0) {
        weir__free(sim->alloc, node);
        return WEIR_ENOMEM;
    }
    *end = node;
    *out = node;
    return 0;
}

void weir__sim_node_free(struct weir_sim_node *node)
{
    weir__sim_memory_free(node);
    weir__sim_disk_free(&node->disk);
    weir__free(node->sim->alloc, node);
}

struct weir_env *weir_sim_env(struct weir_sim_node *node)
{
    return &node->env;
}

int weir_sim_is_up(const struct weir_sim_node *node)
{
    return node->up;
}

void weir__sim_reap(struct weir_sim_node *node)
{
    if (!node->condemned || node->sim->running == node ||
        node->sim->caller == node)
        return;
    node->condemned = 0;
    weir__sim_memory_free(node);
}

void weir_sim_crash(struct weir_sim_node *node)
{
    if (!node->up)
        return;
    weir_sim_trace(node->sim, "node %" PRIu32 " crash", node->id);
    node->up = 0;
    node->paused = 0;
    node->receive = NULL;
    node->condemned = 1;
    weir__sim_messages_crash(node);
    weir__sim_env_crash(node);
    weir__sim_store_crash(node);
    weir__sim_disks_crash(node);
    weir__sim_reap(node);
}

void weir_sim_start(struct weir_sim_node *node)
{
    weir__sim_reap(node);
    if (node->up || node->condemned)
        return;
    weir_sim_trace(node->sim, "node %" PRIu32 " start", node->id);
    node->up = 1;
}

void weir_sim_pause(struct weir_sim_node *node)
{
    if (!node->up || node->paused)
        return;
    weir_sim_trace(node->sim, "node %" PRIu32 " pause", node->id);
    node->paused = 1;
}

void weir_sim_resume(struct weir_sim_node *node)
{
    if (!node->paused)
        return;
    weir_sim_trace(node->sim, "node %" PRIu32 " resume", node->id);
    node->paused = 0;
}

/* In a function of its own, as what a jump leaves in locals is undefined. */
static int call(struct weir_sim_node *node, void (*fn)(void *ctx), void *ctx)
{
    int status = setjmp(node->crashed);

    if (status == 0)
        fn(ctx);
    return status;
}

int weir_sim_call(struct weir_sim_node *node, void (*fn)(void *ctx), void *ctx)
{
    struct weir_sim *sim = node->sim;
    int status;

    if (sim->running != NULL || sim->in_event || sim->caller != NULL ||
        !node->up || node->paused)
        return WEIR_EBUSY;
    sim->caller = node;
    status = call(node, fn, ctx);
    sim->caller = NULL;
    if (status == WEIR_ETIMEDOUT)
        weir_sim_crash(node);
    weir__sim_reap(node);
    return status;
}

void weir__sim_leave(struct weir_sim_node *node, int status)
{
    if (node->sim->caller == node)
        longjmp(node->crashed, status);
}

int weir_sim_config(struct weir_config **out, struct weir_sim_node *node)
{
    struct weir_config *config;
    char id[16];
    char wal[24];
    int rc = weir_config_new(&config, &node->alloc);

    *out = config;
    if (rc != 0)
        return rc;
    snprintf(id, sizeof(id), "%" PRIu32, node->id);
    weir_config_set_env(config, &node->env);
    rc = weir_config_add_store(config, "sim", weir__sim_store_open, node);
    if (rc == 0)
        rc = weir_config_add_wal(config, "sim", weir__sim_wal_open, node);
    if (rc == 0)
        rc = weir_config_set(config, "store", "sim:", NULL);
    snprintf(wal, sizeof(wal), "sim:%" PRIu32, node->id);
    if (rc == 0)
        rc = weir_config_set(config, "wal", wal, NULL);
    if (rc == 0)
        rc = weir_config_set(config, "node_id", id, NULL);
    if (rc != 0) {
        weir_config_free(config);
        *out = NULL;
    }
    return rc;
}

/* ---- The log on the node's disk ------------------------------------------ */

/* What `impl` of the request holds until a failure is told. */
struct refusal {
    struct weir_task task;
    struct weir_wal_open *req;
    intptr_t status;
};

_Static_assert(sizeof(struct refusal) <=
                   sizeof(((struct weir_wal_open *)0)->impl),
               "a refusal fits into the request");

static void refuse(struct weir_task *task)
{
    struct refusal *refusal = WEIR__CONTAINER(task, struct refusal, task);

    refusal->req->done(refusal->req, (int)refusal->status);
}

/* The node whose disk a URI names: "sim:" is the own one. */
static struct weir_sim_node *disk_of(struct weir_sim_node *user,
                                     const char *uri)
{
    const char *id = strchr(uri, ':') + 1;
    struct weir_sim_node *node = user->sim->nodes;

    if (*id < '0' || *id > '9')
        return user;
    while (node != NULL && node->id != strtoul(id, NULL, 10))
        node = node->next;
    return node;
}

void weir__sim_wal_open(struct weir_wal_open *req)
{
    struct weir_sim_node *node = req->open_ctx;
    struct weir__disk *disk = NULL;
    struct refusal *refusal;
    struct weir_sim_node *of = disk_of(node, req->uri);
    int rc = of == NULL ? weir__fail(req->err, WEIR_ENOENT,
                                     "%.*s: no such node in the simulation",
                                     weir__uri_shown(req->uri), req->uri)
                        : weir__sim_disk_open(&disk, of, node, req->err);

    if (rc == 0 && disk != NULL) {
        weir__wal_file_open_disk(req, disk, "the simulated disk");
        return;
    }
    refusal = (struct refusal *)(void *)req->impl;
    refusal->req = req;
    refusal->status = rc;
    refusal->task.run = refuse;
    node->env.ops->post(&node->env, &refusal->task);
}
