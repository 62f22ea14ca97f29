/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The tails of streams that other nodes append to: what is in their object
 * logs and in no object yet.
 *
 * A node's log is read slot after slot, from the mark that the manifest has,
 * in the same way as recovery would: a slot that is there, with all before
 * it, is in every recovery from now on, as nobody can fence the log below it
 * any more, whether or not its writer has had the answer yet.  So what has
 * been shown stays.  A slot that is not there ends the look, also when there
 * is one behind it; a fence ends the epoch.
 *
 * Of each slot is noted which offsets of the streams that are read here it
 * holds; the bytes are kept within a limit, and read again when they are
 * wanted and gone.  What a commit has made part of an object is forgotten.
 */
#ifndef WEIR_ENGINE_TAIL_H
#define WEIR_ENGINE_TAIL_H

#include "engine/node.h"
#include "wal/wal.h"

/** A batch in a slot. */
struct weir__tail_batch {
    uint64_t stream_id;
    uint64_t base;
    int64_t max_timestamp;
    uint32_t at; /* Of the payload, in the slot. */
    uint32_t len;
    uint32_t count;
    uint32_t crc32c;
    int damaged; /* Its payload fails its checksum. */
};

/** A slot that holds something of a stream that is read here. */
struct weir__tail_slot {
    struct weir__list link; /* In the node's slots that are here, by use. */
    struct weir *node;
    uint32_t node_id;
    struct weir_wal_mark at;
    size_t ranges;                    /* That name it. */
    struct weir_buf *buf;             /* Its bytes; NULL: none is whole. */
    struct weir__tail_batch *batches; /* What is in it, */
    size_t count;                     /* 0: it is not here now. */
    size_t room;
    int loading;
    struct weir__slot_get get;
    struct weir_error error;
};

void weir__tail_init(struct weir *node);
/** Nothing is looked for any more. */
void weir__tail_close(struct weir *node);
/** Free it all; no request is under way. */
void weir__tail_free(struct weir *node);

/** 1 if a part of the stream is, or may come, in another node's object log, and
 * this node is to read those. */
int weir__tail_can(const struct weir_stream *stream);
/** Look at the logs of the streams that fetches wait on, this one's among
 * them, as soon as can be.  A look that has begun before does not count:
 * `node->tail.round` is greater than now when this one has ended. */
void weir__tail_look(struct weir_stream *stream);
/** The same after a while. */
void weir__tail_later(struct weir_stream *stream);
/** 1 if the manifest, as it is known now, tells of a log or a place in one that
 * the last look has not seen: a slot that was missing may have been removed. */
int weir__tail_is_stale(const struct weir_stream *stream);
/** What the logs of a stream came to at the last look: 0; WEIR_ECORRUPT with
 * the place; an error of the store. */
int weir__tail_status(const struct weir_stream *stream, struct weir_error *err);
/** The manifest tells more of the stream: forget what it covers. */
void weir__tail_settle(struct weir_stream *stream);

/** What holds an offset, with its bytes; NULL: nothing does, or they are on
 * their way, and who waits on the stream will be woken. */
const struct weir__tail_range *weir__tail_find(struct weir_stream *stream,
                                               uint64_t offset);

/* tail_slots.c */

/** Note a record of a stream that is read here: 0 or WEIR_ENOMEM.  `*slot` is
 * made with the first one. */
int weir__tail_add(struct weir__tail_slot **slot, struct weir *node,
                   const struct weir_wal_record *record);
/** The slot's bytes are here: keep them, within the limit. */
void weir__tail_keep(struct weir__tail_slot *slot);
/** Note that the slot holds [base, end) of the stream: 0 or WEIR_ENOMEM.  What
 * is known already is no news. */
int weir__tail_range_add(struct weir_stream *stream, uint64_t base,
                         uint64_t end, struct weir__tail_slot *slot);
/** Forget the stream's ranges that lie in this node's log; 0: all. */
void weir__tail_forget(struct weir_stream *stream, uint32_t node_id);
/** Free a slot, once no range and no request needs it. */
void weir__tail_slot_drop(struct weir__tail_slot *slot);

#endif
