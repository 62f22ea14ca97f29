/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a core dump of this process would have in it.
 */
#ifndef TESTS_SUPPORT_CORE_DUMP_H
#define TESTS_SUPPORT_CORE_DUMP_H

#include <stddef.h>

/** Bytes to look for: so kept that who looks for them does not find these. */
struct core_secret {
    unsigned char masked[64];
    size_t len;
};

/** 40 letters of a new secret, which is nowhere in memory. */
void core_secret_new(struct core_secret *secret);
/** Write it down, with a zero behind it; overwrite it soon. */
void core_secret_tell(const struct core_secret *secret, char to[65]);

/** Where a secret is found. */
struct core_found {
    int dumped; /* How often in memory that a core dump takes, */
    int left;   /* and in memory that is left out of it. */
};

/** Look through all memory of this process. */
struct core_found core_find(const struct core_secret *secret);

#endif
