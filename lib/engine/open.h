/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A node that is being opened.
 */
#ifndef WEIR_ENGINE_OPEN_H
#define WEIR_ENGINE_OPEN_H

#include "engine/node.h"
#include "store/store.h"

struct weir__open {
    struct weir *node;
    struct weir__open_req *req;
    struct weir__probe probe;
    struct weir__manifest_open manifest;
    struct weir_wal_open wal;
    struct weir_wal_recover recover;
    struct weir_wal_req start;
    struct weir__commit commit;
    struct weir__op op;
    uint64_t sent; /* When the commit was begun. */
    struct weir_timer patience;
    int gave_up; /* The commit took too long: it is not waited for. */
    int again;   /* The former process lived on: another try may do. */
    struct weir__close close;
    struct weir_task begin;
    char *wal_uri;
    int wal_kept; /* It must be there: none is made. */
    /* Where others are told that it is. */
    char noted[WEIR__WAL_URI_MAX + 1];
    struct weir_error error;
    int status;
};

/** It has succeeded: the node is open. */
void weir__open_end(struct weir__open *open);
/** It has failed: what was opened is closed again. */
void weir__open_fail(struct weir__open *open, int status);
/** Id of the log as the manifest knows it: what does not last needs none. */
uint64_t weir__open_wal_id(const struct weir *node);

#endif
