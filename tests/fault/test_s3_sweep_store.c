/* SPDX-License-Identifier: Apache-2.0 */
/* Every fault of S3 at every request of what a store does with large objects
 * and with many deletions: an upload in parts is the whole object or none, as
 * its status says; of a batch of deletions each is as its own status says. */
#include "store/store.h"
#include "support/s3_door_link.h"
#include "support/s3_faults.h"
#include "support/test.h"
#include "support/virtual_env.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BIG = (5 << 20) + 700001, SMALL = 4, TRIES = 8 };

static unsigned char big[BIG];
static struct virtual_env env;
static struct s3_door *door;
static struct weir_store *store;
static struct weir_config *config;
static int told; /* Requests of the port that have failed. */
static char point[120];
static int left; /* Uploads that nobody has ended. */

/* A request of the port that is under way. */
struct ask {
    struct weir_store_req req;
    struct weir_iov iov;
    struct weir_error err;
    int status;
    int over;
};

static void done(struct weir_store_req *req, int status)
{
    struct ask *ask = req->ctx;

    ask->status = status;
    ask->over = 1;
    if (req->verb == WEIR_STORE_GET && status == 0)
        weir_buf_unref(req->body);
}

static void start(struct ask *ask, enum weir_store_verb verb, const char *key)
{
    ask->req.verb = verb;
    ask->req.key = key;
    ask->req.done = done;
    ask->req.ctx = ask;
    ask->req.err = &ask->err;
    store->ops->submit(store, &ask->req);
}

static int finish(struct ask *ask)
{
    ck_assert_int_eq(virtual_env_run(&env, &ask->over), 0);
    ck_assert_msg(ask->status == 0 || ask->err.code == ask->status,
                  "%s: %d has no text", point, ask->status);
    return ask->status;
}

static void put_start(struct ask *ask, const char *key, const void *data,
                      size_t len)
{
    *ask = (struct ask){.iov = {data, len}};
    ask->req.iov = &ask->iov;
    ask->req.iov_count = 1;
    ask->req.flags = WEIR_STORE_IF_ABSENT | WEIR_STORE_PARTS;
    start(ask, WEIR_STORE_PUT, key);
}

/* What is stored under a key: all of it, or none. */
static bool is_there(const char *key)
{
    size_t len;
    const void *data = s3_door_object(door, key, &len);

    ck_assert_msg(data == NULL || (len == BIG && memcmp(data, big, BIG) == 0),
                  "%s: %s is neither the object nor none", point, key);
    return data != NULL;
}

static void put_big(void)
{
    struct ask ask;

    put_start(&ask, "big", big, BIG);
    told += finish(&ask) != 0;
    ck_assert_msg(ask.status != 0 || is_there("p/big"),
                  "%s: it was told as put", point);
    /* An own object, and a foreign one, have one name: it cannot be lost. */
    ck_assert_msg(ask.status != WEIR_ECONFLICT, "%s: lost to itself", point);
    virtual_env_sleep(&env, UINT64_C(60000000000)); /* What is late has come. */
    ck_assert_msg(
        ask.status == 0 || ask.status == WEIR_EUNKNOWN || !is_there("p/big"),
        "%s: told %s, and it is there", point, weir_error_name(ask.status));
}

static void remove_some(void)
{
    static const char *const keys[SMALL] = {"s/a", "s/b", "s/c", "s/d"};
    struct ask ask[SMALL];
    size_t len;
    char key[16];

    for (int i = 0; i < SMALL; i++) {
        put_start(&ask[i], keys[i], "x", 1);
        told += finish(&ask[i]) != 0;
    }
    virtual_env_sleep(&env, UINT64_C(60000000000));
    for (int i = 0; i < SMALL; i++) {
        ask[i] = (struct ask){0};
        start(&ask[i], WEIR_STORE_DELETE, keys[i]);
    }
    for (int i = 0; i < SMALL; i++) {
        told += finish(&ask[i]) != 0;
        snprintf(key, sizeof(key), "p/%s", keys[i]);
        ck_assert_msg(ask[i].status != 0 ||
                          s3_door_object(door, key, &len) == NULL,
                      "%s: %s was told as removed", point, key);
    }
}

static void read_some(void)
{
    struct ask ask = {.req.length = 1000, .req.offset = 77};
    struct ask list = {.req.limit = 100};

    start(&ask, WEIR_STORE_GET, "big");
    start(&list, WEIR_STORE_LIST, "");
    finish(&ask);
    told += ask.status != 0 && is_there("p/big");
    told += finish(&list) != 0;
}

static void closed(struct weir_task *task)
{
    (void)task;
}

static void begin(void)
{
    static const char *const pairs[][2] = {{"s3_access_key", S3_SERVER_KEY},
                                           {"s3_secret_key", S3_SERVER_SECRET},
                                           {"s3_part", "5MiB"}};

    virtual_env_init(&env, 1);
    door = s3_door_new();
    s3_door_set(door);
    told = 0;
    ck_assert_int_eq(weir_config_new(&config, &env.alloc.alloc), 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(
            weir_config_set(config, pairs[i][0], pairs[i][1], NULL), 0);
    ck_assert_int_eq(
        weir__store_s3_open(&store, &env.host,
                            "s3://bucket/p?endpoint=https://127.0.0.1:1",
                            config, NULL),
        0);
    weir_config_free(config);
}

static void end(void)
{
    struct weir_task task = {.run = closed};

    store->ops->close(store, &task);
    virtual_env_close(&env);
    s3_door_free(door);
}

/* Those above the port get over some of what it tells.  Of all bodies only the
 * web page is given: where it comes first, no S3 server has been seen yet. */
static bool is_told(const struct s3_door_fault *fault, int index)
{
    bool page = fault->answer.body != NULL;

    return (page && index == 0) || fault->told ||
           fault->status == WEIR_ENOMEM || fault->answer.status == 507;
}

/* Only where the answer to its beginning was lost does nobody know of one: that
 * is request 0. */
static void check_uploads(const struct s3_door_fault *fault, int index)
{
    int here = s3_door_uploads(door) > 0;

    left += here;
    ck_assert_msg(!here || (fault != NULL && index == 0), "%s: %s", point,
                  "parts stay behind");
}

static int life(const struct s3_door_fault *fault, int index)
{
    int requests;

    begin();
    s3_door_fault(door, fault, index);
    put_big();
    remove_some();
    read_some();
    requests = s3_door_requests(door);
    check_uploads(fault, index);
    if (fault == NULL || !is_told(fault, index))
        ck_assert_msg(told == 0, "%s: %d requests told of a failure", point,
                      told);
    end();
    return requests;
}

/* With a sanitizer, which looks at the paths and not at the points, a part. */
#ifdef __SANITIZE_ADDRESS__
enum { STEP = 5 };
#else
enum { STEP = 1 };
#endif

START_TEST(large_objects_and_many_deletions_are_what_their_status_says)
{
    unsigned points = 0;
    int requests;

    for (size_t i = 0; i < BIG; i++)
        big[i] = (unsigned char)(i * 2654435761u >> 13);
    snprintf(point, sizeof(point), "no fault");
    requests = life(NULL, -1);
    for (int index = 0; index < requests; index++)
        for (size_t i = (size_t)index % STEP; i < s3_fault_count(); i += STEP) {
            struct s3_door_fault fault = s3_fault_number(i);
            char text[80];

            snprintf(point, sizeof(point), "%s at request %d",
                     s3_fault_text(&fault, text, sizeof(text)), index);
            life(&fault, index);
            points++;
        }
    printf("s3 sweep of a store: %u points (%d requests, %zu faults); %d "
           "uploads left to the bucket's rule\n",
           points, requests, s3_fault_count(), left);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_sweep_store");

    tcase_add_test(tc,
                   large_objects_and_many_deletions_are_what_their_status_says);
    return test_run();
}
