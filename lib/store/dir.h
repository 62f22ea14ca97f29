/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Objects as files below one directory.  All of it blocks; all functions but
 * open and close may run on any number of threads at once, and any number of
 * processes may share the directory.
 *
 *     DIR/data/3f/0000-00000000000000a1   an object: its key is its path
 *     DIR/.tmp/4711-12                    an object that is being written
 *
 * A PUT writes a temporary file, syncs it, and moves it to its name with a
 * rename that fails if the name is taken; then it syncs the folder.  So a
 * name is either not there or has the whole object.  The writer holds a lock
 * on its temporary file: one that nobody locks is left over from a process
 * that died, and is removed by the next open.  Folders are never removed: a
 * PUT into one could be under way in another process.
 *
 * A PUT that fails behind the rename is of unknown outcome, and who asked for
 * it looks whether the object is there.  So no GET or HEAD finds anything
 * then before all is synced.
 *
 * Two keys that S3 would take are errors here: one of which another is a
 * folder ("a" and "a/b"), and one with a part of over 255 bytes.
 */
#ifndef WEIR_STORE_DIR_H
#define WEIR_STORE_DIR_H

#include <stdbool.h>
#include <weir/store.h>

/** Folders whose entry in their parent is known to be on the disk: a table
 * of hashes of their paths, so that each is synced once and not by each PUT. */
#define WEIR__DIR_KNOWN 1024

struct weir__dir {
    const struct weir_alloc *alloc;
    char *path;    /* For messages. */
    int root;      /* The directory itself. */
    bool sync;     /* Make everything durable. */
    int settled;   /* Its own entry is on the disk; atomic. */
    uint64_t next; /* Number for the next temporary name; atomic. */
    uint64_t owed; /* PUTs that may have left what is not durable; atomic. */
    uint64_t known[WEIR__DIR_KNOWN]; /* Atomic; 0: free. */
};

/** The answer to a LIST. */
struct weir__dir_list {
    const struct weir_alloc *alloc;
    struct weir_store_entry *entries; /* Their keys too are of `alloc`. */
    size_t count;
    size_t room;
    int more;
};

/** Open the directory, made if its parent exists, and remove what writers
 * that died have left.  Also after a failure, `weir__dir_close` it. */
int weir__dir_open(struct weir__dir *dir, const struct weir_alloc *alloc,
                   const char *path, struct weir_error *err);
void weir__dir_close(struct weir__dir *dir);

/** Carry out a checked request; 0 or a status, with `req->err` set. */
int weir__dir_put(struct weir__dir *dir, struct weir_store_req *req);
int weir__dir_get(struct weir__dir *dir, struct weir_store_req *req);
int weir__dir_head(struct weir__dir *dir, struct weir_store_req *req);
int weir__dir_delete(struct weir__dir *dir, struct weir_store_req *req);
int weir__dir_list(struct weir__dir *dir, struct weir_store_req *req,
                   struct weir__dir_list *list);
void weir__dir_list_free(struct weir__dir_list *list);

/** Sync the folder that holds `key`.  0, or -1 with errno. */
int weir__dir_sync_folder(const struct weir__dir *dir, const char *key);
/** Make durable what PUTs of unknown outcome have left, before somebody sees
 * it: 0 or a status, with `req->err` set. */
int weir__dir_sync_owed(struct weir__dir *dir,
                        const struct weir_store_req *req);

#endif
