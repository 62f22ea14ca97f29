/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a partition: open its stream, load the snapshot of its producers,
 * and read what was appended since. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "kafka_error.h"
#include "log.h"
#include "partition.h"
#include "record_batch.h"

#define SCAN_BYTES (1u << 20)

/* The opening of one partition. */
struct opening {
    struct partition *partition;
    struct broker *broker;
    struct weir_error err;
    struct weir_stream_open open;
    struct weir_kv_get get;
    struct weir_fetch fetch;
    uint64_t next; /* Offset to replay from. */
    uint64_t end;
    char name[PARTITION_NAME_MAX];
};

static void scan(struct opening *opening);

static void finish(struct opening *opening, int status, const char *what)
{
    struct partition *partition = opening->partition;

    if (status != 0)
        log_line(status == WEIR_EBUSY ? WEIR_LOG_DEBUG : WEIR_LOG_ERROR,
                 "%s: %s: %s", opening->name, what,
                 opening->err.text[0] != 0 ? opening->err.text
                                           : weir_error_text(status));
    if (status != WEIR_EUNKNOWN) /* Who asks again sees how it came out. */
        broker_note(opening->broker, status, what);
    opening->broker->pending--;
    partition->next_offset = opening->end;
    free(opening);
    partition_opened(partition, kafka_error_of(status));
    topic_unref(partition->topic);
}

static bool replay(struct opening *opening, const struct weir_batch *batch)
{
    struct partition *partition = opening->partition;
    struct batch_header header;
    struct producer_claim claim;

    partition->unsaved_batches++;
    partition->unsaved_bytes += batch->len;
    opening->next = batch->base_offset + batch->count;
    if (!batch_read(&header, batch->data, batch->len) || header.producer_id < 0)
        return true;
    claim = (struct producer_claim){header.producer_id, header.producer_epoch,
                                    header.base_sequence, header.count};
    return producers_replay(&partition->producers, &claim,
                            (int64_t)batch->base_offset, broker_wall_ms());
}

static void scanned(struct weir_req *req, int status)
{
    struct opening *opening = req->ctx;
    uint64_t before = opening->next;
    bool ok = true;
    size_t i;

    if (status == WEIR_ECORRUPT) {
        /* What lies before and behind the damage can still be used.  Only
         * retries of batches near it are not recognised any more. */
        log_line(WEIR_LOG_ERROR, "%s: cannot rebuild producers: %s",
                 opening->name, opening->err.text);
        finish(opening, 0, "");
        return;
    }
    if (status != 0) {
        finish(opening, status, "read");
        return;
    }
    for (i = 0; i < opening->fetch.count && ok; i++)
        ok = replay(opening, &opening->fetch.batches[i]);
    weir_fetch_release(&opening->fetch);
    if (!ok)
        finish(opening, WEIR_ENOMEM, "replay");
    else if (opening->next == before)
        finish(opening, 0, "");
    else
        scan(opening);
}

static void scan(struct opening *opening)
{
    int status;

    if (opening->next >= opening->end) {
        finish(opening, 0, "");
        return;
    }
    memset(&opening->fetch, 0, sizeof(opening->fetch));
    opening->fetch.req.done = scanned;
    opening->fetch.req.ctx = opening;
    opening->fetch.req.err = &opening->err;
    opening->fetch.offset = opening->next;
    opening->fetch.max_bytes = SCAN_BYTES;
    status = weir_fetch(opening->partition->stream, &opening->fetch);
    if (status != 0)
        finish(opening, status, "read");
}

static int snapshot_found(struct weir_kv_get *get,
                          const struct weir_kv_pair *pair)
{
    struct opening *opening = get->req.ctx;
    int64_t next = 0;

    if (producers_load(&opening->partition->producers, pair->value, pair->len,
                       &next) &&
        (uint64_t)next > opening->next)
        opening->next = (uint64_t)next;
    return 0;
}

static void snapshot_read(struct weir_req *req, int status)
{
    struct opening *opening = req->ctx;

    if (status != 0 && status != WEIR_ENOENT)
        finish(opening, status, "load producers");
    else
        scan(opening);
}

static void opened(struct weir_req *req, int status)
{
    struct opening *opening = req->ctx;
    struct partition *partition = opening->partition;
    struct weir_stream_stat stat;
    char key[PARTITION_NAME_MAX];

    if (status == 0) {
        partition->stream = opening->open.stream;
        status = weir_stream_stat(partition->stream, &stat);
    }
    if (status != 0) {
        finish(opening, status, "open");
        return;
    }
    opening->next = stat.start;
    opening->end = stat.end;
    partition->unsaved_batches = 0;
    partition->unsaved_bytes = 0;
    if (stat.start == stat.end) {
        finish(opening, 0, "");
        return;
    }
    partition_producers_key(partition, key);
    memcpy(opening->name, key, sizeof(key));
    opening->get.req.done = snapshot_read;
    opening->get.req.ctx = opening;
    opening->get.req.err = &opening->err;
    opening->get.key = opening->name;
    opening->get.pair = snapshot_found;
    status = weir_kv_get(opening->broker->node, &opening->get);
    if (status != 0)
        finish(opening, status, "load producers");
}

void partition_open(struct partition *partition)
{
    struct opening *opening = calloc(1, sizeof(*opening));
    int status;

    if (opening == NULL) {
        partition_opened(partition, kafka_error_of(WEIR_ENOMEM));
        return;
    }
    opening->partition = partition;
    opening->broker = partition->topic->broker;
    opening->broker->pending++;
    topic_ref(partition->topic);
    partition_stream_name(partition, opening->name);
    opening->open.req.done = opened;
    opening->open.req.ctx = opening;
    opening->open.req.err = &opening->err;
    opening->open.name = opening->name;
    opening->open.flags = WEIR_STREAM_CREATE;
    status = weir_stream_open(opening->broker->node, &opening->open);
    if (status != 0)
        finish(opening, status, "open");
}
