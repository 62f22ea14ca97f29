/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 in the middle of PUTs into a directory: what was acknowledged is
 * there and whole, and nothing half is ever seen.
 *
 * The child writes the number of each PUT that was acknowledged to a pipe;
 * the parent keeps them, kills it, opens the directory and looks. */
#include "store/store.h"
#include "support/store_rig.h"
#include "support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 25, AT_ONCE = 4, SIZE = 150000 };

static struct store_rig rig;
static unsigned char body[SIZE];
static char uri[400];

static void fill(int n)
{
    for (size_t i = 0; i < SIZE; i++)
        body[i] = (unsigned char)((size_t)n * 31 + i * 7 + i / 251);
}

/* Until it is killed. */
static void child(int ack, int round)
{
    static unsigned char bodies[AT_ONCE][SIZE];
    struct store_call calls[AT_ONCE];
    struct weir_iov iov[AT_ONCE];
    char keys[AT_ONCE][32];

    store_rig_init(&rig);
    if (store_rig_open(&rig, weir__store_dir_open, uri, NULL) != 0)
        _exit(1);
    for (int n = round * 100000;; n += AT_ONCE) {
        memset(calls, 0, sizeof(calls));
        for (int i = 0; i < AT_ONCE; i++) {
            fill(n + i);
            memcpy(bodies[i], body, SIZE);
            snprintf(keys[i], sizeof(keys[i]), "d%d/%d", (n + i) % 17, n + i);
            iov[i] = (struct weir_iov){bodies[i], SIZE};
            calls[i].req = (struct weir_store_req){
                .verb = WEIR_STORE_PUT,
                .flags = i % 2 == 0 ? WEIR_STORE_IF_ABSENT : 0,
                .key = keys[i],
                .iov = &iov[i],
                .iov_count = 1,
            };
            store_rig_start(&rig, &calls[i]);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            int number = n + i;

            if (store_rig_finish(&rig, &calls[i]) != 0 ||
                write(ack, &number, sizeof(number)) != sizeof(number))
                _exit(2);
        }
    }
}

/* Each object there is, is whole. */
static void check_object(const char *key, uint64_t size)
{
    struct weir_buf *found = NULL;

    ck_assert_uint_eq(size, SIZE);
    ck_assert_int_eq(store_get(&rig, key, 0, UINT64_MAX, 0, &found, NULL), 0);
    fill((int)strtol(strchr(key, '/') + 1, NULL, 10));
    ck_assert_uint_eq(found->len, SIZE);
    ck_assert_int_eq(memcmp(found->data, body, SIZE), 0);
    weir_buf_unref(found);
}

static void check_all(void)
{
    static char keys[64 * 1024];
    char *save = NULL;
    uint64_t size;

    ck_assert_int_eq(store_list(&rig, "", NULL, 1000, keys, sizeof(keys)), 0);
    for (char *key = strtok_r(keys, " ", &save); key != NULL;
         key = strtok_r(NULL, " ", &save)) {
        ck_assert_int_eq(store_head(&rig, key, &size), 0);
        check_object(key, size);
        ck_assert_int_eq(store_delete(&rig, key), 0);
    }
}

static void run_round(int round, unsigned wait_us)
{
    int acked[4096];
    size_t count = 0;
    int pipes[2];
    char key[32];
    pid_t pid;

    ck_assert_int_eq(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        child(pipes[1], round);
    }
    close(pipes[1]);
    /* Not before the first PUT: then at any moment. */
    ck_assert_int_eq(read(pipes[0], &acked[count++], sizeof(int)), sizeof(int));
    usleep(wait_us);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    while (count < 4096 &&
           read(pipes[0], &acked[count], sizeof(int)) == sizeof(int))
        count++;
    close(pipes[0]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);

    store_rig_init(&rig);
    ck_assert_int_eq(store_rig_open(&rig, weir__store_dir_open, uri, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "d%d/%d", acked[i] % 17, acked[i]);
        ck_assert_msg(store_head(&rig, key, NULL) == 0, "%s is lost", key);
    }
    check_all();
    store_rig_close(&rig);
}

START_TEST(a_kill_leaves_whole_objects_only)
{
    unsigned long long random = test_seed();
    char command[500];

    snprintf(uri, sizeof(uri), "dir:%s/store", test_dir());
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        run_round(round, (unsigned)(random >> 33) % 20000);
    }
    /* The last opening removed what the last child had left. */
    snprintf(command, sizeof(command), "test -z \"$(ls -A %s/.tmp)\"", uri + 4);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("dir_kill");

    tcase_add_test(tc, a_kill_leaves_whole_objects_only);
    return test_run();
}
