/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What every manifest log must do, on every store.
 */
#include "support/store_kinds.h"
#include "support/test.h"

#include "base/crc32c.h"
#include "format/manifest_record.h"
#include "format/object_name.h"
#include "manifest/manifest.h"

#include <stdlib.h>
#include <string.h>

static struct store_rig rig;
static struct weir_mlog *mlog;
static int kind;

static void open_log(void)
{
    ck_assert_int_eq(
        weir__mlog_store_open(&mlog, &rig.host.host, rig.store, NULL), 0);
    ck_assert_uint_ge(mlog->ops->size, sizeof(struct weir_mlog_ops));
    ck_assert_ptr_nonnull(mlog->ops->name);
}

static void start(int i)
{
    kind = i;
    store_kind_open(&rig, kind);
    open_log();
}

static void stop(void)
{
    mlog->ops->close(mlog);
    store_kind_close(&rig, kind);
}

struct call {
    struct weir_mlog_req req;
    struct weir_error err;
    int status;
    int done;
    int submitting;
};

static void call_done(struct weir_mlog_req *req, int status)
{
    struct call *call = req->ctx;

    ck_assert_int_eq(call->submitting, 0);
    call->status = status;
    call->done++;
}

static void begin(struct call *call)
{
    call->req.done = call_done;
    call->req.ctx = call;
    call->req.err = &call->err;
    call->submitting = 1;
    mlog->ops->submit(mlog, &call->req);
    call->submitting = 0;
}

static int finish(struct call *call)
{
    test_host_run(&rig.host, &call->done);
    ck_assert_int_eq(call->done, 1);
    if (call->status != 0 && call->status != WEIR_ENOENT)
        ck_assert_int_eq(call->err.code, call->status);
    return call->status;
}

static int run(struct call *call)
{
    begin(call);
    return finish(call);
}

static int write_at(enum weir_mlog_verb verb, uint64_t version,
                    const void *data, size_t len)
{
    /* In two pieces: a log must take them. */
    struct weir_iov iov[2] = {{data, len / 2},
                              {(const char *)data + len / 2, len - len / 2}};
    struct call call = {
        .req = {.verb = verb, .version = version, .iov = iov, .iov_count = 2}};

    return run(&call);
}

static int append(uint64_t version, const char *text)
{
    return write_at(WEIR_MLOG_APPEND, version, text, strlen(text));
}

/* Bytes that a log takes for a snapshot. */
static size_t snapshot_bytes(unsigned char *data, size_t room, char fill)
{
    struct weir__snapshot header = {0};
    struct weir__writer w;
    size_t len;

    weir__writer_init(&w, weir_alloc_default());
    weir__snapshot_begin(&w);
    weir__write8(&w, (uint8_t)fill);
    ck_assert_int_eq(weir__snapshot_end(&w, &header), 0);
    len = w.len;
    ck_assert_uint_le(len, room);
    memcpy(data, w.data, len);
    weir__writer_free(&w);
    return len;
}

static int snapshot(uint64_t version, char fill)
{
    unsigned char data[256];
    size_t len = snapshot_bytes(data, sizeof(data), fill);

    return write_at(WEIR_MLOG_SNAPSHOT, version, data, len);
}

/* The status; the text is checked when it is 0. */
static int read_is(uint64_t version, const char *text)
{
    struct call call = {.req = {.verb = WEIR_MLOG_READ, .version = version}};
    int status = run(&call);

    if (status != 0) {
        ck_assert_ptr_null(call.req.body);
        return status;
    }
    ck_assert_uint_eq(call.req.body->len, strlen(text));
    ck_assert_mem_eq(call.req.body->data, text, strlen(text));
    weir_buf_unref(call.req.body);
    return 0;
}

/* Version of the newest snapshot, or 0: none; a negative status else. */
static int64_t latest(char fill)
{
    struct call call = {.req = {.verb = WEIR_MLOG_LATEST}};
    int status = run(&call);

    if (status == WEIR_ENOENT)
        return 0;
    if (status != 0)
        return status;
    ck_assert_uint_eq(call.req.body->len, WEIR__SNAPSHOT_HEADER + 1);
    ck_assert_int_eq(call.req.body->data[WEIR__SNAPSHOT_HEADER], fill);
    weir_buf_unref(call.req.body);
    return (int64_t)call.req.version;
}

static int trim(uint64_t version)
{
    struct call call = {.req = {.verb = WEIR_MLOG_TRIM, .version = version}};

    return run(&call);
}

START_TEST(an_empty_log_has_nothing)
{
    start(_i);
    ck_assert_int_eq(read_is(1, ""), WEIR_ENOENT);
    ck_assert_int_eq(latest(0), 0);
    ck_assert_int_eq(trim(5), 0);
    stop();
}
END_TEST

START_TEST(a_version_is_created_once)
{
    start(_i);
    ck_assert_int_eq(append(1, "first"), 0);
    ck_assert_int_eq(append(1, "other"), WEIR_ECONFLICT);
    ck_assert_int_eq(append(1, "first"), WEIR_ECONFLICT);
    ck_assert_int_eq(read_is(1, "first"), 0);
    ck_assert_int_eq(read_is(2, ""), WEIR_ENOENT);
    ck_assert_int_eq(append(2, "second"), 0);
    ck_assert_int_eq(read_is(2, "second"), 0);
    stop();
}
END_TEST

START_TEST(of_writers_at_one_time_one_wins)
{
    enum { WRITERS = 8 };
    static const char *const texts[WRITERS] = {"a", "b", "c", "d",
                                               "e", "f", "g", "h"};
    struct call calls[WRITERS];
    struct weir_iov iov[WRITERS];
    int winner = -1;

    start(_i);
    memset(calls, 0, sizeof(calls));
    for (int i = 0; i < WRITERS; i++) {
        iov[i] = (struct weir_iov){texts[i], 1};
        calls[i].req.verb = WEIR_MLOG_APPEND;
        calls[i].req.version = 7;
        calls[i].req.iov = &iov[i];
        calls[i].req.iov_count = 1;
        begin(&calls[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = finish(&calls[i]);

        if (status == 0) {
            ck_assert_int_eq(winner, -1);
            winner = i;
        } else {
            ck_assert_int_eq(status, WEIR_ECONFLICT);
        }
    }
    ck_assert_int_ge(winner, 0);
    ck_assert_int_eq(read_is(7, texts[winner]), 0);
    stop();
}
END_TEST

START_TEST(a_log_lasts_when_it_is_closed)
{
    start(_i);
    ck_assert_int_eq(append(1, "first"), 0);
    ck_assert_int_eq(snapshot(1, 's'), 0);
    mlog->ops->close(mlog);
    open_log();
    ck_assert_int_eq(read_is(1, "first"), 0);
    ck_assert_int_eq(latest('s'), 1);
    stop();
}
END_TEST

START_TEST(the_newest_snapshot_is_the_one_of_the_highest_version)
{
    start(_i);
    ck_assert_int_eq(snapshot(0xff, 'a'), 0);
    ck_assert_int_eq(snapshot(0x100, 'b'), 0);
    ck_assert_int_eq(snapshot(9, 'c'), 0);
    ck_assert_int_eq(latest('b'), 0x100);
    /* It is there: that is success, and it stays as it was. */
    ck_assert_int_eq(snapshot(0x100, 'x'), 0);
    ck_assert_int_eq(latest('b'), 0x100);
    stop();
}
END_TEST

static void append_many(uint64_t first, uint64_t last)
{
    for (uint64_t version = first; version <= last; version++)
        ck_assert_int_eq(append(version, "commit"), 0);
}

/* How many versions from 1 on are gone; behind them none may be. */
static uint64_t trimmed(uint64_t last)
{
    uint64_t gone = 0;

    for (uint64_t version = 1; version <= last; version++) {
        int status = read_is(version, "commit");

        if (status == WEIR_ENOENT) {
            ck_assert_uint_eq(gone, version - 1);
            gone = version;
        }
    }
    return gone;
}

START_TEST(a_trim_keeps_two_snapshots_and_what_the_older_needs)
{
    start(_i);
    append_many(1, 35);
    ck_assert_int_eq(snapshot(10, 'a'), 0);
    ck_assert_int_eq(trim(10), 0);
    ck_assert_uint_eq(trimmed(35), 0);
    ck_assert_int_eq(snapshot(20, 'b'), 0);
    ck_assert_int_eq(snapshot(30, 'c'), 0);
    /* What was asked for. */
    ck_assert_int_eq(trim(5), 0);
    ck_assert_uint_eq(trimmed(35), 5);
    /* No more than what may go. */
    ck_assert_int_eq(trim(30), 0);
    ck_assert_uint_eq(trimmed(35), 20);
    ck_assert_int_eq(store_head(&rig, "manifest/snap/000000000000000a", NULL),
                     WEIR_ENOENT);
    ck_assert_int_eq(store_head(&rig, "manifest/snap/0000000000000014", NULL),
                     0);
    ck_assert_int_eq(latest('c'), 30);
    stop();
}
END_TEST

/* Methods of the store, with LISTs that are counted. */
static struct weir_store_ops counting;
static const struct weir_store_ops *counted;
static int lists;

static void submit_counted(struct weir_store *store, struct weir_store_req *req)
{
    lists += req->verb == WEIR_STORE_LIST;
    counted->submit(store, req);
}

START_TEST(a_trim_lists_snapshots_and_commits_once_each)
{
    start(_i);
    append_many(1, 35);
    ck_assert_int_eq(snapshot(10, 'a'), 0);
    ck_assert_int_eq(snapshot(20, 'b'), 0);
    ck_assert_int_eq(snapshot(30, 'c'), 0);
    counted = rig.store->ops;
    counting = *counted;
    counting.submit = submit_counted;
    rig.store->ops = &counting;
    lists = 0;
    ck_assert_int_eq(trim(30), 0);
    rig.store->ops = counted;
    ck_assert_int_eq(lists, 2);
    ck_assert_uint_eq(trimmed(35), 20);
    ck_assert_int_eq(store_head(&rig, "manifest/snap/000000000000000a", NULL),
                     WEIR_ENOENT);
    stop();
}
END_TEST

/* More of both than one TRIM takes. */
START_TEST(trims_catch_up_with_many_snapshots)
{
    start(_i);
    for (uint64_t version = 1; version <= 100; version++)
        ck_assert_int_eq(snapshot(version, 'a'), 0);
    ck_assert_int_eq(append(100, "commit"), 0);
    ck_assert_int_eq(trim(100), 0);
    ck_assert_int_eq(store_head(&rig, "manifest/snap/0000000000000040", NULL),
                     WEIR_ENOENT);
    ck_assert_int_eq(store_head(&rig, "manifest/snap/0000000000000041", NULL),
                     0);
    ck_assert_int_eq(trim(100), 0);
    ck_assert_int_eq(store_head(&rig, "manifest/snap/0000000000000062", NULL),
                     WEIR_ENOENT);
    ck_assert_int_eq(store_head(&rig, "manifest/snap/0000000000000063", NULL),
                     0);
    ck_assert_int_eq(latest('a'), 100);
    stop();
}
END_TEST

START_TEST(trims_catch_up)
{
    start(_i);
    append_many(1, 150);
    ck_assert_int_eq(snapshot(140, 'a'), 0);
    ck_assert_int_eq(snapshot(150, 'b'), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(trim(150), 0);
    ck_assert_uint_eq(trimmed(150), 140);
    stop();
}
END_TEST

static void damage(uint64_t version)
{
    char key[WEIR__KEY_SIZE];

    weir__manifest_snap_key(key, version);
    ck_assert_int_eq(store_put(&rig, key, "nonsense", 8, 0), 0);
}

START_TEST(a_damaged_snapshot_gives_way_to_the_one_before)
{
    start(_i);
    append_many(1, 20);
    ck_assert_int_eq(snapshot(10, 'a'), 0);
    ck_assert_int_eq(snapshot(20, 'b'), 0);
    damage(20);
    ck_assert_int_eq(latest('a'), 10);
    stop();
}
END_TEST

/* With all commits there, no snapshot is needed. */
START_TEST(a_damaged_only_snapshot_gives_way_to_the_whole_log)
{
    start(_i);
    append_many(1, 10);
    ck_assert_int_eq(snapshot(10, 'a'), 0);
    damage(10);
    ck_assert_int_eq(latest('a'), 0);
    stop();
}
END_TEST

/* Without the commits between them, the older one would be a lie. */
START_TEST(a_damaged_snapshot_without_its_commits_is_damage)
{
    struct call call = {.req = {.verb = WEIR_MLOG_LATEST}};

    start(_i);
    append_many(11, 19);
    ck_assert_int_eq(snapshot(10, 'a'), 0);
    ck_assert_int_eq(snapshot(20, 'b'), 0);
    damage(20);
    ck_assert_int_eq(run(&call), WEIR_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(call.err.text, "snapshot 20"));
    stop();
}
END_TEST

/* A commit as large as there can be one. */
START_TEST(a_large_commit_comes_back_whole)
{
    static unsigned char data[4 << 20];
    struct call call = {.req = {.verb = WEIR_MLOG_READ, .version = 1}};

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 2654435761u >> 13);
    start(_i);
    ck_assert_int_eq(write_at(WEIR_MLOG_APPEND, 1, data, sizeof(data)), 0);
    ck_assert_int_eq(run(&call), 0);
    ck_assert_uint_eq(call.req.body->len, sizeof(data));
    ck_assert_uint_eq(weir__crc32c(0, call.req.body->data, sizeof(data)),
                      weir__crc32c(0, data, sizeof(data)));
    weir_buf_unref(call.req.body);
    stop();
}
END_TEST

/* The allocations of the log itself; a store has a suite of its own. */
START_TEST(out_of_memory_is_told_after_submit)
{
    struct call calls[2] = {
        {.req = {.verb = WEIR_MLOG_READ, .version = 1}},
        {.req = {.verb = WEIR_MLOG_LATEST}},
    };

    start(_i);
    test_alloc_fail(&rig.host.alloc, 1, 1);
    begin(&calls[0]);
    begin(&calls[1]);
    rig.host.alloc.fail_at = 0;
    ck_assert_int_eq(finish(&calls[0]), WEIR_ENOMEM);
    ck_assert_int_eq(finish(&calls[1]), WEIR_ENOMEM);
    ck_assert_int_eq(append(1, "first"), 0);
    stop();
}
END_TEST

/* ---- Watches ------------------------------------------------------------- */

static struct weir_mlog_watch watch;
static uint64_t newest;
static int told;

static void changed(struct weir_mlog_watch *req, uint64_t version)
{
    ck_assert_ptr_eq(req, &watch);
    newest = version;
    told = 1;
}

/* Whatever it tells first, an append is told of in the end. */
START_TEST(a_log_that_can_tell_tells_of_an_append)
{
    int rc;

    start(_i);
    told = 0;
    watch = (struct weir_mlog_watch){.changed = changed};
    rc = mlog->ops->watch(mlog, &watch);
    ck_assert_int_eq(told, 0);
    if (rc == WEIR_EUNSUPPORTED) {
        ck_assert_ptr_null(getenv("WEIR_TEST_ETCD"));
        stop();
        return;
    }
    ck_assert_int_eq(rc, 0);
    while (!watch.live) {
        test_host_run(&rig.host, &told);
        told = 0;
    }
    newest = 0;
    ck_assert_int_eq(append(1, "one"), 0);
    ck_assert_int_eq(append(2, "two"), 0);
    while (newest < 2) {
        test_host_run(&rig.host, &told);
        told = 0;
    }
    ck_assert_uint_eq(newest, 2);
    stop();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("manifest log");
    int first = store_kind_first();
    int end = store_kind_end();

    tcase_add_loop_test(tc, an_empty_log_has_nothing, first, end);
    tcase_add_loop_test(tc, a_version_is_created_once, first, end);
    tcase_add_loop_test(tc, of_writers_at_one_time_one_wins, first, end);
    tcase_add_loop_test(tc, a_log_lasts_when_it_is_closed, first, end);
    tcase_add_loop_test(
        tc, the_newest_snapshot_is_the_one_of_the_highest_version, first, end);
    tcase_add_loop_test(tc, a_trim_keeps_two_snapshots_and_what_the_older_needs,
                        first, end);
    tcase_add_loop_test(tc, a_trim_lists_snapshots_and_commits_once_each, first,
                        end);
    tcase_add_loop_test(tc, trims_catch_up_with_many_snapshots, first, end);
    tcase_add_loop_test(tc, trims_catch_up, first, end);
    tcase_add_loop_test(tc, a_damaged_snapshot_gives_way_to_the_one_before,
                        first, end);
    tcase_add_loop_test(tc, a_damaged_only_snapshot_gives_way_to_the_whole_log,
                        first, end);
    tcase_add_loop_test(tc, a_damaged_snapshot_without_its_commits_is_damage,
                        first, end);
    tcase_add_loop_test(tc, a_large_commit_comes_back_whole, first, end);
    tcase_add_loop_test(tc, out_of_memory_is_told_after_submit, first, end);
    tcase_add_loop_test(tc, a_log_that_can_tell_tells_of_an_append, first, end);
    return test_run();
}
