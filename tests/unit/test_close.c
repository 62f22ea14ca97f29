/* SPDX-License-Identifier: Apache-2.0 */
/* Closing a node while requests are under way. */
#include <pthread.h>

#include "support/node.h"
#include "support/test.h"

static int ended;
static int end_status;

static void flush_done(struct weir_req *req, int status)
{
    (void)req;
    ended++;
    end_status = status;
}

/* Whether the upload gets done or not, who asked for it is told before the
 * node has closed. */
START_TEST(a_flush_ends_before_its_node_has_closed)
{
    struct weir_config *config =
        test_config(_i % test_backend_count, test_dir(), NULL);
    struct weir *node = test_open(config);
    struct weir_stream *s = test_stream(node, "orders", WEIR_STREAM_CREATE);
    struct weir_flush flush = {.req = {.done = flush_done}};
    int turns = _i / test_backend_count;

    test_append(s, "text");
    ck_assert_int_eq(weir_flush(node, &flush), 0);
    while (turns-- > 0)
        weir_poll(node, 1000000);
    weir_free(node);
    ck_assert_int_eq(ended, 1);
    ck_assert(end_status == 0 || end_status == WEIR_ECLOSED);
    weir_config_free(config);
}
END_TEST

static void *close_it(void *node)
{
    return weir_close(node, NULL) == 0 ? node : NULL;
}

/* One of them closes it; the others look at nothing that it frees. */
START_TEST(several_threads_may_close_one_node)
{
    struct weir_config *config =
        test_config(0, test_dir(), "driver", _i % 2 ? "true" : "false", NULL);
    struct weir *node = test_open(config);
    pthread_t threads[4];
    void *result;

    test_append(test_stream(node, "orders", WEIR_STREAM_CREATE), "text");
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, close_it, node), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_eq(result, node);
    }
    weir_free(node);
    weir_config_free(config);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("close");

    tcase_add_loop_test(tc, a_flush_ends_before_its_node_has_closed, 0,
                        test_backend_count * 8);
    tcase_add_loop_test(tc, several_threads_may_close_one_node, 0, 8);
    return test_run();
}
