/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Failures of a run that are planted from outside, to test what a run does
 * when it hangs and what weir-sim tells of one that fails.
 */
#ifndef TESTS_SIM_PLANT_H
#define TESTS_SIM_PLANT_H

#include <weir/sim.h>

enum plant {
    PLANT_NOTHING,
    PLANT_BREACH,  /* An invariant does not hold. */
    PLANT_BUSY,    /* A task posts itself: no time passes. */
    PLANT_SLOW,    /* A timer of every few microseconds. */
    PLANT_ENDLESS, /* Code that does not come back. */
    PLANT_WAIT,    /* For what never comes. */
    PLANT_CRASH    /* The program itself dies of SIGSEGV. */
};

/** The one of that name, such as "busy"; PLANT_NOTHING if there is none. */
enum plant plant_named(const char *name);
const char *plant_name(enum plant plant);

/** What happens in step `step` of a run with a plant, in `node` if it needs
 * one: what was breached, or NULL. */
const char *plant_step(enum plant plant, unsigned step, struct weir_sim *sim,
                       struct weir_sim_node *node);

#endif
