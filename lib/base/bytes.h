/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Bytes to numbers and back: little-endian, unaligned; and two cursors, one
 * that reads without ever leaving its range and one that appends.
 */
#ifndef WEIR_BASE_BYTES_H
#define WEIR_BASE_BYTES_H

#include <stdbool.h>
#include <string.h>
#include <weir/alloc.h>

static inline uint16_t weir__get16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t weir__get32(const unsigned char *p)
{
    return (uint32_t)weir__get16(p) | (uint32_t)weir__get16(p + 2) << 16;
}

static inline uint64_t weir__get64(const unsigned char *p)
{
    return (uint64_t)weir__get32(p) | (uint64_t)weir__get32(p + 4) << 32;
}

static inline void weir__put16(unsigned char *p, uint16_t v)
{
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
}

static inline void weir__put32(unsigned char *p, uint32_t v)
{
    weir__put16(p, (uint16_t)v);
    weir__put16(p + 2, (uint16_t)(v >> 16));
}

static inline void weir__put64(unsigned char *p, uint64_t v)
{
    weir__put32(p, (uint32_t)v);
    weir__put32(p + 4, (uint32_t)(v >> 32));
}

/** What a hexadecimal digit stands for, or -1. */
static inline int weir__hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/** Round `n` up to a multiple of `align`, a power of two. */
static inline uint64_t weir__round_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) & ~(align - 1);
}

/** Reads a range.  After a read past its end `bad` is set, and that read and
 * all later ones give 0 or NULL. */
struct weir__reader {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
};

void weir__reader_init(struct weir__reader *r, const void *data, size_t len);
size_t weir__reader_left(const struct weir__reader *r);
uint16_t weir__read16(struct weir__reader *r);
uint32_t weir__read32(struct weir__reader *r);
uint64_t weir__read64(struct weir__reader *r);
/** The next `len` bytes, in place. */
const unsigned char *weir__read_bytes(struct weir__reader *r, size_t len);

/** Appends to memory that grows.  After memory was out `bad` is set, and
 * later writes do nothing. */
struct weir__writer {
    const struct weir_alloc *alloc;
    unsigned char *data; /* The writer's, until taken over. */
    size_t len;
    size_t capacity;
    bool bad;
    bool secret;
};

void weir__writer_init(struct weir__writer *w, const struct weir_alloc *alloc);
/** One for secrets: memory that it gives back is overwritten. */
void weir__writer_init_secret(struct weir__writer *w,
                              const struct weir_alloc *alloc);
/** Free what was written. */
void weir__writer_free(struct weir__writer *w);
void weir__write8(struct weir__writer *w, uint8_t v);
void weir__write16(struct weir__writer *w, uint16_t v);
void weir__write32(struct weir__writer *w, uint32_t v);
void weir__write64(struct weir__writer *w, uint64_t v);
void weir__write_bytes(struct weir__writer *w, const void *data, size_t len);

#endif
