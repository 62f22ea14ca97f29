/* SPDX-License-Identifier: Apache-2.0 */
/* What a request to the store does at the moment when it takes effect, and
 * what its answer is made of. */
#include "base/alloc.h"
#include "sim/sim_request.h"

#include <string.h>

/* What a stale LIST does not tell is younger than this. */
enum { STALE_MS = 60000 };

void weir__sim_entries_free(struct sim_request *r)
{
    while (r->entry_count > 0) {
        /* Ours, although the answer's entries are const for the reader. */
        char *key = (char *)(uintptr_t)r->entries[--r->entry_count].key;

        weir__free(r->sim->alloc, key);
    }
    weir__free(r->sim->alloc, r->entries);
    r->entries = NULL;
}

/* A server may fail the loser of a race instead of refusing it. */
static int lost_race(struct weir_sim *sim)
{
    return SIM_FAULT(sim, &sim->store_random, store_lost_race) ? WEIR_EUNKNOWN
                                                               : WEIR_ECONFLICT;
}

static int apply_put(struct sim_request *r)
{
    if (r->wrong_sum)
        return WEIR_ECORRUPT;
    if ((r->flags & WEIR_STORE_IF_ABSENT) != 0 &&
        weir__sim_object_find(r->sim, r->key) != NULL)
        return lost_race(r->sim);
    return weir__sim_object_put(r->sim, r->key, r->body, r->len);
}

/* The body ends too early, or a byte of it is another one.  Who asked for the
 * whole object and got less has nothing to compare it with: the size that is
 * told then is that of what came. */
static void damage_body(struct sim_request *r)
{
    struct sim_random *random = &r->sim->store_random;
    bool whole = r->len == r->size && (r->flags & WEIR_STORE_SUFFIX) == 0;

    if (r->len > 0 && SIM_FAULT(r->sim, random, store_cut)) {
        r->len = (size_t)weir__sim_random_below(random, r->len);
        if (whole)
            r->size = r->len;
    }
    if (r->len > 0 && SIM_FAULT(r->sim, random, store_corrupt))
        r->body[weir__sim_random_below(random, r->len)] ^= 0x10;
}

static int apply_get(struct sim_request *r)
{
    const struct weir_sim_object *object =
        weir__sim_object_find(r->sim, r->key);
    uint64_t offset = r->req->offset;
    uint64_t length = r->req->length;

    if (object == NULL)
        return WEIR_ENOENT;
    r->size = object->len;
    if ((r->flags & WEIR_STORE_SUFFIX) != 0)
        offset = length < object->len ? object->len - length : 0;
    if (offset > object->len || (offset == object->len && offset > 0))
        return WEIR_ERANGE;
    if (length > object->len - offset)
        length = object->len - offset;
    weir__free(r->sim->alloc, r->body);
    r->len = (size_t)length;
    r->body = weir__malloc(r->sim->alloc, r->len);
    if (r->body == NULL)
        return WEIR_ENOMEM;
    memcpy(r->body, object->data + offset, r->len);
    damage_body(r);
    return 0;
}

static int apply_head(struct sim_request *r)
{
    const struct weir_sim_object *object =
        weir__sim_object_find(r->sim, r->key);

    if (object == NULL)
        return WEIR_ENOENT;
    r->size = object->len;
    return 0;
}

static int apply_list(struct sim_request *r)
{
    struct weir_sim *sim = r->sim;
    const char *after = r->req->after;
    size_t at = weir__sim_object_at(sim, r->key);
    size_t behind = after != NULL ? weir__sim_object_at(sim, after) : 0;
    int64_t youngest = SIM_FAULT(sim, &sim->store_random, store_stale)
                           ? (int64_t)(sim->now / SIM_MS) - STALE_MS
                           : INT64_MAX;

    weir__sim_entries_free(r);
    r->more = 0;
    r->entries = weir__calloc(sim->alloc, r->req->limit, sizeof(*r->entries));
    if (r->entries == NULL)
        return WEIR_ENOMEM;
    for (at = at < behind ? behind : at; at < sim->object_count; at++) {
        const struct weir_sim_object *object = sim->objects[at];
        struct weir_store_entry *entry = &r->entries[r->entry_count];

        if (strncmp(object->key, r->key, strlen(r->key)) != 0)
            break;
        if ((after != NULL && strcmp(object->key, after) <= 0) ||
            object->modified > youngest)
            continue;
        r->more = r->entry_count == r->req->limit;
        if (r->more)
            break;
        entry->key = weir__strdup(sim->alloc, object->key);
        if (entry->key == NULL)
            return WEIR_ENOMEM;
        entry->size = object->len;
        r->entry_count++;
    }
    return 0;
}

int weir__sim_apply(struct sim_request *r)
{
    switch (r->verb) {
    case WEIR_STORE_PUT:
        return apply_put(r);
    case WEIR_STORE_DELETE:
        weir__sim_object_delete(r->sim, r->key);
        return 0;
    case WEIR_STORE_GET:
        return apply_get(r);
    case WEIR_STORE_HEAD:
        return apply_head(r);
    case WEIR_STORE_LIST:
        return apply_list(r);
    }
    return WEIR_EUNSUPPORTED;
}
