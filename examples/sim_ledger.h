/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger of the bank of sim_bank.h: a stream in which each transfer is a
 * record.  Balances are what a replay gives.
 *
 * A part of one program, not a header for many.
 */
#ifndef EXAMPLES_SIM_LEDGER_H
#define EXAMPLES_SIM_LEDGER_H

#include <weir.h>
#include <weir/sim.h>

enum { ACCOUNTS = 8, TRANSFERS = 300, TRIES = 4 };

/* One transfer, as the ledger has it.  A number and a try make it one of its
 * kind; all tries of a number are meant to happen once. */
struct transfer {
    uint32_t number;
    uint32_t try;
    uint32_t from;
    uint32_t to;
    uint32_t amount;
};

/* What a replay gives. */
struct books {
    uint64_t next; /* Offset up to which the ledger was read. */
    int64_t balances[ACCOUNTS];
    unsigned char booked[TRANSFERS][TRIES]; /* How often. */
};

static int open_ledger(struct weir **node, struct weir_stream **ledger,
                       struct weir_sim_node *machine)
{
    /* A log in the store can be taken over by any machine. */
    static const char *const set[][2] = {
        {"wal", "object:"}, {"lease", "2s"}, {"upload_interval", "1s"}};
    struct weir_stream_open open = {
        .name = "ledger", .flags = WEIR_STREAM_CREATE | WEIR_STREAM_READ};
    struct weir_config *config;
    int rc = weir_sim_config(&config, machine);

    for (size_t i = 0; rc == 0 && i < sizeof(set) / sizeof(set[0]); i++)
        rc = weir_config_set(config, set[i][0], set[i][1], NULL);
    if (rc == 0)
        rc = weir_open(node, config, NULL);
    weir_config_free(config);
    if (rc == 0)
        rc = weir_stream_open_sync(*node, &open);
    *ledger = open.stream;
    return rc;
}

/* Book what was fetched, and is not in the books yet. */
static void take_in(struct books *books, struct weir_fetch *fetch)
{
    for (size_t i = 0; i < fetch->count; i++) {
        const struct transfer *t = fetch->batches[i].data;

        if (fetch->batches[i].base_offset != books->next)
            continue;
        books->next++;
        books->balances[t->from] -= t->amount;
        books->balances[t->to] += t->amount;
        books->booked[t->number][t->try]++;
    }
    weir_fetch_release(fetch);
}

#endif
