/* SPDX-License-Identifier: Apache-2.0 */
#include "store/s3_source_inside.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/secret.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const weir__s3_var_names[WEIR__S3_VARS] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_PROFILE",
    "HOME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_DISABLED",
};

static void next_kind(struct weir__s3_source *s);

/* ---- Settings ------------------------------------------------------------ */

const char *weir__s3_source_setting(const struct weir__s3_source *s,
                                    enum weir__s3_var i, const char *otherwise)
{
    return s->settings[i] != NULL ? s->settings[i] : otherwise;
}

void weir__s3_source_wipe(const struct weir_alloc *alloc, char **text)
{
    weir__secret_free(alloc, *text);
    *text = NULL;
}

void weir__s3_source_free(struct weir__s3_source *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < WEIR__S3_VARS; i++)
        weir__s3_source_wipe(s->host.alloc, &s->settings[i]);
    weir__free(s->host.alloc, s->region);
    weir__secret_free(s->host.alloc, s);
}

int weir__s3_source_new(struct weir__s3_source **out,
                        const struct weir_host *host, unsigned kinds,
                        const char *region)
{
    struct weir__s3_source *s = weir__secret_calloc(host->alloc, sizeof(*s));
    bool good = s != NULL;

    *out = NULL;
    if (s == NULL)
        return WEIR_ENOMEM;
    s->host = *host;
    s->kinds = kinds;
    s->region = weir__strdup(host->alloc, region);
    good = s->region != NULL;
    for (size_t i = 0; i < WEIR__S3_VARS && good; i++) {
        const char *value = getenv(weir__s3_var_names[i]);

        if (value == NULL || value[0] == '\0')
            continue;
        s->settings[i] = weir__secret_strdup(host->alloc, value);
        good = s->settings[i] != NULL;
    }
    if (!good) {
        weir__s3_source_free(s);
        return WEIR_ENOMEM;
    }
    *out = s;
    return 0;
}

/* ---- Ends ---------------------------------------------------------------- */

void weir__s3_source_drop(struct weir__s3_source *s)
{
    for (size_t i = 0; i < 2; i++)
        weir__s3_source_wipe(s->host.alloc, &s->lines[i]);
    weir__writer_free(&s->body);
}

void weir__s3_source_end(struct weir__s3_source *s, int status)
{
    weir__s3_source_drop(s);
    weir__s3_source_wipe(s->host.alloc, &s->text);
    weir__free(s->host.alloc, s->path);
    s->path = NULL;
    weir__s3_source_wipe(s->host.alloc, &s->imds_token);
    s->done(s->ctx, status, status == 0 ? &s->found : NULL);
}

void weir__s3_source_failed(struct weir__s3_source *s, int status,
                            const char *format, ...)
{
    struct weir_error why = {0};
    va_list args;

    va_start(args, format);
    weir__vfail(&why, status, format, args);
    va_end(args);
    if (s->worst == 0)
        s->why = why;
    if (s->worst == 0 || status == WEIR_EUNAVAILABLE)
        s->worst = status;
    s->kind++;
    next_kind(s);
}

void weir__s3_source_pass_over(struct weir__s3_source *s)
{
    s->kind++;
    next_kind(s);
}

void weir__s3_source_took(struct weir__s3_source *s, int rc, const char *what,
                          const struct weir_error *cause)
{
    if (rc == 0)
        weir__s3_source_end(s, 0);
    else
        weir__s3_source_failed(s, rc == WEIR_ENOMEM ? rc : WEIR_EAUTH,
                               "%s: %.120s", what, cause->text);
}

/* ---- One place after the other ------------------------------------------- */

static void look_environment(struct weir__s3_source *s)
{
    struct weir_error cause = {0};
    int rc =
        weir__s3_found_set(s->found.access_key, sizeof(s->found.access_key),
                           s->settings[WEIR__S3_VAR_ACCESS_KEY]);

    if (rc == 0)
        rc = weir__s3_found_set(
            s->found.secret_key, sizeof(s->found.secret_key),
            weir__s3_source_setting(s, WEIR__S3_VAR_SECRET_KEY, ""));
    if (rc == 0)
        rc = weir__s3_found_set(
            s->found.token, sizeof(s->found.token),
            weir__s3_source_setting(s, WEIR__S3_VAR_SESSION_TOKEN, ""));
    if (rc == 0 && s->settings[WEIR__S3_VAR_SECRET_KEY] == NULL)
        rc = weir__fail(&cause, WEIR_EAUTH, "it is not set");
    else if (rc != 0)
        weir__fail(&cause, rc, "too long, or not one line");
    weir__s3_source_took(s, rc, weir__s3_var_names[WEIR__S3_VAR_SECRET_KEY],
                         &cause);
}

static bool is_set_up(const struct weir__s3_source *s, unsigned kind)
{
    switch (kind) {
    case WEIR__S3_ENVIRONMENT:
        return s->settings[WEIR__S3_VAR_ACCESS_KEY] != NULL;
    case WEIR__S3_WEB_IDENTITY:
        return s->settings[WEIR__S3_VAR_TOKEN_FILE] != NULL;
    case WEIR__S3_PROFILE:
        return true;
    case WEIR__S3_CONTAINER:
        return s->settings[WEIR__S3_VAR_RELATIVE_URI] != NULL ||
               s->settings[WEIR__S3_VAR_FULL_URI] != NULL;
    default:
        return s->settings[WEIR__S3_VAR_METADATA_OFF] == NULL ||
               strcmp(s->settings[WEIR__S3_VAR_METADATA_OFF], "true") != 0;
    }
}

static void nowhere(struct weir__s3_source *s)
{
    if (s->worst == 0)
        weir__s3_source_end(s,
                            weir__fail(s->err, WEIR_EAUTH,
                                       "no credentials: none of the places of "
                                       "s3_credentials is set up; set "
                                       "s3_access_key and s3_secret_key, or "
                                       "AWS_ACCESS_KEY_ID and the like"));
    else
        weir__s3_source_end(s,
                            weir__fail(s->err, s->worst,
                                       "no credentials: %.200s", s->why.text));
}

static void next_kind(struct weir__s3_source *s)
{
    static void (*const looks[WEIR__S3_KINDS])(struct weir__s3_source *) = {
        look_environment, weir__s3_look_web_identity, weir__s3_look_profile,
        weir__s3_look_container, weir__s3_look_instance};

    weir__s3_source_drop(s);
    if (s->stopping) {
        weir__s3_source_end(s, WEIR_ECANCELED);
        return;
    }
    s->found = (struct weir__s3_found){0};
    while (s->kind < WEIR__S3_KINDS &&
           ((s->kinds & (1u << s->kind)) == 0 || !is_set_up(s, s->kind)))
        s->kind++;
    if (s->kind < WEIR__S3_KINDS)
        looks[s->kind](s);
    else
        nowhere(s);
}

static void begin(struct weir_task *task)
{
    next_kind(WEIR__CONTAINER(task, struct weir__s3_source, task));
}

void weir__s3_source_stop(struct weir__s3_source *s)
{
    s->stopping = true;
}

void weir__s3_source_look(struct weir__s3_source *s, struct weir__http *http,
                          void (*done)(void *ctx, int status,
                                       const struct weir__s3_found *found),
                          void *ctx, struct weir_error *err)
{
    s->http = http;
    s->done = done;
    s->ctx = ctx;
    s->err = err;
    s->kind = 0;
    s->worst = 0;
    weir__writer_init_secret(&s->body, s->host.alloc);
    s->task.run = begin;
    s->host.env->ops->post(s->host.env, &s->task);
}
