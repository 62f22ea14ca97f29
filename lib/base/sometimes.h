/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Marks of rare states: that a test has been there is worth knowing, as a
 * state that no run reaches is not tested by it.
 *
 * `WEIR__SOMETIMES("what is so")` is nothing in a release.  In a build with
 * WEIR__MARKS (make MARKS=1) it counts how often it was passed, and
 * `marks_print` of tests/sim/ tells of all marks in the program, also of those
 * that were never passed.
 */
#ifndef WEIR_BASE_SOMETIMES_H
#define WEIR_BASE_SOMETIMES_H

#include <stddef.h>

#ifdef WEIR__MARKS

/** One mark. */
struct weir__mark {
    const char *what;
    const char *file;
    unsigned long count;
};

/* Each puts its address into a section of its own, which the linker gathers
 * and names the ends of. */
#define WEIR__SOMETIMES(text)                                                  \
    do {                                                                       \
        static struct weir__mark weir__mark_here = {(text), __FILE__, 0};      \
        static struct weir__mark *const weir__mark_at                          \
            __attribute__((section("weir_marks"), used)) = &weir__mark_here;   \
        (void)weir__mark_at;                                                   \
        __atomic_add_fetch(&weir__mark_here.count, 1, __ATOMIC_RELAXED);       \
    } while (0)

/** The same if a condition holds, which nobody looks at in a release. */
#define WEIR__SOMETIMES_IF(condition, text)                                    \
    do {                                                                       \
        if (condition)                                                         \
            WEIR__SOMETIMES(text);                                             \
    } while (0)

#else

#define WEIR__SOMETIMES(text) ((void)0)
#define WEIR__SOMETIMES_IF(condition, text)                                    \
    do {                                                                       \
        if (0)                                                                 \
            (void)(condition);                                                 \
    } while (0)

#endif

#endif
