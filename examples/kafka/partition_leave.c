/* SPDX-License-Identifier: Apache-2.0 */
/* A partition that goes to another server: its appends end, the state of its
 * producers is saved, and its stream is handed over. */
#include <stdlib.h>

#include "broker.h"
#include "log.h"
#include "partition.h"

/** A partition on its way. */
struct leaving {
    struct partition *partition;
    struct broker *broker;
    struct weir_stream_open open;
    struct weir_handover handover;
    struct weir_error err;
    char name[PARTITION_NAME_MAX];
};

static void finish(struct leaving *leaving, int status)
{
    struct partition *partition = leaving->partition;

    if (status != 0 && status != WEIR_EFENCED && status != WEIR_ENOENT)
        log_line(WEIR_LOG_WARN, "%s: hand over: %s", leaving->name,
                 leaving->err.text[0] != 0 ? leaving->err.text
                                           : weir_error_text(status));
    broker_note(leaving->broker, status, "hand over");
    leaving->broker->pending--;
    weir_stream_close(partition->stream);
    partition->stream = NULL;
    producers_clear(&partition->producers);
    partition->state = PARTITION_CLOSED;
    topic_unref(partition->topic);
    free(leaving);
}

static void handed(struct weir_req *req, int status)
{
    finish(req->ctx, status);
}

static void hand(struct leaving *leaving)
{
    struct partition *partition = leaving->partition;
    int status;

    leaving->handover.req.done = handed;
    leaving->handover.req.ctx = leaving;
    leaving->handover.req.err = &leaving->err;
    leaving->handover.streams = &partition->stream;
    leaving->handover.count = 1;
    leaving->handover.to_node = partition->to_node;
    status = weir_handover(leaving->broker->node, &leaving->handover);
    if (status != 0)
        finish(leaving, status);
}

static struct leaving *leaving_new(struct partition *partition)
{
    struct leaving *leaving = calloc(1, sizeof(*leaving));

    if (leaving == NULL)
        return NULL;
    leaving->partition = partition;
    leaving->broker = partition->topic->broker;
    leaving->broker->pending++;
    topic_ref(partition->topic);
    partition_stream_name(partition, leaving->name);
    return leaving;
}

/* The snapshot is committed before the stream is given: who opens it finds
 * all that was appended here. */
void partition_leave_now(struct partition *partition)
{
    struct leaving *leaving;

    if (partition->under_way > 0)
        return;
    leaving = leaving_new(partition);
    if (leaving == NULL) {
        partition->state = PARTITION_OPEN; /* Later. */
        return;
    }
    partition_save(partition);
    hand(leaving);
}

static void opened(struct weir_req *req, int status)
{
    struct leaving *leaving = req->ctx;

    if (status != 0) {
        finish(leaving, status);
        return;
    }
    leaving->partition->stream = leaving->open.stream;
    hand(leaving);
}

void partition_evict(struct partition *partition, uint32_t to_node)
{
    struct leaving *leaving;
    int status;

    partition_leave(partition, to_node);
    if (partition->state != PARTITION_CLOSED)
        return;
    leaving = leaving_new(partition);
    if (leaving == NULL)
        return;
    partition->state = PARTITION_LEAVING;
    partition->to_node = to_node;
    leaving->open.req.done = opened;
    leaving->open.req.ctx = leaving;
    leaving->open.req.err = &leaving->err;
    leaving->open.name = leaving->name;
    status = weir_stream_open(leaving->broker->node, &leaving->open);
    if (status != 0)
        finish(leaving, status);
}
