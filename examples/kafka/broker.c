/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include <time.h>

#include "log.h"

int64_t broker_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t broker_mark(struct broker *broker)
{
    return ++broker->marks;
}

/* A log that has failed, or an append of which nobody knows whether it was
 * written, is mended by opening the node again, which finds out.  A restart
 * does that; until then nothing can be acknowledged.  A node that was fenced
 * as a whole says so when its streams are opened. */
void broker_note(struct broker *broker, int status, const char *what)
{
    if (status != WEIR_EPOISONED && status != WEIR_EBUG &&
        weir_error_class(status) != WEIR_CLASS_UNKNOWN)
        return;
    if (!broker->failed)
        log_line(WEIR_LOG_ERROR,
                 "%s: %s: ending; a start recovers what was acknowledged", what,
                 weir_error_text(status));
    broker->failed = true;
}
