/* SPDX-License-Identifier: Apache-2.0 */
/* A stream goes from node to node, faster than those bring what they have into
 * objects: several owe a part of it.  They flush, close, crash or lose their
 * logs in each state. */
#include "sim/cluster_inside.h"

#include <stdlib.h>
#include <string.h>

enum { HOPS = 5 };

/** A flush under way, in the test's memory. */
struct flushing {
    struct weir_flush req;
    struct machine *machine;
    uint64_t ends[STREAMS]; /* Of the streams, when it was asked for. */
};

static void flush_done(struct weir_req *req, int status)
{
    struct flushing *f = req->ctx;
    struct machine *m = f->machine;

    cluster_check_status(m->cluster, "flush", status);
    if (status == 0)
        cluster_check_flushed(m, f->ends);
    cluster_forget_flush(m);
}

/* It is under way when something else happens. */
static void start_flush(struct machine *m)
{
    struct cluster *c = m->cluster;
    struct flushing *f;

    cluster_collect(c, NULL);
    if (m->flushing != NULL || (f = calloc(1, sizeof(*f))) == NULL)
        return;
    f->machine = m;
    f->req = (struct weir_flush){.req = {.done = flush_done, .ctx = f}};
    for (int s = 0; s < STREAMS; s++)
        f->ends[s] = c->tracks[s].end;
    m->flushing = f;
    c->result->operations++;
    if (weir_flush(m->node, &f->req) != 0)
        cluster_forget_flush(m);
}

void cluster_forget_flush(struct machine *m)
{
    free(m->flushing);
    m->flushing = NULL;
}

/* It flushes, closes or crashes, or goes on. */
static void do_some(struct machine *m)
{
    struct cluster *c = m->cluster;
    uint64_t dice = cluster_below(c, 10);

    if (m->node == NULL)
        return;
    if (dice < 4)
        start_flush(m);
    else if (dice == 4)
        (void)cluster_call(m, cluster_flush_program, 0, "flush");
    cluster_pass(c, cluster_below(c, 3) == 0 ? cluster_below(c, SECOND) : 0);
    dice = cluster_below(c, 12);
    if (dice == 0)
        cluster_stop(m);
    else if (dice == 1 && cluster_allows(c, FAULT_CRASH))
        cluster_crash(m);
}

/* It is asked to flush, and loses its log once it says that it has. */
static void lose_log(struct machine *m)
{
    if (m->node == NULL || (m->disks[1] == NULL && !m->soft) ||
        cluster_call(m, cluster_flush_program, 0, "flush") != 0 ||
        m->status != 0)
        return;
    cluster_crash(m);
    cluster_lose_disk(m);
}

/* 1 if the next one has the stream and has appended to it. */
static int hop(struct machine *m, struct machine *next, int s)
{
    struct cluster *c = m->cluster;

    if (m->streams[s] != NULL)
        cluster_give_away(m, s);
    do_some(m);
    if (m->node == NULL && cluster_below(c, 2) == 0)
        (void)cluster_call(next, cluster_takeover_program, (int)m->id - 1,
                           "take over");
    if (next->node == NULL || !cluster_is_free(c, s) ||
        cluster_call(next, cluster_open_program, s, "open") != 0 ||
        next->streams[s] == NULL)
        return 0;
    cluster_append_some(next, s);
    do_some(next);
    cluster_collect(c, NULL);
    return next->node != NULL && next->streams[s] != NULL;
}

void cluster_chain(struct machine *m, int s)
{
    struct cluster *c = m->cluster;
    struct machine *first = m;
    struct machine *last = NULL;
    uint64_t n = 1 + cluster_below(c, HOPS);

    cluster_append_some(m, s);
    for (; n > 0 && m->node != NULL; n--) {
        struct machine *next = cluster_another(m);

        if (last != NULL && last->node != NULL && !last->asleep &&
            !last->sick && last->id != m->id && cluster_below(c, 2) == 0)
            next = last; /* Back to who owes still. */
        if (next == NULL || !hop(m, next, s))
            break;
        last = m;
        m = next;
    }
    if (cluster_below(c, 3) == 0)
        lose_log(cluster_below(c, 2) == 0 ? m : first);
    cluster_collect(c, NULL);
}
