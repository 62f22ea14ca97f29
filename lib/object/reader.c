/* SPDX-License-Identifier: Apache-2.0 */
#include "object/reader.h"
#include "base/alloc.h"
#include "base/error.h"
#include <string.h>

/* ---- Requests ------------------------------------------------------------ */

/* What a request's private words hold. */
struct waiter {
    union {
        struct weir__list link; /* While it waits. */
        int status;             /* When it has ended. */
    } u;
    struct weir_task task;
};

_Static_assert(sizeof(struct waiter) <=
                   sizeof(((struct weir__block_get *)NULL)->impl),
               "a waiter fits into a request");

static struct waiter *waiter_of(struct weir__block_get *req)
{
    return (struct waiter *)(void *)req->impl;
}

static struct weir__block_get *request_of(struct waiter *waiter)
{
    return WEIR__CONTAINER(waiter, struct weir__block_get, impl);
}

void weir__block_get_push(struct weir__list *waiting,
                          struct weir__block_get *req)
{
    weir__list_push(waiting, &waiter_of(req)->u.link);
}

struct weir__block_get *weir__block_get_pop(struct weir__list *waiting)
{
    struct weir__list *link = weir__list_pop(waiting);

    return link == NULL ? NULL
                        : request_of(WEIR__CONTAINER(link, struct waiter, u));
}

static void request_run(struct weir_task *task)
{
    struct waiter *waiter = WEIR__CONTAINER(task, struct waiter, task);
    struct weir__block_get *req = request_of(waiter);

    req->done(req, waiter->u.status);
}

void weir__block_get_finish(struct weir__object_reader *reader,
                            struct weir__block_get *req, int status)
{
    struct waiter *waiter = waiter_of(req);
    struct weir_env *env = reader->host->env;

    waiter->u.status = status;
    waiter->task.run = request_run;
    env->ops->post(env, &waiter->task);
}

void weir__block_get_fail_all(struct weir__object_reader *reader,
                              struct weir__list *waiting,
                              const struct weir_error *err)
{
    struct weir__block_get *req;

    while ((req = weir__block_get_pop(waiting)) != NULL) {
        weir__error_copy(req->err, err);
        weir__block_get_finish(reader, req, err->code);
    }
}

/* ---- Finding blocks ------------------------------------------------------ */

/* Raw bytes of the stream behind block `*i` that are cached or on their way,
 * up to `enough`; `*i` becomes the first block that is not, or `count`. */
static size_t have_ahead(struct weir__robject *object, uint32_t *i,
                         size_t enough)
{
    uint64_t stream_id = object->entries[*i].stream_id;
    size_t have = 0;

    for (++*i; have < enough && *i < object->count; ++*i) {
        const struct weir__index_entry *entry = &object->entries[*i];

        if (entry->stream_id != stream_id)
            break;
        if (weir__slot_find(object, entry) == NULL)
            return have;
        have += entry->raw_length;
    }
    *i = object->count;
    return have;
}

/* Have the blocks behind number `i` read, up to `ahead` bytes of the stream;
 * never so much that they would push each other out of the cache.  Nothing is
 * done while half of it is still there: else each block that is used up would
 * bring a GET for one more, and neighbours would never be merged. */
static void read_ahead(struct weir__robject *object, uint32_t i, size_t ahead)
{
    struct weir__object_reader *reader = object->reader;
    uint64_t stream_id = object->entries[i].stream_id;
    size_t enough = ahead / 2 + ahead % 2;
    size_t have = have_ahead(object, &i, enough);

    if (have >= enough)
        return;
    for (; have < ahead && i < object->count; i++) {
        const struct weir__index_entry *entry = &object->entries[i];
        struct weir__slot *slot;

        if (entry->stream_id != stream_id ||
            reader->ahead_bytes + entry->raw_length > reader->block_room / 2)
            return;
        if (weir__slot_find(object, entry) == NULL) {
            slot = weir__slot_new(object, entry);
            if (slot == NULL)
                return;
            weir__fetch_queue(slot, true);
        }
        have += entry->raw_length;
    }
}

/* A slot that is there: cached, or on its way. */
static void use_slot(struct weir__slot *slot, struct weir__block_get *req)
{
    struct weir__object_reader *reader = slot->object->reader;

    reader->hits++;
    if (slot->state == WEIR__SLOT_CACHED) {
        weir__slot_touch(slot);
        req->block = weir__block_ref(slot->block);
        weir__block_get_finish(reader, req, 0);
        return;
    }
    weir__block_get_push(&slot->waiting, req);
    weir__fetch_promote(slot);
}

void weir__block_get_locate(struct weir__robject *object,
                            struct weir__block_get *req)
{
    struct weir__object_reader *reader = object->reader;
    uint32_t i = weir__index_find(object->entries, object->count,
                                  req->stream_id, req->offset);
    size_t ahead = req->ahead;
    struct weir__slot *slot;
    char key[WEIR__KEY_SIZE];

    if (i == object->count) {
        weir__object_key(key, object->id);
        weir__fail(req->err, WEIR_ENOENT,
                   "%s: has no offset %llu of stream %llu", key,
                   (unsigned long long)req->offset,
                   (unsigned long long)req->stream_id);
        weir__block_get_finish(reader, req, WEIR_ENOENT);
        return;
    }
    slot = weir__slot_find(object, &object->entries[i]);
    if (slot != NULL) {
        use_slot(slot, req);
    } else {
        slot = weir__slot_new(object, &object->entries[i]);
        if (slot == NULL) {
            weir__fail(req->err, WEIR_ENOMEM, "out of memory");
            weir__block_get_finish(reader, req, WEIR_ENOMEM);
            return;
        }
        reader->misses++;
        weir__block_get_push(&slot->waiting, req);
        weir__fetch_queue(slot, false);
    }
    read_ahead(object, i, ahead);
}

/* The object that a request is for; NULL and a status if it cannot begin. */
static struct weir__robject *find_object(struct weir__object_reader *reader,
                                         struct weir__block_get *req, int *rc)
{
    struct weir__robject *object;
    char key[WEIR__KEY_SIZE];

    if (reader->closing) {
        *rc = weir__fail(req->err, WEIR_ECLOSED, "the reader is closed");
        return NULL;
    }
    if (req->object_size < WEIR__FOOTER + weir__index_size(1)) {
        weir__object_key(key, req->object_id);
        *rc = weir__fail(req->err, WEIR_ECORRUPT,
                         "%s: no object is only %llu bytes long", key,
                         (unsigned long long)req->object_size);
        return NULL;
    }
    object = weir__robject_get(reader, req->object_id, req->object_size);
    if (object == NULL)
        *rc = weir__fail(req->err, WEIR_ENOMEM, "out of memory");
    return object;
}

void weir__block_get(struct weir__object_reader *reader,
                     struct weir__block_get *req)
{
    struct weir__robject *object;
    int rc = 0;

    req->block = NULL;
    object = find_object(reader, req, &rc);
    if (object == NULL) {
        weir__block_get_finish(reader, req, rc);
        return;
    }
    object->forgotten = false;
    if (object->entries != NULL) {
        weir__index_touch(object);
        weir__block_get_locate(object, req);
        return;
    }
    weir__block_get_push(&object->waiting, req);
    if (object->load == NULL)
        weir__index_load(object);
}

/* ---- The reader ---------------------------------------------------------- */

int weir__object_reader_open(struct weir__object_reader **out,
                             const struct weir__object_reader_config *config,
                             struct weir_error *err)
{
    struct weir__object_reader *reader;

    *out = NULL;
    reader = weir__calloc(config->host->alloc, 1, sizeof(*reader));
    if (reader == NULL)
        return weir__fail(err, WEIR_ENOMEM, "out of memory");
    reader->host = config->host;
    reader->store = config->store;
    memcpy(reader->cluster, config->cluster, sizeof(reader->cluster));
    reader->block_room = config->block_cache;
    reader->index_room = config->index_cache;
    reader->objects.alloc = config->host->alloc;
    weir__list_init(&reader->all);
    weir__list_init(&reader->index_used);
    weir__list_init(&reader->block_used);
    weir__list_init(&reader->wanted);
    weir__list_init(&reader->ahead);
    weir__list_init(&reader->gets);
    *out = reader;
    return 0;
}

void weir__object_reader_counts(const struct weir__object_reader *reader,
                                struct weir__object_reader_counts *out)
{
    out->hits = reader->hits;
    out->misses = reader->misses;
    out->bytes = reader->block_bytes;
}

/* Free the slots that are not in flight, and the index. */
static void forget_object(struct weir__robject *object)
{
    struct weir__list *link = object->slot_list.next, *next;

    object->held = true;
    for (; link != &object->slot_list; link = next) {
        struct weir__slot *slot =
            WEIR__CONTAINER(link, struct weir__slot, link);

        next = link->next;
        if (slot->state != WEIR__SLOT_FLYING &&
            weir__list_empty(&slot->waiting))
            weir__slot_free(slot);
    }
    weir__index_drop(object);
    object->held = false;
    weir__robject_tidy(object);
}

void weir__object_reader_forget(struct weir__object_reader *reader,
                                uint64_t object_id)
{
    struct weir__robject *object = weir__map_get(&reader->objects, object_id);

    if (object == NULL)
        return;
    object->forgotten = true;
    forget_object(object);
}

void weir__object_reader_release(struct weir__object_reader *reader)
{
    struct weir_env *env = reader->host->env;

    if (--reader->pending > 0 || !reader->closing)
        return;
    weir__map_free(&reader->objects);
    env->ops->post(env, reader->closed);
    weir__free(reader->host->alloc, reader);
}

static void close_object(struct weir__robject *object,
                         const struct weir_error *err)
{
    struct weir__object_reader *reader = object->reader;
    struct weir__list *link;

    weir__block_get_fail_all(reader, &object->waiting, err);
    for (link = object->slot_list.next; link != &object->slot_list;
         link = link->next)
        weir__block_get_fail_all(
            reader, &WEIR__CONTAINER(link, struct weir__slot, link)->waiting,
            err);
    forget_object(object);
}

void weir__object_reader_close(struct weir__object_reader *reader,
                               struct weir_task *closed)
{
    struct weir__list *link, *next;
    struct weir_error err;

    reader->closing = true;
    reader->closed = closed;
    reader->pending++;
    weir__fail(&err, WEIR_ECLOSED, "the reader is closed");
    for (link = reader->all.next; link != &reader->all; link = next) {
        next = link->next;
        close_object(WEIR__CONTAINER(link, struct weir__robject, link), &err);
    }
    for (link = reader->gets.next; link != &reader->gets; link = next) {
        next = link->next;
        weir__object_get_stop(
            WEIR__CONTAINER(link, struct weir__object_get, link));
    }
    weir__object_reader_release(reader);
}
