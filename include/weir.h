/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Weir: streams (append-only logs) in shared object storage.
 *
 * This header brings in the whole public interface.  Each part stands alone:
 * include `weir/stream.h` only, for instance, if that is all you need.  Not
 * in it is `weir/sim.h`, a simulated world for tests.
 */
#ifndef WEIR_H
#define WEIR_H

#include <weir/alloc.h>
#include <weir/buf.h>
#include <weir/cluster.h>
#include <weir/config.h>
#include <weir/env.h>
#include <weir/error.h>
#include <weir/inspect.h>
#include <weir/kv.h>
#include <weir/log.h>
#include <weir/manifest_log.h>
#include <weir/node.h>
#include <weir/probe.h>
#include <weir/s3_keys.h>
#include <weir/stats.h>
#include <weir/store.h>
#include <weir/stream.h>
#include <weir/wal.h>

#endif
