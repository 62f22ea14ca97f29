/* SPDX-License-Identifier: Apache-2.0 */
#include "producer_ids.h"

#include <string.h>

#include "broker.h"
#include "bytes.h"
#include "kafka_error.h"

/* The key holds the first id that no block has.  Ids of a block that are not
 * used when the process ends are lost; there are 2^63. */
#define KEY "kafka/pid"
#define BLOCK 1000
#define ATTEMPTS 16

void producer_ids_init(struct producer_ids *ids, struct broker *broker)
{
    memset(ids, 0, sizeof(*ids));
    ids->broker = broker;
    list_init(&ids->waiting);
}

static void serve(struct producer_ids *ids)
{
    struct producer_id_wait *wait;
    struct list *node;

    while (ids->next < ids->end && (node = list_pop(&ids->waiting)) != NULL) {
        wait = container_of(node, struct producer_id_wait, link);
        wait->ready(wait, ids->next++, 0);
    }
}

static void ask(struct producer_ids *ids);

static void end(struct producer_ids *ids, int16_t error)
{
    struct producer_id_wait *wait;
    struct list failed, *node;

    ids->asking = false;
    ids->broker->pending--;
    serve(ids);
    if (error == 0) {
        if (!list_empty(&ids->waiting))
            ask(ids);
        return;
    }
    list_init(&failed);
    list_take(&failed, &ids->waiting);
    while ((node = list_pop(&failed)) != NULL) {
        wait = container_of(node, struct producer_id_wait, link);
        wait->ready(wait, -1, error);
    }
}

static void read_key(struct producer_ids *ids);

static void written(struct weir_req *req, int status)
{
    struct producer_ids *ids = req->ctx;

    if (status == WEIR_ECONFLICT && ++ids->attempts < ATTEMPTS) {
        read_key(ids); /* Another node was faster. */
        return;
    }
    broker_note_node(ids->broker, status, "take producer ids");
    if (status == 0) {
        ids->next = ids->block;
        ids->end = ids->block + BLOCK;
    }
    end(ids, status == 0 ? 0 : KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static int key_found(struct weir_kv_get *get, const struct weir_kv_pair *pair)
{
    struct producer_ids *ids = get->req.ctx;

    if (pair->len != 8)
        return WEIR_ECORRUPT;
    ids->block = (int64_t)load_be64(pair->value);
    ids->version = pair->version;
    return ids->block < 0 || ids->block > INT64_MAX - 2 * BLOCK ? WEIR_ECORRUPT
                                                                : 0;
}

static void key_read(struct weir_req *req, int status)
{
    struct producer_ids *ids = req->ctx;

    if (status != 0 && status != WEIR_ENOENT) {
        end(ids, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    store_be64(ids->value, (uint64_t)ids->block + BLOCK);
    memset(&ids->put, 0, sizeof(ids->put));
    ids->put.req.done = written;
    ids->put.req.ctx = ids;
    ids->put.key = KEY;
    ids->put.value = ids->value;
    ids->put.len = sizeof(ids->value);
    ids->put.expected = ids->version;
    if (weir_kv_put(ids->broker->node, &ids->put) != 0)
        end(ids, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void read_key(struct producer_ids *ids)
{
    memset(&ids->get, 0, sizeof(ids->get));
    ids->get.req.done = key_read;
    ids->get.req.ctx = ids;
    ids->get.key = KEY;
    ids->get.pair = key_found;
    ids->version = WEIR_KV_ABSENT;
    ids->block = 0;
    if (weir_kv_get(ids->broker->node, &ids->get) != 0)
        end(ids, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void ask(struct producer_ids *ids)
{
    ids->asking = true;
    ids->attempts = 0;
    ids->broker->pending++;
    read_key(ids);
}

void producer_ids_take(struct producer_ids *ids, struct producer_id_wait *wait)
{
    list_append(&ids->waiting, &wait->link);
    serve(ids);
    if (!list_empty(&ids->waiting) && !ids->asking)
        ask(ids);
}
