/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The log cache: memory that is at the same time the WAL's write buffer, what
 * waits for its upload, and the newest data for readers.
 *
 * It is cut into segments.  A segment's bytes are the WAL's bytes: byte i
 * lies at WAL position `position + i`.  A segment goes, oldest first, when
 * none of its batches waits for an upload and room is wanted.  Positions grow
 * from segment to segment, but for those of a write that failed: the log goes
 * on where it was to be.
 */
#ifndef WEIR_ENGINE_LOG_CACHE_H
#define WEIR_ENGINE_LOG_CACHE_H

#include "base/list.h"
#include <weir/buf.h>
#include <weir/stream.h>

/** A piece of the log cache. */
struct weir__segment {
    struct weir__list link;
    struct weir_buf *buf;
    uint64_t order;               /* Grows from one to the next. */
    uint64_t position;            /* Of its first byte, in the WAL. */
    size_t used;                  /* Bytes given out. */
    size_t pending;               /* Batches that no commit covers yet. */
    struct weir_stream **streams; /* Whose batches it holds; may repeat. */
    size_t stream_count;
    size_t stream_room;
};

/** What outlives a node: bytes that slices may still hold. */
struct weir__budget;

struct weir__log_cache {
    const struct weir_alloc *alloc;
    struct weir__budget *budget;
    struct weir__list segments;    /* Oldest first. */
    struct weir__segment *current; /* Takes new records; NULL: none. */
    struct weir_buf *spare;        /* One free buffer, to be used again. */
    uint64_t order;                /* Of the newest segment. */
    size_t limit;
    size_t segment_size;
    size_t align;
};

int weir__log_cache_init(struct weir__log_cache *cache,
                         const struct weir_alloc *alloc, size_t limit,
                         size_t segment_size, size_t align);
/** Forget everything; slices that readers hold stay valid. */
void weir__log_cache_free(struct weir__log_cache *cache);

/** Bytes held, by segments and by slices of gone ones. */
size_t weir__log_cache_bytes(const struct weir__log_cache *cache);

/** 1 if `len` bytes at `position` have room in the current segment. */
int weir__log_cache_fits(const struct weir__log_cache *cache, uint64_t position,
                         size_t len);

/**
 * A new current segment with room for `len` bytes from `position` on; drops
 * what is uploaded if it must.
 *
 * @return 0; WEIR_EAGAIN (the limit is reached), WEIR_ENOMEM.
 */
int weir__log_cache_reserve(struct weir__log_cache *cache, uint64_t position,
                            size_t len);

/** Take over memory that recovery has read: a segment that is full.  Holds a
 * reference of its own.  NULL when memory is out. */
struct weir__segment *weir__log_cache_adopt(struct weir__log_cache *cache,
                                            struct weir_buf *buf,
                                            uint64_t position);

/** Note that a batch of `stream` lies in the segment, and is pending. */
int weir__segment_add(struct weir__segment *segment,
                      const struct weir_alloc *alloc,
                      struct weir_stream *stream);

/** Position below which nothing is pending; `end` if nothing is at all. */
uint64_t weir__log_cache_needed(const struct weir__log_cache *cache,
                                uint64_t end);

#endif
