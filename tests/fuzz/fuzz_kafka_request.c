/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Any bytes as a Kafka request: header, then the body of the API it names.
 */
#include <stdint.h>

#include "kafka/arena.h"
#include "kafka/requests.h"
#include "kafka/wire.h"

/* First flexible version of each API, as the protocol has it. */
static const struct {
    int16_t key, max, flexible;
} apis[] = {
    {0, 13, 9}, {1, 17, 12}, {2, 10, 6}, {3, 13, 9},
    {18, 4, 3}, {19, 7, 5},  {20, 6, 4}, {22, 5, 2},
};

static void read_body(int16_t key, int16_t version, struct wire_in *in)
{
    struct arena arena = {NULL, 0, 8u << 20};
    union {
        struct api_versions_request api_versions;
        struct metadata_request metadata;
        struct produce_request produce;
        struct fetch_request fetch;
        struct list_offsets_request list_offsets;
        struct create_topics_request create_topics;
        struct delete_topics_request delete_topics;
        struct init_producer_request init_producer;
    } body;

    switch (key) {
    case 0:
        read_produce(&body.produce, in, &arena, version);
        break;
    case 1:
        read_fetch(&body.fetch, in, &arena, version);
        break;
    case 2:
        read_list_offsets(&body.list_offsets, in, &arena, version);
        break;
    case 3:
        read_metadata(&body.metadata, in, &arena, version);
        break;
    case 18:
        read_api_versions(&body.api_versions, in, version);
        break;
    case 19:
        read_create_topics(&body.create_topics, in, &arena, version);
        break;
    case 20:
        read_delete_topics(&body.delete_topics, in, &arena, version);
        break;
    default:
        read_init_producer(&body.init_producer, in, version);
        break;
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_in in;
    int16_t key, version;
    size_t i;

    if (size == 0)
        return 0;
    in_begin(&in, data, size);
    key = in_i16(&in);
    version = in_i16(&in);
    in_i32(&in);
    in_nullable_text(&in);
    for (i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        if (apis[i].key != key || version < 0 || version > apis[i].max)
            continue;
        in.flexible = version >= apis[i].flexible;
        in_tags(&in);
        read_body(key, version, &in);
    }
    return 0;
}
