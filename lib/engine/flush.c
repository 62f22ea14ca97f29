/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that everything appended so far be uploaded. */
#include "engine/flush.h"

#include "base/error.h"
#include "base/sometimes.h"
#include "engine/call.h"
#include "engine/upload.h"

/** What a flush needs while it waits: its `impl`. */
struct flush_impl {
    struct weir_task task;
    struct weir *node;
    struct weir__list link;
    uintptr_t closing; /* The node's own, at its end. */
};

_Static_assert(sizeof(struct flush_impl) <= WEIR__IMPL_SIZE,
               "flush_impl must fit");

static struct flush_impl *flush_of(struct weir__list *link)
{
    return WEIR__CONTAINER(link, struct flush_impl, link);
}

static void flush_end(struct weir__list *link, int status,
                      const struct weir_error *error)
{
    struct weir_req *req = weir__req_of(&flush_of(link)->task);

    weir__error_copy(req->err, error);
    weir__req_end(req, status);
}

void weir__flushes_end(struct weir__list *list, int status,
                       const struct weir_error *error)
{
    struct weir__list *at;

    while ((at = weir__list_pop(list)) != NULL)
        flush_end(at, status, error);
}

/* But for the flush of a node that closes. */
static void end_late(struct weir__list *list, const struct weir_error *error)
{
    struct weir__list *at = list->next, *next;

    for (; at != list; at = next) {
        next = at->next;
        if (flush_of(at)->closing)
            continue;
        weir__list_remove(at);
        flush_end(at, error->code, error);
    }
}

static void late(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, uploads.late);
    struct weir_error error = {0};

    WEIR__SOMETIMES("a flush ends while its upload goes on");
    weir__fail(&error, WEIR_ETIMEDOUT,
               "flush: the manifest cannot be reached; what was acknowledged "
               "stays in the write-ahead log: %.160s",
               weir__late_reason(node));
    weir__flush_late_start(node);
    end_late(weir__upload_flushes(node), &error);
    end_late(&node->uploads.flushes, &error);
}

void weir__flush_late_start(struct weir *node)
{
    struct weir_env *env = node->host.env;
    uint64_t patience = (uint64_t)node->config->number[WEIR__P_COMMIT_TIMEOUT];

    if (patience == 0)
        return;
    node->uploads.late.deadline = env->ops->now(env) + patience;
    env->ops->timer_start(env, &node->uploads.late);
}

void weir__flush_late_stop(struct weir *node)
{
    node->host.env->ops->timer_stop(node->host.env, &node->uploads.late);
}

void weir__flush_init(struct weir *node)
{
    node->uploads.late.fire = late;
}

void weir__flushes_requeue(struct weir *node, struct weir__list *list)
{
    struct weir__list *at;

    while ((at = weir__list_pop(list)) != NULL) {
        if (weir__node_is_open(node) || flush_of(at)->closing)
            weir__list_push(&node->uploads.flushes, at);
        else
            flush_end(at, WEIR_ECLOSED, NULL);
    }
}

int weir__flushes_have_last(const struct weir__list *list)
{
    struct weir__list *at = list->next;

    for (; at != list; at = at->next)
        if (flush_of(at)->closing)
            return 1;
    return 0;
}

/* What was acknowledged before may still be in a group's callbacks; by now it
 * is pending. */
static void flush_run(struct weir_task *task)
{
    struct flush_impl *flush = WEIR__CONTAINER(task, struct flush_impl, task);
    struct weir *node = flush->node;

    if (!weir__node_is_open(node) && !flush->closing) {
        weir__req_end(weir__req_of(task), WEIR_ECLOSED);
        return;
    }
    if (node->fenced) { /* What it had may be gone with its log. */
        struct weir_req *req = weir__req_of(task);

        weir__fail(req->err, WEIR_EFENCED,
                   "flush: another process has opened node %u", node->id);
        weir__req_end(req, WEIR_EFENCED);
        return;
    }
    weir__list_push(&node->uploads.flushes, &flush->link);
    if (flush->closing) /* It has all the time that one may have. */
        node->uploads.waits = 0;
    if (node->uploads.job == NULL) {
        node->host.env->ops->timer_stop(node->host.env, &node->uploads.backoff);
        node->uploads.failures = 0;
    }
    weir__upload_look(node);
}

static struct flush_impl *flush_impl(struct weir_flush *req, struct weir *node)
{
    struct flush_impl *flush = (struct flush_impl *)(void *)req->req.impl;

    flush->node = node;
    flush->closing = 0;
    weir__list_init(&flush->link);
    return flush;
}

void weir__flush_last(struct weir *node, struct weir_flush *req)
{
    flush_impl(req, node)->closing = 1;
    (void)weir__node_post(node, &req->req, flush_run);
}

void weir__flush_give_up(struct weir_flush *req)
{
    struct flush_impl *flush = (struct flush_impl *)(void *)req->req.impl;

    weir__list_remove(&flush->link);
}

int weir_flush(struct weir *node, struct weir_flush *req)
{
    int rc;

    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    rc = weir__node_enter(node);
    if (rc != 0)
        return weir__fail_status(req->req.err, rc);
    (void)flush_impl(req, node);
    if (node->read_only)
        rc = weir__fail(req->req.err, WEIR_EREADONLY,
                        "flush: the node is read-only");
    else
        rc = weir__node_post(node, &req->req, flush_run);
    weir__node_leave(node);
    return rc;
}

static int flush_start(void *node, struct weir_req *req)
{
    return weir_flush(node, WEIR__CONTAINER(req, struct weir_flush, req));
}

int weir_flush_sync(struct weir *node, struct weir_flush *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, flush_start, node);
}
