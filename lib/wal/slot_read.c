/* SPDX-License-Identifier: Apache-2.0 */
#include "wal/slot_read.h"

#include "base/error.h"
#include "wal/walk.h"

#include <string.h>

uint64_t weir__slot_log_id(const unsigned char cluster[16], uint32_t node_id)
{
    uint64_t id = UINT64_C(0xcbf29ce484222325) ^ node_id;

    for (size_t i = 0; i < 16; i++)
        id = (id ^ cluster[i]) * UINT64_C(0x100000001b3);
    return id | 1;
}

static int damaged(struct weir_error *err, const char *key, const char *what)
{
    return weir__fail(err, WEIR_ECORRUPT, "write-ahead log: %s: %s", key, what);
}

/* Does it belong here? */
static const char *misplaced(const struct weir__slot_expect *expect,
                             const struct weir__slot *slot)
{
    const unsigned char *cluster =
        expect->cluster != NULL ? expect->cluster : slot->cluster;

    if (memcmp(slot->cluster, cluster, sizeof(slot->cluster)) != 0 ||
        slot->node_id != expect->node_id || slot->epoch != expect->epoch ||
        slot->slot != expect->slot ||
        slot->wal_id != weir__slot_log_id(cluster, expect->node_id))
        return "it is another one's";
    if (slot->kind == WEIR__SLOT_FENCE)
        return NULL;
    if ((slot->kind == WEIR__SLOT_HEAD) != (slot->slot == 0))
        return "it is of the wrong kind";
    if (expect->before != 0 && slot->before != expect->before)
        return "it does not follow the slot before";
    if (slot->len % WEIR__SLOT_ALIGN != 0)
        return "its length is none that a group has";
    if (slot->position % WEIR__SLOT_ALIGN != 0 || slot->position < expect->next)
        return "its position is below that of the slot before";
    return NULL;
}

int weir__slot_check(const struct weir__slot_expect *expect, const char *key,
                     const struct weir_buf *body, uint64_t size,
                     struct weir__slot *out, uint32_t *crc,
                     struct weir_error *err)
{
    int rc = weir__slot_decode(out, body->data, body->len, size, crc);
    const char *why = "not a slot, or cut short";

    if (rc == WEIR_EVERSION)
        why = "written by a newer version";
    else if (rc == 0)
        why = misplaced(expect, out);
    return why == NULL ? 0 : damaged(err, key, why);
}

int weir__slot_records(const struct weir__slot *slot, const char *key,
                       struct weir_buf *body,
                       int (*fn)(void *ctx,
                                 const struct weir_wal_record *record),
                       void *ctx, struct weir_error *err)
{
    struct weir__wal_window window = {.buf = body,
                                      .data = body->data + WEIR__SLOT_HEADER,
                                      .position = slot->position,
                                      .len = (size_t)slot->len};
    struct weir__wal_walk walk = {.name = key,
                                  .wal_id = slot->wal_id,
                                  .epoch = slot->epoch,
                                  .epoch_start = slot->position,
                                  .durable_end = slot->position + slot->len,
                                  .limit = slot->position + slot->len,
                                  .block = WEIR__SLOT_ALIGN,
                                  .max_group = UINT32_MAX,
                                  .at = slot->position,
                                  .tail = slot->position};
    struct weir_wal_record record;
    int rc = 0;

    /* The header tells of the object, the body of what came of it. */
    if (body->len < WEIR__SLOT_HEADER ||
        body->len - WEIR__SLOT_HEADER < slot->len)
        return damaged(err, key, "it was cut short on the way");
    while (rc == 0) {
        switch (weir__wal_walk_step(&walk, &window, &record, err)) {
        case WEIR__WALK_RECORD:
            rc = fn(ctx, &record);
            break;
        case WEIR__WALK_END:
            return 0;
        case WEIR__WALK_CORRUPT:
            return WEIR_ECORRUPT;
        case WEIR__WALK_MORE:
        case WEIR__WALK_SEEK:
            return damaged(err, key, "a record goes beyond the object");
        }
    }
    return rc;
}

static int count_damaged(void *ctx, const struct weir_wal_record *record)
{
    *(int *)ctx += record->damaged != 0;
    return 0;
}

int weir__slot_check_all(const struct weir__slot_expect *expect,
                         const char *key, struct weir_buf *body, uint64_t size,
                         struct weir__slot *out, uint32_t *crc,
                         struct weir_error *err)
{
    int rc = weir__slot_check(expect, key, body, size, out, crc, err);
    int count = 0;

    if (rc == 0 && out->kind == WEIR__SLOT_DATA)
        rc = weir__slot_records(out, key, body, count_damaged, &count, err);
    return rc == 0 && count > 0 ? damaged(err, key, "a payload is damaged")
                                : rc;
}
