/* SPDX-License-Identifier: Apache-2.0 */
#include "producers.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "kafka_error.h"

struct producer {
    struct producer *next; /* In its bucket. */
    int64_t id;
    int64_t time; /* Of its last batch. */
    int16_t epoch;
    uint16_t count;                                  /* Of `batches`. */
    struct producer_batch batches[PRODUCER_BATCHES]; /* Oldest first. */
};

/* A saved state: version, next offset, producers; each with id, epoch, number
 * of batches, and these with base offset, time, first and last sequence. */
#define SAVE_VERSION 1
#define SAVE_HEADER 13u
#define SAVE_PRODUCER 11u
#define SAVE_BATCH 24u

static size_t bucket_of(const struct producers *producers, int64_t id)
{
    uint64_t h = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(h >> 32) & (producers->bucket_count - 1);
}

static struct producer *find(const struct producers *producers, int64_t id)
{
    struct producer *p;

    if (producers->bucket_count == 0)
        return NULL;
    p = producers->buckets[bucket_of(producers, id)];
    while (p != NULL && p->id != id)
        p = p->next;
    return p;
}

static void forget(struct producers *producers, struct producer *gone)
{
    struct producer **at = &producers->buckets[bucket_of(producers, gone->id)];

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    free(gone);
    producers->count--;
}

/* Forget the producer that was silent for longest.  Looks at all of them: it
 * is only called when there are `max`, which is for a fool or a foe. */
static void forget_oldest(struct producers *producers)
{
    struct producer *p, *oldest = NULL;
    size_t i;

    for (i = 0; i < producers->bucket_count; i++) {
        for (p = producers->buckets[i]; p != NULL; p = p->next) {
            if (oldest == NULL || p->time < oldest->time)
                oldest = p;
        }
    }
    if (oldest != NULL)
        forget(producers, oldest);
}

static bool grow(struct producers *producers)
{
    struct producers bigger = *producers;
    struct producer *p, *next;
    size_t i, to;

    bigger.bucket_count =
        producers->bucket_count == 0 ? 4 : producers->bucket_count * 2;
    bigger.buckets = calloc(bigger.bucket_count, sizeof(*bigger.buckets));
    if (bigger.buckets == NULL)
        return false;
    for (i = 0; i < producers->bucket_count; i++) {
        for (p = producers->buckets[i]; p != NULL; p = next) {
            next = p->next;
            to = bucket_of(&bigger, p->id);
            p->next = bigger.buckets[to];
            bigger.buckets[to] = p;
        }
    }
    free(producers->buckets);
    *producers = bigger;
    return true;
}

static struct producer *add(struct producers *producers, int64_t id)
{
    struct producer *p;
    size_t to;

    if (producers->count >= producers->max)
        forget_oldest(producers);
    if (producers->count >= producers->bucket_count && !grow(producers))
        return NULL;
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->id = id;
    p->epoch = -1;
    to = bucket_of(producers, id);
    p->next = producers->buckets[to];
    producers->buckets[to] = p;
    producers->count++;
    return p;
}

/* Sequence numbers go from INT32_MAX to 0. */
static int32_t sequence_add(int32_t sequence, int32_t n)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)n) & INT32_MAX);
}

static int32_t claim_last(const struct producer_claim *claim)
{
    return sequence_add(claim->sequence, claim->count - 1);
}

static struct producer_batch *find_batch(struct producer *p,
                                         const struct producer_claim *claim)
{
    int32_t last = claim_last(claim);
    unsigned i;

    if (p->epoch != claim->epoch)
        return NULL;
    for (i = 0; i < p->count; i++) {
        if (p->batches[i].first == claim->sequence &&
            p->batches[i].last == last)
            return &p->batches[i];
    }
    return NULL;
}

int16_t producers_check(struct producers *producers,
                        const struct producer_claim *claim, int64_t now,
                        const struct producer_batch **dup)
{
    struct producer *p = find(producers, claim->id);

    *dup = NULL;
    if (p != NULL && now - p->time > producers->expiration) {
        forget(producers, p);
        p = NULL;
    }
    if (p == NULL) {
        /* Nothing is known of it: its state may have been forgotten, so any
         * sequence is a good one to begin with. */
        p = add(producers, claim->id);
        if (p == NULL)
            return KAFKA_KAFKA_STORAGE_ERROR;
        p->time = now;
        return 0;
    }
    if (p->count == 0)
        return 0;
    *dup = find_batch(p, claim);
    if (*dup != NULL)
        return 0;
    if (claim->epoch < p->epoch)
        return KAFKA_INVALID_PRODUCER_EPOCH;
    if (claim->epoch > p->epoch)
        return claim->sequence == 0 ? 0 : KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (claim->sequence != sequence_add(p->batches[p->count - 1].last, 1))
        return KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    return 0;
}

static void push(struct producer *p, const struct producer_claim *claim,
                 int64_t base_offset, int64_t time)
{
    if (claim->epoch != p->epoch)
        p->count = 0;
    p->epoch = claim->epoch;
    if (p->count == PRODUCER_BATCHES) {
        p->count--;
        memmove(&p->batches[0], &p->batches[1],
                p->count * sizeof(p->batches[0]));
    }
    p->batches[p->count++] = (struct producer_batch){
        base_offset, time, claim->sequence, claim_last(claim)};
    p->time = time;
}

void producers_begin(struct producers *producers,
                     const struct producer_claim *claim, int64_t now)
{
    struct producer *p = find(producers, claim->id);

    if (p != NULL)
        push(p, claim, PRODUCER_PENDING, now);
}

void producers_end(struct producers *producers,
                   const struct producer_claim *claim, int64_t base_offset)
{
    struct producer *p = find(producers, claim->id);
    struct producer_batch *batch = p == NULL ? NULL : find_batch(p, claim);

    if (batch != NULL)
        batch->base_offset = base_offset;
}

bool producers_replay(struct producers *producers,
                      const struct producer_claim *claim, int64_t base_offset,
                      int64_t time)
{
    struct producer *p = find(producers, claim->id);

    if (p == NULL)
        p = add(producers, claim->id);
    if (p == NULL)
        return false;
    push(p, claim, base_offset, time);
    return true;
}

/* How many of its batches are durable; they come before those that are not. */
static unsigned durable(const struct producer *p)
{
    unsigned n = 0;

    while (n < p->count && p->batches[n].base_offset != PRODUCER_PENDING)
        n++;
    return n;
}

static int newest_first(const void *a, const void *b)
{
    const struct producer *const *p = a, *const *q = b;

    return ((*p)->time < (*q)->time) - ((*p)->time > (*q)->time);
}

static unsigned char *save_one(const struct producer *p, unsigned count,
                               unsigned char *at)
{
    unsigned i;

    store_be64(at, (uint64_t)p->id);
    store_be16(at + 8, (uint16_t)p->epoch);
    at[10] = (unsigned char)count;
    at += SAVE_PRODUCER;
    for (i = 0; i < count; i++) {
        store_be64(at, (uint64_t)p->batches[i].base_offset);
        store_be64(at + 8, (uint64_t)p->batches[i].time);
        store_be32(at + 16, (uint32_t)p->batches[i].first);
        store_be32(at + 20, (uint32_t)p->batches[i].last);
        at += SAVE_BATCH;
    }
    return at;
}

/* All producers, newest first; NULL if memory is out or there are none. */
static struct producer **sorted(const struct producers *producers)
{
    struct producer **all, *p;
    size_t i, n = 0;

    if (producers->count == 0)
        return NULL;
    all = calloc(producers->count, sizeof(*all));
    if (all == NULL)
        return NULL;
    for (i = 0; i < producers->bucket_count; i++) {
        for (p = producers->buckets[i]; p != NULL; p = p->next)
            all[n++] = p;
    }
    qsort(all, n, sizeof(*all), newest_first);
    return all;
}

size_t producers_save(const struct producers *producers, int64_t next_offset,
                      unsigned char *data, size_t len)
{
    struct producer **all = sorted(producers);
    unsigned char *at = data + SAVE_HEADER;
    size_t i, need;
    uint32_t saved = 0;
    unsigned count;

    if (len < SAVE_HEADER || (all == NULL && producers->count > 0)) {
        free(all);
        return 0;
    }
    for (i = 0; i < producers->count; i++) {
        count = durable(all[i]);
        need = SAVE_PRODUCER + count * SAVE_BATCH;
        if (count == 0)
            continue;
        if (need > len - (size_t)(at - data))
            break;
        at = save_one(all[i], count, at);
        saved++;
    }
    free(all);
    data[0] = SAVE_VERSION;
    store_be64(data + 1, (uint64_t)next_offset);
    store_be32(data + 9, saved);
    return (size_t)(at - data);
}

static bool load_one(struct producers *producers, const unsigned char **at,
                     const unsigned char *end)
{
    struct producer *p;
    unsigned i, count;

    if (end - *at < (ptrdiff_t)SAVE_PRODUCER)
        return false;
    count = (*at)[10];
    if (count == 0 || count > PRODUCER_BATCHES ||
        end - *at < (ptrdiff_t)(SAVE_PRODUCER + count * SAVE_BATCH) ||
        find(producers, (int64_t)load_be64(*at)) != NULL)
        return false;
    p = add(producers, (int64_t)load_be64(*at));
    if (p == NULL)
        return false;
    p->epoch = (int16_t)load_be16(*at + 8);
    *at += SAVE_PRODUCER;
    for (i = 0; i < count; i++) {
        p->batches[i].base_offset = (int64_t)load_be64(*at);
        p->batches[i].time = (int64_t)load_be64(*at + 8);
        p->batches[i].first = (int32_t)load_be32(*at + 16);
        p->batches[i].last = (int32_t)load_be32(*at + 20);
        p->time = p->batches[i].time;
        *at += SAVE_BATCH;
    }
    p->count = (uint16_t)count;
    return true;
}

bool producers_load(struct producers *producers, const unsigned char *data,
                    size_t len, int64_t *next_offset)
{
    const unsigned char *at = data + SAVE_HEADER, *end = data + len;
    uint32_t count, i;

    if (len < SAVE_HEADER || data[0] != SAVE_VERSION)
        return false;
    *next_offset = (int64_t)load_be64(data + 1);
    count = load_be32(data + 9);
    for (i = 0; i < count; i++) {
        if (!load_one(producers, &at, end)) {
            producers_clear(producers);
            return false;
        }
    }
    return at == end && *next_offset >= 0;
}

void producers_clear(struct producers *producers)
{
    struct producer *p, *next;
    size_t i;

    for (i = 0; i < producers->bucket_count; i++) {
        for (p = producers->buckets[i]; p != NULL; p = next) {
            next = p->next;
            free(p);
        }
    }
    free(producers->buckets);
    producers->buckets = NULL;
    producers->bucket_count = 0;
    producers->count = 0;
}
