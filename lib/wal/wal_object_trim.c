/* SPDX-License-Identifier: Apache-2.0 */
/* Trimming the object WAL: slots go once the manifest knows that recovery
 * begins behind them.  Heads and fences stay: a writer that was fenced may
 * still try. */
#include "base/alloc.h"
#include "base/list.h"
#include "wal/wal_object.h"

#include <string.h>

int weir__object_place(struct wal_object *w, uint64_t epoch, uint64_t slot,
                       uint64_t end)
{
    if (w->place_count == w->place_room) {
        size_t room = w->place_room * 2 + 64;
        struct slot_place *places =
            weir__resize(w->host->alloc, w->places, room, sizeof(*places));

        if (places == NULL)
            return WEIR_ENOMEM;
        w->places = places;
        w->place_room = room;
    }
    w->places[w->place_count++] = (struct slot_place){epoch, slot, end};
    return 0;
}

static int is_before(const struct slot_place *place,
                     const struct weir_wal_mark *mark)
{
    return place->epoch < mark->epoch ||
           (place->epoch == mark->epoch && place->slot < mark->slot);
}

void weir__object_trim(struct weir_wal *wal, uint64_t position)
{
    struct wal_object *w = weir__wal_object(wal);
    size_t i = 0;

    if (position > wal->end)
        return;
    while (i < w->place_count && w->places[i].end <= position)
        i++;
    if (i == 0)
        return;
    if (wal->begin < w->places[i - 1].end)
        wal->begin = w->places[i - 1].end;
    if (i < w->place_count)
        wal->mark =
            (struct weir_wal_mark){w->places[i].epoch, w->places[i].slot};
    else
        /* Never past a slot of which nothing is known. */
        wal->mark = (struct weir_wal_mark){w->owner.epoch,
                                           w->poisoned ? w->stop : w->first};
}

static void free_log(struct wal_object *w)
{
    struct weir_wal_req *req = w->close;

    weir__object_drop(w);
    weir__free(w->host->alloc, w->places);
    weir__free(w->host->alloc, w);
    req->done(req, 0);
}

void weir__object_close_step(struct wal_object *w)
{
    if (w->closing && w->deleting == 0 && w->early_count == 0)
        free_log(w);
}

/* Those that were not removed stay on the list, if it may pass: the next mark
 * tries again.  What a crash leaves is for the sweep of the next opening. */
static void forget(struct wal_object *w, unsigned count)
{
    size_t kept = 0;

    w->stuck = 0;
    for (unsigned i = 0; i < count; i++) {
        int status = w->removals[i].status;

        if (status != 0)
            w->stuck = 1;
        if (weir_error_class(status) == WEIR_CLASS_RETRY)
            w->places[kept++] = w->places[i];
    }
    w->place_count -= count - kept;
    memmove(w->places + kept, w->places + count,
            (w->place_count - kept) * sizeof(w->places[0]));
}

static void delete_some(struct wal_object *w);

static void deleted(struct weir_store_req *req, int status)
{
    struct wal_object *w = req->ctx;
    struct weir__object_removal *removal =
        WEIR__CONTAINER(req, struct weir__object_removal, req);

    removal->status = status;
    if (--w->deleting > 0)
        return;
    forget(w, w->removing);
    if (!w->stuck)
        delete_some(w);
    weir__object_close_step(w);
}

/* As many as may be under way at once: an s3: store makes one request of
 * them. */
static void delete_some(struct wal_object *w)
{
    unsigned count = 0;

    while (count < w->place_count && count < WEIR__OBJECT_REMOVALS &&
           is_before(&w->places[count], &w->noted)) {
        weir__slot_key(w->removals[count].key, w->owner.node_id,
                       w->places[count].epoch, w->places[count].slot);
        count++;
    }
    w->deleting = count;
    w->removing = count;
    for (unsigned i = 0; i < count; i++) {
        w->removals[i].req = (struct weir_store_req){.verb = WEIR_STORE_DELETE,
                                                     .key = w->removals[i].key,
                                                     .done = deleted,
                                                     .ctx = w};
        w->store->ops->submit(w->store, &w->removals[i].req);
    }
}

void weir__object_noted(struct weir_wal *wal, const struct weir_wal_mark *mark)
{
    struct wal_object *w = weir__wal_object(wal);

    w->noted = *mark;
    if (w->deleting == 0)
        delete_some(w);
}

static void close_run(struct weir_task *task)
{
    struct wal_object *w = WEIR__CONTAINER(task, struct wal_object, task);

    w->closing = 1;
    if (w->deleting == 0 && !w->stuck)
        delete_some(w);
    weir__object_close_step(w);
}

void weir__object_close(struct weir_wal *wal, struct weir_wal_req *req)
{
    struct wal_object *w = weir__wal_object(wal);

    w->close = req;
    w->host->env->ops->timer_stop(w->host->env, &w->timer);
    w->task.run = close_run;
    w->host->env->ops->post(w->host->env, &w->task);
}
