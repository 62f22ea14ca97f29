/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit test of storage logic: the bank of sim_bank.h in a simulated world.
 *
 * A teller on another machine asks the bank for transfers by message, again
 * and again until it is answered.  Meanwhile machines crash and halt, disks
 * fail, the store cannot be reached, and messages are lost, doubled and late.
 * In the end an auditor reads the stream on the other machine: each transfer
 * is there exactly once.
 *
 *     sim_bank [none|early|retry [SEED]]
 *
 * A bug can be planted: "early" answers before the append is acknowledged;
 * "retry" takes an unknown outcome for a failure, so that the teller asks for
 * the transfer anew.  Ends with 1 at the first of 100 seeds that shows a bug,
 * and with a SEED runs that one, with its trace.
 */
#include "sim_bank.h"

#include <stdio.h>
#include <stdlib.h>

enum { WINDOW = 4, DISASTERS = 12, DISK = 4 << 20 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

static const char *const bugs[] = {"none", "early", "retry"};
static char failure[512];

/* The teller, whose machine never fails, and the auditor there. */
static struct transfer wanted[TRANSFERS];
static int answered[TRANSFERS];
static struct weir_timer ask_timer;
static struct books audit;

static struct weir_timer disaster_timer;
static int disasters_left;

/* ---- The teller ---------------------------------------------------------- */

static int is_done(void)
{
    int i;

    for (i = 0; i < TRANSFERS; i++)
        if (!answered[i])
            return 0;
    return 1;
}

static void hear(void *ctx, uint32_t from, const void *data, size_t len)
{
    const struct transfer *t = data;
    struct transfer *mine = &wanted[t->number];

    (void)ctx, (void)from, (void)len;
    if (t->status == 0)
        answered[t->number] = 1;
    else if (t->try == mine->try && mine->try + 1 < TRIES)
        mine->try++; /* "Failed": another transfer takes its place. */
}

/* Ask for the first few that are not answered, every now and then. */
static void ask(struct weir_timer *timer)
{
    struct weir_env *env = weir_sim_env(machines[TELLER]);
    int left = WINDOW;
    int i;

    for (i = 0; i < TRANSFERS && left > 0; i++) {
        if (answered[i] || left-- == 0)
            continue;
        weir_sim_send(machines[TELLER], machines[BANK], &wanted[i],
                      sizeof(wanted[i]));
    }
    timer->deadline = weir_sim_now(sim) + 20 * MS;
    env->ops->timer_start(env, timer);
}

static void audit_program(void *ctx)
{
    (void)ctx;
    result = open_ledger(machines[TELLER], WEIR_STREAM_READ, &audit);
}

/* ---- A run of one seed --------------------------------------------------- */

static void disaster(struct weir_timer *timer)
{
    struct weir_sim_node *machine = machines[BANK];

    weir_sim_resume(machine);
    weir_sim_heal(machine);
    if (disasters_left-- == 0) {
        memset(weir_sim_faults(sim), 0, sizeof(struct weir_sim_faults));
        return;
    }
    if (weir_sim_below(sim, 2) == 0)
        weir_sim_crash(machine);
    else if (weir_sim_below(sim, 2) == 0)
        weir_sim_pause(machine);
    else
        weir_sim_cut(machine, WEIR_SIM_CUT_HANGS);
    timer->deadline = weir_sim_now(sim) + weir_sim_below(sim, 300 * MS);
    weir_sim_at(sim, timer);
}

static void open_world(uint64_t seed, void (*trace)(void *, const char *))
{
    struct weir_sim_options options = {.size = sizeof(options),
                                       .seed = seed,
                                       .limit = 3600 * SECOND,
                                       .trace = trace};
    struct weir_sim_faults *faults;
    uint32_t i;

    memset(answered, 0, sizeof(answered));
    memset(wanted, 0, sizeof(wanted));
    if (weir_sim_new(&sim, &options) != 0)
        abort();
    for (i = 0; i < NODES; i++)
        if (weir_sim_node_new(&machines[i], sim, i + 1, DISK) != 0)
            abort();
    for (i = 0; i < TRANSFERS; i++) {
        wanted[i].number = i;
        wanted[i].from = (uint32_t)weir_sim_below(sim, ACCOUNTS);
        wanted[i].to = (uint32_t)weir_sim_below(sim, ACCOUNTS);
        wanted[i].amount = 1 + (uint32_t)weir_sim_below(sim, 100);
    }
    faults = weir_sim_faults(sim);
    faults->store_down = faults->store_late = faults->store_unheard = 50000;
    faults->disk_write = faults->disk_sync = 20000;
    faults->message_lost = faults->message_twice = 100000;
    faults->message_late = 50000;
    disasters_left = DISASTERS;
    disaster_timer = (struct weir_timer){.fire = disaster};
    disaster_timer.deadline = weir_sim_now(sim) + 100 * MS;
    weir_sim_at(sim, &disaster_timer);
}

/* The teller is done, or the bank needs to be started. */
static int is_over(void *ctx)
{
    (void)ctx;
    return (disasters_left < 0 && is_done()) || !weir_sim_is_up(machines[BANK]);
}

static void check(void)
{
    int64_t sum = 0;
    int i;

    for (i = 0; i < TRANSFERS && failure[0] == '\0'; i++)
        if (audit.booked[i] != 1)
            snprintf(failure, sizeof(failure),
                     "transfer %d was answered, and is in the ledger %u times",
                     i, audit.booked[i]);
    for (i = 0; i < ACCOUNTS; i++)
        sum += audit.balances[i];
    if (sum != 0 && failure[0] == '\0')
        snprintf(failure, sizeof(failure), "money was made or lost");
}

static void run_seed(uint64_t seed, void (*trace)(void *, const char *))
{
    struct weir_error err = {0};
    int rc = 0;

    open_world(seed, trace);
    weir_sim_crash(machines[BANK]);
    weir_sim_receive(machines[TELLER], hear, NULL);
    ask_timer = (struct weir_timer){.fire = ask};
    ask(&ask_timer);
    while (rc == 0 && (disasters_left >= 0 || !is_done())) {
        weir_sim_start(machines[BANK]);
        weir_sim_call(machines[BANK], bank_program, NULL);
        rc = weir_sim_run_until(sim, is_over, NULL, 600 * SECOND, &err);
    }
    if (rc == 0)
        rc = weir_sim_call(machines[BANK], flush_program, NULL);
    if (rc == 0 && result == 0)
        rc = weir_sim_call(machines[TELLER], audit_program, NULL);
    if (rc != 0 || result != 0)
        snprintf(failure, sizeof(failure), "the bank does not work: %s %s",
                 weir_error_text(rc != 0 ? rc : result), err.text);
    else
        check();
    weir_sim_free(sim);
}

static void print_line(void *ctx, const char *line)
{
    (void)ctx;
    puts(line);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    unsigned long long seed = argc > 2 ? strtoull(argv[2], &end, 10) : 1;
    unsigned long long last = argc > 2 ? seed : 100;

    while (argc > 1 && bug <= RETRY && strcmp(argv[1], bugs[bug]) != 0)
        bug++;
    if (bug > RETRY || argc > 3 || (argc > 2 && *end != '\0'))
        return fputs("usage: sim_bank [none|early|retry [SEED]]\n", stderr), 2;
    for (; seed <= last; seed++) {
        run_seed(seed, argc > 2 ? print_line : NULL);
        if (failure[0] == '\0')
            continue;
        printf("seed %llu: %s\nrepeat it: sim_bank %s %llu\n", seed, failure,
               bugs[bug], seed);
        return 1;
    }
    puts("nothing found");
    return 0;
}
