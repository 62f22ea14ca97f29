/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The shortest run that fails, looked for by running shorter ones.
 */
#ifndef TESTS_SIM_SHORTEST_H
#define TESTS_SIM_SHORTEST_H

/** A search. */
struct shortest {
    int (*fails)(void *ctx, unsigned steps); /* Run so many steps: 0 or 1. */
    void *ctx;
    unsigned most; /* Runs, at most. */

    unsigned steps; /* As many fail; out: the fewest found to. */
    unsigned runs;  /* Out. */
    int exact;      /* Out: 1 if all that is shorter was tried. */
};

/** Find it.  None is run twice, and the last one that failed is the one that
 * is found.
 *
 * Halving is quick, and exact where more steps fail too.  They need not: what
 * is done after the breach may hide it, and the end of a shorter run looks at
 * more than its middle would.  So what halving has passed over is run as well,
 * from one step up, to the first that fails. */
void shortest_find(struct shortest *s);

#endif
