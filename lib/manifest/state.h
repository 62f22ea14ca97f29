/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The manifest's state: nodes, streams, objects, keys.  A pure function of
 * the commits that were applied; no I/O, no clock.
 */
#ifndef WEIR_MANIFEST_STATE_H
#define WEIR_MANIFEST_STATE_H

#include "base/bytes.h"
#include "manifest/op.h"
#include <weir/kv.h>

/** A range as the stream holds it; `live` part of [base, end) is what is not
 * below the stream's start. */
struct weir__extent {
    uint64_t base;
    uint64_t end;
    uint64_t object_id;
    uint64_t bytes;
    int64_t max_timestamp;
};

/** Acknowledged offsets of a stream that are in a former owner's WAL and in no
 * object yet: from the committed end, or the end of the debt before, to
 * `end`. */
struct weir__debt {
    uint64_t end;
    uint64_t stream_epoch; /* The last under which they were appended, */
    uint64_t since;        /* and the first that it may have been. */
    uint32_t node_id;      /* Whose WAL it is; 0: lost with it. */
};

struct weir__mstream {
    uint64_t id;
    uint64_t epoch; /* 0: never opened to append. */
    uint64_t since; /* The first epoch of the owner with the log it has; the
                       next one, if it has not opened the stream since.  What
                       its WAL holds of an earlier one is a debt, or was given
                       up. */
    uint64_t start;
    uint64_t committed_end; /* Offsets below are in objects or trimmed. */
    uint64_t bytes;
    struct weir__extent *extents; /* By offset; whole ranges below the start
                                     are gone. */
    size_t extent_count;
    size_t extent_room;
    struct weir__debt *debts; /* By offset; mostly none. */
    uint16_t debt_count;
    uint16_t debt_room;
    uint32_t owner; /* Node id, 0: none. */
    char *name;
};

struct weir__mobject {
    uint64_t id;
    uint64_t size;
    uint64_t node_epoch; /* Of the writer. */
    uint32_t node_id;
    uint32_t live; /* Extents that name it. */
    enum weir__object_kind kind;
};

/** An object to be removed from the store. */
struct weir__mdead {
    uint64_t id;
    int64_t since; /* Wall clock of the commit, milliseconds. */
};

struct weir__state;

int weir__state_new(struct weir__state **out, const struct weir_alloc *alloc);
void weir__state_free(struct weir__state *state);

/** Version of the last commit applied; 0: none. */
uint64_t weir__state_version(const struct weir__state *state);
/** Id of the cluster, or NULL while it has none. */
const unsigned char *weir__state_cluster(const struct weir__state *state);
/** A node, as the manifest knows it. */
struct weir__member {
    uint32_t id;
    uint32_t lease_ms; /* 0: none. */
    uint64_t epoch;
    uint64_t wal_id;
    uint64_t beat;       /* Version of its last commit under this epoch. */
    uint64_t mark_epoch; /* Where recovery of its log begins. */
    uint64_t mark_slot;
    const char *wal; /* Where its log is, or "". */
    bool closed;     /* It has ended in order. */
};
/** The first node whose id is above `id`: false if there is none. */
bool weir__state_member(const struct weir__state *state, uint32_t id,
                        struct weir__member *out);
/** Be told of each key that changes: `pair->value` is NULL for one that is
 * removed.  Within the applying of a commit: nothing may be committed there. */
void weir__state_watch(struct weir__state *state,
                       void (*changed)(void *ctx,
                                       const struct weir_kv_pair *pair),
                       void *ctx);
/** Latest epoch of a node; 0: never opened. */
uint64_t weir__state_node_epoch(const struct weir__state *state,
                                uint32_t node_id);
/** Parts of streams that others have by now and that this node has yet to
 * upload. */
uint64_t weir__state_node_debts(const struct weir__state *state,
                                uint32_t node_id);
/** Nodes but `node_id` that have not ended in order and have committed at
 * version `since` or later. */
unsigned weir__state_others(const struct weir__state *state, uint32_t node_id,
                            uint64_t since);
/** Id of the WAL in which a node may have acknowledged batches that are in no
 * object; 0: there are none. */
uint64_t weir__state_node_wal(const struct weir__state *state,
                              uint32_t node_id);

const struct weir__mstream *weir__state_stream(const struct weir__state *state,
                                               uint64_t id);
const struct weir__mstream *
weir__state_stream_named(const struct weir__state *state, const char *name);
/** The first stream whose name sorts after `after` (NULL: the first). */
const struct weir__mstream *
weir__state_stream_after(const struct weir__state *state, const char *after);
/** The first stream whose id is above `id`; NULL: none. */
const struct weir__mstream *
weir__state_stream_behind(const struct weir__state *state, uint64_t id);
uint64_t weir__state_stream_count(const struct weir__state *state);
/** The id that the next stream will get: none has it or a higher one. */
uint64_t weir__state_next_stream(const struct weir__state *state);

/** Offset that the next owner goes on with: behind what is in objects, owed or
 * trimmed. */
uint64_t weir__mstream_next(const struct weir__mstream *stream);

/** Where part `i` begins: of `debt_count` debts, and of what is the owner's. */
uint64_t weir__mstream_part(const struct weir__mstream *stream, uint16_t i);

/** 1 if what `node_id` has appended to [base, end) under `stream_epoch` is a
 * part of the stream and in no object, as far as this state knows. */
bool weir__mstream_holds(const struct weir__mstream *stream, uint32_t node_id,
                         uint64_t stream_epoch, uint64_t base, uint64_t end);

/** The extent that holds `offset`, or the first behind it; NULL: none. */
const struct weir__extent *
weir__mstream_extent(const struct weir__mstream *stream, uint64_t offset);

const struct weir__mobject *weir__state_object(const struct weir__state *state,
                                               uint64_t id);
uint64_t weir__state_object_count(const struct weir__state *state);
/** Bytes in all objects. */
uint64_t weir__state_object_bytes(const struct weir__state *state);
/** Dead objects, oldest first. */
const struct weir__mdead *weir__state_dead(const struct weir__state *state,
                                           size_t *count);

/** A key: its value, or NULL; `pair->key` stays the state's. */
const struct weir_kv_pair *weir__state_kv(const struct weir__state *state,
                                          const char *key);
/** The first key that sorts after `after` ("" for the first), or NULL. */
const struct weir_kv_pair *weir__state_kv_after(const struct weir__state *state,
                                                const char *after);

#endif
