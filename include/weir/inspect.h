/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Looking into what is stored: a write-ahead log, an object, the manifest,
 * down to each record, with all checksums verified and nothing changed.
 *
 * What is found comes as items, each with named fields, so that a program
 * can print them without knowing them.  An item that is damaged comes with a
 * status and a text, and with the fields that can be trusted; the walk goes
 * on behind it where that is possible.  The items, in their order:
 *
 *     WAL        super          the header block, of a file log
 *                slot           an object, of an object log
 *                record         a batch
 *                damage         a place where a record should be
 *                end            totals
 *     object     footer
 *                index
 *                block          and then, if it is whole, its batches
 *                batch
 *     manifest   snapshot       and then what is in it:
 *                node, object, stream, extent and debt (of the stream
 *                before), dead, key
 *                commit         and then its operations:
 *                cluster, node_open, node_beat, node_trim, node_clean,
 *                node_close, stream_create, stream_delete, stream_open,
 *                stream_trim, stream_hand, object_reserve, object_add,
 *                range (of the object before), object_removed, removed (an
 *                object of the operation before), kv_put
 *
 * New kinds of items and new fields may come with any version.
 */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include <weir/config.h>

WEIR_BEGIN

/** What the value of a field is. */
enum weir_field_type {
    WEIR_FIELD_UINT, /* `number`. */
    WEIR_FIELD_HEX,  /* `number`, best shown in hexadecimal: a checksum. */
    WEIR_FIELD_TIME, /* `number`, an int64_t: milliseconds since 1970, or
                        WEIR_NO_TIMESTAMP. */
    WEIR_FIELD_TEXT, /* `data`: `len` bytes of text, and a zero. */
    WEIR_FIELD_ID,   /* `data`: `len` bytes, best shown in hexadecimal. */
    WEIR_FIELD_BYTES /* `data`: `len` bytes of the user's. */
};

/** One field.  Valid during the call that gives it. */
struct weir_field {
    const char *name; /* Lower case, such as "base_offset". */
    enum weir_field_type type;
    uint64_t number;
    const void *data;
    size_t len;
};

/** One thing that was found.  Valid during the call that gives it. */
struct weir_item {
    const char *kind; /* Lower case, such as "record". */
    const struct weir_field *fields;
    size_t count;
    int status;       /* 0: intact.  WEIR_ECORRUPT, ...: what is wrong, */
    const char *text; /* in words; "" if nothing is. */
};

/**
 * Takes an item.
 *
 * @param ctx   What was given with it.
 * @param item  The item.
 * @return 0 to go on; anything else ends the walk, which returns it.
 */
typedef int weir_inspect_fn(void *ctx, const struct weir_item *item);

/**
 * Walk a file log or an object log: the property `wal`.
 *
 * Reads only, but holds a file log's lock meanwhile, so that no node uses it.
 * Of an object log (in `store`, of the node `node_id`) all slots are shown
 * that there are, also those that recovery would not look at.
 * Blocks; runs on an environment of its own.
 *
 * @param config  Configuration.
 * @param fn      Called for each item, on the calling thread.
 * @param ctx     Passed to `fn`.
 * @param err     What went wrong; may be NULL.
 * @return 0; what `fn` returned; WEIR_ECORRUPT (there was damage: `err`
 *         tells of the first); WEIR_EUNSUPPORTED (another log);
 *         WEIR_EBUSY (a node uses it); WEIR_ENOENT, WEIR_EISDIR, WEIR_EEMPTY,
 *         WEIR_EFORMAT, WEIR_EVERSION, WEIR_ETRUNCATED (no such log);
 *         WEIR_EINVAL, WEIR_EACCES, WEIR_EIO, WEIR_ENOMEM, WEIR_EAGAIN (no
 *         thread).
 */
WEIR_API int weir_inspect_wal(const struct weir_config *config,
                              weir_inspect_fn *fn, void *ctx,
                              struct weir_error *err);

/**
 * Walk one object of the store: the property `store`.
 *
 * Blocks; runs on an environment of its own.
 *
 * @param config  Configuration.
 * @param key     Key of the object, such as "data/5a/0000-0000000000000001".
 * @param fn      Called for each item, on the calling thread.
 * @param ctx     Passed to `fn`.
 * @param err     What went wrong; may be NULL.
 * @return 0; what `fn` returned; WEIR_ECORRUPT (there was damage: `err`
 *         tells of the first); WEIR_EVERSION; WEIR_ENOENT (no such object);
 *         WEIR_EINVAL (not a key, or the property is wrong); WEIR_ENOMEM;
 *         WEIR_EAGAIN (no thread); an error of the store.
 */
WEIR_API int weir_inspect_object(const struct weir_config *config,
                                 const char *key, weir_inspect_fn *fn,
                                 void *ctx, struct weir_error *err);

/**
 * Walk the manifest, in the store or in etcd (property `manifest`): the newest
 * snapshot, and every commit that there is.
 *
 * Blocks; runs on an environment of its own.
 *
 * @param config  Configuration.
 * @param fn      Called for each item, on the calling thread.
 * @param ctx     Passed to `fn`.
 * @param err     What went wrong; may be NULL.
 * @return 0; what `fn` returned; WEIR_ECORRUPT (there was damage: `err`
 *         tells of the first); WEIR_EVERSION; WEIR_ENOENT (no manifest
 *         there); WEIR_EINVAL; WEIR_ENOMEM; WEIR_EAGAIN (no thread); an error
 *         of the store, or of etcd where the manifest is there.
 */
WEIR_API int weir_inspect_manifest(const struct weir_config *config,
                                   weir_inspect_fn *fn, void *ctx,
                                   struct weir_error *err);

WEIR_END

#endif
