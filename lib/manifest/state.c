/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/state_inside.h"

#include "base/alloc.h"

#include <string.h>

static int compare_id(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_node(const void *key, const void *item)
{
    const struct weir__mnode *node = item;

    return compare_id(*(const uint64_t *)key, node->id);
}

static int compare_stream(const void *key, const void *item)
{
    const struct weir__mstream *stream = item;

    return compare_id(*(const uint64_t *)key, stream->id);
}

static int compare_name(const void *key, const void *item)
{
    const struct weir__mstream *stream = item;

    return strcmp(key, stream->name);
}

static int compare_object(const void *key, const void *item)
{
    const struct weir__mobject *object = item;

    return compare_id(*(const uint64_t *)key, object->id);
}

static int compare_key(const void *key, const void *item)
{
    const struct weir__mkey *mkey = item;

    return strcmp(key, mkey->key);
}

int weir__state_new(struct weir__state **out, const struct weir_alloc *alloc)
{
    struct weir__state *state = weir__calloc(alloc, 1, sizeof(*state));

    *out = state;
    if (state == NULL)
        return WEIR_ENOMEM;
    state->alloc = alloc;
    state->next_stream = 1;
    state->next_object = 1;
    state->nodes = (struct weir__order){alloc, compare_node, NULL, 0, 0, 0};
    state->streams = (struct weir__order){alloc, compare_stream, NULL, 0, 0, 0};
    state->names = (struct weir__order){alloc, compare_name, NULL, 0, 0, 0};
    state->objects = (struct weir__order){alloc, compare_object, NULL, 0, 0, 0};
    state->keys = (struct weir__order){alloc, compare_key, NULL, 0, 0, 0};
    return 0;
}

static void free_nodes(struct weir__state *state)
{
    struct weir__order_at at = {0, 0};
    struct weir__mnode *node;

    while ((node = weir__order_next(&state->nodes, &at)) != NULL) {
        weir__free(state->alloc, node->reserved);
        weir__free(state->alloc, node->wal);
        weir__free(state->alloc, node);
    }
    weir__order_free(&state->nodes);
}

static void free_streams(struct weir__state *state)
{
    struct weir__order_at at = {0, 0};
    struct weir__mstream *stream;

    while ((stream = weir__order_next(&state->streams, &at)) != NULL)
        weir__mstream_free(state, stream);
    weir__order_free(&state->streams);
    weir__order_free(&state->names);
}

static void free_objects(struct weir__state *state)
{
    struct weir__order_at at = {0, 0};
    struct weir__mobject *object;

    while ((object = weir__order_next(&state->objects, &at)) != NULL)
        weir__free(state->alloc, object);
    weir__order_free(&state->objects);
    weir__free(state->alloc, state->dead);
}

static void free_keys(struct weir__state *state)
{
    struct weir__order_at at = {0, 0};
    struct weir__mkey *key;

    while ((key = weir__order_next(&state->keys, &at)) != NULL) {
        weir__free(state->alloc, (void *)(uintptr_t)key->pair.value);
        weir__free(state->alloc, key);
    }
    weir__order_free(&state->keys);
}

void weir__state_free(struct weir__state *state)
{
    if (state == NULL)
        return;
    free_nodes(state);
    free_streams(state);
    free_objects(state);
    free_keys(state);
    weir__free(state->alloc, state);
}

void weir__state_swap(struct weir__state *a, struct weir__state *b)
{
    struct weir__state held = *a;

    *a = *b;
    *b = held;
    /* Who watches, watches this place, not what is in it. */
    b->changed = a->changed;
    b->changed_ctx = a->changed_ctx;
    a->changed = held.changed;
    a->changed_ctx = held.changed_ctx;
}

void weir__state_watch(struct weir__state *state,
                       void (*changed)(void *ctx,
                                       const struct weir_kv_pair *pair),
                       void *ctx)
{
    state->changed = changed;
    state->changed_ctx = ctx;
}

uint64_t weir__state_version(const struct weir__state *state)
{
    return state->version;
}

const unsigned char *weir__state_cluster(const struct weir__state *state)
{
    return state->named ? state->cluster : NULL;
}

uint64_t weir__state_node_epoch(const struct weir__state *state,
                                uint32_t node_id)
{
    uint64_t id = node_id;
    const struct weir__mnode *node = weir__order_get(&state->nodes, &id);

    return node != NULL ? node->epoch : 0;
}

uint64_t weir__state_node_wal(const struct weir__state *state, uint32_t node_id)
{
    uint64_t id = node_id;
    const struct weir__mnode *node = weir__order_get(&state->nodes, &id);

    return node != NULL ? node->wal_id : 0;
}

const struct weir__mstream *weir__state_stream(const struct weir__state *state,
                                               uint64_t id)
{
    return weir__order_get(&state->streams, &id);
}

const struct weir__mstream *
weir__state_stream_named(const struct weir__state *state, const char *name)
{
    return weir__order_get(&state->names, name);
}

const struct weir__mstream *
weir__state_stream_after(const struct weir__state *state, const char *after)
{
    return weir__order_after(&state->names, after);
}

const struct weir__mstream *
weir__state_stream_behind(const struct weir__state *state, uint64_t id)
{
    return weir__order_after(&state->streams, &id);
}

uint64_t weir__state_next_stream(const struct weir__state *state)
{
    return state->next_stream;
}

uint64_t weir__state_stream_count(const struct weir__state *state)
{
    return state->streams.count;
}

const struct weir__extent *
weir__mstream_extent(const struct weir__mstream *stream, uint64_t offset)
{
    size_t low = 0;
    size_t high = stream->extent_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (stream->extents[middle].end > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low < stream->extent_count ? &stream->extents[low] : NULL;
}

const struct weir__mobject *weir__state_object(const struct weir__state *state,
                                               uint64_t id)
{
    return weir__order_get(&state->objects, &id);
}

uint64_t weir__state_object_count(const struct weir__state *state)
{
    return state->objects.count;
}

uint64_t weir__state_object_bytes(const struct weir__state *state)
{
    return state->object_bytes;
}

const struct weir__mdead *weir__state_dead(const struct weir__state *state,
                                           size_t *count)
{
    *count = state->dead_count;
    return state->dead;
}

const struct weir_kv_pair *weir__state_kv(const struct weir__state *state,
                                          const char *key)
{
    const struct weir__mkey *mkey = weir__order_get(&state->keys, key);

    return mkey != NULL ? &mkey->pair : NULL;
}

const struct weir_kv_pair *weir__state_kv_after(const struct weir__state *state,
                                                const char *after)
{
    const struct weir__mkey *mkey = weir__order_after(&state->keys, after);

    return mkey != NULL ? &mkey->pair : NULL;
}
