/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A web server on loopback that answers from a list: for what is no S3
 * server.  It speaks no TLS, and hangs up on who does.  One connection at a
 * time, one request on each; and streams beside that, which the test writes.
 */
#ifndef TESTS_SUPPORT_HTTP_SCRIPT_H
#define TESTS_SUPPORT_HTTP_SCRIPT_H

#include <stddef.h>

/** Status of an answer that is 200, and whose body has no end: the connection
 * stays open.  The newest such one is the stream. */
#define HTTP_SCRIPT_STREAM 1200

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
/** Write to the stream: 1, or 0 when the client has gone. */
int http_script_say(struct http_script *script, const void *data, size_t len);
/** End the stream. */
void http_script_hang_up(struct http_script *script);
/** 1 when the client has ended the stream: waits for that up to a minute. */
int http_script_left(struct http_script *script);
/** Requests that came. */
int http_script_requests(struct http_script *script);

#endif
