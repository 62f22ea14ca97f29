/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/members.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "engine/call.h"
#include "engine/fetch.h"
#include <weir/cluster.h>

/* How often the manifest is read while keys are watched. */
#define WATCH_NS 1000000000u
#define NS_PER_MS 1000000u

/** When a node was last heard. */
struct seen {
    uint64_t epoch;
    uint64_t beat;  /* Version of its newest commit, */
    uint64_t since; /* known since then, by this node's clock. */
};

static uint64_t now(const struct weir *node)
{
    return node->host.env->ops->now(node->host.env);
}

static void look_at(struct weir *node, const struct weir__member *member)
{
    struct seen *seen = weir__map_get(&node->members, member->id);

    if (seen == NULL) {
        seen = weir__calloc(node->alloc, 1, sizeof(*seen));
        if (seen == NULL || weir__map_put(&node->members, member->id, seen)) {
            weir__free(node->alloc, seen);
            return; /* Known later, it counts as alive for longer. */
        }
    } else if (seen->epoch == member->epoch && seen->beat == member->beat) {
        return;
    }
    *seen = (struct seen){member->epoch, member->beat, now(node)};
}

void weir__members_look(struct weir *node)
{
    const struct weir__state *state = weir__manifest_state(node->manifest);
    struct weir__member member = {0};

    while (weir__state_member(state, member.id, &member))
        look_at(node, &member);
}

int weir__members_life(const struct weir *node,
                       const struct weir__member *member)
{
    const struct seen *seen = weir__map_get(&node->members, member->id);
    uint64_t lease = (uint64_t)member->lease_ms * NS_PER_MS;

    if (member->closed)
        return WEIR_NODE_CLOSED;
    if (lease == 0 || seen == NULL || member->id == node->id ||
        now(node) - seen->since <= lease + lease / 8)
        return WEIR_NODE_LIVE;
    return WEIR_NODE_LAPSED;
}

void weir__members_free(struct weir *node)
{
    struct seen *seen;
    size_t at = 0;

    while ((seen = weir__map_next(&node->members, &at)) != NULL)
        weir__free(node->alloc, seen);
    weir__map_free(&node->members);
}

/* ---- Following the manifest ------------------------------------------------
 */

static uint64_t follow_interval(const struct weir *node)
{
    uint64_t interval = (uint64_t)node->config->number[WEIR__P_FOLLOW];

    if (interval == 0 && !weir__list_empty(&node->watches))
        return WATCH_NS;
    return interval;
}

/* An eighth more, so that who reads as often anyway saves this one. */
static void plan(struct weir *node, uint64_t since)
{
    struct weir_env *env = node->host.env;
    uint64_t interval = follow_interval(node);

    if (interval == 0 || node->follow.slot != 0 || !weir__node_is_open(node))
        return;
    weir__manifest_listen(node->manifest);
    node->follow.deadline = since + interval + interval / 8;
    env->ops->timer_start(env, &node->follow);
}

/* It may have been read meanwhile for another reason, or a commit of this node
 * have been the next one; or it is read when the log tells of more. */
static void follow_due(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, follow);
    uint64_t since = weir__manifest_seen(node->manifest);

    if (weir__manifest_hears(node->manifest)) {
        since = now(node);
    } else if (now(node) - since >= follow_interval(node)) {
        weir__fetch_refresh(node);
        since = now(node);
    }
    plan(node, since);
}

void weir__members_init(struct weir *node)
{
    node->follow.fire = follow_due;
}

void weir__members_follow(struct weir *node)
{
    plan(node, now(node));
}

void weir__members_close(struct weir *node)
{
    node->host.env->ops->timer_stop(node->host.env, &node->follow);
}

/* ---- Listing ---------------------------------------------------------------
 */

static void fill(const struct weir *node, const struct weir__member *member,
                 struct weir_member *out)
{
    *out = (struct weir_member){.node_id = member->id,
                                .life = weir__members_life(node, member),
                                .epoch = member->epoch,
                                .lease = (int64_t)member->lease_ms * NS_PER_MS,
                                .wal_clean = member->wal_id == 0};
    snprintf(out->wal, sizeof(out->wal), "%s", member->wal);
}

/* The row of a node, or NULL. */
static struct weir_member *find(struct weir_node_list *req, uint32_t id)
{
    size_t low = 0;
    size_t high = req->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (req->out[middle].node_id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < req->count && req->out[low].node_id == id ? &req->out[low]
                                                           : NULL;
}

static void count_streams(const struct weir__state *state,
                          struct weir_node_list *req)
{
    const struct weir__mstream *m = weir__state_stream_behind(state, 0);

    for (; m != NULL; m = weir__state_stream_behind(state, m->id)) {
        struct weir_member *row = find(req, m->owner);

        if (row != NULL)
            row->streams++;
    }
}

static void listed(struct weir__refresh *refresh, int status)
{
    struct weir__call *call = refresh->ctx;
    struct weir_node_list *req =
        WEIR__CONTAINER(call->req, struct weir_node_list, req);
    const struct weir__state *state =
        weir__manifest_state(call->node->manifest);
    struct weir__member member = {.id = req->after};

    if (status == 0)
        weir__members_look(call->node);
    while (status == 0 && weir__state_member(state, member.id, &member)) {
        if (req->count == req->limit) {
            req->more = 1;
            break;
        }
        fill(call->node, &member, &req->out[req->count++]);
    }
    if (status == 0)
        count_streams(state, req);
    weir__call_end(call, status);
}

static void list_run(struct weir_task *task)
{
    struct weir_req *req = weir__req_of(task);
    struct weir__call *call = weir__call_new(weir__call_target(req), req);

    if (call == NULL)
        return;
    weir__call_refresh(call, listed);
}

int weir_node_list(struct weir *node, struct weir_node_list *req)
{
    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    req->count = 0;
    req->more = 0;
    if (req->out == NULL || req->limit == 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "list nodes: there is no room for an answer");
    return weir__call_post(node, &req->req, node, list_run);
}

static int list_start(void *node, struct weir_req *req)
{
    return weir_node_list(node,
                          WEIR__CONTAINER(req, struct weir_node_list, req));
}

int weir_node_list_sync(struct weir *node, struct weir_node_list *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, list_start, node);
}
