/* SPDX-License-Identifier: Apache-2.0 */
/* The public key/values: puts are commits, gets are reads of the state. */
#include "base/error.h"
#include "engine/call.h"
#include <weir/kv.h>

static void put_done(struct weir__commit *commit, int status)
{
    struct weir__call *call = commit->ctx;
    struct weir_kv_put *req =
        WEIR__CONTAINER(call->req, struct weir_kv_put, req);

    status = weir__call_status(call, status);
    req->version = call->op.u.kv_put.version;
    if (status == WEIR_ECONFLICT)
        weir__fail(&call->error, status, "key %s has version %llu", req->key,
                   (unsigned long long)req->version);
    weir__call_end(call, status);
}

static void put_run(struct weir_task *task)
{
    struct weir_kv_put *req =
        WEIR__CONTAINER(weir__req_of(task), struct weir_kv_put, req);
    struct weir__call *call =
        weir__call_new(weir__call_target(&req->req), &req->req);

    if (call == NULL)
        return;
    call->op = (struct weir__op){.kind = WEIR__OP_KV_PUT};
    call->op.u.kv_put.key = req->key;
    call->op.u.kv_put.value = req->value;
    call->op.u.kv_put.len = req->len;
    call->op.u.kv_put.expected = req->expected;
    call->op.u.kv_put.bound = (req->flags & WEIR_KV_NODE_LIFE) != 0;
    weir__call_commit(call, put_done);
}

int weir_kv_put(struct weir *node, struct weir_kv_put *req)
{
    size_t len;

    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    len = req->key == NULL ? 0 : strnlen(req->key, WEIR_KV_KEY_MAX + 1);
    if (len == 0 || len > WEIR_KV_KEY_MAX)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "a key must have 1 to %d bytes", WEIR_KV_KEY_MAX);
    if (req->len > WEIR_KV_VALUE_MAX)
        return weir__fail(req->req.err, WEIR_ETOOBIG,
                          "key %s: a value of %zu bytes; %d is the most",
                          req->key, req->len, WEIR_KV_VALUE_MAX);
    if ((req->flags & ~WEIR_KV_NODE_LIFE) != 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "key %s: unknown flags 0x%x", req->key, req->flags);
    if (node->read_only)
        return weir__fail(req->req.err, WEIR_EREADONLY,
                          "key %s: the node is read-only", req->key);
    return weir__call_post(node, &req->req, node, put_run);
}

static int put_start(void *node, struct weir_req *req)
{
    return weir_kv_put(node, WEIR__CONTAINER(req, struct weir_kv_put, req));
}

int weir_kv_put_sync(struct weir *node, struct weir_kv_put *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, put_start, node);
}

static int get_prefix(const struct weir__state *state, struct weir_kv_get *req)
{
    size_t n = strlen(req->key);
    const struct weir_kv_pair *pair = weir__state_kv(state, req->key);
    int rc = 0;

    if (pair == NULL)
        pair = weir__state_kv_after(state, req->key);
    while (rc == 0 && pair != NULL && strncmp(pair->key, req->key, n) == 0) {
        rc = req->pair(req, pair);
        pair = weir__state_kv_after(state, pair->key);
    }
    return rc;
}

static void get_run(struct weir_task *task)
{
    struct weir_kv_get *req =
        WEIR__CONTAINER(weir__req_of(task), struct weir_kv_get, req);
    struct weir *node = weir__call_target(&req->req);
    const struct weir__state *state;
    const struct weir_kv_pair *pair;
    int rc;

    if (!weir__node_is_open(node)) {
        weir__req_end(&req->req, WEIR_ECLOSED);
        return;
    }
    state = weir__manifest_state(node->manifest);
    if (req->prefix) {
        rc = get_prefix(state, req);
    } else {
        pair = weir__state_kv(state, req->key);
        rc = pair == NULL
                 ? weir__fail(req->req.err, WEIR_ENOENT, "no key %s", req->key)
                 : req->pair(req, pair);
    }
    weir__req_end(&req->req, rc);
}

int weir_kv_get(struct weir *node, struct weir_kv_get *req)
{
    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    if (req->key == NULL || req->pair == NULL)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "a get needs a key and a function for its pairs");
    return weir__call_post(node, &req->req, node, get_run);
}

static int get_start(void *node, struct weir_req *req)
{
    return weir_kv_get(node, WEIR__CONTAINER(req, struct weir_kv_get, req));
}

int weir_kv_get_sync(struct weir *node, struct weir_kv_get *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, get_start, node);
}
