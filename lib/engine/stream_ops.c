/* SPDX-License-Identifier: Apache-2.0 */
/* Trimming, listing and looking at streams. */
#include "base/error.h"
#include "engine/call.h"
#include "engine/group.h"
#include "engine/upload.h"

static void trimmed(struct weir__commit *commit, int status)
{
    struct weir__call *call = commit->ctx;
    struct weir_trim *req = WEIR__CONTAINER(call->req, struct weir_trim, req);
    struct weir *node = call->node;
    struct weir_stream *s = weir__map_get(&node->streams, call->id);

    status = weir__call_status(call, status);
    if (status == 0) {
        weir__stream_sync(s);
        weir__group_trim(node);
        weir__sweep_look(node);
    }
    req->start = s->start;
    weir__call_end(call, status);
}

static void trim_run(struct weir_task *task)
{
    struct weir_trim *req =
        WEIR__CONTAINER(weir__req_of(task), struct weir_trim, req);
    struct weir_stream *s = weir__call_target(&req->req);
    uint64_t start = req->start == WEIR_OFFSET_END ? s->durable : req->start;
    struct weir__call *call = weir__call_new(s->node, &req->req);

    if (call == NULL)
        return;
    req->start = s->start;
    if (s->failed != 0) {
        weir__call_end(call, s->failed);
    } else if (start > s->durable) {
        weir__call_end(call, weir__fail(&call->error, WEIR_ERANGE,
                                        "trim %s: %llu is beyond the end, %llu",
                                        s->name, (unsigned long long)start,
                                        (unsigned long long)s->durable));
    } else if (start <= s->start) {
        weir__call_end(call, 0);
    } else {
        call->id = s->id;
        call->op = (struct weir__op){.kind = WEIR__OP_STREAM_TRIM};
        call->op.u.stream_trim.id = s->id;
        call->op.u.stream_trim.epoch = s->epoch;
        call->op.u.stream_trim.start = start;
        weir__call_commit(call, trimmed);
    }
}

int weir_trim(struct weir_stream *s, struct weir_trim *req)
{
    if (s == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    if (weir__stream_status(s) == WEIR_ECLOSED)
        return weir__fail(req->req.err, WEIR_ECLOSED, "trim %s: closed",
                          s->name);
    if (!__atomic_load_n(&s->view.writable, __ATOMIC_ACQUIRE))
        return weir__fail(req->req.err, WEIR_EREADONLY,
                          "trim %s: opened to read only", s->name);
    return weir__call_post(s->node, &req->req, s, trim_run);
}

static int trim_start(void *stream, struct weir_req *req)
{
    return weir_trim(stream, WEIR__CONTAINER(req, struct weir_trim, req));
}

int weir_trim_sync(struct weir_stream *s, struct weir_trim *req)
{
    if (s == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(s->node, &req->req, trim_start, s);
}

static uint64_t get64(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

/* What any thread may see. */
static void fill_view(struct weir_stream_stat *out, const struct weir_stream *s)
{
    const struct weir__stream_view *view = &s->view;

    out->id = s->id;
    out->epoch = get64(&view->epoch);
    out->start = get64(&view->start);
    out->end = get64(&view->end);
    out->uploaded_end = get64(&view->uploaded_end);
    out->bytes = get64(&view->bytes);
    out->objects = get64(&view->objects);
    out->max_timestamp =
        __atomic_load_n(&view->max_timestamp, __ATOMIC_ACQUIRE);
    out->owner = __atomic_load_n(&view->owner, __ATOMIC_ACQUIRE);
    memcpy(out->name, s->name, strlen(s->name) + 1);
}

int weir_stream_stat(struct weir_stream *s, struct weir_stream_stat *out)
{
    int rc;

    if (s == NULL || out == NULL)
        return WEIR_EINVAL;
    rc = weir__node_enter(s->node);
    if (rc != 0)
        return rc;
    rc = weir__stream_status(s);
    if (rc == 0)
        fill_view(out, s);
    weir__node_leave(s->node);
    return rc;
}

/* A stream that has no handle here: what the manifest says. */
static void fill_manifest(struct weir_stream_stat *out,
                          const struct weir__mstream *m)
{
    out->id = m->id;
    out->epoch = m->epoch;
    out->start = m->start;
    out->end = m->committed_end > m->start ? m->committed_end : m->start;
    out->uploaded_end = out->end;
    out->bytes = m->bytes;
    out->objects = m->extent_count;
    out->max_timestamp = m->extent_count == 0
                             ? WEIR_NO_TIMESTAMP
                             : m->extents[m->extent_count - 1].max_timestamp;
    out->owner = m->owner;
    memcpy(out->name, m->name, strlen(m->name) + 1);
}

static void list_fill(struct weir *node, struct weir_stream_list *req)
{
    const struct weir__state *state = weir__manifest_state(node->manifest);
    const char *prefix = req->prefix == NULL ? "" : req->prefix;
    const char *after = req->after;
    size_t n = strlen(prefix);
    const struct weir__mstream *m;

    while ((m = weir__state_stream_after(state, after)) != NULL) {
        struct weir_stream *s = weir__map_get(&node->streams, m->id);
        int order = strncmp(m->name, prefix, n);

        after = m->name;
        if (order < 0)
            continue;
        if (order > 0)
            return;
        if (req->count == req->limit) {
            req->more = 1;
            return;
        }
        if (s != NULL)
            fill_view(&req->out[req->count++], s);
        else
            fill_manifest(&req->out[req->count++], m);
    }
}

static void listed(struct weir__refresh *refresh, int status)
{
    struct weir__call *call = refresh->ctx;

    if (status == 0) {
        weir__stream_sync_all(call->node);
        list_fill(call->node,
                  WEIR__CONTAINER(call->req, struct weir_stream_list, req));
    }
    weir__call_end(call, status);
}

/* Other nodes' streams are to be seen too: read the log first. */
static void list_run(struct weir_task *task)
{
    struct weir_req *req = weir__req_of(task);
    struct weir *node = weir__call_target(req);
    struct weir__call *call = weir__call_new(node, req);

    if (call == NULL)
        return;
    weir__call_refresh(call, listed);
}

int weir_stream_list(struct weir *node, struct weir_stream_list *req)
{
    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    req->count = 0;
    req->more = 0;
    if (req->out == NULL || req->limit == 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "list: there is no room for an answer");
    return weir__call_post(node, &req->req, node, list_run);
}

static int list_start(void *node, struct weir_req *req)
{
    return weir_stream_list(node,
                            WEIR__CONTAINER(req, struct weir_stream_list, req));
}

int weir_stream_list_sync(struct weir *node, struct weir_stream_list *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, list_start, node);
}
