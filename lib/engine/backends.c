/* SPDX-License-Identifier: Apache-2.0 */
/* From the URIs of the configuration to backends; and the store, counted. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/uri.h"
#include "engine/node.h"
#include "store/store.h"
#include "wal/wal.h"

/** A store that counts what goes through it. */
struct counted_store {
    struct weir_store base;
    struct weir *node;
};

/** One request on its way through. */
struct counted {
    struct weir *node;
    void (*done)(struct weir_store_req *req, int status);
    void *ctx;
};

static void count(struct weir_stats *stats, enum weir_store_verb verb)
{
    switch (verb) {
    case WEIR_STORE_PUT:
        stats->store_puts++;
        break;
    case WEIR_STORE_GET:
    case WEIR_STORE_HEAD:
        stats->store_gets++;
        break;
    case WEIR_STORE_DELETE:
        stats->store_deletes++;
        break;
    case WEIR_STORE_LIST:
        stats->store_lists++;
        break;
    }
}

static void counted_done(struct weir_store_req *req, int status)
{
    struct counted *counted = req->ctx;
    struct weir *node = counted->node;

    /* "Not there" and "there already" are answers, not errors. */
    if (status != 0 && status != WEIR_ENOENT && status != WEIR_ECONFLICT)
        node->stats.store_errors++;
    req->done = counted->done;
    req->ctx = counted->ctx;
    weir__free(node->alloc, counted);
    req->done(req, status);
}

static void counted_submit(struct weir_store *store, struct weir_store_req *req)
{
    struct weir *node = ((struct counted_store *)(void *)store)->node;
    struct counted *counted = weir__calloc(node->alloc, 1, sizeof(*counted));

    count(&node->stats, req->verb);
    if (counted != NULL) { /* Without memory only the errors go uncounted. */
        counted->node = node;
        counted->done = req->done;
        counted->ctx = req->ctx;
        req->done = counted_done;
        req->ctx = counted;
    }
    node->backing->ops->submit(node->backing, req);
}

static void counted_close(struct weir_store *store, struct weir_task *closed)
{
    struct weir *node = ((struct counted_store *)(void *)store)->node;

    weir__free(node->alloc, store);
    node->backing->ops->close(node->backing, closed);
}

static int counted_watch(struct weir_store *store,
                         struct weir_store_watch *watch)
{
    struct weir *node = ((struct counted_store *)(void *)store)->node;

    return weir__store_watch(node->backing, watch);
}

static void counted_unwatch(struct weir_store *store,
                            struct weir_store_watch *watch)
{
    struct weir *node = ((struct counted_store *)(void *)store)->node;

    weir__store_unwatch(node->backing, watch);
}

static const struct weir_store_ops counted_ops = {
    .size = sizeof(struct weir_store_ops),
    .name = "counted",
    .submit = counted_submit,
    .close = counted_close,
    .watch = counted_watch,
    .unwatch = counted_unwatch,
};

/* 1 if `uri` begins with `scheme` and a colon. */
static int is(const char *uri, const char *scheme)
{
    size_t n = strlen(scheme);

    return strncmp(uri, scheme, n) == 0 && uri[n] == ':';
}

static weir_store_open_fn *builtin_store(const char *uri)
{
    if (is(uri, "mem"))
        return weir__store_memory_open;
    if (is(uri, "dir"))
        return weir__store_dir_open;
    if (is(uri, "s3"))
        return weir__store_s3_open;
    return NULL;
}

int weir__backend_store(struct weir *node, struct weir_error *err)
{
    const char *uri = weir__config_text(node->config, WEIR__P_STORE);
    const struct weir__scheme *own = weir__config_scheme(node->config, uri, 0);
    weir_store_open_fn *open =
        own != NULL ? own->open_store : builtin_store(uri);
    struct counted_store *counted;
    int rc;

    if (open == NULL)
        return weir__fail(err, WEIR_EINVAL,
                          "store: %.*s: expected mem:, dir:PATH, s3://BUCKET "
                          "or a scheme of the host's",
                          weir__uri_shown(uri), uri);
    counted = weir__calloc(node->alloc, 1, sizeof(*counted));
    if (counted == NULL)
        return weir__fail(err, WEIR_ENOMEM, "store");
    rc = open(&node->backing, &node->host, uri,
              own != NULL ? own->ctx : node->config, err);
    if (rc != 0) {
        weir__free(node->alloc, counted);
        return rc;
    }
    counted->base.ops = &counted_ops;
    counted->node = node;
    node->store = &counted->base;
    return 0;
}

int weir__backend_manifest(struct weir_store **out,
                           const struct weir_host *host,
                           struct weir_config *config, struct weir_error *err)
{
    const char *uri = weir__config_text(config, WEIR__P_MANIFEST);

    *out = NULL;
    if (strcmp(uri, "store:") == 0)
        return 0;
    if (!is(uri, "etcd"))
        return weir__fail(err, WEIR_EINVAL,
                          "manifest: %.*s: expected store: or "
                          "etcd://HOST:PORT/PREFIX",
                          weir__uri_shown(uri), uri);
    return weir__store_etcd_open(out, host, uri, config, err);
}

/** A log that the library brings along. */
struct builtin_wal {
    const char *scheme;
    weir_wal_open_fn *open;
    weir__wal_check_fn *check;
};

static const struct builtin_wal *builtin_wal(const char *uri)
{
    static const struct builtin_wal all[] = {
        {"mem", weir__wal_memory_open, weir__wal_memory_check},
        {"file", weir__wal_file_open, weir__wal_file_check},
        {"object", weir__wal_object_open, weir__wal_object_check},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (is(uri, all[i].scheme))
            return &all[i];
    return NULL;
}

int weir__backend_wal_check(const struct weir *node, struct weir_error *err)
{
    const char *uri = weir__config_text(node->config, WEIR__P_WAL);
    const struct builtin_wal *builtin = builtin_wal(uri);

    if (node->read_only || weir__config_scheme(node->config, uri, 1) != NULL)
        return 0;
    if (builtin != NULL)
        return builtin->check(node->alloc, uri, err);
    return weir__fail(err, WEIR_EINVAL,
                      "wal: %.*s: expected mem:, file:PATH, object: or a "
                      "scheme of the host's",
                      weir__uri_shown(uri), uri);
}

weir_wal_open_fn *weir__backend_wal(const struct weir *node, void **ctx)
{
    const char *uri = weir__config_text(node->config, WEIR__P_WAL);
    const struct weir__scheme *own = weir__config_scheme(node->config, uri, 1);

    *ctx = own != NULL ? own->ctx : NULL;
    return own != NULL ? own->open_wal : builtin_wal(uri)->open;
}
