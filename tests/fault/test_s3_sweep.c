/* SPDX-License-Identifier: Apache-2.0 */
/* Every fault of S3 at every request of a node's life.
 *
 * A node opens on a bucket, with its log in it too, appends, uploads, trims,
 * deletes, and is closed, or is killed with appends under way; and another
 * process has it after that.  For each request
 * that this takes, and each fault that a request can meet, the whole is run
 * again with that fault at that request: where the outcome may be in doubt
 * five times, with the request not done, done, and done 10 ms, 1 s and 30 s
 * after it seemed to have failed.
 *
 * Then must hold: what was acknowledged is there, at its offset, once; what
 * was told as failed is not; what is unknown is there at most once; and nobody
 * is told of what can pass: the client gets over it. */
#include "support/s3_door_link.h"
#include "support/s3_faults.h"
#include "support/test.h"
#include "support/virtual_env.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

#define MS UINT64_C(1000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- What was appended, and what became of it ------------------------------
 */

enum { RECORDS = 12, RECORD_LEN = 900, TRIES = 12, SENDS = RECORDS * TRIES };

/* One append: each has bytes of its own, so that each can be told. */
struct sent {
    char data[RECORD_LEN];
    struct weir_append req;
    int ended;
    int status;
    uint64_t offset;
    int seen;
};

static struct world {
    struct virtual_env env;
    struct s3_door *door;
    struct weir *node;
    struct weir_stream *stream;
    struct weir_stream *other;
    struct sent sent[SENDS];
    size_t count;
    uint64_t start;    /* Of the stream, */
    unsigned failures; /* Calls that did not go well. */
    char point[300];   /* For messages. */
} w;

/* What the sweep has found. */
static struct {
    uint64_t points;
    uint64_t acked;
    uint64_t unknown;
    uint64_t lost;
    uint64_t twice;
    uint64_t undone; /* Told as failed, and there all the same. */
    uint64_t failed_calls;
    unsigned requests;
} total;

/* Where it is, for messages: the fault, and the request that it has hit. */
static const char *point(void)
{
    static char text[500];
    const char *hit = s3_door_hit(w.door);

    snprintf(text, sizeof(text), "%s%s%s", w.point, hit != NULL ? ", " : "",
             hit != NULL ? hit : "");
    return text;
}

static struct weir_config *configure(void)
{
    static const char *const pairs[][2] = {
        {"store", "s3://bucket/p?endpoint=http://127.0.0.1:1"},
        {"wal", "object:"},
        {"s3_access_key", S3_SERVER_KEY},
        {"s3_secret_key", S3_SERVER_SECRET},
        {"log_cache", "4MiB"},
        {"segment", "64KiB"},
        {"upload_interval", "1h"},
        {"delete_grace", "0ns"},
        {"compression", "none"},
        {"snapshot_commits", "4"},
    };
    struct weir_config *config;

    ck_assert_int_eq(weir_config_new(&config, &w.env.alloc.alloc), 0);
    for (size_t i = 0; i < COUNT(pairs); i++)
        ck_assert_int_eq(
            weir_config_set(config, pairs[i][0], pairs[i][1], NULL), 0);
    weir_config_set_env(config, &w.env.base);
    return config;
}

/* A call that may fail in passing; `rc` of it.  Counted, and a reason to do it
 * again. */
static int again(int rc, int tries)
{
    if (rc == 0)
        return 0;
    w.failures++;
    ck_assert_msg(rc > WEIR__STATUS_END &&
                      strcmp(weir_error_name(rc), "WEIR_E?") != 0 &&
                      rc != WEIR_EBUG,
                  "%s: %d is no status", point(), rc);
    ck_assert_msg(tries < TRIES, "%s: still %s", point(), weir_error_name(rc));
    virtual_env_sleep(&w.env, 100 * MS);
    return 1;
}

static void close_node(void)
{
    weir_free(w.node);
    w.node = NULL;
    w.stream = NULL;
    w.other = NULL;
}

static int open_stream(const char *name, struct weir_stream **out)
{
    struct weir_stream_open open = {.name = name, .flags = WEIR_STREAM_CREATE};
    int rc = weir_stream_open_sync(w.node, &open);

    *out = open.stream;
    return rc;
}

static int try_open(void)
{
    struct weir_config *config = configure();
    int rc = weir_open(&w.node, config, NULL);

    weir_config_free(config);
    if (rc == 0)
        rc = open_stream("kept", &w.stream);
    if (rc != 0)
        close_node();
    return rc;
}

static void open_node(void)
{
    int tries = 0;

    while (again(try_open(), tries))
        tries++;
}

/* It may have been fenced or poisoned: what a host does then. */
static void reopen_if_needed(int rc)
{
    if (weir_error_class(rc) != WEIR_CLASS_REOPEN &&
        weir_error_class(rc) != WEIR_CLASS_UNKNOWN)
        return;
    close_node();
    open_node();
}

static void append_done(struct weir_req *req, int status)
{
    struct sent *s = req->ctx;

    s->ended = 1;
    s->status = status;
    s->offset = s->req.base_offset;
}

static struct sent *send_one(void)
{
    struct sent *s = &w.sent[w.count];
    int n = snprintf(s->data, sizeof(s->data), "%06zu.", w.count);

    ck_assert_uint_lt(w.count, SENDS);
    w.count++;
    for (size_t i = (size_t)n; i < RECORD_LEN; i++)
        s->data[i] = (char)('a' + (i * w.count) % 26);
    s->req = (struct weir_append){.req.done = append_done,
                                  .req.ctx = s,
                                  .data = s->data,
                                  .len = RECORD_LEN,
                                  .count = 1,
                                  .max_timestamp = WEIR_NO_TIMESTAMP};
    s->status = weir_append(w.stream, &s->req);
    s->ended = s->status != 0;
    return s;
}

static void await(struct sent *s)
{
    while (!s->ended)
        ck_assert_int_ge(weir_poll(w.node, WEIR_FOREVER), 0);
}

/* `n` records, all under way at one time; those that fail are sent anew. */
static void append(size_t n)
{
    int tries = 0;
    int worst;

    do {
        size_t first = w.count;
        size_t failed = 0;

        for (size_t i = 0; i < n; i++)
            send_one();
        worst = 0;
        for (size_t i = first; i < first + n; i++) {
            await(&w.sent[i]);
            if (w.sent[i].status != 0) {
                worst = w.sent[i].status;
                failed++;
            }
        }
        n = failed;
        reopen_if_needed(worst);
    } while (again(worst, tries++));
}

static void flush(void)
{
    struct weir_flush req = {0};
    int tries = 0;
    int rc;

    while (again(rc = weir_flush_sync(w.node, &req), tries++)) {
        reopen_if_needed(rc);
        req = (struct weir_flush){0};
    }
}

static void drop_other(void)
{
    struct weir_append a = {.data = "other",
                            .len = 5,
                            .count = 1,
                            .max_timestamp = WEIR_NO_TIMESTAMP};
    struct weir_stream_delete del = {.name = "other"};
    int tries = 0;
    int rc;

    while (again(rc = open_stream("other", &w.other), tries++))
        reopen_if_needed(rc);
    rc = weir_append_sync(w.other, &a);
    w.failures += rc != 0;
    reopen_if_needed(rc);
    flush();
    tries = 0;
    while (again(rc = weir_stream_delete_sync(w.node, &del), tries++)) {
        if (rc == WEIR_ENOENT) /* The first one was done. */
            break;
        reopen_if_needed(rc);
    }
}

static void trim(void)
{
    struct weir_trim req = {.start = 1};
    int tries = 0;
    int rc;

    while (again(rc = weir_trim_sync(w.stream, &req), tries++)) {
        reopen_if_needed(rc);
        req = (struct weir_trim){.start = 1};
    }
    w.start = 1;
}

/* Appends are under way, at every stage.  What they are told after that,
 * nobody hears; but it must not be that they are done. */
static void kill_node(void)
{
    size_t first = w.count;

    for (int i = 0; i < 3; i++) {
        send_one();
        for (int steps = 0; steps < 2 * i; steps++)
            virtual_env_step(&w.env);
    }
    s3_door_cut(w.door);
    for (size_t i = first; i < w.count; i++) {
        await(&w.sent[i]);
        ck_assert_int_ne(w.sent[i].status, 0);
    }
    close_node();
}

/* ---- Is all there? ---------------------------------------------------------
 */

static struct sent *sent_as(const struct weir_batch *b)
{
    char number[7] = "";
    size_t i;

    if (b->len != RECORD_LEN)
        return NULL;
    memcpy(number, b->data, 6);
    i = strtoul(number, NULL, 10);
    if (i >= w.count || memcmp(w.sent[i].data, b->data, RECORD_LEN) != 0)
        return NULL;
    return &w.sent[i];
}

static void see(const struct weir_batch *b, uint64_t offset)
{
    struct sent *s = sent_as(b);

    ck_assert_msg(b->base_offset == offset,
                  "%s: offset %" PRIu64 " where %" PRIu64 " should be", point(),
                  b->base_offset, offset);
    ck_assert_msg(s != NULL, "%s: offset %" PRIu64 " was never appended",
                  point(), offset);
    if (s->seen++ > 0)
        total.twice++;
    if (s->status == 0 && s->offset != offset)
        total.lost++; /* Another one is where it should be. */
    if (s->status != 0 && s->status != WEIR_EUNKNOWN)
        total.undone++;
}

static void read_page(uint64_t *offset, int *more)
{
    struct weir_fetch fetch;
    int tries = 0;
    int rc;

    do {
        fetch = (struct weir_fetch){.offset = *offset, .max_bytes = 4096};
        rc = weir_fetch_sync(w.stream, &fetch);
    } while (again(rc, tries++));
    *more = fetch.count > 0;
    for (size_t i = 0; i < fetch.count; i++)
        see(&fetch.batches[i], (*offset)++);
    weir_fetch_release(&fetch);
}

/* Reads everything and compares it with what was told of each append. */
static void check(const char *moment)
{
    uint64_t lost = total.lost, twice = total.twice, undone = total.undone;
    uint64_t offset = w.start;
    int more = 1;

    for (size_t i = 0; i < w.count; i++)
        w.sent[i].seen = 0;
    while (more)
        read_page(&offset, &more);
    for (size_t i = 0; i < w.count; i++)
        if (w.sent[i].status == 0 && w.sent[i].seen == 0 &&
            w.sent[i].offset >= w.start)
            total.lost++;
    ck_assert_msg(total.lost == lost && total.twice == twice &&
                      total.undone == undone,
                  "%s, %s: %" PRIu64 " acknowledged records lost, %" PRIu64
                  " twice, %" PRIu64 " that had failed",
                  point(), moment, total.lost - lost, total.twice - twice,
                  total.undone - undone);
}

/* ---- One life --------------------------------------------------------------
 */

static void live(bool kill)
{
    open_node();
    append(4);
    flush();
    append(3);
    virtual_env_sleep(&w.env, 2000 * MS);
    drop_other();
    trim();
    check("before the end");
    append(2);
    virtual_env_sleep(&w.env, 2000 * MS);
    if (kill)
        kill_node();
    else
        close_node();
}

/* What others find after it, when whatever is late has come. */
static void live_on(void)
{
    open_node();
    check("after it was opened again");
    append(2);
    virtual_env_sleep(&w.env, 60000 * MS);
    flush();
    close_node();
    open_node();
    append(1);
    check("at the end");
    close_node();
}

static void begin(unsigned seed)
{
    virtual_env_init(&w.env, seed);
    w.door = s3_door_new();
    s3_door_set(w.door);
    w.node = NULL;
    w.count = 0;
    w.start = 0;
    w.failures = 0;
}

static void end(void)
{
    virtual_env_close(&w.env);
    s3_door_free(w.door);
}

static void count_point(void)
{
    total.points++;
    total.failed_calls += w.failures;
    for (size_t i = 0; i < w.count; i++) {
        total.acked += w.sent[i].status == 0;
        total.unknown += w.sent[i].status == WEIR_EUNKNOWN;
    }
}

/* Requests of a life without a fault, and with what comes after it. */
static void measure(int *life, int *all)
{
    begin(1);
    snprintf(w.point, sizeof(w.point), "no fault");
    s3_door_fault(w.door, NULL, 0);
    live(false);
    *life = s3_door_requests(w.door);
    live_on();
    *all = s3_door_requests(w.door);
    ck_assert_uint_eq(w.failures, 0);
    end();
}

static void run_point(int index, size_t number, bool kill)
{
    struct s3_door_fault fault = s3_fault_number(number);
    char text[80];

    begin(1);
    snprintf(w.point, sizeof(w.point), "%s at request %d%s",
             s3_fault_text(&fault, text, sizeof(text)), index,
             kill ? ", killed" : "");
    s3_door_fault(w.door, &fault, index);
    live(kill);
    live_on();
    ck_assert_msg(w.failures <= (unsigned)fault.told,
                  "%s: %u calls told of a failure", point(), w.failures);
    count_point();
    end();
}

/* Of every `SLICES` points one; so that they can run side by side.  With a
 * sanitizer, which looks at the paths and not at the points, a fifth of them.
 */
#ifdef __SANITIZE_ADDRESS__
enum { SLICES = 4, STEP = 5 };
#else
enum { SLICES = 4, STEP = 1 };
#endif

static void run_points(int requests, int slice, bool kill)
{
    for (int index = 0; index < requests; index++)
        for (size_t i = 0; i < s3_fault_count(); i++)
            if (((size_t)index + i) % (SLICES * STEP) == (size_t)slice)
                run_point(index, i, kill);
}

START_TEST(no_fault_at_any_request_loses_or_repeats_a_record)
{
    int life;
    int all;

    measure(&life, &all);
    run_points(life, _i, false);
    run_points(all, _i, true); /* With the recovery from it. */
    printf("s3 sweep, part %d of %d: %" PRIu64 " points (%zu faults, %d "
           "requests and a close, %d with a kill and the recovery): %" PRIu64
           " records acknowledged, %" PRIu64 " lost, %" PRIu64
           " twice, %" PRIu64 " unknown; %" PRIu64 " calls told of a failure\n",
           _i + 1, SLICES, total.points, s3_fault_count(), life, all,
           total.acked, total.lost, total.twice, total.unknown,
           total.failed_calls);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_sweep");

    tcase_add_loop_test(tc, no_fault_at_any_request_loses_or_repeats_a_record,
                        0, SLICES);
    return test_run();
}
