/* SPDX-License-Identifier: Apache-2.0 */
/* A store in etcd, for the manifest's log: small values, ordered keys, and a
 * create that is one transaction. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/config.h"
#include "base/error.h"
#include "store/etcd_operation.h"

#include <stdio.h>
#include <string.h>

static void free_if_closed(struct weir__etcd_store *etcd)
{
    struct weir_env *env = etcd->line.host.env;
    struct weir_task *closed = etcd->closed;

    if (closed == NULL || etcd->pending > 0 || etcd->line_open ||
        weir__etcd_watch_busy(&etcd->watch))
        return;
    weir__free(etcd->line.host.alloc, etcd->prefix);
    weir__etcd_line_free(&etcd->line);
    weir__free(etcd->line.host.alloc, etcd);
    env->ops->post(env, closed);
}

void weir__etcd_finish(struct weir__etcd_operation *op, int status)
{
    struct weir__etcd_store *etcd = op->store;
    struct weir_store_req *req = op->req;

    if (status != 0)
        weir__fail_status(req->err, status);
    req->entries = op->entries;
    req->entry_count = status == 0 ? op->entry_count : 0;
    weir_buf_unref(op->value.body);
    req->done(req, status);
    for (size_t i = 0; i < op->entry_count; i++)
        weir__free(weir__etcd_alloc_of(op),
                   (void *)(uintptr_t)op->entries[i].key);
    weir__free(weir__etcd_alloc_of(op), op->entries);
    weir__free(weir__etcd_alloc_of(op), op);
    etcd->pending--;
    free_if_closed(etcd);
}

int weir__etcd_bad_answer(struct weir__etcd_operation *op, int rc)
{
    return rc == WEIR_ENOMEM
               ? rc
               : weir__fail(op->req->err, WEIR_EIO,
                            "%s: the answer cannot be read", op->call.what);
}

void weir__etcd_send(struct weir__etcd_operation *op, const char *path,
                     bool changes,
                     void (*done)(struct weir__etcd_call *call, int status,
                                  const struct weir__json *answer))
{
    op->call.path = path;
    op->call.changes = changes;
    op->call.done = done;
    weir__etcd_call_start(&op->call);
}

struct weir__writer *weir__etcd_body_of(struct weir__etcd_operation *op)
{
    weir__writer_free(&op->call.body);
    weir__writer_init(&op->call.body, weir__etcd_alloc_of(op));
    return &op->call.body;
}

void weir__etcd_known(struct weir__etcd_operation *op,
                      const struct weir__json *answer)
{
    weir__etcd_watch_known(&op->store->watch, op->req->key,
                           weir__etcd_read_revision(answer));
}

void weir__etcd_chunk_prefix(char to[WEIR__ETCD_KEY_ROOM],
                             const struct weir__etcd_operation *op)
{
    const char *prefix = op->store->prefix;

    snprintf(to, WEIR__ETCD_KEY_ROOM, "%.*s.chunks/%s/",
             (int)strlen(prefix) - 1, prefix, op->chunks.id);
}

void weir__etcd_chunk_key(char to[WEIR__ETCD_KEY_ROOM],
                          const struct weir__etcd_operation *op)
{
    char front[WEIR__ETCD_KEY_ROOM];

    weir__etcd_chunk_prefix(front, op);
    snprintf(to, WEIR__ETCD_KEY_ROOM, "%.600s%06u", front,
             (unsigned)(op->at / WEIR__ETCD_CHUNK));
}

/* ---- Requests ------------------------------------------------------------ */

static void start(struct weir__etcd_operation *op)
{
    switch (op->req->verb) {
    case WEIR_STORE_PUT:
        weir__etcd_put(op);
        return;
    case WEIR_STORE_GET:
    case WEIR_STORE_HEAD:
        weir__etcd_get(op);
        return;
    case WEIR_STORE_DELETE:
        weir__etcd_delete(op);
        return;
    case WEIR_STORE_LIST:
        weir__etcd_list(op);
        return;
    }
}

static int check(const struct weir__etcd_store *etcd,
                 const struct weir_store_req *req)
{
    if (etcd->closed != NULL)
        return WEIR_ECANCELED;
    if (req->verb == WEIR_STORE_PUT &&
        weir__store_body_size(req) > WEIR__ETCD_VALUE_MAX)
        return weir__fail(req->err, WEIR_ETOOBIG,
                          "PUT %s: over %u bytes, which etcd is not meant for",
                          req->key, WEIR__ETCD_VALUE_MAX);
    return weir__store_check(req);
}

static void etcd_submit(struct weir_store *store, struct weir_store_req *req)
{
    static const char *const verbs[] = {"PUT", "GET", "HEAD", "DELETE", "LIST"};
    struct weir__etcd_store *etcd = (void *)store;
    struct weir_env *env = etcd->line.host.env;
    struct weir__etcd_operation *op = NULL;
    int rc = check(etcd, req);

    req->body = NULL;
    req->size = 0;
    req->entries = NULL;
    req->entry_count = 0;
    req->more = 0;
    if (rc == 0) {
        op = weir__calloc(etcd->line.host.alloc, 1, sizeof(*op));
        rc = op != NULL ? 0 : WEIR_ENOMEM;
    }
    if (rc != 0) {
        weir__store_refuse(env, req, rc);
        return;
    }
    op->store = etcd;
    op->req = req;
    snprintf(op->key, sizeof(op->key), "%s%.512s", etcd->prefix, req->key);
    weir__etcd_call_init(&op->call, &etcd->line, req->err,
                         req->deadline != 0
                             ? req->deadline
                             : env->ops->now(env) + etcd->timeout);
    snprintf(op->call.what, sizeof(op->call.what), "%s etcd:%.100s",
             verbs[req->verb], op->key);
    etcd->pending++;
    start(op);
}

static void on_line_closed(struct weir_task *task)
{
    struct weir__etcd_store *etcd =
        WEIR__CONTAINER(task, struct weir__etcd_store, line_closed);

    etcd->line_open = false;
    free_if_closed(etcd);
}

static void etcd_close(struct weir_store *store, struct weir_task *closed)
{
    struct weir__etcd_store *etcd = (void *)store;

    etcd->closed = closed;
    weir__etcd_watch_end(&etcd->watch);
    etcd->line_closed.run = on_line_closed;
    weir__etcd_line_close(&etcd->line, &etcd->line_closed);
}

static void watch_ended(struct weir__etcd_watch *watch)
{
    free_if_closed(WEIR__CONTAINER(watch, struct weir__etcd_store, watch));
}

static int etcd_watch(struct weir_store *store, struct weir_store_watch *watch)
{
    struct weir__etcd_store *etcd = (void *)store;

    etcd->watch.line = &etcd->line;
    etcd->watch.prefix = etcd->prefix;
    etcd->watch.ended = watch_ended;
    return weir__etcd_watch_begin(&etcd->watch, watch);
}

static void etcd_unwatch(struct weir_store *store,
                         struct weir_store_watch *watch)
{
    (void)watch;
    weir__etcd_watch_end(&((struct weir__etcd_store *)(void *)store)->watch);
}

static const struct weir_store_ops etcd_ops = {
    .size = sizeof(etcd_ops),
    .name = "etcd",
    .submit = etcd_submit,
    .close = etcd_close,
    .watch = etcd_watch,
    .unwatch = etcd_unwatch,
};

/* "/a/b" becomes "a/b/"; nothing becomes "weir/". */
static int set_prefix(struct weir__etcd_store *etcd, const char *path,
                      struct weir_error *err)
{
    const char *text = path[0] == '/' ? path + 1 : path;
    size_t len;

    if (text[0] == '\0')
        text = "weir";
    len = strlen(text);
    if (!weir__store_prefix_valid(text) || len > 200)
        return weir__fail(err, WEIR_EINVAL,
                          "etcd: /%.100s: expected a prefix of at most 200 "
                          "bytes of [a-z0-9/_.-], no part empty or beginning "
                          "with a dot",
                          text);
    etcd->prefix = weir__malloc(etcd->line.host.alloc, len + 2);
    if (etcd->prefix == NULL)
        return WEIR_ENOMEM;
    snprintf(etcd->prefix, len + 2, "%s%s", text,
             text[len - 1] == '/' ? "" : "/");
    return 0;
}

int weir__store_etcd_open(struct weir_store **out, const struct weir_host *host,
                          const char *uri, void *ctx, struct weir_error *err)
{
    const struct weir_config *config = ctx;
    struct weir__uri parsed;
    struct weir__etcd_store *etcd;
    int rc;

    *out = NULL;
    rc = weir__uri_parse(&parsed, host->alloc, uri, err);
    if (rc != 0)
        return rc;
    etcd = weir__calloc(host->alloc, 1, sizeof(*etcd));
    if (etcd == NULL) {
        weir__uri_free(&parsed);
        return weir__fail(err, WEIR_ENOMEM, "etcd: out of memory");
    }
    etcd->base.ops = &etcd_ops;
    etcd->timeout = (uint64_t)config->number[WEIR__P_ETCD_TIMEOUT];
    etcd->line.host = *host;
    rc = set_prefix(etcd, parsed.path, err);
    if (rc == 0)
        rc = weir__etcd_line_open(&etcd->line, &parsed, config, err);
    weir__uri_free(&parsed);
    if (rc != 0) {
        weir__free(host->alloc, etcd->prefix);
        weir__etcd_line_free(&etcd->line);
        weir__free(host->alloc, etcd);
        return weir__fail_status(err, rc);
    }
    etcd->line_open = true;
    *out = &etcd->base;
    return 0;
}
