/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/env_rig.h"

#include "support/host.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

struct weir_sim *sim;
struct weir_sim_node *node;
struct weir_env *env;
struct weir_event done;
int status;
static struct test_alloc alloc;

/* ---- A world ------------------------------------------------------------- */

char trace[2][TRACE_ROOM];
size_t trace_len[2];

static void keep_line(void *ctx, const char *line)
{
    int i = *(int *)ctx;
    size_t len = strlen(line);

    ck_assert_uint_lt(trace_len[i] + len + 2, TRACE_ROOM);
    memcpy(trace[i] + trace_len[i], line, len);
    trace_len[i] += len;
    trace[i][trace_len[i]++] = '\n';
}

int which;

void open_world_of(const struct weir_sim_options *given)
{
    struct weir_sim_options options = *given;

    options.size = sizeof(options);
    options.limit = 3600 * SIM_SECOND;
    options.alloc = &alloc.alloc;
    options.trace = keep_line;
    options.trace_ctx = &which;
    test_alloc_init(&alloc);
    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    ck_assert_int_eq(weir_sim_node_new(&node, sim, 1, DISK), 0);
    env = weir_sim_env(node);
}

void open_world(uint64_t seed)
{
    open_world_of(&(struct weir_sim_options){.seed = seed});
}

void close_world(void)
{
    weir_sim_free(sim);
    test_alloc_check(&alloc);
}

void run(uint64_t ns)
{
    ck_assert_int_eq(weir_sim_run(sim, ns), 0);
}

/* ---- The store ----------------------------------------------------------- */

struct weir_store *store;
struct weir_store_req req;
char keys[8][64];
size_t key_count;
int told;

static void store_done(struct weir_store_req *r, int result)
{
    size_t i;

    status = result;
    told++;
    key_count = r->entry_count;
    for (i = 0; i < r->entry_count && i < 8; i++)
        snprintf(keys[i], sizeof(keys[i]), "%s", r->entries[i].key);
    done.set = 1;
}

void open_store(void)
{
    struct weir_host host = {weir_sim_alloc(node), NULL, env};

    ck_assert_int_eq(weir__sim_store_open(&store, &host, "sim:", node, NULL),
                     0);
}

void submit(enum weir_store_verb verb, const char *key)
{
    req.verb = verb;
    req.key = key;
    req.done = store_done;
    done.set = 0;
    store->ops->submit(store, &req);
    ck_assert_int_eq(done.set, 0);
}

int ask(enum weir_store_verb verb, const char *key)
{
    submit(verb, key);
    ck_assert_int_eq(env->ops->wait(env, &done, 10 * MINUTE), 0);
    return status;
}

struct weir_iov body;

int put(const char *key, const char *text, unsigned flags)
{
    body = (struct weir_iov){text, strlen(text)};
    req = (struct weir_store_req){.flags = flags, .iov = &body, .iov_count = 1};
    return ask(WEIR_STORE_PUT, key);
}

/* Bytes of an object, as text; NULL if there is none. */
const char *get(const char *key, uint64_t offset, uint64_t length,
                unsigned flags)
{
    static char text[64];

    req = (struct weir_store_req){
        .offset = offset, .length = length, .flags = flags};
    if (ask(WEIR_STORE_GET, key) != 0)
        return NULL;
    snprintf(text, sizeof(text), "%.*s", (int)req.body->len,
             (char *)req.body->data);
    weir_buf_unref(req.body);
    return text;
}

const char *look(const char *key)
{
    size_t count;
    struct weir_sim_object *const *objects = weir_sim_objects(sim, &count);
    static char text[64];

    while (count-- > 0) {
        if (strcmp(objects[count]->key, key) != 0)
            continue;
        snprintf(text, sizeof(text), "%.*s", (int)objects[count]->len,
                 (char *)objects[count]->data);
        return text;
    }
    return NULL;
}
