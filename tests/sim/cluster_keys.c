/* SPDX-License-Identifier: Apache-2.0 */
/* A key that all nodes add one to, by compare-and-set, several at a time. */
#include "sim/cluster_inside.h"

#include <stdlib.h>
#include <string.h>

static const char key[] = "sum";

/** An addition under way: the key is read, then put. */
struct addition {
    struct weir_kv_get get;
    struct weir_kv_put put;
    struct machine *machine;
    uint64_t sum; /* That was read, and then that it adds up to. */
    uint64_t version;
};

static int take(struct weir_kv_get *get, const struct weir_kv_pair *pair)
{
    struct addition *a = get->req.ctx;

    a->version = pair->version;
    if (pair->len != sizeof(a->sum))
        return WEIR_ECORRUPT;
    memcpy(&a->sum, pair->value, sizeof(a->sum));
    return 0;
}

static void end(struct addition *a)
{
    a->machine->adding = NULL;
    free(a);
}

static void put_done(struct weir_req *req, int status)
{
    struct addition *a = req->ctx;

    cluster_check_status(a->machine->cluster, "add", status);
    cluster_check_added(a->machine->cluster, a->sum, status);
    end(a);
}

static void get_done(struct weir_req *req, int status)
{
    struct addition *a = req->ctx;
    struct cluster *c = a->machine->cluster;

    cluster_check_status(c, "get", status);
    if ((status != 0 && status != WEIR_ENOENT) ||
        c->counter.most + 1 >= SUM_MAX) {
        end(a);
        return;
    }
    a->sum++;
    a->put = (struct weir_kv_put){.req = {.done = put_done, .ctx = a},
                                  .key = key,
                                  .value = &a->sum,
                                  .len = sizeof(a->sum),
                                  .expected = status == 0 ? a->version
                                                          : WEIR_KV_ABSENT};
    c->counter.most++;
    status = weir_kv_put(a->machine->node, &a->put);
    if (status == 0)
        return;
    cluster_check_added(c, a->sum, status);
    end(a);
}

void cluster_start_add(struct machine *m)
{
    struct addition *a;

    if (m->adding != NULL || (a = calloc(1, sizeof(*a))) == NULL)
        return;
    m->adding = a;
    m->cluster->result->operations++;
    a->machine = m;
    a->get = (struct weir_kv_get){
        .req = {.done = get_done, .ctx = a}, .key = key, .pair = take};
    if (weir_kv_get(m->node, &a->get) != 0)
        end(a);
}

void cluster_forget_addition(struct machine *m)
{
    free(m->adding);
    m->adding = NULL;
}

void cluster_sum_program(void *ctx)
{
    struct machine *m = ctx;
    struct addition a = {.machine = m};

    a.get = (struct weir_kv_get){.req = {.ctx = &a}, .key = key, .pair = take};
    m->status = weir_kv_get_sync(m->node, &a.get);
    if (m->status == 0 || m->status == WEIR_ENOENT)
        cluster_check_sum(m->cluster, a.sum);
    if (m->status == WEIR_ENOENT)
        m->status = 0;
}
