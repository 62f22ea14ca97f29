/* SPDX-License-Identifier: Apache-2.0 */
/* The response to a fetch: of each batch the first bytes are written anew, the
 * rest goes out from where the library has it. */
#include "fetch.h"
#include "record_batch.h"

static void write_records(struct wire_out *out, const struct fetch_part *part)
{
    const struct weir_batch *batch;
    unsigned char patch[BATCH_PATCH];
    size_t i;

    out_bytes_length(out, part->bytes);
    for (i = 0; i < part->taken; i++) {
        batch = &part->read.batches[i];
        batch_patch(patch, batch->data, batch->base_offset);
        out_raw(out, patch, sizeof(patch));
        out_splice(out, (const unsigned char *)batch->data + sizeof(patch),
                   batch->len - sizeof(patch));
    }
}

static void write_part(struct wire_out *out, const struct fetch_part *part,
                       const struct fetch *fetch)
{
    int16_t version = fetch->request->header.version;
    bool known = part->error == 0;

    out_i32(out, part->from->index);
    out_i16(out, part->error);
    out_i64(out, known ? (int64_t)part->end : -1);
    out_i64(out, known ? (int64_t)part->end : -1); /* Last stable offset. */
    if (version >= 5)
        out_i64(out, known ? (int64_t)part->start : -1);
    /* Aborted transactions: none, or not asked for. */
    out_array(out, fetch->body.isolation == 1 ? 0 : -1);
    if (version >= 11)
        out_i32(out, -1); /* Preferred replica. */
    write_records(out, part);
    out_tags(out);
}

void fetch_respond(struct fetch *fetch, int16_t error)
{
    struct request *request = fetch->request;
    struct wire_out *out = &request->out;
    int16_t version = request->header.version;
    const struct fetch_part *part = fetch->parts;
    const struct fetch_topic *topic;
    int32_t t, p;

    out_i32(out, 0);
    if (version >= 7) {
        out_i16(out, error);
        out_i32(out, 0); /* No session: every fetch says all it wants. */
    }
    out_array(out, error != 0 ? 0 : fetch->body.count);
    for (t = 0; error == 0 && t < fetch->body.count; t++) {
        topic = &fetch->body.topics[t];
        if (version >= 13)
            out_uuid(out, &topic->topic.id);
        else
            out_text(out, topic->topic.name.data,
                     (size_t)topic->topic.name.len);
        out_array(out, topic->count);
        for (p = 0; p < topic->count; p++)
            write_part(out, part++, fetch);
        out_tags(out);
    }
    out_tags(out);
}
