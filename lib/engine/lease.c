/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lease.h"

#include "engine/group.h"

static uint64_t now(const struct weir *node)
{
    return node->host.env->ops->now(node->host.env);
}

static void renewed(struct weir *node, uint64_t sent)
{
    struct weir__lease *lease = &node->lease;

    lease->until = sent + lease->length - lease->length / 10;
}

/* Every third of the lease, counted from the last one. */
static void plan(struct weir *node)
{
    struct weir__lease *lease = &node->lease;
    struct weir_env *env = node->host.env;

    lease->due.deadline = lease->sent + lease->length / 3;
    if (lease->due.deadline < now(node))
        lease->due.deadline = now(node);
    env->ops->timer_start(env, &lease->due);
}

static void beat_done(struct weir__commit *commit, int status)
{
    struct weir *node = commit->ctx;
    struct weir__lease *lease = &node->lease;

    lease->beating = 0;
    if (status == 0)
        status = lease->op.status;
    if (status == 0)
        renewed(node, lease->sent);
    if (!lease->given_up && !node->fenced)
        plan(node);
    weir__group_release(node);
}

/* Each commit renews the lease, whatever it is for: others look for nothing
 * else.  1 if one has done so less than a third of the lease ago. */
static int was_renewed(struct weir *node)
{
    struct weir__lease *lease = &node->lease;
    uint64_t committed = weir__manifest_committed(node->manifest);

    if (committed <= lease->sent)
        return 0;
    lease->sent = committed;
    renewed(node, committed);
    return now(node) - committed < lease->length / 3;
}

static void beat(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, lease.due);
    struct weir__lease *lease = &node->lease;

    if (lease->beating)
        return;
    if (was_renewed(node)) {
        plan(node);
        weir__group_release(node);
        return;
    }
    lease->beating = 1;
    lease->sent = now(node);
    lease->op = (struct weir__op){.kind = WEIR__OP_NODE_BEAT};
    lease->commit = (struct weir__commit){
        .ops = &lease->op, .count = 1, .done = beat_done, .ctx = node};
    weir__manifest_commit(node->manifest, &lease->commit);
}

void weir__lease_init(struct weir *node)
{
    node->lease.due.fire = beat;
}

void weir__lease_start(struct weir *node, uint64_t sent)
{
    struct weir__lease *lease = &node->lease;

    lease->length = (uint64_t)node->config->number[WEIR__P_LEASE];
    if (lease->length == 0)
        return;
    lease->sent = sent;
    renewed(node, sent);
    plan(node);
}

int weir__lease_holds(struct weir *node)
{
    const struct weir__lease *lease = &node->lease;

    return lease->length == 0 || node->fenced || node->commits.forsaken ||
           (node->wal->flags & WEIR_WAL_SELF_FENCING) != 0 ||
           now(node) < lease->until;
}

int weir__lease_runs(const struct weir *node)
{
    const struct weir__lease *lease = &node->lease;

    return lease->length == 0 || now(node) < lease->until;
}

void weir__lease_close(struct weir *node)
{
    node->lease.given_up = 1;
    node->host.env->ops->timer_stop(node->host.env, &node->lease.due);
}
