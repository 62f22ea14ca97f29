/* SPDX-License-Identifier: Apache-2.0 */
/* The store in an S3 bucket: how it is opened and closed. */
#include "store/store.h"

#include "base/alloc.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "store/s3_inside.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void free_all(struct weir__s3 *s3)
{
    weir__s3_keys_free(&s3->line.keys);
    weir__s3_place_free(&s3->line.place);
    weir__free(s3->host.alloc, s3->sse);
    weir__free(s3->host.alloc, s3->sse_key);
    weir__free(s3->host.alloc, s3);
}

void weir__s3_free_if_closed(struct weir__s3 *s3)
{
    struct weir_env *env = s3->host.env;
    struct weir_task *closed = s3->closed;

    if (closed == NULL || s3->pending > 0 || s3->line.http != NULL ||
        s3->line.keys.renewing)
        return;
    s3->closed = NULL; /* Once. */
    free_all(s3);
    env->ops->post(env, closed);
}

static void on_http_closed(struct weir_task *task)
{
    struct weir__s3 *s3 = WEIR__CONTAINER(task, struct weir__s3, http_closed);

    s3->line.http = NULL;
    weir__s3_free_if_closed(s3);
}

static void on_keys_closed(struct weir_task *task)
{
    struct weir__s3 *s3 = WEIR__CONTAINER(task, struct weir__s3, keys_closed);

    s3->line.keys.renewing = false;
    weir__s3_free_if_closed(s3);
}

static void s3_close(struct weir_store *store, struct weir_task *closed)
{
    struct weir__s3 *s3 = (void *)store;

    s3->closed = closed;
    s3->http_closed.run = on_http_closed;
    s3->keys_closed.run = on_keys_closed;
    weir__s3_line_close(&s3->line, &s3->keys_closed);
    weir__http_close(s3->line.http, &s3->http_closed);
}

static const struct weir_store_ops s3_ops = {
    .size = sizeof(s3_ops),
    .name = "s3",
    .submit = weir__s3_submit,
    .close = s3_close,
};

static void read_limits(struct weir__s3 *s3, const struct weir_config *config)
{
    struct weir__s3_line *line = &s3->line;
    const int64_t *number = config->number;

    s3->timeout = (uint64_t)number[WEIR__P_S3_TIMEOUT];
    s3->part_size = (uint64_t)number[WEIR__P_S3_PART];
    weir__list_init(&s3->gone);
    line->attempt_timeout = (uint64_t)number[WEIR__P_S3_ATTEMPT_TIMEOUT];
    line->hedge = (uint64_t)number[WEIR__P_S3_HEDGE];
    line->retry.attempts = (unsigned)number[WEIR__P_S3_ATTEMPTS];
    line->retry.first_delay = (uint64_t)number[WEIR__P_S3_RETRY_DELAY];
    line->retry.most_delay = (uint64_t)number[WEIR__P_S3_RETRY_DELAY_MAX];
    line->retry.most = (unsigned)number[WEIR__P_S3_CONNECTIONS];
    weir__s3_line_init(line);
}

/* Encryption by the server: "AES256", "aws:kms", and the id of a key. */
static int read_sse(struct weir__s3 *s3, const struct weir_config *config,
                    struct weir_error *err)
{
    const char *sse = weir__config_text(config, WEIR__P_S3_SSE);
    const char *key = weir__config_text(config, WEIR__P_S3_SSE_KEY);

    if (strcmp(sse, "none") == 0) {
        if (key[0] != '\0')
            return weir__fail(err, WEIR_EINVAL,
                              "s3_sse_key: expected s3_sse=aws:kms with it");
        return 0;
    }
    if (key[strcspn(key, "\r\n")] != '\0')
        return weir__fail(err, WEIR_EINVAL, "s3_sse_key: expected one line");
    s3->sse = weir__strdup(s3->host.alloc, sse);
    s3->sse_key = key[0] != '\0' ? weir__strdup(s3->host.alloc, key) : NULL;
    if (s3->sse == NULL || (key[0] != '\0' && s3->sse_key == NULL))
        return weir__fail(err, WEIR_ENOMEM, "s3 store: out of memory");
    s3->line.place.sse = s3->sse;
    s3->line.place.sse_key = s3->sse_key;
    return 0;
}

static int open_http(struct weir__s3 *s3, const struct weir_config *config,
                     struct weir_error *err)
{
    const char *ca_file = weir__config_text(config, WEIR__P_S3_CA_FILE);
    const struct weir__s3_place *place = &s3->line.place;
    struct weir__http_config http = {
        .host = &s3->host,
        .connections = (unsigned)config->number[WEIR__P_S3_CONNECTIONS],
        .ca_file = ca_file[0] != '\0' ? ca_file : NULL,
    };

    if (http.ca_file != NULL && access(http.ca_file, R_OK) != 0)
        return weir__fail_errno(err, errno, "s3_ca_file: read %s",
                                http.ca_file);
    if (place->insecure)
        weir__log(s3->host.log, WEIR_LOG_WARN,
                  "s3://%s: plain http to %s: data and requests can be read "
                  "and changed on the way",
                  place->bucket, place->host);
    return weir__http_open(&s3->line.http, &http, err);
}

int weir__store_s3_open(struct weir_store **out, const struct weir_host *host,
                        const char *uri, void *ctx, struct weir_error *err)
{
    struct weir__uri parsed;
    struct weir__s3 *s3;
    int rc;

    *out = NULL;
    rc = weir__uri_parse(&parsed, host->alloc, uri, err);
    if (rc != 0)
        return rc;
    s3 = weir__calloc(host->alloc, 1, sizeof(*s3));
    if (s3 == NULL) {
        weir__uri_free(&parsed);
        return weir__fail(err, WEIR_ENOMEM, "store %.*s: out of memory",
                          weir__uri_shown(uri), uri);
    }
    s3->base.ops = &s3_ops;
    s3->host = s3->line.host = *host;
    read_limits(s3, ctx);
    rc = weir__s3_place_read(&s3->line.place, host->alloc, &parsed, err);
    weir__uri_free(&parsed);
    if (rc == 0)
        rc =
            weir__s3_keys_open(&s3->line.keys, host, ctx, &s3->line.place, err);
    if (rc == 0)
        rc = read_sse(s3, ctx, err);
    if (rc == 0)
        rc = open_http(s3, ctx, err);
    if (rc != 0) {
        free_all(s3);
        return rc;
    }
    s3->line.keys.http = s3->line.http;
    *out = &s3->base;
    return 0;
}
