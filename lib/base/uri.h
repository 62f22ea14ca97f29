/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Backend URIs: `scheme:path?key=value&...` and
 * `scheme://authority/path?...` (RFC 3986 without fragments; %XX decoded in
 * every part).
 */
#ifndef WEIR_BASE_URI_H
#define WEIR_BASE_URI_H

#include <weir/alloc.h>
#include <weir/error.h>

#include <stdbool.h>

/** Most parameters that a URI may have. */
#define WEIR__URI_PARAMS 16

struct weir__uri_param {
    const char *key;
    const char *value;
};

/** A parsed URI.  All strings live in `memory`. */
struct weir__uri {
    const char *scheme;
    const char *authority; /* NULL if there is no "//". */
    const char *path;      /* With its leading slash if it has one; or "". */
    struct weir__uri_param params[WEIR__URI_PARAMS];
    size_t param_count;
    const struct weir_alloc *alloc;
    char *memory;
};

/** How many bytes of `text` a message may show, with "%.*s": what comes behind
 * may be a secret that somebody took for a parameter. */
int weir__uri_shown(const char *text);
/** Parse `text`: 0, WEIR_EINVAL (`err` names what was expected), ENOMEM.  One
 * with a password in it is refused, and not shown; of a parameter only the name
 * is. */
int weir__uri_parse(struct weir__uri *uri, const struct weir_alloc *alloc,
                    const char *text, struct weir_error *err);
void weir__uri_free(struct weir__uri *uri);
/** Value of a parameter, or NULL. */
const char *weir__uri_get(const struct weir__uri *uri, const char *key);
/** Fail with WEIR_EINVAL, naming the parameter, unless each one is in
 * `known`, a list that ends with NULL. */
int weir__uri_check(const struct weir__uri *uri, const char *const *known,
                    struct weir_error *err);
/** Parameters as sizes, durations (ns), booleans; `*out` is left alone when
 * the parameter is not there. */
int weir__uri_size(const struct weir__uri *uri, const char *key, uint64_t *out,
                   struct weir_error *err);
int weir__uri_duration(const struct weir__uri *uri, const char *key,
                       uint64_t *out, struct weir_error *err);
/** A number from `min` to `max`. */
int weir__uri_number(const struct weir__uri *uri, const char *key, uint64_t min,
                     uint64_t max, uint64_t *out, struct weir_error *err);
int weir__uri_bool(const struct weir__uri *uri, const char *key, int *out,
                   struct weir_error *err);

/** 1 if a host is this machine: localhost, 127.x.y.z or [::1], and nothing that
 * only begins so.  Nobody is on the way who could read along. */
bool weir__is_loopback(const char *host, size_t len);

/** "64MiB" to bytes, "5s" to nanoseconds: 0, or WEIR_EINVAL. */
int weir__parse_size(const char *text, uint64_t *out);
int weir__parse_duration(const char *text, uint64_t *out);

#endif
