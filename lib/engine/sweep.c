/* SPDX-License-Identifier: Apache-2.0 */
/* Removes objects that nothing names, once their grace is over: first from
 * the store, then from the manifest's list of the dead. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/fetch.h"
#include "engine/upload.h"
#include "format/object_name.h"

#define MS 1000000
/* When the store does not remove an object: try again after so long. */
#define RETRY_NS 5000000000u
#define IDS (sizeof(((struct weir__sweep *)0)->ids) / sizeof(uint64_t))

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

    if (status == 0)
        status = node->sweep.op.status;
    sweep_end(node, status != 0 ? status : node->sweep.failed);
}

/* All have been removed, or not. */
static void round_end(struct weir *node)
{
    struct weir__sweep *sweep = &node->sweep;
    size_t count = 0;

    sweep->failed = 0;
    for (size_t i = 0; i < sweep->count; i++) {
        if (sweep->removals[i].status == 0)
            sweep->ids[count++] = sweep->removals[i].id;
        else
            sweep->failed = sweep->removals[i].status;
        WEIR__SOMETIMES_IF(sweep->removals[i].status != 0,
                           "a dead object is not removed");
    }
    weir__free(node->alloc, sweep->removals);
    sweep->removals = NULL;
    if (!weir__node_is_open(node) || count == 0) {
        sweep_end(node, count == 0 ? sweep->failed : WEIR_ECLOSED);
        return;
    }
    sweep->op = (struct weir__op){.kind = WEIR__OP_OBJECT_REMOVED};
    sweep->op.u.object_removed.ids = sweep->ids;
    sweep->op.u.object_removed.count = count;
    sweep->commit = (struct weir__commit){
        .ops = &sweep->op, .count = 1, .done = commit_done, .ctx = node};
    weir__manifest_commit(node->manifest, &sweep->commit);
}

static void removed(struct weir_store_req *req, int status)
{
    struct weir *node = req->ctx;
    struct weir__removal *removal =
        WEIR__CONTAINER(req, struct weir__removal, del);

    removal->status = status;
    if (status == 0 && node->reader != NULL) /* It closes before the store. */
        weir__object_reader_forget(node->reader, removal->id);
    else if (status != 0 && weir__node_is_open(node))
        weir__log(node->host.log, WEIR_LOG_WARN, "remove %s: %s", removal->key,
                  weir_error_text(status));
    if (--node->sweep.under_way == 0)
        round_end(node);
}

/* All at once: an s3: store makes one request of them. */
static void round_begin(struct weir *node)
{
    struct weir__sweep *sweep = &node->sweep;

    sweep->busy = 1;
    sweep->under_way = sweep->count;
    for (size_t i = 0; i < sweep->count; i++) {
        struct weir__removal *removal = &sweep->removals[i];

        weir__object_key(removal->key, removal->id);
        removal->del = (struct weir_store_req){.verb = WEIR_STORE_DELETE,
                                               .key = removal->key,
                                               .done = removed,
                                               .ctx = node};
        node->store->ops->submit(node->store, &removal->del);
    }
}

/* Collect dead objects whose grace is over, as ids; tell when the next one's
 * is. */
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

    if (node->read_only || node->fenced || sweep->busy ||
        !weir__node_is_open(node))
        return;
    collect(node, &next);
    if (sweep->count != 0) {
        sweep->removals =
            weir__calloc(node->alloc, sweep->count, sizeof(*sweep->removals));
        if (sweep->removals == NULL) {
            wake_at(node, RETRY_NS);
            return;
        }
        for (size_t i = 0; i < sweep->count; i++)
            sweep->removals[i].id = sweep->ids[i];
        round_begin(node);
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
