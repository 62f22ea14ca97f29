/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests to S3 it takes: to write a gigabyte, and to do nothing.
 * On the scripted server, in virtual time: the same in each run. */
#include "support/s3_door_link.h"
#include "support/test.h"
#include "support/virtual_env.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

enum { RECORD = 64 << 10, SLOTS = 4096 };
#define SECOND UINT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define GIGABYTE UINT64_C(1000000000)
#define RATE UINT64_C(100000000) /* Bytes a second. */

/* ---- Requests by their purpose ------------------------------------------- */

enum kind {
    PART,     /* PUTs. */
    OBJECT,   /* In one piece. */
    SLOT,     /* Of an object log. */
    COMMIT,   /* To the manifest. */
    SNAPSHOT, /* Of it. */
    UPLOAD,   /* POST: begins or ends an upload in parts. */
    REMOVAL,  /* DELETE, or POST of many. */
    LIST,
    READ, /* GET, HEAD */
    OTHER,
    KINDS
};

static const char *const kind_names[] = {
    "part",   "object",  "slot", "commit", "snapshot",
    "upload", "removal", "list", "read",   "other"};

static int counts[KINDS];

static enum kind kind_of_put(const char *url)
{
    if (strstr(url, "partNumber=") != NULL)
        return PART;
    if (strstr(url, "/p/data/") != NULL)
        return OBJECT;
    if (strstr(url, "/p/wal/") != NULL)
        return SLOT;
    if (strstr(url, "/p/manifest/log/") != NULL)
        return COMMIT;
    return strstr(url, "/p/manifest/snap/") != NULL ? SNAPSHOT : OTHER;
}

static enum kind kind_of(const char *method, const char *url)
{
    if (strcmp(method, "PUT") == 0)
        return kind_of_put(url);
    if (strcmp(method, "DELETE") == 0 || strstr(url, "?delete") != NULL)
        return REMOVAL;
    if (strcmp(method, "POST") == 0)
        return UPLOAD;
    if (strstr(url, "list-type=2") != NULL)
        return LIST;
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ? READ
                                                                     : OTHER;
}

static void count(const char *method, const char *url)
{
    counts[kind_of(method, url)]++;
}

static void forget_counts(void)
{
    memset(counts, 0, sizeof(counts));
}

static void print_counts(const char *what)
{
    printf("%s:", what);
    for (int i = 0; i < KINDS; i++)
        if (counts[i] > 0)
            printf(" %s %d", kind_names[i], counts[i]);
    printf("\n");
}

static int all_requests(void)
{
    int all = 0;

    for (int i = 0; i < KINDS; i++)
        all += counts[i];
    return all;
}

static int all_puts(void)
{
    return counts[PART] + counts[OBJECT] + counts[SLOT] + counts[COMMIT] +
           counts[SNAPSHOT];
}

/* ---- The node ------------------------------------------------------------ */

struct slot {
    struct weir_append append;
    int busy;
};

static struct virtual_env env;
static struct s3_door *door;
static struct slot slots[SLOTS];
static unsigned char *bytes;

static void begin(void)
{
    uint32_t random = 1;

    virtual_env_init(&env, 1);
    door = s3_door_new();
    s3_door_set(door);
    s3_door_watch(door, count);
    s3_door_delay(door, SECOND / 20); /* As S3 does. */
    bytes = malloc(RECORD);
    for (size_t i = 0; i < RECORD; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(random >> 24); /* Not to be compressed. */
    }
}

static void end(void)
{
    virtual_env_close(&env);
    s3_door_free(door);
    free(bytes);
}

/* Opens with these pairs of key and value, up to NULL. */
static struct weir *open_node(const char *const *pairs)
{
    static const char *const always[] = {
        "store",
        "s3://bucket/p?endpoint=https://localhost:1", /* No SHA-256. */
        "s3_access_key",
        S3_SERVER_KEY,
        "s3_secret_key",
        S3_SERVER_SECRET,
        NULL};
    const char *const *lists[] = {always, pairs};
    struct weir_config *config = NULL;
    struct weir_error err = {0};
    struct weir *node = NULL;

    ck_assert_int_eq(weir_config_new(&config, &env.alloc.alloc), 0);
    for (int l = 0; l < 2; l++)
        for (const char *const *p = lists[l]; *p != NULL; p += 2)
            ck_assert_msg(weir_config_set(config, p[0], p[1], &err) == 0, "%s",
                          err.text);
    weir_config_set_env(config, &env.base);
    ck_assert_msg(weir_open(&node, config, &err) == 0, "%s", err.text);
    weir_config_free(config);
    return node;
}

static struct weir_stream *open_stream(struct weir *node)
{
    struct weir_stream_open open = {.name = "s", .flags = WEIR_STREAM_CREATE};

    ck_assert_int_eq(weir_stream_open_sync(node, &open), 0);
    return open.stream;
}

static void appended(struct weir_req *req, int status)
{
    struct slot *s = req->ctx;

    ck_assert_int_eq(status, 0);
    s->busy = 0;
}

static void append(struct weir_stream *stream, struct slot *s)
{
    ck_assert_msg(!s->busy, "an append takes longer than a second");
    s->busy = 1;
    s->append = (struct weir_append){.req = {.done = appended, .ctx = s},
                                     .data = bytes,
                                     .len = RECORD,
                                     .count = 1,
                                     .flags = WEIR_APPEND_WAIT,
                                     .max_timestamp = WEIR_NO_TIMESTAMP};
    ck_assert_int_eq(weir_append(stream, &s->append), 0);
}

/* A gigabyte at 100 MB/s, and all of it into objects. */
static void write_gigabyte(struct weir *node)
{
    struct weir_stream *stream = open_stream(node);
    struct weir_flush flush = {0};
    uint64_t sent = 0;

    virtual_env_sleep(&env, 60 * SECOND); /* What opening has left to do. */
    forget_counts();
    for (size_t i = 0; sent < GIGABYTE; i++, sent += RECORD) {
        append(stream, &slots[i % SLOTS]);
        virtual_env_sleep(&env, RECORD * SECOND / RATE);
        if (i % 256 == 0)
            s3_door_empty(door, "p/data/");
    }
    ck_assert_int_eq(weir_flush_sync(node, &flush), 0);
}

/* ---- Facts --------------------------------------------------------------- */

/* What the log of a node is in takes no requests, if it is not the store: as
 * with file:, which is not of this world.  Nor does the lease, for the commits
 * of the uploads renew it. */
START_TEST(a_gigabyte_with_a_local_log_takes_75_puts_at_most)
{
    static const char *const pairs[] = {
        "wal",   "mem:?size=1GiB", "log_cache", "1GiB",  "upload_bytes",
        "95MiB", "stream_object",  "96MiB",     "lease", "30s",
        NULL};
    struct weir *node;

    begin();
    node = open_node(pairs);
    write_gigabyte(node);
    print_counts("local log");
    /* Ten of 100 MB in parts of 16 MiB, and what is left. */
    ck_assert_int_eq(counts[PART], 60);
    ck_assert_int_eq(counts[OBJECT], 1);
    /* One for each, and one before the first. */
    ck_assert_int_eq(counts[COMMIT], 12);
    ck_assert_int_le(all_puts(), 75);
    ck_assert_int_eq(counts[UPLOAD], 20);
    ck_assert_int_eq(
        counts[REMOVAL] + counts[LIST] + counts[READ] + counts[OTHER], 0);
    weir_free(node);
    end();
}
END_TEST

START_TEST(a_gigabyte_with_an_object_log_takes_130_puts_at_most)
{
    static const char *const pairs[] = {
        "wal",   "object:",       "log_cache", "1GiB",    "upload_bytes",
        "95MiB", "stream_object", "96MiB",     "s3_part", "128MiB",
        NULL};
    struct weir *node;

    begin();
    node = open_node(pairs);
    write_gigabyte(node);
    print_counts("object log");
    ck_assert_int_le(counts[OBJECT], 11);
    ck_assert_int_eq(counts[COMMIT], counts[OBJECT] + 1);
    /* One for each 12 MiB, also where all have ended before the next is full.
     */
    ck_assert_int_le(counts[SLOT], 85);
    ck_assert_int_le(all_puts(), 130);
    ck_assert_int_eq(counts[PART] + counts[UPLOAD] + counts[LIST] +
                         counts[READ] + counts[OTHER],
                     0);
    weir_free(node);
    end();
}
END_TEST

/* The way to a worker and back would be a good part of what it takes. */
START_TEST(a_small_append_to_an_object_log_is_hashed_at_once)
{
    static const char *const pairs[] = {"wal", "object:", NULL};
    struct weir_append a = {.count = 1};
    struct weir_stream *stream;
    struct weir *node;
    int works;

    begin();
    node = open_node(pairs);
    stream = open_stream(node);
    works = env.works;
    a.data = bytes;
    a.len = 4096;
    ck_assert_int_eq(weir_append_sync(stream, &a), 0);
    ck_assert_int_eq(env.works, works);
    a.len = RECORD;
    ck_assert_int_eq(weir_append_sync(stream, &a), 0);
    ck_assert_int_eq(env.works, works + 1);
    weir_free(node);
    end();
}
END_TEST

/* Something is appended and uploaded; then nothing is done for an hour, but
 * what follows upon it: objects that nobody names go after `delete_grace`. */
static void idle(struct weir *node)
{
    struct weir_stream *stream = open_stream(node);
    struct weir_flush flush = {0};

    append(stream, &slots[0]);
    ck_assert_int_eq(weir_flush_sync(node, &flush), 0);
    virtual_env_sleep(&env, HOUR);
    forget_counts();
    virtual_env_sleep(&env, HOUR);
}

static const char *const logs[] = {"mem:", "object:"};

START_TEST(an_idle_node_makes_no_request)
{
    const char *const pairs[] = {"wal", logs[_i], NULL};
    struct weir *node;

    begin();
    node = open_node(pairs);
    idle(node);
    ck_assert_int_eq(all_requests(), 0);
    weir_free(node);
    end();
}
END_TEST

/* They are commits, of which old ones are removed again: not with each. */
START_TEST(an_idle_node_with_a_lease_makes_its_heartbeats)
{
    const char *const pairs[] = {"wal", logs[_i], "lease", "30s", NULL};
    struct weir *node;

    begin();
    node = open_node(pairs);
    idle(node);
    print_counts("idle with a lease of 30 s");
    ck_assert_int_eq(counts[COMMIT], 360);
    ck_assert_int_le(counts[SNAPSHOT], 360 / 256 + 1);
    ck_assert_int_le(counts[LIST], 30);
    ck_assert_int_eq(all_requests(), counts[COMMIT] + counts[SNAPSHOT] +
                                         counts[LIST] + counts[REMOVAL]);
    weir_free(node);
    end();
}
END_TEST

START_TEST(an_idle_reader_makes_no_request)
{
    const char *const pairs[] = {"wal", logs[_i], NULL};
    const char *const reader[] = {"read_only", "true", NULL};
    struct weir *node, *other;
    struct weir_stream_open open = {.name = "s", .flags = WEIR_STREAM_READ};
    struct weir_fetch fetch = {.max_bytes = RECORD};

    begin();
    node = open_node(pairs);
    open_stream(node);
    other = open_node(reader);
    ck_assert_int_eq(weir_stream_open_sync(other, &open), 0);
    idle(node);
    ck_assert_int_eq(weir_fetch_sync(open.stream, &fetch), 0);
    ck_assert_uint_eq(fetch.count, 1);
    weir_fetch_release(&fetch);
    virtual_env_sleep(&env, 60 * SECOND);
    forget_counts();
    virtual_env_sleep(&env, HOUR);
    ck_assert_int_eq(all_requests(), 0);
    weir_free(other);
    weir_free(node);
    end();
}
END_TEST

static int changed(struct weir_kv_watch *watch, const struct weir_kv_pair *pair)
{
    (void)watch;
    (void)pair;
    return 0;
}

static void watched(struct weir_req *req, int status)
{
    (void)req;
    (void)status;
}

/* As weir-kafka does, for what other servers have changed. */
START_TEST(a_node_that_watches_looks_once_a_second)
{
    const char *const pairs[] = {"wal", logs[_i], NULL};
    struct weir_kv_watch watch = {
        .req.done = watched, .prefix = "a", .changed = changed};
    struct weir *node;

    begin();
    node = open_node(pairs);
    ck_assert_int_eq(weir_kv_watch(node, &watch), 0);
    idle(node);
    ck_assert_int_le(counts[READ], 3600);
    ck_assert_int_ge(counts[READ], 3600 * 8 / 10);
    ck_assert_int_eq(all_requests(), counts[READ]);
    weir_free(node);
    end();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("s3_requests");

    tcase_add_test(tc, a_gigabyte_with_a_local_log_takes_75_puts_at_most);
    tcase_add_test(tc, a_gigabyte_with_an_object_log_takes_130_puts_at_most);
    tcase_add_test(tc, a_small_append_to_an_object_log_is_hashed_at_once);
    tcase_add_loop_test(tc, an_idle_node_makes_no_request, 0, 2);
    tcase_add_loop_test(tc, an_idle_node_with_a_lease_makes_its_heartbeats, 0,
                        2);
    tcase_add_loop_test(tc, an_idle_reader_makes_no_request, 0, 2);
    tcase_add_loop_test(tc, a_node_that_watches_looks_once_a_second, 0, 2);
    return test_run();
}
