/* SPDX-License-Identifier: Apache-2.0 */
/* A store in etcd, for the manifest's log: small values, ordered keys, and a
 * create that is one transaction.
 *
 * Each request of the port is one exchange with etcd or several in turn
 * (etcd_call.c); reads are linearizable, as etcd's are by default. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/config.h"
#include "base/error.h"
#include "http/digest.h"
#include "http/json.h"
#include "store/etcd_watch.h"
#include "store/store_request.h"

#include <stdio.h>
#include <string.h>

enum { KEY_ROOM = WEIR_STORE_KEY_MAX + 300 };

struct etcd {
    struct weir_store base;
    struct weir__etcd_line line;
    struct weir__etcd_watch watch;
    char *prefix;     /* Ends with a slash. */
    uint64_t timeout; /* Nanoseconds of one request. */
    size_t pending;
    struct weir_task *closed;
    struct weir_task line_closed;
    bool line_open;
};

/* A request under way. */
struct operation {
    struct weir__etcd_call call;
    struct etcd *store;
    struct weir_store_req *req;
    char key[KEY_ROOM];
    char end[KEY_ROOM];
    struct weir__etcd_value value;
    struct weir__etcd_chunks chunks; /* Of a value that was cut. */
    uint64_t at;                     /* Bytes of it that are done. */
    struct weir_store_entry *entries;
    size_t entry_count;
    int status; /* While chunks are removed: what is told then. */
};

static struct operation *operation_of(struct weir__etcd_call *call)
{
    return WEIR__CONTAINER(call, struct operation, call);
}

static const struct weir_alloc *alloc_of(const struct operation *op)
{
    return op->store->line.host.alloc;
}

static void free_if_closed(struct etcd *etcd)
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

static void finish(struct operation *op, int status)
{
    struct etcd *etcd = op->store;
    struct weir_store_req *req = op->req;

    if (status != 0)
        weir__fail_status(req->err, status);
    req->entries = op->entries;
    req->entry_count = status == 0 ? op->entry_count : 0;
    weir_buf_unref(op->value.body);
    req->done(req, status);
    for (size_t i = 0; i < op->entry_count; i++)
        weir__free(alloc_of(op), (void *)(uintptr_t)op->entries[i].key);
    weir__free(alloc_of(op), op->entries);
    weir__free(alloc_of(op), op);
    etcd->pending--;
    free_if_closed(etcd);
}

static int bad_answer(struct operation *op, int rc)
{
    return rc == WEIR_ENOMEM
               ? rc
               : weir__fail(op->req->err, WEIR_EIO,
                            "%s: the answer cannot be read", op->call.what);
}

/* Send what was written into `op->call.body`. */
static void send_call(struct operation *op, const char *path, bool changes,
                      void (*done)(struct weir__etcd_call *call, int status,
                                   const struct weir__json *answer))
{
    op->call.path = path;
    op->call.changes = changes;
    op->call.done = done;
    weir__etcd_call_start(&op->call);
}

static struct weir__writer *body_of(struct operation *op)
{
    weir__writer_free(&op->call.body);
    weir__writer_init(&op->call.body, alloc_of(op));
    return &op->call.body;
}

/* The key is there: who watches should have been told. */
static void known(struct operation *op, const struct weir__json *answer)
{
    weir__etcd_watch_known(&op->store->watch, op->req->key,
                           weir__etcd_read_revision(answer));
}

/* ---- Chunks -------------------------------------------------------------- */

/* "PREFIX.chunks/ID/": beside what the prefix holds. */
static void chunk_prefix(char to[KEY_ROOM], const struct operation *op)
{
    const char *prefix = op->store->prefix;

    snprintf(to, KEY_ROOM, "%.*s.chunks/%s/", (int)strlen(prefix) - 1, prefix,
             op->chunks.id);
}

static void chunk_key(char to[KEY_ROOM], const struct operation *op)
{
    char front[KEY_ROOM];

    chunk_prefix(front, op);
    snprintf(to, KEY_ROOM, "%.600s%06u", front,
             (unsigned)(op->at / WEIR__ETCD_CHUNK));
}

static void remove_chunks(struct operation *op,
                          void (*done)(struct weir__etcd_call *call, int status,
                                       const struct weir__json *answer))
{
    char key[KEY_ROOM];

    chunk_prefix(key, op);
    weir__etcd_end(op->end, sizeof(op->end), key);
    weir__etcd_write_delete(body_of(op), key, op->end, 0);
    send_call(op, "/v3/kv/deleterange", false, done);
}

/* ---- PUT ----------------------------------------------------------------- */

static void cleaned(struct weir__etcd_call *call, int status,
                    const struct weir__json *answer)
{
    struct operation *op = operation_of(call);

    (void)status; /* What stays is garbage, and named by nothing. */
    (void)answer;
    finish(op, op->status);
}

/* The value is not what is there. */
static void put_failed(struct operation *op, int status)
{
    op->status = status;
    if (op->chunks.id[0] != '\0' && status != WEIR_EUNKNOWN &&
        op->store->closed == NULL)
        remove_chunks(op, cleaned);
    else
        finish(op, status);
}

static bool is_own(const struct operation *op)
{
    const struct weir_buf *body = op->value.body;
    unsigned char chunks[WEIR__ETCD_CHUNKS_SIZE];
    size_t at = 0;

    if (op->chunks.id[0] != '\0') {
        weir__etcd_chunks_encode(chunks, &op->chunks);
        return op->value.tag == 1 && body->len == sizeof(chunks) &&
               memcmp(body->data, chunks, sizeof(chunks)) == 0;
    }
    if (op->value.tag != 0 || body->len != weir__store_body_size(op->req))
        return false;
    for (size_t i = 0; i < op->req->iov_count; i++) {
        const struct weir_iov *iov = &op->req->iov[i];

        if (iov->len > 0 && memcmp(body->data + at, iov->data, iov->len) != 0)
            return false;
        at += iov->len;
    }
    return true;
}

static void created(struct weir__etcd_call *call, int status,
                    const struct weir__json *answer)
{
    struct operation *op = operation_of(call);
    int done = 0;

    if (status == 0) {
        status =
            weir__etcd_read_create(answer, &done, &op->value, alloc_of(op));
        /* What the answer says was decided: but what did it? */
        if (status != 0 || (!done && op->value.body == NULL))
            status = weir__fail(op->req->err, WEIR_EUNKNOWN,
                                "%s: the answer cannot be read", call->what);
    }
    if (status == 0 && done)
        known(op, answer);
    if (status != 0)
        put_failed(op, status);
    else if (done || (call->ambiguous && is_own(op)))
        finish(op, 0); /* An attempt without an answer had done it. */
    else
        put_failed(op, weir__fail(op->req->err, WEIR_ECONFLICT, "%s: it exists",
                                  call->what));
}

static void was_put(struct weir__etcd_call *call, int status,
                    const struct weir__json *answer)
{
    (void)answer;
    if (status != 0)
        put_failed(operation_of(call), status);
    else
        finish(operation_of(call), 0);
}

static void put_value(struct operation *op, uint8_t tag,
                      const struct weir_iov *iov, size_t iov_count)
{
    if ((op->req->flags & WEIR_STORE_IF_ABSENT) != 0) {
        weir__etcd_write_create(body_of(op), op->key, tag, iov, iov_count);
        send_call(op, "/v3/kv/txn", true, created);
    } else {
        weir__etcd_write_put(body_of(op), op->key, tag, iov, iov_count);
        send_call(op, "/v3/kv/put", true, was_put);
    }
}

static void put_chunks(struct operation *op);

static void chunk_put(struct weir__etcd_call *call, int status,
                      const struct weir__json *answer)
{
    struct operation *op = operation_of(call);

    (void)answer;
    if (status != 0) {
        /* A chunk that may be there changes nothing about the value. */
        put_failed(op, status == WEIR_EUNKNOWN ? WEIR_EUNAVAILABLE : status);
        return;
    }
    call->ambiguous = false;
    op->at += WEIR__ETCD_CHUNK;
    put_chunks(op);
}

/* Bytes of the request's body from `op->at` on, as one piece. */
static size_t gather(const struct operation *op, unsigned char *to)
{
    uint64_t skip = op->at;
    size_t len = 0;

    for (size_t i = 0; i < op->req->iov_count; i++) {
        const struct weir_iov *iov = &op->req->iov[i];
        size_t n = iov->len;

        if (skip >= n) {
            skip -= n;
            continue;
        }
        n -= (size_t)skip;
        if (n > WEIR__ETCD_CHUNK - len)
            n = WEIR__ETCD_CHUNK - len;
        memcpy(to + len, (const char *)iov->data + skip, n);
        len += n;
        skip = 0;
    }
    return len;
}

static void put_chunks(struct operation *op)
{
    unsigned char head[WEIR__ETCD_CHUNKS_SIZE];
    struct weir_iov iov = {head, sizeof(head)};
    unsigned char *piece;
    char key[KEY_ROOM];

    if (op->at >= op->chunks.size) {
        weir__etcd_chunks_encode(head, &op->chunks);
        put_value(op, 1, &iov, 1);
        return;
    }
    piece = weir__malloc(alloc_of(op), WEIR__ETCD_CHUNK);
    if (piece == NULL) {
        put_failed(op, WEIR_ENOMEM);
        return;
    }
    iov = (struct weir_iov){piece, gather(op, piece)};
    chunk_key(key, op);
    weir__etcd_write_put(body_of(op), key, 0, &iov, 1);
    weir__free(alloc_of(op), piece);
    send_call(op, "/v3/kv/put", true, chunk_put);
}

static void start_put(struct operation *op)
{
    struct weir_env *env = op->store->line.host.env;
    uint64_t size = weir__store_body_size(op->req);
    unsigned char id[(WEIR__ETCD_ID - 1) / 2];

    if (size <= WEIR__ETCD_CHUNK) {
        put_value(op, 0, op->req->iov, op->req->iov_count);
        return;
    }
    env->ops->random(env, id, sizeof(id));
    weir__hex(op->chunks.id, id, sizeof(id));
    op->chunks.size = size;
    put_chunks(op);
}

/* ---- GET, HEAD ----------------------------------------------------------- */

/* The part of the value that was asked for. */
static int cut(struct operation *op)
{
    struct weir_store_req *req = op->req;
    struct weir_buf *body = op->value.body;
    uint64_t offset;
    uint64_t length;
    int rc = weir__store_range(req, body->len, &offset, &length);

    if (rc != 0)
        return rc;
    if (offset > 0)
        memmove(body->data, body->data + offset, (size_t)length);
    body->len = (size_t)length;
    req->body = body;
    op->value.body = NULL;
    return 0;
}

static void get_chunks(struct operation *op);

/* Append a chunk to what there is: 0 or a status. */
static int take_chunk(struct operation *op, const struct weir__json *answer)
{
    struct weir__etcd_value chunk = {0};
    struct weir_buf *whole = op->value.body;
    int rc = weir__etcd_read_value(&chunk, alloc_of(op),
                                   weir__json_get(answer, "kvs"));

    if (rc != 0)
        return bad_answer(op, rc);
    if (chunk.body == NULL)
        return weir__fail(op->req->err, WEIR_ENOENT, "%s: it was removed",
                          op->call.what);
    if (chunk.body->len > whole->capacity - whole->len) {
        rc = bad_answer(op, WEIR_EFORMAT);
    } else {
        memcpy(whole->data + whole->len, chunk.body->data, chunk.body->len);
        whole->len += chunk.body->len;
    }
    weir_buf_unref(chunk.body);
    return rc;
}

static void chunk_got(struct weir__etcd_call *call, int status,
                      const struct weir__json *answer)
{
    struct operation *op = operation_of(call);

    if (status == 0)
        status = take_chunk(op, answer);
    if (status != 0) {
        finish(op, status);
        return;
    }
    op->at += WEIR__ETCD_CHUNK;
    get_chunks(op);
}

static void get_chunks(struct operation *op)
{
    char key[KEY_ROOM];

    if (op->at >= op->chunks.size) {
        finish(op, op->value.body->len == op->chunks.size
                       ? cut(op)
                       : bad_answer(op, WEIR_EFORMAT));
        return;
    }
    chunk_key(key, op);
    weir__etcd_write_get(body_of(op), key);
    send_call(op, "/v3/kv/range", false, chunk_got);
}

/* A value came whole, or cut. */
static void have_value(struct operation *op)
{
    struct weir_store_req *req = op->req;
    struct weir_buf *body = op->value.body;

    if (op->value.tag == 1) {
        if (weir__etcd_chunks_decode(&op->chunks, body->data, body->len) != 0) {
            finish(op, bad_answer(op, WEIR_EFORMAT));
            return;
        }
        req->size = op->chunks.size;
    } else {
        req->size = body->len;
    }
    if (req->verb == WEIR_STORE_HEAD) {
        finish(op, 0);
    } else if (op->value.tag == 0) {
        finish(op, cut(op));
    } else {
        weir_buf_unref(body);
        op->value.body = weir_buf_new(alloc_of(op), (size_t)op->chunks.size, 0);
        if (op->value.body == NULL)
            finish(op, WEIR_ENOMEM);
        else
            get_chunks(op);
    }
}

static void got(struct weir__etcd_call *call, int status,
                const struct weir__json *answer)
{
    struct operation *op = operation_of(call);

    if (status == 0) {
        status = weir__etcd_read_value(&op->value, alloc_of(op),
                                       weir__json_get(answer, "kvs"));
        if (status != 0)
            status = bad_answer(op, status);
    }
    if (status == 0 && op->value.body != NULL)
        known(op, answer);
    if (status != 0)
        finish(op, status);
    else if (op->value.body == NULL)
        finish(op, weir__fail(op->req->err, WEIR_ENOENT, "%s: it is not there",
                              call->what));
    else
        have_value(op);
}

/* ---- DELETE -------------------------------------------------------------- */

static void deleted(struct weir__etcd_call *call, int status,
                    const struct weir__json *answer)
{
    (void)answer;
    finish(operation_of(call), status);
}

static void delete_key(struct operation *op)
{
    weir__etcd_write_delete(body_of(op), op->key, NULL, 0);
    send_call(op, "/v3/kv/deleterange", false, deleted);
}

static void chunks_deleted(struct weir__etcd_call *call, int status,
                           const struct weir__json *answer)
{
    (void)answer;
    if (status != 0)
        finish(operation_of(call), status);
    else
        delete_key(operation_of(call));
}

/* What is to be deleted may have chunks, which go first. */
static void delete_looked(struct weir__etcd_call *call, int status,
                          const struct weir__json *answer)
{
    struct operation *op = operation_of(call);

    if (status == 0) {
        status = weir__etcd_read_value(&op->value, alloc_of(op),
                                       weir__json_get(answer, "kvs"));
        if (status == WEIR_EFORMAT)
            status = 0; /* Not of ours: it has no chunks. */
    }
    if (status != 0)
        finish(op, status);
    else if (op->value.body != NULL && op->value.tag == 1 &&
             weir__etcd_chunks_decode(&op->chunks, op->value.body->data,
                                      op->value.body->len) == 0)
        remove_chunks(op, chunks_deleted);
    else
        delete_key(op);
}

/* ---- LIST ---------------------------------------------------------------- */

static int read_entries(struct operation *op, const struct weir__json *answer)
{
    const struct weir__json *list = weir__json_get(answer, "kvs");
    size_t count = weir__json_count(list);
    size_t front = strlen(op->store->prefix);
    char key[KEY_ROOM];

    op->entries = weir__calloc(alloc_of(op), count + 1, sizeof(*op->entries));
    if (op->entries == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (weir__etcd_read_key(key, sizeof(key), weir__json_at(list, i)) !=
                0 ||
            strncmp(key, op->store->prefix, front) != 0 ||
            !weir__store_key_valid(key + front))
            continue;
        op->entries[op->entry_count].key =
            weir__strdup(alloc_of(op), key + front);
        if (op->entries[op->entry_count].key == NULL)
            return WEIR_ENOMEM;
        op->entry_count++;
    }
    op->req->more = weir__json_true(weir__json_get(answer, "more"));
    return 0;
}

static void listed(struct weir__etcd_call *call, int status,
                   const struct weir__json *answer)
{
    struct operation *op = operation_of(call);

    if (status == 0)
        status = read_entries(op, answer);
    finish(op, status);
}

static void start_list(struct operation *op)
{
    const char *after = op->req->after;
    char from[KEY_ROOM];

    weir__etcd_end(op->end, sizeof(op->end), op->key);
    /* No key has a byte below '-': so this is right behind `after`. */
    if (after != NULL && after[0] != '\0')
        snprintf(from, sizeof(from), "%s%.512s\x01", op->store->prefix, after);
    else
        snprintf(from, sizeof(from), "%s", op->key);
    weir__etcd_write_list(body_of(op), from, op->end, op->req->limit);
    send_call(op, "/v3/kv/range", false, listed);
}

/* ---- Requests ------------------------------------------------------------ */

static void start(struct operation *op)
{
    switch (op->req->verb) {
    case WEIR_STORE_PUT:
        start_put(op);
        return;
    case WEIR_STORE_GET:
    case WEIR_STORE_HEAD:
        weir__etcd_write_get(body_of(op), op->key);
        send_call(op, "/v3/kv/range", false, got);
        return;
    case WEIR_STORE_DELETE:
        weir__etcd_write_get(body_of(op), op->key);
        send_call(op, "/v3/kv/range", false, delete_looked);
        return;
    case WEIR_STORE_LIST:
        start_list(op);
        return;
    }
}

static int check(const struct etcd *etcd, const struct weir_store_req *req)
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
    struct etcd *etcd = (void *)store;
    struct weir_env *env = etcd->line.host.env;
    struct operation *op = NULL;
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
    struct etcd *etcd = WEIR__CONTAINER(task, struct etcd, line_closed);

    etcd->line_open = false;
    free_if_closed(etcd);
}

static void etcd_close(struct weir_store *store, struct weir_task *closed)
{
    struct etcd *etcd = (void *)store;

    etcd->closed = closed;
    weir__etcd_watch_end(&etcd->watch);
    etcd->line_closed.run = on_line_closed;
    weir__etcd_line_close(&etcd->line, &etcd->line_closed);
}

static void watch_ended(struct weir__etcd_watch *watch)
{
    free_if_closed(WEIR__CONTAINER(watch, struct etcd, watch));
}

static int etcd_watch(struct weir_store *store, struct weir_store_watch *watch)
{
    struct etcd *etcd = (void *)store;

    etcd->watch.line = &etcd->line;
    etcd->watch.prefix = etcd->prefix;
    etcd->watch.ended = watch_ended;
    return weir__etcd_watch_begin(&etcd->watch, watch);
}

static void etcd_unwatch(struct weir_store *store,
                         struct weir_store_watch *watch)
{
    (void)watch;
    weir__etcd_watch_end(&((struct etcd *)(void *)store)->watch);
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
static int set_prefix(struct etcd *etcd, const char *path,
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
    struct etcd *etcd;
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
