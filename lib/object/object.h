/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Objects: built from batches, and read back block by block.  Asynchronous,
 * in the core; compression and checks run on workers.
 */
#ifndef WEIR_OBJECT_OBJECT_H
#define WEIR_OBJECT_OBJECT_H

#include "format/object.h"
#include <weir/store.h>
#include <weir/stream.h>

/** Consecutive batches of one stream, for a build. */
struct weir__build_stream {
    uint64_t stream_id;
    const struct weir_batch *batches; /* By offset, each where the last one
                                         ended; pinned, and their payloads
                                         too, until `weir__build_free`. */
    size_t count;

    uint64_t stored;       /* Out: bytes of its blocks. */
    int64_t max_timestamp; /* Out. */
};

/** Asks for an object's bytes. */
struct weir__build {
    const struct weir_host *host;
    struct weir__writer_id writer;
    struct weir__build_stream *streams; /* Sorted by stream id. */
    size_t stream_count;
    size_t block_size; /* Payload in a block, about. */
    int compress;      /* 1: LZ4 where it pays. */
    void (*done)(struct weir__build *req, int status);
    void *ctx;

    struct weir_iov *iov; /* Out: the object, in pieces. */
    size_t iov_count;
    uint64_t size;         /* Out: sum of the pieces. */
    void *held;            /* Private. */
    struct weir_task task; /* Private. */
};

/**
 * Cut blocks, compress and checksum them, add index and footer.
 *
 * The pieces point into the payloads where those are stored as they are.
 * The footer says "stream object" if there is one stream, else "set object".
 * `done` runs in the core, never before the return, with 0, WEIR_ENOMEM,
 * WEIR_ECORRUPT (a payload does not match its checksum; the log tells which),
 * WEIR_EINVAL (no batch; streams or offsets out of order) or WEIR_ETOOBIG
 * (a payload above 64 MiB; more than 4 Mi blocks).
 */
void weir__build_start(struct weir__build *req);
/** Free what a build gave; harmless after a failed one. */
void weir__build_free(struct weir__build *req);

/** A block, decompressed and checked; immutable and counted. */
struct weir__block {
    uint64_t object_id;
    uint64_t stream_id;
    uint64_t base; /* First offset. */
    uint64_t end;  /* Offset behind the last. */
    const struct weir_batch *batches;
    size_t count;
    size_t memory; /* Bytes that it takes. */
    int refs;      /* Private; atomic. */
    const struct weir_alloc *alloc;
};

/** Become one more owner.  Any thread. */
struct weir__block *weir__block_ref(struct weir__block *block);
/** Stop being an owner.  Any thread, also after the reader is gone. */
void weir__block_unref(struct weir__block *block);

/** Whose block it must be. */
struct weir__block_expect {
    const struct weir_alloc *alloc;
    const unsigned char *cluster;
    uint64_t object_id;
    struct weir__index_entry entry;
};

/**
 * Decode `expect->entry.length` bytes and check everything.  Any thread.
 *
 * @return 0; WEIR_ECORRUPT, WEIR_EVERSION, WEIR_EFOREIGN with `*why`;
 *         WEIR_ENOMEM.
 */
int weir__block_decode(struct weir__block **out,
                       const struct weir__block_expect *expect,
                       const unsigned char *data, const char **why);

/** Reads objects, through an index cache and a block cache. */
struct weir__object_reader;

struct weir__object_reader_config {
    const struct weir_host *host; /* Outlives the reader, as the store does. */
    struct weir_store *store;
    unsigned char cluster[16]; /* Objects of another are WEIR_EFOREIGN. */
    size_t block_cache;        /* Bytes. */
    size_t index_cache;        /* Bytes. */
};

struct weir__object_reader_counts {
    uint64_t hits;   /* Asked for; in the cache or on their way to it. */
    uint64_t misses; /* Asked for, and read for that. */
    uint64_t bytes;  /* In the block cache now. */
};

int weir__object_reader_open(struct weir__object_reader **out,
                             const struct weir__object_reader_config *config,
                             struct weir_error *err);
/** Requests under way end with WEIR_ECLOSED; posts `closed` when the store
 * has given all of its back, and everything is freed. */
void weir__object_reader_close(struct weir__object_reader *reader,
                               struct weir_task *closed);
void weir__object_reader_counts(const struct weir__object_reader *reader,
                                struct weir__object_reader_counts *out);
/** Drop an object from the caches: it was removed. */
void weir__object_reader_forget(struct weir__object_reader *reader,
                                uint64_t object_id);

/** Asks for the block that holds an offset. */
struct weir__block_get {
    uint64_t object_id;
    uint64_t object_size;
    uint64_t stream_id;
    uint64_t offset; /* Or the first block behind it. */
    size_t ahead;    /* Payload bytes of the same stream, behind the block,
                        to begin reading into the cache: readahead. */
    void (*done)(struct weir__block_get *req, int status);
    void *ctx;
    struct weir_error *err;    /* May be NULL. */
    struct weir__block *block; /* Out: with a reference for the caller. */
    void *impl[4];             /* Private. */
};

/** Get a block: one GET however many ask.  `done` runs in the core, never
 * before the return.  Status 0; WEIR_ECLOSED; WEIR_ENOMEM; WEIR_ENOENT (no such
 * object, or no such offset in it); WEIR_ECORRUPT, WEIR_EFOREIGN,
 * WEIR_EVERSION (`err` names object and position); an error of the store. */
void weir__block_get(struct weir__object_reader *reader,
                     struct weir__block_get *req);

#endif
