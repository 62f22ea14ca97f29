/* SPDX-License-Identifier: Apache-2.0 */
/* Reading other nodes' object logs up to their ends. */
#include "engine/tail.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/fetch.h"

/* Logs that are read at one time: each takes the memory of a slot. */
#define BUSY_MAX 4u
/* Ranges known of all streams together: no more is read until some go. */
#define RANGES_MAX 65536u
/* The shortest wait is this part of the longest, but not below WAIT_MIN. */
#define HASTE 8u
#define WAIT_MIN 1000000u

/** Another node's log. */
struct tail_log {
    struct weir *node; /* Who reads it. */
    uint32_t id;
    int begun;      /* `get` is somewhere in the log. */
    int wanted;     /* By a fetch, in this look. */
    int reading;    /* A request is under way. */
    int rewind;     /* To begin anew at the mark. */
    int status;     /* Of the last look: 0, or why it ended too early. */
    uint64_t epoch; /* Of its node. */
    struct weir_wal_mark mark; /* From where it is read, or went on. */
    struct weir__slot_get get;
    struct weir__tail_slot *slot; /* That is being read. */
    struct weir_error error;
};

static const struct weir__state *state_of(const struct weir *node)
{
    return weir__manifest_state(node->manifest);
}

/* ---- Which logs ---------------------------------------------------------- */

/* The node, if its log is one that this node can read. */
static int readable(const struct weir *node, uint32_t id,
                    struct weir__member *out)
{
    const struct weir__state *state = state_of(node);

    return id != 0 && (id != node->id || node->read_only || node->fenced) &&
           weir__state_member(state, id - 1, out) && out->id == id &&
           strncmp(out->wal, "object:", 7) == 0 &&
           out->wal_id == weir__wal_object_id(weir__state_cluster(state), id) &&
           weir__config_scheme(node->config, out->wal, 1) == NULL;
}

/* Source `i` of a stream: its former owners' logs, then the owner's. */
static int source(const struct weir__mstream *m, uint16_t i, uint32_t *id)
{
    if (i > m->debt_count)
        return 0;
    *id = i == m->debt_count ? m->owner : m->debts[i].node_id;
    return 1;
}

/* 1 if the stream's tail is, or may be, with others. */
static int is_elsewhere(const struct weir_stream *s)
{
    return weir__fetch_foreign(s) || s->owed != 0;
}

int weir__tail_can(const struct weir_stream *s)
{
    const struct weir *node = s->node;
    const struct weir__mstream *m;
    struct weir__member member;
    uint32_t id;

    if (node->config->number[WEIR__P_TAIL_POLL] == 0 || !is_elsewhere(s) ||
        !weir__node_is_open(node))
        return 0;
    m = weir__state_stream(state_of(node), s->id);
    for (uint16_t i = 0; m != NULL && source(m, i, &id); i++)
        if (readable(node, id, &member))
            return 1;
    return 0;
}

/* 1 if the record is a part of the stream, as the manifest tells it now; what
 * it tells later makes the logs be read again. */
static int belongs(const struct weir__mstream *m, uint32_t node_id,
                   const struct weir_wal_record *record)
{
    return weir__mstream_holds(m, node_id, record->stream_epoch,
                               record->base_offset,
                               record->base_offset + record->count);
}

/* ---- What a slot tells --------------------------------------------------- */

/* The end that readers see: what joins on to what is in objects, or in the own
 * log of a node that owes a part of the stream. */
static void extend(struct weir_stream *s)
{
    const struct weir__tail_ranges *t = &s->tail;
    uint64_t end = s->committed > s->durable ? s->committed : s->durable;

    for (size_t i = 0; i < t->count && t->ranges[i].base <= end; i++)
        if (t->ranges[i].end > end)
            end = t->ranges[i].end;
    if (end <= s->durable)
        return;
    s->durable = end;
    weir__stream_publish(s);
    weir__fetch_wake(s);
}

/* Runs of each stream's batches, in the order of the log. */
static int note_ranges(struct tail_log *log, struct weir__tail_slot *slot)
{
    struct weir *node = log->node;

    for (size_t i = 0; i < slot->count; i++) {
        const struct weir__tail_batch *b = &slot->batches[i];
        struct weir_stream *s = weir__map_get(&node->streams, b->stream_id);
        struct weir__tail_ranges *t = &s->tail;
        uint64_t end = b->base + b->count;

        if (t->count > 0 && t->ranges[t->count - 1].slot == slot &&
            t->ranges[t->count - 1].end == b->base)
            t->ranges[t->count - 1].end = end;
        else if (weir__tail_range_add(s, b->base, end, slot) != 0)
            return WEIR_ENOMEM;
    }
    return 0;
}

static void show(struct weir *node)
{
    struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        if (s->tail.on && s->tail.count > 0)
            extend(s);
}

static int record_found(void *ctx, const struct weir_wal_record *record)
{
    struct tail_log *log = ctx;
    const struct weir__mstream *m =
        weir__state_stream(state_of(log->node), record->stream_id);

    if (m == NULL || !belongs(m, log->id, record) ||
        record->base_offset + record->count <= m->committed_end ||
        record->base_offset + record->count <= m->start)
        return 0;
    return weir__tail_add(&log->slot, log->node, record);
}

/* ---- Reading ------------------------------------------------------------- */

static void pump(struct weir *node);

static void read_log(struct tail_log *log)
{
    struct weir *node = log->node;

    log->reading = 1;
    log->slot = NULL;
    log->error.code = 0;
    log->get.store = node->store;
    log->get.cluster = weir__state_cluster(state_of(node));
    node->tail.busy++;
    weir__slot_get(&log->get);
}

/* A slot was read: where it lies has been left behind by the request. */
static int take(struct tail_log *log, const struct weir_wal_mark *at)
{
    struct weir__tail_slot *slot = log->slot;
    int rc;

    log->slot = NULL;
    if (slot == NULL)
        return 0;
    slot->node_id = log->id;
    slot->at = *at;
    slot->ranges++; /* It stays while its ranges are noted. */
    rc = note_ranges(log, slot);
    slot->ranges--;
    if (slot->ranges > 0)
        weir__tail_keep(slot);
    weir__tail_slot_drop(slot);
    log->node->tail.found = 1;
    show(log->node);
    return rc;
}

static void discard(struct tail_log *log)
{
    weir__tail_slot_drop(log->slot);
    log->slot = NULL;
}

/* The log's end is reached, or it cannot be read on now. */
static void ended(struct tail_log *log, int status)
{
    log->wanted = 0;
    log->status = status == WEIR_ENOENT ? 0 : status;
    if (status == 0 || status == WEIR_ENOENT)
        return;
    weir__log(log->node->host.log, WEIR_LOG_WARN,
              "node %u: reading the log of node %u: %s", log->node->id, log->id,
              log->error.code != 0 ? log->error.text : weir_error_text(status));
}

/* There is more, but where it lies is not kept: whoever waits for that must not
 * take this for the log's end.  When some has come into objects, a later look
 * goes on from here. */
static void too_long(struct tail_log *log)
{
    ended(log, weir__fail(&log->error, WEIR_EAGAIN,
                          "the log of node %u holds more in no object than is "
                          "kept track of here (%u parts): fetch again when "
                          "that node has uploaded, or read fewer streams",
                          log->id, RANGES_MAX));
}

static void got(struct weir__slot_get *get, int status)
{
    struct tail_log *log = get->ctx;
    struct weir *node = log->node;
    struct weir_wal_mark at = {get->at.epoch, get->at.slot - 1};

    node->tail.busy--;
    log->reading = 0;
    if (!weir__node_is_open(node)) {
        discard(log);
        weir__close_step(node);
        return;
    }
    WEIR__SOMETIMES_IF(status == 0 && get->kind == WEIR__SLOT_DATA,
                       "the tail in another node's log is read");
    if (status == 0 && !log->rewind && get->kind == WEIR__SLOT_DATA)
        status = take(log, &at);
    discard(log);
    if (status == WEIR_ENOMEM)
        log->rewind = 1;
    if (status != 0 && !(status == WEIR_ENOENT && log->rewind))
        ended(log, status);
    pump(node);
}

/* ---- A look -------------------------------------------------------------- */

static struct tail_log *log_of(struct weir *node, uint32_t id)
{
    struct tail_log *log = weir__map_get(&node->tail.logs, id);

    if (log != NULL)
        return log;
    log = weir__calloc(node->alloc, 1, sizeof(*log));
    if (log == NULL)
        return NULL;
    log->node = node;
    log->id = id;
    log->get.node_id = id;
    log->get.record = record_found;
    log->get.done = got;
    log->get.ctx = log;
    log->get.err = &log->error;
    if (weir__map_put(&node->tail.logs, id, log) != 0) {
        weir__free(node->alloc, log);
        return NULL;
    }
    return log;
}

/* To where the manifest says that the log begins; what was known of it goes. */
static void rewind_log(struct tail_log *log, const struct weir_wal_mark *mark)
{
    struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&log->node->streams, &at)) != NULL)
        if (s->tail.count > 0)
            weir__tail_forget(s, log->id);
    log->get.at = *mark;
    log->get.before = 0;
    log->get.next = 0;
    log->rewind = 0;
    log->begun = 1;
}

/* 1 if a fence was followed, and the manifest's mark is another by now: who
 * began a takeover at the former one, and gave up, may have put that fence
 * where slots had been removed, which the mark is behind. */
static int may_be_astray(const struct tail_log *log,
                         const struct weir__member *member)
{
    return log->get.at.epoch > log->mark.epoch &&
           (log->mark.epoch != member->mark_epoch ||
            log->mark.slot != member->mark_slot);
}

/* 1 if the log is to be read at another place than it was. */
static int has_moved(const struct tail_log *log,
                     const struct weir__member *member)
{
    return log == NULL || !log->begun || log->rewind ||
           log->epoch != member->epoch || may_be_astray(log, member) ||
           member->mark_epoch > log->get.at.epoch ||
           (member->mark_epoch == log->get.at.epoch &&
            member->mark_slot > log->get.at.slot);
}

/* Go on from the mark, if that has passed the place where the log is read:
 * what lies before it is in objects, and may be removed. */
static void catch_up(struct tail_log *log, const struct weir__member *member)
{
    struct weir_wal_mark mark = {member->mark_epoch, member->mark_slot};
    struct weir_wal_mark *at = &log->get.at;

    if (has_moved(log, member))
        log->node->tail.moved = log->node->tail.round;
    if (!log->begun || log->rewind || log->epoch != member->epoch) {
        log->epoch = member->epoch;
        log->mark = mark;
        rewind_log(log, &mark);
    } else if (has_moved(log, member)) {
        log->mark = mark;
        *at = mark;
        log->get.before = 0;
        log->get.next = 0;
    }
}

/* Note which logs the stream needs. */
static void want_logs(struct weir_stream *s)
{
    struct weir *node = s->node;
    const struct weir__mstream *m = weir__state_stream(state_of(node), s->id);
    int anew = m != NULL && s->tail.epoch != m->epoch;
    struct weir__member member;
    struct tail_log *log;
    uint32_t id;

    if (anew) {
        weir__tail_forget(s, 0);
        s->tail.epoch = m->epoch;
    }
    for (uint16_t i = 0; m != NULL && source(m, i, &id); i++) {
        if (!readable(node, id, &member))
            continue;
        log = log_of(node, id);
        if (log == NULL)
            continue;
        log->wanted = 1;
        log->rewind |= anew;
    }
}

static void stream_off(struct weir_stream *s)
{
    weir__tail_forget(s, 0);
    s->tail.on = 0;
    s->tail.epoch = 0;
}

static void choose_logs(struct weir *node)
{
    struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&node->streams, &at)) != NULL) {
        if (!s->tail.on)
            continue;
        if (!weir__list_empty(&s->waiters))
            want_logs(s);
        else if (!weir__tail_can(s) || s->view.opens == 0)
            stream_off(s);
    }
}

static void look_begin(struct weir *node)
{
    struct weir__tail *tail = &node->tail;
    struct weir__member member;
    struct tail_log *log;
    size_t at = 0;

    node->host.env->ops->timer_stop(node->host.env, &tail->due);
    tail->looking = 1;
    tail->again = 0;
    tail->found = 0;
    tail->round++;
    choose_logs(node);
    while ((log = weir__map_next(&tail->logs, &at)) != NULL)
        if (log->wanted && !log->reading && readable(node, log->id, &member))
            catch_up(log, &member);
    pump(node);
}

static void look_end(struct weir *node)
{
    struct weir__tail *tail = &node->tail;
    uint64_t most = (uint64_t)node->config->number[WEIR__P_TAIL_POLL];

    tail->looking = 0;
    tail->wait = tail->found || tail->wait == 0 ? most / HASTE : 2 * tail->wait;
    if (tail->wait > most)
        tail->wait = most;
    if (tail->wait < WAIT_MIN)
        tail->wait = WAIT_MIN;
    /* What was read earlier may join on by now: a commit came in between. */
    show(node);
    weir__fetch_looked(node);
    if (tail->again && !tail->looking)
        look_begin(node);
}

/* Read on in every log that is wanted, a few at a time. */
static void pump(struct weir *node)
{
    struct weir__tail *tail = &node->tail;
    unsigned left = 0;
    struct tail_log *log;
    struct weir__member member;
    size_t at = 0;

    if (!tail->looking)
        return;
    while ((log = weir__map_next(&tail->logs, &at)) != NULL) {
        if (!log->wanted)
            continue;
        if (!log->reading && tail->ranges >= RANGES_MAX)
            too_long(log);
        else if (!log->reading && tail->busy - tail->loads < BUSY_MAX) {
            if (log->rewind && readable(node, log->id, &member))
                catch_up(log, &member);
            read_log(log);
        }
        left += log->wanted != 0;
    }
    if (left == 0)
        look_end(node);
}

/* ---- For fetches --------------------------------------------------------- */

static void due(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, tail.due);

    if (weir__node_is_open(node) && !node->tail.looking)
        look_begin(node);
}

static void start_timer(struct weir *node, uint64_t wait)
{
    struct weir_env *env = node->host.env;

    env->ops->timer_stop(env, &node->tail.due);
    node->tail.due.deadline = env->ops->now(env) + wait;
    env->ops->timer_start(env, &node->tail.due);
}

void weir__tail_look(struct weir_stream *s)
{
    struct weir *node = s->node;

    s->tail.on = 1;
    if (node->tail.looking)
        node->tail.again = 1;
    else
        start_timer(node, 0);
}

void weir__tail_later(struct weir_stream *s)
{
    struct weir *node = s->node;

    s->tail.on = 1;
    if (!node->tail.looking && node->tail.due.slot == 0)
        start_timer(node, node->tail.wait);
}

int weir__tail_is_stale(const struct weir_stream *s)
{
    const struct weir *node = s->node;
    const struct weir__mstream *m = weir__state_stream(state_of(node), s->id);
    struct weir__member member;
    uint32_t id;

    if (m != NULL && m->epoch != s->tail.epoch)
        return 1;
    for (uint16_t i = 0; m != NULL && source(m, i, &id); i++)
        if (readable(node, id, &member) &&
            has_moved(weir__map_get(&node->tail.logs, id), &member))
            return 1;
    return 0;
}

int weir__tail_status(const struct weir_stream *s, struct weir_error *err)
{
    const struct weir__mstream *m =
        weir__state_stream(state_of(s->node), s->id);
    const struct tail_log *log;
    uint32_t id;

    for (uint16_t i = 0; m != NULL && source(m, i, &id); i++) {
        log = weir__map_get(&s->node->tail.logs, id);
        if (log != NULL && log->status != 0) {
            *err = log->error;
            return log->status;
        }
    }
    return 0;
}

/* ---- Life ---------------------------------------------------------------- */

void weir__tail_init(struct weir *node)
{
    node->tail.logs.alloc = node->alloc;
    weir__list_init(&node->tail.loaded);
    node->tail.due.fire = due;
}

void weir__tail_close(struct weir *node)
{
    node->host.env->ops->timer_stop(node->host.env, &node->tail.due);
    node->tail.looking = 0;
}

void weir__tail_free(struct weir *node)
{
    struct tail_log *log;
    struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        weir__tail_forget(s, 0);
    at = 0;
    while ((log = weir__map_next(&node->tail.logs, &at)) != NULL)
        weir__free(node->alloc, log);
    weir__map_free(&node->tail.logs);
}
