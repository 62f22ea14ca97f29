/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "sim/world.h"

#include <string.h>
#include <weir/error.h>

/* 1 if `key` belongs at `at`: what is before it is less, and it is not. */
static int is_place(const struct weir_sim *sim, size_t at, const char *key)
{
    return at <= sim->object_count &&
           (at == 0 || strcmp(sim->objects[at - 1]->key, key) < 0) &&
           (at == sim->object_count || strcmp(sim->objects[at]->key, key) >= 0);
}

/* Requests follow one another in the manifest's log: the last place and the one
 * behind it are tried first. */
size_t weir__sim_object_at(struct weir_sim *sim, const char *key)
{
    size_t low = 0;
    size_t high = sim->object_count;

    for (size_t at = sim->object_last; at <= sim->object_last + 1; at++)
        if (is_place(sim, at, key))
            return sim->object_last = at;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(sim->objects[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return sim->object_last = low;
}

struct weir_sim_object *weir__sim_object_find(struct weir_sim *sim,
                                              const char *key)
{
    size_t at = weir__sim_object_at(sim, key);

    if (at < sim->object_count && strcmp(sim->objects[at]->key, key) == 0)
        return sim->objects[at];
    return NULL;
}

static void object_free(struct weir_sim *sim, struct weir_sim_object *object)
{
    weir__free(sim->alloc, object->data);
    weir__free(sim->alloc, object);
}

/* The key lies behind it: keys are what is looked at most. */
static struct weir_sim_object *object_new(struct weir_sim *sim, const char *key,
                                          const unsigned char *data, size_t len)
{
    size_t room = strlen(key) + 1;
    struct weir_sim_object *object =
        weir__malloc(sim->alloc, sizeof(*object) + room);

    if (object == NULL)
        return NULL;
    object->key = (char *)(object + 1);
    memcpy(object->key, key, room);
    object->data = weir__malloc(sim->alloc, len);
    if (object->data == NULL) {
        object_free(sim, object);
        return NULL;
    }
    if (len > 0)
        memcpy(object->data, data, len);
    object->len = len;
    object->modified = (int64_t)(sim->now / SIM_MS);
    return object;
}

static int reserve(struct weir_sim *sim)
{
    size_t capacity = sim->object_capacity > 0 ? sim->object_capacity * 2 : 16;
    struct weir_sim_object **objects;

    if (sim->object_count < sim->object_capacity)
        return 0;
    objects = weir__resize(sim->alloc, sim->objects, capacity,
                           sizeof(struct weir_sim_object *));
    if (objects == NULL)
        return WEIR_ENOMEM;
    sim->objects = objects;
    sim->object_capacity = capacity;
    return 0;
}

int weir__sim_object_put(struct weir_sim *sim, const char *key,
                         const unsigned char *data, size_t len)
{
    struct weir_sim_object *object;
    size_t at = weir__sim_object_at(sim, key);

    if (reserve(sim) != 0)
        return WEIR_ENOMEM;
    object = object_new(sim, key, data, len);
    if (object == NULL)
        return WEIR_ENOMEM;
    if (at < sim->object_count && strcmp(sim->objects[at]->key, key) == 0) {
        object_free(sim, sim->objects[at]);
    } else {
        memmove(&sim->objects[at + 1], &sim->objects[at],
                (sim->object_count - at) * sizeof(sim->objects[0]));
        sim->object_count++;
    }
    sim->objects[at] = object;
    return 0;
}

void weir__sim_object_delete(struct weir_sim *sim, const char *key)
{
    size_t at = weir__sim_object_at(sim, key);

    if (weir__sim_object_find(sim, key) == NULL)
        return;
    object_free(sim, sim->objects[at]);
    sim->object_count--;
    memmove(&sim->objects[at], &sim->objects[at + 1],
            (sim->object_count - at) * sizeof(sim->objects[0]));
}

void weir__sim_objects_free(struct weir_sim *sim)
{
    while (sim->object_count > 0)
        object_free(sim, sim->objects[--sim->object_count]);
    weir__free(sim->alloc, sim->objects);
}

struct weir_sim_object *const *weir_sim_objects(const struct weir_sim *sim,
                                                size_t *count)
{
    *count = sim->object_count;
    return sim->objects;
}
