/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader is told of batches that are damaged, or gone. */
#include "sim/machines.h"
#include "support/test.h"

#include "format/wal_record.h"
#include "format/wal_slot.h"
#include "sim/world.h"

#include <string.h>

static struct weir_fetch fetched;

static void fetch_program(void *ctx)
{
    struct machine *m = ctx;

    fetched =
        (struct weir_fetch){.offset = (uint64_t)world.arg, .max_bytes = 100};
    m->status = weir_fetch_sync(
        m->readers[0] != NULL ? m->readers[0] : m->streams[0], &fetched);
}

/* What it is told of an offset; with `count`, how many batches. */
static int fetch(struct machine *m, int offset, size_t *count)
{
    world.arg = offset;
    ck_assert_int_eq(machine_call(m, fetch_program), 0);
    *count = fetched.count;
    weir_fetch_release(&fetched);
    return m->status;
}

static void open_reader(struct machine *m)
{
    world.arg = 0;
    ck_assert_int_eq(machine_call(m, machine_reader), 0);
    ck_assert_int_eq(m->status, 0);
}

/* ---- A slot of which no payload is whole --------------------------------- */

/* Garble the payload of the only record in each slot of the first machine's
 * log. */
static void garble_payloads(void)
{
    struct weir_sim_object *const *objects;
    size_t count;
    int garbled = 0;

    objects = weir_sim_objects(world.sim, &count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(objects[i]->key, "wal/00000001/", 13) == 0 &&
            objects[i]->len > WEIR__SLOT_HEADER) {
            objects[i]->data[WEIR__SLOT_HEADER + WEIR__WAL_RECORD_HEADER] ^= 1;
            garbled++;
        }
    ck_assert_int_eq(garbled, 1);
}

/* It is told at once that the batch is damaged, and where, and does not read
 * the slot again and again meanwhile. */
START_TEST(a_reader_is_told_of_a_slot_of_which_nothing_is_whole)
{
    struct machine *owner = &world.machines[0];
    struct machine *reader = &world.machines[1];
    struct weir_stats before, after;
    size_t found;

    world_open(test_seed());
    world.wal = "object:";
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(owner), 0);
    ck_assert_int_eq(machine_start(reader), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 1);
    garble_payloads();
    open_reader(reader);
    before = machine_stats(reader);
    ck_assert_int_eq(fetch(reader, 0, &found), WEIR_ECORRUPT);
    after = machine_stats(reader);
    ck_assert_uint_lt(after.store_gets - before.store_gets, 20);
    weir_sim_free(world.sim);
    world.wal = NULL;
    world.upload_interval = "10s";
}
END_TEST

/* ---- An object that was removed ------------------------------------------ */

static void trim_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_trim trim = {.start = (uint64_t)world.arg};

    m->status = weir_trim_sync(m->streams[0], &trim);
}

static void wake_up_behind_a_trim(uint64_t seed)
{
    struct machine *owner = &world.machines[0];
    struct machine *taker = &world.machines[1];
    size_t found;

    world_open(seed);
    ck_assert_int_eq(machine_start(owner), 0);
    ck_assert_int_eq(machine_start(taker), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 1);
    ck_assert_int_eq(machine_flush(owner), 0);
    machine_crash(owner); /* It shall have nothing in memory. */
    ck_assert_int_eq(machine_start(owner), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    weir_sim_pause(owner->sim);
    world_run(60 * SECOND);
    ck_assert_int_eq(machine_take_over(taker, 0), 0);
    ck_assert_int_eq(machine_open_stream(taker, 0), 0);
    machine_append_now(taker, 0, 2);
    world.arg = 1;
    ck_assert_int_eq(machine_call(taker, trim_program), 0);
    ck_assert_int_eq(taker->status, 0);
    world_run(3600 * SECOND);
    weir_sim_resume(owner->sim);
    ck_assert_int_eq(fetch(owner, 0, &found), WEIR_ERANGE);
    ck_assert_int_eq(fetch(owner, 1, &found), 0);
    ck_assert_uint_eq(found, 1);
    weir_sim_free(world.sim);
}

/* It slept while its stream was taken, and what it had was trimmed by the new
 * owner: all it knows when it wakes up is objects that are not there. */
START_TEST(a_former_owner_does_not_take_what_was_trimmed_for_damaged)
{
    uint64_t seed = test_seed();

    world.wal = "object:";
    for (uint64_t i = 0; i < 20; i++)
        wake_up_behind_a_trim(seed + i);
    world.wal = NULL;
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim missing");

    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, a_reader_is_told_of_a_slot_of_which_nothing_is_whole);
    tcase_add_test(tc,
                   a_former_owner_does_not_take_what_was_trimmed_for_damaged);
    return test_run();
}
