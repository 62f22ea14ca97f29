/* SPDX-License-Identifier: Apache-2.0 */
/* A stream that is deleted and made anew under its name, while deletions of
 * the one before are on their way. */
#include "sim/cluster_inside.h"

#include <inttypes.h>
#include <stdlib.h>

static const char name[] = "brief";

/** A deletion under way, in the test's memory. */
struct deletion {
    struct weir_stream_delete req;
    struct machine *machine;
};

void cluster_check_deleting(struct cluster *c)
{
    c->brief.id = 0;
    c->brief.deleting++;
}

void cluster_check_deleted(struct cluster *c)
{
    c->brief.deleting--;
}

void cluster_check_made(struct cluster *c, uint64_t id, unsigned deletions)
{
    c->brief.id = deletions == 0 && c->brief.deleting == 0 ? id : 0;
}

void cluster_check_there(struct cluster *c, uint64_t id)
{
    if (c->brief.id != 0 && c->brief.id != id)
        cluster_breach(c,
                       "stream %" PRIu64 " was made, and nobody has deleted it "
                       "since: under its name is %" PRIu64,
                       c->brief.id, id);
}

/* ---- What nodes are asked for -------------------------------------------- */

static void make_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_stream_open open = {
        .name = name, .flags = WEIR_STREAM_CREATE | WEIR_STREAM_EXCLUSIVE};
    struct weir_stream_stat stat = {0};
    unsigned before = m->cluster->brief.deleting;

    m->status = weir_stream_open_sync(m->node, &open);
    if (m->status == 0)
        m->status = weir_stream_stat(open.stream, &stat);
    if (m->status == 0)
        cluster_check_made(m->cluster, stat.id, before);
    if (open.stream != NULL)
        weir_stream_close(open.stream);
}

static void delete_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_stream_delete req = {.name = name};

    cluster_check_deleting(m->cluster);
    m->status = weir_stream_delete_sync(m->node, &req);
    cluster_check_deleted(m->cluster);
}

static void delete_done(struct weir_req *req, int status)
{
    struct deletion *d = req->ctx;

    cluster_check_status(d->machine->cluster, "delete", status);
    weir_sim_trace(d->machine->cluster->sim, "deletion by %u: %s",
                   (unsigned)d->machine->number, weir_error_name(status));
    cluster_forget_deletion(d->machine);
}

static void start_deletion(struct machine *m)
{
    struct deletion *d;

    if (m->deleting != NULL || (d = calloc(1, sizeof(*d))) == NULL)
        return;
    d->machine = m;
    d->req = (struct weir_stream_delete){.req = {.done = delete_done, .ctx = d},
                                         .name = name};
    m->deleting = d;
    m->cluster->result->operations++;
    cluster_check_deleting(m->cluster);
    if (weir_stream_delete(m->node, &d->req) != 0)
        cluster_forget_deletion(m);
}

/* Who has crashed deletes nothing more: what it has sent is for a version that
 * whatever is made from now on comes behind. */
void cluster_forget_deletion(struct machine *m)
{
    if (m->deleting == NULL)
        return;
    cluster_check_deleted(m->cluster);
    free(m->deleting);
    m->deleting = NULL;
}

void cluster_brief_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_stream_open open = {.name = name, .flags = WEIR_STREAM_READ};
    struct weir_stream_stat stat = {0};

    m->status = weir_stream_open_sync(m->node, &open);
    if (m->status == 0)
        m->status = weir_stream_stat(open.stream, &stat);
    if (m->status == WEIR_ENOENT)
        m->status = 0;
    if (m->status == 0)
        cluster_check_there(m->cluster, stat.id);
    if (open.stream != NULL)
        weir_stream_close(open.stream);
}

/* ---- What happens -------------------------------------------------------- */

void cluster_make_anew(struct machine *m)
{
    struct cluster *c = m->cluster;
    struct machine *other = cluster_another(m);
    int cut = cluster_allows(c, FAULT_CUT) && cluster_below(c, 4) != 0;

    if (other == NULL || cluster_call(other, make_program, 0, "make") != 0)
        return;
    if (cut) {
        weir_sim_cut(m->sim, cluster_below(c, 2) == 0 ? WEIR_SIM_CUT_HANGS
                                                      : WEIR_SIM_CUT_REFUSES);
        c->result->faults[FAULT_CUT]++;
    }
    start_deletion(m);
    cluster_pass(
        c, cluster_below(c, (cluster_below(c, 3) == 0 ? 90 : 8) * SECOND));
    if (cluster_call(other, delete_program, 0, "delete") == 0)
        (void)cluster_call(other, make_program, 0, "make");
    if (cut)
        weir_sim_heal(m->sim);
    cluster_collect(c, NULL);
}
