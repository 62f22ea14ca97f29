/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Which rare states were reached: lib/base/sometimes.h.
 */
#ifndef TESTS_SIM_MARKS_H
#define TESTS_SIM_MARKS_H

/** Print how often each was, in a build that counts: the number of those that
 * were not reached.  0 in any other build. */
int marks_print(void);

#endif
