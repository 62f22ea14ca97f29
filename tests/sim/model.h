/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What streams must hold: a plain model beside the core under test.  It
 * keeps no payloads: a batch's bytes follow from its number, which is at
 * their beginning if there is room, so that a batch that turns up anywhere
 * is recognised and checked byte for byte.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <weir.h>

enum { MODEL_STREAMS = 6, MODEL_TEXT = 512 };
/** Bytes of the longest batch. */
enum { MODEL_LONGEST = 200 * 1024 };

/** What is known of a batch. */
enum batch_fate {
    BATCH_PENDING, /* Under way. */
    BATCH_ACKED,   /* Acknowledged, or seen: must stay. */
    BATCH_UNKNOWN, /* May be there or not. */
    BATCH_GONE     /* Certainly not there: must never be seen. */
};

struct batch {
    uint64_t base; /* ACKED only. */
    int64_t timestamp;
    size_t len;
    uint32_t count;
    uint32_t stream;
    enum batch_fate fate;
    int seen; /* By the check that is under way. */
};

/** What is known of a stream. */
struct model_stream {
    char name[32];
    uint32_t owner;     /* Number of its node in the scenario. */
    int exists;         /* 1: yes.  0: no.  -1: not known. */
    uint64_t id;        /* Of this life of the name; 0: none. */
    uint64_t start;     /* Acknowledged. */
    uint64_t start_max; /* Farthest that a trim may have moved it. */
    uint64_t end;       /* Behind the last acknowledged batch. */
};

struct weir_sim;

struct model {
    struct model_stream streams[MODEL_STREAMS];
    struct batch *batches; /* By number. */
    size_t count;
    size_t capacity;
    char failure[MODEL_TEXT]; /* The first breach, or "". */
    struct weir_sim *sim;     /* Its trace is told; may be NULL. */
};

void model_free(struct model *model);
/** Note a breach; the first one stays. */
void model_fail(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** A new batch of a stream, pending; its number. */
size_t model_batch(struct model *model, uint32_t stream, size_t len,
                   uint32_t count);
/** Write its payload. */
void model_fill(const struct model *model, size_t number, unsigned char *to);

/** The append of a batch has ended with `status`, at offset `base`. */
void model_appended(struct model *model, size_t number, int status,
                    uint64_t base);
/** A node has crashed: what was under way on its streams is unknown. */
void model_crashed(struct model *model, uint32_t owner);
/** The stream is gone, with all that was in it. */
void model_deleted(struct model *model, uint32_t stream);

/** A batch was fetched: is it one that may be here?  Its number, or SIZE_MAX
 * after a breach. */
size_t model_check(struct model *model, uint32_t stream,
                   const struct weir_batch *batch);

/** A stream was read from its start to its end: first `begin`, then
 * `seen` for each batch, then `end`. */
void model_read_begin(struct model *model, uint32_t stream);
void model_read_seen(struct model *model, uint32_t stream,
                     const struct weir_batch *batch);
void model_read_end(struct model *model, uint32_t stream, uint64_t start,
                    uint64_t end);

#endif
