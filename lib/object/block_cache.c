/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "object/reader.h"

struct weir__slot *weir__slot_find(struct weir__robject *object,
                                   const struct weir__index_entry *entry)
{
    return weir__map_get(&object->slots, entry->position);
}

struct weir__slot *weir__slot_new(struct weir__robject *object,
                                  const struct weir__index_entry *entry)
{
    const struct weir_alloc *alloc = object->reader->host->alloc;
    struct weir__slot *slot = weir__calloc(alloc, 1, sizeof(*slot));

    if (slot == NULL)
        return NULL;
    if (weir__map_put(&object->slots, entry->position, slot) != 0) {
        weir__free(alloc, slot);
        return NULL;
    }
    slot->object = object;
    slot->entry = *entry;
    weir__list_init(&slot->queue);
    weir__list_init(&slot->waiting);
    weir__list_push(&object->slot_list, &slot->link);
    return slot;
}

static void not_ahead(struct weir__slot *slot)
{
    if (slot->ahead)
        slot->object->reader->ahead_bytes -= slot->entry.raw_length;
    slot->ahead = false;
}

void weir__slot_free(struct weir__slot *slot)
{
    struct weir__robject *object = slot->object;
    struct weir__object_reader *reader = object->reader;

    not_ahead(slot);
    if (slot->state == WEIR__SLOT_CACHED)
        reader->block_bytes -= slot->block->memory;
    weir__block_unref(slot->block);
    weir__list_remove(&slot->queue);
    weir__list_remove(&slot->link);
    (void)weir__map_remove(&object->slots, slot->entry.position);
    weir__free(reader->host->alloc, slot);
    weir__robject_tidy(object);
}

void weir__slot_touch(struct weir__slot *slot)
{
    weir__list_remove(&slot->queue);
    weir__list_push(&slot->object->reader->block_used, &slot->queue);
}

/* Drop what was used longest ago until the rest fits. */
static void make_room(struct weir__object_reader *reader)
{
    struct weir__list *head = &reader->block_used;

    while (reader->block_bytes > reader->block_room && !weir__list_empty(head))
        weir__slot_free(WEIR__CONTAINER(head->next, struct weir__slot, queue));
}

void weir__slot_ready(struct weir__slot *slot)
{
    struct weir__object_reader *reader = slot->object->reader;
    struct weir__block_get *req;

    while ((req = weir__block_get_pop(&slot->waiting)) != NULL) {
        req->block = weir__block_ref(slot->block);
        weir__block_get_finish(reader, req, 0);
    }
    not_ahead(slot);
    if (reader->closing || slot->object->forgotten ||
        slot->block->memory > reader->block_room) {
        weir__slot_free(slot);
        return;
    }
    slot->state = WEIR__SLOT_CACHED;
    reader->block_bytes += slot->block->memory;
    weir__slot_touch(slot);
    make_room(reader);
}

void weir__slot_fail(struct weir__slot *slot, const struct weir_error *err)
{
    weir__block_get_fail_all(slot->object->reader, &slot->waiting, err);
    weir__slot_free(slot);
}
