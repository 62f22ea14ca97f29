/* SPDX-License-Identifier: Apache-2.0 */
/* A host that has closed stdin, stdout or stderr, and may still print there:
 * none of the files that hold data takes their place. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/node.h"
#include "support/test.h"

/* 1 if the descriptor is a regular file below `dir`. */
static int is_ours(int fd, const char *dir)
{
    char link[64], path[512];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return 0;
    path[n] = '\0';
    return strncmp(path, dir, strlen(dir)) == 0 && strstr(path, "wal") != NULL;
}

START_TEST(the_log_is_not_where_a_host_may_print)
{
    const char *dir = test_dir();
    struct weir_config *config = test_config(1, dir, NULL);
    struct weir *node;
    struct weir_stream *s;
    int saved = fcntl(_i, F_DUPFD_CLOEXEC, 10);

    close(_i);
    node = test_open(config);
    s = test_stream(node, "orders", WEIR_STREAM_CREATE);
    test_append(s, "one");
    test_flush(node);
    ck_assert(!is_ours(_i, dir));
    weir_free(node);
    node = test_open(config); /* One that is there already, too. */
    ck_assert(!is_ours(_i, dir));
    test_expect(test_stream(node, "orders", 0), 0, "one", NULL);
    weir_free(node);
    weir_config_free(config);
    dup2(saved, _i);
    close(saved);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("closed descriptors");

    tcase_add_loop_test(tc, the_log_is_not_where_a_host_may_print, 0, 3);
    return test_run();
}
