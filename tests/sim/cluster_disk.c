/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose log is not where it was: it was moved, or it is gone; or the one
 * of before is attached again. */
#include "sim/cluster_inside.h"

#include <string.h>

enum { UNKNOWN = -1, ROUNDS = 4 };

/* ---- Where a node's log is ----------------------------------------------- */

const char *cluster_disk_uri(struct machine *m)
{
    return m->disk == 0 ? NULL : m->spare_uri;
}

/* What is in no object goes with it. */
static void give_up(struct machine *m)
{
    struct cluster *c = m->cluster;

    c->softness = 1;
    for (int s = 0; s < STREAMS; s++) {
        struct track *t = &c->tracks[s];

        for (int at = 0; at < MOST; at++) {
            uint32_t number = t->acked[at] != 0 ? t->acked[at] : t->shown[at];

            if (number != 0 && c->giver[number] >> 32 == m->number)
                t->hard[at] = t->sure[at];
        }
    }
}

/* Nothing of a disk is on its way: as after a crash. */
static unsigned char *bytes_of(struct weir_sim_node *disk)
{
    size_t size;

    if (weir_sim_is_up(disk)) {
        weir_sim_crash(disk);
        weir_sim_start(disk);
    }
    return weir_sim_disk_data(disk, &size);
}

static void wipe(struct machine *m, int disk)
{
    memset(bytes_of(m->disks[disk]), 0, DISK);
    m->wiped |= 1u << disk;
    if (m->log_disk == disk)
        m->log_disk = UNKNOWN;
}

int cluster_disk_begin(struct machine *m)
{
    int is_own = m->log_disk == m->disk;

    if (m->abandon)
        give_up(m);
    if (!is_own)
        m->log_disk = UNKNOWN; /* An opening that fails may have counted. */
    return is_own;
}

/* Refused, it is attached elsewhere the next time, and given up if it is
 * nowhere. */
void cluster_disk_end(struct machine *m, int is_own)
{
    if (m->status == 0) {
        m->log_disk = m->disk;
        m->wiped &= ~(1u << m->disk);
        m->refusals = 0;
        m->abandon = 0;
    } else if (m->status == WEIR_EFOREIGN && is_own) {
        cluster_breach(m->cluster, "node %u is refused the log that it had",
                       (unsigned)m->id);
    } else if (m->status == WEIR_EFOREIGN) {
        m->disk ^= 1;
        m->abandon = ++m->refusals > 1;
    } else if ((m->status == WEIR_ECORRUPT || m->status == WEIR_EFORMAT) &&
               (m->wiped >> m->disk & 1) != 0) {
        m->half_made = 1;
    }
}

void cluster_disk_crashed(struct machine *m)
{
    if (m->half_made)
        wipe(m, m->disk);
    m->half_made = 0;
}

/* ---- What happens -------------------------------------------------------- */

/* To the other disk, with all that is on it. */
static void move_log(struct machine *m)
{
    int to = m->disk == 0;

    memcpy(bytes_of(m->disks[to]), bytes_of(m->disks[m->disk]), DISK);
    if (m->log_disk == m->disk)
        m->log_disk = to;
    else
        m->log_disk = UNKNOWN;
    wipe(m, m->disk);
    m->wiped &= ~(1u << to);
    m->disk = to;
}

/* In order, or not; and what it has may be in objects by then. */
static void leave_log(struct machine *m)
{
    struct cluster *c = m->cluster;

    if (cluster_below(c, 2) == 0)
        (void)cluster_call(m, cluster_flush_program, 0, "flush");
    if (m->node == NULL)
        return;
    if (cluster_allows(c, FAULT_CRASH) && cluster_below(c, 3) == 0)
        cluster_crash(m);
    else
        cluster_stop(m);
}

void cluster_lose_disk(struct machine *m)
{
    if (m->disks[1] == NULL)
        return;
    wipe(m, m->disk);
    for (int i = 0; i < ROUNDS && m->node == NULL; i++)
        cluster_start(m);
}

static void attach(struct machine *m)
{
    uint64_t dice = cluster_below(m->cluster, 8);

    if (dice == 0)
        wipe(m, m->disk);
    else if (dice < 3)
        move_log(m);
    else
        m->disk ^= 1;
    for (int i = 0; i < ROUNDS && m->node == NULL; i++)
        cluster_start(m);
}

void cluster_change_disk(struct machine *m)
{
    struct cluster *c = m->cluster;
    uint64_t n = 1 + cluster_below(c, 3);

    for (; n > 0 && m->node != NULL; n--) {
        for (int s = 0; s < STREAMS; s++)
            if (m->streams[s] != NULL)
                cluster_append_some(m, s);
        cluster_pass(c, cluster_below(c, 20 * MS));
        leave_log(m);
        attach(m);
        for (int s = 0; s < STREAMS && m->node != NULL; s++)
            if (cluster_is_free(c, s))
                (void)cluster_call(m, cluster_open_program, s, "open");
    }
}
