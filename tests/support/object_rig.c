/* SPDX-License-Identifier: Apache-2.0 */
#include "support/object_rig.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "format/object_name.h"
#include "store/store.h"
#include "support/test.h"
#include <stdlib.h>
#include <string.h>

const unsigned char obj_cluster[16] = {0x57, 1, 2,  3,  4,  5,  6,  7,
                                       8,    9, 10, 11, 12, 13, 14, 15};

/* ---- The store ----------------------------------------------------------- */

struct obj_req {
    struct weir_store_req req;
    struct weir_store_req *outer;
    struct obj_store *store;
    struct obj_req *next;
};

static void spoil(struct obj_store *store, struct weir_buf *body)
{
    if (store->damage > 0) {
        store->damage--;
        body->data[body->len - 200] ^= 0x10;
    } else if (store->cut > 0) {
        store->cut--;
        body->len--;
    }
}

static void obj_req_done(struct weir_store_req *req, int status)
{
    struct obj_req *r = req->ctx;
    struct weir_store_req *outer = r->outer;
    struct obj_store *store = r->store;

    if (req->verb == WEIR_STORE_GET && store->fail > 0) {
        store->fail--;
        weir_buf_unref(req->body);
        req->body = NULL;
        status = store->status;
    }
    if (status == 0 && req->body != NULL) {
        store->last = req->body->len;
        spoil(store, req->body);
    }
    outer->body = req->body;
    outer->size = req->size;
    outer->entries = req->entries;
    outer->entry_count = req->entry_count;
    outer->more = req->more;
    free(r);
    outer->done(outer, status);
}

static void obj_submit(struct weir_store *base, struct weir_store_req *outer)
{
    struct obj_store *store = (struct obj_store *)(void *)base;
    struct obj_req *r = calloc(1, sizeof(*r));

    ck_assert_ptr_nonnull(r);
    r->req = *outer;
    r->req.ctx = r;
    r->req.done = obj_req_done;
    r->outer = outer;
    r->store = store;
    if (outer->verb == WEIR_STORE_GET) {
        store->gets++;
        if (store->hold) {
            r->next = store->held;
            store->held = r;
            return;
        }
    }
    store->inner->ops->submit(store->inner, &r->req);
}

void obj_release(struct obj_rig *rig)
{
    struct weir_store *inner = rig->store.inner;
    struct obj_req *r;

    rig->store.hold = 0;
    while ((r = rig->store.held) != NULL) {
        rig->store.held = r->next;
        inner->ops->submit(inner, &r->req);
    }
}

static const struct weir_store_ops obj_store_ops = {
    .size = sizeof(struct weir_store_ops),
    .name = "rig",
    .submit = obj_submit,
};

/* ---- The rig ------------------------------------------------------------- */

struct flag {
    struct weir_task task;
    int set;
};

static void flag_set(struct weir_task *task)
{
    WEIR__CONTAINER(task, struct flag, task)->set = 1;
}

void obj_init(struct obj_rig *rig)
{
    struct weir_error err = {0};

    memset(rig, 0, sizeof(*rig));
    test_host_init(&rig->host);
    rig->store.base.ops = &obj_store_ops;
    if (weir__store_memory_open(&rig->store.inner, &rig->host.host,
                                "mem:", NULL, &err) != 0)
        ck_abort_msg("mem: %s", err.text);
}

void obj_open_reader(struct obj_rig *rig, size_t block_cache,
                     size_t index_cache)
{
    struct weir__object_reader_config config = {
        .host = &rig->host.host,
        .store = &rig->store.base,
        .block_cache = block_cache,
        .index_cache = index_cache,
    };

    memcpy(config.cluster, obj_cluster, sizeof(config.cluster));
    ck_assert_int_eq(weir__object_reader_open(&rig->reader, &config, NULL), 0);
}

void obj_close_reader(struct obj_rig *rig)
{
    struct flag flag = {.task.run = flag_set};

    if (rig->reader == NULL)
        return;
    weir__object_reader_close(rig->reader, &flag.task);
    rig->reader = NULL;
    obj_release(rig);
    test_host_run(&rig->host, &flag.set);
}

void obj_close(struct obj_rig *rig)
{
    struct flag flag = {.task.run = flag_set};

    obj_close_reader(rig);
    rig->store.inner->ops->close(rig->store.inner, &flag.task);
    test_host_run(&rig->host, &flag.set);
    test_host_close(&rig->host);
}

/* ---- Batches ------------------------------------------------------------- */

static const char text[] = "the quick brown fox jumps over the lazy dog ";

static uint32_t batch_count(size_t i)
{
    return 1 + (uint32_t)(i % 3);
}

static void fill(unsigned char *to, size_t len, uint64_t seed, int noise)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    size_t i;

    for (i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        to[i] = noise ? (unsigned char)(x >> 32)
                      : (unsigned char)text[(i + seed) % (sizeof(text) - 1)];
    }
}

void obj_batch(struct weir_batch *out, const struct obj_stream *stream,
               size_t i)
{
    size_t len = stream->len + i % 7, k;
    unsigned char *data = malloc(len > 0 ? len : 1);

    ck_assert_ptr_nonnull(data);
    fill(data, len, stream->id * 1000 + i, stream->noise);
    out->base_offset = stream->base;
    for (k = 0; k < i; k++)
        out->base_offset += batch_count(k);
    out->count = batch_count(i);
    out->max_timestamp = 1700000000000 + (int64_t)i;
    out->data = data;
    out->len = len;
    out->crc32c = weir__crc32c(0, data, len);
}

void obj_check_batch(const struct weir_batch *batch,
                     const struct obj_stream *stream, size_t i)
{
    struct weir_batch want;

    obj_batch(&want, stream, i);
    ck_assert_uint_eq(batch->base_offset, want.base_offset);
    ck_assert_uint_eq(batch->count, want.count);
    ck_assert_uint_eq(batch->len, want.len);
    ck_assert_uint_eq(batch->crc32c, want.crc32c);
    ck_assert_int_eq(batch->max_timestamp, want.max_timestamp);
    ck_assert_mem_eq(batch->data, want.data, want.len);
    free((void *)(uintptr_t)want.data);
}

size_t obj_batch_of(const struct obj_stream *stream, uint64_t offset)
{
    uint64_t end = stream->base;
    size_t i;

    for (i = 0; i < stream->batches; i++) {
        end += batch_count(i);
        if (offset < end)
            return i;
    }
    return i;
}

void obj_check_block(const struct weir__block *block,
                     const struct obj_stream *stream)
{
    size_t first = obj_batch_of(stream, block->base), i;

    ck_assert_uint_eq(block->stream_id, stream->id);
    ck_assert_uint_eq(block->batches[0].base_offset, block->base);
    for (i = 0; i < block->count; i++)
        obj_check_batch(&block->batches[i], stream, first + i);
    ck_assert_uint_eq(block->end, block->batches[i - 1].base_offset +
                                      block->batches[i - 1].count);
}

/* ---- Objects ------------------------------------------------------------- */

static void built(struct weir__build *req, int status)
{
    struct obj_object *object = req->ctx;

    object->status = status;
    object->done = 1;
}

static void flatten(struct obj_object *object)
{
    size_t at = 0, i;

    object->size = (size_t)object->req.size;
    object->bytes = malloc(object->size);
    ck_assert_ptr_nonnull(object->bytes);
    for (i = 0; i < object->req.iov_count; i++) {
        const struct weir_iov *iov = &object->req.iov[i];

        ck_assert_uint_le(at + iov->len, object->size);
        memcpy(object->bytes + at, iov->data, iov->len);
        at += iov->len;
    }
    ck_assert_uint_eq(at, object->size);
}

static void make_streams(struct obj_object *object)
{
    size_t i, k;

    object->build_streams =
        calloc(object->stream_count, sizeof(*object->build_streams));
    ck_assert_ptr_nonnull(object->build_streams);
    for (i = 0; i < object->stream_count; i++) {
        const struct obj_stream *stream = &object->streams[i];
        struct weir_batch *batches =
            calloc(stream->batches + 1, sizeof(*batches));

        ck_assert_ptr_nonnull(batches);
        for (k = 0; k < stream->batches; k++)
            obj_batch(&batches[k], stream, k);
        object->build_streams[i].stream_id = stream->id;
        object->build_streams[i].batches = batches;
        object->build_streams[i].count = stream->batches;
    }
}

void obj_build(struct test_host *host, struct obj_object *object)
{
    struct weir__build *req = &object->req;

    if (object->build_streams == NULL)
        make_streams(object);
    object->done = 0;
    req->host = &host->host;
    memcpy(req->writer.cluster, obj_cluster, sizeof(obj_cluster));
    req->writer.node_epoch = object->node_epoch;
    req->writer.object_id = object->id;
    req->writer.node_id = 7;
    req->streams = object->build_streams;
    req->stream_count = object->stream_count;
    req->block_size = object->block_size;
    req->compress = object->compress;
    req->done = built;
    req->ctx = object;
    weir__build_start(req);
    ck_assert_int_eq(object->done, 0);
    test_host_run(host, &object->done);
    if (object->status == 0)
        flatten(object);
}

void obj_object_free(struct test_host *host, struct obj_object *object)
{
    size_t i, k;

    (void)host;
    weir__build_free(&object->req);
    for (i = 0; i < object->stream_count; i++) {
        const struct weir__build_stream *s = &object->build_streams[i];

        for (k = 0; k < s->count; k++)
            free((void *)(uintptr_t)s->batches[k].data);
        free((void *)(uintptr_t)s->batches);
    }
    free(object->build_streams);
    free(object->bytes);
    object->build_streams = NULL;
    object->bytes = NULL;
}

struct put {
    struct weir_store_req req;
    int status;
    int done;
};

static void put_done(struct weir_store_req *req, int status)
{
    struct put *put = req->ctx;

    put->status = status;
    put->done = 1;
}

void obj_put(struct obj_rig *rig, uint64_t id, const void *data, size_t len)
{
    struct weir_iov iov = {data, len};
    char key[WEIR__KEY_SIZE];
    struct put put = {
        .req = {.verb = WEIR_STORE_PUT,
                .key = key,
                .iov = &iov,
                .iov_count = 1,
                .done = put_done},
    };

    weir__object_key(key, id);
    put.req.ctx = &put;
    rig->store.inner->ops->submit(rig->store.inner, &put.req);
    test_host_run(&rig->host, &put.done);
    ck_assert_int_eq(put.status, 0);
}

void obj_build_and_put(struct obj_rig *rig, struct obj_object *object)
{
    obj_build(&rig->host, object);
    ck_assert_int_eq(object->status, 0);
    obj_put(rig, object->id, object->bytes, object->size);
}

/* ---- Reading ------------------------------------------------------------- */

static void got(struct weir__block_get *req, int status)
{
    struct obj_get *get = req->ctx;

    ck_assert_int_eq(get->done, 0);
    get->status = status;
    get->done = 1;
}

void obj_get_start(struct obj_rig *rig, struct obj_get *get,
                   const struct obj_object *object, uint64_t stream_id,
                   uint64_t offset, size_t ahead)
{
    memset(get, 0, sizeof(*get));
    get->get.object_id = object->id;
    get->get.object_size = object->size;
    get->get.stream_id = stream_id;
    get->get.offset = offset;
    get->get.ahead = ahead;
    get->get.done = got;
    get->get.ctx = get;
    get->get.err = &get->err;
    weir__block_get(rig->reader, &get->get);
    ck_assert_int_eq(get->done, 0);
}

int obj_get(struct obj_rig *rig, struct obj_get *get,
            const struct obj_object *object, uint64_t stream_id,
            uint64_t offset)
{
    obj_get_start(rig, get, object, stream_id, offset, 0);
    test_host_run(&rig->host, &get->done);
    return get->status;
}
