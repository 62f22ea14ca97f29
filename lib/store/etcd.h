/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Messages of etcd's JSON gateway (etcd v3 API, "gRPC gateway"): requests as
 * JSON, answers read.  No I/O.
 *
 * A value has one byte in front of it: 0, and it follows; or 1, and a
 * `struct weir__etcd_chunks` tells where its parts are: etcd takes no request
 * of more than 1.5 MiB.
 */
#ifndef WEIR_STORE_ETCD_H
#define WEIR_STORE_ETCD_H

#include "base/bytes.h"

#include <weir/buf.h>
#include <weir/error.h>

/** Bytes of a value that are put in one request. */
#define WEIR__ETCD_CHUNK (512u << 10)
/** Longest value: what a chunk's number allows, and more than a snapshot has
 * any use for. */
#define WEIR__ETCD_VALUE_MAX (64u << 20)
/** Digits of the name of a value's chunks. */
#define WEIR__ETCD_ID 33

/** What stands in the place of a value that was cut. */
struct weir__etcd_chunks {
    char id[WEIR__ETCD_ID]; /* Chunks are at "PREFIX.chunks/ID/NUMBER". */
    uint64_t size;
};

/** {"key": ...}: a range that is one key. */
void weir__etcd_write_get(struct weir__writer *w, const char *key);
/** Keys from `from` up to `end`, at most `limit`, without values. */
void weir__etcd_write_list(struct weir__writer *w, const char *from,
                           const char *end, unsigned limit);
/** Put a value, cut or not; `tag` is its first byte. */
void weir__etcd_write_put(struct weir__writer *w, const char *key, uint8_t tag,
                          const struct weir_iov *iov, size_t iov_count);
/** The same if the key is not there; else it is read. */
void weir__etcd_write_create(struct weir__writer *w, const char *key,
                             uint8_t tag, const struct weir_iov *iov,
                             size_t iov_count);
/** Delete a key, or (`end` not NULL) from `key` up to `end`; what was there
 * comes back if `old`. */
void weir__etcd_write_delete(struct weir__writer *w, const char *key,
                             const char *end, int old);
void weir__etcd_write_login(struct weir__writer *w, const char *user,
                            const char *password);

/** The key behind all that begin with `prefix`: the last byte plus one. */
void weir__etcd_end(char *to, size_t room, const char *prefix);

/** A value that came: `tag` and the rest; NULL: there is none. */
struct weir__etcd_value {
    uint8_t tag;
    struct weir_buf *body;
};

struct weir__json;

/** The first of the values below `parent` ("kvs" of an answer to a range,
 * "prev_kvs" of one to a deletion): 0, also if there is none; WEIR_EFORMAT,
 * WEIR_ENOMEM. */
int weir__etcd_read_value(struct weir__etcd_value *value,
                          const struct weir_alloc *alloc,
                          const struct weir__json *list);
/** Key of an entry, decoded: 0 or WEIR_EFORMAT. */
int weir__etcd_read_key(char *to, size_t room, const struct weir__json *entry);
/** When the first key of an answer to a range was last written, or, where there
 * is none, the answer's own revision. */
int64_t weir__etcd_read_revision(const struct weir__json *answer);
/** 1: the create was done.  0: it was not, and `value` is what is there. */
int weir__etcd_read_create(const struct weir__json *answer, int *done,
                           struct weir__etcd_value *value,
                           const struct weir_alloc *alloc);

/** `chunks` as a value's bytes, and back: 0 or WEIR_EFORMAT. */
#define WEIR__ETCD_CHUNKS_SIZE (WEIR__ETCD_ID - 1 + 8)
void weir__etcd_chunks_encode(unsigned char *to,
                              const struct weir__etcd_chunks *chunks);
int weir__etcd_chunks_decode(struct weir__etcd_chunks *chunks, const void *data,
                             size_t len);

/** A line of a watch. */
struct weir__etcd_news {
    int created;  /* The watch is there. */
    int canceled; /* It is over: `reason`, and 1 if */
    int login;    /* a new token may help. */
    int64_t revision;
    char key[2 * 512]; /* The last of the keys that were created, or "". */
    char reason[120];  /* Printable. */
};

/** Watch keys from `from` up to `end`, without deletions. */
void weir__etcd_write_watch(struct weir__writer *w, const char *from,
                            const char *end);
/** 0, or WEIR_EFORMAT: it is no line of a watch. */
int weir__etcd_read_news(struct weir__etcd_news *news,
                         const struct weir__json *line);

/** What an answer that is no success means; `http` is its status.  `put`: what
 * may have been done is WEIR_EUNKNOWN.  `*login`: a token has expired. */
int weir__etcd_failure(int http, const void *data, size_t len, int put,
                       int *login, const char *what, struct weir_error *err);

#endif
