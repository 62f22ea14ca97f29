/* SPDX-License-Identifier: Apache-2.0 */
#include "store/s3_keys.h"

#include "base/config.h"
#include "base/error.h"

#include <string.h>

int weir__s3_keys_open(struct weir__s3_keys *keys, const struct weir_host *host,
                       const struct weir_config *config,
                       const struct weir__s3_place *place,
                       struct weir_error *err)
{
    const char *access = weir__config_text(config, WEIR__P_S3_ACCESS_KEY);
    const char *secret = weir__config_text(config, WEIR__P_S3_SECRET_KEY);
    const char *token = weir__config_text(config, WEIR__P_S3_SESSION_TOKEN);
    int rc;

    keys->host = *host;
    weir__list_init(&keys->waiting);
    if (access[0] == '\0' || secret[0] == '\0')
        return weir__fail(err, WEIR_EAUTH,
                          "s3://%s: no keys: set s3_access_key and "
                          "s3_secret_key",
                          place->bucket);
    if (strpbrk(access, "\r\n") != NULL ||
        (token != NULL && strpbrk(token, "\r\n") != NULL))
        return weir__fail(err, WEIR_EINVAL,
                          "s3_access_key, s3_session_token: expected one line");
    rc = weir__s3_credentials_copy(&keys->now, keys->host.alloc, access, secret,
                                   token);
    keys->have = rc == 0;
    return rc == 0 ? 0 : weir__fail(err, rc, "s3 store: out of memory");
}

int weir__s3_keys_get(struct weir__s3_keys *keys,
                      struct weir__s3_keys_wait *wait)
{
    (void)wait;
    return keys->have ? 0 : 1;
}

bool weir__s3_keys_reject(struct weir__s3_keys *keys)
{
    (void)keys;
    return false;
}

void weir__s3_keys_cancel(struct weir__s3_keys *keys)
{
    (void)keys;
}

void weir__s3_keys_free(struct weir__s3_keys *keys)
{
    weir__s3_credentials_wipe(&keys->now);
}
