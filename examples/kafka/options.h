/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The command line and the environment.
 */
#ifndef KAFKA_OPTIONS_H
#define KAFKA_OPTIONS_H

#include <weir/config.h>

#include "settings.h"

/** What was asked for. */
struct options {
    struct weir_config *config;
    struct settings settings;
    char listen_host[256];
    int32_t listen_port;
    char advertised_host[256]; /* "": not said. */
    int32_t advertised_port;
};

/** What to do after `options_read`. */
enum options_outcome {
    OPTIONS_RUN,
    OPTIONS_DONE,   /* Help or the version was printed. */
    OPTIONS_INVALID /* Said why on standard error. */
};

/**
 * Read the command line and the AWS_* variables.
 *
 * @param options  Zeroed; end with `options_free` whatever the outcome.
 */
enum options_outcome options_read(struct options *options, int argc,
                                  char **argv);

/** Free what the options hold. */
void options_free(struct options *options);

#endif
