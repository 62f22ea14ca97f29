/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Any bytes as an object: read through the object reader, as they are, and
 * once more with all checksums put right, so that what lies behind them is
 * reached.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "object/object.h"
#include "support/virtual_env.h"
#include <stdlib.h>

/* ---- A store with one object in it --------------------------------------- */

struct one {
    struct weir_store base;
    struct virtual_env *env;
    const uint8_t *data;
    size_t size;
};

struct turn {
    struct weir_task task;
    struct one *store;
};

static void carry_out(struct weir_task *task)
{
    struct turn *turn = (struct turn *)(void *)task;
    const struct one *one = turn->store;
    struct weir_store_req *req =
        (struct weir_store_req *)(void *)((char *)turn -
                                          offsetof(struct weir_store_req,
                                                   impl));
    uint64_t at = req->offset, len = req->length;

    if (len > one->size)
        len = one->size;
    if (req->flags & WEIR_STORE_SUFFIX)
        at = one->size - len;
    req->size = one->size;
    if (at >= one->size) {
        req->done(req, WEIR_ERANGE);
        return;
    }
    if (len > one->size - at)
        len = one->size - at;
    req->body = weir_buf_new(one->env->host.alloc, (size_t)len, 0);
    if (req->body == NULL) {
        req->done(req, WEIR_ENOMEM);
        return;
    }
    memcpy(req->body->data, one->data + at, (size_t)len);
    req->body->len = (size_t)len;
    req->done(req, 0);
}

static void submit(struct weir_store *store, struct weir_store_req *req)
{
    struct turn *turn = (struct turn *)(void *)req->impl;

    turn->task.run = carry_out;
    turn->store = (struct one *)(void *)store;
    turn->store->env->base.ops->post(&turn->store->env->base, &turn->task);
}

static const struct weir_store_ops one_ops = {
    .size = sizeof(struct weir_store_ops),
    .name = "one",
    .submit = submit,
};

/* ---- Reading ------------------------------------------------------------- */

struct get {
    struct weir__block_get req;
    struct weir_error err;
    int done;
    int status;
};

static void got(struct weir__block_get *req, int status)
{
    struct get *get = req->ctx;

    get->status = status;
    get->done = 1;
}

/* Touch all that a reader would. */
static void check_block(const struct weir__block *block)
{
    size_t i;

    for (i = 0; i < block->count; i++) {
        const struct weir_batch *batch = &block->batches[i];

        if (weir__crc32c(0, batch->data, batch->len) != batch->crc32c ||
            batch->count == 0)
            abort();
    }
}

static void read_some(struct weir__object_reader *reader,
                      struct virtual_env *env, uint64_t object_id, size_t size,
                      uint64_t stream_id, uint64_t offset)
{
    struct get get = {
        .req = {.object_id = object_id,
                .object_size = size,
                .stream_id = stream_id,
                .offset = offset,
                .ahead = 100000,
                .done = got},
    };

    get.req.ctx = &get;
    get.req.err = &get.err;
    weir__block_get(reader, &get.req);
    if (virtual_env_run(env, &get.done) != 0)
        abort(); /* It never ended. */
    if (get.status == 0) {
        check_block(get.req.block);
        weir__block_unref(get.req.block);
    }
}

struct flag {
    struct weir_task task;
    int set;
};

static void flag_set(struct weir_task *task)
{
    ((struct flag *)(void *)task)->set = 1;
}

/* Where the index may tell of blocks: each entry's stream and offset. */
static void read_entries(struct weir__object_reader *reader,
                         struct virtual_env *env, const uint8_t *data,
                         size_t size)
{
    const uint8_t *footer = data + size - WEIR__FOOTER;
    uint64_t object_id = weir__get64(footer + 40 + 24);
    uint64_t at = weir__get64(footer + 16);
    int i;

    read_some(reader, env, object_id, size, 1, 0);
    for (i = 0; i < 8; i++) {
        uint64_t entry = at + WEIR__INDEX_HEADER + 64u * (unsigned)i;

        if (at > size || entry + 64 > size)
            return;
        read_some(reader, env, object_id, size, weir__get64(data + entry),
                  weir__get64(data + entry + 8));
    }
}

static void run(const uint8_t *data, size_t size)
{
    struct virtual_env env;
    struct one one = {.base = {&one_ops}, .env = &env};
    struct weir__object_reader_config config = {
        .store = &one.base, .block_cache = 65536, .index_cache = 65536};
    struct flag closed = {.task = {.run = flag_set}};
    struct weir__object_reader *reader;

    virtual_env_init(&env, 1);
    one.data = data;
    one.size = size;
    config.host = &env.host;
    memcpy(config.cluster, data + size - WEIR__FOOTER + 40, 16);
    if (weir__object_reader_open(&reader, &config, NULL) != 0)
        abort();
    read_entries(reader, &env, data, size);
    weir__object_reader_close(reader, &closed.task);
    if (virtual_env_run(&env, &closed.set) != 0)
        abort();
    virtual_env_close(&env);
}

/* ---- Putting checksums right --------------------------------------------- */

static void seal(uint8_t *part, size_t size)
{
    weir__put32(part + size - 4, weir__crc32c(0, part, size - 4));
}

/* The payloads' checksums, as far as the table makes sense. */
static void repair_batches(uint8_t *raw, size_t len, uint32_t count)
{
    size_t at = (size_t)count * WEIR__BATCH_ENTRY;
    uint32_t i;

    if (count > len / WEIR__BATCH_ENTRY)
        return;
    for (i = 0; i < count; i++) {
        uint8_t *entry = raw + (size_t)i * WEIR__BATCH_ENTRY;
        uint32_t n = weir__get32(entry + 20);

        if (n > len - at)
            return;
        weir__put32(entry + 24, weir__crc32c(0, raw + at, n));
        at += n;
    }
}

static void repair_block(uint8_t *block, size_t len, uint8_t *entry)
{
    uint8_t *stored = block + WEIR__BLOCK_HEADER;
    uint32_t crc;

    len -= WEIR__BLOCK_HEADER;
    if (block[5] == WEIR__CODEC_NONE)
        repair_batches(stored, len, weir__get32(block + 32));
    crc = weir__crc32c(0, stored, len);
    weir__put32(block + 40, (uint32_t)len);
    weir__put32(block + 44, crc);
    weir__put32(entry + 52, crc);
    seal(block, WEIR__BLOCK_HEADER);
}

static void repair(uint8_t *data, size_t size)
{
    uint8_t *footer = data + size - WEIR__FOOTER;
    size_t room = size - WEIR__FOOTER, count = weir__get32(footer + 32), at, i;
    uint8_t *index;

    if (room < WEIR__INDEX_HEADER ||
        count > (room - WEIR__INDEX_HEADER) / WEIR__INDEX_ENTRY)
        return;
    at = room - WEIR__INDEX_HEADER - count * WEIR__INDEX_ENTRY;
    index = data + at;
    for (i = 0; i < count; i++) {
        uint8_t *entry = index + WEIR__INDEX_HEADER + i * WEIR__INDEX_ENTRY;
        uint64_t position = weir__get64(entry + 24);
        uint32_t len = weir__get32(entry + 32);

        if (position < at && len <= at - position && len > WEIR__BLOCK_HEADER)
            repair_block(data + position, len, entry);
    }
    weir__put32(index + 8, (uint32_t)count);
    weir__put32(index + 56, weir__crc32c(0, index + WEIR__INDEX_HEADER,
                                         count * WEIR__INDEX_ENTRY));
    seal(index, WEIR__INDEX_HEADER);
    weir__put64(footer + 8, size);
    weir__put64(footer + 16, at);
    weir__put64(footer + 24, room - at);
    weir__put32(footer + 36, weir__crc32c(0, index, room - at));
    seal(footer, WEIR__FOOTER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    if (size < WEIR__FOOTER)
        return 0;
    run(data, size);
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    repair(copy, size);
    run(copy, size);
    free(copy);
    return 0;
}
