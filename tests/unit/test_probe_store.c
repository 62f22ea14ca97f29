/* SPDX-License-Identifier: Apache-2.0 */
/* weir_probe tells each property that a store lacks, by its name, and leaves
 * nothing behind. */
#include "store/store.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

/* What a store does wrong. */
enum lie {
    TRUE_STORE,
    IGNORES,      /* The condition of a create, */
    IGNORES_RACE, /* of those that come while another is under way, */
    KNOWS_NONE,   /* or it has no such thing. */
    FORGETS,      /* GET finds nothing, */
    FINDS,        /* or always something. */
    SHIFTS,       /* Parts of objects come one byte later. */
    GROWS,        /* HEAD tells one byte more. */
    HIDES,        /* LIST leaves one key out, */
    RESTARTS,     /* or begins at the front again. */
    KEEPS,        /* DELETE does nothing, */
    KEEPS_ONE,    /* or not with one of many, */
    COMPLAINS,    /* or fails when there is nothing. */
    NO_PARTS,     /* It cannot put a large object, */
    CUTS,         /* or not all of it. */
    FAILS,        /* Nobody is there, */
    STOPS         /* or not any more, after the first request. */
};

struct liar {
    struct weir_store base;
    struct weir_store *real;
    struct weir_env *env;
    int deletes; /* Of the first key. */
};

/* One request to the real store, in place of the one that came. */
struct shadow {
    struct weir_store_req req;
    struct weir_store_req *asked;
    struct liar *liar;
    struct weir_iov iov;
    struct weir_task fail;
    char key[64];
    int status;
};

static enum lie lie;
static int left_behind;
static int asked_for; /* Requests. */

static void answer(struct shadow *s, int status)
{
    struct weir_store_req *asked = s->asked;

    asked->body = s->req.body;
    asked->size = s->req.size + (lie == GROWS);
    asked->entries = s->req.entries;
    asked->entry_count = s->req.entry_count;
    asked->more = s->req.more;
    if (lie == HIDES && asked->entry_count > 0)
        asked->entry_count--;
    asked->done(asked, status);
    free(s);
}

static void done(struct weir_store_req *req, int status)
{
    answer(req->ctx, status);
}

static void answer_now(struct weir_task *task)
{
    struct shadow *s =
        (struct shadow *)(void *)((char *)task - offsetof(struct shadow, fail));

    answer(s, s->status > 0 ? 0 : s->status);
}

/* A key that ends so exists; the last digit counts the keys of a probe. */
static int is_first(const struct weir_store_req *req)
{
    return strcmp(req->key + strlen(req->key) - 2, "-0") == 0;
}

static int lies_of_get(struct shadow *s)
{
    struct weir_store_req *req = &s->req;

    if (lie == FORGETS)
        return WEIR_ENOENT;
    if (lie == SHIFTS && req->offset > 0)
        req->offset++;
    if (lie == FINDS) {
        snprintf(s->key, sizeof(s->key), "%.*s0", (int)strlen(req->key) - 1,
                 req->key);
        req->key = s->key;
    }
    return 0;
}

static int lies_of_put(struct shadow *s)
{
    int race = strncmp(s->req.iov[0].data, "racer", 5) == 0;

    if (lie == KNOWS_NONE ||
        (lie == NO_PARTS && (s->req.flags & WEIR_STORE_PARTS) != 0))
        return WEIR_EUNSUPPORTED;
    if (lie == CUTS && (s->req.flags & WEIR_STORE_PARTS) != 0) {
        s->iov = s->req.iov[0];
        s->iov.len--;
        s->req.iov = &s->iov;
    }
    if (lie == IGNORES || (lie == IGNORES_RACE && race))
        s->req.flags = 0;
    return 0;
}

static int lies_of_delete(struct shadow *s)
{
    if (lie == KEEPS ||
        (lie == KEEPS_ONE && s->req.key[strlen(s->req.key) - 1] == '4'))
        return 1;
    if (lie == COMPLAINS && is_first(&s->req) && s->liar->deletes++ > 0)
        return WEIR_ENOENT;
    return 0;
}

/* 0: ask the real store, perhaps something else; or the answer, 1 for
 * success. */
static int lies(struct shadow *s)
{
    if (lie == FAILS || (lie == STOPS && asked_for > 1))
        return WEIR_EUNAVAILABLE;
    if (lie == RESTARTS)
        s->req.after = NULL;
    switch (s->req.verb) {
    case WEIR_STORE_GET:
        return lies_of_get(s);
    case WEIR_STORE_PUT:
        return lies_of_put(s);
    case WEIR_STORE_DELETE:
        return lies_of_delete(s);
    default:
        return 0;
    }
}

static void submit(struct weir_store *store, struct weir_store_req *req)
{
    struct liar *liar = (struct liar *)store;
    struct shadow *s = calloc(1, sizeof(*s));

    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(strncmp(req->key, "probe/", 6), 0);
    asked_for++;
    s->req = *req;
    s->req.done = done;
    s->req.ctx = s;
    s->asked = req;
    s->liar = liar;
    s->status = lies(s);
    if (s->status != 0) {
        s->fail.run = answer_now;
        liar->env->ops->post(liar->env, &s->fail);
        return;
    }
    liar->real->ops->submit(liar->real, &s->req);
}

static void count_left(struct weir_store_req *req, int status)
{
    struct liar *liar = req->ctx;
    struct weir_task *closed = req->impl[7];

    ck_assert_int_eq(status, 0);
    left_behind = (int)req->entry_count;
    liar->real->ops->close(liar->real, closed);
    free(req);
    free(liar);
}

static void close_liar(struct weir_store *store, struct weir_task *closed)
{
    struct liar *liar = (struct liar *)store;
    struct weir_store_req *list = calloc(1, sizeof(*list));

    ck_assert_ptr_nonnull(list);
    *list = (struct weir_store_req){.verb = WEIR_STORE_LIST,
                                    .key = "",
                                    .limit = 100,
                                    .done = count_left,
                                    .ctx = liar};
    list->impl[7] = closed;
    liar->real->ops->submit(liar->real, list);
}

static const struct weir_store_ops liar_ops = {sizeof(liar_ops), "liar", submit,
                                               close_liar,       NULL,   NULL};

static int open_liar(struct weir_store **out, const struct weir_host *host,
                     const char *uri, void *ctx, struct weir_error *err)
{
    struct liar *liar = calloc(1, sizeof(*liar));

    (void)uri;
    (void)ctx;
    ck_assert_ptr_nonnull(liar);
    liar->base.ops = &liar_ops;
    liar->env = host->env;
    *out = &liar->base;
    return weir__store_memory_open(&liar->real, host, "mem:", NULL, err);
}

/* ---- What is found ---------------------------------------------------------
 */

static char missing[200]; /* Names of the checks that failed. */
static int checks;
static int usable;
static int stop_at = -1;

static int take(void *ctx, const struct weir_item *item)
{
    (void)ctx;
    if (strcmp(item->kind, "check") == 0) {
        const char *name = item->fields[0].data;
        const char *result = item->fields[1].data;

        checks++;
        ck_assert_str_eq(item->fields[0].name, "name");
        ck_assert_str_eq(result, item->status == 0 ? "yes" : "no");
        if (item->status != 0) {
            strcat(missing, name);
            strcat(missing, " ");
        }
    } else if (strcmp(item->kind, "end") == 0) {
        ck_assert_str_eq(item->fields[0].name, "usable");
        usable = (int)item->fields[0].number;
    }
    return checks == stop_at ? 4711 : 0;
}

static int probe(enum lie what, struct weir_error *err)
{
    struct weir_config *config;
    int rc;

    lie = what;
    missing[0] = '\0';
    checks = 0;
    usable = -1;
    asked_for = 0;
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    ck_assert_int_eq(weir_config_add_store(config, "liar", open_liar, NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "store", "liar:x", NULL), 0);
    rc = weir_probe(config, take, NULL, err);
    weir_config_free(config);
    return rc;
}

static const struct {
    enum lie lie;
    const char *missing;
    const char *says;
} lies_told[] = {
    {IGNORES, "conditional_create create_race read range ",
     "If-None-Match is ignored"},
    {IGNORES_RACE, "create_race ", "more than one succeeds"},
    {KNOWS_NONE, "create ", "no conditional create"},
    {FORGETS, "read range parts ", "a read does not give"},
    {SHIFTS, "range ", "Range"},
    {GROWS, "size ", "another size"},
    {FINDS, "missing parts ", "never created can be read"},
    {HIDES, "list ", "a listing"},
    {RESTARTS, "list ", "a listing"},
    {KEEPS, "delete delete_many ", "can still be read"},
    {KEEPS_ONE, "delete_many ", "removed together"},
    {NO_PARTS, "parts ", "multipart"},
    {CUTS, "parts ", "not what was put"},
    {COMPLAINS, "delete ", "remove what is not there"},
};

START_TEST(what_a_store_lacks_is_named)
{
    struct weir_error err = {0};

    ck_assert_int_eq(probe(lies_told[_i].lie, &err), WEIR_EUNSUPPORTED);
    ck_assert_str_eq(missing, lies_told[_i].missing);
    ck_assert_int_eq(usable, 0);
    ck_assert_msg(strstr(err.text, lies_told[_i].says) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "use another one") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_store_that_has_it_all_is_left_as_it_was)
{
    struct weir_error err = {0};

    ck_assert_int_eq(probe(TRUE_STORE, &err), 0);
    ck_assert_str_eq(missing, "");
    ck_assert_int_eq(checks, 11); /* Two more are of S3 alone. */
    ck_assert_int_eq(usable, 1);
    ck_assert_int_eq(left_behind, 0);
}
END_TEST

START_TEST(a_store_that_cannot_be_reached_leaves_it_open)
{
    struct weir_error err = {0};

    ck_assert_int_eq(probe(FAILS, &err), WEIR_EUNAVAILABLE);
    ck_assert_int_eq(checks, 0);
    ck_assert_int_eq(usable, -1);
    ck_assert_int_eq(left_behind, 0);
    ck_assert_int_eq(asked_for, 1);
}
END_TEST

/* Each request may take until its deadline. */
START_TEST(a_store_that_stops_to_answer_is_not_asked_again_and_again)
{
    struct weir_error err = {0};

    ck_assert_int_eq(probe(STOPS, &err), WEIR_EUNAVAILABLE);
    ck_assert_int_eq(checks, 1);
    ck_assert_int_eq(asked_for, 3); /* The third was to remove the first. */
}
END_TEST

START_TEST(who_has_seen_enough_ends_it_and_it_is_clean)
{
    stop_at = 3;
    ck_assert_int_eq(probe(TRUE_STORE, NULL), 4711);
    ck_assert_int_eq(checks, 3);
    ck_assert_int_eq(left_behind, 0);
    stop_at = -1;
    ck_assert_int_eq(weir_probe(NULL, take, NULL, NULL), WEIR_EINVAL);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("probe_store");

    tcase_add_loop_test(tc, what_a_store_lacks_is_named, 0,
                        sizeof(lies_told) / sizeof(lies_told[0]));
    tcase_add_test(tc, a_store_that_has_it_all_is_left_as_it_was);
    tcase_add_test(tc, a_store_that_cannot_be_reached_leaves_it_open);
    tcase_add_test(tc,
                   a_store_that_stops_to_answer_is_not_asked_again_and_again);
    tcase_add_test(tc, who_has_seen_enough_ends_it_and_it_is_clean);
    return test_run();
}
