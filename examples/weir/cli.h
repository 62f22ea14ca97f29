/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The weir program: what its files share.
 *
 * One file per command, and a few for what all commands need: options.c
 * (arguments), session.c (the node), output.c (text or JSON), input.c
 * (records from stdin), progress.c, latency.c.  The program uses nothing of
 * the library but its public headers.
 */
#ifndef WEIR_CLI_H
#define WEIR_CLI_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir.h>

/* Exit codes, beside EXIT_SUCCESS and EXIT_FAILURE. */
#define EXIT_USAGE 2
#define EXIT_SIGNAL 128 /* And the number of the signal. */

/** An option that a command takes. */
struct cli_option {
    int key;          /* Its letter, or a number above 255. */
    const char *name; /* Long name; NULL ends a table. */
    const char *arg;  /* Name of the argument, or NULL: takes none. */
    const char *text; /* For --help. */
};

/** Key of --threads, with which callbacks may come on another thread. */
#define OPTION_THREADS 'T'

/** An option that was given. */
struct cli_given {
    int key;
    const char *value; /* NULL if it takes none. */
};

/** One run of the program. */
struct cli {
    const struct command *command;
    struct cli_given *given; /* The command's options, in order. */
    size_t given_count;
    char **args; /* Arguments that are not options. */
    int arg_count;

    const char *store; /* URIs, or NULL where none was given. */
    const char *wal;
    const char *manifest;
    bool json;
    bool help;
    int verbose; /* -1: quiet; 1: rare events; 2: each upload. */

    struct weir_config *config;
    struct weir_log log;
    struct weir *node;
    struct weir_error err; /* Of the call that failed last. */
    int signal_fd;         /* -1: signals do what they always do. */
    int signal;            /* Signal that ends the run, or 0. */
    int output_errno;      /* Why stdout takes no more, or 0. */
};

/* What a command is. */
#define COMMAND_READS 1u    /* Changes nothing: can do without a WAL. */
#define COMMAND_STOPS 2u    /* Looks at cli->signal. */
#define COMMAND_OFFLINE 4u  /* Needs no node. */
#define COMMAND_NO_STORE 8u /* Needs no store. */
#define COMMAND_CREATES 16u /* Makes the store's folder if there is none. */

/** A command: a row of the table in options.c. */
struct command {
    const char *name;
    const char *sub; /* Second word, or NULL. */
    const char *args;
    const char *summary;
    const char *text; /* The rest of its --help. */
    const struct cli_option *options;
    int min_args;
    int max_args; /* -1: any number. */
    unsigned flags;
    int (*run)(struct cli *cli); /* Returns the exit code. */
};

extern const struct command append_command;
extern const struct command cat_command;
extern const struct command ls_command;
extern const struct command stat_command;
extern const struct command trim_command;
extern const struct command rm_command;
extern const struct command flush_command;
extern const struct command bench_append_command;
extern const struct command bench_fetch_command;
extern const struct command dump_wal_command;
extern const struct command dump_object_command;
extern const struct command dump_manifest_command;
extern const struct command nodes_command;
extern const struct command takeover_command;
extern const struct command probe_command;
extern const struct command properties_command;

/* options.c */

/** Read the arguments into `cli`, which has a configuration already.
 * Returns -1 to go on, or the exit code. */
int cli_parse(struct cli *cli, int argc, char **argv);
/** Print "weir COMMAND: text" and where to read more; returns EXIT_USAGE. */
int cli_usage(const struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Argument of an option as a number from `min` to `max`: 0, or EXIT_USAGE
 * after a message that names the option. */
int cli_number(const struct cli *cli, const char *option, const char *text,
               uint64_t min, uint64_t max, uint64_t *out);
/** The same for bytes, such as "64KiB". */
int cli_bytes(const struct cli *cli, const char *option, const char *text,
              uint64_t min, uint64_t max, uint64_t *out);
/** "64KiB" to bytes: 0 or -1. */
int cli_parse_bytes(const char *text, uint64_t *out);

/* session.c */

/** Take what was not given on the command line from the environment and from
 * the defaults, and check it: 0 or the exit code. */
int cli_settle(struct cli *cli);
/** The same for the log alone: a command that needs no store. */
int cli_settle_wal(struct cli *cli);
enum { CLI_SHOWN = 256 };
/** The URI of a property, as a message may show it, in `to`: without its
 * parameters, which somebody may have put a secret into. */
const char *cli_shown(const struct cli *cli, const char *property,
                      char to[CLI_SHOWN]);
/** A folder that is not there must not be made by a look into it: 0 or the
 * exit code, after a message. */
int cli_check_folder(struct cli *cli);
/** Open the node: 0 or the exit code, after a message. */
int cli_open(struct cli *cli);
/** Close it: 0 or EXIT_FAILURE, after a message. */
int cli_close(struct cli *cli);
/** Open a stream: 0 or the exit code, after a message. */
int cli_stream(struct cli *cli, const char *name, unsigned flags,
               struct weir_stream **out);
/** Run what the node has to do; if it has nothing, wait until it has, until a
 * signal comes (see cli->signal), until `fd` (or -1) is ready, or until the
 * reader of stdout goes away (cli->output_errno).  Returns what poll() says
 * of `fd`. */
short cli_drive(struct cli *cli, int fd, short events);
/** Look for a signal without waiting. */
void cli_check_signal(struct cli *cli);
/** The run shall end early: a signal came, or nobody reads stdout. */
bool cli_stopped(const struct cli *cli);
/** Print "weir: COMMAND what: why" for a status; returns EXIT_FAILURE.  A
 * format that begins with ": " is not about an argument of the command, and
 * comes out as "weir: COMMAND: what: why".  So it is with the next two. */
int cli_fail(const struct cli *cli, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Print "weir: COMMAND text"; returns EXIT_FAILURE. */
int cli_error(const struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Print a line of stderr if the user asked for so much (`cli->verbose`). */
void cli_note(const struct cli *cli, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Milliseconds since 1970, and nanoseconds for differences. */
int64_t cli_wall(void);
uint64_t cli_now(void);

/* output.c */

/** Something to print: fields, shown as lines or as one JSON object. */
struct row;
struct row *row_new(void);
void row_text(struct row *row, const char *key, const char *value);
void row_uint(struct row *row, const char *key, uint64_t value);
void row_int(struct row *row, const char *key, int64_t value);
void row_real(struct row *row, const char *key, double value);
void row_bool(struct row *row, const char *key, bool value);
/** Bytes: as text if they are UTF-8, else in base64 as "<key>_base64". */
void row_bytes(struct row *row, const char *key, const void *data, size_t len);
/** A time in milliseconds since 1970; left out if there is none. */
void row_time(struct row *row, const char *key, int64_t ms);
/** Print and free it: one JSON object on a line, or "key: value" lines. */
void row_print(struct row *row, bool json);
/** Print and free it as one line of text: its first value, then key=value. */
void row_print_line(struct row *row);
/** State of a stream, and the counters of a node, as fields. */
void row_stream(struct row *row, const struct weir_stream_stat *stat);
void row_counters(struct row *row, const struct weir_stats *stats);
/** Print a name on stdout so that it stays on one line. */
void print_name(FILE *to, const char *name);
/** Flush stdout.  False: it takes no more, for the reason that is in
 * cli->output_errno from then on. */
bool output_flush(struct cli *cli);

/* input.c */

/** Splits what comes on a descriptor into records. */
struct input {
    int fd;
    int delimiter; /* A byte, or -1: one record is all there is. */
    size_t limit;  /* Longest record. */
    unsigned char *data;
    size_t begin;    /* Where what was not taken yet begins, */
    size_t end;      /* and ends. */
    size_t searched; /* No delimiter before this. */
    size_t capacity;
    bool eof;
};

/** Read once, waiting for it: 0, or -1 with errno set. */
int input_fill(struct input *in);
/** Take a record: 1; 0: fill first, or there is no more (`eof`); -1: it is
 * longer than `limit`.  Valid until the next fill. */
int input_next(struct input *in, const unsigned char **data, size_t *len);
void input_free(struct input *in);

/* progress.c */

/** A bar on stderr, if that is a terminal and the work takes a while. */
struct progress {
    const char *label;
    uint64_t total;
    uint64_t started;
    uint64_t drawn; /* When it was drawn last, or 0. */
    bool on;
};

void progress_start(struct progress *bar, const struct cli *cli,
                    const char *label, uint64_t total);
/** Call it as often as you like; it draws ten times a second at most. */
void progress_show(struct progress *bar, uint64_t done);
/** Wipe it away. */
void progress_end(struct progress *bar);

/* latency.c */

/** Histogram of times, 1.6 % wide in the worst case. */
struct latency {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[64 * 64];
};

void latency_add(struct latency *hist, uint64_t nanoseconds);
void latency_merge(struct latency *hist, const struct latency *other);
/** Time that a fraction of all (0 to 1) did not exceed. */
uint64_t latency_quantile(const struct latency *hist, double fraction);
/** Its quantiles as fields, in microseconds. */
void row_latency(struct row *row, const struct latency *hist);

#endif
