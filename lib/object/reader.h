/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the object reader.  All of it is in the core, but for
 * `weir__block_decode` and `weir__index_decode`, which run on workers.
 *
 *     reader.c       requests in and out, opening and closing
 *     object_get.c   one GET from the store, tried again when that may help
 *     index_cache.c  the objects that are known, their indexes
 *     block_cache.c  the blocks that are known: wanted, on their way, cached
 *     block_fetch.c  which blocks to read next, in which GET
 *     block_decode.c a block from its bytes
 */
#ifndef WEIR_OBJECT_READER_H
#define WEIR_OBJECT_READER_H

#include "base/list.h"
#include "base/map.h"
#include "format/object_name.h"
#include "object/object.h"

struct weir__index_load;

struct weir__object_reader {
    const struct weir_host *host;
    struct weir_store *store;
    unsigned char cluster[16];

    struct weir__map objects;     /* struct weir__robject, by id. */
    struct weir__list all;        /* The same. */
    struct weir__list index_used; /* Objects with an index; oldest first. */
    size_t index_bytes;
    size_t index_room;

    struct weir__list block_used; /* Slots that are cached; oldest first. */
    size_t block_bytes;
    size_t block_room;
    uint64_t hits;
    uint64_t misses;

    struct weir__list wanted; /* Slots to be read that somebody waits for. */
    struct weir__list ahead;  /* Slots to be read beforehand. */
    size_t ahead_bytes;       /* Raw, of slots read beforehand, not cached. */
    size_t fetches;           /* GETs of blocks in flight. */
    size_t fetch_bytes;       /* Memory that those take, about. */
    struct weir_task pump;
    bool pump_posted;

    struct weir__list gets; /* All GETs in flight or waiting to be tried. */
    size_t pending;         /* What must come back before it can be freed. */
    struct weir_task *closed;
    bool closing;
};

/** An object of which something is known. */
struct weir__robject {
    struct weir__object_reader *reader;
    struct weir__list link;            /* In `all`. */
    struct weir__list used;            /* In `index_used`. */
    struct weir__list waiting;         /* Requests, for the index. */
    struct weir__index_load *load;     /* Under way, or NULL. */
    struct weir__index_entry *entries; /* The index, or NULL. */
    struct weir__map slots;            /* By position. */
    struct weir__list slot_list;
    uint64_t id;
    uint64_t size;
    uint32_t count; /* Of entries. */
    bool forgotten; /* Do not cache what comes. */
    bool held;      /* Not to be freed now. */
};

enum weir__slot_state {
    WEIR__SLOT_QUEUED, /* In `wanted` or `ahead`. */
    WEIR__SLOT_FLYING, /* In the list of a fetch. */
    WEIR__SLOT_CACHED  /* In `block_used`. */
};

/** A block that is known. */
struct weir__slot {
    struct weir__robject *object;
    struct weir__list link;    /* In the object's `slot_list`. */
    struct weir__list queue;   /* By state. */
    struct weir__list waiting; /* Requests. */
    struct weir__index_entry entry;
    struct weir__block *block; /* Decoded. */
    const char *why;           /* Decoding failed: what is wrong; and */
    int status;                /* the code. */
    enum weir__slot_state state;
    bool ahead; /* Counts in `ahead_bytes`. */
    bool again; /* It came damaged once. */
};

/* ---- reader.c ------------------------------------------------------------ */

/** End a request that is in no list, on the next turn; its `err` and `block`
 * are set. */
void weir__block_get_finish(struct weir__object_reader *reader,
                            struct weir__block_get *req, int status);
/** End all requests of a list with an error. */
void weir__block_get_fail_all(struct weir__object_reader *reader,
                              struct weir__list *waiting,
                              const struct weir_error *err);
/** First request of a list, taken out, or NULL. */
struct weir__block_get *weir__block_get_pop(struct weir__list *waiting);
void weir__block_get_push(struct weir__list *waiting,
                          struct weir__block_get *req);
/** The object has its index: find the request's block. */
void weir__block_get_locate(struct weir__robject *object,
                            struct weir__block_get *req);
/** Something pending came back: free a closing reader when it was the last. */
void weir__object_reader_release(struct weir__object_reader *reader);

/* ---- object_get.c -------------------------------------------------------- */

/** One GET.  Fill in the first group; zero the rest. */
struct weir__object_get {
    struct weir__object_reader *reader;
    uint64_t object_id;
    uint64_t object_size; /* That the store must confirm. */
    uint64_t offset;
    uint64_t length; /* Exactly so many bytes come, or it fails. */
    bool suffix;     /* The last ones; `offset` is not used. */
    void (*done)(struct weir__object_get *get, int status);

    struct weir_buf *body; /* Out; who gets it frees it. */
    struct weir_error err; /* Out: names the object. */
    char key[WEIR__KEY_SIZE];
    struct weir__list link; /* In `gets`. */
    struct weir_store_req req;
    struct weir_timer timer;
    unsigned tries;
    bool waiting; /* For the timer. */
};

/** Status: 0, WEIR_ECORRUPT (not the bytes that were asked for: once more may
 * help), WEIR_ECLOSED, or an error of the store. */
void weir__object_get_start(struct weir__object_get *get);
/** The reader closes: end it, if it only waits to be tried again. */
void weir__object_get_stop(struct weir__object_get *get);

/* ---- index_cache.c ------------------------------------------------------- */

/** The object, known from now on; NULL when memory is out. */
struct weir__robject *weir__robject_get(struct weir__object_reader *reader,
                                        uint64_t id, uint64_t size);
/** Free it unless there is still something to know. */
void weir__robject_tidy(struct weir__robject *object);
/** Read the index, for those that wait; it is neither there nor on its way. */
void weir__index_load(struct weir__robject *object);
/** The index was used. */
void weir__index_touch(struct weir__robject *object);
void weir__index_drop(struct weir__robject *object);
/** Number of the entry that holds an offset, or of the first of the stream
 * behind it; `count` if there is none. */
uint32_t weir__index_find(const struct weir__index_entry *entries,
                          uint32_t count, uint64_t stream_id, uint64_t offset);

/* ---- block_cache.c ------------------------------------------------------- */

/** The slot of a block, or NULL. */
struct weir__slot *weir__slot_find(struct weir__robject *object,
                                   const struct weir__index_entry *entry);
/** A new slot, in no queue; NULL when memory is out. */
struct weir__slot *weir__slot_new(struct weir__robject *object,
                                  const struct weir__index_entry *entry);
/** Free a slot for which nobody waits, and its object if it was the last. */
void weir__slot_free(struct weir__slot *slot);
/** It was used: the last to be dropped now. */
void weir__slot_touch(struct weir__slot *slot);
/** `slot->block` has come: give it to all who wait, keep or drop it. */
void weir__slot_ready(struct weir__slot *slot);
/** It has failed: tell all who wait, and drop it. */
void weir__slot_fail(struct weir__slot *slot, const struct weir_error *err);

/* ---- block_fetch.c ------------------------------------------------------- */

/** Have the slot read; soon, together with others that are queued. */
void weir__fetch_queue(struct weir__slot *slot, bool ahead);
/** Somebody waits for a slot that was to be read beforehand. */
void weir__fetch_promote(struct weir__slot *slot);

#endif
