/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking edge of a node: open, close, poll. */
#include "engine/node.h"

#include "base/error.h"
#include "engine/call.h"

#define STR(x) #x
#define VERSION(major, minor, patch) STR(major) "." STR(minor) "." STR(patch)

const char *weir_version(void)
{
    return VERSION(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
}

/** Opening or closing, and who waits for it. */
struct blocking {
    struct weir_event event;
    struct weir_env *env;
    int status;
};

static void opened(struct weir__open_req *req, int status)
{
    struct blocking *b = req->ctx;
    struct weir_env *env = req->node->host.env;

    b->status = status;
    env->ops->signal(env, &b->event);
}

static void env_close(struct weir *node)
{
    if (node->own_env && node->host.env != NULL)
        node->host.env->ops->close(node->host.env);
    node->host.env = NULL;
}

/* 1 if who began to open a node then may begin once more. */
static int has_time(const struct weir *node, uint64_t began)
{
    uint64_t patience = (uint64_t)node->config->number[WEIR__P_COMMIT_TIMEOUT];
    struct weir_env *env = node->host.env;

    return patience == 0 || env->ops->now(env) - began < patience;
}

/* Open a node, once.  `began`: when the first try was begun, 0: this is it. */
static int try_open(struct weir__open_req *req, uint64_t *began)
{
    struct blocking b = {{0}, NULL, 0};
    int rc;

    if (req->err != NULL)
        req->err->code = 0;
    req->ctx = &b;
    rc = weir__node_open(req);
    if (rc != 0)
        return rc;
    b.env = req->node->host.env;
    if (*began == 0)
        *began = b.env->ops->now(b.env);
    rc = b.env->ops->wait(b.env, &b.event, WEIR_FOREVER);
    if (rc != 0)
        return weir__fail(req->err, rc,
                          "open: the environment gave up waiting");
    if (b.status != 0) {
        req->again = req->again && has_time(req->node, *began);
        if (req->granted != 0)
            req->expected = req->granted;
        env_close(req->node);
        weir__node_release(req->node);
    }
    return b.status;
}

int weir_open(struct weir **out, const struct weir_config *config,
              struct weir_error *err)
{
    struct weir__open_req req = {.config = config, .done = opened, .err = err};
    uint64_t began = 0;
    int rc;

    if (out == NULL)
        return WEIR_EINVAL;
    *out = NULL;
    if (config == NULL)
        return weir__fail(err, WEIR_EINVAL, "open: no configuration");
    do
        rc = try_open(&req, &began);
    while (req.again);
    if (rc == 0)
        *out = req.node;
    return rc;
}

static void closed(struct weir__close *req, int status)
{
    struct blocking *b = req->ctx;

    b->status = status;
    b->env->ops->signal(b->env, &b->event);
}

/** Wakes a thread that drives, so that it sees that the node is closed. */
struct nudge {
    struct weir_task task;
    struct weir_event event;
    struct weir_env *env;
};

static void nudged(struct weir_task *task)
{
    struct nudge *nudge = WEIR__CONTAINER(task, struct nudge, task);

    nudge->env->ops->signal(nudge->env, &nudge->event);
}

/* Wait until no call is inside of the node. */
static void drain(struct weir *node, const int *calls)
{
    struct weir_env *env = node->host.env;

    while (__atomic_load_n(calls, __ATOMIC_SEQ_CST) != 0) {
        struct nudge nudge = {{nudged, NULL}, {0}, env};

        env->ops->post(env, &nudge.task);
        env->ops->wait(env, &nudge.event, WEIR_FOREVER);
    }
}

/* Be the one who closes the node: 0; WEIR_ECLOSED, another one is or was;
 * WEIR_EBUSY, called in a callback.  Counts as a call meanwhile, for who
 * closes frees the environment. */
static int claim_close(struct weir *node)
{
    int state = WEIR__NODE_OPEN;
    struct weir_event probe = {0};
    int rc = weir__node_enter_blocking(node);

    if (rc != 0)
        return rc;
    if (node->host.env->ops->wait(node->host.env, &probe, 0) == WEIR_EBUSY)
        rc = WEIR_EBUSY;
    else if (!__atomic_compare_exchange_n(&node->state, &state,
                                          WEIR__NODE_CLOSING, 0,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        rc = WEIR_ECLOSED;
    weir__node_leave_blocking(node);
    return rc;
}

int weir_close(struct weir *node, struct weir_error *err)
{
    struct blocking b = {{0}, NULL, 0};
    struct weir__close req = {.done = closed, .ctx = &b, .err = err};
    int rc;

    if (node == NULL)
        return weir__fail(err, WEIR_EINVAL, "close: no node");
    rc = claim_close(node);
    if (rc == WEIR_ECLOSED)
        return 0;
    if (rc != 0)
        return weir__fail(err, rc, "close: called in a callback");
    b.env = node->host.env;
    drain(node, &node->users);
    weir__node_close(node, &req);
    b.env->ops->wait(b.env, &b.event, WEIR_FOREVER);
    drain(node, &node->blocked);
    env_close(node);
    __atomic_store_n(&node->state, WEIR__NODE_CLOSED, __ATOMIC_SEQ_CST);
    if (b.status != 0)
        weir__fail_status(err, b.status);
    return b.status;
}

void weir_free(struct weir *node)
{
    if (node == NULL)
        return;
    if (weir_close(node, NULL) == WEIR_EBUSY)
        return;
    weir__node_release(node);
}

int weir_poll(struct weir *node, int64_t timeout)
{
    int rc;

    if (node == NULL)
        return WEIR_EINVAL;
    rc = weir__node_enter_blocking(node);
    if (rc != 0)
        return rc;
    rc = node->host.env->ops->poll(node->host.env, timeout);
    weir__node_leave_blocking(node);
    return rc;
}

int weir_poll_fd(struct weir *node)
{
    int rc;

    if (node == NULL)
        return WEIR_EINVAL;
    rc = weir__node_enter(node);
    if (rc != 0)
        return rc;
    rc = node->host.env->ops->poll_fd(node->host.env);
    weir__node_leave(node);
    return rc < 0 ? WEIR_EUNSUPPORTED : rc;
}

/** A look at the node from outside, in one turn of the core. */
struct look {
    struct weir_req req;
    struct weir_node_stat *stat;
    struct weir_stats *stats;
};

static void fill_stat(const struct weir *node, struct weir_node_stat *out)
{
    const struct weir__state *state = weir__manifest_state(node->manifest);

    *out = (struct weir_node_stat){0};
    memcpy(out->cluster, weir__state_cluster(state), sizeof(out->cluster));
    out->epoch = node->epoch;
    out->manifest_version = weir__state_version(state);
    out->streams = weir__state_stream_count(state);
    out->objects = weir__state_object_count(state);
    out->bytes = weir__state_object_bytes(state);
    if (node->wal != NULL)
        out->wal_bytes = node->commits.durable - node->wal->begin;
    out->node_id = node->id;
    out->fenced = (uint32_t)node->fenced;
}

static void fill_stats(struct weir *node, struct weir_stats *out)
{
    struct weir__object_reader_counts counts;
    struct weir_stats *stats = &node->stats;

    weir__object_reader_counts(node->reader, &counts);
    weir__manifest_counts(node->manifest, &stats->commits,
                          &stats->commit_conflicts);
    stats->block_cache_hits = counts.hits;
    stats->block_cache_misses = counts.misses;
    stats->block_cache_bytes = counts.bytes;
    stats->log_cache_bytes = weir__log_cache_bytes(&node->cache);
    stats->pending_bytes = node->uploads.pending_bytes;
    *out = *stats;
}

static void look_run(struct weir_task *task)
{
    struct look *look = WEIR__CONTAINER(weir__req_of(task), struct look, req);
    struct weir *node = weir__call_target(&look->req);

    if (!weir__node_is_open(node)) {
        weir__req_end(&look->req, WEIR_ECLOSED);
        return;
    }
    if (look->stat != NULL)
        fill_stat(node, look->stat);
    if (look->stats != NULL)
        fill_stats(node, look->stats);
    weir__req_end(&look->req, 0);
}

static int look_start(void *node, struct weir_req *req)
{
    return weir__call_post(node, req, node, look_run);
}

int weir_node_stat_sync(struct weir *node, struct weir_node_stat *out)
{
    struct look look = {.stat = out};

    if (node == NULL || out == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &look.req, look_start, node);
}

int weir_stats_sync(struct weir *node, struct weir_stats *out)
{
    struct look look = {.stats = out};

    if (node == NULL || out == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &look.req, look_start, node);
}
