/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Kafka's primitive types, read from a request and written to a response.
 *
 * Each API has versions before and after it became "flexible": from then on
 * lengths are varints and every struct ends in a section of tagged fields.
 * Reader and writer know which it is, so that callers need not.
 *
 * Both keep their errors: after the first one the reader gives zeros and the
 * writer nothing, and `bad` tells at the end.
 */
#ifndef KAFKA_WIRE_H
#define KAFKA_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A string inside of a request; without a terminating zero. */
struct text {
    const char *data;
    int32_t len; /* -1: null. */
};

/** Topic ids, cluster ids. */
struct uuid {
    unsigned char bytes[16];
};

/** Bytes of a request that are still to be read. */
struct wire_in {
    const unsigned char *at, *end;
    bool flexible;
    bool bad;
};

/** Begin to read `len` bytes at `data`, which stay the caller's. */
void in_begin(struct wire_in *in, const void *data, size_t len);
/** How many bytes are left. */
size_t in_left(const struct wire_in *in);

int8_t in_i8(struct wire_in *in);
int16_t in_i16(struct wire_in *in);
int32_t in_i32(struct wire_in *in);
int64_t in_i64(struct wire_in *in);
bool in_bool(struct wire_in *in);
struct uuid in_uuid(struct wire_in *in);
/** At most 5 bytes. */
uint32_t in_uvarint(struct wire_in *in);
/** A zigzag number of at most 10 bytes. */
int64_t in_varlong(struct wire_in *in);

/** A string that is not null. */
struct text in_text(struct wire_in *in);
/** A string, or null. */
struct text in_nullable_text(struct wire_in *in);
/** Bytes; null gives a NULL in `*data`. */
size_t in_bytes(struct wire_in *in, const unsigned char **data);

/**
 * Number of elements of an array that follows.
 *
 * A number that cannot fit into what is left is an error, so the caller may
 * allocate by it.
 *
 * @param smallest  Bytes of the smallest possible element; at least 1.
 * @return the number; -1 for null, which is an error unless `nullable`.
 */
int32_t in_array(struct wire_in *in, size_t smallest, bool nullable);

/** Skip the section of tagged fields that ends a struct, if flexible. */
void in_tags(struct wire_in *in);

/** Foreign bytes that belong at a place of a response. */
struct wire_splice {
    size_t at; /* After so many bytes of the response's own. */
    const void *data;
    size_t len;
};

/** A response: its own bytes, and slices of fetches that are not copied. */
struct wire_out {
    unsigned char *data;
    size_t len, room;
    struct wire_splice *splices;
    size_t splice_count, splice_room;
    size_t spliced; /* Bytes in splices. */
    bool flexible;
    bool bad;
};

void out_i8(struct wire_out *out, int8_t v);
void out_i16(struct wire_out *out, int16_t v);
void out_i32(struct wire_out *out, int32_t v);
void out_i64(struct wire_out *out, int64_t v);
void out_bool(struct wire_out *out, bool v);
void out_uuid(struct wire_out *out, const struct uuid *v);
void out_uvarint(struct wire_out *out, uint32_t v);
/** A string of `len` bytes; NULL for null. */
void out_text(struct wire_out *out, const char *data, size_t len);
/** A string that ends in zero; NULL for null. */
void out_string(struct wire_out *out, const char *s);
/** Number of elements; -1 for null. */
void out_array(struct wire_out *out, int32_t count);
/** Length of bytes that the caller writes or splices afterwards. */
void out_bytes_length(struct wire_out *out, size_t len);
/** The bytes as they are. */
void out_raw(struct wire_out *out, const void *data, size_t len);
/** `data` belongs here; it must live until the response has been written. */
void out_splice(struct wire_out *out, const void *data, size_t len);
/** An empty section of tagged fields, if flexible. */
void out_tags(struct wire_out *out);
/** Free the bytes. */
void out_free(struct wire_out *out);

/** Is `text` the same as the string `s`? */
bool text_is(struct text text, const char *s);

#endif
