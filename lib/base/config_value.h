/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Values of properties: checked, and turned into numbers.
 */
#ifndef WEIR_BASE_CONFIG_VALUE_H
#define WEIR_BASE_CONFIG_VALUE_H

#include <weir/config.h>

/** Check `value` for a property; `*number` gets its number if the type has
 * one.  0, WEIR_EINVAL (`err` names the key and what was expected), or
 * WEIR_ENOMEM. */
int weir__config_parse(const struct weir_property *property,
                       const struct weir_alloc *alloc, const char *value,
                       int64_t *number, struct weir_error *err);

/** Row of the key that looks most like `key`, or NULL if none does. */
const struct weir_property *weir__config_nearest(const char *key);

#endif
