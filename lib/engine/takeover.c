/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking over a dead node: a second node is opened beside this one, in the
 * same core, with the dead one's id and log.  That is a plain opening: it
 * raises the dead node's epoch, takes its log, and recovers it.  Then it gives
 * all its streams away in one commit, or in as many as it takes to name them,
 * and is closed when what it has recovered is in objects.  (A stream that owes
 * too many parts is given away when they are.)  So whatever crashes in between
 * is taken up by the next opening of that node, here or elsewhere.
 */
#include "engine/takeover.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/call.h"
#include "engine/members.h"
#include "engine/upload.h"
#include "format/manifest_record.h"
#include "manifest/state.h"
#include <weir/cluster.h>

/* How long until an upload that has failed is tried again. */
#define RETRY_NS 500000000u

/** A node that is being taken over. */
struct takeover {
    struct weir__list link;  /* In the node's takeovers. */
    struct weir *node;       /* Who does it. */
    struct weir__call *call; /* NULL once it was answered. */
    struct weir_config *config;
    struct weir__open_req open;
    struct weir *dead; /* Opened in the dead one's name. */
    struct weir__hand *hands;
    size_t count;
    size_t given; /* Of these: their commits have come. */
    struct weir__commit commit;
    struct weir__op op;
    struct weir__refresh refresh;
    struct weir_flush flush;
    struct weir_timer retry;
    struct weir_timer late; /* The manifest does not answer. */
    struct weir__close close;
    int refreshing;
    int refused; /* A stream owes so many parts that no more can be owed. */
    int closing;
    int closed;
    int status;
    struct weir_error error;
};

static struct weir_takeover *takeover_req(const struct takeover *t)
{
    return WEIR__CONTAINER(t->call->req, struct weir_takeover, req);
}

static void takeover_free(struct takeover *t)
{
    struct weir *node = t->node;

    if (t->dead != NULL)
        weir__node_release(t->dead);
    weir_config_free(t->config);
    weir__list_remove(&t->link);
    weir__free(node->alloc, t->hands);
    weir__free(node->alloc, t);
    weir__close_step(node);
}

static void answer(struct takeover *t, int status)
{
    struct weir__call *call = t->call;
    struct weir_env *env = t->node->host.env;

    t->call = NULL;
    if (call == NULL)
        return;
    env->ops->timer_stop(env, &t->late);
    weir__error_copy(&call->error, &t->error);
    weir__call_end(call, status);
}

static void closed(struct weir__close *close, int status)
{
    struct takeover *t = close->ctx;

    if (t->status == 0)
        t->status = status;
    answer(t, t->status);
    t->closed = 1;
    weir__log_sweep_look(t->node);
    if (!t->refreshing)
        takeover_free(t);
}

static void close_dead(struct takeover *t)
{
    struct weir_env *env = t->node->host.env;

    env->ops->timer_stop(env, &t->retry);
    env->ops->timer_stop(env, &t->late);
    t->closing = 1;
    t->close = (struct weir__close){.done = closed, .ctx = t};
    weir__node_close(t->dead, &t->close);
}

static void flush_start(struct takeover *t);
static void hand_listed(struct takeover *t);
static void give_up(struct takeover *t, int status);

static void retry_due(struct weir_timer *timer)
{
    flush_start(WEIR__CONTAINER(timer, struct takeover, retry));
}

/* 1 if an upload that ended so is worth another try. */
static int passes(int status)
{
    enum weir_error_class class = weir_error_class(status);

    return class == WEIR_CLASS_RETRY || class == WEIR_CLASS_UNKNOWN;
}

static void flushed(struct weir_req *req, int status)
{
    struct takeover *t = req->ctx;
    struct weir_env *env = t->node->host.env;

    if (t->closing)
        return;
    if (passes(status) && weir__node_is_open(t->node)) {
        t->retry.fire = retry_due;
        t->retry.deadline = env->ops->now(env) + RETRY_NS;
        env->ops->timer_start(env, &t->retry);
        return;
    }
    if (status != 0)
        weir__log(t->node->host.log, WEIR_LOG_ERROR,
                  "takeover of node %u: what was found in its write-ahead log "
                  "is not uploaded: %s",
                  t->dead->id, t->error.text);
    if (!t->refused)
        close_dead(t);
    else if (status != 0)
        give_up(t, status);
    else
        hand_listed(t); /* There is nothing to be owed now. */
}

static void flush_start(struct takeover *t)
{
    t->flush = (struct weir_flush){
        .req = {.done = flushed, .ctx = t, .err = &t->error}};
    if (weir_flush(t->dead, &t->flush) != 0)
        close_dead(t);
}

/* Those are free of which no more than so many nodes owe a part.  The others
 * are when these have uploaded, and this node what it has found. */
static void answer_free(struct takeover *t)
{
    size_t refused = 0;

    if (t->call == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        refused += t->hands[i].status == WEIR_ETOOBIG;
    takeover_req(t)->streams -= refused;
    t->error.code = 0;
    if (refused == 0)
        answer(t, 0);
    else
        answer(t, weir__fail(&t->error, WEIR_EAGAIN,
                             "takeover of node %u: %zu of its streams are not "
                             "free yet: too many former owners have not "
                             "uploaded their parts: see that these are open, "
                             "or take them over",
                             t->dead->id, refused));
}

/* The streams are free, and this node knows it. */
static void refreshed(struct weir__refresh *refresh, int status)
{
    struct takeover *t = refresh->ctx;

    (void)status; /* It will hear of it in time. */
    t->refreshing = 0;
    if (t->closed) {
        takeover_free(t);
        return;
    }
    if (weir__node_is_open(t->node))
        weir__stream_sync_all(t->node);
    answer_free(t);
    if (!t->closing)
        flush_start(t);
}

static void give_up(struct takeover *t, int status)
{
    t->status = status;
    close_dead(t);
}

/* Nothing was sent, or not all of it: another takeover frees the rest. */
static int not_free(struct takeover *t)
{
    if (t->given == 0 && !t->refused)
        return weir__fail(&t->error, WEIR_ETIMEDOUT,
                          "takeover of node %u: the manifest cannot be "
                          "reached, and its streams are not free: %.160s",
                          t->dead->id, weir__late_reason(t->dead));
    return weir__fail(
        &t->error, WEIR_EUNKNOWN,
        "takeover of node %u: the manifest cannot be reached, and "
        "not all of its streams are free: take it over again: "
        "%.160s",
        t->dead->id, weir__late_reason(t->dead));
}

/* The commit that frees its streams, or the look at it, takes too long.  What
 * was begun goes on: the log is ours by now. */
static void late(struct weir_timer *timer)
{
    struct takeover *t = WEIR__CONTAINER(timer, struct takeover, late);

    if (t->refreshing) { /* They are free; this node hears of it later. */
        answer_free(t);
    } else if (weir__manifest_withdraw(t->dead->manifest, &t->commit)) {
        give_up(t, not_free(t));
    } else {
        weir__fail(&t->error, WEIR_EUNKNOWN,
                   "takeover of node %u: the manifest does not answer: its "
                   "streams may be free, or may still be: take it over "
                   "again: %.140s",
                   t->dead->id, weir__late_reason(t->dead));
        answer(t, WEIR_EUNKNOWN);
    }
}

static void late_start(struct takeover *t)
{
    const struct weir *node = t->node;
    struct weir_env *env = node->host.env;
    uint64_t patience = (uint64_t)node->config->number[WEIR__P_COMMIT_TIMEOUT];

    if (patience == 0)
        return;
    t->late.fire = late;
    t->late.deadline = env->ops->now(env) + patience;
    env->ops->timer_start(env, &t->late);
}

static void hand_next(struct takeover *t);

/* 1 if all that is owed of a stream is owed by the dead node. */
static int owes_alone(const struct takeover *t, uint64_t stream_id)
{
    const struct weir__mstream *m =
        weir__state_stream(weir__manifest_state(t->dead->manifest), stream_id);

    for (size_t i = 0; m != NULL && i < m->debt_count; i++)
        if (m->debts[i].node_id != t->dead->id)
            return 0;
    return 1;
}

/* 1 if streams are not free that are when this node has uploaded what it has
 * found: their last part can be owed only then. */
static int was_refused(const struct takeover *t)
{
    int refused = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (t->hands[i].status != WEIR_ETOOBIG)
            continue;
        if (!owes_alone(t, t->hands[i].stream_id))
            return 0; /* It waits for others: that is told at once. */
        refused = 1;
    }
    return refused;
}

static void handed(struct weir__commit *commit, int status)
{
    struct takeover *t = commit->ctx;

    if (status == 0)
        status = t->op.status;
    if (t->closing)
        return;
    if (status != 0) {
        give_up(t, status);
        return;
    }
    t->given += t->op.u.stream_hand.count;
    if (t->given < t->count) {
        hand_next(t);
        return;
    }
    weir__stream_sync_all(t->dead);
    t->refused = was_refused(t);
    if (t->refused) {
        flush_start(t);
        return;
    }
    t->refreshing = 1;
    t->refresh = (struct weir__refresh){.done = refreshed, .ctx = t};
    weir__manifest_refresh(t->node->manifest, &t->refresh);
}

/* Its streams: `hands` is NULL to count them. */
static size_t list_streams(const struct weir *dead, struct weir__hand *hands)
{
    const struct weir__state *state = weir__manifest_state(dead->manifest);
    const struct weir__mstream *m = NULL;
    uint64_t id = 0;
    size_t count = 0;

    while ((m = weir__state_stream_behind(state, id)) != NULL) {
        const struct weir_stream *s = weir__map_get(&dead->streams, m->id);

        id = m->id;
        if (m->owner != dead->id)
            continue;
        if (hands != NULL)
            hands[count] = (struct weir__hand){
                .stream_id = m->id,
                .stream_epoch = m->epoch,
                .end = s != NULL && s->durable > weir__mstream_next(m)
                           ? s->durable
                           : weir__mstream_next(m)};
        count++;
    }
    return count;
}

static void hand_next(struct takeover *t)
{
    size_t count = t->count - t->given;

    if (count > WEIR__HANDS_MAX)
        count = WEIR__HANDS_MAX;
    t->op = (struct weir__op){.kind = WEIR__OP_STREAM_HAND};
    t->op.u.stream_hand.hands = t->hands + t->given;
    t->op.u.stream_hand.count = count;
    t->commit = (struct weir__commit){
        .ops = &t->op, .count = 1, .done = handed, .ctx = t, .err = &t->error};
    weir__manifest_commit(t->dead->manifest, &t->commit);
}

/* Free the streams that it has now. */
static void hand_listed(struct takeover *t)
{
    const struct weir_alloc *alloc = t->node->alloc;

    weir__free(alloc, t->hands);
    t->given = 0;
    t->count = list_streams(t->dead, NULL);
    t->hands = weir__calloc(alloc, t->count + 1, sizeof(*t->hands));
    if (t->hands == NULL) {
        give_up(t, WEIR_ENOMEM);
        return;
    }
    list_streams(t->dead, t->hands);
    hand_next(t);
}

static void hand_start(struct takeover *t)
{
    takeover_req(t)->streams = list_streams(t->dead, NULL);
    takeover_req(t)->batches = t->dead->stats.recovered_batches;
    takeover_req(t)->bytes = t->dead->stats.recovered_bytes;
    WEIR__SOMETIMES_IF(takeover_req(t)->batches > 0,
                       "a takeover finds batches in the dead node's log");
    late_start(t);
    hand_listed(t);
}

static void looked(struct weir__refresh *refresh, int status);

/* 1 if what has failed may be begun once more: there is time, and this node
 * looks whether the other one is dead. */
static int may_try_again(const struct takeover *t)
{
    struct weir_env *env = t->node->host.env;
    const struct weir_timer *late = &t->call->late;

    return t->open.again && weir__node_is_open(t->node) &&
           (late->fire == NULL || env->ops->now(env) < late->deadline);
}

/* As if it were asked for once more, in what is left of the same time. */
static void try_again(struct takeover *t)
{
    WEIR__SOMETIMES("a takeover begins once more");
    struct weir__call *call = t->call;
    struct weir_env *env = t->node->host.env;

    if (t->open.granted != 0)
        call->granted = t->open.granted;
    t->call = NULL;
    takeover_free(t);
    if (call->late.fire != NULL)
        env->ops->timer_start(env, &call->late);
    weir__call_refresh(call, looked);
}

static void opened(struct weir__open_req *open, int status)
{
    struct takeover *t = open->ctx;

    t->dead = open->node;
    if (status != 0 && may_try_again(t)) {
        try_again(t);
    } else if (status != 0) { /* It is closed already. */
        WEIR__SOMETIMES("a takeover fails");
        answer(t, status);
        takeover_free(t);
    } else if (!weir__node_is_open(t->node)) {
        give_up(t, WEIR_ECLOSED);
    } else {
        hand_start(t);
    }
}

void weir__takeover_close(struct weir *node)
{
    struct weir__list *at = node->takeovers.next;

    for (; at != &node->takeovers; at = at->next) {
        struct takeover *t = WEIR__CONTAINER(at, struct takeover, link);

        if (t->dead != NULL && !t->closing)
            give_up(t, t->call != NULL ? WEIR_ECLOSED : 0);
    }
}

/* The configuration of the dead node, as it is opened here. */
static int configure(struct takeover *t, const char *wal, unsigned flags)
{
    struct weir_config *config;
    char id[16];
    int rc = weir__config_copy(&config, t->node->config);

    if (rc != 0)
        return rc;
    t->config = config;
    snprintf(id, sizeof(id), "%u", (unsigned)takeover_req(t)->node_id);
    rc = weir_config_set(config, "node_id", id, &t->error);
    if (rc == 0)
        rc = weir_config_set(config, "wal", wal, &t->error);
    if (rc == 0 && (flags & WEIR_TAKEOVER_ABANDON) != 0)
        rc = weir_config_set(config, "wal_abandon", "true", &t->error);
    weir_config_set_env(config, t->node->host.env);
    return rc;
}

static bool find(const struct weir *node, uint32_t id, struct weir__member *out)
{
    return weir__state_member(weir__manifest_state(node->manifest), id - 1,
                              out) &&
           out->id == id;
}

/* The node was looked at in this turn: what it is now is what was found. */
static int start(struct takeover *t)
{
    const struct weir_takeover *req = takeover_req(t);
    uint64_t epoch = t->call->granted;
    const char *wal = req->wal;
    bool forced = (req->flags & WEIR_TAKEOVER_FORCE) != 0;
    struct weir__member member = {0};
    int rc;

    if (!find(t->node, req->node_id, &member))
        return WEIR_ENOENT;
    if (epoch == 0)
        epoch = member.epoch;

    if ((req->flags & WEIR_TAKEOVER_ABANDON) != 0)
        wal = "mem:";
    else if (member.wal_id == 0)
        wal = "mem:"; /* There is nothing in its log. */
    if (wal == NULL && member.wal[0] != '\0')
        wal = member.wal;
    if (wal == NULL)
        return weir__fail(&t->error, WEIR_EINVAL,
                          "takeover of node %u: where is its write-ahead log?",
                          req->node_id);
    rc = configure(t, wal, req->flags);
    if (rc != 0)
        return rc;
    t->open = (struct weir__open_req){.config = t->config,
                                      .beside = 1,
                                      .done = opened,
                                      .ctx = t,
                                      .err = &t->error,
                                      .expected = epoch,
                                      .beat = forced ? 0 : member.beat};
    return weir__node_open(&t->open);
}

/* Why the node cannot be taken over, as far as this one knows; or 0. */
static int check(struct weir__call *call)
{
    const struct weir_takeover *req =
        WEIR__CONTAINER(call->req, struct weir_takeover, req);
    struct weir__member member;

    if (!find(call->node, req->node_id, &member))
        return weir__fail(&call->error, WEIR_ENOENT,
                          "takeover: there is no node %u", req->node_id);
    if (call->granted != 0)
        return 0; /* It is fenced: its epoch, and sign of life, is ours. */
    if (req->epoch != 0 && req->epoch != member.epoch)
        return weir__fail(&call->error, WEIR_ECONFLICT,
                          "takeover of node %u: it has epoch %llu",
                          req->node_id, (unsigned long long)member.epoch);
    if ((req->flags & WEIR_TAKEOVER_FORCE) == 0 &&
        weir__members_life(call->node, &member) == WEIR_NODE_LIVE)
        return weir__fail(
            &call->error, WEIR_EBUSY,
            "takeover of node %u: it may be alive: %s", req->node_id,
            member.lease_ms == 0 ? "it has no lease; if it is certainly dead, "
                                   "force it"
                                 : "its lease has not run out yet");
    return 0;
}

static void begin(struct weir__call *call)
{
    struct weir *node = call->node;
    struct takeover *t = weir__calloc(node->alloc, 1, sizeof(*t));
    int rc;

    if (t == NULL) {
        weir__call_end(call, WEIR_ENOMEM);
        return;
    }
    /* It has waited for the manifest; from here on the takeover does, and for
     * more: its own timer runs when that is its turn. */
    node->host.env->ops->timer_stop(node->host.env, &call->late);
    t->node = node;
    t->call = call;
    weir__list_push(&node->takeovers, &t->link);
    rc = start(t);
    if (rc == 0)
        return;
    answer(t, rc);
    takeover_free(t);
}

/* What others have committed must be known: look at the manifest first. */
static void looked(struct weir__refresh *refresh, int status)
{
    struct weir__call *call = refresh->ctx;

    if (status == 0) {
        weir__stream_sync_all(call->node);
        weir__members_look(call->node);
        status = check(call);
    }
    if (status != 0)
        weir__call_end(call, status);
    else
        begin(call);
}

static void takeover_run(struct weir_task *task)
{
    struct weir_req *req = weir__req_of(task);
    struct weir__call *call = weir__call_new(weir__call_target(req), req);

    if (call == NULL)
        return;
    WEIR__SOMETIMES_IF(call->node->uploads.job != NULL,
                       "a takeover during an upload of the taker");
    weir__call_refresh(call, looked);
}

int weir_takeover(struct weir *node, struct weir_takeover *req)
{
    if (node == NULL || req == NULL || req->req.done == NULL)
        return WEIR_EINVAL;
    req->streams = 0;
    req->batches = 0;
    req->bytes = 0;
    if (node->read_only)
        return weir__fail(req->req.err, WEIR_EREADONLY,
                          "takeover: the node is read-only");
    if (req->node_id == node->id || req->node_id == 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "takeover: expected the id of another node");
    if ((req->flags & ~(WEIR_TAKEOVER_FORCE | WEIR_TAKEOVER_ABANDON)) != 0)
        return weir__fail(req->req.err, WEIR_EINVAL,
                          "takeover: unknown flags 0x%x", req->flags);
    return weir__call_post(node, &req->req, node, takeover_run);
}

static int takeover_start(void *node, struct weir_req *req)
{
    return weir_takeover(node, WEIR__CONTAINER(req, struct weir_takeover, req));
}

int weir_takeover_sync(struct weir *node, struct weir_takeover *req)
{
    if (node == NULL || req == NULL)
        return WEIR_EINVAL;
    return weir__call_sync(node, &req->req, takeover_start, node);
}
