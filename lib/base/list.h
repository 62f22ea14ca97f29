/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Intrusive doubly linked list: a circle through a head.
 */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct weir__list {
    struct weir__list *next;
    struct weir__list *prev;
};

/** The struct of type `type` whose member `member` is at `ptr`. */
#define WEIR__CONTAINER(ptr, type, member)                                     \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void weir__list_init(struct weir__list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool weir__list_empty(const struct weir__list *head)
{
    return head->next == head;
}

/** Put `node` last. */
static inline void weir__list_push(struct weir__list *head,
                                   struct weir__list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/** Take `node` out; harmless a second time. */
static inline void weir__list_remove(struct weir__list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    weir__list_init(node);
}

/** Take the first out, or NULL. */
static inline struct weir__list *weir__list_pop(struct weir__list *head)
{
    struct weir__list *node = head->next;

    if (node == head)
        return NULL;
    weir__list_remove(node);
    return node;
}

#endif
