/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes what object logs leave behind.  A node removes its own slots when
 * they are in objects; but it may crash before, and a former writer's PUT may
 * come when its epoch was sealed.
 *
 * The list of the store only says what there is.  What may go is for the
 * manifest to say: slots with records below the mark from which the node's log
 * would be recovered, or all of them when it was left clean.  Marks only grow,
 * so an old view of the manifest keeps more, and never removes more.  Heads
 * and seals stay: somebody who was fenced may still try.  They have no
 * records, and are told by their size.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "engine/upload.h"

#include <string.h>

#define PREFIX "wal/"
/* Keys in one answer. */
#define PAGE 500u
/* When the store does not answer: try again after so long, and then twice as
 * long, up to the second. */
#define RETRY_NS UINT64_C(5000000000)
#define RETRY_MOST_NS UINT64_C(600000000000)
/* How long a writer goes on trying to put a slot. */
#define WRITER_NS UINT64_C(60000000000)

/** One slot that is being removed. */
struct weir__slot_removal {
    struct weir_store_req del;
    struct weir *node;
    char key[WEIR__SLOT_KEY];
};

static void list_start(struct weir *node);

static void wake_after(struct weir *node, uint64_t wait)
{
    struct weir_env *env = node->host.env;

    node->log_sweep.due.deadline = env->ops->now(env) + wait;
    env->ops->timer_start(env, &node->log_sweep.due);
}

static int passes(int status)
{
    enum weir_error_class class = weir_error_class(status);

    return class == WEIR_CLASS_RETRY || class == WEIR_CLASS_UNKNOWN;
}

static void retry(struct weir *node)
{
    struct weir__log_sweep *sweep = &node->log_sweep;
    unsigned shift = sweep->failures < 7 ? sweep->failures : 7;
    uint64_t wait = RETRY_NS << shift;

    sweep->failures++;
    WEIR__SOMETIMES("slots that were left behind are not removed");
    wake_after(node, wait < RETRY_MOST_NS ? wait : RETRY_MOST_NS);
}

static void sweep_end(struct weir *node)
{
    struct weir__log_sweep *sweep = &node->log_sweep;
    int status = sweep->status;

    sweep->busy = 0;
    if (!weir__node_is_open(node)) {
        weir__close_step(node);
        return;
    }
    if (sweep->asked) {
        sweep->asked = 0;
        weir__log_sweep_look(node);
    } else if (status != 0 && passes(status)) {
        retry(node);
    } else if (status != 0) {
        weir__log(node->host.log, WEIR_LOG_WARN,
                  "what crashes have left of write-ahead logs stays in the "
                  "store: %s",
                  weir_error_text(status));
    } else {
        sweep->failures = 0;
    }
    if (status == 0 && sweep->late && !sweep->busy) {
        sweep->late = 0;
        wake_after(node, (uint64_t)node->config->number[WEIR__P_DELETE_GRACE] +
                             WRITER_NS);
    }
}

/* ---- One page ------------------------------------------------------------ */

/* The slot below which a node's log is not needed any more. */
static struct weir_wal_mark limit_of(const struct weir__member *member)
{
    if (member->wal_id == 0)
        return (struct weir_wal_mark){member->epoch + 1, 0};
    return (struct weir_wal_mark){member->mark_epoch, member->mark_slot};
}

/* 1 if it holds records that nobody will ask for. */
static int is_left(const struct weir *node,
                   const struct weir_store_entry *entry)
{
    struct weir__member member;
    struct weir_wal_mark limit;
    uint32_t id;
    uint64_t epoch, slot;

    if (entry->size <= WEIR__SLOT_HEADER ||
        !weir__slot_key_read(entry->key, &id, &epoch, &slot) || id == 0 ||
        !weir__state_member(weir__manifest_state(node->manifest), id - 1,
                            &member) ||
        member.id != id)
        return 0;
    limit = limit_of(&member);
    return epoch < limit.epoch || (epoch == limit.epoch && slot < limit.slot);
}

static void page_end(struct weir *node)
{
    struct weir__log_sweep *sweep = &node->log_sweep;

    weir__free(node->alloc, sweep->removals);
    sweep->removals = NULL;
    if (sweep->more && sweep->status == 0 && weir__node_is_open(node))
        list_start(node);
    else
        sweep_end(node);
}

static void removed(struct weir_store_req *req, int status)
{
    struct weir__slot_removal *removal = req->ctx;
    struct weir *node = removal->node;

    if (status != 0)
        node->log_sweep.status = status;
    if (--node->log_sweep.under_way == 0)
        page_end(node);
}

/* All at once: an s3: store makes one request of them. */
static void remove_all(struct weir *node)
{
    struct weir__log_sweep *sweep = &node->log_sweep;

    WEIR__SOMETIMES_IF(sweep->count > 0,
                       "slots that were left behind are removed");
    sweep->under_way = sweep->count;
    for (size_t i = 0; i < sweep->count; i++) {
        struct weir__slot_removal *removal = &sweep->removals[i];

        removal->node = node;
        removal->del = (struct weir_store_req){.verb = WEIR_STORE_DELETE,
                                               .key = removal->key,
                                               .done = removed,
                                               .ctx = removal};
        node->store->ops->submit(node->store, &removal->del);
    }
    if (sweep->count == 0)
        page_end(node);
}

/* Copy the keys of what may go: WEIR_ENOMEM, or 0. */
static int collect(struct weir *node, const struct weir_store_req *list)
{
    struct weir__log_sweep *sweep = &node->log_sweep;
    size_t left = 0;

    sweep->count = 0;
    for (size_t i = 0; i < list->entry_count; i++)
        left += (size_t)is_left(node, &list->entries[i]);
    if (left == 0)
        return 0;
    sweep->removals = weir__calloc(node->alloc, left, sizeof(*sweep->removals));
    if (sweep->removals == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < list->entry_count; i++)
        if (is_left(node, &list->entries[i]))
            strcpy(sweep->removals[sweep->count++].key, list->entries[i].key);
    return 0;
}

/* Where the next page begins: only keys of slots are read, so that a longer
 * one, which is not the library's, ends it. */
static int next_page(struct weir__log_sweep *sweep,
                     const struct weir_store_req *list)
{
    const char *last;

    if (!list->more || list->entry_count == 0)
        return 0;
    last = list->entries[list->entry_count - 1].key;
    if (strlen(last) >= sizeof(sweep->after))
        return 0;
    strcpy(sweep->after, last);
    return 1;
}

static void listed(struct weir_store_req *list, int status)
{
    struct weir *node = list->ctx;
    struct weir__log_sweep *sweep = &node->log_sweep;

    sweep->count = 0;
    sweep->more = 0;
    if (status == 0 && weir__node_is_open(node)) {
        status = collect(node, list);
        sweep->more = next_page(sweep, list);
    }
    sweep->status = status;
    remove_all(node);
}

static void list_start(struct weir *node)
{
    struct weir__log_sweep *sweep = &node->log_sweep;

    sweep->list = (struct weir_store_req){
        .verb = WEIR_STORE_LIST,
        .key = PREFIX,
        .after = sweep->after[0] != '\0' ? sweep->after : NULL,
        .limit = PAGE,
        .done = listed,
        .ctx = node};
    node->store->ops->submit(node->store, &sweep->list);
}

/* ---- When ---------------------------------------------------------------- */

/* Clusters whose logs are elsewhere are spared the requests. */
static int has_object_logs(const struct weir *node)
{
    const struct weir__state *state = weir__manifest_state(node->manifest);
    struct weir__member member = {0};

    while (weir__state_member(state, member.id, &member))
        if (strncmp(member.wal, "object:", 7) == 0)
            return 1;
    return 0;
}

static void begin(struct weir *node)
{
    struct weir__log_sweep *sweep = &node->log_sweep;
    struct weir_env *env = node->host.env;

    env->ops->timer_stop(env, &sweep->due);
    sweep->busy = 1;
    sweep->status = 0;
    sweep->after[0] = '\0';
}

void weir__log_sweep_before(struct weir *node)
{
    node->log_sweep.had = has_object_logs(node);
}

void weir__log_sweep_open(struct weir *node)
{
    if (!node->log_sweep.had && !has_object_logs(node))
        return;
    node->log_sweep.late = 1;
    begin(node);
    list_start(node);
}

static void refreshed(struct weir__refresh *refresh, int status)
{
    struct weir *node = refresh->ctx;

    if (status == 0 && weir__node_is_open(node)) {
        list_start(node);
        return;
    }
    node->log_sweep.status = status;
    sweep_end(node);
}

static void look(struct weir *node)
{
    begin(node);
    node->log_sweep.refresh =
        (struct weir__refresh){.done = refreshed, .ctx = node};
    weir__manifest_refresh(node->manifest, &node->log_sweep.refresh);
}

void weir__log_sweep_look(struct weir *node)
{
    struct weir__log_sweep *sweep = &node->log_sweep;

    if (!weir__node_is_open(node) || node->fenced || !has_object_logs(node))
        return;
    sweep->late = 1;
    if (sweep->busy)
        sweep->asked = 1;
    else
        look(node);
}

static void due(struct weir_timer *timer)
{
    struct weir *node = WEIR__CONTAINER(timer, struct weir, log_sweep.due);

    if (weir__node_is_open(node) && !node->fenced)
        look(node);
}

void weir__log_sweep_init(struct weir *node)
{
    node->log_sweep.due.fire = due;
}

void weir__log_sweep_close(struct weir *node)
{
    node->host.env->ops->timer_stop(node->host.env, &node->log_sweep.due);
}
