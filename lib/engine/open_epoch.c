/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an opening: the log is read, and the manifest is asked for the
 * node's next epoch.  What was read counts only if nothing has changed until
 * that was granted. */
#include "base/error.h"
#include "base/sometimes.h"
#include "engine/group.h"
#include "engine/open.h"
#include "engine/upload.h"

#include <string.h>

/* How long an opening waits for its commit. */
#define PATIENCE_NS 30000000000u
static void wal_started(struct weir_wal_req *req, int status)
{
    struct weir__open *open = req->ctx;

    if (status != 0) {
        weir__open_fail(open, status);
        return;
    }
    weir__group_init(open->node);
    open->node->recovered = 1;
    weir__open_end(open);
}

/* What was recovered began at a mark.  If that has moved until this node had
 * its epoch, the former process lived on, and has removed what lay before; what
 * it wrote since was not looked for. */
static int check_mark(struct weir__open *open)
{
    const struct weir *node = open->node;
    const struct weir_wal_mark *began = &open->wal.mark;
    struct weir__member member;

    if ((node->wal->flags & WEIR_WAL_SELF_FENCING) == 0 ||
        !weir__state_member(weir__manifest_state(node->manifest), node->id - 1,
                            &member) ||
        member.mark_epoch == node->epoch ||
        (member.mark_epoch == began->epoch && member.mark_slot == began->slot))
        return 0;
    open->again = 1;
    return weir__fail(&open->error, WEIR_EAGAIN,
                      "node %u: its write-ahead log was trimmed by another "
                      "process while it was opened: open it again",
                      node->id);
}

/* Recovery went by the manifest as it was before this node had its epoch.  What
 * the former process had sent may have come first: a stream that was handed
 * over by that is without what was not acknowledged, and the log may have it.
 * And one that is in objects as a whole, as the former process has said, is
 * without what the log has of a write that failed. */
static int check_streams(struct weir__open *open)
{
    const struct weir *node = open->node;
    const struct weir__state *state = weir__manifest_state(node->manifest);
    const struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&node->streams, &at)) != NULL) {
        const struct weir__mstream *m = weir__state_stream(state, s->id);

        if (m == NULL || (m->epoch == s->epoch &&
                          (m->owner != node->id || m->since <= s->epoch)))
            continue;
        open->again = 1;
        return weir__fail(&open->error, WEIR_EAGAIN,
                          "node %u: a stream that it has in its write-ahead "
                          "log changed hands, or is no more in that: open it "
                          "again",
                          node->id);
    }
    return 0;
}

/* Who has been found dead may have renewed its lease while its log was read.
 * Where that alone keeps it from acknowledging, it has written and acknowledged
 * more.  With any log it tells readers that there is no more, without asking,
 * as long as the lease runs: nobody may append in its place until then.  It
 * cannot renew it any more, but what it has by now runs out first, as others
 * see it.  So who asked begins with a look. */
static int check_beat(struct weir__open *open)
{
    uint64_t seen = open->req->beat;

    if (seen == 0 || seen == open->op.u.node_open.beat)
        return 0;
    WEIR__SOMETIMES("a node that is taken over has renewed its lease");
    open->again = 1;
    return weir__fail(&open->error, WEIR_EAGAIN,
                      "node %u: it has renewed its lease while its write-ahead "
                      "log was read: open it again when that has run out",
                      open->node->id);
}

static void epoch_granted(struct weir__commit *commit, int status)
{
    struct weir__open *open = commit->ctx;
    struct weir *node = open->node;

    node->host.env->ops->timer_stop(node->host.env, &open->patience);
    if (open->gave_up)
        return; /* The manifest closes, and has ended what waited. */
    if (status == 0)
        status = open->op.status;
    if (status == WEIR_EFENCED)
        status = weir__fail(&open->error, WEIR_EFENCED,
                            "node %u was opened by another process at the "
                            "same time",
                            node->id);
    if (status == 0)
        status = check_beat(open);
    if (status == 0) {
        open->req->granted = node->epoch;
        status = check_mark(open);
    }
    if (status == 0)
        status = check_streams(open);
    if (status != 0) {
        weir__open_fail(open, status);
        return;
    }
    weir__manifest_set_epoch(node->manifest, node->epoch);
    open->start = (struct weir_wal_req){
        .done = wal_started, .ctx = open, .err = &open->error};
    node->wal->ops->start(node->wal, &open->start);
}

/* What fails and may pass is tried again for ever; an opening is not. */
static void give_up(struct weir_timer *timer)
{
    struct weir__open *open =
        WEIR__CONTAINER(timer, struct weir__open, patience);

    open->gave_up = 1;
    weir__open_fail(open, WEIR_ETIMEDOUT);
}

static void start_patience(struct weir__open *open)
{
    struct weir_env *env = open->node->host.env;

    open->patience.fire = give_up;
    open->patience.deadline = env->ops->now(env) + PATIENCE_NS;
    env->ops->timer_start(env, &open->patience);
}

/* How long others wait for a sign of life.  Where a dead node is opened for a
 * takeover, not shorter than that one's lease, which may run yet. */
static uint32_t lease_ms(const struct weir *node)
{
    int64_t lease = node->config->number[WEIR__P_LEASE];
    uint32_t ms = (uint32_t)((lease + 999999) / 1000000);
    struct weir__member member;

    if (node->beside &&
        weir__state_member(weir__manifest_state(node->manifest), node->id - 1,
                           &member) &&
        member.id == node->id && member.lease_ms > ms)
        return member.lease_ms;
    return ms;
}

/* Where others are told that its log is.  Who takes over a node that owes
 * nothing, or gives its log up, makes none: that which it had stays named, so
 * that what comes to it too late is looked for. */
static const char *noted_wal(struct weir__open *open)
{
    const struct weir *node = open->node;
    const char *wal = weir__config_text(node->config, WEIR__P_WAL);
    struct weir__member member;

    if (node->beside && weir__open_wal_id(node) == 0 &&
        weir__state_member(weir__manifest_state(node->manifest), node->id - 1,
                           &member) &&
        member.id == node->id)
        wal = member.wal;
    if (strlen(wal) >= sizeof(open->noted))
        return "";
    return strcpy(open->noted, wal);
}

/* Only now, with the WAL in our hands and readable, may a former process be
 * fenced; and none that has opened the node since the manifest was read. */
void weir__open_recovered(struct weir__open *open, int status)
{
    if (status != 0) {
        weir__open_fail(open, status);
        return;
    }
    weir__log_sweep_before(open->node);
    open->op = (struct weir__op){.kind = WEIR__OP_NODE_OPEN};
    open->op.u.node_open.node_id = open->node->id;
    open->op.u.node_open.wal_id = weir__open_wal_id(open->node);
    open->op.u.node_open.next = open->node->epoch;
    open->op.u.node_open.lease_ms = lease_ms(open->node);
    open->op.u.node_open.wal = noted_wal(open);
    open->commit = (struct weir__commit){.ops = &open->op,
                                         .count = 1,
                                         .done = epoch_granted,
                                         .ctx = open,
                                         .err = &open->error};
    open->sent = open->node->host.env->ops->now(open->node->host.env);
    start_patience(open);
    weir__manifest_commit(open->node->manifest, &open->commit);
}
