/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/error.h"
#include "base/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIES 4u
#define WAIT_NS UINT64_C(500000000)
/* A store that is so slow to fail has a deadline of its own, and has tried
 * often: that is all the patience there is. */
#define PATIENCE_NS UINT64_C(10000000000)

static void begin(struct weir__probe *p);

static void submit(struct weir__probe *p, unsigned i)
{
    p->store->ops->submit(p->store, &p->reqs[i]);
}

/* ---- The end: the two objects go again ----------------------------------- */

static void removed(struct weir_store_req *req, int status)
{
    struct weir__probe *p = req->ctx;

    (void)status; /* What stays is a few bytes under a name of its own. */
    if (--p->left > 0)
        return;
    if (p->verdict != 0)
        weir__error_copy(p->err, &p->error);
    p->done(p, p->verdict);
}

static void finish(struct weir__probe *p, int verdict)
{
    p->verdict = verdict;
    p->left = 2;
    for (unsigned i = 0; i < 2; i++) {
        p->reqs[i] = (struct weir_store_req){.verb = WEIR_STORE_DELETE,
                                             .key = p->keys[i],
                                             .done = removed,
                                             .ctx = p};
        submit(p, i);
    }
}

static void begin_again(struct weir_timer *timer)
{
    begin(WEIR__CONTAINER(timer, struct weir__probe, timer));
}

/* A request failed for a reason that says nothing of the store's promises. */
static void failed(struct weir__probe *p, int status)
{
    struct weir_env *env = p->host->env;
    enum weir_error_class class = weir_error_class(status);

    weir__fail_status(&p->error, status);
    if ((class == WEIR_CLASS_RETRY || class == WEIR_CLASS_UNKNOWN) &&
        env->ops->now(env) - p->started < PATIENCE_NS && ++p->tries < TRIES) {
        p->timer = (struct weir_timer){
            .fire = begin_again, .deadline = env->ops->now(env) + WAIT_NS};
        env->ops->timer_start(env, &p->timer);
        return;
    }
    weir__error_copy(p->err, &p->error);
    p->done(p, status);
}

static void missing(struct weir__probe *p, const char *what)
{
    finish(p, weir__fail(&p->error, WEIR_EUNSUPPORTED,
                         "the store cannot be used: %s; use another one, or an "
                         "unversioned bucket",
                         what));
}

/* ---- The steps, last first ----------------------------------------------- */

static void was_read(struct weir_store_req *req, int status)
{
    struct weir__probe *p = req->ctx;
    size_t len = strlen(p->bodies[0]);
    int same = status == 0 && req->body->len == len &&
               memcmp(req->body->data, p->bodies[0], len) == 0;

    if (status == 0)
        weir_buf_unref(req->body);
    if (status != 0 && status != WEIR_ENOENT)
        failed(p, status);
    else if (!same)
        missing(p, "a read does not give what was created");
    else
        finish(p, 0);
}

static void raced(struct weir_store_req *req, int status)
{
    struct weir__probe *p = req->ctx;

    p->won += status == 0;
    if (status != 0 && status != WEIR_ECONFLICT)
        p->status = status;
    if (--p->left > 0)
        return;
    if (p->won > 1) {
        missing(p, "of several creates of one key at the same time more than "
                   "one succeeds");
        return;
    }
    if (p->won == 0) { /* The winner's answer was lost, say. */
        failed(p, p->status != 0 ? p->status : WEIR_EUNKNOWN);
        return;
    }
    p->error.code = 0;
    p->reqs[0] = (struct weir_store_req){.verb = WEIR_STORE_GET,
                                         .key = p->keys[0],
                                         .length = UINT64_MAX,
                                         .done = was_read,
                                         .ctx = p,
                                         .err = &p->error};
    submit(p, 0);
}

static void put(struct weir__probe *p, unsigned i, const char *key,
                void (*done)(struct weir_store_req *req, int status))
{
    p->iov[i] = (struct weir_iov){p->bodies[i], strlen(p->bodies[i])};
    p->reqs[i] = (struct weir_store_req){.verb = WEIR_STORE_PUT,
                                         .flags = WEIR_STORE_IF_ABSENT,
                                         .key = key,
                                         .iov = &p->iov[i],
                                         .iov_count = 1,
                                         .done = done,
                                         .ctx = p,
                                         .err = &p->error};
    submit(p, i);
}

static void created_again(struct weir_store_req *req, int status)
{
    struct weir__probe *p = req->ctx;

    if (status == 0) {
        missing(p, "it creates an object though the key exists "
                   "(If-None-Match is ignored)");
    } else if (status == WEIR_EUNSUPPORTED || status == WEIR_EINVAL) {
        missing(p, "it knows no conditional create (If-None-Match)");
    } else if (status != WEIR_ECONFLICT) {
        failed(p, status);
    } else {
        p->left = WEIR__PROBE_RACERS;
        for (unsigned i = 0; i < WEIR__PROBE_RACERS; i++)
            put(p, i, p->keys[1], raced);
    }
}

static void created(struct weir_store_req *req, int status)
{
    struct weir__probe *p = req->ctx;

    if (status == WEIR_EUNSUPPORTED)
        missing(p, "it knows no conditional create (If-None-Match)");
    else if (status != 0)
        failed(p, status);
    else
        put(p, 1, p->keys[0], created_again);
}

static void begin(struct weir__probe *p)
{
    uint64_t number = 0;

    p->host->env->ops->random(p->host->env, &number, sizeof(number));
    for (unsigned i = 0; i < 2; i++)
        snprintf(p->keys[i], sizeof(p->keys[i]), "probe/%016" PRIx64 "-%u",
                 number, i);
    for (unsigned i = 0; i < WEIR__PROBE_RACERS; i++)
        snprintf(p->bodies[i], sizeof(p->bodies[i]), "body %u", i % 10);
    p->won = 0;
    p->status = 0;
    p->error.code = 0;
    put(p, 0, p->keys[0], created);
}

void weir__probe_start(struct weir__probe *probe)
{
    struct weir_env *env = probe->host->env;

    probe->tries = 0;
    probe->started = env->ops->now(env);
    begin(probe);
}
