/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects and their indexes.  The end of an object is read, in which the
 * footer tells where the index is; most often that came along, else it is
 * read in a second GET.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "object/reader.h"
#include <string.h>

/* What is read of an object's end: an index of some 1,000 blocks. */
#define TAIL_BYTES 65536u

struct weir__index_load {
    struct weir__robject *object;
    struct weir__object_get get;
    struct weir_work work;
    struct weir__footer footer;
    struct weir__index_entry *entries;
    const unsigned char *data; /* The index, in the GET's body. */
    const char *why;
    int status;
    bool again; /* It came damaged once. */
};

/* ---- Objects ------------------------------------------------------------- */

struct weir__robject *weir__robject_get(struct weir__object_reader *reader,
                                        uint64_t id, uint64_t size)
{
    struct weir__robject *object = weir__map_get(&reader->objects, id);

    if (object != NULL)
        return object;
    object = weir__calloc(reader->host->alloc, 1, sizeof(*object));
    if (object == NULL)
        return NULL;
    if (weir__map_put(&reader->objects, id, object) != 0) {
        weir__free(reader->host->alloc, object);
        return NULL;
    }
    object->reader = reader;
    object->id = id;
    object->size = size;
    object->slots.alloc = reader->host->alloc;
    weir__list_init(&object->used);
    weir__list_init(&object->waiting);
    weir__list_init(&object->slot_list);
    weir__list_push(&reader->all, &object->link);
    return object;
}

void weir__robject_tidy(struct weir__robject *object)
{
    struct weir__object_reader *reader = object->reader;

    if (object->held || object->load != NULL || object->entries != NULL ||
        !weir__list_empty(&object->slot_list) ||
        !weir__list_empty(&object->waiting))
        return;
    weir__list_remove(&object->link);
    (void)weir__map_remove(&reader->objects, object->id);
    weir__map_free(&object->slots);
    weir__free(reader->host->alloc, object);
}

/* ---- The cache ----------------------------------------------------------- */

static size_t index_memory(const struct weir__robject *object)
{
    return sizeof(*object) + object->count * sizeof(*object->entries);
}

void weir__index_drop(struct weir__robject *object)
{
    if (object->entries == NULL)
        return;
    object->reader->index_bytes -= index_memory(object);
    weir__list_remove(&object->used);
    weir__free(object->reader->host->alloc, object->entries);
    object->entries = NULL;
    object->count = 0;
    weir__robject_tidy(object);
}

void weir__index_touch(struct weir__robject *object)
{
    weir__list_remove(&object->used);
    weir__list_push(&object->reader->index_used, &object->used);
}

/* Drop what was used longest ago until the rest fits.  The last one stays:
 * an index that is larger than the cache must not be read for each block. */
static void make_room(struct weir__object_reader *reader)
{
    struct weir__list *head = &reader->index_used;

    while (reader->index_bytes > reader->index_room && head->next != head->prev)
        weir__index_drop(
            WEIR__CONTAINER(head->next, struct weir__robject, used));
}

uint32_t weir__index_find(const struct weir__index_entry *entries,
                          uint32_t count, uint64_t stream_id, uint64_t offset)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct weir__index_entry *entry = &entries[mid];

        if (entry->stream_id < stream_id ||
            (entry->stream_id == stream_id && entry->end <= offset))
            low = mid + 1;
        else
            high = mid;
    }
    return low < count && entries[low].stream_id == stream_id ? low : count;
}

/* ---- Loading ------------------------------------------------------------- */

static void load_tail(struct weir__index_load *load);

static void load_end(struct weir__index_load *load)
{
    struct weir__robject *object = load->object;
    struct weir__object_reader *reader = object->reader;

    weir_buf_unref(load->get.body);
    weir__free(reader->host->alloc, load->entries);
    weir__free(reader->host->alloc, load);
    object->load = NULL;
    weir__robject_tidy(object);
    weir__object_reader_release(reader);
}

/* `load->get.err` tells what is wrong.  Once more, in case it was the
 * transfer; else all who wait are told. */
static void load_fail(struct weir__index_load *load)
{
    struct weir__object_reader *reader = load->object->reader;
    const struct weir_error *err = &load->get.err;

    if (err->code == WEIR_ECORRUPT && !load->again && !reader->closing) {
        weir__log(reader->host->log, WEIR_LOG_WARN, "%s; reading it again",
                  err->text);
        load->again = true;
        load_tail(load);
        return;
    }
    weir__block_get_fail_all(reader, &load->object->waiting, err);
    load_end(load);
}

static void load_bad(struct weir__index_load *load, const char *part,
                     uint64_t position, int status)
{
    weir__fail(&load->get.err, status, "%s: %s at %llu: %s", load->get.key,
               part, (unsigned long long)position,
               load->why != NULL ? load->why : weir_error_text(status));
    load_fail(load);
}

static void load_install(struct weir__index_load *load)
{
    struct weir__robject *object = load->object;
    struct weir__object_reader *reader = object->reader;
    struct weir__block_get *req;
    struct weir__list waiting;

    object->entries = load->entries;
    object->count = load->footer.block_count;
    load->entries = NULL;
    reader->index_bytes += index_memory(object);
    weir__index_touch(object);

    weir__list_init(&waiting);
    while ((req = weir__block_get_pop(&object->waiting)) != NULL)
        weir__block_get_push(&waiting, req);
    while ((req = weir__block_get_pop(&waiting)) != NULL)
        weir__block_get_locate(object, req);
    if (object->forgotten || reader->closing)
        weir__index_drop(object);
    make_room(reader);
    load_end(load);
}

static void index_decoded(struct weir_work *work)
{
    struct weir__index_load *load =
        WEIR__CONTAINER(work, struct weir__index_load, work);

    if (load->status != 0)
        load_bad(load, "index", load->footer.index_position, load->status);
    else
        load_install(load);
}

static void index_decode(struct weir_work *work)
{
    struct weir__index_load *load =
        WEIR__CONTAINER(work, struct weir__index_load, work);

    load->status = weir__index_decode(load->entries, &load->footer, load->data,
                                      &load->why);
}

/* The index is in the GET's body: check it on a worker. */
static void load_decode(struct weir__index_load *load)
{
    struct weir__object_reader *reader = load->object->reader;
    uint64_t at = load->footer.index_position - load->get.offset;

    load->data = load->get.body->data + at;
    weir__free(reader->host->alloc, load->entries);
    load->entries = weir__calloc(reader->host->alloc, load->footer.block_count,
                                 sizeof(*load->entries));
    if (load->entries == NULL) {
        load_bad(load, "index", load->footer.index_position, WEIR_ENOMEM);
        return;
    }
    load->work.work = index_decode;
    load->work.done = index_decoded;
    reader->host->env->ops->work(reader->host->env, &load->work);
}

static void load_get(struct weir__index_load *load)
{
    load->why = NULL;
    weir_buf_unref(load->get.body);
    load->get.body = NULL;
    weir__object_get_start(&load->get);
}

static void got_index(struct weir__object_get *get, int status)
{
    struct weir__index_load *load =
        WEIR__CONTAINER(get, struct weir__index_load, get);

    if (status != 0)
        load_fail(load);
    else
        load_decode(load);
}

/* The index is longer than what came with the footer. */
static void load_rest(struct weir__index_load *load)
{
    load->get.suffix = false;
    load->get.offset = load->footer.index_position;
    load->get.length = load->footer.index_length;
    load->get.done = got_index;
    load_get(load);
}

static int check_writer(struct weir__index_load *load)
{
    const struct weir__writer_id *writer = &load->footer.writer;

    if (memcmp(writer->cluster, load->object->reader->cluster, 16) != 0) {
        load->why = "an object of another cluster";
        return WEIR_EFOREIGN;
    }
    if (writer->object_id != load->object->id) {
        load->why = "another object";
        return WEIR_ECORRUPT;
    }
    return 0;
}

static void got_tail(struct weir__object_get *get, int status)
{
    struct weir__index_load *load =
        WEIR__CONTAINER(get, struct weir__index_load, get);
    uint64_t size = load->object->size;

    if (status != 0) {
        load_fail(load);
        return;
    }
    status = weir__footer_decode(&load->footer,
                                 get->body->data + get->length - WEIR__FOOTER,
                                 size, &load->why);
    if (status == 0)
        status = check_writer(load);
    if (status != 0)
        load_bad(load, "footer", size - WEIR__FOOTER, status);
    else if (load->footer.index_position >= get->offset)
        load_decode(load);
    else
        load_rest(load);
}

static void load_tail(struct weir__index_load *load)
{
    uint64_t size = load->object->size;

    load->get.suffix = true;
    load->get.length = size < TAIL_BYTES ? size : TAIL_BYTES;
    load->get.done = got_tail;
    load_get(load);
}

void weir__index_load(struct weir__robject *object)
{
    struct weir__object_reader *reader = object->reader;
    struct weir__index_load *load =
        weir__calloc(reader->host->alloc, 1, sizeof(*load));
    struct weir_error err;

    if (load == NULL) {
        weir__fail(&err, WEIR_ENOMEM, "out of memory");
        weir__block_get_fail_all(reader, &object->waiting, &err);
        weir__robject_tidy(object);
        return;
    }
    load->object = object;
    load->get.reader = reader;
    load->get.object_id = object->id;
    load->get.object_size = object->size;
    object->load = load;
    reader->pending++;
    load_tail(load);
}
