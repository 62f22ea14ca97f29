/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/inspect.h"
#include "base/config.h"
#include "base/error.h"
#include "base/list.h"
#include "base/uri.h"
#include "store/store.h"
#include <string.h>

/* ---- Waiting ------------------------------------------------------------- */

void weir__inspect_wait(struct weir__inspect *in, struct weir_event *event)
{
    (void)in->host.env->ops->wait(in->host.env, event, WEIR_FOREVER);
}

void weir__inspect_signal(struct weir__inspect *in, struct weir_event *event)
{
    in->host.env->ops->signal(in->host.env, event);
}

/* ---- Beginning and end --------------------------------------------------- */

int weir__inspect_begin(struct weir__inspect *in,
                        const struct weir_config *config, weir_inspect_fn *fn,
                        void *ctx, struct weir_error *err)
{
    memset(in, 0, sizeof(*in));
    in->err = err;
    if (config == NULL || fn == NULL)
        return weir__fail(err, WEIR_EINVAL, "no configuration or no callback");
    in->config = config;
    in->fn = fn;
    in->ctx = ctx;
    in->host.alloc = config->alloc;
    in->host.log = config->log;
    return weir_env_real(&in->host.env, config->alloc, 1, 0, err);
}

int weir__inspect_copy(struct weir_config **own,
                       const struct weir_config *config, struct weir_error *err)
{
    int rc = weir__config_copy(own, config);

    if (rc != 0)
        return weir__fail(err, rc, "out of memory");
    return config->number[WEIR__P_S3_PART] > 0
               ? weir_config_set(*own, "s3_part", "5MiB", err)
               : 0;
}

int weir__inspect_store(struct weir__inspect *in)
{
    const char *uri = weir__config_text(in->config, WEIR__P_STORE);
    const struct weir__scheme *scheme = weir__config_scheme(in->config, uri, 0);
    weir_store_open_fn *open = NULL;
    void *ctx = NULL;

    if (scheme != NULL) {
        open = scheme->open_store;
        ctx = scheme->ctx;
    } else if (strncmp(uri, "dir:", 4) == 0) {
        open = weir__store_dir_open;
    } else if (strncmp(uri, "s3:", 3) == 0) {
        open = weir__store_s3_open;
        ctx = (void *)(uintptr_t)in->config;
    } else if (strncmp(uri, "mem:", 4) == 0) {
        open = weir__store_memory_open;
    } else {
        return weir__fail(in->err, WEIR_EINVAL,
                          "store: %.*s: unknown scheme; expected mem:, dir: or "
                          "s3:",
                          weir__uri_shown(uri), uri);
    }
    return open(&in->store, &in->host, uri, ctx, in->err);
}

int weir__inspect_manifest_store(struct weir__inspect *in)
{
    const char *uri = weir__config_text(in->config, WEIR__P_MANIFEST);

    if (strcmp(uri, "store:") == 0)
        return weir__inspect_store(in);
    if (strncmp(uri, "etcd:", 5) != 0)
        return weir__fail(in->err, WEIR_EINVAL,
                          "manifest: %.*s: expected store: or "
                          "etcd://HOST:PORT/PREFIX",
                          weir__uri_shown(uri), uri);
    return weir__store_etcd_open(&in->store, &in->host, uri,
                                 (void *)(uintptr_t)in->config, in->err);
}

struct closing {
    struct weir_task closed;
    struct weir_event event;
    struct weir__inspect *in;
};

static void store_closed(struct weir_task *task)
{
    struct closing *c = WEIR__CONTAINER(task, struct closing, closed);

    weir__inspect_signal(c->in, &c->event);
}

int weir__inspect_end(struct weir__inspect *in, int rc)
{
    struct closing c = {.closed.run = store_closed, .in = in};

    if (in->store != NULL) {
        in->store->ops->close(in->store, &c.closed);
        weir__inspect_wait(in, &c.event);
    }
    if (in->host.env != NULL)
        in->host.env->ops->close(in->host.env);
    if (in->stop != 0)
        return in->stop;
    if (rc != 0) {
        weir__fail_status(in->err, rc);
        return rc;
    }
    weir__error_copy(in->err, &in->found);
    return in->found.code;
}

/* ---- Items --------------------------------------------------------------- */

static struct weir_field *add(struct weir__inspect *in, const char *name,
                              enum weir_field_type type)
{
    struct weir_field *field;

    if (in->count == WEIR__INSPECT_FIELDS)
        return NULL;
    field = &in->fields[in->count++];
    memset(field, 0, sizeof(*field));
    field->name = name;
    field->type = type;
    return field;
}

static void add_number(struct weir__inspect *in, const char *name,
                       enum weir_field_type type, uint64_t number)
{
    struct weir_field *field = add(in, name, type);

    if (field != NULL)
        field->number = number;
}

static void add_data(struct weir__inspect *in, const char *name,
                     enum weir_field_type type, const void *data, size_t len)
{
    struct weir_field *field = add(in, name, type);

    if (field == NULL)
        return;
    field->data = data;
    field->len = len;
}

void weir__inspect_uint(struct weir__inspect *in, const char *name,
                        uint64_t number)
{
    add_number(in, name, WEIR_FIELD_UINT, number);
}

void weir__inspect_hex(struct weir__inspect *in, const char *name,
                       uint64_t number)
{
    add_number(in, name, WEIR_FIELD_HEX, number);
}

void weir__inspect_time(struct weir__inspect *in, const char *name,
                        int64_t number)
{
    add_number(in, name, WEIR_FIELD_TIME, (uint64_t)number);
}

void weir__inspect_text(struct weir__inspect *in, const char *name,
                        const char *text)
{
    add_data(in, name, WEIR_FIELD_TEXT, text, strlen(text));
}

void weir__inspect_id(struct weir__inspect *in, const char *name,
                      const void *data, size_t len)
{
    add_data(in, name, WEIR_FIELD_ID, data, len);
}

void weir__inspect_bytes(struct weir__inspect *in, const char *name,
                         const void *data, size_t len)
{
    add_data(in, name, WEIR_FIELD_BYTES, data, len);
}

int weir__inspect_item(struct weir__inspect *in, const char *kind, int status,
                       const char *text)
{
    struct weir_item item = {
        .kind = kind,
        .fields = in->fields,
        .count = in->count,
        .status = status,
        .text = text,
    };

    if (text == NULL)
        item.text = status == 0 ? "" : weir_error_text(status);
    in->count = 0;
    if (status != 0 && in->found.code == 0)
        weir__fail(&in->found, status, "%s: %s", kind, item.text);
    in->stop = in->fn(in->ctx, &item);
    return in->stop;
}

/* ---- Requests to the store ----------------------------------------------- */

struct sync {
    struct weir__inspect *in;
    struct weir_event event;
    struct weir__inspect_page *page; /* Takes the keys of a LIST. */
    int status;
};

static void take_keys(struct weir__inspect_page *page,
                      const struct weir_store_req *req)
{
    size_t i;

    page->count = 0;
    page->more = req->more;
    for (i = 0; i < req->entry_count; i++) {
        const char *key = req->entries[i].key;
        size_t len = strlen(key);

        if (i + 1 == req->entry_count && len < sizeof(page->after))
            memcpy(page->after, key, len + 1);
        if (len < WEIR__KEY_SIZE && page->count < WEIR__INSPECT_PAGE)
            memcpy(page->keys[page->count++], key, len + 1);
    }
    if (req->entry_count == 0)
        page->more = 0;
}

static void sync_done(struct weir_store_req *req, int status)
{
    struct sync *sync = req->ctx;

    sync->status = status;
    if (sync->page != NULL && status == 0)
        take_keys(sync->page, req);
    weir__inspect_signal(sync->in, &sync->event);
}

static int request(struct weir__inspect *in, struct weir_store_req *req,
                   struct weir__inspect_page *page)
{
    struct sync sync = {.in = in, .page = page};

    req->done = sync_done;
    req->ctx = &sync;
    req->err = in->err;
    in->store->ops->submit(in->store, req);
    weir__inspect_wait(in, &sync.event);
    if (sync.status != 0 && (in->err == NULL || in->err->code != sync.status))
        weir__fail(in->err, sync.status, "%s: %s", req->key,
                   weir_error_text(sync.status));
    return sync.status;
}

int weir__inspect_request(struct weir__inspect *in, struct weir_store_req *req)
{
    return request(in, req, NULL);
}

int weir__inspect_list(struct weir__inspect *in,
                       struct weir__inspect_page *page)
{
    char after[sizeof(page->after)];
    struct weir_store_req req = {
        .verb = WEIR_STORE_LIST,
        .key = page->prefix,
        .limit = WEIR__INSPECT_PAGE,
    };

    memcpy(after, page->after, sizeof(after));
    req.after = after[0] == '\0' ? NULL : after;
    return request(in, &req, page);
}

int weir__inspect_get_all(struct weir__inspect *in, const char *key,
                          struct weir_buf **out)
{
    struct weir_store_req req = {
        .verb = WEIR_STORE_GET,
        .key = key,
        .length = UINT64_MAX,
    };
    int rc = weir__inspect_request(in, &req);

    *out = rc == 0 ? req.body : NULL;
    if (rc != 0)
        weir_buf_unref(req.body);
    return rc;
}

int weir__inspect_get(struct weir__inspect *in, const char *key,
                      uint64_t offset, uint64_t len, struct weir_buf **out)
{
    struct weir_store_req req = {
        .verb = WEIR_STORE_GET,
        .key = key,
        .offset = offset,
        .length = len,
    };
    int rc = weir__inspect_request(in, &req);

    *out = req.body;
    if (rc == 0 && req.body->len != len)
        rc = weir__fail(in->err, WEIR_ECORRUPT,
                        "%s: %llu bytes came of %llu at %llu", key,
                        (unsigned long long)req.body->len,
                        (unsigned long long)len, (unsigned long long)offset);
    if (rc != 0) {
        weir_buf_unref(req.body);
        *out = NULL;
    }
    return rc;
}
