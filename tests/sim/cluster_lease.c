/* SPDX-License-Identifier: Apache-2.0 */
/* A node that is away for about as long as its lease, which may be longer or
 * shorter than that of who takes it over; and is asked meanwhile. */
#include "sim/cluster_inside.h"

#include <inttypes.h>
#include <stdio.h>

enum { TAKES = 6, COMMIT_MS = 8000 };

static const unsigned lengths[] = {3, 10, 30, 30, 90};

void cluster_choose_lease(struct machine *m, unsigned seconds)
{
    size_t count = sizeof(lengths) / sizeof(lengths[0]);

    m->lease_s =
        seconds > 0 ? seconds : lengths[cluster_below(m->cluster, count)];
    snprintf(m->lease, sizeof(m->lease), "%us", m->lease_s);
}

/* An owner is asked for what is behind the end that it knows. */
static void no_more_program(void *ctx)
{
    struct machine *m = ctx;
    struct cluster *c = m->cluster;
    struct weir_stream_stat stat = {0};
    struct weir_fetch fetch = {.max_bytes = 1};
    uint64_t acked = c->tracks[m->arg].end;

    m->status = weir_stream_stat(m->streams[m->arg], &stat);
    fetch.offset = stat.end;
    if (m->status == 0)
        m->status = weir_fetch_sync(m->streams[m->arg], &fetch);
    if (m->status != 0)
        return;
    if (fetch.count == 0 && !c->softness && stat.end < acked)
        cluster_breach(c,
                       "stream %d: node %u says that there is nothing behind "
                       "%" PRIu64 ", and %" PRIu64 " was acknowledged before",
                       m->arg, (unsigned)m->id, stat.end, acked - 1);
    weir_fetch_release(&fetch);
}

static void cut(struct machine *m)
{
    weir_sim_cut(m->sim, cluster_below(m->cluster, 2) == 0
                             ? WEIR_SIM_CUT_HANGS
                             : WEIR_SIM_CUT_REFUSES);
}

/* It is back while its log is being read, renews its lease with a commit of its
 * own, maybe, and is away again before it can know more. */
static void come_back(struct machine *m, struct machine *taker)
{
    struct cluster *c = m->cluster;
    struct weir_sim_faults *faults = weir_sim_faults(c->sim);
    uint32_t slow = faults->store_slow;

    cluster_start_taking(taker, m->id - 1);
    cluster_pass(c, cluster_below(c, 100 * MS));
    if (cluster_allows(c, FAULT_STORE_SLOW))
        faults->store_slow = 1000000;
    cluster_pass(c, cluster_below(c, 500 * MS));
    faults->store_slow = slow;
    weir_sim_heal(m->sim);
    cluster_start_put(m);
    for (int i = 0; i < COMMIT_MS && m->put != NULL; i += 20)
        cluster_pass(c, 20 * MS);
    cut(m);
    for (int i = 0; i < COMMIT_MS && taker->taking != NULL; i += 200)
        cluster_pass(c, 200 * MS);
}

/* 1 if the other one has the stream now, and has appended to it. */
static int take(struct machine *m, struct machine *taker, int s)
{
    struct cluster *c = m->cluster;

    for (int i = 0; i < TAKES && taker->node != NULL; i++) {
        (void)cluster_call(taker, cluster_takeover_program, (int)m->id - 1,
                           "take over");
        if (taker->node != NULL && taker->status == 0)
            (void)cluster_call(taker, cluster_open_program, s, "open");
        if (taker->streams[s] != NULL) {
            cluster_append_some(taker, s);
            cluster_pass(c, cluster_below(c, 300 * MS));
            cluster_collect(c, NULL);
            return 1;
        }
        cluster_pass(c, cluster_below(c, taker->lease_s * 2 * SECOND));
    }
    return 0;
}

void cluster_part(struct machine *m, int stream)
{
    struct cluster *c = m->cluster;
    struct machine *taker = cluster_another(m);
    uint64_t lease = m->lease_s * SECOND;

    if (taker == NULL || m->fenced || taker->streams[stream] != NULL)
        return;
    cluster_append_some(m, stream);
    /* Refused; but from here on it is looked at. */
    (void)cluster_call(taker, cluster_takeover_program, (int)m->id - 1,
                       "take over");
    cut(m);
    c->result->faults[FAULT_CUT]++;
    cluster_pass(c, lease / 2 + cluster_below(c, lease));
    if (taker->node != NULL && cluster_below(c, 2) == 0)
        come_back(m, taker);
    if (take(m, taker, stream) && m->streams[stream] != NULL)
        (void)cluster_call(m, no_more_program, stream, "ask for more");
    weir_sim_heal(m->sim);
    cluster_pass(c, cluster_below(c, 2) == 0 ? 0 : 10 * SECOND);
    cluster_collect(c, NULL);
}
