/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Group commit.  Batches are encoded, once, as WAL records into the log
 * cache; whatever has gathered while a write was in flight is the next write.
 */
#ifndef WEIR_ENGINE_GROUP_H
#define WEIR_ENGINE_GROUP_H

#include "engine/node.h"

/** Begin to gather behind `wal->end`. */
void weir__group_init(struct weir *node);

/**
 * Give a batch its offset, encode it, and queue it for the next write.
 *
 * @return 0; WEIR_EAGAIN (memory or WAL is full), WEIR_ENOMEM,
 *         WEIR_EPOISONED, WEIR_ETOOBIG (more than the WAL can hold).
 */
int weir__group_place(struct weir_stream *stream, struct weir_append *req);

/** 1 while something is gathered or in flight. */
int weir__group_busy(const struct weir *node);

/** Before the node opens. */
void weir__append_init(struct weir *node);
/** Place what was waiting for room, fairly, as far as there is room. */
void weir__append_retry(struct weir *node);
/** End the appends that wait for room on a stream. */
void weir__append_fail_waiting(struct weir_stream *stream, int status);
/** Let the WAL forget what no one needs. */
void weir__group_trim(struct weir *node);

/** Next append in a list; the list is the engine's. */
struct weir_append *weir__append_next(const struct weir_append *req);
void weir__append_link(struct weir_append *req, struct weir_append *next);
/** Stream of an append. */
struct weir_stream *weir__append_stream(const struct weir_append *req);
/** The append has its offset. */
void weir__append_placed(struct weir_append *req);
/** 1 if that offset is not the append's any more: the stream is deleted, or
 * another node's, or was in between. */
int weir__append_lost(const struct weir_append *req);
/** End an append. */
void weir__append_end(struct weir_append *req, int status);
/** The node closes: what has gathered is not to wait for more. */
void weir__group_hurry(struct weir *node);
/** The lease holds again, or is not waited for any more: acknowledge what was
 * held back. */
void weir__group_release(struct weir *node);

#endif
