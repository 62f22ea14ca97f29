/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * An s3 store on the scripted server whose keys come from where a test says,
 * and a wall clock that the test sets ahead.  One at a time.
 */
#ifndef TESTS_SUPPORT_KEYS_RIG_H
#define TESTS_SUPPORT_KEYS_RIG_H

#include "support/s3_server.h"
#include "support/store_rig.h"

#include <weir/config.h>

struct keys_rig {
    struct store_rig store;
    struct s3_server *server;
    struct weir_config *config; /* Of the store, until it is opened. */
};

/** Begin: the server, and what the store will be opened with. */
void keys_rig_init(struct keys_rig *rig);
/** Open the store, with this `s3_credentials`: a status. */
int keys_rig_open(struct keys_rig *rig, const char *credentials);
/** Close all, whether the store was opened or not; the clock is right again. */
void keys_rig_close(struct keys_rig *rig);

/** Set the wall clock so many milliseconds ahead. */
void keys_rig_ahead(int64_t ms);
/** The wall clock stands still, but for what it is set ahead. */
void keys_rig_stop_clock(struct keys_rig *rig);
/** Run what is due; waits a millisecond at most. */
void keys_rig_poll(struct keys_rig *rig);

/** A GET of what is not there: WEIR_ENOENT if there are keys, and good ones. */
int keys_rig_get(struct keys_rig *rig);
/** The last error has the word in it, and no secret. */
void keys_rig_check_err(const struct keys_rig *rig, const char *word);
/** The session token of the last request. */
void keys_rig_check_token(struct keys_rig *rig, const char *token);

/** The answer to so many requests: their keys have expired. */
struct s3_fault keys_expired(int count);

/** Nothing in the environment tells of keys, and no machine is asked. */
void keys_clear_environment(void);

#endif
