/* SPDX-License-Identifier: Apache-2.0 */
/* The table of APIs, and what looks at it. */
#include <ctype.h>

#include "kafka_error.h"
#include "request.h"
#include "requests.h"

#define API_VERSIONS 18

/* Produce is advertised from version 0, though 3 is the oldest that is
 * served: librdkafka up to 2.11 takes a broker without version 0 for one that
 * cannot take compressed batches. */
static const struct api table[] = {
    {0, 0, 13, 3, 9, "Produce", handle_produce},
    {1, 4, 17, 4, 12, "Fetch", handle_fetch},
    {2, 1, 10, 1, 6, "ListOffsets", handle_list_offsets},
    {3, 0, 13, 0, 9, "Metadata", handle_metadata},
    {API_VERSIONS, 0, 4, 0, 3, "ApiVersions", handle_api_versions},
    {19, 0, 7, 0, 5, "CreateTopics", handle_create_topics},
    {20, 0, 6, 0, 4, "DeleteTopics", handle_delete_topics},
    {22, 0, 5, 0, 2, "InitProducerId", handle_init_producer},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

bool request_read_header(struct request_header *out, struct wire_in *in)
{
    int16_t key = in_i16(in);
    size_t i;

    out->api = NULL;
    out->version = in_i16(in);
    out->correlation = in_i32(in);
    out->too_new = false;
    for (i = 0; i < COUNT && out->api == NULL; i++) {
        if (table[i].key == key)
            out->api = &table[i];
    }
    if (in->bad || out->api == NULL || out->version < out->api->served)
        return false;
    if (out->version > out->api->max) {
        /* Its header may be of a form that is not known either. */
        out->too_new = key == API_VERSIONS;
        return out->too_new;
    }
    in_nullable_text(in); /* Client id: in the old form in every version. */
    in->flexible = out->version >= out->api->flexible;
    in_tags(in);
    return !in->bad;
}

/* [a-zA-Z0-9]([a-zA-Z0-9-.]*[a-zA-Z0-9])? */
static bool software_valid(struct text text)
{
    int32_t i;

    if (text.len < 1 || !isalnum((unsigned char)text.data[0]) ||
        !isalnum((unsigned char)text.data[text.len - 1]))
        return false;
    for (i = 0; i < text.len; i++) {
        if (!isalnum((unsigned char)text.data[i]) && text.data[i] != '-' &&
            text.data[i] != '.')
            return false;
    }
    return true;
}

static void write_table(struct wire_out *out)
{
    size_t i;

    out_array(out, (int32_t)COUNT);
    for (i = 0; i < COUNT; i++) {
        out_i16(out, table[i].key);
        out_i16(out, table[i].min);
        out_i16(out, table[i].max);
        out_tags(out);
    }
}

void handle_api_versions(struct request *request)
{
    struct wire_out *out = &request->out;
    int16_t version = request->header.version, error = 0;
    struct api_versions_request body;

    if (request->header.too_new) {
        /* In the form of version 0, which every client can read. */
        version = 0;
        error = KAFKA_UNSUPPORTED_VERSION;
    } else if (!read_api_versions(&body, &request->in, version)) {
        request_refuse(request);
        return;
    } else if (version >= 3 && (!software_valid(body.software_name) ||
                                !software_valid(body.software_version))) {
        error = KAFKA_INVALID_REQUEST;
    }
    out->flexible = version >= 3;
    out_i16(out, error);
    write_table(out);
    if (version >= 1)
        out_i32(out, 0);
    out_tags(out);
    request_finish(request);
}
