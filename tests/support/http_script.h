/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A web server on loopback that answers from a list: for what is no S3
 * server.  One connection at a time, one request on each.
 */
#ifndef TESTS_SUPPORT_HTTP_SCRIPT_H
#define TESTS_SUPPORT_HTTP_SCRIPT_H

#include <stddef.h>

/** An answer to a request. */
struct http_line {
    const char *request; /* "GET /path": how the request begins. */
    const char *must;    /* It must have this text somewhere, or gets 403. */
    int status;
    const char *body;
    int times; /* Good for so many requests; 0: for all. */
};

struct http_script;

/** Start it; `lines` end with an empty one, and stay the caller's. */
struct http_script *http_script_start(struct http_line *lines);
void http_script_stop(struct http_script *script);
/** "http://127.0.0.1:PORT" */
const char *http_script_url(const struct http_script *script);
/** Requests that came. */
int http_script_requests(struct http_script *script);

#endif
