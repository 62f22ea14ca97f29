/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the walks of weir/inspect.h and the probe of weir/probe.h share: an
 * environment and a store of their own, blocking requests, and the making of
 * items.
 */
#ifndef WEIR_INSPECT_INSPECT_H
#define WEIR_INSPECT_INSPECT_H

#include "format/object_name.h"
#include <stdbool.h>
#include <weir/inspect.h>

#define WEIR__INSPECT_FIELDS 24
#define WEIR__INSPECT_PAGE 100

struct weir__inspect {
    const struct weir_config *config;
    struct weir_host host;
    struct weir_store *store; /* Or NULL. */
    weir_inspect_fn *fn;
    void *ctx;
    struct weir_error *err;  /* The caller's. */
    struct weir_error found; /* Of the first item that was not intact. */
    int stop;                /* What `fn` returned. */

    struct weir_field fields[WEIR__INSPECT_FIELDS]; /* Of the next item. */
    size_t count;
};

/** Begin a walk; end it with `weir__inspect_end`, also when this fails. */
int weir__inspect_begin(struct weir__inspect *in,
                        const struct weir_config *config, weir_inspect_fn *fn,
                        void *ctx, struct weir_error *err);
/** Open the store. */
int weir__inspect_store(struct weir__inspect *in);
/** A copy of a configuration, to be freed also on failure, in which the parts
 * of large objects are small, if there are any: 0, WEIR_ENOMEM. */
int weir__inspect_copy(struct weir_config **own,
                       const struct weir_config *config,
                       struct weir_error *err);
/** Where the manifest's log is. */
int weir__inspect_manifest_store(struct weir__inspect *in);
/** Close all.  `rc` is what ended the walk; what to return. */
int weir__inspect_end(struct weir__inspect *in, int rc);

/** Add a field to the next item.  What is pointed to must stay until then. */
void weir__inspect_uint(struct weir__inspect *in, const char *name,
                        uint64_t number);
void weir__inspect_hex(struct weir__inspect *in, const char *name,
                       uint64_t number);
void weir__inspect_time(struct weir__inspect *in, const char *name,
                        int64_t number);
void weir__inspect_text(struct weir__inspect *in, const char *name,
                        const char *text);
void weir__inspect_id(struct weir__inspect *in, const char *name,
                      const void *data, size_t len);
void weir__inspect_bytes(struct weir__inspect *in, const char *name,
                         const void *data, size_t len);

/**
 * Give the item with the fields so far.
 *
 * @param status  Of the item, and
 * @param text    what is wrong with it; NULL for the status's own.
 * @return 0, or not: the walk must end.
 */
int weir__inspect_item(struct weir__inspect *in, const char *kind, int status,
                       const char *text);

/** Run a request and wait: its status, with the error in `in->err`. */
int weir__inspect_request(struct weir__inspect *in, struct weir_store_req *req);
/** Read exactly `len` bytes; the caller frees the buffer. */
int weir__inspect_get(struct weir__inspect *in, const char *key,
                      uint64_t offset, uint64_t len, struct weir_buf **out);

/** Read a whole object; the caller frees the buffer. */
int weir__inspect_get_all(struct weir__inspect *in, const char *key,
                          struct weir_buf **out);

/** A part of a listing.  Set `prefix`, zero the rest; then ask for one part
 * after the other while there are `more`. */
struct weir__inspect_page {
    const char *prefix;
    size_t count;
    int more;
    char keys[WEIR__INSPECT_PAGE][WEIR__KEY_SIZE]; /* Longer ones are left
                                                      out. */
    char after[WEIR_STORE_KEY_MAX + 1];
};

/** The next part of a listing. */
int weir__inspect_list(struct weir__inspect *in,
                       struct weir__inspect_page *page);

void weir__inspect_wait(struct weir__inspect *in, struct weir_event *event);
void weir__inspect_signal(struct weir__inspect *in, struct weir_event *event);

#endif
