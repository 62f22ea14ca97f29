/* SPDX-License-Identifier: Apache-2.0 */
/* An allocation of a node in a cluster fails, whichever, or all do from it on
 * for a while or until the node is killed: every request ends, nothing leaks,
 * and what was acknowledged is there afterwards.
 *
 * The node recovers its log, opens streams, appends, reads, trims, uploads,
 * has keys and a watch, follows another node's stream, takes over a dead
 * node, hands a stream over, and closes.  Its log is on a
 * disk or in objects.  WEIR_EVERY=1 tries every allocation, otherwise every
 * so many, beginning with another one in each run. */
#include "sim/machines.h"
#include "sim/world.h"
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOME = 23, BATCHES = 64, LEN = 3000, VICTIM = 1, DEAD = 0, THIRD = 2 };

/* How memory fails. */
enum way {
    ONCE,        /* One allocation. */
    FOR_A_WHILE, /* All of a minute. */
    TO_THE_END,  /* All, until the node is killed a minute later. */
    WAYS
};
static const char *const way_names[] = {"once", "for a while", "to the end"};

/** What is known of a stream: who wrote the batch at an offset, 0: not known.
 */
struct track {
    uint64_t acked[BATCHES];
    uint64_t start;
};

static struct {
    struct weir_alloc inner; /* The node's own. */
    long calls;
    long fail_at; /* 0: none. */
    enum way way;
    int short_of; /* 1: all fail. */
    long failed;
    struct weir_timer back;
} memory;

static struct track tracks[STREAMS];
static uint64_t number; /* Of the last append. */
static char data[LEN];
static struct weir_error err;
static long failures; /* Allocations that failed in all lives. */
static char point[100];

/* ---- Memory that fails --------------------------------------------------- */

static void memory_is_back(struct weir_timer *timer)
{
    (void)timer;
    memory.short_of = 0;
    if (memory.way == TO_THE_END)
        machine_crash(&world.machines[VICTIM]);
}

static int fails(void)
{
    memory.calls++;
    if (memory.calls == memory.fail_at) {
        memory.failed++;
        if (memory.way == ONCE)
            return 1;
        memory.short_of = 1;
        memory.back = (struct weir_timer){.fire = memory_is_back,
                                          .deadline = weir_sim_now(world.sim) +
                                                      60 * SECOND};
        weir_sim_at(world.sim, &memory.back);
        return 1;
    }
    memory.failed += memory.short_of;
    return memory.short_of;
}

static void *fail_malloc(void *ctx, size_t size)
{
    return fails() ? NULL : memory.inner.malloc(ctx, size);
}

static void *fail_realloc(void *ctx, void *ptr, size_t size)
{
    return fails() ? NULL : memory.inner.realloc(ctx, ptr, size);
}

static void *fail_aligned(void *ctx, size_t align, size_t size)
{
    return fails() ? NULL : memory.inner.aligned(ctx, align, size);
}

/* The victim's memory, from its next allocation on. */
static void memory_breaks(long at, enum way way)
{
    struct weir_alloc *alloc = &world.machines[VICTIM].sim->alloc;

    memset(&memory, 0, sizeof(memory));
    memory.inner = *alloc;
    memory.fail_at = at;
    memory.way = way;
    alloc->malloc = fail_malloc;
    alloc->realloc = fail_realloc;
    alloc->aligned = fail_aligned;
}

static long memory_mends(void)
{
    long calls = memory.calls;

    weir_sim_cancel(world.sim, &memory.back);
    world.machines[VICTIM].sim->alloc = memory.inner;
    memory.calls = 0;
    return calls;
}

/* ---- What a node does ---------------------------------------------------- */

/* An error must be one that memory may cause, and say something. */
static int told(int status)
{
    if (status == 0)
        return 0;
    ck_assert_msg(memory.calls != 0, "%s: afterwards %s: %s", point,
                  weir_error_name(status), err.text);
    ck_assert_msg(status == WEIR_ENOMEM || status == WEIR_EUNKNOWN ||
                      status == WEIR_EPOISONED || status == WEIR_EAGAIN ||
                      (status == WEIR_ETIMEDOUT && memory.way != ONCE),
                  "%s: %s: %s", point, weir_error_name(status), err.text);
    ck_assert_msg(err.text[0] != '\0', "%s: %s without a text", point,
                  weir_error_name(status));
    err.text[0] = '\0';
    return status;
}

static struct weir_stream *open_stream(struct weir *node, int stream,
                                       unsigned flags)
{
    char name[16];
    struct weir_stream_open open = {
        .req.err = &err, .name = name, .flags = flags};

    snprintf(name, sizeof(name), "stream-%d", stream);
    return told(weir_stream_open_sync(node, &open)) == 0 ? open.stream : NULL;
}

static void fill(uint64_t n)
{
    memset(data, 'a' + (int)(n % 26), LEN);
    memcpy(data, &n, sizeof(n));
}

static int append(struct weir_stream *s, int stream)
{
    struct weir_append a = {.req.err = &err,
                            .data = data,
                            .len = LEN,
                            .count = 1,
                            .max_timestamp = WEIR_NO_TIMESTAMP};
    int rc;

    fill(++number);
    rc = told(weir_append_sync(s, &a));
    if (rc == 0) {
        ck_assert_msg(
            a.base_offset < BATCHES && tracks[stream].acked[a.base_offset] == 0,
            "%s: offset %" PRIu64 " acknowledged twice", point, a.base_offset);
        tracks[stream].acked[a.base_offset] = number;
    }
    return rc;
}

/* Read on from `from`: what is there is what was written.  The end. */
static uint64_t read_all(struct weir_stream *s, int stream, uint64_t from)
{
    uint64_t at = from;

    for (;;) {
        struct weir_fetch f = {
            .req.err = &err, .offset = at, .max_bytes = 10000};
        size_t count;

        if (told(weir_fetch_sync(s, &f)) != 0)
            return at;
        count = f.count;
        for (size_t i = 0; i < count; i++, at++) {
            uint64_t n;

            ck_assert_msg(f.batches[i].base_offset == at &&
                              f.batches[i].len == LEN,
                          "%s: not the next batch", point);
            memcpy(&n, f.batches[i].data, sizeof(n));
            fill(n);
            ck_assert_msg(memcmp(f.batches[i].data, data, LEN) == 0,
                          "%s: other bytes at %" PRIu64, point, at);
            ck_assert_msg(at >= BATCHES || tracks[stream].acked[at] == 0 ||
                              tracks[stream].acked[at] == n,
                          "%s: another batch at %" PRIu64, point, at);
        }
        weir_fetch_release(&f);
        if (count == 0)
            return at;
    }
}

static void flush(struct weir *node)
{
    struct weir_flush flush = {.req.err = &err};

    (void)told(weir_flush_sync(node, &flush));
}

static int watch_over;

static void watch_done(struct weir_req *req, int status)
{
    (void)req;
    (void)status;
    watch_over = 1;
}

static int watch_pair(struct weir_kv_watch *watch,
                      const struct weir_kv_pair *pair)
{
    (void)watch;
    (void)pair;
    return 0;
}

static int get_pair(struct weir_kv_get *get, const struct weir_kv_pair *pair)
{
    (void)get;
    return pair->len == 5 ? 0 : WEIR_EBUG;
}

static struct weir_kv_watch watch;

static void use_keys(struct weir *node)
{
    struct weir_kv_put put = {.req.err = &err,
                              .key = "key",
                              .value = "value",
                              .len = 5,
                              .expected = WEIR_KV_ANY,
                              .flags = WEIR_KV_NODE_LIFE};
    struct weir_kv_get get = {.req.err = &err, .key = "key", .pair = get_pair};
    struct weir_member rows[NODES] = {{0}};
    struct weir_node_list list = {.req.err = &err, .out = rows, .limit = NODES};

    watch = (struct weir_kv_watch){.req = {.done = watch_done, .err = &err},
                                   .prefix = "",
                                   .present = 1,
                                   .changed = watch_pair};
    watch_over = told(weir_kv_watch(node, &watch)) != 0;
    if (told(weir_kv_put_sync(node, &put)) == 0)
        (void)told(weir_kv_get_sync(node, &get));
    (void)told(weir_node_list_sync(node, &list));
}

/* Its own stream: the old tail, more, an upload, a trim. */
static void use_own(struct machine *m)
{
    struct weir_stream *s = open_stream(m->node, 1, WEIR_STREAM_CREATE);
    struct weir_trim trim = {.req.err = &err, .start = 2};

    if (s == NULL)
        return;
    m->streams[1] = s;
    read_all(s, 1, tracks[1].start);
    for (int i = 0; i < 3; i++)
        (void)append(s, 1);
    flush(m->node);
    if (weir_trim_sync(s, &trim) == 0)
        tracks[1].start = 2;
    (void)append(s, 1);
    read_all(s, 1, 2);
}

/* A node that has just been opened does not know yet how long the other one
 * has been silent: wait for what never comes. */
static int take_over(struct machine *m, struct weir_stream *s)
{
    int rc = WEIR_EBUSY;

    for (int i = 0; i < 10 && rc == WEIR_EBUSY; i++) {
        struct weir_takeover take = {.req.err = &err, .node_id = DEAD + 1};
        struct weir_stream_stat stat;
        struct weir_fetch f = {.req.err = &err,
                               .max_bytes = 1,
                               .min_bytes = 1,
                               .max_wait = (int64_t)(10 * SECOND)};

        rc = weir_takeover_sync(m->node, &take);
        if (rc == WEIR_EBUSY && weir_stream_stat(s, &stat) == 0) {
            f.offset = stat.end;
            (void)weir_fetch_sync(s, &f);
            weir_fetch_release(&f);
        }
    }
    return told(rc);
}

static void use_others(struct machine *m)
{
    struct weir_stream *s = open_stream(m->node, 2, WEIR_STREAM_READ);

    if (s == NULL)
        return;
    (void)read_all(s, 2, 0);
    if (take_over(m, s) != 0)
        return;
    s = open_stream(m->node, 0, 0);
    if (s == NULL)
        return;
    read_all(s, 0, 0);
    (void)append(s, 0);
    flush(m->node);
}

static void give_own_away(struct machine *m)
{
    struct weir_handover hand = {
        .req.err = &err, .streams = &m->streams[1], .count = 1};

    if (m->streams[1] != NULL)
        (void)told(weir_handover_sync(m->node, &hand));
}

static void victim_program(void *ctx)
{
    struct machine *m = ctx;

    m->config = NULL;
    m->status = weir_sim_config(&m->config, m->sim);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "lease", world.lease, &err);
    if (m->status == 0 && world.wal != NULL)
        m->status = weir_config_set(m->config, "wal", world.wal, &err);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "log_cache", "4MiB", &err);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "segment", "64KiB", &err);
    if (m->status == 0)
        m->status = weir_config_set(m->config, "max_batch", "64KiB", &err);
    if (m->status == 0) {
        m->status = told(weir_open(&m->node, m->config, &err));
        if (m->status == 0) {
            use_keys(m->node);
            use_own(m);
            use_others(m);
            give_own_away(m);
            (void)weir_close(m->node, &err);
            weir_free(m->node);
            ck_assert_int_eq(watch_over, 1);
        } else {
            ck_assert_ptr_null(m->node);
        }
    }
    weir_config_free(m->config);
    m->node = NULL;
}

/* ---- One life ------------------------------------------------------------ */

static void write_program(void *ctx)
{
    struct machine *m = ctx;
    int stream = world.arg;

    for (int i = 0; i < 3; i++) {
        m->status = append(m->streams[stream], stream);
        if (m->status != 0)
            return;
        if (i == 0)
            flush(m->node);
    }
}

/* Three nodes with a stream each; two die with a tail in their logs. */
static void prepare(void)
{
    memset(tracks, 0, sizeof(tracks));
    number = 0;
    for (int i = 0; i < NODES; i++) {
        struct machine *m = &world.machines[i];

        ck_assert_int_eq(machine_start(m), 0);
        ck_assert_int_eq(machine_open_stream(m, i), 0);
        ck_assert_int_eq(machine_call(m, write_program), 0);
        ck_assert_int_eq(m->status, 0);
    }
    machine_crash(&world.machines[DEAD]);
    machine_crash(&world.machines[VICTIM]);
    world_run(60 * SECOND);
}

static void check_program(void *ctx)
{
    struct machine *m = ctx;

    for (int s = 0; s < STREAMS; s++) {
        uint64_t end;

        if (m->streams[s] == NULL)
            m->streams[s] = open_stream(m->node, s, 0);
        ck_assert_msg(m->streams[s] != NULL, "%s: stream %d", point, s);
        end = read_all(m->streams[s], s, tracks[s].start);
        for (uint64_t at = end; at < BATCHES; at++)
            ck_assert_msg(tracks[s].acked[at] == 0,
                          "%s: stream %d lost %" PRIu64, point, s, at);
        ck_assert_int_eq(append(m->streams[s], s), 0);
    }
}

/* The third node takes what the others have left. */
static void check(void)
{
    struct machine *m = &world.machines[THIRD];

    machine_crash(&world.machines[VICTIM]);
    world_run(120 * SECOND);
    for (int i = 0; i < THIRD; i++) {
        machine_take_over(m, i);
        ck_assert_msg(m->status == 0, "%s: takeover of %d: %s", point, i + 1,
                      weir_error_name(m->status));
    }
    ck_assert_int_eq(machine_call(m, check_program), 0);
}

/* 0 when there were not so many allocations. */
static int one_life(long at, enum way way)
{
    struct machine *m = &world.machines[VICTIM];
    long calls;
    int rc;

    world_open(1);
    prepare();
    snprintf(point, sizeof(point), "%s log, allocation %ld, %s",
             world.wal != NULL ? "object" : "disk", at, way_names[way]);
    memory_breaks(at, way);
    weir_sim_start(m->sim);
    rc = machine_call(m, victim_program);
    calls = memory_mends();
    if (way == TO_THE_END && rc == WEIR_ECANCELED) {
        weir_sim_start(m->sim);
    } else {
        ck_assert_msg(rc == 0, "%s: it hangs: %s", point, weir_error_name(rc));
        world_run(60 * SECOND); /* What is on its way comes. */
        ck_assert_msg(weir_sim_blocks(m->sim) == 0,
                      "%s: %zu blocks were not given back", point,
                      weir_sim_blocks(m->sim));
    }
    check();
    failures += memory.failed;
    weir_sim_free(world.sim);
    return calls >= at;
}

static long stride(void)
{
    return getenv("WEIR_EVERY") != NULL ? 1 : SOME;
}

START_TEST(any_allocation_of_a_node_in_a_cluster_may_fail)
{
    enum way way = (enum way)(_i / 2);
    const char *only = getenv("WEIR_POINT");
    long n = 1 + (long)(test_seed() % (unsigned long long)stride());
    long lives = 0;

    world.wal = _i % 2 == 0 ? NULL : "object:";
    if (only != NULL) {
        one_life(strtol(only, NULL, 10), way);
        return;
    }
    failures = 0;
    for (; one_life(n, way); n += stride())
        lives++;
    printf("%s log, %s: of %ld allocations, %ld were tried, %ld failed\n",
           world.wal != NULL ? "object" : "disk", way_names[way], n - 1, lives,
           failures);
    fflush(stdout);
    ck_assert_int_gt(lives, 20);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim memory");

    tcase_set_timeout(tc, stride() == 1 ? 3600 : 300);
    tcase_add_loop_test(tc, any_allocation_of_a_node_in_a_cluster_may_fail, 0,
                        2 * WAYS);
    return test_run();
}
