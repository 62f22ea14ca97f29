/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a file log: once as recovery would; and if that ends at damage, once
 * more with salvage, for the records behind it.
 */
#include "base/alloc.h"
#include "base/config.h"
#include "base/error.h"
#include "base/uri.h"
#include "inspect/inspect.h"
#include "wal/wal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    struct weir__inspect *in;
    struct weir_wal *wal;
    struct weir_event event;
    int status;
    struct weir_error error; /* Of the request under way. */
    bool again;    /* Second time: only what lies at or behind `next`. */
    uint64_t next; /* Position behind the last record. */
    uint64_t records;
    uint64_t bytes; /* Payload. */
    uint64_t damaged;
};

/* ---- Opening and closing ------------------------------------------------- */

static void opened(struct weir_wal_open *req, int status)
{
    struct walk *w = req->ctx;

    w->status = status;
    weir__inspect_signal(w->in, &w->event);
}

static int wal_open(struct walk *w, const char *uri)
{
    struct weir_wal_open req = {
        .host = &w->in->host,
        .uri = uri,
        .max_group = 1u << 20,
        .done = opened,
        .ctx = w,
        .err = w->in->err,
    };

    w->event.set = 0;
    weir__wal_file_inspect(&req);
    weir__inspect_wait(w->in, &w->event);
    w->wal = w->status == 0 ? req.wal : NULL;
    return w->status;
}

static void closed(struct weir_wal_req *req, int status)
{
    struct walk *w = req->ctx;

    (void)status;
    weir__inspect_signal(w->in, &w->event);
}

static void wal_close(struct walk *w)
{
    struct weir_wal_req req = {.done = closed, .ctx = w};

    if (w->wal == NULL)
        return;
    w->event.set = 0;
    w->wal->ops->close(w->wal, &req);
    weir__inspect_wait(w->in, &w->event);
    w->wal = NULL;
}

/* ---- Items --------------------------------------------------------------- */

static int give_super(struct walk *w)
{
    struct weir__inspect *in = w->in;
    struct weir__wal_super super;

    weir__wal_file_super(w->wal, &super);
    weir__inspect_hex(in, "wal_id", super.wal_id);
    weir__inspect_id(in, "cluster", super.cluster, sizeof(super.cluster));
    weir__inspect_uint(in, "node_id", super.node_id);
    weir__inspect_uint(in, "generation", super.generation);
    weir__inspect_uint(in, "capacity", super.capacity);
    weir__inspect_uint(in, "block", super.block);
    weir__inspect_uint(in, "max_group", super.max_group);
    weir__inspect_uint(in, "epoch", super.epoch);
    weir__inspect_uint(in, "epoch_start", super.epoch_start);
    weir__inspect_uint(in, "trim", super.trim);
    weir__inspect_uint(in, "durable_end", super.durable_end);
    weir__inspect_text(in, "closed", super.closed ? "yes" : "no");
    return weir__inspect_item(in, "super", 0, NULL);
}

static int give_record(struct weir_wal_recover *req,
                       const struct weir_wal_record *record)
{
    struct walk *w = req->ctx;
    struct weir__inspect *in = w->in;

    if (w->again && record->position < w->next)
        return 0;
    w->next = record->next;
    w->records++;
    w->bytes += record->len;
    w->damaged += record->damaged != 0;
    weir__inspect_uint(in, "position", record->position);
    weir__inspect_uint(in, "stream_id", record->stream_id);
    weir__inspect_uint(in, "stream_epoch", record->stream_epoch);
    weir__inspect_uint(in, "base_offset", record->base_offset);
    weir__inspect_uint(in, "count", record->count);
    weir__inspect_time(in, "max_timestamp", record->max_timestamp);
    weir__inspect_hex(in, "crc32c", record->crc32c);
    weir__inspect_uint(in, "length", record->len);
    if (record->damaged)
        return weir__inspect_item(in, "record", WEIR_ECORRUPT,
                                  "wrong checksum of the payload");
    weir__inspect_bytes(in, "payload", record->data, record->len);
    return weir__inspect_item(in, "record", 0, NULL);
}

static int give_damage(struct walk *w, const char *text)
{
    w->damaged++;
    weir__inspect_uint(w->in, "after", w->next);
    return weir__inspect_item(w->in, "damage", WEIR_ECORRUPT, text);
}

static int give_end(struct walk *w)
{
    weir__inspect_uint(w->in, "position", w->next);
    weir__inspect_uint(w->in, "records", w->records);
    weir__inspect_uint(w->in, "bytes", w->bytes);
    weir__inspect_uint(w->in, "damaged", w->damaged);
    return weir__inspect_item(w->in, "end", 0, NULL);
}

/* ---- Walking ------------------------------------------------------------- */

static void recovered(struct weir_wal_recover *req, int status)
{
    struct walk *w = req->ctx;

    w->status = status;
    weir__inspect_signal(w->in, &w->event);
}

/* All records: 0, or what ended it, told in `w->error`. */
static int recover(struct walk *w)
{
    struct weir_wal_recover req = {
        .record = give_record,
        .done = recovered,
        .ctx = w,
        .err = &w->error,
    };

    do {
        w->event.set = 0;
        req.more = 0;
        w->wal->ops->recover(w->wal, &req);
        weir__inspect_wait(w->in, &w->event);
    } while (w->status == 0 && req.more);
    return w->status;
}

/* The records behind damage that recovery would not pass. */
static int salvage(struct walk *w, const char *uri)
{
    size_t room = strlen(uri) + 16;
    char *text = weir__malloc(w->in->host.alloc, room);
    int rc;

    if (text == NULL)
        return weir__fail(w->in->err, WEIR_ENOMEM, "out of memory");
    (void)snprintf(text, room, "%s%csalvage=true", uri,
                   strchr(uri, '?') == NULL ? '?' : '&');
    w->again = true;
    rc = wal_open(w, text);
    weir__free(w->in->host.alloc, text);
    if (rc == 0)
        rc = recover(w);
    wal_close(w);
    return rc;
}

static int walk_wal(struct walk *w, const char *uri)
{
    int rc = wal_open(w, uri);

    if (rc == 0)
        rc = give_super(w);
    if (rc == 0)
        rc = recover(w);
    wal_close(w);
    if (rc == WEIR_ECORRUPT && w->in->stop == 0 && w->status == rc) {
        rc = give_damage(w, w->error.text);
        if (rc == 0)
            rc = salvage(w, uri);
    }
    if (rc != 0 && w->error.code == rc)
        weir__error_copy(w->in->err, &w->error);
    return rc != 0 ? rc : give_end(w);
}

/* ---- In the store -------------------------------------------------------- */

/** The walk over a node's slots, as the store lists them. */
struct slots {
    struct walk *w;
    struct weir__slot_get get;
    const char *key;
    bool given; /* The item of the slot itself. */
    struct weir_wal_mark at;
};

static int give_slot(struct slots *s, const char *kind)
{
    struct weir__inspect *in = s->w->in;

    s->given = true;
    weir__inspect_text(in, "key", s->key);
    weir__inspect_uint(in, "epoch", s->at.epoch);
    weir__inspect_uint(in, "slot", s->at.slot);
    weir__inspect_text(in, "is", kind);
    return weir__inspect_item(in, "slot", 0, NULL);
}

static int slot_record(void *ctx, const struct weir_wal_record *record)
{
    struct slots *s = ctx;
    struct weir_wal_recover give = {.ctx = s->w};
    int rc = s->given ? 0 : give_slot(s, "data");

    return rc != 0 ? rc : give_record(&give, record);
}

static void slot_got(struct weir__slot_get *get, int status)
{
    struct slots *s = get->ctx;

    s->w->status = status;
    weir__inspect_signal(s->w->in, &s->w->event);
}

/* Read one slot, and give what is in it. */
static int walk_slot(struct slots *s)
{
    struct walk *w = s->w;
    int rc;

    s->given = false;
    s->get = (struct weir__slot_get){.store = w->in->store,
                                     .node_id = s->get.node_id,
                                     .at = s->at,
                                     .record = slot_record,
                                     .done = slot_got,
                                     .ctx = s,
                                     .err = &w->error};
    w->event.set = 0;
    weir__slot_get(&s->get);
    weir__inspect_wait(w->in, &w->event);
    rc = w->status;
    if (w->in->stop != 0)
        return w->in->stop;
    if (rc == WEIR_ENOENT)
        return 0; /* Trimmed since it was listed. */
    if (rc == WEIR_ECORRUPT)
        return give_damage(w, w->error.text);
    if (rc == 0 && !s->given)
        rc = give_slot(s, s->get.kind == WEIR__SLOT_HEAD    ? "head"
                          : s->get.kind == WEIR__SLOT_FENCE ? "fence"
                                                            : "data");
    return rc;
}

/* "<epoch>/<slot>" in hexadecimal. */
static bool read_place(const char *text, struct weir_wal_mark *out)
{
    char *end;

    out->epoch = strtoull(text, &end, 16);
    if (end != text + 16 || *end != '/')
        return false;
    text = end + 1;
    out->slot = strtoull(text, &end, 16);
    return end == text + 16 && *end == '\0';
}

/* The slots of one node: those that its log has left out of account, behind a
 * fence or below the mark, are shown as well. */
static int walk_slots(struct walk *w)
{
    struct weir__inspect_page page = {0};
    struct slots s = {.w = w};
    char prefix[32];
    int rc = weir__inspect_store(w->in);

    s.get.node_id = (uint32_t)w->in->config->number[WEIR__P_NODE_ID];
    (void)snprintf(prefix, sizeof(prefix), "wal/%08x/", s.get.node_id);
    page.prefix = prefix;
    do {
        if (rc == 0)
            rc = weir__inspect_list(w->in, &page);
        for (size_t i = 0; i < page.count && rc == 0; i++) {
            s.key = page.keys[i];
            if (read_place(s.key + strlen(prefix), &s.at))
                rc = walk_slot(&s);
        }
    } while (rc == 0 && page.more);
    if (rc != 0 && w->error.code == rc)
        weir__error_copy(w->in->err, &w->error);
    return rc != 0 ? rc : give_end(w);
}

int weir_inspect_wal(const struct weir_config *config, weir_inspect_fn *fn,
                     void *ctx, struct weir_error *err)
{
    struct weir__inspect in;
    struct walk walk = {.in = &in};
    const char *uri;
    int rc;

    rc = weir__inspect_begin(&in, config, fn, ctx, err);
    if (rc == 0) {
        uri = weir__config_text(config, WEIR__P_WAL);
        if (weir__config_scheme(config, uri, 1) == NULL &&
            strncmp(uri, "object:", 7) == 0)
            rc = walk_slots(&walk);
        else if (strncmp(uri, "file:", 5) != 0 ||
                 weir__config_scheme(config, uri, 1) != NULL)
            rc = weir__fail(err, WEIR_EUNSUPPORTED,
                            "wal: %.*s: only a file: or an object: log can be "
                            "looked into",
                            weir__uri_shown(uri), uri);
        else
            rc = walk_wal(&walk, uri);
    }
    return weir__inspect_end(&in, rc);
}
