/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Random commits on the manifest's state and on the model of it, which must
 * agree; and on from snapshots.
 */
#include "support/host.h"
#include "support/manifest_rig.h"
#include "support/state_model.h"
#include "support/test.h"

#include "manifest/state_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 10, OPS = 6, COMMITS = 1800 };

static unsigned long long dice;

static unsigned roll(unsigned n)
{
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(dice >> 33) % n;
}

static struct state_model model;

/* ---- Random operations -----------------------------------------------------
 */

static char names[NAMES][8];
static char keys[MODEL_KEYS][8];

/* A stream id, now and then of one that is gone or never was. */
static uint64_t any_stream(void)
{
    uint64_t id = state_model_named(&model, (int)roll(NAMES));

    return id != 0 && roll(20) != 0 ? id
                                    : roll((unsigned)model.stream_count + 2);
}

/* One that `node` has reserved, as a rule. */
static uint64_t any_object(unsigned node)
{
    if (model.object_count == 0)
        return 1;
    for (int tries = 0; tries < 20; tries++) {
        uint64_t id = 1 + roll((unsigned)model.object_count);

        if (model.fates[id] == MODEL_RESERVED && model.reserver[id] == node)
            return id;
    }
    return 1 + roll((unsigned)model.object_count);
}

static void any_range(struct weir__range *range)
{
    const struct model_stream *s;
    uint64_t near;

    memset(range, 0, sizeof(*range));
    range->stream_id = any_stream();
    s = state_model_there(&model, range->stream_id);
    near = s == NULL ? 0 : s->end;
    if (s != NULL && s->start > s->end && roll(2) == 0)
        near += roll((unsigned)(s->start - s->end) + 2);
    else if (roll(8) == 0)
        near += roll(3);
    range->stream_epoch = s == NULL ? 1 : s->epoch - (roll(15) == 0);
    range->base = near;
    range->end = near + roll(20) + (roll(30) != 0);
    if (s != NULL && s->debt_count > 0 && roll(3) != 0) {
        range->stream_epoch = s->debts[0].epoch;
        if (roll(2) == 0)
            range->end = s->debts[0].end;
    }
    range->bytes = 1 + roll(1000);
    range->max_timestamp = (int64_t)roll(1000);
}

static int by_stream(const void *a, const void *b)
{
    const struct weir__range *x = a;
    const struct weir__range *y = b;

    return (x->stream_id > y->stream_id) - (x->stream_id < y->stream_id);
}

static struct weir__range ranges[OPS][3];
static uint64_t removed[OPS][20];

static void any_add(int slot, unsigned node, struct weir__op *op)
{
    size_t count = roll(4);

    for (size_t i = 0; i < count; i++)
        any_range(&ranges[slot][i]);
    qsort(ranges[slot], count, sizeof(ranges[slot][0]), by_stream);
    *op = op_add(any_object(node), ranges[slot], count);
    op->u.object_add.size = 1 + roll(5000);
}

static struct weir__hand hands[OPS][3];

static void any_hand(int slot, struct weir__op *op)
{
    size_t count = 0;

    for (uint64_t id = 1; id <= model.stream_count + 1 && count < 3; id++) {
        const struct model_stream *s = state_model_there(&model, id);

        if ((s == NULL && roll(500) != 0) || roll(4) != 0)
            continue;
        hands[slot][count++] = (struct weir__hand){
            .stream_id = id,
            .stream_epoch = s == NULL ? 1 : s->epoch - (roll(15) == 0),
            .end = s == NULL ? 7 : state_model_next(s) + roll(25)};
    }
    *op = (struct weir__op){.kind = WEIR__OP_STREAM_HAND};
    op->u.stream_hand.node_id = roll(MODEL_NODES + 1);
    op->u.stream_hand.hands = hands[slot];
    op->u.stream_hand.count = count;
}

static void any_removed(int slot, struct weir__op *op)
{
    size_t count = 0;

    for (uint64_t id = 1; id <= model.object_count && count < 20; id++)
        if (model.fates[id] != MODEL_GONE && roll(3) == 0)
            removed[slot][count++] = id;
    *op = (struct weir__op){.kind = WEIR__OP_OBJECT_REMOVED};
    op->u.object_removed.ids = removed[slot];
    op->u.object_removed.count = count;
}

static void any_put(struct weir__op *op)
{
    static const char *const values[] = {"a", "b", "c", NULL};
    int key = (int)roll(MODEL_KEYS);
    uint64_t expected[] = {WEIR_KV_ANY, WEIR_KV_ABSENT, model.key_version[key],
                           1 + roll(50)};

    *op = op_put(keys[key], values[roll(4)], expected[roll(4)]);
}

/* With a log in memory, or one of two that last. */
static struct weir__op any_open(unsigned node)
{
    struct weir__op op = op_node_open(node);

    op.u.node_open.wal_id = roll(2) == 0 ? 0 : 1 + roll(2);
    return op;
}

static void any_op(int slot, unsigned node, struct weir__op *op)
{
    const struct model_stream *s;
    uint64_t id;

    switch (roll(13)) {
    case 0:
        *op = any_open(1 + roll(MODEL_NODES));
        if (roll(2) == 0) /* The next epoch, or one that was or will be. */
            op->u.node_open.next =
                model.epochs[op->u.node_open.node_id] + roll(3);
        if (roll(4) != 0) /* Seldom: what is reserved must live a while. */
            *op = op_reserve(1 + roll(5));
        break;
    case 1:
        *op = op_create(names[roll(NAMES)]);
        break;
    case 2:
        *op = roll(12) == 0 ? op_delete(any_stream()) : op_open(any_stream());
        break;
    case 3:
        id = any_stream();
        s = state_model_there(&model, id);
        *op = op_trim(id, s == NULL ? 1 : s->epoch,
                      s == NULL ? 5 : s->start + roll(30));
        break;
    case 4:
        *op = op_reserve(1 + roll(5));
        break;
    case 5:
        any_removed(slot, op);
        break;
    case 6:
    case 7:
        any_put(op);
        break;
    case 8:
        any_hand(slot, op);
        break;
    default:
        any_add(slot, node, op);
        break;
    }
}

/* ---- The state beside it ----------------------------------------------------
 */

static struct test_alloc heap;
static struct weir__state *state;

static uint64_t most_live; /* Objects at one time. */

/* All commits, in bytes. */
static struct weir__writer records[COMMITS];

static void same_outcome(const struct weir__op *a, const struct weir__op *b)
{
    ck_assert_int_eq(a->status, b->status);
    if (a->kind == WEIR__OP_STREAM_CREATE && a->status != WEIR_EFENCED)
        ck_assert_uint_eq(a->u.stream_create.id, b->u.stream_create.id);
    if (a->kind == WEIR__OP_KV_PUT && a->status != WEIR_EFENCED)
        ck_assert_uint_eq(a->u.kv_put.version, b->u.kv_put.version);
    if (a->status != 0)
        return;
    if (a->kind == WEIR__OP_NODE_OPEN)
        ck_assert_uint_eq(a->u.node_open.epoch, b->u.node_open.epoch);
    if (a->kind == WEIR__OP_STREAM_OPEN)
        ck_assert_uint_eq(a->u.stream_open.epoch, b->u.stream_open.epoch);
    if (a->kind == WEIR__OP_OBJECT_RESERVE)
        ck_assert_uint_eq(a->u.object_reserve.first, b->u.object_reserve.first);
}

/* Apply to the state, failing allocations now and then and going on. */
static void apply(const struct weir__record *header, struct weir__op *ops)
{
    int again;

    if (roll(3) == 0)
        test_alloc_fail(&heap, 1 + roll(6), roll(8) == 0);
    do {
        again = 0;
        ck_assert_int_eq(weir__state_begin(state, header, NULL), 0);
        for (uint32_t i = 0; i < header->op_count && !again; i++)
            again = weir__state_op(state, header, i, &ops[i]) != 0;
        heap.fail_on = 0;
    } while (again);
    heap.fail_at = 0;
    weir__state_end(state, header);
}

static void commit(int n)
{
    struct weir__op mine[OPS] = {{0}};
    struct weir__op its[OPS] = {{0}};
    struct weir__range copies[OPS][3] = {{{0}}};
    struct weir__hand given[OPS][3] = {{{0}}};
    struct weir__record header = {.version = (uint64_t)n + 1,
                                  .wall = 1000 + n,
                                  .node_id = 1 + roll(MODEL_NODES),
                                  .op_count = 1 + roll(OPS),
                                  .format = 1};

    header.node_epoch = model.epochs[header.node_id];
    if (header.node_epoch > 1 && roll(20) == 0)
        header.node_epoch--;
    weir__record_begin(&records[n]);
    for (uint32_t i = 0; i < header.op_count; i++) {
        any_op((int)i, header.node_id, &mine[i]);
        if (header.node_epoch == 0) /* Nothing comes before that. */
            mine[i] = any_open(header.node_id);
        ck_assert_int_eq(weir__record_add(&records[n], &mine[i], NULL), 0);
        if (weir__op_format(&mine[i]) > header.format)
            header.format = weir__op_format(&mine[i]);
        its[i] = mine[i];
        memcpy(copies[i], ranges[i], sizeof(copies[i]));
        memcpy(given[i], hands[i], sizeof(given[i]));
        if (mine[i].kind == WEIR__OP_OBJECT_ADD)
            its[i].u.object_add.ranges = copies[i];
        if (mine[i].kind == WEIR__OP_STREAM_HAND)
            its[i].u.stream_hand.hands = given[i];
        state_model_op(&model, header.node_id, header.node_epoch, &mine[i]);
    }
    weir__record_seal(records[n].data, records[n].len, &header);
    apply(&header, its);
    for (uint32_t i = 0; i < header.op_count; i++) {
        same_outcome(&mine[i], &its[i]);
        if (mine[i].kind == WEIR__OP_OBJECT_ADD && mine[i].status == 0)
            for (size_t r = 0; r < mine[i].u.object_add.range_count; r++)
                ck_assert_int_eq(ranges[i][r].status, copies[i][r].status);
        if (mine[i].kind == WEIR__OP_STREAM_HAND && mine[i].status == 0)
            for (size_t h = 0; h < mine[i].u.stream_hand.count; h++)
                ck_assert_int_eq(hands[i][h].status, given[i][h].status);
    }
}

static void compare_stream(uint64_t id, const struct model_stream *s)
{
    const struct weir__mstream *m = weir__state_stream(state, id);
    size_t at = 0;

    ck_assert_int_eq(m != NULL, s->there);
    if (m == NULL)
        return;
    ck_assert_str_eq(m->name, names[s->name]);
    ck_assert_ptr_eq(weir__state_stream_named(state, m->name), m);
    ck_assert_uint_eq(m->epoch, s->epoch);
    ck_assert_uint_eq(m->since, s->since);
    ck_assert_uint_eq(m->owner, s->owner);
    ck_assert_uint_eq(m->start, s->start);
    ck_assert_uint_eq(m->committed_end, s->end);
    ck_assert_uint_eq(m->debt_count, s->debt_count);
    for (size_t i = 0; i < s->debt_count; i++) {
        ck_assert_uint_eq(m->debts[i].end, s->debts[i].end);
        ck_assert_uint_eq(m->debts[i].stream_epoch, s->debts[i].epoch);
        ck_assert_uint_eq(m->debts[i].since, s->debts[i].since);
        ck_assert_uint_eq(m->debts[i].node_id, s->debts[i].node);
    }
    for (size_t i = 0; i < model.extent_count; i++) {
        if (model.extents[i].stream != id)
            continue;
        ck_assert_uint_lt(at, m->extent_count);
        ck_assert_uint_eq(m->extents[at].base, model.extents[i].base);
        ck_assert_uint_eq(m->extents[at].end, model.extents[i].end);
        ck_assert_uint_eq(m->extents[at].object_id, model.extents[i].object);
        at++;
    }
    ck_assert_uint_eq(at, m->extent_count);
}

static int is_dead(uint64_t id)
{
    size_t count;
    const struct weir__mdead *dead = weir__state_dead(state, &count);

    for (size_t i = 0; i < count; i++)
        if (dead[i].id == id)
            return 1;
    return 0;
}

static void compare(void)
{
    uint64_t live = 0;
    size_t died = 0;
    size_t count;

    for (uint64_t id = 1; id <= model.stream_count; id++)
        compare_stream(id, &model.streams[id]);
    for (uint64_t id = 1; id <= model.object_count; id++) {
        int lives = weir__state_object(state, id) != NULL;

        ck_assert_int_eq(lives, model.fates[id] == MODEL_LIVE);
        live += (uint64_t)lives;
        died += model.fates[id] == MODEL_DEAD;
        if (model.fates[id] == MODEL_DEAD)
            ck_assert(is_dead(id));
    }
    if (live > most_live)
        most_live = live;
    weir__state_dead(state, &count);
    ck_assert_uint_eq(died, count);
    ck_assert_uint_eq(weir__state_object_count(state), live);
    for (int i = 0; i < MODEL_KEYS; i++) {
        const struct weir_kv_pair *pair = weir__state_kv(state, keys[i]);

        ck_assert_int_eq(pair != NULL, model.has_key[i]);
        if (pair == NULL)
            continue;
        ck_assert_uint_eq(pair->version, model.key_version[i]);
        ck_assert_int_eq(*(const char *)pair->value, model.key_value[i]);
    }
    for (uint32_t node = 1; node <= MODEL_NODES; node++)
        ck_assert_uint_eq(weir__state_node_epoch(state, node),
                          model.epochs[node]);
}

/* Go on from a snapshot, or from nothing, with the commits as they are in
 * the log: the same state comes of it, byte for byte. */
static void replay(const struct weir__writer *snapshot, int from)
{
    struct weir__state *other;
    struct weir__writer a;
    struct weir__writer b;

    if (from == 0)
        ck_assert_int_eq(weir__state_new(&other, &heap.alloc), 0);
    else
        ck_assert_int_eq(weir__state_decode(&other, &heap.alloc, snapshot->data,
                                            snapshot->len, (uint64_t)from,
                                            NULL),
                         0);
    for (int n = from; n < COMMITS; n++) {
        struct weir__record_reader r;
        struct weir__op op;
        uint32_t index = 0;

        ck_assert_int_eq(weir__record_open(&r, &heap.alloc, records[n].data,
                                           records[n].len, (uint64_t)n + 1,
                                           NULL, NULL),
                         0);
        ck_assert_int_eq(weir__state_begin(other, &r.header, NULL), 0);
        while (weir__record_next(&r, &op) == 1)
            ck_assert_int_eq(weir__state_op(other, &r.header, index++, &op), 0);
        weir__state_end(other, &r.header);
        weir__record_close(&r);
    }
    weir__writer_init(&a, &heap.alloc);
    weir__writer_init(&b, &heap.alloc);
    ck_assert_int_eq(weir__state_encode(state, &a), 0);
    ck_assert_int_eq(weir__state_encode(other, &b), 0);
    ck_assert_uint_eq(a.len, b.len);
    ck_assert_mem_eq(a.data, b.data, a.len);
    weir__writer_free(&a);
    weir__writer_free(&b);
    weir__state_free(other);
}

START_TEST(random_commits_do_what_the_model_does)
{
    enum { SNAPSHOTS = 10 };
    struct weir__writer snapshots[SNAPSHOTS];

    dice = test_seed() + (unsigned)_i;
    test_alloc_init(&heap);
    memset(&model, 0, sizeof(model));
    most_live = 0;
    for (int i = 0; i < NAMES; i++)
        snprintf(names[i], sizeof(names[i]), "s%d", i % NAMES);
    for (int i = 0; i < MODEL_KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "k%d", i % MODEL_KEYS);
    ck_assert_int_eq(weir__state_new(&state, &heap.alloc), 0);
    for (int n = 0; n < COMMITS; n++) {
        if (n % (COMMITS / SNAPSHOTS) == 0) {
            struct weir__writer *w = &snapshots[n / (COMMITS / SNAPSHOTS)];

            weir__writer_init(w, &heap.alloc);
            ck_assert_int_eq(weir__state_encode(state, w), 0);
        }
        weir__writer_init(&records[n], weir_alloc_default());
        commit(n);
        if (n % 10 == 0)
            compare();
    }
    compare();
    /* It has seen something of everything. */
    ck_assert_uint_gt(model.stream_count, 10);
    ck_assert_uint_gt(most_live, 2);
    ck_assert_uint_gt(model.puts, 10);
    ck_assert_uint_gt(model.hands, 10);
    ck_assert_uint_gt(model.paid, 3);
    for (int i = 0; i < SNAPSHOTS; i++) {
        replay(&snapshots[i], i * (COMMITS / SNAPSHOTS));
        weir__writer_free(&snapshots[i]);
    }
    for (int n = 0; n < COMMITS; n++)
        weir__writer_free(&records[n]);
    weir__state_free(state);
    test_alloc_check(&heap);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("state and model");

    tcase_add_loop_test(tc, random_commits_do_what_the_model_does, 0, 5);
    return test_run();
}
