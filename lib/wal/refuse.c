/* SPDX-License-Identifier: Apache-2.0 */
#include "wal/refuse.h"

#include "base/error.h"
#include "base/list.h"

struct refusal {
    struct weir_task task;
    struct weir_wal_open *req;
    intptr_t status;
};

_Static_assert(sizeof(struct refusal) <=
                   sizeof(((struct weir_wal_open *)0)->impl),
               "a refusal fits into the request");

static void refusal_run(struct weir_task *task)
{
    struct refusal *r = WEIR__CONTAINER(task, struct refusal, task);
    struct weir_wal_open *req = r->req;

    req->done(req, (int)r->status);
}

struct weir_task *weir__wal_refusal(struct weir_wal_open *req, int status)
{
    struct refusal *r = (struct refusal *)(void *)req->impl;

    r->task.run = refusal_run;
    r->req = req;
    r->status = weir__fail_status(req->err, status);
    req->wal = NULL;
    return &r->task;
}

void weir__wal_refuse(struct weir_wal_open *req, int status)
{
    struct weir_env *env = req->host->env;

    env->ops->post(env, weir__wal_refusal(req, status));
}
