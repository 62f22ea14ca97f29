/* SPDX-License-Identifier: Apache-2.0 */
/* Starting an epoch of the object WAL, and writing to it. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/list.h"
#include "base/sometimes.h"
#include "wal/wal_object.h"

#include <string.h>

#define SAVED_NS UINT64_C(60000000000)

static struct weir__slot slot_of(const struct wal_object *w,
                                 enum weir__slot_kind kind, uint64_t number)
{
    struct weir__slot slot = {.kind = kind,
                              .depth = w->base.depth,
                              .epoch = w->owner.epoch,
                              .slot = number,
                              .position = w->position,
                              .node_id = w->owner.node_id,
                              .before = w->last_crc,
                              .wal_id = w->base.id};

    memcpy(slot.cluster, w->owner.cluster, sizeof(slot.cluster));
    memcpy(slot.nonce, w->nonce, sizeof(slot.nonce));
    return slot;
}

/* ---- Starting ------------------------------------------------------------ */

static void head_done(struct slot_io *io, int status)
{
    struct wal_object *w = io->w;
    struct weir_wal_req *req = w->start;

    w->start = NULL;
    if (status == WEIR_ECONFLICT)
        status = weir__fail(req->err, WEIR_EFENCED,
                            "write-ahead log: %s: taken over by a later epoch",
                            io->key);
    else if (status != 0)
        status =
            weir__fail(req->err, WEIR_EUNAVAILABLE,
                       "write-ahead log: %s: %.150s", io->key, io->error.text);
    w->own = 1;
    w->first = 1;
    req->done(req, status);
}

void weir__object_start(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct wal_object *w = weir__wal_object(wal);
    struct weir__slot head;

    w->position = w->next > 0 ? weir__round_up(w->next, w->base.align) : 0;
    w->base.end = w->position;
    if (w->place_count == 0)
        w->base.begin = w->position;
    w->start = req;
    w->last_crc = 0;
    head = slot_of(w, WEIR__SLOT_HEAD, 0);
    w->seal.w = w;
    w->seal.slot = 0;
    w->seal.done = head_done;
    w->seal.iov_count = 1;
    w->last_crc = weir__slot_encode(w->seal.header, &head);
    weir__slot_put(&w->seal, w->owner.epoch);
}

/* ---- Writing ------------------------------------------------------------- */

static struct flight *flight_of(struct wal_object *w, uint64_t slot)
{
    return &w->flights[slot % WEIR__OBJECT_DEPTH_MAX];
}

/* What a write ends with, once all before it have ended.
 *
 * Another's slot in the place of a write does not prove that it was not there:
 * it may have come in time, have been recovered by one that took the log over,
 * and been removed, before a second one that recovers from further back put
 * its fence there.  So what was sent and is not known to be there is unknown,
 * and what was sent behind it too. */
static int settle(struct wal_object *w, struct flight *f)
{
    if (w->poisoned)
        return weir__fail(f->write->err, WEIR_EUNKNOWN,
                          "write-ahead log: %s: it counts if the write before "
                          "it does, of which nothing is known",
                          f->io.key);
    if (f->status == 0)
        f->status = weir__object_place(w, w->owner.epoch, f->io.slot,
                                       f->write->position + f->write->len) == 0
                        ? 0
                        : WEIR_EUNKNOWN;
    if (f->status == 0) {
        w->base.end = f->write->position + f->write->len;
        return 0;
    }
    w->poisoned = 1;
    w->stop = f->io.slot;
    WEIR__SOMETIMES_IF(f->status == WEIR_ECONFLICT,
                       "a late PUT meets the seal of its log");
    if (f->status == WEIR_ECONFLICT)
        return weir__fail(f->write->err, WEIR_EUNKNOWN,
                          "write-ahead log: %s: taken over by a later epoch, "
                          "perhaps with this write",
                          f->io.key);
    return weir__fail(f->write->err, WEIR_EUNKNOWN,
                      "write-ahead log: %s: %.150s", f->io.key,
                      f->io.error.text);
}

static void put_done(struct slot_io *io, int status)
{
    struct wal_object *w = io->w;
    struct flight *f = WEIR__CONTAINER(io, struct flight, io);

    f->over = 1;
    f->status = status;
    while (w->first < w->own && flight_of(w, w->first)->over) {
        struct weir_wal_write *write;

        f = flight_of(w, w->first);
        write = f->write;
        status = settle(w, f);
        f->write = NULL;
        f->over = 0;
        w->first++;
        write->done(write, status);
    }
}

static int check_write(const struct wal_object *w,
                       const struct weir_wal_write *req)
{
    if (req->len > w->base.max_group)
        return weir__fail(req->err, WEIR_ETOOBIG,
                          "object log: write of %zu bytes, at most %u are "
                          "allowed",
                          req->len, w->base.max_group);
    if (req->position == w->position && req->len > 0 &&
        req->len % w->base.align == 0 && req->iov_count < WEIR__OBJECT_PIECES &&
        w->own - w->first < w->base.depth)
        return 0;
    return weir__fail(req->err, WEIR_EBUG,
                      "object log: write of %zu bytes at %llu, the end is "
                      "%llu",
                      req->len, (unsigned long long)req->position,
                      (unsigned long long)w->position);
}

static void refuse_run(struct weir_task *task)
{
    struct wal_object *w = WEIR__CONTAINER(task, struct wal_object, refuse);

    w->refused->done(w->refused, w->refusal);
}

/* What is saved up for a minute may be spent at once. */
static void spend(struct wal_object *w)
{
    struct weir_env *env = w->host->env;
    uint64_t now = env->ops->now(env);

    if (w->put_every == 0)
        return;
    w->paid = (w->paid > now ? w->paid : now) + w->put_every;
    w->base.not_before = w->paid > SAVED_NS ? w->paid - SAVED_NS : 0;
}

/* That of the records, behind the header's. */
static void sum(struct slot_io *io, const struct weir_wal_write *req)
{
    io->summed = req->crc32c != NULL;
    if (io->summed)
        io->sum =
            weir__crc32c_join(weir__crc32c(0, io->header, WEIR__SLOT_HEADER),
                              *req->crc32c, weir__crc32c_power(req->len));
}

void weir__object_write(struct weir_wal *wal, struct weir_wal_write *req)
{
    struct wal_object *w = weir__wal_object(wal);
    struct flight *f = flight_of(w, w->own);
    struct weir__slot slot = slot_of(w, WEIR__SLOT_DATA, w->own);

    w->refusal = check_write(w, req);
    if (w->refusal != 0) {
        w->refused = req;
        w->refuse.run = refuse_run;
        w->host->env->ops->post(w->host->env, &w->refuse);
        return;
    }
    f->write = req;
    f->over = 0;
    WEIR__SOMETIMES_IF(w->own > w->first,
                       "several writes of an object log are under way");
    f->io.w = w;
    f->io.slot = w->own++;
    f->io.done = put_done;
    slot.len = req->len;
    memcpy(&f->io.iov[1], req->iov, req->iov_count * sizeof(*req->iov));
    f->io.iov_count = req->iov_count + 1;
    f->io.crc = weir__slot_encode(f->io.header, &slot);
    w->last_crc = f->io.crc;
    sum(&f->io, req);
    w->position += req->len;
    spend(w);
    weir__slot_put(&f->io, w->owner.epoch);
}
