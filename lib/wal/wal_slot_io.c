/* SPDX-License-Identifier: Apache-2.0 */
/* Putting one slot, only if it is free, until it is known what came of it. */
#include "base/error.h"
#include "base/list.h"
#include "wal/wal_object.h"

#include <string.h>

#define PATIENCE_NS UINT64_C(60000000000)
#define BACKOFF_FIRST UINT64_C(50000000)
#define BACKOFF_MOST UINT64_C(2000000000)

static void put_start(struct slot_io *io);
static void look_start(struct slot_io *io);

static struct weir_env *env_of(const struct slot_io *io)
{
    return io->w->host->env;
}

static int passes(int status)
{
    enum weir_error_class class = weir_error_class(status);

    return class == WEIR_CLASS_RETRY || class == WEIR_CLASS_UNKNOWN;
}

/* Wait a while, then `fire`; 0 if there is no time left. */
static int again(struct slot_io *io, void (*fire)(struct weir_timer *timer))
{
    struct weir_env *env = env_of(io);
    uint64_t now = env->ops->now(env);
    uint64_t wait = BACKOFF_FIRST << (io->tries < 6 ? io->tries : 6);

    io->tries++;
    if (wait > BACKOFF_MOST)
        wait = BACKOFF_MOST;
    if (now + wait >= io->deadline)
        return 0;
    io->timer = (struct weir_timer){.fire = fire, .deadline = now + wait};
    env->ops->timer_start(env, &io->timer);
    return 1;
}

static void look_again(struct weir_timer *timer)
{
    look_start(WEIR__CONTAINER(timer, struct slot_io, timer));
}

static void put_again(struct weir_timer *timer)
{
    put_start(WEIR__CONTAINER(timer, struct slot_io, timer));
}

/* Whose slot is it: 0 for the own one, WEIR_ECONFLICT for another's.  Damage,
 * which may be of the transfer alone, tells nothing: WEIR_ECORRUPT. */
static int whose(const struct slot_io *io, const struct weir_store_req *req)
{
    const struct weir_buf *body = req->body;
    struct weir__slot slot;
    uint32_t crc;

    if (body == NULL || weir__slot_decode(&slot, body->data, body->len,
                                          req->size, &crc) == WEIR_ECORRUPT)
        return WEIR_ECORRUPT;
    return memcmp(body->data, io->header, WEIR__SLOT_HEADER) == 0
               ? 0
               : WEIR_ECONFLICT;
}

/* Something is there: is it what was to be put? */
static void look_done(struct weir_store_req *req, int status)
{
    struct slot_io *io = req->ctx;

    if (status == 0)
        status = whose(io, req);
    if (req->body != NULL)
        weir_buf_unref(req->body);
    req->body = NULL;
    if (status == 0 || status == WEIR_ECONFLICT)
        io->done(io, status);
    else if ((!passes(status) && status != WEIR_ENOENT &&
              status != WEIR_ECORRUPT) ||
             !again(io, look_again))
        io->done(io, WEIR_EUNKNOWN);
}

static void look_start(struct slot_io *io)
{
    io->error.code = 0;
    io->req = (struct weir_store_req){.verb = WEIR_STORE_GET,
                                      .key = io->key,
                                      .length = WEIR__SLOT_HEADER,
                                      .done = look_done,
                                      .ctx = io,
                                      .err = &io->error};
    io->w->store->ops->submit(io->w->store, &io->req);
}

static void put_done(struct weir_store_req *req, int status)
{
    struct slot_io *io = req->ctx;

    if (status == 0)
        io->done(io, 0);
    else if (status == WEIR_ECONFLICT)
        look_start(io);
    else if (!passes(status) || !again(io, put_again))
        io->done(io, WEIR_EUNKNOWN);
}

static void put_start(struct slot_io *io)
{
    io->error.code = 0;
    io->req = (struct weir_store_req){.verb = WEIR_STORE_PUT,
                                      .flags = WEIR_STORE_IF_ABSENT,
                                      .key = io->key,
                                      .iov = io->iov,
                                      .iov_count = io->iov_count,
                                      .crc32c = io->summed ? &io->sum : NULL,
                                      .done = put_done,
                                      .ctx = io,
                                      .err = &io->error};
    io->w->store->ops->submit(io->w->store, &io->req);
}

void weir__slot_put(struct slot_io *io, uint64_t epoch)
{
    struct weir_env *env = env_of(io);

    weir__slot_key(io->key, io->w->owner.node_id, epoch, io->slot);
    io->iov[0] = (struct weir_iov){io->header, WEIR__SLOT_HEADER};
    io->tries = 0;
    io->deadline = env->ops->now(env) + PATIENCE_NS;
    put_start(io);
}
