/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/alloc.h"

#include <string.h>
#include <weir/error.h>

/* Open addressing, linear probing; a removal moves later entries of the run
 * back, so that there are no tombstones and lookups stay short. */

enum { FIRST_CAPACITY = 8 };

static uint64_t hash(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

static size_t home(const struct weir__map *map, uint64_t key)
{
    return (size_t)hash(key) & (map->capacity - 1);
}

static size_t after(const struct weir__map *map, size_t i)
{
    return (i + 1) & (map->capacity - 1);
}

/* Slot that holds the key, or the free one where it would go.  There is one,
 * as the table is never full. */
static struct weir__map_slot *find(const struct weir__map *map, uint64_t key)
{
    size_t i = home(map, key);

    while (map->slots[i].value != NULL && map->slots[i].key != key)
        i = after(map, i);
    return &map->slots[i];
}

static int grow(struct weir__map *map)
{
    struct weir__map old = *map;
    size_t i;

    map->capacity = old.capacity > 0 ? old.capacity * 2 : FIRST_CAPACITY;
    map->slots = weir__calloc(map->alloc, map->capacity, sizeof(*map->slots));
    if (map->slots == NULL) {
        *map = old;
        return WEIR_ENOMEM;
    }
    for (i = 0; i < old.capacity; i++)
        if (old.slots[i].value != NULL)
            *find(map, old.slots[i].key) = old.slots[i];
    weir__free(map->alloc, old.slots);
    return 0;
}

void *weir__map_get(const struct weir__map *map, uint64_t key)
{
    return map->count > 0 ? find(map, key)->value : NULL;
}

int weir__map_put(struct weir__map *map, uint64_t key, void *value)
{
    if (weir__map_get(map, key) == NULL) {
        /* At most three quarters full. */
        if (map->count + 1 > map->capacity / 4 * 3 && grow(map) != 0)
            return WEIR_ENOMEM;
        map->count++;
    }
    *find(map, key) = (struct weir__map_slot){key, value};
    return 0;
}

/* Close the gap at `hole`: an entry behind it moves in if its home is not
 * between the gap and itself. */
static void close_gap(struct weir__map *map, size_t hole)
{
    size_t mask = map->capacity - 1;
    size_t i = after(map, hole);

    while (map->slots[i].value != NULL) {
        size_t from_home = (i - home(map, map->slots[i].key)) & mask;

        if (from_home >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
        i = after(map, i);
    }
    memset(&map->slots[hole], 0, sizeof(map->slots[hole]));
}

void *weir__map_remove(struct weir__map *map, uint64_t key)
{
    struct weir__map_slot *slot;
    void *value;

    if (map->count == 0)
        return NULL;
    slot = find(map, key);
    value = slot->value;
    if (value != NULL) {
        close_gap(map, (size_t)(slot - map->slots));
        map->count--;
    }
    return value;
}

void *weir__map_next(const struct weir__map *map, size_t *at)
{
    while (*at < map->capacity) {
        void *value = map->slots[(*at)++].value;

        if (value != NULL)
            return value;
    }
    return NULL;
}

void weir__map_free(struct weir__map *map)
{
    weir__free(map->alloc, map->slots);
    *map = (struct weir__map){.alloc = map->alloc};
}
