/* SPDX-License-Identifier: Apache-2.0 */
/* weir append: what comes on stdin, to the end of a stream. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Appends under way at one time, and their bytes (one may be larger). */
#define WINDOW_SLOTS 4096u
#define WINDOW_BYTES (UINT64_C(32) << 20)
/* A slot that held more than this gives its memory back. */
#define SLOT_KEEPS (64u << 10)

struct appender;

/* One append under way. */
struct slot {
    struct weir_append append; /* First: `done` gets its address. */
    struct weir_error err;
    struct appender *owner;
    struct slot *next; /* Free ones only. */
    unsigned char *data;
    size_t capacity;
    uint64_t number; /* Of the record, from 1. */
};

struct appender {
    struct cli *cli;
    struct weir_stream *stream;
    const char *name;
    struct input in;
    struct progress bar;
    struct slot *slots;
    struct slot *free;
    unsigned under_way;
    uint64_t bytes_under_way;

    uint64_t sent;  /* Records handed over. */
    uint64_t acked; /* Records acknowledged, and their bytes. */
    uint64_t bytes;
    uint64_t first; /* Offsets of the first and the last of them. */
    uint64_t last;
    bool ack;  /* Print them. */
    bool stop; /* Take no more. */
    int code;  /* Exit code. */
};

static void give_back(struct slot *slot)
{
    struct appender *a = slot->owner;

    if (slot->capacity > SLOT_KEEPS) {
        free(slot->data);
        slot->data = NULL;
        slot->capacity = 0;
    }
    a->bytes_under_way -= slot->append.len;
    a->under_way--;
    slot->next = a->free;
    a->free = slot;
}

/* The first failure is the one to tell; those behind it only follow. */
static void fail_record(struct appender *a, const struct slot *slot, int rc)
{
    a->stop = true;
    if (a->code != 0)
        return;
    a->cli->err = slot->err;
    a->code =
        cli_fail(a->cli, rc, "%s: record %" PRIu64, a->name, slot->number);
}

static void append_done(struct weir_req *req, int status)
{
    struct slot *slot = (struct slot *)req;
    struct appender *a = slot->owner;

    if (status != 0) {
        if (!cli_stopped(a->cli))
            fail_record(a, slot, status);
        give_back(slot);
        return;
    }
    if (a->acked == 0)
        a->first = slot->append.base_offset;
    a->last = slot->append.base_offset;
    a->acked++;
    a->bytes += slot->append.len;
    if (a->ack)
        printf("%" PRIu64 "\n", slot->append.base_offset);
    give_back(slot);
}

/* A copy of the record for the slot: it lives until the acknowledgement. */
static int fill_slot(struct slot *slot, const unsigned char *data, size_t len)
{
    if (slot->capacity < len || slot->data == NULL) {
        free(slot->data);
        slot->data = malloc(len > 256 ? len : 256);
        slot->capacity = slot->data == NULL ? 0 : len > 256 ? len : 256;
        if (slot->data == NULL)
            return WEIR_ENOMEM;
    }
    memcpy(slot->data, data, len);
    return 0;
}

static void submit(struct appender *a, const unsigned char *data, size_t len)
{
    struct slot *slot = a->free;
    int rc;

    a->free = slot->next;
    a->under_way++;
    a->bytes_under_way += len;
    slot->number = ++a->sent;
    slot->err.code = 0;
    slot->append = (struct weir_append){.req.done = append_done,
                                        .req.err = &slot->err,
                                        .len = len,
                                        .count = 1,
                                        .flags = WEIR_APPEND_WAIT,
                                        .max_timestamp = cli_wall()};
    rc = fill_slot(slot, data, len);
    slot->append.data = slot->data;
    if (rc == 0)
        rc = weir_append(a->stream, &slot->append);
    if (rc != 0) {
        fail_record(a, slot, rc);
        give_back(slot);
    }
}

static bool has_room(const struct appender *a)
{
    return a->free != NULL &&
           (a->under_way == 0 || a->bytes_under_way < WINDOW_BYTES);
}

/* Hand over what is there, as far as there is room.  True: nothing is left
 * in the buffer, and more of stdin can be read. */
static bool submit_records(struct appender *a)
{
    const unsigned char delimiter = (unsigned char)a->in.delimiter;
    const unsigned char *data;
    size_t len;
    int got = 1;

    while (!a->stop && has_room(a)) {
        got = input_next(&a->in, &data, &len);
        if (got <= 0)
            break;
        /* No batch is empty: an empty record is its own delimiter, and
         * weir cat knows. */
        if (len == 0)
            submit(a, &delimiter, 1);
        else
            submit(a, data, len);
    }
    if (got < 0) {
        a->stop = true;
        a->code = cli_error(
            a->cli, "%s: record %" PRIu64 " is longer than max_batch (%s)",
            a->name, a->sent + 1, weir_config_get(a->cli->config, "max_batch"));
    }
    return got == 0 && !a->stop;
}

/* Nothing is under way and nothing will come: a wait would have no end. */
static bool is_over(const struct appender *a)
{
    if (a->under_way > 0)
        return false;
    return a->stop || (a->in.eof && has_room(a) && a->in.begin == a->in.end);
}

static void append_input(struct appender *a)
{
    while (!a->stop || a->under_way > 0) {
        bool wants_input = submit_records(a) && !a->in.eof;
        short ready;

        if (is_over(a))
            return;
        ready = cli_drive(a->cli, wants_input ? a->in.fd : -1, POLLIN);
        if (a->ack)
            (void)output_flush(a->cli);
        progress_show(&a->bar, a->bytes + (a->in.delimiter < 0 ? 0 : a->acked));
        if (cli_stopped(a->cli))
            return;
        if (ready != 0 && !a->stop && input_fill(&a->in) != 0) {
            a->stop = true;
            a->code = cli_error(a->cli, ": read stdin: %s", strerror(errno));
        }
    }
}

/* Whoever stops us does not want to wait for room that may never come: the
 * node ends what is under way, with what has become of it. */
static void end_under_way(struct appender *a)
{
    if (a->under_way > 0)
        (void)weir_close(a->cli->node, NULL);
    if (a->ack)
        (void)output_flush(a->cli);
}

static int make_slots(struct appender *a)
{
    a->slots = calloc(WINDOW_SLOTS, sizeof(*a->slots));
    if (a->slots == NULL)
        return cli_error(a->cli, ": out of memory");
    for (unsigned i = 0; i < WINDOW_SLOTS; i++) {
        a->slots[i].owner = a;
        a->slots[i].next = a->free;
        a->free = &a->slots[i];
    }
    return 0;
}

static void free_slots(struct appender *a)
{
    for (unsigned i = 0; a->slots != NULL && i < WINDOW_SLOTS; i++)
        free(a->slots[i].data);
    free(a->slots);
    input_free(&a->in);
}

static void print_result(const struct appender *a)
{
    struct row *row;

    if (!a->cli->json) {
        cli_note(a->cli, 1,
                 "%s: %" PRIu64 " records, %" PRIu64 " bytes acknowledged",
                 a->name, a->acked, a->bytes);
        return;
    }
    row = row_new();
    row_text(row, "stream", a->name);
    row_uint(row, "records", a->acked);
    row_uint(row, "bytes", a->bytes);
    if (a->acked > 0) {
        row_uint(row, "first", a->first);
        row_uint(row, "last", a->last);
    }
    row_print(row, true);
}

/* Bytes of stdin still to come, if it is a file. */
static uint64_t input_size(void)
{
    struct stat st;
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);

    if (fstat(STDIN_FILENO, &st) != 0 || !S_ISREG(st.st_mode) || at < 0 ||
        at > st.st_size)
        return 0;
    return (uint64_t)(st.st_size - at);
}

static int parse_delimiter(struct appender *a, const char *text)
{
    if (strcmp(text, "\\n") == 0)
        a->in.delimiter = '\n';
    else if (strcmp(text, "\\t") == 0)
        a->in.delimiter = '\t';
    else if (strcmp(text, "\\0") == 0)
        a->in.delimiter = 0;
    else if (strlen(text) == 1)
        a->in.delimiter = (unsigned char)text[0];
    else
        return cli_usage(a->cli, "--delimiter %s: expected one byte", text);
    return 0;
}

static int parse(struct appender *a, unsigned *flags)
{
    const struct cli *cli = a->cli;
    uint64_t limit = 0;
    int rc = 0;

    for (size_t i = 0; i < cli->given_count && rc == 0; i++) {
        switch (cli->given[i].key) {
        case 'w':
            a->in.delimiter = -1;
            break;
        case '0':
            a->in.delimiter = 0;
            break;
        case 'd':
            rc = parse_delimiter(a, cli->given[i].value);
            break;
        case 'a':
            a->ack = true;
            break;
        default:
            *flags = 0;
        }
    }
    (void)cli_parse_bytes(weir_config_get(cli->config, "max_batch"), &limit);
    a->in.limit = limit;
    return rc;
}

static int append_run(struct cli *cli)
{
    struct appender a = {.cli = cli, .name = cli->args[0]};
    unsigned flags = WEIR_STREAM_CREATE;

    a.in = (struct input){.fd = STDIN_FILENO, .delimiter = '\n'};
    a.code = parse(&a, &flags);
    if (a.code == 0)
        a.code = cli_stream(cli, a.name, flags, &a.stream);
    if (a.code == 0)
        a.code = make_slots(&a);
    if (a.code == 0) {
        progress_start(&a.bar, cli, a.name, input_size());
        append_input(&a);
        end_under_way(&a);
        progress_end(&a.bar);
        print_result(&a);
    }
    weir_stream_close(a.stream);
    free_slots(&a);
    return a.code;
}

static const struct cli_option append_options[] = {
    {'w', "whole", NULL, "all of stdin is one record"},
    {'0', "null", NULL, "records end with a zero byte, not a newline"},
    {'d', "delimiter", "BYTE",
     "records end with this byte (or \\n, \\t, \\0),\n"
     "which is no part of them"},
    {'a', "ack", NULL,
     "print the offset of each record as soon as it\n"
     "is acknowledged"},
    {'n', "no-create", NULL, "fail if there is no such stream"},
    {0, NULL, NULL, NULL}};

const struct command append_command = {
    "append",
    NULL,
    "STREAM",
    "Append the lines of stdin to a stream, one record each.",
    "Creates the stream if there is none.  Many records are under way at one\n"
    "time; they keep their order.  When the program ends with 0, all of them\n"
    "are durable.  After an error, a signal or a crash the records up to some\n"
    "point are there, and all that were acknowledged (--ack).\n"
    "An empty line becomes a record of one newline, since no record is empty;\n"
    "weir cat shows it as an empty line again.",
    append_options,
    1,
    1,
    COMMAND_STOPS | COMMAND_CREATES,
    append_run};
