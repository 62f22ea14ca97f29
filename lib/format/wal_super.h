/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Header block of a file log.  Little-endian, 4096 bytes.
 *
 *     0     8 bytes   magic "WEIR-WAL"
 *     8     u32       version (1)
 *    12     u32       block: alignment of groups, a power of two from 4096
 *                     to 65536
 *    16     u64       generation: the copy with the greater one is newer
 *    24     u64       id of the log, random; every record carries it
 *    32     16 bytes  id of the cluster
 *    48     u32       node id
 *    52     u32       largest group ever written, in bytes, at most
 *    56     u64       capacity: bytes of the ring, a multiple of block
 *    64     u64       epoch: of the node that started the log last
 *    72     u64       epoch start: the position where it did
 *    80     u64       trim position: recovery begins here
 *    88     u64       durable end: all positions below are durable
 *    96     u64       zeroed: the ring has been written up to here at least
 *                     (a hint, for the first lap)
 *   104     u32       flags: 1 = closed, nothing lies behind durable end
 *   108     ...       0
 *  4092     u32       CRC32C of the bytes before
 *
 * A file or block device that is a log:
 *
 *     0          copy A of the header block
 *     block      copy B
 *     2 * block  the ring: position p is at 2 * block + p % capacity
 *
 * An update goes to the older copy, so that one of them is always whole.
 * What lies below a trim position is overwritten only when both copies have
 * it, so that either of them is enough to recover with.
 *
 * Records from epoch start on carry this epoch, records before it lower
 * ones, which never decrease from one record to the next.  So what an earlier
 * epoch wrote behind a place where it was cut is never taken for a record.
 */
#ifndef WEIR_FORMAT_WAL_SUPER_H
#define WEIR_FORMAT_WAL_SUPER_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR__WAL_SUPER_SIZE 4096u
#define WEIR__WAL_SUPER_VERSION 1u
#define WEIR__WAL_BLOCK_MIN 4096u
#define WEIR__WAL_BLOCK_MAX 65536u

/** Fields of a header block. */
struct weir__wal_super {
    unsigned char cluster[16];
    uint64_t generation;
    uint64_t wal_id;
    uint64_t capacity;
    uint64_t epoch;
    uint64_t epoch_start;
    uint64_t trim;
    uint64_t durable_end;
    uint64_t zeroed;
    uint32_t node_id;
    uint32_t max_group;
    uint32_t block;
    bool closed;
};

/** Write a header block: all 4096 bytes. */
void weir__wal_super_encode(unsigned char *to,
                            const struct weir__wal_super *super);

/**
 * Read a header block of 4096 bytes.
 *
 * @return 0; WEIR_EFORMAT: no magic; WEIR_EVERSION: whole, but newer;
 *         WEIR_ECORRUPT: magic, but damaged or with impossible values.
 */
int weir__wal_super_decode(struct weir__wal_super *out,
                           const unsigned char *data);

#endif
