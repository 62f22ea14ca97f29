/* SPDX-License-Identifier: Apache-2.0 */
/* Groups go to the log: when, how many at once, and what it may forget. */
#include "base/error.h"
#include "base/sometimes.h"
#include "engine/group_inside.h"
#include "engine/lease.h"

/* A group is large when it has this part of the bytes that it may have; and has
 * stopped to grow after this part of the time that it may linger. */
#define LARGE_PART 8
#define QUIET_PART 16

static void write_next(struct weir *node);

static void write_done(struct weir_wal_write *write, int status)
{
    struct weir__group *g = write->ctx;
    struct weir *node = g->node;
    struct weir__commit_queue *q = &node->commits;

    q->writing--;
    weir__list_remove(&g->link);
    g->status = status;
    if (status != 0 || !weir__list_empty(&q->lost)) {
        weir__fail_status(&g->error, status);
        weir__list_push(&q->lost, &g->link);
        if (q->writing == 0)
            weir__group_fail(node);
    } else {
        q->durable = g->position + write->len;
        node->stats.wal_writes++;
        node->stats.wal_bytes += write->len;
        write_next(node);
        weir__list_push(&q->held, &g->link);
        WEIR__SOMETIMES_IF(!weir__lease_holds(node),
                           "what is durable waits for the lease");
        weir__group_release(node);
    }
    weir__close_step(node);
}

static void write_start(struct weir *node, struct weir__group *g)
{
    struct weir__commit_queue *q = &node->commits;

    weir__list_remove(&g->link);
    weir__list_push(&q->flying, &g->link);
    q->writing++;
    g->write.position = g->position;
    g->write.iov = g->iov;
    g->write.iov_count = g->pieces;
    for (size_t i = 0; i < g->pieces; i++)
        g->write.len += g->iov[i].len;
    g->write.crc32c = g->summed ? &g->sum : NULL;
    g->write.done = write_done;
    g->write.ctx = g;
    g->write.err = &g->error;
    node->wal->ops->write(node->wal, &g->write);
}

/* When a group that began under load is not worth waiting for any more, though
 * none is in flight: while it grows so fast that it will be large before it has
 * lingered, and does not stop to grow, as it does when all callers wait. */
static uint64_t worth_until(const struct weir *node, uint64_t now)
{
    const struct weir__commit_queue *q = &node->commits;
    uint64_t linger = node->wal->linger;
    uint64_t size = q->position - q->open->position;
    uint64_t large = node->wal->group_bytes / LARGE_PART;
    uint64_t age = now - q->open->since;

    if (!q->open->loaded || size * (linger / 1000) < large * (age / 1000))
        return 0;
    return q->grown + linger / QUIET_PART;
}

/* When the open group is to be written. */
static uint64_t ripe_at(const struct weir *node, uint64_t now)
{
    const struct weir__commit_queue *q = &node->commits;
    uint64_t due = q->open->since + node->wal->linger;
    uint64_t worth;

    if (!weir__node_is_open(node))
        return 0;
    if (q->writing == 0) {
        worth = worth_until(node, now);
        due = worth < due ? worth : due;
    }
    return due > node->wal->not_before ? due : node->wal->not_before;
}

static void linger_until(struct weir *node, uint64_t deadline)
{
    struct weir_env *env = node->host.env;
    struct weir_timer *timer = &node->commits.linger;

    if (timer->slot != 0 && timer->deadline == deadline)
        return;
    env->ops->timer_stop(env, timer);
    timer->deadline = deadline;
    env->ops->timer_start(env, timer);
}

/* 1 if the group is to be written now, or else the time is noted. */
static int is_ripe(struct weir *node, int closed)
{
    struct weir_env *env = node->host.env;
    uint64_t now = env->ops->now(env);
    uint64_t due = closed ? node->wal->not_before : ripe_at(node, now);

    if (node->wal->depth <= 1 || due <= now || !weir__node_is_open(node))
        return 1;
    linger_until(node, due);
    return 0;
}

/* Write the oldest closed group, or close the open one and write that; as many
 * as may be in flight. */
static void write_next(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;

    while (q->writing < weir__group_depth(node) && weir__list_empty(&q->lost)) {
        if (weir__list_empty(&q->groups)) {
            if (q->open == NULL)
                return;
            if (q->open->pieces == 0) {
                weir__group_drop(q->open);
                q->open = NULL;
                return;
            }
            if (!is_ripe(node, 0))
                return;
            weir__group_close(node);
        } else if (!is_ripe(node, 1)) {
            return;
        }
        write_start(node,
                    WEIR__CONTAINER(q->groups.next, struct weir__group, link));
    }
}

void weir__group_hurry(struct weir *node)
{
    if (node->wal != NULL && node->recovered)
        write_next(node);
}

void weir__group_linger_over(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, commits.linger);

    write_next(node);
}

void weir__group_kick(struct weir_task *task)
{
    struct weir *node = WEIR__CONTAINER(task, struct weir, commits.kick);

    node->commits.kick_posted = 0;
    node->commits.grown = node->host.env->ops->now(node->host.env);
    write_next(node);
    weir__close_step(node);
}

/* What no one needs ends where something waits for its upload, or where a
 * damaged record lies: it is the only trace of what was acknowledged there,
 * until the stream is trimmed past it. */
static uint64_t needed_from(struct weir *node)
{
    uint64_t needed =
        weir__log_cache_needed(&node->cache, node->commits.durable);
    const struct weir_stream *s;
    size_t at = 0;

    if (!node->damage)
        return needed;
    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        if (s->damaged != WEIR_OFFSET_END && s->damaged_at < needed)
            needed = s->damaged_at;
    return needed;
}

void weir__group_trim(struct weir *node)
{
    uint64_t needed;

    if (node->wal == NULL)
        return;
    needed = needed_from(node);
    if (needed > node->wal->begin)
        node->wal->ops->trim(node->wal, needed);
    weir__append_retry(node);
}
/* Durable is not enough where the log may be another node's by now. */
void weir__group_release(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__list *at;

    while (!weir__list_empty(&q->held) && weir__lease_holds(node)) {
        at = weir__list_pop(&q->held);
        weir__group_acknowledge(WEIR__CONTAINER(at, struct weir__group, link));
    }
    weir__close_step(node);
}
