/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power fails in the middle of each request to the disk, and any of the
 * sectors that were not synced are lost.  What was acknowledged is there
 * afterwards, and behind it at most a beginning of what was under way.
 *
 *     WEIR_SEED=N            the same random lives again
 *     WEIR_POWER_SECONDS=N   as many of them as there is time for (make soak),
 *                            not 40
 */
#include "support/mem_disk.h"
#include "support/step_env.h"
#include "support/test.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 4096u
#define ACKED 5u
#define LIVES 40u
#define PAD SIZE_MAX /* Among lengths of records: padding. */

static struct step_env env;
static struct weir_host host;
static struct mem_image *disk; /* Which open_disk opens. */

static void open_disk(struct weir_wal_open *req)
{
    weir__wal_file_open_disk(req, mem_disk_open(disk, req->host), "disk");
}

static void setup(void)
{
    step_env_init(&env, 3);
    host.alloc = weir_alloc_default();
    host.env = &env.env;
}

static void open_all(struct wal_rig *rig, struct mem_image *image)
{
    disk = image;
    ck_assert_int_eq(wal_rig_open(rig, open_disk, "disk:"), 0);
    ck_assert_int_eq(wal_rig_recover(rig), 0);
    ck_assert_int_eq(wal_rig_start(rig), 0);
}

/* A node that knows what another one wrote. */
static void heir_init(struct wal_rig *heir, const struct wal_rig *rig)
{
    wal_rig_init(heir, &host);
    heir->owner = rig->owner;
    heir->max_group = rig->max_group;
    heir->written.count = rig->written.count;
    heir->written.room = rig->written.count;
    heir->written.at =
        malloc((rig->written.count + 1) * sizeof(*heir->written.at));
    memcpy(heir->written.at, rig->written.at,
           rig->written.count * sizeof(*heir->written.at));
}

/* Append a block, and lose the power without a clean end: what an earlier
 * epoch left behind the place where it was cut must not come back. */
static void go_on(struct wal_rig *heir, struct mem_image *image)
{
    struct mem_image crashed;

    if (wal_rig_append(heir, 700) != 0)
        ck_assert_int_eq(heir->status, WEIR_EAGAIN);
    mem_image_copy(&crashed, image);
    mem_image_settle(&crashed);
    ck_assert_int_eq(wal_rig_close(heir), 0);
    memcpy(image->data, crashed.data, crashed.size);
    mem_image_settle(image);
    mem_image_free(&crashed);
}

/* Recover from `image`: everything from `first` to `acked` is there.  Then
 * go on with it, and recover once more. */
static void check(const struct wal_rig *rig, struct mem_image *image,
                  size_t first, size_t acked)
{
    struct wal_rig heir;
    size_t skip = 0, end;

    heir_init(&heir, rig);
    open_all(&heir, image);
    /* A trim may have been lost. */
    if (heir.seen.count > 0)
        skip = (size_t)heir.seen.at[0].seq;
    else
        skip = acked;
    ck_assert_uint_le(skip, first);
    end = skip + heir.seen.count;
    ck_assert_uint_ge(end, acked);
    ck_assert_uint_le(end, heir.written.count);
    ck_assert(wal_rig_saw(&heir, skip, end));

    heir.written.count = end;
    heir.seq = end;
    heir.acked = end;
    go_on(&heir, image);
    end = heir.acked;
    open_all(&heir, image);
    ck_assert(wal_rig_saw(&heir, skip, end));
    ck_assert_int_eq(wal_rig_close(&heir), 0);
    wal_rig_free(&heir);
}

/* ---- The last group, every subset of its sectors ------------------------*/

struct caught {
    struct mem_image image;
    const struct wal_rig *rig;
    bool armed;
};

static void catch_last(struct mem_image *image, void *ctx)
{
    struct caught *c = ctx;

    if (!c->armed)
        return;
    c->armed = false;
    mem_image_copy(&c->image, image);
}

static void write_last_group(struct mem_image *image, struct caught *caught,
                             struct wal_rig *rig, const size_t *lens)
{
    memset(caught, 0, sizeof(*caught));
    caught->rig = rig;
    image->watch = catch_last;
    image->watch_ctx = caught;
    open_all(rig, image);
    for (size_t i = 0; i < ACKED; i++)
        ck_assert_int_eq(wal_rig_append(rig, 100 + i * 900), 0);
    step_env_settle(&env);
    for (size_t i = 0; lens[i] != 0; i++) {
        if (lens[i] == PAD)
            wal_rig_pad(rig);
        else
            wal_rig_add(rig, lens[i]);
    }
    caught->armed = true;
    ck_assert_int_eq(wal_rig_write(rig, 1), 0);
    ck_assert(!caught->armed);
}

static void lose_each_subset(const size_t *lens, size_t step)
{
    struct mem_image image, copy;
    struct caught caught;
    struct wal_rig rig;
    size_t sectors;

    mem_image_init(&image, (2 + 16) * BLOCK);
    wal_rig_init(&rig, &host);
    rig.max_group = 8 * BLOCK;
    write_last_group(&image, &caught, &rig, lens);
    sectors = caught.image.unsynced_count;
    ck_assert_uint_le(sectors, 24);
    ck_assert_uint_ge(sectors, 8);
    for (size_t set = 0; set < (size_t)1 << sectors; set += step) {
        mem_image_copy(&copy, &caught.image);
        for (size_t i = 0; i < sectors; i++)
            if (set >> i & 1)
                mem_image_lose(&copy, i);
        mem_image_settle(&copy);
        check(&rig, &copy, 0, ACKED);
        mem_image_free(&copy);
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
    wal_rig_free(&rig);
    mem_image_free(&caught.image);
    mem_image_free(&image);
}

START_TEST(any_sectors_of_the_last_block_may_be_lost)
{
    static const size_t lens[] = {300, 1, 900, 1200, 700, 0};

    setup();
    lose_each_subset(lens, 1);
}
END_TEST

START_TEST(any_sectors_of_a_longer_group_may_be_lost)
{
    static const size_t many[] = {700, 900, 1200, 1500, 900, 1600, 0};
    static const size_t one[] = {7000, 0};
    static const size_t padded[] = {700, PAD, 300, PAD, 900, 0};

    setup();
    lose_each_subset(many, 13);
    lose_each_subset(one, 17);
    lose_each_subset(padded, 5003);
}
END_TEST

/* ---- The power fails while a log is opened again -------------------------*/

/* Cuts of one opening. */
struct openings {
    struct mem_image cuts[16];
    size_t count;
};

static void catch_all(struct mem_image *image, void *ctx)
{
    struct openings *o = ctx;

    ck_assert_uint_lt(o->count, sizeof(o->cuts) / sizeof(o->cuts[0]));
    mem_image_copy(&o->cuts[o->count++], image);
}

/* What was being written may be anything now. */
static void garble_unsynced(struct mem_image *image)
{
    for (size_t i = 0; i < image->unsynced_count; i++)
        memset(image->data + image->unsynced[i].offset, 0x5a, MEM_SECTOR);
    mem_image_settle(image);
}

/* The sync of a header block failed, so that the disk may not have it; it
 * reads well until the power fails.  The other one is not written over before
 * the disk has it for certain. */
START_TEST(one_header_block_is_whole_whatever_a_failed_sync_left)
{
    struct mem_image image;
    struct openings openings = {.count = 0};
    struct wal_rig rig, heir;

    setup();
    mem_image_init(&image, (2 + 12) * BLOCK);
    wal_rig_init(&rig, &host);
    rig.max_group = 6 * BLOCK;
    open_all(&rig, &image);
    for (size_t i = 0; i < ACKED; i++)
        ck_assert_int_eq(wal_rig_append(&rig, 500), 0);
    image.fail_at = image.ops + 1;
    image.fail_status = WEIR_EIO;
    image.fail_sync_only = true;
    image.fail_once = true;
    step_env_advance(&env, 2000000000); /* It vouches for its end. */
    ck_assert_uint_ge(image.ops, image.fail_at);
    ck_assert_uint_gt(image.unsynced_count, 0);
    wal_rig_close(&rig);
    image.watch = catch_all;
    image.watch_ctx = &openings;
    heir_init(&heir, &rig);
    open_all(&heir, &image);
    image.watch = NULL;
    ck_assert_int_eq(wal_rig_close(&heir), 0);
    ck_assert_uint_gt(openings.count, 0);
    for (size_t i = 0; i < openings.count; i++) {
        garble_unsynced(&openings.cuts[i]);
        check(&heir, &openings.cuts[i], 0, ACKED);
        mem_image_free(&openings.cuts[i]);
    }
    wal_rig_free(&heir);
    wal_rig_free(&rig);
    mem_image_free(&image);
}
END_TEST

/* ---- A random life, cut at every request --------------------------------*/

/* What is on the disk, and what the node knows, when the power fails. */
struct cut {
    struct mem_image image;
    struct rig_records written;
    size_t first;
    size_t acked;
    uint64_t epoch;
};

struct life {
    struct wal_rig rig;
    struct mem_image image;
    struct cut *cuts;
    size_t count;
    size_t room;
    size_t first; /* Not trimmed. */
    uint64_t random;
};

static size_t roll(struct life *l, size_t below)
{
    l->random = l->random * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(l->random >> 33) % below;
}

static void take(struct mem_image *image, void *ctx)
{
    struct life *l = ctx;
    struct cut *cut;

    if (l->count == l->room) {
        l->room = l->room * 2 + 64;
        l->cuts = realloc(l->cuts, l->room * sizeof(*l->cuts));
    }
    cut = &l->cuts[l->count++];
    mem_image_copy(&cut->image, image);
    cut->first = l->first;
    cut->acked = l->rig.acked;
    cut->epoch = l->rig.owner.epoch;
    cut->written.count = l->rig.written.count;
    cut->written.room = 0;
    cut->written.at =
        malloc((cut->written.count + 1) * sizeof(*cut->written.at));
    if (cut->written.count > 0)
        memcpy(cut->written.at, l->rig.written.at,
               cut->written.count * sizeof(*cut->written.at));
}

static void live_a_step(struct life *l)
{
    struct wal_rig *rig = &l->rig;
    size_t what = roll(l, 100);

    if (what < 70) {
        for (size_t i = roll(l, 4) + 1; i > 0; i--)
            wal_rig_add(rig, roll(l, 8) == 0 ? roll(l, 9000) : roll(l, 600));
        if (roll(l, 3) == 0) {
            wal_rig_pad(rig);
            wal_rig_add(rig, roll(l, 600));
        }
        if (wal_rig_write(rig, roll(l, 3) + 1) == 0 || rig->acked == 0)
            return;
        what = 70;
    }
    if (what < 85 && l->first < rig->acked) {
        l->first += roll(l, rig->acked - l->first + 1);
        rig->wal->ops->trim(rig->wal, l->first == rig->acked
                                          ? rig->wal->end
                                          : rig->written.at[l->first].position);
        return;
    }
    if (what < 95) {
        step_env_advance(&env, roll(l, 2) * 300000000);
        return;
    }
    ck_assert_int_eq(wal_rig_close(rig), 0);
    open_all(rig, &l->image);
    ck_assert(wal_rig_saw(rig, rig->acked - rig->seen.count, rig->acked));
}

static void cut_here(struct life *l, const struct cut *cut)
{
    struct mem_image image;
    struct wal_rig rig;

    memset(&rig, 0, sizeof(rig));
    rig.host = host;
    rig.owner = l->rig.owner;
    rig.owner.epoch = cut->epoch;
    rig.max_group = l->rig.max_group;
    rig.written = cut->written;
    for (int tries = 0; tries < 7; tries++) {
        mem_image_copy(&image, &cut->image);
        for (size_t i = 0; i < image.unsynced_count; i++)
            if (tries == 1 || (tries == 2 && roll(l, 2) == 0) ||
                (tries >= 5 && image.unsynced[i].offset < 2 * BLOCK))
                mem_image_lose(&image, i);
        mem_image_settle(&image);
        /* One of the header blocks is damaged; the other one is there, and
         * from 5 on as it was before the write that was under way. */
        if (tries >= 3)
            memset(image.data + (size_t)((tries - 3) % 2) * BLOCK, 0xff, BLOCK);
        check(&rig, &image, cut->first, cut->acked);
        mem_image_free(&image);
    }
}

/* Cut it at each place that was taken. */
static void end_life(struct life *l)
{
    for (size_t i = 0; i < l->count; i++) {
        cut_here(l, &l->cuts[i]);
        mem_image_free(&l->cuts[i].image);
        free(l->cuts[i].written.at);
    }
    free(l->cuts);
    wal_rig_free(&l->rig);
    mem_image_free(&l->image);
}

static void live(uint64_t seed)
{
    struct life l;

    memset(&l, 0, sizeof(l));
    l.random = seed;
    mem_image_init(&l.image, (2 + 12) * BLOCK);
    wal_rig_init(&l.rig, &host);
    l.rig.max_group = 6 * BLOCK;
    open_all(&l.rig, &l.image); /* Formats: before it there is no log. */
    l.image.watch = take;
    l.image.watch_ctx = &l;
    for (int i = 0; i < 60; i++)
        live_a_step(&l);
    ck_assert_int_eq(wal_rig_close(&l.rig), 0);
    end_life(&l);
}

START_TEST(power_may_fail_at_any_moment)
{
    unsigned long seconds =
        test_part_seconds(test_env_number("WEIR_POWER_SECONDS", 0), _i);
    uint64_t seed = test_seed() + ((uint64_t)_i << 32);
    time_t end = time(NULL) + (time_t)seconds;
    uint64_t lives = 0;

    setup();
    while (seconds != 0 ? time(NULL) < end : lives < LIVES)
        live(seed + lives++);
    printf("%" PRIu64 " lives from seed %" PRIu64 " on, nothing lost\n", lives,
           seed);
    fflush(stdout);
}
END_TEST

/* ---- Space that is written over ------------------------------------------*/

static struct wal_rig *chain; /* Which writes its next group when one ends. */
static int chain_left;
static void (*chain_done)(struct weir_wal_write *write, int status);

static void chain_begin(void);

/* As a node does it: before the log has thought of anything else to do. */
static void chain_next(struct weir_wal_write *write, int status)
{
    chain_done(write, status);
    if (status == 0 && --chain_left > 0)
        chain_begin();
}

static void chain_begin(void)
{
    wal_rig_add(chain, BLOCK / 2);
    wal_rig_write_begin(chain, 1);
    chain_done = chain->write.done;
    chain->write.done = chain_next;
}

/* Six blocks of eight are full when the log is trimmed while it writes the
 * seventh.  The eighth takes one header block along; until the other one is
 * there too, the first block stays as it is. */
START_TEST(either_header_block_leads_to_what_it_says_is_there)
{
    struct life l = {.random = 1};

    setup();
    mem_image_init(&l.image, (2 + 8) * BLOCK);
    wal_rig_init(&l.rig, &host);
    l.rig.max_group = 2 * BLOCK;
    open_all(&l.rig, &l.image);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(wal_rig_append(&l.rig, BLOCK / 2), 0);
    step_env_settle(&env);
    l.image.watch = take;
    l.image.watch_ctx = &l;
    chain = &l.rig;
    chain_left = 3;
    chain_begin();
    l.first = 4;
    l.rig.wal->ops->trim(l.rig.wal, l.rig.written.at[l.first].position);
    step_env_settle(&env);
    ck_assert_uint_ge(l.rig.acked, 8);
    l.image.watch = NULL;
    ck_assert_int_eq(wal_rig_close(&l.rig), 0);
    end_life(&l);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal power cut");
    TCase *lives = test_case("random lives");
    unsigned long seconds = test_env_number("WEIR_POWER_SECONDS", 0);

    tcase_add_test(tc, any_sectors_of_the_last_block_may_be_lost);
    tcase_add_test(tc, any_sectors_of_a_longer_group_may_be_lost);
    tcase_add_test(tc, one_header_block_is_whole_whatever_a_failed_sync_left);
    tcase_add_test(tc, either_header_block_leads_to_what_it_says_is_there);
    if (seconds > 0)
        tcase_set_timeout(lives, TEST_PART_SECONDS + 300);
    tcase_add_loop_test(lives, power_may_fail_at_any_moment, 0,
                        test_parts(seconds));
    return test_run();
}
