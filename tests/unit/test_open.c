/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a node in virtual time, on a store that takes no commit. */
#include <string.h>

#include "engine/node.h"
#include "support/node.h"
#include "support/plug.h"
#include "support/test.h"
#include "support/virtual_env.h"

static struct virtual_env env;
static struct plug plug;
static struct weir_config *config;
static int ended;
static int end_status;

static void setup(void)
{
    virtual_env_init(&env, 1);
    plug = (struct plug){0};
    ck_assert_int_eq(weir_config_new(&config, &env.alloc.alloc), 0);
    plug_register(config, &plug);
    weir_config_set_env(config, &env.base);
}

static void teardown(void)
{
    weir_config_free(config);
    virtual_env_close(&env);
    plug_free(&plug);
}

static void opened(struct weir__open_req *req, int status)
{
    (void)req;
    ended = 1;
    end_status = status;
}

static void closed(struct weir__close *req, int status)
{
    (void)req;
    ended = 1;
    end_status = status;
}

/* Open a node, and give it back; the status. */
static int open_node(struct weir **node)
{
    struct weir__open_req req = {
        .config = config, .done = opened, .err = &test_error};

    ended = 0;
    test_error = (struct weir_error){0};
    ck_assert_int_eq(weir__node_open(&req), 0);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    *node = req.node;
    return end_status;
}

static void close_node(struct weir *node)
{
    struct weir__close req = {.done = closed};

    ended = 0;
    weir__node_close(node, &req);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    weir__node_release(node);
}

/* What stands in a parameter may be a secret that belongs elsewhere. */
START_TEST(a_parameter_of_a_uri_that_is_refused_is_not_shown)
{
    static const struct {
        const char *property;
        const char *uri;
    } wrong[] = {
        {"store", "nope://host?secret=canary"},
        {"store", "s3://bucket?secret=canary"},
        {"store", "s3://BUCKET!?endpoint=http://h&region=canary"},
        {"store", "s3://bucket&secret=canary"},
        {"store", "s3://bucket/prefix&secret=canary"},
        {"store", "s3://bucket?endpoint=http://127.0.0.1:1/?secret=canary"},
        {"store", "s3://bucket?endpoint=ftp://h/?secret=canary"},
        {"store", "dir://host/x?password=canary"},
        {"store", "dir:?fsync=true&password=canary"},
        {"store", "mem:?token=canary"},
        {"wal", "nope:?secret=canary"},
        {"wal", "file:/x?size=1MiB&secret=canary"},
        {"wal", "object:?secret_key=canary"},
        {"manifest", "nope://h?secret=canary"},
        {"manifest", "etcd://h?session_token=canary"},
        {"manifest", "etcd://h:1&secret=canary"},
    };
    struct weir *node;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setup();
        ck_assert_int_eq(
            weir_config_set(config, wrong[i].property, wrong[i].uri, NULL), 0);
        ck_assert_int_eq(open_node(&node), WEIR_EINVAL);
        ck_assert_msg(strstr(test_error.text, "canary") == NULL, "%s: %s",
                      wrong[i].uri, test_error.text);
        weir__node_release(node);
        teardown();
    }
}
END_TEST

START_TEST(a_log_that_cannot_be_leaves_nothing_in_the_store)
{
    static const char *const wrong[] = {
        "mem:?size=1",     "mem:?sise=64MiB",    "file:/x?size=much",
        "file:?size=1MiB", "object:?puts=0",     "object:?flush=1KiB",
        "nope:",           "object:?inflight=0", "file:/x?salvage=perhaps"};
    struct weir *node;

    setup();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_int_eq(weir_config_set(config, "wal", wrong[i], NULL), 0);
        ck_assert_int_eq(open_node(&node), WEIR_EINVAL);
        ck_assert_str_ne(test_error.text, "");
        ck_assert_ptr_null(plug.objects);
        weir__node_release(node);
    }
    teardown();
}
END_TEST

START_TEST(an_opening_does_not_try_its_commit_for_ever)
{
    struct weir *node;
    uint64_t began;

    setup();
    ck_assert_int_eq(open_node(&node), 0);
    close_node(node);
    plug.meta_status = WEIR_EUNAVAILABLE;
    began = env.now;
    ck_assert_int_eq(open_node(&node), WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(test_error.text, "manifest"));
    ck_assert_uint_lt(env.now - began, 120000000000u); /* Virtual. */
    weir__node_release(node);
    plug.meta_status = 0;
    ck_assert_int_eq(open_node(&node), 0);
    close_node(node);
    teardown();
}
END_TEST

/* Who tries again, though another process has opened the node since, leaves it
 * to that one. */
START_TEST(another_try_does_not_fence_who_opened_the_node_since)
{
    struct weir__open_req req = {.done = opened, .err = &test_error};
    struct weir *node;

    setup();
    ck_assert_int_eq(open_node(&node), 0);
    close_node(node);
    ck_assert_int_eq(open_node(&node), 0);
    req.config = config;
    req.expected = node->epoch - 1;
    ended = 0;
    ck_assert_int_eq(weir__node_open(&req), 0);
    ck_assert_int_eq(virtual_env_run(&env, &ended), 0);
    ck_assert_int_eq(end_status, WEIR_EFENCED);
    ck_assert_int_eq(req.again, 0);
    weir__node_release(req.node);
    close_node(node);
    teardown();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("open");

    tcase_add_test(tc, a_log_that_cannot_be_leaves_nothing_in_the_store);
    tcase_add_test(tc, a_parameter_of_a_uri_that_is_refused_is_not_shown);
    tcase_add_test(tc, an_opening_does_not_try_its_commit_for_ever);
    tcase_add_test(tc, another_try_does_not_fence_who_opened_the_node_since);
    return test_run();
}
