/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/manifest_inside.h"

#include "base/error.h"
#include "base/sometimes.h"

#include <string.h>

/* A larger buffer is not kept for the next group. */
#define BYTES_KEPT ((size_t)1 << 20)

/* Tell one commit how it ended. */
static void end_commit(struct weir__manifest *m, struct weir__commit *commit,
                       int status)
{
    if (status == WEIR_EUNKNOWN)
        weir__fail(commit->err, status, "commit may be in the manifest: %s",
                   m->err.text);
    else if (status != 0)
        weir__fail(commit->err, status, "commit: %s",
                   m->err.code != 0 ? m->err.text : weir_error_text(status));
    commit->next = NULL;
    commit->done(commit, status);
}

static struct weir__commit *dequeue(struct weir__manifest *m)
{
    struct weir__commit *commit = m->queue;

    m->queue = commit->next;
    if (m->queue == NULL)
        m->queue_end = &m->queue;
    commit->next = NULL;
    return commit;
}

bool weir__manifest_withdraw(struct weir__manifest *m,
                             struct weir__commit *commit)
{
    struct weir__commit **at = &m->queue;

    while (*at != NULL && *at != commit)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = commit->next;
    if (*at == NULL)
        m->queue_end = at;
    commit->next = NULL;
    return true;
}

void weir__queue_end(struct weir__manifest *m, int status)
{
    while (m->queue != NULL)
        end_commit(m, dequeue(m), status);
}

void weir__group_end(struct weir__manifest *m, int status)
{
    struct weir__commit *commit = m->group.first;

    if (status != 0 && (m->group.uncertain || m->group.in_log))
        status = WEIR_EUNKNOWN;
    m->group.first = NULL;
    m->group.in_log = false;
    m->group.uncertain = false;
    if (m->group.bytes.capacity > BYTES_KEPT)
        weir__writer_free(&m->group.bytes);
    while (commit != NULL) {
        struct weir__commit *next = commit->next;

        end_commit(m, commit, status);
        commit = next;
    }
}

void weir__group_undo(struct weir__manifest *m)
{
    struct weir__commit **end = &m->group.first;

    WEIR__SOMETIMES_IF(m->queue != NULL,
                       "a commit that lost its race takes others along");
    while (*end != NULL)
        end = &(*end)->next;
    *end = m->queue;
    if (m->queue == NULL)
        m->queue_end = end;
    m->queue = m->group.first;
    m->group.first = NULL;
}

/* Add a commit to the record: 0, or an error and the record is as before. */
static int add_commit(struct weir__group *group,
                      const struct weir__commit *commit, struct weir_error *err)
{
    size_t mark = group->bytes.len;
    uint16_t format = group->record.format;

    for (size_t i = 0; i < commit->count; i++) {
        int rc = weir__record_add(&group->bytes, &commit->ops[i], err);

        if (rc != 0) {
            group->bytes.len = mark;
            return rc;
        }
        if (weir__op_format(&commit->ops[i]) > format)
            format = weir__op_format(&commit->ops[i]);
    }
    group->record.format = format;
    group->record.op_count += (uint32_t)commit->count;
    return 0;
}

static void group_begin(struct weir__manifest *m)
{
    struct weir__group *group = &m->group;
    struct weir_env *env = m->host->env;

    group->bytes.len = 0;
    group->bytes.bad = false;
    group->look = 0;
    group->lost = false;
    group->uncertain = false;
    group->was_uncertain = false;
    group->in_log = false;
    group->formed = weir__manifest_now(m);
    memset(&group->record, 0, sizeof(group->record));
    env->ops->random(env, group->record.nonce, sizeof(group->record.nonce));
    group->record.node_id = m->node_id;
    group->record.node_epoch = m->epoch;
    group->record.format = 1;
    weir__record_begin(&group->bytes);
}

static int refuse_commit(const struct weir__manifest *m, struct weir_error *err)
{
    if (m->read_only)
        return weir__fail(err, WEIR_EREADONLY, "opened read-only");
    if (m->group.bytes.bad)
        return weir__fail(err, WEIR_ENOMEM, "out of memory");
    return 0;
}

static size_t queue_length(const struct weir__manifest *m)
{
    size_t count = 0;

    for (const struct weir__commit *c = m->queue; c != NULL; c = c->next)
        count++;
    return count;
}

int weir__group_form(struct weir__manifest *m)
{
    struct weir__commit **end = &m->group.first;

    group_begin(m);
    /* What a callback adds meanwhile is for the next group. */
    for (size_t waiting = queue_length(m); waiting > 0; waiting--) {
        bool alone = m->group.first == NULL;
        int rc = refuse_commit(m, &m->err);

        if (rc == 0)
            rc = add_commit(&m->group, m->queue, &m->err);
        if (rc == WEIR_ENOMEM && alone)
            return rc;
        /* It may be that it only is too big together with the others. */
        if (!alone && (rc == WEIR_ENOMEM || rc == WEIR_ETOOBIG))
            break;
        if (rc != 0) {
            end_commit(m, dequeue(m), rc);
            continue;
        }
        *end = dequeue(m);
        end = &(*end)->next;
    }
    m->group.own = m->group.bytes.len;
    return 0;
}

/* The group is in the log, at the version behind the state's: nothing stood
 * there since it was sent, so what waited for a reading then has its answer.
 * A node whose queue is never empty would not come to read otherwise. */
static void append_won(struct weir__manifest *m)
{
    int status;

    m->tries = 0;
    m->head_at = m->seen_at = m->group.started;
    weir__turn_won(m, weir__manifest_now(m) - m->group.started);
    status = weir__group_apply(m);
    if (status == 0)
        weir__refresh_end(m, &m->refreshing, 0);
    weir__refresh_rejoin(m);
    if (status != 0)
        weir__manifest_failed(m, status);
    else
        weir__manifest_go(m);
}

/* How an APPEND has ended.  An answer that comes too late proves nothing,
 * for what it is about may have been removed: it is read back. */
static void append_done(struct weir_mlog_req *req, int status)
{
    struct weir__manifest *m = req->ctx;
    struct weir__group *group = &m->group;
    bool fresh = weir__manifest_head_fresh(m);

    m->activity = WEIR__IDLE;
    if (status == 0 && fresh) {
        append_won(m);
        return;
    }
    weir__refresh_rejoin(m);
    if (status == 0 || status == WEIR_ECONFLICT) {
        m->tries = 0;
        group->look = 1;
        if (status == WEIR_ECONFLICT)
            weir__turn_lost(m, weir__manifest_now(m) - group->started);
        WEIR__SOMETIMES_IF(status == WEIR_ECONFLICT, "a commit loses its race");
        WEIR__SOMETIMES_IF(status == 0, "a commit is answered too late");
        weir__manifest_go(m);
        return;
    }
    WEIR__SOMETIMES_IF(status == WEIR_EUNKNOWN,
                       "the outcome of a commit is unknown");
    if (status == WEIR_EUNKNOWN)
        group->look = 1;
    else
        group->uncertain = group->was_uncertain;
    weir__manifest_failed(m, status);
}

void weir__group_send(struct weir__manifest *m)
{
    struct weir__group *group = &m->group;
    uint64_t version = weir__state_version(m->state) + 1;
    const unsigned char *cluster = weir__state_cluster(m->state);

    if (cluster == NULL)
        cluster = m->cluster_op.u.cluster.id;
    /* The same version again must be the same bytes again. */
    if (group->record.version != version) {
        group->bytes.len = group->own;
        group->record.carried = weir__carry_write(m, &group->bytes, version);
        group->record.version = version;
        memcpy(group->record.cluster, cluster, 16);
        group->record.wall = m->host->env->ops->wall(m->host->env);
        weir__record_seal(group->bytes.data, group->bytes.len, &group->record);
    }
    group->was_uncertain = group->uncertain;
    group->uncertain = true;
    group->started = weir__manifest_now(m);
    m->refreshing = m->refresh;
    m->refresh = NULL;
    m->err.code = 0;
    m->iov = (struct weir_iov){group->bytes.data, group->bytes.len};
    m->io = (struct weir_mlog_req){.verb = WEIR_MLOG_APPEND,
                                   .version = version,
                                   .iov = &m->iov,
                                   .iov_count = 1,
                                   .done = append_done,
                                   .ctx = m,
                                   .err = &m->err};
    m->activity = WEIR__APPEND;
    m->log->ops->submit(m->log, &m->io);
}

static int apply_ops(struct weir__manifest *m)
{
    const struct weir__record *record = &m->group.record;
    uint32_t index = 0;

    for (struct weir__commit *c = m->group.first; c != NULL; c = c->next)
        for (size_t i = 0; i < c->count; i++)
            if (weir__state_op(m->state, record, index++, &c->ops[i]) != 0)
                return weir__fail(&m->err, WEIR_ENOMEM,
                                  "out of memory applying a commit");
    return 0;
}

int weir__group_apply(struct weir__manifest *m)
{
    int rc = weir__state_begin(m->state, &m->group.record, &m->err);

    WEIR__SOMETIMES_IF(m->group.first != NULL && m->group.first->next != NULL,
                       "several commits go out as one");
    m->group.in_log = true;
    if (rc == 0)
        rc = apply_ops(m);
    if (rc != 0)
        return rc;
    weir__state_end(m->state, &m->group.record);
    weir__carry_keep(m, m->group.bytes.data, m->group.own,
                     m->group.record.version);
    m->tries = 0;
    m->losses = 0;
    m->commits++;
    /* What a later epoch of this node has fenced off counts for nothing. */
    if (weir__state_node_epoch(m->state, m->node_id) ==
        m->group.record.node_epoch)
        m->committed_at = m->group.formed;
    weir__keep_after_commit(m);
    weir__manifest_tell(m);
    weir__group_end(m, 0);
    return 0;
}
