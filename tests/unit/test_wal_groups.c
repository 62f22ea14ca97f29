/* SPDX-License-Identifier: Apache-2.0 */
/* The records of groups, for logs of the host's own. */
#include "support/test.h"

#include "base/crc32c.h"
#include "format/wal_record.h"

#include <string.h>
#include <weir/wal.h>

enum { ALIGN = 64, RECORDS = 6, START = 1280, SKIP = 24, ID = 7 };

static const struct weir_wal_ops ops = {.name = "test"};
static const struct weir_wal wal = {.ops = &ops, .id = ID, .align = ALIGN};
static struct weir_buf *buf;
static size_t at[RECORDS]; /* Where in `buf` each record begins. */
static unsigned seen, damaged;
static int stop_at;
static struct weir_error err;

static void put(int i, uint64_t epoch, size_t len, size_t gap)
{
    struct weir__wal_header header = {.type = WEIR__WAL_BATCH,
                                      .wal_id = ID,
                                      .epoch = epoch,
                                      .position = START + buf->len - SKIP,
                                      .durable = START,
                                      .stream_id = 3,
                                      .base_offset = (uint64_t)i,
                                      .count = 1,
                                      .len = (uint32_t)len,
                                      .gap = (uint32_t)gap};
    unsigned char *to = buf->data + buf->len;

    at[i] = buf->len;
    memset(to + WEIR__WAL_RECORD_HEADER, 'a' + i, len);
    header.crc32c = weir__crc32c(0, to + WEIR__WAL_RECORD_HEADER, len);
    weir__wal_header_encode(to, &header);
    buf->len += (size_t)weir__wal_record_size(len);
}

static size_t pad(void)
{
    size_t was = buf->len;

    while ((buf->len - SKIP) % ALIGN != 0)
        buf->data[buf->len++] = 0;
    return buf->len - was;
}

/* Three groups, the last one of a later epoch, behind bytes of the log. */
static void setup(void)
{
    buf = weir_buf_new(weir_alloc_default(), 8192, ALIGN);
    memset(buf->data, 0, 8192);
    buf->len = SKIP;
    put(0, 1, 100, 0);
    put(1, 1, 7, 1);
    put(2, 1, 300, 1 + pad());
    put(3, 1, 1, 1);
    pad();
    put(4, 2, 64, 0);
    put(5, 2, 0, 1);
    pad();
    seen = damaged = 0;
    stop_at = -1;
}

static void teardown(void)
{
    weir_buf_unref(buf);
}

static int record(struct weir_wal_recover *req,
                  const struct weir_wal_record *record)
{
    int i = (int)record->base_offset;

    ck_assert_ptr_eq(req->err, &err);
    ck_assert_uint_eq(record->position, START + at[i] - SKIP);
    if (record->damaged)
        damaged |= 1u << i;
    else
        ck_assert_ptr_eq(record->buf, buf);
    if (!record->damaged && record->len > 0)
        ck_assert_int_eq(record->data[record->len - 1], 'a' + i);
    seen |= 1u << i;
    return i == stop_at ? WEIR_ECANCELED : 0;
}

static int give(size_t skip, uint64_t position)
{
    struct weir_wal_recover req = {.record = record, .err = &err};

    return weir_wal_give_groups(&wal, &req, buf, skip, position);
}

START_TEST(each_record_of_each_group_is_given)
{
    ck_assert_int_eq(give(SKIP, START), 0);
    ck_assert_uint_eq(seen, 0x3f);
    ck_assert_uint_eq(damaged, 0);
}
END_TEST

START_TEST(groups_may_begin_where_the_log_was_trimmed)
{
    ck_assert_int_eq(give(at[1], START + at[1] - SKIP), 0);
    ck_assert_uint_eq(seen, 0x3e);
}
END_TEST

START_TEST(no_groups_have_no_records)
{
    buf->len = SKIP;
    ck_assert_int_eq(give(SKIP, START), 0);
    ck_assert_uint_eq(seen, 0);
}
END_TEST

START_TEST(the_recovery_can_be_ended)
{
    stop_at = 1;
    ck_assert_int_eq(give(SKIP, START), WEIR_ECANCELED);
    ck_assert_uint_eq(seen, 0x03);
}
END_TEST

START_TEST(a_damaged_payload_is_given_as_such_and_the_rest_goes_on)
{
    buf->data[at[2] + WEIR__WAL_RECORD_HEADER + 5] ^= 1;
    ck_assert_int_eq(give(SKIP, START), 0);
    ck_assert_uint_eq(seen, 0x3f);
    ck_assert_uint_eq(damaged, 0x04);
}
END_TEST

/* Every bit of every header, one after the other: nothing is made up. */
START_TEST(a_damaged_header_ends_it)
{
    for (int i = 0; i < RECORDS; i++)
        for (size_t bit = 0; bit < WEIR__WAL_RECORD_HEADER * 8; bit++) {
            buf->data[at[i] + bit / 8] ^= (unsigned char)(1u << bit % 8);
            err.code = 0;
            ck_assert_int_eq(give(SKIP, START), WEIR_ECORRUPT);
            ck_assert_int_eq(err.code, WEIR_ECORRUPT);
            buf->data[at[i] + bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
    ck_assert_int_eq(give(SKIP, START), 0);
}
END_TEST

START_TEST(a_group_that_is_cut_short_is_damage)
{
    size_t whole = buf->len;

    while (buf->len > at[5] + WEIR__WAL_RECORD_HEADER) {
        buf->len--;
        ck_assert_int_eq(give(SKIP, START), WEIR_ECORRUPT);
    }
    buf->len = whole - ALIGN;
    ck_assert_int_eq(give(SKIP, START), WEIR_ECORRUPT);
}
END_TEST

START_TEST(records_of_another_log_are_damage)
{
    struct weir_wal other = wal;
    struct weir_wal_recover req = {.record = record, .err = &err};

    other.id++;
    ck_assert_int_eq(weir_wal_give_groups(&other, &req, buf, SKIP, START),
                     WEIR_ECORRUPT);
    ck_assert_int_eq(give(SKIP, START + ALIGN), WEIR_ECORRUPT);
    ck_assert_uint_eq(seen, 0);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("wal groups");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, each_record_of_each_group_is_given);
    tcase_add_test(tc, groups_may_begin_where_the_log_was_trimmed);
    tcase_add_test(tc, no_groups_have_no_records);
    tcase_add_test(tc, the_recovery_can_be_ended);
    tcase_add_test(tc, a_damaged_payload_is_given_as_such_and_the_rest_goes_on);
    tcase_add_test(tc, a_damaged_header_ends_it);
    tcase_add_test(tc, a_group_that_is_cut_short_is_damage);
    tcase_add_test(tc, records_of_another_log_are_damage);
    return test_run();
}
