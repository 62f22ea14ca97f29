/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small bank, the program that sim_bank.c tests.
 *
 * Its truth is a stream: each transfer is a record, and the balances are what
 * a replay gives.  It is asked for transfers by message, and answers when they
 * are durable.  It stops when it does not know what became of an append:
 * whoever starts it again finds out by reading.
 *
 * A part of one program, not a header for many.
 */
#ifndef EXAMPLES_SIM_BANK_H
#define EXAMPLES_SIM_BANK_H

#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { ACCOUNTS = 8, TRANSFERS = 60, TRIES = 16 };
enum { BANK, TELLER, NODES };

/* One transfer: message, record and answer.  A number and a try make it one
 * of its kind; all tries of a number are meant to happen once. */
struct transfer {
    uint32_t number;
    uint32_t try;
    uint32_t from;
    uint32_t to;
    uint32_t amount;
    int32_t status; /* Of an answer. */
};

enum state { NEW, UNDER_WAY, BOOKED };

/* What a replay gives. */
struct books {
    int64_t balances[ACCOUNTS];
    unsigned char state[TRANSFERS][TRIES];
    unsigned booked[TRANSFERS]; /* How often. */
};

static struct weir_sim *sim;
static struct weir_sim_node *machines[NODES];
static enum { NONE, EARLY, RETRY } bug; /* That is planted. */
static int result;                      /* Of the program that ran last. */

/* Made anew by each start. */
static struct books books;
static struct weir *bank;
static struct weir_stream *ledger;

/* ---- The ledger ---------------------------------------------------------- */

static void book(struct books *into, const struct transfer *t)
{
    into->balances[t->from] -= t->amount;
    into->balances[t->to] += t->amount;
    into->state[t->number][t->try] = BOOKED;
    into->booked[t->number]++;
}

/* Open the ledger on a machine and read it. */
static int open_ledger(struct weir_sim_node *machine, unsigned flags,
                       struct books *into)
{
    struct weir_stream_open open = {.name = "ledger", .flags = flags};
    struct weir_fetch fetch = {.max_bytes = 1 << 16};
    struct weir_config *config;
    int rc = weir_sim_config(&config, machine);
    size_t i;

    memset(into, 0, sizeof(*into));
    if (rc == 0)
        rc = weir_config_set(config, "upload_interval", "200ms", NULL);
    if (rc == 0)
        rc = weir_open(&bank, config, NULL);
    if (rc == 0)
        rc = weir_stream_open_sync(bank, &open);
    ledger = open.stream;
    while (rc == 0 && (rc = weir_fetch_sync(ledger, &fetch)) == 0) {
        for (i = 0; i < fetch.count; i++) {
            book(into, fetch.batches[i].data);
            fetch.offset = fetch.batches[i].base_offset + 1;
        }
        weir_fetch_release(&fetch);
        if (fetch.offset == fetch.end)
            break;
    }
    return rc;
}

/* ---- The bank ------------------------------------------------------------ */

/* A booking under way; in the machine's memory, which a crash takes. */
struct booking {
    struct weir_append append; /* First: a request is its booking. */
    struct transfer transfer;
};

static void answer(const struct transfer *t, int status)
{
    struct transfer reply = *t;

    reply.status = status;
    weir_sim_send(machines[BANK], machines[TELLER], &reply, sizeof(reply));
}

static void appended(struct weir_req *req, int status)
{
    struct booking *b = (struct booking *)(void *)req;
    const struct weir_alloc *alloc = weir_sim_alloc(machines[BANK]);

    if (status == 0) {
        book(&books, &b->transfer);
        answer(&b->transfer, 0);
    } else {
        if (bug == RETRY && status == WEIR_EUNKNOWN)
            answer(&b->transfer, status);
        /* Whoever starts it again reads what has become of it. */
        weir_sim_trace(sim, "bank stops: %s", weir_error_name(status));
        weir_sim_crash(machines[BANK]);
    }
    alloc->free(alloc->ctx, b);
}

static void asked(void *ctx, uint32_t from, const void *data, size_t len)
{
    const struct weir_alloc *alloc = weir_sim_alloc(machines[BANK]);
    const struct transfer *t = data;
    unsigned char *state = &books.state[t->number][t->try];
    struct booking *b;

    (void)ctx, (void)from, (void)len;
    if (*state == BOOKED)
        answer(t, 0);
    if (*state != NEW)
        return;
    b = alloc->malloc(alloc->ctx, sizeof(*b));
    if (b == NULL)
        return; /* The teller will ask again. */
    memset(b, 0, sizeof(*b));
    b->transfer = *t;
    b->append.req.done = appended;
    b->append.data = &b->transfer;
    b->append.len = sizeof(b->transfer);
    b->append.count = 1;
    b->append.max_timestamp = WEIR_NO_TIMESTAMP;
    if (weir_append(ledger, &b->append) != 0) {
        alloc->free(alloc->ctx, b);
        return;
    }
    *state = UNDER_WAY;
    if (bug == EARLY)
        answer(t, 0);
}

static void bank_program(void *ctx)
{
    (void)ctx;
    result = open_ledger(machines[BANK], WEIR_STREAM_CREATE, &books);
    if (result == 0)
        weir_sim_receive(machines[BANK], asked, NULL);
    else
        weir_sim_crash(machines[BANK]);
}

static void flush_program(void *ctx)
{
    struct weir_flush flush = {.req = {.done = NULL}};

    (void)ctx;
    result = weir_flush_sync(bank, &flush);
}

#endif
