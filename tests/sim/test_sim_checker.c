/* SPDX-License-Identifier: Apache-2.0 */
/* Each check of the cluster's checker fails where it has to: what a library
 * with a bug would show is made up. */
#include "sim/cluster_inside.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static struct cluster *c;
static struct run_result result;
static unsigned char payloads[8][PAYLOAD_MAX];

/* Stream 0 has been given the numbers 1 to 7, and was opened under epoch 2. */
static void begin(void)
{
    struct weir_sim_options options = {.size = sizeof(options),
                                       .limit = 100 * SECOND};

    result = (struct run_result){0};
    c = calloc(1, sizeof(*c));
    ck_assert_ptr_nonnull(c);
    c->result = &result;
    ck_assert_int_eq(weir_sim_new(&c->sim, &options), 0);
    for (c->numbers = 0; c->numbers < 7;)
        c->stream_of[++c->numbers] = 1;
    cluster_check_opened(c, 0, 2, 2);
    ck_assert_str_eq(result.failure, "");
}

static void end(void)
{
    weir_sim_free(c->sim);
    free(c);
}

/* A breach of that text, and nothing before. */
static void ends_with(const char *text)
{
    ck_assert_msg(strstr(result.failure, text) != NULL, "\"%s\"",
                  result.failure);
    end();
}

static void ends_well(void)
{
    ck_assert_str_eq(result.failure, "");
    end();
}

static struct weir_batch batch(uint32_t number, uint64_t at)
{
    cluster_payload(payloads[number], number, 0);
    return (struct weir_batch){.base_offset = at,
                               .count = 1,
                               .data = payloads[number],
                               .len = cluster_payload_len(number)};
}

static void read_two(uint64_t from, struct weir_batch a, struct weir_batch b)
{
    struct weir_batch both[2] = {a, b};
    struct weir_fetch fetch = {.batches = both, .count = 2};

    cluster_check_batches(c, 0, from, &fetch);
}

static void read_one(uint64_t from, struct weir_batch a)
{
    struct weir_fetch fetch = {.batches = &a, .count = 1};

    cluster_check_batches(c, 0, from, &fetch);
}

START_TEST(what_holds_is_no_breach)
{
    begin();
    cluster_check_opened(c, 0, 2, 2); /* It has it open. */
    cluster_check_acked(c, 0, 1, 0, 2);
    read_two(0, batch(1, 0), batch(2, 1));
    cluster_check_opened(c, 0, 3, 3);
    cluster_check_acked(c, 0, 3, 2, 3);
    cluster_check_acked(c, 0, 2, 1, 2); /* The former owner hears late. */
    read_two(1, batch(2, 1), batch(3, 2));
    cluster_check_status(c, "x", WEIR_EFENCED);
    c->counter.most = 2;
    cluster_check_added(c, 1, 0);
    cluster_check_added(c, 2, WEIR_EUNKNOWN);
    cluster_check_sum(c, 1);
    cluster_check_sum(c, 2);
    ends_well();
}
END_TEST

START_TEST(what_was_read_is_compared_with_what_is_known)
{
    struct weir_batch other;

    begin();
    read_two(0, batch(1, 0), batch(2, 2));
    ends_with("offset 2 comes where 1 was to");
    begin();
    c->never[1] = 1;
    read_one(0, batch(1, 0));
    ends_with("which was told as failed");
    begin();
    c->stream_of[1] = 2;
    read_one(0, batch(1, 0));
    ends_with("a batch of nowhere");
    begin();
    other = batch(1, 0);
    payloads[1][cluster_payload_len(1) - 1] ^= 1;
    read_one(0, other);
    ends_with("other bytes than were given");
    begin();
    other = batch(1, 0);
    other.len--;
    read_one(0, other);
    ends_with("other bytes than were given");
    begin();
    cluster_check_acked(c, 0, 1, 0, 2);
    read_one(0, batch(2, 0));
    ends_with("another batch than was acknowledged");
    begin();
    read_one(0, batch(1, 0));
    read_one(0, batch(2, 0));
    ends_with("another batch than was shown before");
    begin();
    read_two(0, batch(1, 0), batch(1, 1));
    ends_with("number 1 is at offset 1, and at 0 as well");
}
END_TEST

START_TEST(one_number_is_acknowledged_at_an_offset_and_under_the_right_epoch)
{
    begin();
    cluster_check_acked(c, 0, 1, 0, 2);
    cluster_check_acked(c, 0, 2, 0, 2);
    ends_with("acknowledged twice");
    begin();
    read_one(0, batch(1, 0));
    cluster_check_acked(c, 0, 2, 0, 2);
    ends_with("acknowledged, and another was shown");
    begin();
    read_one(0, batch(1, 0));
    cluster_check_acked(c, 0, 1, 1, 2);
    ends_with("number 1 is at offset 1, and at 0 as well");
    begin();
    cluster_check_acked(c, 0, 1, MOST, 2);
    ends_with("acknowledged at 700");
    begin();
    cluster_check_opened(c, 0, 2, 9);
    ends_with("opened under epoch 2, and had 2 before");
    begin();
    cluster_check_acked(c, 0, 1, 0, 3);
    ends_with("which has no right to it"); /* Nobody has opened that one. */
    begin();
    cluster_check_opened(c, 0, 3, 3);
    cluster_check_acked(c, 0, 1, 0, 3);
    cluster_check_acked(c, 0, 2, 4, 2); /* Behind those of its successor. */
    ends_with("which has no right to it");
    begin();
    cluster_check_opened(c, 0, 3, 3);
    cluster_check_acked(c, 0, 1, 4, 2);
    cluster_check_acked(c, 0, 2, 1, 3);
    ends_with("which has no right to it");
}
END_TEST

START_TEST(what_goes_with_a_log_in_memory_may_go_and_not_come_back)
{
    struct machine *m;

    begin();
    cluster_check_acked(c, 0, 1, 0, 2);
    cluster_check_end(c, 0, 0, NULL); /* Of another log. */
    ends_with("stream 0 ends at 0, and 0 was acknowledged");
    begin();
    c->soft[1] = c->soft[2] = 1;
    cluster_check_acked(c, 0, 1, 0, 2);
    cluster_check_end(c, 0, 0, NULL);
    cluster_check_acked(c, 0, 2, 0, 2);
    read_one(0, batch(1, 0));
    ends_with("which was told as failed");
    begin();
    m = &c->machines[0];
    c->reader = m; /* Who has it from objects. */
    c->soft[1] = 1;
    read_one(0, batch(1, 0));
    cluster_check_end(c, 0, 0, NULL);
    ends_with("stream 0 ends at 0, and 0 was acknowledged, or shown");
    begin();
    c->softness = 1;
    read_one(0, batch(1, 0));
    read_one(0, batch(2, 1));
    ends_with("offset 1 comes where 0 was to");
    begin();
    m = &c->machines[0];
    m->cluster = c;
    m->lost = 1;
    cluster_check_flushed(m, (uint64_t[STREAMS]){0});
    ends_with("had gone with its log");
}
END_TEST

/* Machine 0 acknowledges number 1 in a log that it gives up then. */
static struct machine *give_up(int flushed)
{
    struct machine *m;

    begin();
    m = &c->machines[0];
    m->cluster = c;
    c->giver[1] = cluster_life(m);
    cluster_check_acked(c, 0, 1, 0, 2);
    if (flushed)
        cluster_check_flushed(m, (uint64_t[STREAMS]){1});
    m->abandon = 1;
    (void)cluster_disk_begin(m);
    return m;
}

START_TEST(what_goes_with_a_log_that_was_given_up_does_not_come_back)
{
    struct machine *m = give_up(0);

    cluster_check_end(c, 0, 0, m);
    ck_assert_str_eq(result.failure, "");
    read_one(0, batch(1, 0));
    ends_with("which was told as failed");
    m = give_up(1);
    cluster_check_end(c, 0, 0, m);
    ends_with("stream 0 ends at 0, and 0 was acknowledged");
    begin();
    m = &c->machines[0];
    m->cluster = c;
    m->status = WEIR_EFOREIGN;
    cluster_disk_end(m, 1);
    ends_with("node 0 is refused the log that it had");
}
END_TEST

START_TEST(what_was_made_and_not_deleted_is_there)
{
    begin();
    cluster_check_made(c, 7, 0);
    cluster_check_there(c, 7);
    cluster_check_deleting(c);
    cluster_check_there(c, 0); /* It may be on its way. */
    cluster_check_deleted(c);
    cluster_check_there(c, 0);
    cluster_check_made(c, 8, 1); /* One of before may take it. */
    cluster_check_there(c, 0);
    ck_assert_str_eq(result.failure, "");
    cluster_check_made(c, 9, 0);
    cluster_check_there(c, 0);
    ends_with("stream 9 was made, and nobody has deleted it since");
}
END_TEST

START_TEST(statuses_and_sums_are_compared_with_what_may_be)
{
    begin();
    cluster_check_status(c, "x", WEIR_EBUG);
    ends_with("x: status -31");
    begin();
    cluster_check_status(c, "x", -77);
    ends_with("x: status -77");
    begin();
    cluster_check_status(c, "x", 3);
    ends_with("x: status 3");
    begin();
    c->counter.most = 3;
    cluster_check_added(c, 1, 0);
    cluster_check_added(c, 1, 0);
    ends_with("two compare-and-sets of one version");
    begin();
    c->counter.most = 2;
    cluster_check_added(c, 1, 0);
    cluster_check_added(c, 2, WEIR_ECONFLICT);
    cluster_check_sum(c, 2); /* What had failed was done. */
    ends_with("must be 1 to 1");
    begin();
    c->counter.most = 2;
    cluster_check_added(c, 1, 0);
    cluster_check_added(c, 2, 0);
    cluster_check_sum(c, 1);
    ends_with("must be 2 to 2");
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim checker");

    tcase_add_test(tc, what_holds_is_no_breach);
    tcase_add_test(tc, what_was_read_is_compared_with_what_is_known);
    tcase_add_test(
        tc, one_number_is_acknowledged_at_an_offset_and_under_the_right_epoch);
    tcase_add_test(tc, what_goes_with_a_log_in_memory_may_go_and_not_come_back);
    tcase_add_test(tc,
                   what_goes_with_a_log_that_was_given_up_does_not_come_back);
    tcase_add_test(tc, what_was_made_and_not_deleted_is_there);
    tcase_add_test(tc, statuses_and_sums_are_compared_with_what_may_be);
    return test_run();
}
