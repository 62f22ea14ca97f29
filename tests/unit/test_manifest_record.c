/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The bytes of manifest commits and snapshots.
 */
#include "support/host.h"
#include "support/test.h"

#include "format/manifest_record.h"
#include "manifest/state_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct weir__record golden_header = {
    .cluster = {0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9,
                0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf},
    .nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .version = 1,
    .node_epoch = 1,
    .wall = INT64_C(1700000000123),
    .node_id = 7,
    .op_count = 18,
    .format = 1,
};

/* One operation of each kind at least: what the golden commit holds. */
static size_t golden_ops(struct weir__op ops[18])
{
    static struct weir__range ranges[2] = {
        {1, 1, 0, 100, 5000, INT64_C(1700000000000), 0},
        {2, 1, 0, 7, 900, INT64_MIN, 0},
    };
    static const uint64_t ids[2] = {3, 4};
    static struct weir__hand hands[1] = {{2, 1, 20, 0}};

    memset(ops, 0, 18 * sizeof(*ops));
    ops[0].kind = WEIR__OP_CLUSTER;
    memcpy(ops[0].u.cluster.id, golden_header.cluster, 16);
    ops[1].kind = WEIR__OP_NODE_OPEN;
    ops[1].u.node_open.node_id = 7;
    ops[1].u.node_open.wal_id = UINT64_C(0x1122334455667788);
    ops[1].u.node_open.lease_ms = 10000;
    ops[1].u.node_open.wal = "file:/var/lib/weir/wal";
    ops[2].kind = WEIR__OP_STREAM_CREATE;
    ops[2].u.stream_create.name = "orders";
    ops[3].kind = WEIR__OP_STREAM_CREATE;
    ops[3].u.stream_create.name = "payments/\xc3\xa9";
    ops[4].kind = WEIR__OP_STREAM_OPEN;
    ops[4].u.stream_open.id = 1;
    ops[5].kind = WEIR__OP_STREAM_OPEN;
    ops[5].u.stream_open.id = 2;
    ops[6].kind = WEIR__OP_OBJECT_RESERVE;
    ops[6].u.object_reserve.count = 10;
    ops[7].kind = WEIR__OP_OBJECT_ADD;
    ops[7].u.object_add.id = 2;
    ops[7].u.object_add.kind = WEIR__OBJECT_SET;
    ops[7].u.object_add.size = 6000;
    ops[7].u.object_add.ranges = ranges;
    ops[7].u.object_add.range_count = 2;
    ops[8].kind = WEIR__OP_STREAM_TRIM;
    ops[8].u.stream_trim.id = 1;
    ops[8].u.stream_trim.epoch = 1;
    ops[8].u.stream_trim.start = 50;
    ops[9].kind = WEIR__OP_OBJECT_REMOVED;
    ops[9].u.object_removed.ids = ids;
    ops[9].u.object_removed.count = 2;
    ops[10].kind = WEIR__OP_KV_PUT;
    ops[10].u.kv_put.key = "topic/orders";
    ops[10].u.kv_put.value = "\0\1\2";
    ops[10].u.kv_put.len = 3;
    ops[10].u.kv_put.expected = WEIR_KV_ABSENT;
    ops[11].kind = WEIR__OP_KV_PUT;
    ops[11].u.kv_put.key = "gone";
    ops[11].u.kv_put.expected = WEIR_KV_ANY;
    ops[12].kind = WEIR__OP_STREAM_DELETE;
    ops[12].u.stream_delete.id = 99;
    ops[13].kind = WEIR__OP_NODE_CLEAN;
    ops[14].kind = WEIR__OP_NODE_BEAT;
    ops[15].kind = WEIR__OP_NODE_CLOSE;
    ops[16].kind = WEIR__OP_KV_PUT;
    ops[16].u.kv_put.key = "broker/7";
    ops[16].u.kv_put.value = "host";
    ops[16].u.kv_put.len = 4;
    ops[16].u.kv_put.bound = 1;
    ops[16].u.kv_put.expected = WEIR_KV_ANY;
    ops[17].kind = WEIR__OP_STREAM_HAND;
    ops[17].u.stream_hand.node_id = 9;
    ops[17].u.stream_hand.hands = hands;
    ops[17].u.stream_hand.count = 1;
    return 18;
}

static struct test_alloc heap;
static struct weir__writer bytes;

static void setup(void)
{
    test_alloc_init(&heap);
    weir__writer_init(&bytes, &heap.alloc);
}

static void teardown(void)
{
    weir__writer_free(&bytes);
    test_alloc_check(&heap);
}

static void encode(const struct weir__record *header,
                   const struct weir__op *ops, size_t count)
{
    weir__record_begin(&bytes);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(weir__record_add(&bytes, &ops[i], NULL), 0);
    weir__record_seal(bytes.data, bytes.len, header);
}

/* The same; in version 2 the node tells which epoch it must get. */
static size_t ops_of(uint16_t format, struct weir__op ops[18])
{
    size_t count = golden_ops(ops);

    ops[1].u.node_open.next = format == 2 ? 1 : 0;
    return count;
}

static void encode_golden(uint16_t format)
{
    struct weir__record header = golden_header;
    struct weir__op ops[18];

    header.format = format;
    encode(&header, ops, ops_of(format, ops));
}

static void apply(struct weir__state *state, const struct weir__record *header,
                  struct weir__op *ops)
{
    ck_assert_int_eq(weir__state_begin(state, header, NULL), 0);
    for (uint32_t i = 0; i < header->op_count; i++)
        ck_assert_int_eq(weir__state_op(state, header, i, &ops[i]), 0);
    weir__state_end(state, header);
}

/* The state behind the golden commit, and one that adds what that has not:
 * a dead object. */
static struct weir__state *golden_state(void)
{
    struct weir__state *state;
    struct weir__op ops[18];
    struct weir__record header = golden_header;

    ck_assert_int_eq(weir__state_new(&state, &heap.alloc), 0);
    golden_ops(ops);
    apply(state, &header, ops);
    memset(ops, 0, sizeof(ops));
    ops[0].kind = WEIR__OP_NODE_OPEN;
    ops[0].u.node_open.node_id = 9;
    ops[0].u.node_open.wal_id = 90;
    ops[1].kind = WEIR__OP_OBJECT_RESERVE;
    ops[1].u.object_reserve.count = 3;
    ops[2].kind = WEIR__OP_OBJECT_ADD;
    ops[2].u.object_add.id = 12;
    ops[2].u.object_add.kind = WEIR__OBJECT_STREAM;
    header.version = 2;
    header.node_id = 9;
    header.op_count = 3;
    apply(state, &header, ops);
    ck_assert_uint_eq(state->objects.count, 1);
    ck_assert_uint_eq(state->dead_count, 1);
    return state;
}

static int next_is(struct weir__record_reader *r, const struct weir__op *want)
{
    struct weir__writer a;
    struct weir__writer b;
    struct weir__op op;
    int same;

    if (weir__record_next(r, &op) != 1)
        return 0;
    weir__writer_init(&a, &heap.alloc);
    weir__writer_init(&b, &heap.alloc);
    ck_assert_int_eq(weir__record_add(&a, &op, NULL), 0);
    ck_assert_int_eq(weir__record_add(&b, want, NULL), 0);
    same = a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
    weir__writer_free(&a);
    weir__writer_free(&b);
    return same;
}

START_TEST(a_commit_is_read_as_it_was_written)
{
    struct weir__record_reader r;
    struct weir__op ops[18];
    struct weir__op op;

    encode_golden((uint16_t)_i);
    ops_of((uint16_t)_i, ops);
    ck_assert_int_eq(weir__record_open(&r, &heap.alloc, bytes.data, bytes.len,
                                       1, golden_header.cluster, NULL),
                     0);
    ck_assert_mem_eq(r.header.cluster, golden_header.cluster, 16);
    ck_assert_mem_eq(r.header.nonce, golden_header.nonce, 16);
    ck_assert_uint_eq(r.header.version, 1);
    ck_assert_uint_eq(r.header.node_epoch, 1);
    ck_assert_int_eq(r.header.wall, golden_header.wall);
    ck_assert_uint_eq(r.header.node_id, 7);
    ck_assert_uint_eq(r.header.format, (unsigned)_i);
    for (int i = 0; i < 18; i++)
        ck_assert_msg(next_is(&r, &ops[i]), "operation %d", i);
    ck_assert_int_eq(weir__record_next(&r, &op), 0);
    weir__record_close(&r);
}
END_TEST

/* An empty value is a value; NULL removes. */
START_TEST(an_empty_value_is_not_a_removal)
{
    struct weir__record_reader r;
    struct weir__record header = {.version = 1, .op_count = 1, .format = 1};
    struct weir__op op = {.kind = WEIR__OP_KV_PUT};

    op.u.kv_put.key = "k";
    op.u.kv_put.value = "";
    encode(&header, &op, 1);
    ck_assert_int_eq(weir__record_open(&r, &heap.alloc, bytes.data, bytes.len,
                                       1, NULL, NULL),
                     0);
    ck_assert_int_eq(weir__record_next(&r, &op), 1);
    ck_assert_ptr_nonnull(op.u.kv_put.value);
    ck_assert_uint_eq(op.u.kv_put.len, 0);
    weir__record_close(&r);
}
END_TEST

static int open_record(const void *data, size_t len, uint64_t version,
                       const unsigned char *cluster, struct weir_error *err)
{
    struct weir__record_reader r;
    int rc =
        weir__record_open(&r, &heap.alloc, data, len, version, cluster, err);

    if (rc == 0)
        weir__record_close(&r);
    return rc;
}

/* Whatever byte is wrong or missing. */
START_TEST(every_flipped_bit_and_every_cut_of_a_commit_is_seen)
{
    encode_golden((uint16_t)_i);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char *cut;

        for (int bit = 0; bit < 8; bit++) {
            bytes.data[i] ^= (unsigned char)(1 << bit);
            ck_assert_int_eq(open_record(bytes.data, bytes.len, 1, NULL, NULL),
                             WEIR_ECORRUPT);
            bytes.data[i] ^= (unsigned char)(1 << bit);
        }
        /* Memory of its own, so that a read beyond the end is noticed. */
        cut = malloc(i + 1);
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes.data, i);
        ck_assert_int_eq(open_record(cut, i, 1, NULL, NULL), WEIR_ECORRUPT);
        free(cut);
    }
    ck_assert_int_eq(open_record(bytes.data, bytes.len, 1, NULL, NULL), 0);
}
END_TEST

/* Each byte set to what may hurt, with the checksum made right again: an
 * error or other operations, never a read beyond the end. */
START_TEST(a_malformed_commit_with_a_right_checksum_does_no_harm)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    unsigned char *copy;

    encode_golden((uint16_t)_i);
    copy = malloc(bytes.len);
    ck_assert_ptr_nonnull(copy);
    for (size_t i = 24; i < bytes.len; i++) {
        for (size_t v = 0; v < sizeof(values); v++) {
            struct weir__record_reader r;
            struct weir__op op;
            int rc;

            memcpy(copy, bytes.data, bytes.len);
            copy[i] = values[v];
            weir__manifest_seal(copy, bytes.len);
            rc = weir__record_open(&r, &heap.alloc, copy, bytes.len, 1, NULL,
                                   NULL);
            if (rc != 0) {
                ck_assert_int_eq(rc, WEIR_ECORRUPT);
                continue;
            }
            while (weir__record_next(&r, &op) == 1)
                ;
            ck_assert_uint_eq(r.left, 0);
            weir__record_close(&r);
        }
    }
    free(copy);
}
END_TEST

START_TEST(a_commit_of_elsewhere_is_told_apart)
{
    struct weir_error err = {0};
    unsigned char other[16] = {1};

    encode_golden(1);
    ck_assert_int_eq(open_record(bytes.data, bytes.len, 1, other, &err),
                     WEIR_EFOREIGN);
    ck_assert_int_eq(open_record(bytes.data, bytes.len, 2, NULL, &err),
                     WEIR_ECORRUPT);
    ck_assert_str_eq(err.text, "manifest commit 2: holds commit 1");
    ck_assert_int_eq(open_record(NULL, 0, 5, NULL, &err), WEIR_ECORRUPT);
    ck_assert_str_eq(err.text, "manifest commit 5: 0 bytes, cut short");
    bytes.data[4] = WEIR__COMMIT_VERSION + 1;
    weir__manifest_seal(bytes.data, bytes.len);
    ck_assert_int_eq(open_record(bytes.data, bytes.len, 1, NULL, &err),
                     WEIR_EVERSION);
    ck_assert_str_eq(err.text,
                     "manifest commit 1: format 4, this library knows 3");
}
END_TEST

/* A reader of version 1 would not know what it means. */
START_TEST(a_commit_of_version_1_has_nothing_of_version_2)
{
    struct weir_error err = {0};

    encode_golden(2);
    ck_assert_int_eq(open_record(bytes.data, bytes.len, 1, NULL, NULL), 0);
    bytes.data[4] = 1;
    weir__manifest_seal(bytes.data, bytes.len);
    ck_assert_int_eq(open_record(bytes.data, bytes.len, 1, NULL, &err),
                     WEIR_ECORRUPT);
    ck_assert_str_eq(err.text, "manifest commit 1: malformed operation");
}
END_TEST

/* What cannot be written is refused, and the record goes on without it. */
START_TEST(operations_that_cannot_be_are_refused)
{
    static char name[WEIR_KV_KEY_MAX + 2];
    static const char value[WEIR_KV_VALUE_MAX + 1];
    struct weir__op op = {.kind = WEIR__OP_STREAM_CREATE};
    size_t len;

    weir__record_begin(&bytes);
    len = bytes.len;
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_EINVAL);
    op.u.stream_create.name = "";
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_EINVAL);
    memset(name, 'n', sizeof(name) - 1);
    op.u.stream_create.name = name;
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_ETOOBIG);
    op = (struct weir__op){.kind = WEIR__OP_KV_PUT};
    op.u.kv_put.key = name;
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_ETOOBIG);
    op.u.kv_put.key = "k";
    op.u.kv_put.value = value;
    op.u.kv_put.len = sizeof(value);
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_ETOOBIG);
    op = (struct weir__op){.kind = WEIR__OP_OBJECT_RESERVE};
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_EINVAL);
    op.u.object_reserve.count = WEIR__RESERVE_MAX + 1;
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_EINVAL);
    op = (struct weir__op){.kind = WEIR__OP_OBJECT_ADD};
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_EINVAL);
    op = (struct weir__op){.kind = WEIR__OP_OBJECT_REMOVED};
    op.u.object_removed.count = SIZE_MAX;
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_ETOOBIG);
    op = (struct weir__op){.kind = (enum weir__op_kind)99};
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), WEIR_EINVAL);
    ck_assert_uint_eq(bytes.len, len);
    name[WEIR_KV_KEY_MAX] = 0;
    op = (struct weir__op){.kind = WEIR__OP_STREAM_CREATE};
    op.u.stream_create.name = name;
    ck_assert_int_eq(weir__record_add(&bytes, &op, NULL), 0);
}
END_TEST

/* ---- Snapshots ---------------------------------------------------------- */

static void encode_snapshot(void)
{
    struct weir__state *state = golden_state();

    ck_assert_int_eq(weir__state_encode(state, &bytes), 0);
    weir__state_free(state);
}

/* The golden one of version 1, which nothing writes any more. */
static void read_snapshot_1(void)
{
    unsigned char data[4096];
    FILE *file = fopen("tests/golden/manifest-snapshot-v1.bin", "rb");

    ck_assert_ptr_nonnull(file);
    weir__write_bytes(&bytes, data, fread(data, 1, sizeof(data), file));
    fclose(file);
}

static void snapshot_of(int format)
{
    if (format == 1)
        read_snapshot_1();
    else
        encode_snapshot();
    ck_assert_uint_eq(bytes.data[4], (unsigned)format);
}

static int open_snapshot(const void *data, size_t len, uint64_t version,
                         struct weir_error *err)
{
    struct weir__state *state;
    int rc = weir__state_decode(&state, &heap.alloc, data, len, version, err);

    ck_assert((rc == 0) == (state != NULL));
    weir__state_free(state);
    return rc;
}

START_TEST(every_flipped_bit_and_every_cut_of_a_snapshot_is_seen)
{
    snapshot_of(_i);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char *cut;

        for (int bit = 0; bit < 8; bit++) {
            bytes.data[i] ^= (unsigned char)(1 << bit);
            ck_assert_int_eq(open_snapshot(bytes.data, bytes.len, 2, NULL),
                             WEIR_ECORRUPT);
            bytes.data[i] ^= (unsigned char)(1 << bit);
        }
        cut = malloc(i + 1);
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes.data, i);
        ck_assert_int_eq(open_snapshot(cut, i, 2, NULL), WEIR_ECORRUPT);
        free(cut);
    }
    ck_assert_int_eq(open_snapshot(bytes.data, bytes.len, 2, NULL), 0);
}
END_TEST

START_TEST(a_malformed_snapshot_with_a_right_checksum_does_no_harm)
{
    static const unsigned char values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
    unsigned char *copy;

    snapshot_of(_i);
    copy = malloc(bytes.len);
    ck_assert_ptr_nonnull(copy);
    for (size_t i = 24; i < bytes.len; i++) {
        for (size_t v = 0; v < sizeof(values); v++) {
            int rc;

            memcpy(copy, bytes.data, bytes.len);
            copy[i] = values[v];
            weir__manifest_seal(copy, bytes.len);
            rc = open_snapshot(copy, bytes.len, 2, NULL);
            ck_assert(rc == 0 || rc == WEIR_ECORRUPT);
        }
    }
    free(copy);
}
END_TEST

/* Where stream 2 tells of its first epoch, and its only debt of that. */
static void find_since(size_t at[2])
{
    static const char name[] = "payments/\xc3\xa9";

    at[0] = 0;
    while (memcmp(bytes.data + at[0], name, sizeof(name)) != 0)
        at[0]++;
    at[1] = at[0] + sizeof(name) + 40 + 24;
    at[0] -= 8;
}

/* 0: the next epoch is the first of an owner that has another log.  1: who owes
 * has no first epoch behind its last one. */
START_TEST(a_first_epoch_behind_the_last_is_malformed)
{
    static const uint64_t last[2] = {3, 1};
    size_t at[2];

    encode_snapshot();
    find_since(at);
    ck_assert_uint_eq(weir__get64(bytes.data + at[_i]), last[_i]);
    weir__put64(bytes.data + at[_i], last[_i] + 1);
    weir__manifest_seal(bytes.data, bytes.len);
    ck_assert_int_eq(open_snapshot(bytes.data, bytes.len, 2, NULL),
                     WEIR_ECORRUPT);
    weir__put64(bytes.data + at[_i], last[_i]);
    weir__manifest_seal(bytes.data, bytes.len);
    ck_assert_int_eq(open_snapshot(bytes.data, bytes.len, 2, NULL), 0);
}
END_TEST

START_TEST(a_snapshot_of_a_newer_format_is_told_apart)
{
    struct weir_error err = {0};

    encode_snapshot();
    bytes.data[4] = WEIR__SNAPSHOT_VERSION + 1;
    weir__manifest_seal(bytes.data, bytes.len);
    ck_assert_int_eq(open_snapshot(bytes.data, bytes.len, 2, &err),
                     WEIR_EVERSION);
    ck_assert_ptr_nonnull(strstr(err.text, "snapshot 2: format 3"));
}
END_TEST

START_TEST(a_snapshot_survives_each_failed_allocation)
{
    long calls = heap.calls;

    snapshot_of(_i);
    ck_assert_int_eq(open_snapshot(bytes.data, bytes.len, 2, NULL), 0);
    calls = heap.calls - calls;
    for (long n = 1; n < calls; n++) {
        int rc;

        test_alloc_fail(&heap, n, 0);
        rc = open_snapshot(bytes.data, bytes.len, 2, NULL);
        ck_assert(rc == WEIR_ENOMEM || rc == 0);
    }
}
END_TEST

/* ---- Golden files: what each version of the format is, for ever ---------- */

static void compare(const char *path)
{
    const char *mode = getenv("WEIR_GOLDEN");
    unsigned char *data;
    FILE *file;
    size_t len;

    if (mode != NULL && strcmp(mode, "write") == 0) {
        file = fopen(path, "wb");
        ck_assert_msg(file != NULL, "cannot write %s", path);
        ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
        fclose(file);
    }
    data = malloc(bytes.len + 1);
    file = fopen(path, "rb");
    ck_assert_msg(file != NULL && data != NULL, "cannot read %s", path);
    len = fread(data, 1, bytes.len + 1, file);
    fclose(file);
    ck_assert_uint_eq(len, bytes.len);
    ck_assert_mem_eq(data, bytes.data, len);
    free(data);
}

START_TEST(a_commit_is_byte_for_byte_the_golden_one)
{
    encode_golden(1);
    compare("tests/golden/manifest-commit-v1.bin");
}
END_TEST

START_TEST(a_commit_of_version_2_is_byte_for_byte_the_golden_one)
{
    encode_golden(2);
    compare("tests/golden/manifest-commit-v2.bin");
}
END_TEST

START_TEST(a_snapshot_is_byte_for_byte_the_golden_one)
{
    encode_snapshot();
    compare("tests/golden/manifest-snapshot-v2.bin");
}
END_TEST

/* It is of the same state, but for what only the new one tells. */
START_TEST(a_snapshot_of_version_1_is_read_as_ever)
{
    struct weir__state *now = golden_state();
    const struct weir__mstream *m, *n;
    struct weir__state *then;
    uint64_t id = 0;

    read_snapshot_1();
    ck_assert_int_eq(
        weir__state_decode(&then, &heap.alloc, bytes.data, bytes.len, 2, NULL),
        0);
    while ((m = weir__state_stream_behind(now, id)) != NULL) {
        n = weir__state_stream(then, m->id);
        ck_assert_ptr_nonnull(n);
        ck_assert_str_eq(n->name, m->name);
        ck_assert_uint_eq(n->owner, m->owner);
        ck_assert_uint_eq(n->epoch, m->epoch);
        ck_assert_uint_eq(n->extent_count, m->extent_count);
        ck_assert_uint_eq(n->debt_count, m->debt_count);
        ck_assert_uint_eq(n->since,
                          m->debt_count > 0
                              ? m->debts[m->debt_count - 1].stream_epoch + 1
                              : 0);
        for (uint16_t i = 0; i < m->debt_count; i++) {
            ck_assert_uint_eq(n->debts[i].end, m->debts[i].end);
            ck_assert_uint_eq(n->debts[i].since, 0);
        }
        id = m->id;
    }
    ck_assert_uint_gt(id, 0);
    weir__state_free(then);
    weir__state_free(now);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("manifest record");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_commit_is_read_as_it_was_written, 1, 3);
    tcase_add_test(tc, an_empty_value_is_not_a_removal);
    tcase_add_loop_test(tc, every_flipped_bit_and_every_cut_of_a_commit_is_seen,
                        1, 3);
    tcase_add_loop_test(
        tc, a_malformed_commit_with_a_right_checksum_does_no_harm, 1, 3);
    tcase_add_test(tc, a_commit_of_elsewhere_is_told_apart);
    tcase_add_test(tc, a_commit_of_version_1_has_nothing_of_version_2);
    tcase_add_test(tc, operations_that_cannot_be_are_refused);
    tcase_add_loop_test(
        tc, every_flipped_bit_and_every_cut_of_a_snapshot_is_seen, 1, 3);
    tcase_add_loop_test(
        tc, a_malformed_snapshot_with_a_right_checksum_does_no_harm, 1, 3);
    tcase_add_loop_test(tc, a_first_epoch_behind_the_last_is_malformed, 0, 2);
    tcase_add_test(tc, a_snapshot_of_a_newer_format_is_told_apart);
    tcase_add_loop_test(tc, a_snapshot_survives_each_failed_allocation, 1, 3);
    tcase_add_test(tc, a_commit_is_byte_for_byte_the_golden_one);
    tcase_add_test(tc, a_commit_of_version_2_is_byte_for_byte_the_golden_one);
    tcase_add_test(tc, a_snapshot_is_byte_for_byte_the_golden_one);
    tcase_add_test(tc, a_snapshot_of_version_1_is_read_as_ever);
    return test_run();
}
