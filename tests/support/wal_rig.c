/* SPDX-License-Identifier: Apache-2.0 */
#include "support/wal_rig.h"

#include "base/crc32c.h"
#include "format/wal_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void push(struct rig_records *list, struct rig_record record)
{
    if (list->count == list->room) {
        list->room = list->room * 2 + 64;
        list->at = realloc(list->at, list->room * sizeof(record));
    }
    list->at[list->count++] = record;
}

void wal_rig_init(struct wal_rig *rig, const struct weir_host *host)
{
    memset(rig, 0, sizeof(*rig));
    rig->host = *host;
    memset(rig->owner.cluster, 0xc1, sizeof(rig->owner.cluster));
    rig->owner.node_id = 7;
    rig->max_group = (uint32_t)RIG_GROUP;
    rig->mark = (struct weir_wal_mark){1, 0};
}

void wal_rig_free(struct wal_rig *rig)
{
    free(rig->written.at);
    free(rig->seen.at);
    free(rig->group);
}

/* Drive until the call under way is over. */
static int finish(struct wal_rig *rig)
{
    struct weir_env *env = rig->host.env;

    while (rig->done == 0)
        if (env->ops->poll(env, 1000000000) < 0)
            return WEIR_EBUG;
    return rig->status;
}

static void open_done(struct weir_wal_open *req, int status)
{
    struct wal_rig *rig = req->ctx;

    rig->status = status;
    rig->done = 1;
}

int wal_rig_open(struct wal_rig *rig, weir_wal_open_fn *open, const char *uri)
{
    struct weir_wal_open req = {0};

    rig->owner.epoch++;
    memset(&rig->err, 0, sizeof(rig->err));
    req.host = &rig->host;
    req.uri = uri;
    req.owner = rig->owner;
    req.store = rig->store;
    req.mark = rig->mark;
    req.max_group = rig->max_group;
    req.done = open_done;
    req.ctx = rig;
    req.err = &rig->err;
    rig->done = 0;
    open(&req);
    finish(rig);
    rig->wal = req.wal;
    return rig->status;
}

void wal_rig_payload(unsigned char *to, uint64_t seq, size_t len)
{
    uint64_t x = seq * 0x9e3779b97f4a7c15u + 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        to[i] = (unsigned char)(x >> 33);
    }
}

/* Wrong bytes are worse than none: end the test at once. */
static void check_payload(const struct weir_wal_record *record)
{
    unsigned char *want = malloc(record->len + 1);

    wal_rig_payload(want, record->base_offset, record->len);
    if (memcmp(want, record->data, record->len) != 0) {
        fprintf(stderr, "record %llu at %llu has wrong bytes\n",
                (unsigned long long)record->base_offset,
                (unsigned long long)record->position);
        abort();
    }
    free(want);
}

static int saw(struct weir_wal_recover *req,
               const struct weir_wal_record *record)
{
    struct wal_rig *rig = req->ctx;
    struct rig_record seen;

    memset(&seen, 0, sizeof(seen));
    seen.position = record->position;
    seen.next = record->next;
    seen.seq = record->base_offset;
    seen.len = record->len;
    seen.damaged = record->damaged;
    if (!record->damaged && !rig->any_bytes)
        check_payload(record);
    push(&rig->seen, seen);
    if (rig->stop_after > 0 && --rig->stop_after == 0)
        return WEIR_ECANCELED;
    return 0;
}

static void recover_done(struct weir_wal_recover *req, int status)
{
    struct wal_rig *rig = req->ctx;

    rig->status = status;
    rig->done = 1;
}

int wal_rig_recover(struct wal_rig *rig)
{
    struct weir_wal_recover req = {0};

    rig->seen.count = 0;
    req.record = saw;
    req.done = recover_done;
    req.ctx = rig;
    req.err = &rig->err;
    do {
        rig->done = 0;
        rig->wal->ops->recover(rig->wal, &req);
        finish(rig);
    } while (rig->status == 0 && req.more);
    return rig->status;
}

static void req_done(struct weir_wal_req *req, int status)
{
    struct wal_rig *rig = req->ctx;

    rig->status = status;
    rig->done = 1;
}

int wal_rig_start(struct wal_rig *rig)
{
    struct weir_wal_req req = {0};

    req.done = req_done;
    req.ctx = rig;
    req.err = &rig->err;
    rig->done = 0;
    rig->tail = 0;
    rig->group_len = 0;
    if (rig->group == NULL)
        rig->group = aligned_alloc(65536, rig->max_group / 65536 * 65536 +
                                              (size_t)131072);
    rig->wal->ops->start(rig->wal, &req);
    return finish(rig);
}

int wal_rig_close(struct wal_rig *rig)
{
    struct weir_wal_req req = {0};

    req.done = req_done;
    req.ctx = rig;
    req.err = &rig->err;
    rig->done = 0;
    rig->wal->ops->close(rig->wal, &req);
    rig->wal = NULL;
    return finish(rig);
}

void wal_rig_pad(struct wal_rig *rig)
{
    size_t align = rig->wal->align;
    size_t to = (rig->group_len + align - 1) / align * align;

    memset(rig->group + rig->group_len, 0, to - rig->group_len);
    rig->group_len = to;
}

void wal_rig_add(struct wal_rig *rig, size_t len)
{
    unsigned char *to = rig->group + rig->group_len;
    size_t size = (size_t)weir__wal_record_size(len);
    uint64_t at = rig->wal->end + rig->group_len;
    struct weir__wal_header header = {0};
    struct rig_record record = {at, at + size, rig->seq, len, 0};

    memset(to, 0, size);
    wal_rig_payload(to + WEIR__WAL_RECORD_HEADER, rig->seq, len);
    header.type = WEIR__WAL_BATCH;
    header.wal_id = rig->wal->id;
    header.epoch = rig->wal->epoch;
    header.position = at;
    header.durable = rig->wal->end;
    header.stream_id = 1;
    header.base_offset = rig->seq++;
    header.count = 1;
    header.len = (uint32_t)len;
    header.crc32c = weir__crc32c(0, to + WEIR__WAL_RECORD_HEADER, len);
    header.gap = rig->tail == 0 ? 0 : (uint32_t)(1 + at - rig->tail);
    weir__wal_header_encode(to, &header);
    rig->tail = at + size;
    rig->group_len += size;
    push(&rig->written, record);
}

static void write_done(struct weir_wal_write *req, int status)
{
    struct wal_rig *rig = req->ctx;

    rig->write_status = status;
    rig->status = status;
    rig->done = 1;
    if (status == 0) {
        rig->acked = rig->written.count;
    } else if (status == WEIR_EAGAIN || status == WEIR_ETOOBIG) {
        rig->written.count = rig->acked; /* Certainly not there. */
        rig->seq = rig->acked;
        rig->tail = 0;
    }
}

void wal_rig_write_begin(struct wal_rig *rig, size_t pieces)
{
    struct weir_wal_write *w = &rig->write;
    size_t align = rig->wal->align;
    size_t at = 0;
    size_t n = 0;

    wal_rig_pad(rig);
    while (n + 1 < pieces && rig->group_len - at > align) {
        rig->iov[n].data = rig->group + at;
        rig->iov[n++].len = align;
        at += align;
    }
    rig->iov[n].data = rig->group + at;
    rig->iov[n++].len = rig->group_len - at;
    memset(w, 0, sizeof(*w));
    w->position = rig->wal->end + rig->skew;
    w->iov = rig->iov;
    w->iov_count = n;
    w->len = rig->group_len;
    w->done = write_done;
    w->ctx = rig;
    w->err = &rig->err;
    rig->group_len = 0;
    rig->write_status = 1;
    rig->done = 0;
    rig->wal->ops->write(rig->wal, w);
}

int wal_rig_write(struct wal_rig *rig, size_t pieces)
{
    wal_rig_write_begin(rig, pieces);
    return finish(rig);
}

int wal_rig_append(struct wal_rig *rig, size_t len)
{
    wal_rig_add(rig, len);
    return wal_rig_write(rig, 1);
}

int wal_rig_saw(const struct wal_rig *rig, size_t from, size_t to)
{
    if (rig->seen.count != to - from)
        return 0;
    for (size_t i = from; i < to; i++) {
        const struct rig_record *a = &rig->written.at[i];
        const struct rig_record *b = &rig->seen.at[i - from];

        if (a->seq != b->seq || a->position != b->position ||
            a->next != b->next || a->len != b->len || b->damaged)
            return 0;
    }
    return 1;
}
