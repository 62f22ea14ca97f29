/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to what was durable: every byte of a small log flipped, the log cut
 * short at every length, its header blocks lost.  Never wrong bytes; what was
 * acknowledged is read, or its damage is reported.
 */
#include "format/wal_super.h"
#include "support/mem_disk.h"
#include "support/step_env.h"
#include "support/test.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without the system call that an assertion of Check's makes each time. */
#define CHECK(x)                                                               \
    do {                                                                       \
        if (!(x))                                                              \
            ck_abort_msg("%s", #x);                                            \
    } while (0)

#define BLOCK 4096u
#define RING (2 * BLOCK)
#define GROUP (4 * BLOCK)
#define SIZE ((2 + 12) * BLOCK)

static struct step_env env;
static struct weir_host host;
static struct mem_image *disk; /* Which open_disk opens. */
static bool salvage;

static void open_disk(struct weir_wal_open *req)
{
    weir__wal_file_open_disk(req, mem_disk_open(disk, req->host), "disk");
}

static void setup(void)
{
    step_env_init(&env, 5);
    host.alloc = weir_alloc_default();
    host.env = &env.env;
    salvage = false;
}

/* Open under the next epoch, recover, close again; nothing is written. */
static int look(struct wal_rig *rig, struct mem_image *image)
{
    unsigned writes = image->writes;
    int rc;

    disk = image;
    rig->seen.count = 0;
    rc = wal_rig_open(rig, open_disk, "disk:");
    if (rc != 0)
        return rc;
    rc = wal_rig_recover(rig);
    CHECK(wal_rig_close(rig) == 0);
    CHECK(image->writes == writes);
    return rc;
}

static void open_all(struct wal_rig *rig, struct mem_image *image)
{
    disk = image;
    ck_assert_int_eq(wal_rig_open(rig, open_disk, "disk:"), 0);
    ck_assert_int_eq(wal_rig_recover(rig), 0);
    ck_assert_int_eq(wal_rig_start(rig), 0);
}

static void write_some(struct wal_rig *rig)
{
    static const size_t lens[] = {10, 500, 3000, 1, 0, 4096 - 96, 7000, 1200};

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        wal_rig_add(rig, lens[i]);
        if (i % 3 == 2)
            ck_assert_int_eq(wal_rig_write(rig, 1), 0);
    }
    ck_assert_int_eq(wal_rig_write(rig, 1), 0);
}

/* A log of two epochs, which was closed or (a copy of it) was not. */
static void make_log(struct wal_rig *rig, struct mem_image *image, bool closed)
{
    struct mem_image all;

    wal_rig_init(rig, &host);
    rig->max_group = GROUP;
    mem_image_init(&all, SIZE);
    open_all(rig, &all);
    ck_assert_int_eq(wal_rig_append(rig, 50), 0);
    ck_assert_int_eq(wal_rig_append(rig, 5000), 0);
    ck_assert_int_eq(wal_rig_close(rig), 0);
    open_all(rig, &all);
    write_some(rig);
    if (!closed)
        mem_image_copy(image, &all);
    ck_assert_int_eq(wal_rig_close(rig), 0);
    if (closed)
        mem_image_copy(image, &all);
    mem_image_settle(image);
    mem_image_free(&all);
    ck_assert_int_eq(look(rig, image), 0);
    ck_assert(wal_rig_saw(rig, 0, rig->written.count));
}

/* What was seen are written records, in order; those that are missing are
 * missing at the end. */
static size_t seen_in_order(const struct wal_rig *rig)
{
    size_t damaged = 0;

    for (size_t i = 0; i < rig->seen.count; i++) {
        CHECK(rig->seen.at[i].seq == rig->written.at[i].seq);
        CHECK(rig->seen.at[i].len == rig->written.at[i].len);
        damaged += rig->seen.at[i].damaged != 0;
    }
    return damaged;
}

static void check_damaged(struct wal_rig *rig, struct mem_image *image,
                          bool closed, size_t last_group)
{
    int rc = look(rig, image);
    size_t damaged = seen_in_order(rig);

    CHECK(damaged <= 1);
    if (rc == WEIR_ECORRUPT) {
        CHECK(strstr(rig->err.text, "damaged") != NULL);
        return;
    }
    CHECK(rc == 0);
    /* The last group of a log that was not closed may be a torn one. */
    CHECK(rig->seen.count >= (closed ? rig->written.count : last_group));
}

/* One bit of each byte and all bits of some; with WEIR_EVERY=1 each bit of
 * each byte. */
static void flip_everything(bool closed, size_t from, size_t to)
{
    bool every = getenv("WEIR_EVERY") != NULL;
    unsigned long flips = 0;
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, closed);
    for (size_t i = from; i < to; i++) {
        unsigned char was = image.data[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            if (!every && bit != i % 8)
                continue;
            image.data[i] = (unsigned char)(was ^ 1u << bit);
            check_damaged(&rig, &image, closed, 8);
            flips++;
        }
        image.data[i] = (unsigned char)(was ^ 0xff);
        if (i % 5 == 0)
            check_damaged(&rig, &image, closed, 8);
        image.data[i] = was;
    }
    printf("%lu bits flipped\n", flips);
    fflush(stdout);
    ck_assert_int_eq(look(&rig, &image), 0);
    ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
    wal_rig_free(&rig);
    mem_image_free(&image);
}

START_TEST(no_flipped_byte_of_a_closed_log_goes_unnoticed)
{
    flip_everything(true, RING, SIZE);
}
END_TEST

START_TEST(no_flipped_byte_of_an_open_log_loses_but_the_last_group)
{
    flip_everything(false, RING, SIZE);
}
END_TEST

/* Either header block is enough, whichever is the newer. */
START_TEST(one_damaged_header_block_loses_nothing)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, _i != 0);
    for (size_t i = 0; i < RING; i++) {
        unsigned char was = image.data[i];

        image.data[i] = (unsigned char)(was ^ 1u << i % 8);
        CHECK(look(&rig, &image) == 0);
        CHECK(wal_rig_saw(&rig, 0, rig.written.count));
        image.data[i] = was;
    }
    for (int copy = 0; copy < 2; copy++) {
        unsigned char was[BLOCK];

        memcpy(was, image.data + (size_t)copy * BLOCK, BLOCK);
        memset(image.data + (size_t)copy * BLOCK, 0, BLOCK);
        CHECK(look(&rig, &image) == 0);
        CHECK(wal_rig_saw(&rig, 0, rig.written.count));
        memcpy(image.data + (size_t)copy * BLOCK, was, BLOCK);
    }
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

START_TEST(lost_header_block_is_written_again)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, true);
    for (size_t copy = 0; copy < 2; copy++) {
        memset(image.data + copy * BLOCK, 0xee, BLOCK);
        open_all(&rig, &image);
        ck_assert_int_eq(wal_rig_close(&rig), 0);
    }
    ck_assert_int_eq(look(&rig, &image), 0);
    ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

START_TEST(two_damaged_header_blocks_are_refused)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, true);
    image.data[100] ^= 1;
    image.data[BLOCK + 100] ^= 1;
    ck_assert_int_eq(look(&rig, &image), WEIR_ECORRUPT);
    memset(image.data, 0, RING);
    ck_assert_int_eq(look(&rig, &image), WEIR_EFORMAT);
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

START_TEST(log_cut_short_at_any_length_is_refused)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, true);
    for (image.size = 0; image.size < SIZE; image.size++)
        CHECK(look(&rig, &image) == WEIR_ETRUNCATED);
    CHECK(look(&rig, &image) == 0);
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

/* Sectors of zeros in the middle of a group, as a disk leaves them that
 * swallows a write on a fresh file. */
START_TEST(no_zeroed_sector_goes_unnoticed)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, _i != 0);
    for (size_t at = RING; at + MEM_SECTOR <= SIZE; at += MEM_SECTOR) {
        unsigned char was[MEM_SECTOR];

        memcpy(was, image.data + at, MEM_SECTOR);
        memset(image.data + at, 0, MEM_SECTOR);
        check_damaged(&rig, &image, false, _i != 0 ? 9 : 8);
        memcpy(image.data + at, was, MEM_SECTOR);
    }
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

/* The last record of a block, swallowed: what is left looks like padding, but
 * the next record knows better. */
START_TEST(record_lost_to_zeros_is_missed)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    wal_rig_init(&rig, &host);
    rig.max_group = GROUP;
    mem_image_init(&image, SIZE);
    open_all(&rig, &image);
    wal_rig_add(&rig, 7 * MEM_SECTOR - 96);
    wal_rig_add(&rig, 300);
    ck_assert_int_eq(wal_rig_write(&rig, 1), 0);
    ck_assert_int_eq(wal_rig_append(&rig, 20), 0);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    ck_assert_int_eq(look(&rig, &image), 0);
    ck_assert(wal_rig_saw(&rig, 0, 3));
    memset(image.data + RING + 7 * MEM_SECTOR, 0, MEM_SECTOR);
    ck_assert_int_eq(look(&rig, &image), WEIR_ECORRUPT);
    ck_assert(wal_rig_saw(&rig, 0, 1));
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

/* A whole group that went somewhere else. */
START_TEST(no_lost_block_goes_unnoticed)
{
    struct mem_image image, before;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, _i != 0);
    mem_image_copy(&before, &image);
    for (size_t at = RING; at + BLOCK <= SIZE; at += BLOCK) {
        memcpy(image.data + at, before.data + RING + (at / BLOCK % 7) * BLOCK,
               BLOCK);
        check_damaged(&rig, &image, _i != 0, 8);
        memcpy(image.data + at, before.data + at, BLOCK);
    }
    wal_rig_free(&rig);
    mem_image_free(&image);
    mem_image_free(&before);
}
END_TEST

/* A log that was made where another one had been, and one that was made anew
 * from its own image: nothing of the old one appears. */
START_TEST(records_of_an_earlier_log_are_not_found)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, true);
    image.fresh = true;
    rig.seq = 1000;
    open_all(&rig, &image);
    ck_assert_uint_eq(rig.seen.count, 0);
    rig.written.count = 0;
    ck_assert_int_eq(wal_rig_append(&rig, 10), 0);
    image.fresh = false;
    {
        struct mem_image crashed;

        mem_image_copy(&crashed, &image);
        ck_assert_int_eq(wal_rig_close(&rig), 0);
        ck_assert_int_eq(look(&rig, &crashed), 0);
        ck_assert(wal_rig_saw(&rig, 0, 1));
        mem_image_free(&crashed);
    }
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

/* Of a torn group the end arrived and the beginning did not.  The next epoch
 * writes a record just as long in the place of the beginning: what lies behind
 * it is whole, and of its position, and of an older epoch. */
START_TEST(end_of_a_torn_group_is_not_joined_to_a_later_record)
{
    struct mem_image image, torn, crashed;
    struct wal_rig rig;
    uint64_t end; /* Where the end of the torn group lies. */

    setup();
    wal_rig_init(&rig, &host);
    rig.max_group = GROUP;
    mem_image_init(&image, SIZE);
    open_all(&rig, &image);
    ck_assert_int_eq(wal_rig_append(&rig, 50), 0);
    wal_rig_add(&rig, 60);
    wal_rig_pad(&rig);
    wal_rig_add(&rig, 70);
    ck_assert_int_eq(wal_rig_write(&rig, 1), 0);
    end = rig.written.at[2].position;
    mem_image_copy(&torn, &image);
    mem_image_settle(&torn);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    memset(torn.data + RING + rig.written.at[1].position, 0, BLOCK);

    open_all(&rig, &torn);
    ck_assert(wal_rig_saw(&rig, 0, 1));
    rig.written.count = 1;
    rig.seq = 1;
    rig.seen.count = 0;
    ck_assert_int_eq(wal_rig_append(&rig, 60), 0);
    mem_image_copy(&crashed, &torn);
    mem_image_settle(&crashed);
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    /* The zeros that go ahead of the end had not reached the disk. */
    memcpy(crashed.data + RING + end, image.data + RING + end, BLOCK);
    ck_assert_int_eq(look(&rig, &crashed), 0);
    ck_assert(wal_rig_saw(&rig, 0, 2));
    wal_rig_free(&rig);
    mem_image_free(&image);
    mem_image_free(&torn);
    mem_image_free(&crashed);
}
END_TEST

/* An idle log vouches for its end: damage in the last group is known to be
 * damage, though nothing came after it. */
START_TEST(idle_log_vouches_for_its_last_group)
{
    struct mem_image image, idle;
    struct wal_rig rig;
    uint64_t at;

    setup();
    wal_rig_init(&rig, &host);
    rig.max_group = GROUP;
    mem_image_init(&image, SIZE);
    open_all(&rig, &image);
    ck_assert_int_eq(wal_rig_append(&rig, 50), 0);
    ck_assert_int_eq(wal_rig_append(&rig, 60), 0);
    step_env_advance(&env, 1000000000);
    mem_image_copy(&idle, &image);
    ck_assert_int_eq(wal_rig_close(&rig), 0);

    at = RING + rig.written.at[1].position;
    idle.data[at + 100] ^= 1;
    ck_assert_int_eq(look(&rig, &idle), 0);
    ck_assert_uint_eq(rig.seen.count, 2);
    ck_assert_int_eq(rig.seen.at[1].damaged, 1);
    idle.data[at + 9] ^= 1;
    ck_assert_int_eq(look(&rig, &idle), WEIR_ECORRUPT);
    ck_assert_uint_eq(rig.seen.count, 1);
    wal_rig_free(&rig);
    mem_image_free(&image);
    mem_image_free(&idle);
}
END_TEST

START_TEST(damage_in_a_payload_is_confined_to_its_record)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, _i != 0);
    for (size_t i = 0; i + 2 < rig.written.count; i++) {
        uint64_t at = RING + rig.written.at[i].position + 96;

        if (rig.written.at[i].len == 0)
            continue;
        image.data[at] ^= 1;
        ck_assert_int_eq(look(&rig, &image), 0);
        ck_assert_uint_eq(rig.seen.count, rig.written.count);
        ck_assert_uint_eq(seen_in_order(&rig), 1);
        ck_assert_int_eq(rig.seen.at[i].damaged, 1);
        image.data[at] ^= 1;
    }
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

START_TEST(foreign_newer_and_fenced_logs_are_refused)
{
    struct mem_image image, before;
    struct weir__wal_super super;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, true);
    mem_image_copy(&before, &image);
    rig.owner.node_id++;
    ck_assert_int_eq(look(&rig, &image), WEIR_EFOREIGN);
    rig.owner.node_id--;
    rig.owner.cluster[15]++;
    ck_assert_int_eq(look(&rig, &image), WEIR_EFOREIGN);
    rig.owner.cluster[15]--;
    rig.owner.epoch = 1; /* The log has seen 2. */
    ck_assert_int_eq(look(&rig, &image), WEIR_EFENCED);
    ck_assert_int_eq(memcmp(image.data, before.data, SIZE), 0);

    ck_assert_int_eq(weir__wal_super_decode(&super, image.data), 0);
    super.capacity += BLOCK;
    super.generation += 10;
    weir__wal_super_encode(image.data, &super);
    rig.owner.epoch = 10;
    ck_assert_int_eq(look(&rig, &image), WEIR_ETRUNCATED);
    wal_rig_free(&rig);
    mem_image_free(&image);
    mem_image_free(&before);
}
END_TEST

START_TEST(read_error_is_reported_and_is_not_an_end)
{
    struct mem_image image;
    struct wal_rig rig;

    setup();
    make_log(&rig, &image, _i != 0);
    /* One header block may be unreadable. */
    for (unsigned n = 1; n <= 2; n++) {
        image.ops = 0;
        image.fail_at = n;
        image.fail_once = true;
        image.fail_status = WEIR_EIO;
        ck_assert_int_eq(look(&rig, &image), 0);
        ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
    }
    image.ops = 0;
    image.fail_at = 3;
    ck_assert_int_eq(look(&rig, &image), WEIR_EIO);
    ck_assert_str_ne(rig.err.text, "");
    image.ops = 0;
    image.fail_at = 1;
    image.fail_once = false;
    ck_assert_int_eq(look(&rig, &image), WEIR_EIO);
    /* One is damaged, and the other may be good another time. */
    image.ops = 0;
    image.fail_at = 2;
    image.fail_once = true;
    image.data[0] ^= 1;
    ck_assert_int_eq(look(&rig, &image), WEIR_EIO);
    ck_assert_int_eq(look(&rig, &image), 0);
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal corruption");

    tcase_set_timeout(tc, getenv("WEIR_EVERY") != NULL ? 3600 : 120);
    tcase_add_test(tc, no_flipped_byte_of_a_closed_log_goes_unnoticed);
    tcase_add_test(tc, no_flipped_byte_of_an_open_log_loses_but_the_last_group);
    tcase_add_loop_test(tc, one_damaged_header_block_loses_nothing, 0, 2);
    tcase_add_test(tc, lost_header_block_is_written_again);
    tcase_add_test(tc, two_damaged_header_blocks_are_refused);
    tcase_add_test(tc, log_cut_short_at_any_length_is_refused);
    tcase_add_loop_test(tc, no_zeroed_sector_goes_unnoticed, 0, 2);
    tcase_add_test(tc, record_lost_to_zeros_is_missed);
    tcase_add_loop_test(tc, no_lost_block_goes_unnoticed, 0, 2);
    tcase_add_test(tc, records_of_an_earlier_log_are_not_found);
    tcase_add_test(tc, end_of_a_torn_group_is_not_joined_to_a_later_record);
    tcase_add_test(tc, idle_log_vouches_for_its_last_group);
    tcase_add_loop_test(tc, damage_in_a_payload_is_confined_to_its_record, 0,
                        2);
    tcase_add_test(tc, foreign_newer_and_fenced_logs_are_refused);
    tcase_add_loop_test(tc, read_error_is_reported_and_is_not_an_end, 0, 2);
    return test_run();
}
