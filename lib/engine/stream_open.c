/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and deleting streams. */
#include "base/error.h"
#include "engine/call.h"
#include "engine/group.h"
#include "engine/lease.h"
#include "engine/upload.h"

#define OPEN_FLAGS                                                             \
    (WEIR_STREAM_CREATE | WEIR_STREAM_EXCLUSIVE | WEIR_STREAM_READ)

static void open_named(struct weir__call *call);

static struct weir_stream_open *open_req(const struct weir__call *call)
{
    return WEIR__CONTAINER(call->req, struct weir_stream_open, req);
}

static void open_end(struct weir__call *call, struct weir_stream *s)
{
    __atomic_add_fetch(&s->view.opens, 1, __ATOMIC_ACQ_REL);
    weir__stream_publish(s);
    open_req(call)->stream = s;
    weir__call_end(call, 0);
}

/* 1 if a commit has found that another node deleted the stream.  The state is
 * fresh by now: there may be a new one of that name.  That is not meant by a
 * request that has ended: it may have been made since. */
static int gone(const struct weir__call *call, int status)
{
    return status == 0 && call->op.status == WEIR_ENOENT && !call->abandoned;
}

/* There is no handle: no memory for it, or no such stream any more, as the
 * commit that opened it has deleted it too. */
static void no_handle(struct weir__call *call)
{
    const struct weir__state *state =
        weir__manifest_state(call->node->manifest);

    if (weir__state_stream(state, call->id) != NULL) {
        weir__call_end(call, WEIR_ENOMEM);
    } else if (call->abandoned) {
        weir__call_end(call, WEIR_ENOENT);
    } else {
        call->refreshed = 1;
        open_named(call);
    }
}

static void owned(struct weir__commit *commit, int status)
{
    struct weir__call *call = commit->ctx;
    struct weir_stream *s;

    if (gone(call, status)) {
        call->refreshed = 1;
        open_named(call);
        return;
    }
    status = weir__call_status(call, status);
    if (status == WEIR_EBUSY)
        weir__fail(&call->error, status,
                   "open %s: it belongs to another node, whose write-ahead log "
                   "may hold a part of it: have that node hand it over or "
                   "close it, or take it over if it is dead",
                   open_req(call)->name);
    if (status != 0) {
        weir__call_end(call, status);
        return;
    }
    s = weir__stream_get(call->node, call->id);
    if (s == NULL) {
        no_handle(call);
        return;
    }
    s->epoch = call->op.u.stream_open.epoch;
    s->local = 1;
    if (s->failed == WEIR_EFENCED)
        s->failed = 0;
    weir__stream_sync(s);
    weir__stream_begin(s);
    __atomic_store_n(&s->view.writable, 1, __ATOMIC_RELEASE);
    open_end(call, s);
}

static void refreshed(struct weir__refresh *refresh, int status);

/* Why this node can be nobody's owner, or 0. */
static int check_owner(struct weir__call *call)
{
    const char *name = open_req(call)->name;

    if (call->node->read_only)
        return weir__fail(&call->error, WEIR_EREADONLY,
                          "open %s: the node is read-only", name);
    /* Its successor has its name, and may have the stream. */
    if (call->node->fenced)
        return weir__fail(&call->error, WEIR_EFENCED,
                          "open %s: another process has opened node %u", name,
                          call->node->id);
    return 0;
}

/* Become the owner, unless this node is already; whose lease has run out looks
 * whether it still is. */
static void own(struct weir__call *call)
{
    struct weir_stream *s = weir__map_get(&call->node->streams, call->id);
    int rc = check_owner(call);

    if (rc != 0) {
        weir__call_end(call, rc);
        return;
    }
    if (s != NULL && s->local && s->failed == 0 && !s->giving) {
        if (call->refreshed || weir__lease_runs(call->node))
            open_end(call, s);
        else
            weir__call_refresh(call, refreshed);
        return;
    }
    call->op = (struct weir__op){.kind = WEIR__OP_STREAM_OPEN};
    call->op.u.stream_open.id = call->id;
    weir__call_commit(call, owned);
}

static void open_id(struct weir__call *call, uint64_t id)
{
    struct weir_stream *s;

    call->id = id;
    if (call->abandoned) {
        weir__call_end(call, 0);
        return;
    }
    if ((open_req(call)->flags & WEIR_STREAM_READ) == 0) {
        own(call);
        return;
    }
    s = weir__stream_get(call->node, id);
    if (s == NULL)
        no_handle(call);
    else
        open_end(call, s);
}

static void created(struct weir__commit *commit, int status)
{
    struct weir__call *call = commit->ctx;

    status = weir__call_status(call, status);
    if (status == WEIR_EEXIST &&
        (open_req(call)->flags & WEIR_STREAM_EXCLUSIVE) == 0)
        status = 0;
    if (status != 0)
        weir__call_end(call, status);
    else
        open_id(call, call->op.u.stream_create.id);
}

static void refreshed(struct weir__refresh *refresh, int status)
{
    struct weir__call *call = refresh->ctx;

    if (status != 0) {
        weir__call_end(call, status);
        return;
    }
    call->refreshed = 1;
    weir__stream_sync_all(call->node);
    open_named(call);
}

/* There is no such stream here: make it, or see whether another node has. */
static void open_missing(struct weir__call *call)
{
    const struct weir_stream_open *req = open_req(call);

    if ((req->flags & WEIR_STREAM_CREATE) != 0 && call->node->read_only) {
        weir__call_end(call, weir__fail(&call->error, WEIR_EREADONLY,
                                        "create %s: the node is read-only",
                                        req->name));
    } else if ((req->flags & WEIR_STREAM_CREATE) != 0) {
        call->op = (struct weir__op){.kind = WEIR__OP_STREAM_CREATE};
        call->op.u.stream_create.name = req->name;
        weir__call_commit(call, created);
    } else if (!call->refreshed) {
        weir__call_refresh(call, refreshed);
    } else {
        weir__call_end(call, weir__fail(&call->error, WEIR_ENOENT,
                                        "no stream %s", req->name));
    }
}

static void open_named(struct weir__call *call)
{
    const struct weir_stream_open *req = open_req(call);
    const struct weir__mstream *m = weir__state_stream_named(
        weir__manifest_state(call->node->manifest), req->name);

    if (m == NULL)
        open_missing(call);
    else if ((req->flags & WEIR_STREAM_EXCLUSIVE) != 0)
        weir__call_end(call, weir__fail(&call->error, WEIR_EEXIST,
                                        "stream %s exists", req->name));
    else
        open_id(call, m->id);
}

static void open_run(struct weir_task *task)
{
    struct weir_req *req = weir__req_of(task);
    struct weir__call *call = weir__call_new(weir__call_target(req), req);

    if (call != NULL)
        open_named(call);
}

/* A name as the manifest takes it: 1 to WEIR_NAME_MAX bytes. */
static int name_check(const char *name, struct weir_error *err)
{
    size_t len = name == NULL ? 0 : strnlen(name, WEIR_NAME_MAX + 1);

    if (len != 0 && len <= WEIR_NAME_MAX)
        return 0;
    return weir__fail(err, WEIR_EINVAL,
                      "a stream's name must have 1 to %d bytes", WEIR_NAME_MAX);
}

int weir_stream_open(struct weir *node, struct weir_stream_open *req)
{
    int rc;

    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    req->stream = NULL;
    rc = name_check(req->name, req->req.err);
    if (rc != 0)
        return rc;
    if ((req->flags & ~OPEN_FLAGS) != 0 ||
        ((req->flags & WEIR_STREAM_EXCLUSIVE) != 0 &&
         (req->flags & WEIR_STREAM_CREATE) == 0))
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "open %s: flags 0x%x: only CREATE, CREATE with "
                          "EXCLUSIVE, and READ go",
                          req->name, req->flags);
    return weir__call_post(node, &req->req, node, open_run);
}

static int open_start(void *node, struct weir_req *req)
{
    return weir_stream_open(node,
                            WEIR__CONTAINER(req, struct weir_stream_open, req));
}

int weir_stream_open_sync(struct weir *node, struct weir_stream_open *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, open_start, node);
}

void weir_stream_close(struct weir_stream *s)
{
    unsigned opens;

    if (s == NULL)
        return;
    opens = __atomic_load_n(&s->view.opens, __ATOMIC_ACQUIRE);
    while (opens != 0 &&
           !__atomic_compare_exchange_n(&s->view.opens, &opens, opens - 1, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    }
}

static void delete_named(struct weir__call *call);

static void deleted(struct weir__commit *commit, int status)
{
    struct weir__call *call = commit->ctx;
    struct weir *node = call->node;
    struct weir_stream *s = weir__map_get(&node->streams, call->id);

    if (gone(call, status)) {
        call->refreshed = 1;
        delete_named(call);
        return;
    }
    status = weir__call_status(call, status);
    if (status == 0 && s != NULL)
        weir__stream_sync(s);
    if (status == 0) {
        weir__group_trim(node);
        weir__sweep_look(node);
    }
    weir__call_end(call, status);
}

static void delete_refreshed(struct weir__refresh *refresh, int status)
{
    struct weir__call *call = refresh->ctx;

    if (status != 0) {
        weir__call_end(call, status);
        return;
    }
    call->refreshed = 1;
    delete_named(call);
}

static void delete_named(struct weir__call *call)
{
    const char *name =
        WEIR__CONTAINER(call->req, struct weir_stream_delete, req)->name;
    struct weir__manifest *manifest = call->node->manifest;
    const struct weir__mstream *m =
        weir__state_stream_named(weir__manifest_state(manifest), name);

    if (m != NULL) {
        call->id = m->id;
        call->op = (struct weir__op){.kind = WEIR__OP_STREAM_DELETE};
        call->op.u.stream_delete.id = m->id;
        weir__call_commit(call, deleted);
    } else if (!call->refreshed) {
        weir__call_refresh(call, delete_refreshed);
    } else {
        weir__call_end(
            call, weir__fail(&call->error, WEIR_ENOENT, "no stream %s", name));
    }
}

static void delete_run(struct weir_task *task)
{
    struct weir_req *req = weir__req_of(task);
    struct weir__call *call = weir__call_new(weir__call_target(req), req);

    if (call != NULL)
        delete_named(call);
}

int weir_stream_delete(struct weir *node, struct weir_stream_delete *req)
{
    int rc;

    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    rc = name_check(req->name, req->req.err);
    if (rc == 0 && node->read_only)
        rc = weir__fail(req->req.err, WEIR_EREADONLY,
                        "delete %s: the node is read-only", req->name);
    if (rc != 0)
        return rc;
    return weir__call_post(node, &req->req, node, delete_run);
}

static int delete_start(void *node, struct weir_req *req)
{
    return weir_stream_delete(
        node, WEIR__CONTAINER(req, struct weir_stream_delete, req));
}

int weir_stream_delete_sync(struct weir *node, struct weir_stream_delete *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, delete_start, node);
}
