/* SPDX-License-Identifier: Apache-2.0 */
#include "support/manifest_rig.h"

#include "support/test.h"

#include "store/store.h"

#include <stdlib.h>
#include <string.h>

void rig_init(struct manifest_rig *rig)
{
    int rc;

    memset(rig, 0, sizeof(*rig));
    virtual_env_init(&rig->env, 1);
    rig->snapshot_commits = 1000;
    rc = weir__store_memory_open(&rig->store, &rig->env.host, "mem:", NULL,
                                 NULL);
    ck_assert_int_eq(rc, 0);
    for (int i = 0; i < RIG_NODES; i++) {
        rig->nodes[i].rig = rig;
        rig->nodes[i].store = fault_store_open(&rig->env.host, rig->store);
    }
}

struct flag_task {
    struct weir_task task;
    int set;
};

static void flag_set(struct weir_task *task)
{
    ((struct flag_task *)task)->set = 1;
}

void rig_run(struct manifest_rig *rig, const int *flag)
{
    if (virtual_env_run(&rig->env, flag) != 0)
        ck_abort_msg("nothing is under way any more, and it has not ended");
}

void rig_leave(struct manifest_rig *rig, int i)
{
    struct rig_node *node = &rig->nodes[i];
    struct flag_task closed = {.task = {.run = flag_set}};

    if (node->manifest == NULL)
        return;
    weir__manifest_close(node->manifest, &closed.task);
    node->manifest = NULL;
    rig_run(rig, &closed.set);
}

void rig_close(struct manifest_rig *rig)
{
    struct flag_task closed = {.task = {.run = flag_set}};

    for (int i = 0; i < RIG_NODES; i++)
        rig_leave(rig, i);
    /* What was to be done late still is. */
    virtual_env_sleep(&rig->env, UINT64_C(3600) * 1000000000);
    rig->store->ops->close(rig->store, &closed.task);
    rig_run(rig, &closed.set);
    for (int i = 0; i < RIG_NODES; i++)
        fault_store_close(rig->nodes[i].store);
    virtual_env_close(&rig->env);
}

static void open_done(struct weir__manifest_open *req, int status)
{
    struct rig_opening *call = (struct rig_opening *)req;

    call->status = status;
    call->done++;
}

static void count_applied(void *ctx)
{
    struct rig_node *node = ctx;

    node->applied++;
}

int rig_open_start(struct manifest_rig *rig, int i, struct rig_opening *opening)
{
    struct rig_node *node = &rig->nodes[i];
    int rc;

    *opening = (struct rig_opening){
        .open = {.host = &rig->env.host,
                 .node_id = (uint32_t)i + 1,
                 .snapshot_commits = rig->snapshot_commits,
                 .read_only = rig->read_only,
                 .applied = count_applied,
                 .applied_ctx = node,
                 .done = open_done,
                 .err = &node->err},
    };
    memset(&node->err, 0, sizeof(node->err));
    rc = weir__mlog_store_open(&opening->open.log, &rig->env.host,
                               fault_store_port(node->store), &node->err);
    if (rc != 0)
        return rc;
    weir__manifest_open(&opening->open);
    ck_assert_int_eq(opening->done, 0);
    return 0;
}

int rig_open_finish(struct manifest_rig *rig, int i,
                    struct rig_opening *opening)
{
    rig_run(rig, &opening->done);
    ck_assert_int_eq(opening->done, 1);
    ck_assert((opening->status == 0) == (opening->open.manifest != NULL));
    rig->nodes[i].manifest = opening->open.manifest;
    return opening->status;
}

int rig_open(struct manifest_rig *rig, int i)
{
    struct rig_opening opening;
    int rc = rig_open_start(rig, i, &opening);

    return rc != 0 ? rc : rig_open_finish(rig, i, &opening);
}

struct rig_node *rig_join(struct manifest_rig *rig, int i)
{
    struct rig_node *node = &rig->nodes[i];
    struct weir__op op = op_node_open((uint32_t)i + 1);
    int rc = rig_open(rig, i);

    if (rc == WEIR_ENOMEM)
        rc = rig_open(rig, i); /* A test of just that. */
    ck_assert_msg(rc == 0, "%s", node->err.text);
    rc = rig_commit(node, &op, 1);
    ck_assert_msg(rc == 0 && op.status == 0, "%s", node->err.text);
    weir__manifest_set_epoch(node->manifest, op.u.node_open.epoch);
    return node;
}

static void commit_done(struct weir__commit *commit, int status)
{
    struct rig_commit *call = commit->ctx;

    call->status = status;
    call->done++;
}

void rig_start(struct rig_node *node, struct rig_commit *commit,
               struct weir__op *ops, size_t count)
{
    memset(commit, 0, sizeof(*commit));
    commit->commit = (struct weir__commit){.ops = ops,
                                           .count = count,
                                           .done = commit_done,
                                           .ctx = commit,
                                           .err = &commit->err};
    weir__manifest_commit(node->manifest, &commit->commit);
    ck_assert_int_eq(commit->done, 0);
}

int rig_commit(struct rig_node *node, struct weir__op *ops, size_t count)
{
    struct rig_commit call;

    rig_start(node, &call, ops, count);
    rig_run(node->rig, &call.done);
    ck_assert_int_eq(call.done, 1);
    node->err = call.err;
    return call.status;
}

static void refresh_done(struct weir__refresh *req, int status)
{
    struct rig_refresh *call = (struct rig_refresh *)req;

    call->status = status;
    call->done++;
}

void rig_refresh_start(struct rig_node *node, struct rig_refresh *refresh)
{
    *refresh = (struct rig_refresh){
        .refresh = {.done = refresh_done, .err = &node->err}};
    weir__manifest_refresh(node->manifest, &refresh->refresh);
}

int rig_refresh(struct rig_node *node)
{
    struct rig_refresh call;

    rig_refresh_start(node, &call);
    rig_run(node->rig, &call.done);
    ck_assert_int_eq(call.done, 1);
    return call.status;
}

struct store_call {
    struct weir_store_req req;
    int status;
    int done;
};

static void store_done(struct weir_store_req *req, int status)
{
    struct store_call *call = req->ctx;

    call->status = status;
    call->done = 1;
}

static void store_run(struct manifest_rig *rig, struct store_call *call)
{
    call->req.done = store_done;
    call->req.ctx = call;
    rig->store->ops->submit(rig->store, &call->req);
    rig_run(rig, &call->done);
    ck_assert_int_eq(call->status, 0);
}

void rig_put(struct manifest_rig *rig, const char *key, const void *data,
             size_t len)
{
    struct weir_iov iov = {data, len};
    struct store_call call = {
        .req = {
            .verb = WEIR_STORE_PUT, .key = key, .iov = &iov, .iov_count = 1}};

    store_run(rig, &call);
}

size_t rig_get(struct manifest_rig *rig, const char *key, void *to, size_t room)
{
    struct store_call call = {
        .req = {.verb = WEIR_STORE_GET, .key = key, .length = UINT64_MAX}};
    size_t len;

    store_run(rig, &call);
    len = call.req.body->len;
    ck_assert_uint_le(len, room);
    memcpy(to, call.req.body->data, len);
    weir_buf_unref(call.req.body);
    return len;
}

struct weir__op op_node_open(uint32_t node_id)
{
    struct weir__op op = {.kind = WEIR__OP_NODE_OPEN};

    op.u.node_open.node_id = node_id;
    return op;
}

struct weir__op op_create(const char *name)
{
    struct weir__op op = {.kind = WEIR__OP_STREAM_CREATE};

    op.u.stream_create.name = name;
    return op;
}

struct weir__op op_delete(uint64_t id)
{
    struct weir__op op = {.kind = WEIR__OP_STREAM_DELETE};

    op.u.stream_delete.id = id;
    return op;
}

struct weir__op op_open(uint64_t id)
{
    struct weir__op op = {.kind = WEIR__OP_STREAM_OPEN};

    op.u.stream_open.id = id;
    return op;
}

struct weir__op op_trim(uint64_t id, uint64_t epoch, uint64_t start)
{
    struct weir__op op = {.kind = WEIR__OP_STREAM_TRIM};

    op.u.stream_trim.id = id;
    op.u.stream_trim.epoch = epoch;
    op.u.stream_trim.start = start;
    return op;
}

struct weir__op op_reserve(uint32_t count)
{
    struct weir__op op = {.kind = WEIR__OP_OBJECT_RESERVE};

    op.u.object_reserve.count = count;
    return op;
}

struct weir__op op_add(uint64_t id, struct weir__range *ranges, size_t count)
{
    struct weir__op op = {.kind = WEIR__OP_OBJECT_ADD};

    op.u.object_add.id = id;
    op.u.object_add.kind = WEIR__OBJECT_SET;
    op.u.object_add.size = 100;
    op.u.object_add.ranges = ranges;
    op.u.object_add.range_count = count;
    return op;
}

struct weir__op op_put(const char *key, const char *value, uint64_t expected)
{
    struct weir__op op = {.kind = WEIR__OP_KV_PUT};

    op.u.kv_put.key = key;
    op.u.kv_put.value = value;
    op.u.kv_put.len = value != NULL ? strlen(value) : 0;
    op.u.kv_put.expected = expected;
    return op;
}

int op_apply(struct weir__state *state, uint32_t node, uint64_t epoch,
             struct weir__op *op)
{
    struct weir__record record = {.version = weir__state_version(state) + 1,
                                  .node_id = node,
                                  .node_epoch = epoch,
                                  .op_count = 1};

    ck_assert_int_eq(weir__state_begin(state, &record, NULL), 0);
    ck_assert_int_eq(weir__state_op(state, &record, 0, op), 0);
    weir__state_end(state, &record);
    return op->status;
}

unsigned char *rig_state(struct rig_node *node, size_t *len)
{
    const struct weir__state *state = weir__manifest_state(node->manifest);
    struct weir__writer w;
    unsigned char *copy;

    weir__writer_init(&w, weir_alloc_default());
    ck_assert_int_eq(weir__state_encode(state, &w), 0);
    copy = malloc(w.len);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, w.data, w.len);
    *len = w.len;
    weir__writer_free(&w);
    return copy;
}

void rig_same(struct rig_node *a, struct rig_node *b)
{
    size_t a_len;
    size_t b_len;
    unsigned char *a_bytes = rig_state(a, &a_len);
    unsigned char *b_bytes = rig_state(b, &b_len);

    ck_assert_uint_eq(a_len, b_len);
    ck_assert_mem_eq(a_bytes, b_bytes, a_len);
    free(a_bytes);
    free(b_bytes);
}
