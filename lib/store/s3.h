/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The parts of the s3 store: where it is (s3_place.c), what is sent
 * (s3_request.c), what an answer means (s3_answer.c, s3_error.c, s3_list.c).
 * None of them does I/O; the store itself is in store_s3.c.
 */
#ifndef WEIR_STORE_S3_H
#define WEIR_STORE_S3_H

#include "base/uri.h"
#include "http/digest.h"
#include "http/http.h"
#include "store/sigv4.h"

#include <stdbool.h>
#include <weir/store.h>

/** Up to this size the SHA-256 of a body is always signed, and that of a part
 * of any size; see s3_request.c. */
#define WEIR__S3_HASHED (64u << 10)

/** Keys to sign with.  Where others than those of the configuration come
 * from, and are renewed, belongs behind this. */
struct weir__s3_credentials {
    const struct weir_alloc *alloc;
    char *room; /* Memory for secrets, which the others point into. */
    const char *access_key;
    const char *secret_key;
    const char *token; /* NULL: none. */
};

/** Copy the keys: 0 or WEIR_ENOMEM. */
int weir__s3_credentials_copy(struct weir__s3_credentials *to,
                              const struct weir_alloc *alloc,
                              const char *access_key, const char *secret_key,
                              const char *token);
/** Overwrite and free. */
void weir__s3_credentials_wipe(struct weir__s3_credentials *credentials);

/** Room for the name of a region. */
#define WEIR__S3_REGION 41

/** Where the store is: what its URI says. */
struct weir__s3_place {
    const struct weir_alloc *alloc;
    bool https;
    bool path_style; /* The bucket is in the path, not in the host's name. */
    bool insecure;   /* Plain http to another machine. */
    bool amazon;     /* The host follows from the region. */
    char *bucket;
    char *prefix; /* "" or ends with a slash. */
    char *region;
    char *host;      /* Of the Host header: with the bucket, with a port unless
                        it is the scheme's own. */
    const char *sse; /* Server-side encryption of what is put, or NULL. */
    const char *sse_key; /* Id of its KMS key, or NULL. */
};

/** Read a URI: 0; WEIR_EINVAL, naming the part; WEIR_ENOMEM.  Free the place
 * in any case. */
int weir__s3_place_read(struct weir__s3_place *place,
                        const struct weir_alloc *alloc,
                        const struct weir__uri *uri, struct weir_error *err);
void weir__s3_place_free(struct weir__s3_place *place);
/** The bucket is in another region: 0, WEIR_EINVAL (that is none),
 * WEIR_ENOMEM. */
int weir__s3_place_move(struct weir__s3_place *place, const char *region);

/** Headers and parameters that a message has at most. */
#define WEIR__S3_HEADERS 10
#define WEIR__S3_PARAMS 8

/** A signed request, ready for HTTP. */
struct weir__s3_message {
    const struct weir_alloc *alloc;
    const char *method;
    char *url;
    char *lines[WEIR__S3_HEADERS + 6]; /* "name: value"; ends with NULL. */
    size_t line_count;
};

/** Room for the id of a PUT: 32 digits. */
#define WEIR__S3_PUT_ID 33

/** What the body of a PUT is signed and checked with, and known by. */
struct weir__s3_payload {
    char hash[WEIR__SHA256_HEX]; /* Hexadecimal, or UNSIGNED-PAYLOAD. */
    char crc32c[16];             /* Base64, or "": for the server to check. */
    char sum[16];                /* The same, for who reads it; or "". */
    char id[WEIR__S3_PUT_ID];    /* Of this one PUT, or "". */
};

/** Of a request without a body: SHA-256 of nothing. */
#define WEIR__S3_NO_PAYLOAD                                                    \
    {                                                                          \
        .hash = "e3b0c44298fc1c149afbf4c8996fb924"                             \
                "27ae41e4649b934ca495991b7852b855"                             \
    }

/** What a request of any kind says; nothing is encoded or signed yet. */
struct weir__s3_ask {
    const char *method;
    const char *key; /* With the store's prefix; NULL: the bucket itself. */
    struct weir__pair headers[WEIR__S3_HEADERS];
    size_t header_count;
    struct weir__pair query[WEIR__S3_PARAMS];
    size_t query_count;
    const char *payload_hash;
};

/** Add a pair; there must be room. */
void weir__s3_ask_header(struct weir__s3_ask *ask, const char *name,
                         const char *value);
void weir__s3_ask_query(struct weir__s3_ask *ask, const char *name,
                        const char *value);
/** Headers that what is put has, of the place and the payload. */
void weir__s3_ask_put(struct weir__s3_ask *ask,
                      const struct weir__s3_place *place,
                      const struct weir__s3_payload *payload);
/** Sign it: 0 or WEIR_ENOMEM. */
int weir__s3_ask_sign(struct weir__s3_message *message,
                      const struct weir__s3_place *place,
                      const struct weir__s3_credentials *credentials,
                      const struct weir__s3_ask *ask, int64_t wall);

/** CRC32C of some pieces, in base64. */
void weir__s3_sum(char to[16], const struct weir_iov *iov, size_t iov_count);

/** Hash of some pieces, which is signed: 0 or WEIR_ENOMEM.  What is large is
 * hashed on a worker. */
int weir__s3_hash(struct weir__s3_payload *payload, const struct weir_iov *iov,
                  size_t iov_count);

/** Compute it.  For a PUT it reads the whole body: run it on a worker. */
int weir__s3_payload(struct weir__s3_payload *payload,
                     const struct weir_store_req *req,
                     const struct weir__s3_place *place);

/** Write the message for `req`: 0 or WEIR_ENOMEM.  `after`: LIST only. */
int weir__s3_request(struct weir__s3_message *message,
                     const struct weir__s3_place *place,
                     const struct weir__s3_credentials *credentials,
                     const struct weir_store_req *req, const char *after,
                     const struct weir__s3_payload *payload, int64_t wall);
/** Overwrite and free. */
void weir__s3_message_wipe(struct weir__s3_message *message);

/** What an error answer says of itself; "" where it does not. */
struct weir__s3_error {
    char code[64];
    char message[128];
    char region[40];
    bool html;      /* It is a web page: no S3 server wrote it. */
    bool wants_tls; /* It came from a port of TLS, to who spoke plain HTTP. */
};

/** Read the body of an answer. */
void weir__s3_error_read(struct weir__s3_error *error,
                         const struct weir_alloc *alloc,
                         const struct weir__http_answer *answer,
                         const void *body, size_t len);

/** Blot out what in it is one of these, for a server may repeat what it was
 * sent, and what it says is shown to people. */
void weir__s3_error_hide(struct weir__s3_error *error,
                         const struct weir__s3_credentials *credentials);

/** Status of a request that got an answer which is not success, with the
 * text.  `what` names verb and object. */
int weir__s3_error_status(const struct weir__s3_error *error,
                          const struct weir__http_answer *answer,
                          const struct weir_store_req *req, const char *what,
                          struct weir_error *err);

/** "2013-05-24T10:20:30.400Z" as milliseconds since 1970; 0: not a time. */
int64_t weir__s3_time(const char *text);

/** Keys of a LIST. */
struct weir__s3_list {
    const struct weir_alloc *alloc;
    struct weir_store_entry *entries; /* Their keys too are of `alloc`. */
    size_t count;
    size_t room;
    int more;
    char *last; /* The last key as the server gave it, prefix and all. */
};

/** Read an answer to a LIST: 0; WEIR_EFORMAT; WEIR_ENOMEM.  Keys that do not
 * begin with `place->prefix` and `prefix`, or that are none of this
 * library's, are left out. */
int weir__s3_list_read(struct weir__s3_list *list,
                       const struct weir__s3_place *place, const char *prefix,
                       const void *body, size_t len, struct weir_error *err);
void weir__s3_list_free(struct weir__s3_list *list);

/** Check what came with a GET against what was asked, and fill in `req`.
 * Takes `body` over.  0, WEIR_ECORRUPT, WEIR_ERANGE, WEIR_EUNSUPPORTED,
 * WEIR_ENOMEM. */
int weir__s3_read_get(struct weir_store_req *req,
                      const struct weir_alloc *alloc,
                      const struct weir__http_answer *answer,
                      struct weir_buf *body, const char *what,
                      struct weir_error *err);

#endif
