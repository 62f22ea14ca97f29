/* SPDX-License-Identifier: Apache-2.0 */
/* A PUT: hashed on a worker, and sent in one piece or in parts.  It carries an
 * id of its own; a create that fails because the key exists, after an attempt
 * whose outcome nobody told, reads that id back: it may be its own. */
#include "store/s3_inside.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/store.h"
#include "store/store_request.h"

#include <string.h>

/* A body that takes less time to hash than a worker to begin. */
#define HASHED_AT_ONCE (16u << 10)

static struct weir__s3_op *operation_of(struct weir__s3_call *call)
{
    return WEIR__CONTAINER(call, struct weir__s3_op, call);
}

/* ---- Whose is it? -------------------------------------------------------- */

static int write_look(struct weir__s3_call *call,
                      struct weir__s3_message *message,
                      const struct weir__s3_credentials *credentials,
                      int64_t wall)
{
    struct weir__s3_op *op = operation_of(call);
    const struct weir_store_req look = {.verb = WEIR_STORE_HEAD,
                                        .key = op->req->key};
    struct weir__s3_payload payload = WEIR__S3_NO_PAYLOAD;

    return weir__s3_request(message, &call->line->place, credentials, &look,
                            NULL, &payload, wall);
}

static int read_look(struct weir__s3_call *call, struct weir__s3_attempt *a,
                     struct weir_buf *body)
{
    static const struct weir_store_req look = {.verb = WEIR_STORE_HEAD};
    struct weir__s3_op *op = operation_of(call);
    const struct weir__http_answer *answer = &a->http.answer;

    weir_buf_unref(body);
    if (answer->status >= 200 && answer->status <= 299) {
        op->own = strcmp(answer->put_id, op->payload.id) == 0;
        return 0;
    }
    weir__s3_error_read(&call->error, op->store->host.alloc, answer, "", 0);
    weir__s3_error_hide(&call->error, &call->line->keys.now);
    return weir__s3_error_status(&call->error, answer, &look, op->what,
                                 &a->err);
}

static void looked(struct weir__s3_call *call, int status)
{
    struct weir__s3_op *op = operation_of(call);

    if (status != 0) /* Removed since, or not to be seen. */
        weir__s3_finish(
            op, weir__fail(op->req->err, WEIR_EUNKNOWN,
                           "%s: may have been done, and cannot be read back",
                           op->what));
    else if (op->own)
        weir__s3_finish(op, 0);
    else
        weir__s3_finish(op, weir__fail(op->req->err, WEIR_ECONFLICT,
                                       "%s: it exists", op->what));
}

void weir__s3_look(struct weir__s3_op *op)
{
    uint64_t deadline = op->call.deadline;

    op->call = (struct weir__s3_call){
        .line = &op->store->line,
        .write = write_look,
        .read = read_look,
        .done = looked,
        .deadline = deadline,
        .what = op->what,
    };
    weir__s3_call_start(&op->call);
}

/* ---- In one piece -- ----------------------------------------------------- */

/* What it is checked by becomes that of another body. */
static void spoil(struct weir__s3_payload *payload)
{
    char *first = payload->crc32c[0] != '\0' ? payload->crc32c : payload->hash;

    *first = *first == '0' ? '1' : '0';
}

static void hash_body(struct weir_work *work)
{
    struct weir__s3_op *op = WEIR__CONTAINER(work, struct weir__s3_op, work);

    op->status =
        weir__s3_payload(&op->payload, op->req, &op->store->line.place);
    if (op->status == 0 && (op->req->flags & WEIR__STORE_DAMAGED) != 0)
        spoil(&op->payload);
}

static void hashed(struct weir_work *work)
{
    struct weir__s3_op *op = WEIR__CONTAINER(work, struct weir__s3_op, work);

    if (op->status != 0)
        weir__s3_finish(op, op->status);
    else
        weir__s3_send(op);
}

/* ---- In parts ------------------------------------------------------------ */

static void parts_done(struct weir__s3_parts *parts, int status)
{
    struct weir__s3_op *op = parts->op;

    /* The answer to the last request may be lost, and it be there all the
     * same; or it is there, and so cannot be completed a second time. */
    if (status == WEIR_EUNKNOWN ||
        (status == WEIR_ECONFLICT && parts->call.ambiguous))
        weir__s3_look(op);
    else
        weir__s3_finish(op, status);
}

static int start_parts(struct weir__s3_op *op)
{
    op->parts = weir__calloc(op->store->host.alloc, 1, sizeof(*op->parts));
    if (op->parts == NULL)
        return WEIR_ENOMEM;
    *op->parts = (struct weir__s3_parts){
        .line = &op->store->line,
        .req = op->req,
        .id = op->payload.id,
        .what = op->what,
        .part_size = weir__s3_part_size(weir__store_body_size(op->req),
                                        op->store->part_size),
        .deadline = op->call.deadline,
        .err = op->req->err,
        .done = parts_done,
        .op = op,
    };
    return weir__s3_parts_start(op->parts);
}

static bool goes_in_parts(const struct weir__s3_op *op)
{
    uint64_t asked = op->store->part_size;
    uint64_t body = weir__store_body_size(op->req);

    return asked > 0 && (op->req->flags & WEIR_STORE_PARTS) != 0 &&
           body > weir__s3_part_size(body, asked);
}

int weir__s3_put(struct weir__s3_op *op)
{
    struct weir_env *env = op->store->host.env;
    unsigned char id[(WEIR__S3_PUT_ID - 1) / 2];

    env->ops->random(env, id, sizeof(id));
    weir__hex(op->payload.id, id, sizeof(id));
    if (goes_in_parts(op))
        return start_parts(op);
    if (weir__store_body_size(op->req) <= HASHED_AT_ONCE) {
        hash_body(&op->work);
        if (op->status == 0)
            weir__s3_send(op);
        return op->status;
    }
    op->work.work = hash_body;
    op->work.done = hashed;
    env->ops->work(env, &op->work);
    return 0;
}
