/* SPDX-License-Identifier: Apache-2.0 */
/* What every write-ahead log promises, on every log there is; that of
 * examples/custom_wal.c among them. */
#include "store/store.h"
#include "support/host.h"
#include "support/mem_disk.h"
#include "support/own.h"
#include "support/step_env.h"
#include "support/test.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <stdio.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

enum kind {
    KIND_MEMORY,
    KIND_FILE,
    KIND_DISK,
    KIND_OWN,
    KIND_COUNT,
    KIND_OBJECT = KIND_COUNT
};
/* The object log has no end: it is never full. */
enum { KINDS = KIND_OBJECT + 1 };

static struct test_host host;
static struct step_env env;
static struct mem_image image;
static struct wal_rig rig;
static enum kind kind;
static char uri[512];

static void open_disk(struct weir_wal_open *req)
{
    weir__wal_file_open_disk(req, mem_disk_open(&image, req->host), "disk");
}

static void setup(int which)
{
    struct weir_host at;

    kind = (enum kind)which;
    test_host_init(&host);
    at = host.host;
    if (kind == KIND_DISK) {
        step_env_init(&env, 1);
        at.env = &env.env;
        mem_image_init(&image, 2 * MIB);
    }
    wal_rig_init(&rig, &at);
    if (kind == KIND_OBJECT) {
        snprintf(uri, sizeof(uri), "object:");
        ck_assert_int_eq(
            weir__store_memory_open(&rig.store, &rig.host, "mem:", NULL, NULL),
            0);
    } else if (kind == KIND_OWN)
        snprintf(uri, sizeof(uri), "ring:%s/wal", test_dir());
    else if (kind == KIND_MEMORY)
        snprintf(uri, sizeof(uri), "mem:?size=2MiB");
    else
        snprintf(uri, sizeof(uri), "file:%s/wal?size=2MiB", test_dir());
}

static int store_closed;
static struct weir_task closed_task;

static void store_gone(struct weir_task *task)
{
    (void)task;
    store_closed = 1;
}

static void teardown(void)
{
    if (rig.store != NULL) {
        store_closed = 0;
        closed_task.run = store_gone;
        rig.store->ops->close(rig.store, &closed_task);
        while (!store_closed)
            host.host.env->ops->poll(host.host.env, 1000000000);
    }
    wal_rig_free(&rig);
    if (kind == KIND_DISK)
        mem_image_free(&image);
    test_host_close(&host);
}

static int open_log(void)
{
    static weir_wal_open_fn *const open[KINDS] = {
        weir__wal_memory_open, weir__wal_file_open, open_disk, NULL,
        weir__wal_object_open};

    return wal_rig_open(&rig, kind == KIND_OWN ? own_wal_open : open[kind],
                        uri);
}

static void open_all(void)
{
    ck_assert_int_eq(open_log(), 0);
    ck_assert_int_eq(wal_rig_recover(&rig), 0);
    ck_assert_int_eq(wal_rig_start(&rig), 0);
}

static bool persistent(void)
{
    return (rig.wal->flags & WEIR_WAL_PERSISTENT) != 0;
}

START_TEST(new_log_is_empty)
{
    setup(_i);
    open_all();
    ck_assert_uint_eq(rig.seen.count, 0);
    ck_assert_uint_eq(rig.wal->begin, rig.wal->end);
    ck_assert_uint_eq(rig.wal->end % rig.wal->align, 0);
    ck_assert_uint_gt(rig.wal->max_group, 0);
    ck_assert_uint_eq(rig.wal->epoch, rig.owner.epoch);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(writes_move_the_end)
{
    uint64_t end;

    setup(_i);
    open_all();
    for (int i = 0; i < 20; i++) {
        end = rig.wal->end;
        wal_rig_add(&rig, (size_t)i * 100);
        wal_rig_add(&rig, 1);
        ck_assert_int_eq(wal_rig_write(&rig, 1), 0);
        ck_assert_uint_eq(rig.wal->end, end + rig.write.len);
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

/* Groups of one record and of many, in pieces, padded in the middle, with
 * payloads from none to more than a chunk of recovery's. */
static void write_a_variety(void)
{
    for (size_t i = 0; i < 40; i++) {
        wal_rig_add(&rig, i * 37 % 5000);
        if (i % 3 == 0)
            wal_rig_pad(&rig);
        wal_rig_add(&rig, 0);
        wal_rig_add(&rig, 4096 - 96);
        ck_assert_int_eq(wal_rig_write(&rig, i % 4 + 1), 0);
    }
    wal_rig_add(&rig, MIB + 12345);
    wal_rig_add(&rig, 77);
    ck_assert_int_eq(wal_rig_write(&rig, 3), 0);
}

START_TEST(what_was_written_is_recovered)
{
    setup(_i);
    open_all();
    write_a_variety();
    if (persistent()) {
        ck_assert_int_eq(wal_rig_close(&rig), 0);
        open_all();
        ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(recovery_can_be_repeated_and_is_not_lost_by_it)
{
    setup(_i);
    open_all();
    for (int i = 0; i < 5 && persistent(); i++) {
        ck_assert_int_eq(wal_rig_append(&rig, 1000), 0);
        ck_assert_int_eq(wal_rig_append(&rig, 10), 0);
        ck_assert_int_eq(wal_rig_close(&rig), 0);
        ck_assert_int_eq(open_log(), 0);
        ck_assert_int_eq(wal_rig_recover(&rig), 0);
        ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
        ck_assert_int_eq(wal_rig_close(&rig), 0);
        open_all();
        ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(caller_can_end_the_recovery)
{
    setup(_i);
    open_all();
    if (persistent()) {
        write_a_variety();
        ck_assert_int_eq(wal_rig_close(&rig), 0);
        ck_assert_int_eq(open_log(), 0);
        rig.stop_after = 3;
        ck_assert_int_eq(wal_rig_recover(&rig), WEIR_ECANCELED);
        ck_assert_uint_eq(rig.seen.count, 3);
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(full_log_refuses_until_it_is_trimmed)
{
    size_t block;
    int rc, writes = 0;

    setup(_i);
    open_all();
    while ((rc = wal_rig_append(&rig, 50000)) == 0 && writes < 1000)
        writes++;
    ck_assert_int_eq(rc, WEIR_EAGAIN);
    ck_assert_int_gt(writes, 30);
    ck_assert_int_eq(wal_rig_append(&rig, 50000), WEIR_EAGAIN);
    block = rig.wal->align;
    ck_assert_uint_gt(rig.wal->end + 50096 + block,
                      rig.wal->begin + rig.wal->capacity);

    rig.wal->ops->trim(rig.wal, rig.written.at[2].position);
    for (int i = 0; i < 200 && rig.wal->begin == 0; i++)
        rig.host.env->ops->poll(rig.host.env, 10000000);
    ck_assert_int_eq(wal_rig_append(&rig, 50000), 0);
    ck_assert_int_eq(wal_rig_append(&rig, 50000), 0);
    ck_assert_int_eq(wal_rig_append(&rig, 50000), WEIR_EAGAIN);
    if (persistent()) {
        ck_assert_int_eq(wal_rig_close(&rig), 0);
        open_all();
        ck_assert(wal_rig_saw(&rig, 2, rig.written.count));
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

/* Write until there is no room, trim half of it, and so on. */
START_TEST(ring_goes_round_many_times)
{
    size_t first = 0;

    setup(_i);
    open_all();
    for (size_t i = 0; rig.wal->end < 20 * rig.wal->capacity; i++) {
        wal_rig_add(&rig, i * 7919 % 60000);
        wal_rig_add(&rig, i * 31 % 3000);
        if (wal_rig_write(&rig, i % 4 + 1) == 0)
            continue;
        first += (rig.written.count - first) / 2;
        rig.wal->ops->trim(rig.wal, rig.written.at[first].position);
        for (int n = 0; n < 10; n++)
            rig.host.env->ops->poll(rig.host.env, 1000000);
        if (i % 5 == 0 && persistent()) {
            ck_assert_int_eq(wal_rig_close(&rig), 0);
            open_all();
            ck_assert(wal_rig_saw(&rig, first, rig.written.count));
        }
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(trim_beyond_the_end_is_ignored)
{
    setup(_i);
    open_all();
    ck_assert_int_eq(wal_rig_append(&rig, 100), 0);
    rig.wal->ops->trim(rig.wal, rig.wal->end + 65536);
    rig.wal->ops->trim(rig.wal, UINT64_MAX - 7);
    for (int n = 0; n < 10; n++)
        rig.host.env->ops->poll(rig.host.env, 1000000);
    ck_assert_uint_eq(rig.wal->begin, 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(write_elsewhere_than_at_the_end_is_refused)
{
    setup(_i);
    open_all();
    rig.skew = rig.wal->align;
    ck_assert_int_eq(wal_rig_append(&rig, 100), WEIR_EBUG);
    rig.skew = 0;
    ck_assert_int_eq(wal_rig_append(&rig, 100), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

START_TEST(group_longer_than_agreed_is_refused)
{
    setup(_i);
    rig.max_group = 65536;
    open_all();
    ck_assert_uint_eq(rig.wal->max_group, 65536);
    ck_assert_int_eq(wal_rig_append(&rig, 70000), WEIR_ETOOBIG);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

/* Every allocation in turn fails: an error, nothing leaks, and afterwards
 * the log works. */
START_TEST(no_memory_is_an_error_at_any_point)
{
    long n;
    int rc = WEIR_ENOMEM;

    setup(_i);
    for (n = 1; rc != 0 && n < 100; n++) {
        test_alloc_fail(&host.alloc, n, 0);
        rc = open_log();
        if (rc != 0) {
            ck_assert_int_eq(rc, WEIR_ENOMEM);
            ck_assert_ptr_null(rig.wal);
            ck_assert_str_ne(rig.err.text, "");
            if (kind == KIND_DISK)
                image.fresh = true;
            continue;
        }
        if (wal_rig_recover(&rig) == 0)
            wal_rig_start(&rig);
        ck_assert_int_eq(wal_rig_close(&rig), 0);
    }
    ck_assert_int_lt(n, 100);
    test_alloc_fail(&host.alloc, 1000000, 0);
    open_all();
    ck_assert_int_eq(wal_rig_append(&rig, 100), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    teardown();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, new_log_is_empty, 0, KINDS);
    tcase_add_loop_test(tc, writes_move_the_end, 0, KINDS);
    tcase_add_loop_test(tc, what_was_written_is_recovered, 0, KINDS);
    tcase_add_loop_test(tc, recovery_can_be_repeated_and_is_not_lost_by_it, 0,
                        KINDS);
    tcase_add_loop_test(tc, caller_can_end_the_recovery, 0, KINDS);
    tcase_add_loop_test(tc, full_log_refuses_until_it_is_trimmed, 0,
                        KIND_COUNT);
    tcase_add_loop_test(tc, ring_goes_round_many_times, 0, KIND_COUNT);
    tcase_add_loop_test(tc, trim_beyond_the_end_is_ignored, 0, KINDS);
    tcase_add_loop_test(tc, write_elsewhere_than_at_the_end_is_refused, 0,
                        KIND_COUNT);
    tcase_add_loop_test(tc, group_longer_than_agreed_is_refused, 0, KINDS);
    tcase_add_loop_test(tc, no_memory_is_an_error_at_any_point, 0, KINDS);
    return test_run();
}
