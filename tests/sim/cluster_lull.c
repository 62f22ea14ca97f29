/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing fails for a while, in the middle of a run: what must come to an end
 * then does, and what is left in order is free. */
#include "sim/cluster_inside.h"

#include <inttypes.h>
#include <stdlib.h>

/* Closes in order, of which one at least is told of in time. */
enum { ROUNDS = 5 };

/** A fetch that waits at the end of a stream, in the test's memory. */
struct waiting {
    struct weir_fetch fetch;
    struct machine *machine;
    int stream;
};

/* ---- Who waits is woken -------------------------------------------------- */

static void waiting_done(struct weir_req *req, int status)
{
    struct waiting *w = req->ctx;
    struct machine *m = w->machine;

    cluster_check_status(m->cluster, "wait", status);
    m->cluster->reader = m;
    if (status == 0)
        cluster_check_batches(m->cluster, w->stream, w->fetch.offset,
                              &w->fetch);
    if (status == 0)
        weir_fetch_release(&w->fetch);
    free(w);
    m->waiting = NULL;
}

/* At the end of a stream, until there is more. */
static void wait_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_stream_stat stat = {0};
    struct waiting *w = calloc(1, sizeof(*w));

    if (w == NULL)
        abort();
    m->status = weir_stream_stat(m->streams[m->arg], &stat);
    w->machine = m;
    w->stream = m->arg;
    w->fetch = (struct weir_fetch){.req = {.done = waiting_done, .ctx = w},
                                   .offset = stat.end,
                                   .max_bytes = 1 << 16,
                                   .min_bytes = 1,
                                   .max_wait = WEIR_FOREVER};
    if (m->status == 0)
        m->status = weir_fetch(m->streams[m->arg], &w->fetch);
    if (m->status == 0)
        m->waiting = w;
    else
        free(w);
}

void cluster_forget_waiting(struct machine *m)
{
    free(m->waiting);
    m->waiting = NULL;
}

/* Its stream goes to another one, which appends to it. */
static void wait_while_it_goes(struct machine *m, struct machine *other, int s)
{
    struct cluster *c = m->cluster;
    uint64_t end;

    if (m->waiting != NULL || cluster_call(m, wait_program, s, "wait") != 0 ||
        m->status != 0)
        return;
    cluster_give_away(m, s);
    if (m->status != 0 ||
        cluster_call(other, cluster_open_program, s, "open") != 0 ||
        other->streams[s] == NULL)
        return;
    end = c->tracks[s].end;
    cluster_append_some(other, s);
    cluster_pass(c, 60 * SECOND);
    cluster_collect(c, NULL);
    if (m->waiting != NULL && c->tracks[s].end > end && m->node != NULL)
        cluster_breach(c,
                       "stream %d: node %u waits for what is behind its end, "
                       "and %" PRIu64 " was acknowledged a minute ago",
                       s, (unsigned)m->id, c->tracks[s].end - 1);
}

/* ---- Who ends in order has left its streams ------------------------------ */

/* It reads what another one has, brings its own into objects, and ends. */
static int left(struct machine *m, struct machine *other)
{
    struct cluster *c = m->cluster;

    for (int s = 0; s < STREAMS && m->node != NULL; s++) {
        if (other->streams[s] == NULL || m->streams[s] != NULL)
            continue;
        cluster_append_some(other, s);
        cluster_pass(c, 2 * SECOND);
        (void)cluster_call(m, cluster_read_program, s, "read");
    }
    if (m->node == NULL ||
        cluster_call(m, cluster_flush_program, 0, "flush") != 0 ||
        m->status != 0)
        return 0;
    cluster_stop(m);
    cluster_pass(c, SECOND);
    return 1;
}

/* A close waits for its commit for two seconds, in which others may win all
 * races: it is done again then. */
static void leave(struct machine *m, struct machine *other, int stream)
{
    struct cluster *c = m->cluster;

    for (int i = 0; i < ROUNDS; i++) {
        if (!left(m, other) ||
            cluster_call(other, cluster_open_program, stream, "open") != 0 ||
            other->status != WEIR_EBUSY)
            return;
        cluster_start(m);
        if (m->node == NULL ||
            cluster_call(m, cluster_open_program, stream, "open") != 0 ||
            m->streams[stream] == NULL)
            return;
    }
    cluster_breach(c,
                   "stream %d: node %u has brought all into objects and "
                   "closed, and nobody can open it",
                   stream, (unsigned)m->id);
}

/* ---- A lull -------------------------------------------------------------- */

void cluster_lull(struct machine *m, int stream)
{
    struct cluster *c = m->cluster;
    struct machine *other = cluster_another(m);
    struct weir_sim_faults *faults = weir_sim_faults(c->sim);
    struct weir_sim_faults before = *faults;

    if (other == NULL || m->streams[stream] == NULL || m->fenced ||
        other->fenced)
        return;
    *faults = (struct weir_sim_faults){.store_tells = before.store_tells};
    cluster_pass(c, 60 * SECOND);
    cluster_collect(c, NULL);
    if (!m->sick && !other->sick) {
        /* The tail of an object log is there for all. */
        if (c->wal != NULL && !c->softness && cluster_below(c, 2) == 0)
            wait_while_it_goes(m, other, stream);
        else
            leave(m, other, stream);
    }
    *faults = before;
}
