/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the two benchmarks share: options, streams, and the loop of callers.
 */
#ifndef WEIR_CLI_BENCH_H
#define WEIR_CLI_BENCH_H

#include "cli.h"

/** One run of a benchmark. */
struct bench {
    struct cli *cli;

    uint64_t callers; /* Options. */
    uint64_t depth;
    uint64_t streams;
    uint64_t size;    /* Bytes of a record. */
    uint64_t seconds; /* Stop after so long, or */
    uint64_t count;   /* after so many records; 0: no such limit. */
    uint64_t bytes;   /* bench fetch: payload to prepare. */
    uint64_t fetch;   /* bench fetch: bytes of one fetch. */
    bool threads;
    bool hot;
    bool keep;

    struct weir_stream **stream; /* `streams` of them. */
    unsigned char *payload;      /* Random, and some more than one record. */
    struct latency *latency;
    struct progress bar;
    uint64_t started; /* Clock; both in nanoseconds. */
    uint64_t finished;
    double cpu;        /* Seconds, of all threads. */
    uint64_t records;  /* Done. */
    uint64_t payloads; /* Bytes of them. */
    bool stop;
    int code;
};

/** Options that both take. */
#define BENCH_OPTIONS                                                          \
    {'c', "callers", "N", "callers at a time (64)"},                           \
        {'d', "depth", "N", "requests that each has under way (1)"},           \
        {'s', "size", "BYTES", "payload of a record (1KiB)"},                  \
        {'n', "streams", "N", "streams to spread them over (1)"},              \
        {'t', "seconds", "N", "how long (5 for appends without a count)"},     \
        {'N', "count", "N", "stop after so many records"},                     \
    {                                                                          \
        'k', "keep", NULL, "keep the streams; their names go to stderr"        \
    }

/** Read the options and get memory: 0 or the exit code. */
int bench_init(struct bench *b, struct cli *cli);
/** Create the streams, or open them again: 0 or the exit code. */
int bench_streams(struct bench *b, unsigned flags);
/** Start and end the measurement. */
void bench_start(struct bench *b);
void bench_finish(struct bench *b);
/** One more request may be sent at this time. */
bool bench_goes_on(const struct bench *b, uint64_t now, uint64_t sent);
/** The first failure ends the run, with a message. */
void bench_fail(struct bench *b, int status);
/** Look for a signal now and then; draw the bar. */
void bench_tick(struct bench *b, uint64_t now);
/** Append from `callers` with `depth`: the measured run, or the preparation
 * of bench fetch.  Failures are in b->code. */
void bench_append_async(struct bench *b);
/** Print figures: 0. */
int bench_print(struct bench *b, const struct weir_stats *before);
/** Delete the streams and free the memory: the exit code. */
int bench_end(struct bench *b);

#endif
