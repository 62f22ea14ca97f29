/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * For tests of objects: payloads out of a number, objects built from them, a
 * store that counts and fails GETs, and a reader on it.
 */
#ifndef TESTS_SUPPORT_OBJECT_RIG_H
#define TESTS_SUPPORT_OBJECT_RIG_H

#include "object/object.h"
#include "support/host.h"

/** A store that passes everything on to another one.  The GETs that come
 * next can be made to go wrong. */
struct obj_store {
    struct weir_store base;
    struct weir_store *inner;
    long gets;     /* So far. */
    uint64_t last; /* Bytes that came with the last GET. */
    int fail;      /* So many GETs fail, */
    int status;    /* with this, and then */
    int damage;    /* so many come with a bit flipped near the end, and
                      then */
    int cut;       /* so many come without their last byte. */
    int hold;      /* 1: GETs wait for `obj_release`. */
    struct obj_req *held;
};

struct obj_rig {
    struct test_host host;
    struct obj_store store;
    struct weir__object_reader *reader;
};

/** Everything but the reader; the store is `mem:`. */
void obj_init(struct obj_rig *rig);
void obj_open_reader(struct obj_rig *rig, size_t block_cache,
                     size_t index_cache);
void obj_close_reader(struct obj_rig *rig);
/** Close what is open; fails the test if memory is still in use. */
void obj_close(struct obj_rig *rig);
/** Let the GETs that are held go on. */
void obj_release(struct obj_rig *rig);

/** The cluster of all objects here. */
extern const unsigned char obj_cluster[16];

/** How to make up a stream's batches. */
struct obj_stream {
    uint64_t id;
    uint64_t base; /* First offset. */
    size_t batches;
    size_t len; /* Of the first payload; the others differ a little. */
    int noise;  /* 1: bytes that do not compress. */
};

/** An object to be built: made-up streams, and what came of them. */
struct obj_object {
    uint64_t id;
    uint64_t node_epoch;
    size_t block_size;
    int compress;
    const struct obj_stream *streams;
    size_t stream_count;

    struct weir__build req;
    struct weir__build_stream *build_streams;
    struct weir_error err;
    int status;
    int done;
    unsigned char *bytes; /* The object, or NULL. */
    size_t size;
};

/** Make up a batch of a stream, the same one each time. */
void obj_batch(struct weir_batch *out, const struct obj_stream *stream,
               size_t i);
/** Fails the test unless it is that batch. */
void obj_check_batch(const struct weir_batch *batch,
                     const struct obj_stream *stream, size_t i);
/** Number of the batch that holds an offset; `batches` if none does. */
size_t obj_batch_of(const struct obj_stream *stream, uint64_t offset);

/** Make up the batches, build, and gather the bytes; looks at nothing. */
void obj_build(struct test_host *host, struct obj_object *object);
/** Free what the two made. */
void obj_object_free(struct test_host *host, struct obj_object *object);
/** Store bytes under an object's key. */
void obj_put(struct obj_rig *rig, uint64_t id, const void *data, size_t len);
/** Build and store. */
void obj_build_and_put(struct obj_rig *rig, struct obj_object *object);

/** A request for a block. */
struct obj_get {
    struct weir__block_get get;
    struct weir_error err;
    int status;
    int done;
};

/** Ask for a block of a stored object. */
void obj_get_start(struct obj_rig *rig, struct obj_get *get,
                   const struct obj_object *object, uint64_t stream_id,
                   uint64_t offset, size_t ahead);
/** Ask and wait: the status. */
int obj_get(struct obj_rig *rig, struct obj_get *get,
            const struct obj_object *object, uint64_t stream_id,
            uint64_t offset);
/** Fails the test unless each byte of the block is right. */
void obj_check_block(const struct weir__block *block,
                     const struct obj_stream *stream);

#endif
