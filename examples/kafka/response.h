/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Responses: their header, and how they get to the socket.
 */
#ifndef KAFKA_RESPONSE_H
#define KAFKA_RESPONSE_H

#include <uv.h>

#include "request.h"

/** Write length (to be filled in) and header of the response. */
void response_begin(struct request *request);

/**
 * Send the response of a request that is complete.
 *
 * @param write    For what does not fit into the socket now.
 * @param written  Runs when that is sent, if 1 was returned.
 * @return 0: sent; 1: on its way; negative: a libuv error.
 */
int response_send(uv_write_t *write, uv_stream_t *stream,
                  struct request *request, uv_write_cb written);

#endif
