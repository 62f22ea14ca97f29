/* SPDX-License-Identifier: Apache-2.0 */
#include "store/s3_keys.h"

#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "store/s3_host.h"
#include "store/s3_source.h"

#include <string.h>

/* Renewed so long before they expire; between two renewals is so much time, and
 * up to as much again, so that those who began together do not go on so. */
enum { EARLY_MS = 5 * 60 * 1000, AGAIN_MS = 10 * 1000 };
/* So long after a look that came to nothing there is no other one: requests
 * that have no keys would each begin one. */
enum { PAUSE_MS = 1000 };

/* Words of the property, in the order of its list. */
enum word { CONFIG, CHAIN, FIRST_PLACE };

static int64_t wall(const struct weir__s3_keys *keys)
{
    return keys->host.env->ops->wall(keys->host.env);
}

/* By the server's clock, as far as it is known: keys expire by that. */
static bool is_over(const struct weir__s3_keys *keys, int64_t expires)
{
    return expires != 0 && wall(keys) + keys->skew >= expires;
}

static int copy(struct weir__s3_keys *keys, const char *access,
                const char *secret, const char *token)
{
    struct weir__s3_credentials now = {0};
    int rc = weir__s3_credentials_copy(&now, keys->host.alloc, access, secret,
                                       token);

    if (rc != 0)
        return rc;
    weir__s3_credentials_wipe(&keys->now);
    keys->now = now;
    keys->have = true;
    keys->version++;
    return 0;
}

static int from_config(struct weir__s3_keys *keys,
                       const struct weir_config *config,
                       const struct weir__s3_place *place,
                       struct weir_error *err)
{
    const char *access = weir__config_text(config, WEIR__P_S3_ACCESS_KEY);
    const char *secret = weir__config_text(config, WEIR__P_S3_SECRET_KEY);
    const char *token = weir__config_text(config, WEIR__P_S3_SESSION_TOKEN);
    int rc;

    if (access[0] == '\0' || secret[0] == '\0')
        return weir__fail(err, WEIR_EAUTH,
                          "s3://%s: no keys: set s3_access_key and "
                          "s3_secret_key, or s3_credentials=chain to look "
                          "where the AWS tools do",
                          place->bucket);
    if (strpbrk(access, "\r\n") != NULL ||
        (token != NULL && strpbrk(token, "\r\n") != NULL))
        return weir__fail(err, WEIR_EINVAL,
                          "s3_access_key, s3_session_token: expected one line");
    rc = copy(keys, access, secret, token);
    return rc == 0 ? 0 : weir__fail(err, rc, "s3 store: out of memory");
}

int weir__s3_keys_open(struct weir__s3_keys *keys, const struct weir_host *host,
                       const struct weir_config *config,
                       const struct weir__s3_place *place,
                       struct weir_error *err)
{
    unsigned word = (unsigned)config->number[WEIR__P_S3_CREDENTIALS];
    const char *access = weir__config_text(config, WEIR__P_S3_ACCESS_KEY);
    unsigned kinds = word == CHAIN         ? (1u << WEIR__S3_KINDS) - 1
                     : word >= FIRST_PLACE ? 1u << (word - FIRST_PLACE)
                                           : 0;

    keys->host = *host;
    weir__list_init(&keys->waiting);
    if (config->s3_keys != NULL) {
        if (weir__s3_host_new(&keys->given, host, config->s3_keys,
                              config->s3_keys_ctx) != 0)
            return weir__fail(err, WEIR_ENOMEM, "s3 store: out of memory");
        return 0;
    }
    if (word == CONFIG || (word == CHAIN && access[0] != '\0'))
        return from_config(keys, config, place, err);
    if (weir__s3_source_new(&keys->source, host, kinds, place->region) != 0)
        return weir__fail(err, WEIR_ENOMEM, "s3 store: out of memory");
    return 0;
}

static void wake(struct weir__s3_keys *keys, int status)
{
    struct weir__list woken;
    struct weir__list *at;

    weir__list_init(&woken);
    while ((at = weir__list_pop(&keys->waiting)) != NULL)
        weir__list_push(&woken, at);
    while ((at = weir__list_pop(&woken)) != NULL) {
        struct weir__s3_keys_wait *wait =
            WEIR__CONTAINER(at, struct weir__s3_keys_wait, link);

        wait->ready(wait, status);
    }
}

static void wait_before_next(struct weir__s3_keys *keys)
{
    uint64_t draw;

    keys->host.env->ops->random(keys->host.env, &draw, sizeof(draw));
    keys->try_after = wall(keys) + AGAIN_MS + (int64_t)(draw % AGAIN_MS);
}

/* A clock that was set back ends it, as it may be why they had expired. */
static bool has_just_failed(const struct weir__s3_keys *keys)
{
    int64_t since = wall(keys) - keys->looked;

    return keys->failed != 0 && since >= 0 && since < PAUSE_MS;
}

static void looked(void *ctx, int status, const struct weir__s3_found *found)
{
    struct weir__s3_keys *keys = ctx;

    keys->renewing = false;
    /* Those that were found may be the old ones, or good for a short time. */
    wait_before_next(keys);
    if (status == 0 && is_over(keys, found->expires))
        status = weir__fail(&keys->error, WEIR_EAUTH,
                            "no credentials: those that were found have "
                            "expired (or this machine's clock is wrong)");
    if (status == 0)
        status = copy(keys, found->access_key, found->secret_key, found->token);
    keys->failed = status;
    keys->looked = wall(keys);
    if (status == 0) {
        keys->expires = found->expires;
        keys->rejected = false;
    } else {
        weir__log(keys->host.log, WEIR_LOG_WARN, "s3: %s", keys->error.text);
        /* Those that there are serve on, as long as they are good. */
        if (keys->have && !is_over(keys, keys->expires))
            status = 0;
        else
            keys->have = false;
    }
    wake(keys, status);
    if (keys->closed == NULL)
        return;
    keys->renewing = true; /* Until that task has run. */
    keys->host.env->ops->post(keys->host.env, keys->closed);
}

static bool is_fixed(const struct weir__s3_keys *keys)
{
    return keys->source == NULL && keys->given == NULL;
}

static void renew(struct weir__s3_keys *keys)
{
    if (keys->renewing || is_fixed(keys))
        return;
    keys->renewing = true;
    if (keys->given != NULL)
        weir__s3_host_ask(keys->given, keys->rejected, looked, keys,
                          &keys->error);
    else
        weir__s3_source_look(keys->source, keys->http, looked, keys,
                             &keys->error);
}

int weir__s3_keys_get(struct weir__s3_keys *keys,
                      struct weir__s3_keys_wait *wait)
{
    if (keys->have && !is_over(keys, keys->expires)) {
        if (keys->expires != 0 && is_over(keys, keys->expires - EARLY_MS) &&
            wall(keys) >= keys->try_after)
            renew(keys);
        return 0;
    }
    if (!keys->renewing && has_just_failed(keys))
        return keys->failed;
    weir__list_push(&keys->waiting, &wait->link);
    renew(keys);
    return 1;
}

bool weir__s3_keys_reject(struct weir__s3_keys *keys, uint64_t version)
{
    if (is_fixed(keys))
        return false;
    if (version != keys->version)
        return true;
    keys->have = false;
    keys->rejected = true;
    return true;
}

void weir__s3_keys_close(struct weir__s3_keys *keys, struct weir_task *closed)
{
    if (keys->source != NULL)
        weir__s3_source_stop(keys->source);
    keys->closed = closed;
    wake(keys, WEIR_ECANCELED);
}

void weir__s3_keys_free(struct weir__s3_keys *keys)
{
    weir__s3_source_free(keys->source);
    weir__s3_host_free(keys->given);
    weir__s3_credentials_wipe(&keys->now);
}
