/* SPDX-License-Identifier: Apache-2.0 */
/* A node that is opened on another machine while it lives: its successor has
 * its name, and so the manifest tells of nobody else. */
#include "sim/cluster_inside.h"

struct machine *cluster_double(struct cluster *c)
{
    return &c->machines[c->count];
}

void cluster_end_double_of(const struct machine *m)
{
    struct machine *d = cluster_double(m->cluster);

    if (d->node == NULL || d->id != m->id || d == m)
        return;
    if (d->asleep)
        cluster_wake(d);
    if (cluster_below(m->cluster, 2) == 0)
        cluster_crash(d);
    else
        cluster_stop(d);
}

/* 1: it is cut off from now on. */
static int keep_away(struct machine *m)
{
    struct cluster *c = m->cluster;
    uint64_t dice = cluster_below(c, 3);

    if (dice == 0 && cluster_allows(c, FAULT_SLEEP))
        cluster_sleep_now(m);
    if (dice != 1 || !cluster_allows(c, FAULT_CUT))
        return 0;
    weir_sim_cut(m->sim, WEIR_SIM_CUT_HANGS);
    c->result->faults[FAULT_CUT]++;
    return 1;
}

/* It opens what the other one has, and goes on in its place. */
static void go_on(struct machine *d, const struct machine *m)
{
    for (int s = 0; s < STREAMS && d->node != NULL; s++) {
        if (m->streams[s] == NULL ||
            cluster_call(d, cluster_open_program, s, "open") != 0 ||
            d->streams[s] == NULL)
            continue;
        cluster_append_some(d, s);
    }
    if (d->node != NULL && cluster_below(d->cluster, 2) == 0)
        (void)cluster_call(d, cluster_flush_program, 0, "flush");
}

/* It has what it had open still, and is asked for it. */
static void ask(struct machine *m)
{
    struct cluster *c = m->cluster;

    for (int s = 0; s < STREAMS && m->node != NULL; s++) {
        if (m->streams[s] == NULL)
            continue;
        (void)cluster_call(m, cluster_read_program, s, "read");
        if (m->node != NULL && cluster_below(c, 3) == 0)
            (void)cluster_call(m, cluster_open_program, s, "open");
    }
    if (m->node != NULL)
        (void)cluster_call(m, cluster_flush_program, 0, "flush");
    m->sick = cluster_below(c, 2) == 0;
}

void cluster_open_elsewhere(struct machine *m)
{
    struct cluster *c = m->cluster;
    struct machine *d = cluster_double(c);
    int cut;

    if (d->node != NULL)
        return;
    for (int s = 0; s < STREAMS; s++)
        if (m->streams[s] != NULL)
            cluster_append_some(m, s);
    cluster_pass(c, cluster_below(c, 20 * MS));
    cut = keep_away(m);
    for (int s = 0; s < STREAMS && !m->asleep; s++)
        if (m->streams[s] != NULL)
            cluster_append_some(m, s);
    cluster_pass(c, cluster_below(c, 20 * SECOND));
    d->id = m->id;
    cluster_choose_lease(d, m->lease_s);
    d->soft = m->soft;
    cluster_start(d);
    if (d->node != NULL) {
        m->fenced = 1;
        go_on(d, m);
        /* Nobody has waited for its lease, which vouches for what it reads. */
        cluster_pass(c, (m->lease_s + 2) * SECOND);
    }
    if (cut)
        weir_sim_heal(m->sim);
    if (m->asleep)
        cluster_wake(m);
    cluster_pass(c, cluster_below(c, 30 * SECOND));
    cluster_collect(c, NULL);
    if (m->fenced)
        ask(m);
}
