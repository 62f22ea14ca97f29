/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulated store tells of keys that were created: a hint, and a bad
 * one. */
#include "base/alloc.h"
#include "sim/world.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/** A watch of a node; in the world's memory. */
struct sim_watch {
    struct weir__list link; /* In the world's `watches`. */
    struct weir_sim_node *node;
    struct weir_store_watch *user;
    struct weir_timer timer; /* Until it tells. */
    struct weir_task task;   /* Tells, in the node's core. */
    bool posted;
    bool ended;     /* Free it when the task has run. */
    unsigned times; /* To be told. */
    char key[WEIR_STORE_KEY_MAX + 1];
};

static bool one_in(struct sim_watch *w, uint64_t n)
{
    return weir__sim_random_below(&w->node->sim->watch_random, n) == 0;
}

static void watch_free(struct sim_watch *w)
{
    struct weir_sim *sim = w->node->sim;

    weir__list_remove(&w->link);
    weir_sim_cancel(sim, &w->timer);
    weir__free(sim->alloc, w);
}

static void plan(struct sim_watch *w)
{
    struct weir_sim *sim = w->node->sim;
    uint64_t typical = one_in(w, 8) ? 2 * SIM_SECOND : 4 * SIM_MS;

    if (w->posted || w->timer.slot != 0)
        return;
    w->timer.deadline =
        sim->now + weir__sim_random_time(&sim->watch_random, typical);
    weir_sim_at(sim, &w->timer);
}

/* Now and then it breaks for a while, and who watches is told that; then, and
 * when it is whole again, nobody knows what has come. */
static void tell(struct weir_task *task)
{
    struct sim_watch *w = WEIR__CONTAINER(task, struct sim_watch, task);
    bool was_live;

    w->posted = false;
    if (w->ended) {
        watch_free(w);
        return;
    }
    was_live = w->user->live != 0;
    w->user->live = was_live ? !one_in(w, 16) : 1;
    if (!w->user->live)
        w->times = 2;
    weir_sim_trace(w->node->sim, "node %" PRIu32 " told of %s", w->node->id,
                   was_live && w->user->live ? w->key : "what it may miss");
    if (--w->times > 0)
        plan(w);
    w->user->changed(w->user, was_live && w->user->live ? w->key : NULL);
}

static void tell_soon(struct weir_timer *timer)
{
    struct sim_watch *w = WEIR__CONTAINER(timer, struct sim_watch, timer);

    w->posted = true;
    w->node->env.ops->post(&w->node->env, &w->task);
}

void weir__sim_watch_tell(struct weir_sim *sim, const char *key)
{
    struct weir__list *at = sim->watches.next;

    for (; at != &sim->watches; at = at->next) {
        struct sim_watch *w = WEIR__CONTAINER(at, struct sim_watch, link);

        if (w->ended || w->node->cut != 0 ||
            strncmp(key, w->user->prefix, strlen(w->user->prefix)) != 0)
            continue;
        if (!SIM_FAULT(sim, &sim->watch_random, store_tells))
            continue;
        /* Of several that come meanwhile the last is told of. */
        snprintf(w->key, sizeof(w->key), "%s", key);
        w->times = one_in(w, 8) ? 2 : 1;
        plan(w);
    }
}

int weir__sim_watch(struct weir_sim_node *node, struct weir_store_watch *user)
{
    struct weir_sim *sim = node->sim;
    struct sim_watch *w;

    if (sim->faults.store_tells == 0)
        return WEIR_EUNSUPPORTED;
    w = weir__calloc(sim->alloc, 1, sizeof(*w));
    if (w == NULL)
        return WEIR_ENOMEM;
    w->node = node;
    w->user = user;
    w->timer.fire = tell_soon;
    w->task.run = tell;
    w->times = 1;
    weir__list_push(&sim->watches, &w->link);
    plan(w);
    return 0;
}

void weir__sim_unwatch(struct weir_sim_node *node,
                       struct weir_store_watch *user)
{
    struct weir__list *at = node->sim->watches.next;

    for (; at != &node->sim->watches; at = at->next) {
        struct sim_watch *w = WEIR__CONTAINER(at, struct sim_watch, link);

        if (w->node != node || w->user != user || w->ended)
            continue;
        w->ended = true;
        w->user = NULL;
        if (!w->posted)
            watch_free(w);
        return;
    }
}

void weir__sim_watch_crash(struct weir_sim_node *node)
{
    struct weir__list *at = node->sim->watches.next;

    while (at != &node->sim->watches) {
        struct sim_watch *w = WEIR__CONTAINER(at, struct sim_watch, link);

        at = at->next;
        if (w->node == node)
            watch_free(w);
    }
}

void weir__sim_watch_free(struct weir_sim *sim)
{
    while (!weir__list_empty(&sim->watches))
        watch_free(WEIR__CONTAINER(sim->watches.next, struct sim_watch, link));
}
