/* SPDX-License-Identifier: Apache-2.0 */
/* Removes objects that nothing names, once their grace is over: first from
 * the store, then from the manifest's list of the dead. */
#include "base/error.h"
#include "base/log.h"
#include "engine/fetch.h"
#include "engine/upload.h"
#include "format/object_name.h"

#define MS 1000000
/* When the store does not remove an object: try again after so long. */
#define RETRY_NS 5000000000u
#define IDS (sizeof(((struct weir__sweep *)0)->ids) / sizeof(uint64_t))

static void remove_next(struct weir *node);

static void wake_at(struct weir *node, uint64_t after)
{
    struct weir_env *env = node->host.env;

    if (!weir__node_is_open(node))
        return;
    node->sweep.due.deadline = env->ops->now(env) + after;
    env->ops->timer_start(env, &node->sweep.due);
}

static void sweep_end(struct weir *node, int status)
{
    node->sweep.busy = 0;
    if (status != 0)
        wake_at(node, RETRY_NS);
    else
        weir__sweep_look(node);
    weir__close_step(node);
}

static void commit_done(struct weir__commit *commit, int status)
{
    struct weir *node = commit->ctx;

    sweep_end(node, status);
}

static void commit_removed(struct weir *node)
{
    struct weir__sweep *sweep = &node->sweep;

    sweep->op = (struct weir__op){.kind = WEIR__OP_OBJECT_REMOVED};
    sweep->op.u.object_removed.ids = sweep->ids;
    sweep->op.u.object_removed.count = sweep->at;
    sweep->commit = (struct weir__commit){
        .ops = &sweep->op, .count = 1, .done = commit_done, .ctx = node};
    weir__manifest_commit(node->manifest, &sweep->commit);
}

static void removed(struct weir_store_req *req, int status)
{
    struct weir *node = req->ctx;

    if (!weir__node_is_open(node)) {
        sweep_end(node, WEIR_ECLOSED);
    } else if (status != 0) {
        weir__log(node->host.log, WEIR_LOG_WARN, "remove %s: %s",
                  node->sweep.key, weir_error_text(status));
        sweep_end(node, status);
    } else {
        weir__object_reader_forget(node->reader,
                                   node->sweep.ids[node->sweep.at]);
        node->sweep.at++;
        remove_next(node);
    }
}

static void remove_next(struct weir *node)
{
    struct weir__sweep *sweep = &node->sweep;

    if (sweep->at == sweep->count) {
        commit_removed(node);
        return;
    }
    weir__object_key(sweep->key, sweep->ids[sweep->at]);
    sweep->del = (struct weir_store_req){.verb = WEIR_STORE_DELETE,
                                         .key = sweep->key,
                                         .done = removed,
                                         .ctx = node};
    node->store->ops->submit(node->store, &sweep->del);
}

/* Collect dead objects whose grace is over; tell when the next one's is. */
static void collect(struct weir *node, int64_t *next)
{
    struct weir__sweep *sweep = &node->sweep;
    struct weir_env *env = node->host.env;
    int64_t grace = node->config->number[WEIR__P_DELETE_GRACE] / MS;
    int64_t now = env->ops->wall(env);
    size_t count;
    const struct weir__mdead *dead =
        weir__state_dead(weir__manifest_state(node->manifest), &count);

    sweep->count = 0;
    *next = INT64_MAX;
    for (size_t i = 0; i < count && sweep->count < IDS; i++) {
        int64_t left =
            dead[i].since > now ? grace : dead[i].since + grace - now;

        if (left <= 0 && weir__fetch_reads(node, dead[i].id))
            left = 100;
        if (left <= 0)
            sweep->ids[sweep->count++] = dead[i].id;
        else if (left < *next)
            *next = left;
    }
}

void weir__sweep_look(struct weir *node)
{
    struct weir__sweep *sweep = &node->sweep;
    int64_t next;

    if (node->read_only || sweep->busy || !weir__node_is_open(node))
        return;
    collect(node, &next);
    if (sweep->count != 0) {
        sweep->busy = 1;
        sweep->at = 0;
        remove_next(node);
    } else if (next != INT64_MAX) {
        wake_at(node, (uint64_t)next * MS);
    }
}

static void due(struct weir_timer *timer)
{
    weir__sweep_look(WEIR__CONTAINER(timer, struct weir, sweep.due));
}

void weir__sweep_init(struct weir *node)
{
    node->sweep.due.fire = due;
}

void weir__sweep_close(struct weir *node)
{
    node->host.env->ops->timer_stop(node->host.env, &node->sweep.due);
}
