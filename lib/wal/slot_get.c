/* SPDX-License-Identifier: Apache-2.0 */
/* Reading another node's object log, one slot at a time, without taking it. */
#include "wal/slot_read.h"
#include "wal/wal.h"

uint64_t weir__wal_object_id(const unsigned char cluster[16], uint32_t node_id)
{
    return weir__slot_log_id(cluster, node_id);
}

/* The slot behind this one. */
static void advance(struct weir__slot_get *get, const struct weir__slot *slot,
                    uint32_t crc)
{
    if (slot->kind == WEIR__SLOT_FENCE) {
        get->at.epoch++;
        get->at.slot = 0;
        get->before = 0;
        return;
    }
    get->at.slot++;
    get->before = crc;
    if (slot->kind == WEIR__SLOT_DATA)
        get->next = slot->position + slot->len;
}

/* Nothing is handed out of what comes damaged for the first time. */
static int got(struct weir__slot_get *get, struct weir_buf *body, uint64_t size)
{
    struct weir__slot_expect expect = {.cluster = get->cluster,
                                       .node_id = get->node_id,
                                       .epoch = get->at.epoch,
                                       .slot = get->at.slot,
                                       .before = get->before,
                                       .next = get->next};
    struct weir__slot slot;
    uint32_t crc = 0;
    int rc;

    if (get->again)
        rc = weir__slot_check(&expect, get->key, body, size, &slot, &crc,
                              get->err);
    else
        rc = weir__slot_check_all(&expect, get->key, body, size, &slot, &crc,
                                  get->err);

    if (rc == 0 && slot.kind == WEIR__SLOT_DATA)
        rc = weir__slot_records(&slot, get->key, body, get->record, get->ctx,
                                get->err);
    if (rc != 0)
        return rc;
    get->kind = slot.kind;
    advance(get, &slot, crc);
    return 0;
}

static void submit(struct weir__slot_get *get);

static void get_done(struct weir_store_req *req, int status)
{
    struct weir__slot_get *get = req->ctx;
    struct weir_buf *body = status == 0 ? req->body : NULL;

    if (status == 0)
        status = got(get, body, req->size);
    if (body != NULL && status == WEIR_ECORRUPT && !get->again) {
        get->again = 1; /* In case it was the transfer. */
        submit(get);
    } else {
        get->done(get, status);
    }
    weir_buf_unref(body);
}

static void submit(struct weir__slot_get *get)
{
    get->err->code = 0;
    weir__slot_key(get->key, get->node_id, get->at.epoch, get->at.slot);
    get->req = (struct weir_store_req){.verb = WEIR_STORE_GET,
                                       .key = get->key,
                                       .length = UINT64_MAX,
                                       .done = get_done,
                                       .ctx = get,
                                       .err = get->err};
    get->store->ops->submit(get->store, &get->req);
}

void weir__slot_get(struct weir__slot_get *get)
{
    get->again = 0;
    submit(get);
}
