/* SPDX-License-Identifier: Apache-2.0 */
/* Fetch: its start, its waiting and its end. */
#include "fetch.h"

#include <stdlib.h>

#include "kafka_error.h"

/* ---- The end ------------------------------------------------------------- */

void fetch_release_reads(struct fetch *fetch)
{
    size_t i;

    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].held)
            weir_fetch_release(&fetch->parts[i].read);
        fetch->parts[i].held = false;
        fetch->parts[i].taken = 0;
        fetch->parts[i].bytes = 0;
    }
}

static void give_memory(struct fetch *fetch)
{
    budget_leave(&fetch->request->broker->memory, &fetch->memory);
    budget_give(&fetch->request->broker->memory, fetch->reserved);
    fetch->reserved = 0;
}

/* The response was sent: its batches are not needed any more. */
static void fetch_release(struct request *request)
{
    struct fetch *fetch = request->state;
    size_t i;

    fetch_release_reads(fetch);
    give_memory(fetch);
    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].topic != NULL)
            topic_unref(fetch->parts[i].topic);
    }
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stop_waiting(struct fetch *fetch)
{
    size_t i;

    if (fetch->timer != NULL)
        uv_close((uv_handle_t *)fetch->timer, timer_closed);
    fetch->timer = NULL;
    for (i = 0; i < fetch->count; i++)
        list_remove(&fetch->parts[i].watch.link);
    list_remove(&fetch->memory.link);
}

static void end(struct fetch *fetch, int16_t error)
{
    stop_waiting(fetch);
    fetch->phase = FETCH_DONE;
    fetch_respond(fetch, error);
    /* From here on the budget has what the response really holds. */
    if (fetch->reserved > fetch->bytes) {
        budget_give(&fetch->request->broker->memory,
                    fetch->reserved - fetch->bytes);
        fetch->reserved = fetch->bytes;
    }
    request_finish(fetch->request);
}

/* ---- Waiting --------------------------------------------------------------
 */

static bool enough(const struct fetch *fetch, size_t bytes)
{
    return bytes >= (size_t)fetch->body.min_bytes;
}

static uint64_t now_ms(const struct fetch *fetch)
{
    return uv_now(&fetch->request->broker->loop);
}

static void timed_out(uv_timer_t *timer)
{
    struct fetch *fetch = timer->data;

    /* While it reads it will look at the clock afterwards. */
    if (fetch->phase == FETCH_WAITING)
        end(fetch, 0);
}

static void woken(struct partition_watch *watch, size_t bytes, int16_t error)
{
    struct fetch_part *part = container_of(watch, struct fetch_part, watch);
    struct fetch *fetch = part->fetch;

    fetch->arrived += bytes;
    if (error != 0 && part->error == 0) {
        part->error = error;
        fetch->failed = true;
    }
    if (fetch->phase == FETCH_WAITING &&
        (fetch->failed || enough(fetch, fetch->bytes + fetch->arrived)))
        fetch_read_all(fetch);
}

static void park(struct fetch *fetch)
{
    uint64_t now = now_ms(fetch);

    fetch_release_reads(fetch);
    give_memory(fetch);
    fetch->phase = FETCH_WAITING;
    if (fetch->timer != NULL)
        return;
    fetch->timer = malloc(sizeof(*fetch->timer));
    if (fetch->timer == NULL) {
        end(fetch, 0);
        return;
    }
    uv_timer_init(&fetch->request->broker->loop, fetch->timer);
    fetch->timer->data = fetch;
    uv_timer_start(fetch->timer, timed_out, fetch->deadline - now, 0);
}

void fetch_look(struct fetch *fetch)
{
    if (fetch->failed || fetch->cancelled || enough(fetch, fetch->bytes) ||
        now_ms(fetch) >= fetch->deadline)
        end(fetch, 0);
    else if (enough(fetch, fetch->bytes + fetch->arrived))
        fetch_read_all(fetch);
    else
        park(fetch);
}

/* ---- The start ------------------------------------------------------------
 */

static void opened(struct fetch *fetch)
{
    size_t i;

    if (--fetch->opening > 0)
        return;
    for (i = 0; i < fetch->count; i++) {
        if (fetch->parts[i].error == 0)
            list_append(&fetch->parts[i].partition->watching,
                        &fetch->parts[i].watch.link);
    }
    fetch_read_all(fetch);
}

void fetch_fail_part(struct fetch_part *part, int16_t error)
{
    part->error = error;
    part->fetch->failed = true;
}

static void part_ready(struct partition_wait *wait, int16_t error)
{
    struct fetch_part *part = container_of(wait, struct fetch_part, wait);

    if (error != 0)
        fetch_fail_part(part, error);
    opened(part->fetch);
}

static void part_start(struct fetch_part *part, const struct fetch_topic *topic)
{
    struct fetch *fetch = part->fetch;
    struct topics *topics = &fetch->request->broker->topics;

    list_init(&part->watch.link);
    list_init(&part->wait.link);
    part->watch.woken = woken;
    part->wait.ready = part_ready;
    part->topic = topics_find_ref(topics, topic->topic.name, &topic->topic.id);
    if (part->topic == NULL) {
        fetch_fail_part(part, topic->topic.name.len < 0
                                  ? KAFKA_UNKNOWN_TOPIC_ID
                                  : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    topic_ref(part->topic);
    if (part->from->index < 0 || part->from->index >= part->topic->count) {
        fetch_fail_part(part, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    if (part->from->leader_epoch > 0) {
        fetch_fail_part(part, KAFKA_UNKNOWN_LEADER_EPOCH);
        return;
    }
    part->partition = &part->topic->partitions[part->from->index];
    fetch->opening++;
    partition_use(part->partition, &part->wait);
}

/* The connection is gone, or the server stops. */
static void cancel(struct request *request)
{
    struct fetch *fetch = request->state;

    fetch->cancelled = true;
    if (fetch->phase == FETCH_WAITING || !list_empty(&fetch->memory.link))
        end(fetch, 0);
}

static void memory_freed(struct budget_wait *wait)
{
    fetch_read_all(container_of(wait, struct fetch, memory));
}

static void clamp(struct fetch_request *body)
{
    int32_t t, p;

    if (body->max_bytes < 0)
        body->max_bytes = 0;
    if (body->min_bytes > body->max_bytes)
        body->min_bytes = body->max_bytes;
    if (body->min_bytes < 0)
        body->min_bytes = 0;
    for (t = 0; t < body->count; t++) {
        for (p = 0; p < body->topics[t].count; p++) {
            if (body->topics[t].partitions[p].max_bytes < 0)
                body->topics[t].partitions[p].max_bytes = 0;
        }
    }
}

static int16_t check_session(const struct fetch_request *body)
{
    if (body->session_id != 0)
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    return body->session_epoch > 0 ? KAFKA_INVALID_FETCH_SESSION_EPOCH : 0;
}

static void start(struct fetch *fetch)
{
    struct request *request = fetch->request;
    struct fetch_part *part = fetch->parts;
    int32_t t, p;

    fetch->deadline =
        now_ms(fetch) +
        (fetch->body.max_wait_ms > 0 ? (uint64_t)fetch->body.max_wait_ms : 0);
    if (fetch->count == 0)
        fetch->deadline = 0;
    fetch->phase = FETCH_OPENING;
    fetch->opening = 1;
    list_init(&fetch->memory.link);
    fetch->memory.retry = memory_freed;
    request->release = fetch_release;
    request->cancel = cancel;
    for (t = 0; t < fetch->body.count; t++) {
        for (p = 0; p < fetch->body.topics[t].count; p++) {
            part->fetch = fetch;
            part->from = &fetch->body.topics[t].partitions[p];
            part_start(part++, &fetch->body.topics[t]);
        }
    }
    opened(fetch);
}

void handle_fetch(struct request *request)
{
    struct fetch *fetch = request_take(request, 1, sizeof(*fetch));
    int16_t error;

    if (fetch == NULL ||
        !read_fetch(&fetch->body, &request->in, &request->arena,
                    request->header.version)) {
        request_refuse(request);
        return;
    }
    fetch->request = request;
    request->state = fetch;
    error = check_session(&fetch->body);
    if (error != 0) {
        list_init(&fetch->memory.link);
        end(fetch, error);
        return;
    }
    clamp(&fetch->body);
    fetch->count = (size_t)fetch->body.partitions;
    fetch->parts =
        request_take(request, fetch->count + 1, sizeof(*fetch->parts));
    if (fetch->parts == NULL) {
        fetch->count = 0;
        request_refuse(request);
        return;
    }
    start(fetch);
}
