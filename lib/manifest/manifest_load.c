/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/manifest_inside.h"

#include "base/error.h"
#include "base/sometimes.h"

#include <inttypes.h>
#include <string.h>

void weir__refresh_end(struct weir__manifest *m, struct weir__refresh **list,
                       int status)
{
    struct weir__refresh *req = *list;

    *list = NULL;
    while (req != NULL) {
        struct weir__refresh *next = req->next;

        if (status != 0)
            weir__fail(req->err, status, "refresh: %s",
                       m->err.code != 0 ? m->err.text
                                        : weir_error_text(status));
        req->next = NULL;
        req->done(req, status);
        req = next;
    }
}

void weir__refresh_rejoin(struct weir__manifest *m)
{
    struct weir__refresh **end = &m->refreshing;

    while (*end != NULL)
        end = &(*end)->next;
    *end = m->refresh;
    m->refresh = m->refreshing;
    m->refreshing = NULL;
}

static bool forget(struct weir__refresh **at, const struct weir__refresh *req)
{
    while (*at != NULL && *at != req)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = req->next;
    return true;
}

bool weir__manifest_forget(struct weir__manifest *m, struct weir__refresh *req)
{
    return forget(&m->refresh, req) || forget(&m->refreshing, req);
}

/* Take over what the snapshot says, if it is ahead of the state: the commits
 * between them may be gone. */
static int adopt(struct weir__manifest *m, const struct weir_mlog_req *req)
{
    const unsigned char *cluster = weir__state_cluster(m->state);
    struct weir__state *state;
    int rc;

    if (m->head_known && req->version <= weir__state_version(m->state))
        return 0;
    rc = weir__state_decode(&state, m->host->alloc, req->body->data,
                            req->body->len, req->version, &m->err);
    if (rc != 0)
        return rc;
    if (cluster != NULL &&
        (!state->named || memcmp(state->cluster, cluster, 16) != 0)) {
        weir__state_free(state);
        return weir__fail(&m->err, WEIR_EFOREIGN,
                          "manifest snapshot: of another cluster");
    }
    weir__state_tell_keys(m->state, state);
    weir__state_swap(m->state, state);
    weir__state_free(state);
    weir__manifest_tell(m);
    return 0;
}

static void latest_done(struct weir_mlog_req *req, int status)
{
    struct weir__manifest *m = req->ctx;
    uint64_t before = weir__state_version(m->state);

    if (status == 0) {
        status = adopt(m, req);
        weir_buf_unref(req->body);
        req->body = NULL;
        if (status == 0)
            weir__keep_snapshot(m, req->version);
    } else if (status == WEIR_ENOENT) {
        status = 0;
    }
    if (status == WEIR_ECORRUPT && !m->reread && m->closed == NULL) {
        m->reread = true; /* Perhaps it was damaged on its way. */
        weir__latest_start(m);
        return;
    }
    if (status != 0) {
        weir__manifest_failed(m, status);
        return;
    }
    m->activity = WEIR__IDLE;
    if (m->group.first == NULL) /* Its write may be what fails. */
        m->tries = 0;
    m->reread = false;
    m->head_known = true;
    m->head_at = m->latest_started;
    /* Where a commit of ours may have been, nobody can look any more. */
    if (m->group.first != NULL && weir__state_version(m->state) != before &&
        (m->group.uncertain || m->group.in_log)) {
        weir__fail(&m->err, WEIR_EUNKNOWN, "this node fell too far behind");
        weir__group_end(m, WEIR_EUNKNOWN);
    }
    weir__manifest_go(m);
}

void weir__latest_start(struct weir__manifest *m)
{
    m->activity = WEIR__LATEST;
    m->latest_started = weir__manifest_now(m);
    m->err.code = 0;
    m->io = (struct weir_mlog_req){.verb = WEIR_MLOG_LATEST,
                                   .done = latest_done,
                                   .ctx = m,
                                   .err = &m->err};
    m->log->ops->submit(m->log, &m->io);
}

static struct weir__follow_slot *slot_of(struct weir__manifest *m,
                                         uint64_t version)
{
    return &m->follow.slots[version % WEIR__MANIFEST_AHEAD];
}

static int apply_record(struct weir__manifest *m, struct weir__record_reader *r)
{
    struct weir__op op;
    uint32_t index = 0;
    int rc = weir__state_begin(m->state, &r->header, &m->err);

    while (rc == 0) {
        rc = weir__record_next(r, &op);
        if (rc == 0)
            break;
        if (rc > 0)
            rc = weir__state_op(m->state, &r->header, index++, &op);
        if (rc != 0)
            return weir__fail(&m->err, WEIR_ENOMEM,
                              "out of memory applying a commit");
    }
    if (rc == 0)
        weir__state_end(m->state, &r->header);
    return rc;
}

/* Is this the record of the group that is being committed? */
static bool is_own(const struct weir__manifest *m,
                   const struct weir__record *record)
{
    return m->group.first != NULL && m->group.uncertain &&
           m->group.record.version == record->version &&
           memcmp(m->group.record.nonce, record->nonce, 16) == 0;
}

/* Apply the record of the version behind the state's; `carried`: it was found
 * in another one, which nobody puts there with what it carries itself. */
static int apply_bytes(struct weir__manifest *m, const unsigned char *data,
                       size_t len, bool carried)
{
    struct weir__record_reader r;
    uint64_t version = weir__state_version(m->state) + 1;
    int rc = weir__record_open(&r, m->host->alloc, data, len, version,
                               weir__state_cluster(m->state), &m->err);

    if (rc != 0)
        return rc;
    if (carried && r.header.carried > 0) {
        weir__record_close(&r);
        return weir__fail(&m->err, WEIR_ECORRUPT,
                          "manifest commit %" PRIu64
                          ": is carried with %" PRIu32 " bytes that it carries",
                          version, r.header.carried);
    }
    m->carry.found = r.header.carried > 0;
    if (is_own(m, &r.header)) {
        weir__record_close(&r);
        m->follow.stop = true;
        return weir__group_apply(m);
    }
    rc = apply_record(m, &r);
    weir__record_close(&r);
    if (rc != 0)
        return rc;
    weir__carry_keep(m, data, len - r.header.carried, version);
    weir__turn_other(m, r.header.node_id);
    /* Another's stands where ours might have been: ours will never be. */
    if (m->group.uncertain && m->group.record.version == version) {
        m->group.uncertain = false;
        m->group.lost = true;
        m->conflicts++;
    }
    weir__manifest_tell(m);
    return 0;
}

/* Apply what the record of a version carries of those behind the state, and
 * then itself: WEIR_ERANGE if it does not reach back so far. */
static int apply_ahead(struct weir__manifest *m, const struct weir_buf *body,
                       uint64_t version)
{
    const unsigned char *data = (const unsigned char *)body->data;
    struct weir_iov one;
    uint64_t found;
    size_t at = 0;
    int rc = weir__manifest_check(data, body->len, WEIR__COMMIT_MAGIC, "commit",
                                  version, &m->err);

    while (rc == 0 && weir__state_version(m->state) + 1 < version) {
        found = weir__record_carried(data, body->len, &at, &one);
        if (found == 0 || found > weir__state_version(m->state) + 1)
            return WEIR_ERANGE;
        if (found == weir__state_version(m->state) + 1)
            rc = apply_bytes(m, one.data, one.len, true);
    }
    return rc != 0 ? rc : apply_bytes(m, data, body->len, false);
}

/* Look at the answer for the version behind the state's. */
static void follow_answer(struct weir__manifest *m,
                          struct weir__follow_slot *slot)
{
    struct weir__follow *f = &m->follow;
    int status = slot->status;

    if (!weir__manifest_head_fresh(m)) {
        WEIR__SOMETIMES("what was read of the manifest is too old to believe");
        f->stop = true;
        return;
    }
    if (status == WEIR_ENOENT) {
        m->head_at = m->seen_at = slot->started;
        f->at_end = true;
        f->stop = true;
        return;
    }
    if (status == 0)
        status = apply_bytes(m, (const unsigned char *)slot->req.body->data,
                             slot->req.body->len, false);
    else
        weir__error_copy(&m->err, &slot->err);
    if (status != 0) {
        f->status = status;
        f->stop = true;
        return;
    }
    m->reread = false;
    /* Most often one is missing: no more are asked for until there are two. */
    if (f->window < WEIR__MANIFEST_AHEAD && f->answers++ > 0)
        f->window++;
}

static void follow_end(struct weir__manifest *m)
{
    struct weir__follow *f = &m->follow;

    if (f->status == 0 && f->at_end)
        weir__refresh_end(m, &m->refreshing, 0);
    weir__refresh_rejoin(m);
    if (!f->at_end && m->told < f->told)
        m->told = f->told;
    if (f->at_end) {
        m->followed = true;
        weir__turn_read(m);
    }
    if (f->status == WEIR_ECORRUPT && !m->reread && m->closed == NULL) {
        m->reread = true; /* Perhaps it was damaged on its way. */
        f->status = 0;
    }
    if (f->status != 0) {
        weir__manifest_failed(m, f->status);
        return;
    }
    m->activity = WEIR__IDLE;
    if (m->group.first == NULL) /* Its write may be what fails. */
        m->tries = 0;
    weir__manifest_go(m);
}

static void slot_done(struct weir_mlog_req *req, int status);

static void follow_ask(struct weir__manifest *m)
{
    struct weir__follow *f = &m->follow;
    uint64_t version = weir__state_version(m->state);

    if (f->step > 0) {
        f->next = version + f->step < f->limit ? version + f->step : f->limit;
        f->window = f->next - version;
    }
    while (!f->stop && f->next <= f->limit && f->next - version <= f->window) {
        struct weir__follow_slot *slot = slot_of(m, f->next);

        slot->busy = true;
        slot->started = weir__manifest_now(m);
        slot->err.code = 0;
        slot->req = (struct weir_mlog_req){.verb = WEIR_MLOG_READ,
                                           .version = f->next,
                                           .done = slot_done,
                                           .ctx = m,
                                           .err = &slot->err};
        f->next++;
        f->busy++;
        m->log->ops->submit(m->log, &slot->req);
    }
}

static void follow_drop(struct weir__follow_slot *slot)
{
    if (slot->status == 0)
        weir_buf_unref(slot->req.body);
    slot->req.body = NULL;
    slot->ready = false;
}

/* From here on every single commit is read. */
static void follow_each(struct weir__manifest *m)
{
    struct weir__follow *f = &m->follow;

    f->step = 0;
    f->window = 1;
    f->next = weir__state_version(m->state) + 1;
}

/* It does not reach back to the state: the next one that is read is as far
 * ahead as it reaches. */
static void ahead_short(struct weir__manifest *m, const struct weir_buf *body)
{
    struct weir__follow *f = &m->follow;
    struct weir_iov one;
    uint64_t reach = 0;
    size_t at = 0;

    while (weir__record_carried((const unsigned char *)body->data, body->len,
                                &at, &one) != 0)
        reach++;
    f->falling = true;
    if (reach == 0 || reach + 1 >= f->step)
        follow_each(m);
    else
        f->step = reach + 1;
}

/* Further each time; by halves once that was too far, until what there is was
 * read. */
static void ahead_step(struct weir__follow *f)
{
    if (f->falling && f->step > 1)
        f->step /= 2;
    else if (f->falling)
        f->falling = false;
    else if (f->step > 0 && f->step < WEIR__MANIFEST_CARRY && f->answers > 1)
        f->step *= 2;
}

/* The answer for a version that is not the next one. */
static void ahead_look(struct weir__manifest *m, struct weir__follow_slot *slot)
{
    struct weir__follow *f = &m->follow;
    int status = slot->status;

    if (status == 0)
        status = apply_ahead(m, slot->req.body, slot->req.version);
    else
        weir__error_copy(&m->err, &slot->err);
    if (status == 0) {
        WEIR__SOMETIMES("a commit is read with those before it");
        m->reread = false;
        f->answers++;
        ahead_step(f);
    } else if (status == WEIR_ENOENT) {
        f->falling = true;
        ahead_step(f);
    } else if (status == WEIR_ERANGE) {
        ahead_short(m, slot->req.body);
    } else if (slot->status == 0) {
        follow_each(m); /* That tells what is wrong, if anything is. */
    } else {
        f->status = status;
        f->stop = true;
    }
}

/* Look at the answer for a version some way ahead, or the next one. */
static void ahead_answer(struct weir__manifest *m,
                         struct weir__follow_slot *slot)
{
    bool next = slot->req.version == weir__state_version(m->state) + 1;

    if (!next && weir__manifest_head_fresh(m)) {
        ahead_look(m, slot);
    } else {
        follow_answer(m, slot);
        if (!m->carry.found)
            follow_each(m);
        else
            ahead_step(&m->follow);
    }
    follow_drop(slot);
}

static void slot_done(struct weir_mlog_req *req, int status)
{
    struct weir__manifest *m = req->ctx;
    struct weir__follow *f = &m->follow;
    struct weir__follow_slot *slot = slot_of(m, req->version);

    slot->busy = false;
    slot->ready = true;
    slot->status = status;
    f->busy--;
    if (f->step > 0)
        ahead_answer(m, slot);
    while (f->step == 0) {
        slot = slot_of(m, weir__state_version(m->state) + 1);
        if (f->stop || !slot->ready)
            break;
        follow_answer(m, slot);
        follow_drop(slot);
    }
    if (weir__state_version(m->state) >= f->limit || m->closed != NULL)
        f->stop = true;
    follow_ask(m);
    if (f->busy > 0)
        return;
    for (unsigned i = 0; i < WEIR__MANIFEST_AHEAD; i++)
        if (f->slots[i].ready)
            follow_drop(&f->slots[i]);
    follow_end(m);
}

void weir__follow_start(struct weir__manifest *m, uint64_t count)
{
    struct weir__follow *f = &m->follow;
    uint64_t version = weir__state_version(m->state);

    f->next = version + 1;
    f->limit = count < UINT64_MAX - version ? version + count : UINT64_MAX;
    f->step = m->carry.found ? weir__turn_ahead(m) : 1;
    f->falling = false;
    f->window = m->opening != NULL ? 2 : 1;
    f->busy = 0;
    f->answers = m->opening != NULL ? 1 : 0;
    f->stop = false;
    f->at_end = false;
    f->status = 0;
    f->told = m->told;
    m->told = 0;
    m->group.look = 0;
    m->refreshing = m->refresh;
    m->refresh = NULL;
    m->err.code = 0;
    m->activity = WEIR__FOLLOW;
    follow_ask(m);
}
