/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Whether the store holds what the manifest names, at any moment of a run:
 * the manifest is read anew from the world's objects, by nobody's node.
 */
#ifndef TESTS_SIM_NAMED_H
#define TESTS_SIM_NAMED_H

#include <stddef.h>
#include <weir/sim.h>

enum { NAMED_IDS = 1 << 13 };

/** What earlier looks have seen.  Zero it before the first. */
struct named {
    unsigned char seen[NAMED_IDS]; /* 1: the object of that id was there. */
    int64_t dead[NAMED_IDS];       /* Since when it is dead; 0: it is not. */
};

/**
 * Look: a commit that the newest snapshot does not cover is there; so is each
 * object that a stream needs; and no object is gone that was seen and is dead
 * for less than `grace` milliseconds.
 *
 * @return 0, or -1 with what was breached in `text`.
 */
int named_check(struct named *named, struct weir_sim *sim, int64_t now,
                int64_t grace, char *text, size_t room);

/**
 * Look, when nothing is under way: slots with records are there only of logs
 * from which somebody may have to recover.
 *
 * @return 0, or -1 with what was breached in `text`.
 */
int named_slots(struct weir_sim *sim, char *text, size_t room);

#endif
