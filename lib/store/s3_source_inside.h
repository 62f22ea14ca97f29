/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the files of the source of credentials share: s3_source.c goes from
 * place to place, s3_places.c knows the places, s3_source_ask.c reads files and
 * asks services.
 */
#ifndef WEIR_STORE_S3_SOURCE_INSIDE_H
#define WEIR_STORE_S3_SOURCE_INSIDE_H

#include "base/bytes.h"
#include "store/s3_source.h"

#include <stdbool.h>

enum { WEIR__S3_URL_ROOM = 2200 };

/** The environment variables that are read, once. */
enum weir__s3_var {
    WEIR__S3_VAR_ACCESS_KEY,
    WEIR__S3_VAR_SECRET_KEY,
    WEIR__S3_VAR_SESSION_TOKEN,
    WEIR__S3_VAR_TOKEN_FILE,
    WEIR__S3_VAR_ROLE,
    WEIR__S3_VAR_ROLE_SESSION,
    WEIR__S3_VAR_STS,
    WEIR__S3_VAR_CREDENTIALS_FILE,
    WEIR__S3_VAR_PROFILE,
    WEIR__S3_VAR_HOME,
    WEIR__S3_VAR_RELATIVE_URI,
    WEIR__S3_VAR_FULL_URI,
    WEIR__S3_VAR_AUTHORIZATION,
    WEIR__S3_VAR_AUTHORIZATION_FILE,
    WEIR__S3_VAR_METADATA,
    WEIR__S3_VAR_METADATA_OFF,
    WEIR__S3_VARS
};

/** Their names. */
extern const char *const weir__s3_var_names[WEIR__S3_VARS];

struct weir__s3_source {
    struct weir_host host;
    unsigned kinds;
    char *region;
    /* Memory for secrets, as all texts but the path. */
    char *settings[WEIR__S3_VARS]; /* NULL: not set, or empty. */

    struct weir__http *http; /* While it looks, from here on. */
    void (*done)(void *ctx, int status, const struct weir__s3_found *found);
    void *ctx;
    struct weir_error *err;
    bool stopping;
    unsigned kind;
    int worst;             /* What the places that failed ended with. */
    struct weir_error why; /* Of the first of them. */
    struct weir_task task;
    struct weir_timer timer;
    struct weir__s3_found found;

    struct weir_work work; /* Reads `path` into `text`. */
    char *path;
    char *text;
    int read_errno;
    unsigned mode; /* Of that file, */
    unsigned open; /* and what of it lets others read or change it. */
    unsigned told; /* Kinds (bits) whose file is known to be so. */
    void (*have_file)(struct weir__s3_source *s);

    struct weir__http_req req;
    struct weir_error req_err;
    char url[WEIR__S3_URL_ROOM];
    char *lines[3]; /* Two headers. */
    struct weir__writer body;
    struct weir_iov iov;
    unsigned tries;
    void (*have_answer)(struct weir__s3_source *s, const char *text,
                        size_t len);
    char *imds_token; /* "name: value" */
};

/** The value of a variable, or `otherwise`. */
const char *weir__s3_source_setting(const struct weir__s3_source *s,
                                    enum weir__s3_var i, const char *otherwise);
/** Overwrite and free a text, of memory for secrets; NULL is allowed. */
void weir__s3_source_wipe(const struct weir_alloc *alloc, char **text);

/** Forget the headers and the body of a request. */
void weir__s3_source_drop(struct weir__s3_source *s);
/** Tell the caller: 0 with what was found, or why there is nothing. */
void weir__s3_source_end(struct weir__s3_source *s, int status);
/** A place is not set up: go on. */
void weir__s3_source_pass_over(struct weir__s3_source *s);
/** A place is set up, and has no credentials: note why, and go on. */
void weir__s3_source_failed(struct weir__s3_source *s, int status,
                            const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** What a place has was taken (`rc` 0), or was none: go on. */
void weir__s3_source_took(struct weir__s3_source *s, int rc, const char *what,
                          const struct weir_error *cause);

/** Read a file; `have_file` finds it in `s->text`. */
void weir__s3_source_read(struct weir__s3_source *s, const char *path,
                          void (*have_file)(struct weir__s3_source *s));
/** Set the URL of a request; false: it is too long. */
bool weir__s3_source_url(struct weir__s3_source *s, const char *base,
                         const char *path, const char *more);
/** Set header `i`, 0 or 1; false: no memory, or more than a line. */
bool weir__s3_source_line(struct weir__s3_source *s, size_t i, const char *name,
                          const char *value);
/** Send it; URL, headers and body are set. */
void weir__s3_source_ask(struct weir__s3_source *s, const char *method,
                         void (*have_answer)(struct weir__s3_source *s,
                                             const char *text, size_t len));

/** Look in a place: a token in a file, exchanged at STS; */
void weir__s3_look_web_identity(struct weir__s3_source *s);
/** a profile in a file; */
void weir__s3_look_profile(struct weir__s3_source *s);
/** the endpoint of a container; */
void weir__s3_look_container(struct weir__s3_source *s);
/** and that of an instance, by IMDSv2. */
void weir__s3_look_instance(struct weir__s3_source *s);

#endif
