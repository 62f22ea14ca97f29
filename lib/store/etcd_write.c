/* SPDX-License-Identifier: Apache-2.0 */
/* PUT and DELETE of the store in etcd. */
#include "base/alloc.h"
#include "base/error.h"
#include "http/digest.h"
#include "store/etcd_operation.h"

#include <string.h>

static void remove_chunks(struct weir__etcd_operation *op,
                          void (*done)(struct weir__etcd_call *call, int status,
                                       const struct weir__json *answer))
{
    char key[WEIR__ETCD_KEY_ROOM];

    weir__etcd_chunk_prefix(key, op);
    weir__etcd_end(op->end, sizeof(op->end), key);
    weir__etcd_write_delete(weir__etcd_body_of(op), key, op->end, 0);
    weir__etcd_send(op, "/v3/kv/deleterange", false, done);
}

/* ---- PUT ----------------------------------------------------------------- */

static void cleaned(struct weir__etcd_call *call, int status,
                    const struct weir__json *answer)
{
    struct weir__etcd_operation *op = weir__etcd_operation_of(call);

    (void)status; /* What stays is garbage, and named by nothing. */
    (void)answer;
    weir__etcd_finish(op, op->status);
}

/* The value is not what is there. */
static void put_failed(struct weir__etcd_operation *op, int status)
{
    op->status = status;
    if (op->chunks.id[0] != '\0' && status != WEIR_EUNKNOWN &&
        op->store->closed == NULL)
        remove_chunks(op, cleaned);
    else
        weir__etcd_finish(op, status);
}

static bool is_own(const struct weir__etcd_operation *op)
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
    struct weir__etcd_operation *op = weir__etcd_operation_of(call);
    int done = 0;

    if (status == 0) {
        status = weir__etcd_read_create(answer, &done, &op->value,
                                        weir__etcd_alloc_of(op));
        /* What the answer says was decided: but what did it? */
        if (status != 0 || (!done && op->value.body == NULL))
            status = weir__fail(op->req->err, WEIR_EUNKNOWN,
                                "%s: the answer cannot be read", call->what);
    }
    if (status == 0 && done)
        weir__etcd_known(op, answer);
    if (status != 0)
        put_failed(op, status);
    else if (done || (call->ambiguous && is_own(op)))
        weir__etcd_finish(op,
                          0); /* An attempt without an answer had done it. */
    else
        put_failed(op, weir__fail(op->req->err, WEIR_ECONFLICT, "%s: it exists",
                                  call->what));
}

static void was_put(struct weir__etcd_call *call, int status,
                    const struct weir__json *answer)
{
    (void)answer;
    if (status != 0)
        put_failed(weir__etcd_operation_of(call), status);
    else
        weir__etcd_finish(weir__etcd_operation_of(call), 0);
}

static void put_value(struct weir__etcd_operation *op, uint8_t tag,
                      const struct weir_iov *iov, size_t iov_count)
{
    if ((op->req->flags & WEIR_STORE_IF_ABSENT) != 0) {
        weir__etcd_write_create(weir__etcd_body_of(op), op->key, tag, iov,
                                iov_count);
        weir__etcd_send(op, "/v3/kv/txn", true, created);
    } else {
        weir__etcd_write_put(weir__etcd_body_of(op), op->key, tag, iov,
                             iov_count);
        weir__etcd_send(op, "/v3/kv/put", true, was_put);
    }
}

static void put_chunks(struct weir__etcd_operation *op);

static void chunk_put(struct weir__etcd_call *call, int status,
                      const struct weir__json *answer)
{
    struct weir__etcd_operation *op = weir__etcd_operation_of(call);

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
static size_t gather(const struct weir__etcd_operation *op, unsigned char *to)
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

static void put_chunks(struct weir__etcd_operation *op)
{
    unsigned char head[WEIR__ETCD_CHUNKS_SIZE];
    struct weir_iov iov = {head, sizeof(head)};
    unsigned char *piece;
    char key[WEIR__ETCD_KEY_ROOM];

    if (op->at >= op->chunks.size) {
        weir__etcd_chunks_encode(head, &op->chunks);
        put_value(op, 1, &iov, 1);
        return;
    }
    piece = weir__malloc(weir__etcd_alloc_of(op), WEIR__ETCD_CHUNK);
    if (piece == NULL) {
        put_failed(op, WEIR_ENOMEM);
        return;
    }
    iov = (struct weir_iov){piece, gather(op, piece)};
    weir__etcd_chunk_key(key, op);
    weir__etcd_write_put(weir__etcd_body_of(op), key, 0, &iov, 1);
    weir__free(weir__etcd_alloc_of(op), piece);
    weir__etcd_send(op, "/v3/kv/put", true, chunk_put);
}

void weir__etcd_put(struct weir__etcd_operation *op)
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

/* ---- DELETE -------------------------------------------------------------- */

static void deleted(struct weir__etcd_call *call, int status,
                    const struct weir__json *answer)
{
    (void)answer;
    weir__etcd_finish(weir__etcd_operation_of(call), status);
}

static void delete_key(struct weir__etcd_operation *op)
{
    weir__etcd_write_delete(weir__etcd_body_of(op), op->key, NULL, 0);
    weir__etcd_send(op, "/v3/kv/deleterange", false, deleted);
}

static void chunks_deleted(struct weir__etcd_call *call, int status,
                           const struct weir__json *answer)
{
    (void)answer;
    if (status != 0)
        weir__etcd_finish(weir__etcd_operation_of(call), status);
    else
        delete_key(weir__etcd_operation_of(call));
}

/* What is to be deleted may have chunks, which go first. */
static void delete_looked(struct weir__etcd_call *call, int status,
                          const struct weir__json *answer)
{
    struct weir__etcd_operation *op = weir__etcd_operation_of(call);

    if (status == 0) {
        status = weir__etcd_read_value(&op->value, weir__etcd_alloc_of(op),
                                       weir__json_get(answer, "kvs"));
        if (status == WEIR_EFORMAT)
            status = 0; /* Not of ours: it has no chunks. */
    }
    if (status != 0)
        weir__etcd_finish(op, status);
    else if (op->value.body != NULL && op->value.tag == 1 &&
             weir__etcd_chunks_decode(&op->chunks, op->value.body->data,
                                      op->value.body->len) == 0)
        remove_chunks(op, chunks_deleted);
    else
        delete_key(op);
}

void weir__etcd_delete(struct weir__etcd_operation *op)
{
    weir__etcd_write_get(weir__etcd_body_of(op), op->key);
    weir__etcd_send(op, "/v3/kv/range", false, delete_looked);
}
