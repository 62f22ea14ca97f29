/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The kinds of store that the conformance suite runs on.
 */
#ifndef TESTS_SUPPORT_STORE_KINDS_H
#define TESTS_SUPPORT_STORE_KINDS_H

#include "support/store_rig.h"

#include <weir/config.h>

/** Kinds are numbers: the first, and the one behind the last. */
int store_kind_first(void);
int store_kind_end(void);

/** 1 if a store of the kind refuses what is no key. */
int store_kind_checks_keys(int kind);

/** Open an empty store of a kind. */
void store_kind_open(struct store_rig *rig, int kind);
/** A configuration with keys, for an s3: store. */
struct weir_config *store_s3_config(const char *access_key,
                                    const char *secret_key);

struct s3_server;
/** Open the s3: store on that server, "p" in its bucket: a status. */
int store_s3_open(struct store_rig *rig, const struct s3_server *on,
                  struct weir_config *config);

/** Close it with all there is, the store first if it is still open. */
void store_kind_close(struct store_rig *rig, int kind);

#endif
