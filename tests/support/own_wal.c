/* SPDX-License-Identifier: Apache-2.0 */
#include "support/own.h"

int own_wal_main(int argc, char **argv);

#define main own_wal_main
#include "custom_wal.c" /* NOLINT: a program, as it is. */

weir_wal_open_fn *const own_wal_open = open_ring;
