/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside view of the manifest's state: how commits are applied to it, and
 * its snapshot.
 *
 * Out of memory: an operation takes all the memory it will need before it
 * changes anything.  When it gets WEIR_ENOMEM the operations before it stay
 * applied, the state remembers how many, and the same commit, begun again,
 * goes on where it stopped: so the state never diverges, whatever fails.
 */
#ifndef WEIR_MANIFEST_STATE_INSIDE_H
#define WEIR_MANIFEST_STATE_INSIDE_H

#include "format/manifest_record.h"
#include "manifest/order.h"
#include "manifest/state.h"

/** Most object ids that one node has reserved and not yet used. */
#define WEIR__RESERVED_MAX 1048576u

/** Object ids reserved: `first` to `first + count - 1`. */
struct weir__reserved {
    uint64_t first;
    uint64_t count;
};

struct weir__mnode {
    uint64_t id;
    uint64_t epoch;
    uint64_t wal_id; /* May hold what no object does; 0: none. */
    uint64_t beat;   /* Version of its last commit. */
    uint64_t mark_epoch;
    uint64_t mark_slot;
    uint64_t keys; /* That go with its epoch. */
    uint32_t lease_ms;
    bool closed;
    char *wal;                       /* Its URI, or NULL. */
    struct weir__reserved *reserved; /* By id; never adjacent, never empty. */
    size_t range_count;
    size_t range_room;
    uint64_t reserved_ids; /* In all of them. */
    uint64_t debts;        /* Of streams, that name it. */
};

/** A key: `pair.value` is an allocation of its own. */
struct weir__mkey {
    uint32_t node_id; /* With whose epoch it goes; 0: it stays. */
    struct weir_kv_pair pair;
    char key[];
};

struct weir__state {
    const struct weir_alloc *alloc;
    uint64_t version;
    uint64_t next_stream;
    uint64_t next_object;
    uint64_t kv_version; /* Counts puts: two in one commit differ. */
    uint64_t object_bytes;
    struct weir__order nodes;   /* struct weir__mnode by id. */
    struct weir__order streams; /* struct weir__mstream by id. */
    struct weir__order names;   /* The same by name. */
    struct weir__order objects; /* struct weir__mobject by id. */
    struct weir__order keys;    /* struct weir__mkey by key. */
    struct weir__mdead *dead;   /* Oldest first. */
    size_t dead_count;
    size_t dead_room;
    uint32_t applied; /* Operations of version + 1 that are applied. */
    bool named;
    unsigned char cluster[16];
    void (*changed)(void *ctx, const struct weir_kv_pair *pair);
    void *changed_ctx;
};

/**
 * Begin to apply a commit, or go on after WEIR_ENOMEM.
 *
 * @return 0; WEIR_EBUG (not the next version); WEIR_EFOREIGN.
 */
int weir__state_begin(struct weir__state *state,
                      const struct weir__record *record,
                      struct weir_error *err);
/** Apply operation number `index` of it and set its outputs; one that was
 * applied before is left alone.  0, or WEIR_ENOMEM and nothing changed. */
int weir__state_op(struct weir__state *state, const struct weir__record *record,
                   uint32_t index, struct weir__op *op);
/** All operations are applied: the state is at the commit's version. */
void weir__state_end(struct weir__state *state,
                     const struct weir__record *record);

/** Is a commit applied in part? */
bool weir__state_partial(const struct weir__state *state);

/** Append a snapshot to an empty writer: 0, WEIR_ENOMEM, or WEIR_EBUG
 * (applied in part). */
int weir__state_encode(const struct weir__state *state, struct weir__writer *w);
/** A state from a snapshot: 0, WEIR_ENOMEM, WEIR_ECORRUPT, WEIR_EVERSION. */
int weir__state_decode(struct weir__state **out, const struct weir_alloc *alloc,
                       const void *data, size_t len, uint64_t version,
                       struct weir_error *err);
/** Exchange what two states hold. */
void weir__state_swap(struct weir__state *a, struct weir__state *b);

/* The operations.  `op->status` is 0 when they begin; 0 or WEIR_ENOMEM. */

int weir__state_stream_create(struct weir__state *state, struct weir__op *op);
int weir__state_stream_delete(struct weir__state *state, int64_t wall,
                              struct weir__op *op);
int weir__state_stream_open(struct weir__state *state, uint32_t node_id,
                            struct weir__op *op);
int weir__state_stream_trim(struct weir__state *state, int64_t wall,
                            struct weir__op *op);
int weir__state_node_open(struct weir__state *state, int64_t wall,
                          struct weir__op *op);
int weir__state_node_clean(struct weir__state *state, uint32_t node_id,
                           struct weir__op *op);
int weir__state_stream_hand(struct weir__state *state, uint32_t node_id,
                            struct weir__op *op);
int weir__state_object_reserve(struct weir__state *state, uint32_t node_id,
                               struct weir__op *op);
int weir__state_object_add(struct weir__state *state,
                           const struct weir__record *record,
                           struct weir__op *op);
int weir__state_object_removed(struct weir__state *state, struct weir__op *op);
int weir__state_kv_put(struct weir__state *state, uint32_t node_id,
                       struct weir__op *op);
void weir__state_node_trim(struct weir__state *state, uint32_t node_id,
                           struct weir__op *op);
int weir__state_node_close(struct weir__state *state, uint32_t node_id);

/* Parts that they share. */

/** A node, made if need be, or NULL when memory is out. */
struct weir__mnode *weir__state_node(struct weir__state *state,
                                     uint32_t node_id);
/** Room for `more` further dead objects: 0 or WEIR_ENOMEM. */
int weir__state_dead_room(struct weir__state *state, uint64_t more);
/** Note an object as dead; there is room. */
void weir__state_dead_push(struct weir__state *state, uint64_t id,
                           int64_t wall);
/** An extent names `object_id` no more; there is room for it to be dead. */
void weir__state_release(struct weir__state *state, uint64_t object_id,
                         int64_t wall);
/** Room for `more` extents: 0 or WEIR_ENOMEM. */
int weir__mstream_room(struct weir__state *state, struct weir__mstream *stream,
                       uint64_t more);
/** Most debts of one stream. */
#define WEIR__DEBTS_MAX 64u
/** Room for one debt more: 0 or WEIR_ENOMEM. */
int weir__debt_room(struct weir__state *state, struct weir__mstream *stream);
/** Add a debt; there is room. */
void weir__debt_push(struct weir__state *state, struct weir__mstream *stream,
                     const struct weir__debt *debt);
/** Forget the debts that are paid by what was committed, or trimmed. */
void weir__debt_settle(struct weir__state *state, struct weir__mstream *stream);
/** Forget all debts of a stream. */
void weir__debt_clear(struct weir__state *state, struct weir__mstream *stream);
/** The WAL of a node is lost, and with it what it owed. */
void weir__debt_forgive(struct weir__state *state, struct weir__mnode *node);
/** Put in a stream that is not there: 0, or WEIR_ENOMEM and `stream` is
 * still the caller's. */
int weir__state_put_stream(struct weir__state *state,
                           struct weir__mstream *stream);
void weir__mstream_free(struct weir__state *state,
                        struct weir__mstream *stream);
/** Put in a key that is not there. */
int weir__state_put_key(struct weir__state *state, const char *key,
                        const void *value, size_t len, uint64_t version,
                        uint32_t node_id);
/** Remove the keys that go with a node's epoch. */
void weir__state_drop_keys(struct weir__state *state, struct weir__mnode *node);
/** Tell the watcher of all that is different in the keys of `next`. */
void weir__state_tell_keys(const struct weir__state *state,
                           const struct weir__state *next);

#endif
