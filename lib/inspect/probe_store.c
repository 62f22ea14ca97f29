/* SPDX-License-Identifier: Apache-2.0 */
/* What a store can do, one property after the other.  Only what the port of
 * stores has is used, so it is the same for every kind.
 *
 * A check ends with 0 (the store has it), WEIR_EUNSUPPORTED (it has not, and
 * `lack` says what was seen), MISSED (it has not, and a node can do without),
 * or with the error that kept it from finding out, which ends the probe. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "inspect/inspect.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <weir/probe.h>

enum { RACERS = 8, ROUNDS = 4, MISSED = 1 };

/* Keys: one that exists, one that never does, those of the races, and more. */
enum { LARGE = 2 + ROUNDS, WRONG, KEYS };

/* Two parts of the least size, which a store of S3 is told to make of it; and
 * more than is always signed. */
enum { LARGE_SIZE = 7 << 20, SUMMED_SIZE = 128 << 10 };

static const char *const bodies[] = {"body number one", "body number two"};

struct probing {
    struct weir__inspect in;
    char prefix[32];
    char keys[KEYS][WEIR__KEY_SIZE];
    unsigned char *large; /* LARGE_SIZE bytes. */
    unsigned requests;
    int created;       /* 1: something is there to remove. */
    const char *lack;  /* What the last check has missed, */
    const char *first; /* and the first one that missed something. */
};

/* One of several requests that run at one time. */
struct racer {
    struct weir_store_req req;
    struct weir_iov iov;
    struct weir_error err;
    char body[16];
};

struct race {
    struct probing *p;
    struct weir_event over;
    unsigned left;
    unsigned won;
    const struct weir_error *failed; /* One that says neither yes nor no. */
    struct racer racers[RACERS];
};

static int lacks(struct probing *p, const char *text)
{
    p->lack = text;
    return WEIR_EUNSUPPORTED;
}

static bool is_s3(const struct probing *p)
{
    return strcmp(p->in.store->ops->name, "s3") == 0;
}

static int request(struct probing *p, struct weir_store_req *req)
{
    p->requests++;
    return weir__inspect_request(&p->in, req);
}

static int create(struct probing *p, const char *key, const char *body)
{
    const struct weir_iov iov = {body, strlen(body)};
    struct weir_store_req req = {.verb = WEIR_STORE_PUT,
                                 .flags = WEIR_STORE_IF_ABSENT,
                                 .key = key,
                                 .iov = &iov,
                                 .iov_count = 1};

    return request(p, &req);
}

/* 0: the bytes are `want`; 1: they are others; or a status. */
static int compare(struct probing *p, struct weir_store_req *req,
                   const char *want)
{
    int rc = request(p, req);
    int same;

    if (rc != 0)
        return rc;
    same = req->body->len == strlen(want) &&
           memcmp(req->body->data, want, req->body->len) == 0;
    weir_buf_unref(req->body);
    return !same;
}

/* ---- The checks ------------------------------------------------------------
 */

static int check_create(struct probing *p)
{
    int rc = create(p, p->keys[0], bodies[0]);

    p->created = rc == 0;
    if (rc == WEIR_EUNSUPPORTED)
        return lacks(p, "it knows no conditional create (If-None-Match)");
    return rc;
}

static int check_conditional(struct probing *p)
{
    int rc = create(p, p->keys[0], bodies[1]);

    if (rc == 0)
        return lacks(p, "it creates an object though the key exists "
                        "(If-None-Match is ignored)");
    if (rc == WEIR_EUNSUPPORTED || rc == WEIR_EINVAL)
        return lacks(p, "it knows no conditional create (If-None-Match)");
    return rc == WEIR_ECONFLICT ? 0 : rc;
}

static void raced(struct weir_store_req *req, int status)
{
    struct race *race = req->ctx;

    race->won += status == 0;
    if (status != 0 && status != WEIR_ECONFLICT)
        race->failed = req->err;
    if (--race->left == 0)
        weir__inspect_signal(&race->p->in, &race->over);
}

static void start_race(struct race *race, const char *key)
{
    struct probing *p = race->p;
    struct weir_store *store = p->in.store;

    race->left = RACERS;
    for (unsigned i = 0; i < RACERS; i++) {
        struct racer *r = &race->racers[i];

        snprintf(r->body, sizeof(r->body), "racer %u", i % RACERS);
        r->iov = (struct weir_iov){r->body, strlen(r->body)};
        r->req = (struct weir_store_req){.verb = WEIR_STORE_PUT,
                                         .flags = WEIR_STORE_IF_ABSENT,
                                         .key = key,
                                         .iov = &r->iov,
                                         .iov_count = 1,
                                         .done = raced,
                                         .ctx = race,
                                         .err = &r->err};
        store->ops->submit(store, &r->req);
    }
    p->requests += RACERS;
}

/* All rounds are run, or the listing would miss their keys. */
static int check_race(struct probing *p)
{
    const char *lack = NULL;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct race race = {.p = p};

        start_race(&race, p->keys[2 + i]);
        weir__inspect_wait(&p->in, &race.over);
        if (race.won == 0 && race.failed != NULL) {
            weir__error_copy(p->in.err, race.failed);
            return race.failed->code;
        }
        if (race.won != 1)
            lack = race.won > 1
                       ? "of several creates of one key at the same time more "
                         "than one succeeds"
                       : "of several creates of one key at the same time none "
                         "succeeds";
    }
    return lack != NULL ? lacks(p, lack) : 0;
}

static int check_read(struct probing *p)
{
    struct weir_store_req req = {
        .verb = WEIR_STORE_GET, .key = p->keys[0], .length = UINT64_MAX};
    int rc = compare(p, &req, bodies[0]);

    if (rc == 1 || rc == WEIR_ENOENT)
        return lacks(p, "a read does not give what was created");
    return rc;
}

static int check_range(struct probing *p)
{
    struct weir_store_req part = {
        .verb = WEIR_STORE_GET, .key = p->keys[0], .offset = 5, .length = 6};
    struct weir_store_req end = {.verb = WEIR_STORE_GET,
                                 .flags = WEIR_STORE_SUFFIX,
                                 .key = p->keys[0],
                                 .length = 3};
    int rc = compare(p, &part, "number");

    if (rc == 0)
        rc = compare(p, &end, "one");
    if (rc == 1 || rc == WEIR_EUNSUPPORTED || rc == WEIR_ECORRUPT ||
        rc == WEIR_ENOENT)
        return lacks(p, "a part of an object cannot be read (Range)");
    return rc;
}

static int check_size(struct probing *p)
{
    struct weir_store_req req = {.verb = WEIR_STORE_HEAD, .key = p->keys[0]};
    int rc = request(p, &req);

    if (rc == WEIR_ENOENT || (rc == 0 && req.size != strlen(bodies[0])))
        return lacks(p, "an object has another size than was written");
    return rc;
}

static int check_missing(struct probing *p)
{
    struct weir_store_req req = {
        .verb = WEIR_STORE_GET, .key = p->keys[1], .length = UINT64_MAX};
    int rc = request(p, &req);

    if (rc != 0)
        return rc == WEIR_ENOENT ? 0 : rc;
    weir_buf_unref(req.body);
    return lacks(p, "a key that was never created can be read");
}

/* The keys that exist behind `after`, and no others. */
static int check_page(struct probing *p, struct weir__inspect_page *page,
                      size_t first)
{
    size_t n = 0;
    int rc;

    page->prefix = p->prefix;
    p->requests++;
    rc = weir__inspect_list(&p->in, page);
    if (rc != 0)
        return rc;
    for (size_t i = first; i < LARGE; i++) {
        if (i == 1)
            continue;
        if (n >= page->count || strcmp(page->keys[n++], p->keys[i]) != 0)
            return 1;
    }
    return n != page->count;
}

static int check_list(struct probing *p)
{
    struct weir__inspect_page page = {0};
    int rc = check_page(p, &page, 0);

    if (rc == 0) {
        page = (struct weir__inspect_page){0};
        snprintf(page.after, sizeof(page.after), "%s", p->keys[0]);
        rc = check_page(p, &page, 2);
    }
    if (rc == 1)
        return lacks(p, "a listing does not have all that was created, or "
                        "not in order");
    return rc;
}

static int remove_key(struct probing *p, const char *key)
{
    struct weir_store_req req = {.verb = WEIR_STORE_DELETE, .key = key};

    return request(p, &req);
}

static int check_delete(struct probing *p)
{
    struct weir_store_req req = {
        .verb = WEIR_STORE_GET, .key = p->keys[0], .length = UINT64_MAX};
    int rc = remove_key(p, p->keys[0]);

    if (rc != 0)
        return rc;
    rc = request(p, &req);
    if (rc == 0)
        weir_buf_unref(req.body);
    if (rc != WEIR_ENOENT)
        return rc == 0 ? lacks(p, "a removed object can still be read") : rc;
    rc = remove_key(p, p->keys[0]);
    if (rc == WEIR_ENOENT)
        return lacks(p, "it is an error to remove what is not there");
    return rc;
}

static int put_large(struct probing *p, const char *key, size_t len,
                     unsigned flags)
{
    const struct weir_iov iov = {p->large, len};
    struct weir_store_req req = {.verb = WEIR_STORE_PUT,
                                 .flags = WEIR_STORE_IF_ABSENT | flags,
                                 .key = key,
                                 .iov = &iov,
                                 .iov_count = 1};

    return request(p, &req);
}

static int check_parts(struct probing *p)
{
    struct weir_store_req get = {
        .verb = WEIR_STORE_GET, .key = p->keys[LARGE], .length = UINT64_MAX};
    int rc = put_large(p, get.key, LARGE_SIZE, WEIR_STORE_PARTS);
    int same;

    if (rc == WEIR_EUNSUPPORTED ||
        (is_s3(p) && (rc == WEIR_EINVAL || rc == WEIR_EIO)))
        return lacks(p, "a large object cannot be put in parts (multipart "
                        "upload; s3_part=0 is without)");
    if (rc == 0)
        rc = request(p, &get);
    if (rc != 0)
        return rc == WEIR_ENOENT
                   ? lacks(p, "a large object that was put cannot be read")
                   : rc;
    same = get.body->len == LARGE_SIZE &&
           memcmp(get.body->data, p->large, LARGE_SIZE) == 0;
    weir_buf_unref(get.body);
    return same ? 0 : lacks(p, "a large object is not what was put in parts");
}

/* All of the races' objects and the large one, in one turn. */
static int remove_together(struct probing *p)
{
    struct race race = {.p = p, .left = LARGE - 1};
    struct weir_store *store = p->in.store;

    for (unsigned i = 2; i <= LARGE; i++) {
        struct racer *r = &race.racers[i - 2];

        r->req = (struct weir_store_req){.verb = WEIR_STORE_DELETE,
                                         .key = p->keys[i],
                                         .done = raced,
                                         .ctx = &race,
                                         .err = &r->err};
        store->ops->submit(store, &r->req);
    }
    p->requests += LARGE - 1;
    weir__inspect_wait(&p->in, &race.over);
    if (race.failed == NULL)
        return 0;
    weir__error_copy(p->in.err, race.failed);
    return race.failed->code;
}

static int check_delete_many(struct probing *p)
{
    int rc = remove_together(p);

    for (unsigned i = 2; rc == 0 && i <= LARGE; i++) {
        struct weir_store_req req = {.verb = WEIR_STORE_HEAD,
                                     .key = p->keys[i]};

        rc = request(p, &req);
        if (rc == 0)
            return lacks(p, "of objects that are removed together some stay");
        rc = rc == WEIR_ENOENT ? 0 : rc;
    }
    return rc;
}

/* Whatever it calls the error: what it has refused it has looked at. */
static int check_damaged(struct probing *p, size_t len)
{
    int rc = put_large(p, p->keys[WRONG], len, WEIR__STORE_DAMAGED);

    if (rc != 0)
        return weir_error_class(rc) == WEIR_CLASS_FATAL ? 0 : rc;
    rc = remove_key(p, p->keys[WRONG]);
    return rc == 0 ? MISSED : rc;
}

static int check_hash(struct probing *p)
{
    return check_damaged(p, 100);
}

static int check_checksum(struct probing *p)
{
    return check_damaged(p, SUMMED_SIZE);
}

/* ---- The probe -------------------------------------------------------------
 */

struct check {
    const char *name;
    int (*run)(struct probing *p);
    bool s3; /* Only there is something on the way. */
};

static const struct check checks[] = {
    {"create", check_create, false},
    {"conditional_create", check_conditional, false},
    {"create_race", check_race, false},
    {"read", check_read, false},
    {"range", check_range, false},
    {"size", check_size, false},
    {"missing", check_missing, false},
    {"list", check_list, false},
    {"delete", check_delete, false},
    {"parts", check_parts, false},
    {"delete_many", check_delete_many, false},
    {"hash", check_hash, true},
    {"checksum", check_checksum, true},
};

static void name_keys(struct probing *p)
{
    struct weir_env *env = p->in.host.env;
    uint64_t number = 0;

    env->ops->random(env, &number, sizeof(number));
    snprintf(p->prefix, sizeof(p->prefix), "probe/%016" PRIx64 "-", number);
    for (unsigned i = 0; i < KEYS; i++)
        snprintf(p->keys[i], sizeof(p->keys[i]), "%s%u", p->prefix, i);
}

static int give_store(struct probing *p)
{
    weir__inspect_text(&p->in, "backend", p->in.store->ops->name);
    weir__inspect_text(&p->in, "uri", weir_config_get(p->in.config, "store"));
    return weir__inspect_item(&p->in, "store", 0, NULL);
}

/* 0; the store's error; or not 0, because `fn` has enough. */
static int run_check(struct probing *p, const struct check *check)
{
    struct weir_env *env = p->in.host.env;
    uint64_t start = env->ops->now(env);
    unsigned before = p->requests;
    int rc = check->run(p);

    if (rc != 0 && rc != WEIR_EUNSUPPORTED && rc != MISSED)
        return rc;
    if (rc == WEIR_EUNSUPPORTED && p->first == NULL)
        p->first = p->lack;
    weir__inspect_text(&p->in, "name", check->name);
    weir__inspect_text(&p->in, "result", rc == 0 ? "yes" : "no");
    weir__inspect_uint(&p->in, "requests", p->requests - before);
    weir__inspect_uint(&p->in, "microseconds",
                       (env->ops->now(env) - start) / 1000);
    return rc == WEIR_EUNSUPPORTED
               ? weir__inspect_item(&p->in, "check", rc, p->lack)
               : weir__inspect_item(&p->in, "check", 0, NULL);
}

static int run_checks(struct probing *p)
{
    int rc = give_store(p);

    for (size_t i = 0; rc == 0 && i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (checks[i].s3 && !is_s3(p))
            continue;
        rc = run_check(p, &checks[i]);
        if (i == 0 && p->lack != NULL)
            break; /* Nothing is there to try the rest with. */
    }
    return rc;
}

/* A store that does not answer would keep the one who waits for as long again
 * with each key: the first failure is the last.  What stays behind is a few
 * bytes under a name of its own. */
static void clean_up(struct probing *p)
{
    struct weir_error *err = p->in.err;
    int rc = 0;

    p->in.err = NULL;
    for (unsigned i = 0; i < KEYS && (rc == 0 || rc == WEIR_ENOENT); i++)
        rc = remove_key(p, p->keys[i]);
    p->in.err = err;
}

static int probe(struct probing *p)
{
    struct weir_error *found = &p->in.found;
    int rc;

    p->large = weir__malloc(p->in.host.alloc, LARGE_SIZE);
    if (p->large == NULL)
        return weir__fail(p->in.err, WEIR_ENOMEM, "out of memory");
    for (size_t i = 0; i < LARGE_SIZE; i++)
        p->large[i] = (unsigned char)(i * 2654435761u >> 13);
    name_keys(p);
    rc = run_checks(p);
    if (p->created)
        clean_up(p);
    if (rc != 0)
        return rc;
    weir__inspect_uint(&p->in, "usable", found->code == 0);
    weir__inspect_uint(&p->in, "requests", p->requests);
    return weir__inspect_item(&p->in, "end", 0, NULL);
}

/* "check: it ..." says less than the one who opens a node needs. */
static void tell(struct probing *p)
{
    if (p->in.found.code == WEIR_EUNSUPPORTED)
        weir__fail(&p->in.found, WEIR_EUNSUPPORTED,
                   "the store cannot be used: %s; use another one, or an "
                   "unversioned bucket",
                   p->first);
}

static int probe_store(const struct weir_config *config, weir_inspect_fn *fn,
                       void *ctx, struct weir_error *err)
{
    struct probing p = {0};
    int rc = weir__inspect_begin(&p.in, config, fn, ctx, err);

    if (rc == 0)
        rc = weir__inspect_store(&p.in);
    if (rc == 0)
        rc = probe(&p);
    if (rc == 0)
        tell(&p);
    if (p.large != NULL)
        weir__free(p.in.host.alloc, p.large);
    return weir__inspect_end(&p.in, rc);
}

int weir_probe(const struct weir_config *config, weir_inspect_fn *fn, void *ctx,
               struct weir_error *err)
{
    struct weir_config *own = NULL;
    int rc;

    if (config == NULL)
        return probe_store(NULL, fn, ctx, err); /* Which tells so. */
    rc = weir__inspect_copy(&own, config, err);
    if (rc == 0)
        rc = probe_store(own, fn, ctx, err);
    weir_config_free(own);
    return rc;
}
