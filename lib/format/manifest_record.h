/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The manifest in bytes: a commit record, and a snapshot of the state.
 * Little-endian, nothing aligned.
 *
 * Both begin with the same 24 bytes, which mean the same in every later
 * version of the format:
 *
 *      0  u32  magic: "WMCR" a commit, "WMSN" a snapshot
 *      4  u16  version of the format (1; 2: a snapshot, and a commit of which
 *              an operation has something that is marked so, which version 1
 *              refuses; 3: a commit that carries others)
 *      6  u16  reserved, 0
 *      8  u32  CRC32C of all other bytes: 0 to 7 and 12 to the end
 *     12  u32  bytes at the end that hold commits before this one, else 0
 *     16  u64  length of the whole
 *
 * A commit: what one node has put at one version, at most 16 MiB.
 *
 *     24  16 B  id of the cluster
 *     40  u64   manifest version: the number in its key
 *     48  16 B  nonce: tells who wrote it after an unclear answer
 *     64  u64   node epoch of the writer
 *     72  i64   wall clock of the writer, milliseconds since 1970
 *     80  u32   node id of the writer
 *     84  u32   count of operations
 *     88        operations, one behind the other
 *               commits before this one, each as it was but for what it
 *               carried itself: oldest first, without a gap, and the last is
 *               that of the version before
 *
 * An operation: its kind, then its body.
 *
 *      0  u8    kind (enum weir__op_kind)
 *      1  3 B   reserved, 0
 *      4  u32   length of the body
 *      8        body
 *
 *     1 CLUSTER         0  16 B  id
 *     2 NODE_OPEN       0  u64   id of its WAL, 0: one that does not last
 *                       8  u32   node id
 *                      12  u32   lease in milliseconds, 0: none
 *                      16  u16   length n of its WAL's URI, 0 to 511
 *                      18        URI (no zero in it), and a zero: n + 1
 *                  19 + n  u64   epoch that the node must get, or nothing is
 *                                done; may be left out: the next (version 2)
 *     3 STREAM_CREATE   0  u16   length n of the name, 1 to 255
 *                       2        name (no zero in it), and a zero: n + 1
 *     4 STREAM_DELETE   0  u64   stream id
 *     5 STREAM_OPEN     0  u64   stream id
 *     6 STREAM_TRIM     0  u64   stream id
 *                       8  u64   stream epoch
 *                      16  u64   start offset
 *     7 OBJECT_RESERVE  0  u32   count of ids
 *     8 OBJECT_ADD      0  u64   object id
 *                       8  u64   size of the object
 *                      16  u32   kind (enum weir__object_kind)
 *                      20  u32   count of ranges; 0: its id is given back
 *                      24        ranges of 48 bytes:
 *                        0  u64  stream id
 *                        8  u64  stream epoch
 *                       16  u64  base offset
 *                       24  u64  end offset
 *                       32  u64  stored bytes
 *                       40  i64  max timestamp
 *     9 OBJECT_REMOVED  0  u32   count of ids
 *                       4        ids, u64 each
 *    10 KV_PUT          0  u64   expected version
 *                       8  u32   length n of the value, at most 65536
 *                      12  u16   length k of the key, 1 to 255
 *                      14  u16   1: remove the key (n is 0); 2: it goes with
 *                                the writer's epoch; else 0
 *                      16        key (no zero in it), and a zero: k + 1
 *                                value: n
 *    11 NODE_CLEAN      no body
 *    12 NODE_BEAT       no body
 *    13 NODE_CLOSE      no body
 *    14 NODE_TRIM       0  u64   epoch of the log
 *                       8  u64   slot
 *    16 STREAM_HAND     0  u32   node id of the next owner, 0: none
 *                       4  u32   count of streams
 *                       8        streams of 24 bytes, by id:
 *                        0  u64  stream id
 *                        8  u64  stream epoch
 *                       16  u64  end offset
 *
 * A snapshot, in version 2: the state behind the commit of its version.  One
 * of version 1 is without what is marked so: names begin at 48, and debts have
 * 24 bytes.  A first epoch is 0 then, or the one behind the epoch of the debt
 * before.  From its first epoch on the owner appends behind the last debt.
 * What its WAL holds of an earlier epoch is a part of the stream as far as it
 * is owed; the rest was given up when the stream was given away, or when the
 * owner was opened with another WAL: the first epoch is the next one then,
 * until it opens the stream.  The same goes for a debt and the first epoch of
 * its owner.
 *
 *     24  16 B  id of the cluster
 *     40  u64   manifest version
 *     48  u64   id that the next stream will get
 *     56  u64   id that the next object will get
 *     64  u64   last version given to a key
 *     72  u32   1: the cluster has an id, else 0
 *     76  u32   count of nodes
 *     80  u64   count of streams
 *     88  u64   count of objects
 *     96  u64   count of dead objects
 *    104  u64   count of keys
 *    112        nodes, by id:
 *                 0  u64  epoch
 *                 8  u64  id of the WAL that may hold what no object does,
 *                         or 0
 *                16  u64  version of its last commit
 *                24  u64  epoch, and
 *                32  u64  slot where recovery of its WAL begins
 *                40  u32  id
 *                44  u32  lease in milliseconds, 0: none
 *                48  u16  1: it has ended in order, else 0
 *                50  u16  length n of its WAL's URI
 *                52  u32  count of reserved ranges
 *                56       URI, and a zero: n + 1
 *                         ranges of object ids: u64 first, u64 count
 *               objects, by id:
 *                 0  u64  id
 *                 8  u64  size
 *                16  u64  node epoch of the writer
 *                24  u32  node id of the writer
 *                28  u32  kind
 *               streams, by id:
 *                 0  u64  id
 *                 8  u64  epoch
 *                16  u64  start offset
 *                24  u64  committed end
 *                32  u32  owner, 0: none
 *                36  u16  length n of the name
 *                38  u16  count of debts
 *                40  u64  count of extents
 *                48  u64  first epoch of the owner (version 2)
 *                56       name, and a zero: n + 1
 *                         extents of 40 bytes, by offset:
 *                 0  u64  base offset
 *                 8  u64  end offset
 *                16  u64  object id
 *                24  u64  stored bytes
 *                32  i64  max timestamp
 *                         debts of 32 bytes, by offset:
 *                 0  u64  end offset
 *                 8  u64  stream epoch
 *                16  u32  node id, 0: lost with its WAL
 *                20  u32  reserved, 0
 *                24  u64  first epoch of that owner (version 2)
 *               dead objects, oldest first:
 *                 0  u64  id
 *                 8  i64  since: milliseconds since 1970
 *               keys, sorted:
 *                 0  u64  version
 *                 8  u32  length n of the value
 *                12  u32  id of the node whose epoch it goes with, or 0
 *                16  u16  length k of the key
 *                18       key, and a zero: k + 1; value: n
 */
#ifndef WEIR_FORMAT_MANIFEST_RECORD_H
#define WEIR_FORMAT_MANIFEST_RECORD_H

#include "base/bytes.h"
#include "format/manifest_op.h"

/** Longest commit record, in bytes. */
#define WEIR__RECORD_MAX ((size_t)16 << 20)
/** Streams that one commit hands over, at most: 24 bytes each, and room for
 * what else there is. */
#define WEIR__HANDS_MAX ((size_t)1 << 19)
#define WEIR__COMMIT_VERSION 3u   /* The newest that is read. */
#define WEIR__SNAPSHOT_VERSION 2u /* The one that is written. */
#define WEIR__COMMIT_CARRIES 3u   /* The first in which commits are. */
#define WEIR__RECORD_HEADER 88u
#define WEIR__SNAPSHOT_HEADER 112u

/** Most ids that one OBJECT_RESERVE takes. */
#define WEIR__RESERVE_MAX 65536u

/** Header of a commit. */
struct weir__record {
    unsigned char cluster[16];
    unsigned char nonce[16];
    uint64_t version;
    uint64_t node_epoch;
    int64_t wall;
    uint32_t node_id;
    uint32_t op_count;
    uint32_t carried; /* Bytes of commits before this one. */
    uint16_t format;  /* Its operations' newest. */
};

/** The oldest version of the format that can say this. */
uint16_t weir__op_format(const struct weir__op *op);

/** Begin a record at the writer's end, which must be at 0: leaves room for
 * the header. */
void weir__record_begin(struct weir__writer *w);

/**
 * Add an operation's inputs.  An error's text is of the operation alone: whose
 * it is, the caller knows.
 *
 * @return 0, or nothing was added: WEIR_EINVAL (a name, key, kind or count
 *         that there cannot be), WEIR_ETOOBIG (a long name, key or value, or
 *         the record would be longer than it may), WEIR_ENOMEM.
 */
int weir__record_add(struct weir__writer *w, const struct weir__op *op,
                     struct weir_error *err);

/** Write (or write anew) the header of `len` bytes begun by `begin`. */
void weir__record_seal(unsigned char *data, size_t len,
                       const struct weir__record *header);

/**
 * The next commit that a record carries, oldest first.
 *
 * @param data  A record that was opened, or sealed.
 * @param at    0 at first; private from then on.
 * @param out   The commit, in the record's bytes; not looked at yet.
 * @return Its version, or 0: there is none, or what follows cannot be one.
 */
uint64_t weir__record_carried(const unsigned char *data, size_t len, size_t *at,
                              struct weir_iov *out);
/** Make a record of one that carries others, of which `len` bytes are its
 * own: seal these anew. */
void weir__record_strip(unsigned char *data, size_t len);

/** Reads a commit, operation by operation.  Names, keys and values stay
 * where they are: in the bytes that are read. */
struct weir__record_reader {
    struct weir__record header;
    struct weir__reader at;
    uint32_t left; /* Operations. */
    const struct weir_alloc *alloc;
    struct weir__range *ranges; /* Of the present operation. */
    size_t range_room;
    uint64_t *ids;
    size_t id_room;
    struct weir__hand *hands;
    size_t hand_room;
};

/**
 * Check a whole commit and begin to read it.
 *
 * @param r        Close it when this has returned 0.
 * @param alloc    For ranges and ids.
 * @param data     The record; stays the caller's, until close.
 * @param version  The version at which it was found.
 * @param cluster  Id it must carry, or NULL: any.
 * @param err      What is wrong, and with which version; may be NULL.
 * @return 0, WEIR_ECORRUPT, WEIR_EVERSION, WEIR_EFOREIGN.
 */
int weir__record_open(struct weir__record_reader *r,
                      const struct weir_alloc *alloc, const void *data,
                      size_t len, uint64_t version,
                      const unsigned char *cluster, struct weir_error *err);
/** The next operation, its outputs 0: 1, 0 at the end, or WEIR_ENOMEM (call
 * it again).  Valid until the next call. */
int weir__record_next(struct weir__record_reader *r, struct weir__op *op);
void weir__record_close(struct weir__record_reader *r);

/** Header of a snapshot. */
struct weir__snapshot {
    unsigned char cluster[16];
    uint64_t version;
    uint64_t next_stream;
    uint64_t next_object;
    uint64_t kv_version;
    uint64_t streams;
    uint64_t objects;
    uint64_t dead;
    uint64_t keys;
    uint32_t named; /* 1: `cluster` is one. */
    uint32_t nodes;
    uint16_t format; /* As read; the newest is written. */
};

struct weir__snap_node {
    uint64_t epoch;
    uint64_t wal_id;
    uint64_t beat;
    uint64_t mark_epoch;
    uint64_t mark_slot;
    const char *wal;
    uint32_t id;
    uint32_t lease_ms;
    uint32_t reserved; /* Ranges that follow. */
    uint16_t closed;
};

struct weir__snap_stream {
    uint64_t id;
    uint64_t epoch;
    uint64_t start;
    uint64_t committed_end;
    uint64_t extents; /* That follow. */
    uint64_t since;
    const char *name;
    uint32_t owner;
    uint16_t debts; /* That follow the extents. */
};

struct weir__snap_debt {
    uint64_t end;
    uint64_t stream_epoch;
    uint64_t since;
    uint32_t node_id;
};

struct weir__snap_extent {
    uint64_t base;
    uint64_t end;
    uint64_t object_id;
    uint64_t bytes;
    int64_t max_timestamp;
};

struct weir__snap_object {
    uint64_t id;
    uint64_t size;
    uint64_t node_epoch;
    uint32_t node_id;
    uint32_t kind;
};

struct weir__snap_key {
    uint64_t version;
    const char *key;
    const void *value;
    uint32_t len;
    uint32_t node_id;
};

/** Write the parts of a snapshot in the order of the layout: `begin`, parts,
 * `end`.  A failure shows in `w->bad`. */
void weir__snapshot_begin(struct weir__writer *w);
void weir__snapshot_pair(struct weir__writer *w, uint64_t a, uint64_t b);
void weir__snapshot_node(struct weir__writer *w,
                         const struct weir__snap_node *node);
void weir__snapshot_stream(struct weir__writer *w,
                           const struct weir__snap_stream *stream);
void weir__snapshot_extent(struct weir__writer *w,
                           const struct weir__snap_extent *extent);
void weir__snapshot_debt(struct weir__writer *w,
                         const struct weir__snap_debt *debt);
void weir__snapshot_object(struct weir__writer *w,
                           const struct weir__snap_object *object);
void weir__snapshot_key(struct weir__writer *w,
                        const struct weir__snap_key *key);
/** Write the header: 0, or WEIR_ENOMEM if any part could not be written. */
int weir__snapshot_end(struct weir__writer *w,
                       const struct weir__snapshot *header);

/**
 * Check a snapshot as a whole, and read its header.
 *
 * The counts of the header have been checked against the length: each thing
 * takes some bytes.
 *
 * @param r        Set to the first of the parts.
 * @param version  The version at which it was found.
 * @return 0, WEIR_ECORRUPT, WEIR_EVERSION.
 */
int weir__snapshot_open(struct weir__reader *r, struct weir__snapshot *header,
                        const void *data, size_t len, uint64_t version,
                        struct weir_error *err);
/** Read the parts, in the order of the layout: true, or false and `r->bad`
 * (cut short, or a count that the bytes left cannot hold). */
bool weir__snapshot_read_node(struct weir__reader *r,
                              struct weir__snap_node *node);
bool weir__snapshot_read_stream(struct weir__reader *r, unsigned format,
                                struct weir__snap_stream *stream);
bool weir__snapshot_read_extent(struct weir__reader *r,
                                struct weir__snap_extent *extent);
bool weir__snapshot_read_debt(struct weir__reader *r, unsigned format,
                              struct weir__snap_debt *debt);
bool weir__snapshot_read_object(struct weir__reader *r,
                                struct weir__snap_object *object);
bool weir__snapshot_read_key(struct weir__reader *r,
                             struct weir__snap_key *key);

/** Set length and checksum of a commit or a snapshot whose other bytes are
 * written. */
void weir__manifest_seal(unsigned char *data, size_t len);

/** Check the first 24 bytes and the checksum.  `what` is for `err`: "commit"
 * or "snapshot". */
int weir__manifest_check(const void *data, size_t len, uint32_t magic,
                         const char *what, uint64_t version,
                         struct weir_error *err);

#define WEIR__COMMIT_MAGIC 0x52434d57u   /* "WMCR" */
#define WEIR__SNAPSHOT_MAGIC 0x4e534d57u /* "WMSN" */

#endif
