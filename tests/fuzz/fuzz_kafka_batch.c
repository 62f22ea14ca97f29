/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Any bytes as a record batch.  Length and checksum are mended first, so
 * that what comes behind them is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/bytes.h"
#include "kafka/crc32c.h"
#include "kafka/producers.h"
#include "kafka/record_batch.h"

static void as_batch(unsigned char *data, size_t size)
{
    struct batch_rules rules = {1u << 20, INT64_MAX, 9, true, 1u << 20};
    struct batch_header header;
    const char *text;

    if (size >= BATCH_HEADER) {
        memset(data, 0, 8);
        store_be32(data + 8, (uint32_t)(size - BATCH_OVERHEAD));
        data[16] = 2;
        store_be32(data + 17, crc32c(data + 21, size - 21));
    }
    if (batch_validate(&header, data, size, &rules, &text) == 0)
        batch_set_append_time(data, size, 1);
}

static void as_snapshot(const unsigned char *data, size_t size)
{
    struct producers producers = {.max = 16, .expiration = 1};
    int64_t next;

    producers_load(&producers, data, size, &next);
    producers_clear(&producers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *copy = malloc(size + 1);

    if (copy == NULL || size == 0) {
        free(copy);
        return 0;
    }
    memcpy(copy, data, size);
    as_snapshot(copy, size);
    as_batch(copy, size);
    free(copy);
    return 0;
}
