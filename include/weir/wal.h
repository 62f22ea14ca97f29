/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The write-ahead log port: what makes an append durable before it is
 * acknowledged, and how a host brings a log of its own.
 *
 * A log is addressed by positions: bytes since it was made, which grow for
 * ever and never repeat.  A node writes groups of records, one write after
 * the other, at `end`; it never writes a position twice unless the first
 * write failed for certain.  The records are in the format of
 * docs/formats.md, encoded by the node.
 *
 * Life of a log: open, `recover` until there is no more, `start`, `write`
 * and `trim` as often as you like, `close`.  Everything is asynchronous and
 * runs in the core.
 */
#ifndef WEIR_WAL_H
#define WEIR_WAL_H

#include <weir/buf.h>
#include <weir/env.h>

WEIR_BEGIN

/** The log survives the process (a file does, memory does not). */
#define WEIR_WAL_PERSISTENT 1u
/** A write that ends well proves that nobody has taken the log over: its
 * acknowledgement needs no lease. */
#define WEIR_WAL_SELF_FENCING 2u

/** Where recovery of a log would begin, in terms of the log: kept in the
 * manifest for logs that cannot keep it themselves. */
struct weir_wal_mark {
    uint64_t epoch;
    uint64_t slot;
};

/** Whom a log belongs to, and who opens it. */
struct weir_wal_owner {
    unsigned char cluster[16]; /* Id of the cluster. */
    uint64_t epoch;            /* Node epoch of this opening. */
    uint32_t node_id;
    uint32_t reserved;
};

/** One record found by recovery.  Valid during the call that gives it. */
struct weir_wal_record {
    uint64_t position; /* Of the record's first byte. */
    uint64_t next;     /* Position behind the record. */
    uint64_t stream_id;
    uint64_t stream_epoch;
    uint64_t base_offset;
    int64_t max_timestamp;
    uint32_t count;  /* Offsets that the batch covers. */
    uint32_t crc32c; /* Of the payload. */
    const unsigned char *data;
    size_t len;
    struct weir_buf *buf; /* Holds `data`; take a reference to keep it. */
    int damaged; /* 1: the payload fails its checksum; `data` is NULL. */
};

/** Asks for the next run of records. */
struct weir_wal_recover {
    /* Called for each record, in order.  Not 0 ends the recovery with it. */
    int (*record)(struct weir_wal_recover *req,
                  const struct weir_wal_record *record);
    /* `status` 0: look at `more`.  WEIR_ECORRUPT: what was acknowledged is
     * damaged; `err` tells where.  Nothing on the medium was changed. */
    void (*done)(struct weir_wal_recover *req, int status);
    void *ctx;              /* For the caller. */
    struct weir_error *err; /* May be NULL. */
    int more;               /* Out: 1 if there are records left. */
    void *impl[4];          /* For the log. */
};

/** Asks for something that takes no data: to start, to trim, to close. */
struct weir_wal_req {
    void (*done)(struct weir_wal_req *req, int status);
    void *ctx;              /* For the caller. */
    struct weir_error *err; /* May be NULL. */
    void *impl[4];          /* For the log. */
};

struct weir_store;

/** One write: a group of records.  The caller's until `done`. */
struct weir_wal_write {
    uint64_t position;          /* Where: the log's `end`. */
    const struct weir_iov *iov; /* Each aligned in address and length. */
    size_t iov_count;
    size_t len; /* Sum of the pieces. */
    /* CRC32C of all of them together (RFC 3720), or NULL: not known. */
    const uint32_t *crc32c;
    void (*done)(struct weir_wal_write *req, int status);
    void *ctx;              /* For the caller. */
    struct weir_error *err; /* May be NULL. */
    void *impl[4];          /* For the log. */
};

struct weir_wal;

/** Methods of a log.  All in the core; `done` never before they returned. */
struct weir_wal_ops {
    size_t size;      /* sizeof(struct weir_wal_ops) at the backend. */
    const char *name; /* "mem", "file", "object". */
    /* Give the next run of records.  One request at a time. */
    void (*recover)(struct weir_wal *wal, struct weir_wal_recover *req);
    /* Recovery is over: cut the torn tail, take the log under the owner's
     * epoch, make that durable.  From then on `end` is where to write. */
    void (*start)(struct weir_wal *wal, struct weir_wal_req *req);
    /* Make a group durable.  `depth` at a time, in the order of positions,
     * and so they end: after one that failed all that were under way fail.
     * Status WEIR_EUNKNOWN: it may be there after a crash, and the log
     * takes no more writes (WEIR_EPOISONED).  WEIR_EFENCED: the log has been
     * taken over, and it never will be there.  WEIR_EAGAIN: certainly not
     * there; write at the same position again. */
    void (*write)(struct weir_wal *wal, struct weir_wal_write *req);
    /* Nothing below `position` is needed any more.  Becomes durable some
     * time later; until then recovery may begin earlier. */
    void (*trim)(struct weir_wal *wal, uint64_t position);
    /* Finish what is under way, mark a clean end, free everything, and run
     * `done`; the request outlives the log. */
    void (*close)(struct weir_wal *wal, struct weir_wal_req *req);
    /* The manifest has noted that recovery begins at `mark`: what lies before
     * may be removed.  May be NULL. */
    void (*noted)(struct weir_wal *wal, const struct weir_wal_mark *mark);
};

/** Base of every log; first member of the backend's own struct. */
struct weir_wal {
    const struct weir_wal_ops *ops;
    uint64_t id;        /* Salt of the records: see docs/formats.md. */
    uint64_t epoch;     /* Epoch that records written now carry. */
    uint64_t capacity;  /* Bytes between trim position and end, at most. */
    uint64_t begin;     /* Space below is free: the durable trim position. */
    uint64_t end;       /* Next position to write; valid after `start`. */
    uint32_t align;     /* Alignment of groups: position, address, length. */
    uint32_t max_group; /* Bytes in one write, at most. */
    unsigned flags;     /* WEIR_WAL_*. */
    /* How many writes may be under way; 0: one. */
    unsigned depth;
    /* Bytes that a group gathers while writes are under way; 0: as the node
     * likes. */
    uint32_t group_bytes;
    /* How long a group may gather while others are under way, if `depth` is
     * more than one: nanoseconds. */
    uint64_t linger;
    struct weir_wal_mark mark; /* Moves with `trim`; 0, 0: not used. */
    /* If `depth` is more than one: no write before this time of the clock, so
     * that no more is spent than may be; groups gather meanwhile. */
    uint64_t not_before;
};

/** Asks for a log to be opened. */
struct weir_wal_open {
    const struct weir_host *host; /* Outlives the log. */
    const char *uri;              /* Whole URI; the caller's until `done`. */
    struct weir_wal_owner owner;
    struct weir_store *store;  /* The node's; outlives the log. */
    struct weir_wal_mark mark; /* What the manifest has noted. */
    uint32_t max_group;        /* Largest write that the node will ask for. */
    void (*done)(struct weir_wal_open *req, int status);
    void *ctx;              /* For the caller. */
    void *open_ctx;         /* What was registered with the scheme. */
    struct weir_error *err; /* May be NULL. */
    struct weir_wal *wal;   /* Out. */
    void *impl[4];          /* For the log. */
};

/**
 * Opens a log: what a host registers for a URI scheme.
 *
 * Takes the log for this process and reads who owns it.  Changes nothing on
 * a medium that it does not accept, and says why: WEIR_EFOREIGN (another
 * cluster or node), WEIR_EVERSION, WEIR_ETRUNCATED, WEIR_EEMPTY,
 * WEIR_EISDIR, WEIR_EBUSY, WEIR_EFORMAT, WEIR_ECORRUPT, WEIR_EFENCED (its
 * epoch is not below the owner's), WEIR_EINVAL (the URI), WEIR_EACCES,
 * WEIR_ENOSPC, WEIR_EIO, WEIR_ENOMEM.
 *
 * @param req  The request; `done` runs in the core, never before the return.
 */
typedef void weir_wal_open_fn(struct weir_wal_open *req);

/**
 * Give the records of some groups to a recovery, each checked: for logs of the
 * host's own, which need not know what a record is.
 *
 * The groups are whole and follow one another, as they were written: what
 * lies between `begin` and `end`, or a part of it.  A payload that fails its
 * checksum is given as a damaged record, and those behind it follow.
 *
 * Ownership: records refer to `groups`; who keeps one takes a reference.
 * Threads: in the core.
 *
 * @param wal       Log: its `id` and `align` are those that the groups were
 *                  written with.
 * @param req       The recovery: `record` is called, `err` filled in.
 * @param groups    Bytes that were read.
 * @param skip      How many of them come before the groups: the log's own.
 * @param position  Of the first byte behind that: the beginning of a record,
 *                  where a group was written or where the log was trimmed.
 * @return 0; what `record` has returned; WEIR_ECORRUPT (what is there is no
 *         record of this log, so that nobody can tell whose it was).
 */
WEIR_API int weir_wal_give_groups(const struct weir_wal *wal,
                                  struct weir_wal_recover *req,
                                  struct weir_buf *groups, size_t skip,
                                  uint64_t position);

WEIR_END

#endif
