/* SPDX-License-Identifier: Apache-2.0 */
/* Large objects in parts, many deletions in one request, and encryption by
 * the server: what is sent, and what becomes of each when something fails. */
#include "store/s3_parts.h"
#include "support/s3_server.h"
#include "support/store_kinds.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, SIZE = 12 * MIB + 7, GONE = 50 };

static struct store_rig rig;
static struct s3_server *server;
static unsigned char *data;

static void open_with(const char *property, const char *value)
{
    struct weir_config *config =
        store_s3_config(S3_SERVER_KEY, S3_SERVER_SECRET);
    int rc;

    store_rig_init(&rig);
    server = s3_server_start();
    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay", "1ms", NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "s3_part", "5MiB", NULL), 0);
    if (property != NULL)
        ck_assert_int_eq(weir_config_set(config, property, value, NULL), 0);
    rc = store_s3_open(&rig, server, config);
    ck_assert_msg(rc == 0, "%s", rig.err.text);
    weir_config_free(config);
    data = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 13);
}

static void close_rig(void)
{
    store_rig_close(&rig);
    s3_server_stop(server);
    free(data);
}

static void check_err(const char *word)
{
    ck_assert_msg(strstr(rig.err.text, word) != NULL, "%s", rig.err.text);
}

/* Of pieces that do not end where the parts do. */
static int put(const char *key)
{
    const struct weir_iov iov[] = {{data, 3 * MIB + 1},
                                   {data + 3 * MIB + 1, 0},
                                   {data + 3 * MIB + 1, 6},
                                   {data + 3 * MIB + 7, SIZE - 3 * MIB - 7}};
    struct store_call call = {
        .req = {.verb = WEIR_STORE_PUT,
                .flags = WEIR_STORE_IF_ABSENT | WEIR_STORE_PARTS,
                .key = key,
                .iov = iov,
                .iov_count = 4}};

    store_rig_start(&rig, &call);
    return store_rig_finish(&rig, &call);
}

static void check_object(const char *key)
{
    struct weir_buf *body = NULL;

    ck_assert_int_eq(store_get(&rig, key, 0, UINT64_MAX, 0, &body, NULL), 0);
    ck_assert_uint_eq(body->len, SIZE);
    ck_assert_mem_eq(body->data, data, SIZE);
    weir_buf_unref(body);
}

START_TEST(a_large_object_goes_in_parts)
{
    open_with(NULL, NULL);
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    check_object("a");
    ck_assert_int_eq(s3_server_requests(server, "PUT"), 3);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 2);
    ck_assert_int_eq(s3_server_uploads(server), 0);
    /* It exists; and what was put for nothing does not stay. */
    ck_assert_int_eq(put("a"), WEIR_ECONFLICT);
    ck_assert_int_eq(s3_server_uploads(server), 0);
    close_rig();
}
END_TEST

START_TEST(without_leave_or_size_it_goes_in_one_piece)
{
    open_with("s3_part", "0");
    ck_assert_int_eq(put("a"), 0);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 0);
    close_rig();
    open_with(NULL, NULL);
    ck_assert_int_eq(store_put(&rig, "a", data, SIZE, WEIR_STORE_IF_ABSENT), 0);
    ck_assert_int_eq(store_put(&rig, "b", data, 5 * MIB,
                               WEIR_STORE_IF_ABSENT | WEIR_STORE_PARTS),
                     0);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 0);
    close_rig();
}
END_TEST

/* What is left over is shared among the others, if it is little. */
START_TEST(a_short_last_part_is_saved)
{
    const uint64_t part = 16 * MIB, least = WEIR__S3_PART_MIN;

    ck_assert_uint_eq(weir__s3_part_size(6 * part, part), part);
    ck_assert_uint_eq(weir__s3_part_size(6 * part + 1, part), part + 1);
    ck_assert_uint_eq(weir__s3_part_size(6 * part + part / 4 + 1, part), part);
    ck_assert_uint_eq(weir__s3_part_size(part + 1, part), part + 1);
    ck_assert_uint_eq(weir__s3_part_size(part / 2, part), part);
    /* Within the bounds of S3. */
    ck_assert_uint_eq(weir__s3_part_size(2 * least, 1), least);
    ck_assert_uint_le(weir__s3_part_size(UINT64_C(11) << 30, UINT64_C(5) << 30),
                      UINT64_C(5) << 30);
    ck_assert_uint_eq(weir__s3_part_size(WEIR__S3_PARTS_MAX * 2 * part, part),
                      2 * part + 1);
}
END_TEST

START_TEST(a_little_more_than_a_part_goes_in_one_piece)
{
    open_with(NULL, NULL);
    ck_assert_int_eq(store_put(&rig, "a", data, 6 * MIB,
                               WEIR_STORE_IF_ABSENT | WEIR_STORE_PARTS),
                     0);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 0);
    ck_assert_int_eq(store_put(&rig, "b", data, 11 * MIB,
                               WEIR_STORE_IF_ABSENT | WEIR_STORE_PARTS),
                     0);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 2);
    ck_assert_int_eq(s3_server_requests(server, "PUT"), 3);
    close_rig();
}
END_TEST

/* With each request of the upload, the first and the last too. */
START_TEST(what_passes_does_not_cost_the_upload)
{
    static const struct s3_fault faults[] = {
        {.kind = S3_ANSWER, .status = 503, .code = "SlowDown", .count = 2},
        {.kind = S3_ANSWER, .status = 500, .code = "InternalError", .count = 2},
        {.kind = S3_ANSWER_AFTER, .status = 500, .code = "InternalError"},
        {.kind = S3_RESET_BEFORE, .count = 2},
        {.kind = S3_RESET_AFTER},
        /* "200 OK", and the body says that it was not. */
        {.kind = S3_ANSWER,
         .status = 200,
         .body = "<Error><Code>InternalError</Code></Error>",
         .header = "Content-Type: application/xml"},
    };
    struct s3_fault fault = faults[_i];

    open_with(NULL, NULL);
    for (fault.skip = 0; fault.skip < 5; fault.skip++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", fault.skip);
        s3_server_fault(server, &fault);
        ck_assert_msg(put(key) == 0, "request %d: %s", fault.skip,
                      rig.err.text);
        check_object(key);
    }
    close_rig();
}
END_TEST

/* Over a connection that leaves large bodies out of the signature, too. */
START_TEST(what_is_damaged_on_its_way_is_sent_again)
{
    struct s3_fault fault = {.kind = S3_DAMAGE, .method = "PUT", .skip = _i};

    open_with(NULL, NULL);
    s3_server_fault(server, &fault);
    ck_assert_msg(put("a") == 0, "%s", rig.err.text);
    check_object("a");
    ck_assert_int_eq(s3_server_requests(server, "PUT"), 4);
    close_rig();
}
END_TEST

START_TEST(an_upload_that_fails_is_aborted)
{
    struct s3_fault fault = {.kind = S3_ANSWER,
                             .method = "PUT",
                             .status = 403,
                             .code = "AccessDenied",
                             .skip = 1};

    open_with(NULL, NULL);
    s3_server_fault(server, &fault);
    ck_assert_int_eq(put("a"), WEIR_EACCES);
    check_err("PUT s3://bucket/p/a");
    ck_assert_int_eq(s3_server_size(server, "p/a"), -1);
    ck_assert_int_eq(s3_server_uploads(server), 0);
    s3_server_fault(server, NULL);
    ck_assert_int_eq(put("a"), 0);
    close_rig();
}
END_TEST

START_TEST(an_upload_whose_end_is_not_told_is_unknown)
{
    struct s3_fault fault = {
        .kind = S3_RESET_BEFORE, .method = "POST", .skip = 1, .count = 1000};

    open_with("s3_attempts", "2");
    s3_server_fault(server, &fault);
    ck_assert_int_eq(put("a"), WEIR_EUNKNOWN);
    ck_assert_int_eq(s3_server_size(server, "p/a"), -1);
    close_rig();
}
END_TEST

/* ---- Deletions ----------------------------------------------------------- */

static struct store_call gone[GONE];
static char keys[GONE][20];

static void delete_many(int count)
{
    for (int i = 0; i < count; i++) {
        char key[32];

        snprintf(keys[i], sizeof(keys[i]), i == 7 ? "locked-%d" : "k%d", i);
        snprintf(key, sizeof(key), "p/%.19s", keys[i]);
        s3_server_store(server, key, "x", 1);
        gone[i] = (struct store_call){
            .req = {.verb = WEIR_STORE_DELETE, .key = keys[i]}};
    }
    for (int i = 0; i < count; i++)
        store_rig_start(&rig, &gone[i]);
    for (int i = 0; i < count; i++)
        (void)store_rig_finish(&rig, &gone[i]);
}

START_TEST(deletions_of_one_turn_are_one_request)
{
    open_with(NULL, NULL);
    delete_many(GONE);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 1);
    ck_assert_int_eq(s3_server_requests(server, "DELETE"), 0);
    for (int i = 0; i < GONE; i++) {
        char key[32];

        snprintf(key, sizeof(key), "p/%.19s", keys[i]);
        ck_assert_int_eq(gone[i].status, i == 7 ? WEIR_EACCES : 0);
        ck_assert_int_eq(s3_server_size(server, key), i == 7 ? 1 : -1);
    }
    ck_assert_ptr_nonnull(strstr(gone[7].err.text, "AccessDenied"));
    close_rig();
}
END_TEST

START_TEST(a_server_without_batches_gets_them_one_by_one)
{
    static const int statuses[] = {400, 405, 501};
    struct s3_fault fault = {.kind = S3_ANSWER,
                             .method = "POST",
                             .status = statuses[_i],
                             .code = _i == 2 ? "NotImplemented" : "Malformed"};

    open_with(NULL, NULL);
    s3_server_fault(server, &fault);
    delete_many(5);
    ck_assert_int_eq(s3_server_requests(server, "DELETE"), 5);
    delete_many(5);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 1);
    ck_assert_int_eq(s3_server_requests(server, "DELETE"), 10);
    ck_assert_int_eq(s3_server_size(server, "p/k4"), -1);
    close_rig();
}
END_TEST

START_TEST(a_batch_that_fails_is_tried_again_and_told_to_each)
{
    struct s3_fault fault = {
        .kind = S3_ANSWER, .status = 503, .code = "SlowDown", .count = 2};

    open_with("s3_attempts", "3");
    s3_server_fault(server, &fault);
    delete_many(5);
    ck_assert_int_eq(gone[0].status, 0);
    fault.count = 3;
    s3_server_fault(server, &fault);
    delete_many(5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(gone[i].status, WEIR_ETHROTTLED);
    close_rig();
}
END_TEST

/* Its first attempt is answered with an error for one key, and no end. */
START_TEST(what_a_cut_answer_says_of_a_key_is_forgotten)
{
    static const char *const cut[] = {
        "<DeleteResult><Error><Key>p/k1</Key><Code>AccessDenied</Code></Error>",
        "<DeleteResult><Error><Key>p/k1</Key>"};
    struct s3_fault fault = {
        .kind = S3_ANSWER, .method = "POST", .status = 200, .body = cut[_i]};

    open_with(NULL, NULL);
    s3_server_fault(server, &fault);
    delete_many(5);
    ck_assert_int_eq(s3_server_requests(server, "POST"), 2);
    for (int i = 0; i < 5; i++)
        ck_assert_msg(gone[i].status == 0, "%s", gone[i].err.text);
    ck_assert_int_eq(s3_server_size(server, "p/k1"), -1);
    close_rig();
}
END_TEST

START_TEST(the_server_is_asked_to_encrypt)
{
    char text[100];

    open_with("s3_sse", "AES256");
    ck_assert_int_eq(store_put(&rig, "a", "x", 1, 0), 0);
    s3_server_header(server, "x-amz-server-side-encryption", text,
                     sizeof(text));
    ck_assert_str_eq(text, "AES256");
    close_rig();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_parts");

    tcase_add_test(tc, a_large_object_goes_in_parts);
    tcase_add_test(tc, without_leave_or_size_it_goes_in_one_piece);
    tcase_add_test(tc, a_short_last_part_is_saved);
    tcase_add_test(tc, a_little_more_than_a_part_goes_in_one_piece);
    tcase_add_loop_test(tc, what_passes_does_not_cost_the_upload, 0, 6);
    tcase_add_loop_test(tc, what_is_damaged_on_its_way_is_sent_again, 0, 3);
    tcase_add_test(tc, an_upload_that_fails_is_aborted);
    tcase_add_test(tc, an_upload_whose_end_is_not_told_is_unknown);
    tcase_add_test(tc, deletions_of_one_turn_are_one_request);
    tcase_add_loop_test(tc, a_server_without_batches_gets_them_one_by_one, 0,
                        3);
    tcase_add_test(tc, a_batch_that_fails_is_tried_again_and_told_to_each);
    tcase_add_loop_test(tc, what_a_cut_answer_says_of_a_key_is_forgotten, 0, 2);
    tcase_add_test(tc, the_server_is_asked_to_encrypt);
    return test_run();
}
