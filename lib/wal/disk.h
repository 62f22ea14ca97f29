/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the file log asks of a disk: sectors, and a flush.  The real one is a
 * file or block device with a thread of its own; the simulated one loses,
 * tears and garbles.  All in the core; `done` never before the call returned.
 */
#ifndef WEIR_WAL_DISK_H
#define WEIR_WAL_DISK_H

#include <weir/buf.h>
#include <weir/env.h>

struct weir__disk_req {
    enum { WEIR__DISK_READ, WEIR__DISK_WRITE, WEIR__DISK_SYNC } verb;
    uint64_t offset;
    const struct weir_iov *iov; /* WRITE: pieces, each a multiple of `align`
                                   in address and length. */
    size_t iov_count;
    void *data; /* READ: aligned room for `len` bytes. */
    size_t len;
    int sync; /* WRITE: and make durable all written up to now. */
    void (*done)(struct weir__disk_req *req, int status);
    void *ctx;
    struct weir_error *err; /* May be NULL. */
    void *impl[4];
};

struct weir__disk;

struct weir__disk_ops {
    /* Requests are carried out one after the other, in order.  Status: 0 or
     * WEIR_EIO, WEIR_ENOSPC; a short read or write is an error.  After a
     * failed sync nothing is known of what was written before it. */
    void (*submit)(struct weir__disk *disk, struct weir__disk_req *req);
    /* Give up the lock and free it, once nothing is in flight; posts
     * `closed`. */
    void (*close)(struct weir__disk *disk, struct weir_task *closed);
};

struct weir__disk {
    const struct weir__disk_ops *ops;
    uint64_t size;  /* Bytes. */
    uint32_t align; /* Of offset, address and length: 512 to 65536. */
    int fresh;      /* 1: made by this opening, or a device with a blank
                       beginning: to be formatted. */
};

/**
 * Open a file or block device, creating and preallocating a file that is not
 * there: it has no name until its first sync, which fails with WEIR_EBUSY if
 * there is such a file by then.  Takes an exclusive lock.
 *
 * @param size  Bytes for a new file.
 * @return 0 or WEIR_EACCES, WEIR_EISDIR, WEIR_EEMPTY, WEIR_EBUSY,
 *         WEIR_ENOSPC, WEIR_EIO, WEIR_EFORMAT (a device that holds something
 *         else), WEIR_ENOMEM, WEIR_EAGAIN (no thread).
 */
int weir__disk_open(struct weir__disk **out, const struct weir_host *host,
                    const char *path, uint64_t size, struct weir_error *err);

/** The same, for reading alone, with a lock that only readers share: nothing
 * is made or written. */
int weir__disk_open_readonly(struct weir__disk **out,
                             const struct weir_host *host, const char *path,
                             struct weir_error *err);

#endif
