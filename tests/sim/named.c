/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/named.h"

#include "format/manifest_record.h"
#include "format/object_name.h"
#include "format/wal_slot.h"
#include "manifest/state_inside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int breach(char *text, size_t room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int breach(char *text, size_t room, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(text, room, format, args);
    va_end(args);
    return -1;
}

/* The object of a key, or NULL. */
static const struct weir_sim_object *find(struct weir_sim *sim, const char *key)
{
    struct weir_sim_object *const *objects;
    size_t high;
    size_t low = 0;

    objects = weir_sim_objects(sim, &high);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(objects[middle]->key, key);

        if (order == 0)
            return objects[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- The manifest, read anew --------------------------------------------- */

/* Newest version under a prefix; 0: there is none. */
static uint64_t newest(struct weir_sim *sim, const char *prefix)
{
    struct weir_sim_object *const *objects;
    uint64_t found = 0;
    uint64_t version;
    size_t count;

    objects = weir_sim_objects(sim, &count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(objects[i]->key, prefix, strlen(prefix)) == 0 &&
            weir__manifest_key_version(objects[i]->key, &version) == 0 &&
            version > found)
            found = version;
    return found;
}

static int apply(struct weir__state *state,
                 const struct weir_sim_object *object, uint64_t version,
                 struct weir_error *err)
{
    struct weir__record_reader r;
    struct weir__op op;
    uint32_t index = 0;
    int rc =
        weir__record_open(&r, weir_alloc_default(), object->data, object->len,
                          version, weir__state_cluster(state), err);

    if (rc != 0)
        return rc;
    rc = weir__state_begin(state, &r.header, err);
    while (rc == 0) {
        rc = weir__record_next(&r, &op);
        if (rc <= 0)
            break;
        rc = weir__state_op(state, &r.header, index++, &op);
    }
    if (rc == 0)
        weir__state_end(state, &r.header);
    weir__record_close(&r);
    return rc;
}

static int load(struct weir_sim *sim, struct weir__state **state, char *text,
                size_t room)
{
    uint64_t version = newest(sim, "manifest/snap/");
    uint64_t head = newest(sim, "manifest/log/");
    struct weir_error err = {0};
    char key[WEIR__KEY_SIZE];
    const struct weir_sim_object *object;
    int rc;

    weir__manifest_snap_key(key, version);
    object = version > 0 ? find(sim, key) : NULL;
    rc = object != NULL
             ? weir__state_decode(state, weir_alloc_default(), object->data,
                                  object->len, version, &err)
             : weir__state_new(state, weir_alloc_default());
    while (rc == 0 && ++version <= head) {
        weir__manifest_log_key(key, version);
        object = find(sim, key);
        if (object == NULL)
            return breach(text, room, "%s is gone, of %" PRIu64 " commits", key,
                          head);
        rc = apply(*state, object, version, &err);
    }
    return rc == 0 ? 0 : breach(text, room, "%s: %s", key, err.text);
}

/* ---- What it names ------------------------------------------------------- */

static int check_streams(const struct weir__state *state, struct weir_sim *sim,
                         char *text, size_t room)
{
    const struct weir__mstream *s = NULL;

    while ((s = weir__state_stream_behind(state, s != NULL ? s->id : 0)) !=
           NULL)
        for (size_t i = 0; i < s->extent_count; i++) {
            const struct weir__extent *e = &s->extents[i];
            char key[WEIR__KEY_SIZE];

            weir__object_key(key, e->object_id);
            if (find(sim, key) == NULL)
                return breach(text, room,
                              "%s is gone, and %s has its offsets %" PRIu64
                              " to %" PRIu64 " in it",
                              key, s->name, e->base, e->end);
        }
    return 0;
}

/* What was there and is gone, was it dead for long enough? */
static int check_gone(struct named *named, struct weir_sim *sim, int64_t latest,
                      char *text, size_t room)
{
    unsigned char there[NAMED_IDS] = {0};
    struct weir_sim_object *const *objects;
    uint64_t id;
    size_t count;
    int rc = 0;

    objects = weir_sim_objects(sim, &count);
    for (size_t i = 0; i < count; i++)
        if (weir__object_key_id(objects[i]->key, &id) == 0 && id < NAMED_IDS)
            there[id] = 1;
    for (id = 0; id < NAMED_IDS && rc == 0; id++)
        if (named->seen[id] && !there[id] && named->dead[id] > latest)
            rc = breach(text, room,
                        "object %" PRIu64 " is gone, %" PRId64
                        " ms before its grace is over",
                        id, named->dead[id] - latest);
    memcpy(named->seen, there, sizeof(there));
    return rc;
}

static void note_dead(struct named *named, const struct weir__state *state)
{
    size_t count;
    const struct weir__mdead *dead = weir__state_dead(state, &count);

    for (size_t i = 0; i < count; i++)
        if (dead[i].id < NAMED_IDS)
            named->dead[dead[i].id] = dead[i].since;
}

int named_check(struct named *named, struct weir_sim *sim, int64_t now,
                int64_t grace, char *text, size_t room)
{
    struct weir__state *state = NULL;
    int rc = load(sim, &state, text, room);

    if (rc == 0)
        rc = check_streams(state, sim, text, room);
    if (rc == 0)
        note_dead(named, state);
    if (rc == 0)
        rc = check_gone(named, sim, now - grace, text, room);
    weir__state_free(state);
    return rc;
}

/* ---- Logs ---------------------------------------------------------------- */

/* 1 if who takes that slot's log over would read it, as the manifest has it. */
static int is_needed(const struct weir__state *state, const char *key)
{
    struct weir__member member;
    uint32_t id;
    uint64_t epoch, slot;

    if (!weir__slot_key_read(key, &id, &epoch, &slot) || id == 0 ||
        !weir__state_member(state, id - 1, &member) || member.id != id ||
        member.wal_id == 0)
        return 0;
    return epoch > member.mark_epoch ||
           (epoch == member.mark_epoch && slot >= member.mark_slot);
}

int named_slots(struct weir_sim *sim, char *text, size_t room)
{
    struct weir_sim_object *const *objects;
    struct weir__state *state = NULL;
    size_t count;
    int rc = load(sim, &state, text, room);

    objects = weir_sim_objects(sim, &count);
    for (size_t i = 0; i < count && rc == 0; i++)
        if (strncmp(objects[i]->key, "wal/", 4) == 0 &&
            objects[i]->len > WEIR__SLOT_HEADER &&
            !is_needed(state, objects[i]->key))
            rc = breach(text, room, "%s was left behind: %zu bytes",
                        objects[i]->key, objects[i]->len);
    weir__state_free(state);
    return rc;
}
