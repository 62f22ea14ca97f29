/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * AWS Signature Version 4, as S3 wants it: a pure function of a request, the
 * time and the keys.  (S3 encodes a path once and does not normalise it;
 * other services do both differently.)
 */
#ifndef WEIR_STORE_SIGV4_H
#define WEIR_STORE_SIGV4_H

#include "base/bytes.h"

/** Most parameters, and most headers, of a request. */
#define WEIR__SIGV4_PAIRS 16
/** Room for a time in the form of x-amz-date. */
#define WEIR__SIGV4_DATE 17

struct weir__pair {
    const char *name;
    const char *value;
};

/** What is to be signed.  Nothing in it is encoded yet. */
struct weir__sigv4 {
    const char *method;
    const char *path; /* Begins with a slash. */
    const struct weir__pair *query;
    size_t query_count;
    const struct weir__pair *headers; /* All of these are signed. */
    size_t header_count;
    const char *payload_hash; /* Hexadecimal SHA-256, UNSIGNED-PAYLOAD. */
    const char *date;         /* Of weir__sigv4_date; also in x-amz-date. */
    const char *region;
    const char *service;
    const char *access_key;
    const char *secret_key;
};

/** Milliseconds since 1970 as "20130524T000000Z". */
void weir__sigv4_date(char to[WEIR__SIGV4_DATE], int64_t wall);

/** Append the path, or the query without its '?', as they are signed; a URL
 * must have them in just this form. */
void weir__sigv4_path(struct weir__writer *w, const struct weir__sigv4 *s);
void weir__sigv4_query(struct weir__writer *w, const struct weir__sigv4 *s);

/** Append the canonical request.  `w->bad`: out of memory, or too many. */
void weir__sigv4_canonical(struct weir__writer *w, const struct weir__sigv4 *s);

/** Append the string to sign of a canonical request: 0 or WEIR_ENOMEM. */
int weir__sigv4_string(struct weir__writer *w, const struct weir__sigv4 *s,
                       const void *canonical, size_t len);

/** Append the value of the Authorization header: 0 or WEIR_ENOMEM. */
int weir__sigv4_authorize(struct weir__writer *w, const struct weir__sigv4 *s);

#endif
