/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside view of the object WAL.
 *
 * Each group is one object, put "only if absent" under the next number: so the
 * PUT itself tells whether the log has been taken over, and an acknowledgement
 * costs one request.  Some are in flight at a time, acknowledged in order.
 *
 * Who opens the log under a later epoch seals the epochs before: it reads slot
 * after slot, and puts a fence into the first that is free.  If a record gets
 * there first, it is read, and the next slot is tried.  A fence further ahead,
 * beyond what the writer may have in flight, bounds how long that can go on.
 * What lies behind the lowest fence was never acknowledged, as a slot is
 * acknowledged only after all before it.
 *
 * Nothing is ever inferred from a list of objects: recovery begins where the
 * manifest says (NODE_TRIM), and goes on by numbers.
 */
#ifndef WEIR_WAL_WAL_OBJECT_H
#define WEIR_WAL_WAL_OBJECT_H

#include "wal/slot_read.h"
#include <weir/store.h>
#include <weir/wal.h>

#define WEIR__OBJECT_DEPTH_MAX 16u
/** Slots that are removed at one time. */
#define WEIR__OBJECT_REMOVALS 32u
/** Pieces of a group, and its header. */
#define WEIR__OBJECT_PIECES 32u
/** Slots that recovery reads ahead of the one it is at. */
#define WEIR__OBJECT_EARLY 3u

struct wal_object;

/** One request for a slot, until it is decided. */
struct slot_io {
    struct wal_object *w;
    struct weir_store_req req;
    struct weir_iov iov[WEIR__OBJECT_PIECES];
    size_t iov_count;
    unsigned char header[WEIR__SLOT_HEADER];
    uint32_t crc;
    uint32_t sum; /* CRC32C of all, if */
    int summed;   /* it is known. */
    uint64_t slot;
    char key[WEIR__SLOT_KEY];
    struct weir_timer timer;
    uint64_t deadline;
    unsigned tries;
    struct weir_error error;
    /* 0: it is there.  WEIR_ECONFLICT: something else is.  WEIR_EUNKNOWN: it
     * may be. */
    void (*done)(struct slot_io *io, int status);
};

/** A write of the node's. */
struct flight {
    struct slot_io io;
    struct weir_wal_write *write; /* NULL: free. */
    int over;
    int status;
};

/** Where a slot lies that was not trimmed. */
struct slot_place {
    uint64_t epoch;
    uint64_t slot;
    uint64_t end; /* Position behind it. */
};

/** A slot that is read before its turn.  It holds the slot, if it was there,
 * while `req.body` is not NULL. */
struct early_read {
    struct wal_object *w;
    struct weir_store_req req;
    uint64_t epoch;
    uint64_t slot;
    int under_way;
    char key[WEIR__SLOT_KEY];
    struct weir_error error;
};

struct wal_object {
    struct weir_wal base;
    const struct weir_host *host;
    struct weir_store *store;
    struct weir_wal_owner owner;
    struct weir_wal_open *open;
    unsigned char nonce[16];
    struct weir_task task;

    /* Recovery: the slot that is read next. */
    struct weir_wal_recover *recover;
    uint64_t epoch;
    uint64_t slot;
    uint64_t ahead; /* A fence is there; 0: none yet. */
    uint32_t depth; /* Of the epoch's writer. */
    uint32_t crc;   /* Of the slot before; 0: not known. */
    uint64_t next;  /* Position that the next record must have; 0: any. */
    struct slot_io seal;
    struct weir_store_req get;
    char key[WEIR__SLOT_KEY];
    unsigned tries;
    int again;         /* It came damaged once. */
    uint64_t deadline; /* Of all tries. */
    struct weir_timer timer;
    struct weir_error error;
    struct early_read early[WEIR__OBJECT_EARLY];
    uint32_t early_most;        /* So many slots ahead, for now. */
    uint64_t early_next;        /* Slots below were read ahead. */
    unsigned early_count;       /* So many are under way. */
    struct early_read *awaited; /* It is the turn of this one. */

    /* Writing. */
    struct weir_wal_req *start;
    struct flight flights[WEIR__OBJECT_DEPTH_MAX];
    uint64_t first;    /* Slot of the oldest write under way. */
    uint64_t own;      /* Slot of the next one. */
    uint64_t position; /* Of the next one. */
    uint32_t last_crc;
    uint64_t put_every; /* Nanoseconds between two PUTs, on average; 0: any. */
    uint64_t paid;      /* So far the PUTs until now would reach at that. */
    int poisoned;       /* A write has failed: no more are taken. */
    uint64_t stop;      /* Its slot. */
    struct weir_wal_write *refused; /* To be told, */
    int refusal;                    /* and why. */
    struct weir_task refuse;

    /* Trimming. */
    struct slot_place *places; /* Oldest first. */
    size_t place_count;
    size_t place_room;
    struct weir_wal_mark noted;
    struct weir__object_removal {
        struct weir_store_req req;
        int status;
        char key[WEIR__SLOT_KEY];
    } removals[WEIR__OBJECT_REMOVALS]; /* Of the first places. */
    unsigned removing;                 /* So many were begun at a time, */
    unsigned deleting;                 /* so many are under way. */
    int stuck;                         /* Some were not removed. */
    struct weir_wal_req *close;
    int closing; /* The log goes once nothing is under way. */
};

/* wal_slot_io.c */

/** Put `io->header` and `io->iov` (from its second piece on) at `io->slot` of
 * an epoch, only if nothing is there, and find out what came of it. */
void weir__slot_put(struct slot_io *io, uint64_t epoch);

/* wal_object_recover.c */
void weir__object_recover(struct weir_wal *wal, struct weir_wal_recover *req);
/** Let go of what was read ahead. */
void weir__object_drop(struct wal_object *w);

/* wal_object_write.c */
void weir__object_start(struct weir_wal *wal, struct weir_wal_req *req);
void weir__object_write(struct weir_wal *wal, struct weir_wal_write *req);

/* wal_object_trim.c */
/** A slot is in the log: 0 or WEIR_ENOMEM. */
int weir__object_place(struct wal_object *w, uint64_t epoch, uint64_t slot,
                       uint64_t end);
void weir__object_trim(struct weir_wal *wal, uint64_t position);
void weir__object_noted(struct weir_wal *wal, const struct weir_wal_mark *mark);
void weir__object_close(struct weir_wal *wal, struct weir_wal_req *req);
/** Something has ended that a closing log waits for. */
void weir__object_close_step(struct wal_object *w);

static inline struct wal_object *weir__wal_object(struct weir_wal *wal)
{
    return (struct wal_object *)(void *)wal;
}

#endif
