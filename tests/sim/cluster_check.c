/* SPDX-License-Identifier: Apache-2.0 */
/* What a cluster must keep to.  What is known of a stream: which number was
 * acknowledged at which offset and under which epoch, which numbers were ever
 * given to it, what readers were shown, and how far it may have been
 * trimmed. */
#include "sim/cluster_inside.h"

#include <inttypes.h>
#include <string.h>

/* Any error that the manual knows may come while things fail. */
void cluster_check_status(struct cluster *c, const char *what, int status)
{
    if (status > 0 || strcmp(weir_error_name(status), "WEIR_E?") == 0 ||
        status == WEIR_EBUG)
        cluster_breach(c, "%s: status %d", what, status);
}

/* ---- Payloads ------------------------------------------------------------ */

size_t cluster_payload_len(uint32_t number)
{
    return 8 + number * 7919u % (PAYLOAD_MAX - 8);
}

void cluster_payload(unsigned char *to, uint32_t number, int stream)
{
    size_t len = cluster_payload_len(number);

    memset(to, (int)(number & 0xff), len);
    memcpy(to, &number, 4);
    memset(to + 4, stream, 4);
}

/* The number of a batch that was read, or 0 after a breach. */
static uint32_t check_payload(struct cluster *c, int stream,
                              const struct weir_batch *batch)
{
    unsigned char want[PAYLOAD_MAX];
    uint32_t number = 0;

    if (batch->len >= 8)
        memcpy(&number, batch->data, 4);
    if (number == 0 || number > c->numbers || c->never[number] ||
        c->stream_of[number] != stream + 1) {
        cluster_breach(
            c, "stream %d, offset %" PRIu64 ": a batch of nowhere, number %u%s",
            stream, batch->base_offset, (unsigned)number,
            number != 0 && number <= c->numbers && c->never[number]
                ? ", which was told as failed"
                : "");
        return 0;
    }
    cluster_payload(want, number, stream);
    if (batch->len != cluster_payload_len(number) || batch->count != 1 ||
        memcmp(batch->data, want, batch->len) != 0) {
        cluster_breach(
            c, "stream %d, offset %" PRIu64 ": other bytes than were given",
            stream, batch->base_offset);
        return 0;
    }
    return number;
}

/* ---- Offsets ------------------------------------------------------------- */

uint64_t cluster_life(const struct machine *m)
{
    return ((uint64_t)m->number << 32) + m->lives + 1;
}

uint64_t cluster_behind(const struct weir_fetch *fetch, uint64_t at)
{
    return fetch->count == 0 ? at
                             : fetch->batches[fetch->count - 1].base_offset + 1;
}

/* What a node shows that it was not given is in the store. */
static void note_hard(struct cluster *c, int stream, uint32_t number,
                      uint64_t at)
{
    if (!c->soft[number] ||
        (c->reader != NULL && cluster_life(c->reader) != c->giver[number]))
        c->tracks[stream].hard[at] = 1;
    /* No other reads what is in a log on a disk. */
    if (c->reader != NULL && c->reader->number != c->giver[number] >> 32)
        c->tracks[stream].sure[at] = 1;
}

/* It went with a log in memory, for ever. */
static void lose(struct cluster *c, int stream, uint64_t at,
                 const struct machine *owner)
{
    struct track *t = &c->tracks[stream];
    uint32_t number = t->acked[at] != 0 ? t->acked[at] : t->shown[at];

    if (number == 0)
        return;
    for (uint32_t i = 0; owner != NULL && i <= c->count; i++)
        if (c->machines[i].id == owner->id && &c->machines[i] != owner &&
            cluster_life(&c->machines[i]) == c->giver[number])
            c->machines[i].lost |= t->acked[at] != 0;
    c->never[number] = 1;
    c->place[number] = 0;
    t->acked[at] = 0;
    t->shown[at] = 0;
}

int cluster_is_gap(struct cluster *c, int stream, uint64_t at, uint64_t end)
{
    struct track *t = &c->tracks[stream];

    if (!c->softness || end <= at || end >= MOST)
        return 0;
    for (uint64_t i = at; i < end; i++)
        if (t->hard[i])
            return 0;
    for (uint64_t i = at; i < end; i++)
        lose(c, stream, i, NULL);
    return 1;
}

void cluster_check_end(struct cluster *c, int stream, uint64_t end,
                       const struct machine *owner)
{
    struct track *t = &c->tracks[stream];

    for (uint64_t at = end; at < MOST && !cluster_broken(c); at++) {
        if (t->hard[at])
            cluster_breach(c,
                           "stream %d ends at %" PRIu64 ", and %" PRIu64
                           " was acknowledged, or shown",
                           stream, end, at);
        else
            lose(c, stream, at, owner);
    }
    if (t->end > end)
        t->end = end;
}

/* What a node has flushed needs no log any more. */
static void note_sure(const struct machine *m, const uint64_t ends[STREAMS])
{
    struct cluster *c = m->cluster;

    for (int s = 0; s < STREAMS; s++) {
        struct track *t = &c->tracks[s];

        for (uint64_t at = 0; at < ends[s] && at < MOST; at++)
            if (t->acked[at] != 0 && t->hard[at] &&
                c->giver[t->acked[at]] >> 32 == m->number)
                t->sure[at] = 1;
    }
}

void cluster_check_flushed(struct machine *m, uint64_t ends[STREAMS])
{
    struct cluster *c = m->cluster;

    if (m->lost)
        cluster_breach(c,
                       "a flush of node %u succeeded, and what it had "
                       "acknowledged had gone with its log",
                       (unsigned)m->id);
    for (int s = 0; s < STREAMS; s++)
        for (uint64_t at = 0; at < ends[s] && at < MOST; at++)
            if (c->tracks[s].acked[at] != 0 &&
                c->giver[c->tracks[s].acked[at]] == cluster_life(m) &&
                c->tracks[s].life == cluster_life(m))
                c->tracks[s].hard[at] = 1;
    note_sure(m, ends);
}

/* A number has one place: acknowledged, or shown to whomever. */
static void check_place(struct cluster *c, int stream, uint32_t number,
                        uint64_t at)
{
    if (c->place[number] != 0 && c->place[number] != at + 1)
        cluster_breach(
            c,
            "stream %d: number %u is at offset %" PRIu64 ", and at %u as well",
            stream, (unsigned)number, at, (unsigned)c->place[number] - 1);
    c->place[number] = (uint32_t)at + 1;
}

static void check_batch(struct cluster *c, int stream, uint64_t want,
                        const struct weir_batch *batch)
{
    struct track *t = &c->tracks[stream];
    uint64_t at = batch->base_offset;
    uint32_t number = check_payload(c, stream, batch);

    if (number == 0)
        return;
    if ((at != want && !cluster_is_gap(c, stream, want, at)) || at >= MOST)
        cluster_breach(
            c, "stream %d: offset %" PRIu64 " comes where %" PRIu64 " was to",
            stream, at, want);
    else if (t->acked[at] != 0 && t->acked[at] != number)
        cluster_breach(c,
                       "stream %d, offset %" PRIu64
                       ": another batch than was acknowledged",
                       stream, at);
    else if (t->shown[at] != 0 && t->shown[at] != number)
        cluster_breach(c,
                       "stream %d, offset %" PRIu64
                       ": another batch than was shown before",
                       stream, at);
    else
        t->shown[at] = number;
    check_place(c, stream, number, at);
    if (!cluster_broken(c))
        note_hard(c, stream, number, at);
}

void cluster_check_batches(struct cluster *c, int stream, uint64_t from,
                           const struct weir_fetch *fetch)
{
    for (size_t i = 0; i < fetch->count && !cluster_broken(c); i++) {
        check_batch(c, stream, from, &fetch->batches[i]);
        from = fetch->batches[i].base_offset + 1;
        c->result->fetched++;
    }
}

/* ---- Epochs -------------------------------------------------------------- */

void cluster_check_opened(struct cluster *c, int stream, uint64_t epoch,
                          uint64_t life)
{
    struct track *t = &c->tracks[stream];

    /* Who did not hear that it had handed over opens what it has. */
    if (epoch < t->opened || (epoch == t->opened && life != t->life))
        cluster_breach(c,
                       "stream %d: opened under epoch %" PRIu64
                       ", and had %" PRIu64 " before",
                       stream, epoch, t->opened);
    t->opened = epoch;
    t->life = life;
}

/* The nearest that was acknowledged on either side was so under an epoch that
 * is no later, and no earlier. */
static void check_epoch(struct cluster *c, int stream, uint64_t at,
                        uint64_t epoch)
{
    const struct track *t = &c->tracks[stream];
    uint64_t low = at;
    uint64_t high = at + 1;

    while (low > 0 && t->acked[low - 1] == 0)
        low--;
    while (high < t->end && t->acked[high] == 0)
        high++;
    if (epoch > t->opened || (low > 0 && t->epoch[low - 1] > epoch) ||
        (high < t->end && t->epoch[high] < epoch))
        cluster_breach(c,
                       "stream %d, offset %" PRIu64
                       ": acknowledged under epoch %" PRIu64
                       ", which has no right to it",
                       stream, at, epoch);
}

void cluster_check_acked(struct cluster *c, int stream, uint32_t number,
                         uint64_t at, uint64_t epoch)
{
    struct track *t = &c->tracks[stream];

    c->result->acked++;
    if (at >= MOST) {
        cluster_breach(c, "stream %d: acknowledged at %" PRIu64, stream, at);
        return;
    }
    if (t->acked[at] != 0)
        cluster_breach(c, "stream %d, offset %" PRIu64 ": acknowledged twice",
                       stream, at);
    else if (t->shown[at] != 0 && t->shown[at] != number)
        cluster_breach(c,
                       "stream %d, offset %" PRIu64
                       ": acknowledged, and another was shown",
                       stream, at);
    check_place(c, stream, number, at);
    check_epoch(c, stream, at, epoch);
    t->acked[at] = number;
    t->epoch[at] = epoch;
    if (!c->soft[number])
        t->hard[at] = 1;
    if (t->end <= at)
        t->end = at + 1;
}

/* ---- A key that nodes add to --------------------------------------------- */

void cluster_check_added(struct cluster *c, uint64_t sum, int status)
{
    struct counter *k = &c->counter;

    if (status == 0 && sum < SUM_MAX && k->added[sum])
        cluster_breach(
            c, "two compare-and-sets of one version went well, to %" PRIu64,
            sum);
    if (status == 0 && sum < SUM_MAX)
        k->added[sum] = 1;
    if (status == 0 && sum > k->least)
        k->least = sum;
    /* Not counted if it is certainly not done. */
    if (status != 0 && weir_error_class(status) != WEIR_CLASS_UNKNOWN)
        k->most--;
}

void cluster_check_sum(struct cluster *c, uint64_t sum)
{
    if (sum < c->counter.least || sum > c->counter.most)
        cluster_breach(c,
                       "a key came to %" PRIu64
                       " by additions, and must be %" PRIu64 " to %" PRIu64,
                       sum, c->counter.least, c->counter.most);
}
