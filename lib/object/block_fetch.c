/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads blocks.  Slots gather in two queues; a task of the next turn takes
 * them out again, so that whatever one turn of the core asked for is merged,
 * and nothing ever waits for a timer.  Blocks that lie side by side go into
 * one GET; a worker decodes what it brought.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "object/reader.h"

#define FETCHES_MAX 64u
#define FETCH_BYTES_MAX 67108864u /* Memory of those in flight, together. */
#define MERGE_BYTES 4194304u      /* Of one GET with more than one block. */

struct fetch {
    struct weir__object_get get;
    struct weir_work work;
    struct weir__list slots; /* Side by side, by position. */
    size_t memory;
};

static void pump_post(struct weir__object_reader *reader);

/* Memory that a block takes on its way: as it comes, and decoded. */
static size_t slot_memory(const struct weir__slot *slot)
{
    return (size_t)slot->entry.length + slot->entry.raw_length;
}

/* ---- What has come ------------------------------------------------------- */

static void fetch_free(struct fetch *fetch)
{
    struct weir__object_reader *reader = fetch->get.reader;

    reader->fetches--;
    reader->fetch_bytes -= fetch->memory;
    weir_buf_unref(fetch->get.body);
    weir__free(reader->host->alloc, fetch);
    if (!reader->closing)
        pump_post(reader);
    weir__object_reader_release(reader);
}

/* The bytes were not right: once more, in case it was the transfer. */
static bool try_again(struct weir__slot *slot, const struct weir_error *err)
{
    struct weir__object_reader *reader = slot->object->reader;

    if (err->code != WEIR_ECORRUPT || slot->again || reader->closing ||
        weir__list_empty(&slot->waiting))
        return false;
    weir__log(reader->host->log, WEIR_LOG_WARN, "%s; reading it again",
              err->text);
    slot->again = true;
    WEIR__SOMETIMES("a damaged block is read a second time");
    slot->status = 0;
    weir__fetch_queue(slot, false);
    return true;
}

static void slot_failed(struct weir__slot *slot, const struct weir_error *err)
{
    if (!try_again(slot, err))
        weir__slot_fail(slot, err);
}

/* The GET itself failed. */
static void fetch_fail(struct fetch *fetch)
{
    struct weir__list *link;

    while ((link = weir__list_pop(&fetch->slots)) != NULL)
        slot_failed(WEIR__CONTAINER(link, struct weir__slot, queue),
                    &fetch->get.err);
    fetch_free(fetch);
}

static void slot_error(const struct fetch *fetch, const struct weir__slot *slot,
                       struct weir_error *err)
{
    weir__fail(err, slot->status, "%s: block at %llu: %s", fetch->get.key,
               (unsigned long long)slot->entry.position,
               slot->why != NULL ? slot->why : weir_error_text(slot->status));
}

static void decoded(struct weir_work *work)
{
    struct fetch *fetch = WEIR__CONTAINER(work, struct fetch, work);
    struct weir__list *link;
    struct weir_error err;

    while ((link = weir__list_pop(&fetch->slots)) != NULL) {
        struct weir__slot *slot =
            WEIR__CONTAINER(link, struct weir__slot, queue);

        if (slot->status == 0) {
            weir__slot_ready(slot);
            continue;
        }
        slot_error(fetch, slot, &err);
        slot_failed(slot, &err);
    }
    fetch_free(fetch);
}

/* On a worker.  The core leaves the links, the entry and the results of slots
 * in flight alone. */
static void decode(struct weir_work *work)
{
    struct fetch *fetch = WEIR__CONTAINER(work, struct fetch, work);
    const struct weir__object_reader *reader = fetch->get.reader;
    struct weir__list *link;

    for (link = fetch->slots.next; link != &fetch->slots; link = link->next) {
        struct weir__slot *slot =
            WEIR__CONTAINER(link, struct weir__slot, queue);
        struct weir__block_expect expect = {
            .alloc = reader->host->alloc,
            .cluster = reader->cluster,
            .object_id = fetch->get.object_id,
            .entry = slot->entry,
        };

        slot->why = NULL;
        slot->status = weir__block_decode(
            &slot->block, &expect,
            fetch->get.body->data + (slot->entry.position - fetch->get.offset),
            &slot->why);
    }
}

static void fetched(struct weir__object_get *get, int status)
{
    struct fetch *fetch = WEIR__CONTAINER(get, struct fetch, get);
    struct weir_env *env = get->reader->host->env;

    if (status != 0) {
        fetch_fail(fetch);
        return;
    }
    fetch->work.work = decode;
    fetch->work.done = decoded;
    env->ops->work(env, &fetch->work);
}

/* ---- What to read next --------------------------------------------------- */

static void fetch_take(struct fetch *fetch, struct weir__slot *slot)
{
    weir__list_remove(&slot->queue);
    weir__list_push(&fetch->slots, &slot->queue);
    slot->state = WEIR__SLOT_FLYING;
    fetch->get.length += slot->entry.length;
    fetch->memory += slot_memory(slot);
}

/* The block that begins where `slot` ends, if it is queued and fits. */
static struct weir__slot *neighbour(const struct fetch *fetch,
                                    const struct weir__slot *slot)
{
    struct weir__slot *next = weir__map_get(
        &slot->object->slots, slot->entry.position + slot->entry.length);

    if (next == NULL || next->state != WEIR__SLOT_QUEUED ||
        fetch->get.length + next->entry.length > MERGE_BYTES)
        return NULL;
    return next;
}

static void fetch_start(struct weir__slot *slot)
{
    struct weir__robject *object = slot->object;
    struct weir__object_reader *reader = object->reader;
    struct fetch *fetch = weir__calloc(reader->host->alloc, 1, sizeof(*fetch));
    struct weir_error err;

    if (fetch == NULL) {
        weir__list_remove(&slot->queue);
        weir__fail(&err, WEIR_ENOMEM, "out of memory");
        weir__slot_fail(slot, &err);
        return;
    }
    weir__list_init(&fetch->slots);
    fetch->get.reader = reader;
    fetch->get.object_id = object->id;
    fetch->get.object_size = object->size;
    fetch->get.offset = slot->entry.position;
    fetch->get.done = fetched;
    WEIR__SOMETIMES_IF(neighbour(fetch, slot) != NULL,
                       "neighbouring blocks are read as one");
    for (; slot != NULL; slot = neighbour(fetch, slot))
        fetch_take(fetch, slot);
    reader->fetches++;
    reader->fetch_bytes += fetch->memory;
    reader->pending++;
    weir__object_get_start(&fetch->get);
}

static bool has_room(const struct weir__object_reader *reader,
                     const struct weir__slot *slot)
{
    if (reader->fetches == 0)
        return true;
    return reader->fetches < FETCHES_MAX &&
           reader->fetch_bytes + slot_memory(slot) <= FETCH_BYTES_MAX;
}

static void pump_run(struct weir_task *task)
{
    struct weir__object_reader *reader =
        WEIR__CONTAINER(task, struct weir__object_reader, pump);
    struct weir__slot *slot;

    reader->pump_posted = false;
    while (!reader->closing) {
        struct weir__list *queue = weir__list_empty(&reader->wanted)
                                       ? &reader->ahead
                                       : &reader->wanted;

        if (weir__list_empty(queue))
            break;
        slot = WEIR__CONTAINER(queue->next, struct weir__slot, queue);
        if (!has_room(reader, slot))
            break;
        fetch_start(slot);
    }
    weir__object_reader_release(reader);
}

static void pump_post(struct weir__object_reader *reader)
{
    struct weir_env *env = reader->host->env;

    if (reader->pump_posted ||
        (weir__list_empty(&reader->wanted) && weir__list_empty(&reader->ahead)))
        return;
    reader->pump_posted = true;
    reader->pending++;
    reader->pump.run = pump_run;
    env->ops->post(env, &reader->pump);
}

void weir__fetch_queue(struct weir__slot *slot, bool ahead)
{
    struct weir__object_reader *reader = slot->object->reader;

    slot->state = WEIR__SLOT_QUEUED;
    if (ahead && !slot->ahead) {
        slot->ahead = true;
        reader->ahead_bytes += slot->entry.raw_length;
    }
    weir__list_push(ahead ? &reader->ahead : &reader->wanted, &slot->queue);
    pump_post(reader);
}

void weir__fetch_promote(struct weir__slot *slot)
{
    if (slot->state != WEIR__SLOT_QUEUED)
        return;
    weir__list_remove(&slot->queue);
    weir__list_push(&slot->object->reader->wanted, &slot->queue);
}
