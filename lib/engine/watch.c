/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/watch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "engine/call.h"
#include "engine/members.h"
#include <weir/kv.h>

/** What a watch needs while it lasts: its `impl`. */
struct watch_impl {
    struct weir_task task;
    struct weir *node;
    struct weir__list link; /* In the node's watches. */
};

_Static_assert(sizeof(struct watch_impl) <= WEIR__IMPL_SIZE,
               "watch_impl must fit");

static struct watch_impl *impl(const struct weir_kv_watch *req)
{
    return (struct watch_impl *)(uintptr_t)req->req.impl;
}

static struct weir_kv_watch *watch_of(struct weir__list *link)
{
    struct watch_impl *w = WEIR__CONTAINER(link, struct watch_impl, link);

    return WEIR__CONTAINER(weir__req_of(&w->task), struct weir_kv_watch, req);
}

static void watch_end(struct weir_kv_watch *req, int status)
{
    weir__list_remove(&impl(req)->link);
    weir__req_end(&req->req, status);
}

void weir__watch_changed(void *ctx, const struct weir_kv_pair *pair)
{
    struct weir *node = ctx;
    struct weir__list *at = node->watches.next;

    while (at != &node->watches) {
        struct weir_kv_watch *req = watch_of(at);
        int rc = 0;

        at = at->next;
        if (strncmp(pair->key, req->prefix, strlen(req->prefix)) == 0)
            rc = req->changed(req, pair);
        if (rc != 0)
            watch_end(req, rc);
    }
}

void weir__watch_close(struct weir *node)
{
    while (!weir__list_empty(&node->watches))
        watch_end(watch_of(node->watches.next), WEIR_ECLOSED);
}

/* Tell of the pairs that there are. */
static int tell_present(struct weir *node, struct weir_kv_watch *req)
{
    const struct weir__state *state = weir__manifest_state(node->manifest);
    const struct weir_kv_pair *pair = weir__state_kv(state, req->prefix);
    size_t n = strlen(req->prefix);
    int rc = 0;

    if (pair == NULL)
        pair = weir__state_kv_after(state, req->prefix);
    while (rc == 0 && pair != NULL && strncmp(pair->key, req->prefix, n) == 0) {
        rc = req->changed(req, pair);
        pair = weir__state_kv_after(state, pair->key);
    }
    return rc;
}

static void watch_run(struct weir_task *task)
{
    struct weir_kv_watch *req =
        WEIR__CONTAINER(weir__req_of(task), struct weir_kv_watch, req);
    struct weir *node = impl(req)->node;
    int rc;

    weir__list_init(&impl(req)->link);
    if (!weir__node_is_open(node)) {
        weir__req_end(&req->req, WEIR_ECLOSED);
        return;
    }
    rc = req->present ? tell_present(node, req) : 0;
    if (rc != 0) {
        weir__req_end(&req->req, rc);
        return;
    }
    weir__list_push(&node->watches, &impl(req)->link);
    weir__members_follow(node);
}

int weir_kv_watch(struct weir *node, struct weir_kv_watch *req)
{
    int rc;

    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    if (req->prefix == NULL || req->changed == NULL)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "a watch needs a prefix and a function for the "
                          "changes");
    rc = weir__node_enter(node);
    if (rc != 0)
        return weir__fail_status(req->req.err, rc);
    impl(req)->node = node;
    rc = weir__node_post(node, &req->req, watch_run);
    weir__node_leave(node);
    return rc;
}

/** Carries the end of a watch to the core. */
struct ending {
    struct weir_task task;
    struct weir *node;
    struct weir_kv_watch *req;
};

static void end_run(struct weir_task *task)
{
    struct ending *e = WEIR__CONTAINER(task, struct ending, task);
    struct weir__list *at = e->node->watches.next;

    for (; at != &e->node->watches; at = at->next) {
        if (watch_of(at) == e->req) {
            watch_end(e->req, 0);
            break;
        }
    }
    weir__free(e->node->alloc, e);
}

void weir_kv_watch_end(struct weir *node, struct weir_kv_watch *req)
{
    struct ending *e;

    if (node == NULL || req == NULL || weir__node_enter(node) != 0)
        return;
    e = weir__calloc(node->alloc, 1, sizeof(*e));
    if (e != NULL) {
        e->task.run = end_run;
        e->node = node;
        e->req = req;
        node->host.env->ops->post(node->host.env, &e->task);
    }
    weir__node_leave(node);
}
