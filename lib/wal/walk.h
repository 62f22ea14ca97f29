/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The walk over a file log's ring: finds the records, tells a torn tail from
 * damage.  No I/O; the caller shows it a window of the ring at a time.
 *
 * At a place where no record is, though one could be, the walk decides:
 *
 *  - Below `durable_end` it is damage: a header block vouches for it.
 *  - Else it looks on over as much as two groups could take.  A record
 *    there whose `durable` lies above the place proves that the place was
 *    acknowledged: damage.
 *  - Else it is the torn end of the write that was under way.  The log ends
 *    behind the last whole record.
 *
 * Damage in a payload is confined to its record, which is handed out as
 * damaged.  Damage in a header ends the walk (WEIR_ECORRUPT), because nobody
 * can tell whose record it was; with `salvage` the walk goes on at the next
 * header that is whole.
 */
#ifndef WEIR_WAL_WALK_H
#define WEIR_WAL_WALK_H

#include "format/wal_record.h"
#include <stdbool.h>
#include <weir/wal.h>

/** A run of the ring in memory. */
struct weir__wal_window {
    struct weir_buf *buf; /* Holds `data`. */
    const unsigned char *data;
    uint64_t position; /* Of the first byte. */
    size_t len;        /* The end is a multiple of the block. */
};

enum weir__walk_mode {
    WEIR__WALK_RECORDS, /* From record to record. */
    WEIR__WALK_PROBE,   /* Something is wrong at `suspect`: look for proof. */
    WEIR__WALK_RESYNC   /* Salvage: look for the next record. */
};

/** The walk.  Fill the first group, and `at` and `tail` with the trim
 * position; zero the rest. */
struct weir__wal_walk {
    const char *name; /* Of the log, for messages. */
    uint64_t wal_id;
    uint64_t epoch;
    uint64_t epoch_start;
    uint64_t durable_end;
    uint64_t limit; /* Nothing is at or behind this position. */
    uint32_t block;
    uint32_t max_group;
    bool salvage;

    uint64_t at;   /* Where the walk looks next. */
    uint64_t tail; /* End of the last record. */
    size_t need;   /* With WEIR__WALK_MORE: bytes wanted at `at`. */
    uint64_t lost; /* Places that salvage jumped over. */

    enum weir__walk_mode mode;
    bool linked; /* A record ends at `tail`; its epoch: */
    uint64_t last_epoch;
    uint64_t suspect;
    uint64_t probe_end;
    bool whole_header; /* `suspect` has a good header, this one: */
    struct weir__wal_header header;
};

enum weir__walk_step {
    WEIR__WALK_RECORD,  /* `record` is filled. */
    WEIR__WALK_MORE,    /* Show `need` bytes at `at`, or more. */
    WEIR__WALK_SEEK,    /* `at` lies before the window. */
    WEIR__WALK_END,     /* The log ends at `tail`. */
    WEIR__WALK_CORRUPT, /* `err` tells. */
};

/** Take the next step. */
enum weir__walk_step weir__wal_walk_step(struct weir__wal_walk *walk,
                                         const struct weir__wal_window *window,
                                         struct weir_wal_record *record,
                                         struct weir_error *err);

#endif
