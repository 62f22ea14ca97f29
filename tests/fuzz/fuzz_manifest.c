/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A manifest commit is read and applied, or a snapshot is read: the first
 * byte says which.  The frame (magic, length, checksum) is made right, so that
 * what is behind it is reached; of the versions of the format, the input's if
 * there is such a one, else the newest.
 *
 * Whatever comes of it, the state can be written as a snapshot, and that
 * snapshot read and written again is the same, byte for byte.
 */
#include "manifest/state_inside.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Memory has an end: an input that reserves all the ids there may be must not
 * stop the fuzzer. */
#define MEMORY ((size_t)64 << 20)

struct heap {
    struct weir_alloc alloc;
    size_t left;
};

static void *heap_malloc(void *ctx, size_t size)
{
    struct heap *heap = ctx;

    if (size > heap->left)
        return NULL;
    heap->left -= size;
    return malloc(size);
}

static void *heap_realloc(void *ctx, void *ptr, size_t size)
{
    struct heap *heap = ctx;

    if (size > heap->left)
        return NULL;
    heap->left -= size;
    return realloc(ptr, size);
}

static void *heap_aligned(void *ctx, size_t align, size_t size)
{
    struct heap *heap = ctx;

    return size > heap->left ? NULL : aligned_alloc(align, size);
}

static void heap_free(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static void must(int condition)
{
    if (!condition)
        abort();
}

/* Write the state, read it, write it again: the same. */
static void check_state(const struct weir__state *state, struct heap *heap)
{
    struct weir__state *copy;
    struct weir__writer a;
    struct weir__writer b;
    int rc;

    weir__writer_init(&a, &heap->alloc);
    weir__writer_init(&b, &heap->alloc);
    heap->left = MEMORY;
    must(weir__state_encode(state, &a) == 0);
    rc = weir__state_decode(&copy, &heap->alloc, a.data, a.len,
                            weir__state_version(state), NULL);
    must(rc == 0);
    must(weir__state_encode(copy, &b) == 0);
    must(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    weir__state_free(copy);
    weir__writer_free(&a);
    weir__writer_free(&b);
}

/* Streams that are open and ids that are reserved, by node 1 in epoch 1. */
static struct weir__state *prepare(struct heap *heap)
{
    struct weir__record record = {
        .version = 1, .node_id = 1, .node_epoch = 1, .op_count = 6};
    struct weir__op ops[6];
    struct weir__state *state;

    memset(ops, 0, sizeof(ops));
    ops[0].kind = WEIR__OP_NODE_OPEN;
    ops[0].u.node_open.node_id = 1;
    ops[1].kind = WEIR__OP_STREAM_CREATE;
    ops[1].u.stream_create.name = "a";
    ops[2].kind = WEIR__OP_STREAM_CREATE;
    ops[2].u.stream_create.name = "b";
    ops[3].kind = WEIR__OP_STREAM_OPEN;
    ops[3].u.stream_open.id = 1;
    ops[4].kind = WEIR__OP_STREAM_OPEN;
    ops[4].u.stream_open.id = 2;
    ops[5].kind = WEIR__OP_OBJECT_RESERVE;
    ops[5].u.object_reserve.count = 16;
    must(weir__state_new(&state, &heap->alloc) == 0);
    must(weir__state_begin(state, &record, NULL) == 0);
    for (uint32_t i = 0; i < 6; i++)
        must(weir__state_op(state, &record, i, &ops[i]) == 0);
    weir__state_end(state, &record);
    return state;
}

static void frame(uint8_t *data, size_t size, uint32_t magic, uint16_t newest)
{
    uint16_t version = weir__get16(data + 4);

    weir__put32(data, magic);
    if (version == 0 || version > newest)
        version = newest;
    weir__put32(data + 4, version);
    if (magic == WEIR__COMMIT_MAGIC && size > WEIR__RECORD_HEADER)
        weir__put32(data + 12, (uint32_t)(weir__get32(data + 12) %
                                          (size - WEIR__RECORD_HEADER)));
    weir__manifest_seal(data, size);
}

static void run_carried(const uint8_t *data, size_t size, struct heap *heap)
{
    struct weir__record_reader r;
    struct weir_iov one;
    uint64_t version;
    size_t at = 0;

    while ((version = weir__record_carried(data, size, &at, &one)) != 0)
        if (weir__record_open(&r, &heap->alloc, one.data, one.len, version,
                              NULL, NULL) == 0)
            weir__record_close(&r);
}

static void run_commit(uint8_t *data, size_t size, struct heap *heap)
{
    struct weir__record_reader r;
    struct weir__state *state;
    struct weir__op op;
    uint32_t index = 0;
    int rc;

    if (size < WEIR__RECORD_HEADER)
        return;
    weir__put64(data + 40, 2);
    frame(data, size, WEIR__COMMIT_MAGIC, WEIR__COMMIT_VERSION);
    rc = weir__record_open(&r, &heap->alloc, data, size, 2, NULL, NULL);
    if (rc != 0)
        return;
    run_carried(data, size, heap);
    state = prepare(heap);
    must(weir__state_begin(state, &r.header, NULL) == 0);
    while ((rc = weir__record_next(&r, &op)) == 1) {
        rc = weir__state_op(state, &r.header, index++, &op);
        if (rc != 0)
            break;
    }
    must(rc == 0 || rc == WEIR_ENOMEM);
    weir__record_close(&r);
    if (rc == 0) {
        weir__state_end(state, &r.header);
        check_state(state, heap);
    }
    weir__state_free(state);
}

static void run_snapshot(uint8_t *data, size_t size, struct heap *heap)
{
    struct weir__state *state;

    if (size < WEIR__SNAPSHOT_HEADER)
        return;
    frame(data, size, WEIR__SNAPSHOT_MAGIC, WEIR__SNAPSHOT_VERSION);
    if (weir__state_decode(&state, &heap->alloc, data, size,
                           weir__get64(data + 40), NULL) != 0)
        return;
    check_state(state, heap);
    weir__state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heap heap = {
        .alloc = {.size = sizeof(struct weir_alloc),
                  .malloc = heap_malloc,
                  .realloc = heap_realloc,
                  .aligned = heap_aligned,
                  .free = heap_free},
        .left = MEMORY,
    };
    uint8_t *copy;

    if (size < 1)
        return 0;
    heap.alloc.ctx = &heap;
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data + 1, size - 1);
    if (data[0] % 2 == 0)
        run_commit(copy, size - 1, &heap);
    else
        run_snapshot(copy, size - 1, &heap);
    free(copy);
    return 0;
}
