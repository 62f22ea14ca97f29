/* SPDX-License-Identifier: Apache-2.0 */
/* The store in memory: a sorted array of keys, each with one buffer.
 *
 * Each request is carried out on the next turn of the core, all at once, so
 * that requests take effect in the order in which they were submitted. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/uri.h"
#include "store/store_request.h"

#include <string.h>

struct object {
    char *key;
    struct weir_buf *body;
    int64_t modified;
};

struct memory {
    struct weir_store base;
    struct weir_host host;
    struct object *objects; /* Sorted by key. */
    size_t count;
    size_t room;
    size_t pending;           /* Requests that wait for their turn. */
    struct weir_task *closed; /* Set: closing. */
};

/* What `impl` of a request holds. */
struct turn {
    struct weir_task task;
    struct memory *store;
};

_Static_assert(sizeof(struct turn) <=
                   sizeof(((struct weir_store_req *)0)->impl),
               "a request's turn fits in its impl");

/* Index of `key`, or of the first that sorts after it. */
static size_t find(const struct memory *m, const char *key, bool *found)
{
    size_t low = 0;
    size_t high = m->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(m->objects[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found = low < m->count && strcmp(m->objects[low].key, key) == 0;
    return low;
}

static struct weir_buf *gather(const struct memory *m,
                               const struct weir_store_req *req)
{
    struct weir_buf *buf =
        weir_buf_new(m->host.alloc, (size_t)weir__store_body_size(req), 0);

    if (buf == NULL)
        return NULL;
    for (size_t i = 0; i < req->iov_count; i++) {
        if (req->iov[i].len == 0)
            continue;
        memcpy(buf->data + buf->len, req->iov[i].data, req->iov[i].len);
        buf->len += req->iov[i].len;
    }
    return buf;
}

static int insert(struct memory *m, size_t at, const char *key,
                  struct weir_buf *body)
{
    char *copy;

    if (m->count == m->room) {
        size_t room = m->room == 0 ? 16 : m->room * 2;
        struct object *objects =
            weir__resize(m->host.alloc, m->objects, room, sizeof(*objects));

        if (objects == NULL)
            return WEIR_ENOMEM;
        m->objects = objects;
        m->room = room;
    }
    copy = weir__strdup(m->host.alloc, key);
    if (copy == NULL)
        return WEIR_ENOMEM;
    memmove(&m->objects[at + 1], &m->objects[at],
            (m->count - at) * sizeof(m->objects[0]));
    m->count++;
    m->objects[at] = (struct object){.key = copy, .body = body};
    return 0;
}

static int put(struct memory *m, struct weir_store_req *req)
{
    struct weir_buf *body;
    bool found;
    size_t at = find(m, req->key, &found);

    if (found && (req->flags & WEIR_STORE_IF_ABSENT) != 0)
        return weir__fail(req->err, WEIR_ECONFLICT, "PUT %s: it exists",
                          req->key);
    body = gather(m, req);
    if (body == NULL)
        return WEIR_ENOMEM;
    if (found) {
        weir_buf_unref(m->objects[at].body);
        m->objects[at].body = body;
    } else if (insert(m, at, req->key, body) != 0) {
        weir_buf_unref(body);
        return WEIR_ENOMEM;
    }
    m->objects[at].modified = m->host.env->ops->wall(m->host.env);
    return 0;
}

static int get(struct memory *m, struct weir_store_req *req)
{
    struct weir_buf *all;
    uint64_t offset;
    uint64_t length;
    bool found;
    size_t at = find(m, req->key, &found);
    int rc;

    if (!found)
        return weir__fail(req->err, WEIR_ENOENT, "GET %s: no such object",
                          req->key);
    all = m->objects[at].body;
    rc = weir__store_range(req, all->len, &offset, &length);
    if (rc != 0)
        return rc;
    req->size = all->len;
    if (length == all->len) {
        req->body = weir_buf_ref(all);
        return 0;
    }
    req->body = weir_buf_new(m->host.alloc, (size_t)length, 0);
    if (req->body == NULL)
        return WEIR_ENOMEM;
    memcpy(req->body->data, all->data + offset, (size_t)length);
    req->body->len = (size_t)length;
    return 0;
}

static int head(struct memory *m, struct weir_store_req *req)
{
    bool found;
    size_t at = find(m, req->key, &found);

    if (!found)
        return weir__fail(req->err, WEIR_ENOENT, "HEAD %s: no such object",
                          req->key);
    req->size = m->objects[at].body->len;
    return 0;
}

static int erase(struct memory *m, const struct weir_store_req *req)
{
    bool found;
    size_t at = find(m, req->key, &found);

    if (!found)
        return 0;
    weir__free(m->host.alloc, m->objects[at].key);
    weir_buf_unref(m->objects[at].body);
    m->count--;
    memmove(&m->objects[at], &m->objects[at + 1],
            (m->count - at) * sizeof(m->objects[0]));
    return 0;
}

/* Sets `*first` to the first match; the rest follow it. */
static size_t count_matches(const struct memory *m,
                            const struct weir_store_req *req, size_t *first)
{
    size_t len = strlen(req->key);
    size_t n = 0;
    bool found;

    *first = find(m, req->key, &found);
    if (req->after != NULL && strcmp(req->after, req->key) >= 0) {
        *first = find(m, req->after, &found);
        *first += found ? 1 : 0;
    }
    while (*first + n < m->count && n <= req->limit &&
           strncmp(m->objects[*first + n].key, req->key, len) == 0)
        n++;
    return n;
}

/* The entries are of `req` until `done` has returned; the caller frees. */
static int list(struct memory *m, struct weir_store_req *req,
                struct weir_store_entry **out)
{
    struct weir_store_entry *entries;
    size_t first;
    size_t n = count_matches(m, req, &first);

    req->more = n > req->limit;
    req->entry_count = req->more ? req->limit : n;
    entries = weir__calloc(m->host.alloc, n + 1, sizeof(*entries));
    if (entries == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < req->entry_count; i++)
        entries[i] = (struct weir_store_entry){
            .key = m->objects[first + i].key,
            .size = m->objects[first + i].body->len,
            .modified = m->objects[first + i].modified,
        };
    req->entries = entries;
    *out = entries;
    return 0;
}

static int carry_out(struct memory *m, struct weir_store_req *req,
                     struct weir_store_entry **entries)
{
    if (m->closed != NULL)
        return WEIR_ECANCELED;
    switch (req->verb) {
    case WEIR_STORE_PUT:
        return put(m, req);
    case WEIR_STORE_GET:
        return get(m, req);
    case WEIR_STORE_HEAD:
        return head(m, req);
    case WEIR_STORE_DELETE:
        return erase(m, req);
    case WEIR_STORE_LIST:
        return list(m, req, entries);
    }
    return WEIR_EBUG;
}

static void free_all(struct memory *m)
{
    const struct weir_alloc *alloc = m->host.alloc;

    for (size_t i = 0; i < m->count; i++) {
        weir__free(alloc, m->objects[i].key);
        weir_buf_unref(m->objects[i].body);
    }
    weir__free(alloc, m->objects);
    weir__free(alloc, m);
}

static void free_if_closed(struct memory *m)
{
    struct weir_env *env = m->host.env;
    struct weir_task *closed = m->closed;

    if (closed == NULL || m->pending > 0)
        return;
    free_all(m);
    env->ops->post(env, closed);
}

static void run_turn(struct weir_task *task)
{
    struct turn *turn = WEIR__CONTAINER(task, struct turn, task);
    struct memory *m = turn->store;
    struct weir_store_req *req =
        WEIR__CONTAINER(turn, struct weir_store_req, impl);
    struct weir_store_entry *entries = NULL;
    int status = carry_out(m, req, &entries);

    if (status != 0)
        weir__fail_status(req->err, status);
    req->done(req, status);

    /* Only now: the keys of a LIST are the store's own. */
    weir__free(m->host.alloc, entries);
    m->pending--;
    free_if_closed(m);
}

static void memory_submit(struct weir_store *store, struct weir_store_req *req)
{
    struct memory *m = (void *)store;
    struct weir_env *env = m->host.env;
    struct turn *turn = (void *)req->impl;
    int rc = m->closed != NULL ? WEIR_ECANCELED : weir__store_check(req);

    req->body = NULL;
    req->size = 0;
    req->entries = NULL;
    req->entry_count = 0;
    req->more = 0;
    if (rc != 0) {
        weir__store_refuse(env, req, rc);
        return;
    }
    *turn = (struct turn){.task.run = run_turn, .store = m};
    m->pending++;
    env->ops->post(env, &turn->task);
}

static void memory_close(struct weir_store *store, struct weir_task *closed)
{
    struct memory *m = (void *)store;

    m->closed = closed;
    free_if_closed(m);
}

static const struct weir_store_ops memory_ops = {
    .size = sizeof(memory_ops),
    .name = "mem",
    .submit = memory_submit,
    .close = memory_close,
};

int weir__store_memory_open(struct weir_store **out,
                            const struct weir_host *host, const char *uri,
                            void *ctx, struct weir_error *err)
{
    static const char *const known[] = {NULL};
    struct weir__uri parsed;
    struct memory *m;
    int rc;

    (void)ctx;
    *out = NULL;
    rc = weir__uri_parse(&parsed, host->alloc, uri, err);
    if (rc != 0)
        return rc;
    rc = weir__uri_check(&parsed, known, err);
    if (rc == 0 && (parsed.authority != NULL || parsed.path[0] != '\0'))
        rc = weir__fail(err, WEIR_EINVAL, "%.*s: expected mem: alone",
                        weir__uri_shown(uri), uri);
    weir__uri_free(&parsed);
    if (rc != 0)
        return rc;

    m = weir__calloc(host->alloc, 1, sizeof(*m));
    if (m == NULL)
        return weir__fail(err, WEIR_ENOMEM, "store %.*s: out of memory",
                          weir__uri_shown(uri), uri);
    m->base.ops = &memory_ops;
    m->host = *host;
    *out = &m->base;
    return 0;
}
