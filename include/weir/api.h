/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What every other header needs: the export mark and the version.
 */
#ifndef WEIR_API_H
#define WEIR_API_H

#include <stddef.h>
#include <stdint.h>

/** Version of the headers; `weir_version()` tells that of the library. */
#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

#if defined(__GNUC__) && !defined(WEIR_PARSE_ONLY)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

#ifdef __cplusplus
#define WEIR_BEGIN extern "C" {
#define WEIR_END }
#else
#define WEIR_BEGIN
#define WEIR_END
#endif

#endif
