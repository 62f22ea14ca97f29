/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that end before their commit does.  While the manifest cannot be
 * reached a commit is tried again and again; who asked for it is told after
 * `commit_timeout`.  What was never sent is taken back.  The outcome of the
 * rest is unknown: its commit goes on, for a copy of the request.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/sometimes.h"
#include "engine/call.h"
#include <weir/cluster.h>
#include <weir/kv.h>

/* Until memory may be there again. */
#define AGAIN_NS UINT64_C(1000000000)

/** Takes the place of a request that has ended. */
struct stand_in {
    struct weir *node;
    union {
        struct weir_req req; /* All the others begin with it. */
        struct weir_stream_open open;
        struct weir_stream_delete remove;
        struct weir_trim trim;
        struct weir_kv_put put;
        struct weir_handover hand;
    } as;
    int opens;   /* It is an opening: nobody will close the handle. */
    char text[]; /* Name or key, and then the value. */
};

static void stand_in_done(struct weir_req *req, int status)
{
    struct stand_in *in = WEIR__CONTAINER(req, struct stand_in, as.req);

    WEIR__SOMETIMES_IF(status == 0, "a commit succeeds that nobody awaits");
    if (in->opens && status == 0)
        weir_stream_close(in->as.open.stream);
    weir__free(in->node->alloc, in);
}

/* The copy's own name. */
static const char *take_text(struct stand_in *in, const char *text)
{
    memcpy(in->text, text, strlen(text) + 1);
    return in->text;
}

static void copy_put(struct stand_in *in, struct weir__op *op,
                     const struct weir_kv_put *put)
{
    char *value = in->text + strlen(put->key) + 1;

    in->as.put = *put;
    in->as.put.key = op->u.kv_put.key = take_text(in, put->key);
    if (put->value == NULL)
        return;
    if (put->len > 0)
        memcpy(value, put->value, put->len);
    in->as.put.value = op->u.kv_put.value = value;
}

static void copy_open(struct stand_in *in, struct weir__op *op,
                      const struct weir_stream_open *open)
{
    in->opens = 1;
    in->as.open = *open;
    in->as.open.name = take_text(in, open->name);
    if (op->kind == WEIR__OP_STREAM_CREATE)
        op->u.stream_create.name = in->as.open.name;
}

/* Bytes of what the request names. */
static size_t text_size(const struct weir__call *call)
{
    struct weir_req *req = call->req;
    const struct weir_kv_put *put;

    switch (call->op.kind) {
    case WEIR__OP_STREAM_CREATE:
    case WEIR__OP_STREAM_OPEN:
        return strlen(WEIR__CONTAINER(req, struct weir_stream_open, req)->name);
    case WEIR__OP_STREAM_DELETE:
        return strlen(
            WEIR__CONTAINER(req, struct weir_stream_delete, req)->name);
    case WEIR__OP_KV_PUT:
        put = WEIR__CONTAINER(req, struct weir_kv_put, req);
        return strlen(put->key) + 1 + put->len;
    default:
        return 0;
    }
}

static int copy(struct stand_in *in, struct weir__call *call)
{
    struct weir_req *req = call->req;

    switch (call->op.kind) {
    case WEIR__OP_STREAM_CREATE:
    case WEIR__OP_STREAM_OPEN:
        copy_open(in, &call->op,
                  WEIR__CONTAINER(req, struct weir_stream_open, req));
        return 0;
    case WEIR__OP_STREAM_DELETE:
        in->as.remove = *WEIR__CONTAINER(req, struct weir_stream_delete, req);
        in->as.remove.name = take_text(in, in->as.remove.name);
        return 0;
    case WEIR__OP_KV_PUT:
        copy_put(in, &call->op, WEIR__CONTAINER(req, struct weir_kv_put, req));
        return 0;
    case WEIR__OP_STREAM_TRIM:
        in->as.trim = *WEIR__CONTAINER(req, struct weir_trim, req);
        return 0;
    case WEIR__OP_STREAM_HAND: /* It has copies of its streams. */
        in->as.hand = *WEIR__CONTAINER(req, struct weir_handover, req);
        return 0;
    default:
        return WEIR_EUNSUPPORTED;
    }
}

/* From now on the call works for a copy. */
static int stand_in(struct weir__call *call)
{
    struct stand_in *in =
        weir__calloc(call->node->alloc, 1, sizeof(*in) + text_size(call) + 1);

    int rc = in == NULL ? WEIR_ENOMEM : copy(in, call);

    if (rc != 0) {
        weir__free(call->node->alloc, in);
        return rc;
    }
    in->node = call->node;
    in->as.req.done = stand_in_done;
    in->as.req.err = NULL;
    call->req = &in->as.req;
    call->abandoned = 1;
    return 0;
}

const char *weir__late_reason(const struct weir *node)
{
    const char *trouble = weir__manifest_trouble(node->manifest);

    return trouble[0] != '\0' ? trouble : "no answer";
}

/* Nothing was sent: the request ends as if the manifest had said so. */
static int take_back(struct weir__call *call)
{
    struct weir__manifest *manifest = call->node->manifest;
    int reading = weir__manifest_forget(manifest, &call->refresh);

    if (!reading && !weir__manifest_withdraw(manifest, &call->commit))
        return 0;
    WEIR__SOMETIMES("a request is taken back from the manifest's queue");
    weir__fail(&call->error, WEIR_ETIMEDOUT,
               "the manifest cannot be reached, and nothing was sent: %.180s",
               weir__late_reason(call->node));
    if (reading)
        call->refresh.done(&call->refresh, WEIR_ETIMEDOUT);
    else
        call->commit.done(&call->commit, WEIR_ETIMEDOUT);
    return 1;
}

static void late(struct weir_timer *timer)
{
    struct weir__call *call = WEIR__CONTAINER(timer, struct weir__call, late);
    struct weir_env *env = call->node->host.env;
    struct weir_req *req = call->req;
    int rc;

    if (take_back(call))
        return;
    rc = stand_in(call);
    if (rc == WEIR_ENOMEM) {
        timer->deadline = env->ops->now(env) + AGAIN_NS;
        env->ops->timer_start(env, timer);
    }
    if (rc != 0)
        return;
    WEIR__SOMETIMES("a request ends while its commit is under way");
    weir__fail(req->err, WEIR_EUNKNOWN,
               "the manifest does not answer: it may be done, or may still be: "
               "%.180s",
               weir__late_reason(call->node));
    weir__req_end(req, WEIR_EUNKNOWN);
}

void weir__late_start(struct weir__call *call)
{
    const struct weir *node = call->node;
    struct weir_env *env = node->host.env;
    uint64_t patience = (uint64_t)node->config->number[WEIR__P_COMMIT_TIMEOUT];

    if (patience == 0 || call->late.fire != NULL)
        return;
    call->late.fire = late;
    call->late.deadline = env->ops->now(env) + patience;
    env->ops->timer_start(env, &call->late);
}
