/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "sim/world.h"

/* In front of each block, so that a crash finds them all. */
struct sim_block {
    struct weir__list node; /* In `blocks`. */
    void *base;             /* What the allocator gave. */
    size_t size;
};

enum { ALIGN = 16 };

static struct sim_block *block_of(void *ptr)
{
    return (struct sim_block *)ptr - 1;
}

static void *take(struct weir_sim_node *node, size_t align, size_t size)
{
    size_t room = sizeof(struct sim_block) + align + ALIGN;
    struct sim_block *block;
    unsigned char *base;
    uintptr_t at;

    if (size > SIZE_MAX - room ||
        SIM_FAULT(node->sim, &node->memory_random, memory))
        return NULL;
    base = weir__malloc(node->sim->alloc, size + room);
    if (base == NULL)
        return NULL;
    at = (uintptr_t)base + sizeof(struct sim_block);
    at = (uintptr_t)weir__round_up(at, align < ALIGN ? ALIGN : align);
    block = block_of(base + (at - (uintptr_t)base));
    block->base = base;
    block->size = size;
    weir__list_push(&node->blocks, &block->node);
    node->bytes += size;
    node->block_count++;
    return block + 1;
}

static void give_back(struct weir_sim_node *node, struct sim_block *block)
{
    weir__list_remove(&block->node);
    node->bytes -= block->size;
    node->block_count--;
    weir__free(node->sim->alloc, block->base);
}

static void *sim_malloc(void *ctx, size_t size)
{
    return take(ctx, ALIGN, size);
}

static void *sim_aligned(void *ctx, size_t align, size_t size)
{
    return take(ctx, align, size);
}

static void sim_free(void *ctx, void *ptr)
{
    if (ptr != NULL)
        give_back(ctx, block_of(ptr));
}

/* Always moves, which finds those who keep the old address. */
static void *sim_realloc(void *ctx, void *ptr, size_t size)
{
    void *moved = take(ctx, ALIGN, size);
    size_t old = ptr != NULL ? block_of(ptr)->size : 0;

    if (moved != NULL && ptr != NULL) {
        memcpy(moved, ptr, old < size ? old : size);
        sim_free(ctx, ptr);
    }
    return moved;
}

void weir__sim_memory_init(struct weir_sim_node *node)
{
    weir__list_init(&node->blocks);
    node->alloc = (struct weir_alloc){
        .size = sizeof(struct weir_alloc),
        .malloc = sim_malloc,
        .realloc = sim_realloc,
        .aligned = sim_aligned,
        .free = sim_free,
        .ctx = node,
    };
}

void weir__sim_memory_free(struct weir_sim_node *node)
{
    while (!weir__list_empty(&node->blocks))
        give_back(node,
                  WEIR__CONTAINER(node->blocks.next, struct sim_block, node));
}

const struct weir_alloc *weir_sim_alloc(struct weir_sim_node *node)
{
    return &node->alloc;
}

size_t weir_sim_bytes(const struct weir_sim_node *node)
{
    return node->bytes;
}

size_t weir_sim_blocks(const struct weir_sim_node *node)
{
    return node->block_count;
}
