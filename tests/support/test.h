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

/** A fresh, empty directory, removed by `test_run` at the end. */
const char *test_dir(void);

#endif
