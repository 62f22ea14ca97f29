/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One request: from its bytes to its response.
 */
#ifndef KAFKA_REQUEST_H
#define KAFKA_REQUEST_H

#include "arena.h"
#include "list.h"
#include "wire.h"

struct broker;
struct connection;
struct request;

/** One API: a row of the table. */
struct api {
    int16_t key;
    int16_t min, max; /* Versions that are advertised. */
    int16_t served;   /* Oldest that is served: some are only advertised. */
    int16_t flexible; /* First flexible version. */
    const char *name;
    /* Read the body and start; ends in request_finish or request_refuse. */
    void (*handle)(struct request *request);
};

/** What the first bytes of a request say. */
struct request_header {
    const struct api *api;
    int16_t version;
    int32_t correlation;
    bool too_new; /* ApiVersions of a version that is not known. */
};

/**
 * Read the header of a request, up to its body.
 *
 * @return false: it is malformed, or of an API or version that is not
 *         served; the connection is to be closed.
 */
bool request_read_header(struct request_header *out, struct wire_in *in);

/** A request. */
struct request {
    struct list link; /* In its connection. */
    struct connection *connection;
    struct broker *broker;
    unsigned char *frame; /* Its bytes, without their length. */
    size_t frame_len;
    size_t charged; /* Bytes of the broker's memory. */
    struct request_header header;
    struct wire_in in;   /* The body. */
    struct wire_out out; /* The response. */
    struct arena arena;
    bool complete; /* The response can be sent. */
    bool silent;   /* There is no response. */
    bool refused;  /* Close the connection instead. */
    bool started;

    /* For the API.  `cancel`: the connection is gone or the server stops:
     * wait for nothing more.  `release`: the response has been sent, or
     * never will be: give back what it pointed into. */
    void (*cancel)(struct request *request);
    void (*release)(struct request *request);
    void *state;
};

/** The response is written to `out`: send it in its turn. */
void request_finish(struct request *request);
/** The request is malformed: close its connection. */
void request_refuse(struct request *request);
/** Zeroed memory for the API, freed with the request; NULL if it is out. */
void *request_take(struct request *request, size_t count, size_t size);
/** Address and port at which the client reached the server. */
void request_local_address(const struct request *request, char host[64],
                           int32_t *port);

/* The APIs. */
void handle_api_versions(struct request *request);
void handle_metadata(struct request *request);
void handle_produce(struct request *request);
void handle_fetch(struct request *request);
void handle_list_offsets(struct request *request);
void handle_create_topics(struct request *request);
void handle_delete_topics(struct request *request);
void handle_init_producer(struct request *request);

#endif
