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

static void fail(struct broker *broker, int status, const char *what)
{
    if (!broker->failed)
        log_line(WEIR_LOG_ERROR, "%s: %s (%s): ending", what,
                 weir_error_text(status), weir_error_name(status));
    broker->failed = true;
}

/* A log that has failed, or an append of which nobody knows whether it was
 * written, is mended by opening the node again, which finds out.  A restart
 * does that; until then nothing can be acknowledged. */
void broker_note(struct broker *broker, int status, const char *what)
{
    if (status == WEIR_EPOISONED || status == WEIR_EBUG ||
        weir_error_class(status) == WEIR_CLASS_UNKNOWN)
        fail(broker, status, what);
}

/* A stream may be taken by another node, and opened anew.  If it is the node
 * that is fenced, another process has its place.  A commit of which nobody
 * knows yet whether it was made harms nothing: it is seen when it comes. */
void broker_note_node(struct broker *broker, int status, const char *what)
{
    if (status == WEIR_EFENCED)
        fail(broker, status, what);
    if (status == WEIR_EUNKNOWN)
        log_line(WEIR_LOG_WARN, "%s: it may be done, or may still be", what);
    else
        broker_note(broker, status, what);
}
