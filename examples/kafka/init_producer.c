/* SPDX-License-Identifier: Apache-2.0 */
/* InitProducerId: an id for an idempotent producer. */
#include "broker.h"
#include "kafka_error.h"
#include "request.h"
#include "requests.h"

/** A request for an id. */
struct init {
    struct producer_id_wait wait;
    struct request *request;
};

static void respond(struct request *request, int64_t id, int16_t error)
{
    struct wire_out *out = &request->out;

    out_i32(out, 0);
    out_i16(out, error);
    out_i64(out, id);
    out_i16(out, error == 0 ? 0 : -1);
    out_tags(out);
    request_finish(request);
}

static void id_ready(struct producer_id_wait *wait, int64_t id, int16_t error)
{
    respond(container_of(wait, struct init, wait)->request, id, error);
}

void handle_init_producer(struct request *request)
{
    struct init *init = request_take(request, 1, sizeof(*init));
    struct init_producer_request body;

    if (init == NULL ||
        !read_init_producer(&body, &request->in, request->header.version)) {
        request_refuse(request);
        return;
    }
    if (body.transactional_id.len >= 0) {
        /* There are no transactions; clients find that out earlier, from the
         * table of versions. */
        respond(request, -1, KAFKA_INVALID_REQUEST);
        return;
    }
    init->request = request;
    init->wait.ready = id_ready;
    producer_ids_take(&request->broker->producer_ids, &init->wait);
}
