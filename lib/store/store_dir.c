/* SPDX-License-Identifier: Apache-2.0 */
/* The store in a directory: one file for each object.
 *
 * The file calls block, so each request runs on a worker of the environment;
 * as many at one time as there are workers, in any order.  What is asked of
 * the file system is in dir_file.c and dir_list.c; here is the life of a
 * request and of the store. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/uri.h"
#include "store/dir.h"
#include "store/store_request.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dir {
    struct weir_store base;
    struct weir_host host;
    struct weir__dir files;
    size_t pending;           /* Requests not yet done. */
    struct weir_task *closed; /* Set: closing. */
    int closing;              /* The same for the workers; atomic. */
};

/* A request under way. */
struct operation {
    struct weir_work work;
    struct dir *store;
    struct weir_store_req *req;
    struct weir__dir_list list;
    int status;
};

static int carry_out(struct operation *op)
{
    struct weir_store_req *req = op->req;
    struct weir_env *env = op->store->host.env;

    if (__atomic_load_n(&op->store->closing, __ATOMIC_ACQUIRE))
        return WEIR_ECANCELED;
    if (req->deadline != 0 && env->ops->now(env) >= req->deadline)
        return weir__fail(req->err, WEIR_ETIMEDOUT,
                          "%s/%s: the deadline was over before it began",
                          op->store->files.path, req->key);
    switch (req->verb) {
    case WEIR_STORE_PUT:
        return weir__dir_put(&op->store->files, req);
    case WEIR_STORE_GET:
        return weir__dir_get(&op->store->files, req);
    case WEIR_STORE_HEAD:
        return weir__dir_head(&op->store->files, req);
    case WEIR_STORE_DELETE:
        return weir__dir_delete(&op->store->files, req);
    case WEIR_STORE_LIST:
        return weir__dir_list(&op->store->files, req, &op->list);
    }
    return WEIR_EBUG;
}

/* On a worker. */
static void work(struct weir_work *work)
{
    struct operation *op = WEIR__CONTAINER(work, struct operation, work);

    op->status = carry_out(op);
    if (op->status != 0)
        weir__fail_status(op->req->err, op->status);
}

static void free_all(struct dir *dir)
{
    weir__dir_close(&dir->files);
    weir__free(dir->host.alloc, dir);
}

static void free_if_closed(struct dir *dir)
{
    struct weir_env *env = dir->host.env;
    struct weir_task *closed = dir->closed;

    if (closed == NULL || dir->pending > 0)
        return;
    free_all(dir);
    env->ops->post(env, closed);
}

/* In the core. */
static void worked(struct weir_work *work)
{
    struct operation *op = WEIR__CONTAINER(work, struct operation, work);
    struct dir *dir = op->store;
    struct weir_store_req *req = op->req;

    if (op->status == 0 && req->verb == WEIR_STORE_LIST) {
        req->entries = op->list.entries;
        req->entry_count = op->list.count;
        req->more = op->list.more;
    }
    req->done(req, op->status);

    weir__dir_list_free(&op->list);
    weir__free(dir->host.alloc, op);
    dir->pending--;
    free_if_closed(dir);
}

static void dir_submit(struct weir_store *store, struct weir_store_req *req)
{
    struct dir *dir = (void *)store;
    struct weir_env *env = dir->host.env;
    struct operation *op;
    int rc = dir->closed != NULL ? WEIR_ECANCELED : weir__store_check(req);

    req->body = NULL;
    req->size = 0;
    req->entries = NULL;
    req->entry_count = 0;
    req->more = 0;
    if (rc != 0) {
        weir__store_refuse(env, req, rc);
        return;
    }
    op = weir__calloc(dir->host.alloc, 1, sizeof(*op));
    if (op == NULL) {
        weir__store_refuse(env, req, WEIR_ENOMEM);
        return;
    }
    op->work.work = work;
    op->work.done = worked;
    op->store = dir;
    op->req = req;
    op->list.alloc = dir->host.alloc;
    dir->pending++;
    env->ops->work(env, &op->work);
}

/* What runs on a worker now is awaited and tells how it really ended. */
static void dir_close(struct weir_store *store, struct weir_task *closed)
{
    struct dir *dir = (void *)store;

    __atomic_store_n(&dir->closing, 1, __ATOMIC_RELEASE);
    dir->closed = closed;
    free_if_closed(dir);
}

static const struct weir_store_ops dir_ops = {
    .size = sizeof(dir_ops),
    .name = "dir",
    .submit = dir_submit,
    .close = dir_close,
};

/* Read the URI's parameters into `dir`. */
static int read_uri(struct dir *dir, struct weir__uri *uri, const char *text,
                    struct weir_error *err)
{
    static const char *const known[] = {"fsync", NULL};
    int sync = 1;
    int rc = weir__uri_check(uri, known, err);

    if (rc != 0)
        return rc;
    rc = weir__uri_bool(uri, "fsync", &sync, err);
    if (rc != 0)
        return rc;
    if (uri->authority != NULL && uri->authority[0] != '\0')
        return weir__fail(err, WEIR_EINVAL,
                          "%.*s: a directory has no host: write dir:/path",
                          weir__uri_shown(text), text);
    if (uri->path[0] == '\0')
        return weir__fail(err, WEIR_EINVAL,
                          "%.*s: expected the directory's path: dir:/path",
                          weir__uri_shown(text), text);
    dir->files.sync = sync != 0;
    return weir__dir_open(&dir->files, dir->host.alloc, uri->path, err);
}

int weir__store_dir_open(struct weir_store **out, const struct weir_host *host,
                         const char *uri, void *ctx, struct weir_error *err)
{
    struct weir__uri parsed;
    struct dir *dir;
    int rc;

    (void)ctx;
    *out = NULL;
    rc = weir__uri_parse(&parsed, host->alloc, uri, err);
    if (rc != 0)
        return rc;
    dir = weir__calloc(host->alloc, 1, sizeof(*dir));
    if (dir == NULL) {
        weir__uri_free(&parsed);
        return weir__fail(err, WEIR_ENOMEM, "store %.*s: out of memory",
                          weir__uri_shown(uri), uri);
    }
    dir->base.ops = &dir_ops;
    dir->host = *host;
    dir->files.root = -1;
    rc = read_uri(dir, &parsed, uri, err);
    weir__uri_free(&parsed);
    if (rc != 0) {
        free_all(dir);
        return rc;
    }
    *out = &dir->base;
    return 0;
}
