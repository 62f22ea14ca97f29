/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the file log.  wal_open.c opens it, wal_recover.c reads it,
 * wal_file.c writes it, wal_header.c keeps its header blocks.
 *
 * All that is durable is durable in this order: a group by its own sync; the
 * trim position and the durable end by a header block, which goes along with
 * the next group's sync, or has its own when the log is idle.
 */
#ifndef WEIR_WAL_WAL_FILE_H
#define WEIR_WAL_WAL_FILE_H

#include "format/wal_super.h"
#include "wal/wal.h"
#include "wal/walk.h"

/* Bytes of one read of recovery; and room before it, for the end of the
 * chunk before. */
#define WEIR__WAL_CHUNK ((size_t)1 << 21)
#define WEIR__WAL_CHUNK_HEAD ((size_t)1 << 16)
/* Zeros of one write ahead of the end, and pieces that they come in. */
#define WEIR__WAL_SLICE ((size_t)1 << 20)
#define WEIR__WAL_SLICE_PIECES 16

enum weir__wal_state {
    WEIR__WAL_OPENED,
    WEIR__WAL_RECOVERED, /* The walk is at its end. */
    WEIR__WAL_STARTED,
    WEIR__WAL_CLOSING,
    WEIR__WAL_CLOSED
};

/** A chunk of the ring, read or being read. */
struct weir__wal_chunk {
    struct weir_buf *buf; /* NULL: none. */
    uint64_t position;
    size_t len;
};

/** Recovery. */
struct weir__wal_reader {
    struct weir__wal_walk walk;
    struct weir__wal_window window;
    struct weir__wal_chunk ready;
    struct weir__wal_chunk flight;
    struct weir_buf *spare;
    uint64_t next; /* Position of the next read, */
    size_t chunk;  /* and its length, at most. */
    struct weir__disk_req disk_req;
    struct weir_wal_recover *req; /* The caller's, or NULL. */
    struct weir_task task;
    struct weir_error error;
    int status;      /* Of the first failure; sticks. */
    int read_status; /* Of the last read: matters when it is wanted. */
    bool discard;    /* What is in flight is not wanted any more. */
    bool waiting;    /* `req` waits for what is in flight. */
};

/** The header blocks. */
struct weir__wal_head {
    struct weir__wal_super super;   /* As it should be. */
    struct weir__wal_super copy[2]; /* As they are, */
    bool valid[2];                  /* if they are. */
    struct weir__wal_super written; /* What is on its way, */
    int slot;                       /* and where to. */
    bool busy;                      /* Something is, until it is durable. */
    bool riding;         /* It becomes durable with the group behind it. */
    unsigned char *data; /* Two blocks. */
    struct weir_iov iov;
    struct weir__disk_req disk_req[2];
};

/** The group in flight. */
struct weir__wal_group {
    struct weir_wal_write *req; /* The caller's, or NULL. */
    struct weir__disk_req part[2];
    struct weir_iov *iov;
    size_t iov_room;
    unsigned parts; /* Left to be done. */
    size_t len;     /* Of the last one that is durable. */
    int status;
    struct weir_task refused;
};

/** Zeros that go ahead of the end in the first lap, so that a group's sync
 * has no metadata of the file system to write. */
struct weir__wal_zeros {
    unsigned char *data; /* One piece. */
    struct weir_iov iov[WEIR__WAL_SLICE_PIECES];
    struct weir__disk_req disk_req;
    uint64_t to; /* The ring is written up to here. */
    size_t len;  /* Of the slice in flight. */
    bool busy;
    bool filling;
    bool off; /* One failed: no more of them. */
};

struct weir__wal_file {
    struct weir_wal base;
    const struct weir_host *host;
    struct weir__disk *disk;
    char *name;
    enum weir__wal_state state;
    bool poisoned;
    int poison;   /* Status of the failure that did it. */
    bool inspect; /* Only to be read. */
    bool salvage;
    bool kept;         /* It is there already: none is made. */
    bool formatting;   /* A new log gets its header blocks. */
    unsigned inflight; /* Requests at the disk. */

    struct weir__wal_head head;
    struct weir__wal_reader reader;
    struct weir__wal_group group;
    struct weir__wal_zeros zeros;

    struct weir_timer idle;
    uint64_t groups;      /* Written so far, */
    uint64_t groups_idle; /* and at the last look. */
    bool quiet;           /* None since then: vouch for the end. */

    struct weir_wal_open *open;
    struct weir_wal_req *start;
    struct weir_wal_req *close;
    struct weir_task task; /* Of opening, start and close. */
    struct weir_error error;
    int status;       /* What opening, start or closing ends with. */
    bool head_wanted; /* Start or closing waits for its header block. */
    bool mark_end;    /* Closing is to vouch for the end first. */
};

static inline struct weir__wal_file *weir__wal_file(struct weir_wal *wal)
{
    return (struct weir__wal_file *)(void *)wal;
}

/** Offset of the ring. */
static inline uint64_t weir__wal_ring(const struct weir__wal_file *w)
{
    return 2 * (uint64_t)w->head.super.block;
}

/** Give a request to the disk; `done` begins by counting `inflight` down. */
void weir__wal_submit(struct weir__wal_file *w, struct weir__disk_req *req,
                      void (*done)(struct weir__disk_req *req, int status));

/** A write or sync failed: acknowledge nothing from now on. */
void weir__wal_poison(struct weir__wal_file *w, int status);
/** See what is to be done next, now that something is over. */
void weir__wal_pump(struct weir__wal_file *w);

/* wal_open.c */
/** The header blocks of a new log are durable, or it is poisoned. */
void weir__wal_formatted(struct weir__wal_file *w);
void weir__wal_file_free(struct weir__wal_file *w);

/* wal_recover.c */
void weir__wal_recover_init(struct weir__wal_file *w);
void weir__wal_recover(struct weir_wal *wal, struct weir_wal_recover *req);
/** Free what recovery holds. */
void weir__wal_recover_free(struct weir__wal_file *w);

/* wal_header.c */
/** Does a copy lack the present epoch or trim position? */
bool weir__wal_head_stale(const struct weir__wal_file *w);
/** Does no copy vouch for the present end? */
bool weir__wal_head_behind(const struct weir__wal_file *w);
/** Write the older copy; with a sync of its own, or with the next group's. */
void weir__wal_head_write(struct weir__wal_file *w, bool sync);
/** Write both, of a log that has none yet. */
void weir__wal_head_format(struct weir__wal_file *w);
/** What is on its way is durable, or has failed. */
void weir__wal_head_done(struct weir__wal_file *w, int status);

/* wal_file.c */
extern const struct weir_wal_ops weir__wal_file_ops;

#endif
