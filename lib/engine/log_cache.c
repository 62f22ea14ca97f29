/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/log_cache.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/sometimes.h"
#include "engine/stream.h"

struct weir__budget {
    const struct weir_alloc *alloc;
    size_t bytes; /* Atomic. */
    int refs;     /* Atomic: the cache and every buffer. */
};

static void budget_unref(struct weir__budget *budget)
{
    if (__atomic_sub_fetch(&budget->refs, 1, __ATOMIC_ACQ_REL) == 0)
        weir__free(budget->alloc, budget);
}

/* The last owner of a buffer has gone: any thread. */
static void buf_freed(struct weir_buf *buf, void *ctx)
{
    struct weir__budget *budget = ctx;

    __atomic_sub_fetch(&budget->bytes, buf->capacity, __ATOMIC_RELAXED);
    weir__buf_free(buf);
    budget_unref(budget);
}

static void budget_charge(struct weir__budget *budget, struct weir_buf *buf)
{
    __atomic_add_fetch(&budget->bytes, buf->capacity, __ATOMIC_RELAXED);
    __atomic_add_fetch(&budget->refs, 1, __ATOMIC_RELAXED);
    weir__buf_on_free(buf, buf_freed, budget);
}

int weir__log_cache_init(struct weir__log_cache *cache,
                         const struct weir_alloc *alloc, size_t limit,
                         size_t segment_size, size_t align)
{
    cache->alloc = alloc;
    cache->limit = limit;
    cache->align = align;
    cache->segment_size = (size_t)weir__round_up(segment_size, align);
    cache->current = NULL;
    cache->spare = NULL;
    weir__list_init(&cache->segments);
    cache->budget = weir__calloc(alloc, 1, sizeof(*cache->budget));
    if (cache->budget == NULL)
        return WEIR_ENOMEM;
    cache->budget->alloc = alloc;
    cache->budget->refs = 1;
    return 0;
}

static void segment_free(struct weir__log_cache *cache,
                         struct weir__segment *segment)
{
    weir__list_remove(&segment->link);
    weir_buf_unref(segment->buf);
    weir__free(cache->alloc, segment->streams);
    weir__free(cache->alloc, segment);
}

void weir__log_cache_free(struct weir__log_cache *cache)
{
    if (cache->budget == NULL)
        return;
    while (!weir__list_empty(&cache->segments))
        segment_free(cache, WEIR__CONTAINER(cache->segments.next,
                                            struct weir__segment, link));
    weir_buf_unref(cache->spare);
    budget_unref(cache->budget);
    cache->budget = NULL;
}

size_t weir__log_cache_bytes(const struct weir__log_cache *cache)
{
    if (cache->budget == NULL)
        return 0;
    return __atomic_load_n(&cache->budget->bytes, __ATOMIC_RELAXED);
}

/* Drop a segment that nothing waits for, and keep its memory if nobody else
 * holds it and there is no spare one. */
static void evict(struct weir__log_cache *cache, struct weir__segment *segment)
{
    for (size_t i = 0; i < segment->stream_count; i++)
        weir__stream_evict(segment->streams[i], segment);
    if (cache->spare == NULL && weir__buf_refs(segment->buf) == 1 &&
        segment->buf->capacity == cache->segment_size)
        cache->spare = weir_buf_ref(segment->buf);
    segment_free(cache, segment);
}

static int evict_oldest(struct weir__log_cache *cache)
{
    struct weir__list *at = cache->segments.next;

    for (; at != &cache->segments; at = at->next) {
        struct weir__segment *segment =
            WEIR__CONTAINER(at, struct weir__segment, link);

        if (segment->pending != 0)
            continue;
        if (segment == cache->current)
            cache->current = NULL; /* It is about to be replaced. */
        evict(cache, segment);
        return 1;
    }
    return 0;
}

/* Give back memory until `size` more bytes are within the limit. */
static int make_room(struct weir__log_cache *cache, size_t size)
{
    while (weir__log_cache_bytes(cache) + size > cache->limit) {
        if (cache->spare != NULL) {
            weir_buf_unref(cache->spare);
            cache->spare = NULL;
        } else if (!evict_oldest(cache)) {
            WEIR__SOMETIMES("the log cache is full of what must stay");
            return WEIR_EAGAIN;
        }
    }
    return 0;
}

/* A buffer of at least `len`: a used one, or a new one within the limit. */
static int buffer_get(struct weir__log_cache *cache, size_t len,
                      struct weir_buf **out)
{
    size_t size = cache->segment_size;
    int rc = 0;

    if (len > size)
        size = (size_t)weir__round_up(len, cache->align);
    if (cache->spare == NULL && size == cache->segment_size &&
        weir__log_cache_bytes(cache) + size > cache->limit)
        (void)evict_oldest(cache);
    if (cache->spare != NULL && size == cache->segment_size) {
        *out = cache->spare;
        cache->spare = NULL;
        return 0;
    }
    rc = make_room(cache, size);
    if (rc != 0)
        return rc;
    *out = weir_buf_new(cache->alloc, size, cache->align);
    if (*out == NULL)
        return WEIR_ENOMEM;
    budget_charge(cache->budget, *out);
    return 0;
}

static struct weir__segment *segment_new(struct weir__log_cache *cache,
                                         struct weir_buf *buf,
                                         uint64_t position)
{
    struct weir__segment *segment =
        weir__calloc(cache->alloc, 1, sizeof(*segment));

    if (segment == NULL)
        return NULL;
    segment->buf = buf;
    segment->order = ++cache->order;
    segment->position = position;
    weir__list_push(&cache->segments, &segment->link);
    return segment;
}

int weir__log_cache_fits(const struct weir__log_cache *cache, uint64_t position,
                         size_t len)
{
    const struct weir__segment *segment = cache->current;

    if (segment == NULL || position < segment->position)
        return 0;
    position -= segment->position;
    return position <= segment->buf->capacity &&
           len <= segment->buf->capacity - position;
}

int weir__log_cache_reserve(struct weir__log_cache *cache, uint64_t position,
                            size_t len)
{
    struct weir__segment *segment;
    struct weir_buf *buf = NULL;
    int rc;

    rc = buffer_get(cache, len, &buf);
    if (rc != 0)
        return rc;
    segment = segment_new(cache, buf, position);
    if (segment == NULL) {
        weir_buf_unref(buf);
        return WEIR_ENOMEM;
    }
    cache->current = segment;
    return 0;
}

struct weir__segment *weir__log_cache_adopt(struct weir__log_cache *cache,
                                            struct weir_buf *buf,
                                            uint64_t position)
{
    struct weir__segment *segment = segment_new(cache, buf, position);

    if (segment == NULL)
        return NULL;
    weir_buf_ref(buf);
    budget_charge(cache->budget, buf);
    return segment;
}

int weir__segment_add(struct weir__segment *segment,
                      const struct weir_alloc *alloc,
                      struct weir_stream *stream)
{
    struct weir_stream **streams;
    size_t room;

    if (segment->stream_count != 0 &&
        segment->streams[segment->stream_count - 1] == stream) {
        segment->pending++;
        return 0;
    }
    if (segment->stream_count == segment->stream_room) {
        room = segment->stream_room == 0 ? 8 : segment->stream_room * 2;
        streams = weir__resize(alloc, segment->streams, room,
                               sizeof(struct weir_stream *));
        if (streams == NULL)
            return WEIR_ENOMEM;
        segment->streams = streams;
        segment->stream_room = room;
    }
    segment->streams[segment->stream_count++] = stream;
    segment->pending++;
    return 0;
}

uint64_t weir__log_cache_needed(const struct weir__log_cache *cache,
                                uint64_t end)
{
    const struct weir__list *at = cache->segments.next;

    for (; at != &cache->segments; at = at->next) {
        const struct weir__segment *segment =
            (const struct weir__segment *)(const void *)at; /* First member. */

        if (segment->pending != 0)
            return segment->position < end ? segment->position : end;
    }
    return end;
}
