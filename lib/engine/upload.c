/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/fetch.h"
#include "engine/flush.h"
#include "engine/group.h"
#include "engine/upload_inside.h"

/* Uploads that may fail for a passing reason before a flush is told. */
#define FLUSH_TRIES 3
/* Looks for what former owners have yet to upload until a flush is told. */
#define WAIT_TRIES 20
#define WAIT_NS 250000000u
#define BACKOFF_MIN_NS 100000000u
#define BACKOFF_MAX_NS 10000000000u

static void start_backoff(struct weir *node)
{
    struct weir__upload_state *up = &node->uploads;
    struct weir_env *env = node->host.env;
    uint64_t wait = BACKOFF_MIN_NS;

    for (unsigned i = 1; i < up->failures && wait < BACKOFF_MAX_NS; i++)
        wait *= 2;
    up->backoff.deadline = env->ops->now(env) + wait;
    env->ops->timer_start(env, &up->backoff);
}

/* A node that closes uploads only for a flush.  So does one that is fenced: a
 * later epoch has taken over what is pending. */
static int has_reason(const struct weir *node)
{
    return !weir__list_empty(&node->uploads.flushes) ||
           (weir__node_is_open(node) && !node->fenced &&
            !weir__list_empty(&node->uploads.pending));
}

/* Nothing is pending that can be uploaded now: look again in a while. */
static void look_later(struct weir *node)
{
    if (!weir__list_empty(&node->uploads.pending) && has_reason(node))
        start_backoff(node);
}

/* Some batches come behind those of a former owner, who has yet to upload
 * them: see whether it has, and look again.  So it is with what was planned
 * under an epoch that has gone since. */
static void job_waits(struct weir__upload *job)
{
    struct weir *node = job->node;
    struct weir__upload_state *up = &node->uploads;
    struct weir_env *env = node->host.env;

    if (weir__list_empty(&job->flushes)) {
        up->waits = 0; /* Counted while somebody waits for it. */
    } else if (++up->waits < WAIT_TRIES) {
        weir__flushes_requeue(node, &job->flushes);
    } else {
        weir__fail(&job->error, WEIR_EAGAIN,
                   "flush: the former owner of a stream has yet to upload its "
                   "part of it; if that node is dead, take it over");
        weir__flushes_end(&job->flushes, WEIR_EAGAIN, &job->error);
    }
    weir__fetch_refresh(node);
    if (!has_reason(node))
        return;
    up->backoff.deadline = env->ops->now(env) + WAIT_NS;
    env->ops->timer_start(env, &up->backoff);
}

/* The upload has failed: what it was to end waits on, or is told. */
static void job_failed(struct weir__upload *job, int status)
{
    struct weir *node = job->node;
    struct weir__upload_state *up = &node->uploads;
    int passing = weir_error_class(status) == WEIR_CLASS_RETRY ||
                  weir_error_class(status) == WEIR_CLASS_UNKNOWN;

    up->failures++;
    node->stats.upload_errors++;
    weir__fail_status(&job->error, status);
    weir__log(node->host.log, WEIR_LOG_WARN, "node %u: upload failed%s: %s",
              node->id, node->fenced ? "" : " and will be tried again",
              job->error.text);
    if (passing && up->failures < FLUSH_TRIES)
        weir__flushes_requeue(node, &job->flushes);
    else
        weir__flushes_end(&job->flushes, status, &job->error);
    if (has_reason(node))
        start_backoff(node);
}

/* An object that failed may be in the store, or may still come there: its id
 * is not used again, but given back, and what it names is removed as what is
 * dead.  Until then it is registered, and a node may have so many. */
static void spend_id(struct weir__upload *job)
{
    struct weir__upload_state *up = &job->node->uploads;

    if (job->object_id != 0 && up->spent_count < WEIR__UPLOAD_IDS)
        up->spent[up->spent_count++] = job->object_id;
}

/* Why not all that was acknowledged is in objects, though the upload has gone
 * well; or 0. */
static int left_out(struct weir__upload *job)
{
    /* It had nothing to upload, as that has gone with the log. */
    if (job->node->fenced)
        return weir__fail(&job->error, WEIR_EFENCED,
                          "flush: another process has opened node %u",
                          job->node->id);
    if (job->plan.damaged)
        return weir__fail(&job->error, WEIR_ECORRUPT,
                          "flush: damaged batches were left in the WAL");
    if (job->plan.gone)
        return weir__fail(&job->error, WEIR_EFENCED,
                          "flush: a stream is another node's by now, and what "
                          "this one had acknowledged of it is left out");
    if (!job->node->lost || weir__list_empty(&job->flushes))
        return 0;
    job->node->lost = 0; /* Somebody is told. */
    return weir__fail(&job->error, WEIR_EFENCED,
                      "flush: another node has opened a stream, and what the "
                      "volatile write-ahead log held of it is lost");
}

/* All that was planned is in objects.  What it was to end goes on if that is
 * not all there is. */
static void job_done(struct weir__upload *job, int more)
{
    struct weir *node = job->node;

    node->uploads.failures = 0;
    node->uploads.waits = 0;
    if (more)
        weir__flushes_requeue(node, &job->flushes);
    else
        weir__flushes_end(&job->flushes, left_out(job), &job->error);
}

void weir__upload_end(struct weir__upload *job, int status)
{
    struct weir *node = job->node;
    int parts = job->plan.part_count != 0;
    int waits = job->plan.waits;
    int more = job->plan.more && parts;

    node->uploads.job = NULL;
    spend_id(job);
    if (!parts && !waits)
        look_later(node);
    weir__upload_part_free(job);
    if (status == 0 && waits && !more) {
        job_waits(job);
    } else if (status == 0) {
        job_done(job, more);
    } else if (status == WEIR_ECLOSED) {
        weir__flushes_end(&job->flushes, status, NULL);
    } else {
        job_failed(job, status);
    }
    weir__plan_free(&job->plan);
    weir__free(node->alloc, job);
    weir__group_trim(node);
    if (status == 0 || status == WEIR_ECLOSED)
        weir__upload_look(node); /* The node's last flush may wait. */
    weir__sweep_look(node);
    weir__close_step(node);
}

int weir__upload_abandoned(const struct weir__upload *job)
{
    return !weir__node_is_open(job->node) &&
           !weir__flushes_have_last(&job->flushes);
}

static void job_start(struct weir *node)
{
    struct weir__upload_state *up = &node->uploads;
    struct weir__upload *job = weir__calloc(node->alloc, 1, sizeof(*job));
    struct weir__list *at;
    int rc;

    if (job == NULL) {
        up->failures++;
        start_backoff(node);
        return;
    }
    job->node = node;
    weir__list_init(&job->flushes);
    while ((at = weir__list_pop(&up->flushes)) != NULL)
        weir__list_push(&job->flushes, at);
    up->job = job;
    node->host.env->ops->timer_stop(node->host.env, &up->due);
    rc = weir__plan_make(&job->plan, node);
    if (rc != 0)
        weir__upload_end(job, rc);
    else
        weir__upload_next(job);
}

/* 1 if the WAL or the memory is half full. */
static int under_pressure(const struct weir *node)
{
    const struct weir_wal *wal = node->wal;

    return node->commits.position - wal->begin > wal->capacity / 2 ||
           node->uploads.pending_bytes > node->cache.limit / 2;
}

/* 1 if others wait for what this node has to upload. */
static int is_awaited(const struct weir *node)
{
    return weir__state_node_debts(weir__manifest_state(node->manifest),
                                  node->id) > 0;
}

static int can_start(const struct weir *node)
{
    const struct weir__upload_state *up = &node->uploads;

    return !node->read_only && up->job == NULL && up->backoff.slot == 0 &&
           has_reason(node);
}

void weir__upload_look(struct weir *node)
{
    struct weir__upload_state *up = &node->uploads;
    struct weir_env *env = node->host.env;
    uint64_t interval = (uint64_t)node->config->number[WEIR__P_UPLOAD_INTERVAL];

    if (!can_start(node))
        return;
    if (!weir__list_empty(&up->flushes)) {
        job_start(node);
        return;
    }
    if (up->pending_bytes >=
            (uint64_t)node->config->number[WEIR__P_UPLOAD_BYTES] ||
        under_pressure(node) || is_awaited(node)) {
        job_start(node);
    } else if (up->due.slot == 0) {
        up->due.deadline = env->ops->now(env) + interval;
        env->ops->timer_start(env, &up->due);
    }
}

void weir__upload_pressure(struct weir *node)
{
    if (can_start(node) && !weir__list_empty(&node->uploads.pending))
        job_start(node);
}

static void due(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, uploads.due);

    weir__upload_pressure(node);
}

static void backoff_over(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, uploads.backoff);

    if (can_start(node))
        job_start(node);
}

void weir__upload_init(struct weir *node)
{
    node->uploads.due.fire = due;
    node->uploads.backoff.fire = backoff_over;
    weir__flush_init(node);
}

void weir__upload_close(struct weir *node)
{
    struct weir_env *env = node->host.env;

    env->ops->timer_stop(env, &node->uploads.due);
    env->ops->timer_stop(env, &node->uploads.backoff);
    env->ops->timer_stop(env, &node->uploads.late);
}

struct weir__list *weir__upload_flushes(struct weir *node)
{
    return &node->uploads.job->flushes;
}

uint64_t weir__upload_commit(const struct weir *node)
{
    return node->uploads.committing ? node->uploads.commits : 0;
}
