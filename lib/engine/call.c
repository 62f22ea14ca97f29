/* SPDX-License-Identifier: Apache-2.0 */
/* From any thread into the core, and back. */
#include "engine/call.h"

#include "base/alloc.h"
#include "base/error.h"

_Static_assert(sizeof(struct weir__call_impl) <= WEIR__IMPL_SIZE,
               "weir__call_impl must fit");

int weir__node_is_open(const struct weir *node)
{
    return __atomic_load_n(&node->state, __ATOMIC_ACQUIRE) == WEIR__NODE_OPEN;
}

int weir__node_enter(struct weir *node)
{
    __atomic_add_fetch(&node->users, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&node->state, __ATOMIC_SEQ_CST) == WEIR__NODE_OPEN)
        return 0;
    weir__node_leave(node);
    return WEIR_ECLOSED;
}

void weir__node_leave(struct weir *node)
{
    __atomic_sub_fetch(&node->users, 1, __ATOMIC_SEQ_CST);
}

int weir__node_enter_blocking(struct weir *node)
{
    __atomic_add_fetch(&node->blocked, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&node->state, __ATOMIC_SEQ_CST) == WEIR__NODE_OPEN)
        return 0;
    weir__node_leave_blocking(node);
    return WEIR_ECLOSED;
}

void weir__node_leave_blocking(struct weir *node)
{
    __atomic_sub_fetch(&node->blocked, 1, __ATOMIC_SEQ_CST);
}

struct weir_req *weir__req_of(struct weir_task *task)
{
    return WEIR__CONTAINER(task, struct weir_req, impl);
}

int weir__node_post(struct weir *node, struct weir_req *req,
                    void (*run)(struct weir_task *task))
{
    struct weir_task *task = (struct weir_task *)(void *)req->impl;

    task->run = run;
    task->next = NULL;
    if (req->err != NULL) {
        req->err->code = 0;
        req->err->text[0] = '\0';
    }
    node->host.env->ops->post(node->host.env, task);
    return 0;
}

void weir__req_end(struct weir_req *req, int status)
{
    if (status != 0)
        weir__fail_status(req->err, status);
    req->done(req, status);
}

/** A blocking call that waits. */
struct waiter {
    struct weir_event event;
    struct weir_env *env;
    int status;
};

static void waiter_done(struct weir_req *req, int status)
{
    struct waiter *waiter = req->impl[WEIR__IMPL_SIZE / sizeof(void *)];

    waiter->status = status;
    waiter->env->ops->signal(waiter->env, &waiter->event);
}

int weir__call_sync(struct weir *node, struct weir_req *req,
                    int (*start)(void *target, struct weir_req *req),
                    void *target)
{
    struct weir_env *env = node->host.env;
    struct waiter waiter = {{0}, env, 0};
    void (*done)(struct weir_req * req, int status);
    int rc = weir__node_enter_blocking(node);

    if (rc != 0)
        return weir__fail_status(req->err, rc);
    rc = env->ops->wait(env, &waiter.event, 0);
    if (rc == WEIR_EBUSY) {
        weir__node_leave_blocking(node);
        return weir__fail(req->err, WEIR_EBUSY,
                          "a blocking call inside of a callback would wait "
                          "for itself");
    }
    done = req->done;
    req->done = waiter_done;
    req->impl[WEIR__IMPL_SIZE / sizeof(void *)] = &waiter;
    rc = start(target, req);
    if (rc == 0) {
        rc = env->ops->wait(env, &waiter.event, WEIR_FOREVER);
        if (rc == 0)
            rc = waiter.status;
    }
    req->done = done;
    weir__node_leave_blocking(node);
    return rc;
}

int weir__call_post(struct weir *node, struct weir_req *req, void *target,
                    void (*run)(struct weir_task *task))
{
    int rc = weir__node_enter(node);

    if (rc != 0)
        return weir__fail_status(req->err, rc);
    ((struct weir__call_impl *)(void *)req->impl)->target = target;
    rc = weir__node_post(node, req, run);
    weir__node_leave(node);
    return rc;
}

void *weir__call_target(const struct weir_req *req)
{
    return ((const struct weir__call_impl *)(const void *)req->impl)->target;
}

struct weir__call *weir__call_new(struct weir *node, struct weir_req *req)
{
    struct weir__call *call;

    if (!weir__node_is_open(node)) {
        weir__req_end(req, WEIR_ECLOSED);
        return NULL;
    }
    call = weir__calloc(node->alloc, 1, sizeof(*call));
    if (call == NULL) {
        weir__req_end(req, WEIR_ENOMEM);
        return NULL;
    }
    call->node = node;
    call->req = req;
    weir__list_push(&node->calls, &call->link);
    return call;
}

void weir__call_commit(struct weir__call *call,
                       void (*done)(struct weir__commit *commit, int status))
{
    call->commit = (struct weir__commit){.ops = &call->op,
                                         .count = 1,
                                         .done = done,
                                         .ctx = call,
                                         .err = &call->error};
    weir__late_start(call);
    weir__manifest_commit(call->node->manifest, &call->commit);
}

void weir__call_refresh(struct weir__call *call,
                        void (*done)(struct weir__refresh *refresh, int status))
{
    call->refresh =
        (struct weir__refresh){.done = done, .ctx = call, .err = &call->error};
    weir__late_start(call);
    weir__manifest_refresh(call->node->manifest, &call->refresh);
}

int weir__call_status(const struct weir__call *call, int status)
{
    return status != 0 ? status : call->op.status;
}

void weir__call_end(struct weir__call *call, int status)
{
    struct weir *node = call->node;
    struct weir_req *req = call->req;

    if (status != 0 && call->error.code != 0)
        weir__error_copy(req->err, &call->error);
    weir__list_remove(&call->link);
    node->host.env->ops->timer_stop(node->host.env, &call->late);
    weir__free(node->alloc, call);
    weir__req_end(req, status);
    weir__close_step(node);
}
