/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program: open a node, append a record, read it back. */
#include <stdio.h>
#include <weir.h>

int main(void)
{
    struct weir_error err = {0};
    struct weir_stream_open open = {
        .req.err = &err, .name = "greetings", .flags = WEIR_STREAM_CREATE};
    struct weir_append hello = {.req.err = &err,
                                .data = "hello",
                                .len = 5,
                                .count = 1,
                                .max_timestamp = WEIR_NO_TIMESTAMP};
    struct weir_fetch fetch = {.req.err = &err, .max_bytes = 1 << 20};
    struct weir_config *config = NULL;
    struct weir *node = NULL;
    int ok = weir_config_new(&config, NULL) == 0 &&
             weir_config_set(config, "store", "dir:hello-data", &err) == 0 &&
             weir_config_set(config, "wal", "file:hello-wal", &err) == 0 &&
             weir_open(&node, config, &err) == 0 &&
             weir_stream_open_sync(node, &open) == 0 &&
             weir_append_sync(open.stream, &hello) == 0; /* It is durable. */

    fetch.offset = hello.base_offset;
    if (ok && (ok = weir_fetch_sync(open.stream, &fetch) == 0))
        printf("offset %llu: %.*s\n", (unsigned long long)fetch.offset,
               (int)fetch.batches[0].len, (const char *)fetch.batches[0].data);
    else
        fprintf(stderr, "%s: %s\n", weir_error_name(err.code), err.text);
    weir_fetch_release(&fetch);
    weir_free(node);
    weir_config_free(config);
    return !ok;
}
