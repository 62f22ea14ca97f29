/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Drives a write-ahead log as a node would, one call after the other, and
 * checks every record that recovery gives: its bytes follow from its offset.
 */
#ifndef TESTS_SUPPORT_WAL_RIG_H
#define TESTS_SUPPORT_WAL_RIG_H

#include <weir/wal.h>

/** A record that was written, or one that recovery gave. */
struct rig_record {
    uint64_t position;
    uint64_t next;
    uint64_t seq; /* Its base offset: 0, 1, 2, ... */
    size_t len;
    int damaged;
};

struct rig_records {
    struct rig_record *at;
    size_t count;
    size_t room;
};

/** Largest group that the rig writes, and a little. */
#define RIG_GROUP ((size_t)8 << 20)

struct wal_rig {
    struct weir_host host; /* Fill in. */
    struct weir_wal_owner owner;
    struct weir_store *store; /* For the logs that need one. */
    struct weir_wal_mark mark;
    uint32_t max_group; /* RIG_GROUP, unless changed before the start. */

    struct weir_wal *wal;
    struct weir_error err;
    struct rig_records written; /* By add, whether or not they arrived. */
    struct rig_records seen;    /* By recovery. */
    size_t acked;               /* So many of `written` are durable. */
    uint64_t seq;               /* Of the next record. */
    uint64_t tail;              /* End of the last record in the group. */
    int any_bytes;              /* Do not check what recovery gives. */
    int stop_after;             /* Have recovery's callback fail then. */

    unsigned char *group; /* The open group. */
    size_t group_len;
    struct weir_iov iov[4];
    struct weir_wal_write write;
    int write_status; /* 1: under way. */
    uint64_t skew;    /* Write so far from where the log ends. */
    int done;         /* Of the call under way. */
    int status;
};

void wal_rig_init(struct wal_rig *rig, const struct weir_host *host);
void wal_rig_free(struct wal_rig *rig);

/** Open under the next epoch: status. */
int wal_rig_open(struct wal_rig *rig, weir_wal_open_fn *open, const char *uri);
int wal_rig_recover(struct wal_rig *rig);
int wal_rig_start(struct wal_rig *rig);
int wal_rig_close(struct wal_rig *rig);

/** Add a record to the open group. */
void wal_rig_add(struct wal_rig *rig, size_t len);
/** Pad the group in its middle. */
void wal_rig_pad(struct wal_rig *rig);
/** Write the open group, in `pieces` (1 to 4) if it is long enough. */
int wal_rig_write(struct wal_rig *rig, size_t pieces);
/** Begin to; `write_status` is 1 until it is over. */
void wal_rig_write_begin(struct wal_rig *rig, size_t pieces);
/** One record, one group. */
int wal_rig_append(struct wal_rig *rig, size_t len);

/** Bytes of the record `seq`. */
void wal_rig_payload(unsigned char *to, uint64_t seq, size_t len);
/** The records seen are those written from `from` to `to`, less one. */
int wal_rig_saw(const struct wal_rig *rig, size_t from, size_t to);

#endif
