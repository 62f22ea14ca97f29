/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes of a cluster and what they are asked for. */
#include "sim/cluster_inside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t cluster_below(struct cluster *c, uint64_t n)
{
    return weir_sim_below(c->sim, n);
}

int cluster_broken(const struct cluster *c)
{
    return c->result->failure[0] != '\0';
}

void cluster_breach(struct cluster *c, const char *format, ...)
{
    va_list args;

    if (cluster_broken(c))
        return;
    va_start(args, format);
    vsnprintf(c->result->failure, sizeof(c->result->failure), format, args);
    va_end(args);
    weir_sim_trace(c->sim, "BREACH: %s", c->result->failure);
}

/* What failed is the end of the trace. */
void cluster_pass(struct cluster *c, uint64_t ns)
{
    if (cluster_broken(c))
        return;
    if (weir_sim_run(c->sim, ns) != 0)
        cluster_breach(c, "the run does not end: %s", weir_sim_ended(c->sim));
}

/* ---- Programs of a node -------------------------------------------------- */

void cluster_start_program(void *ctx)
{
    struct machine *m = ctx;
    struct cluster *c = m->cluster;
    char id[16];
    int is_own = cluster_disk_begin(m);
    const char *const pairs[][2] = {
        {"node_id", id},
        {"lease", m->lease},
        {"wal", m->soft          ? "mem:"
                : c->wal != NULL ? c->wal
                                 : cluster_disk_uri(m)},
        {"wal_abandon", m->abandon ? "true" : NULL},
        {"log_cache", "4MiB"},
        {"segment", "64KiB"},
        {"max_batch", "64KiB"},
        {"block_cache", "256KiB"},
        {"index_cache", "64KiB"},
        {"upload_bytes", c->upload_bytes},
        {"upload_interval", c->interval},
        {"snapshot_commits", c->snapshot},
        {"commit_timeout", run_commit_timeout(c->options->seed)},
        {"block", c->block},
        {"delete_grace", c->delete_grace},
    };

    snprintf(id, sizeof(id), "%u", (unsigned)m->id);
    m->status = weir_sim_config(&m->config, m->sim);
    if (m->status == 0)
        weir_config_set_log(m->config, &c->log);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (m->status == 0 && pairs[i][1] != NULL)
            m->status =
                weir_config_set(m->config, pairs[i][0], pairs[i][1], NULL);
    if (m->status == 0)
        m->status = weir_open(&m->node, m->config, NULL);
    cluster_disk_end(m, is_own);
}

static void stop_program(void *ctx)
{
    struct machine *m = ctx;
    uint64_t ends[STREAMS];

    cluster_collect(m->cluster, NULL);
    for (int s = 0; s < STREAMS; s++)
        ends[s] = m->cluster->tracks[s].end;
    /* What outlives nobody is uploaded first. */
    if (weir_close(m->node, NULL) == 0 && m->soft)
        cluster_check_flushed(m, ends);
    weir_free(m->node);
    weir_config_free(m->config);
    m->node = NULL;
    m->config = NULL;
    memset(m->streams, 0, sizeof(m->streams));
    if (weir_sim_blocks(m->sim) != 0)
        cluster_breach(m->cluster, "a closed node keeps %zu blocks of memory",
                       weir_sim_blocks(m->sim));
}

static void name_of(int stream, char name[16])
{
    snprintf(name, 16, "stream-%d", stream);
}

/* 1 if another one has opened a stream that this one still takes for its own,
 * which its log in memory lets it do. */
static int is_unaware(const struct machine *m, int stream,
                      const struct weir_stream_stat *stat)
{
    return m->soft && stat->epoch < m->cluster->tracks[stream].opened;
}

void cluster_open_program(void *ctx)
{
    struct machine *m = ctx;
    char name[16];
    struct weir_stream_open open = {.name = name, .flags = WEIR_STREAM_CREATE};
    struct weir_stream_stat stat = {0};

    name_of(m->arg, name);
    m->status = weir_stream_open_sync(m->node, &open);
    m->streams[m->arg] = m->status == 0 ? open.stream : NULL;
    if (m->status == 0)
        m->status = weir_stream_stat(open.stream, &stat);
    m->epochs[m->arg] = stat.epoch;
    /* A log in memory does not keep others from opening it. */
    if (m->status != 0 || is_unaware(m, m->arg, &stat))
        return;
    cluster_collect(m->cluster, NULL);
    cluster_check_end(m->cluster, m->arg, stat.end, m);
    cluster_check_opened(m->cluster, m->arg, stat.epoch, cluster_life(m));
}

void cluster_takeover_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_takeover req = {.node_id = (uint32_t)m->arg + 1};

    m->status = weir_takeover_sync(m->node, &req);
    if (m->status != 0)
        return;
    m->cluster->result->moves += req.streams;
    cluster_fence(m->cluster, req.node_id);
}

void cluster_handover_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_handover req = {.streams = &m->streams[m->arg], .count = 1};

    m->status = weir_handover_sync(m->node, &req);
    m->cluster->result->moves += m->status == 0;
}

void cluster_trim_program(void *ctx)
{
    struct machine *m = ctx;
    struct cluster *c = m->cluster;
    struct track *t = &c->tracks[m->arg];
    struct weir_trim req = {.start = t->end / 2};

    if (req.start > t->start_max)
        t->start_max = req.start;
    m->status = weir_trim_sync(m->streams[m->arg], &req);
    if (m->status == 0 && req.start > t->start)
        t->start = req.start;
}

void cluster_flush_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_flush req = {.req = {.done = NULL}};
    uint64_t ends[STREAMS];

    cluster_collect(m->cluster, NULL);
    for (int s = 0; s < STREAMS; s++)
        ends[s] = m->cluster->tracks[s].end;
    m->status = weir_flush_sync(m->node, &req);
    if (m->status == 0)
        cluster_check_flushed(m, ends);
}

/* Read a stream of whoever's, from where it starts. */
void cluster_read_program(void *ctx)
{
    struct machine *m = ctx;
    struct cluster *c = m->cluster;
    char name[16];
    struct weir_stream_open open = {.name = name, .flags = WEIR_STREAM_READ};
    struct weir_stream_stat stat = {0};
    uint64_t acked = c->tracks[m->arg].end;
    int more = 1;
    uint64_t at;

    name_of(m->arg, name);
    m->status = weir_stream_open_sync(m->node, &open);
    if (m->status == 0)
        m->status = weir_stream_stat(open.stream, &stat);
    c->reader = m;
    if (m->status == 0 && is_unaware(m, m->arg, &stat)) {
        weir_stream_close(open.stream);
        return;
    }
    for (at = stat.start;
         m->status == 0 && at < stat.end && !cluster_broken(c);) {
        struct weir_fetch fetch = {.offset = at, .max_bytes = 1 << 16};

        m->status = weir_fetch_sync(open.stream, &fetch);
        if (m->status != 0 || fetch.count == 0)
            break;
        cluster_check_batches(c, m->arg, at, &fetch);
        at = cluster_behind(&fetch, at);
        weir_fetch_release(&fetch);
    }
    /* And what comes, for a while; then what there is still. */
    for (int64_t wait = (int64_t)(3 * SECOND);
         more && m->status == 0 && !cluster_broken(c); wait = 0) {
        struct weir_fetch fetch = {.offset = at,
                                   .max_bytes = 1 << 16,
                                   .min_bytes = wait > 0,
                                   .max_wait = wait};

        m->status = weir_fetch_sync(open.stream, &fetch);
        if (m->status != 0)
            break;
        cluster_check_batches(c, m->arg, at, &fetch);
        more = fetch.count > 0 || wait > 0;
        at = cluster_behind(&fetch, at);
        weir_fetch_release(&fetch);
    }
    /* The tail of an object log is there for all. */
    if (m->status == 0 && c->wal != NULL && !c->softness && at < acked)
        cluster_breach(c,
                       "stream %d: a reader saw what is below %" PRIu64
                       ", and %" PRIu64 " was acknowledged before",
                       m->arg, at, acked - 1);
    if (open.stream != NULL)
        weir_stream_close(open.stream);
}

/* Run a program: 0, or it has crashed on the way. */
int cluster_call(struct machine *m, void (*program)(void *ctx), int arg,
                 const char *what)
{
    struct cluster *c = m->cluster;
    int rc;

    if (cluster_broken(c))
        return WEIR_ECLOSED;
    m->arg = arg;
    m->status = 0;
    c->result->operations++;
    rc = weir_sim_call(m->sim, program, m);
    weir_sim_trace(c->sim, "%s %u %d: %s", what, (unsigned)m->number, arg,
                   weir_error_name(rc != 0 ? rc : m->status));
    if (rc == WEIR_ETIMEDOUT)
        cluster_breach(c, "%s never ends: %s", what, run_why_ended(c->sim));
    else if (rc == 0)
        cluster_check_status(c, what, m->status);
    return rc;
}

/* ---- Appends ------------------------------------------------------------- */

static void append_done(struct weir_req *req, int status)
{
    struct pending *p = req->ctx;

    p->over = 1;
    p->status = status;
    if (status == 0 && p->fenced && !p->machine->soft)
        cluster_breach(p->machine->cluster,
                       "node %u took number %u, and acknowledged it, after it "
                       "was taken over",
                       (unsigned)p->machine->number, (unsigned)p->number);
}

void cluster_start_append(struct machine *m, int stream)
{
    struct cluster *c = m->cluster;
    struct pending *p;

    if (c->tracks[stream].end + 60 >= MOST ||
        c->numbers + 1 >= sizeof(c->stream_of))
        return;
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    p->machine = m;
    p->stream = stream;
    p->epoch = m->epochs[stream];
    p->fenced = m->fenced;
    p->number = ++c->numbers;
    c->stream_of[p->number] = (unsigned char)(stream + 1);
    c->soft[p->number] = (unsigned char)m->soft;
    c->giver[p->number] = cluster_life(m);
    cluster_payload(p->data, p->number, stream);
    p->req = (struct weir_append){.req = {.done = append_done, .ctx = p},
                                  .data = p->data,
                                  .len = cluster_payload_len(p->number),
                                  .count = 1,
                                  .max_timestamp = WEIR_NO_TIMESTAMP};
    c->result->operations++;
    if (weir_append(m->streams[stream], &p->req) != 0) {
        free(p);
        return;
    }
    p->next = c->pending;
    c->pending = p;
}

/* ---- Requests that nobody waits for -------------------------------------- */

static void put_done(struct weir_req *req, int status)
{
    struct machine *m = req->ctx;

    cluster_check_status(m->cluster, "put", status);
    free(m->put);
    m->put = NULL;
}

/* A commit that is on its way when something else happens. */
void cluster_start_put(struct machine *m)
{
    if (m->put != NULL || (m->put = calloc(1, sizeof(*m->put))) == NULL)
        return;
    *m->put = (struct weir_kv_put){.req = {.done = put_done, .ctx = m},
                                   .key = "key",
                                   .value = "value",
                                   .len = 5,
                                   .expected = WEIR_KV_ANY};
    if (weir_kv_put(m->node, m->put) == 0)
        return;
    free(m->put);
    m->put = NULL;
}

static void taking_done(struct weir_req *req, int status)
{
    struct machine *m = req->ctx;

    struct machine *dead = &m->cluster->machines[m->taking->node_id - 1];

    cluster_check_status(m->cluster, "takeover", status);
    if (status == 0 && dead->node != NULL && dead->lives == m->taking_life)
        dead->fenced = 1;
    free(m->taking);
    m->taking = NULL;
}

/* A takeover beside that of another node. */
void cluster_start_taking(struct machine *m, uint32_t dead)
{
    if (m->taking != NULL ||
        (m->taking = calloc(1, sizeof(*m->taking))) == NULL)
        return;
    *m->taking = (struct weir_takeover){.req = {.done = taking_done, .ctx = m},
                                        .node_id = dead + 1};
    m->taking_life = m->cluster->machines[dead].lives;
    if (weir_takeover(m->node, m->taking) == 0)
        return;
    free(m->taking);
    m->taking = NULL;
}

void cluster_forget_requests(struct machine *m)
{
    free(m->put);
    free(m->taking);
    m->put = NULL;
    m->taking = NULL;
    cluster_forget_addition(m);
    cluster_forget_waiting(m);
    cluster_forget_flush(m);
    cluster_forget_deletion(m);
}

/* Take in what has ended; of a machine that crashed drop all. */
void cluster_collect(struct cluster *c, const struct machine *crashed)
{
    struct pending **at = &c->pending;

    while (*at != NULL) {
        struct pending *p = *at;

        if (!p->over && p->machine != crashed) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        if (p->over && p->status != 0)
            weir_sim_trace(c->sim, "append %u, stream %d, node %u: %s",
                           (unsigned)p->number, p->stream,
                           (unsigned)p->machine->number,
                           weir_error_name(p->status));
        if (p->over && p->status == 0 && p->machine->soft &&
            p->epoch < c->tracks[p->stream].opened) {
            /* Another one had it then, or has it now: nobody knows. */
            c->result->unknown++;
        } else if (p->over && p->status == 0) {
            cluster_check_acked(c, p->stream, p->number, p->req.base_offset,
                                p->epoch);
        } else if (p->over) {
            cluster_check_status(c, "append", p->status);
            c->result->unknown += p->status == WEIR_EUNKNOWN;
            c->never[p->number] = p->status != WEIR_EUNKNOWN;
            p->machine->sick |=
                p->status != WEIR_EAGAIN && p->status != WEIR_ENOMEM;
        }
        free(p);
    }
}

/* ---- Life and death ------------------------------------------------------ */

void cluster_fence(struct cluster *c, uint32_t id)
{
    for (uint32_t i = 0; i <= c->count; i++)
        if (c->machines[i].id == id && c->machines[i].node != NULL)
            c->machines[i].fenced = 1;
}

void cluster_crash(struct machine *m)
{
    cluster_collect(m->cluster, NULL);
    weir_sim_crash(m->sim);
    m->cluster->result->faults[FAULT_CRASH]++;
    m->node = NULL;
    m->config = NULL;
    m->sick = 0;
    m->asleep = 0;
    m->fenced = 0;
    m->lost = 0;
    m->lives++;
    memset(m->streams, 0, sizeof(m->streams));
    cluster_forget_requests(m);
    cluster_collect(m->cluster, m);
    cluster_disk_crashed(m);
}

void cluster_stop(struct machine *m)
{
    if (m->node == NULL)
        return;
    if (cluster_call(m, stop_program, 0, "stop") != 0)
        cluster_crash(m);
    else
        weir_sim_crash(m->sim); /* Nothing is left to lose. */
    cluster_collect(m->cluster, m);
    m->sick = 0;
    m->fenced = 0;
    m->lost = 0;
    m->lives++;
}

void cluster_start(struct machine *m)
{
    weir_sim_start(m->sim);
    m->sick = 0;
    if (cluster_call(m, cluster_start_program, 0, "start") != 0 ||
        m->status != 0) {
        cluster_crash(
            m); /* Whatever it had: opening may have failed half-way. */
        return;
    }
    m->cluster->result->opens++;
}

void cluster_sleep_now(struct machine *m)
{
    weir_sim_pause(m->sim);
    m->asleep = 1;
    m->cluster->result->faults[FAULT_SLEEP]++;
}

void cluster_wake(struct machine *m)
{
    weir_sim_resume(m->sim);
    m->asleep = 0;
}

void cluster_cut(struct machine *m)
{
    struct cluster *c = m->cluster;

    weir_sim_cut(m->sim, cluster_below(c, 2) == 0 ? WEIR_SIM_CUT_HANGS
                                                  : WEIR_SIM_CUT_REFUSES);
    c->result->faults[FAULT_CUT]++;
    cluster_pass(c, cluster_below(c, 30 * SECOND));
    weir_sim_heal(m->sim);
}
