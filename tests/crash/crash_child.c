/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The process that is killed: opens a node on a directory, with its log in a
 * file or in objects, tells what it reads back, then appends, flushes and
 * trims until it dies.
 *
 *     crash_child DIR RUN SEED file|object   (messages go to descriptor 3)
 *
 * When its standard input ends it closes the node in order.  It exits with 1
 * after any error: nothing is wrong here but its death.
 */
#include "crash/crash.h"

#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <weir.h>

enum { SLOTS = 32 };

struct slot {
    struct weir_append append;
    struct weir_error err;
    unsigned char *data;
    uint32_t stream;
    uint64_t expected; /* Base offset that it must get. */
    atomic_bool busy;
};

static uint32_t run;
static uint64_t seed;
static struct weir *node;
static struct weir_error err; /* Of calls that wait. */
static struct weir_stream *streams[CRASH_STREAMS];
static uint64_t next[CRASH_STREAMS];          /* Only the main thread. */
static _Atomic uint64_t acked[CRASH_STREAMS]; /* End of what was. */
static struct slot slots[SLOTS];
static sem_t slots_free;
static struct weir_flush flush;
static struct weir_error flush_err;
static atomic_bool flushing;
static struct weir_trim trim;
static struct weir_error trim_err;
static struct crash_message trim_message;
static atomic_bool trimming;
static atomic_bool closing; /* A flush or trim may end with WEIR_ECLOSED. */

static _Noreturn void die_of(const char *what, int status,
                             const struct weir_error *why)
{
    fprintf(stderr, "crash_child run %u: %s: %s: %s\n", run, what,
            weir_error_name(status), why->text);
    _exit(1);
}

static _Noreturn void die(const char *what, int status)
{
    die_of(what, status, &err);
}

static void tell(const struct crash_message *message)
{
    if (write(CRASH_FD, message, sizeof(*message)) != (ssize_t)sizeof(*message))
        _exit(1);
}

/* ---- Open and read back ---- */

static void set(struct weir_config *config, const char *key, const char *value)
{
    int rc = weir_config_set(config, key, value, &err);

    if (rc != 0)
        die(key, rc);
}

static void open_node(const char *dir, const char *wal)
{
    struct weir_config *config;
    char uri[4096];
    int rc = weir_config_new(&config, NULL);

    if (rc != 0)
        die("config", rc);
    snprintf(uri, sizeof(uri), "dir:%s/store", dir);
    set(config, "store", uri);
    snprintf(uri, sizeof(uri), "file:%s/wal?size=16MiB", dir);
    set(config, "wal", strcmp(wal, "object") == 0 ? "object:" : uri);
    set(config, "driver", "true");
    set(config, "log_cache", "16MiB");
    set(config, "upload_bytes", "1MiB");
    set(config, "upload_interval", "50ms");
    set(config, "stream_object", "128KiB");
    set(config, "snapshot_commits", "8");
    set(config, "delete_grace", "0s");
    rc = weir_open(&node, config, &err);
    if (rc != 0)
        die("open", rc);
    weir_config_free(config);
}

static void open_streams(void)
{
    for (uint32_t i = 0; i < CRASH_STREAMS; i++) {
        char name[16];
        struct weir_stream_open req = {
            .req.err = &err, .name = name, .flags = WEIR_STREAM_CREATE};
        int rc;

        snprintf(name, sizeof(name), "s%u", i);
        rc = weir_stream_open_sync(node, &req);
        if (rc != 0)
            die(name, rc);
        streams[i] = req.stream;
    }
}

static void tell_batch(uint32_t stream, const struct weir_batch *batch)
{
    struct crash_message message = {.kind = CRASH_READ,
                                    .stream = stream,
                                    .base = batch->base_offset,
                                    .end = batch->base_offset + batch->count,
                                    .len = (uint32_t)batch->len};

    message.hash = crash_hash(batch->data, message.len);
    if (message.len >= CRASH_BATCH_MIN)
        memcpy(&message.run, batch->data, sizeof(message.run));
    tell(&message);
}

static void read_back(uint32_t stream)
{
    struct weir_stream_stat stat;
    struct crash_message message = {.kind = CRASH_STAT, .stream = stream};
    int rc = weir_stream_stat(streams[stream], &stat);

    if (rc != 0)
        die("stat", rc);
    message.base = stat.start;
    message.end = stat.end;
    tell(&message);

    for (uint64_t at = stat.start; at < stat.end;) {
        struct weir_fetch req = {
            .req.err = &err, .offset = at, .max_bytes = 1u << 20};

        rc = weir_fetch_sync(streams[stream], &req);
        if (rc != 0)
            die("fetch", rc);
        for (size_t i = 0; i < req.count; i++) {
            tell_batch(stream, &req.batches[i]);
            at = req.batches[i].base_offset + req.batches[i].count;
        }
        if (req.count == 0)
            die("fetch returned nothing below the end", 0);
        weir_fetch_release(&req);
    }
    next[stream] = stat.end;
    acked[stream] = stat.end;
}

/* ---- Append, flush, trim: the callbacks run on the driver thread ---- */

static void appended(struct weir_req *req, int status)
{
    struct slot *slot = req->ctx;
    struct crash_message message = {.kind = CRASH_ACKED,
                                    .stream = slot->stream,
                                    .base = slot->append.base_offset,
                                    .end = slot->append.base_offset +
                                           slot->append.count,
                                    .len = (uint32_t)slot->append.len,
                                    .run = run};

    if (status != 0)
        die_of("append", status, &slot->err);
    if (slot->append.base_offset != slot->expected)
        die("append got another offset than the next", 0);
    tell(&message);
    acked[slot->stream] = message.end;
    slot->busy = false;
    sem_post(&slots_free);
}

static void flushed(struct weir_req *req, int status)
{
    (void)req;
    if (status != 0 && !(closing && status == WEIR_ECLOSED))
        die_of("flush", status, &flush_err);
    flushing = false;
}

static void trimmed(struct weir_req *req, int status)
{
    (void)req;
    if (status != 0 && !(closing && status == WEIR_ECLOSED))
        die_of("trim", status, &trim_err);
    if (status == 0) {
        trim_message.kind = CRASH_TRIMMED;
        tell(&trim_message);
    }
    trimming = false;
}

static uint32_t random_len(void)
{
    uint64_t r = crash_random(&seed);

    if (r % 64 == 0)
        return (uint32_t)(CRASH_BATCH_MIN +
                          (r >> 8) % (CRASH_BATCH_MAX - CRASH_BATCH_MIN));
    return (uint32_t)(CRASH_BATCH_MIN + (r >> 8) % 2048);
}

static void append_one(void)
{
    struct slot *slot = slots;
    uint64_t r = crash_random(&seed);
    int rc;

    while (sem_wait(&slots_free) != 0)
        continue;
    while (slot->busy)
        slot++;
    slot->busy = true;
    /* Half of all batches go to the first stream. */
    slot->stream = r % 2 == 0 ? 0 : (uint32_t)((r >> 1) % CRASH_STREAMS);
    slot->expected = next[slot->stream];
    slot->append = (struct weir_append){
        .req = {.done = appended, .ctx = slot, .err = &slot->err},
        .data = slot->data,
        .len = random_len(),
        .count = (uint32_t)(1 + (r >> 8) % 5),
        .flags = WEIR_APPEND_WAIT,
        .max_timestamp = (int64_t)(r >> 16)};
    crash_fill(slot->data, (uint32_t)slot->append.len, run, slot->stream,
               slot->expected);
    next[slot->stream] += slot->append.count;
    rc = weir_append(streams[slot->stream], &slot->append);
    if (rc != 0)
        die_of("append refused", rc, &slot->err);
}

static void maybe_flush(void)
{
    int rc;

    if (crash_random(&seed) % 512 != 0 || atomic_exchange(&flushing, true))
        return;
    flush = (struct weir_flush){.req.done = flushed, .req.err = &flush_err};
    rc = weir_flush(node, &flush);
    if (rc != 0)
        die_of("flush refused", rc, &flush_err);
}

/* Keeps the streams short, so that reading all back stays quick. */
static void maybe_trim(void)
{
    uint64_t r = crash_random(&seed);
    uint32_t stream = (uint32_t)(r % CRASH_STREAMS);
    uint64_t keep = (r >> 8) % 2000;
    uint64_t end = acked[stream];
    int rc;

    if ((r >> 32) % 256 != 0 || end <= keep || atomic_exchange(&trimming, true))
        return;
    trim = (struct weir_trim){.req = {.done = trimmed, .err = &trim_err},
                              .start = end - keep};
    trim_message = (struct crash_message){
        .kind = CRASH_TRIM, .stream = stream, .base = trim.start};
    tell(&trim_message);
    rc = weir_trim(streams[stream], &trim);
    if (rc != 0)
        die_of("trim refused", rc, &trim_err);
}

static bool told_to_stop(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&fd, 1, 0) > 0;
}

static void close_node(void)
{
    static const struct crash_message closed = {.kind = CRASH_CLOSED};
    int rc;

    for (int i = 0; i < SLOTS; i++)
        while (sem_wait(&slots_free) != 0)
            continue;
    closing = true;
    rc = weir_close(node, &err);
    if (rc != 0)
        die("close", rc);
    tell(&closed);
    weir_free(node);
    for (int i = 0; i < SLOTS; i++)
        free(slots[i].data);
}

int main(int argc, char **argv)
{
    static const struct crash_message verified = {.kind = CRASH_VERIFIED};

    if (argc != 5)
        return 2;
    run = (uint32_t)strtoul(argv[2], NULL, 10);
    seed = strtoull(argv[3], NULL, 10);
    sem_init(&slots_free, 0, SLOTS);
    for (int i = 0; i < SLOTS; i++)
        if ((slots[i].data = malloc(CRASH_BATCH_MAX)) == NULL)
            return 1;

    open_node(argv[1], argv[4]);
    open_streams();
    for (uint32_t i = 0; i < CRASH_STREAMS; i++)
        read_back(i);
    tell(&verified);
    while (!told_to_stop()) {
        append_one();
        maybe_flush();
        maybe_trim();
    }
    close_node();
    return 0;
}
