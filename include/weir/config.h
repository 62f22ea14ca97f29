/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Configuration of a node: keys and values, from one table of properties.
 *
 * The table is the manual: docs/configuration.md, the programs' `--help` and
 * the bindings are made from it.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <weir/env.h>
#include <weir/store.h>
#include <weir/wal.h>

WEIR_BEGIN

struct weir_config;

/** How the value of a property is written. */
enum weir_type {
    WEIR_TYPE_STRING,
    WEIR_TYPE_SECRET,   /* A string that is never shown. */
    WEIR_TYPE_URI,      /* SCHEME:REST?KEY=VALUE&... */
    WEIR_TYPE_INT,      /* A decimal number. */
    WEIR_TYPE_SIZE,     /* Bytes: a number and B, KiB, MiB, GiB or TiB. */
    WEIR_TYPE_DURATION, /* Nanoseconds: a number and ns, us, ms, s, min or h. */
    WEIR_TYPE_BOOL,     /* true or false. */
    WEIR_TYPE_ENUM      /* One of the words in `words`. */
};

/** One property: a row of the table. */
struct weir_property {
    const char *key;
    enum weir_type type;
    const char *def;   /* Default, as written; "" for none. */
    int64_t min;       /* Smallest and largest value, in bytes, */
    int64_t max;       /* nanoseconds or as a number. */
    const char *words; /* ENUM: the words, separated by '|'. */
    const char *text;  /* What it does: one or two sentences. */
};

/**
 * The table of properties.
 *
 * Threads: any.
 *
 * @param count  Number of rows.
 * @return the first row; constant.
 */
WEIR_API const struct weir_property *weir_config_properties(size_t *count);

/**
 * A new configuration, with every property at its default.
 *
 * @param out    The configuration; free it with `weir_config_free`.
 * @param alloc  Allocator of the configuration and of the nodes opened with
 *               it, or NULL for the C library's.  Must outlive them.
 * @return 0, WEIR_EINVAL (an allocator with a function missing), WEIR_ENOMEM.
 */
WEIR_API int weir_config_new(struct weir_config **out,
                             const struct weir_alloc *alloc);

/**
 * Free a configuration.  Nodes that were opened with it go on.
 *
 * @param config  Configuration, or NULL.
 */
WEIR_API void weir_config_free(struct weir_config *config);

/**
 * Set a property.
 *
 * Threads: one at a time for one configuration.
 *
 * @param config  Configuration.
 * @param key     Name of the property; copied.
 * @param value   Value as text; copied.
 * @param err     What went wrong: names the key and what was expected; may
 *                be NULL.
 * @return 0, WEIR_EINVAL (unknown key, bad value), WEIR_ENOMEM.
 */
WEIR_API int weir_config_set(struct weir_config *config, const char *key,
                             const char *value, struct weir_error *err);

/**
 * Value of a property as text.
 *
 * @param config  Configuration.
 * @param key     Name of the property.
 * @return the text, valid until the property is set again; NULL for an
 *         unknown key; "***" for a secret that is set.
 */
WEIR_API const char *weir_config_get(const struct weir_config *config,
                                     const char *key);

/**
 * Logger of the nodes opened with this configuration.
 *
 * @param config  Configuration.
 * @param log     Logger, or NULL for silence.  Must outlive the nodes.
 */
WEIR_API void weir_config_set_log(struct weir_config *config,
                                  const struct weir_log *log);

/**
 * Environment of the nodes opened with this configuration, instead of a real
 * one that each node makes for itself.
 *
 * @param config  Configuration.
 * @param env     Environment, or NULL.  Must outlive the nodes.
 */
WEIR_API void weir_config_set_env(struct weir_config *config,
                                  struct weir_env *env);

/**
 * Register a store under a URI scheme.
 *
 * @param config  Configuration.
 * @param scheme  Scheme, without the colon; copied.
 * @param open    Opens such a store.
 * @param ctx     Passed to `open`.
 * @return 0, WEIR_EINVAL (not a scheme), WEIR_EEXIST, WEIR_ENOMEM.
 */
WEIR_API int weir_config_add_store(struct weir_config *config,
                                   const char *scheme, weir_store_open_fn *open,
                                   void *ctx);

/**
 * Register a write-ahead log under a URI scheme.
 *
 * @param config  Configuration.
 * @param scheme  Scheme, without the colon; copied.
 * @param open    Opens such a log.
 * @param ctx     Passed to `open` as `req->open_ctx`.
 * @return 0, WEIR_EINVAL (not a scheme), WEIR_EEXIST, WEIR_ENOMEM.
 */
WEIR_API int weir_config_add_wal(struct weir_config *config, const char *scheme,
                                 weir_wal_open_fn *open, void *ctx);

WEIR_END

#endif
