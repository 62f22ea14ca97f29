/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A store and a WAL as a host would bring them, on the schemes "plug:": they
 * keep things in memory, across nodes, and fail when told to.
 */
#ifndef TESTS_SUPPORT_PLUG_H
#define TESTS_SUPPORT_PLUG_H

#include <weir/config.h>

struct plug_object;

/** What both share.  Zero it, change it at any time. */
struct plug {
    int put_status;  /* Not 0: PUTs of data objects end with it. */
    int meta_status; /* Not 0: PUTs of other objects end with it. */
    int get_status;  /* Not 0: GETs of data objects end with it. */
    int damage_gets; /* So many GETs of data objects get a wrong byte. */
    int hold;        /* 1: PUTs of data objects wait for `plug_release`. */
    struct weir_store_req *held;
    struct weir_store *held_in;
    int held_done; /* 1: what is held as the store closes has been done. */

    int wal_status; /* Not 0: the next write ends with it, once. */
    int hold_write; /* 1: the next write waits for `plug_end_write`. */
    struct weir_wal_write *held_write;
    struct weir_wal *held_wal;
    unsigned writes;
    uint64_t capacity; /* Of the WAL; 0: plenty. */

    /* Called with each request; 1: it is the hook's, to be ended with
     * `plug_answer`. */
    int (*hook)(struct plug *plug, struct weir_store *store,
                struct weir_store_req *req);

    struct plug_object *objects; /* What the store keeps. */
};

/** Register both schemes. */
void plug_register(struct weir_config *config, struct plug *plug);
/** Carry out the PUT that is held. */
void plug_release(struct plug *plug);
/** End the write of the log that is held, undone. */
void plug_end_write(struct plug *plug, int status);
/** End a request that the hook took. */
void plug_answer(struct weir_store *store, struct weir_store_req *req,
                 int status);
/** Number of data objects. */
int plug_data_objects(const struct plug *plug);
/** Number of objects whose key begins so, and that are larger than `size`. */
int plug_larger(const struct plug *plug, const char *prefix, size_t size);
/** Forget all objects. */
void plug_free(struct plug *plug);

#endif
