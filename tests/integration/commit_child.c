/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One of many processes that commit at once, started by s3_rgw.sh.
 *
 *     commit_child STORE NODE COUNT
 *
 * Opens a node, prints "ready", and waits until its standard input ends.  Then
 * COUNT times: adds a line to a key that all of them add to, by
 * compare-and-set; makes a stream; deletes every other one of these.  What is
 * done is printed, a line each: "marked NODE.I", "made sNODE.I", "deleted
 * sNODE.I".  What nobody knows the end of begins with a question mark instead.
 * With a COUNT of 0 it prints the key's value.
 *
 * The keys of the store are those of the environment.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir.h>

static const char key[] = "marks";
static struct weir *node;
static struct weir_error err;

/** What the key holds. */
static struct {
    char text[WEIR_KV_VALUE_MAX];
    size_t len;
    uint64_t version;
} value;

static _Noreturn void die(const char *what, int status)
{
    fprintf(stderr, "commit_child: %s: %s: %s\n", what, weir_error_name(status),
            err.text);
    exit(EXIT_FAILURE);
}

/* At once, for whoever looks when this process is gone. */
static void say(int status, const char *done, const char *what)
{
    if (status != 0 && status != WEIR_EUNKNOWN)
        die(what, status);
    printf("%s%s %s\n", status == 0 ? "" : "?", done, what);
    fflush(stdout);
}

static void set(struct weir_config *config, const char *name, const char *text)
{
    int rc = weir_config_set(config, name, text, &err);

    if (rc != 0)
        die(name, rc);
}

static void open_node(const char *store, const char *id)
{
    struct weir_config *config;
    int rc = weir_config_new(&config, NULL);

    if (rc != 0)
        die("configure", rc);
    set(config, "node_id", id);
    set(config, "driver", "true");
    set(config, "store", store);
    set(config, "s3_credentials", "environment");
    rc = weir_open(&node, config, &err);
    weir_config_free(config);
    if (rc != 0)
        die("open", rc);
}

static int take_value(struct weir_kv_get *get, const struct weir_kv_pair *pair)
{
    (void)get;
    memcpy(value.text, pair->value, pair->len);
    value.len = pair->len;
    value.version = pair->version;
    return 0;
}

static void read_value(void)
{
    struct weir_kv_get get = {
        .req = {.err = &err}, .key = key, .pair = take_value};
    int rc;

    value.len = 0;
    value.version = WEIR_KV_ABSENT;
    rc = weir_kv_get_sync(node, &get);
    if (rc != 0 && rc != WEIR_ENOENT)
        die("read the key", rc);
}

/* Whoever comes first wins; the others read what has won, and try again. */
static int try_mark(const char *mark)
{
    struct weir_kv_put put = {
        .req = {.err = &err}, .key = key, .value = value.text};
    int n;

    read_value();
    n = snprintf(value.text + value.len, sizeof(value.text) - value.len, "%s\n",
                 mark);
    put.len = value.len + (size_t)n;
    put.expected = value.version;
    return weir_kv_put_sync(node, &put);
}

static void add_mark(const char *mark)
{
    int rc = try_mark(mark);

    while (rc == WEIR_ECONFLICT)
        rc = try_mark(mark);
    say(rc, "marked", mark);
}

static void make_stream(const char *name)
{
    struct weir_stream_open open = {.req = {.err = &err},
                                    .name = name,
                                    .flags = WEIR_STREAM_CREATE |
                                             WEIR_STREAM_EXCLUSIVE};
    int rc = weir_stream_open_sync(node, &open);

    if (rc == 0)
        weir_stream_close(open.stream);
    say(rc, "made", name);
}

static void delete_stream(const char *name)
{
    struct weir_stream_delete delete = {.req = {.err = &err}, .name = name};

    say(weir_stream_delete_sync(node, &delete), "deleted", name);
}

static void commit(const char *id, int i)
{
    char name[40];

    snprintf(name, sizeof(name), "s%.20s.%d", id, i);
    add_mark(name + 1);
    make_stream(name);
    if (i % 2 == 0)
        delete_stream(name);
}

static void wait_for_all(void)
{
    char byte;

    printf("ready\n");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

int main(int argc, char **argv)
{
    int count;

    if (argc != 4) {
        fprintf(stderr, "usage: commit_child STORE NODE COUNT\n");
        return 2;
    }
    count = (int)strtol(argv[3], NULL, 10);
    open_node(argv[1], argv[2]);
    if (count > 0)
        wait_for_all();
    for (int i = 1; i <= count; i++)
        commit(argv[2], i);
    if (count == 0) {
        read_value();
        fwrite(value.text, 1, value.len, stdout);
    }
    weir_free(node);
    return 0;
}
