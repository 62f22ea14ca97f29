/* SPDX-License-Identifier: Apache-2.0 */
#include "looks.h"

/* One look at a new view is not enough: another server, that has not heard of
 * it yet, may give this one a partition by the view before, and its handover
 * comes behind the look.  Nobody leads such a partition until the next. */
bool looks_due(struct looks *looks, uint64_t view)
{
    if (looks->settled != view)
        return true;
    if (looks->age <= LOOKS_SOON)
        looks->age++;
    looks->quiet++;
    return looks->age <= LOOKS_SOON || looks->quiet >= LOOKS_TICKS;
}

void looks_begin(struct looks *looks, uint64_t view)
{
    if (looks->settled != view)
        looks->age = 0;
    looks->settled = view;
    looks->quiet = 0;
}
