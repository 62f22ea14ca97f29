/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/marks.h"

#include "base/sometimes.h"

#include <stdio.h>

#ifdef WEIR__MARKS

extern struct weir__mark *const __start_weir_marks[];
extern struct weir__mark *const __stop_weir_marks[];

int marks_print(void)
{
    int missed = 0;
    int count = 0;

    for (struct weir__mark *const *at = __start_weir_marks;
         at < __stop_weir_marks; at++) {
        count++;
        missed += (*at)->count == 0;
        printf("%8lu  %s (%s)\n", (*at)->count, (*at)->what, (*at)->file);
    }
    printf("%d of %d rare states reached\n", count - missed, count);
    for (struct weir__mark *const *at = __start_weir_marks;
         at < __stop_weir_marks; at++)
        if ((*at)->count == 0)
            printf("NOT REACHED: %s (%s)\n", (*at)->what, (*at)->file);
    return missed;
}

#else

int marks_print(void)
{
    return 0;
}

#endif
