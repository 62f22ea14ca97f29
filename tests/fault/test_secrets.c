/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets are not in what a core dump of the process takes, wherever they come
 * from, and nowhere at all when they are not needed any more. */
#include "base/config.h"
#include "base/secret.h"
#include "store/store.h"
#include "support/core_dump.h"
#include "support/s3_server.h"
#include "support/store_kinds.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/s3_keys.h>

static struct store_rig rig;
static struct s3_server *server;
static struct core_secret secret;

static void check_kept(void)
{
    struct core_found found = core_find(&secret);

    ck_assert_msg(found.dumped == 0, "%d times in a core dump", found.dumped);
    ck_assert_int_ge(found.left, 1);
}

static void check_gone(void)
{
    struct core_found found = core_find(&secret);

    ck_assert_int_eq(found.dumped, 0);
    ck_assert_int_eq(found.left, 0);
}

/* What all others are worth. */
START_TEST(a_secret_in_other_memory_would_be_found)
{
    char *text = malloc(65);

    core_secret_new(&secret);
    check_gone();
    core_secret_tell(&secret, text);
    ck_assert_int_eq(core_find(&secret).dumped, 1);
    explicit_bzero(text, 65);
    check_gone();
    free(text);
}
END_TEST

/* ---- The memory ---------------------------------------------------------- */

static char *copy_secret(const struct weir_alloc *alloc)
{
    char text[65];
    char *copy;

    core_secret_tell(&secret, text);
    copy = weir__secret_strdup(alloc, text);
    explicit_bzero(text, sizeof(text));
    return copy;
}

START_TEST(memory_for_secrets_is_in_no_core_dump)
{
    struct test_alloc alloc;
    char *copy;

    test_alloc_init(&alloc);
    core_secret_new(&secret);
    copy = copy_secret(&alloc.alloc);
    ck_assert_uint_eq(strlen(copy), secret.len);
    check_kept();
    weir__secret_free(&alloc.alloc, copy);
    weir__secret_free(&alloc.alloc, NULL);
    check_gone();
    test_alloc_check(&alloc);
}
END_TEST

START_TEST(no_memory_for_secrets_is_told)
{
    struct test_alloc alloc;

    test_alloc_init(&alloc);
    test_alloc_fail(&alloc, 1, 1);
    ck_assert_ptr_null(weir__secret_strdup(&alloc.alloc, "x"));
    ck_assert_ptr_null(weir__secret_calloc(&alloc.alloc, SIZE_MAX - 8));
    test_alloc_check(&alloc);
}
END_TEST

static void *block;

static void *give_block(void *ctx, size_t align, size_t size)
{
    (void)ctx;
    block = aligned_alloc(align, size);
    return block;
}

static void keep_block(void *ctx, void *ptr)
{
    (void)ctx;
    ck_assert_ptr_eq(ptr, block);
}

/* The host may want to see in a dump what it has there later. */
START_TEST(memory_is_given_back_as_it_was)
{
    struct weir_alloc alloc = *weir_alloc_default();

    alloc.aligned = give_block;
    alloc.free = keep_block;
    core_secret_new(&secret);
    weir__secret_free(&alloc, copy_secret(&alloc));
    check_gone();
    core_secret_tell(&secret, block);
    ck_assert_int_eq(core_find(&secret).dumped, 1);
    free(block);
}
END_TEST

/* KiB that this process has locked. */
static long locked(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[200];
    long n = -1;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "VmLck:", 6) == 0)
            n = strtol(line + 6, NULL, 10);
    fclose(file);
    return n;
}

START_TEST(memory_for_secrets_is_locked_where_memory_can_be)
{
    long page = sysconf(_SC_PAGESIZE);
    long before = locked();
    char *probe = aligned_alloc((size_t)page, (size_t)page);
    char *copy;
    long can;

    core_secret_new(&secret);
    mlock(probe, (size_t)page); /* A sanitizer does nothing here. */
    can = locked() - before;
    munlock(probe, (size_t)page);
    free(probe);
    copy = copy_secret(weir_alloc_default());
    ck_assert_int_eq(locked() - before, can);
    weir__secret_free(weir_alloc_default(), copy);
    ck_assert_int_eq(locked(), before);
}
END_TEST

/* ---- A store ------------------------------------------------------------- */

/* Give a property the secret. */
static void set_secret(struct weir_config *config, const char *key)
{
    char text[65];

    core_secret_tell(&secret, text);
    ck_assert_int_eq(weir_config_set(config, key, text, NULL), 0);
    explicit_bzero(text, sizeof(text));
}

/* The keys of the configuration, or where it says. */
static struct weir_config *new_config(const char *credentials, int keys)
{
    struct weir_config *config = store_s3_config("", "");

    ck_assert_int_eq(weir_config_set(config, "s3_retry_delay", "1ms", NULL), 0);
    ck_assert_int_eq(
        weir_config_set(config, "s3_credentials", credentials, NULL), 0);
    if (!keys)
        return config;
    ck_assert_int_eq(
        weir_config_set(config, "s3_access_key", S3_SERVER_KEY, NULL), 0);
    set_secret(config, "s3_secret_key");
    return config;
}

/* Takes the configuration over. */
static void open_store(struct weir_config *config)
{
    store_rig_init(&rig);
    server = s3_server_start();
    ck_assert_msg(store_s3_open(&rig, server, config) == 0, "%s", rig.err.text);
    weir_config_free(config);
}

/* They are signed with a secret that the server does not know. */
static void make_requests(void)
{
    ck_assert_int_eq(store_put(&rig, "key", "body", 4, WEIR_STORE_IF_ABSENT),
                     WEIR_EAUTH);
    ck_assert_int_eq(store_get(&rig, "key", 0, UINT64_MAX, 0, NULL, NULL),
                     WEIR_EAUTH);
    ck_assert_ptr_nonnull(strstr(rig.err.text, "SignatureDoesNotMatch"));
}

static void close_store(void)
{
    store_rig_close(&rig);
    s3_server_stop(server);
}

/* Requests have used the secret, which goes with the store. */
static void check_used_and_gone(void)
{
    make_requests();
    check_kept();
    close_store();
    check_gone();
}

START_TEST(the_secret_key_of_a_configuration_is_in_no_core_dump)
{
    struct weir_config *config;
    struct weir_config *copy = NULL;

    core_secret_new(&secret);
    config = new_config("config", 1);
    check_kept();
    ck_assert_int_eq(weir__config_copy(&copy, config), 0);
    open_store(config);
    weir_config_free(copy);
    check_used_and_gone();
}
END_TEST

/* Requests have it in a header, which is the server's too. */
START_TEST(a_session_token_is_in_no_core_dump_until_it_is_sent)
{
    struct weir_config *config;

    core_secret_new(&secret);
    config = store_s3_config(S3_SERVER_KEY, S3_SERVER_SECRET);
    set_secret(config, "s3_session_token");
    open_store(config);
    check_kept();
    close_store();
    check_gone();
}
END_TEST

START_TEST(the_secret_key_of_a_profile_is_in_no_core_dump)
{
    static const char front[] = "[default]\naws_access_key_id=" S3_SERVER_KEY
                                "\naws_secret_access_key=";
    char path[300];
    char text[65];
    int fd;

    core_secret_new(&secret);
    snprintf(path, sizeof(path), "%s/credentials", test_dir());
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    core_secret_tell(&secret, text);
    ck_assert_int_gt(write(fd, front, strlen(front)), 0);
    ck_assert_int_gt(write(fd, text, strlen(text)), 0);
    explicit_bzero(text, sizeof(text));
    close(fd);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    unsetenv("AWS_PROFILE");

    open_store(new_config("profile", 0));
    check_used_and_gone();
}
END_TEST

/* On a worker. */
static int give(void *ctx, int rejected, struct weir_s3_keys *keys,
                struct weir_error *err)
{
    char text[65];
    int rc;

    (void)ctx;
    (void)rejected;
    (void)err;
    core_secret_tell(&secret, text);
    rc = weir_s3_keys_set(keys, S3_SERVER_KEY, text, NULL, 0);
    explicit_bzero(text, sizeof(text));
    return rc;
}

START_TEST(the_secret_key_of_a_function_is_in_no_core_dump)
{
    struct weir_config *config;

    core_secret_new(&secret);
    config = new_config("config", 0);
    weir_config_set_s3_keys(config, give, NULL);
    open_store(config);
    check_used_and_gone();
}
END_TEST

/* ---- Files that others can read ------------------------------------------ */

static int warnings;
static char warning[600];

static void keep_warning(void *ctx, enum weir_log_level level, const char *text)
{
    (void)ctx;
    if (level != WEIR_LOG_WARN || strstr(text, "chmod") == NULL)
        return;
    warnings++;
    snprintf(warning, sizeof(warning), "%s", text);
}

static void open_warned(const char *credentials)
{
    warnings = 0;
    open_store(new_config(credentials, 0));
    rig.host.log.write = keep_warning;
}

/* Twice: the keys are not taken, so they are looked for again. */
static void read_profile(const char *path, mode_t mode)
{
    static const struct s3_fault expired = {
        .kind = S3_ANSWER, .status = 400, .code = "ExpiredToken"};

    ck_assert_int_eq(chmod(path, mode), 0);
    open_warned("profile");
    s3_server_fault(server, &expired);
    ck_assert_int_eq(store_get(&rig, "key", 0, UINT64_MAX, 0, NULL, NULL),
                     WEIR_ENOENT);
    close_store();
}

static void check_warning(const char *path, unsigned mode, const char *who)
{
    char text[600];

    snprintf(text, sizeof(text),
             "s3: %s has credentials in it, and its mode %03o opens it to "
             "others: chmod %s-rw %s",
             path, mode, who, path);
    ck_assert_int_eq(warnings, 1);
    ck_assert_str_eq(warning, text);
}

static void write_profile(char *path, size_t room)
{
    test_file(path, room, "profiles",
              "[default]\naws_access_key_id=" S3_SERVER_KEY
              "\naws_secret_access_key=" S3_SERVER_SECRET "\n");
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    unsetenv("AWS_PROFILE");
}

START_TEST(a_profile_that_others_can_read_is_told_once_and_used)
{
    static const struct {
        mode_t mode;
        const char *who; /* NULL: nobody but its owner. */
    } modes[] = {{0644, "go"}, {0640, "go"}, {0620, "go"}, {0604, "o"},
                 {0602, "o"},  {0600, NULL}, {0711, NULL}};
    char path[300];

    write_profile(path, sizeof(path));
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        read_profile(path, modes[i].mode);
        if (modes[i].who != NULL)
            check_warning(path, modes[i].mode, modes[i].who);
        else
            ck_assert_int_eq(warnings, 0);
    }
}
END_TEST

/* To be read by its group is what it is for. */
START_TEST(a_profile_of_another_owner_may_be_its_groups)
{
    char path[300];

    if (geteuid() != 0) {
        printf("left out: only root can give a file away\n");
        return;
    }
    write_profile(path, sizeof(path));
    ck_assert_int_eq(chown(path, 65534, 0), 0);
    read_profile(path, 0640);
    ck_assert_int_eq(warnings, 0);
    read_profile(path, 0644);
    check_warning(path, 0644, "o");
}
END_TEST

START_TEST(a_token_file_that_others_can_read_is_told)
{
    char path[300];

    test_file(path, sizeof(path), "token", "header.body.signature\n");
    ck_assert_int_eq(chmod(path, 0644), 0);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
    setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
    setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1", 1);
    open_warned("web-identity");
    ck_assert_int_eq(store_get(&rig, "key", 0, UINT64_MAX, 0, NULL, NULL),
                     WEIR_EUNAVAILABLE);
    check_warning(path, 0644, "go");
    close_store();
}
END_TEST

START_TEST(the_password_of_etcd_is_in_no_core_dump)
{
    struct weir_config *config = NULL;

    core_secret_new(&secret);
    ck_assert_int_eq(weir_config_new(&config, NULL), 0);
    ck_assert_int_eq(weir_config_set(config, "etcd_user", "somebody", NULL), 0);
    set_secret(config, "etcd_password");
    store_rig_init(&rig);
    ck_assert_int_eq(store_rig_open(&rig, weir__store_etcd_open,
                                    "etcd://127.0.0.1:1/x", config),
                     0);
    weir_config_free(config);
    check_kept();
    store_rig_close(&rig);
    check_gone();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("secrets");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_secret_in_other_memory_would_be_found);
    tcase_add_test(tc, memory_for_secrets_is_in_no_core_dump);
    tcase_add_test(tc, no_memory_for_secrets_is_told);
    tcase_add_test(tc, memory_is_given_back_as_it_was);
    tcase_add_test(tc, memory_for_secrets_is_locked_where_memory_can_be);
    tcase_add_test(tc, the_secret_key_of_a_configuration_is_in_no_core_dump);
    tcase_add_test(tc, a_session_token_is_in_no_core_dump_until_it_is_sent);
    tcase_add_test(tc, the_secret_key_of_a_profile_is_in_no_core_dump);
    tcase_add_test(tc, the_secret_key_of_a_function_is_in_no_core_dump);
    tcase_add_test(tc, the_password_of_etcd_is_in_no_core_dump);
    tcase_add_test(tc, a_profile_that_others_can_read_is_told_once_and_used);
    tcase_add_test(tc, a_profile_of_another_owner_may_be_its_groups);
    tcase_add_test(tc, a_token_file_that_others_can_read_is_told);
    return test_run();
}
