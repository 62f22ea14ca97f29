/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "sim/world.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* What one message takes, typically: as long as a sync. */
#define TYPICAL (200 * SIM_US)

/* On its way; in the world's memory. */
struct sim_message {
    struct weir__list link; /* In the world's `messages`. */
    struct weir_sim_node *to;
    uint32_t from;
    bool arrived; /* The target has a task to run. */
    size_t len;
    struct weir_timer timer;
    struct weir_task task;
    _Alignas(16) unsigned char data[];
};

/* A way that is cut; in the world's memory. */
struct sim_cut {
    struct weir__list link; /* In the world's `cuts`. */
    uint32_t from;
    uint32_t to;
};

static struct sim_cut *find_cut(const struct weir_sim *sim, uint32_t from,
                                uint32_t to)
{
    struct weir__list *at = sim->cuts.next;

    for (; at != &sim->cuts; at = at->next) {
        struct sim_cut *cut = WEIR__CONTAINER(at, struct sim_cut, link);

        if (cut->from == from && cut->to == to)
            return cut;
    }
    return NULL;
}

static void cut_free(struct weir_sim *sim, struct sim_cut *cut)
{
    weir__list_remove(&cut->link);
    weir__free(sim->alloc, cut);
}

static void message_free(struct sim_message *m)
{
    struct weir_sim *sim = m->to->sim;

    weir__list_remove(&m->link);
    weir_sim_cancel(sim, &m->timer);
    weir__free(sim->alloc, m);
}

/* In the target's core. */
static void hand_over(struct weir_task *task)
{
    struct sim_message *m = WEIR__CONTAINER(task, struct sim_message, task);
    struct weir_sim_node *to = m->to;

    /* The target may crash in its callback: that leaves this one here. */
    m->arrived = false;
    if (to->receive != NULL)
        to->receive(to->receive_ctx, m->from, m->data, m->len);
    message_free(m);
}

static void arrive(struct weir_timer *timer)
{
    struct sim_message *m = WEIR__CONTAINER(timer, struct sim_message, timer);
    struct weir_sim_node *to = m->to;
    bool cut = find_cut(to->sim, m->from, to->id) != NULL;
    bool nobody = to->receive == NULL; /* As of each node that is down. */

    weir_sim_trace(to->sim, "message %" PRIu32 " > %" PRIu32 " %zu%s", m->from,
                   to->id, m->len,
                   cut      ? " (cut)"
                   : nobody ? " (nobody there)"
                            : "");
    if (cut || nobody) {
        message_free(m);
        return;
    }
    m->arrived = true;
    to->env.ops->post(&to->env, &m->task);
}

static int send_one(const struct weir_sim_node *from, struct weir_sim_node *to,
                    const void *data, size_t len)
{
    struct weir_sim *sim = to->sim;
    uint64_t typical = TYPICAL;
    struct sim_message *m = NULL;

    if (len <= SIZE_MAX - sizeof(*m))
        m = weir__malloc(sim->alloc, sizeof(*m) + len);
    if (m == NULL)
        return WEIR_ENOMEM;
    memset(m, 0, sizeof(*m));
    m->to = to;
    m->from = from->id;
    m->len = len;
    if (len > 0)
        memcpy(m->data, data, len);
    if (SIM_FAULT(sim, &sim->message_random, message_late))
        typical = 5 * SIM_SECOND;
    m->timer.fire = arrive;
    m->timer.deadline =
        sim->now + weir__sim_random_time(&sim->message_random, typical);
    m->task.run = hand_over;
    weir__list_push(&sim->messages, &m->link);
    weir_sim_at(sim, &m->timer);
    return 0;
}

int weir_sim_send(struct weir_sim_node *from, struct weir_sim_node *to,
                  const void *data, size_t len)
{
    struct weir_sim *sim = to->sim;
    int rc;

    if (from->sim != sim || (data == NULL && len > 0))
        return WEIR_EINVAL;
    if (!from->up)
        return WEIR_ECANCELED;
    if (find_cut(sim, from->id, to->id) != NULL ||
        SIM_FAULT(sim, &sim->message_random, message_lost)) {
        weir_sim_trace(sim, "message %" PRIu32 " > %" PRIu32 " %zu (lost)",
                       from->id, to->id, len);
        return 0;
    }
    rc = send_one(from, to, data, len);
    if (rc == 0 && SIM_FAULT(sim, &sim->message_random, message_twice))
        rc = send_one(from, to, data, len);
    return rc;
}

void weir_sim_receive(struct weir_sim_node *node, weir_sim_receive_fn *fn,
                      void *ctx)
{
    node->receive = node->up ? fn : NULL;
    node->receive_ctx = ctx;
}

int weir_sim_cut_link(struct weir_sim_node *from, struct weir_sim_node *to)
{
    struct weir_sim *sim = to->sim;
    struct sim_cut *cut;

    if (from->sim != sim)
        return WEIR_EINVAL;
    if (find_cut(sim, from->id, to->id) != NULL)
        return 0;
    cut = weir__calloc(sim->alloc, 1, sizeof(*cut));
    if (cut == NULL)
        return WEIR_ENOMEM;
    cut->from = from->id;
    cut->to = to->id;
    weir__list_push(&sim->cuts, &cut->link);
    weir_sim_trace(sim, "link %" PRIu32 " > %" PRIu32 " is cut", from->id,
                   to->id);
    return 0;
}

void weir_sim_heal_link(struct weir_sim_node *from, struct weir_sim_node *to)
{
    struct weir_sim *sim = to->sim;
    struct sim_cut *cut = find_cut(sim, from->id, to->id);

    if (from->sim != sim || cut == NULL)
        return;
    cut_free(sim, cut);
    weir_sim_trace(sim, "link %" PRIu32 " > %" PRIu32 " is healed", from->id,
                   to->id);
}

void weir__sim_messages_crash(struct weir_sim_node *node)
{
    struct weir__list *at = node->sim->messages.next;

    while (at != &node->sim->messages) {
        struct sim_message *m = WEIR__CONTAINER(at, struct sim_message, link);

        at = at->next;
        if (m->to == node && m->arrived)
            message_free(m);
    }
}

void weir__sim_messages_free(struct weir_sim *sim)
{
    while (!weir__list_empty(&sim->messages))
        message_free(
            WEIR__CONTAINER(sim->messages.next, struct sim_message, link));
    while (!weir__list_empty(&sim->cuts))
        cut_free(sim, WEIR__CONTAINER(sim->cuts.next, struct sim_cut, link));
}
