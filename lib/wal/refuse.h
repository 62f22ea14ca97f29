/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Ending a request to open that failed before there was a log to keep
 * anything in: the request's own room holds the task.
 */
#ifndef WEIR_WAL_REFUSE_H
#define WEIR_WAL_REFUSE_H

#include <weir/wal.h>

/** A task that ends `req` with `status`, when it runs. */
struct weir_task *weir__wal_refusal(struct weir_wal_open *req, int status);
/** Post it. */
void weir__wal_refuse(struct weir_wal_open *req, int status);

#endif
