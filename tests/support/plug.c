/* SPDX-License-Identifier: Apache-2.0 */
#include "support/plug.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"
#include "wal/wal.h"

struct plug_object {
    struct plug_object *next; /* Sorted by key. */
    char *key;
    unsigned char *data;
    size_t len;
};

struct plug_store {
    struct weir_store base;
    struct weir_host host;
    struct plug *plug;
};

/* An answer on its way: `done` must not run before `submit` has returned. */
struct answer {
    struct weir_task task;
    struct weir_store_req *req;
    int status;
};

static void answer_run(struct weir_task *task)
{
    struct answer *a = (struct answer *)(void *)task;
    struct weir_store_req *req = a->req;
    int status = a->status;

    free(a);
    req->done(req, status);
}

static void answer(struct plug_store *s, struct weir_store_req *req, int status)
{
    struct answer *a = calloc(1, sizeof(*a));

    ck_assert_ptr_nonnull(a);
    a->task.run = answer_run;
    a->req = req;
    a->status = status;
    s->host.env->ops->post(s->host.env, &a->task);
}

static struct plug_object **find(struct plug *plug, const char *key)
{
    struct plug_object **at = &plug->objects;

    while (*at != NULL && strcmp((*at)->key, key) < 0)
        at = &(*at)->next;
    return at;
}

static int put(struct plug *plug, const struct weir_store_req *req)
{
    struct plug_object **at = find(plug, req->key);
    struct plug_object *o;

    if (*at != NULL && strcmp((*at)->key, req->key) == 0)
        return WEIR_ECONFLICT;
    o = calloc(1, sizeof(*o));
    o->key = strdup(req->key);
    for (size_t i = 0; i < req->iov_count; i++)
        o->len += req->iov[i].len;
    o->data = malloc(o->len + 1);
    for (size_t i = 0, n = 0; i < req->iov_count; i++) {
        memcpy(o->data + n, req->iov[i].data, req->iov[i].len);
        n += req->iov[i].len;
    }
    o->next = *at;
    *at = o;
    return 0;
}

static int get(struct plug_store *s, struct weir_store_req *req)
{
    struct plug_object *o = *find(s->plug, req->key);
    uint64_t from = req->offset, n = req->length;

    if (o == NULL || strcmp(o->key, req->key) != 0)
        return WEIR_ENOENT;
    req->size = o->len;
    if (req->verb == WEIR_STORE_HEAD)
        return 0;
    if ((req->flags & WEIR_STORE_SUFFIX) != 0)
        from = n > o->len ? 0 : o->len - n;
    if (from > o->len)
        return WEIR_ERANGE;
    if (n > o->len - from)
        n = o->len - from;
    req->body = weir_buf_new(s->host.alloc, (size_t)n + 1, 0);
    if (req->body == NULL)
        return WEIR_ENOMEM;
    memcpy(req->body->data, o->data + from, (size_t)n);
    req->body->len = (size_t)n;
    if (strncmp(req->key, "data/", 5) == 0 && s->plug->damage_gets > 0) {
        s->plug->damage_gets--;
        req->body->data[n / 2] ^= 0x10;
    }
    return 0;
}

static int del(struct plug *plug, const char *key)
{
    struct plug_object **at = find(plug, key);
    struct plug_object *o = *at;

    if (o != NULL && strcmp(o->key, key) == 0) {
        *at = o->next;
        free(o->key);
        free(o->data);
        free(o);
    }
    return 0;
}

/* LIST answers at once but through a task of its own, for its memory. */
struct listing {
    struct weir_task task;
    struct plug_store *store;
    struct weir_store_req *req;
};

static void list_run(struct weir_task *task)
{
    struct listing *l = (struct listing *)(void *)task;
    struct weir_store_req *req = l->req;
    struct weir_store_entry entries[1000];
    struct plug_object *o = l->store->plug->objects;
    size_t n = strlen(req->key);

    req->entry_count = 0;
    req->more = 0;
    for (; o != NULL; o = o->next) {
        if (strncmp(o->key, req->key, n) != 0 ||
            (req->after != NULL && strcmp(o->key, req->after) <= 0))
            continue;
        if (req->entry_count == req->limit) {
            req->more = 1;
            break;
        }
        entries[req->entry_count].key = o->key;
        entries[req->entry_count].size = o->len;
        entries[req->entry_count++].modified = 0;
    }
    req->entries = entries;
    free(l);
    req->done(req, 0);
}

static void list(struct plug_store *s, struct weir_store_req *req)
{
    struct listing *l = calloc(1, sizeof(*l));

    ck_assert_ptr_nonnull(l);
    l->task.run = list_run;
    l->store = s;
    l->req = req;
    s->host.env->ops->post(s->host.env, &l->task);
}

static void plug_submit(struct weir_store *store, struct weir_store_req *req)
{
    struct plug_store *s = (struct plug_store *)(void *)store;
    struct plug *plug = s->plug;
    int data = strncmp(req->key, "data/", 5) == 0;

    if (plug->hook != NULL && plug->hook(plug, store, req) != 0)
        return;
    if (req->verb == WEIR_STORE_LIST)
        list(s, req);
    else if (req->verb == WEIR_STORE_PUT && data && plug->put_status != 0)
        answer(s, req, plug->put_status);
    else if (req->verb == WEIR_STORE_PUT && !data && plug->meta_status != 0)
        answer(s, req, plug->meta_status);
    else if (req->verb == WEIR_STORE_GET && data && plug->get_status != 0)
        answer(s, req, plug->get_status);
    else if (req->verb == WEIR_STORE_PUT && data && plug->hold) {
        plug->held = req;
        plug->held_in = store;
    } else if (req->verb == WEIR_STORE_PUT)
        answer(s, req, put(plug, req));
    else if (req->verb == WEIR_STORE_DELETE)
        answer(s, req, del(plug, req->key));
    else
        answer(s, req, get(s, req));
}

void plug_answer(struct weir_store *store, struct weir_store_req *req,
                 int status)
{
    answer((struct plug_store *)(void *)store, req, status);
}

void plug_release(struct plug *plug)
{
    struct weir_store_req *req = plug->held;

    if (req == NULL)
        return;
    plug->held = NULL;
    answer((struct plug_store *)(void *)plug->held_in, req, put(plug, req));
}

static void plug_close(struct weir_store *store, struct weir_task *closed)
{
    struct plug_store *s = (struct plug_store *)(void *)store;
    struct weir_env *env = s->host.env;

    if (s->plug->held != NULL) {
        answer(s, s->plug->held, s->plug->held_done ? 0 : WEIR_ECANCELED);
        s->plug->held = NULL;
    }
    free(s);
    env->ops->post(env, closed);
}

static const struct weir_store_ops plug_store_ops = {
    .size = sizeof(struct weir_store_ops),
    .name = "plug",
    .submit = plug_submit,
    .close = plug_close,
};

static int open_store(struct weir_store **out, const struct weir_host *host,
                      const char *uri, void *ctx, struct weir_error *err)
{
    struct plug_store *s = calloc(1, sizeof(*s));

    (void)uri;
    (void)err;
    ck_assert_ptr_nonnull(s);
    s->base.ops = &plug_store_ops;
    s->host = *host;
    s->plug = ctx;
    *out = &s->base;
    return 0;
}

/** A memory log whose writes can be made to fail. */
struct plug_wal {
    struct weir_wal base;
    struct weir_wal *inner;
    struct weir_host host;
    struct plug *plug;
    struct weir_task task; /* Ends a write that fails. */
    struct weir_wal_write *failing;
    int status;
    struct weir_wal_req *start;
    void (*start_done)(struct weir_wal_req *req, int status);
    struct weir_wal_write *write;
    void (*write_done)(struct weir_wal_write *req, int status);
    struct weir_wal_req *close;
    void (*close_done)(struct weir_wal_req *req, int status);
    void *ctx;
};

static void mirror(struct plug_wal *w)
{
    const struct weir_wal_ops *ops = w->base.ops;

    w->base = *w->inner;
    w->base.ops = ops;
    if (w->plug->capacity != 0)
        w->base.capacity = w->plug->capacity;
}

static void wal_recover(struct weir_wal *wal, struct weir_wal_recover *req)
{
    struct plug_wal *w = (struct plug_wal *)(void *)wal;

    w->inner->ops->recover(w->inner, req);
}

static void started(struct weir_wal_req *req, int status)
{
    struct plug_wal *w = req->ctx;

    req->ctx = w->ctx;
    req->done = w->start_done;
    mirror(w);
    req->done(req, status);
}

static void wal_start(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct plug_wal *w = (struct plug_wal *)(void *)wal;

    w->ctx = req->ctx;
    w->start_done = req->done;
    req->ctx = w;
    req->done = started;
    w->inner->ops->start(w->inner, req);
}

static void fail_run(struct weir_task *task)
{
    struct plug_wal *w =
        (struct plug_wal *)(void *)((char *)task -
                                    offsetof(struct plug_wal, task));

    w->failing->done(w->failing, w->status);
}

static void fail_write(struct plug_wal *w, struct weir_wal_write *req,
                       int status)
{
    w->status = status;
    w->failing = req;
    w->task.run = fail_run;
    w->host.env->ops->post(w->host.env, &w->task);
}

static void written(struct weir_wal_write *req, int status)
{
    struct plug_wal *w = req->ctx;

    req->ctx = w->ctx;
    req->done = w->write_done;
    mirror(w);
    req->done(req, status);
}

static void wal_write(struct weir_wal *wal, struct weir_wal_write *req)
{
    struct plug_wal *w = (struct plug_wal *)(void *)wal;

    w->plug->writes++;
    if (w->plug->hold_write) {
        w->plug->hold_write = 0;
        w->plug->held_write = req;
        w->plug->held_wal = wal;
        return;
    }
    if (w->plug->wal_status != 0) {
        fail_write(w, req, w->plug->wal_status);
        w->plug->wal_status = 0;
        return;
    }
    w->ctx = req->ctx;
    w->write_done = req->done;
    req->ctx = w;
    req->done = written;
    w->inner->ops->write(w->inner, req);
}

void plug_end_write(struct plug *plug, int status)
{
    fail_write((struct plug_wal *)(void *)plug->held_wal, plug->held_write,
               status);
    plug->held_write = NULL;
}

static void wal_trim(struct weir_wal *wal, uint64_t position)
{
    struct plug_wal *w = (struct plug_wal *)(void *)wal;

    w->inner->ops->trim(w->inner, position);
    mirror(w);
}

static void wal_close(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct plug_wal *w = (struct plug_wal *)(void *)wal;
    struct weir_wal *inner = w->inner;

    free(w);
    inner->ops->close(inner, req);
}

static const struct weir_wal_ops plug_wal_ops = {
    .size = sizeof(struct weir_wal_ops),
    .name = "plug",
    .recover = wal_recover,
    .start = wal_start,
    .write = wal_write,
    .trim = wal_trim,
    .close = wal_close,
};

struct plug_wal_opening {
    struct weir_wal_open *req;
    void (*done)(struct weir_wal_open *req, int status);
    void *ctx;
    const char *uri;
};

static void wal_opened(struct weir_wal_open *req, int status)
{
    struct plug_wal_opening *o = req->ctx;
    struct plug_wal *w;

    req->ctx = o->ctx;
    req->uri = o->uri;
    req->done = o->done;
    free(o);
    if (status == 0) {
        w = calloc(1, sizeof(*w));
        ck_assert_ptr_nonnull(w);
        w->base.ops = &plug_wal_ops;
        w->inner = req->wal;
        w->host = *req->host;
        w->plug = req->open_ctx;
        mirror(w);
        req->wal = &w->base;
    }
    req->done(req, status);
}

static void open_wal(struct weir_wal_open *req)
{
    struct plug_wal_opening *o = calloc(1, sizeof(*o));

    ck_assert_ptr_nonnull(o);
    o->done = req->done;
    o->ctx = req->ctx;
    o->uri = req->uri;
    req->done = wal_opened;
    req->ctx = o;
    req->uri = "mem:";
    weir__wal_memory_open(req);
}

void plug_register(struct weir_config *config, struct plug *plug)
{
    ck_assert_int_eq(weir_config_add_store(config, "plug", open_store, plug),
                     0);
    ck_assert_int_eq(weir_config_add_wal(config, "plug", open_wal, plug), 0);
    ck_assert_int_eq(weir_config_set(config, "store", "plug:", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "wal", "plug:", NULL), 0);
}

int plug_data_objects(const struct plug *plug)
{
    const struct plug_object *o = plug->objects;
    int n = 0;

    for (; o != NULL; o = o->next)
        n += strncmp(o->key, "data/", 5) == 0;
    return n;
}

int plug_larger(const struct plug *plug, const char *prefix, size_t size)
{
    const struct plug_object *o = plug->objects;
    int n = 0;

    for (; o != NULL; o = o->next)
        n += strncmp(o->key, prefix, strlen(prefix)) == 0 && o->len > size;
    return n;
}

void plug_free(struct plug *plug)
{
    while (plug->objects != NULL)
        del(plug, plug->objects->key);
}
