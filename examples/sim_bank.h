/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small replicated bank, the program that sim_bank.c tests.
 *
 * Its truth is a stream, the ledger: each transfer is a record, and the books
 * are what a replay gives.  Each machine keeps a copy of them by reading the
 * ledger's tail.  One leads: it has the ledger open to append, and is asked
 * for transfers by message; it answers when they are durable.  All tell how
 * many transfers there are.
 *
 * When the leader's lease has run out another machine takes it over.  A
 * machine that does not know what became of an append, or that was taken
 * over, stops: whoever starts it again lets it read the ledger anew.
 *
 * A part of one program, not a header for many.
 */
#ifndef EXAMPLES_SIM_BANK_H
#define EXAMPLES_SIM_BANK_H

#include "sim_ledger.h"

enum { BANKS = 3, TELLER = BANKS, NODES };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

/* A question and its answer. */
struct message {
    enum { TRANSFER, COUNT } kind;
    unsigned known; /* Transfers that the teller knew of when it asked. */
    uint64_t count; /* COUNT: those in the ledger. */
    struct transfer transfer;
};

/* What a machine remembers, made anew by each start. */
struct bank {
    struct weir_timer look_timer; /* First: a timer is its bank's. */
    struct weir_sim_node *machine;
    uint32_t id;
    struct weir *node;
    struct weir_stream *ledger;
    struct books books;
    struct weir_fetch tail; /* What the books are read by, */
    int reads;              /* and whether it is under way. */
    int leads;
    uint64_t lead_from; /* Where the ledger ended when it became leader. */
    unsigned char under_way[TRANSFERS][TRIES];

    struct weir_member members[NODES];
    struct weir_node_list list;
    struct weir_takeover takeover;
    struct weir_stream_open open;
};

static struct weir_sim *sim;
static struct weir_sim_node *machines[NODES];
static struct bank banks[BANKS];
static unsigned leaders; /* That there were. */
static enum { NONE, EARLY, RETRY, STALE, MEMORY, BUGS } bug; /* Planted. */

/* ---- Every machine: it follows the ledger, and tells how long it is ------ */

/* Give up what is in memory; nothing of it is lost. */
static void stop(struct bank *b, const char *why)
{
    weir_sim_trace(sim, "bank %u stops: %s", b->id, why);
    weir_sim_crash(b->machine);
}

static void tail_read(struct weir_req *req, int status)
{
    struct bank *b = req->ctx;

    if (status == 0)
        take_in(&b->books, &b->tail);
    b->tail.offset = b->books.next;
    b->reads = status == 0 && weir_fetch(b->ledger, &b->tail) == 0;
}

static void reply(struct bank *b, const struct message *m)
{
    struct message answer = *m;

    answer.count = b->books.next;
    weir_sim_send(b->machine, machines[TELLER], &answer, sizeof(answer));
}

/* A question under way; in the machine's memory, which a crash takes. */
struct question {
    struct bank *bank;
    struct message message;
    struct weir_fetch fetch;
    struct weir_append append;
};

static struct question *question_new(struct bank *b, const struct message *m)
{
    const struct weir_alloc *alloc = weir_sim_alloc(b->machine);
    struct question *q = alloc->malloc(alloc->ctx, sizeof(*q));

    if (q != NULL)
        *q = (struct question){.bank = b, .message = *m};
    return q;
}

static void question_free(struct question *q)
{
    const struct weir_alloc *alloc = weir_sim_alloc(q->bank->machine);

    alloc->free(alloc->ctx, q);
}

/* A fetch that does not wait gives nothing only if there was no more when it
 * was made: on a follower it looks at the leader's log and who leads. */
static void end_read(struct weir_req *req, int status)
{
    struct question *q = req->ctx;
    struct bank *b = q->bank;

    if (status == 0 && q->fetch.count == 0)
        reply(b, &q->message);
    if (status == 0 && q->fetch.count != 0) {
        take_in(&b->books, &q->fetch);
        q->fetch.offset = b->books.next;
        if (weir_fetch(b->ledger, &q->fetch) == 0)
            return;
    }
    question_free(q); /* Without an answer the teller will ask again. */
}

/* A leader that was taken over, and does not know it yet, looks as well. */
static void asked_count(struct bank *b, const struct message *m)
{
    struct question *q;

    if (bug == MEMORY)
        reply(b, m);
    if (bug == MEMORY || (q = question_new(b, m)) == NULL)
        return;
    q->fetch = (struct weir_fetch){.req = {.done = end_read, .ctx = q},
                                   .offset = b->books.next,
                                   .max_bytes = 1 << 16};
    if (weir_fetch(b->ledger, &q->fetch) != 0)
        question_free(q);
}

/* ---- The leader: it appends ---------------------------------------------- */

static void appended(struct weir_req *req, int status)
{
    struct question *q = req->ctx;

    if (status == 0)
        reply(q->bank, &q->message);
    else
        stop(q->bank, weir_error_name(status));
    question_free(q);
}

static void asked_transfer(struct bank *b, const struct message *m)
{
    const struct transfer *t = &m->transfer;
    unsigned char *under_way = &b->under_way[t->number][t->try];
    struct question *q;

    /* Who has not read all that its predecessors booked would book it again. */
    if (!b->leads || (b->books.next < b->lead_from && bug != STALE))
        return;
    if (b->books.booked[t->number][t->try] != 0)
        reply(b, m);
    else if (!*under_way && (q = question_new(b, m)) != NULL) {
        q->append = (struct weir_append){.req = {.done = appended, .ctx = q},
                                         .data = &q->message.transfer,
                                         .len = sizeof(*t),
                                         .count = 1,
                                         .max_timestamp = WEIR_NO_TIMESTAMP};
        *under_way = weir_append(b->ledger, &q->append) == 0;
        if (*under_way && bug == EARLY)
            reply(b, m);
        if (!*under_way)
            question_free(q);
    }
}

static void asked(void *ctx, uint32_t from, const void *data, size_t len)
{
    const struct message *m = data;

    (void)from, (void)len;
    if (m->kind == TRANSFER)
        asked_transfer(ctx, m);
    else
        asked_count(ctx, m);
}

/* ---- Who leads ----------------------------------------------------------- */

static void look_again(struct bank *b)
{
    struct weir_env *env = weir_sim_env(b->machine);

    b->look_timer.deadline = env->ops->now(env) + 200 * MS;
    env->ops->timer_start(env, &b->look_timer);
}

static void opened(struct weir_req *req, int status)
{
    struct bank *b = req->ctx;
    struct weir_stream_stat stat;

    if (status == 0 && weir_stream_stat(b->ledger, &stat) == 0) {
        b->leads = 1;
        leaders++;
        b->lead_from = stat.end;
        weir_sim_trace(sim, "bank %u leads, from offset %llu", b->id,
                       (unsigned long long)stat.end);
    }
    look_again(b);
}

/* Whether it was taken over or not, the next look shows who has the ledger. */
static void taken(struct weir_req *req, int status)
{
    (void)status;
    look_again(req->ctx);
}

/* The ledger is the only stream: who has one has it. */
static const struct weir_member *owner(const struct bank *b)
{
    for (size_t i = 0; i < b->list.count; i++)
        if (b->members[i].streams != 0)
            return &b->members[i];
    return NULL;
}

static void looked(struct weir_req *req, int status)
{
    struct bank *b = req->ctx;
    const struct weir_member *who = owner(b);
    int mine = who != NULL && who->node_id == b->id;
    int rc = WEIR_EAGAIN;

    if (status == 0 && b->leads && !mine) {
        stop(b, "another one leads");
    } else if (status == 0 && !b->leads && (who == NULL || mine)) {
        rc = weir_stream_open(b->node, &b->open);
    } else if (status == 0 && !mine && who->life == WEIR_NODE_LAPSED) {
        b->takeover.node_id = who->node_id;
        rc = weir_takeover(b->node, &b->takeover);
    }
    if (rc != 0)
        look_again(b);
}

/* Look who leads, every now and then. */
static void look(struct weir_timer *timer)
{
    struct bank *b = (struct bank *)(void *)timer;

    if (!b->reads)
        b->reads = weir_fetch(b->ledger, &b->tail) == 0;
    if (weir_node_list(b->node, &b->list) != 0)
        look_again(b);
}

/* ---- The program --------------------------------------------------------- */

static void bank_program(void *ctx)
{
    struct bank *b = ctx;
    uint32_t id = (uint32_t)(b - banks) + 1;
    struct weir_req req = {.ctx = b};

    *b = (struct bank){.id = id, .machine = machines[id - 1]};
    if (open_ledger(&b->node, &b->ledger, b->machine) != 0) {
        stop(b, "the ledger cannot be opened");
        return;
    }
    b->tail = (struct weir_fetch){.req = req, .max_bytes = 1 << 16};
    b->tail.min_bytes = 1;
    b->tail.max_wait = (int64_t)SECOND;
    b->tail.req.done = tail_read;
    b->list = (struct weir_node_list){.req = req, .out = b->members};
    b->list.limit = NODES;
    b->list.req.done = looked;
    b->takeover = (struct weir_takeover){.req = req};
    b->takeover.req.done = taken;
    b->open = (struct weir_stream_open){.req = req, .name = "ledger"};
    b->open.req.done = opened;
    b->look_timer = (struct weir_timer){.fire = look};
    weir_sim_receive(b->machine, asked, b);
    look(&b->look_timer);
}

#endif
