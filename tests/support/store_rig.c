/* SPDX-License-Identifier: Apache-2.0 */
#include "support/store_rig.h"

#include "base/list.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

/* Waits for the store's last word. */
struct closing {
    struct weir_task task;
    int done;
};

void store_rig_init(struct store_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    test_host_init(&rig->host);
}

int store_rig_open(struct store_rig *rig, weir_store_open_fn *open,
                   const char *uri, void *ctx)
{
    int rc;

    rig->err = (struct weir_error){0};
    rc = open(&rig->store, &rig->host.host, uri, ctx, &rig->err);
    ck_assert_int_eq(rc == 0, rig->store != NULL);
    if (rc != 0)
        ck_assert_int_eq(rig->err.code, rc);
    return rc;
}

static void on_closed(struct weir_task *task)
{
    WEIR__CONTAINER(task, struct closing, task)->done++;
}

void store_rig_close_store(struct store_rig *rig)
{
    struct closing closing = {.task.run = on_closed};

    if (rig->store == NULL)
        return;
    rig->store->ops->close(rig->store, &closing.task);
    rig->store = NULL;
    ck_assert_int_eq(closing.done, 0);
    test_host_run(&rig->host, &closing.done);
    ck_assert_int_eq(closing.done, 1);
}

void store_rig_close(struct store_rig *rig)
{
    store_rig_close_store(rig);
    test_host_close(&rig->host);
}

static void on_done(struct weir_store_req *req, int status)
{
    struct store_call *call = req->ctx;

    ck_assert_msg(!call->submitting, "done before submit returned");
    call->status = status;
    call->done++;
    ck_assert_int_eq(call->done, 1);
    if (status != 0) {
        ck_assert_ptr_null(req->body);
        ck_assert_int_eq(call->err.code, status);
        ck_assert_msg(call->err.text[0] != '\0', "an error without a text");
    }
}

void store_rig_start(struct store_rig *rig, struct store_call *call)
{
    if (call->req.done == NULL)
        call->req.done = on_done;
    call->req.ctx = call;
    call->req.err = &call->err;
    call->submitting = 1;
    rig->store->ops->submit(rig->store, &call->req);
    call->submitting = 0;
}

int store_rig_finish(struct store_rig *rig, struct store_call *call)
{
    test_host_run(&rig->host, &call->done);
    rig->err = call->err;
    return call->status;
}

static int run(struct store_rig *rig, struct store_call *call)
{
    store_rig_start(rig, call);
    return store_rig_finish(rig, call);
}

int store_put(struct store_rig *rig, const char *key, const void *data,
              size_t len, unsigned flags)
{
    const struct weir_iov iov = {data, len};
    struct store_call call = {.req = {.verb = WEIR_STORE_PUT,
                                      .flags = flags,
                                      .key = key,
                                      .iov = &iov,
                                      .iov_count = 1}};

    return run(rig, &call);
}

int store_get(struct store_rig *rig, const char *key, uint64_t offset,
              uint64_t length, unsigned flags, struct weir_buf **body,
              uint64_t *size)
{
    struct store_call call = {.req = {.verb = WEIR_STORE_GET,
                                      .flags = flags,
                                      .key = key,
                                      .offset = offset,
                                      .length = length}};
    int rc = run(rig, &call);

    if (rc == 0)
        ck_assert_ptr_nonnull(call.req.body);
    if (size != NULL)
        *size = call.req.size;
    if (body != NULL)
        *body = call.req.body;
    else
        weir_buf_unref(call.req.body);
    return rc;
}

int store_head(struct store_rig *rig, const char *key, uint64_t *size)
{
    struct store_call call = {.req = {.verb = WEIR_STORE_HEAD, .key = key}};
    int rc = run(rig, &call);

    if (size != NULL)
        *size = call.req.size;
    return rc;
}

int store_delete(struct store_rig *rig, const char *key)
{
    struct store_call call = {.req = {.verb = WEIR_STORE_DELETE, .key = key}};

    return run(rig, &call);
}

/* A LIST, and where its keys go. */
struct listing {
    struct store_call call;
    char *out;
    size_t room;
};

static void on_listed(struct weir_store_req *req, int status)
{
    struct store_call *call = req->ctx;
    struct listing *listing = WEIR__CONTAINER(call, struct listing, call);
    size_t len = 0;

    for (size_t i = 0; i < req->entry_count && status == 0; i++)
        len += (size_t)snprintf(listing->out + len, listing->room - len, "%s%s",
                                i > 0 ? " " : "", req->entries[i].key);
    if (status == 0 && req->more)
        snprintf(listing->out + len, listing->room - len, " ...");
    on_done(req, status);
}

int store_list(struct store_rig *rig, const char *prefix, const char *after,
               uint32_t limit, char *out, size_t room)
{
    struct listing listing = {
        .call = {.req = {.verb = WEIR_STORE_LIST,
                         .key = prefix,
                         .after = after,
                         .limit = limit,
                         .done = on_listed}},
        .out = out,
        .room = room,
    };

    out[0] = '\0';
    return run(rig, &listing.call);
}
