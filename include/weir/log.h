/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The host's logger.  The library writes nowhere else, and is silent without.
 */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <weir/api.h>

WEIR_BEGIN

/** How much a line matters. */
enum weir_log_level {
    WEIR_LOG_ERROR, /* Something was lost or refused. */
    WEIR_LOG_WARN,  /* Something went wrong and was mended or is retried. */
    WEIR_LOG_INFO,  /* A rare event: opened, recovered, sealed. */
    WEIR_LOG_DEBUG  /* What happens at each upload and commit. */
};

/** A logger.  `write` is called from any thread; it must not call back. */
struct weir_log {
    size_t size; /* sizeof(struct weir_log) at the host. */
    /* `text` is one line without its newline, valid during the call. */
    void (*write)(void *ctx, enum weir_log_level level, const char *text);
    void *ctx; /* For the host. */
};

WEIR_END

#endif
