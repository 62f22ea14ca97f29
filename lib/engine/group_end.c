/* SPDX-License-Identifier: Apache-2.0 */
/* How a group's write ended, told to its appends. */
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/fetch.h"
#include "engine/group_inside.h"
#include "engine/handover.h"
#include "engine/upload.h"

/* Acknowledge one append of a durable group. */
static void acknowledge(struct weir_append *req, struct weir__list *woken)
{
    struct weir_stream *s = weir__append_stream(req);
    struct weir_stats *stats = &s->node->stats;

    if (weir__append_lost(req) || s->node->commits.forsaken)
        return;
    s->durable = req->base_offset + req->count;
    weir__stream_pending(s, req->len);
    stats->appends++;
    stats->append_bytes += req->len;
    if (s->woken_link.next == &s->woken_link)
        weir__list_push(woken, &s->woken_link);
}

/* What an append whose group is durable ends with. */
static int ack_status(const struct weir_append *req)
{
    if (!weir__append_lost(req))
        return weir__append_stream(req)->node->commits.forsaken ? WEIR_EUNKNOWN
                                                                : 0;
    if (weir__append_stream(req)->failed == WEIR_ENOENT)
        return WEIR_ENOENT;
    return WEIR_EUNKNOWN; /* The new owner may have found it. */
}

void weir__group_acknowledge(struct weir__group *g)
{
    struct weir *node = g->node;
    struct weir_append *req, *next;
    struct weir__list woken, *at;

    weir__list_init(&woken);
    for (req = g->first; req != NULL; req = weir__append_next(req))
        acknowledge(req, &woken);
    for (at = woken.next; at != &woken; at = at->next)
        weir__stream_publish(
            WEIR__CONTAINER(at, struct weir_stream, woken_link));
    for (req = g->first; req != NULL; req = next) {
        next = weir__append_next(req);
        weir__append_end(req, ack_status(req));
    }
    while ((at = weir__list_pop(&woken)) != NULL)
        weir__fetch_wake(WEIR__CONTAINER(at, struct weir_stream, woken_link));
    weir__group_drop(g);
    weir__upload_look(node);
    weir__append_retry(node);
    weir__handover_look(node);
}

/* Take an append's offset back: the newest of its stream. */
static void withdraw(struct weir_append *req)
{
    struct weir_stream *s = weir__append_stream(req);
    struct weir__entry *entry;

    if (weir__append_lost(req) || s->entries.count == 0)
        return;
    entry = weir__entries_at(&s->entries, s->entries.count - 1);
    if (entry->base < s->durable)
        return;
    entry->segment->pending--;
    s->entries.count--;
}

/* Take the offsets of `g`'s appends back.  What is before them stays, also if
 * it is durable and waits for the lease. */
static void group_withdraw(struct weir__group *g)
{
    struct weir_append *req;

    for (req = g->first; req != NULL; req = weir__append_next(req))
        withdraw(req);
    for (req = g->first; req != NULL; req = weir__append_next(req)) {
        struct weir_stream *s = weir__append_stream(req);

        if (!weir__append_lost(req) && req->base_offset < s->next)
            s->next = req->base_offset;
    }
}

static void end_failed(struct weir__group *g, int status)
{
    struct weir_append *req, *next;

    for (req = g->first; req != NULL; req = next) {
        next = weir__append_next(req);
        weir__error_copy(req->req.err, &g->error);
        weir__append_end(req, status);
    }
    weir__group_drop(g);
}

void weir__group_fail(struct weir *node)
{
    struct weir__commit_queue *q = &node->commits;
    struct weir__group *first =
        WEIR__CONTAINER(q->lost.next, struct weir__group, link);
    struct weir__list failed, *at;
    struct weir_error error = first->error;
    int status = first->status;
    int later = status;

    weir__log(node->host.log, WEIR_LOG_ERROR, "node %u: appends fail: %s",
              node->id, error.text);
    if (status == WEIR_EUNKNOWN || status == WEIR_EPOISONED ||
        status == WEIR_EFENCED) {
        WEIR__SOMETIMES_IF(status == WEIR_EUNKNOWN,
                           "the outcome of a write to the log is unknown");
        q->poisoned = 1;
        q->unsure = status == WEIR_EUNKNOWN &&
                    (node->wal->flags & WEIR_WAL_SELF_FENCING) != 0;
        later = WEIR_EPOISONED;
    }
    if (q->open != NULL)
        weir__group_close(node);
    q->position = first->position;
    q->tail = 0;
    node->cache.current = NULL;
    weir__list_init(&failed);
    while ((at = weir__list_pop(&q->lost)) != NULL)
        weir__list_push(&failed, at);
    while ((at = weir__list_pop(&q->groups)) != NULL) {
        struct weir__group *never =
            WEIR__CONTAINER(at, struct weir__group, link);

        never->status = later; /* It was not even sent. */
        never->error = error;
        weir__list_push(&failed, at);
    }
    for (at = failed.prev; at != &failed; at = at->prev)
        group_withdraw(WEIR__CONTAINER(at, struct weir__group, link));
    while ((at = weir__list_pop(&failed)) != NULL) {
        struct weir__group *each =
            WEIR__CONTAINER(at, struct weir__group, link);

        end_failed(each, each->status);
    }
    weir__append_retry(node);
    weir__handover_look(node);
}
