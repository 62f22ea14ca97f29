/* SPDX-License-Identifier: Apache-2.0 */
#include "takeovers.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "log.h"
#include "turn.h"

#define PAGE 64u

/** A node that was found dead. */
struct dead {
    struct list link;
    struct takeovers *takeovers;
    uint32_t node_id;
    struct turn turn;
    bool taking;
    struct weir_takeover request;
    struct weir_error error;
};

void takeovers_init(struct takeovers *takeovers, struct broker *broker)
{
    memset(takeovers, 0, sizeof(*takeovers));
    takeovers->broker = broker;
    list_init(&takeovers->dead);
    takeovers->page = calloc(PAGE, sizeof(*takeovers->page));
}

void takeovers_free(struct takeovers *takeovers)
{
    struct list *node = takeovers->dead.next;

    while (node != NULL && node != &takeovers->dead) { /* NULL: not begun. */
        struct dead *dead = container_of(node, struct dead, link);

        node = node->next;
        free(dead);
    }
    free(takeovers->page);
}

/* ---- Taking over --------------------------------------------------------- */

static void taken(struct weir_req *req, int status)
{
    struct dead *dead = req->ctx;
    const struct weir_takeover *request = &dead->request;

    dead->taking = false;
    dead->takeovers->taking--;
    dead->takeovers->broker->pending--;
    if (status != 0) {
        log_line(WEIR_LOG_WARN, "%s", dead->error.text);
        return;
    }
    log_line(WEIR_LOG_INFO,
             "took over server %u: %llu partitions, %llu batches of its log",
             dead->node_id, (unsigned long long)request->streams,
             (unsigned long long)request->batches);
}

static void take(struct dead *dead)
{
    struct takeovers *takeovers = dead->takeovers;
    struct weir_takeover *request = &dead->request;

    turn_tried(&dead->turn, takeovers->ticks);
    memset(request, 0, sizeof(*request));
    request->req.done = taken;
    request->req.ctx = dead;
    request->req.err = &dead->error;
    request->node_id = dead->node_id;
    if (weir_takeover(takeovers->broker->node, request) != 0)
        return;
    dead->taking = true;
    takeovers->taking++;
    takeovers->broker->pending++;
}

static void take_those_due(struct takeovers *takeovers)
{
    struct list *node = takeovers->dead.next;

    for (; node != &takeovers->dead; node = node->next) {
        struct dead *dead = container_of(node, struct dead, link);

        if (takeovers->taking == TAKEOVERS_MOST)
            return;
        if (!dead->taking && dead->turn.round == takeovers->round &&
            turn_due(&dead->turn, takeovers->rank, takeovers->ticks))
            take(dead);
    }
}

/* ---- Who is dead --------------------------------------------------------- */

/* 1 if the node left something that another one has to care for. */
static bool is_left(const struct weir_member *member)
{
    return member->life == WEIR_NODE_LAPSED ||
           (member->life == WEIR_NODE_CLOSED && !member->wal_clean);
}

/* The entry of a node, made if it is new; NULL without memory. */
static struct dead *dead_of(struct takeovers *takeovers, uint32_t node_id)
{
    struct list *node = takeovers->dead.next;
    struct dead *dead;

    for (; node != &takeovers->dead; node = node->next) {
        dead = container_of(node, struct dead, link);
        if (dead->node_id == node_id)
            return dead;
    }
    dead = calloc(1, sizeof(*dead));
    if (dead == NULL)
        return NULL;
    dead->takeovers = takeovers;
    dead->node_id = node_id;
    list_append(&takeovers->dead, &dead->link);
    return dead;
}

/* Only a server takes over: a program's node, without a lease, is live for
 * ever, though the program was killed. */
static void look_at(struct takeovers *takeovers,
                    const struct weir_member *member)
{
    const struct broker *broker = takeovers->broker;
    struct dead *dead;

    if (member->life == WEIR_NODE_LIVE &&
        member->node_id < (uint32_t)broker->node_id &&
        cluster_knows(&broker->cluster, member->node_id))
        takeovers->rank++;
    if (!is_left(member))
        return;
    dead = dead_of(takeovers, member->node_id);
    if (dead != NULL)
        turn_dead(&dead->turn, member->epoch, takeovers->round,
                  takeovers->ticks);
}

static void list_behind(struct takeovers *takeovers, uint32_t after);

static void listed(struct weir_req *req, int status)
{
    struct takeovers *takeovers = req->ctx;
    const struct weir_node_list *list = &takeovers->list;
    size_t i;

    takeovers->listing = false;
    takeovers->broker->pending--;
    if (status != 0 || takeovers->broker->stopping)
        return;
    for (i = 0; i < list->count; i++)
        look_at(takeovers, &takeovers->page[i]);
    if (list->more && list->count > 0)
        list_behind(takeovers, takeovers->page[list->count - 1].node_id);
    else
        take_those_due(takeovers);
}

static void list_behind(struct takeovers *takeovers, uint32_t after)
{
    struct weir_node_list *list = &takeovers->list;

    memset(list, 0, sizeof(*list));
    list->req.done = listed;
    list->req.ctx = takeovers;
    list->after = after;
    list->out = takeovers->page;
    list->limit = PAGE;
    if (weir_node_list(takeovers->broker->node, list) != 0)
        return;
    takeovers->listing = true;
    takeovers->broker->pending++;
}

void takeovers_tick(struct takeovers *takeovers, bool ask)
{
    takeovers->ticks++;
    if (!ask || takeovers->listing || takeovers->page == NULL)
        return;
    takeovers->rank = 0;
    takeovers->round++;
    list_behind(takeovers, 0);
}
