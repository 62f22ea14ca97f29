/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Sequences of idempotent producers.
 */
#include <stdlib.h>
#include <string.h>

#include "kafka/kafka_error.h"
#include "kafka/producers.h"
#include "support/test.h"

#define ID 4711

static struct producers producers;
static const struct producer_batch *dup;
static int64_t next_offset;

static void setup(void)
{
    memset(&producers, 0, sizeof(producers));
    producers.max = 100;
    producers.expiration = 1000;
    next_offset = 0;
}

static void teardown(void)
{
    producers_clear(&producers);
}

static struct producer_claim claim_of(int64_t id, int16_t epoch,
                                      int32_t sequence, int32_t count)
{
    struct producer_claim claim = {id, epoch, sequence, count};

    return claim;
}

static int16_t check(int16_t epoch, int32_t sequence, int32_t count)
{
    struct producer_claim claim = claim_of(ID, epoch, sequence, count);

    return producers_check(&producers, &claim, 0, &dup);
}

/* Append a batch that must be allowed. */
static void append(int16_t epoch, int32_t sequence, int32_t count)
{
    struct producer_claim claim = claim_of(ID, epoch, sequence, count);

    ck_assert_int_eq(check(epoch, sequence, count), 0);
    ck_assert_ptr_null(dup);
    producers_begin(&producers, &claim, 0);
    producers_end(&producers, &claim, next_offset);
    next_offset += count;
}

START_TEST(a_batch_sent_again_gets_its_first_offset)
{
    append(0, 0, 10);
    append(0, 10, 5);
    ck_assert_int_eq(check(0, 0, 10), 0);
    ck_assert_ptr_nonnull(dup);
    ck_assert_int_eq(dup->base_offset, 0);
    ck_assert_int_eq(check(0, 10, 5), 0);
    ck_assert_int_eq(dup->base_offset, 10);
}
END_TEST

START_TEST(a_gap_in_the_sequence_is_refused)
{
    append(0, 0, 10);
    ck_assert_int_eq(check(0, 11, 1), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    ck_assert_int_eq(check(0, 9, 1), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    /* Same beginning, other length: not the same batch. */
    ck_assert_int_eq(check(0, 0, 9), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    ck_assert_int_eq(check(0, 10, 1), 0);
}
END_TEST

START_TEST(five_batches_are_remembered)
{
    int i;

    for (i = 0; i < 6; i++)
        append(0, i, 1);
    ck_assert_int_eq(check(0, 0, 1), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    ck_assert_int_eq(check(0, 1, 1), 0);
    ck_assert_ptr_nonnull(dup);
    ck_assert_int_eq(dup->base_offset, 1);
}
END_TEST

START_TEST(a_batch_under_way_is_known_and_has_no_offset_yet)
{
    struct producer_claim claim = claim_of(ID, 0, 0, 3);

    ck_assert_int_eq(check(0, 0, 3), 0);
    producers_begin(&producers, &claim, 0);
    ck_assert_int_eq(check(0, 0, 3), 0);
    ck_assert_ptr_nonnull(dup);
    ck_assert_int_eq(dup->base_offset, PRODUCER_PENDING);
    ck_assert_int_eq(check(0, 3, 1), 0);
    ck_assert_ptr_null(dup);
    producers_end(&producers, &claim, 77);
    ck_assert_int_eq(check(0, 0, 3), 0);
    ck_assert_int_eq(dup->base_offset, 77);
}
END_TEST

START_TEST(a_batch_that_was_refused_leaves_no_trace)
{
    ck_assert_int_eq(check(0, 5, 1), 0); /* Checked, but never begun. */
    append(0, 0, 1);
    ck_assert_int_eq(check(0, 2, 1), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(0, 1, 1);
}
END_TEST

START_TEST(a_new_epoch_starts_at_zero_and_fences_the_old_one)
{
    append(3, 0, 2);
    ck_assert_int_eq(check(4, 2, 1), KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(4, 0, 1);
    ck_assert_int_eq(check(3, 2, 1), KAFKA_INVALID_PRODUCER_EPOCH);
    ck_assert_int_eq(check(4, 1, 1), 0);
}
END_TEST

START_TEST(an_unknown_producer_may_begin_anywhere)
{
    append(7, 12345, 2);
    append(7, 12347, 1);
}
END_TEST

START_TEST(sequences_go_round)
{
    append(0, INT32_MAX - 1, 4); /* MAX-1, MAX, 0, 1. */
    ck_assert_int_eq(check(0, INT32_MAX - 1, 4), 0);
    ck_assert_ptr_nonnull(dup);
    append(0, 2, 1);
}
END_TEST

START_TEST(a_silent_producer_is_forgotten)
{
    struct producer_claim claim = claim_of(ID, 0, 50, 1);

    append(0, 0, 1);
    ck_assert_int_eq(producers_check(&producers, &claim, 1000, &dup),
                     KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    ck_assert_int_eq(producers_check(&producers, &claim, 1001, &dup), 0);
    ck_assert_ptr_null(dup);
}
END_TEST

/* Many producers: only the limit's number are kept, the newest. */
START_TEST(there_are_never_more_producers_than_the_limit)
{
    struct producer_claim claim;
    int64_t i;

    for (i = 0; i < 1000; i++) {
        claim = claim_of(i, 0, 0, 1);
        ck_assert_int_eq(producers_check(&producers, &claim, i, &dup), 0);
        producers_begin(&producers, &claim, i);
        producers_end(&producers, &claim, i);
        ck_assert_uint_le(producers.count, 100);
    }
    claim = claim_of(999, 0, 0, 1);
    ck_assert_int_eq(producers_check(&producers, &claim, i, &dup), 0);
    ck_assert_ptr_nonnull(dup);
    claim = claim_of(899, 0, 7, 1);
    ck_assert_int_eq(producers_check(&producers, &claim, 999, &dup), 0);
    ck_assert_ptr_null(dup);
}
END_TEST

START_TEST(a_snapshot_brings_all_back)
{
    struct producers back = {.max = 100, .expiration = 1000};
    struct producer_claim claim = claim_of(ID, 2, 9, 1);
    unsigned char data[4096];
    int64_t next = 0;
    size_t len;
    int i;

    for (i = 0; i < 7; i++)
        append(2, i, 1);
    /* Under way: not durable, so not in the snapshot. */
    claim = claim_of(ID, 2, 7, 1);
    producers_begin(&producers, &claim, 0);
    len = producers_save(&producers, next_offset, data, sizeof(data));
    ck_assert_uint_gt(len, 0);
    ck_assert(producers_load(&back, data, len, &next));
    ck_assert_int_eq(next, 7);
    ck_assert_int_eq(producers_check(&back, &claim, 0, &dup), 0);
    ck_assert_ptr_null(dup);
    claim = claim_of(ID, 2, 6, 1);
    ck_assert_int_eq(producers_check(&back, &claim, 0, &dup), 0);
    ck_assert_ptr_nonnull(dup);
    ck_assert_int_eq(dup->base_offset, 6);
    producers_clear(&back);
}
END_TEST

START_TEST(a_snapshot_keeps_the_newest_of_those_that_fit)
{
    struct producers back = {.max = 100, .expiration = 1000};
    struct producer_claim claim;
    unsigned char data[13 + 3 * (11 + 24)];
    int64_t i, next;

    for (i = 0; i < 10; i++) {
        claim = claim_of(i, 0, 0, 1);
        ck_assert(producers_replay(&producers, &claim, i, i));
    }
    ck_assert_uint_eq(producers_save(&producers, 10, data, sizeof(data)),
                      sizeof(data));
    ck_assert(producers_load(&back, data, sizeof(data), &next));
    ck_assert_uint_eq(back.count, 3);
    claim = claim_of(9, 0, 0, 1);
    ck_assert_int_eq(producers_check(&back, &claim, 9, &dup), 0);
    ck_assert_ptr_nonnull(dup);
    producers_clear(&back);
    ck_assert_uint_eq(producers_save(&producers, 10, data, 5), 0);
}
END_TEST

/* Cut off anywhere, or with any byte changed, it is refused or read; it is
 * never believed beyond its end. */
START_TEST(a_damaged_snapshot_does_no_harm)
{
    struct producers back;
    unsigned char data[256], *copy;
    int64_t next;
    size_t len, i;

    append(0, 0, 3);
    append(0, 3, 3);
    len = producers_save(&producers, next_offset, data, sizeof(data));
    for (i = 0; i < len; i++) {
        copy = malloc(i + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, data, i);
        memset(&back, 0, sizeof(back));
        back.max = 100;
        ck_assert(!producers_load(&back, copy, i, &next));
        producers_clear(&back);
        free(copy);
        copy = malloc(len);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, data, len);
        copy[i] ^= 0xff;
        producers_load(&back, copy, len, &next);
        producers_clear(&back);
        free(copy);
    }
}
END_TEST

START_TEST(replay_believes_the_log)
{
    struct producer_claim claim = claim_of(ID, 1, 40, 2);

    ck_assert(producers_replay(&producers, &claim, 100, 5));
    claim.sequence = 42;
    ck_assert(producers_replay(&producers, &claim, 102, 6));
    ck_assert_int_eq(check(1, 40, 2), 0);
    ck_assert_ptr_nonnull(dup);
    ck_assert_int_eq(dup->base_offset, 100);
    ck_assert_int_eq(check(1, 44, 1), 0);
    ck_assert_ptr_null(dup);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("kafka producers");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_batch_sent_again_gets_its_first_offset);
    tcase_add_test(tc, a_gap_in_the_sequence_is_refused);
    tcase_add_test(tc, five_batches_are_remembered);
    tcase_add_test(tc, a_batch_under_way_is_known_and_has_no_offset_yet);
    tcase_add_test(tc, a_batch_that_was_refused_leaves_no_trace);
    tcase_add_test(tc, a_new_epoch_starts_at_zero_and_fences_the_old_one);
    tcase_add_test(tc, an_unknown_producer_may_begin_anywhere);
    tcase_add_test(tc, sequences_go_round);
    tcase_add_test(tc, a_silent_producer_is_forgotten);
    tcase_add_test(tc, there_are_never_more_producers_than_the_limit);
    tcase_add_test(tc, a_snapshot_brings_all_back);
    tcase_add_test(tc, a_snapshot_keeps_the_newest_of_those_that_fit);
    tcase_add_test(tc, a_damaged_snapshot_does_no_harm);
    tcase_add_test(tc, replay_believes_the_log);
    return test_run();
}
