/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One object of the object WAL: a header of 128 bytes and, in a slot with
 * data, a group of WAL records.  Little-endian.
 *
 *     0  u32   magic "WSLT"
 *     4  u16   version (1)
 *     6  u16   kind: enum weir__slot_kind
 *     8  u32   CRC32C of the header's other bytes: 0 to 7 and 12 to 127
 *    12  u32   most writes that its writer has under way
 *    16  16 B  id of the cluster
 *    32  u64   epoch of the log: the node epoch of its writer
 *    40  u64   slot
 *    48  u64   position of the first record
 *    56  u64   bytes behind the header
 *    64  16 B  nonce: who has put it, after an unclear answer
 *    80  u32   node id
 *    84  u32   CRC32C that the slot before has in its header; 0: none
 *    88  u64   id of the log, as in the records
 *    96  32 B  reserved, 0
 *
 * The key is wal/<node id:08x>/<epoch:016x>/<slot:016x>.  Slot 0 of an epoch
 * is its head.  A fence ends an epoch: what is behind the lowest fence was
 * never acknowledged, and counts for nothing.
 */
#ifndef WEIR_FORMAT_WAL_SLOT_H
#define WEIR_FORMAT_WAL_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/error.h>

#define WEIR__SLOT_HEADER 128u
#define WEIR__SLOT_VERSION 1u
/** Room for a key, with its terminating zero. */
#define WEIR__SLOT_KEY 64

enum weir__slot_kind {
    WEIR__SLOT_HEAD = 1,  /* The epoch begins. */
    WEIR__SLOT_DATA = 2,  /* Records. */
    WEIR__SLOT_FENCE = 3, /* Put by who took the log over. */
};

struct weir__slot {
    enum weir__slot_kind kind;
    uint32_t depth;
    unsigned char cluster[16];
    uint64_t epoch;
    uint64_t slot;
    uint64_t position;
    uint64_t len;
    unsigned char nonce[16];
    uint32_t node_id;
    uint32_t before; /* CRC of the slot before. */
    uint64_t wal_id;
};

/** Write a header; its CRC32C. */
uint32_t weir__slot_encode(unsigned char to[WEIR__SLOT_HEADER],
                           const struct weir__slot *slot);

/**
 * Read a header.
 *
 * @param size  Of the whole object.
 * @param crc   Out: its CRC32C.
 * @return 0; WEIR_ECORRUPT, WEIR_EVERSION.
 */
int weir__slot_decode(struct weir__slot *out, const unsigned char *data,
                      size_t len, uint64_t size, uint32_t *crc);

/** Key of a slot. */
void weir__slot_key(char to[WEIR__SLOT_KEY], uint32_t node_id, uint64_t epoch,
                    uint64_t slot);
/** Whose slot a key is: false if it is no key of a slot. */
bool weir__slot_key_read(const char *key, uint32_t *node_id, uint64_t *epoch,
                         uint64_t *slot);

#endif
