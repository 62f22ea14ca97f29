/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/log.h"
#include "object/reader.h"

/* Tries of one GET, and the time between two: doubled each time, and between
 * half and all of it, so that many do not come again together. */
#define TRIES 5u
#define WAIT_FIRST 50000000u
#define WAIT_MOST 1000000000u

static void get_end(struct weir__object_get *get, int status)
{
    struct weir_buf *body = get->body;

    weir__list_remove(&get->link);
    if (status != 0) {
        weir_buf_unref(body);
        get->body = NULL;
        if (get->err.code != status || get->err.text[0] == '\0')
            weir__fail(&get->err, status, "%s: %s", get->key,
                       weir_error_text(status));
    }
    get->done(get, status);
}

static void get_submit(struct weir__object_get *get)
{
    get->waiting = false;
    get->err.code = 0;
    get->err.text[0] = '\0';
    get->req.body = NULL;
    get->tries++;
    get->reader->store->ops->submit(get->reader->store, &get->req);
}

static void get_fire(struct weir_timer *timer)
{
    get_submit(WEIR__CONTAINER(timer, struct weir__object_get, timer));
}

static void get_wait(struct weir__object_get *get)
{
    struct weir_env *env = get->reader->host->env;
    uint64_t wait = (uint64_t)WAIT_FIRST << (get->tries - 1), random;

    if (wait > WAIT_MOST)
        wait = WAIT_MOST;
    env->ops->random(env, &random, sizeof(random));
    wait = wait / 2 + random % (wait / 2);
    get->waiting = true;
    get->timer.fire = get_fire;
    get->timer.deadline = env->ops->now(env) + wait;
    env->ops->timer_start(env, &get->timer);
}

/* The store says that all is well: are these the bytes? */
static int check_body(struct weir__object_get *get)
{
    size_t len = get->body == NULL ? 0 : get->body->len;

    if (get->req.size != get->object_size)
        return weir__fail(&get->err, WEIR_ECORRUPT,
                          "%s: is %llu bytes long and should be %llu", get->key,
                          (unsigned long long)get->req.size,
                          (unsigned long long)get->object_size);
    if (len != get->length)
        return weir__fail(
            &get->err, WEIR_ECORRUPT, "%s: %llu bytes came of %llu at %llu",
            get->key, (unsigned long long)len, (unsigned long long)get->length,
            (unsigned long long)get->offset);
    return 0;
}

static void get_done(struct weir_store_req *req, int status)
{
    struct weir__object_get *get = req->ctx;

    get->body = req->body;
    if (status == 0)
        status = check_body(get);
    else if (status == WEIR_ERANGE)
        status = weir__fail(&get->err, WEIR_ECORRUPT,
                            "%s: ends before %llu and should be %llu bytes "
                            "long",
                            get->key, (unsigned long long)get->offset,
                            (unsigned long long)get->object_size);
    if (get->reader->closing)
        status = WEIR_ECLOSED;
    if (weir_error_class(status) != WEIR_CLASS_RETRY || get->tries == TRIES) {
        get_end(get, status);
        return;
    }
    weir__log(get->reader->host->log, WEIR_LOG_WARN,
              "%s: read at %llu: %s: %s; try %u of %u", get->key,
              (unsigned long long)get->offset, weir_error_name(status),
              get->err.text, get->tries, TRIES);
    weir_buf_unref(get->body);
    get->body = NULL;
    get_wait(get);
}

void weir__object_get_start(struct weir__object_get *get)
{
    weir__object_key(get->key, get->object_id);
    if (get->suffix)
        get->offset = get->object_size - get->length;
    get->req.verb = WEIR_STORE_GET;
    get->req.flags = get->suffix ? WEIR_STORE_SUFFIX : 0;
    get->req.key = get->key;
    get->req.offset = get->suffix ? 0 : get->offset;
    get->req.length = get->length;
    get->req.done = get_done;
    get->req.ctx = get;
    get->req.err = &get->err;
    get->tries = 0;
    weir__list_push(&get->reader->gets, &get->link);
    get_submit(get);
}

void weir__object_get_stop(struct weir__object_get *get)
{
    struct weir_env *env = get->reader->host->env;

    if (!get->waiting)
        return;
    env->ops->timer_stop(env, &get->timer);
    get->waiting = false;
    get_end(get, WEIR_ECLOSED);
}
