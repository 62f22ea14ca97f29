/* SPDX-License-Identifier: Apache-2.0 */
/* Readers on other nodes than the one that appends: what they see of an object
 * log, and what they are told when they cannot see it. */
#include "sim/machines.h"
#include "support/test.h"

#include "format/wal_slot.h"
#include "sim/world.h"

#include <stdio.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

/* So many nodes, with their logs in the store. */
static void start_nodes(int count, uint64_t seed)
{
    world_open(seed);
    world.wal = "object:";
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(machine_start(&world.machines[i]), 0);
}

/* The same; what they append stays in their logs. */
static void start_nodes_that_upload_nothing(int count, uint64_t seed)
{
    world.upload_interval = "1h";
    start_nodes(count, seed);
}

static struct weir_fetch fetched;

static void fetch_program(void *ctx)
{
    struct machine *m = ctx;

    m->status = weir_fetch_sync(m->readers[world.arg], &fetched);
}

/* How many batches a reader finds from `offset` on; waits for up to `wait`. */
static size_t fetch(struct machine *m, int stream, uint64_t offset,
                    uint64_t wait)
{
    size_t count;

    world.arg = stream;
    ck_assert_int_eq(machine_call(m, machine_reader), 0);
    ck_assert_int_eq(m->status, 0);
    fetched = (struct weir_fetch){.offset = offset,
                                  .max_bytes = 1 << 20,
                                  .min_bytes = wait > 0,
                                  .max_wait = (int64_t)wait};
    ck_assert_int_eq(machine_call(m, fetch_program), 0);
    count = fetched.count;
    weir_fetch_release(&fetched);
    return count;
}

/* The number in the batch at `offset`. */
static uint64_t fetch_number(struct machine *m, int stream, uint64_t offset)
{
    uint64_t number = 0;

    world.arg = stream;
    ck_assert_int_eq(machine_call(m, machine_reader), 0);
    fetched = (struct weir_fetch){.offset = offset, .max_bytes = 1};
    ck_assert_int_eq(machine_call(m, fetch_program), 0);
    ck_assert_int_eq(m->status, 0);
    ck_assert_uint_eq(fetched.count, 1);
    memcpy(&number, fetched.batches[0].data, sizeof(number));
    weir_fetch_release(&fetched);
    return number;
}

static void fetch_done(struct weir_req *req, int status)
{
    *(int *)req->ctx = status == 0 ? 1 : status;
}

/* Begin to wait, for so long, for what comes at `offset`. */
static void wait_for_more(struct weir_fetch *waiting,
                          struct weir_stream *stream, uint64_t offset,
                          int64_t wait, int *over)
{
    *over = 0;
    *waiting = (struct weir_fetch){.req = {.done = fetch_done, .ctx = over},
                                   .offset = offset,
                                   .max_bytes = 100,
                                   .min_bytes = 1,
                                   .max_wait = wait};
    ck_assert_int_eq(weir_fetch(stream, waiting), 0);
}

START_TEST(a_reader_on_another_node_sees_the_tail_of_an_object_log)
{
    struct weir_fetch waiting;
    int over;

    start_nodes_that_upload_nothing(2, test_seed());
    ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
    for (uint64_t i = 0; i < 5; i++)
        machine_append(&world.machines[0], 0, i);
    world_run(SECOND);
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 0, 0), 5);
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 3, 0), 2);
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 5, 0), 0);
    ck_assert_int_eq(world.machines[1].status, 0);
    wait_for_more(&waiting, world.machines[1].readers[0], 5,
                  (int64_t)(60 * SECOND), &over);
    world_run(20 * SECOND);
    ck_assert_int_eq(over, 0);
    machine_append(&world.machines[0], 0, 5);
    world_run(SECOND);
    ck_assert_int_eq(over, 1);
    ck_assert_uint_eq(waiting.count, 1);
    ck_assert_uint_eq(waiting.batches[0].base_offset, 5);
    weir_fetch_release(&waiting);
    world_close();
}
END_TEST

/* What the successor appends is read before and while the part that is owed
 * between the two is brought into objects. */
START_TEST(who_has_handed_over_sees_what_its_successor_appends)
{
    start_nodes(2, test_seed());
    for (uint64_t i = 0; i < 200; i++) {
        int node = (int)(i % 2);
        struct appended *a;

        ck_assert_int_eq(machine_open_stream(&world.machines[node], 0), 0);
        machine_append_now(&world.machines[node], 0, 2 * i);
        ck_assert_int_eq(machine_hand_over(&world.machines[node], 0), 0);
        ck_assert_int_eq(machine_open_stream(&world.machines[1 - node], 0), 0);
        a = machine_append_now(&world.machines[1 - node], 0, 2 * i + 1);
        world_run(weir_sim_below(world.sim, 30 * MS));
        ck_assert_uint_eq(
            fetch(&world.machines[node], 0, a->req.base_offset, 0), 1);
        ck_assert_int_eq(machine_hand_over(&world.machines[1 - node], 0), 0);
    }
    world_close();
}
END_TEST

/* What is behind is in another's log alone, which cannot be read: a reader must
 * not be told that there is no more. */
static void read_when_cut_off(int handed)
{
    start_nodes(2, test_seed());
    ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
    machine_append_now(&world.machines[0], 0, 1);
    world_run(20 * SECOND); /* It is uploaded. */
    machine_append_now(&world.machines[0], 0, 2);
    if (handed)
        ck_assert_int_eq(machine_hand_over(&world.machines[0], 0), 0);
    weir_sim_pause(world.machines[0].sim);
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 0, 0), 1);
    weir_sim_cut(world.machines[1].sim, WEIR_SIM_CUT_HANGS);
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 1, 0), 0);
    ck_assert_int_eq(world.machines[1].status, WEIR_ETIMEDOUT);
    /* One that waits is told that nothing came in that time. */
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 1, SECOND), 0);
    ck_assert_int_eq(world.machines[1].status, 0);
    /* Nor that an offset is above the end, which is not known. */
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 2, 0), 0);
    ck_assert_int_eq(world.machines[1].status, WEIR_ETIMEDOUT);
    ck_assert_uint_eq(fetch(&world.machines[1], 0, 2, SECOND), 0);
    ck_assert_int_eq(world.machines[1].status, 0);
    world_close();
}

START_TEST(a_reader_that_is_cut_off_is_not_told_that_there_is_no_more)
{
    read_when_cut_off(0);
    read_when_cut_off(1);
}
END_TEST

/* That another node owns the stream again, in whose log is more, is what the
 * manifest tells the reader in time, and the log, of many epochs, does not. */
START_TEST(a_log_that_is_not_read_in_time_does_not_end_a_stream)
{
    struct machine *owner = &world.machines[0];
    struct machine *reader = &world.machines[1];
    int met = 0;

    for (uint64_t i = 0; i < 10; i++) {
        start_nodes(2, test_seed() + i);
        ck_assert_int_eq(machine_open_stream(owner, 0), 0);
        machine_append_now(owner, 0, 1);
        ck_assert_int_eq(machine_flush(owner), 0);
        ck_assert_int_eq(machine_hand_over(owner, 0), 0);
        for (int epoch = 0; epoch < 4; epoch++) {
            machine_crash(owner);
            ck_assert_int_eq(machine_start(owner), 0);
        }
        ck_assert_uint_eq(fetch(reader, 0, 0, 0), 1);
        ck_assert_int_eq(machine_open_stream(owner, 0), 0);
        machine_append_now(owner, 0, 2);
        weir_sim_faults(world.sim)->store_slow = 1000000;
        if (fetch(reader, 0, 1, 0) == 0) {
            ck_assert_int_eq(reader->status, WEIR_ETIMEDOUT);
            met = 1;
        }
        world_close();
    }
    ck_assert_int_eq(met, 1);
}
END_TEST

/* Its owner starts anew again and again, so that its log has to be read anew.
 * Of two that ask at one time neither takes the reading before for its own. */
START_TEST(a_log_that_is_being_read_anew_does_not_end_a_stream)
{
    struct machine *owner = &world.machines[0];
    struct machine *reader = &world.machines[1];

    start_nodes(2, test_seed());
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 0);
    for (uint64_t i = 1; i < 200; i++) {
        struct weir_fetch beside = {
            .req = {.done = fetch_done}, .offset = i, .max_bytes = 100};
        int over = 0;

        beside.req.ctx = &over;
        ck_assert_uint_eq(fetch(reader, 0, i - 1, 0), 1);
        machine_crash(owner);
        ck_assert_int_eq(machine_start(owner), 0);
        ck_assert_int_eq(machine_open_stream(owner, 0), 0);
        ck_assert_int_eq(weir_fetch(reader->readers[0], &beside), 0);
        machine_append_now(owner, 0, i);
        world_run(weir_sim_below(world.sim, 20 * MS));
        ck_assert_uint_eq(fetch(reader, 0, i, 0), 1);
        while (!over)
            world_run(MS);
        weir_fetch_release(&beside);
    }
    world_close();
}
END_TEST

/* Its lease has run out while it slept: what it knows of its own stream may be
 * old, and so it looks first. */
START_TEST(a_former_owner_that_wakes_up_does_not_say_that_there_is_no_more)
{
    struct machine *zombie = &world.machines[0];

    for (uint64_t i = 0; i < 20; i++) {
        start_nodes(2, test_seed() + i);
        ck_assert_int_eq(machine_open_stream(zombie, 0), 0);
        machine_append_now(&world.machines[0], 0, 1);
        ck_assert_uint_eq(fetch(zombie, 0, 0, 0), 1);
        weir_sim_pause(zombie->sim);
        world_run(30 * SECOND);
        ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
        ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
        machine_append_now(&world.machines[1], 0, 2);
        weir_sim_resume(zombie->sim);
        ck_assert_uint_eq(fetch(zombie, 0, 1, 0), 1);
        world_close();
    }
}
END_TEST

static void take_program(void *ctx)
{
    struct machine *m = ctx;

    world.took =
        (struct weir_takeover){.req = {.done = fetch_done}, .node_id = 1};
    world.took.req.ctx = &m->sick;
    m->status = weir_takeover(m->node, &world.took);
}

/* It takes the first node over, which wakes up while its log is read, slot
 * after slot; the status. */
static int take_over_who_wakes_up(struct machine *taker)
{
    int status;

    taker->sick = 0;
    ck_assert_int_eq(machine_call(taker, take_program), 0);
    ck_assert_int_eq(taker->status, 0);
    world_run(200 * MS);
    weir_sim_resume(world.machines[0].sim);
    while (taker->sick == 0)
        world_run(MS);
    status = taker->sick > 0 ? 0 : taker->sick;
    taker->sick = 0;
    return status;
}

/* Its lease runs again, and that vouches for what it says: so nobody may have
 * its streams before that has run out. */
START_TEST(who_renews_its_lease_while_it_is_taken_over_does_not_miss_the_next)
{
    struct machine *owner = &world.machines[0];
    struct machine *taker = &world.machines[1];
    int refused = 0;

    for (uint64_t i = 0; i < 5; i++) {
        int status;

        start_nodes_that_upload_nothing(2, test_seed() + i);
        ck_assert_int_eq(machine_open_stream(owner, 0), 0);
        for (uint64_t n = 0; n < 200; n++)
            machine_append_now(owner, 0, n);
        ck_assert_uint_eq(fetch(owner, 0, 0, 0), 200);
        weir_sim_pause(owner->sim);
        world_run(30 * SECOND);
        ck_assert_int_eq(machine_life_of(taker, 0), WEIR_NODE_LAPSED);
        status = take_over_who_wakes_up(taker);
        if (status != 0) {
            ck_assert_int_eq(status, WEIR_EBUSY);
            refused++;
            world_run(20 * SECOND);
            ck_assert_int_eq(machine_take_over(taker, 0), 0);
        }
        ck_assert_int_eq(machine_open_stream(taker, 0), 0);
        machine_append_now(taker, 0, 200);
        ck_assert_uint_eq(fetch(owner, 0, 200, 0), 1);
        world_close();
    }
    ck_assert_int_gt(refused, 0);
}
END_TEST

/* It waits for more of its own stream; then that is another node's. */
static void wait_while_it_goes(int taken)
{
    struct machine *owner = &world.machines[0];
    struct weir_fetch waiting;
    int over;

    start_nodes_that_upload_nothing(2, test_seed());
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 1);
    wait_for_more(&waiting, owner->streams[0], 1, WEIR_FOREVER, &over);
    world_run(SECOND);
    if (taken) {
        weir_sim_pause(owner->sim);
        world_run(30 * SECOND);
        ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
        weir_sim_resume(owner->sim);
        world_run(30 * SECOND);
    } else {
        ck_assert_int_eq(machine_hand_over(owner, 0), 0);
    }
    ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
    world_run(SECOND);
    machine_append_now(&world.machines[1], 0, 2);
    world_run(60 * SECOND);
    ck_assert_int_eq(over, 1);
    ck_assert_uint_eq(waiting.count, 1);
    weir_fetch_release(&waiting);
    world_close();
}

START_TEST(who_waits_while_its_stream_goes_sees_what_its_successor_appends)
{
    wait_while_it_goes(0);
    wait_while_it_goes(1);
}
END_TEST

/* Its log is in memory, and so anyone may have its stream: what came behind the
 * part that it owes is lost, and not shown in the place of what the other one
 * appends. */
START_TEST(what_a_node_lost_behind_what_it_owes_is_not_shown)
{
    struct machine *first = &world.machines[0];
    struct machine *owner = &world.machines[1];
    struct machine *other = &world.machines[2];

    world_open(test_seed());
    world.upload_interval = "1h";
    world.wal = "mem:";
    ck_assert_int_eq(machine_start(owner), 0);
    world.wal = "object:";
    ck_assert_int_eq(machine_start(first), 0);
    ck_assert_int_eq(machine_start(other), 0);
    ck_assert_int_eq(machine_open_stream(first, 0), 0);
    machine_append_now(first, 0, 1);
    ck_assert_int_eq(machine_hand_over(first, 0), 0);
    machine_crash(first); /* It owes the first batch, before all others. */
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 2);
    ck_assert_int_eq(machine_hand_over(owner, 0), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 3);
    ck_assert_int_eq(machine_open_stream(other, 0), 0);
    ck_assert_uint_eq(machine_append_now(other, 0, 4)->req.base_offset, 2);
    world_run(20 * SECOND);
    ck_assert_uint_eq(fetch_number(owner, 0, 1), 2);
    ck_assert_uint_eq(fetch_number(owner, 0, 2), 4);
    ck_assert_int_eq(machine_hand_over(other, 0), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    ck_assert_uint_eq(machine_append_now(owner, 0, 5)->req.base_offset, 3);
    world_close();
}
END_TEST

/* What its owner left behind is read from its log, whoever has the stream now;
 * the writes of the former owner that are still on their way are not. */
START_TEST(a_reader_goes_on_across_a_takeover)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct appended *late;

        start_nodes_that_upload_nothing(NODES, test_seed() + i);
        ck_assert_int_eq(machine_open_stream(&world.machines[0], 0), 0);
        machine_append(&world.machines[0], 0, 1);
        world_run(SECOND);
        ck_assert_uint_eq(fetch(&world.machines[2], 0, 0, 0), 1);
        late = machine_append(&world.machines[0], 0, 2);
        weir_sim_pause(world.machines[0].sim);
        world_run(30 * SECOND);
        ck_assert_uint_eq(fetch(&world.machines[2], 0, 0, 0), 1);
        ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
        weir_sim_resume(world.machines[0].sim);
        ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
        machine_append(&world.machines[1], 0, 3);
        world_run(SECOND);
        ck_assert_uint_eq(fetch(&world.machines[2], 0, 1, 0), 1);
        world_run(30 * SECOND);
        ck_assert_int_ne(late->status, 0);
        ck_assert_uint_eq(fetch(&world.machines[2], 0, 2, 0), 0);
        world_close();
    }
}
END_TEST

/* The newest slot of the first machine's log. */
static struct weir__slot newest_slot(void)
{
    struct weir__slot slot = {0}, found;
    struct weir_sim_object *const *objects;
    uint32_t crc;
    size_t count;

    objects = weir_sim_objects(world.sim, &count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(objects[i]->key, "wal/00000001/", 13) == 0 &&
            weir__slot_decode(&found, objects[i]->data, objects[i]->len,
                              objects[i]->len, &crc) == 0)
            slot = found;
    ck_assert_uint_gt(slot.epoch, 0);
    return slot;
}

/* As a takeover does that began at an old mark, and gave up later. */
static void fence_in_place_of(const struct weir__slot *at, uint64_t slot)
{
    unsigned char header[WEIR__SLOT_HEADER];
    char key[WEIR__SLOT_KEY];
    struct weir__slot fence = *at;

    fence.kind = WEIR__SLOT_FENCE;
    fence.slot = slot;
    fence.before = 0;
    fence.position = 0;
    fence.len = 0;
    weir__slot_encode(header, &fence);
    weir__slot_key(key, fence.node_id, fence.epoch, slot);
    ck_assert_ptr_null(weir__sim_object_find(world.sim, key));
    ck_assert_int_eq(
        weir__sim_object_put(world.sim, key, header, sizeof(header)), 0);
}

/* It waited at a slot that was written and removed while it slept, and was
 * fenced then by who did not know (weir-sim, cluster, seed 150264264 of
 * version 6). */
START_TEST(a_reader_that_follows_a_forgotten_fence_comes_back)
{
    struct machine *owner = &world.machines[0];
    struct machine *reader = &world.machines[1];
    struct weir_fetch waiting;
    struct weir__slot slot;
    int over;

    start_nodes_that_upload_nothing(2, test_seed());
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 1);
    ck_assert_uint_eq(fetch(reader, 0, 0, 0), 1);
    wait_for_more(&waiting, reader->readers[0], 1, (int64_t)(3600 * SECOND),
                  &over);
    world_run(5 * SECOND);
    weir_sim_pause(reader->sim);
    slot = newest_slot();
    machine_append_now(owner, 0, 2);
    ck_assert_int_eq(machine_flush(owner), 0);
    machine_append_now(owner, 0, 3);
    ck_assert_int_eq(machine_flush(owner), 0); /* That moves the mark. */
    world_run(60 * SECOND);
    machine_append_now(owner, 0, 4);
    fence_in_place_of(&slot, slot.slot + 1);
    weir_sim_resume(reader->sim);
    world_run(60 * SECOND);
    ck_assert_int_eq(over, 1);
    weir_fetch_release(&waiting);
    ck_assert_uint_eq(fetch(reader, 0, 3, 0), 1);
    world_close();
}
END_TEST

/* What it has read in another's log is not in its own: all that was appended
 * on it is in objects, and anyone may have its streams. */
START_TEST(who_has_read_on_another_node_closes_clean)
{
    struct machine *reader = &world.machines[0];
    struct machine *owner = &world.machines[1];

    start_nodes_that_upload_nothing(NODES, test_seed());
    ck_assert_int_eq(machine_open_stream(reader, 0), 0);
    ck_assert_int_eq(machine_open_stream(owner, 1), 0);
    machine_append_now(reader, 0, 1);
    ck_assert_int_eq(machine_flush(reader), 0);
    machine_append_now(owner, 1, 2);
    ck_assert_uint_eq(fetch(reader, 1, 0, 0), 1);
    ck_assert_int_eq(machine_call(reader, machine_stop), 0);
    ck_assert_int_eq(machine_open_stream(&world.machines[2], 0), 0);
    world_close();
}
END_TEST

/* Streams, and slots of the owner's log that each has a part of: more than a
 * reader keeps track of. */
enum { MANY = 256, ROUNDS = 257 };

static struct weir_stream *many[2][MANY];

static void open_many_program(void *ctx)
{
    struct machine *m = ctx;
    int which = m != &world.machines[0];
    char name[16];
    struct weir_stream_open open = {.name = name};

    open.flags = which == 0 ? WEIR_STREAM_CREATE : WEIR_STREAM_READ;
    for (int i = 0; i < MANY && m->status == 0; i++) {
        snprintf(name, sizeof(name), "many-%d", i);
        m->status = weir_stream_open_sync(m->node, &open);
        many[which][i] = open.stream;
    }
}

static void count_done(struct weir_req *req, int status)
{
    ck_assert_int_eq(status, 0);
    ++*(int *)req->ctx;
}

/* One slot at least. */
static void append_to_many(void)
{
    static struct weir_append appends[MANY];
    int over = 0;

    for (int i = 0; i < MANY; i++) {
        appends[i] = (struct weir_append){
            .req = {.done = count_done}, .data = "x", .len = 1, .count = 1};
        appends[i].req.ctx = &over;
        ck_assert_int_eq(weir_append(many[0][i], &appends[i]), 0);
    }
    while (over < MANY)
        world_run(MS);
}

/* All with one look at the log. */
static void fetch_many(void)
{
    static struct weir_fetch fetches[MANY];
    int over = 0;

    for (int i = 0; i < MANY; i++) {
        fetches[i] = (struct weir_fetch){.req = {.done = count_done},
                                         .max_bytes = 1,
                                         .min_bytes = 1,
                                         .max_wait = (int64_t)(60 * SECOND)};
        fetches[i].req.ctx = &over;
        ck_assert_int_eq(weir_fetch(many[1][i], &fetches[i]), 0);
    }
    while (over < MANY)
        world_run(MS);
    for (int i = 0; i < MANY; i++)
        weir_fetch_release(&fetches[i]);
}

static void fetch_last_program(void *ctx)
{
    struct machine *m = ctx;

    fetched = (struct weir_fetch){.offset = ROUNDS - 1, .max_bytes = 1};
    m->status = weir_fetch_sync(many[1][0], &fetched);
    weir_fetch_release(&fetched);
}

START_TEST(a_log_that_is_too_long_to_read_does_not_end_a_stream)
{
    struct machine *owner = &world.machines[0];
    struct machine *reader = &world.machines[1];

    world.log_cache = "64MiB";
    start_nodes_that_upload_nothing(2, test_seed());
    ck_assert_int_eq(machine_call(owner, open_many_program), 0);
    ck_assert_int_eq(owner->status, 0);
    for (int i = 0; i < ROUNDS; i++)
        append_to_many();
    ck_assert_uint_eq(machine_stats(owner).uploads, 0);
    ck_assert_int_eq(machine_call(reader, open_many_program), 0);
    ck_assert_int_eq(reader->status, 0);
    fetch_many();
    ck_assert_int_eq(machine_call(reader, fetch_last_program), 0);
    ck_assert_int_eq(reader->status, WEIR_EAGAIN);
    ck_assert_int_eq(machine_flush(owner), 0);
    ck_assert_int_eq(machine_call(reader, fetch_last_program), 0);
    ck_assert_int_eq(reader->status, 0);
    ck_assert_uint_eq(fetched.end, ROUNDS);
    world_close();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim readers");

    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, a_reader_on_another_node_sees_the_tail_of_an_object_log);
    tcase_add_test(tc, who_has_handed_over_sees_what_its_successor_appends);
    tcase_add_test(tc,
                   a_reader_that_is_cut_off_is_not_told_that_there_is_no_more);
    tcase_add_test(tc, a_log_that_is_not_read_in_time_does_not_end_a_stream);
    tcase_add_test(tc, a_log_that_is_being_read_anew_does_not_end_a_stream);
    tcase_add_test(
        tc, a_former_owner_that_wakes_up_does_not_say_that_there_is_no_more);
    tcase_add_test(
        tc, who_renews_its_lease_while_it_is_taken_over_does_not_miss_the_next);
    tcase_add_test(
        tc, who_waits_while_its_stream_goes_sees_what_its_successor_appends);
    tcase_add_test(tc, what_a_node_lost_behind_what_it_owes_is_not_shown);
    tcase_add_test(tc, a_reader_goes_on_across_a_takeover);
    tcase_add_test(tc, a_reader_that_follows_a_forgotten_fence_comes_back);
    tcase_add_test(tc, who_has_read_on_another_node_closes_clean);
    tcase_add_test(tc, a_log_that_is_too_long_to_read_does_not_end_a_stream);
    return test_run();
}
