/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test of a replicated program: the bank of sim_bank.h in a simulated world.
 *
 * A teller on a machine of its own asks the bank for transfers, again and
 * again until it is answered, and now and then how many there are.  Meanwhile
 * the bank's machines crash, halt and lose the store, requests fail, and
 * messages are lost, doubled and late.  All the time no machine's books may
 * differ from another's of the same length, and no count may be lower than
 * what was acknowledged before it was asked for.  In the end an auditor reads
 * the ledger: each transfer is there once, and every copy is what it gives.
 *
 *     sim_bank [none|early|retry|stale|memory [SEED]]
 *
 * A bug can be planted.  "early" answers before the append is acknowledged;
 * "retry" takes no answer for a failure, so that the teller asks the next
 * machine for another transfer.  The others need replicas to be seen: with
 * "stale" a new leader does not wait until it has read the ledger; with
 * "memory" a machine counts what it has read, and does not look for more.
 *
 * Ends with 1 at the first of 200 seeds that shows a bug, and with a SEED runs
 * that one, with its trace.
 */
#include "sim_teller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DISASTERS = 12 };

static const char *const bugs[] = {"none", "early", "retry", "stale", "memory"};
static struct weir_timer disaster_timer;
static int disasters_left;
static struct weir_sim_node *struck; /* By the disaster at the moment. */

/* ---- A run of one seed --------------------------------------------------- */

/* A machine that does not come back until the next one is struck. */
static void disaster(struct weir_timer *timer)
{
    if (struck != NULL) {
        weir_sim_resume(struck);
        weir_sim_heal(struck);
    }
    struck = NULL;
    if (disasters_left-- == 0) {
        memset(weir_sim_faults(sim), 0, sizeof(struct weir_sim_faults));
        return;
    }
    struck = machines[weir_sim_below(sim, BANKS)];
    for (unsigned i = 0; i < BANKS; i++)
        if (banks[i].leads && weir_sim_below(sim, 2) == 0)
            struck = machines[i];
    if (weir_sim_below(sim, 3) == 0)
        weir_sim_crash(struck);
    else if (weir_sim_below(sim, 2) == 0)
        weir_sim_pause(struck);
    else
        weir_sim_cut(struck, WEIR_SIM_CUT_HANGS);
    timer->deadline = weir_sim_now(sim) + weir_sim_below(sim, 5 * SECOND);
    weir_sim_at(sim, timer);
}

static void open_world(uint64_t seed, void (*trace)(void *, const char *))
{
    struct weir_sim_options options = {.size = sizeof(options),
                                       .seed = seed,
                                       .limit = 3600 * SECOND,
                                       .trace = trace};
    struct weir_sim_faults *faults;

    memset(banks, 0, sizeof(banks));
    if (weir_sim_new(&sim, &options) != 0)
        abort();
    for (uint32_t i = 0; i < NODES; i++)
        if (weir_sim_node_new(&machines[i], sim, i + 1, 1 << 20) != 0)
            abort();
    faults = weir_sim_faults(sim);
    faults->store_down = faults->store_late = faults->store_unheard = 20000;
    faults->message_lost = faults->message_twice = 100000;
    faults->message_late = 50000;
}

static void open_business(void)
{
    for (uint32_t i = 0; i < BANKS; i++)
        weir_sim_crash(machines[i]); /* Whoever is down is started. */
    struck = NULL;
    disasters_left = DISASTERS;
    disaster_timer = (struct weir_timer){.fire = disaster};
    disaster_timer.deadline = weir_sim_now(sim) + SECOND;
    weir_sim_at(sim, &disaster_timer);
    open_teller();
}

static int is_to_start(uint32_t i)
{
    return !weir_sim_is_up(machines[i]) && machines[i] != struck;
}

/* All is answered, and all have read it. */
static int is_settled(void)
{
    int same = 1;

    for (uint32_t i = 0; i < BANKS; i++)
        same &= weir_sim_is_up(machines[i]) &&
                banks[i].books.next == banks[0].books.next;
    return same && disasters_left < 0 && count_answered() == TRANSFERS;
}

/* Asked after each thing that happens. */
static int is_time(void *ctx)
{
    int start = 0;

    (void)ctx;
    for (uint32_t i = 0; i < BANKS; i++) {
        start |= is_to_start(i);
        if (weir_sim_is_up(machines[i]))
            compare(&banks[i].books);
    }
    return start || is_settled() || failure[0] != '\0';
}

static void run_seed(uint64_t seed, void (*trace)(void *, const char *))
{
    struct weir_error err = {0};
    int rc = 0;

    open_world(seed, trace);
    open_business();
    while (rc == 0 && !is_settled() && failure[0] == '\0') {
        for (uint32_t i = 0; i < BANKS; i++) {
            if (!is_to_start(i))
                continue;
            weir_sim_start(machines[i]);
            weir_sim_call(machines[i], bank_program, &banks[i]);
        }
        rc = weir_sim_run_until(sim, is_time, NULL, 600 * SECOND, &err);
    }
    if (rc == 0 && failure[0] == '\0')
        rc = weir_sim_call(machines[TELLER], audit_program, NULL);
    if (rc == 0 && failure[0] == '\0' && audited == 0)
        check();
    else if (failure[0] == '\0')
        snprintf(failure, sizeof(failure), "the bank does not work: %s %s",
                 weir_error_text(rc != 0 ? rc : audited), err.text);
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
    unsigned long long last = argc > 2 ? seed : 200;
    unsigned long long first = seed;

    while (argc > 1 && bug < BUGS && strcmp(argv[1], bugs[bug]) != 0)
        bug++;
    if (bug == BUGS || argc > 3 || (argc > 2 && *end != '\0'))
        return fputs("usage: sim_bank [none|early|retry|stale|memory [SEED]]\n",
                     stderr),
               2;
    for (; seed <= last; seed++) {
        run_seed(seed, argc > 2 ? print_line : NULL);
        if (failure[0] == '\0')
            continue;
        printf("seed %llu: %s\nrepeat it: sim_bank %s %llu\n", seed, failure,
               bugs[bug], seed);
        return 1;
    }
    printf("nothing found in %llu seeds, with %u leaders\n", last + 1 - first,
           leaders);
    return 0;
}
