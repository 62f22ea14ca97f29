/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small bank, tested in a simulated world.
 *
 * The bank's truth is a stream: each transfer is a record, and the balances
 * are what a replay gives.  A teller on another machine asks for transfers by
 * message, again and again until it is answered.  The bank stops when it does
 * not know what became of an append: whoever starts it again finds out by
 * reading.  Meanwhile machines crash and halt, disks fail, the store cannot
 * be reached, and messages are lost, doubled and late.  In the end an auditor
 * reads the stream on the other machine: each transfer is there exactly once.
 *
 *     sim_bank [none|early|retry [SEED]]
 *
 * A bug can be planted: "early" answers before the append is acknowledged;
 * "retry" takes an unknown outcome for a failure, so that the teller asks for
 * the transfer anew.  Ends with 1 at the first of 100 seeds that shows a bug,
 * and with a SEED runs that one, with its trace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { ACCOUNTS = 8, TRANSFERS = 60, TRIES = 16, WINDOW = 4, DISASTERS = 12 };
enum { BANK, TELLER, NODES, DISK = 4 << 20 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

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
static enum { NONE, EARLY, RETRY } bug;
static const char *const bugs[] = {"none", "early", "retry"};
static char failure[512];

/* The bank: made anew by each start. */
static struct books books;
static struct weir *bank;
static struct weir_stream *ledger;
static int result; /* Of the program that ran last. */

/* The teller, whose machine never fails, and the auditor there. */
static struct transfer wanted[TRANSFERS];
static int answered[TRANSFERS];
static struct weir_timer ask_timer;
static struct books audit;

static struct weir_timer disaster_timer;
static int disasters_left;

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
    unsigned long long seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    unsigned long long last = argc > 2 ? seed : 100;

    while (argc > 1 && strcmp(argv[1], bugs[bug]) != 0)
        if (bug++ == RETRY)
            return fputs("sim_bank [none|early|retry [SEED]]\n", stderr), 2;
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
