/* SPDX-License-Identifier: Apache-2.0 */
/* weir cat: the records of a stream, to stdout. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

#define FETCH_BYTES (1u << 20)
/* A wait at the end of the stream is renewed so often. */
#define FOLLOW_WAIT INT64_C(60000000000)

struct reader {
    struct weir_fetch fetch; /* First: `done` gets its address. */
    struct cli *cli;
    struct weir_stream *stream;
    const char *name;
    const char *from;
    uint64_t offset; /* Next to read. */
    uint64_t to;     /* Stop before it. */
    uint64_t left;   /* Batches still to print. */
    bool follow;
    int end; /* Byte behind each record, or -1: none. */
    bool fetched;
    int status;
};

static void print_json(const struct weir_batch *batch)
{
    struct row *row = row_new();

    row_uint(row, "offset", batch->base_offset);
    if (batch->count != 1)
        row_uint(row, "count", batch->count);
    if (batch->max_timestamp != WEIR_NO_TIMESTAMP)
        row_int(row, "timestamp", batch->max_timestamp);
    row_bytes(row, "data", batch->data, batch->len);
    row_print(row, true);
}

static void print_batch(const struct reader *r, const struct weir_batch *batch)
{
    if (r->cli->json) {
        print_json(batch);
        return;
    }
    fwrite(batch->data, 1, batch->len, stdout);
    /* An empty line was stored as its newline: see append.c. */
    if (r->end >= 0 &&
        (batch->len != 1 || *(const unsigned char *)batch->data != r->end))
        putchar(r->end);
}

/* Print what a fetch gave.  True: there is more to read. */
static bool print_fetched(struct reader *r)
{
    bool more = true;

    for (size_t i = 0; i < r->fetch.count && more; i++) {
        const struct weir_batch *batch = &r->fetch.batches[i];

        if (r->left == 0 || batch->base_offset >= r->to)
            break;
        print_batch(r, batch);
        r->left--;
        r->offset = batch->base_offset + batch->count;
        more = ferror(stdout) == 0;
    }
    return output_flush(r->cli) && more && r->left > 0 && r->offset < r->to;
}

static void fetch_done(struct weir_req *req, int status)
{
    struct reader *r = (struct reader *)req;

    r->status = status;
    r->fetched = true;
}

/* One fetch, to its end.  A signal ends its wait. */
static int fetch(struct reader *r)
{
    bool canceled = false;
    int rc;

    r->fetch = (struct weir_fetch){.req.done = fetch_done,
                                   .req.err = &r->cli->err,
                                   .offset = r->offset,
                                   .max_bytes = FETCH_BYTES,
                                   .min_bytes = r->follow ? 1 : 0,
                                   .max_wait = r->follow ? FOLLOW_WAIT : 0};
    r->fetched = false;
    rc = weir_fetch(r->stream, &r->fetch);
    if (rc != 0)
        return rc;
    while (!r->fetched) {
        (void)cli_drive(r->cli, -1, 0);
        if (cli_stopped(r->cli) && !canceled && !r->fetched) {
            canceled = true;
            weir_fetch_cancel(r->stream, &r->fetch);
        }
    }
    return r->status;
}

static int fail_fetch(const struct reader *r, int rc)
{
    if (rc == WEIR_ERANGE && r->offset < r->fetch.start)
        return cli_error(r->cli,
                         "%s: offset %" PRIu64
                         ": trimmed, the stream begins at %" PRIu64,
                         r->name, r->offset, r->fetch.start);
    if (rc == WEIR_ERANGE)
        return cli_error(r->cli,
                         "%s: offset %" PRIu64
                         ": beyond the end, which is at %" PRIu64,
                         r->name, r->offset, r->fetch.end);
    return cli_fail(r->cli, rc, "%s: offset %" PRIu64, r->name, r->offset);
}

static int read_stream(struct reader *r)
{
    bool more = r->left > 0 && r->offset < r->to;
    int rc;

    while (more && !cli_stopped(r->cli)) {
        rc = fetch(r);
        if (rc != 0)
            return fail_fetch(r, rc);
        more = print_fetched(r) && (r->follow || r->fetch.count > 0);
        weir_fetch_release(&r->fetch);
    }
    return 0;
}

/* Where --from says: start, end, an offset, or -N from the end. */
static int find_start(struct reader *r)
{
    struct weir_stream_stat stat;
    uint64_t n;
    int rc = weir_stream_stat(r->stream, &stat);

    if (rc != 0)
        return cli_fail(r->cli, rc, "%s", r->name);
    r->offset = stat.start;
    if (strcmp(r->from, "start") == 0)
        return 0;
    r->offset = stat.end;
    if (strcmp(r->from, "end") == 0)
        return 0;
    if (r->from[0] != '-')
        return cli_number(r->cli, "--from", r->from, 0, INT64_MAX, &r->offset);
    rc = cli_number(r->cli, "--from", r->from + 1, 0, INT64_MAX, &n);
    r->offset = n < stat.end - stat.start ? stat.end - n : stat.start;
    return rc;
}

static int parse(struct reader *r)
{
    const struct cli *cli = r->cli;
    int rc = 0;

    for (size_t i = 0; i < cli->given_count && rc == 0; i++) {
        const char *value = cli->given[i].value;

        switch (cli->given[i].key) {
        case 'o':
            r->from = value;
            break;
        case 't':
            rc = cli_number(cli, "--to", value, 0, INT64_MAX, &r->to);
            break;
        case 'n':
            rc = cli_number(cli, "--count", value, 0, INT64_MAX, &r->left);
            break;
        case 'f':
            r->follow = true;
            break;
        case '0':
            r->end = 0;
            break;
        default:
            r->end = -1;
        }
    }
    return rc;
}

static int cat_run(struct cli *cli)
{
    struct reader r = {.cli = cli,
                       .name = cli->args[0],
                       .from = "start",
                       .end = '\n',
                       .to = UINT64_MAX,
                       .left = UINT64_MAX};
    int code = parse(&r);

    if (code == 0)
        code = cli_stream(cli, r.name, WEIR_STREAM_READ, &r.stream);
    if (code == 0)
        code = find_start(&r);
    if (code == 0)
        code = read_stream(&r);
    weir_stream_close(r.stream);
    return code;
}

static const struct cli_option cat_options[] = {
    {'o', "from", "OFFSET",
     "begin at this offset, at start (the default),\n"
     "at end, or with -N so many before the end"},
    {'t', "to", "OFFSET", "stop before this offset"},
    {'n', "count", "N", "stop after N records"},
    {'f', "follow", NULL, "wait for more at the end of the stream"},
    {'0', "null", NULL, "a zero byte behind each record, not a newline"},
    {'r', "raw", NULL, "records as they are, nothing between them"},
    {0, NULL, NULL, NULL}};

const struct command cat_command = {
    "cat",
    NULL,
    "STREAM",
    "Print the records of a stream, each followed by a newline.",
    "With --json each record is an object with its offset, timestamp\n"
    "(milliseconds since 1970) and data, or data_base64 if it is not UTF-8.\n"
    "A batch that was appended as a whole, for more than one offset, is\n"
    "printed as a whole and counts as one record.  Nothing is printed that\n"
    "has not passed its checksum.",
    cat_options,
    1,
    1,
    COMMAND_READS | COMMAND_STOPS,
    cat_run};
