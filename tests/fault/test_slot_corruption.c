/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to the objects of an object log: each bit flipped, each object cut at
 * each length or made longer, put in the place of each other one.  Never wrong
 * bytes; what was acknowledged is read, or its damage is told with the object's
 * key.
 */
#include "format/wal_slot.h"
#include "store/store.h"
#include "support/step_env.h"
#include "support/test.h"
#include "support/wal_rig.h"
#include "wal/slot_read.h"
#include "wal/wal.h"

#include <stdio.h>
#include <string.h>

/* Without the system call that an assertion of Check's makes each time. */
#define CHECK(x)                                                               \
    do {                                                                       \
        if (!(x))                                                              \
            ck_abort_msg("%s, %s, %zu: %s: %s", key, doing, place, #x,         \
                         rig.err.text);                                        \
    } while (0)

enum { EPOCHS = 3, SLOTS = 8, SIZE = 8192 };

static struct step_env env;
static struct weir_host host;
static struct wal_rig rig;

/* The objects as they were written, without the fences. */
static struct object {
    char key[WEIR__SLOT_KEY];
    unsigned char bytes[SIZE];
    size_t len;
} objects[EPOCHS * SLOTS];
static size_t object_count;
static unsigned char damaged[SIZE + 1];
static const char *key = "";
static const char *doing = "";
static size_t place;
static unsigned long points;
static unsigned long harmless; /* Nothing that is read was damaged. */

/* ---- The store ----------------------------------------------------------- */

static int over;
static int status_of;

static void req_done(struct weir_store_req *req, int status)
{
    (void)req;
    status_of = status;
    over = 1;
}

static int carry_out(struct weir_store_req *req)
{
    req->done = req_done;
    over = 0;
    rig.store->ops->submit(rig.store, req);
    while (!over)
        host.env->ops->poll(host.env, 1000000000);
    return status_of;
}

static void put(const struct object *object, const unsigned char *bytes,
                size_t len)
{
    struct weir_iov iov = {bytes, len};
    struct weir_store_req req = {.verb = WEIR_STORE_PUT,
                                 .key = object->key,
                                 .iov = &iov,
                                 .iov_count = 1};

    ck_assert_int_eq(carry_out(&req), 0);
}

static void remember(uint64_t epoch, uint64_t slot)
{
    struct object *o = &objects[object_count];
    struct weir_store_req req = {
        .verb = WEIR_STORE_GET, .key = o->key, .length = UINT64_MAX};

    weir__slot_key(o->key, rig.owner.node_id, epoch, slot);
    if (carry_out(&req) != 0)
        return;
    ck_assert_uint_le(req.body->len, SIZE);
    o->len = req.body->len;
    memcpy(o->bytes, req.body->data, o->len);
    weir_buf_unref(req.body);
    object_count++;
}

static void store_gone(struct weir_task *task)
{
    (void)task;
    over = 1;
}

/* ---- The log ------------------------------------------------------------- */

static int open_log(void)
{
    return wal_rig_open(&rig, weir__wal_object_open, "object:");
}

static void write_epoch(void)
{
    static const size_t lens[] = {10, 500, 0, 1200, 33};

    ck_assert_int_eq(open_log(), 0);
    ck_assert_int_eq(wal_rig_recover(&rig), 0);
    ck_assert_int_eq(wal_rig_start(&rig), 0);
    for (size_t i = 0; i < 5; i++) {
        wal_rig_add(&rig, lens[i]);
        if (i % 2 == 0)
            ck_assert_int_eq(wal_rig_write(&rig, 1), 0);
    }
    ck_assert_int_eq(wal_rig_close(&rig), 0);
}

/* Open under the epoch after the last, recover, close. */
static int look(void)
{
    int rc;

    rig.owner.epoch = EPOCHS - 1;
    CHECK(open_log() == 0);
    rc = wal_rig_recover(&rig);
    CHECK(wal_rig_close(&rig) == 0);
    return rc;
}

static void setup(void)
{
    step_env_init(&env, 5);
    host.alloc = weir_alloc_default();
    host.env = &env.env;
    wal_rig_init(&rig, &host);
    rig.max_group = 65536;
    object_count = 0;
    points = harmless = 0;
    ck_assert_int_eq(
        weir__store_memory_open(&rig.store, &rig.host, "mem:", NULL, NULL), 0);
    for (int i = 1; i < EPOCHS; i++)
        write_epoch();
    for (uint64_t epoch = 1; epoch < EPOCHS; epoch++)
        for (uint64_t slot = 0; slot < SLOTS; slot++)
            remember(epoch, slot);
    ck_assert_int_eq(look(), 0);
    ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
    ck_assert_uint_ge(object_count, 8);
}

static void teardown(void)
{
    struct weir_task task = {.run = store_gone};

    ck_assert_int_eq(look(), 0);
    ck_assert(wal_rig_saw(&rig, 0, rig.written.count));
    over = 0;
    rig.store->ops->close(rig.store, &task);
    while (!over)
        host.env->ops->poll(host.env, 1000000000);
    wal_rig_free(&rig);
    printf("%lu %s, %lu of them harmless\n", points, doing, harmless);
    fflush(stdout);
}

/* Records are right (the rig compares the bytes), and in their order. */
static void check_order(void)
{
    for (size_t i = 0; i < rig.seen.count; i++) {
        CHECK(i < rig.written.count);
        CHECK(rig.seen.at[i].seq == rig.written.at[i].seq);
    }
}

/* One object is other than it was written. */
static void check_damaged(const struct object *o, size_t len)
{
    size_t bad = 0;
    int rc;

    key = o->key;
    put(o, damaged, len);
    rc = look();
    check_order();
    for (size_t i = 0; i < rig.seen.count; i++)
        bad += rig.seen.at[i].damaged != 0;
    /* Padding has no checksum, and nothing in it is read. */
    CHECK(rc != 0 || rig.seen.count == rig.written.count);
    harmless += rc == 0 && bad == 0;
    if (rc != 0) {
        CHECK(rc == WEIR_ECORRUPT || rc == WEIR_EVERSION ||
              rc == WEIR_EFOREIGN);
        CHECK(strstr(rig.err.text, o->key) != NULL);
    }
    points++;
}

START_TEST(no_flipped_bit_goes_unnoticed)
{
    doing = "bits flipped";
    setup();
    for (size_t i = 0; i < object_count; i++) {
        const struct object *o = &objects[i];

        memcpy(damaged, o->bytes, o->len);
        for (size_t bit = 0; bit < 8 * o->len; bit++) {
            place = bit / 8;
            damaged[place] ^= (unsigned char)(1u << bit % 8);
            check_damaged(o, o->len);
            damaged[place] ^= (unsigned char)(1u << bit % 8);
        }
        put(o, o->bytes, o->len);
    }
    teardown();
    ck_assert_uint_lt(harmless, points / 4);
}
END_TEST

START_TEST(no_other_length_goes_unnoticed)
{
    doing = "lengths changed";
    setup();
    for (size_t i = 0; i < object_count; i++) {
        const struct object *o = &objects[i];

        memcpy(damaged, o->bytes, o->len);
        damaged[o->len] = 0;
        for (place = 0; place <= o->len + 1; place++)
            if (place != o->len)
                check_damaged(o, place);
        put(o, o->bytes, o->len);
    }
    teardown();
    ck_assert_uint_eq(harmless, 0);
}
END_TEST

/* An object under the key of another one. */
START_TEST(no_exchanged_object_goes_unnoticed)
{
    doing = "objects exchanged";
    setup();
    for (size_t i = 0; i < object_count; i++) {
        for (place = 0; place < object_count; place++) {
            if (place == i)
                continue;
            memcpy(damaged, objects[place].bytes, objects[place].len);
            check_damaged(&objects[i], objects[place].len);
        }
        put(&objects[i], objects[i].bytes, objects[i].len);
    }
    teardown();
    ck_assert_uint_eq(harmless, 0);
}
END_TEST

/* Whoever can write the checksum can write any length. */
START_TEST(a_length_that_no_group_has_is_refused)
{
    uint32_t crc = 0;

    doing = "lengths forged";
    setup();
    for (size_t i = 0; i < object_count; i++) {
        const struct object *o = &objects[i];
        struct weir__slot slot;

        ck_assert_int_eq(
            weir__slot_decode(&slot, o->bytes, o->len, o->len, &crc), 0);
        if (slot.kind != WEIR__SLOT_DATA)
            continue;
        for (size_t more = 1; more < 8; more++) {
            memset(damaged, 0, sizeof(damaged));
            memcpy(damaged, o->bytes, o->len);
            slot.len = o->len - WEIR__SLOT_HEADER + more;
            weir__slot_encode(damaged, &slot);
            place = more;
            check_damaged(o, o->len + more);
            CHECK(strstr(rig.err.text, "length") != NULL);
        }
        put(o, o->bytes, o->len);
    }
    teardown();
}
END_TEST

static int count_record(void *ctx, const struct weir_wal_record *record)
{
    (void)record;
    ++*(int *)ctx;
    return 0;
}

/* The store tells the size of the whole and gives a part: nothing is read
 * behind its end.  Here lie the right records, which must not be found. */
START_TEST(nothing_is_read_behind_a_body_that_was_cut_short)
{
    doing = "bodies cut short";
    setup();
    for (size_t i = 0; i < object_count; i++) {
        const struct object *o = &objects[i];
        struct weir_buf *body = weir_buf_new(host.alloc, o->len, 0);
        struct weir__slot slot;
        uint32_t crc = 0;
        int found = 0;

        ck_assert_ptr_nonnull(body);
        memcpy(body->data, o->bytes, o->len);
        ck_assert_int_eq(
            weir__slot_decode(&slot, o->bytes, o->len, o->len, &crc), 0);
        body->len = WEIR__SLOT_HEADER;
        if (slot.kind == WEIR__SLOT_DATA)
            ck_assert_int_eq(weir__slot_records(&slot, o->key, body,
                                                count_record, &found, &rig.err),
                             WEIR_ECORRUPT);
        ck_assert_int_eq(found, 0);
        weir_buf_unref(body);
    }
    teardown();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("slot corruption");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, no_flipped_bit_goes_unnoticed);
    tcase_add_test(tc, no_other_length_goes_unnoticed);
    tcase_add_test(tc, no_exchanged_object_goes_unnoticed);
    tcase_add_test(tc, a_length_that_no_group_has_is_refused);
    tcase_add_test(tc, nothing_is_read_behind_a_body_that_was_cut_short);
    return test_run();
}
