/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery of the object WAL: slot by slot, epoch by epoch, each sealed.
 *
 * Some slots are read ahead, to save time and nothing else.  A slot that is
 * there never changes, so it is used as if it had been read in its turn; that
 * one is not there, or could not be read, tells nothing, and it is read again
 * in its turn. */
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "wal/wal_object.h"

#include <string.h>

/* One slot is tried to be read so often, and for so long. */
#define TRIES 12u
#define PATIENCE_NS UINT64_C(60000000000)
#define BACKOFF_FIRST UINT64_C(50000000)
#define BACKOFF_MOST UINT64_C(5000000000)

static void read_start(struct wal_object *w);

static void end(struct wal_object *w, int status, int more)
{
    struct weir_wal_recover *req = w->recover;

    w->recover = NULL;
    if (status != 0 && w->error.code != 0) /* Else it is told already. */
        weir__error_copy(req->err, &w->error);
    req->more = more;
    req->done(req, status);
}

/* ---- Sealing ------------------------------------------------------------- */

static void epoch_sealed(struct wal_object *w)
{
    w->epoch++;
    w->slot = 0;
    w->ahead = 0;
    w->crc = 0;
    w->depth = WEIR__OBJECT_DEPTH_MAX;
    w->early_most = 0;
    w->early_next = 0;
    weir__object_drop(w);
    read_start(w);
}

static void fence_done(struct slot_io *io, int status)
{
    struct wal_object *w = io->w;

    if (status == WEIR_EUNKNOWN) {
        w->error = io->error;
        weir__fail_status(&w->error, status);
        end(w, WEIR_EUNAVAILABLE, 0);
    } else if (io->slot != w->slot) {
        WEIR__SOMETIMES("a fence is put ahead of the end of an object log");
        w->ahead = io->slot; /* Whoever is there, nobody gets past it. */
        read_start(w);
    } else if (status == 0) {
        epoch_sealed(w);
    } else {
        WEIR__SOMETIMES("a record is faster than the fence");
        read_start(w); /* A record was faster, or another fence. */
    }
}

static void fence(struct wal_object *w, uint64_t slot)
{
    struct weir__slot fence = {.kind = WEIR__SLOT_FENCE,
                               .epoch = w->epoch,
                               .slot = slot,
                               .node_id = w->owner.node_id,
                               .wal_id = w->base.id};

    memcpy(fence.cluster, w->owner.cluster, sizeof(fence.cluster));
    memcpy(fence.nonce, w->nonce, sizeof(fence.nonce));
    w->seal.w = w;
    w->seal.slot = slot;
    w->seal.done = fence_done;
    w->seal.iov_count = 1;
    weir__slot_encode(w->seal.header, &fence);
    weir__slot_put(&w->seal, w->epoch);
}

/* The slot is free.  A fence further ahead first, so that a writer that lives
 * cannot run away; then one here. */
static void seal(struct wal_object *w)
{
    if (w->slot == 0 || w->ahead >= w->slot)
        fence(w, w->slot);
    else
        fence(w, w->slot + w->depth);
}

/* ---- Reading ------------------------------------------------------------- */

static int give(void *ctx, const struct weir_wal_record *record)
{
    struct wal_object *w = ctx;

    return w->recover->record(w->recover, record);
}

static void take(struct wal_object *w, const struct weir__slot *slot,
                 struct weir_buf *body, uint32_t crc)
{
    int rc = 0;

    w->crc = crc;
    w->slot++;
    if (slot->kind == WEIR__SLOT_HEAD) {
        if (slot->depth > 0 && slot->depth <= WEIR__OBJECT_DEPTH_MAX)
            w->depth = slot->depth;
        read_start(w);
        return;
    }
    if (w->place_count == 0)
        w->base.begin = slot->position;
    w->next = slot->position + slot->len;
    w->early_most = w->early_most == 0 ? 1 : WEIR__OBJECT_EARLY;
    w->error.code = 0;
    rc = weir__object_place(w, slot->epoch, slot->slot, w->next);
    if (rc == 0)
        rc = weir__slot_records(slot, w->key, body, give, w, &w->error);
    end(w, rc, rc == 0);
}

static void read_now(struct wal_object *w);

/* In case it was the transfer: nothing was handed out yet. */
static void read_once_more(struct wal_object *w)
{
    weir__log(w->host->log, WEIR_LOG_WARN, "%s; reading it again",
              w->error.text);
    w->again = 1;
    w->error.code = 0;
    read_now(w);
}

static void got(struct wal_object *w, struct weir_buf *body, uint64_t size)
{
    struct weir__slot_expect expect = {.cluster = w->owner.cluster,
                                       .node_id = w->owner.node_id,
                                       .epoch = w->epoch,
                                       .slot = w->slot,
                                       .before = w->crc,
                                       .next = w->next};
    struct weir__slot slot;
    uint32_t crc = 0;
    int again = w->again;
    int rc;

    if (again)
        rc = weir__slot_check(&expect, w->key, body, size, &slot, &crc,
                              &w->error);
    else
        rc = weir__slot_check_all(&expect, w->key, body, size, &slot, &crc,
                                  &w->error);
    w->again = 0;
    if (rc == WEIR_ECORRUPT && !again)
        read_once_more(w);
    else if (rc != 0)
        end(w, rc, 0);
    else if (slot.kind == WEIR__SLOT_FENCE)
        epoch_sealed(w);
    else
        take(w, &slot, body, crc);
}

static void read_again(struct weir_timer *timer)
{
    read_start(WEIR__CONTAINER(timer, struct wal_object, timer));
}

static void retry(struct wal_object *w, int status)
{
    struct weir_env *env = w->host->env;
    uint64_t wait = BACKOFF_FIRST << (w->tries < 8 ? w->tries : 8);
    uint64_t at =
        env->ops->now(env) + (wait < BACKOFF_MOST ? wait : BACKOFF_MOST);
    enum weir_error_class class = weir_error_class(status);

    if ((class != WEIR_CLASS_RETRY && class != WEIR_CLASS_UNKNOWN) ||
        ++w->tries >= TRIES || at >= w->deadline) {
        end(w, status, 0);
        return;
    }
    w->timer = (struct weir_timer){.fire = read_again, .deadline = at};
    env->ops->timer_start(env, &w->timer);
}

static void read_done(struct weir_store_req *req, int status)
{
    struct wal_object *w = req->ctx;
    struct weir_buf *body = req->body;

    if (status == 0) {
        w->tries = 0;
        got(w, body, req->size);
    } else if (status == WEIR_ENOENT) {
        w->tries = 0;
        w->again = 0;
        seal(w);
    } else {
        retry(w, status);
    }
    if (status == 0)
        weir_buf_unref(body);
}

static void read_now(struct wal_object *w)
{
    w->get = (struct weir_store_req){.verb = WEIR_STORE_GET,
                                     .key = w->key,
                                     .length = UINT64_MAX,
                                     .deadline = w->deadline,
                                     .done = read_done,
                                     .ctx = w,
                                     .err = &w->error};
    w->store->ops->submit(w->store, &w->get);
}

/* ---- Reading ahead ------------------------------------------------------- */

static void drop(struct early_read *r)
{
    if (r->under_way || r->req.body == NULL)
        return;
    weir_buf_unref(r->req.body);
    r->req.body = NULL;
}

void weir__object_drop(struct wal_object *w)
{
    for (size_t i = 0; i < WEIR__OBJECT_EARLY; i++)
        drop(&w->early[i]);
}

static void early_done(struct weir_store_req *req, int status);

static void early_start(struct early_read *r, struct wal_object *w,
                        uint64_t slot)
{
    struct weir_env *env = w->host->env;

    r->w = w;
    r->epoch = w->epoch;
    r->slot = slot;
    r->under_way = 1;
    r->error.code = 0;
    w->early_count++;
    weir__slot_key(r->key, w->owner.node_id, r->epoch, slot);
    r->req =
        (struct weir_store_req){.verb = WEIR_STORE_GET,
                                .key = r->key,
                                .length = UINT64_MAX,
                                .deadline = env->ops->now(env) + PATIENCE_NS,
                                .done = early_done,
                                .ctx = r,
                                .err = &r->error};
    w->store->ops->submit(w->store, &r->req);
}

/* Those behind the slot whose turn it is, each once. */
static void read_ahead(struct wal_object *w)
{
    if (w->early_next <= w->slot)
        w->early_next = w->slot + 1;
    for (size_t i = 0; i < WEIR__OBJECT_EARLY; i++) {
        struct early_read *r = &w->early[i];

        if (w->early_next > w->slot + w->early_most)
            return;
        if (!r->under_way && r->req.body == NULL)
            early_start(r, w, w->early_next++);
    }
}

/* Its turn has come, and the slot is there. */
static void use(struct wal_object *w, struct early_read *r)
{
    struct weir_buf *body = r->req.body;
    uint64_t size = r->req.size; /* Another slot may be read into it. */

    WEIR__SOMETIMES("a slot of an object log was read ahead");
    r->req.body = NULL;
    w->tries = 0;
    read_ahead(w); /* There is room now. */
    got(w, body, size);
    weir_buf_unref(body);
}

static void early_awaited(struct wal_object *w, struct early_read *r,
                          int status)
{
    w->awaited = NULL;
    if (status == 0) {
        use(w, r);
    } else if (status == WEIR_ENOENT) {
        WEIR__SOMETIMES("a slot was awaited that is not there");
        read_now(w);
    } else {
        w->error = r->error;
        retry(w, status);
    }
}

static void early_done(struct weir_store_req *req, int status)
{
    struct early_read *r = req->ctx;
    struct wal_object *w = r->w;

    r->under_way = 0;
    w->early_count--;
    if (status != 0) {
        req->body = NULL;
        w->early_most = 0; /* The end is near, or the store is in trouble. */
    }
    if (w->awaited == r)
        early_awaited(w, r, status);
    else if (r->epoch != w->epoch)
        drop(r); /* Sealed meanwhile. */
    weir__object_close_step(w);
}

/* Of the slot whose turn it is: under way, or there; else NULL. */
static struct early_read *early_find(struct wal_object *w)
{
    for (size_t i = 0; i < WEIR__OBJECT_EARLY; i++) {
        struct early_read *r = &w->early[i];

        if ((r->under_way || r->req.body != NULL) && r->epoch == w->epoch &&
            r->slot == w->slot)
            return r;
    }
    return NULL;
}

static void read_start(struct wal_object *w)
{
    struct weir_env *env = w->host->env;
    struct early_read *r = early_find(w);

    if (w->tries == 0)
        w->deadline = env->ops->now(env) + PATIENCE_NS;
    if (w->epoch >= w->owner.epoch) {
        end(w, 0, 0);
        return;
    }
    weir__slot_key(w->key, w->owner.node_id, w->epoch, w->slot);
    w->error.code = 0;
    if (r != NULL && !r->under_way) {
        use(w, r);
        return;
    }
    if (r != NULL)
        w->awaited = r;
    else
        read_now(w);
    read_ahead(w);
}

static void recover_run(struct weir_task *task)
{
    read_start(WEIR__CONTAINER(task, struct wal_object, task));
}

void weir__object_recover(struct weir_wal *wal, struct weir_wal_recover *req)
{
    struct wal_object *w = weir__wal_object(wal);

    w->recover = req;
    w->task.run = recover_run;
    w->host->env->ops->post(w->host->env, &w->task);
}
