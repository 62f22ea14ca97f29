/* SPDX-License-Identifier: Apache-2.0 */
#include "support/store_kinds.h"

#include "store/store.h"
#include "support/own.h"
#include "support/s3_server.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MEMORY,
    DIRECTORY,
    S3,
    OWN,
    KINDS,
    REAL = KINDS,
    REAL_END,
    ETCD,
    ETCD_END
};

/* What the open store of kind S3 talks to. */
static struct s3_server *server;
/* What the store of examples/custom_store.c is on. */
static own_bucket bucket;

int store_kind_first(void)
{
    return getenv("WEIR_TEST_ETCD") != NULL ? ETCD
           : getenv("WEIR_TEST_S3") != NULL ? REAL
                                            : MEMORY;
}

int store_kind_end(void)
{
    return getenv("WEIR_TEST_ETCD") != NULL ? ETCD_END
           : getenv("WEIR_TEST_S3") != NULL ? REAL_END
                                            : KINDS;
}

int store_kind_checks_keys(int kind)
{
    return kind != OWN;
}

struct weir_config *store_s3_config(const char *access_key,
                                    const char *secret_key)
{
    struct weir_config *config = NULL;

    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "s3_access_key", access_key, NULL),
                     0);
    ck_assert_int_eq(weir_config_set(config, "s3_secret_key", secret_key, NULL),
                     0);
    return config;
}

int store_s3_open(struct store_rig *rig, const struct s3_server *on,
                  struct weir_config *config)
{
    char uri[200];

    snprintf(uri, sizeof(uri), "s3://bucket/p?endpoint=%s",
             s3_server_endpoint(on));
    return store_rig_open(rig, weir__store_s3_open, uri, config);
}

static int open_s3(struct store_rig *rig, const char *uri,
                   const char *access_key, const char *secret_key,
                   const char *ca_file)
{
    struct weir_config *config = store_s3_config(access_key, secret_key);
    int rc;

    if (ca_file != NULL)
        weir_config_set(config, "s3_ca_file", ca_file, NULL);
    rc = store_rig_open(rig, weir__store_s3_open, uri, config);
    weir_config_free(config);
    return rc;
}

/* A prefix of its own makes the store an empty one. */
static int open_real(struct store_rig *rig)
{
    const char *base = getenv("WEIR_TEST_S3");
    const char *query = strchr(base, '?');
    const char *key = getenv("WEIR_TEST_S3_KEY");
    const char *secret = getenv("WEIR_TEST_S3_SECRET");
    const char *ca_file = getenv("WEIR_TEST_S3_CA");
    size_t len = query != NULL ? (size_t)(query - base) : strlen(base);
    char uri[600];

    ck_assert_msg(key != NULL && secret != NULL,
                  "WEIR_TEST_S3_KEY and WEIR_TEST_S3_SECRET are not set");
    snprintf(uri, sizeof(uri), "%.*s/t%llx-%lx%s", (int)len, base, test_seed(),
             (long)getpid(), query != NULL ? query : "");
    return open_s3(rig, uri, key, secret, ca_file);
}

/* WEIR_TEST_ETCD is "etcd://HOST:PORT": a prefix of its own, as above. */
static int open_etcd(struct store_rig *rig)
{
    struct weir_config *config = NULL;
    char uri[600];
    int rc;

    snprintf(uri, sizeof(uri), "%s/t%llx-%lx", getenv("WEIR_TEST_ETCD"),
             test_seed(), (long)getpid());
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    rc = store_rig_open(rig, weir__store_etcd_open, uri, config);
    weir_config_free(config);
    return rc;
}

void store_kind_open(struct store_rig *rig, int kind)
{
    char uri[400];
    int rc;

    store_rig_init(rig);
    if (kind == MEMORY) {
        rc = store_rig_open(rig, weir__store_memory_open, "mem:", NULL);
    } else if (kind == DIRECTORY) {
        snprintf(uri, sizeof(uri), "dir:%s/store", test_dir());
        rc = store_rig_open(rig, weir__store_dir_open, uri, NULL);
    } else if (kind == S3) {
        server = s3_server_start();
        snprintf(uri, sizeof(uri), "s3://bucket/some/prefix?endpoint=%s",
                 s3_server_endpoint(server));
        rc = open_s3(rig, uri, S3_SERVER_KEY, S3_SERVER_SECRET, NULL);
    } else if (kind == OWN) {
        rc = store_rig_open(rig, own_store_open, "shared:", &bucket);
    } else if (kind == ETCD) {
        rc = open_etcd(rig);
    } else {
        rc = open_real(rig);
    }
    ck_assert_msg(rc == 0, "%s", rig->err.text);
}

void store_kind_close(struct store_rig *rig, int kind)
{
    store_rig_close(rig);
    if (kind == S3)
        s3_server_stop(server);
    own_bucket_clear(&bucket);
}
