/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Several nodes on one store: who they are, and streams that move between
 * them.
 *
 * A stream has one owner at a time, which appends to it.  It moves in two
 * ways.  Its owner hands it over: one commit, for half a million streams at
 * least, and no upload; the new owner appends at once, and the former one
 * uploads what it had acknowledged.  Or its owner is dead: another node takes
 * the dead one's write-ahead log, so that it acknowledges nothing more, and
 * frees its streams.
 */
#ifndef WEIR_CLUSTER_H
#define WEIR_CLUSTER_H

#include <weir/stream.h>

WEIR_BEGIN

/** What is known of a node's life. */
enum weir_life {
    WEIR_NODE_LIVE,   /* It is open, or may be. */
    WEIR_NODE_LAPSED, /* Its lease has run out: take it over. */
    WEIR_NODE_CLOSED  /* It has ended in order. */
};

/** A node of the cluster. */
struct weir_member {
    uint32_t node_id;
    int life;         /* An `enum weir_life`. */
    uint64_t epoch;   /* Node epoch: how often it was opened. */
    int64_t lease;    /* Nanoseconds it lives without a commit; 0: for ever. */
    uint64_t streams; /* That it owns. */
    int wal_clean;    /* 1: its log has nothing that objects have not. */
    int reserved;
    char wal[512]; /* Where its log is, or last was; or "". */
};

/** Lists the nodes by id. */
struct weir_node_list {
    struct weir_req req;
    uint32_t after; /* Only ids above it; 0 for all. */
    uint32_t reserved;
    struct weir_member *out; /* The caller's: room for `limit`. */
    size_t limit;
    size_t count; /* Out: how many were filled in. */
    int more;     /* Out: 1 if there are more. */
};

/**
 * List the nodes that have ever opened this cluster.
 *
 * Whether a lease has run out is told by this node's own clock, from when it
 * has first seen the other's last commit, and an eighth is added; so a node
 * that was just opened has to wait for a whole lease and an eighth.  Clocks of
 * different machines are never compared; they are taken to run at the same
 * rate, to a tenth.
 *
 * Threads: any.
 *
 * @param node  Node.
 * @param req   Request.
 * @return 0: `done` runs exactly once, with 0, WEIR_ECLOSED, WEIR_ETIMEDOUT
 *         (see `weir_req`) or an error of the store.  Negative, and `done`
 *         never runs: WEIR_EINVAL (no room), WEIR_ECLOSED.
 */
WEIR_API int weir_node_list(struct weir *node, struct weir_node_list *req);

/**
 * Blocking form of `weir_node_list`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_node_list_sync(struct weir *node, struct weir_node_list *req);

/** Gives streams to another node. */
struct weir_handover {
    struct weir_req req;
    struct weir_stream *const *streams; /* Each once; open to append. */
    size_t count;
    uint32_t to_node; /* Who may open them; 0: whoever opens them first. */
};

/**
 * Hand streams over to another node.
 *
 * From the call on they take no more appends here (WEIR_EFENCED); those under
 * way end first.  Then one commit (one for each 524,288 streams) makes the
 * streams the other node's, which opens them and appends at once, at the
 * offsets that follow.  What of them
 * is in this node's write-ahead log is uploaded soon after; until then the
 * other node's fetches of these offsets wait.  The handles stay open, to
 * read.
 *
 * A file log that has failed does not keep a stream here: what it has not
 * acknowledged is given up, though it may be on the disk.
 *
 * Threads: any.
 *
 * @param node  Node that has the streams.
 * @param req   Request; `streams` too stays the caller's until `done`.
 * @return 0: `done` runs exactly once, with 0; WEIR_EFENCED (one of them is
 *         not this node's any more; the others were handed over);
 *         WEIR_ECORRUPT (one has a damaged part in the write-ahead log: trim
 *         past it first; none was handed over); WEIR_ETOOBIG (too many former
 *         owners of one have yet to upload a part of it: flush those; the
 *         others were handed over); WEIR_EPOISONED (an object log
 *         has failed, before or while this waited, and may hold more than was
 *         acknowledged: open the node again first; none was handed over);
 *         WEIR_ETOOBIG (this and former owners have yet to upload 64 parts of
 *         one: flush first; the others were handed over);
 *         WEIR_ETIMEDOUT (see `weir_req`: they are this node's still);
 *         WEIR_EUNKNOWN (it may have been done, or may still be, and until
 *         then they take no appends; or it was done for some of more than
 *         524,288: open a stream anew, or see its owner);
 *         WEIR_ECLOSED, WEIR_ENOMEM or an error of the store.  Negative, and
 *         `done` never runs: WEIR_EINVAL (no `done`, no streams, one of
 *         another node or opened to read), WEIR_EREADONLY, WEIR_ECLOSED.
 */
WEIR_API int weir_handover(struct weir *node, struct weir_handover *req);

/**
 * Blocking form of `weir_handover`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_handover_sync(struct weir *node, struct weir_handover *req);

/** Though the node may be alive: the caller knows that it is not. */
#define WEIR_TAKEOVER_FORCE 1u
/** The node's write-ahead log is lost: give up what only it holds. */
#define WEIR_TAKEOVER_ABANDON 2u

/** Takes over a dead node. */
struct weir_takeover {
    struct weir_req req;
    uint32_t node_id;
    unsigned flags;  /* WEIR_TAKEOVER_FORCE, _ABANDON. */
    uint64_t epoch;  /* That it must have; 0: any. */
    const char *wal; /* Where its log is attached here; NULL: where the node
                        had it. */

    uint64_t streams; /* Out: that were freed. */
    uint64_t batches; /* Out: found in its log and in no object. */
    uint64_t bytes;   /* Out: payload in them. */
};

/**
 * Take over a dead node: its epoch, its write-ahead log, its streams.
 *
 * Opens the node's log under its next epoch.  From then on the dead node, if
 * it is not dead after all, acknowledges nothing and commits nothing.  Then
 * its streams are freed: when `done` gets 0 any node may open them and append
 * at the offsets that follow.  What was found in the log is uploaded behind
 * that, by this node; closing this node leaves the rest to the next takeover.
 *
 * Done again, by the same or another node, it goes on where it was broken
 * off; done for a node that has nothing left, it does no harm.  Of two at
 * once one fails.  If the node has lived on while its log was read, it begins
 * once more by itself, for `commit_timeout` at most, unless the node turns out
 * to be alive or another one has opened it since.
 *
 * A node that has renewed its lease while its log was read is fenced by then,
 * but may be believed until that lease is over: this ends with WEIR_EBUSY.
 * Take it over again when `weir_node_list` tells that it has lapsed: when its
 * lease and an eighth are over, or this node's if that is longer.
 *
 * Threads: any.
 *
 * @param node  Node that does it; not the dead one.
 * @param req   Request; `wal` too stays the caller's until `done`.
 * @return 0: `done` runs exactly once, with 0; WEIR_ENOENT (no such node,
 *         or its log is not there: none is made);
 *         WEIR_ECONFLICT (another epoch); WEIR_EBUSY (its lease has not run
 *         out, or was renewed meanwhile, or it has none, and
 *         WEIR_TAKEOVER_FORCE is not set; or its log is in use: the node
 *         lives, or another one takes it over);
 *         WEIR_EFENCED (another one has taken it over, or it has come back,
 *         meanwhile);
 *         WEIR_EAGAIN (it lived on while its log was read, until
 *         `commit_timeout` was over: call again; or some of its streams, of
 *         which too many former owners have yet to upload a part, are free
 *         only when these have, and this node what it has found; the others
 *         are, and `streams` counts them);
 *         WEIR_ETIMEDOUT (see `weir_req`: its streams are still its own);
 *         WEIR_EUNKNOWN (they may be free, or may still be: take it over
 *         again, or open a stream; WEIR_EBUSY while this one still goes on);
 *         those of `weir_open`; WEIR_ECLOSED.  Negative, and `done` never runs:
 *         WEIR_EINVAL (no `done`, the node itself, unknown flags),
 *         WEIR_EREADONLY, WEIR_ECLOSED.
 */
WEIR_API int weir_takeover(struct weir *node, struct weir_takeover *req);

/**
 * Blocking form of `weir_takeover`.
 *
 * Threads: any, but not in a callback.
 *
 * @param node  Node.
 * @param req   Request.
 * @return status of the request, or WEIR_EBUSY (called in a callback).
 */
WEIR_API int weir_takeover_sync(struct weir *node, struct weir_takeover *req);

WEIR_END

#endif
