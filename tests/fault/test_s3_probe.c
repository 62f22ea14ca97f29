/* SPDX-License-Identifier: Apache-2.0 */
/* weir_probe on S3: uploads in parts, batches of deletions, and whether the
 * server looks at hashes and checksums. */
#include "support/s3_server.h"
#include "support/store_kinds.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <weir.h>

static struct s3_server *server;
static struct weir_error err;
static char missing[200]; /* Names of the checks that failed. */
static int checks;
static int left; /* Objects below the prefix. */

static int take(void *ctx, const struct weir_item *item)
{
    (void)ctx;
    if (strcmp(item->kind, "check") != 0)
        return 0;
    checks++;
    if (strcmp(item->fields[1].data, "yes") != 0) {
        strcat(missing, item->fields[0].data);
        strcat(missing, " ");
    }
    return 0;
}

static int probe(const struct s3_fault *fault, int believes)
{
    struct weir_config *config =
        store_s3_config(S3_SERVER_KEY, S3_SERVER_SECRET);
    char uri[200];
    int rc;

    missing[0] = '\0';
    checks = 0;
    server = s3_server_start();
    s3_server_fault(server, fault);
    if (believes)
        s3_server_believe(server);
    snprintf(uri, sizeof(uri), "s3://bucket/p?endpoint=%s",
             s3_server_endpoint(server));
    ck_assert_int_eq(weir_config_set(config, "store", uri, NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay", "1ms", NULL), 0);
    rc = weir_probe(config, take, NULL, &err);
    weir_config_free(config);
    left = s3_server_uploads(server);
    return rc;
}

START_TEST(a_server_that_looks_has_it_all)
{
    ck_assert_msg(probe(NULL, 0) == 0, "%s", err.text);
    ck_assert_str_eq(missing, "");
    ck_assert_int_eq(checks, 13);
    ck_assert_int_eq(left, 0);
    /* Begun, ended; and one batch. */
    ck_assert_int_eq(s3_server_requests(server, "POST"), 3);
    s3_server_stop(server);
}
END_TEST

/* TLS, or this machine, brings what was sent: a node can do without. */
START_TEST(a_server_that_does_not_look_is_told_and_can_be_used)
{
    ck_assert_msg(probe(NULL, 1) == 0, "%s", err.text);
    ck_assert_str_eq(missing, "hash checksum ");
    s3_server_stop(server);
}
END_TEST

START_TEST(a_server_without_parts_is_told)
{
    static const struct s3_fault faults[] = {
        {.kind = S3_ANSWER,
         .method = "POST",
         .status = 501,
         .code = "NotImplemented"},
        {.kind = S3_ANSWER,
         .method = "POST",
         .status = 400,
         .code = "InvalidRequest"},
    };

    ck_assert_int_eq(probe(&faults[_i], 0), WEIR_EUNSUPPORTED);
    ck_assert_str_eq(missing, "parts ");
    ck_assert_msg(strstr(err.text, "multipart") != NULL, "%s", err.text);
    s3_server_stop(server);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_probe");

    tcase_add_test(tc, a_server_that_looks_has_it_all);
    tcase_add_test(tc, a_server_that_does_not_look_is_told_and_can_be_used);
    tcase_add_loop_test(tc, a_server_without_parts_is_told, 0, 2);
    return test_run();
}
