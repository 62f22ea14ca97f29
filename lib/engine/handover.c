/* SPDX-License-Identifier: Apache-2.0 */
/* Handing streams over: their appends end, then one commit gives them all, or
 * as many as it can name, and others the rest. */
#include "engine/handover.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "engine/call.h"
#include "engine/group.h"
#include "engine/upload.h"
#include "format/manifest_record.h"
#include <weir/cluster.h>

/** Streams on their way. */
struct handover {
    struct weir__list link; /* In the node's, until the commit begins. */
    struct weir__call *call;
    struct weir_stream **streams; /* By id. */
    struct weir__hand *hands;
    size_t count;
    size_t given; /* Those before it have had their commit. */
};

static void handover_free(struct handover *h)
{
    const struct weir_alloc *alloc = h->call->node->alloc;

    weir__list_remove(&h->link);
    weir__free(alloc, h->streams);
    weir__free(alloc, h->hands);
    weir__free(alloc, h);
}

static void end(struct handover *h, int status)
{
    struct weir__call *call = h->call;

    for (size_t i = 0; i < h->count; i++)
        h->streams[i]->giving = 0;
    handover_free(h);
    weir__call_end(call, status);
}

/* What each stream came to, and the first that was not given. */
static int settle(struct handover *h)
{
    int rc = 0;

    for (size_t i = 0; i < h->count; i++) {
        struct weir_stream *s = h->streams[i];

        if (s->failed != WEIR_ENOENT)
            weir__stream_sync(s);
        if (h->hands[i].status != 0 && h->hands[i].status != WEIR_ENOENT &&
            rc == 0)
            rc = weir__fail(&h->call->error, h->hands[i].status,
                            "hand over %s: %s", s->name,
                            weir_error_text(h->hands[i].status));
    }
    return rc;
}

/* Those of the commits before are the other node's, whatever has become of the
 * last one: nobody is told that nothing was done. */
static int in_part(struct handover *h, int status)
{
    (void)settle(h);
    if (h->given == 0 || status != WEIR_ETIMEDOUT)
        return status;
    return weir__fail(&h->call->error, WEIR_EUNKNOWN,
                      "hand over: %zu of %zu streams were handed over: the "
                      "manifest cannot be reached",
                      h->given, h->count);
}

static void commit_start(struct handover *h);

static void committed(struct weir__commit *commit, int status)
{
    struct weir__call *call = commit->ctx;
    struct weir *node = call->node;
    struct handover *h = call->job;

    status = weir__call_status(call, status);
    if (status == 0)
        h->given += call->op.u.stream_hand.count;
    if (status == 0 && h->given < h->count) {
        commit_start(h);
        return;
    }
    end(h, status == 0 ? settle(h) : in_part(h, status));
    weir__upload_pressure(node);
}

static void commit_start(struct handover *h)
{
    const struct weir_handover *req =
        WEIR__CONTAINER(h->call->req, struct weir_handover, req);
    struct weir__op *op = &h->call->op;
    size_t count = h->count - h->given;

    if (count > WEIR__HANDS_MAX)
        count = WEIR__HANDS_MAX;
    weir__list_remove(&h->link);
    for (size_t i = h->given; i < h->given + count; i++)
        h->hands[i] = (struct weir__hand){.stream_id = h->streams[i]->id,
                                          .stream_epoch = h->streams[i]->epoch,
                                          .end = h->streams[i]->durable};
    *op = (struct weir__op){.kind = WEIR__OP_STREAM_HAND};
    op->u.stream_hand.node_id = req->to_node;
    op->u.stream_hand.hands = h->hands + h->given;
    op->u.stream_hand.count = count;
    weir__call_commit(h->call, committed);
}

/* What may be in the log must come before what the next owner appends. */
static int unsure(struct handover *h)
{
    return weir__fail(&h->call->error, WEIR_EPOISONED,
                      "hand over: the write-ahead log has failed, and may hold "
                      "more than was acknowledged: open the node again first");
}

/* 1 if an append to one of the streams is under way.  One that was deleted has
 * no end that its appends could come to. */
static int is_busy(const struct handover *h)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct weir_stream *s = h->streams[i];

        if (s->failed != WEIR_ENOENT && s->next != s->durable)
            return 1;
    }
    return 0;
}

void weir__handover_look(struct weir *node)
{
    struct weir__list *at = node->handovers.next;

    while (at != &node->handovers) {
        struct handover *h = WEIR__CONTAINER(at, struct handover, link);

        at = at->next;
        /* What is under way of a fenced node is never settled here. */
        if (node->fenced)
            end(h, weir__fail(&h->call->error, WEIR_EFENCED,
                              "hand over: another process has opened this "
                              "node"));
        else if (node->commits.unsure)
            end(h, unsure(h)); /* That came out while it waited. */
        else if (!is_busy(h))
            commit_start(h);
        else if (node->commits.forsaken) /* Nobody settles what it waits for. */
            end(h, weir__fail(&h->call->error, WEIR_ECLOSED,
                              "hand over: the node closes, and what was under "
                              "way is not known to count"));
    }
}

static int by_id(const void *a, const void *b)
{
    const struct weir_stream *const *x = a;
    const struct weir_stream *const *y = b;

    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* Why the streams cannot be handed over, or 0. */
static int check(struct handover *h)
{
    if (h->call->node->commits.unsure)
        return unsure(h);
    for (size_t i = 0; i < h->count; i++) {
        const struct weir_stream *s = h->streams[i];

        if (i > 0 && h->streams[i - 1] == s)
            return weir__fail(&h->call->error, WEIR_EINVAL,
                              "hand over %s: twice in one request", s->name);
        if (s->failed != 0 || !s->local || s->giving)
            return weir__fail(&h->call->error,
                              s->failed != 0 ? s->failed : WEIR_EFENCED,
                              "hand over %s: it is not this node's", s->name);
        if (s->damaged != WEIR_OFFSET_END)
            return weir__fail(&h->call->error, WEIR_ECORRUPT,
                              "hand over %s: offset %llu is damaged in the "
                              "write-ahead log; trim past it first",
                              s->name, (unsigned long long)s->damaged);
    }
    return 0;
}

static struct handover *handover_new(struct weir__call *call)
{
    const struct weir_handover *req =
        WEIR__CONTAINER(call->req, struct weir_handover, req);
    const struct weir_alloc *alloc = call->node->alloc;
    struct handover *h = weir__calloc(alloc, 1, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->call = call;
    call->job = h;
    weir__list_init(&h->link);
    h->streams = weir__calloc(alloc, req->count, sizeof(struct weir_stream *));
    h->hands = weir__calloc(alloc, req->count, sizeof(*h->hands));
    if (h->streams == NULL || h->hands == NULL) {
        handover_free(h);
        return NULL;
    }
    for (size_t i = 0; i < req->count; i++)
        h->streams[i] = req->streams[i];
    qsort(h->streams, req->count, sizeof(struct weir_stream *), by_id);
    return h;
}

static void handover_run(struct weir_task *task)
{
    struct weir_handover *req =
        WEIR__CONTAINER(weir__req_of(task), struct weir_handover, req);
    struct weir *node = weir__call_target(&req->req);
    struct weir__call *call = weir__call_new(node, &req->req);
    struct handover *h;
    int rc;

    if (call == NULL)
        return;
    h = handover_new(call);
    if (h == NULL) {
        weir__call_end(call, WEIR_ENOMEM);
        return;
    }
    h->count = req->count;
    rc = check(h);
    if (rc != 0) {
        h->count = 0;
        end(h, rc);
        return;
    }
    for (size_t i = 0; i < h->count; i++) {
        h->streams[i]->giving = 1;
        weir__append_fail_waiting(h->streams[i], WEIR_EFENCED);
    }
    weir__list_push(&node->handovers, &h->link);
    weir__handover_look(node);
}

int weir_handover(struct weir *node, struct weir_handover *req)
{
    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    if (node->read_only)
        return weir__fail(req->req.err, WEIR_EREADONLY,
                          "hand over: the node is read-only");
    if (req->streams == NULL || req->count == 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "hand over: expected at least one stream");
    for (size_t i = 0; i < req->count; i++)
        if (req->streams[i] == NULL || req->streams[i]->node != node ||
            !__atomic_load_n(&req->streams[i]->view.writable, __ATOMIC_ACQUIRE))
            return weir__fail(req->req.err, WEIR_EINVAL,
                              "hand over: stream %zu is not one that this "
                              "node has opened to append",
                              i);
    return weir__call_post(node, &req->req, node, handover_run);
}

static int handover_start(void *node, struct weir_req *req)
{
    return weir_handover(node, WEIR__CONTAINER(req, struct weir_handover, req));
}

int weir_handover_sync(struct weir *node, struct weir_handover *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, handover_start, node);
}
