/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The faults that a request to S3 can meet, for tests that try them all.
 *
 * Those after which nobody knows whether the request was done come five times:
 * not done, done, and done 10 ms, 1 s and 30 s after it has failed.
 *
 * Not among them is what S3 excludes: a refusal (4xx) of what was done, and a
 * read that does not see what was acknowledged.
 */
#ifndef TESTS_SUPPORT_S3_FAULTS_H
#define TESTS_SUPPORT_S3_FAULTS_H

#include "support/s3_door.h"

size_t s3_fault_count(void);
/** Fault number `i`, from 0. */
struct s3_door_fault s3_fault_number(size_t i);
/** The fault for a message: `to`. */
const char *s3_fault_text(const struct s3_door_fault *fault, char *to,
                          size_t room);

#endif
