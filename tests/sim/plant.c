/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plant.h"

#include <string.h>
#include <sys/mman.h>

/* Shrinking has to find it. */
enum { AT_STEP = 11 };

static const char *const names[] = {"",        "breach", "busy", "slow",
                                    "endless", "wait",   "crash"};

enum plant plant_named(const char *name)
{
    for (int i = PLANT_BREACH; i <= PLANT_CRASH; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum plant)i;
    return PLANT_NOTHING;
}

const char *plant_name(enum plant plant)
{
    return names[plant];
}

/* One run at a time. */
static struct {
    struct weir_sim *sim;
    struct weir_env *env;
    struct weir_task task;
    struct weir_timer timer;
} planted;

static void post_again(struct weir_task *task)
{
    planted.env->ops->post(planted.env, task);
}

static void fire_again(struct weir_timer *timer)
{
    timer->deadline = weir_sim_now(planted.sim) + 5000;
    weir_sim_at(planted.sim, timer);
}

static void never_end(struct weir_task *task)
{
    volatile int on = 1;

    (void)task;
    while (on)
        ;
}

static void write_nowhere(struct weir_task *task)
{
    volatile char *page =
        mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)task;
    page[0] = 1;
}

const char *plant_step(enum plant plant, unsigned step, struct weir_sim *sim,
                       struct weir_sim_node *node)
{
    if (plant == PLANT_NOTHING || step != AT_STEP)
        return NULL;
    memset(&planted, 0, sizeof(planted));
    planted.sim = sim;
    planted.env = weir_sim_env(node);
    planted.task.run = plant == PLANT_BUSY    ? post_again
                       : plant == PLANT_CRASH ? write_nowhere
                                              : never_end;
    planted.timer.fire = fire_again;
    weir_sim_start(node);
    weir_sim_resume(node);
    if (plant == PLANT_SLOW)
        fire_again(&planted.timer);
    else if (plant == PLANT_WAIT)
        (void)weir_sim_run(sim, UINT64_MAX);
    else if (plant != PLANT_BREACH)
        planted.env->ops->post(planted.env, &planted.task);
    return plant == PLANT_BREACH ? "a breach that was planted" : NULL;
}
