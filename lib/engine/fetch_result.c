/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fetch_result.h"

#include "base/alloc.h"

int weir__result_add(struct weir__fetch_result *result,
                     const struct weir_batch *batch)
{
    if (result->count == result->room) {
        size_t room = result->room == 0 ? 16 : result->room * 2;
        struct weir_batch *batches = weir__resize(
            result->alloc, result->batches, room, sizeof(*batches));

        if (batches == NULL)
            return WEIR_ENOMEM;
        result->batches = batches;
        result->room = room;
    }
    result->batches[result->count++] = *batch;
    result->bytes += batch->len;
    return 0;
}

static struct weir__hold *hold_new(struct weir__fetch_result *result)
{
    if (result->hold_count == result->hold_room) {
        size_t room = result->hold_room == 0 ? 4 : result->hold_room * 2;
        struct weir__hold *holds =
            weir__resize(result->alloc, result->holds, room, sizeof(*holds));

        if (holds == NULL)
            return NULL;
        result->holds = holds;
        result->hold_room = room;
    }
    result->holds[result->hold_count].buf = NULL;
    result->holds[result->hold_count].block = NULL;
    return &result->holds[result->hold_count++];
}

int weir__result_hold_buf(struct weir__fetch_result *result,
                          struct weir_buf *buf)
{
    struct weir__hold *hold;

    if (result->hold_count != 0 &&
        result->holds[result->hold_count - 1].buf == buf)
        return 0;
    hold = hold_new(result);
    if (hold == NULL)
        return WEIR_ENOMEM;
    hold->buf = weir_buf_ref(buf);
    return 0;
}

int weir__result_hold_block(struct weir__fetch_result *result,
                            struct weir__block *block)
{
    struct weir__hold *hold = hold_new(result);

    if (hold == NULL)
        return WEIR_ENOMEM;
    hold->block = weir__block_ref(block);
    return 0;
}

void weir__result_free(struct weir__fetch_result *result)
{
    const struct weir_alloc *alloc;

    if (result == NULL)
        return;
    alloc = result->alloc;
    for (size_t i = 0; i < result->hold_count; i++) {
        weir_buf_unref(result->holds[i].buf);
        if (result->holds[i].block != NULL)
            weir__block_unref(result->holds[i].block);
    }
    weir__free(alloc, result->holds);
    weir__free(alloc, result->batches);
    weir__free(alloc, result);
}
