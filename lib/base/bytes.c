/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "base/alloc.h"

void weir__reader_init(struct weir__reader *r, const void *data, size_t len)
{
    r->at = data;
    r->end = len > 0 ? r->at + len : r->at;
    r->bad = false;
}

size_t weir__reader_left(const struct weir__reader *r)
{
    return (size_t)(r->end - r->at);
}

const unsigned char *weir__read_bytes(struct weir__reader *r, size_t len)
{
    const unsigned char *at = r->at;

    if (r->bad || len > weir__reader_left(r)) {
        r->bad = true;
        return NULL;
    }
    if (len > 0)
        r->at += len;
    return at;
}

uint16_t weir__read16(struct weir__reader *r)
{
    const unsigned char *p = weir__read_bytes(r, 2);

    return p != NULL ? weir__get16(p) : 0;
}

uint32_t weir__read32(struct weir__reader *r)
{
    const unsigned char *p = weir__read_bytes(r, 4);

    return p != NULL ? weir__get32(p) : 0;
}

uint64_t weir__read64(struct weir__reader *r)
{
    const unsigned char *p = weir__read_bytes(r, 8);

    return p != NULL ? weir__get64(p) : 0;
}

void weir__writer_init(struct weir__writer *w, const struct weir_alloc *alloc)
{
    *w = (struct weir__writer){.alloc = alloc};
}

void weir__writer_init_secret(struct weir__writer *w,
                              const struct weir_alloc *alloc)
{
    *w = (struct weir__writer){.alloc = alloc, .secret = true};
}

static void release(struct weir__writer *w)
{
    if (w->secret && w->data != NULL)
        explicit_bzero(w->data, w->capacity);
    weir__free(w->alloc, w->data);
}

void weir__writer_free(struct weir__writer *w)
{
    release(w);
    *w = (struct weir__writer){.alloc = w->alloc, .secret = w->secret};
}

/* Memory that has moved would keep the secret where it was. */
static unsigned char *move(struct weir__writer *w, size_t capacity)
{
    unsigned char *data;

    if (!w->secret)
        return weir__resize(w->alloc, w->data, capacity, 1);
    data = weir__malloc(w->alloc, capacity);
    if (data == NULL)
        return NULL;
    if (w->len > 0)
        memcpy(data, w->data, w->len);
    release(w);
    return data;
}

/* Room for `len` more bytes, or NULL. */
static unsigned char *reserve(struct weir__writer *w, size_t len)
{
    size_t capacity = w->capacity > 0 ? w->capacity : 64;
    unsigned char *data;

    if (w->bad || len > SIZE_MAX / 4 || w->len > SIZE_MAX / 4) {
        w->bad = true;
        return NULL;
    }
    if (w->len + len > w->capacity) {
        while (capacity < w->len + len)
            capacity *= 2;
        data = move(w, capacity);
        if (data == NULL) {
            w->bad = true;
            return NULL;
        }
        w->data = data;
        w->capacity = capacity;
    }
    w->len += len;
    return w->data + w->len - len;
}

void weir__write_bytes(struct weir__writer *w, const void *data, size_t len)
{
    unsigned char *p;

    if (len == 0)
        return;
    p = reserve(w, len);
    if (p != NULL)
        memcpy(p, data, len);
}

void weir__write8(struct weir__writer *w, uint8_t v)
{
    unsigned char *p = reserve(w, 1);

    if (p != NULL)
        *p = v;
}

void weir__write16(struct weir__writer *w, uint16_t v)
{
    unsigned char *p = reserve(w, 2);

    if (p != NULL)
        weir__put16(p, v);
}

void weir__write32(struct weir__writer *w, uint32_t v)
{
    unsigned char *p = reserve(w, 4);

    if (p != NULL)
        weir__put32(p, v);
}

void weir__write64(struct weir__writer *w, uint64_t v)
{
    unsigned char *p = reserve(w, 8);

    if (p != NULL)
        weir__put64(p, v);
}
