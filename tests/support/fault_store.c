/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fault_store.h"

#include "support/test.h"

#include "base/error.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct fault_store {
    struct weir_store base;
    const struct weir_host *host;
    struct weir_store *inner;
    enum fault fault;
    long first; /* Numbers of the requests that go wrong. */
    long last;
    long count;
    long hits;
    long puts;
    bool puts_only;
    uint64_t delay;
    struct fault_call *held;
    bool tells;
    struct weir_store_watch *watch;
};

/* A request on its way through. */
struct fault_call {
    struct fault_store *store;
    struct weir_store_req *req; /* NULL: its answer has been given. */
    struct weir_store_req inner;
    enum fault fault;
    int status;
    bool answered; /* By the inner store, and held. */
    struct fault_call *next;
    struct weir_task task;
    struct weir_timer timer;
    struct weir_iov iov; /* Of a late PUT: copies. */
    char *key;
};

static void call_free(struct fault_call *call)
{
    free(call->key);
    free((void *)(uintptr_t)call->iov.data);
    free(call);
}

static void answer(struct fault_call *call, int status)
{
    struct weir_store_req *req = call->req;

    req->body = call->inner.body;
    req->size = call->inner.size;
    req->entries = call->inner.entries;
    req->entry_count = call->inner.entry_count;
    req->more = call->inner.more;
    call_free(call);
    req->done(req, status);
}

/* A copy with a wrong byte: the store may share its own with others. */
static struct weir_buf *damaged(const struct fault_store *store,
                                struct weir_buf *body)
{
    struct weir_buf *copy =
        weir_buf_new(store->host->alloc, body->len > 0 ? body->len : 1, 0);

    if (copy == NULL)
        return body;
    memcpy(copy->data, body->data, body->len);
    copy->len = body->len;
    if (copy->len > 0)
        copy->data[copy->len / 2] ^= 0x10;
    weir_buf_unref(body);
    return copy;
}

static void inner_done(struct weir_store_req *inner, int status)
{
    struct fault_call *call = inner->ctx;

    if (call->req == NULL) {
        call_free(call);
        return;
    }
    if (call->fault == FAULT_HELD_AFTER) {
        call->status = status;
        call->answered = true;
        return;
    }
    if (call->fault == FAULT_UNKNOWN_AFTER &&
        call->req->verb != WEIR_STORE_PUT) {
        weir_buf_unref(inner->body);
        inner->body = NULL;
        status = weir__fail(call->req->err, WEIR_EUNAVAILABLE,
                            "%s: the answer was lost", call->req->key);
    } else if (call->fault == FAULT_UNKNOWN_AFTER)
        status = weir__fail(call->req->err, WEIR_EUNKNOWN,
                            "%s: the answer was lost", call->req->key);
    if (call->fault == FAULT_DAMAGED && status == 0 && inner->body != NULL)
        inner->body = damaged(call->store, inner->body);
    answer(call, status);
}

static void forward(struct fault_call *call)
{
    call->inner.done = inner_done;
    call->inner.ctx = call;
    call->store->inner->ops->submit(call->store->inner, &call->inner);
}

static void forward_late(struct weir_timer *timer)
{
    forward(WEIR__CONTAINER(timer, struct fault_call, timer));
}

/* Keep what the caller will take away. */
static void keep(struct fault_call *call)
{
    size_t len = 0;
    unsigned char *data;

    for (size_t i = 0; i < call->req->iov_count; i++)
        len += call->req->iov[i].len;
    data = malloc(len + 1);
    call->key = strdup(call->req->key);
    if (data == NULL || call->key == NULL)
        ck_abort_msg("out of memory");
    call->iov = (struct weir_iov){data, len};
    len = 0;
    for (size_t i = 0; i < call->req->iov_count; i++) {
        memcpy(data + len, call->req->iov[i].data, call->req->iov[i].len);
        len += call->req->iov[i].len;
    }
    call->inner.key = call->key;
    call->inner.iov = &call->iov;
    call->inner.iov_count = 1;
    call->inner.err = NULL;
}

/* Answer in place of the inner store. */
static void refuse(struct weir_task *task)
{
    struct fault_call *call = WEIR__CONTAINER(task, struct fault_call, task);
    struct weir_store_req *req = call->req;
    int status = WEIR_EUNKNOWN;

    if (call->fault == FAULT_BEFORE || req->verb != WEIR_STORE_PUT)
        status = WEIR_EUNAVAILABLE;
    if (call->fault == FAULT_REFUSED)
        status = WEIR_EACCES;
    weir__fail(req->err, status, "%s: made to fail", req->key);
    if (call->fault == FAULT_UNKNOWN_LATER && req->verb == WEIR_STORE_PUT) {
        struct weir_env *env = call->store->host->env;

        keep(call);
        call->req = NULL;
        call->timer.fire = forward_late;
        call->timer.deadline = env->ops->now(env) + call->store->delay;
        env->ops->timer_start(env, &call->timer);
        req->done(req, status);
        return;
    }
    answer(call, status);
}

static void hold(struct fault_call *call)
{
    call->next = call->store->held;
    call->store->held = call;
}

static void fault_submit(struct weir_store *base, struct weir_store_req *req)
{
    struct fault_store *store = WEIR__CONTAINER(base, struct fault_store, base);
    struct fault_call *call = calloc(1, sizeof(*call));
    long number;

    if (call == NULL)
        ck_abort_msg("out of memory");
    call->store = store;
    call->req = req;
    call->inner = *req;
    call->inner.body = NULL;
    store->count++;
    if (req->verb == WEIR_STORE_PUT)
        store->puts++;
    number = store->puts_only ? store->puts : store->count;
    if (number >= store->first && number <= store->last &&
        (!store->puts_only || req->verb == WEIR_STORE_PUT)) {
        call->fault = store->fault;
        store->hits++;
    }
    switch (call->fault) {
    case FAULT_BEFORE:
    case FAULT_REFUSED:
    case FAULT_UNKNOWN_BEFORE:
    case FAULT_UNKNOWN_LATER:
        call->task.run = refuse;
        store->host->env->ops->post(store->host->env, &call->task);
        return;
    case FAULT_HELD:
        hold(call);
        return;
    case FAULT_HELD_AFTER:
        hold(call);
        forward(call);
        return;
    case FAULT_NONE:
    case FAULT_UNKNOWN_AFTER:
    case FAULT_DAMAGED:
    case FAULT_KINDS:
        forward(call);
        return;
    }
}

static void fault_port_close(struct weir_store *base, struct weir_task *closed)
{
    struct fault_store *store = WEIR__CONTAINER(base, struct fault_store, base);

    store->host->env->ops->post(store->host->env, closed);
}

static int fault_watch(struct weir_store *base, struct weir_store_watch *watch)
{
    struct fault_store *store = WEIR__CONTAINER(base, struct fault_store, base);

    ck_assert_ptr_null(store->watch);
    if (!store->tells)
        return WEIR_EUNSUPPORTED;
    store->watch = watch;
    return 0;
}

static void fault_unwatch(struct weir_store *base,
                          struct weir_store_watch *watch)
{
    struct fault_store *store = WEIR__CONTAINER(base, struct fault_store, base);

    ck_assert_ptr_eq(store->watch, watch);
    store->watch = NULL;
}

static const struct weir_store_ops fault_ops = {
    .size = sizeof(struct weir_store_ops),
    .name = "fault",
    .submit = fault_submit,
    .close = fault_port_close,
    .watch = fault_watch,
    .unwatch = fault_unwatch,
};

struct fault_store *fault_store_open(const struct weir_host *host,
                                     struct weir_store *inner)
{
    struct fault_store *store = calloc(1, sizeof(*store));

    if (store == NULL)
        ck_abort_msg("out of memory");
    store->base.ops = &fault_ops;
    store->host = host;
    store->inner = inner;
    store->delay = 1000000000;
    return store;
}

struct weir_store *fault_store_port(struct fault_store *store)
{
    return &store->base;
}

void fault_store_close(struct fault_store *store)
{
    if (store == NULL)
        return;
    ck_assert_ptr_null(store->held);
    ck_assert_ptr_null(store->watch);
    free(store);
}

void fault_store_set(struct fault_store *store, enum fault fault, long n,
                     long times)
{
    store->fault = fault;
    store->first = (store->puts_only ? store->puts : store->count) + n;
    store->last = store->first + times - 1;
}

void fault_store_puts_only(struct fault_store *store)
{
    store->puts_only = true;
}

void fault_store_delay(struct fault_store *store, uint64_t delay)
{
    store->delay = delay;
}

long fault_store_count(const struct fault_store *store)
{
    return store->count;
}

long fault_store_hits(const struct fault_store *store)
{
    return store->hits;
}

long fault_store_puts(const struct fault_store *store)
{
    return store->puts;
}

void fault_store_tells(struct fault_store *store)
{
    store->tells = true;
}

void fault_store_tell(struct fault_store *store, const char *key, int live)
{
    ck_assert_ptr_nonnull(store->watch);
    store->watch->live = live;
    store->watch->changed(store->watch, key);
}

void fault_store_release(struct fault_store *store)
{
    struct fault_call *call = store->held;

    store->held = NULL;
    while (call != NULL) {
        struct fault_call *next = call->next;

        bool begun = call->fault == FAULT_HELD_AFTER;

        call->fault = FAULT_NONE;
        if (call->answered)
            answer(call, call->status);
        else if (!begun)
            forward(call);
        call = next;
    }
}
