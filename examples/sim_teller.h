/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who tests the bank of sim_bank.h: a teller, who asks it for transfers, and
 * an auditor, who compares its books.  What they know is not the bank's, and
 * no crash takes it.
 *
 * A part of one program, not a header for many.
 */
#ifndef EXAMPLES_SIM_TELLER_H
#define EXAMPLES_SIM_TELLER_H

#include "sim_bank.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW = 4, LENGTHS = 512 };

static char failure[512]; /* The first one that was found. */

/* The teller, whose machine never fails. */
static struct transfer wanted[TRANSFERS];
static int answered[TRANSFERS];
static struct weir_timer ask_timer;
static uint32_t asks; /* The machine that is asked, */
static int heard;     /* and whether it has answered. */

/* The auditor: the balances of each length of the ledger that was seen. */
static int64_t seen[LENGTHS][ACCOUNTS];
static int was_seen[LENGTHS];
static struct books audit;
static int audited; /* Status of the audit. */

static void fail(const char *what, uint64_t a, uint64_t b)
{
    if (failure[0] == '\0')
        snprintf(failure, sizeof(failure), what, (unsigned long long)a,
                 (unsigned long long)b);
}

/* ---- The teller ---------------------------------------------------------- */

static unsigned count_answered(void)
{
    unsigned count = 0;

    for (int i = 0; i < TRANSFERS; i++)
        count += answered[i] != 0;
    return count;
}

static void hear(void *ctx, uint32_t from, const void *data, size_t len)
{
    const struct message *m = data;

    (void)ctx, (void)from, (void)len;
    heard |= m->kind == TRANSFER;
    if (m->kind == COUNT && m->count < m->known)
        fail("%llu transfers were acknowledged, and a machine that was asked "
             "then tells of %llu",
             m->known, m->count);
    if (m->kind == TRANSFER)
        answered[m->transfer.number] = 1;
}

static void send(uint32_t to, const struct message *m)
{
    weir_sim_send(machines[TELLER], machines[to], m, sizeof(*m));
}

/* Nobody has answered: it is another machine's turn. */
static void ask_another(void)
{
    asks = (asks + 1) % BANKS;
    for (int i = 0; i < TRANSFERS && bug == RETRY; i++)
        if (wanted[i].try + 1 < TRIES)
            wanted[i].try++;
}

/* Ask for the first few that are not answered, of whoever answers, and whoever
 * for the count. */
static void ask(struct weir_timer *timer)
{
    struct weir_env *env = weir_sim_env(machines[TELLER]);
    struct message m = {.kind = COUNT, .known = count_answered()};
    int left = WINDOW;

    send((uint32_t)weir_sim_below(sim, BANKS), &m);
    if (!heard)
        ask_another();
    heard = 0;
    m.kind = TRANSFER;
    for (int i = 0; i < TRANSFERS && left > 0; i++) {
        if (answered[i])
            continue;
        left--;
        m.transfer = wanted[i];
        send(asks, &m);
    }
    timer->deadline = weir_sim_now(sim) + 100 * MS;
    env->ops->timer_start(env, timer);
}

static void open_teller(void)
{
    memset(answered, 0, sizeof(answered));
    memset(was_seen, 0, sizeof(was_seen));
    asks = 0;
    heard = 0;
    for (uint32_t i = 0; i < TRANSFERS; i++)
        wanted[i] = (struct transfer){
            .number = i,
            .from = (uint32_t)weir_sim_below(sim, ACCOUNTS),
            .to = (uint32_t)weir_sim_below(sim, ACCOUNTS),
            .amount = 1 + (uint32_t)weir_sim_below(sim, 100),
        };
    weir_sim_receive(machines[TELLER], hear, NULL);
    ask_timer = (struct weir_timer){.fire = ask};
    ask(&ask_timer);
}

/* ---- The auditor --------------------------------------------------------- */

/* Books of one length are the same, whoever has them, and whenever. */
static void compare(const struct books *books)
{
    uint64_t n = books->next;

    if (n >= LENGTHS)
        return;
    if (!was_seen[n])
        memcpy(seen[n], books->balances, sizeof(seen[n]));
    was_seen[n] = 1;
    if (memcmp(seen[n], books->balances, sizeof(seen[n])) != 0)
        fail("two copies of the books differ after %llu transfers", n, 0);
}

/* Read the ledger from its begin to its end, on the teller's machine. */
static void audit_program(void *ctx)
{
    struct weir *node;
    struct weir_stream *ledger;
    struct weir_fetch fetch = {.max_bytes = 1}; /* One batch at a time. */
    int more;

    (void)ctx;
    memset(&audit, 0, sizeof(audit));
    audited = open_ledger(&node, &ledger, machines[TELLER]);
    do {
        compare(&audit);
        fetch.offset = audit.next;
        if (audited == 0)
            audited = weir_fetch_sync(ledger, &fetch);
        more = audited == 0 && fetch.count != 0;
        if (more)
            take_in(&audit, &fetch);
    } while (more);
}

static void check(void)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < TRANSFERS; i++) {
        unsigned times = 0;

        for (int try = 0; try < TRIES; try++)
            times += audit.booked[i][try];
        if (times != 1)
            fail("transfer %llu was answered, and is in the ledger %llu times",
                 i, times);
    }
    for (int i = 0; i < ACCOUNTS; i++)
        sum += audit.balances[i];
    if (sum != 0)
        fail("money was made or lost", 0, 0);
    for (unsigned i = 0; i < BANKS; i++)
        if (memcmp(&banks[i].books, &audit, sizeof(audit)) != 0)
            fail("the books of bank %llu are not what the ledger gives", i + 1,
                 0);
}

#endif
