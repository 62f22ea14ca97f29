/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a node has written is found again by looking into the files, and
 * damage in them is told where it is.
 */
#include "format/object_name.h"
#include "support/host.h"
#include "support/test.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir.h>

#define BATCHES 10

static struct weir_config *config;
static char store_path[300];
static char wal_path[300];
static struct weir_error err;

/* ---- Items, as lines of text --------------------------------------------- */

static char *lines;    /* "kind status name=value ...\n" for each item. */
static int stop_after; /* Items; 0: do not stop. */
static int items;

static void print_field(FILE *out, const struct weir_field *f)
{
    size_t i;

    fprintf(out, " %s=", f->name);
    switch (f->type) {
    case WEIR_FIELD_UINT:
        fprintf(out, "%" PRIu64, f->number);
        break;
    case WEIR_FIELD_HEX:
        fprintf(out, "%08" PRIx64, f->number);
        break;
    case WEIR_FIELD_TIME:
        fprintf(out, "%" PRId64, (int64_t)f->number);
        break;
    case WEIR_FIELD_TEXT:
        fprintf(out, "%s", (const char *)f->data);
        break;
    case WEIR_FIELD_ID:
        for (i = 0; i < f->len; i++)
            fprintf(out, "%02x", ((const unsigned char *)f->data)[i]);
        break;
    case WEIR_FIELD_BYTES:
        fprintf(out, "%.*s", (int)(f->len < 20 ? f->len : 20),
                (const char *)f->data);
        break;
    }
}

static int take(void *ctx, const struct weir_item *item)
{
    char *before = lines;
    size_t len, i;
    FILE *out = open_memstream(&lines, &len);

    ck_assert_ptr_eq(ctx, &items);
    ck_assert_ptr_nonnull(out);

    ck_assert_ptr_nonnull(item->text);
    ck_assert_int_eq(item->text[0] == '\0', item->status == 0);
    fprintf(out, "%s%s %d", before == NULL ? "" : before, item->kind,
            item->status);
    for (i = 0; i < item->count; i++)
        print_field(out, &item->fields[i]);
    fprintf(out, "%s%s\n", item->status ? " " : "", item->text);
    fclose(out);
    free(before);
    return ++items == stop_after ? 4711 : 0;
}

static void begin(void)
{
    free(lines);
    lines = NULL;
    items = 0;
    memset(&err, 0, sizeof(err));
}

static int inspect_wal(void)
{
    begin();
    return weir_inspect_wal(config, take, &items, &err);
}

static int inspect_object(const char *key)
{
    begin();
    return weir_inspect_object(config, key, take, &items, &err);
}

static int inspect_manifest(void)
{
    begin();
    return weir_inspect_manifest(config, take, &items, &err);
}

/* How many times `what` is in the lines. */
static int count(const char *what)
{
    const char *at = lines == NULL ? "" : lines;
    int n = 0;

    while ((at = strstr(at, what)) != NULL) {
        at += strlen(what);
        n++;
    }
    return n;
}

/* ---- A node that has written --------------------------------------------- */

static void set(const char *key, const char *value)
{
    if (weir_config_set(config, key, value, &err) != 0)
        ck_abort_msg("%s", err.text);
}

static void set_uri(const char *key, const char *scheme, const char *path,
                    const char *rest)
{
    char uri[400];

    snprintf(uri, sizeof(uri), "%s:%s%s", scheme, path, rest);
    set(key, uri);
}

static struct weir *open_node(void)
{
    struct weir *node;

    if (weir_open(&node, config, &err) != 0)
        ck_abort_msg("%s", err.text);
    return node;
}

static void setup(void)
{
    snprintf(store_path, sizeof(store_path), "%s/store", test_dir());
    snprintf(wal_path, sizeof(wal_path), "%s/wal", test_dir());
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    set_uri("store", "dir", store_path, "?fsync=false");
    set_uri("wal", "file", wal_path, "?size=4MiB");
    set("log_cache", "4MiB");
}

static void teardown(void)
{
    free(lines);
    lines = NULL;
    weir_config_free(config);
}

static void append(struct weir_stream *stream, int i)
{
    char data[2000];
    struct weir_append req = {.data = data,
                              .len = sizeof(data),
                              .count = 2,
                              .max_timestamp = 1000 + i};

    memset(data, 'x', sizeof(data));
    snprintf(data, sizeof(data), "payload-%d.", i);
    ck_assert_int_eq(weir_append_sync(stream, &req), 0);
}

/* Append ten batches; with `flush`, have them uploaded. */
static void write_some(struct weir *node, int flush)
{
    struct weir_stream_open open = {.name = "s", .flags = WEIR_STREAM_CREATE};
    struct weir_flush req = {0};
    struct weir_kv_put put = {
        .key = "k", .value = "abc", .len = 3, .expected = WEIR_KV_ANY};
    int i;

    ck_assert_int_eq(weir_kv_put_sync(node, &put), 0);
    ck_assert_int_eq(weir_stream_open_sync(node, &open), 0);
    for (i = 0; i < BATCHES; i++)
        append(open.stream, i);
    if (flush)
        ck_assert_int_eq(weir_flush_sync(node, &req), 0);
}

/* Write, and go away as a crash would leave it: nothing more is uploaded. */
static void write_and_close(int flush)
{
    struct weir *node = open_node();

    write_some(node, flush);
    weir_free(node);
}

/* Key of the one object, out of the manifest. */
static void object_key(char *key)
{
    const char *at;

    ck_assert_int_eq(inspect_manifest(), 0);
    ck_assert_int_eq(count("object_add 0"), 1);
    at = strstr(lines, "object_add 0 object_id=");
    weir__object_key(key, strtoull(at + 23, NULL, 10));
}

/* ---- Files --------------------------------------------------------------- */

static unsigned char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    unsigned char *data;
    long size;

    if (file == NULL)
        ck_abort_msg("%s: cannot be opened", path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    data = malloc((size_t)size);
    *len = fread(data, 1, (size_t)size, file);
    ck_assert_uint_eq(*len, (size_t)size);
    fclose(file);
    return data;
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    int byte;

    if (file == NULL)
        ck_abort_msg("%s: cannot be opened", path);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 0x20, file);
    fclose(file);
}

/* Where `what` is in a file. */
static long find(const char *path, const char *what)
{
    size_t len;
    unsigned char *data = read_file(path, &len);
    unsigned char *at = memmem(data, len, what, strlen(what));
    long offset = at == NULL ? -1 : (long)(at - data);

    free(data);
    ck_assert_int_ge(offset, 0);
    return offset;
}

/* ---- WAL ----------------------------------------------------------------- */

/* Each batch is there, with its payload; nothing in the file changes. */
START_TEST(wal_shows_every_batch)
{
    unsigned char *before, *after;
    size_t len, len2;

    write_and_close(0);
    before = read_file(wal_path, &len);
    ck_assert_int_eq(inspect_wal(), 0);
    after = read_file(wal_path, &len2);
    ck_assert_uint_eq(len, len2);
    ck_assert_mem_eq(before, after, len);
    free(before);
    free(after);
    ck_assert_int_eq(strncmp(lines, "super 0 wal_id=", 15), 0);
    ck_assert_int_eq(count("\nrecord 0 "), BATCHES);
    ck_assert_int_eq(count("payload=payload-9."), 1);
    ck_assert_int_eq(count("max_timestamp=1009"), 1);
    ck_assert_int_eq(count("base_offset=18 count=2"), 1);
    ck_assert_ptr_nonnull(strstr(lines, "\nend 0 "));
    ck_assert_int_eq(count("records=10 bytes=20000 damaged=0\n"), 1);
}
END_TEST

/* A damaged payload is told; all other records are shown. */
START_TEST(damaged_payload_in_the_wal)
{
    write_and_close(0);
    flip(wal_path, find(wal_path, "payload-4.") + 100);
    ck_assert_int_eq(inspect_wal(), WEIR_ECORRUPT);
    ck_assert_int_eq(err.code, WEIR_ECORRUPT);
    ck_assert_int_eq(count("\nrecord 0 "), BATCHES - 1);
    ck_assert_int_eq(count("\nrecord -12 "), 1);
    ck_assert_int_eq(count("damaged=1\n"), 1);
}
END_TEST

/* A damaged header is told, and what lies behind it is shown. */
START_TEST(damaged_header_in_the_wal)
{
    write_and_close(0);
    flip(wal_path, find(wal_path, "payload-4.") - 40);
    ck_assert_int_eq(inspect_wal(), WEIR_ECORRUPT);
    ck_assert_int_eq(count("\ndamage -12 "), 1);
    ck_assert_int_eq(count("\nrecord 0 "), BATCHES - 1);
    ck_assert_int_eq(count("payload-5."), 1);
    ck_assert_int_eq(count("\nend 0 "), 1);
}
END_TEST

/* Logs that cannot be looked into: each its own error. */
START_TEST(wal_that_cannot_be_read)
{
    struct weir *node = open_node();

    ck_assert_int_eq(inspect_wal(), WEIR_EBUSY);
    weir_free(node);
    set_uri("wal", "file", wal_path, "-not-there?size=4MiB");
    ck_assert_int_eq(inspect_wal(), WEIR_ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "not-there"));
    set_uri("wal", "file", test_dir(), "?size=4MiB");
    ck_assert_int_eq(inspect_wal(), WEIR_EISDIR);
    set("wal", "mem:");
    ck_assert_int_eq(inspect_wal(), WEIR_EUNSUPPORTED);
    ck_assert_int_eq(items, 0);
}
END_TEST

/* ---- Object -------------------------------------------------------------- */

static char key[WEIR__KEY_SIZE];
static char object_path[400];

/* A node has uploaded one object: its key and where it is. */
static void make_object(void)
{
    write_and_close(1);
    object_key(key);
    snprintf(object_path, sizeof(object_path), "%s/%s", store_path, key);
}

START_TEST(object_shows_every_batch)
{
    make_object();
    ck_assert_int_eq(inspect_object(key), 0);
    ck_assert_int_eq(strncmp(lines, "footer 0 object_kind=stream", 27), 0);
    ck_assert_int_eq(count("\nindex 0 "), 1);
    ck_assert_int_eq(count("\nblock 0 "), 1);
    ck_assert_int_eq(count("codec=lz4"), 1);
    ck_assert_int_eq(count("\nbatch 0 "), BATCHES);
    ck_assert_int_eq(count("payload=payload-9."), 1);
}
END_TEST

/* Without a footer, or an index, the blocks are found all the same. */
START_TEST(object_without_its_end_shows_blocks)
{
    make_object();
    flip(object_path, _i == 0 ? -50 : -180);
    ck_assert_int_eq(inspect_object(key), WEIR_ECORRUPT);
    ck_assert_int_eq(count(_i == 0 ? "footer -12 " : "index -12 "), 1);
    ck_assert_int_eq(count("\nblock 0 "), 1);
    ck_assert_int_eq(count("\nbatch 0 "), BATCHES);
    ck_assert_int_eq(count("\nblock -12"), 0);
}
END_TEST

START_TEST(damaged_block_is_told)
{
    make_object();
    flip(object_path, _i == 0 ? 20 : 120);
    ck_assert_int_eq(inspect_object(key), WEIR_ECORRUPT);
    ck_assert_int_eq(count("\nblock -12 position=0"), 1);
    ck_assert_int_eq(count("\nbatch"), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "block"));
}
END_TEST

/* Garbage, nothing, and what is not there. */
START_TEST(object_that_is_none)
{
    FILE *file;

    make_object();
    file = fopen(object_path, "wb");
    ck_assert_ptr_nonnull(file);
    if (_i == 1)
        for (int i = 0; i < 1000; i++)
            fputc(i * 7, file);
    fclose(file);
    ck_assert_int_eq(inspect_object(key), WEIR_ECORRUPT);
    ck_assert_int_eq(strncmp(lines, "footer -12", 10), 0);
    ck_assert_int_eq(inspect_object("data/00/none"), WEIR_ENOENT);
    ck_assert_int_eq(inspect_object("../x"), WEIR_EINVAL);
    ck_assert_int_eq(inspect_object(NULL), WEIR_EINVAL);
}
END_TEST

/* ---- Manifest ------------------------------------------------------------ */

START_TEST(manifest_shows_every_operation)
{
    write_and_close(1);
    ck_assert_int_eq(inspect_manifest(), 0);
    ck_assert_int_ge(count("commit 0 version="), 3);
    ck_assert_int_ge(count(" carried_bytes=0 "), 3);
    ck_assert_int_eq(count("\ncluster 0 "), 1);
    ck_assert_int_ge(count("\nnode_open 0 node_id=1"), 1);
    ck_assert_int_eq(count("\nstream_create 0 name=s\n"), 1);
    ck_assert_int_eq(count("\nstream_open 0 "), 1);
    ck_assert_int_ge(count("\nobject_reserve 0 "), 1);
    ck_assert_int_eq(count("\nobject_add 0 "), 1);
    ck_assert_int_eq(count("base_offset=0 end_offset=20 "), 1);
    ck_assert_int_eq(count("\nkv_put 0 key=k expected=any removes=no"), 1);
}
END_TEST

static void commit_again(struct weir *node)
{
    struct weir_kv_put put = {
        .key = "again", .value = "", .len = 0, .expected = WEIR_KV_ANY};

    ck_assert_int_eq(weir_kv_put_sync(node, &put), 0);
}

/* With a snapshot: what is in it comes first.  It is put beside the commits,
 * and after a later one if the one before it was under way: so commit until
 * one of after the upload is there. */
START_TEST(manifest_shows_the_snapshot)
{
    struct weir *node;

    set("snapshot_commits", "1");
    node = open_node();
    write_some(node, 1);
    do {
        commit_again(node);
        ck_assert_int_eq(inspect_manifest(), 0);
    } while (count("\nobject 0 ") == 0);
    weir_free(node);
    ck_assert_int_eq(strncmp(lines, "snapshot 0 version=", 19), 0);
    ck_assert_int_eq(count("\nnode 0 node_id=1"), 1);
    ck_assert_int_eq(count("\nobject 0 object_id=1 "), 1);
    ck_assert_int_eq(count("\nstream 0 stream_id=1 name=s "), 1);
    ck_assert_int_eq(count("\nextent 0 stream_id=1 base_offset=0 "), 1);
    ck_assert_int_eq(count("\nkey 0 key=k version=1 length=3 value=abc"), 1);
}
END_TEST

/* Have a snapshot of this version of the format in the manifest. */
static void put_snapshot(int format)
{
    char path[400];
    unsigned char *data;
    size_t len;
    FILE *file;

    snprintf(path, sizeof(path), "tests/golden/manifest-snapshot-v%d.bin",
             format);
    data = read_file(path, &len);
    snprintf(path, sizeof(path), "%s/manifest/snap/0000000000000002",
             store_path);
    file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    fclose(file);
    free(data);
}

/* What a former owner owes, and what follows. */
START_TEST(manifest_shows_a_snapshot_of_each_version)
{
    static const char *const debts[] = {
        "\ndebt 0 stream_id=2 end_offset=20 node_id=7 first_epoch=0 epoch=1\n",
        "\ndebt 0 stream_id=2 end_offset=20 node_id=7 first_epoch=1 epoch=1\n"};
    char path[400];

    snprintf(path, sizeof(path), "%s/manifest/snap", store_path);
    weir_free(open_node());
    ck_assert(mkdir(path, 0777) == 0 || errno == EEXIST);
    put_snapshot(_i);
    ck_assert_int_eq(inspect_manifest(), 0);
    ck_assert_int_eq(strncmp(lines, "snapshot 0 version=2 ", 21), 0);
    ck_assert_int_eq(count(" owner=9 first_epoch=3 "), _i == 2);
    ck_assert_int_eq(count(debts[_i - 1]), 1);
    ck_assert_int_eq(count("\ndead 0 object_id=12 "), 1);
    ck_assert_int_eq(count("\nkey 0 key=broker/7 version=2 length=4 "), 1);
}
END_TEST

/* A damaged commit is told; the others are shown. */
START_TEST(damaged_commit_is_told)
{
    char path[400];
    int commits;

    write_and_close(1);
    ck_assert_int_eq(inspect_manifest(), 0);
    commits = count("commit 0 version=");
    snprintf(path, sizeof(path), "%s/manifest/log/0000000000000002",
             store_path);
    flip(path, 60);
    ck_assert_int_eq(inspect_manifest(), WEIR_ECORRUPT);
    ck_assert_int_eq(count("\ncommit -12 version=2 "), 1);
    ck_assert_int_eq(count("commit 0 version="), commits - 1);
}
END_TEST

START_TEST(no_manifest_is_told)
{
    ck_assert_int_eq(inspect_manifest(), WEIR_ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, store_path));
}
END_TEST

/* ---- All of them --------------------------------------------------------- */

/* What the callback returns ends the walk and is returned. */
START_TEST(callback_ends_the_walk)
{
    make_object();
    for (stop_after = 1; stop_after < 4; stop_after++) {
        ck_assert_int_eq(inspect_object(key), 4711);
        ck_assert_int_eq(items, stop_after);
        ck_assert_int_eq(inspect_manifest(), 4711);
        ck_assert_int_eq(items, stop_after);
    }
    stop_after = 1;
    ck_assert_int_eq(inspect_wal(), 4711);
    ck_assert_int_eq(items, 1);
    stop_after = 0;
}
END_TEST

/* Whichever allocation fails, the walk ends with WEIR_ENOMEM and gives all
 * back, or is complete. */
START_TEST(any_allocation_may_fail)
{
    struct weir_config *kept = config;
    struct test_alloc alloc;
    long n, calls = 1, failed = 0;
    int rc;

    make_object();
    for (n = 1; calls >= n - 1; n++) {
        test_alloc_init(&alloc);
        ck_assert_int_eq(weir_config_new(&config, &alloc.alloc), 0);
        set_uri("store", "dir", store_path, "");
        set_uri("wal", "file", wal_path, "");
        calls = alloc.calls;
        test_alloc_fail(&alloc, n, 0);
        rc = _i == 0   ? inspect_wal()
             : _i == 1 ? inspect_object(key)
                       : inspect_manifest();
        calls = alloc.calls - calls;
        ck_assert(rc == 0 || rc == WEIR_ENOMEM);
        ck_assert_int_eq(err.code, rc);
        failed += rc != 0;
        weir_config_free(config);
        test_alloc_check(&alloc);
    }
    config = kept;
    ck_assert_int_gt(failed, 5);
}
END_TEST

START_TEST(missing_arguments_are_refused)
{
    ck_assert_int_eq(weir_inspect_wal(NULL, take, NULL, NULL), WEIR_EINVAL);
    ck_assert_int_eq(weir_inspect_object(config, "a", NULL, NULL, NULL),
                     WEIR_EINVAL);
    ck_assert_int_eq(weir_inspect_manifest(NULL, NULL, NULL, NULL),
                     WEIR_EINVAL);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("inspect");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, wal_shows_every_batch);
    tcase_add_test(tc, damaged_payload_in_the_wal);
    tcase_add_test(tc, damaged_header_in_the_wal);
    tcase_add_test(tc, wal_that_cannot_be_read);
    tcase_add_test(tc, object_shows_every_batch);
    tcase_add_loop_test(tc, object_without_its_end_shows_blocks, 0, 2);
    tcase_add_loop_test(tc, damaged_block_is_told, 0, 2);
    tcase_add_loop_test(tc, object_that_is_none, 0, 2);
    tcase_add_test(tc, manifest_shows_every_operation);
    tcase_add_test(tc, manifest_shows_the_snapshot);
    tcase_add_loop_test(tc, manifest_shows_a_snapshot_of_each_version, 1, 3);
    tcase_add_test(tc, damaged_commit_is_told);
    tcase_add_test(tc, no_manifest_is_told);
    tcase_add_test(tc, callback_ends_the_walk);
    tcase_add_loop_test(tc, any_allocation_may_fail, 0, 3);
    tcase_add_test(tc, missing_arguments_are_refused);
    return test_run();
}
