/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Filling in a `struct weir_error`.  Each returns its code, so that a
 * function can end with `return weir__fail(err, WEIR_EINVAL, "...")`.
 */
#ifndef WEIR_BASE_ERROR_H
#define WEIR_BASE_ERROR_H

#include <stdarg.h>
#include <weir/error.h>

/** Set `err` (may be NULL) to `code` and a formatted text; return `code`. */
int weir__fail(struct weir_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** The same, with a list of arguments. */
int weir__vfail(struct weir_error *err, int code, const char *format,
                va_list args) __attribute__((format(printf, 3, 0)));

/** Set `err` from errno: the code that fits, "text: cause". */
int weir__fail_errno(struct weir_error *err, int number, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));

/** Set `err` to `code` and its own text, unless it tells of `code` already.
 * For a path that only passes a status on. */
int weir__fail_status(struct weir_error *err, int code);

/** Copy an error; either may be NULL. */
void weir__error_copy(struct weir_error *to, const struct weir_error *from);

#endif
