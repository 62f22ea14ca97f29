/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * When a server looks for partitions that it has and that belong elsewhere.
 */
#ifndef KAFKA_LOOKS_H
#define KAFKA_LOOKS_H

#include <stdbool.h>
#include <stdint.h>

/** Ticks after a change of the servers in which each one looks. */
#define LOOKS_SOON 5u
/** Else all partitions are looked at this often, whatever was heard. */
#define LOOKS_TICKS 10u

/** When it was looked; zeros before the first time. */
struct looks {
    uint64_t settled; /* View of the last look. */
    unsigned age;     /* Ticks since that view came. */
    unsigned quiet;   /* Ticks since the last look. */
};

/** A tick passes: is it time to look?  `view` counts changes, from 1. */
bool looks_due(struct looks *looks, uint64_t view);
/** A look begins. */
void looks_begin(struct looks *looks, uint64_t view);

#endif
