/* SPDX-License-Identifier: Apache-2.0 */
#include "support/keys_rig.h"

#include "support/store_kinds.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static const struct weir_env_ops *real_ops;
static int64_t ahead;   /* Of the wall clock, milliseconds. */
static int64_t stopped; /* Where that stands still; 0: it goes. */

static int64_t wall_ahead(struct weir_env *env)
{
    return (stopped != 0 ? stopped : real_ops->wall(env)) + ahead;
}

static void set_wall_clock(struct weir_env *env)
{
    static struct weir_env_ops ops;

    real_ops = env->ops;
    ops = *real_ops;
    ops.wall = wall_ahead;
    env->ops = &ops;
}

void keys_rig_ahead(int64_t ms)
{
    ahead = ms;
}

void keys_rig_init(struct keys_rig *rig)
{
    rig->config = store_s3_config("", "");
    store_rig_init(&rig->store);
    rig->store.host.alloc.secret = S3_SERVER_SECRET;
    set_wall_clock(rig->store.host.host.env);
    rig->server = s3_server_start();
}

int keys_rig_open(struct keys_rig *rig, const char *credentials)
{
    struct weir_config *config = rig->config;
    int rc;

    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay", "1ms", NULL), 0);
    ck_assert_int_eq(
        weir_config_set(config, "s3_credentials", credentials, NULL), 0);
    rc = store_s3_open(&rig->store, rig->server, config);
    weir_config_free(config);
    rig->config = NULL;
    return rc;
}

void keys_rig_close(struct keys_rig *rig)
{
    weir_config_free(rig->config);
    store_rig_close(&rig->store);
    s3_server_stop(rig->server);
    ahead = 0;
    stopped = 0;
}

void keys_rig_stop_clock(struct keys_rig *rig)
{
    stopped = real_ops->wall(rig->store.host.host.env);
}

void keys_rig_poll(struct keys_rig *rig)
{
    struct weir_env *env = rig->store.host.host.env;

    env->ops->poll(env, 1000000);
}

int keys_rig_get(struct keys_rig *rig)
{
    return store_get(&rig->store, "none", 0, UINT64_MAX, 0, NULL, NULL);
}

void keys_rig_check_err(const struct keys_rig *rig, const char *word)
{
    const char *text = rig->store.err.text;

    ck_assert_msg(strstr(text, word) != NULL, "%s", text);
    ck_assert_ptr_null(strstr(text, S3_SERVER_SECRET));
}

void keys_rig_check_token(struct keys_rig *rig, const char *token)
{
    char text[200];

    s3_server_header(rig->server, "x-amz-security-token", text, sizeof(text));
    ck_assert_str_eq(text, token);
}

struct s3_fault keys_expired(int count)
{
    return (struct s3_fault){.kind = S3_ANSWER,
                             .count = count,
                             .status = 400,
                             .code = "ExpiredToken"};
}

void keys_clear_environment(void)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv("HOME", test_dir(), 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}
