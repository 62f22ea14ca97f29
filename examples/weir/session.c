/* SPDX-License-Identifier: Apache-2.0 */
/* The node that a command works on: where it is, and how it is driven. */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_WAL_SIZE "256MiB"

static void print_failure(const struct cli *cli, const char *format, va_list ap)
{
    fputs("weir: ", stderr);
    if (cli->command != NULL)
        fprintf(stderr, "%s%s%s%s", cli->command->name,
                cli->command->sub ? " " : "",
                cli->command->sub ? cli->command->sub : "",
                format[0] == ':' ? "" : " ");
    else if (format[0] == ':')
        format += 2;
    vfprintf(stderr, format, ap);
}

int cli_error(const struct cli *cli, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_failure(cli, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    return EXIT_FAILURE;
}

/* What the user can do about it, if that is not plain. */
static const char *advice(const struct cli *cli, int status)
{
    if (status == WEIR_EBUSY && cli->node != NULL)
        return ""; /* The node is open: it is something on it. */
    if (status == WEIR_EBUSY && (cli->command->flags & COMMAND_READS) != 0)
        return "\nAnother process has this node open.  `-X read_only=true` "
               "reads what is in objects already.";
    if (status == WEIR_EBUSY)
        return "\nAnother process has this node open.  A second node of the "
               "same store needs a number and a log of its own: "
               "-X node_id=2 --wal file:...";
    return "";
}

int cli_fail(const struct cli *cli, int status, const char *format, ...)
{
    const char *why = weir_error_text(status);
    va_list ap;

    if (cli->err.code == status && cli->err.text[0] != '\0')
        why = cli->err.text;
    va_start(ap, format);
    print_failure(cli, format, ap);
    va_end(ap);
    fprintf(stderr, ": %s (%s)%s\n", why, weir_error_name(status),
            advice(cli, status));
    /* What cannot be is what the user has asked for. */
    return status == WEIR_EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

void cli_note(const struct cli *cli, int level, const char *format, ...)
{
    va_list ap;

    if (cli->verbose < level)
        return;
    va_start(ap, format);
    print_failure(cli, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* The library's log, from any thread. */
static void log_write(void *ctx, enum weir_log_level level, const char *text)
{
    static const char *const names[] = {"error", "warning", "note", "debug"};
    const struct cli *cli = ctx;
    int wanted = cli->verbose + (int)WEIR_LOG_WARN;

    if ((int)level <= wanted)
        fprintf(stderr, "weir: %s: %s\n", names[level], text);
}

int64_t cli_wall(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t cli_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A property: 0, or the exit code. */
static int set(struct cli *cli, const char *key, const char *value)
{
    struct weir_error err = {0};

    if (value == NULL || weir_config_set(cli->config, key, value, &err) == 0)
        return 0;
    return cli_usage(cli, "%s", err.text);
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool cli_has(const struct cli *cli, int key)
{
    for (size_t i = 0; i < cli->given_count; i++)
        if (cli->given[i].key == key)
            return true;
    return false;
}

static bool is_set(const struct cli *cli, const char *key)
{
    return strcmp(weir_config_get(cli->config, key), "") != 0;
}

static bool is_true(const struct cli *cli, const char *key)
{
    return strcmp(weir_config_get(cli->config, key), "true") == 0;
}

/* With a folder as the store, the log is a file in it, one per node. */
static int set_default_wal(struct cli *cli)
{
    size_t path = strcspn(cli->store + 4, "?");
    const char *id = weir_config_get(cli->config, "node_id");
    bool first = strcmp(id, "1") == 0;
    char *uri = NULL;
    int rc;

    while (path > 1 && cli->store[4 + path - 1] == '/')
        path--;
    if (asprintf(&uri, "file:%.*s/.wal%s%s?size=" DEFAULT_WAL_SIZE, (int)path,
                 cli->store + 4, first ? "" : "-", first ? "" : id) < 0)
        return cli_error(cli, ": out of memory");
    rc = set(cli, "wal", uri);
    free(uri);
    return rc;
}

static int settle_wal(struct cli *cli)
{
    if (is_true(cli, "read_only"))
        return 0;
    if (cli->wal != NULL)
        return set(cli, "wal", cli->wal);
    if (strncmp(cli->store, "dir:", 4) == 0)
        return set_default_wal(cli);
    if (strncmp(cli->store, "mem:", 4) == 0)
        return set(cli, "wal", "mem:");
    if ((cli->command->flags & COMMAND_READS) != 0)
        return set(cli, "read_only", "true");
    return cli_usage(cli, "where is the write-ahead log? Give --wal "
                          "file:/path?size=256MiB or set WEIR_WAL");
}

/* Keys and region of an s3: store from where the AWS tools look too. */
static int settle_s3(struct cli *cli)
{
    const char *region = environment("AWS_REGION");
    char *uri = NULL;
    int rc = 0;

    if (!is_set(cli, "s3_access_key") &&
        strcmp(weir_config_get(cli->config, "s3_credentials"), "config") == 0)
        rc = set(cli, "s3_credentials", "chain");
    if (region == NULL)
        region = environment("AWS_DEFAULT_REGION");
    if (rc != 0 || region == NULL || strstr(cli->store, "?region=") != NULL ||
        strstr(cli->store, "&region=") != NULL)
        return rc;

    if (asprintf(&uri, "%s%cregion=%s", cli->store,
                 strchr(cli->store, '?') != NULL ? '&' : '?', region) < 0)
        return cli_error(cli, ": out of memory");
    rc = set(cli, "store", uri);
    free(uri);
    return rc;
}

static void read_environment(struct cli *cli)
{
    if (cli->store == NULL)
        cli->store = environment("WEIR_STORE");
    if (cli->wal == NULL)
        cli->wal = environment("WEIR_WAL");
    if (cli->manifest == NULL)
        cli->manifest = environment("WEIR_MANIFEST");
}

int cli_settle_wal(struct cli *cli)
{
    read_environment(cli);
    /* An object log lies in the store. */
    if (cli->wal != NULL && strncmp(cli->wal, "object:", 7) == 0)
        return cli_settle(cli);
    if (cli->wal == NULL && cli->store == NULL)
        return cli_usage(cli, "which log? Give its URI, --wal or --store "
                              "dir:/path");
    return settle_wal(cli);
}

int cli_settle(struct cli *cli)
{
    int rc;

    read_environment(cli);
    if (cli->store == NULL)
        return cli_usage(cli, "where is the store? Give --store dir:/path "
                              "(or s3://bucket) or set WEIR_STORE");

    rc = set(cli, "store", cli->store);
    if (rc == 0)
        rc = set(cli, "manifest", cli->manifest);
    if (rc == 0 && strncmp(cli->store, "s3:", 3) == 0)
        rc = settle_s3(cli);
    if (rc == 0)
        rc = settle_wal(cli);
    /* Callbacks run on our one thread, unless the command's are blocking. */
    if (rc == 0 && !cli_has(cli, OPTION_THREADS))
        rc = set(cli, "driver", "false");
    return rc;
}

/* Before the node has threads, so that they inherit the mask. */
static int catch_signals(struct cli *cli)
{
    sigset_t set_of;

    sigemptyset(&set_of);
    sigaddset(&set_of, SIGINT);
    sigaddset(&set_of, SIGTERM);
    sigaddset(&set_of, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set_of, NULL) != 0)
        return -1;
    cli->signal_fd = signalfd(-1, &set_of, SFD_NONBLOCK | SFD_CLOEXEC);
    return cli->signal_fd < 0 ? -1 : 0;
}

const char *cli_shown(const struct cli *cli, const char *property,
                      char to[CLI_SHOWN])
{
    const char *uri = weir_config_get(cli->config, property);

    snprintf(to, CLI_SHOWN, "%.*s", (int)strcspn(uri, "?&#"), uri);
    return to;
}

/* "weir: ls: open dir:/x: why": the store is no argument of the command. */
static int fail_store(const struct cli *cli, int status, const char *verb)
{
    char store[CLI_SHOWN];

    return cli_fail(cli, status, ": %s %s", verb,
                    cli_shown(cli, "store", store));
}

int cli_check_folder(struct cli *cli)
{
    const char *store = weir_config_get(cli->config, "store");
    char shown[CLI_SHOWN];
    char path[4096];

    if ((cli->command->flags & COMMAND_CREATES) != 0 ||
        strncmp(store, "dir:", 4) != 0 || strchr(store, '%') != NULL)
        return 0;
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(store + 4, "?"),
             store + 4);
    if (access(path, F_OK) == 0)
        return 0;
    return cli_error(cli, ": open %s: %s", cli_shown(cli, "store", shown),
                     strerror(errno));
}

int cli_open(struct cli *cli)
{
    int rc = cli_check_folder(cli);

    if (rc != 0)
        return rc;

    cli->log = (struct weir_log){sizeof(cli->log), log_write, cli};
    weir_config_set_log(cli->config, &cli->log);

    rc = weir_open(&cli->node, cli->config, &cli->err);
    if (rc != 0)
        return fail_store(cli, rc, "open");
    /* Not before: while it opens, a signal simply ends the program. */
    if ((cli->command->flags & COMMAND_STOPS) != 0 && cli->signal_fd < 0 &&
        catch_signals(cli) != 0)
        return cli_error(cli, ": signalfd: %s", strerror(errno));
    return 0;
}

int cli_close(struct cli *cli)
{
    int rc = 0;
    int code = 0;

    if (cli->node == NULL)
        return 0;
    rc = weir_close(cli->node, &cli->err);
    if (rc != 0)
        code = fail_store(cli, rc, "close");
    weir_free(cli->node);
    cli->node = NULL;
    return code;
}

int cli_stream(struct cli *cli, const char *name, unsigned flags,
               struct weir_stream **out)
{
    struct weir_stream_open req = {
        .req.err = &cli->err, .name = name, .flags = flags};
    int rc = weir_stream_open_sync(cli->node, &req);

    if (rc == WEIR_ENOENT)
        return cli_error(cli, "%s: no such stream", name);
    if (rc == WEIR_EINVAL)
        return cli_error(cli, "%s: a name has 1 to %d bytes", name,
                         WEIR_NAME_MAX);
    if (rc != 0)
        return cli_fail(cli, rc, "%s", name);
    *out = req.stream;
    return 0;
}

void cli_check_signal(struct cli *cli)
{
    struct signalfd_siginfo info;

    if (read(cli->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        cli->signal = (int)info.ssi_signo;
}

bool cli_stopped(const struct cli *cli)
{
    return cli->signal != 0 || cli->output_errno != 0;
}

short cli_drive(struct cli *cli, int fd, short events)
{
    struct pollfd fds[4] = {{weir_poll_fd(cli->node), POLLIN, 0},
                            {cli->signal_fd, POLLIN, 0},
                            {STDOUT_FILENO, 0, 0},
                            {fd, events, 0}};
    int ran = weir_poll(cli->node, 0);

    /* A pipe without a reader is always ready: look at it only once. */
    if (cli->output_errno != 0)
        fds[2].fd = -1;
    if (poll(fds, 4, ran > 0 ? 0 : -1) < 0)
        return 0;
    if ((fds[1].revents & POLLIN) != 0)
        cli_check_signal(cli);
    if ((fds[2].revents & POLLERR) != 0)
        cli->output_errno = EPIPE;
    return fds[3].revents;
}
