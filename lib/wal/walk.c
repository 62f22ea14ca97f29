/* SPDX-License-Identifier: Apache-2.0 */
#include "wal/walk.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"

#define STRIDE WEIR__WAL_RECORD_ALIGN
#define HEADER WEIR__WAL_RECORD_HEADER

/* Internal steps: go on in the mode that is set now. */
#define AGAIN (-1)

static bool zeros(const unsigned char *data, size_t len)
{
    size_t i = 0;

    while (i < len && data[i] == 0)
        i++;
    return i == len;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static const unsigned char *show(const struct weir__wal_walk *w,
                                 const struct weir__wal_window *win,
                                 size_t *avail)
{
    if (w->at - win->position >= win->len) {
        *avail = 0;
        return NULL;
    }
    *avail = win->len - (size_t)(w->at - win->position);
    return win->data + (w->at - win->position);
}

/* What an earlier lap, epoch or log left here is no record of this one. */
static bool belongs(const struct weir__wal_walk *w,
                    const struct weir__wal_header *h)
{
    uint64_t size = weir__wal_record_size(h->len);

    if (h->position != w->at || h->durable > w->at)
        return false;
    if (size > w->limit - w->at || size > w->max_group)
        return false;
    if (w->at >= w->epoch_start)
        return h->epoch == w->epoch;
    return h->epoch < w->epoch && h->epoch >= w->last_epoch;
}

/* Zeros between the record before and this one, where there was a record. */
static bool hole_before(const struct weir__wal_walk *w,
                        const struct weir__wal_header *h)
{
    return w->linked && h->gap != 0 && h->epoch == w->last_epoch &&
           h->gap - 1u != w->at - w->tail;
}

/* Padding that is not zeros is harmless, if the record behind it knows that it
 * is padding. */
static bool vouched(struct weir__wal_walk *w, const unsigned char *next,
                    size_t pad)
{
    struct weir__wal_header h;
    bool good;

    if (!w->linked || w->tail != w->at ||
        weir__wal_header_decode(&h, next, HEADER, w->wal_id) != WEIR__WAL_OK)
        return false;
    w->at += pad;
    good = belongs(w, &h) && h.epoch == w->last_epoch && h.gap == pad + 1;
    w->at -= pad;
    return good;
}

static int probe(struct weir__wal_walk *w, uint64_t suspect, uint64_t from)
{
    uint64_t range = 2 * (uint64_t)w->max_group + 2 * (uint64_t)w->block;

    w->mode = WEIR__WALK_PROBE;
    w->suspect = suspect;
    w->probe_end = suspect + smaller(range, w->limit - suspect);
    w->at = from;
    return AGAIN;
}

/* What was acknowledged is damaged at `place`, and nobody knows whose. */
static int damage(struct weir__wal_walk *w, uint64_t place, uint64_t from,
                  struct weir_error *err)
{
    uint64_t range = 2 * (uint64_t)w->max_group + 2 * (uint64_t)w->block;

    if (!w->salvage) {
        weir__fail(err, WEIR_ECORRUPT,
                   "%s: acknowledged records are damaged at position %llu; "
                   "to open with what can be read, set wal_salvage",
                   w->name, (unsigned long long)place);
        return WEIR__WALK_CORRUPT;
    }
    w->lost++;
    w->linked = false;
    w->mode = WEIR__WALK_RESYNC;
    w->suspect = place;
    w->probe_end = place + smaller(range, w->limit - place);
    if (w->probe_end < w->durable_end)
        w->probe_end = w->durable_end;
    w->at = from;
    return AGAIN;
}

/* Something that should be a record is not one. */
static int doubt(struct weir__wal_walk *w, uint64_t place, uint64_t from,
                 struct weir_error *err)
{
    w->whole_header = false;
    if (place < w->durable_end)
        return damage(w, place, from, err);
    return probe(w, place, from);
}

static void fill(struct weir_wal_record *r, const struct weir__wal_header *h,
                 const struct weir__wal_window *win,
                 const unsigned char *payload)
{
    memset(r, 0, sizeof(*r));
    r->position = h->position;
    r->next = h->position + weir__wal_record_size(h->len);
    r->stream_id = h->stream_id;
    r->stream_epoch = h->stream_epoch;
    r->base_offset = h->base_offset;
    r->max_timestamp = h->max_timestamp;
    r->count = h->count;
    r->crc32c = h->crc32c;
    r->len = h->len;
    r->data = payload;
    r->buf = payload == NULL ? NULL : win->buf;
    r->damaged = payload == NULL;
}

/* Step over a record: whole, or damaged if `payload` is NULL. */
static int emit(struct weir__wal_walk *w, const struct weir__wal_header *h,
                const struct weir__wal_window *win,
                const unsigned char *payload, struct weir_wal_record *record)
{
    w->mode = WEIR__WALK_RECORDS;
    w->at = h->position + weir__wal_record_size(h->len);
    w->tail = w->at;
    w->linked = true;
    w->last_epoch = h->epoch;
    if (h->type == WEIR__WAL_MARK)
        return AGAIN;
    fill(record, h, win, payload);
    return WEIR__WALK_RECORD;
}

static int more(struct weir__wal_walk *w, size_t need)
{
    w->need = need;
    return WEIR__WALK_MORE;
}

static int step_header(struct weir__wal_walk *w,
                       const struct weir__wal_window *win,
                       const struct weir__wal_header *h,
                       struct weir_wal_record *record)
{
    size_t size = (size_t)weir__wal_record_size(h->len);
    const unsigned char *data;
    size_t avail;

    data = show(w, win, &avail);
    if (avail < size)
        return more(w, size);
    if (weir__crc32c(0, data + HEADER, h->len) == h->crc32c)
        return emit(w, h, win, data + HEADER, record);
    if (w->at < w->durable_end)
        return emit(w, h, win, NULL, record);
    w->whole_header = true;
    w->header = *h;
    return probe(w, w->at, w->at + STRIDE);
}

static int step_records(struct weir__wal_walk *w,
                        const struct weir__wal_window *win,
                        struct weir_wal_record *record, struct weir_error *err)
{
    uint64_t left = w->limit - w->at;
    size_t pad = (size_t)smaller(left, weir__round_up(w->at, w->block) - w->at);
    size_t need = (size_t)smaller(left, pad > HEADER ? pad : HEADER);
    struct weir__wal_header header;
    const unsigned char *data;
    size_t avail;

    if (left == 0)
        return WEIR__WALK_END;
    data = show(w, win, &avail);
    if (avail < need)
        return more(w, need);
    if (weir__wal_header_decode(&header, data, need, w->wal_id) ==
            WEIR__WAL_OK &&
        belongs(w, &header)) {
        if (hole_before(w, &header))
            return doubt(w, w->tail, w->at, err);
        return step_header(w, win, &header, record);
    }
    if (pad > 0 && zeros(data, pad)) {
        w->at += pad;
        return AGAIN;
    }
    if (pad > 0 && left >= pad + HEADER && avail < pad + HEADER)
        return more(w, pad + HEADER);
    if (pad > 0 && left >= pad + HEADER && vouched(w, data + pad, pad)) {
        w->at += pad;
        return AGAIN;
    }
    return doubt(w, w->at, w->at + STRIDE, err);
}

/* Find the next header that belongs here; false when the window or the range
 * is at its end. */
static bool scan(struct weir__wal_walk *w, const struct weir__wal_window *win,
                 struct weir__wal_header *header)
{
    const unsigned char *data;
    size_t avail;

    data = show(w, win, &avail);
    for (; avail >= HEADER && w->at < w->probe_end;
         data += STRIDE, avail -= STRIDE, w->at += STRIDE) {
        /* "WREC"; most of what comes by is turned away here. */
        if (data[0] != 'W' || data[1] != 'R')
            continue;
        if (weir__wal_header_decode(header, data, HEADER, w->wal_id) ==
                WEIR__WAL_OK &&
            belongs(w, header))
            return true;
    }
    return false;
}

static int step_probe(struct weir__wal_walk *w,
                      const struct weir__wal_window *win,
                      struct weir_wal_record *record, struct weir_error *err)
{
    struct weir__wal_header header;

    while (scan(w, win, &header)) {
        if (header.durable <= w->suspect) {
            w->at += STRIDE;
            continue;
        }
        w->durable_end = header.durable; /* Proven once is enough. */
        if (w->whole_header)
            return emit(w, &w->header, win, NULL, record);
        return damage(w, w->suspect, w->suspect + STRIDE, err);
    }
    if (w->at >= w->probe_end || w->limit - w->at < HEADER)
        return WEIR__WALK_END;
    return more(w, HEADER);
}

static int step_resync(struct weir__wal_walk *w,
                       const struct weir__wal_window *win)
{
    struct weir__wal_header header;

    if (scan(w, win, &header)) {
        w->mode = WEIR__WALK_RECORDS;
        return AGAIN;
    }
    if (w->at >= w->probe_end || w->limit - w->at < HEADER)
        return WEIR__WALK_END;
    return more(w, HEADER);
}

enum weir__walk_step weir__wal_walk_step(struct weir__wal_walk *walk,
                                         const struct weir__wal_window *window,
                                         struct weir_wal_record *record,
                                         struct weir_error *err)
{
    int step = AGAIN;

    while (step == AGAIN) {
        if (walk->at < window->position)
            return WEIR__WALK_SEEK;
        if (walk->mode == WEIR__WALK_RECORDS)
            step = step_records(walk, window, record, err);
        else if (walk->mode == WEIR__WALK_PROBE)
            step = step_probe(walk, window, record, err);
        else
            step = step_resync(walk, window);
    }
    return (enum weir__walk_step)step;
}
