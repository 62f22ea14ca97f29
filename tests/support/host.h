/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A `struct weir_host` for tests of backends, and an allocator that counts
 * and that fails on demand.
 */
#ifndef TESTS_SUPPORT_HOST_H
#define TESTS_SUPPORT_HOST_H

#include <weir/env.h>

/** An allocator that counts what is in use, fails when told to, and looks for
 * a secret in what it is given back. */
struct test_alloc {
    struct weir_alloc alloc; /* Give this one to what is tested. */
    long calls;              /* Allocations asked for so far. */
    long fail_at;            /* The allocation of this number fails; 0: none. */
    int fail_on;             /* 1: and so do all that come after it; more:
                                so many fail in a row. */
    long blocks;             /* In use. */
    long bytes;
    const char *secret; /* Set it before it is there; NULL: none. */
    long unwiped;       /* Blocks that were given back with it. */
};

/** Nothing in use, nothing fails. */
void test_alloc_init(struct test_alloc *alloc);
/** Let the `n`th allocation from now on fail (1: the next), and with
 * `from_then_on` all after it. */
void test_alloc_fail(struct test_alloc *alloc, long n, int from_then_on);
/** Fails the test unless all was given back, and no secret with it. */
void test_alloc_check(struct test_alloc *alloc);

/** A host on a real environment that the test drives. */
struct test_host {
    struct weir_host host; /* Give this one to what is tested. */
    struct test_alloc alloc;
    struct weir_log log; /* Prints to stdout if WEIR_TEST_LOG is set. */
};

void test_host_init(struct test_host *host);
/** Close the environment and fail the test if memory is still in use. */
void test_host_close(struct test_host *host);
/** Drive until `*flag` is not 0; fails the test after 60 seconds. */
void test_host_run(struct test_host *host, const int *flag);
/** Run what is due until nothing is. */
void test_host_settle(struct test_host *host);

#endif
