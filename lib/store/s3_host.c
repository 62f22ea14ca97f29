/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that the host gives: it is asked on a worker, as it may block. */
#include "store/s3_host.h"

#include "base/error.h"
#include "base/list.h"
#include "base/secret.h"
#include "store/s3_found.h"

#include <string.h>

struct weir_s3_keys {
    struct weir__s3_found found;
};

struct weir__s3_host {
    const struct weir_alloc *alloc;
    struct weir_env *env;
    weir_s3_keys_fn *give;
    void *give_ctx;
    struct weir_work work;
    int rejected;
    int status;
    struct weir_error why;
    struct weir_s3_keys keys;

    void (*done)(void *ctx, int status, const struct weir__s3_found *found);
    void *ctx;
    struct weir_error *err;
};

int weir_s3_keys_set(struct weir_s3_keys *keys, const char *access_key,
                     const char *secret_key, const char *token, int64_t expires)
{
    struct weir__s3_found *found = &keys->found;

    if (access_key == NULL || secret_key == NULL || access_key[0] == '\0' ||
        secret_key[0] == '\0' || expires < 0)
        return WEIR_EINVAL;
    if (weir__s3_found_set(found->access_key, sizeof(found->access_key),
                           access_key) != 0 ||
        weir__s3_found_set(found->secret_key, sizeof(found->secret_key),
                           secret_key) != 0 ||
        weir__s3_found_set(found->token, sizeof(found->token),
                           token != NULL ? token : "") != 0) {
        weir__s3_found_wipe(found);
        return WEIR_EINVAL;
    }
    found->expires = expires;
    return 0;
}

int weir__s3_host_new(struct weir__s3_host **out, const struct weir_host *host,
                      weir_s3_keys_fn *give, void *ctx)
{
    struct weir__s3_host *h = weir__secret_calloc(host->alloc, sizeof(*h));

    *out = h;
    if (h == NULL)
        return WEIR_ENOMEM;
    h->alloc = host->alloc;
    h->env = host->env;
    h->give = give;
    h->give_ctx = ctx;
    return 0;
}

void weir__s3_host_free(struct weir__s3_host *h)
{
    if (h != NULL)
        weir__secret_free(h->alloc, h);
}

/* On a worker. */
static void ask(struct weir_work *work)
{
    struct weir__s3_host *h = WEIR__CONTAINER(work, struct weir__s3_host, work);

    h->why = (struct weir_error){0};
    h->status = h->give(h->give_ctx, h->rejected, &h->keys, &h->why);
}

/* What the library's callers know: there may be some later, or not. */
static int reason(struct weir__s3_host *h)
{
    const char *text = h->why.text;
    int status = h->status == WEIR_EUNAVAILABLE || h->status == WEIR_ENOMEM
                     ? h->status
                     : WEIR_EAUTH;

    h->why.text[sizeof(h->why.text) - 1] = '\0'; /* It is the host's. */
    if (h->status == 0)
        text = "its function has returned 0 and set none";
    else if (text[0] == '\0')
        text = weir_error_text(h->status);
    return weir__fail(h->err, status, "no credentials from the program: %.180s",
                      text);
}

static void asked(struct weir_work *work)
{
    struct weir__s3_host *h = WEIR__CONTAINER(work, struct weir__s3_host, work);
    int good = h->status == 0 && h->keys.found.access_key[0] != '\0';
    int status = good ? 0 : reason(h);

    h->done(h->ctx, status, good ? &h->keys.found : NULL);
}

void weir__s3_host_ask(struct weir__s3_host *h, int rejected,
                       void (*done)(void *ctx, int status,
                                    const struct weir__s3_found *found),
                       void *ctx, struct weir_error *err)
{
    weir__s3_found_wipe(&h->keys.found);
    h->rejected = rejected;
    h->done = done;
    h->ctx = ctx;
    h->err = err;
    h->work = (struct weir_work){.work = ask, .done = asked};
    h->env->ops->work(h->env, &h->work);
}
