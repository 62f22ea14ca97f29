/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Producer ids, unique for ever: taken from the manifest in blocks.
 */
#ifndef KAFKA_PRODUCER_IDS_H
#define KAFKA_PRODUCER_IDS_H

#include <weir/kv.h>

#include "list.h"

struct broker;

/** Where ids come from. */
struct producer_ids {
    int64_t next, end; /* What is left of this process's block. */
    bool asking;       /* A block is on its way. */
    struct list waiting;
    struct broker *broker;
    uint64_t version; /* Of the key, as read. */
    int64_t block;    /* First id of the block that is asked for. */
    unsigned attempts;
    struct weir_kv_get get;
    struct weir_kv_put put;
    unsigned char value[8];
};

/** Asks for an id. */
struct producer_id_wait {
    struct list link;
    /* `error` 0: the id is `id`. */
    void (*ready)(struct producer_id_wait *wait, int64_t id, int16_t error);
};

void producer_ids_init(struct producer_ids *ids, struct broker *broker);

/** Get an id: `wait->ready` runs exactly once, possibly at once. */
void producer_ids_take(struct producer_ids *ids, struct producer_id_wait *wait);

#endif
