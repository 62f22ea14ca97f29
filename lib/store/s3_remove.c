/* SPDX-License-Identifier: Apache-2.0 */
/* Deletions: those of one turn of the core go in one request. */
#include "store/s3_inside.h"

#include "base/alloc.h"
#include "base/error.h"

static void batch_done(struct weir__s3_batch *batch, int status)
{
    struct weir__s3 *s3 = batch->store;
    struct weir__list *at;

    if (status == WEIR_EUNSUPPORTED)
        s3->no_batches = true;
    while ((at = weir__list_pop(&batch->gone)) != NULL) {
        struct weir__s3_gone *gone =
            WEIR__CONTAINER(at, struct weir__s3_gone, link);
        struct weir__s3_op *op =
            WEIR__CONTAINER(gone, struct weir__s3_op, gone);

        if (status == WEIR_EUNSUPPORTED && s3->closed == NULL) {
            weir__s3_send(op);
            continue;
        }
        weir__error_copy(op->req->err, &gone->error);
        weir__s3_finish(op, gone->status);
    }
    weir__free(s3->host.alloc, batch);
    s3->pending--;
    weir__s3_free_if_closed(s3);
}

/* false: it could not be begun, and `gone` is as before. */
static bool start_batch(struct weir__s3 *s3, struct weir__list *gone,
                        uint64_t deadline)
{
    struct weir__s3_batch *batch =
        weir__calloc(s3->host.alloc, 1, sizeof(*batch));
    struct weir__list *at;

    if (batch == NULL)
        return false;
    batch->line = &s3->line;
    batch->deadline = deadline;
    batch->done = batch_done;
    batch->store = s3;
    weir__list_init(&batch->gone);
    for (unsigned i = 0;
         i < WEIR__S3_BATCH_MAX && (at = weir__list_pop(gone)) != NULL; i++)
        weir__list_push(&batch->gone, at);
    if (weir__s3_batch_start(batch) == 0) {
        s3->pending++;
        return true;
    }
    while ((at = weir__list_pop(&batch->gone)) != NULL)
        weir__list_push(gone, at);
    weir__free(s3->host.alloc, batch);
    return false;
}

static void remove_now(struct weir_task *task)
{
    struct weir__s3 *s3 = WEIR__CONTAINER(task, struct weir__s3, remove);
    struct weir__list *at;

    s3->remove_posted = false;
    while (!weir__list_empty(&s3->gone)) {
        struct weir__s3_gone *first =
            WEIR__CONTAINER(s3->gone.next, struct weir__s3_gone, link);
        struct weir__s3_op *op =
            WEIR__CONTAINER(first, struct weir__s3_op, gone);
        bool alone = first->link.next == &s3->gone;

        if (!alone && !s3->no_batches && s3->closed == NULL &&
            start_batch(s3, &s3->gone, op->call.deadline))
            continue;
        at = weir__list_pop(&s3->gone);
        weir__s3_send(WEIR__CONTAINER(at, struct weir__s3_op, gone.link));
    }
}

void weir__s3_remove(struct weir__s3_op *op)
{
    struct weir__s3 *s3 = op->store;

    op->gone.key = op->req->key;
    weir__list_push(&s3->gone, &op->gone.link);
    if (s3->remove_posted)
        return;
    s3->remove_posted = true;
    s3->remove.run = remove_now;
    s3->host.env->ops->post(s3->host.env, &s3->remove);
}
