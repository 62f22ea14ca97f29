/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Kafka's primitive types and the bodies of requests.
 */
#include <string.h>

#include "kafka/arena.h"
#include "kafka/requests.h"
#include "kafka/wire.h"
#include "support/test.h"

static struct wire_in in;
static struct wire_out out;

static void reset(void)
{
    out_free(&out);
    memset(&in, 0, sizeof(in));
}

/* What was written so far, to be read. */
static void turn(void)
{
    bool flexible = out.flexible;

    ck_assert(!out.bad);
    in_begin(&in, out.data, out.len);
    in.flexible = flexible;
}

static void read_bytes(const char *bytes, size_t len, bool flexible)
{
    in_begin(&in, bytes, len);
    in.flexible = flexible;
}

START_TEST(numbers_come_back)
{
    const struct uuid id = {{1, 2, 3, 255}};
    struct uuid back;

    out_i8(&out, -3);
    out_i16(&out, -12345);
    out_i32(&out, INT32_MIN);
    out_i64(&out, INT64_MAX - 7);
    out_bool(&out, true);
    out_uuid(&out, &id);
    out_uvarint(&out, 300);
    out_uvarint(&out, UINT32_MAX);
    turn();
    ck_assert_int_eq(in_i8(&in), -3);
    ck_assert_int_eq(in_i16(&in), -12345);
    ck_assert_int_eq(in_i32(&in), INT32_MIN);
    ck_assert_int_eq(in_i64(&in), INT64_MAX - 7);
    ck_assert(in_bool(&in));
    back = in_uuid(&in);
    ck_assert_mem_eq(&back, &id, sizeof(id));
    ck_assert_uint_eq(in_uvarint(&in), 300);
    ck_assert_uint_eq(in_uvarint(&in), UINT32_MAX);
    ck_assert(!in.bad);
    ck_assert_uint_eq(in_left(&in), 0);
}
END_TEST

/* _i: 0 for the old form of lengths, 1 for the flexible one. */
START_TEST(strings_come_back_in_both_forms)
{
    struct text text;

    out.flexible = _i == 1;
    out_string(&out, "weir");
    out_string(&out, "");
    out_string(&out, NULL);
    out_array(&out, -1);
    out_array(&out, 3);
    out_bytes_length(&out, 2);
    out_raw(&out, "xyz", 3);
    turn();
    ck_assert(text_is(in_text(&in), "weir"));
    ck_assert(text_is(in_text(&in), ""));
    text = in_nullable_text(&in);
    ck_assert_int_eq(text.len, -1);
    ck_assert_int_eq(in_array(&in, 1, true), -1);
    ck_assert_int_eq(in_array(&in, 1, false), 3);
    ck_assert(!in.bad);
}
END_TEST

START_TEST(the_bytes_are_those_of_the_protocol)
{
    out.flexible = true;
    out_string(&out, "ab");
    out_array(&out, 0);
    out_tags(&out);
    out.flexible = false;
    out_string(&out, "ab");
    out_array(&out, 1);
    out_tags(&out);
    ck_assert_uint_eq(out.len, 13);
    ck_assert_mem_eq(out.data, "\3ab\1\0\0\2ab\0\0\0\1", 13);
}
END_TEST

START_TEST(reading_beyond_the_end_fails_and_gives_zeros)
{
    read_bytes("\1\2\3", 3, false);
    ck_assert_int_eq(in_i32(&in), 0);
    ck_assert(in.bad);
    ck_assert_int_eq(in_i8(&in), 0);
    ck_assert_uint_eq(in_left(&in), 0);
}
END_TEST

START_TEST(a_count_that_cannot_fit_is_refused)
{
    read_bytes("\0\0\0\3"
               "12345",
               9, false);
    ck_assert_int_eq(in_array(&in, 2, false), 0);
    ck_assert(in.bad);
    read_bytes("\0\0\0\2"
               "12345",
               9, false);
    ck_assert_int_eq(in_array(&in, 2, false), 2);
    read_bytes("\177\377\377\377", 4, false);
    ck_assert_int_eq(in_array(&in, 1, false), 0);
    ck_assert(in.bad);
    read_bytes("\377\377\377\377\017", 5, true);
    ck_assert_int_eq(in_array(&in, 1, false), 0);
    ck_assert(in.bad);
}
END_TEST

START_TEST(null_is_refused_where_it_is_not_allowed)
{
    read_bytes("\377\377", 2, false);
    in_text(&in);
    ck_assert(in.bad);
    read_bytes("\0", 1, true);
    in_text(&in);
    ck_assert(in.bad);
    read_bytes("\377\377\377\377", 4, false);
    in_array(&in, 1, false);
    ck_assert(in.bad);
}
END_TEST

START_TEST(negative_lengths_other_than_null_are_refused)
{
    const unsigned char *data;

    read_bytes("\377\376abc", 5, false);
    in_nullable_text(&in);
    ck_assert(in.bad);
    read_bytes("\377\377\377\376abc", 7, false);
    in_bytes(&in, &data);
    ck_assert(in.bad);
}
END_TEST

START_TEST(a_varint_is_bounded)
{
    read_bytes("\200\200\200\200\200\1", 6, true);
    in_uvarint(&in);
    ck_assert(in.bad);
    read_bytes("\377\377\377\377\177", 5, true);
    in_uvarint(&in);
    ck_assert(in.bad);
    read_bytes("\377\377\377\377\377\377\377\377\377\1", 10, true);
    ck_assert_int_eq(in_varlong(&in), INT64_MIN);
    ck_assert(!in.bad);
    read_bytes("\3", 1, true);
    ck_assert_int_eq(in_varlong(&in), -2);
}
END_TEST

START_TEST(unknown_tags_are_skipped_and_disorder_is_refused)
{
    read_bytes("\2\0\1x\5\2yz*", 9, true);
    in_tags(&in);
    ck_assert(!in.bad);
    ck_assert_int_eq(in_i8(&in), '*');
    read_bytes("\2\5\0\5\0", 5, true);
    in_tags(&in);
    ck_assert(in.bad);
    read_bytes("\1\0\100x", 4, true);
    in_tags(&in);
    ck_assert(in.bad);
    read_bytes("\377\177", 2, true);
    in_tags(&in);
    ck_assert(in.bad);
}
END_TEST

START_TEST(a_splice_keeps_its_place)
{
    out_i32(&out, 1);
    out_splice(&out, "abc", 3);
    out_i8(&out, 2);
    ck_assert_uint_eq(out.len, 5);
    ck_assert_uint_eq(out.spliced, 3);
    ck_assert_uint_eq(out.splice_count, 1);
    ck_assert_uint_eq(out.splices[0].at, 4);
}
END_TEST

START_TEST(an_arena_has_a_limit)
{
    struct arena arena = {NULL, 0, 10000};

    ck_assert_ptr_nonnull(arena_take(&arena, 10, 100));
    ck_assert_ptr_nonnull(arena_take(&arena, 1, 5000));
    ck_assert_ptr_null(arena_take(&arena, 1, 5000));
    ck_assert_ptr_null(arena_take(&arena, SIZE_MAX / 2, 4));
    arena_free(&arena);
    ck_assert_uint_eq(arena.used, 0);
}
END_TEST

/* A produce request as version _i has it. */
START_TEST(produce_is_read_in_every_version)
{
    struct arena arena = {NULL, 0, 100000};
    const struct uuid id = {{9, 9}};
    struct produce_request body;
    int16_t version = (int16_t)_i;

    out.flexible = version >= 9;
    out_string(&out, NULL);
    out_i16(&out, -1);
    out_i32(&out, 1500);
    out_array(&out, 1);
    if (version >= 13)
        out_uuid(&out, &id);
    else
        out_string(&out, "topic");
    out_array(&out, 2);
    out_i32(&out, 7);
    out_bytes_length(&out, 3);
    out_raw(&out, "abc", 3);
    out_tags(&out);
    out_i32(&out, 8);
    if (out.flexible)
        out_i8(&out, 0); /* Null records. */
    else
        out_i32(&out, -1);
    out_tags(&out);
    out_tags(&out);
    out_tags(&out);
    turn();
    ck_assert(read_produce(&body, &in, &arena, version));
    ck_assert_int_eq(body.acks, -1);
    ck_assert_int_eq(body.timeout_ms, 1500);
    ck_assert_int_eq(body.count, 1);
    ck_assert_int_eq(body.partitions, 2);
    if (version >= 13)
        ck_assert_mem_eq(&body.topics[0].topic.id, &id, sizeof(id));
    else
        ck_assert(text_is(body.topics[0].topic.name, "topic"));
    ck_assert_int_eq(body.topics[0].partitions[0].index, 7);
    ck_assert_uint_eq(body.topics[0].partitions[0].len, 3);
    ck_assert_mem_eq(body.topics[0].partitions[0].records, "abc", 3);
    ck_assert_ptr_null(body.topics[0].partitions[1].records);
    arena_free(&arena);
}
END_TEST

START_TEST(bytes_behind_a_body_are_refused)
{
    struct init_producer_request body;

    out_string(&out, NULL);
    out_i32(&out, 1);
    out_i8(&out, 0);
    turn();
    ck_assert(!read_init_producer(&body, &in, 0));
}
END_TEST

START_TEST(metadata_tells_all_topics_from_none)
{
    struct arena arena = {NULL, 0, 100000};
    struct metadata_request body;

    read_bytes("\0\0\0\0", 4, false);
    ck_assert(read_metadata(&body, &in, &arena, 0));
    ck_assert_int_eq(body.count, -1);
    ck_assert(body.auto_create);
    read_bytes("\0\0\0\0", 4, false);
    ck_assert(read_metadata(&body, &in, &arena, 1));
    ck_assert_int_eq(body.count, 0);
    read_bytes("\377\377\377\377\0", 5, false);
    ck_assert(read_metadata(&body, &in, &arena, 4));
    ck_assert_int_eq(body.count, -1);
    ck_assert(!body.auto_create);
    arena_free(&arena);
}
END_TEST

/* Ten thousand topics of no partitions fit into few bytes. */
START_TEST(a_request_of_too_many_items_is_refused)
{
    struct arena arena = {NULL, 0, 100u << 20};
    struct produce_request body;
    int i;

    out_string(&out, NULL);
    out_i16(&out, 1);
    out_i32(&out, 1);
    out_array(&out, REQUEST_ITEMS_MAX + 1);
    for (i = 0; i <= REQUEST_ITEMS_MAX; i++) {
        out_string(&out, "t");
        out_array(&out, 0);
    }
    turn();
    ck_assert(!read_produce(&body, &in, &arena, 3));
    arena_free(&arena);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("kafka codec");

    tcase_add_checked_fixture(tc, reset, reset);
    tcase_add_test(tc, numbers_come_back);
    tcase_add_loop_test(tc, strings_come_back_in_both_forms, 0, 2);
    tcase_add_test(tc, the_bytes_are_those_of_the_protocol);
    tcase_add_test(tc, reading_beyond_the_end_fails_and_gives_zeros);
    tcase_add_test(tc, a_count_that_cannot_fit_is_refused);
    tcase_add_test(tc, null_is_refused_where_it_is_not_allowed);
    tcase_add_test(tc, negative_lengths_other_than_null_are_refused);
    tcase_add_test(tc, a_varint_is_bounded);
    tcase_add_test(tc, unknown_tags_are_skipped_and_disorder_is_refused);
    tcase_add_test(tc, a_splice_keeps_its_place);
    tcase_add_test(tc, an_arena_has_a_limit);
    tcase_add_loop_test(tc, produce_is_read_in_every_version, 3, 14);
    tcase_add_test(tc, bytes_behind_a_body_are_refused);
    tcase_add_test(tc, metadata_tells_all_topics_from_none);
    tcase_add_test(tc, a_request_of_too_many_items_is_refused);
    return test_run();
}
