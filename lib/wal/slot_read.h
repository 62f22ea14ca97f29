/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a slot of the object WAL holds, checked: for who recovers the log, for
 * who reads it from another node, and for who looks into it.
 */
#ifndef WEIR_WAL_SLOT_READ_H
#define WEIR_WAL_SLOT_READ_H

#include "format/wal_slot.h"
#include <weir/wal.h>

/** Alignment of groups. */
#define WEIR__SLOT_ALIGN 64u

/** Whose slot it must be. */
struct weir__slot_expect {
    const unsigned char *cluster; /* NULL: whichever. */
    uint32_t node_id;
    uint64_t epoch;
    uint64_t slot;
    uint32_t before; /* CRC of the slot before; 0: not known. */
    uint64_t next;   /* Position that its records have at least. */
};

/** Id of a node's log: the same for all its epochs. */
uint64_t weir__slot_log_id(const unsigned char cluster[16], uint32_t node_id);

/**
 * Read and check a slot's header.
 *
 * @param key   For messages.
 * @param size  Of the whole object.
 * @param out   The header.
 * @param crc   Out: its CRC32C.
 * @return 0; WEIR_ECORRUPT, which `err` tells more of.
 */
int weir__slot_check(const struct weir__slot_expect *expect, const char *key,
                     const struct weir_buf *body, uint64_t size,
                     struct weir__slot *out, uint32_t *crc,
                     struct weir_error *err);

/** The same, and all its records: WEIR_ECORRUPT also if only a payload is
 * damaged. */
int weir__slot_check_all(const struct weir__slot_expect *expect,
                         const char *key, struct weir_buf *body, uint64_t size,
                         struct weir__slot *out, uint32_t *crc,
                         struct weir_error *err);

/** Be given a slot's records, in order: 0, what `fn` returned, or
 * WEIR_ECORRUPT. */
int weir__slot_records(const struct weir__slot *slot, const char *key,
                       struct weir_buf *body,
                       int (*fn)(void *ctx,
                                 const struct weir_wal_record *record),
                       void *ctx, struct weir_error *err);

#endif
