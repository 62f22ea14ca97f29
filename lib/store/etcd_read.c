/* SPDX-License-Identifier: Apache-2.0 */
/* GET, HEAD and LIST of the store in etcd. */
#include "base/alloc.h"
#include "base/error.h"
#include "store/etcd_operation.h"

#include <stdio.h>
#include <string.h>

/* ---- GET, HEAD ----------------------------------------------------------- */

/* The part of the value that was asked for. */
static int cut(struct weir__etcd_operation *op)
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

static void get_chunks(struct weir__etcd_operation *op);

/* Append a chunk to what there is: 0 or a status. */
static int take_chunk(struct weir__etcd_operation *op,
                      const struct weir__json *answer)
{
    struct weir__etcd_value chunk = {0};
    struct weir_buf *whole = op->value.body;
    int rc = weir__etcd_read_value(&chunk, weir__etcd_alloc_of(op),
                                   weir__json_get(answer, "kvs"));

    if (rc != 0)
        return weir__etcd_bad_answer(op, rc);
    if (chunk.body == NULL)
        return weir__fail(op->req->err, WEIR_ENOENT, "%s: it was removed",
                          op->call.what);
    if (chunk.body->len > whole->capacity - whole->len) {
        rc = weir__etcd_bad_answer(op, WEIR_EFORMAT);
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
    struct weir__etcd_operation *op = weir__etcd_operation_of(call);

    if (status == 0)
        status = take_chunk(op, answer);
    if (status != 0) {
        weir__etcd_finish(op, status);
        return;
    }
    op->at += WEIR__ETCD_CHUNK;
    get_chunks(op);
}

static void get_chunks(struct weir__etcd_operation *op)
{
    char key[WEIR__ETCD_KEY_ROOM];

    if (op->at >= op->chunks.size) {
        weir__etcd_finish(op, op->value.body->len == op->chunks.size
                                  ? cut(op)
                                  : weir__etcd_bad_answer(op, WEIR_EFORMAT));
        return;
    }
    weir__etcd_chunk_key(key, op);
    weir__etcd_write_get(weir__etcd_body_of(op), key);
    weir__etcd_send(op, "/v3/kv/range", false, chunk_got);
}

/* A value came whole, or cut. */
static void have_value(struct weir__etcd_operation *op)
{
    struct weir_store_req *req = op->req;
    struct weir_buf *body = op->value.body;

    if (op->value.tag == 1) {
        if (weir__etcd_chunks_decode(&op->chunks, body->data, body->len) != 0) {
            weir__etcd_finish(op, weir__etcd_bad_answer(op, WEIR_EFORMAT));
            return;
        }
        req->size = op->chunks.size;
    } else {
        req->size = body->len;
    }
    if (req->verb == WEIR_STORE_HEAD) {
        weir__etcd_finish(op, 0);
    } else if (op->value.tag == 0) {
        weir__etcd_finish(op, cut(op));
    } else {
        weir_buf_unref(body);
        op->value.body =
            weir_buf_new(weir__etcd_alloc_of(op), (size_t)op->chunks.size, 0);
        if (op->value.body == NULL)
            weir__etcd_finish(op, WEIR_ENOMEM);
        else
            get_chunks(op);
    }
}

static void got(struct weir__etcd_call *call, int status,
                const struct weir__json *answer)
{
    struct weir__etcd_operation *op = weir__etcd_operation_of(call);

    if (status == 0) {
        status = weir__etcd_read_value(&op->value, weir__etcd_alloc_of(op),
                                       weir__json_get(answer, "kvs"));
        if (status != 0)
            status = weir__etcd_bad_answer(op, status);
    }
    if (status == 0 && op->value.body != NULL)
        weir__etcd_known(op, answer);
    if (status != 0)
        weir__etcd_finish(op, status);
    else if (op->value.body == NULL)
        weir__etcd_finish(op, weir__fail(op->req->err, WEIR_ENOENT,
                                         "%s: it is not there", call->what));
    else
        have_value(op);
}

void weir__etcd_get(struct weir__etcd_operation *op)
{
    weir__etcd_write_get(weir__etcd_body_of(op), op->key);
    weir__etcd_send(op, "/v3/kv/range", false, got);
}

/* ---- LIST ---------------------------------------------------------------- */

static int read_entries(struct weir__etcd_operation *op,
                        const struct weir__json *answer)
{
    const struct weir__json *list = weir__json_get(answer, "kvs");
    size_t count = weir__json_count(list);
    size_t front = strlen(op->store->prefix);
    char key[WEIR__ETCD_KEY_ROOM];

    op->entries =
        weir__calloc(weir__etcd_alloc_of(op), count + 1, sizeof(*op->entries));
    if (op->entries == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (weir__etcd_read_key(key, sizeof(key), weir__json_at(list, i)) !=
                0 ||
            strncmp(key, op->store->prefix, front) != 0 ||
            !weir__store_key_valid(key + front))
            continue;
        op->entries[op->entry_count].key =
            weir__strdup(weir__etcd_alloc_of(op), key + front);
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
    struct weir__etcd_operation *op = weir__etcd_operation_of(call);

    if (status == 0)
        status = read_entries(op, answer);
    weir__etcd_finish(op, status);
}

void weir__etcd_list(struct weir__etcd_operation *op)
{
    const char *after = op->req->after;
    char from[WEIR__ETCD_KEY_ROOM];

    weir__etcd_end(op->end, sizeof(op->end), op->key);
    /* No key has a byte below '-': so this is right behind `after`. */
    if (after != NULL && after[0] != '\0')
        snprintf(from, sizeof(from), "%s%.512s\x01", op->store->prefix, after);
    else
        snprintf(from, sizeof(from), "%s", op->key);
    weir__etcd_write_list(weir__etcd_body_of(op), from, op->end,
                          op->req->limit);
    weir__etcd_send(op, "/v3/kv/range", false, listed);
}
