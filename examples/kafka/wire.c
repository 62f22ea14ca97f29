/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

/* No client sends more than two or three. */
#define TAGS_MAX 64u
#define TEXT_MAX 32767u
/* A response's length is an int32. */
#define OUT_MAX ((size_t)INT32_MAX)

void in_begin(struct wire_in *in, const void *data, size_t len)
{
    in->at = data;
    in->end = in->at + len;
    in->flexible = false;
    in->bad = false;
}

size_t in_left(const struct wire_in *in)
{
    return (size_t)(in->end - in->at);
}

static void in_fail(struct wire_in *in)
{
    in->bad = true;
    in->at = in->end;
}

/* The next `len` bytes, or NULL if there are not so many. */
static const unsigned char *in_take(struct wire_in *in, size_t len)
{
    const unsigned char *at = in->at;

    if (len > in_left(in)) {
        in_fail(in);
        return NULL;
    }
    in->at += len;
    return at;
}

int8_t in_i8(struct wire_in *in)
{
    const unsigned char *at = in_take(in, 1);

    return at == NULL ? 0 : (int8_t)at[0];
}

int16_t in_i16(struct wire_in *in)
{
    const unsigned char *at = in_take(in, 2);

    return at == NULL ? 0 : (int16_t)load_be16(at);
}

int32_t in_i32(struct wire_in *in)
{
    const unsigned char *at = in_take(in, 4);

    return at == NULL ? 0 : (int32_t)load_be32(at);
}

int64_t in_i64(struct wire_in *in)
{
    const unsigned char *at = in_take(in, 8);

    return at == NULL ? 0 : (int64_t)load_be64(at);
}

bool in_bool(struct wire_in *in)
{
    return in_i8(in) != 0;
}

struct uuid in_uuid(struct wire_in *in)
{
    const unsigned char *at = in_take(in, sizeof(struct uuid));
    struct uuid v = {{0}};

    if (at != NULL)
        memcpy(v.bytes, at, sizeof(v.bytes));
    return v;
}

static uint64_t in_varint(struct wire_in *in, unsigned bytes)
{
    const unsigned char *at;
    uint64_t v = 0;
    unsigned i;

    for (i = 0; i < bytes; i++) {
        at = in_take(in, 1);
        if (at == NULL)
            return 0;
        v |= (uint64_t)(at[0] & 0x7f) << (7 * i);
        if (at[0] < 0x80)
            return v;
    }
    in_fail(in);
    return 0;
}

uint32_t in_uvarint(struct wire_in *in)
{
    uint64_t v = in_varint(in, 5);

    if (v > UINT32_MAX) {
        in_fail(in);
        return 0;
    }
    return (uint32_t)v;
}

int64_t in_varlong(struct wire_in *in)
{
    uint64_t v = in_varint(in, 10);

    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* A length; -1 for null. */
static int64_t in_length(struct wire_in *in, bool is_short)
{
    if (in->flexible)
        return (int64_t)in_uvarint(in) - 1;
    return is_short ? in_i16(in) : in_i32(in);
}

struct text in_nullable_text(struct wire_in *in)
{
    int64_t len = in_length(in, true);
    struct text text = {NULL, -1};

    if (in->bad || len == -1)
        return text;
    if (len < 0 || len > (int64_t)TEXT_MAX) {
        in_fail(in);
        return text;
    }
    text.data = (const char *)in_take(in, (size_t)len);
    if (text.data != NULL)
        text.len = (int32_t)len;
    return text;
}

struct text in_text(struct wire_in *in)
{
    struct text text = in_nullable_text(in);

    if (text.len < 0) {
        in_fail(in);
        text.data = "";
        text.len = 0;
    }
    return text;
}

size_t in_bytes(struct wire_in *in, const unsigned char **data)
{
    int64_t len = in_length(in, false);

    *data = NULL;
    if (in->bad || len == -1)
        return 0;
    if (len < 0) {
        in_fail(in);
        return 0;
    }
    *data = in_take(in, (size_t)len);
    return *data == NULL ? 0 : (size_t)len;
}

int32_t in_array(struct wire_in *in, size_t smallest, bool nullable)
{
    int64_t count = in_length(in, false);

    if (in->bad)
        return 0;
    if (count == -1 && nullable)
        return -1;
    if (count < 0 || (uint64_t)count > in_left(in) / smallest) {
        in_fail(in);
        return 0;
    }
    return (int32_t)count;
}

void in_tags(struct wire_in *in)
{
    uint32_t count, tag, i;
    int64_t last = -1;

    if (!in->flexible)
        return;
    count = in_uvarint(in);
    if (count > TAGS_MAX) {
        in_fail(in);
        return;
    }
    for (i = 0; i < count && !in->bad; i++) {
        tag = in_uvarint(in);
        if ((int64_t)tag <= last)
            in_fail(in);
        last = tag;
        in_take(in, in_uvarint(in));
    }
}

/* Room for `len` more bytes, or NULL. */
static unsigned char *out_reserve(struct wire_out *out, size_t len)
{
    unsigned char *data;
    size_t room;

    if (out->bad || len > OUT_MAX - out->len) {
        out->bad = true;
        return NULL;
    }
    if (len > out->room - out->len) {
        room = out->room < 256 ? 256 : out->room * 2;
        if (room < out->len + len)
            room = out->len + len;
        data = realloc(out->data, room);
        if (data == NULL) {
            out->bad = true;
            return NULL;
        }
        out->data = data;
        out->room = room;
    }
    data = out->data + out->len;
    out->len += len;
    return data;
}

void out_raw(struct wire_out *out, const void *data, size_t len)
{
    unsigned char *at = out_reserve(out, len);

    if (at != NULL && len > 0)
        memcpy(at, data, len);
}

void out_i8(struct wire_out *out, int8_t v)
{
    out_raw(out, &v, 1);
}

void out_i16(struct wire_out *out, int16_t v)
{
    unsigned char *at = out_reserve(out, 2);

    if (at != NULL)
        store_be16(at, (uint16_t)v);
}

void out_i32(struct wire_out *out, int32_t v)
{
    unsigned char *at = out_reserve(out, 4);

    if (at != NULL)
        store_be32(at, (uint32_t)v);
}

void out_i64(struct wire_out *out, int64_t v)
{
    unsigned char *at = out_reserve(out, 8);

    if (at != NULL)
        store_be64(at, (uint64_t)v);
}

void out_bool(struct wire_out *out, bool v)
{
    out_i8(out, v ? 1 : 0);
}

void out_uuid(struct wire_out *out, const struct uuid *v)
{
    out_raw(out, v->bytes, sizeof(v->bytes));
}

void out_uvarint(struct wire_out *out, uint32_t v)
{
    unsigned char bytes[5];
    size_t len = 0;

    while (v >= 0x80) {
        bytes[len++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    bytes[len++] = (unsigned char)v;
    out_raw(out, bytes, len);
}

void out_text(struct wire_out *out, const char *data, size_t len)
{
    if (len > TEXT_MAX)
        len = TEXT_MAX;
    if (out->flexible)
        out_uvarint(out, data == NULL ? 0 : (uint32_t)len + 1);
    else
        out_i16(out, data == NULL ? -1 : (int16_t)len);
    if (data != NULL)
        out_raw(out, data, len);
}

void out_string(struct wire_out *out, const char *s)
{
    out_text(out, s, s == NULL ? 0 : strlen(s));
}

void out_array(struct wire_out *out, int32_t count)
{
    if (out->flexible)
        out_uvarint(out, (uint32_t)(count + 1));
    else
        out_i32(out, count);
}

void out_bytes_length(struct wire_out *out, size_t len)
{
    if (len >= OUT_MAX)
        out->bad = true;
    else if (out->flexible)
        out_uvarint(out, (uint32_t)len + 1);
    else
        out_i32(out, (int32_t)len);
}

void out_splice(struct wire_out *out, const void *data, size_t len)
{
    struct wire_splice *splices;
    size_t room;

    if (out->bad || len > OUT_MAX - out->spliced) {
        out->bad = true;
        return;
    }
    if (out->splice_count == out->splice_room) {
        room = out->splice_room == 0 ? 16 : out->splice_room * 2;
        splices = realloc(out->splices, room * sizeof(*splices));
        if (splices == NULL) {
            out->bad = true;
            return;
        }
        out->splices = splices;
        out->splice_room = room;
    }
    out->splices[out->splice_count++] =
        (struct wire_splice){out->len, data, len};
    out->spliced += len;
}

void out_tags(struct wire_out *out)
{
    if (out->flexible)
        out_i8(out, 0);
}

void out_free(struct wire_out *out)
{
    free(out->data);
    free(out->splices);
    memset(out, 0, sizeof(*out));
}

bool text_is(struct text text, const char *s)
{
    return text.len >= 0 && strlen(s) == (size_t)text.len &&
           memcmp(text.data, s, (size_t)text.len) == 0;
}
