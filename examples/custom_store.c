/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object store of one's own: a bucket in memory, which the nodes of a
 * process share.  One node writes, another one reads.
 *
 * weir/store.h tells what a store must do.  The parts to get right:
 *  - A PUT with WEIR_STORE_IF_ABSENT creates or fails, atomically, also
 *    against other nodes.  All else stands on that.
 *  - `done` runs in the core, never before `submit` has returned: here in a
 *    task that `submit` posts.  A store that waits for a network posts it when
 *    the answer is there.
 *  - What is not known to have failed is WEIR_EUNKNOWN; not in memory.
 * One thread drives both nodes (whoever waits drives).  With a thread for
 * each the bucket would need a lock, and LIST a copy of the keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

/* ---- The bucket ---------------------------------------------------------- */

struct object {
    struct object *next; /* Sorted by key. */
    struct weir_buf *body;
    char key[WEIR_STORE_KEY_MAX + 1];
};

static struct weir_error err;

/* The place of `key`: where it is, or where it would go. */
static struct object **find(struct object **at, const char *key, int *found)
{
    while (*at != NULL && strcmp((*at)->key, key) < 0)
        at = &(*at)->next;
    *found = *at != NULL && strcmp((*at)->key, key) == 0;
    return at;
}

static struct weir_buf *gather(const struct weir_iov *iov, size_t count)
{
    struct weir_buf *buf;
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += iov[i].len;
    buf = weir_buf_new(weir_alloc_default(), len, 0);
    for (; buf != NULL && count > 0; count--, iov++) {
        if (iov->len > 0)
            memcpy(buf->data + buf->len, iov->data, iov->len);
        buf->len += iov->len;
    }
    return buf;
}

static int put(struct object **b, struct weir_store_req *req)
{
    int found;
    struct object **at = find(b, req->key, &found);
    struct weir_buf *body;
    struct object *object;

    if (found && (req->flags & WEIR_STORE_IF_ABSENT) != 0)
        return WEIR_ECONFLICT;
    body = gather(req->iov, req->iov_count);
    object = found ? *at : calloc(1, sizeof(*object));
    if (body == NULL || object == NULL) {
        weir_buf_unref(body);
        free(found ? NULL : object);
        return WEIR_ENOMEM;
    }
    weir_buf_unref(object->body); /* A new one has none. */
    if (!found) {
        snprintf(object->key, sizeof(object->key), "%s", req->key);
        object->next = *at;
        *at = object;
    }
    object->body = body;
    return 0;
}

static int get(struct object **b, struct weir_store_req *req,
               const struct weir_alloc *alloc)
{
    int found;
    struct object *object = *find(b, req->key, &found);
    uint64_t size = found ? object->body->len : 0;
    uint64_t from = req->offset, len = req->length;

    req->size = size;
    if (!found || req->verb == WEIR_STORE_HEAD)
        return found ? 0 : WEIR_ENOENT;
    if ((req->flags & WEIR_STORE_SUFFIX) != 0)
        from = len < size ? size - len : 0;
    if (from > size || (from == size && size > 0 && len > 0))
        return WEIR_ERANGE;
    len = len < size - from ? len : size - from;
    req->body = weir_buf_new(alloc, len, 0); /* The node's. */
    if (req->body == NULL)
        return WEIR_ENOMEM;
    memcpy(req->body->data, object->body->data + from, len);
    req->body->len = len;
    return 0;
}

static int erase(struct object **b, const char *key)
{
    int found;
    struct object **at = find(b, key, &found);
    struct object *object = *at;

    if (found) { /* To remove what is not there is no error. */
        *at = object->next;
        weir_buf_unref(object->body);
        free(object);
    }
    return 0;
}

static int list(struct object **b, struct weir_store_req *req,
                struct weir_store_entry *entries)
{
    size_t n = 0;
    const struct object *at;

    for (at = *b; at != NULL && n <= req->limit; at = at->next)
        if (strncmp(at->key, req->key, strlen(req->key)) == 0 &&
            (req->after == NULL || strcmp(at->key, req->after) > 0))
            entries[n++] = (struct weir_store_entry){at->key, at->body->len, 0};
    req->more = n > req->limit;
    req->entry_count = req->more ? req->limit : n;
    req->entries = entries; /* Valid until `done` has returned. */
    return 0;
}

/* ---- The store: one for each node that opens it -------------------------- */

struct shared {
    struct weir_store base; /* First: a store is its `shared`. */
    struct weir_host host;
    struct object **bucket;
    size_t pending;
    struct weir_task *closed;              /* Set while closing. */
    struct weir_store_entry entries[1001]; /* Of the LIST that is answered. */
};

/* In the request's `impl`: so that a request needs no memory. */
struct turn {
    struct weir_task task; /* First: a task is its turn. */
    struct shared *store;
    struct weir_store_req *req;
};
_Static_assert(sizeof(struct turn) <=
                   sizeof(((struct weir_store_req *)0)->impl),
               "a turn fits into a request");

static void end_if_closed(struct shared *s)
{
    struct weir_env *env = s->host.env;
    struct weir_task *closed = s->closed;

    if (closed == NULL || s->pending > 0)
        return;
    s->host.alloc->free(s->host.alloc->ctx, s);
    env->ops->post(env, closed);
}

/* An error's text says on what; the number says what to do. */
static int tell(struct weir_error *error, int status, const char *what)
{
    if (status != 0 && error != NULL) {
        error->code = status;
        snprintf(error->text, sizeof(error->text), "shared store: %.180s: %s",
                 what, weir_error_text(status));
    }
    return status;
}

static void run(struct weir_task *task)
{
    struct turn *turn = (struct turn *)(void *)task;
    struct shared *s = turn->store;
    struct weir_store_req *req = turn->req;
    int status;

    if (s->closed != NULL)
        status = WEIR_ECANCELED;
    else if (req->verb == WEIR_STORE_PUT)
        status = put(s->bucket, req);
    else if (req->verb == WEIR_STORE_DELETE)
        status = erase(s->bucket, req->key);
    else if (req->verb == WEIR_STORE_LIST)
        status = list(s->bucket, req, s->entries);
    else
        status = get(s->bucket, req, s->host.alloc);
    tell(req->err, status, req->key);
    req->done(req, status); /* The request is the caller's again. */
    s->pending--;
    end_if_closed(s);
}

static void submit(struct weir_store *store, struct weir_store_req *req)
{
    struct shared *s = (struct shared *)(void *)store;
    struct turn *turn = (struct turn *)(void *)req->impl;

    req->body = NULL;
    req->entry_count = 0;
    req->more = 0;
    *turn = (struct turn){.task.run = run, .store = s, .req = req};
    s->pending++;
    s->host.env->ops->post(s->host.env, &turn->task);
}

static void close_store(struct weir_store *store, struct weir_task *closed)
{
    struct shared *s = (struct shared *)(void *)store;

    s->closed = closed;
    end_if_closed(s);
}

static const struct weir_store_ops shared_ops = {.size = sizeof(shared_ops),
                                                 .name = "shared",
                                                 .submit = submit,
                                                 .close = close_store};

/* What is registered under the scheme; `ctx` is the bucket. */
static int open_shared(struct weir_store **out, const struct weir_host *host,
                       const char *uri, void *ctx, struct weir_error *error)
{
    struct shared *s;

    *out = NULL;
    if (strcmp(uri, "shared:") != 0)
        return tell(error, WEIR_EINVAL, uri);
    s = host->alloc->malloc(host->alloc->ctx, sizeof(*s));
    if (s == NULL)
        return tell(error, WEIR_ENOMEM, uri);
    *s = (struct shared){{&shared_ops}, *host, .bucket = ctx};
    *out = &s->base;
    return 0;
}

/* ---- Two nodes on it ----------------------------------------------------- */

static struct weir *open_node(struct object **bucket, const char *id)
{
    struct weir_config *config = NULL;
    struct weir *node = NULL;

    if (weir_config_new(&config, NULL) == 0 &&
        weir_config_add_store(config, "shared", open_shared, bucket) == 0 &&
        weir_config_set(config, "store", "shared:", &err) == 0 &&
        weir_config_set(config, "node_id", id, &err) == 0)
        weir_open(&node, config, &err); /* NULL if it fails. */
    weir_config_free(config);
    return node;
}

/* What one node appends and flushes the other one reads. */
static int exchange(struct weir *writer, struct weir *reader)
{
    struct weir_stream_open to = {
        .req.err = &err, .name = "notes", .flags = WEIR_STREAM_CREATE};
    struct weir_stream_open from = {
        .req.err = &err, .name = "notes", .flags = WEIR_STREAM_READ};
    struct weir_append note = {
        .req.err = &err, .data = "it flows", .len = 8, .count = 1};
    struct weir_flush flush = {.req.err = &err};
    struct weir_fetch fetch = {.req.err = &err, .max_bytes = 1 << 20};

    if (weir_stream_open_sync(writer, &to) != 0 ||
        weir_append_sync(to.stream, &note) != 0 ||
        weir_flush_sync(writer, &flush) != 0 ||
        weir_stream_open_sync(reader, &from) != 0 ||
        weir_fetch_sync(from.stream, &fetch) != 0)
        return 0;
    printf("node 2 reads: %.*s\n", (int)fetch.batches[0].len,
           (const char *)fetch.batches[0].data);
    weir_fetch_release(&fetch);
    return 1;
}

int main(void)
{
    struct object *bucket = NULL; /* The first. */
    struct weir *writer = open_node(&bucket, "1");
    struct weir *reader = writer != NULL ? open_node(&bucket, "2") : NULL;
    int ok = reader != NULL && exchange(writer, reader);

    if (!ok)
        fprintf(stderr, "custom_store: %s\n", err.text);
    weir_free(writer);
    weir_free(reader);
    while (bucket != NULL)
        erase(&bucket, bucket->key);
    return !ok;
}
