/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Log lines on standard error.
 */
#ifndef KAFKA_LOG_H
#define KAFKA_LOG_H

#include <weir/log.h>

/** The logger of this program; hand it to the library too. */
extern const struct weir_log stderr_log;

/** Leave out lines that matter less than `level`. */
void log_set_level(enum weir_log_level level);

/** Write a line. */
__attribute__((format(printf, 2, 3))) void log_line(enum weir_log_level level,
                                                    const char *format, ...);

#endif
