/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Nodes for tests: opened with a list of properties, with short forms of the
 * blocking calls.  Each short form fails the test unless it says otherwise.
 */
#ifndef TESTS_SUPPORT_NODE_H
#define TESTS_SUPPORT_NODE_H

#include <weir.h>

/** How a node keeps its data: each kind is a row of properties. */
struct test_backend {
    const char *name;
    const char *store; /* URI; %s is a fresh directory. */
    const char *wal;
};

/** mem:/mem: and dir:/file:. */
extern const struct test_backend test_backends[];
extern const int test_backend_count;

/** Text of the last error of these functions. */
extern struct weir_error test_error;

/** A configuration for backend `i` in `dir`, and further pairs of key and
 * value, up to NULL. */
struct weir_config *test_config(int i, const char *dir, ...);
/** Open, or fail the test. */
struct weir *test_open(const struct weir_config *config);
/** Open a stream with `flags`, or fail the test. */
struct weir_stream *test_stream(struct weir *node, const char *name,
                                unsigned flags);
/** Append text with count 1; its offset. */
uint64_t test_append(struct weir_stream *stream, const char *text);
/** Append text; the status. */
int test_try_append(struct weir_stream *stream, const char *text,
                    unsigned flags);
/** An append that is not waited for; `over` once its `status` is known. */
struct test_late {
    struct weir_append req;
    int over;
    int status;
};
/** Begin one, with count 1, and drive the node until it is under way. */
void test_append_late(struct weir *node, struct weir_stream *stream,
                      const char *text, struct test_late *late);
/** Fetch from `offset` without waiting; the status. */
int test_fetch(struct weir_stream *stream, uint64_t offset,
               struct weir_fetch *fetch);
/** Fail the test unless the stream holds exactly these texts from `offset`
 * to its end, each with count 1. */
void test_expect(struct weir_stream *stream, uint64_t offset, ...);
void test_flush(struct weir *node);
int test_trim(struct weir_stream *stream, uint64_t start);
int test_delete(struct weir *node, const char *name);
/** Drive the node until `*flag` is not 0. */
void test_drive(struct weir *node, const int *flag);

#endif
