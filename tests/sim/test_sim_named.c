/* SPDX-License-Identifier: Apache-2.0 */
/* The look at what the manifest names sees what is gone from the store. */
#include "sim/machines.h"
#include "sim/named.h"
#include "sim/run.h"
#include "sim/world.h"
#include "support/test.h"

#include <string.h>

/* As property `delete_grace` has it if nobody sets it. */
#define GRACE_MS ((int64_t)10 * 60000)

static struct named named;
static char text[300];

static int look(void)
{
    return named_check(&named, world.sim,
                       run_latest_wall(world.machines[0].sim), GRACE_MS, text,
                       sizeof(text));
}

static void delete_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_stream_delete req = {.name = "stream-0"};

    m->status = weir_stream_delete_sync(m->node, &req);
}

/* A stream with an object of its own. */
static void open_with_object(void)
{
    struct machine *m = &world.machines[0];

    memset(&named, 0, sizeof(named));
    world_open(test_seed());
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    machine_append(m, 0, 1);
    world_run(SECOND);
    ck_assert_int_eq(machine_flush(m), 0);
    ck_assert_msg(look() == 0, "%s", text);
}

static const char *last_key(const char *prefix)
{
    struct weir_sim_object *const *objects;
    const char *key = NULL;
    size_t count;

    objects = weir_sim_objects(world.sim, &count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(objects[i]->key, prefix, strlen(prefix)) == 0)
            key = objects[i]->key;
    return key;
}

/* The last object whose key starts so goes, as if somebody had removed it. */
static void remove_last(const char *prefix)
{
    ck_assert_ptr_nonnull(last_key(prefix));
    weir__sim_object_delete(world.sim, last_key(prefix));
}

START_TEST(an_object_that_a_stream_needs_is_missed)
{
    open_with_object();
    remove_last("data/");
    ck_assert_int_eq(look(), -1);
    ck_assert_ptr_nonnull(
        strstr(text, "is gone, and stream-0 has its offsets 0 to 1 in it"));
    weir_sim_free(world.sim);
}
END_TEST

START_TEST(a_commit_that_no_snapshot_covers_is_missed)
{
    open_with_object();
    remove_last("manifest/log/0000000000000003");
    ck_assert_int_eq(look(), -1);
    ck_assert_ptr_nonnull(
        strstr(text, "manifest/log/0000000000000003 is gone, of "));
    weir_sim_free(world.sim);
}
END_TEST

START_TEST(an_object_that_is_removed_within_its_grace_is_missed)
{
    struct machine *m = &world.machines[0];

    open_with_object();
    ck_assert_int_eq(machine_call(m, delete_program), 0);
    ck_assert_int_eq(m->status, 0);
    ck_assert_msg(look() == 0, "%s", text);
    world_run(8 * 60 * SECOND);
    ck_assert_msg(look() == 0, "%s", text);
    remove_last("data/");
    ck_assert_int_eq(look(), -1);
    ck_assert_ptr_nonnull(strstr(text, "before its grace is over"));
    weir_sim_free(world.sim);
}
END_TEST

START_TEST(an_object_that_is_removed_after_its_grace_is_not)
{
    struct machine *m = &world.machines[0];

    open_with_object();
    ck_assert_int_eq(machine_call(m, delete_program), 0);
    ck_assert_ptr_nonnull(last_key("data/"));
    for (int i = 0; i < 100 && last_key("data/") != NULL; i++) {
        world_run(60 * SECOND);
        ck_assert_msg(look() == 0, "%s", text);
    }
    ck_assert_ptr_null(last_key("data/"));
    weir_sim_free(world.sim);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim named");

    tcase_add_test(tc, an_object_that_a_stream_needs_is_missed);
    tcase_add_test(tc, a_commit_that_no_snapshot_covers_is_missed);
    tcase_add_test(tc, an_object_that_is_removed_within_its_grace_is_missed);
    tcase_add_test(tc, an_object_that_is_removed_after_its_grace_is_not);
    return test_run();
}
