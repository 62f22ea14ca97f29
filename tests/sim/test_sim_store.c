/* SPDX-License-Identifier: Apache-2.0 */
/* The store of the simulated world: what it promises, and each way in which it
 * fails. */
#include "sim/env_rig.h"
#include "support/test.h"

#include <string.h>

START_TEST(the_store_is_one_map_for_all_nodes)
{
    struct weir_host host;
    struct weir_sim_node *other;

    open_world(test_seed());
    ck_assert_int_eq(weir_sim_node_new(&other, sim, 2, DISK), 0);
    open_store();
    ck_assert_int_eq(put("a/1", "hello", 0), 0);
    ck_assert_int_eq(put("a/2", "world", WEIR_STORE_IF_ABSENT), 0);
    ck_assert_int_eq(put("a/1", "again", WEIR_STORE_IF_ABSENT), WEIR_ECONFLICT);
    ck_assert_int_eq(put("b", "", 0), 0);

    node = other;
    env = weir_sim_env(node);
    host = (struct weir_host){weir_sim_alloc(node), NULL, env};
    ck_assert_int_eq(weir__sim_store_open(&store, &host, "sim:", node, NULL),
                     0);
    ck_assert_str_eq(get("a/1", 0, UINT64_MAX, 0), "hello");
    ck_assert_str_eq(get("a/1", 1, 3, 0), "ell");
    ck_assert_str_eq(get("a/1", 0, 2, WEIR_STORE_SUFFIX), "lo");
    ck_assert_ptr_null(get("a/1", 6, 1, 0));
    ck_assert_int_eq(status, WEIR_ERANGE);
    ck_assert_str_eq(get("b", 0, UINT64_MAX, 0), "");
    ck_assert_ptr_null(get("none", 0, 1, 0));
    ck_assert_int_eq(status, WEIR_ENOENT);
    ck_assert_int_eq(ask(WEIR_STORE_HEAD, "a/2"), 0);
    ck_assert_uint_eq(req.size, 5);

    req = (struct weir_store_req){.limit = 2};
    ck_assert_int_eq(ask(WEIR_STORE_LIST, ""), 0);
    ck_assert_uint_eq(key_count, 2);
    ck_assert_str_eq(keys[1], "a/2");
    ck_assert_int_eq(req.more, 1);
    req = (struct weir_store_req){.limit = 10, .after = "a/1"};
    ck_assert_int_eq(ask(WEIR_STORE_LIST, "a/"), 0);
    ck_assert_uint_eq(key_count, 1);
    ck_assert_int_eq(req.more, 0);

    ck_assert_int_eq(ask(WEIR_STORE_DELETE, "a/1"), 0);
    ck_assert_int_eq(ask(WEIR_STORE_DELETE, "a/1"), 0);
    ck_assert_int_eq(ask(WEIR_STORE_HEAD, "a/1"), WEIR_ENOENT);
    close_world();
}
END_TEST

START_TEST(a_put_whose_checksum_is_another_bodys_is_not_done)
{
    const uint32_t right = 0x263fc950;
    const uint32_t wrong = 0;

    open_world(test_seed());
    open_store();
    body = (struct weir_iov){"body", 4};
    req =
        (struct weir_store_req){.iov = &body, .iov_count = 1, .crc32c = &wrong};
    ck_assert_int_eq(ask(WEIR_STORE_PUT, "k"), WEIR_ECORRUPT);
    ck_assert_ptr_null(look("k"));
    req =
        (struct weir_store_req){.iov = &body, .iov_count = 1, .crc32c = &right};
    ck_assert_int_eq(ask(WEIR_STORE_PUT, "k"), 0);
    ck_assert_str_eq(look("k"), "body");
    close_world();
}
END_TEST

START_TEST(a_refused_put_is_not_done)
{
    open_world(test_seed());
    open_store();
    weir_sim_faults(sim)->store_down = 1000000;
    ck_assert_int_eq(put("k", "v", 0), WEIR_EUNAVAILABLE);
    weir_sim_faults(sim)->store_down = 0;
    weir_sim_faults(sim)->store_throttle = 1000000;
    ck_assert_int_eq(put("k", "v", 0), WEIR_ETHROTTLED);
    weir_sim_faults(sim)->store_throttle = 0;
    weir_sim_faults(sim)->store_lost = 1000000;
    ck_assert_int_eq(put("k", "v", 0), WEIR_EUNKNOWN);
    run(1200 * SIM_SECOND);
    ck_assert_ptr_null(look("k"));
    close_world();
}
END_TEST

START_TEST(a_put_with_an_unknown_outcome_may_be_done_or_be_done_later)
{
    open_world(test_seed());
    open_store();
    weir_sim_faults(sim)->store_unheard = 1000000;
    ck_assert_int_eq(put("heard", "v", 0), WEIR_EUNKNOWN);
    ck_assert_str_eq(look("heard"), "v");
    weir_sim_faults(sim)->store_unheard = 0;
    weir_sim_faults(sim)->store_late = 1000000;
    ck_assert_int_eq(put("late", "v", 0), WEIR_EUNKNOWN);
    run(601 * SIM_SECOND);
    ck_assert_str_eq(look("late"), "v");
    weir_sim_faults(sim)->store_late = 0;

    /* The second time finds what the first one made. */
    weir_sim_faults(sim)->store_repeat = 1000000;
    ck_assert_int_eq(put("twice", "v", WEIR_STORE_IF_ABSENT), WEIR_ECONFLICT);
    ck_assert_str_eq(look("twice"), "v");
    close_world();
}
END_TEST

START_TEST(a_put_past_its_deadline_has_an_unknown_outcome)
{
    open_world(test_seed());
    open_store();
    body = (struct weir_iov){"v", 1};
    req = (struct weir_store_req){
        .iov = &body, .iov_count = 1, .deadline = weir_sim_now(sim) + 1000};
    ck_assert_int_eq(ask(WEIR_STORE_PUT, "k"), WEIR_EUNKNOWN);
    req = (struct weir_store_req){.length = 1,
                                  .deadline = weir_sim_now(sim) + 1000};
    ck_assert_int_eq(ask(WEIR_STORE_GET, "k"), WEIR_ETIMEDOUT);
    run(60 * SIM_SECOND);
    ck_assert_str_eq(look("k"), "v");
    close_world();
}
END_TEST

START_TEST(a_corrupted_get_differs_in_one_byte)
{
    open_world(test_seed());
    open_store();
    ck_assert_int_eq(put("k", "aaaa", 0), 0);
    weir_sim_faults(sim)->store_corrupt = 1000000;
    ck_assert_str_ne(get("k", 0, UINT64_MAX, 0), "aaaa");
    weir_sim_faults(sim)->store_corrupt = 0;
    ck_assert_str_eq(get("k", 0, UINT64_MAX, 0), "aaaa");
    close_world();
}
END_TEST

/* The size is told as it is where a part was asked for.  A server that closes
 * the connection where the whole was wanted leaves nothing to compare with. */
START_TEST(a_get_that_is_cut_short_misses_the_end_and_is_told_as_success)
{
    const char *text;

    open_world(test_seed());
    open_store();
    ck_assert_int_eq(put("k", "0123456789", 0), 0);
    weir_sim_faults(sim)->store_cut = 1000000;
    text = get("k", 0, UINT64_MAX, 0);
    ck_assert_uint_lt(strlen(text), 10);
    ck_assert_mem_eq(text, "0123456789", strlen(text));
    ck_assert_uint_eq(req.size, strlen(text));
    text = get("k", 2, 6, 0);
    ck_assert_uint_lt(strlen(text), 6);
    ck_assert_mem_eq(text, "234567", strlen(text));
    ck_assert_uint_eq(req.size, 10);
    ck_assert_uint_eq(weir_sim_faults_seen(sim)->store_cut, 2);
    weir_sim_faults(sim)->store_cut = 0;
    ck_assert_str_eq(get("k", 0, UINT64_MAX, 0), "0123456789");
    close_world();
}
END_TEST

/* As S3 does while another request for the key is under way (409). */
START_TEST(a_create_may_be_refused_although_the_key_is_free)
{
    open_world(test_seed());
    open_store();
    weir_sim_faults(sim)->store_refused = 1000000;
    ck_assert_int_eq(put("k", "v", WEIR_STORE_IF_ABSENT), WEIR_ETHROTTLED);
    run(1200 * SIM_SECOND);
    ck_assert_ptr_null(look("k"));
    ck_assert_uint_eq(weir_sim_faults_seen(sim)->store_refused, 1);
    ck_assert_int_eq(put("k", "v", 0), 0);
    ck_assert_str_eq(get("k", 0, UINT64_MAX, 0), "v");
    close_world();
}
END_TEST

/* As some servers do (500), which leave what is there as it was. */
START_TEST(a_create_that_loses_may_end_with_an_unknown_outcome)
{
    open_world(test_seed());
    open_store();
    weir_sim_faults(sim)->store_lost_race = 1000000;
    ck_assert_int_eq(put("k", "mine", WEIR_STORE_IF_ABSENT), 0);
    ck_assert_int_eq(put("k", "other", WEIR_STORE_IF_ABSENT), WEIR_EUNKNOWN);
    ck_assert_uint_eq(weir_sim_faults_seen(sim)->store_lost_race, 1);
    run(1200 * SIM_SECOND);
    ck_assert_str_eq(look("k"), "mine");
    close_world();
}
END_TEST

/* Keys of other parts are served; and all are once the rate is 0. */
START_TEST(keys_that_begin_alike_may_be_refused_for_seconds)
{
    static const char key[] = "part/of/keys/of/which/all/are/hot/1";
    int others = 0;
    int same = 0;
    uint64_t seed;

    for (seed = 0; seed < 40; seed++) {
        open_world(seed);
        open_store();
        weir_sim_faults(sim)->store_hot = 1000000;
        ck_assert_int_eq(put(key, "v", 0), WEIR_ETHROTTLED);
        ck_assert_uint_eq(weir_sim_faults_seen(sim)->store_hot, 1);
        weir_sim_faults(sim)->store_hot = 1;
        same += put("part/of/keys/2", "v", 0) == WEIR_ETHROTTLED;
        others += put("a", "v", 0) == 0;
        weir_sim_faults(sim)->store_hot = 0;
        ck_assert_int_eq(put(key, "v", 0), 0);
        close_world();
    }
    ck_assert_int_gt(same, 5);
    ck_assert_int_lt(same, 35);
    ck_assert_int_gt(others, 25);
}
END_TEST

static uint64_t time_of_puts(uint64_t store_time)
{
    uint64_t began;

    open_world_of(&(struct weir_sim_options){.seed = test_seed(),
                                             .store_time = store_time});
    open_store();
    began = weir_sim_now(sim);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(put("k", "v", 0), 0);
    began = weir_sim_now(sim) - began;
    close_world();
    return began;
}

START_TEST(a_world_has_the_store_time_that_it_was_given)
{
    struct weir_sim_options options = {.size = sizeof(options),
                                       .limit = 2 * SIM_SECOND};
    uint64_t usual = time_of_puts(0);

    ck_assert_uint_eq(time_of_puts(8 * SIM_MS), usual);
    ck_assert_uint_gt(time_of_puts(80 * SIM_MS), 5 * usual);
    ck_assert_uint_lt(time_of_puts(SIM_MS), usual / 4);
    options.store_time = 999;
    ck_assert_int_eq(weir_sim_new(&sim, &options), WEIR_EINVAL);
    options.store_time = 3601 * SIM_SECOND;
    ck_assert_int_eq(weir_sim_new(&sim, &options), WEIR_EINVAL);
}
END_TEST

START_TEST(a_put_of_a_crashed_node_may_still_be_done_and_nobody_is_told)
{
    int found = 0;
    uint64_t seed;

    for (seed = 0; seed < 40; seed++) {
        open_world(seed);
        open_store();
        body = (struct weir_iov){"v", 1};
        req = (struct weir_store_req){.iov = &body, .iov_count = 1};
        told = 0;
        submit(WEIR_STORE_PUT, "k");
        weir_sim_crash(node);
        run(600 * SIM_SECOND);
        ck_assert_int_eq(told, 0);
        found += look("k") != NULL;
        close_world();
    }
    ck_assert_int_gt(found, 5);
    ck_assert_int_lt(found, 35);
}
END_TEST

static int closings;

static void note_closed(struct weir_task *task)
{
    (void)task;
    ck_assert_int_eq(told, 1);
    closings++;
}

START_TEST(closing_a_store_cancels_what_is_in_flight)
{
    struct weir_task closed = {note_closed, NULL};

    open_world(test_seed());
    open_store();
    req = (struct weir_store_req){.length = 1};
    submit(WEIR_STORE_GET, "k");
    store->ops->close(store, &closed);
    run(SIM_SECOND);
    ck_assert_int_eq(closings, 1);
    ck_assert_int_eq(status, WEIR_ECANCELED);
    ck_assert_uint_eq(weir_sim_bytes(node), 0);
    close_world();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim store");

    tcase_add_test(tc, the_store_is_one_map_for_all_nodes);
    tcase_add_test(tc, a_put_whose_checksum_is_another_bodys_is_not_done);
    tcase_add_test(tc, a_refused_put_is_not_done);
    tcase_add_test(tc,
                   a_put_with_an_unknown_outcome_may_be_done_or_be_done_later);
    tcase_add_test(tc, a_put_past_its_deadline_has_an_unknown_outcome);
    tcase_add_test(tc, a_corrupted_get_differs_in_one_byte);
    tcase_add_test(
        tc, a_get_that_is_cut_short_misses_the_end_and_is_told_as_success);
    tcase_add_test(tc, a_create_may_be_refused_although_the_key_is_free);
    tcase_add_test(tc, a_create_that_loses_may_end_with_an_unknown_outcome);
    tcase_add_test(tc, a_world_has_the_store_time_that_it_was_given);
    tcase_add_test(tc, keys_that_begin_alike_may_be_refused_for_seconds);
    tcase_add_test(
        tc, a_put_of_a_crashed_node_may_still_be_done_and_nobody_is_told);
    tcase_add_test(tc, closing_a_store_cancels_what_is_in_flight);
    return test_run();
}
