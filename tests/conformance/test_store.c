/* SPDX-License-Identifier: Apache-2.0 */
/* What every object store does, whatever it is made of.
 *
 * Runs on mem:, on dir:, and on s3: against the scripted server.  With
 * WEIR_TEST_S3=s3://..., keys in WEIR_TEST_S3_KEY and _SECRET, and if need be
 * a certificate in _CA, it runs on that store alone. */
#include "store/store.h"
#include "support/store_kinds.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 48, LINE = 4096 };

static struct store_rig rig;
static char line[LINE];

static void fill(unsigned char *data, size_t len, unsigned seed)
{
    unsigned x = seed * 2654435761u + 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (unsigned char)(x >> 24);
    }
}

static void check_text(const char *key, uint64_t offset, uint64_t length,
                       unsigned flags, const char *want)
{
    struct weir_buf *body = NULL;

    ck_assert_int_eq(store_get(&rig, key, offset, length, flags, &body, NULL),
                     0);
    ck_assert_uint_eq(body->len, strlen(want));
    ck_assert_mem_eq(body->data, want, body->len);
    weir_buf_unref(body);
}

static const char *list(const char *prefix, const char *after, uint32_t limit)
{
    ck_assert_int_eq(store_list(&rig, prefix, after, limit, line, sizeof(line)),
                     0);
    return line;
}

START_TEST(what_was_put_is_read_back)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 65536, 65537, 1500000};
    unsigned char *data = malloc(1500000);
    struct weir_buf *body = NULL;
    char key[64];
    uint64_t size;

    store_kind_open(&rig, _i);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(data, sizes[i], (unsigned)i);
        snprintf(key, sizeof(key), "data/%zu/object", i);
        ck_assert_int_eq(store_put(&rig, key, data, sizes[i], 0), 0);
        ck_assert_int_eq(store_get(&rig, key, 0, UINT64_MAX, 0, &body, &size),
                         0);
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert_uint_eq(body->len, sizes[i]);
        ck_assert_int_eq(memcmp(body->data, data, sizes[i]), 0);
        weir_buf_unref(body);
        size = 0;
        ck_assert_int_eq(store_head(&rig, key, &size), 0);
        ck_assert_uint_eq(size, sizes[i]);
    }
    free(data);
    store_kind_close(&rig, _i);
}
END_TEST

/* A body comes in pieces of any size, empty ones among them. */
START_TEST(a_body_in_many_pieces_is_one_object)
{
    enum { SIZE = 9 << 20, PIECES = 300 };
    unsigned char *data = malloc(SIZE);
    struct weir_iov iov[PIECES + 1];
    struct store_call call = {.req = {.verb = WEIR_STORE_PUT,
                                      .flags = WEIR_STORE_IF_ABSENT,
                                      .key = "data/pieces",
                                      .iov = iov}};
    struct weir_buf *body = NULL;
    size_t at = 0;

    store_kind_open(&rig, _i);
    fill(data, SIZE, 7);
    for (size_t i = 0; i < PIECES; i++) {
        size_t len = i % 7 == 0 ? 0 : (i * 7919) % 60000;

        iov[i] = (struct weir_iov){data + at, len};
        at += len;
    }
    ck_assert_uint_lt(at, SIZE);
    iov[PIECES] = (struct weir_iov){data + at, SIZE - at};
    call.req.iov_count = PIECES + 1;
    store_rig_start(&rig, &call);
    ck_assert_int_eq(store_rig_finish(&rig, &call), 0);

    ck_assert_int_eq(
        store_get(&rig, "data/pieces", 0, UINT64_MAX, 0, &body, NULL), 0);
    ck_assert_uint_eq(body->len, SIZE);
    ck_assert_int_eq(memcmp(body->data, data, SIZE), 0);
    weir_buf_unref(body);
    free(data);
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(a_create_fails_if_the_key_exists)
{
    store_kind_open(&rig, _i);
    ck_assert_int_eq(store_put(&rig, "m/log/1", "one", 3, WEIR_STORE_IF_ABSENT),
                     0);
    ck_assert_int_eq(store_put(&rig, "m/log/1", "two", 3, WEIR_STORE_IF_ABSENT),
                     WEIR_ECONFLICT);
    ck_assert_ptr_nonnull(strstr(rig.err.text, "m/log/1"));
    check_text("m/log/1", 0, UINT64_MAX, 0, "one");
    ck_assert_int_eq(store_put(&rig, "m/log/1", "three", 5, 0), 0);
    check_text("m/log/1", 0, UINT64_MAX, 0, "three");
    store_kind_close(&rig, _i);
}
END_TEST

/* Whoever wins, the object is what the winner wrote. */
START_TEST(of_many_creates_at_once_one_succeeds)
{
    struct store_call calls[8];
    struct weir_iov iov[8];
    char bodies[8][32];
    char key[32];

    store_kind_open(&rig, _i);
    for (int round = 0; round < 10; round++) {
        int winner = -1;

        memset(calls, 0, sizeof(calls));
        snprintf(key, sizeof(key), "race/%d/x", round);
        for (int i = 0; i < 8; i++) {
            snprintf(bodies[i], sizeof(bodies[i]), "writer %d", i);
            iov[i] = (struct weir_iov){bodies[i], strlen(bodies[i])};
            calls[i].req = (struct weir_store_req){
                .verb = WEIR_STORE_PUT,
                .flags = WEIR_STORE_IF_ABSENT,
                .key = key,
                .iov = &iov[i],
                .iov_count = 1,
            };
            store_rig_start(&rig, &calls[i]);
        }
        for (int i = 0; i < 8; i++) {
            int rc = store_rig_finish(&rig, &calls[i]);

            ck_assert_msg(rc == 0 || rc == WEIR_ECONFLICT, "%s: %s",
                          weir_error_name(rc), rig.err.text);
            ck_assert_msg(rc != 0 || winner < 0, "two have won");
            winner = rc == 0 ? i : winner;
        }
        ck_assert_int_ge(winner, 0);
        check_text(key, 0, UINT64_MAX, 0, bodies[winner]);
    }
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(a_get_returns_the_range_that_was_asked_for)
{
    uint64_t size = 0;

    store_kind_open(&rig, _i);
    ck_assert_int_eq(store_put(&rig, "r", "0123456789", 10, 0), 0);
    check_text("r", 0, 10, 0, "0123456789");
    check_text("r", 2, 3, 0, "234");
    check_text("r", 9, 1, 0, "9");
    check_text("r", 7, 100, 0, "789");
    check_text("r", 4, UINT64_MAX, 0, "456789");
    check_text("r", 4, UINT64_MAX - 2, 0, "456789");
    check_text("r", 3, 0, 0, "");
    check_text("r", 10, 0, 0, "");
    check_text("r", 0, 4, WEIR_STORE_SUFFIX, "6789");
    check_text("r", 99, 1, WEIR_STORE_SUFFIX, "9");
    check_text("r", 0, 100, WEIR_STORE_SUFFIX, "0123456789");
    check_text("r", 0, UINT64_MAX, WEIR_STORE_SUFFIX, "0123456789");
    check_text("r", 0, 0, WEIR_STORE_SUFFIX, "");
    ck_assert_int_eq(store_get(&rig, "r", 2, 3, 0, NULL, &size), 0);
    ck_assert_uint_eq(size, 10);
    ck_assert_int_eq(store_get(&rig, "r", 0, 2, WEIR_STORE_SUFFIX, NULL, &size),
                     0);
    ck_assert_uint_eq(size, 10);
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(a_get_behind_the_end_is_out_of_range)
{
    store_kind_open(&rig, _i);
    ck_assert_int_eq(store_put(&rig, "r", "0123456789", 10, 0), 0);
    ck_assert_int_eq(store_get(&rig, "r", 10, 1, 0, NULL, NULL), WEIR_ERANGE);
    ck_assert_int_eq(store_get(&rig, "r", 11, 0, 0, NULL, NULL), WEIR_ERANGE);
    ck_assert_int_eq(store_get(&rig, "r", 10, UINT64_MAX, 0, NULL, NULL),
                     WEIR_ERANGE);
    ck_assert_int_eq(store_get(&rig, "r", UINT64_MAX, 1, 0, NULL, NULL),
                     WEIR_ERANGE);
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(an_empty_object_has_a_beginning_and_no_more)
{
    store_kind_open(&rig, _i);
    ck_assert_int_eq(store_put(&rig, "e", NULL, 0, WEIR_STORE_IF_ABSENT), 0);
    ck_assert_int_eq(store_put(&rig, "e", NULL, 0, WEIR_STORE_IF_ABSENT),
                     WEIR_ECONFLICT);
    check_text("e", 0, UINT64_MAX, 0, "");
    check_text("e", 0, 10, 0, "");
    check_text("e", 0, 10, WEIR_STORE_SUFFIX, "");
    ck_assert_int_eq(store_get(&rig, "e", 1, 1, 0, NULL, NULL), WEIR_ERANGE);
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(what_is_not_there_is_told)
{
    static const char *const keys[] = {"no", "no/such/object", "yes/no",
                                       "yes/object/no"};

    store_kind_open(&rig, _i);
    ck_assert_int_eq(store_put(&rig, "yes/object", "x", 1, 0), 0);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ck_assert_int_eq(store_get(&rig, keys[i], 0, UINT64_MAX, 0, NULL, NULL),
                         WEIR_ENOENT);
        ck_assert_msg(strstr(rig.err.text, keys[i]) != NULL, "%s",
                      rig.err.text);
        ck_assert_int_eq(store_head(&rig, keys[i], NULL), WEIR_ENOENT);
        ck_assert_int_eq(store_delete(&rig, keys[i]), 0);
    }
    ck_assert_int_eq(store_get(&rig, "yes", 0, 1, 0, NULL, NULL), WEIR_ENOENT);
    ck_assert_int_eq(store_head(&rig, "yes", NULL), WEIR_ENOENT);
    check_text("yes/object", 0, 1, 0, "x");
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(a_deleted_object_is_gone_and_can_be_made_again)
{
    store_kind_open(&rig, _i);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(
            store_put(&rig, "d/x", "data", 4, WEIR_STORE_IF_ABSENT), 0);
        ck_assert_int_eq(store_delete(&rig, "d/x"), 0);
        ck_assert_int_eq(store_delete(&rig, "d/x"), 0);
        ck_assert_int_eq(store_get(&rig, "d/x", 0, 4, 0, NULL, NULL),
                         WEIR_ENOENT);
        ck_assert_str_eq(list("", NULL, 10), "");
    }
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(a_list_is_in_the_order_of_the_keys_bytes)
{
    static const char *const keys[] = {"b",   "a/x/1", "a0", "a.b",  "a-b",
                                       "a/y", "a_b",   "ab", "a/x/0"};

    store_kind_open(&rig, _i);
    ck_assert_str_eq(list("", NULL, 100), "");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        ck_assert_int_eq(store_put(&rig, keys[i], keys[i], strlen(keys[i]), 0),
                         0);
    ck_assert_str_eq(list("", NULL, 100),
                     "a-b a.b a/x/0 a/x/1 a/y a0 a_b ab b");
    ck_assert_str_eq(list("a", NULL, 8), "a-b a.b a/x/0 a/x/1 a/y a0 a_b ab");
    ck_assert_str_eq(list("a/", NULL, 100), "a/x/0 a/x/1 a/y");
    ck_assert_str_eq(list("a/x", NULL, 100), "a/x/0 a/x/1");
    ck_assert_str_eq(list("a/x/1", NULL, 100), "a/x/1");
    ck_assert_str_eq(list("a/x/1/", NULL, 100), "");
    ck_assert_str_eq(list("nothing/here/", NULL, 100), "");
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(a_list_goes_on_after_any_text)
{
    static const char *const keys[] = {"a-b", "a/x/0", "a/x/1", "a/y", "a0"};

    store_kind_open(&rig, _i);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        ck_assert_int_eq(store_put(&rig, keys[i], "", 0, 0), 0);
    ck_assert_str_eq(list("", "a/x/0", 100), "a/x/1 a/y a0");
    ck_assert_str_eq(list("", "a/x", 100), "a/x/0 a/x/1 a/y a0");
    ck_assert_str_eq(list("", "a/x/0zzz", 100), "a/x/1 a/y a0");
    ck_assert_str_eq(list("a/", "a/x/1", 100), "a/y");
    ck_assert_str_eq(list("a/", "a0", 100), "");
    ck_assert_str_eq(list("a/", "0", 100), "a/x/0 a/x/1 a/y");
    ck_assert_str_eq(list("", "a0", 100), "");
    ck_assert_str_eq(list("", NULL, 2), "a-b a/x/0 ...");
    ck_assert_str_eq(list("", "a/x/0", 2), "a/x/1 a/y ...");
    ck_assert_str_eq(list("", "a/y", 2), "a0");
    ck_assert_str_eq(list("a/", NULL, 3), "a/x/0 a/x/1 a/y");
    store_kind_close(&rig, _i);
}
END_TEST

struct page {
    struct store_call call;
    char last[64];
    size_t seen;
    int more;
};

static void on_page(struct weir_store_req *req, int status)
{
    struct page *page = req->ctx;

    for (size_t i = 0; i < req->entry_count; i++) {
        ck_assert_str_gt(req->entries[i].key, page->last);
        ck_assert_uint_eq(req->entries[i].size, 3);
        /* Not before 2020: a modification time, or none. */
        ck_assert(req->entries[i].modified == 0 ||
                  req->entries[i].modified > 1577836800000);
        snprintf(page->last, sizeof(page->last), "%s", req->entries[i].key);
    }
    page->seen += req->entry_count;
    page->more = req->more;
    page->call.status = status;
    page->call.done = 1;
}

START_TEST(pages_of_a_list_have_each_key_once)
{
    struct page page = {.more = 1};
    char key[64];
    char after[64];
    int pages = 0;

    store_kind_open(&rig, _i);
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof(key), "data/%02x/%d", i * 37 % 16, i);
        ck_assert_int_eq(store_put(&rig, key, "xyz", 3, 0), 0);
    }
    while (page.more) {
        snprintf(after, sizeof(after), "%s", page.last);
        page.call = (struct store_call){
            .req = {.verb = WEIR_STORE_LIST,
                    .key = "data/",
                    .after = pages == 0 ? NULL : after,
                    .limit = 7,
                    .done = on_page},
        };
        store_rig_start(&rig, &page.call);
        ck_assert_int_eq(store_rig_finish(&rig, &page.call), 0);
        pages++;
    }
    ck_assert_uint_eq(page.seen, 60);
    ck_assert_int_eq(pages, 9);
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(what_is_no_key_is_refused)
{
    static const char *const bad[] = {
        "",     "/",      "/a",   "a/",  "a//b", ".",   "..",      "a/../b",
        "./a",  ".tmp/x", "a/.b", "A",   "a b",  "a%b", "a\nb",    "\xc3\xa9",
        "a\\b", "a?b",    "a#b",  "a+b", "a=b",  "a:b", "a/b/../c"};
    char longest[WEIR_STORE_KEY_MAX + 2];

    if (!store_kind_checks_keys(_i))
        return; /* It need not: a node asks for no others. */
    store_kind_open(&rig, _i);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(store_put(&rig, bad[i], "x", 1, 0), WEIR_EINVAL);
        ck_assert_int_eq(store_get(&rig, bad[i], 0, 1, 0, NULL, NULL),
                         WEIR_EINVAL);
        ck_assert_int_eq(store_delete(&rig, bad[i]), WEIR_EINVAL);
    }
    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = i % 100 == 50 ? '/' : 'k';
    longest[WEIR_STORE_KEY_MAX + 1] = '\0';
    ck_assert_int_eq(store_put(&rig, longest, "x", 1, 0), WEIR_EINVAL);
    longest[WEIR_STORE_KEY_MAX] = '\0';
    ck_assert_int_eq(store_put(&rig, longest, "x", 1, 0), 0);
    ck_assert_str_eq(list("k", NULL, 10), longest);
    ck_assert_int_eq(store_delete(&rig, longest), 0);
    ck_assert_int_eq(store_list(&rig, "../", NULL, 9, line, LINE), WEIR_EINVAL);
    ck_assert_int_eq(store_list(&rig, ".tmp/", NULL, 9, line, LINE),
                     WEIR_EINVAL);
    ck_assert_int_eq(store_list(&rig, "", NULL, 0, line, LINE), WEIR_EINVAL);
    ck_assert_int_eq(store_list(&rig, "", NULL, 1001, line, LINE), WEIR_EINVAL);
    ck_assert_int_eq(store_put(&rig, "x", "x", 1, 0x80), WEIR_EINVAL);
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(many_requests_at_once_all_end)
{
    static struct store_call puts[MANY];
    static struct store_call gets[MANY];
    static char keys[MANY][32];
    const struct weir_iov iov = {"body", 4};

    store_kind_open(&rig, _i);
    memset(puts, 0, sizeof(puts));
    memset(gets, 0, sizeof(gets));
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "many/%d/%d", i % 5, i);
        puts[i].req = (struct weir_store_req){.verb = WEIR_STORE_PUT,
                                              .key = keys[i],
                                              .iov = &iov,
                                              .iov_count = 1};
        store_rig_start(&rig, &puts[i]);
    }
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(store_rig_finish(&rig, &puts[i]), 0);
    for (int i = 0; i < MANY; i++) {
        gets[i].req = (struct weir_store_req){
            .verb = WEIR_STORE_GET, .key = keys[i], .length = UINT64_MAX};
        store_rig_start(&rig, &gets[i]);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(store_rig_finish(&rig, &gets[i]), 0);
        ck_assert_uint_eq(gets[i].req.body->len, 4);
        weir_buf_unref(gets[i].req.body);
    }
    store_kind_close(&rig, _i);
}
END_TEST

START_TEST(a_close_ends_what_is_under_way)
{
    static struct store_call calls[MANY];
    static char keys[MANY][32];
    const struct weir_iov iov = {"body", 4};

    store_kind_open(&rig, _i);
    memset(calls, 0, sizeof(calls));
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "many/%d", i / 2);
        calls[i].req = (struct weir_store_req){
            .verb = i % 2 == 0 ? WEIR_STORE_PUT : WEIR_STORE_GET,
            .key = keys[i],
            .iov = &iov,
            .iov_count = i % 2 == 0,
            .length = UINT64_MAX};
        store_rig_start(&rig, &calls[i]);
    }
    store_rig_close_store(&rig);
    for (int i = 0; i < MANY; i++) {
        int rc = calls[i].status;

        ck_assert_int_eq(calls[i].done, 1);
        ck_assert_msg(rc == 0 || rc == WEIR_ECANCELED || rc == WEIR_ENOENT ||
                          (rc == WEIR_EUNKNOWN && i % 2 == 0),
                      "%s", weir_error_name(rc));
        weir_buf_unref(calls[i].req.body);
    }
    store_kind_close(&rig, _i);
}
END_TEST

static void one_of_each(void)
{
    int rc = store_put(&rig, "a/b", "body", 4, 0);

    ck_assert_msg(rc == 0 || rc == WEIR_ENOMEM, "%s", rig.err.text);
    rc = store_get(&rig, "a/b", 1, 2, 0, NULL, NULL);
    ck_assert_msg(rc == 0 || rc == WEIR_ENOMEM || rc == WEIR_ENOENT, "%s",
                  rig.err.text);
    rc = store_list(&rig, "", NULL, 10, line, LINE);
    ck_assert_msg(rc == 0 || rc == WEIR_ENOMEM, "%s", rig.err.text);
    rc = store_head(&rig, "a/b", NULL);
    ck_assert_msg(rc == 0 || rc == WEIR_ENOMEM || rc == WEIR_ENOENT, "%s",
                  rig.err.text);
    rc = store_delete(&rig, "a/b");
    ck_assert_msg(rc == 0 || rc == WEIR_ENOMEM, "%s", rig.err.text);
}

/* Each allocation in turn fails once; then it and all after it. */
START_TEST(memory_that_is_out_is_an_error_and_no_more)
{
    long calls;

    store_kind_open(&rig, _i);
    one_of_each();
    calls = rig.host.alloc.calls;
    one_of_each();
    calls = rig.host.alloc.calls - calls;
    for (int on = 0; on < 2; on++) {
        for (long n = 1; n <= calls; n++) {
            test_alloc_fail(&rig.host.alloc, n, on);
            one_of_each();
            test_alloc_fail(&rig.host.alloc, 0, 0);
        }
    }
    ck_assert_int_eq(store_put(&rig, "a/b", "body", 4, 0), 0);
    check_text("a/b", 0, UINT64_MAX, 0, "body");
    ck_assert_str_eq(list("", NULL, 10), "a/b");
    store_kind_close(&rig, _i);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_put_is_read_back,
        a_body_in_many_pieces_is_one_object,
        a_create_fails_if_the_key_exists,
        of_many_creates_at_once_one_succeeds,
        a_get_returns_the_range_that_was_asked_for,
        a_get_behind_the_end_is_out_of_range,
        an_empty_object_has_a_beginning_and_no_more,
        what_is_not_there_is_told,
        a_deleted_object_is_gone_and_can_be_made_again,
        a_list_is_in_the_order_of_the_keys_bytes,
        a_list_goes_on_after_any_text,
        pages_of_a_list_have_each_key_once,
        what_is_no_key_is_refused,
        many_requests_at_once_all_end,
        a_close_ends_what_is_under_way,
        memory_that_is_out_is_an_error_and_no_more,
    };
    TCase *tc = test_case("store");

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_loop_test(tc, tests[i], store_kind_first(), store_kind_end());
    return test_run();
}
