/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Operations on the manifest.  A commit is a list of them; each succeeds or
 * fails by itself, the same on every node that applies it.
 */
#ifndef WEIR_FORMAT_MANIFEST_OP_H
#define WEIR_FORMAT_MANIFEST_OP_H

#include "format/object.h"
#include <stddef.h>
#include <stdint.h>
#include <weir/error.h>

/** Longest URI of a WAL. */
#define WEIR__WAL_URI_MAX 511u

enum weir__op_kind {
    WEIR__OP_CLUSTER = 1,        /* The first of all: names the cluster. */
    WEIR__OP_NODE_OPEN = 2,      /* Next node epoch; fences the former. */
    WEIR__OP_STREAM_CREATE = 3,  /* By name: WEIR_EEXIST. */
    WEIR__OP_STREAM_DELETE = 4,  /* By id: WEIR_ENOENT. */
    WEIR__OP_STREAM_OPEN = 5,    /* Next stream epoch; owner: this node. */
    WEIR__OP_STREAM_TRIM = 6,    /* Moves the start forward. */
    WEIR__OP_OBJECT_RESERVE = 7, /* Registers ids before they are used. */
    WEIR__OP_OBJECT_ADD = 8,     /* An uploaded object and its ranges. */
    WEIR__OP_OBJECT_REMOVED = 9, /* Dead objects that the store lost. */
    WEIR__OP_KV_PUT = 10,        /* Compare-and-set of a key. */
    WEIR__OP_NODE_CLEAN = 11,    /* All in the writer's WAL is in objects. */
    WEIR__OP_NODE_BEAT = 12,     /* The writer lives. */
    WEIR__OP_NODE_CLOSE = 13,    /* The writer has ended in order. */
    WEIR__OP_NODE_TRIM = 14,     /* Where recovery of its WAL begins. */
    WEIR__OP_STREAM_HAND = 16    /* The writer gives streams away. */
};

/** Consecutive batches of one stream in one object. */
struct weir__range {
    uint64_t stream_id;
    uint64_t stream_epoch; /* Under which it was appended. */
    uint64_t base;         /* First offset. */
    uint64_t end;          /* Offset behind the last. */
    uint64_t bytes;        /* As stored, of its blocks. */
    int64_t max_timestamp;
    /* Out: 0; WEIR_ENOENT (deleted); WEIR_EFENCED (the stream's epoch is
     * another); WEIR_EAGAIN (a former owner's batches must come first, from
     * that one); WEIR_ECONFLICT (does not join on to what is committed:
     * `base` must be the committed end, or beyond it with everything between
     * them below the start). */
    int status;
};

/** A stream that its owner gives away.  What of it lies in the owner's WAL and
 * in no object yet becomes a debt of the owner's: it will be uploaded by
 * whoever has that WAL, and the next owner goes on behind it. */
struct weir__hand {
    uint64_t stream_id;
    uint64_t stream_epoch; /* Of the writer. */
    uint64_t end;          /* Offset behind the last one acknowledged. */
    /* Out: 0; WEIR_ENOENT; WEIR_EFENCED (another node's, or a later epoch);
     * WEIR_ETOOBIG (too many debts: upload some first). */
    int status;
};

/** One operation: `kind`, its group, and how it ended. */
struct weir__op {
    enum weir__op_kind kind;
    int status; /* Out: 0, WEIR_EFENCED (a later node epoch), or as told. */
    union {
        struct {
            unsigned char id[16];
        } cluster; /* WEIR_EEXIST: it has a name. */
        struct {
            uint32_t node_id;
            uint64_t wal_id;   /* Of the log it will write; 0: one that does
                                  not last. */
            uint32_t lease_ms; /* How long it lives without a commit; 0: for
                                  ever. */
            const char *wal;   /* Where its log is, "" or NULL: not told. */
            uint64_t next;     /* Epoch it must get: WEIR_EFENCED if that is
                                  not the next one; 0: whichever is next. */
            uint64_t epoch;    /* Out. */
            uint64_t beat;     /* Out: version of the node's newest commit
                                  before this one, 0: none. */
        } node_open; /* Ids the node had reserved become dead, and keys that
                        were bound to it are removed. */
        struct {
            const char *name;
            uint64_t id; /* Out; also with WEIR_EEXIST. */
        } stream_create;
        struct {
            uint64_t id;
        } stream_delete;
        struct {
            uint64_t id;
            uint64_t epoch; /* Out. */
        } stream_open;      /* WEIR_ENOENT; WEIR_EBUSY (its owner is another
                               node, whose WAL may hold some of it). */
        struct {
            uint64_t id;
            uint64_t epoch; /* Stream epoch: WEIR_EFENCED if another. */
            uint64_t start; /* The committer has seen that it is not beyond
                               the end. */
        } stream_trim;      /* WEIR_ENOENT. */
        struct {
            uint32_t count;
            uint64_t first; /* Out: ids first ... first + count - 1. */
        } object_reserve;
        struct {
            uint64_t id; /* Reserved by this node epoch: WEIR_EFENCED. */
            enum weir__object_kind kind;
            uint64_t size;
            struct weir__range *ranges; /* Sorted by stream. */
            size_t range_count;
        } object_add; /* With no range accepted the object is dead at once;
                         status 0 all the same: look at the ranges. */
        struct {
            const uint64_t *ids;
            size_t count;
        } object_removed;
        struct {
            const char *key;
            const void *value; /* NULL: remove. */
            size_t len;
            int bound;         /* 1: it goes with the writer's epoch. */
            uint64_t expected; /* WEIR_KV_ANY, WEIR_KV_ABSENT, a version. */
            uint64_t version;  /* Out; with WEIR_ECONFLICT the present one. */
        } kv_put;
        struct {
            uint64_t epoch; /* In terms of the log. */
            uint64_t slot;
        } node_trim;
        struct {
            uint32_t node_id;         /* To whom; 0: to whoever opens them. */
            struct weir__hand *hands; /* By stream id, each once. */
            size_t count;
        } stream_hand;
    } u;
};

#endif
