/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What every test program begins with: one suite, one case, one main.
 *
 *     int main(void)
 *     {
 *         TCase *tc = test_case("crc32c");
 *         tcase_add_test(tc, known_vectors_match);
 *         return test_run();
 *     }
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <check.h>

/** A test case in the program's one suite; call it as often as you like. */
TCase *test_case(const char *name);

/** Run all cases; what main returns.  The environment variable CHECK_FORK=no
 * keeps all in one process, for a debugger or a sanitizer. */
int test_run(void);

/** Seed of this run: WEIR_SEED or a fresh one; printed at the first call. */
unsigned long long test_seed(void);

/** Check measures a test in 31 bits of microseconds: a test that goes on for
 * longer is a loop test of parts. */
enum { TEST_PART_SECONDS = 1800 };

/** The number in an environment variable; `otherwise` if there is none. */
unsigned long test_env_number(const char *name, unsigned long otherwise);
/** Parts of so many seconds in all: one at least. */
int test_parts(unsigned long seconds);
/** How long part `part` of them takes, from 0; all take the same. */
unsigned long test_part_seconds(unsigned long seconds, int part);

/** A fresh, empty directory, removed by `test_run` at the end. */
const char *test_dir(void);
/** Write a text into a file of that name in a fresh directory: its `path`. */
void test_file(char *path, size_t room, const char *name, const char *text);

#endif
