/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Doubly linked lists whose nodes lie in what they link.
 */
#ifndef KAFKA_LIST_H
#define KAFKA_LIST_H

#include <stdbool.h>
#include <stddef.h>

/** A node, or the head of a list.  A node that is in no list links itself. */
struct list {
    struct list *next, *prev;
};

/** The struct of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member)                                        \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

/** Link `node` at the end of `list`. */
static inline void list_append(struct list *list, struct list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/** Unlink `node`, if it is linked. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/** Unlink and return the first node, or NULL. */
static inline struct list *list_pop(struct list *list)
{
    struct list *node = list->next;

    if (node == list)
        return NULL;
    list_remove(node);
    return node;
}

/** Move all of `from` to the end of `to`. */
static inline void list_take(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
