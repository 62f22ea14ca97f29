/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/manifest_inside.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"

#include <string.h>

#define BACKOFF_FIRST UINT64_C(50000000)
#define BACKOFF_MOST UINT64_C(5000000000)

uint64_t weir__manifest_now(const struct weir__manifest *m)
{
    return m->host->env->ops->now(m->host->env);
}

bool weir__manifest_head_fresh(const struct weir__manifest *m)
{
    return m->head_known &&
           weir__manifest_now(m) - m->head_at <= WEIR__MANIFEST_GRACE / 2;
}

void weir__manifest_tell(struct weir__manifest *m)
{
    if (m->applied != NULL && m->opening == NULL)
        m->applied(m->applied_ctx);
}

static void task_run(struct weir_task *task)
{
    struct weir__manifest *m =
        WEIR__CONTAINER(task, struct weir__manifest, task);

    m->posted = false;
    weir__manifest_go(m);
}

void weir__manifest_kick(struct weir__manifest *m)
{
    if (m->posted)
        return;
    m->posted = true;
    m->task.run = task_run;
    m->host->env->ops->post(m->host->env, &m->task);
}

static void timer_fire(struct weir_timer *timer)
{
    struct weir__manifest *m =
        WEIR__CONTAINER(timer, struct weir__manifest, timer);

    m->activity = WEIR__IDLE;
    weir__manifest_go(m);
}

/* Wait 50 ms at first, twice as long each time, 5 s at most; of that, the
 * second half at random, so that nodes do not fall into step. */
static void back_off(struct weir__manifest *m)
{
    struct weir_env *env = m->host->env;
    unsigned shift = m->tries < 8 ? m->tries : 8;
    uint64_t most = BACKOFF_FIRST << shift;
    uint64_t dice;

    if (most > BACKOFF_MOST)
        most = BACKOFF_MOST;
    env->ops->random(env, &dice, sizeof(dice));
    if (m->tries == 0)
        m->failing = weir__manifest_now(m);
    m->tries++;
    m->activity = WEIR__BACKOFF;
    m->timer.fire = timer_fire;
    m->timer.deadline = weir__manifest_now(m) + most / 2 + dice % (most / 2);
    env->ops->timer_start(env, &m->timer);
}

static bool can_pass(const struct weir__manifest *m, int status)
{
    enum weir_error_class class = weir_error_class(status);

    if (status == WEIR_ECANCELED)
        return false; /* The store is closed. */
    if (class != WEIR_CLASS_RETRY && class != WEIR_CLASS_UNKNOWN)
        return false;
    if (m->opening == NULL || m->tries == 0)
        return true;
    return m->tries + 1 < WEIR__MANIFEST_OPEN_TRIES &&
           weir__manifest_now(m) - m->failing < WEIR__MANIFEST_OPEN_NS;
}

static void free_manifest(struct weir__manifest *m)
{
    m->log->ops->close(m->log);
    weir__writer_free(&m->group.bytes);
    weir__writer_free(&m->keep.bytes);
    weir__carry_free(m);
    weir__state_free(m->state);
    weir__free(m->host->alloc, m);
}

/* Opening has ended. */
static void opened(struct weir__manifest *m, int status)
{
    struct weir__manifest_open *req = m->opening;

    m->opening = NULL;
    if (status != 0)
        weir__fail(req->err, status, "%s", m->err.text);
    req->manifest = status == 0 ? m : NULL;
    if (status != 0)
        free_manifest(m);
    req->done(req, status);
}

void weir__manifest_failed(struct weir__manifest *m, int status)
{
    weir__fail_status(&m->err, status);
    if (m->closed != NULL) {
        m->activity = WEIR__IDLE;
        weir__manifest_go(m);
        return;
    }
    if (can_pass(m, status)) {
        weir__log(m->host->log, WEIR_LOG_WARN, "manifest: %s: trying again",
                  m->err.text);
        m->trouble = m->err;
        back_off(m);
        return;
    }
    m->activity = WEIR__IDLE;
    m->told = 0;
    if (m->opening != NULL) {
        opened(m, status);
        return;
    }
    if (m->group.first != NULL)
        weir__group_end(m, status);
    else
        weir__queue_end(m, status);
    weir__refresh_end(m, &m->refresh, status);
    weir__manifest_go(m);
}

/* End what waits, and then, when nothing is under way, the manifest. */
static void go_closing(struct weir__manifest *m)
{
    struct weir_task *closed = m->closed;
    struct weir_env *env = m->host->env;

    weir__turn_stop(m);
    if (m->activity == WEIR__BACKOFF) {
        env->ops->timer_stop(env, &m->timer);
        m->activity = WEIR__IDLE;
    }
    if (m->activity != WEIR__IDLE)
        return;
    if (m->group.first != NULL)
        weir__group_end(m, WEIR_ECLOSED);
    weir__queue_end(m, WEIR_ECLOSED);
    weir__refresh_end(m, &m->refresh, WEIR_ECLOSED);
    if (m->keep.busy || m->posted)
        return;
    free_manifest(m);
    env->ops->post(env, closed);
}

static void cluster_done(struct weir__commit *commit, int status)
{
    struct weir__manifest *m = commit->ctx;

    m->cluster_status = status;
}

/* Opening: the log is read to its end.  Name the cluster if nobody has. */
static void go_opening(struct weir__manifest *m)
{
    struct weir_env *env = m->host->env;

    int status = m->cluster_status;

    m->cluster_status = 0;
    if (status != 0) {
        weir__manifest_failed(m, status);
        return;
    }
    if (weir__state_cluster(m->state) != NULL) {
        opened(m, 0);
        return;
    }
    if (m->read_only) {
        weir__fail(&m->err, WEIR_ENOENT, "there is no cluster in this store");
        opened(m, WEIR_ENOENT);
        return;
    }
    m->cluster_op.kind = WEIR__OP_CLUSTER;
    env->ops->random(env, m->cluster_op.u.cluster.id, 16);
    m->cluster_commit.ops = &m->cluster_op;
    m->cluster_commit.count = 1;
    m->cluster_commit.done = cluster_done;
    m->cluster_commit.ctx = m;
    m->queue = &m->cluster_commit;
    m->queue_end = &m->cluster_commit.next;
    weir__manifest_go(m);
}

static void go_group(struct weir__manifest *m)
{
    struct weir__group *group = &m->group;

    if (group->in_log) {
        int rc = weir__group_apply(m);

        if (rc != 0)
            weir__manifest_failed(m, rc);
        else
            weir__manifest_go(m);
    } else if (group->look > 0) {
        weir__follow_start(m, group->look);
    } else if (group->first == &m->cluster_commit &&
               weir__state_cluster(m->state) != NULL) {
        weir__group_end(m, 0);
        weir__manifest_go(m);
    } else {
        weir__group_send(m);
    }
}

static bool work_waits(const struct weir__manifest *m)
{
    return m->group.first != NULL || m->queue != NULL || m->refresh != NULL ||
           m->opening != NULL || weir__manifest_told(m);
}

/* Of what waits, if it is this node's turn. */
static int form_group(struct weir__manifest *m)
{
    if (m->group.first != NULL && m->group.lost && m->opening == NULL)
        weir__group_undo(m);
    if (m->group.first != NULL || !weir__turn_come(m))
        return 0;
    return weir__group_form(m);
}

void weir__manifest_go(struct weir__manifest *m)
{
    int rc;

    if (m->closed != NULL) {
        go_closing(m);
        return;
    }
    if (m->activity != WEIR__IDLE || !work_waits(m))
        return;
    if (!weir__manifest_head_fresh(m)) {
        weir__latest_start(m);
        return;
    }
    rc = form_group(m);
    if (rc != 0)
        weir__manifest_failed(m, rc);
    else if (m->group.first != NULL)
        go_group(m);
    else if (m->opening != NULL && m->followed)
        go_opening(m);
    else if (m->opening != NULL || m->refresh != NULL || weir__turn_reads(m))
        weir__follow_start(m, UINT64_MAX);
    else if (weir__manifest_told(m))
        weir__follow_start(m, m->told - weir__state_version(m->state));
}

/* The manifest, or NULL when memory is out. */
static struct weir__manifest *
new_manifest(const struct weir__manifest_open *req)
{
    const struct weir_alloc *alloc = req->host->alloc;
    struct weir__manifest *m = weir__calloc(alloc, 1, sizeof(*m));

    if (m == NULL)
        return NULL;
    if (weir__state_new(&m->state, alloc) != 0) {
        weir__free(alloc, m);
        return NULL;
    }
    m->host = req->host;
    m->log = req->log;
    m->node_id = req->node_id;
    m->snapshot_commits = req->snapshot_commits > 0 ? req->snapshot_commits : 1;
    m->read_only = req->read_only != 0;
    m->applied = req->applied;
    m->applied_ctx = req->applied_ctx;
    m->queue_end = &m->queue;
    weir__writer_init(&m->group.bytes, alloc);
    weir__writer_init(&m->keep.bytes, alloc);
    return m;
}

static void refuse_open(struct weir_task *task)
{
    struct weir__manifest_open *req =
        WEIR__CONTAINER(task, struct weir__manifest_open, task);

    req->done(req,
              weir__fail(req->err, WEIR_ENOMEM, "manifest: out of memory"));
}

void weir__manifest_open(struct weir__manifest_open *req)
{
    struct weir__manifest *m = new_manifest(req);

    req->manifest = NULL;
    if (m == NULL) {
        req->log->ops->close(req->log);
        req->task.run = refuse_open;
        req->host->env->ops->post(req->host->env, &req->task);
        return;
    }
    m->opening = req;
    weir__manifest_go(m);
}

void weir__manifest_commit(struct weir__manifest *manifest,
                           struct weir__commit *commit)
{
    commit->next = NULL;
    *manifest->queue_end = commit;
    manifest->queue_end = &commit->next;
    weir__manifest_kick(manifest);
}

void weir__manifest_refresh(struct weir__manifest *manifest,
                            struct weir__refresh *req)
{
    struct weir__refresh **end = &manifest->refresh;

    while (*end != NULL)
        end = &(*end)->next;
    req->next = NULL;
    *end = req;
    weir__manifest_kick(manifest);
}

const struct weir__state *
weir__manifest_state(const struct weir__manifest *manifest)
{
    return manifest->state;
}

const char *weir__manifest_trouble(const struct weir__manifest *m)
{
    return m->tries > 0 ? m->trouble.text : "";
}

void weir__manifest_watch(struct weir__manifest *m,
                          void (*changed)(void *ctx,
                                          const struct weir_kv_pair *pair),
                          void *ctx)
{
    weir__state_watch(m->state, changed, ctx);
}

void weir__manifest_set_epoch(struct weir__manifest *manifest, uint64_t epoch)
{
    manifest->epoch = epoch;
}

uint64_t weir__manifest_seen(const struct weir__manifest *m)
{
    return m->seen_at;
}

uint64_t weir__manifest_committed(const struct weir__manifest *m)
{
    return m->committed_at;
}

void weir__manifest_counts(const struct weir__manifest *manifest,
                           uint64_t *commits, uint64_t *conflicts)
{
    *commits = manifest->commits;
    *conflicts = manifest->conflicts;
}

void weir__manifest_close(struct weir__manifest *manifest,
                          struct weir_task *closed)
{
    manifest->closed = closed;
    weir__manifest_kick(manifest);
}
