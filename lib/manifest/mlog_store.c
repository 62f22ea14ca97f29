/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest's log on an object store: a commit is a key that is created
 * if absent, a snapshot another.
 *
 * The newest two snapshots stay, and the commits since the older of them, so
 * that damage to the newest loses nothing.  Commits are removed in the order
 * of their versions: where one is, all behind it are.
 */
#include "manifest/manifest.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/sometimes.h"
#include "format/manifest_record.h"
#include "format/object_name.h"
#include "store/store.h"

#include <inttypes.h>

/* Most keys that one TRIM removes, so that it ends soon. */
#define TRIM_MAX 64u
/* Snapshots that one LIST gives. */
#define LIST_MAX 1000u
/* How often LATEST begins again when its snapshot goes away under it. */
#define LATEST_TRIES 4u

struct mlog {
    struct weir_mlog base;
    const struct weir_host *host;
    struct weir_store *store;
    struct weir_store_watch keys;
    struct weir_mlog_watch *watch; /* NULL: nobody listens. */
    struct weir_task refuse;       /* Ends the requests in `refused`. */
    struct weir_mlog_req *refused; /* Linked through impl[0]. */
};

struct mlog_op {
    struct mlog *log;
    struct weir_mlog_req *req;
    struct weir_store_req io;
    void (*step)(struct mlog_op *op, int status); /* Of what is under way. */
    char key[WEIR__KEY_SIZE];
    char after[WEIR__KEY_SIZE];

    uint64_t newest; /* Snapshots, 0: none. */
    uint64_t older;
    uint64_t oldest[TRIM_MAX]; /* The first snapshots that were listed. */
    size_t oldest_count;
    unsigned tries;
    uint64_t doomed[TRIM_MAX]; /* Versions to be removed. */
    size_t doomed_count;
    size_t removed;
    void (*doomed_key)(char to[WEIR__KEY_SIZE], uint64_t version);
    void (*doomed_done)(struct mlog_op *op);
};

static void finish(struct mlog_op *op, int status)
{
    struct weir_mlog_req *req = op->req;

    weir__free(op->log->host->alloc, op);
    req->done(req, status);
}

static void io_done(struct weir_store_req *io, int status)
{
    struct mlog_op *op = io->ctx;

    op->step(op, status);
}

/* Start what `op->io` has been set to; `step` gets its end. */
static void start(struct mlog_op *op, enum weir_store_verb verb,
                  void (*step)(struct mlog_op *op, int status))
{
    op->io.verb = verb;
    op->io.flags = verb == WEIR_STORE_PUT ? WEIR_STORE_IF_ABSENT : 0;
    op->io.key = op->key;
    op->io.offset = 0;
    op->io.length = UINT64_MAX;
    op->io.done = io_done;
    op->io.ctx = op;
    op->io.err = op->req->err;
    op->io.body = NULL;
    op->step = step;
    op->log->store->ops->submit(op->log->store, &op->io);
}

static void read_done(struct mlog_op *op, int status)
{
    op->req->body = status == 0 ? op->io.body : NULL;
    finish(op, status);
}

static void snapshot_done(struct mlog_op *op, int status)
{
    finish(op, status == WEIR_ECONFLICT ? 0 : status);
}

/* The snapshots, from the first, into `newest` and `older`; then `then`. */
static void list_snapshots(struct mlog_op *op, const char *after,
                           void (*step)(struct mlog_op *op, int status))
{
    memcpy(op->key, "manifest/snap/", sizeof("manifest/snap/"));
    op->io.after = after;
    op->io.limit = LIST_MAX;
    start(op, WEIR_STORE_LIST, step);
}

/* Take in a page of them: true when there is another, which is asked for. */
static bool next_snapshots(struct mlog_op *op)
{
    uint64_t version;
    size_t len = 0;

    for (size_t i = 0; i < op->io.entry_count; i++) {
        const char *key = op->io.entries[i].key;

        len = strlen(key);
        if (len < sizeof(op->after))
            memcpy(op->after, key, len + 1);
        if (weir__manifest_key_version(key, &version) != 0)
            continue;
        op->older = op->newest;
        op->newest = version;
        if (op->oldest_count < TRIM_MAX)
            op->oldest[op->oldest_count++] = version;
    }
    if (!op->io.more || op->io.entry_count == 0 || len >= sizeof(op->after))
        return false;
    list_snapshots(op, op->after, op->step);
    return true;
}

static void latest_listed(struct mlog_op *op, int status);

static void latest_begin(struct mlog_op *op)
{
    op->newest = 0;
    op->older = 0;
    op->oldest_count = 0;
    list_snapshots(op, NULL, latest_listed);
}

static void older_got(struct mlog_op *op, int status)
{
    op->req->version = op->older;
    read_done(op, status);
}

/* Both ends of the commits since the older snapshot are there, and so is
 * what lies between. */
static void older_covered(struct mlog_op *op, int status)
{
    if (status == WEIR_ENOENT) {
        finish(op,
               weir__fail(op->req->err, WEIR_ECORRUPT,
                          "manifest snapshot %" PRIu64
                          " is damaged, and commits since %" PRIu64 " are gone",
                          op->newest, op->older));
        return;
    }
    if (status != 0) {
        finish(op, status);
        return;
    }
    if (op->older == 0) {
        finish(op, WEIR_ENOENT); /* All commits are there. */
        return;
    }
    weir__manifest_snap_key(op->key, op->older);
    start(op, WEIR_STORE_GET, older_got);
}

static void older_begins(struct mlog_op *op, int status)
{
    if (status != 0) {
        older_covered(op, status);
        return;
    }
    weir__manifest_log_key(op->key, op->newest);
    start(op, WEIR_STORE_HEAD, older_covered);
}

static void latest_got(struct mlog_op *op, int status)
{
    const struct weir_buf *body = op->io.body;

    /* Removed since it was listed: there is a newer one now. */
    if (status == WEIR_ENOENT && ++op->tries < LATEST_TRIES) {
        latest_begin(op);
        return;
    }
    op->req->version = op->newest;
    if (status == 0 &&
        weir__manifest_check(body->data, body->len, WEIR__SNAPSHOT_MAGIC,
                             "snapshot", op->newest,
                             op->req->err) == WEIR_ECORRUPT) {
        WEIR__SOMETIMES("a damaged snapshot gives way to the one before");
        weir_buf_unref(op->io.body);
        weir__manifest_log_key(op->key, op->older + 1);
        start(op, WEIR_STORE_HEAD, older_begins);
        return;
    }
    read_done(op, status);
}

static void latest_listed(struct mlog_op *op, int status)
{
    if (status != 0) {
        finish(op, status);
        return;
    }
    if (next_snapshots(op))
        return;
    if (op->newest == 0) {
        finish(op, WEIR_ENOENT);
        return;
    }
    weir__manifest_snap_key(op->key, op->newest);
    start(op, WEIR_STORE_GET, latest_got);
}

static uint64_t trim_floor(const struct mlog_op *op)
{
    return op->req->version < op->older ? op->req->version : op->older;
}

/* Remove the doomed, one after the other: the order matters. */
static void remove_next(struct mlog_op *op, int status)
{
    if (status != 0) {
        finish(op, status);
        return;
    }
    if (op->removed == op->doomed_count) {
        op->doomed_done(op);
        return;
    }
    op->doomed_key(op->key, op->doomed[op->removed++]);
    start(op, WEIR_STORE_DELETE, remove_next);
}

static void trim_done(struct mlog_op *op)
{
    finish(op, 0);
}

static void trim_snapshots(struct mlog_op *op)
{
    uint64_t bound = trim_floor(op);

    op->doomed_count = 0;
    op->removed = 0;
    for (size_t i = 0; i < op->oldest_count; i++)
        if (op->oldest[i] < bound)
            op->doomed[op->doomed_count++] = op->oldest[i];
    op->doomed_key = weir__manifest_snap_key;
    op->doomed_done = trim_done;
    remove_next(op, 0);
}

/* Of the listed commits, those up to `bound`. */
static void doom_commits(struct mlog_op *op, uint64_t bound)
{
    uint64_t version;

    op->doomed_count = 0;
    op->removed = 0;
    for (size_t i = 0; i < op->io.entry_count; i++)
        if (op->doomed_count < TRIM_MAX &&
            weir__manifest_key_version(op->io.entries[i].key, &version) == 0 &&
            version <= bound)
            op->doomed[op->doomed_count++] = version;
}

static void trim_log(struct mlog_op *op, int status)
{
    if (status != 0) {
        finish(op, status);
        return;
    }
    doom_commits(op, trim_floor(op));
    op->doomed_key = weir__manifest_log_key;
    op->doomed_done = trim_snapshots;
    remove_next(op, 0);
}

static void trim_listed(struct mlog_op *op, int status)
{
    if (status != 0) {
        finish(op, status);
        return;
    }
    if (next_snapshots(op))
        return;
    if (trim_floor(op) == 0) {
        finish(op, 0);
        return;
    }
    memcpy(op->key, "manifest/log/", sizeof("manifest/log/"));
    op->io.after = NULL;
    op->io.limit = TRIM_MAX;
    start(op, WEIR_STORE_LIST, trim_log);
}

static void refuse(struct weir_task *task)
{
    struct mlog *log = WEIR__CONTAINER(task, struct mlog, refuse);
    struct weir_mlog_req *req = log->refused;

    log->refused = NULL;
    while (req != NULL) {
        struct weir_mlog_req *next = req->impl[0];

        req->done(req, weir__fail(req->err, WEIR_ENOMEM,
                                  "manifest log: out of memory"));
        req = next;
    }
}

/* End a request with WEIR_ENOMEM, but not before submit has returned. */
static void refuse_later(struct mlog *log, struct weir_mlog_req *req)
{
    bool posted = log->refused != NULL;

    req->impl[0] = log->refused;
    log->refused = req;
    log->refuse.run = refuse;
    if (!posted)
        log->host->env->ops->post(log->host->env, &log->refuse);
}

static void put(struct mlog_op *op,
                void (*step)(struct mlog_op *op, int status))
{
    op->io.iov = op->req->iov;
    op->io.iov_count = op->req->iov_count;
    start(op, WEIR_STORE_PUT, step);
}

static void mlog_store_submit(struct weir_mlog *base, struct weir_mlog_req *req)
{
    struct mlog *log = (struct mlog *)base;
    struct mlog_op *op = weir__calloc(log->host->alloc, 1, sizeof(*op));

    req->body = NULL;
    if (op == NULL) {
        refuse_later(log, req);
        return;
    }
    op->log = log;
    op->req = req;
    switch (req->verb) {
    case WEIR_MLOG_APPEND:
        weir__manifest_log_key(op->key, req->version);
        put(op, finish);
        return;
    case WEIR_MLOG_READ:
        weir__manifest_log_key(op->key, req->version);
        start(op, WEIR_STORE_GET, read_done);
        return;
    case WEIR_MLOG_SNAPSHOT:
        weir__manifest_snap_key(op->key, req->version);
        put(op, snapshot_done);
        return;
    case WEIR_MLOG_LATEST:
        latest_begin(op);
        return;
    case WEIR_MLOG_TRIM:
        list_snapshots(op, NULL, trim_listed);
        return;
    }
}

static void keys_changed(struct weir_store_watch *keys, const char *key)
{
    struct mlog *log = keys->ctx;
    uint64_t version = 0;

    if (key != NULL && weir__manifest_key_version(key, &version) != 0)
        version = 0;
    log->watch->live = keys->live;
    log->watch->changed(log->watch, version);
}

static int mlog_store_watch(struct weir_mlog *base,
                            struct weir_mlog_watch *watch)
{
    struct mlog *log = (struct mlog *)base;
    int rc;

    log->keys = (struct weir_store_watch){
        .prefix = "manifest/log/", .changed = keys_changed, .ctx = log};
    rc = weir__store_watch(log->store, &log->keys);
    log->watch = rc == 0 ? watch : NULL;
    watch->live = rc == 0 ? log->keys.live : 0;
    return rc;
}

static void mlog_store_close(struct weir_mlog *base)
{
    struct mlog *log = (struct mlog *)base;

    if (log->watch != NULL)
        weir__store_unwatch(log->store, &log->keys);
    weir__free(log->host->alloc, log);
}

static const struct weir_mlog_ops mlog_store_ops = {
    .size = sizeof(struct weir_mlog_ops),
    .name = "store",
    .submit = mlog_store_submit,
    .close = mlog_store_close,
    .watch = mlog_store_watch,
};

int weir__mlog_store_open(struct weir_mlog **out, const struct weir_host *host,
                          struct weir_store *store, struct weir_error *err)
{
    struct mlog *log = weir__calloc(host->alloc, 1, sizeof(*log));

    *out = NULL;
    if (log == NULL)
        return weir__fail(err, WEIR_ENOMEM, "manifest log: out of memory");
    log->base.ops = &mlog_store_ops;
    log->host = host;
    log->store = store;
    *out = &log->base;
    return 0;
}
