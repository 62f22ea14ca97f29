/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/sim.h>

enum { NUMBER_LEN = 8 };
/* The longest payload, and the text that it is a piece of. */
enum { REST_WORDS = MODEL_LONGEST / 8 + 1, TEXT_WORDS = REST_WORDS + 65536 };

static const char *const fates[] = {"pending", "acknowledged", "unknown",
                                    "gone"};

void model_free(struct model *model)
{
    free(model->batches);
}

void model_fail(struct model *model, const char *format, ...)
{
    va_list args;

    if (model->failure[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(model->failure, sizeof(model->failure), format, args);
    va_end(args);
    if (model->sim != NULL)
        weir_sim_trace(model->sim, "BREACH: %s", model->failure);
}

size_t model_batch(struct model *model, uint32_t stream, size_t len,
                   uint32_t count)
{
    if (model->count == model->capacity) {
        model->capacity = model->capacity > 0 ? model->capacity * 2 : 256;
        model->batches =
            realloc(model->batches, model->capacity * sizeof(*model->batches));
        if (model->batches == NULL)
            abort();
    }
    model->batches[model->count] = (struct batch){
        .len = len,
        .count = count,
        .stream = stream,
        .timestamp = (int64_t)model->count * 1000,
    };
    return model->count++;
}

/* ---- Payloads ------------------------------------------------------------ */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 29)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 32)) * 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 31);
}

/* Behind its number a payload is a piece of one of two long texts: from where
 * on depends on the number.  Every other batch compresses well. */
static const unsigned char *rest_of(size_t number)
{
    static uint64_t texts[2][TEXT_WORDS];
    size_t start = (size_t)(mix(number + 1) % (TEXT_WORDS - REST_WORDS));

    if (texts[0][0] == 0)
        for (size_t i = 0; i < TEXT_WORDS; i++) {
            texts[0][i] = ('a' + i / 2 % 26) * 0x0101010101010101u;
            texts[1][i] = mix(0x9e3779b97f4a7c15u + i);
        }
    return (const unsigned char *)&texts[number % 2][start];
}

void model_fill(const struct model *model, size_t number, unsigned char *to)
{
    size_t len = model->batches[number].len;
    size_t head = len < NUMBER_LEN ? len : NUMBER_LEN;
    uint64_t word = number;

    memcpy(to, &word, head);
    memcpy(to + head, rest_of(number), len - head);
}

/* A batch too short for its number is looked up by what is known of it. */
static size_t find_short(const struct model *model, uint32_t stream,
                         const struct weir_batch *batch)
{
    unsigned char expected[NUMBER_LEN];
    size_t found = SIZE_MAX;
    size_t i;

    for (i = 0; i < model->count; i++) {
        const struct batch *b = &model->batches[i];

        if (b->stream != stream || b->len != batch->len ||
            b->count != batch->count || b->timestamp != batch->max_timestamp)
            continue;
        model_fill(model, i, expected);
        if (memcmp(expected, batch->data, batch->len) == 0)
            found = i;
    }
    return found;
}

static int bytes_match(size_t number, const struct weir_batch *batch)
{
    return memcmp((const unsigned char *)batch->data + NUMBER_LEN,
                  rest_of(number), batch->len - NUMBER_LEN) == 0;
}

static size_t identify(struct model *model, uint32_t stream,
                       const struct weir_batch *batch)
{
    const struct batch *b;
    uint64_t number;

    if (batch->len < NUMBER_LEN)
        return find_short(model, stream, batch);
    memcpy(&number, batch->data, NUMBER_LEN);
    if (number >= model->count)
        return SIZE_MAX;
    b = &model->batches[number];
    if (b->stream != stream || b->len != batch->len ||
        b->count != batch->count || b->timestamp != batch->max_timestamp ||
        !bytes_match((size_t)number, batch))
        return SIZE_MAX;
    return (size_t)number;
}

/* ---- What happened ------------------------------------------------------- */

void model_appended(struct model *model, size_t number, int status,
                    uint64_t base)
{
    struct batch *b = &model->batches[number];
    struct model_stream *s = &model->streams[b->stream];

    if (b->fate == BATCH_GONE)
        return; /* Its stream was deleted meanwhile. */
    if (status == 0) {
        if (base != s->end)
            model_fail(model,
                       "%s: batch %zu was acknowledged at offset %" PRIu64
                       ", the stream's end is %" PRIu64,
                       s->name, number, base, s->end);
        if (b->fate == BATCH_ACKED && b->base != base)
            model_fail(model,
                       "%s: batch %zu was acknowledged at offset %" PRIu64
                       ", but read at %" PRIu64,
                       s->name, number, base, b->base);
        b->fate = BATCH_ACKED;
        b->base = base;
        s->end = base + b->count;
    } else if (b->fate == BATCH_ACKED) {
        model_fail(model, "%s: batch %zu was read, then failed with %s",
                   s->name, number, weir_error_name(status));
    } else {
        b->fate = weir_error_class(status) == WEIR_CLASS_UNKNOWN ? BATCH_UNKNOWN
                                                                 : BATCH_GONE;
    }
}

void model_crashed(struct model *model, uint32_t owner)
{
    size_t i;

    for (i = 0; i < model->count; i++) {
        struct batch *b = &model->batches[i];

        if (b->fate == BATCH_PENDING &&
            model->streams[b->stream].owner == owner)
            b->fate = BATCH_UNKNOWN;
    }
}

void model_deleted(struct model *model, uint32_t stream)
{
    struct model_stream *s = &model->streams[stream];
    size_t i;

    for (i = 0; i < model->count; i++)
        if (model->batches[i].stream == stream)
            model->batches[i].fate = BATCH_GONE;
    s->exists = 0;
    s->id = 0;
    s->start = s->start_max = s->end = 0;
}

size_t model_check(struct model *model, uint32_t stream,
                   const struct weir_batch *batch)
{
    struct model_stream *s = &model->streams[stream];
    size_t number = identify(model, stream, batch);
    struct batch *b;

    if (number == SIZE_MAX) {
        model_fail(model,
                   "%s: offset %" PRIu64 ": %zu bytes that were never appended "
                   "there",
                   s->name, batch->base_offset, batch->len);
        return SIZE_MAX;
    }
    b = &model->batches[number];
    if (b->fate == BATCH_GONE ||
        (b->fate == BATCH_ACKED && b->base != batch->base_offset)) {
        model_fail(
            model,
            "%s: batch %zu, %s, base %" PRIu64 ", was read at offset %" PRIu64,
            s->name, number, fates[b->fate], b->base, batch->base_offset);
        return SIZE_MAX;
    }
    return number;
}

/* ---- A stream read as a whole -------------------------------------------- */

void model_read_begin(struct model *model, uint32_t stream)
{
    size_t i;

    for (i = 0; i < model->count; i++)
        if (model->batches[i].stream == stream)
            model->batches[i].seen = 0;
}

void model_read_seen(struct model *model, uint32_t stream,
                     const struct weir_batch *batch)
{
    size_t number = model_check(model, stream, batch);
    struct batch *b;

    if (number == SIZE_MAX)
        return;
    b = &model->batches[number];
    if (b->seen)
        model_fail(model, "%s: batch %zu comes twice",
                   model->streams[stream].name, number);
    b->seen = 1;
    b->base = batch->base_offset;
}

static void settle(struct model *model, size_t number, uint64_t start)
{
    struct batch *b = &model->batches[number];

    if (b->seen) {
        b->fate = BATCH_ACKED; /* Whoever has read it may rely on it. */
    } else if (b->fate == BATCH_ACKED && b->base + b->count > start) {
        model_fail(model,
                   "%s: batch %zu, acknowledged at offset %" PRIu64
                   ", is not there",
                   model->streams[b->stream].name, number, b->base);
    } else if (b->fate == BATCH_UNKNOWN) {
        b->fate = BATCH_GONE; /* It cannot come any more. */
    }
}

void model_read_end(struct model *model, uint32_t stream, uint64_t start,
                    uint64_t end)
{
    struct model_stream *s = &model->streams[stream];
    size_t i;

    if (start < s->start || start > s->start_max)
        model_fail(model,
                   "%s: starts at %" PRIu64 ", must be %" PRIu64 " to %" PRIu64,
                   s->name, start, s->start, s->start_max);
    if (end < s->end)
        model_fail(model, "%s: ends at %" PRIu64 ", must be at least %" PRIu64,
                   s->name, end, s->end);
    for (i = 0; i < model->count; i++)
        if (model->batches[i].stream == stream)
            settle(model, i, start);
    s->start = s->start_max = start;
    s->end = end;
}
