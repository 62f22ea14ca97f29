/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"
#include "support/host.h"
#include "support/test.h"

#include <string.h>

static struct test_alloc alloc;
static struct weir_config *config;
static struct weir_error err;

static void setup(void)
{
    test_alloc_init(&alloc);
    ck_assert_int_eq(weir_config_new(&config, &alloc.alloc), 0);
}

static void teardown(void)
{
    weir_config_free(config);
    test_alloc_check(&alloc);
}

static int set(const char *key, const char *value)
{
    err = (struct weir_error){0};
    return weir_config_set(config, key, value, &err);
}

START_TEST(every_property_has_a_default_that_is_valid)
{
    size_t count;
    const struct weir_property *table = weir_config_properties(&count);
    size_t i;

    ck_assert_uint_eq(count, WEIR__P_COUNT);
    for (i = 0; i < count; i++) {
        ck_assert_str_eq(weir_config_get(config, table[i].key), table[i].def);
        ck_assert_int_eq(set(table[i].key, table[i].def), 0);
        ck_assert_uint_gt(strlen(table[i].text), 10);
    }
    ck_assert_int_eq(config->number[WEIR__P_BLOCK], 524288);
    ck_assert_int_eq(config->number[WEIR__P_UPLOAD_INTERVAL], 10000000000);
    ck_assert_int_eq(config->number[WEIR__P_DRIVER], 0);
    ck_assert_ptr_null(weir_config_get(config, "nonsense"));
}
END_TEST

START_TEST(values_are_kept_as_text_and_as_numbers)
{
    ck_assert_int_eq(set("node_id", "42"), 0);
    ck_assert_int_eq(config->number[WEIR__P_NODE_ID], 42);
    ck_assert_int_eq(set("read_only", "true"), 0);
    ck_assert_int_eq(config->number[WEIR__P_READ_ONLY], 1);
    ck_assert_int_eq(set("compression", "none"), 0);
    ck_assert_int_eq(config->number[WEIR__P_COMPRESSION], 1);
    ck_assert_int_eq(set("block", "1MiB"), 0);
    ck_assert_int_eq(config->number[WEIR__P_BLOCK], 1048576);
    ck_assert_str_eq(weir_config_get(config, "block"), "1MiB");
    ck_assert_int_eq(set("wal", "file:/x?size=1GiB"), 0);
    ck_assert_str_eq(weir__config_text(config, WEIR__P_WAL),
                     "file:/x?size=1GiB");
}
END_TEST

struct refusal {
    const char *key;
    const char *value;
    const char *text;
};

static const struct refusal refusals[] = {
    {"stoer", "mem:", "stoer: no such property; did you mean store?"},
    {"node-id", "1", "did you mean node_id?"},
    {"uplod_bytes", "1MiB", "did you mean upload_bytes?"},
    {"nonsense", "1", "nonsense: no such property; expected one of"},
    {"", "1", "no such property"},
    {"store", "/var", "store: URI \"/var\": expected SCHEME:"},
    {"node_id", "0",
     "node_id: expected a number, from 1 to 1000000, not \"0\""},
    {"node_id", "1KiB", "node_id: expected a number"},
    {"node_id", "99999999999999999999", "node_id: expected a number"},
    {"read_only", "yes", "read_only: expected true or false, not \"yes\""},
    {"block", "1", "block: expected a size such as 64MiB, from 4KiB to 16MiB"},
    {"block", "1GiB", "not \"1GiB\""},
    {"log_cache", "1MB", "at least 4MiB, not \"1MB\""},
    {"log_cache", "8388608TiB", "at least 4MiB"},
    {"upload_interval", "10",
     "upload_interval: expected a duration such as 10s, at least 1ms"},
    {"compression", "zip", "compression: expected lz4|none, not \"zip\""},
    {"compression", "", "expected lz4|none"},
    {"compression", "lz", "expected lz4|none"},
};

START_TEST(a_refusal_names_the_key_and_what_was_expected)
{
    const struct refusal *r = &refusals[_i];

    ck_assert_int_eq(set(r->key, r->value), WEIR_EINVAL);
    ck_assert_int_eq(err.code, WEIR_EINVAL);
    if (strstr(err.text, r->text) == NULL)
        ck_abort_msg("\"%s\" does not tell \"%s\"", err.text, r->text);
}
END_TEST

START_TEST(a_refused_value_changes_nothing)
{
    ck_assert_int_eq(set("block", "1MiB"), 0);
    ck_assert_int_eq(set("block", "1XiB"), WEIR_EINVAL);
    ck_assert_str_eq(weir_config_get(config, "block"), "1MiB");
    ck_assert_int_eq(config->number[WEIR__P_BLOCK], 1048576);
    ck_assert_int_eq(weir_config_set(config, "block", NULL, NULL), WEIR_EINVAL);
    ck_assert_int_eq(weir_config_set(config, NULL, "1", NULL), WEIR_EINVAL);
}
END_TEST

START_TEST(a_secret_is_never_shown)
{
    ck_assert_str_eq(weir_config_get(config, "s3_secret_key"), "");
    ck_assert_int_eq(set("s3_secret_key", "hidden"), 0);
    ck_assert_str_eq(weir_config_get(config, "s3_secret_key"), "***");
    ck_assert_str_eq(weir__config_text(config, WEIR__P_S3_SECRET_KEY),
                     "hidden");
}
END_TEST

static int open_store(struct weir_store **out, const struct weir_host *host,
                      const char *uri, void *ctx, struct weir_error *e)
{
    (void)out;
    (void)host;
    (void)uri;
    (void)ctx;
    (void)e;
    return WEIR_EUNSUPPORTED;
}

static void open_wal(struct weir_wal_open *req)
{
    (void)req;
}

START_TEST(schemes_are_found_by_kind)
{
    const struct weir__scheme *found;

    ck_assert_int_eq(weir_config_add_store(config, "mine", open_store, &err),
                     0);
    ck_assert_int_eq(weir_config_add_store(config, "mine", open_store, NULL),
                     WEIR_EEXIST);
    ck_assert_int_eq(weir_config_add_wal(config, "mine", open_wal, NULL), 0);
    ck_assert_int_eq(weir_config_add_store(config, "1st", open_store, NULL),
                     WEIR_EINVAL);
    ck_assert_int_eq(weir_config_add_store(config, "a:", open_store, NULL),
                     WEIR_EINVAL);
    ck_assert_int_eq(weir_config_add_store(config, "", open_store, NULL),
                     WEIR_EINVAL);
    ck_assert_int_eq(weir_config_add_wal(config, "null", NULL, NULL),
                     WEIR_EINVAL);

    found = weir__config_scheme(config, "mine:rest", 0);
    ck_assert_ptr_nonnull(found);
    ck_assert(found->open_store == open_store);
    ck_assert_ptr_eq(found->ctx, &err);
    found = weir__config_scheme(config, "mine:rest", 1);
    ck_assert(found != NULL && found->open_wal == open_wal);
    ck_assert_ptr_null(weir__config_scheme(config, "min:rest", 0));
    ck_assert_ptr_null(weir__config_scheme(config, "mines:rest", 0));
}
END_TEST

START_TEST(a_copy_stands_on_its_own)
{
    struct weir_config *copy;

    ck_assert_int_eq(set("block", "1MiB"), 0);
    ck_assert_int_eq(weir_config_add_store(config, "mine", open_store, NULL),
                     0);
    ck_assert_int_eq(weir__config_copy(&copy, config), 0);
    ck_assert_int_eq(set("block", "2MiB"), 0);
    ck_assert_str_eq(weir_config_get(copy, "block"), "1MiB");
    ck_assert_int_eq(copy->number[WEIR__P_BLOCK], 1048576);
    ck_assert_ptr_nonnull(weir__config_scheme(copy, "mine:", 0));
    weir_config_free(copy);
}
END_TEST

START_TEST(without_memory_nothing_is_left_behind)
{
    struct weir_config *copy = NULL;
    int rc = WEIR_ENOMEM;
    int n;

    ck_assert_int_eq(set("block", "1MiB"), 0);
    ck_assert_int_eq(set("s3_secret_key", "hidden"), 0);
    ck_assert_int_eq(weir_config_add_store(config, "mine", open_store, NULL),
                     0);
    for (n = 1; rc == WEIR_ENOMEM; n++) {
        test_alloc_fail(&alloc, n, 1);
        rc = weir__config_copy(&copy, config);
        ck_assert(rc == 0 || copy == NULL);
    }
    ck_assert_int_gt(n, 5);
    weir_config_free(copy);
    test_alloc_fail(&alloc, 1, 1);
    ck_assert_int_eq(set("block", "2MiB"), WEIR_ENOMEM);
    ck_assert_str_eq(weir_config_get(config, "block"), "1MiB");
}
END_TEST

START_TEST(an_allocator_with_a_function_missing_is_refused)
{
    struct weir_alloc bad = alloc.alloc;
    struct weir_config *none;

    bad.aligned = NULL;
    ck_assert_int_eq(weir_config_new(&none, &bad), WEIR_EINVAL);
    ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("config");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_property_has_a_default_that_is_valid);
    tcase_add_test(tc, values_are_kept_as_text_and_as_numbers);
    tcase_add_loop_test(tc, a_refusal_names_the_key_and_what_was_expected, 0,
                        (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(tc, a_refused_value_changes_nothing);
    tcase_add_test(tc, a_secret_is_never_shown);
    tcase_add_test(tc, schemes_are_found_by_kind);
    tcase_add_test(tc, a_copy_stands_on_its_own);
    tcase_add_test(tc, without_memory_nothing_is_left_behind);
    tcase_add_test(tc, an_allocator_with_a_function_missing_is_refused);
    return test_run();
}
