/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timers.h"

/* `link` of a timer: its first child, its next sibling, and the one before
 * it (the sibling, or the parent of a first child). */
enum { CHILD, NEXT, BACK };

static int earlier(const struct weir_timer *a, const struct weir_timer *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->order < b->order;
}

/* Two trees into one. */
static struct weir_timer *meld(struct weir_timer *a, struct weir_timer *b)
{
    struct weir_timer *swap;

    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    if (earlier(b, a)) {
        swap = a;
        a = b;
        b = swap;
    }
    b->link[NEXT] = a->link[CHILD];
    if (b->link[NEXT] != NULL)
        b->link[NEXT]->link[BACK] = b;
    b->link[BACK] = a;
    a->link[CHILD] = b;
    return a;
}

/* A list of siblings into one tree: in pairs from the left, then the pairs
 * from the right.  No recursion, as the list can be long. */
static struct weir_timer *meld_all(struct weir_timer *list)
{
    struct weir_timer *pairs = NULL;
    struct weir_timer *tree = NULL;
    struct weir_timer *a;
    struct weir_timer *b;

    while (list != NULL) {
        a = list;
        b = a->link[NEXT];
        list = b != NULL ? b->link[NEXT] : NULL;
        a->link[NEXT] = NULL;
        if (b != NULL)
            b->link[NEXT] = NULL;
        a = meld(a, b);
        a->link[NEXT] = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        a = pairs;
        pairs = a->link[NEXT];
        a->link[NEXT] = NULL;
        tree = meld(tree, a);
    }
    if (tree != NULL)
        tree->link[BACK] = NULL;
    return tree;
}

void weir__timers_start(struct weir__timers *timers, struct weir_timer *timer)
{
    weir__timers_stop(timers, timer);
    timer->order = ++timers->order;
    timer->slot = 1;
    timers->first = meld(timers->first, timer);
}

void weir__timers_stop(struct weir__timers *timers, struct weir_timer *timer)
{
    struct weir_timer *back = timer->link[BACK];
    struct weir_timer *next = timer->link[NEXT];
    struct weir_timer *children;

    if (timer->slot == 0)
        return;
    children = meld_all(timer->link[CHILD]);
    if (back == NULL) {
        timers->first = children;
    } else {
        back->link[back->link[CHILD] == timer ? CHILD : NEXT] = next;
        if (next != NULL)
            next->link[BACK] = back;
        timers->first = meld(timers->first, children);
    }
    timer->link[CHILD] = NULL;
    timer->link[NEXT] = NULL;
    timer->link[BACK] = NULL;
    timer->slot = 0;
}

struct weir_timer *weir__timers_due(struct weir__timers *timers, uint64_t now,
                                    uint64_t order)
{
    struct weir_timer *first = timers->first;

    if (first == NULL || first->deadline > now || first->order > order)
        return NULL;
    weir__timers_stop(timers, first);
    return first;
}
