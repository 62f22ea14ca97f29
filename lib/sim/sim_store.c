/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/uri.h"
#include "sim/sim_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A node's way to the world's store; in the node's memory. */
struct sim_door {
    struct weir_store base;
    struct weir_sim_node *node;
};

/* How long a request may take that does not say. */
#define OWN_DEADLINE (60 * SIM_SECOND)
/* How long the keys of one part are refused, about. */
#define HOT_FOR (3 * SIM_SECOND)

static void request_free(struct sim_request *r)
{
    weir__list_remove(&r->node);
    weir_sim_cancel(r->sim, &r->apply);
    weir_sim_cancel(r->sim, &r->answer);
    weir__sim_entries_free(r);
    weir__free(r->sim->alloc, r->key);
    weir__free(r->sim->alloc, r->body);
    weir__free(r->sim->alloc, r);
}

static void free_if_over(struct sim_request *r)
{
    if (r->answered && r->applies == 0)
        request_free(r);
}

/* ---- Taking effect ------------------------------------------------------- */

static bool changes(const struct sim_request *r)
{
    return r->verb == WEIR_STORE_PUT || r->verb == WEIR_STORE_DELETE;
}

static bool creates(const struct sim_request *r)
{
    return r->verb == WEIR_STORE_PUT && (r->flags & WEIR_STORE_IF_ABSENT) != 0;
}

static const char *verb_name(enum weir_store_verb verb)
{
    static const char *const names[] = {"put", "get", "head", "delete", "list"};

    return names[verb];
}

static void apply_now(struct weir_timer *timer)
{
    struct sim_request *r = WEIR__CONTAINER(timer, struct sim_request, apply);

    r->status = weir__sim_apply(r);
    r->applies--;
    if (r->verb == WEIR_STORE_PUT && r->status == 0)
        weir__sim_watch_tell(r->sim, r->key);
    weir_sim_trace(r->sim, "store %s %s%s %zu %s", verb_name(r->verb), r->key,
                   r->answered ? " (late)" : "", r->len,
                   weir_error_name(r->status));
    if (r->applies > 0 && r->answer.deadline <= r->sim->now)
        r->applies = 0;
    if (r->applies > 0) {
        /* The second time, before the answer. */
        r->apply.deadline =
            r->sim->now + (r->answer.deadline - r->sim->now) / 2;
        weir_sim_at(r->sim, &r->apply);
    }
    free_if_over(r);
}

/* ---- The answer ---------------------------------------------------------- */

/* What the node gets; in its core. */
static int fill_in(struct sim_request *r, struct weir_store_req *req)
{
    if (r->status != 0)
        return r->status;
    req->size = r->size;
    if (r->verb == WEIR_STORE_LIST) {
        req->entries = r->entries;
        req->entry_count = r->entry_count;
        req->more = r->more;
    }
    if (r->verb != WEIR_STORE_GET)
        return 0;
    req->body = weir_buf_new(&r->owner->alloc, r->len, 0);
    if (req->body == NULL)
        return WEIR_ENOMEM;
    memcpy(req->body->data, r->body, r->len);
    req->body->len = r->len;
    return 0;
}

static void tell(struct weir_task *task)
{
    struct sim_request *r = WEIR__CONTAINER(task, struct sim_request, task);
    struct weir_store_req *req = r->req;
    int status;

    if (r->refusal != 0)
        r->status = r->refusal;
    status = fill_in(r, req);
    if (status != 0)
        weir__fail(req->err, status, "%s %s: %s (simulated)",
                   verb_name(r->verb), r->key, weir_error_text(status));
    if (!changes(r)) { /* Nobody is left to read for. */
        weir_sim_cancel(r->sim, &r->apply);
        r->applies = 0;
    }
    r->owner = NULL;
    req->done(req, status);
    r->answered = true;
    free_if_over(r);
}

static void answer_now(struct weir_timer *timer)
{
    struct sim_request *r = WEIR__CONTAINER(timer, struct sim_request, answer);

    r->held = false;
    if (r->refusal != 0)
        weir_sim_trace(r->sim, "store %s %s answers %s", verb_name(r->verb),
                       r->key, weir_error_name(r->refusal));
    r->owner->env.ops->post(&r->owner->env, &r->task);
}

/* ---- What will happen to a request --------------------------------------- */

static uint64_t latency(struct weir_sim *sim, const struct sim_request *r)
{
    uint64_t put = sim->options.store_time;
    uint64_t typical = r->verb == WEIR_STORE_PUT ? put : put / 8 * 3;

    if (SIM_FAULT(sim, &sim->store_random, store_slow))
        typical = 2 * SIM_SECOND;
    return weir__sim_random_time(&sim->store_random, typical);
}

static bool chance(struct weir_sim *sim, uint32_t millionths)
{
    return weir__sim_random_chance(&sim->store_random, millionths) != 0;
}

/* Reads change nothing: their outcome is known whatever happens. */
static int unknown_outcome(const struct sim_request *r)
{
    return changes(r) ? WEIR_EUNKNOWN : WEIR_ETIMEDOUT;
}

/* A store that spreads a part of its keys over more servers refuses what is
 * asked of them meanwhile: here the keys that begin like this one. */
static bool is_hot(struct weir_sim *sim, const char *key)
{
    struct sim_random *random = &sim->store_random;

    if (SIM_FAULT(sim, random, store_hot)) {
        size_t len = (size_t)weir__sim_random_below(random, SIM_PREFIX);

        snprintf(sim->hot, sizeof(sim->hot), "%.*s", (int)len, key);
        sim->hot_until = sim->now + weir__sim_random_time(random, HOT_FOR);
    }
    return sim->faults.store_hot > 0 && sim->now < sim->hot_until &&
           strncmp(key, sim->hot, strlen(sim->hot)) == 0;
}

static void plan_faults(struct weir_sim *sim, struct sim_request *r)
{
    int unknown = unknown_outcome(r);

    r->applies = 1;
    if (SIM_FAULT(sim, &sim->store_random, store_down)) {
        r->refusal = WEIR_EUNAVAILABLE;
        r->applies = 0;
    } else if (is_hot(sim, r->key) ||
               SIM_FAULT(sim, &sim->store_random, store_throttle)) {
        r->refusal = WEIR_ETHROTTLED;
        r->applies = 0;
    } else if (creates(r) &&
               SIM_FAULT(sim, &sim->store_random, store_refused)) {
        r->refusal = WEIR_ETHROTTLED;
        r->applies = 0;
    } else if (SIM_FAULT(sim, &sim->store_random, store_lost)) {
        r->refusal = unknown;
        r->applies = 0;
    } else if (SIM_FAULT(sim, &sim->store_random, store_unheard)) {
        r->refusal = unknown;
    } else if (changes(r) && SIM_FAULT(sim, &sim->store_random, store_late)) {
        r->refusal = unknown;
        r->apply.deadline +=
            weir__sim_random_below(&sim->store_random, 600 * SIM_SECOND);
    } else if (changes(r) && SIM_FAULT(sim, &sim->store_random, store_repeat)) {
        r->applies = 2;
    }
}

static void plan(struct weir_sim *sim, struct sim_request *r)
{
    uint64_t takes = latency(sim, r);
    uint64_t deadline = r->req->deadline;

    r->sent = true;
    r->answer.deadline = sim->now + takes;
    r->apply.deadline =
        sim->now + weir__sim_random_below(&sim->store_random, takes);
    plan_faults(sim, r);
    if (deadline != 0 && r->answer.deadline > deadline) {
        r->answer.deadline = deadline > sim->now ? deadline : sim->now;
        r->refusal = unknown_outcome(r);
    }
    /* Only what changes something can come after its answer. */
    if (!changes(r) && r->apply.deadline >= r->answer.deadline)
        r->applies = 0;
    if (r->applies > 0)
        weir_sim_at(sim, &r->apply);
    weir_sim_at(sim, &r->answer);
}

/* ---- A node cut from the store ------------------------------------------- */

static void answer_soon(struct sim_request *r, int refusal)
{
    r->held = false;
    r->refusal = refusal;
    r->answer.deadline =
        r->sim->now + weir__sim_random_time(&r->sim->store_random, SIM_MS);
    weir_sim_at(r->sim, &r->answer);
}

/* Nothing is heard until the deadline: the request's, or the store's own. */
static void hold(struct sim_request *r)
{
    uint64_t deadline =
        r->req->deadline != 0 ? r->req->deadline : r->sim->now + OWN_DEADLINE;

    r->held = true;
    r->refusal = unknown_outcome(r);
    weir_sim_cancel(r->sim, &r->answer);
    r->answer.deadline = deadline > r->sim->now ? deadline : r->sim->now;
    weir_sim_at(r->sim, &r->answer);
}

static void send_request(struct sim_request *r)
{
    if (r->owner->cut == 0)
        plan(r->sim, r);
    else if (r->owner->cut == WEIR_SIM_CUT_HANGS)
        hold(r);
    else
        answer_soon(r, WEIR_EUNAVAILABLE);
}

/* What has been sent takes effect or not, as it was to; whoever waits does
 * not get to know. */
static void cut_one(struct sim_request *r)
{
    if (r->owner->cut == WEIR_SIM_CUT_HANGS)
        hold(r);
    else
        answer_soon(r, r->sent ? unknown_outcome(r) : WEIR_EUNAVAILABLE);
}

static void heal_one(struct sim_request *r)
{
    if (r->sent) {
        answer_soon(r, unknown_outcome(r));
        return;
    }
    r->held = false;
    r->refusal = 0;
    plan(r->sim, r);
}

static void for_each(struct weir_sim_node *node, bool held_only,
                     void (*fn)(struct sim_request *r))
{
    struct weir__list *at;

    for (at = node->sim->requests.next; at != &node->sim->requests;
         at = at->next) {
        struct sim_request *r = WEIR__CONTAINER(at, struct sim_request, node);
        bool waits = r->held || (!held_only && r->answer.slot != 0);

        if (r->owner == node && waits)
            fn(r);
    }
}

void weir_sim_cut(struct weir_sim_node *node, enum weir_sim_cut_kind kind)
{
    weir_sim_trace(node->sim, "node %" PRIu32 " cut, the store %s", node->id,
                   kind == WEIR_SIM_CUT_HANGS ? "hangs" : "refuses");
    node->cut = (int)kind;
    for_each(node, false, cut_one);
}

void weir_sim_heal(struct weir_sim_node *node)
{
    if (node->cut == 0)
        return;
    weir_sim_trace(node->sim, "node %" PRIu32 " heal", node->id);
    node->cut = 0;
    for_each(node, true, heal_one);
}

/* ---- The port ------------------------------------------------------------ */

static int copy_body(struct sim_request *r, const struct weir_store_req *req)
{
    size_t i;

    for (i = 0; i < req->iov_count; i++)
        r->len += req->iov[i].len;
    r->body = weir__malloc(r->sim->alloc, r->len);
    if (r->body == NULL)
        return WEIR_ENOMEM;
    for (r->len = 0, i = 0; i < req->iov_count; i++) {
        if (req->iov[i].len > 0)
            memcpy(r->body + r->len, req->iov[i].data, req->iov[i].len);
        r->len += req->iov[i].len;
    }
    r->wrong_sum =
        req->crc32c != NULL && *req->crc32c != weir__crc32c(0, r->body, r->len);
    return 0;
}

static struct sim_request *request_new(struct sim_door *door,
                                       struct weir_store_req *req)
{
    struct weir_sim *sim = door->node->sim;
    struct sim_request *r = weir__calloc(sim->alloc, 1, sizeof(*r));

    if (r == NULL)
        return NULL;
    weir__list_push(&sim->requests, &r->node);
    r->sim = sim;
    r->owner = door->node;
    r->door = door;
    r->req = req;
    r->verb = req->verb;
    r->flags = req->flags;
    r->apply.fire = apply_now;
    r->answer.fire = answer_now;
    r->task.run = tell;
    r->key = weir__strdup(sim->alloc, req->key);
    if (r->key == NULL ||
        (req->verb == WEIR_STORE_PUT && copy_body(r, req) != 0)) {
        request_free(r);
        return NULL;
    }
    return r;
}

/* What `impl` of a request holds that found no memory. */
struct starved {
    struct weir_task task;
    struct weir_store_req *req;
};

static void tell_starved(struct weir_task *task)
{
    struct weir_store_req *req =
        WEIR__CONTAINER(task, struct starved, task)->req;

    req->done(req, weir__fail_status(req->err, WEIR_ENOMEM));
}

static void sim_store_submit(struct weir_store *base,
                             struct weir_store_req *req)
{
    struct sim_door *door = WEIR__CONTAINER(base, struct sim_door, base);
    struct weir_sim_node *node = door->node;
    struct sim_request *r;
    struct starved *starved;

    if (!node->up)
        return;
    req->body = NULL;
    req->entries = NULL;
    req->entry_count = 0;
    req->more = 0;
    req->size = 0;
    r = request_new(door, req);
    if (r != NULL) {
        send_request(r);
        return;
    }
    starved = (struct starved *)(void *)req->impl;
    starved->task.run = tell_starved;
    starved->req = req;
    node->env.ops->post(&node->env, &starved->task);
}

static void sim_store_close(struct weir_store *base, struct weir_task *closed)
{
    struct sim_door *door = WEIR__CONTAINER(base, struct sim_door, base);
    struct weir_sim_node *node = door->node;
    struct weir__list *at;

    if (!node->up)
        return;
    for (at = node->sim->requests.next; at != &node->sim->requests;
         at = at->next) {
        struct sim_request *r = WEIR__CONTAINER(at, struct sim_request, node);

        /* One whose answer is on its way keeps it. */
        if (r->owner != node || r->door != door ||
            (r->answer.slot == 0 && !r->held))
            continue;
        r->held = false;
        weir_sim_cancel(node->sim, &r->answer);
        r->answer.deadline = node->sim->now;
        r->refusal = WEIR_ECANCELED;
        if (!changes(r)) {
            weir_sim_cancel(node->sim, &r->apply);
            r->applies = 0;
        }
        node->env.ops->post(&node->env, &r->task);
    }
    node->env.ops->post(&node->env, closed);
    weir__free(&node->alloc, door);
}

static int sim_store_watch(struct weir_store *base,
                           struct weir_store_watch *watch)
{
    return weir__sim_watch(WEIR__CONTAINER(base, struct sim_door, base)->node,
                           watch);
}

static void sim_store_unwatch(struct weir_store *base,
                              struct weir_store_watch *watch)
{
    weir__sim_unwatch(WEIR__CONTAINER(base, struct sim_door, base)->node,
                      watch);
}

static const struct weir_store_ops sim_store_ops = {
    .size = sizeof(struct weir_store_ops),
    .name = "sim",
    .submit = sim_store_submit,
    .close = sim_store_close,
    .watch = sim_store_watch,
    .unwatch = sim_store_unwatch,
};

int weir__sim_store_open(struct weir_store **out, const struct weir_host *host,
                         const char *uri, void *ctx, struct weir_error *err)
{
    struct weir_sim_node *node = ctx;
    struct sim_door *door;

    (void)host;
    *out = NULL;
    door = weir__calloc(&node->alloc, 1, sizeof(*door));
    if (door == NULL)
        return weir__fail(err, WEIR_ENOMEM, "open %.*s: out of memory",
                          weir__uri_shown(uri), uri);
    door->base.ops = &sim_store_ops;
    door->node = node;
    *out = &door->base;
    return 0;
}

/* ---- A node crashes, the world ends -------------------------------------- */

void weir__sim_store_crash(struct weir_sim_node *node)
{
    struct weir__list *at = node->sim->requests.next;

    weir__sim_watch_crash(node);
    while (at != &node->sim->requests) {
        struct sim_request *r = WEIR__CONTAINER(at, struct sim_request, node);

        at = at->next;
        if (r->owner != node)
            continue;
        /* It is on the wire: what changes something may still arrive. */
        weir_sim_cancel(node->sim, &r->answer);
        r->owner = NULL;
        r->answered = true;
        if (!changes(r) || chance(node->sim, 500000)) {
            weir_sim_cancel(node->sim, &r->apply);
            r->applies = 0;
        }
        free_if_over(r);
    }
}

void weir__sim_store_free(struct weir_sim *sim)
{
    while (!weir__list_empty(&sim->requests))
        request_free(
            WEIR__CONTAINER(sim->requests.next, struct sim_request, node));
}
