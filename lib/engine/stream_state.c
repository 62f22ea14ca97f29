/* SPDX-License-Identifier: Apache-2.0 */
/* What a node knows of a stream: the manifest's part and the log cache's. */
#include "base/alloc.h"
#include "engine/fetch.h"
#include "engine/group.h"
#include "engine/node.h"
#include "engine/tail.h"

static void set64(uint64_t *to, uint64_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELEASE);
}

void weir__stream_publish(struct weir_stream *s)
{
    struct weir__stream_view *view = &s->view;

    set64(&view->epoch, s->epoch);
    set64(&view->start, s->start);
    set64(&view->end, s->durable);
    set64(&view->uploaded_end, s->owed != 0 && s->committed < s->uploaded
                                   ? s->committed
                                   : s->uploaded);
    __atomic_store_n(&view->status, s->failed == WEIR_ENOENT ? WEIR_ENOENT : 0,
                     __ATOMIC_RELEASE);
}

int weir__stream_status(const struct weir_stream *s)
{
    if (__atomic_load_n(&s->view.opens, __ATOMIC_ACQUIRE) == 0)
        return WEIR_ECLOSED;
    return __atomic_load_n(&s->view.status, __ATOMIC_ACQUIRE);
}

static void publish_manifest(struct weir_stream *s,
                             const struct weir__mstream *m)
{
    size_t n = m->extent_count;

    set64(&s->view.bytes, m->bytes);
    set64(&s->view.objects, n);
    __atomic_store_n(&s->view.max_timestamp,
                     n == 0 ? WEIR_NO_TIMESTAMP
                            : m->extents[n - 1].max_timestamp,
                     __ATOMIC_RELEASE);
    __atomic_store_n(&s->view.owner, m->owner, __ATOMIC_RELEASE);
}

/* End of a stream as the manifest tells it.  A trim may have gone beyond what
 * is in objects; offsets below the start are never given again. */
static uint64_t known_end(const struct weir__mstream *m)
{
    return m->committed_end > m->start ? m->committed_end : m->start;
}

/* Note what former owners owe. */
static void note_owed(struct weir_stream *s, const struct weir__mstream *m)
{
    s->owed = m->debt_count > 0 ? weir__mstream_next(m) : 0;
    s->committed = known_end(m);
}

/* End of a stream as its owner knows it: it goes on behind what is owed. */
static uint64_t end_for(const struct weir_stream *s,
                        const struct weir__mstream *m)
{
    return s->local ? weir__mstream_next(m) : known_end(m);
}

static struct weir_stream *stream_new(struct weir *node,
                                      const struct weir__mstream *m)
{
    struct weir_stream *s = weir__calloc(node->alloc, 1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->name = weir__strdup(node->alloc, m->name);
    if (s->name == NULL) {
        weir__free(node->alloc, s);
        return NULL;
    }
    s->node = node;
    s->id = m->id;
    s->epoch = m->epoch;
    s->start = m->start;
    s->next = known_end(m);
    s->durable = s->next;
    s->uploaded = s->next;
    s->damaged = WEIR_OFFSET_END;
    note_owed(s, m);
    weir__list_init(&s->pending_link);
    weir__list_init(&s->starved_link);
    weir__list_init(&s->waiters);
    weir__list_init(&s->woken_link);
    return s;
}

struct weir_stream *weir__stream_get(struct weir *node, uint64_t id)
{
    struct weir_stream *s = weir__map_get(&node->streams, id);
    const struct weir__mstream *m;

    if (s != NULL)
        return s;
    m = weir__state_stream(weir__manifest_state(node->manifest), id);
    if (m == NULL)
        return NULL;
    s = stream_new(node, m);
    if (s == NULL)
        return NULL;
    if (weir__map_put(&node->streams, id, s) != 0) {
        weir__stream_release(s);
        return NULL;
    }
    publish_manifest(s, m);
    weir__stream_publish(s);
    return s;
}

void weir__stream_release(struct weir_stream *s)
{
    const struct weir_alloc *alloc = s->node->alloc;

    weir__entries_free(&s->entries, alloc);
    weir__free(alloc, s->name);
    weir__free(alloc, s);
}

/* Forget the oldest entry. */
static void entries_pop(struct weir_stream *s)
{
    struct weir__entries *entries = &s->entries;

    entries->head = (entries->head + 1) & (entries->room - 1);
    entries->count--;
    if (entries->count == 0)
        weir__entries_free(entries, s->node->alloc);
}

void weir__stream_evict(struct weir_stream *s,
                        const struct weir__segment *segment)
{
    while (s->entries.count != 0) {
        const struct weir__entry *entry = weir__entries_at(&s->entries, 0);

        /* The segment may be that of a write that failed: what was appended
         * before and after it still waits. */
        if (entry->base + entry->count > s->uploaded ||
            (entry->segment != NULL && entry->segment->order > segment->order))
            return;
        entries_pop(s);
    }
}

void weir__stream_pending(struct weir_stream *s, size_t bytes)
{
    struct weir *node = s->node;

    if (s->pending_link.next == &s->pending_link)
        weir__list_push(&node->uploads.pending, &s->pending_link);
    s->pending += bytes;
    node->uploads.pending_bytes += bytes;
}

/* An entry is covered by a commit, or not wanted any more. */
static void entry_settle(struct weir_stream *s, struct weir__entry *entry)
{
    if (entry->segment != NULL)
        entry->segment->pending--;
    if (entry->base < s->durable) {
        s->pending -= entry->len;
        s->node->uploads.pending_bytes -= entry->len;
    }
}

/* Settle the entries that lie wholly in [uploaded, offset). */
void weir__stream_uploaded(struct weir_stream *s, uint64_t offset)
{
    size_t i = weir__entries_find(&s->entries, s->uploaded);

    for (; i < s->entries.count; i++) {
        struct weir__entry *entry = weir__entries_at(&s->entries, i);

        if (entry->base + entry->count > offset)
            break;
        entry_settle(s, entry);
        s->uploaded = entry->base + entry->count;
    }
    if (s->uploaded < offset && i == s->entries.count)
        s->uploaded = offset;
    if (s->pending == 0)
        weir__list_remove(&s->pending_link);
}

int weir__stream_waits(const struct weir_stream *s)
{
    return weir__entries_find(&s->entries, s->uploaded) < s->entries.count;
}

/* Its batches are not this node's any more: none is kept or uploaded. */
static void stream_drop(struct weir_stream *s)
{
    size_t i = weir__entries_find(&s->entries, s->uploaded);

    for (; i < s->entries.count; i++)
        entry_settle(s, weir__entries_at(&s->entries, i));
    weir__entries_free(&s->entries, s->node->alloc);
    s->uploaded = s->next;
    weir__list_remove(&s->pending_link);
}

/* The stream is deleted, or another node's: end what waits on it. */
static void stream_fail(struct weir_stream *s, int status)
{
    if (s->failed == 0 || status == WEIR_ENOENT)
        s->failed = status;
    s->local = 0;
    s->damaged = WEIR_OFFSET_END;
    weir__append_fail_waiting(s, status);
    stream_drop(s);
}

static void stream_deleted(struct weir_stream *s)
{
    stream_fail(s, WEIR_ENOENT);
    weir__tail_forget(s, 0);
    weir__fetch_wake(s);
    weir__stream_publish(s);
}

/* What waits for an upload is given up.  If the log lasts, another one has it
 * by now; or else it is lost, and a flush must not pass over that. */
static void note_loss(const struct weir_stream *s)
{
    struct weir *node = s->node;

    if (s->pending > 0 && node->wal != NULL &&
        (node->wal->flags & WEIR_WAL_PERSISTENT) == 0 &&
        weir__state_stream(weir__manifest_state(node->manifest), s->id) != NULL)
        node->lost = 1;
}

/* Another node has opened the stream, and writes on from the committed end.
 * What was appended here beyond that is no part of the stream any more, and
 * must not be taken for what the other one writes. */
static void stream_lost(struct weir_stream *s, const struct weir__mstream *m)
{
    note_loss(s);
    stream_fail(s, WEIR_EFENCED);
    s->losses++;
    s->start = m->start;
    s->next = known_end(m);
    s->durable = s->next;
    s->uploaded = s->next;
    s->epoch = m->epoch;
    publish_manifest(s, m);
    weir__stream_publish(s);
    weir__fetch_wake(s); /* From now on they wait for the other node. */
}

/* Where what this node has yet to upload of the stream ends; 0: nothing. */
static uint64_t owed_here(const struct weir_stream *s,
                          const struct weir__mstream *m)
{
    for (uint16_t i = m->debt_count; i > 0; i--)
        if (m->debts[i - 1].node_id == s->node->id)
            return m->debts[i - 1].end;
    return 0;
}

/* What is behind `end` is no part of the stream as far as is known here, and
 * must not be taken for what the new owner writes. */
static void drop_behind(struct weir_stream *s, uint64_t end)
{
    size_t kept = weir__entries_find(&s->entries, end);

    for (size_t i = kept; i < s->entries.count; i++)
        entry_settle(s, weir__entries_at(&s->entries, i));
    s->entries.count = kept;
    s->next = end;
    s->durable = end;
}

/* The stream was handed over, or this node taken over.  What of it is here is
 * still to be uploaded, and stays readable: but for what was not acknowledged,
 * and for what came behind the part that is owed and is lost, as another node
 * could open the stream without asking (a log in memory). */
static void stream_given(struct weir_stream *s, uint64_t owed)
{
    if (s->durable > owed)
        note_loss(s);
    drop_behind(s, s->durable < owed ? s->durable : owed);
    s->local = 0;
    s->giving = 0;
    s->failed = WEIR_EFENCED;
    s->losses++;
    weir__append_fail_waiting(s, WEIR_EFENCED);
}

/* 1 if what waits here for an upload is a part of the stream no more, or in an
 * object: the log that has it is not the one that the node has now. */
static int is_over(const struct weir_stream *s)
{
    const struct weir__state *state = weir__manifest_state(s->node->manifest);
    const struct weir__mstream *m = weir__state_stream(state, s->id);
    uint64_t from = s->uploaded;

    if (m != NULL && m->committed_end > from)
        from = m->committed_end;
    return m == NULL || from >= s->durable ||
           !weir__mstream_holds(m, s->node->id, s->epoch, from, s->durable);
}

void weir__stream_fence(struct weir_stream *s)
{
    weir__append_fail_waiting(s, WEIR_EFENCED);
    drop_behind(s, s->durable);
    if (weir__stream_waits(s) && is_over(s)) {
        note_loss(s);
        drop_behind(s, s->uploaded);
    }
}

/* The damage is below the start now: it is forgotten. */
static void forget_damage(struct weir_stream *s)
{
    size_t i = weir__entries_find(&s->entries, s->start);

    s->damaged = WEIR_OFFSET_END;
    for (; i < s->entries.count; i++) {
        const struct weir__entry *entry = weir__entries_at(&s->entries, i);

        if (entry->segment == NULL) {
            s->damaged = entry->base;
            return;
        }
    }
}

/* 1 if the stream is this node's no more, or has been another's since: a
 * snapshot tells only that it is this node's again. */
static int is_gone(const struct weir_stream *s, const struct weir__mstream *m,
                   int moved)
{
    uint32_t id = s->node->id;

    if (m->owner != id)
        return s->local || s->view.owner == id;
    return moved && s->local && !s->node->fenced;
}

/* It has another owner, or that another log.  What was read in the former one
 * is known to the manifest by now, or was given up with that log.  What the own
 * log has is dropped elsewhere: by who is gone, by a fence, by an opening. */
static void stream_moved(struct weir_stream *s, const struct weir__mstream *m,
                         int gone)
{
    uint64_t end = weir__mstream_next(m);

    weir__tail_forget(s, 0);
    if (gone || (m->owner == s->node->id && weir__stream_waits(s)))
        return;
    if (s->durable > end)
        drop_behind(s, end);
}

void weir__stream_sync(struct weir_stream *s)
{
    const struct weir__state *state = weir__manifest_state(s->node->manifest);
    const struct weir__mstream *m = weir__state_stream(state, s->id);
    int gone, moved;

    if (m == NULL) {
        stream_deleted(s);
        return;
    }
    note_owed(s, m);
    moved = m->since > s->epoch;
    gone = is_gone(s, m, moved);
    if (moved)
        stream_moved(s, m, gone);
    if (s->tail.count > 0)
        weir__tail_settle(s);
    if (gone && owed_here(s, m) == 0) {
        stream_lost(s, m);
        return;
    }
    if (gone)
        stream_given(s, owed_here(s, m));
    if (m->start > s->start) {
        s->start = m->start;
        weir__stream_uploaded(s, s->start);
        if (s->damaged < s->start)
            forget_damage(s);
    }
    if (m->committed_end > s->uploaded)
        weir__stream_uploaded(s, m->committed_end);
    if (s->next < end_for(s, m))
        s->next = end_for(s, m);
    if (s->durable < end_for(s, m)) {
        s->durable = end_for(s, m);
        weir__fetch_wake(s);
    }
    s->epoch = m->epoch;
    publish_manifest(s, m);
    weir__stream_publish(s);
    if (gone)
        weir__fetch_wake(s); /* From now on they wait for the other node. */
}

void weir__stream_begin(struct weir_stream *s)
{
    /* What was shown of a log that was given up is not there any more. */
    if (s->durable > s->next)
        s->durable = s->next;
    if (s->pending == 0 && s->damaged == WEIR_OFFSET_END)
        s->uploaded = s->durable;
    weir__stream_publish(s);
}

void weir__stream_sync_all(struct weir *node)
{
    struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&node->streams, &at)) != NULL) {
        if (s->failed != WEIR_ENOENT)
            weir__stream_sync(s);
    }
}
