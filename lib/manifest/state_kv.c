/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/state_inside.h"

#include "base/alloc.h"

#include <string.h>

/* A copy; of nothing too, for a value is never NULL. */
static void *copy_value(const struct weir__state *state, const void *value,
                        size_t len)
{
    void *copy = weir__malloc(state->alloc, len > 0 ? len : 1);

    if (copy != NULL && len > 0)
        memcpy(copy, value, len);
    return copy;
}

static void tell(const struct weir__state *state,
                 const struct weir_kv_pair *pair)
{
    if (state->changed != NULL)
        state->changed(state->changed_ctx, pair);
}

static void free_value(const struct weir__state *state, struct weir__mkey *key)
{
    weir__free(state->alloc, (void *)(uintptr_t)key->pair.value);
}

int weir__state_put_key(struct weir__state *state, const char *key,
                        const void *value, size_t len, uint64_t version,
                        uint32_t node_id)
{
    uint64_t id = node_id;
    struct weir__mnode *node = weir__order_get(&state->nodes, &id);
    size_t key_len = strlen(key);
    struct weir__mkey *mkey =
        weir__calloc(state->alloc, 1, sizeof(*mkey) + key_len + 1);

    if (mkey == NULL)
        return WEIR_ENOMEM;
    memcpy(mkey->key, key, key_len + 1);
    mkey->pair.key = mkey->key;
    mkey->pair.value = copy_value(state, value, len);
    mkey->pair.len = len;
    mkey->pair.version = version;
    if (mkey->pair.value == NULL ||
        weir__order_put(&state->keys, key, mkey) != 0) {
        free_value(state, mkey);
        weir__free(state->alloc, mkey);
        return WEIR_ENOMEM;
    }
    mkey->node_id = node != NULL ? node_id : 0;
    if (node != NULL)
        node->keys++;
    return 0;
}

/* The key goes with another node's epoch now, or with none. */
static void bind_key(struct weir__state *state, struct weir__mkey *mkey,
                     uint32_t node_id)
{
    uint64_t before = mkey->node_id;
    uint64_t after = node_id;
    struct weir__mnode *node = weir__order_get(&state->nodes, &before);

    if (node != NULL)
        node->keys--;
    node = weir__order_get(&state->nodes, &after);
    if (node != NULL)
        node->keys++;
    mkey->node_id = node != NULL ? node_id : 0;
}

static int change(struct weir__state *state, struct weir__mkey *mkey,
                  const struct weir__op *op)
{
    void *value = copy_value(state, op->u.kv_put.value, op->u.kv_put.len);

    if (value == NULL)
        return WEIR_ENOMEM;
    free_value(state, mkey);
    mkey->pair.value = value;
    mkey->pair.len = op->u.kv_put.len;
    mkey->pair.version = state->kv_version + 1;
    return 0;
}

static void drop(struct weir__state *state, struct weir__mkey *mkey)
{
    bind_key(state, mkey, 0);
    tell(state, &(struct weir_kv_pair){.key = mkey->key});
    weir__order_remove(&state->keys, mkey->key);
    free_value(state, mkey);
    weir__free(state->alloc, mkey);
}

void weir__state_drop_keys(struct weir__state *state, struct weir__mnode *node)
{
    struct weir__mkey *mkey = NULL;
    const char *after = "";

    while (node->keys > 0 &&
           (mkey = weir__order_after(&state->keys, after)) != NULL) {
        after = mkey->key;
        if (mkey->node_id != node->id)
            continue;
        drop(state, mkey);
        after = ""; /* Its key is gone: begin again. */
    }
}

static void tell_removed(const struct weir__state *state,
                         const struct weir__state *next)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mkey *mkey;

    while ((mkey = weir__order_next(&state->keys, &at)) != NULL)
        if (weir__order_get(&next->keys, mkey->key) == NULL)
            tell(state, &(struct weir_kv_pair){.key = mkey->key});
}

void weir__state_tell_keys(const struct weir__state *state,
                           const struct weir__state *next)
{
    struct weir__order_at at = {0, 0};
    const struct weir__mkey *mkey;
    const struct weir__mkey *before;

    if (state->changed == NULL)
        return;
    tell_removed(state, next);
    while ((mkey = weir__order_next(&next->keys, &at)) != NULL) {
        before = weir__order_get(&state->keys, mkey->key);
        if (before == NULL || before->pair.version != mkey->pair.version)
            tell(state, &mkey->pair);
    }
}

int weir__state_kv_put(struct weir__state *state, uint32_t node_id,
                       struct weir__op *op)
{
    uint32_t bound = op->u.kv_put.bound ? node_id : 0;
    const char *key = op->u.kv_put.key;
    struct weir__mkey *mkey = weir__order_get(&state->keys, key);
    uint64_t present = mkey != NULL ? mkey->pair.version : WEIR_KV_ABSENT;
    int rc;

    op->u.kv_put.version = present;
    if (op->u.kv_put.expected != WEIR_KV_ANY &&
        op->u.kv_put.expected != present) {
        op->status = WEIR_ECONFLICT;
        return 0;
    }
    if (op->u.kv_put.value == NULL) {
        if (mkey != NULL)
            drop(state, mkey);
        op->u.kv_put.version = 0;
        return 0;
    }
    rc = mkey != NULL ? change(state, mkey, op)
                      : weir__state_put_key(state, key, op->u.kv_put.value,
                                            op->u.kv_put.len,
                                            state->kv_version + 1, bound);
    if (rc != 0)
        return rc;
    op->u.kv_put.version = ++state->kv_version;
    mkey = weir__order_get(&state->keys, key);
    bind_key(state, mkey, bound);
    tell(state, &mkey->pair);
    return 0;
}
