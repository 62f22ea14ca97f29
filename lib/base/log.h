/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One line to the host's logger.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <weir/log.h>

/** Write a formatted line; nothing happens when `log` is NULL. */
void weir__log(const struct weir_log *log, enum weir_log_level level,
               const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
